r"""CDM on hand-worked cases. F1 is 2 * matched / (true + read characters); a bar is a character."""

from pathlib import Path

import pytest

from trainer.cdm import cdm, score_cdm
from trainer.drawn_characters import characters
from trainer.rendered import drawn

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("truth", "reading", "f1"),
    [
        pytest.param("x^2+1", "x^2+1", 1, id="the same"),
        pytest.param("x^2+1", "x^{2} + 1", 1, id="written otherwise"),
        pytest.param(r"\frac{a}{b}", r"a \over b", 1, id="over is frac"),
        pytest.param("x", "y", 0, id="another symbol"),
        pytest.param("a+b+c", "a+d+c", 2 * 4 / 10, id="one of five wrong"),
        pytest.param("a+b=c", "a+b=", 2 * 4 / 9, id="one of five missing"),
        pytest.param("a+b", "a+b=c", 2 * 3 / 8, id="two too many"),
        pytest.param("x^2+1", "x_2+1", 2 * 3 / 8, id="superscript read as subscript"),
        pytest.param("x^2", "x_2", 2 * 1 / 4, id="no more than two characters"),
        pytest.param("xy", "yx", 2 * 1 / 4, id="two change places"),
        pytest.param("a+b-c+d", "a+b-c", 2 * 5 / 12, id="the end missing"),
        pytest.param("a+b-c+d", "b-c+d", 2 * 5 / 12, id="the beginning missing: all moved"),
        pytest.param("e^{a+b+c}", "ea+b+c", 2 * 5 / 12, id="a group no longer raised: one lost"),
        pytest.param(r"\phi(x)", r"\varphi(x)", 1, id="look-alikes"),
        pytest.param(r"\mathbf{x}+1", "x+1", 1, id="bold"),
        pytest.param(r"\mathbb{R}^n", "R^n", 2 * 1 / 4, id="blackboard letter"),
        pytest.param("", "", 1, id="nothing on either side"),
        pytest.param("x", "", 0, id="nothing read"),
        pytest.param("", "x", 0, id="something read"),
        pytest.param("中", "中", 1, id="not drawn but the same"),
        pytest.param("中", "x", 0, id="not drawn and not the same"),
    ],
)
def test_hand_worked(truth, reading, f1):
    assert cdm(truth, reading) == pytest.approx(f1)
    assert cdm(reading, truth) == pytest.approx(f1)


def test_a_formula_scores_1_against_itself():
    assert [latex for latex in FORMULAS if cdm(latex, latex) != 1] == []


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        pytest.param("((x))||", [*"((x))||"], id="brackets side by side stay apart"),
        pytest.param(r"\left|\frac{a}{b}\right|", [*"|ab", "rule", "|"], id="a bar of pieces"),
        pytest.param(r"\left[\substack{a\\b\\c\\d\\e\\f\\g}\right]", [*"[abcdefg]"], id="tall"),
        pytest.param("x^{x^x}", [*"xxx"], id="letters of scripts"),
        pytest.param(r"\overrightarrow{AB}", [*"AB", r"\rightarrow"], id="an arrow over letters"),
        pytest.param(
            r"\xrightarrow{fgh}\to", [r"\rightarrow", *"fgh", r"\rightarrow"], id="arrows"
        ),
        pytest.param(r"\sqrt{\frac{a}{b}}", [r"\sqrt", *"ab", "rule", "rule"], id="a tall root"),
        pytest.param(r"\mathbf{x}\text{ if }", [*"xif"], id="bold and upright letters"),
        pytest.param(r"\mathbb{R}_{\mathbb{R}}", [r"\mathbb R"] * 2, id="blackboard letters"),
        pytest.param("f/f//ff", [*"f/f//ff"], id="letters that lean over each other"),
    ],
)
def test_characters_of_a_drawing(latex, tokens):
    assert [character.token for character in characters(drawn(latex))] == tokens


def test_scores_of_a_hand_worked_set():
    score = score_cdm(["x^2+1", "x", "中"], ["x^2+1", "y", "x"])
    assert (score.n, score.cdm, score.exprate, score.undrawn) == (3, 33.33, 33.33, 1)
    assert score.ci95[0] <= score.exprate <= score.ci95[1]


def test_a_perfect_reading_scores_100():
    score = score_cdm([r"\sqrt{x}"] * 5, [r"\sqrt{x}"] * 5)
    assert (score.cdm, score.exprate) == (100.0, 100.0)


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many readings as truths"):
        score_cdm([], [])
