"""Stand-ins for trained weights: what they would find and read, by simple rules."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from latexocr.detector import Detection, DetectorConfig
from latexocr.recognizer import Decoded

CERTAIN, DOUBTFUL = -0.01, -3.0  # log-probability of a token


class InkFinder:
    """A detector that boxes whatever ink stands together, to the pixel, in whatever direction.

    looks: the long_side of each call."""

    def __init__(self, long_side: int = 1280) -> None:
        self.config = DetectorConfig(long_side=long_side)
        self.looks: list[int | None] = []

    def detect(
        self, picture: Image.Image, long_side: int | None = None, score_min: float | None = None
    ) -> list[Detection]:
        self.looks.append(long_side)
        ink = (np.asarray(picture.convert("L")) < 128).astype(np.uint8)
        n, labels = cv2.connectedComponents(cv2.dilate(ink, np.ones((65, 65))))
        found = []
        for label in range(1, n):
            y, x = np.nonzero(ink * (labels == label))
            box = (float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
            found.append(Detection(box, 0.9))
        return found


class FixedFinder(InkFinder):
    """A detector that finds the same boxes on every page, with these scores."""

    def __init__(
        self,
        boxes: Sequence[Sequence[float]],
        long_side: int = 1280,
        scores: Sequence[float] | None = None,
        **settings: object,
    ) -> None:
        super().__init__(long_side)
        self.config = DetectorConfig(long_side=long_side, **settings)
        self.found = [
            Detection(tuple(float(side) for side in box), score)
            for box, score in zip(boxes, scores or [0.9] * len(boxes), strict=True)
        ]

    def detect(
        self, picture: Image.Image, long_side: int | None = None, score_min: float | None = None
    ) -> list[Detection]:
        self.looks.append(long_side)
        least = self.config.score_min if score_min is None else score_min
        return [one for one in self.found if one.score >= least]


def decode_if_upright(
    pictures: Sequence[np.ndarray], n_beams: int = 1, max_new_tokens: int = 0
) -> list[list[Decoded]]:
    """Reads x everywhere, and is certain of it where a line lies flat and has more ink on the left.

    In place of Recognizer.decode."""
    found = []
    for picture in pictures:
        height, width = picture.shape
        columns = picture.sum(axis=0, dtype=np.float64)
        middle = (columns * np.arange(width)).sum() / columns.sum()
        is_upright = width > height and middle < width / 2
        found.append([Decoded("x", CERTAIN if is_upright else DOUBTFUL, 1)] * n_beams)
    return found
