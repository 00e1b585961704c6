"""Ink in boxes: strokes that know which symbol they write, placed beside and above each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

AXIS = -0.25  # em; fraction bars, minus signs and the middle of grids lie here
SMALLEST = 0.38  # em; scripts of scripts of scripts get no smaller
NO_SYMBOL = -1


@dataclass(slots=True, eq=False)
class Piece:
    """Some strokes of one symbol: points (N, 2), points of each stroke, the symbol's index."""

    points: np.ndarray
    lengths: tuple[int, ...]
    symbol: int = NO_SYMBOL


@dataclass(slots=True, eq=False)
class Box:
    """Ink with its bounds, y down from the baseline; without ink it is only a space."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    pieces: list[Piece] = field(default_factory=list)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2

    def shift(self, dx: float, dy: float) -> Box:
        """Move the ink. Returns: this box."""
        self.left, self.right = self.left + dx, self.right + dx
        self.top, self.bottom = self.top + dy, self.bottom + dy
        for piece in self.pieces:
            piece.points += (dx, dy)
        return self

    def stretch(self, factor_x: float, factor_y: float) -> Box:
        """Scale the ink about the origin. Returns: this box."""
        for piece in self.pieces:
            piece.points *= (factor_x, factor_y)
        self.left, self.right = self.left * factor_x, self.right * factor_x
        self.top, self.bottom = self.top * factor_y, self.bottom * factor_y
        return self

    def reach(self, y_low: float, y_high: float) -> float:
        """How far to the right the ink goes between two heights."""
        found = self.left
        for piece in self.pieces:
            x, y = piece.points.T
            inside = x[(y >= y_low) & (y <= y_high)]
            if len(inside):
                found = max(found, float(inside.max()))
        return found


def ink_box(points: np.ndarray, lengths: tuple[int, ...], symbol: int = NO_SYMBOL) -> Box:
    """A box round points (N, 2), which it takes over."""
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    piece = Piece(points, lengths, symbol)
    return Box(float(left), float(top), float(right), float(bottom), [piece])


def line_box(strokes: Sequence[Sequence[tuple[float, float]]], symbol: int) -> Box:
    """A box of strokes given as points."""
    points = np.array([point for stroke in strokes for point in stroke], dtype=np.float64)
    return ink_box(points, tuple(len(stroke) for stroke in strokes), symbol)


def join(boxes: Iterable[Box]) -> Box:
    """One box round all, their ink where it is; empty spaces count too."""
    boxes = list(boxes)
    if not boxes:
        return Box()
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
        [piece for box in boxes for piece in box.pieces],
    )
