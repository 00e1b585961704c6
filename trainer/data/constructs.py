r"""How the commands of LaTeX are written: fractions, roots, grids, and what goes round other ink.

Each `write_...` takes the layout, the node, the size of its letters in em, and whether big
operators have the room of a displayed formula; it returns the ink on the row's baseline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from latexocr import latex_tables as tables
from latexocr.errors import DataError
from latexocr.latex_tree import Command, Grid, Scripts, Symbol, base_of
from trainer.data.boxes import AXIS, SMALLEST, Box, Piece, ink_box, join, line_box
from trainer.data.cells import Cell, grow
from trainer.data.glyphs import FRACTION_BAR

if TYPE_CHECKING:
    from trainer.data.layout import Layout

LETTER_FONTS = frozenset((r"\mathbb", r"\mathcal", r"\mathfrak"))


def write_fraction(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol("-", is_fraction=True)
    over, under = _halves(layout, node, size, display)
    reach = layout.habits.bar * size + layout.rng.uniform(0, 0.1) * size
    left = -max(over.width, under.width) / 2 - reach
    right = -left + layout.rng.normal(0, 0.06) * size
    bar = _bar(layout, left, right, AXIS * size, symbol)
    _set_halves(layout, over, under, size)
    return join([bar, over, under])


def _halves(layout: Layout, node: Command, size: float, display: bool) -> tuple[Box, Box]:
    """What stands above and below, the nested ones smaller."""
    factor = layout.habits.fraction if display else layout.habits.fraction * 0.9
    small = max(SMALLEST, size * factor)
    over, under = (layout.row(arg.items, small, False) for arg in node.args)
    return over, under


def _set_halves(layout: Layout, over: Box, under: Box, size: float) -> None:
    rng = layout.rng
    for box, is_over in ((over, True), (under, False)):
        gap = rng.uniform(0.06, 0.18) * size
        y = AXIS * size + (-gap - box.bottom if is_over else gap - box.top)
        box.shift(-box.middle + rng.normal(0, 0.04) * box.width, y)


def _bar(layout: Layout, left: float, right: float, y: float, symbol: int) -> Box:
    """A line from left to right, never quite straight; some donor's if there is one."""
    length = right - left
    given = layout.hand.raw(FRACTION_BAR, layout.rng)
    if given and layout.rng.random() < 0.6:
        low, high = given.points.min(axis=0), given.points.max(axis=0)
        wide = max(high[0] - low[0], 1e-6)
        if high[1] - low[1] < 0.25 * wide:
            share = (given.points - [low[0], (low[1] + high[1]) / 2]) / wide
            # Long bars are no more crooked than short ones.
            return ink_box(share * [length, min(length, 2.5)] + [left, y], given.lengths, symbol)
    share = np.linspace(0, 1, 7)
    tilt, bow = layout.rng.normal(0, (0.02, 0.015))
    wave = layout.rng.normal(0, 0.006, 7) * min(length, 2.0)
    ys = y + min(length, 3.0) * (tilt * (share - 0.5) + bow * (share - 0.5) ** 2) + wave
    return ink_box(np.column_stack([left + length * share, ys]), (7,), symbol)


def write_binomial(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    over, under = _halves(layout, node, size, display)
    _set_halves(layout, over, under, size)
    return _fenced(layout, "(", join([over, under]), ")", symbol, size)


def _fenced(layout: Layout, left: str, inside: Box, right: str, symbol: int, size: float) -> Box:
    boxes = [inside]
    for token in (left, right):
        if token:
            box = grow(layout.glyph(token, size, symbol), inside, 0.05 * size)
            gap = layout.rng.uniform(0.04, 0.14) * size
            at_left = inside.left - gap - box.right
            boxes.append(box.shift(at_left if token == left else inside.right + gap - box.left, 0))
    return join(boxes)


def write_modulo(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    word = layout.letters("mod", size, lambda _: symbol)
    inside = layout.row(node.args[0].items, size, False)
    inside.shift(word.right + 0.3 * size - inside.left, 0)
    return _fenced(layout, "(", join([word, inside]), ")", symbol, size)


def write_root(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    small = max(SMALLEST, 0.6 * size)
    index = layout.row(node.option.items, small, False) if node.option else None
    inside = layout.row(node.args[0].items, size, display)
    if not inside.pieces:
        inside = Box(0, -0.5 * size, 0.5 * size, 0)
    sign = _radical(layout, inside, symbol, size)
    boxes = [sign, inside]
    if index:
        y = sign.top + 0.35 * sign.height - index.bottom
        boxes.append(index.shift(sign.left + 0.14 * size - index.right + 0.1 * size, y))
    return join(boxes)


def _radical(layout: Layout, inside: Box, symbol: int, size: float) -> Box:
    rng = layout.rng
    top = inside.top - rng.uniform(0.06, 0.2) * size
    bottom = inside.bottom + rng.uniform(-0.04, 0.08) * size
    start = inside.left - rng.uniform(0.02, 0.12) * size
    right = inside.right + rng.normal(0.06, 0.1) * size
    field = (start, top, right, bottom)
    given = layout.hand.raw(r"\sqrt", rng)
    if given and rng.random() < 0.7:
        points = _stretched_radical(given.points, field, size)
        if points is not None:
            return ink_box(points, given.lengths, symbol)
    return line_box([_drawn_radical(rng, field, size)], symbol)


def _stretched_radical(
    points: np.ndarray, field: tuple[float, float, float, float], size: float
) -> np.ndarray | None:
    """A donor's root over a field: its hook keeps its shape, its bar is drawn out.

    Returns: points (N, 2); None if this root has no hook or no bar that could be told apart."""
    start, top, right, bottom = field
    low = points.min(axis=0)
    share = (points - low) / max(points[:, 1].max() - low[1], 1e-6)
    x_foot = share[share[:, 1].argmax(), 0]
    bar = share[(share[:, 0] > x_foot) & (share[:, 1] < 0.2), 0]
    wide = share[:, 0].max()
    if len(bar) < 3 or wide - bar.min() < 0.3 or not 0.1 < bar.min() < 1.5:
        return None
    bend = bar.min()
    hook = min(bend * (bottom - top), 0.75 * size)
    x = np.interp(share[:, 0], [0, bend, wide], [start - hook, start, right])
    return np.column_stack([x, top + share[:, 1] * (bottom - top)])


def _drawn_radical(
    rng: np.random.Generator, field: tuple[float, float, float, float], size: float
) -> list[tuple[float, float]]:
    start, top, right, bottom = field
    height = bottom - top
    low = start - min(0.3 * size + 0.06 * height, 0.5 * size) * rng.uniform(0.8, 1.2)
    hook = rng.uniform(0.14, 0.24) * size
    knee = bottom - min(0.5 * height, 0.45 * size) * rng.uniform(0.8, 1.1)
    bend = rng.normal(0, 0.05, 3) * size
    stroke = [
        (low - hook - 0.1 * size, knee + 0.1 * size), (low - hook, knee), (low, bottom),
        (start, top + bend[0] * 0.5), ((start + right) / 2, top + bend[1] * 0.4),
        (right, top + bend[2] * 0.6),
    ]  # fmt: skip
    return [*stroke, (right, top + 0.18 * size)] if rng.random() < 0.2 else stroke


def write_stack(layout: Layout, node: Command, size: float, display: bool) -> Box:
    small = max(SMALLEST, size * layout.habits.script)
    mark = layout.row(node.args[0].items, small, False)
    base = layout.row(node.args[1].items, size, display)
    is_over = node.name == r"\overset"
    return layout.over_under(base, mark if is_over else None, None if is_over else mark, size)


def write_long_arrow(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    small = max(SMALLEST, size * layout.habits.script)
    under = layout.row(node.option.items, small, False) if node.option else None
    over = layout.row(node.args[0].items, small, False)
    key = node.name if node.name == r"\xlongequal" else "\\" + node.name[2:]
    box = layout.glyph(key, size, symbol)
    labels = max(over.width, under.width if under else 0)
    wanted = max(labels + layout.rng.uniform(0.2, 0.6) * size, 0.8 * size)
    box.stretch(wanted / box.width, 1.0)
    return layout.over_under(box, over, under, 0.6 * size)


def write_boxed(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    inside = layout.row(node.args[0].items, size, display)
    pad = layout.rng.uniform(0.1, 0.25, 4) * size
    left, top = inside.left - pad[0], inside.top - pad[1]
    right, bottom = inside.right + pad[2], inside.bottom + pad[3]
    x, y = layout.rng.normal(0, 0.03, (2, 5)) * size
    corners = ((left, top), (left, bottom), (right, bottom), (right, top), (left, top))
    stroke = [(cx + x[i], cy + y[i]) for i, (cx, cy) in enumerate(corners)]
    return join([inside, line_box([stroke], symbol)])


def write_cancelled(layout: Layout, node: Command, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(node.name)
    inside = layout.row(node.args[0].items, size, display)
    out = layout.rng.uniform(0.0, 0.12, 4) * size
    left, right = inside.left - out[0], inside.right + out[1]
    top, bottom = inside.top - out[2], inside.bottom + out[3]
    rising, falling = ([(left, bottom), (right, top)], [(left, top), (right, bottom)])
    strokes = {r"\cancel": [rising], r"\bcancel": [falling]}.get(node.name, [rising, falling])
    return join([inside, line_box(strokes, symbol)])


def write_named(layout: Layout, node: Command, size: float, display: bool) -> Box:
    return layout.row(node.args[0].items, size, display)


def write_in_font(layout: Layout, node: Command, size: float, display: bool) -> Box:
    """Letters of a blackboard, script or broken font; the rest as it is."""
    cells = []
    for item in node.args[0].items:
        base = base_of(item)
        key = f"{node.name} {base.token}" if isinstance(base, Symbol) else ""
        if key and layout.hand.book.can_write(key):
            box = layout.glyph(key, size, layout.new_symbol(base.token))
            if isinstance(item, Scripts):
                sub, sup = layout.scripts(item, size)
                box = layout.beside_scripts(box, sub, sup, size)
        elif key and base.token.isalpha():
            raise DataError(f"expected a letter with ink in {node.name}, got {base.token!r}")
        else:
            box = layout.node(item, size, display)
        cells.append(Cell("", "ord", box))
    return layout.beside(cells, size)


def write_bold(layout: Layout, node: Command, size: float, display: bool) -> Box:
    """Bold is written by going over each stroke a second time."""
    box = layout.row(node.args[0].items, size, display)
    offset = np.array([layout.rng.uniform(0.03, 0.05), layout.rng.normal(0, 0.015)]) * size
    again = [Piece(piece.points + offset, piece.lengths, piece.symbol) for piece in box.pieces]
    box.pieces += again
    return box


def write_grid(layout: Layout, node: Grid, size: float, display: bool) -> Box:
    symbol = layout.new_symbol(r"\begin{cases}") if node.name == "cases" else None
    is_stack = node.name == r"\substack"
    inner = size if is_stack else size * layout.rng.uniform(0.85, 1.0)
    lines = node.name == "aligned"
    rows = [[layout.row(cell.items, inner, lines and display) for cell in row]
            for row in node.rows]  # fmt: skip
    _set_rows(layout, rows, size, 0.08 if is_stack else layout.rng.uniform(0.22, 0.45))
    centre = is_stack or (symbol is None and not lines) or (lines and layout.rng.random() < 0.3)
    _set_columns(layout, rows, size, 0.5 if centre else 0.0)
    box = join([cell for row in rows for cell in row])
    if not is_stack:
        box.shift(0, AXIS * size - (box.top + box.bottom) / 2)
    if symbol is None:
        return box
    return _fenced(layout, r"\begin{cases}", box, "", symbol, size)


def _set_rows(layout: Layout, rows: list[list[Box]], size: float, gap: float) -> None:
    """Baselines of the rows one below the other."""
    y, bottom = 0.0, None
    for row in rows:
        top = min([box.top for box in row if box.pieces], default=-0.5 * size)
        if bottom is not None:
            y = bottom + gap * size * layout.rng.uniform(0.8, 1.2) - top
        for box in row:
            box.shift(0, y + layout.rng.normal(0, layout.habits.waver) * size)
        bottom = max([box.bottom for box in row if box.pieces], default=y)


def _set_columns(layout: Layout, rows: list[list[Box]], size: float, place: float) -> None:
    """place: 0 at the left of the column, 0.5 in its middle."""
    x = 0.0
    for n in range(max(map(len, rows))):
        column = [row[n] for row in rows if n < len(row)]
        width = max(box.width for box in column)
        for box in column:
            free = (width - box.width) * place
            box.shift(x + free - box.left + layout.rng.normal(0, 0.04) * size, 0)
        x += width + layout.rng.uniform(0.45, 0.9) * size


COMMANDS: dict[str, Callable[[Layout, Command, float, bool], Box]] = {
    r"\frac": write_fraction,
    r"\binom": write_binomial,
    r"\sqrt": write_root,
    r"\pmod": write_modulo,
    r"\overset": write_stack,
    r"\underset": write_stack,
    r"\boxed": write_boxed,
    r"\operatorname": write_named,
    r"\mathbf": write_bold,
    **dict.fromkeys((r"\cancel", r"\bcancel", r"\xcancel"), write_cancelled),
    **dict.fromkeys(LETTER_FONTS, write_in_font),
    **dict.fromkeys(tables.EXTENSIBLE_ARROWS, write_long_arrow),
}
