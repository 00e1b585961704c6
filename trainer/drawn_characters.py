r"""Which character each drawn glyph is: a font draws one character in many ways.

A bracket has a glyph for each height and, beyond, pieces that are put together; the small letters
of scripts have glyphs of their own, as have bold and upright ones. Which glyphs are one character
is found out by drawing each character in all its forms, once in a process (a third of a second).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from latexocr import latex_tables as tables
from latexocr.errors import RenderError
from latexocr.render import RULE, STROKE, Box, Glyph, glyphs

_HEIGHTS = (0.5, 1, 1.4, 1.8, 2.2, 2.6, 3, 4)  # em, of what brackets and roots stand round
_WIDTHS = (0.3, 0.6, 1, 1.5, 2, 3, 5)  # em, of what arrows and braces stand over
_FONTS = (r"\mathbb", r"\mathcal", r"\mathfrak")
_MARKS = frozenset(name for name, n_arguments in tables.COMMANDS.values() if n_arguments == 1)
_LETTERS = tables.CHARACTERS[:62]  # and digits
_TOUCHING = 30.0  # 1/1000 em between pieces of one bracket, at most


@dataclass(frozen=True, slots=True)
class Character:
    """A character in a drawing: its token, and the box round its ink in 1/1000 em, y upwards."""

    token: str
    box: Box


@dataclass(frozen=True, slots=True)
class _Font:
    token_of: dict[str, str]  # glyph -> token that it draws alone
    token_of_pieces: dict[frozenset[str], str]  # glyphs -> token that they draw together
    pieces: frozenset[str]


def characters(drawing: list[Glyph]) -> list[Character]:
    """The characters of a drawing in its order; pieces of one bracket or arrow are one character.

    A glyph that belongs to no token keeps its own name as its token. Three dots are three."""
    font = _font()
    found: list[Character] = []
    pieces: set[str] = set()  # of the last character
    for glyph in drawing:
        token, box = font.token_of.get(glyph.name, glyph.name), glyph.box
        if pieces and glyph.name in font.pieces and _touch(found[-1].box, box):
            pieces.add(glyph.name)
            before = found.pop()
            token = font.token_of_pieces.get(frozenset(pieces), before.token)
            box = _join(before.box, box)
        else:
            pieces = {glyph.name} & font.pieces
        found.append(Character(token, box))
    return found


def _touch(one: Box, other: Box) -> bool:
    """Whether boxes overlap or nearly do."""
    return all(
        max(one[side], other[side]) <= min(one[side + 2], other[side + 2]) + _TOUCHING
        for side in (0, 1)
    )


def _join(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


@cache
def _font() -> _Font:
    token_of: dict[str, str] = {}
    for token, latex in _single():
        names = _names(latex)
        if len(names) == 1:
            token_of.setdefault(names[0], token)
    token_of_pieces: dict[frozenset[str], str] = {}
    for token, latex in _stretched():
        names = _names(latex)
        if len(names) == 1:
            token_of.setdefault(names[0], token)
        elif names:
            token_of_pieces.setdefault(frozenset(names), token)
    return _Font(token_of, token_of_pieces, frozenset().union(*token_of_pieces))


def _names(latex: str) -> list[str]:
    """The font's glyphs in a drawing; none if it cannot be drawn."""
    try:
        return [glyph.name for glyph in glyphs(latex) if glyph.name not in (RULE, STROKE)]
    except RenderError:
        return []


def _single() -> Iterator[tuple[str, str]]:
    """Tokens, each with LaTeX that draws nothing else."""
    for token in tables.SYMBOLS:
        yield from _sizes(token, token)
    for font in (r"\mathbf", r"\mathrm", r"\text"):
        for letter in _LETTERS:
            yield from _sizes(letter, f"{font}{{{letter}}}")
    for letter in tables.GREEK:
        yield from _sizes(letter, rf"\mathbf{{{letter}}}")
    for font in _FONTS:
        for letter in _LETTERS:
            yield from _sizes(f"{font} {letter}", f"{font}{{{letter}}}")


def _stretched() -> Iterator[tuple[str, str]]:
    """Tokens of what grows, each with LaTeX that draws it in some size and nothing else."""
    for height in _HEIGHTS:
        inside = rf"\rule{{0pt}}{{{height}em}}"
        for token in tables.DELIMITERS:
            left, right = (".", token) if token in tables.CLOSING else (token, ".")
            yield from _sizes(token, rf"\left{left}{inside}\right{right}")
        yield from _sizes(r"\sqrt", rf"\sqrt{{{inside}}}")
    for width in _WIDTHS:
        inside = rf"\rule{{{width}em}}{{0pt}}"
        for name in tables.EXTENSIBLE_ARROWS:
            yield from _sizes("\\" + name[2:], f"{name}{{{inside}}}")
        for token in sorted(_MARKS.difference(_FONTS, [r"\pmod"])):
            yield from _sizes(token, f"{token}{{{inside}}}")


def _sizes(token: str, latex: str) -> Iterator[tuple[str, str]]:
    """In full size, as a script, and as a script of a script."""
    yield token, latex
    yield token, f"{{}}_{{{latex}}}"
    yield token, f"{{}}_{{{{}}_{{{latex}}}}}"
