"""The app with a slow stand-in for the model, which counts separate strokes: x_{3} for three of
them. An equation of a page is a group of strokes with white paper around it.

python -m tests.counting_app --port 8000
"""

import time

import cv2
import numpy as np
from PIL import Image

import app
from latexocr.boxes import Box
from latexocr.errors import ImageError
from latexocr.imaging import ink_map
from latexocr.pictures import Source, load_picture
from latexocr.pipeline import Equation, Page, Progress
from latexocr.reading_order import reading_order
from latexocr.recognizer import Reading

SECONDS_PER_READING = 0.5  # longer than it takes to draw a stroke
GAP_PX = 80  # of white paper, between equations of a page
SPECK_PX = 100  # of a thickened stroke: less is what JPEG left on the paper
CONFIDENCES = (0.95, 0.7, 0.3)  # of one stroke, of two, of more


class Counter:
    def read(self, image: Source, n_alternatives: int = 3) -> Reading:
        time.sleep(SECONDS_PER_READING)
        return self._count(load_picture(image))

    def read_page(
        self, image: Source, n_alternatives: int = 0, progress: Progress | None = None
    ) -> Page:
        picture = load_picture(image)
        boxes = find_groups(picture)
        order = [i for block in reading_order(np.array(boxes)) for i in block]
        equations = []
        for n, i in enumerate(order, start=1):
            time.sleep(SECONDS_PER_READING)
            reading = self._count(picture.crop(tuple(map(int, boxes[i]))), graded=True)
            equations.append(Equation(boxes[i], 0.9, reading))
            if progress:
                progress(n, len(boxes))
        return Page(*picture.size, equations)

    def read_box(self, image: Source, box: Box, n_alternatives: int = 3) -> Reading:
        time.sleep(SECONDS_PER_READING)
        reading = self._count(load_picture(image).crop(tuple(map(int, box))))
        if reading.latex == "x_{0}":
            raise ImageError("no ink found in the picture: expected strokes, got blank paper")
        return reading

    def _count(self, picture: Image.Image, graded: bool = False) -> Reading:
        ink = cv2.dilate((ink_map(picture) > 0).astype(np.uint8), np.ones((7, 7), np.uint8))
        stats = cv2.connectedComponentsWithStats(ink)[2][1:]
        n_strokes = int(np.sum(stats[:, cv2.CC_STAT_AREA] >= SPECK_PX))
        confidence = CONFIDENCES[min(n_strokes, 3) - 1] if graded else CONFIDENCES[0]
        return Reading(f"x_{{{n_strokes}}}", confidence, [(f"y_{{{n_strokes}}}", 0.03)])


def find_groups(picture: Image.Image) -> list[Box]:
    """Boxes of strokes that are near each other."""
    ink = (ink_map(picture) > 0).astype(np.uint8)
    n_labels, labels = cv2.connectedComponents(cv2.dilate(ink, np.ones((GAP_PX, GAP_PX), np.uint8)))
    boxes: list[Box] = []
    for n in range(1, n_labels):
        y, x = np.nonzero((labels == n) & (ink > 0))
        sides = (x.min() - 2, y.min() - 2, x.max() + 3, y.max() + 3)
        boxes.append(tuple(float(side) for side in sides))
    return boxes


if __name__ == "__main__":
    app.get_ocr = Counter
    app.main()
