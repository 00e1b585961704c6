"""Which examples a recogniser is trained on, and which it must never see."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from latexocr.latex import canonical
from tests.tiny import TINY, inkml, write_inks
from trainer.config import ConfigError, build
from trainer.finetune import (
    MOST_REPEATS,
    FinetuneConfig,
    load_training_data,
    repeat_factors,
    start_trainee,
)


@pytest.fixture
def settings(tmp_path) -> dict:
    (tmp_path / "a_train.txt").write_text("x+T\nL=x\n\\frac{x}{T}\nx^{2\n")
    return {
        "data": str(write_inks(tmp_path / "inks")),
        "formulas": [str(tmp_path / "a_train.txt")],
        "model": TINY,
    }


def kinds(settings: dict, **batches: list[int]) -> list[list[str]]:
    config = build(FinetuneConfig, settings | {"batches": batches})
    data = load_training_data(config, start_trainee(config))
    assert len(data.token_ids) == len(data.examples) == len(data.shapes)
    return [[example.latex for example in kind.examples] for kind in data.kinds]


def test_only_the_kinds_that_are_wanted_are_made(settings):
    assert len(kinds(settings)) == 1
    assert len(kinds(settings, pieces_per_epoch=[3], written_per_epoch=[0, 5])) == 3


def test_formulas_of_lists_are_written_if_they_parse(settings):
    _, written = kinds(settings, written_per_epoch=[9])
    assert sorted(written) == sorted(["x + T", "L = x", r"\frac { x } { T }"])


def test_formulas_with_what_is_emphasised_are_drawn_more_often(settings):
    emphasis = {"emphasised": [r"\frac", "L"], "emphasis": 3}
    own, written = kinds(settings | emphasis, written_per_epoch=[9])
    assert sorted(written) == sorted(["x + T", *["L = x"] * 3, *[r"\frac { x } { T }"] * 3])
    assert own == kinds(settings)[0]


def test_emphasis_for_print_leaves_handwriting_alone(settings, tmp_path):
    (tmp_path / "print").mkdir()
    picture = np.full((30, 80), 255, np.uint8)
    picture[10:20, 10:70:12] = 0
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "print" / f"{name}.png"), picture)
    (tmp_path / "print" / "labels.tsv").write_text("image\tlatex\na.png\tL=x\nb.png\tx+T\n")
    emphasis = {"printed": [str(tmp_path / "print")], "emphasised_printed": ["L"], "emphasis": 3}
    _, written, printed = kinds(settings | emphasis, written_per_epoch=[9], printed_per_epoch=[9])
    assert sorted(written) == sorted(["x + T", "L = x", r"\frac { x } { T }"])
    assert [canonical(latex) for latex in sorted(printed)] == [*["L = x"] * 3, "x + T"]


def test_excluded_formulas_are_not_written_however_they_are_spelled(settings, tmp_path):
    labels = tmp_path / "labels.tsv"
    labels.write_text("id\ttokens\na\tx + T\nb\t{x \\over T}\n")
    _, written = kinds(settings | {"exclude": [str(labels)]}, written_per_epoch=[9])
    assert written == ["L = x"]


def test_an_excluded_formula_that_the_training_data_has_may_be_written(settings, tmp_path):
    folder = Path(settings["data"])
    (folder / "own.inkml").write_text(inkml("x+T"))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "same.inkml").write_text(inkml("x+T"))
    _, written = kinds(settings | {"exclude": [str(tmp_path / "test")]}, written_per_epoch=[9])
    assert "x + T" in written


@pytest.mark.parametrize(
    ("rare_share", "wanted"),
    [
        pytest.param(0.0, [1, 1, 1, 1, 1], id="none"),
        pytest.param(0.8, [1, 1, 1, 2, 1], id="the root of how much rarer"),
        pytest.param(0.99, [1, 2, 2, 2, 1], id="in whole numbers"),
    ],
)
def test_examples_are_repeated_by_their_rarest_token(rare_share, wanted):
    shown = [{"x"}, {"x", "y"}, {"x", "y"}, {"x", "z"}, set()]
    assert repeat_factors(shown, rare_share) == wanted


def test_the_rarest_are_not_repeated_without_end():
    assert max(repeat_factors([{"x"}] * 999 + [{"y"}], 0.9)) == MOST_REPEATS


def test_formulas_with_rare_tokens_are_drawn_more_often_but_not_the_data(settings):
    own, written = kinds(settings | {"rare_share": 0.9}, written_per_epoch=[9])
    once = ["x + T", "L = x", r"\frac { x } { T }"]  # each has a token that the others have not
    assert sorted(written) == sorted(2 * once)
    assert own == kinds(settings)[0]


@pytest.mark.parametrize("which", ["emphasised", "emphasised_printed"])
def test_what_is_no_token_cannot_be_emphasised(settings, which):
    with pytest.raises(ConfigError, match=r"tokens of the vocabulary to emphasise, got \\\\frac$"):
        build(FinetuneConfig, settings | {which: [r"\frac", r"\\frac"]})
