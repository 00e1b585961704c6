"""The app with a slow stand-in for the model, which counts separate strokes: x_{3} for three of
them.

python -m tests.counting_app --port 8000
"""

import time

import cv2

import app
from latexocr.imaging import ink_map
from latexocr.pictures import Source, load_picture
from latexocr.recognizer import Reading

SECONDS_PER_READING = 0.5  # longer than it takes to draw a stroke


class Counter:
    def read(self, image: Source, n_alternatives: int = 3) -> Reading:
        n_strokes = cv2.connectedComponents(ink_map(load_picture(image)))[0] - 1
        time.sleep(SECONDS_PER_READING)
        return Reading(f"x_{{{n_strokes}}}", 0.95, [(f"y_{{{n_strokes}}}", 0.03)])


if __name__ == "__main__":
    app.get_ocr = Counter
    app.main()
