"""The paper behind the writing: how much light it gives, and whether it is a board.

light = paper_light(grey)               # as if nothing were written
if is_light_on_dark(grey):              # chalk, a dark screen
    grey = 255 - grey
"""

import cv2
import numpy as np

_LIGHT_SIDE_PX = 300  # longest side at which the light is estimated
# Longest sides at which strokes are looked for: whatever the pen and the size of the writing, they
# are thinner than the square at one of them. Between strokes there is more room.
_SIDES_PX = 640, 320, 160
_STROKE = np.ones((5, 5), np.uint8)
_NOISE = 12  # greys by which what stands out less does not count


def limited(pixels: np.ndarray, max_side: float) -> np.ndarray:
    """(H, W) or (H, W, 3) uint8, reduced by one factor until its longest side is max_side at most;
    never enlarged."""
    factor = max_side / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = [max(1, round(length * factor)) for length in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def paper_light(grey: np.ndarray) -> np.ndarray:
    """Grey of what is behind the strokes, (H, W) uint8: a wide median on a small copy."""
    height, width = grey.shape
    small = limited(grey, _LIGHT_SIDE_PX)
    window = max(3, min(31, max(small.shape) // 12 * 2 + 1))
    small = cv2.GaussianBlur(cv2.medianBlur(small, window), (0, 0), 2)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def is_light_on_dark(grey: np.ndarray) -> bool:
    """Is it written in light on dark? (H, W) uint8, any picture of writing.

    What is thin tells: light strokes count for as much as what is behind them is dark, dark ones
    for as much as that is light. So a bright sheet on a dark desk is not taken for a board,
    however much of the picture the desk takes."""
    light = dark = 0.0
    for side in _SIDES_PX:
        small = limited(grey, side)
        paper = paper_light(small).astype(np.float32)
        light += float((_thin(small, cv2.MORPH_TOPHAT) * (255 - paper)).sum())
        dark += float((_thin(small, cv2.MORPH_BLACKHAT) * paper).sum())
    return light > dark


def _thin(grey: np.ndarray, kind: int) -> np.ndarray:
    """How far what is thinner than _STROKE stands out, beyond noise: float32 (H, W)."""
    return np.maximum(cv2.morphologyEx(grey, kind, _STROKE).astype(np.float32) - _NOISE, 0)
