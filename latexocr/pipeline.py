"""The front door: pictures in, LaTeX out.

ocr = LatexOCR()                       # embedded weights; or LatexOCR("folder"), ("user/repo")
ocr.read("formula.png").latex          # one equation
ocr.read_page("page.jpg").equations    # boxes and readings, in reading order
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latexocr.errors import ImageError
from latexocr.hub import resolve
from latexocr.imaging import prepare
from latexocr.pictures import Source, load_picture
from latexocr.recognizer import Reading, Recognizer


@dataclass(frozen=True)
class Equation:
    """One equation of a page.

    box is x0, y0, x1, y1 in pixels of the upright picture, ends excluded; score from 0 to 1 says
    how sure it is that there is an equation."""

    box: tuple[float, float, float, float]
    score: float
    reading: Reading


@dataclass(frozen=True)
class Page:
    """What was found on a picture of width x height pixels, in reading order."""

    width: int
    height: int
    equations: list[Equation]


class LatexOCR:
    """Reads pictures of equations. Loading takes a moment: make one and keep it."""

    def __init__(self, source: str | Path | None = None, device: str | None = None) -> None:
        """Args: source as in hub.resolve; device as torch names it, a GPU by default if there is
        one.
        Raises: ModelError if the weights cannot be loaded."""
        self.recognizer = Recognizer.from_pretrained(resolve(source, "recognizer"), device)

    def read(self, image: Source, n_alternatives: int = 3) -> Reading:
        """Read a picture of one equation: bytes, a path, a PIL picture or an array.

        Raises: ImageError if the picture cannot be read."""
        return self.recognizer.read(image, n_alternatives)

    def read_batch(self, images: Sequence[Source], n_alternatives: int = 3) -> list[Reading]:
        """Read pictures of one equation each; readings in the order of the pictures.

        Raises: ImageError at the first picture that cannot be read."""
        return self.recognizer.read_batch(images, n_alternatives)

    def read_each(
        self, images: Sequence[Source], n_alternatives: int = 3
    ) -> list[Reading | ImageError]:
        """As read_batch, but where a picture cannot be read its error takes the reading's place."""
        results: list = [self._prepare(image) for image in images]
        good = [i for i, result in enumerate(results) if not isinstance(result, ImageError)]
        readings = self.recognizer.read_prepared([results[i] for i in good], n_alternatives)
        for i, reading in zip(good, readings, strict=True):
            results[i] = reading
        return results

    def read_page(self, image: Source) -> Page:
        """Find the equations of a page and read them. A blank page has none.

        Without a detector the whole picture is taken for one equation.
        Raises: ImageError if the picture cannot be decoded."""
        picture = load_picture(image)
        (result,) = self.read_each([picture], n_alternatives=0)
        box = (0, 0, picture.width, picture.height)
        found = [] if isinstance(result, ImageError) else [Equation(box, 1.0, result)]
        return Page(picture.width, picture.height, found)

    def _prepare(self, image: Source) -> np.ndarray | ImageError:
        try:
            return prepare(image, self.recognizer.symbol_px)
        except ImageError as error:
            return error


def reading_as_json(reading: Reading) -> dict:
    """A reading as the command line and the app's API give it."""
    return {
        "latex": reading.latex,
        "confidence": round(reading.confidence, 4),
        "alternatives": [
            {"latex": latex, "confidence": round(confidence, 4)}
            for latex, confidence in reading.alternatives
        ],
    }


def page_as_json(page: Page) -> dict:
    """A page as the command line and the app's API give it."""
    return {
        "width": page.width,
        "height": page.height,
        "equations": [
            {
                "box": list(equation.box),
                "score": round(equation.score, 4),
                "latex": equation.reading.latex,
                "confidence": round(equation.reading.confidence, 4),
            }
            for equation in page.equations
        ],
    }
