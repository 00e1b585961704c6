"""The front door: pictures in, LaTeX out.

ocr = LatexOCR()                       # embedded weights; or LatexOCR("folder"), ("user/repo")
ocr.read("formula.png").latex          # one equation
ocr.read_page("page.jpg").equations    # boxes and readings, in reading order
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from latexocr.boxes import Box, quarter_turn, turned_back
from latexocr.detector import Detection, Detector
from latexocr.errors import ImageError, ModelError, PartMissingError
from latexocr.hub import resolve
from latexocr.imaging import ink_map, is_photo, prepare, standardize
from latexocr.page_boxes import find_equations
from latexocr.pictures import Source, load_picture
from latexocr.quantized import load_quickest
from latexocr.reading_order import reading_order
from latexocr.recognizer import MAX_NEW_TOKENS, SURE, Decoded, Reading
from latexocr.regions import inked_box, prepare_box, prepare_boxes
from latexocr.rescoring import ACCEPTED, MAX_TOKENS, OBVIOUS, rescored
from latexocr.upright import find_upright

READ_TOGETHER = 8  # equations of a page, between two reports of progress
# So many of these groups are read at a time: a step of decoding is too little work for two cores,
# and Python's share of it can only use one.
READERS = 2
# What is found in a photo counts if it is at most so much of it, and by so much surer than what is
# read of all of it. With more, or less, parts of lines that closely cropped photos show win.
MOST_OF_PHOTO, SURER = 0.5, 0.1
# Where not more than one equation was found, all of the picture may be one: if it is not higher
# than so many of its symbols, and its reading makes a candidate of this score mathematics.
WHOLE_SYMBOLS, WHOLE_SCORE = 8, 0.6
# A picture no larger than so many is a symbol on its own if it is read as one.
LONE_SYMBOLS = 3
# By so much confidence the whole may be less sure than what was found, which may be a part of it.
WHOLE_BEHIND = 0.2

Progress = Callable[[int, int], None]
"""Called with how many equations of a page have been read, and how many there are."""


@dataclass(frozen=True)
class Equation:
    """One equation of a page.

    box is x0, y0, x1, y1 in pixels of the upright picture, ends excluded; score from 0 to 1 says
    how sure it is that there is an equation; block numbers the groups of lines that stand
    together, from 0."""

    box: Box
    score: float
    reading: Reading
    block: int = 0


@dataclass(frozen=True)
class Page:
    """What was found on a picture of width x height pixels, in reading order.

    turn: by how many degrees counter-clockwise the picture had to be turned to be read."""

    width: int
    height: int
    equations: list[Equation]
    turn: int = 0


class LatexOCR:
    """Reads pictures of equations. Loading takes a moment: make one and keep it."""

    def __init__(self, source: str | Path | None = None, device: str | None = None) -> None:
        """Args: source as in hub.resolve; device as torch names it, a GPU by default if there is
        one.
        Raises: ModelError if the weights cannot be loaded."""
        self.recognizer = load_quickest(resolve(source, "recognizer"), device)
        self.detector = _detector(source, device)

    def read(self, image: Source, n_alternatives: int = 3) -> Reading:
        """Read a picture of one equation: bytes, a path, a PIL picture or an array.

        A photo may show more than the equation: where its reading is doubtful the equation is
        looked for in it, unless n_alternatives is 0, the quickest way.
        Raises: ImageError if the picture cannot be read."""
        return self.read_batch([image], n_alternatives)[0]

    def read_batch(self, images: Sequence[Source], n_alternatives: int = 3) -> list[Reading]:
        """Read pictures of one equation each, as read does; readings in the order of the pictures.

        Raises: ImageError of the first picture that cannot be read."""
        results = self.read_each(images, n_alternatives)
        for result in results:
            if isinstance(result, ImageError):
                raise result
        return results

    def read_each(
        self, images: Sequence[Source], n_alternatives: int = 3
    ) -> list[Reading | ImageError]:
        """As read_batch, but where a picture cannot be read its error takes the reading's place."""
        seen = self._read_prepared([self._prepare(image) for image in images], n_alternatives)
        if n_alternatives == 0 or self.detector is None:
            return seen
        return [
            self._read_found(image, reading, n_alternatives)
            for image, reading in zip(images, seen, strict=True)
        ]

    def _read_found(
        self, image: Source, seen: Reading | ImageError, n_alternatives: int
    ) -> Reading | ImageError:
        """What is read of the equation that a photo shows, if it shows one and this is clearly
        surer than what was seen in all of the photo; otherwise that."""
        confidence = 0.0 if isinstance(seen, ImageError) else seen.confidence
        if confidence >= SURE:
            return seen
        try:
            picture = load_picture(image)  # again: to keep all of a batch would take gigabytes
        except ImageError:
            return seen
        if not is_photo(picture):
            return seen
        found, pictures = self._rescore(picture, find_equations(self.detector, picture))
        if len(found) != 1 or _share(found[0].box, picture) > MOST_OF_PHOTO:
            return seen
        (reading,) = self._read_prepared(pictures, n_alternatives)
        is_surer = isinstance(reading, Reading) and reading.confidence >= confidence + SURER
        return reading if is_surer else seen

    def _read_prepared(
        self, pictures: Sequence[np.ndarray | ImageError], n_alternatives: int
    ) -> list[Reading | ImageError]:
        results: list = list(pictures)
        good = [i for i, result in enumerate(results) if not isinstance(result, ImageError)]
        readings = self.recognizer.read_prepared([results[i] for i in good], n_alternatives)
        for i, reading in zip(good, readings, strict=True):
            results[i] = reading
        return results

    def read_page(
        self, image: Source, n_alternatives: int = 3, progress: Progress | None = None
    ) -> Page:
        """Find the equations of a page and read them. A blank page has none.

        A page that lies sideways or upside down is turned for reading; boxes are those of the
        picture as it was given. A picture that is one equation from side to side is read as one;
        without a detector every picture is.
        Raises: ImageError if the picture cannot be decoded."""
        picture = load_picture(image)
        if self.detector is None:
            found, turn = [Detection((0, 0, picture.width, picture.height), 1.0)], 0
        else:
            found, turn = find_upright(self.detector, self.recognizer, picture)
        found, pictures = self._rescore(quarter_turn(picture, turn), found)
        blocks = reading_order(np.array([one.box for one in found]))
        order = [(i, block) for block, places in enumerate(blocks) for i in places]
        readings = self._read_lines([pictures[i] for i, _ in order], n_alternatives, progress)
        equations = [
            Equation(turned_back(found[i].box, turn, picture.size), found[i].score, reading, block)
            for (i, block), reading in zip(order, readings, strict=True)
            if not isinstance(reading, ImageError)  # a box without ink: nothing to read
        ]
        page = Page(picture.width, picture.height, equations, turn)
        return page if len(equations) > 1 else self._or_whole(page, picture, n_alternatives)

    def _or_whole(self, page: Page, picture: Image.Image, n_alternatives: int) -> Page:
        """The page, on which one equation was found or none, or all of its picture as one equation
        where that is mathematics and about as sure."""
        found = max((one.reading.confidence for one in page.equations), default=0.0)
        whole = self._whole(picture, n_alternatives)
        if whole is None or whole.reading.confidence < found - WHOLE_BEHIND:
            return page
        return Page(page.width, page.height, [whole])

    def _whole(self, picture: Image.Image, n_alternatives: int) -> Equation | None:
        """All of a picture as one equation; None if it is too high for one, or no mathematics. Of
        symbols among words few are mathematics, but one that is all there is was meant."""
        if self.detector is None or not self.detector.config.rescore_weights:
            return None
        ink = ink_map(picture)
        box = inked_box(ink)
        if box is None:
            return None
        symbol_px = self.recognizer.symbol_px
        prepared = standardize(ink, symbol_px)
        if len(prepared) > WHOLE_SYMBOLS * symbol_px:
            return None
        candidates = self.recognizer.decode([prepared], n_alternatives + 1)
        best = candidates[0][0]
        (reading,) = self.recognizer.readings(candidates, n_alternatives)
        (chance,) = rescored(self.detector.config, [WHOLE_SCORE], [best])
        if max(prepared.shape) <= LONE_SYMBOLS * symbol_px and len(best.canonical.split()) == 1:
            chance = max(chance, reading.confidence)
        if chance < ACCEPTED:
            return None
        scale = picture.width / ink.shape[1]
        return Equation(tuple(scale * side for side in box), chance, reading)

    def find(self, image: Source) -> list[Detection]:
        """The equations of an upright page, the surest first, read no further than it takes to know
        them for mathematics.

        Raises: ImageError if the picture cannot be decoded, ModelError without a detector."""
        if self.detector is None:
            raise ModelError("expected a model with a detector to find equations with, got none")
        page = load_picture(image)
        found, _ = self._rescore(page, find_equations(self.detector, page))
        return sorted(found, key=lambda one: -one.score)

    def read_box(self, image: Source, box: Box, n_alternatives: int = 3) -> Reading:
        """Read what a person marked on a picture: box is x0, y0, x1, y1 in its pixels.

        Raises: ImageError if the picture cannot be decoded or there is no ink in the box."""
        picture = load_picture(image)
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= picture.width and 0 <= y0 < y1 <= picture.height):
            raise ImageError(
                f"expected a box within {picture.width} x {picture.height} pixels, got {box}"
            )
        prepared = prepare_box(picture, box, self.recognizer.symbol_px, margin=0.0)
        return self.recognizer.read_prepared([prepared], n_alternatives)[0]

    def _rescore(
        self, page: Image.Image, found: Sequence[Detection]
    ) -> tuple[list[Detection], list[np.ndarray | ImageError]]:
        """What of the candidates on an upright page is mathematics, if need be by what is read in
        it, and the prepared pictures; an error where there is no ink. See rescoring.py."""
        pictures = prepare_boxes(page, [one.box for one in found], self.recognizer.symbol_px)
        if self.detector is None or not self.detector.config.rescore_weights:
            return list(found), pictures
        config = self.detector.config
        doubtful = [
            i
            for i, picture in enumerate(pictures)
            if found[i].score < OBVIOUS and not isinstance(picture, ImageError)
        ]
        share = min(READ_TOGETHER, -(-len(doubtful) // READERS))
        begun = self._decode([pictures[i] for i in doubtful], 1, MAX_TOKENS, together=share)
        readings = [candidates[0] for candidates in begun]
        scores = rescored(config, [found[i].score for i in doubtful], readings)
        chances = {i: one.score for i, one in enumerate(found) if one.score >= OBVIOUS}
        chances |= {i: s for i, s in zip(doubtful, scores, strict=True) if s >= ACCEPTED}
        kept = sorted(chances)
        return [replace(found[i], score=chances[i]) for i in kept], [pictures[i] for i in kept]

    def _read_lines(
        self,
        pictures: Sequence[np.ndarray | ImageError],
        n_alternatives: int,
        progress: Progress | None,
    ) -> list[Reading | ImageError]:
        """Readings of a page's lines in the light of each other; errors stay in their place."""
        candidates = self._decode(pictures, n_alternatives + 1, MAX_NEW_TOKENS, progress)
        candidates = self.recognizer.in_context(candidates)
        readings = iter(self.recognizer.readings(candidates, n_alternatives))
        return [one if isinstance(one, ImageError) else next(readings) for one in pictures]

    def _decode(
        self,
        pictures: Sequence[np.ndarray | ImageError],
        n_beams: int,
        max_new_tokens: int,
        progress: Progress | None = None,
        together: int = READ_TOGETHER,
    ) -> list[list[Decoded]]:
        """What is read, so many together, in those of the pictures that are none of the errors."""
        n_done, found = 0, []
        groups = [pictures[i : i + together] for i in range(0, len(pictures), max(1, together))]
        inked = [[p for p in group if not isinstance(p, ImageError)] for group in groups]
        with ThreadPoolExecutor(READERS) as threads:
            decoded = threads.map(
                lambda group: self.recognizer.decode(group, n_beams, max_new_tokens), inked
            )
            for group, candidates in zip(groups, decoded, strict=True):
                found += candidates
                n_done += len(group)
                if progress:
                    progress(n_done, len(pictures))
        return found

    def _prepare(self, image: Source) -> np.ndarray | ImageError:
        try:
            return prepare(image, self.recognizer.symbol_px)
        except ImageError as error:
            return error


def _share(box: Box, picture: Image.Image) -> float:
    """Of a picture that a box takes."""
    x0, y0, x1, y1 = box
    return (x1 - x0) * (y1 - y0) / (picture.width * picture.height)


def _detector(source: str | Path | None, device: str | None) -> Detector | None:
    """The detector that lies beside the recogniser; None where a model comes without one."""
    try:
        folder = resolve(source, "detector")
    except PartMissingError:
        return None
    return Detector.from_pretrained(folder, device)


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
