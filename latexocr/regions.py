"""The ink of one equation of a page, without what else is near it.

    ink = own_ink(page, box)               # for imaging.standardize
    picture = prepare_box(page, box, 20)   # the picture that the recogniser reads
    pictures = prepare_boxes(page, boxes, 20)
    box = fit_to_ink(page, box)            # tight around it
    boxes = at_once(fit_to_ink, page, boxes)

The box alone does not tell ruling from a fraction's bar, nor the foot of the line above from a
dot. What is around it does: a line of the paper goes on to both sides, and other writing has most
of its ink outside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image

from latexocr.boxes import Box, widened
from latexocr.errors import ImageError
from latexocr.imaging import MAX_SIDE_PX, ink_map, standardize, symbol_size

T = TypeVar("T")

_SIDES = 2.0  # of the box's height, looked at on the left and on the right
_SIDES_MIN = 0.15  # and at least so much of its width: lines must be seen to go on
_ABOVE = 0.6  # of the box's height, looked at above and below
_REACH = 0.25  # of the box's height, by which a side moves outwards at most
_SHRINK = 0.2  # and inwards: what is blank farther in may be faint ink that was taken for paper
# A photo shows most writing larger than anything needs it. So a small copy is looked at first, and
# a larger one only where its symbols are lower than this, in pixels.
_FIRST_LOOK_PX = 640  # longest side
_LEGIBLE_PX = 34.0
_WORTH_REDUCING = 1.5  # times the first look: what is smaller is as quickly seen in all its pixels
_INK = 60  # of 255, from which on ink counts for the box
_FOREIGN, _OWN = 0.3, 0.7  # shares of the ink of a piece that lie in the box; cut in two between
# Of the box's height: farther beyond it goes no symbol, but ruling does that its symbols touch.
_FAR = 0.5


def prepare_box(page: Image.Image, box: Box, symbol_px: float, margin: float = 0.08) -> np.ndarray:
    """The standard picture, as imaging.prepare gives it, of what stands in a box of a page.

    Args: page in RGB; box, x0 y0 x1 y1 in its pixels; symbol_px as in prepare; margin round the
        box that still belongs to it, in heights of the box.
    Raises: ImageError if there is no ink in the box."""
    return standardize(own_ink(page, box, margin), symbol_px)


def prepare_boxes(
    page: Image.Image, boxes: Sequence[Box], symbol_px: float
) -> list[np.ndarray | ImageError]:
    """As prepare_box for each; where there is no ink, the error takes the picture's place."""

    def prepared(page: Image.Image, box: Box) -> np.ndarray | ImageError:
        try:
            return prepare_box(page, box, symbol_px)
        except ImageError as error:
            return error

    return at_once(prepared, page, boxes)


def own_ink(page: Image.Image, box: Box, margin: float = 0.08) -> np.ndarray:
    """Ink map of what stands in a box, (H, W) uint8, 0 = paper: connected pieces of ink that are
    mostly in the box, as far as symbols reach; those that are half in it are cut. Where the page
    shows them far larger than is needed to read them, its pixels are larger than the page's.

    Arguments as prepare_box. Raises: ImageError if the box lies outside the page."""
    room = margin * (box[3] - box[1]) + 1
    inner = widened(box, room, room, page.size)
    if inner[0] >= inner[2] or inner[1] >= inner[3]:
        raise ImageError(f"expected a box within {page.width} x {page.height} pixels, got {box}")
    outer = _around(page, box)
    around = page.crop(outer)
    own = ((inner[0] - outer[0]) / around.width, (inner[2] - outer[0]) / around.width)
    ink = _legible_ink(around, own)
    far = _FAR * (box[3] - box[1])
    inside = _mask(inner, outer, ink)
    near = _mask(widened(box, far, far, page.size), outer, ink)
    n_pieces, labels = cv2.connectedComponents((ink > 0).astype(np.uint8), connectivity=8)
    total = np.bincount(labels.ravel(), ink.ravel(), n_pieces)
    share = np.bincount(labels.ravel(), (ink * inside).ravel(), n_pieces) / np.maximum(total, 1)
    is_kept = ((share >= _OWN)[labels] & near) | ((share > _FOREIGN)[labels] & inside)
    return np.where(is_kept, ink, 0)


def _mask(box: Box, outer: Box, ink: np.ndarray) -> np.ndarray:
    """Where a box of the page lies in the ink map of what is around it: (H, W) bool."""
    factor = ink.shape[1] / (outer[2] - outer[0])
    left, top, right, bottom = (max(0, round((box[i] - outer[i % 2]) * factor)) for i in range(4))
    mask = np.zeros(ink.shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def _legible_ink(picture: Image.Image, own: tuple[float, float]) -> np.ndarray:
    """ink_map, no larger than it takes to see the symbols well. Arguments as there."""
    side = _FIRST_LOOK_PX
    if max(picture.size) <= _WORTH_REDUCING * side:
        return ink_map(picture, own)
    ink = ink_map(picture, own, side)
    closer = _LEGIBLE_PX / symbol_size(ink) if ink.any() else MAX_SIDE_PX / side
    return ink if closer <= 1 else ink_map(picture, own, min(MAX_SIDE_PX, closer * side))


def _around(page: Image.Image, box: Box) -> tuple[int, int, int, int]:
    """The box with what is around it."""
    width, height = box[2] - box[0], box[3] - box[1]
    return widened(box, max(_SIDES * height, _SIDES_MIN * width), _ABOVE * height, page.size)


def fit_to_ink(page: Image.Image, box: Box) -> Box:
    """A box whose sides lie at its ink. A side stays where the ink goes on far beyond it, as where
    lines of writing touch, or begins far within. Arguments as prepare_box."""
    try:
        ink = own_ink(page, box)
    except ImageError:
        return box
    inked = inked_box(ink)
    if inked is None:
        return box
    left, top, right, _ = _around(page, box)
    scale = (right - left) / ink.shape[1]
    found = tuple(scale * side + (left, top)[i % 2] for i, side in enumerate(inked))
    outwards = (box[0] - found[0], box[1] - found[1], found[2] - box[2], found[3] - box[3])
    height = box[3] - box[1]
    return tuple(
        float(new if -_SHRINK * height <= out <= _REACH * height else old)
        for old, new, out in zip(box, found, outwards, strict=True)
    )


def inked_box(ink: np.ndarray) -> Box | None:
    """Box of what counts as ink in an ink map (H, W), in its pixels; None if nothing does."""
    rows, columns = np.flatnonzero(ink.max(axis=1) > _INK), np.flatnonzero(ink.max(axis=0) > _INK)
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def at_once(
    function: Callable[[Image.Image, Box], T], page: Image.Image, boxes: Sequence[Box]
) -> list[T]:
    """What a function makes of each box of a page, by a thread for each core: OpenCV and NumPy,
    which do the work, let others work meanwhile."""
    page.load()  # by one thread alone
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(lambda box: function(page, box), boxes))
