"""Rendered match: pairs judged by hand, the tolerance, and what cannot be drawn."""

from pathlib import Path

import pytest

from latexocr import latex_tables as tables
from latexocr.render import Glyph
from trainer.rendered import drawn, looks_like, same_glyphs, score_rendered

HERE = Path(__file__).parent
PAIRS = [
    line.split("\t")
    for line in (HERE / "rendered_pairs.tsv").read_text(encoding="utf-8").splitlines()
]
FORMULAS = (HERE / "formulas.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("verdict", "left", "right"),
    [pytest.param(*pair[:3], id=f"{pair[0]}: {pair[3]} {n}") for n, pair in enumerate(PAIRS)],
)
def test_pairs_judged_by_hand(verdict, left, right):
    assert verdict in ("same", "differ")
    assert looks_like(left, right) == looks_like(right, left) == (verdict == "same")


def test_a_formula_looks_like_itself():
    formulas = [*FORMULAS, *tables.SYMBOLS]
    assert [latex for latex in formulas if not looks_like(latex, latex)] == []


def moved(name: str, x: float, y: float) -> Glyph:
    return Glyph(name, x, y, 1.0, (x, y, x + 500, y + 400))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param([("a", 0, 0), ("b", 600, 0)], True, id="the same"),
        pytest.param([("b", 600, 0), ("a", 0, 0)], True, id="drawn in another order"),
        pytest.param([("a", 900, -70), ("b", 1500, -70)], True, id="elsewhere as a whole"),
        pytest.param([("a", 0, 0), ("b", 620, 0)], True, id="20 thousandths off"),
        pytest.param([("a", 0, 0), ("b", 630, 0)], False, id="30 thousandths off"),
        pytest.param([("a", 0, 0), ("c", 600, 0)], False, id="another glyph"),
        pytest.param([("a", 0, 0)], False, id="one less"),
        pytest.param([("a", 0, 0), ("a", 600, 0)], False, id="one twice"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_the_same_glyphs_at_the_same_places(other, same):
    drawing = [moved("a", 0, 0), moved("b", 600, 0)]
    assert same_glyphs(drawing, [moved(*place) for place in other]) == same
    assert same_glyphs([moved(*place) for place in other], drawing) == same


def test_what_cannot_be_drawn_stays_in_the_denominator():
    truths = ["x", "中", "中", "y", r"\frac{a}{b}"]
    readings = ["x", "中", "x", "中", r"{a \over b}"]
    score = score_rendered(truths, readings)
    assert (score.n, score.match, score.undrawn, score.undrawn_readings) == (5, 60.0, 2, 2)
    assert score.ci95[0] < 60 < score.ci95[1]


def test_nothing_is_drawn_for_an_empty_reading():
    assert drawn("") == []
    assert not looks_like("x", "")


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many readings as truths"):
        score_rendered(["x"], [])
