"""About how wide and high a formula will be when it is written, without writing it."""

from __future__ import annotations

from collections.abc import Sequence

from latexocr import latex_tables as tables
from latexocr.imaging import MARGIN_PX
from latexocr.latex_tree import Command, Grid, Node, Row, Scripts, Symbol, Text, takes_limits
from trainer.data.glyphs import usual_box
from trainer.data.strokes import MAX_HEIGHT_PX, MAX_WIDTH_PX, PLAIN_PEN

SYMBOL_EM = 0.58  # em that strokes.ink_symbol_size finds in an ordinary formula

_SCRIPT = 0.68  # sizes and gaps in em: the middle of what trainer.data.layout draws them from
_GAP = 0.06
_WIDE_GAP = 0.2

Extent = tuple[float, float, float]  # width, and how far above and below the baseline


def expected_extent(formula: Row) -> tuple[float, float]:
    """Width and height of a formula in symbol sizes."""
    width, above, below = _row(formula.items)
    scale = 1 / SYMBOL_EM
    return max(0.3, 0.94 * width) * scale, max(0.3, above + below) * scale


def shape_of(extent: tuple[float, float], symbol_px: float) -> tuple[int, int]:
    """(height, width) in pixels of the standard picture of ink of so many symbol sizes."""
    width, height = (side + PLAIN_PEN for side in extent)
    limits = (MAX_WIDTH_PX - 2 * MARGIN_PX) / width, (MAX_HEIGHT_PX - 2 * MARGIN_PX) / height
    scale = min(symbol_px, *limits)
    return round(height * scale) + 2 * MARGIN_PX, round(width * scale) + 2 * MARGIN_PX


def _row(items: Sequence[Node]) -> Extent:
    width = above = below = 0.0
    for item in items:
        w, a, b = _node(item)
        wide = isinstance(item, Symbol) and item.token in _SPACED
        width += w + (2 * _WIDE_GAP if wide else _GAP)
        above, below = max(above, a), max(below, b)
    return width, above, below


def _node(node: Node) -> Extent:
    match node:
        case Symbol():
            width, top, bottom = usual_box(node.token) or (0.5, -0.7, 0.0)
            return width, -top, bottom
        case Scripts():
            return _scripts(node)
        case Row():
            return _row(node.items)
        case Text():
            return 0.4 * len(node.characters), 0.7, 0.1
        case Grid():
            return _grid(node)
        case Command():
            return _command(node)
    return 0.5, 0.5, 0.0


def _scripts(node: Scripts) -> Extent:
    width, above, below = _node(node.base)
    sup = _row(node.sup.items) if node.sup else (0.0, 0.0, 0.0)
    sub = _row(node.sub.items) if node.sub else (0.0, 0.0, 0.0)
    if takes_limits(node.base):
        width = max(width, _SCRIPT * sup[0], _SCRIPT * sub[0])
        above += (0.12 + _SCRIPT * (sup[1] + sup[2])) if node.sup else 0
        below += (0.12 + _SCRIPT * (sub[1] + sub[2])) if node.sub else 0
        return width, above, below
    width += _SCRIPT * max(sup[0], sub[0])
    if node.sup:
        above = max(above, max(0.4, above - 0.27) + _SCRIPT * sup[1])
    if node.sub:
        below = max(below, max(0.16, below) + _SCRIPT * sub[2])
    return width, above, below


def _command(node: Command) -> Extent:
    parts = [_row(arg.items) for arg in node.args]
    width = max((part[0] for part in parts), default=0.5)
    if node.name in (r"\frac", r"\binom"):
        over, under = (part[1] + part[2] for part in parts)
        width = width * 0.88 + (0.4 if node.name == r"\frac" else 0.7)
        return width, 0.25 + 0.12 + 0.88 * over, -0.25 + 0.12 + 0.88 * under
    heights = [part[1] + part[2] for part in parts]
    _, above, below = parts[-1]
    if node.name == r"\sqrt":
        return width + 0.55, above + 0.12, below
    if node.name in (r"\overset", r"\underset"):
        extra = _SCRIPT * heights[0] + 0.12
        return width, above + extra * (node.name == r"\overset"), below + extra * (
            node.name == r"\underset"
        )  # fmt: skip
    if node.name in (*tables.EXTENSIBLE_ARROWS, r"\pmod", r"\boxed"):
        return width + 0.9, max(above, 0.5) + 0.2, below + 0.2
    return width, above + 0.2 * (node.name not in _FLAT), below


def _grid(node: Grid) -> Extent:
    rows = [[_row(cell.items) for cell in row] for row in node.rows]
    n_columns = max(len(row) for row in rows)
    width = sum(max(row[n][0] for row in rows if n < len(row)) for n in range(n_columns))
    height = sum(max(cell[1] + cell[2] for cell in row) for row in rows)
    small = _SCRIPT if node.name == r"\substack" else 0.95
    width = small * width + 0.65 * (n_columns - 1) + (0.4 if node.name == "cases" else 0)
    height = small * height + 0.33 * (len(rows) - 1)
    return width, height / 2 + 0.25, height / 2 - 0.25


_SPACED = frozenset(tables.RELATIONS) | frozenset(tables.BINARY)
_FLAT = frozenset((r"\mathbf", r"\mathbb", r"\mathcal", r"\mathfrak", r"\operatorname"))
