"""The same ink as another hand would have written it.

A reading that hangs on one pixel more or less is not one to trust: what is doubtful at first sight
is read again from all views at once, and what they agree on wins.

    views(picture)     # [picture, picture a little larger, picture a little slanted]
"""

import cv2
import numpy as np

N_VIEWS = 3
LARGER = 1.15
SLANT_DEG = 6.0  # that tops move to the left by


def views(picture: np.ndarray) -> list[np.ndarray]:
    """Views of an ink map (h, w) uint8, itself first, N_VIEWS in all."""
    height, width = picture.shape
    larger = cv2.resize(picture, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_LINEAR)
    per_row = float(np.tan(np.radians(SLANT_DEG)))
    shear = np.array([[1, per_row, 0], [0, 1, 0]], np.float32)
    # Rows move to the right, the lowest one most: the canvas grows by as much.
    slanted = cv2.warpAffine(picture, shear, (width + int(per_row * height) + 1, height))
    return [picture, larger, slanted]
