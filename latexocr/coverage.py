r"""How much of a picture a reading accounts for.

The log-probability of a long formula is lower than that of a short one, so a search prefers what
leaves out: it stops after the first of three equations, or takes `T ^ { \prime }` for `T`. But the
places that the decoder was told (places.py) say where it has looked, and ink that is far from all
of them has not been read. So symbols that ink stands for are rewarded, and ink that stands for
none costs.

    cells = inked_cells(picture)                          # once for all readings of it
    gain = coverage(cells, picture.shape, tokens, places)   # in nats, for its log-probability

Source: the coverage penalty of Wu et al. 2016, arXiv:1609.08144, eq. 14, with places instead of
sums of attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from latexocr.modeling import STRIDE
from latexocr.places import UNWRITTEN, Place

# Chosen on the selection sets of ink and print, and on photos.
SYMBOL_REWARD = 0.5  # in nats, for each symbol that ink stands for
UNREAD_COST = 0.1  # in nats, for each cell with unread ink
REACH = 4.0  # in cells: ink so near to where the decoder looked has been read
_INKED = 3 * 255  # of a cell's ink, in all: less is an edge


def coverage(
    inked: np.ndarray, shape: tuple[int, int], tokens: Sequence[str], places: Sequence[Place]
) -> float:
    """What a reading gains by the symbols that it has, less what the ink costs that it leaves.

    Args: inked, the picture's inked_cells, and shape, its height and width; canonical tokens and
        their places, as shares of these."""
    n_symbols = sum(token not in UNWRITTEN for token, _ in zip(tokens, places, strict=False))
    return SYMBOL_REWARD * n_symbols - UNREAD_COST * unread_cells(inked, shape, places)


def unread_cells(inked: np.ndarray, shape: tuple[int, int], places: Sequence[Place]) -> int:
    """How many of the inked cells are farther than REACH from all places.

    Arguments as coverage."""
    seen = [place for place in places if place[0] >= 0]
    if not len(inked) or not seen:
        return len(inked)
    told = np.array(seen) * shape / STRIDE  # (P, 2)
    away = np.linalg.norm(inked[:, None] - told[None], axis=2).min(axis=1)
    return int((away > REACH).sum())


def inked_cells(picture: np.ndarray) -> np.ndarray:
    """The middles of cells with ink, row and column in cells, (N, 2).

    Args: picture, (h, w) uint8, in the first of its views."""
    height, width = (-(-side // STRIDE) * STRIDE for side in picture.shape)
    below, right = height - picture.shape[0], width - picture.shape[1]
    whole = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
    cells = whole.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE)
    return np.argwhere(cells.sum(axis=(1, 3), dtype=np.int64) > _INKED) + 0.5
