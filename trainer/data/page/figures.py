"""Things on a page that are no writing: sketches, arrows, frames, scribbles, all as pen strokes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from trainer.data.page.drawing import Drawing, joined


def _line(*points: tuple[float, float], n: int = 12) -> np.ndarray:
    """A pen's way along corners, at even steps."""
    corners = np.array(points, dtype=np.float64)
    ways = [np.linspace(a, b, n, endpoint=False) for a, b in pairwise(corners)]
    return np.concatenate([*ways, corners[-1:]])


def _ellipse(x: float, y: float, a: float, b: float, turns: float = 1.02) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi * turns, 40) - 1.2
    return np.column_stack([x + a * np.cos(angle), y + b * np.sin(angle)])


def _shaky(rng: np.random.Generator, stroke: np.ndarray, size: float) -> np.ndarray:
    """As a free hand draws it: slow waves of a size."""
    along = np.linspace(0, 1, len(stroke))
    waves = [
        np.sin(2 * np.pi * (rng.uniform(0.5, 3) * along + rng.random())) * rng.normal(0, size)
        for _ in range(4)
    ]
    return stroke + np.column_stack([waves[0] + waves[1], waves[2] + waves[3]])


def underline(rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> Drawing:
    height = high[1] - low[1]
    y = high[1] + 0.15 * height
    line = _line((low[0], y), (high[0], y + rng.normal(0, 0.05) * height))
    return Drawing((_shaky(rng, line, 0.02 * height),))


def frame(rng: np.random.Generator, low: np.ndarray, high: np.ndarray, gap: float) -> Drawing:
    """A box round a result."""
    (x0, y0), (x1, y1) = low - gap, high + gap
    box = _line((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    return Drawing((_shaky(rng, box, 0.1 * gap),))


def ring(rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> Drawing:
    """A circle round a number."""
    x, y = (low + high) / 2
    a, b = (high - low) / 2 * 1.35 + 0.1 * (high[1] - low[1])
    return Drawing((_shaky(rng, _ellipse(x, y, max(a, 0.8 * b), b), 0.02 * b),))


def arrow(rng: np.random.Generator, x0: float, x1: float, y: float, head: float) -> Drawing:
    y1 = y + rng.normal(0, 0.3) * head
    shaft = _shaky(rng, _line((x0, y), (x1, y1)), 0.05 * head)
    tip = shaft[-1]
    wings = tip + head * np.array([[-1, -0.6], [0, 0], [-1, 0.6]])
    return Drawing((shaft, wings))


def scribble(rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> Drawing:
    """What strikes a line out: one stroke, a zigzag or a cross."""
    width, height = high - low
    kind = rng.integers(3)
    if kind == 0:
        y = low[1] + rng.uniform(0.35, 0.65) * height
        return Drawing((_shaky(rng, _line((low[0], y), (high[0], y)), 0.06 * height),))
    if kind == 1:
        n = max(4, int(width / max(height, 1) * rng.uniform(4, 9)))
        x = np.linspace(low[0], high[0], n)
        y = np.where(np.arange(n) % 2, low[1], high[1]) + rng.normal(0, 0.1 * height, n)
        return Drawing((np.column_stack([x, y]),))
    return Drawing((
        _line((low[0], low[1]), (high[0], high[1])),
        _line((low[0], high[1]), (high[0], low[1])),
    ))  # fmt: skip


def grid_frame(x0: float, y0: float, x1: float, y1: float, n_cells: int) -> Drawing:
    """A printed field of a form, with a row of n_cells on top."""
    head = y0 + 0.06 * (y1 - y0)
    lines = [_line((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)), _line((x0, head), (x1, head))]
    for x in np.linspace(x0, x1, n_cells + 1)[1:-1]:
        lines.append(_line((x, y0), (x, head)))
    return Drawing(tuple(lines))


# --- Sketches, about one unit large ------------------------------------------------------------


def sketch(rng: np.random.Generator) -> Drawing:
    """A circle, a triangle, axes with a curve, a cart, a brace, a spiral: one of them."""
    drawing = _SKETCHES[int(rng.integers(len(_SKETCHES)))](rng)
    strokes = tuple(_shaky(rng, stroke, 0.008) for stroke in drawing.strokes)
    return Drawing(strokes)


def _circle(rng: np.random.Generator) -> Drawing:
    angle = rng.uniform(-0.5, 0.5)
    tip = (0.5 + 0.5 * np.cos(angle), 0.5 + 0.5 * np.sin(angle))
    return Drawing((_ellipse(0.5, 0.5, 0.5, 0.5), _line((0.5, 0.5), tip)))


def _triangle(rng: np.random.Generator) -> Drawing:
    x = rng.choice([0.0, rng.uniform(0, 1)])
    strokes = [_line((0, 1), (1, 1), (x, rng.uniform(0, 0.4)), (0, 1))]
    if x == 0:
        strokes.append(_line((0.0, 0.88), (0.12, 0.88), (0.12, 1.0), n=3))
    return Drawing(tuple(strokes))


def _axes(rng: np.random.Generator) -> Drawing:
    x = np.linspace(0.05, 0.95, 40)
    bend, shift = rng.uniform(-1, 1), rng.uniform(0.3, 0.7)
    waves = np.sin(2 * np.pi * (rng.uniform(0.3, 1.5) * x + rng.random()))
    y = np.clip(shift + 0.3 * waves + bend * (x - 0.5) ** 2, 0.02, 0.98)
    base = rng.uniform(0.5, 0.95)
    return joined([
        Drawing((_line((0, base), (1, base)), _line((0.1, 1), (0.1, 0)), np.column_stack([x, y]))),
        arrow(rng, 0.9, 1.0, base, 0.05),
    ])  # fmt: skip


def _cart(rng: np.random.Generator) -> Drawing:
    return Drawing((
        _line((0, 0.3), (1, 0.3), (1, 0.7), (0, 0.7), (0, 0.3)),
        _ellipse(0.25, 0.82, 0.12, 0.12),
        _ellipse(0.75, 0.82, 0.12, 0.12),
        _line((-0.1, 0.95), (1.1, 0.95)),
    ))  # fmt: skip


def _spiral(rng: np.random.Generator) -> Drawing:
    angle = np.linspace(0, 2 * np.pi * rng.uniform(2, 5), 90)
    radius = np.linspace(0.05, 0.5, 90)
    return Drawing((np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + 0.5,))


def _rods(rng: np.random.Generator) -> Drawing:
    strokes = [_ellipse(x, 0.5, 0.12, 0.3) for x in (0.15, 0.85)]
    return Drawing((*strokes, _line((0.27, 0.5), (0.73, 0.5)), _line((0.2, 0.75), (0.8, 0.75))))


def _blot(rng: np.random.Generator) -> Drawing:
    """A word made unreadable."""
    n = 40
    x = np.linspace(0, 1, n) + rng.normal(0, 0.05, n)
    return Drawing((np.column_stack([x, 0.5 + rng.uniform(-0.12, 0.12, n)]),))


_SKETCHES: tuple[Callable[[np.random.Generator], Drawing], ...] = (
    _circle, _triangle, _axes, _cart, _spiral, _rods, _blot,
)  # fmt: skip
