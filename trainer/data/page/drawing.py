"""Lines and filled shapes on a page, and the canvas that they are drawn on.

Everything on a page stays vectors until it is drawn: pen strokes as lines, glyphs of fonts and
printed formulas as the outlines of their shapes. A camera then moves points, not pixels, so that
the box of an expression is the extent of its own points, exact under any bend of the paper.

Points are (N, 2), x and y with y down; whole numbers are the middles of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trainer.data.strokes import Ink, ink_symbol_size

OVERSIZE = 2  # the canvas is this much finer than the picture: pens get widths of half pixels
MIN_STEP_PX = 1.0  # points of a stroke that are closer than this in the picture are skipped

_SHIFT = 3  # binary places of the sub-pixel coordinates given to OpenCV

Colour = tuple[int, int, int]  # red, green, blue


@dataclass(frozen=True)
class Pen:
    """colour: of the dry ink on white. width: pixels of the page; outlines ignore it."""

    colour: Colour = (40, 40, 45)
    width: float = 2.0


@dataclass(frozen=True, eq=False)
class Drawing:
    """strokes: lines that a pen follows, a single point is a dot. outlines: edges of areas, all
    filled together by the even-odd rule, so that a ring is two of them."""

    strokes: tuple[np.ndarray, ...] = ()
    outlines: tuple[np.ndarray, ...] = ()

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest (x, y) of the points; the pen's width is not counted."""
        points = np.concatenate([*self.strokes, *self.outlines])
        return points.min(axis=0), points.max(axis=0)

    @property
    def extent(self) -> np.ndarray:
        """Width and height."""
        low, high = self.bounds
        return high - low

    def mapped(self, move: Callable[[np.ndarray], np.ndarray]) -> Drawing:
        """With every point where move, (N, 2) -> (N, 2), puts it."""
        parts = [*self.strokes, *self.outlines]
        cuts = np.cumsum([len(part) for part in parts])[:-1]
        moved = np.split(move(np.concatenate(parts)), cuts) if parts else []
        n = len(self.strokes)
        return Drawing(tuple(moved[:n]), tuple(moved[n:]))

    def scaled(self, factor: float) -> Drawing:
        return self.mapped(lambda points: points * factor)

    def moved(self, x: float, y: float) -> Drawing:
        return self.mapped(lambda points: points + np.array([x, y], points.dtype))

    def at(self, left: float, top: float) -> Drawing:
        """Moved so that its box begins there."""
        low, _ = self.bounds
        return self.moved(left - low[0], top - low[1])

    def sheared(self, slant: float, turn: float) -> Drawing:
        """Slanted and turned about the middle of its box; both are small, in radians."""
        low, high = self.bounds
        middle = (low + high) / 2
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1.0, -np.tan(slant)], [0.0, 1.0]])
        return self.mapped(lambda points: (points - middle) @ matrix.T + middle)


def joined(drawings: Sequence[Drawing]) -> Drawing:
    """Several drawings as one."""
    return Drawing(
        tuple(stroke for drawing in drawings for stroke in drawing.strokes),
        tuple(outline for drawing in drawings for outline in drawing.outlines),
    )


def from_ink(ink: Ink) -> Drawing:
    """Strokes of handwriting, one unit being the size of a typical symbol."""
    size = ink_symbol_size(ink)
    return Drawing(tuple((stroke / size).astype(np.float64) for stroke in ink.strokes))


def from_mask(mask: np.ndarray, unit_px: float) -> Drawing:
    """The outlines of a mask, (H, W) uint8, 0 = paper; unit_px of its pixels are one unit."""
    # Twice as fine, or the outline, which runs through the middles of rim pixels, loses thin lines.
    fine = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    solid = cv2.threshold(fine, 110, 1, cv2.THRESH_BINARY)[1]
    contours, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    return Drawing(
        outlines=tuple(contour[:, 0].astype(np.float64) / (2 * unit_px) for contour in contours)
    )


class Canvas:
    """A sheet of what ink lets through, drawn OVERSIZE finer than the picture.

    It starts white; each drawing covers what was there."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._fine = np.full((height * OVERSIZE, width * OVERSIZE, 3), 255, np.uint8)

    def draw(self, drawing: Drawing, pen: Pen) -> None:
        """Args: drawing, its points in pixels of the picture."""
        thickness = line_thickness(pen.width)
        for stroke in drawing.strokes:
            fixed = _fixed(thinned(stroke))
            if len(fixed) == 1 or (fixed == fixed[0]).all():
                radius = max(1, (thickness << _SHIFT) // 2)
                cv2.circle(self._fine, fixed[0].tolist(), radius, pen.colour, -1, 8, _SHIFT)
            else:
                cv2.polylines(self._fine, [fixed], False, pen.colour, thickness, 8, _SHIFT)
        if drawing.outlines:
            areas = [_fixed(outline) for outline in drawing.outlines]
            cv2.fillPoly(self._fine, areas, pen.colour, 8, _SHIFT)

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8, 255 = all light passes."""
        return cv2.resize(self._fine, (self.width, self.height), interpolation=cv2.INTER_AREA)


def line_thickness(width: float) -> int:
    """Whole pixels of the fine canvas that a pen of a width in pixels of the picture draws."""
    return max(1, round(width * OVERSIZE))


def thinned(stroke: np.ndarray) -> np.ndarray:
    """Without points that are hardly a step from the one before; the last one stays."""
    if len(stroke) < 4:
        return stroke
    way = np.cumsum(np.hypot(*np.diff(stroke, axis=0).T)) / MIN_STEP_PX
    keep = np.concatenate([[True], np.diff(np.floor(way), prepend=0) >= 1])
    keep[-1] = True
    return stroke[keep]


def _fixed(points: np.ndarray) -> np.ndarray:
    """Points of the picture as OpenCV's fixed-point coordinates on the fine canvas."""
    fine = (points + 0.5) * OVERSIZE - 0.5
    return np.round(np.clip(fine, -20_000, 20_000) * (1 << _SHIFT)).astype(np.int32)


def ink_box(drawing: Drawing, pen: Pen, limits: np.ndarray | None = None) -> np.ndarray:
    """x0, y0, x1, y1 of what the drawing inks, (4,) float32, pixel edges, ends excluded.

    Args: limits, width and height of a picture that cuts the drawing off; None if it is whole."""
    half = line_thickness(pen.width) / OVERSIZE / 2 if drawing.strokes else 0.0
    if limits is None:
        low, high = drawing.bounds
        return np.concatenate([low - half + 0.5, high + half + 0.5]).astype(np.float32)
    low, high = bounds_within(drawing, -0.5 - half, limits - 0.5 + half)
    box = np.concatenate([low - half + 0.5, high + half + 0.5])
    return np.clip(box, 0, np.tile(limits, 2)).astype(np.float32)


def bounds_within(
    drawing: Drawing, low: np.ndarray | float, high: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (x, y) of the lines' parts between low and high; some must be there.

    Lines are cut where they cross, as a long bar may have no point near the picture's edge.
    Source: Liang and Barsky 1984, doi:10.1145/357332.357333."""
    closed = [np.concatenate([outline, outline[:1]]) for outline in drawing.outlines]
    ways = [*drawing.strokes, *closed]
    start = np.concatenate([way[:-1] if len(way) > 1 else way for way in ways])
    step = np.concatenate([np.diff(way, axis=0) if len(way) > 1 else 0 * way for way in ways])
    is_inside = (start >= low) & (start <= high)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.stack([(low - start) / step, (high - start) / step])  # (2, S, 2)
    enter = np.where(step == 0, np.where(is_inside, 0.0, 2.0), crossings.min(axis=0))
    leave = np.where(step == 0, np.where(is_inside, 1.0, -1.0), crossings.max(axis=0))
    first = enter.max(axis=1).clip(0)[:, None]
    last = leave.min(axis=1).clip(max=1)[:, None]
    is_seen = (first <= last)[:, 0]
    points = np.concatenate([(start + first * step)[is_seen], (start + last * step)[is_seen]])
    return points.min(axis=0), points.max(axis=0)
