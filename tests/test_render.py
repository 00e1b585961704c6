"""Drawing formulas: what is drawn where, what is refused, and that pictures are as promised."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latexocr import latex_tables as tables
from latexocr.errors import RenderError
from latexocr.latex import is_valid, pretty
from latexocr.render import MAX_CHARACTERS, RULE, STROKE, glyphs, picture, png, svg

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text(encoding="utf-8").splitlines()


def test_the_parts_of_a_fraction_stand_above_and_below_its_bar():
    top, bottom, bar = glyphs(r"\frac{a}{b}")
    assert (bar.name, top.scale, bottom.scale) == (RULE, 1, 1)
    assert top.name != bottom.name
    assert top.box[1] > bar.box[3] > bar.box[1] > bottom.box[3]
    for letter in (top, bottom):
        assert bar.box[0] <= letter.box[0] < letter.box[2] <= bar.box[2]


def test_scripts_are_smaller_and_raised_or_lowered():
    base, up, down = glyphs("x^2_2")
    assert (base.scale, up.scale, down.scale) == (1, 0.7, 0.7)
    assert (base.y, up.name) == (0, down.name)
    assert up.y > 0 > down.y
    assert base.box[0] < base.box[2] < up.box[2]


def test_a_box_is_that_of_the_ink():
    for latex in ("f", "g", r"\int", r"x^{\beta}", r"\sqrt{2}", r"\cancel{x}"):
        ink = np.asarray(picture(latex, em_px=100, margin_em=1)) < 128
        boxes = np.array([glyph.box for glyph in glyphs(latex)])
        width, height = boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)
        assert np.ptp(np.flatnonzero(ink.any(axis=0))) == pytest.approx(width / 10, abs=8)
        assert np.ptp(np.flatnonzero(ink.any(axis=1))) == pytest.approx(height / 10, abs=8)


@pytest.mark.parametrize(
    ("latex", "same_as"),
    [
        pytest.param(r"x\hspace{1 . 5 c m}y", "xy", id="a length with spaces in it"),
        pytest.param("a % b\n+c", "a+c", id="comment"),
        pytest.param(r"\begin{array}{c|c}a&b\end{array}", r"\begin{matrix}a&b\end{matrix}",
                     id="rule between columns"),
        pytest.param(r"\href{javascript:x}{y}", "y", id="link"),
        pytest.param(r"\frak g", r"\mathfrak{g}", id="command that only we know"),
        pytest.param("$x$", "x", id="dollars"),
        pytest.param("", r"\,", id="nothing"),
    ],
)  # fmt: skip
def test_what_the_renderer_refuses_or_draws_wrong_is_drawn_in_its_pretty_form(latex, same_as):
    assert glyphs(latex) == glyphs(same_as)


@pytest.mark.parametrize("token", sorted(set(tables.SYMBOLS) - {r"\not"}))
def test_every_symbol_is_drawn(token):
    assert glyphs(token)


@pytest.mark.parametrize(
    "name", sorted({name for name, _ in tables.COMMANDS.values()}.union(tables.EXTENSIBLE_ARROWS))
)
def test_every_command_is_drawn_with_its_arguments(name):
    n_arguments = tables.COMMANDS.get(name, (name, 1))[1]
    drawn = glyphs(name + "{A}" * n_arguments)
    alone = [glyph.name for glyph in glyphs("A")]
    n_letters = sum(glyph.name in alone for glyph in drawn)
    fonts = (r"\mathbb", r"\mathcal", r"\mathfrak", r"\underset", r"\overset")
    assert n_letters == n_arguments or name in (*fonts, *tables.EXTENSIBLE_ARROWS, r"\pmod")
    assert len(drawn) > 1 or name in fonts


def test_nearly_all_formulas_are_drawn_as_they_are_and_in_their_pretty_form():
    for spelling in (str, pretty):
        refused = []
        for latex in filter(is_valid, FORMULAS):
            try:
                svg(spelling(latex))
            except RenderError:
                refused.append(latex)
        assert len(refused) <= 0.02 * len(FORMULAS), refused


@pytest.mark.parametrize(
    ("latex", "why"),
    [
        pytest.param("x^{2", "'}'", id="not parsed"),
        pytest.param("x" * (MAX_CHARACTERS + 1), "at most 10000 characters", id="too long"),
        pytest.param(r"f\not", r"\\not", id="strikes nothing"),
        pytest.param("中", "U\\+4E2D", id="not in the font"),
        pytest.param(r"\def\a{\a\a}\a", "known command", id="macros"),
        pytest.param(r"\chemfig{A-B}", "known command", id="chemistry"),
        pytest.param("{" * 500 + "}" * 500, "at most 60 groups", id="too deep"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(latex, why):
    for draw in (svg, png, glyphs):
        with pytest.raises(RenderError, match=why):
            draw(latex)


def test_a_picture_too_large_is_refused_before_it_is_made():
    with pytest.raises(RenderError, match="at most 16777216 pixels"):
        picture(r"x\hspace{90cm}y", em_px=800)


def test_a_text_cannot_put_markup_into_the_svg():
    drawn = svg(r"\text{</title><script>alert(1)</script>}")
    assert drawn.startswith("<svg ")
    assert "<script" not in drawn


def test_a_picture_is_black_on_white_with_a_margin():
    made = Image.open(io.BytesIO(png("x", em_px=40, margin_em=0.5)))
    assert made.format == "PNG"
    pixels = np.asarray(picture("x", em_px=40, margin_em=0.5))
    assert (pixels.min(), pixels.max()) == (0, 255)
    rows, columns = (np.flatnonzero((pixels < 128).any(axis=axis)) for axis in (1, 0))
    for places, side in ((rows, pixels.shape[0]), (columns, pixels.shape[1])):
        assert places[0] == pytest.approx(20, abs=2)
        assert side - places[-1] == pytest.approx(20, abs=3)
    twice = picture("x", em_px=80, margin_em=0.5)
    assert twice.size == pytest.approx((2 * pixels.shape[1], 2 * pixels.shape[0]), abs=2)


def test_a_formula_is_drawn_with_its_spaces_and_the_same_each_time():
    close, apart = (glyphs(latex)[1].x for latex in ("ab", r"a\qquad b"))
    assert apart - close == pytest.approx(2000, abs=1)
    assert png(r"\frac{a}{b}") == png(r"\frac{a}{b}")


def test_a_stroke_through_something_is_told_from_a_bar():
    assert [glyph.name for glyph in glyphs(r"\cancel{\,}\overline{\,}")] == [STROKE, RULE]
