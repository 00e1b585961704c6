"""Pen strokes from the glyphs of a font: the middle lines of their outlines.

Any TrueType or OpenType file will do; hand-lettered ones with Greek and mathematics look best.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latexocr.errors import DataError

EM_PX = 96  # glyphs are drawn this large; more costs time, not shape
_NO_GLYPH = "\uffff"  # a noncharacter: fonts draw their box for what they lack
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))

Pixel = tuple[int, int]


class FontStrokes:
    """The characters of a font as strokes; each is made when first asked for, about 5 ms."""

    def __init__(self, path: Path) -> None:
        """Raises: DataError if the file is no font."""
        self.name = Path(path).stem
        try:
            self._font = ImageFont.truetype(str(path), EM_PX)
        except OSError as error:
            raise DataError(f"{path}: expected a font, got {error}") from error
        self._missing = self._draw(_NO_GLYPH).tobytes()
        self._known: dict[str, tuple[np.ndarray, ...] | None] = {}

    def strokes(self, character: str) -> tuple[np.ndarray, ...] | None:
        """Strokes (N, 2) in em, y down from the baseline; None if the font lacks the character."""
        if character not in self._known:
            picture = self._draw(character)
            known = picture.any() and picture.tobytes() != self._missing
            self._known[character] = self._skeleton(picture) if known else None
        return self._known[character]

    def _draw(self, character: str) -> np.ndarray:
        canvas = Image.new("L", (3 * EM_PX, 3 * EM_PX))
        # Anchored at the left end of the baseline.
        ImageDraw.Draw(canvas).text((EM_PX, 2 * EM_PX), character, 255, self._font, anchor="ls")
        return np.asarray(canvas) > 127

    def _skeleton(self, picture: np.ndarray) -> tuple[np.ndarray, ...] | None:
        rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
        top, left = rows[0], columns[0]
        cut = picture[top : rows[-1] + 1, left : columns[-1] + 1]
        lines = thin(cut)
        # A line as long as it is wide is where the outline ends, no stroke of its own.
        pen = 2 * cut.sum() / max(1, lines.sum())
        offset = np.array([left - EM_PX, top - 2 * EM_PX])
        strokes = [(_smooth(path) + offset) / EM_PX for path in _paths(lines, 0.6 * pen)]
        return tuple(stroke.astype(np.float32) for stroke in strokes) or None


@cache
def load_font(path: Path) -> FontStrokes:
    """The font of a file, the same object each time: its strokes are made once per process."""
    return FontStrokes(path)


def thin(mask: np.ndarray) -> np.ndarray:
    """A shape worn down to lines one pixel wide, connected as the shape is.

    Args: mask (H, W) bool. Returns: (H, W) bool.
    Source: Guo and Hall 1989, "Parallel thinning with two-subiteration algorithms", A1. (That of
    Zhang and Suen lets slanted lines of two pixels vanish, and with them the heads of arrows.)"""
    image = np.pad(mask, 1)
    is_done = False
    while not is_done:
        is_done = True
        for first in (True, False):
            doomed = _outermost(image, first)
            if doomed.any():
                image[1:-1, 1:-1] &= ~doomed
                is_done = False
    return image[1:-1, 1:-1]


def _outermost(image: np.ndarray, first: bool) -> np.ndarray:
    """The pixels that one pass takes away."""
    up, right, down, left = image[:-2, 1:-1], image[1:-1, 2:], image[2:, 1:-1], image[1:-1, :-2]
    up_right, down_right = image[:-2, 2:], image[2:, 2:]
    down_left, up_left = image[2:, :-2], image[:-2, :-2]
    corners = ((up, up_right, right), (right, down_right, down), (down, down_left, left),
               (left, up_left, up))  # fmt: skip
    n_pieces = sum((~here & (corner | onward)).astype(int) for here, corner, onward in corners)
    pairs = sum((here | corner).astype(int) for here, corner, _ in corners)
    other_pairs = sum((corner | onward).astype(int) for _, corner, onward in corners)
    n_neighbours = np.minimum(pairs, other_pairs)
    if first:
        is_kept = (up | up_right | ~down_right) & right
    else:
        is_kept = (down | down_left | ~up_left) & left
    is_outer = (n_pieces == 1) & (n_neighbours >= 2) & (n_neighbours <= 3)
    return image[1:-1, 1:-1] & is_outer & ~is_kept


def _paths(lines: np.ndarray, shortest: float) -> list[np.ndarray]:
    """Lines of pixels as paths of x, y between ends and crossings, without short free ends."""
    pixels = {(int(y), int(x)) for y, x in np.argwhere(lines)}
    neighbours = {pixel: _neighbours(pixel, pixels) for pixel in pixels}
    nodes = [pixel for pixel in sorted(pixels) if len(neighbours[pixel]) != 2]
    walked: set[tuple[Pixel, Pixel]] = set()
    paths = [_walk(node, step, neighbours, walked) for node in nodes
             for step in neighbours[node] if (node, step) not in walked]  # fmt: skip
    seen = {pixel for path in paths for pixel in path} | set(nodes)
    for pixel in sorted(pixels):  # what is left are rings
        if pixel not in seen:
            ring = _walk(pixel, neighbours[pixel][0], neighbours, walked)
            seen.update(ring)
            paths.append(ring)
    paths += [[node] for node in nodes if not neighbours[node]]
    kept = [path for path in paths if len(path) > shortest or not _is_spur(path, neighbours)]
    return [np.array(path, dtype=np.float64)[:, ::-1] for path in kept]


def _neighbours(pixel: Pixel, pixels: set[Pixel]) -> list[Pixel]:
    """Pixels beside this one; a diagonal step is none where two straight ones lead there."""
    y, x = pixel
    found = [(y + dy, x + dx) for dy, dx in _STEPS if (y + dy, x + dx) in pixels]
    return [(ny, nx) for ny, nx in found
            if ny == y or nx == x or not ((y, nx) in pixels or (ny, x) in pixels)]  # fmt: skip


def _walk(
    start: Pixel,
    step: Pixel,
    neighbours: dict[Pixel, list[Pixel]],
    walked: set[tuple[Pixel, Pixel]],
) -> list[Pixel]:
    path = [start, step]
    walked.add((start, step))
    while len(neighbours[path[-1]]) == 2 and path[-1] != start:
        onward = [pixel for pixel in neighbours[path[-1]] if pixel != path[-2]]
        if not onward:
            break
        path.append(onward[0])
    walked.add((path[-1], path[-2]))
    return path


def _is_spur(path: Sequence[Pixel], neighbours: dict[Pixel, list[Pixel]]) -> bool:
    """Whether one end hangs free and the other one holds on to something."""
    ends = sorted(len(neighbours[end]) for end in (path[0], path[-1]))
    return len(path) > 1 and ends[0] == 1 and ends[1] > 2


def _smooth(path: np.ndarray) -> np.ndarray:
    """The path without the stairs of its pixels, every third point kept."""
    path = path.copy()
    for _ in range(3):
        path[1:-1] = (path[:-2] + 2 * path[1:-1] + path[2:]) / 4
    return np.vstack([path[:-1:3], path[-1:]])
