"""Boxes of a page, and pages and boxes turned by quarters.

piece = crop(page, box)                          # with a margin
turned = quarter_turn(page, 90)                  # counter-clockwise
box = turned_back(box, 90, page.size)            # from the turned page to the page
"""

from __future__ import annotations

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, ends excluded."""

_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180,
          270: Image.Transpose.ROTATE_270}  # fmt: skip


def quarter_turn(page: Image.Image, degrees: int) -> Image.Image:
    """The page turned counter-clockwise by 0, 90, 180 or 270 degrees."""
    return page.transpose(_TURNS[degrees]) if degrees else page


def turned_back(box: Box, degrees: int, size: tuple[int, int]) -> Box:
    """A box of the turned page as a box of the page itself. size: the page's width and height."""
    x0, y0, x1, y1 = box
    width, height = size
    match degrees:
        case 90:
            return width - y1, x0, width - y0, x1
        case 180:
            return width - x1, height - y1, width - x0, height - y0
        case 270:
            return y0, height - x1, y1, height - x0
    return box


def crop(page: Image.Image, box: Box, margin: float = 0.08) -> Image.Image:
    """A box cut out of the page, with a margin in heights of the box, within the page."""
    room = margin * (box[3] - box[1]) + 1
    return page.crop(widened(box, room, room, page.size))


def widened(
    box: Box, beside: float, above: float, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box in whole pixels with room on both sides, above and below, within a page of size width
    and height."""
    x0, y0, x1, y1 = box
    return (
        max(0, int(x0 - beside)), max(0, int(y0 - above)),
        min(size[0], int(np.ceil(x1 + beside))), min(size[1], int(np.ceil(y1 + above))),
    )  # fmt: skip
