"""The wide vocabulary set: a manifest that names lines, and ink that no training saw."""

import json

import pytest

from latexocr.errors import DataError
from tests.tiny import write_inks
from trainer.data import wide
from trainer.data.crohme import read_inks
from trainer.data.glyphs import is_held_out, writer_of

LINES = {"some_validate": ["x^l", r"\unknown", "xx", "", "x^{x}", r"\boxplus x", "x^{l}"],
         "im2latex_validate": ["x x x"], "some_train": ["x x"]}  # fmt: skip


@pytest.fixture
def lists(tmp_path):
    for name, lines in LINES.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture(scope="module")
def inks(tmp_path_factory):
    return write_inks(tmp_path_factory.mktemp("wide") / "inks")


def test_formulas_are_picked_once_and_none_that_training_has(lists, inks, tmp_path):
    out = tmp_path / "wide.json"
    wide.main([str(lists), "--ink", str(inks), "--out", str(out)])
    assert set(json.loads(out.read_text())) == {"formulas"}
    examples = wide.load_wide(out, lists, inks, [], [])
    assert sorted(example.latex for example in examples) == ["x ^ { l }", "x ^ { x }"]
    again = wide.load_wide(out, lists, inks, [], [])
    assert (examples[0].picture() == again[0].picture()).all()


def test_all_donors_write_whoever_they_are(inks):
    writer = wide.held_out_writer(inks, [], [])
    donors = {writer_of(ink) for ink in read_inks(inks)}
    assert not all(map(is_held_out, donors))
    assert writer.book.sources("x") == donors & writer.book.sources("x") != set()


def test_a_line_that_is_not_there_is_named(lists, inks, tmp_path):
    manifest = tmp_path / "wide.json"
    for name in ("some_validate:99", "some_validate:6", "im2latex_validate:1"):
        manifest.write_text(json.dumps({"formulas": [name]}))
        with pytest.raises(DataError, match=name):
            wide.load_wide(manifest, lists, inks, [], [])
    manifest.write_text("[]")
    with pytest.raises(DataError, match="manifest"):
        wide.load_wide(manifest, lists, inks, [], [])
