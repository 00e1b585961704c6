"""Expressions put together from smaller ones: fractions, roots, systems with a brace, matrices.

All lengths are in sizes of a symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from trainer.data.page.drawing import Drawing, joined

LOOSE_MAX = 2.0  # expressions beside each other are further apart


@dataclass(frozen=True, eq=False)
class Expression:
    """A drawing with symbols of about one unit, its LaTeX where known, and by how much its line is
    indented."""

    drawing: Drawing
    latex: str | None
    indent: float = 0.0


def beside(rng: np.random.Generator, parts: Sequence[Expression], gap: float = 0.3) -> Expression:
    """In one line, their middles at the same height."""
    x, placed = 0.0, []
    for part in parts:
        low, high = part.drawing.bounds
        y = -(low[1] + high[1]) / 2 + rng.normal(0, 0.04)
        placed.append(part.drawing.moved(x - low[0], y))
        x = float(placed[-1].bounds[1][0]) + gap
    return Expression(joined(placed), _together([part.latex for part in parts], " "))


def loosened(rng: np.random.Generator, expression: Expression) -> Expression:
    """What stands right of some gap moved to the right, by up to LOOSE_MAX; mostly the first or the
    last symbol stands alone then. The same where there is no gap."""
    parts = [*expression.drawing.strokes, *expression.drawing.outlines]
    left, right = (np.array([edge(part[:, 0]) for part in parts]) for edge in (np.min, np.max))
    order = np.argsort(left)
    ends = np.maximum.accumulate(right[order])[:-1]
    places = ends[left[order][1:] > ends]
    if not len(places):
        return expression
    at = places[int(rng.choice([0, -1, rng.integers(len(places))]))]
    by = rng.uniform(0.4, LOOSE_MAX)
    moved = expression.drawing.mapped(
        lambda points: np.where(points[:, :1] > at, points + np.array([by, 0.0]), points)
    )
    return replace(expression, drawing=moved)


def fraction(rng: np.random.Generator, top: Expression, bottom: Expression) -> Expression:
    """One above the other with a bar between them; now and then it is too short for them."""
    width = max(top.drawing.extent[0], bottom.drawing.extent[0]) + rng.uniform(0.2, 0.6)
    gap = rng.uniform(0.15, 0.35)
    rows = [part.drawing.at((width - part.drawing.extent[0]) / 2, 0.0) for part in (top, bottom)]
    upper = rows[0].moved(0, -gap - rows[0].bounds[1][1])
    lower = rows[1].moved(0, gap)
    reach = width * (rng.uniform(0.35, 0.9) if rng.random() < 0.2 else 1.0)
    if reach < width:
        upper = upper.moved((reach - width) / 2 * rng.random(), 0)
    bar = _wavy(rng, np.linspace((0.0, 0.0), (reach, rng.normal(0, 0.06)), 12))
    latex = None
    if top.latex is not None and bottom.latex is not None:
        latex = rf"\frac{{{top.latex}}}{{{bottom.latex}}}"
    return Expression(joined([upper, lower, Drawing((bar,))]), latex)


def level_with_top(rng: np.random.Generator, tall: Expression, rest: Expression) -> Expression:
    """A fraction, and what follows it written at the height of what stands above the bar."""
    low, high = tall.drawing.bounds
    top = low[1] + rng.uniform(-0.1, 0.35) * (high[1] - low[1])
    placed = rest.drawing.at(high[0] + rng.uniform(0.25, 1.8), top)
    return Expression(joined([tall.drawing, placed]), _together([tall.latex, rest.latex], " "))


def root(rng: np.random.Generator, inner: Expression) -> Expression:
    drawing = inner.drawing.at(0.0, 0.0)
    width, height = drawing.extent
    over = rng.uniform(0.12, 0.3)
    hook = 0.45 + 0.2 * height
    corners = [
        (-hook, 0.55 * height),
        (-0.75 * hook, 0.5 * height),
        (-0.5 * hook, height + 0.1),
        (-0.1, -over),
        (width + rng.uniform(-0.1, 0.3), -over + rng.normal(0, 0.05)),
    ]
    ways = [np.linspace(a, b, 8) for a, b in pairwise(corners)]
    sign = np.concatenate(ways)
    latex = None if inner.latex is None else rf"\sqrt{{{inner.latex}}}"
    return Expression(joined([drawing, Drawing((sign,))]), latex)


def system(rng: np.random.Generator, lines: Sequence[Expression]) -> Expression:
    """Equations below each other behind one brace."""
    rows = _stacked(rng, lines, rng.uniform(0.35, 1.0) if rng.random() < 0.6 else rng.uniform(1, 2))
    low, high = rows.bounds
    over = rng.uniform(-0.5, 0.3)
    gap = rng.uniform(0.2, 1.0) if rng.random() < 0.6 else rng.uniform(1, 3)
    brace = _brace(rng, low[1] - over, high[1] + over).moved(low[0] - gap, 0)
    inner = _together([line.latex for line in lines], r" \\ ")
    latex = None if inner is None else rf"\left\{{\begin{{matrix}}{inner}\end{{matrix}}\right."
    return Expression(joined([brace, rows]), latex)


def matrix(
    rng: np.random.Generator, cells: Sequence[Sequence[Expression]], has_brackets: bool
) -> Expression:
    """Rows of cells, all rows equally long, in brackets or parentheses."""
    widths = [max(row[i].drawing.extent[0] for row in cells) for i in range(len(cells[0]))]
    gap_x, gap_y = rng.uniform(0.7, 2.2), rng.uniform(0.4, 1.2)
    placed, y = [], 0.0
    for row in cells:
        height = max(cell.drawing.extent[1] for cell in row)
        x = 0.0
        for cell, width in zip(row, widths, strict=True):
            free = np.array([width, height]) - cell.drawing.extent
            placed.append(cell.drawing.at(x + free[0] / 2, y + free[1] / 2))
            x += width + gap_x
        y += height + gap_y
    inside = joined(placed)
    low, high = inside.bounds
    over, gap = rng.uniform(0.0, 0.3), rng.uniform(0.25, 0.6)
    depth = 0.35 if has_brackets else 0.3
    left = _bracket(rng, low[1] - over, high[1] + over, depth, has_brackets)
    right = Drawing(tuple(stroke * [-1, 1] for stroke in left.strokes))
    parts = [left.moved(low[0] - gap - depth, 0), inside]
    if rng.random() < 0.92:  # the others were left open
        parts.append(right.moved(high[0] + gap + depth, 0))
    texts = [_together([cell.latex for cell in row], " & ") for row in cells]
    inner = _together(texts, r" \\ ")
    kind = "bmatrix" if has_brackets else "pmatrix"
    latex = None if inner is None else rf"\begin{{{kind}}}{inner}\end{{{kind}}}"
    return Expression(joined(parts), latex)


def _stacked(rng: np.random.Generator, lines: Sequence[Expression], gap: float) -> Drawing:
    y, placed = 0.0, []
    spread = 0.15 if rng.random() < 0.7 else 0.8
    for line in lines:
        drawing = line.drawing.scaled(np.exp(rng.normal(0, 0.08))).at(rng.normal(0, spread), y)
        placed.append(drawing)
        y += drawing.extent[1] + gap
    return joined(placed)


def _brace(rng: np.random.Generator, top: float, bottom: float) -> Drawing:
    """A left brace with its right edge near x = 0."""
    height, middle = bottom - top, (top + bottom) / 2 + rng.normal(0, 0.04)
    depth = rng.uniform(0.25, 0.5)
    t = np.linspace(-1, 1, 31)
    x = -depth * (0.5 + 0.5 * np.tanh(6 * (1 - np.abs(t)) - 1) + 0.6 * np.exp(-((t / 0.12) ** 2)))
    y = np.where(t < 0, middle + t * (middle - top), middle + t * (bottom - middle))
    return Drawing((_wavy(rng, np.column_stack([x, y]), 0.01 * height),))


def _bracket(
    rng: np.random.Generator, top: float, bottom: float, depth: float, is_square: bool
) -> Drawing:
    """A left bracket or parenthesis between x = 0 and depth."""
    if is_square:
        corners = np.array([(depth, top), (0, top), (0, bottom), (depth, bottom)])
        ways = [np.linspace(a, b, 8) for a, b in pairwise(corners)]
        return Drawing((_wavy(rng, np.concatenate(ways)),))
    t = np.linspace(-1, 1, 20)
    y = (top + bottom) / 2 + t * (bottom - top) / 2
    return Drawing((_wavy(rng, np.column_stack([depth * t**2, y])),))


def _wavy(rng: np.random.Generator, stroke: np.ndarray, size: float = 0.02) -> np.ndarray:
    along = np.linspace(0, 1, len(stroke))[:, None]
    return stroke + size * np.sin(2 * np.pi * (rng.uniform(0.5, 2, 2) * along + rng.random(2)))


def _together(texts: Sequence[str | None], between: str) -> str | None:
    known = [text for text in texts if text is not None]
    return between.join(known) if len(known) == len(texts) else None
