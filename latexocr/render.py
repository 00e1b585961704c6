r"""LaTeX -> picture, on any computer: no TeX, no network, no fonts to install.

    picture(r"\frac{a}{b}")    # PIL image, black on white
    png(r"\frac{a}{b}")        # the same as the bytes of a PNG file
    svg(r"\frac{a}{b}")        # SVG text, with what a screen reader says in its <title>
    glyphs(r"\frac{a}{b}")     # what is drawn where: two letters and a bar

mathra (in Rust, with the font STIX Two Math) sets the formula, resvg makes pixels of it. mathra is
young: nothing else in the project knows of it.

A formula is drawn as it is written, with its spaces and fonts. What mathra refuses or draws wrong
is drawn in its pretty form (latexocr.latex), which has no spaces, table rules and plain-TeX
commands. Only what our own parser can read is drawn at all: no macros, no links, no chemistry.
"""

import io
import re
from dataclasses import dataclass
from functools import lru_cache

import mathra
import resvg_py
from PIL import Image

from latexocr.errors import RenderError
from latexocr.latex import is_valid, pretty

UNITS = 1000  # to the em; coordinates are in these
MAX_CHARACTERS = 10_000
MAX_PIXELS = 1 << 24
RULE, STROKE = "rule", "stroke"  # names of what is no glyph of the font

Box = tuple[float, float, float, float]  # left, bottom, right, top

# Comments would become ink, and rules between the columns of an array stand beside it.
_DRAWN_WRONG = re.compile(r"(?<!\\)%|\\begin\s*\{array\}\s*(\[\w\])?\s*\{[^}]*\|")
# Canonical commands that mathra lacks, from what it has.
_WORDS = {
    r"\varlimsup": r"\mathop{\overline{\lim}}",
    r"\varliminf": r"\mathop{\underline{\lim}}",
    r"\varinjlim": r"\mathop{\underrightarrow{\lim}}",
    r"\varprojlim": r"\mathop{\underleftarrow{\lim}}",
    r"\injlim": r"\operatorname*{inj\,lim}",
    r"\projlim": r"\operatorname*{proj\,lim}",
    r"\utilde": r"\underset{\sim}",
    r"\circledcirc": "⊚",
    r"\mapsfrom": "↤",
    r"\lesseqqgtr": "⪋",
    r"\gtreqqless": "⪌",
    r"\bigsqcap": "⨅",
    r"\lmoustache": "⎰",
    r"\rmoustache": "⎱",
    r"\circledR": "®",
    r"\maltese": "✠",
    r"\backepsilon": "϶",
}
# Arrows with labels, of which mathra has only the plain ones: they do not grow with the label.
_ARROWS = (
    *("hookleftarrow", "rightharpoonup", "rightharpoondown", "leftharpoonup", "leftharpoondown"),
    *("twoheadrightarrow", "twoheadleftarrow"),
)
_MACROS = {
    rf"\x{name}": rf"\newcommand{{\x{name}}}[2][]{{\overset{{#2}}{{\underset{{#1}}{{\{name}}}}}}}"
    for name in _ARROWS
}
_LACKING = re.compile(
    "(?:" + "|".join(re.escape(name) for name in (*_WORDS, *_MACROS)) + ")(?![a-zA-Z])"
)

_VIEW_BOX = re.compile(r'viewBox="([^"]*)" width="[^"]*" height="[^"]*"')
_OUTLINE = re.compile(r'<path id="[^"]*-(g\d+)" d="([^"]*)"/>')
_ELEMENT = re.compile(r"<(\w+)([^>]*)/>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_NUMBER = re.compile(r"-?[\d.]+")
_PLACE = re.compile(r"translate\((\S+) (\S+)\) scale\((\S+)\)")


@dataclass(frozen=True, slots=True)
class Glyph:
    """Something drawn: a glyph of the font, a bar, or the stroke through something cancelled.

    name: the glyph's number in the font, `g3354`, RULE or STROKE. x, y: its origin, rightwards and
    upwards from where the formula begins on its base line; box: round its ink; both in 1/1000 em of
    the formula. scale: 1 for full size, 0.7 and 0.55 for scripts."""

    name: str
    x: float
    y: float
    scale: float
    box: Box


def svg(latex: str) -> str:
    """The formula as SVG text, sized in em and in the colour of the text around it.

    Raises: RenderError if it is too long, cannot be parsed, or cannot be drawn."""
    if len(latex) > MAX_CHARACTERS:
        raise RenderError(f"expected at most {MAX_CHARACTERS} characters, got {len(latex)}")
    if is_valid(latex) and not _DRAWN_WRONG.search(latex):
        try:
            return mathra.tex_to_svg(_translated(latex), strict=True)
        except ValueError:
            pass  # perhaps a length like `1 . 5 c m`, which the pretty form does without
    try:
        return mathra.tex_to_svg(_translated(pretty(latex)), strict=True)
    except ValueError as error:  # TexError is one too
        raise RenderError(f"expected a formula that can be drawn: {error}") from error


def _translated(latex: str) -> str:
    """The formula in commands that mathra has."""
    lacking = set(_LACKING.findall(latex))
    if not lacking:
        return latex
    definitions = "".join(_MACROS[name] for name in sorted(lacking & _MACROS.keys()))
    return definitions + _LACKING.sub(lambda match: _WORDS.get(match[0], match[0]), latex)


def png(latex: str, em_px: float = 40.0, margin_em: float = 0.25) -> bytes:
    """The formula as a PNG file, black on white.

    Args: em_px, pixels to the em, the size of the type; margin_em, white paper on each side.
    Raises: RenderError as svg does, or if the picture would have more than MAX_PIXELS."""
    drawn = svg(latex)
    left, top, width, height = map(float, _VIEW_BOX.search(drawn)[1].split())
    margin = margin_em * UNITS
    width, height = max(width, 1.0) + 2 * margin, max(height, 1.0) + 2 * margin
    width_px, height_px = (max(1, round(side * em_px / UNITS)) for side in (width, height))
    if width_px * height_px > MAX_PIXELS:
        raise RenderError(f"expected at most {MAX_PIXELS} pixels, got {width_px} x {height_px}")
    header = (
        f'viewBox="{left - margin} {top - margin} {width} {height}" '
        f'width="{width_px}" height="{height_px}"'
    )
    drawn = _VIEW_BOX.sub(header, drawn, count=1).replace("currentColor", "black")
    return bytes(
        resvg_py.svg_to_bytes(svg_string=drawn, background="white", skip_system_fonts=True)
    )


def picture(latex: str, em_px: float = 40.0, margin_em: float = 0.25) -> Image.Image:
    """The formula as a grey picture, 0 = ink and 255 = paper. Arguments and errors as for png."""
    return Image.open(io.BytesIO(png(latex, em_px, margin_em))).convert("L")


def glyphs(latex: str) -> list[Glyph]:
    """All that is drawn, in the order of the formula; a bar follows what it belongs to.

    Raises: RenderError as svg does."""
    definitions, _, body = svg(latex).rpartition("</defs>")
    boxes = {name: _outline_box(path) for name, path in _OUTLINE.findall(definitions)}
    body = body[: body.rindex("</g>")]  # after it, text that is there to be selected
    return [
        _glyph(tag, dict(_ATTRIBUTE.findall(attributes)), boxes)
        for tag, attributes in _ELEMENT.findall(body)
    ]


def _glyph(tag: str, attributes: dict[str, str], boxes: dict[str, Box]) -> Glyph:
    """One element of the drawing."""
    if tag == "use":
        name = attributes["href"].rpartition("-")[2]
        x, y, scale = attributes.get("x", 0), attributes.get("y", 0), 1
        if "transform" in attributes:
            x, y, scale = _PLACE.fullmatch(attributes["transform"]).groups()
        x, y, scale = float(x), float(y), float(scale)
        left, bottom, right, top = (scale * side for side in boxes[name])
        return Glyph(name, x, y, scale, (x + left, y + bottom, x + right, y + top))
    if tag == "rect":
        x, y, width, height = (float(attributes[key]) for key in ("x", "y", "width", "height"))
        return Glyph(RULE, x, y, 1.0, (x, y, x + width, y + height))
    if tag == "line":
        x1, y1, x2, y2 = (float(attributes[key]) for key in ("x1", "y1", "x2", "y2"))
        return Glyph(STROKE, x1, y1, 1.0, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)))
    raise RenderError(f"expected glyphs, bars and strokes, got <{tag}>")


@lru_cache(maxsize=4096)  # a few hundred glyphs make nearly all formulas
def _outline_box(path: str) -> Box:
    """The box of an outline of lines and curves. Curves stay within their control points, and a
    font has points where its outlines are widest, so the box is that of the ink."""
    numbers = [float(number) for number in _NUMBER.findall(path)]
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), min(ys), max(xs), max(ys)
