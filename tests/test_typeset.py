"""Print to train on: what TeX makes of formulas, and the archive that the trainer reads."""

import shutil

import numpy as np
import pytest

from latexocr.errors import DataError
from latexocr.imaging import MARGIN_PX, prepare
from trainer.data import typeset
from trainer.data.examples import PrintedExample, load_examples

needs_tex = pytest.mark.skipif(
    not (shutil.which("pdflatex") and shutil.which("pdftoppm")), reason="TeX is not installed"
)
PLAIN = typeset.preamble_of(None)
ALPHA = r"\alpha ^ { 2 }"
ANY = range(2, 21)  # numbers of tokens


def test_formulas_are_chosen_once_and_only_those_that_can_be_written():
    lines = [r"\frac12", r"\frac{1}{2}", "x", r"\unknowncommand y", "{", "a+b+c+d+e", "p=q"]
    chosen = typeset.choose(lines, 10, range(2, 8), {"p = q"}, seed=0)
    assert chosen == [r"\frac { 1 } { 2 }"]
    assert typeset.choose(lines, 10, range(8, 20), set(), seed=0) == ["a + b + c + d + e"]
    assert len(typeset.choose(lines, 1, ANY, set(), seed=0)) == 1
    many = [f"x_{{{i}}}" for i in range(50)]
    assert typeset.choose(many, 5, ANY, set(), 1) == typeset.choose(many, 5, ANY, set(), 1)
    assert typeset.choose(many, 5, ANY, set(), 1) != typeset.choose(many, 5, ANY, set(), 2)


def test_without_tex_the_way_to_it_is_told(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(DataError, match="pdflatex"):
        typeset.typeset(["x"], PLAIN, 100)


@needs_tex
def test_a_formula_that_tex_cannot_set_does_not_cost_the_others():
    pictures = typeset.typeset(["x", r"\nosuchcommand", "y", "}", "z"], PLAIN, 100)
    assert [picture is not None for picture in pictures] == [True, False, True, False, True]
    assert all((p < 100).any() for p in pictures if p is not None)
    assert not np.array_equal(pictures[0], pictures[4])


@needs_tex
def test_twice_the_resolution_is_twice_the_size():
    small, large = (typeset.typeset([ALPHA], PLAIN, dpi)[0] for dpi in (100, 200))
    assert large.shape[1] == pytest.approx(2 * small.shape[1], abs=4)


def test_the_archive_is_what_the_trainer_reads(tmp_path):
    picture = np.full((30, 60), 255, np.uint8)
    picture[8:22, 10:14] = picture[8:22, 40:44] = 0
    pairs = [("x", picture), ("y", None), ("z ^ { 2 }", picture)]
    counts = typeset.write_archive(pairs, tmp_path / "deep" / "t.tar", total=3)
    assert counts == {"written": 2, "left out": 1}
    first, second = load_examples(str(tmp_path / "deep" / "t.tar"))
    assert (first.latex, second.latex) == ("x", "z ^ { 2 }")
    printed = PrintedExample.of(first)
    assert printed.sample(20, None, None).pixels.shape == prepare(picture, 20).shape
    # About as large as it comes out, and no smaller than its margins.
    assert printed.expected_shape(20) == pytest.approx(prepare(picture, 20).shape, rel=0.2)
    assert min(printed.expected_shape(20)) > 2 * MARGIN_PX
