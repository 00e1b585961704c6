"""The same ink in several sizes.

What a recogniser reads depends on how large its symbols come out, and no rule finds the best size
for pencil, felt pen and print alike. So what is doubtful at first sight is read in other sizes,
too, and each reading is judged by all of them.

    picture = prepare(image, LARGEST * symbol_px)
    first, smaller, larger = views(picture)
"""

import cv2
import numpy as np

# Of a symbol, where 1 is what the model was trained around: at first sight, and at a second look.
SIZES = (1.1, 0.85, 1.4)
LARGEST = max(SIZES)


def first_view(picture: np.ndarray) -> np.ndarray:
    """Args: picture, an ink map (h, w) uint8 whose symbols have the size LARGEST."""
    return _in_size(picture, SIZES[0])


def views(picture: np.ndarray) -> list[np.ndarray]:
    """The picture in each of SIZES. Args: as first_view."""
    return [_in_size(picture, size) for size in SIZES]


def _in_size(picture: np.ndarray, size: float) -> np.ndarray:
    sides = [max(1, round(side * size / LARGEST)) for side in (picture.shape[1], picture.shape[0])]
    return cv2.resize(picture, sides, interpolation=cv2.INTER_AREA)
