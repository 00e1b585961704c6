"""Examples to train on or to measure with, wherever they come from.

examples = load_examples("crohme_train.tar.gz")             # InkML, folder or archive
examples = load_examples("pictures/", part="select")        # TSV `image<TAB>latex` and its pictures
examples = load_examples("im2latex/im2latex_train.lst")     # Im2LaTeX-100k as Zenodo has it
examples = load_examples("user/dataset?split=train")        # Hub data set with image and latex
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from latexocr.errors import DataError, ImageError, TexError
from latexocr.image_rows import has_rows
from latexocr.imaging import MARGIN_PX, find_frame, prepare
from latexocr.latex import canonical
from trainer.data import crohme
from trainer.data.archives import file_names, has_ending
from trainer.data.ink_sets import load_inks
from trainer.data.picture_sets import (
    FORMULAS,
    LIST_SUFFIX,
    read_data_set,
    read_im2latex,
    read_tsv,
)
from trainer.data.strokes import (
    Ink,
    InkAugment,
    Sample,
    draw,
    expected_shape,
    ink_symbol_size,
    sample,
)

N_PARTS = 17
PARTS = {"select": (0,), "report": (1, 2), "train": tuple(range(3, N_PARTS))}


class Example(Protocol):
    """A formula with its picture, however that is made."""

    name: str
    latex: str  # the truth as its source writes it

    @property
    def symbol_labels(self) -> Sequence[str]:
        """Canonical LaTeX of each symbol that marks refer to."""

    @property
    def symbol_is_fraction(self) -> Sequence[bool]:
        """Whether each symbol is a fraction's bar."""

    def expected_shape(self, symbol_px: float) -> tuple[int, int]:
        """About the height and width of the plain picture, in pixels."""

    def sample(
        self, symbol_px: float, rng: np.random.Generator | None, augment: InkAugment | None
    ) -> Sample:
        """The standard picture; plain and always the same if rng is None."""

    def picture(self) -> bytes | np.ndarray:
        """What a user would hand in: an encoded picture or an array, dark on white."""


class InkExample:
    """A formula as pen strokes, drawn afresh each time."""

    def __init__(self, ink: Ink) -> None:
        self.ink = ink
        self.name, self.latex = ink.name, ink.latex

    @cached_property
    def symbol_labels(self) -> list[str]:
        return [symbol_latex(symbol.label) for symbol in self.ink.symbols]

    @property
    def symbol_is_fraction(self) -> list[bool]:
        return [symbol.is_fraction for symbol in self.ink.symbols]

    def expected_shape(self, symbol_px: float) -> tuple[int, int]:
        return expected_shape(self.ink, symbol_px)

    def sample(
        self, symbol_px: float, rng: np.random.Generator | None, augment: InkAugment | None
    ) -> Sample:
        return sample(self.ink, symbol_px, rng, augment)

    def picture(self) -> np.ndarray:
        return 255 - draw(self.ink.strokes, ink_symbol_size(self.ink))


class PictureExample:
    """A formula as an encoded picture, read through the same door as a user's."""

    symbol_labels: Sequence[str] = ()
    symbol_is_fraction: Sequence[bool] = ()

    def __init__(self, name: str, latex: str, encoded: bytes) -> None:
        self.name, self.latex, self.encoded = name, latex, encoded

    def expected_shape(self, symbol_px: float) -> tuple[int, int]:
        height, width = self._standard(symbol_px).shape
        return height, width

    def sample(
        self, symbol_px: float, rng: np.random.Generator | None, augment: InkAugment | None
    ) -> Sample:
        return Sample(self._standard(symbol_px), None)

    def picture(self) -> bytes:
        return self.encoded

    def _standard(self, symbol_px: float) -> np.ndarray:
        return prepare(self.encoded, symbol_px)


class PrintedExample(PictureExample):
    """A picture of dark print on white. There are many of them, so their shape is found without
    all the care that a photo needs."""

    @classmethod
    def of(cls, example: PictureExample) -> "PrintedExample":
        return cls(example.name, example.latex, example.encoded)

    def expected_shape(self, symbol_px: float) -> tuple[int, int]:
        grey = cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise ImageError(f"{self.name}: expected a PNG or JPEG, got {len(self.encoded)} bytes")
        frame = find_frame(255 - grey, symbol_px)
        sides = ((frame.bottom - frame.top), (frame.right - frame.left))
        height, width = (max(1, round(side * frame.scale)) + 2 * MARGIN_PX for side in sides)
        return height, width


def symbol_latex(label: str) -> str:
    """Canonical LaTeX of a symbol label of CROHME's; the label itself for those that are no formula
    alone, such as `\\sqrt`."""
    try:
        return canonical(crohme.LABEL_TO_LATEX.get(label, label))
    except TexError:
        return label


def load_examples(
    where: str, labels: str | None = None, part: str | None = None, limit: int | None = None
) -> list[Example]:
    """All examples of a folder, an archive or a data set, sorted by name as far as they have names.

    Args: where, one of
        - a folder, .tar.gz or .zip of InkML; several sets in one are pooled, see ink_sets
        - a folder or archive with a TSV `image<TAB>latex` and its pictures
        - Im2LaTeX-100k as Zenodo has it, or the .lst of one of its splits, see picture_sets
        - a folder or a Hub id that `datasets` loads, with options, see latexocr.image_rows
        labels, a TSV of truths by name that replace those of InkML; part, `select`, `report` or
        `train`: of Im2LaTeX its own split, otherwise those whose file name has its sha1 mod 17 in
        the part; limit, so many of them at most.
    Pictures that are missing or broken are among the examples: who uses them leaves them out.
    Raises: DataError if there is nothing to read, or nothing in the part."""
    if part is not None and part not in PARTS:
        raise DataError(f"expected a part out of {', '.join(PARTS)}, got {part!r}")
    path = Path(where)
    names = file_names(path) if path.exists() and path.suffix != LIST_SUFFIX else []
    is_split = path.suffix == LIST_SUFFIX or has_ending(names, FORMULAS)
    if is_split:
        found = [PictureExample(*pair) for pair in read_im2latex(path, part)]
    elif has_ending(names, ".inkml"):
        truths = crohme.read_labels(Path(labels)) if labels else None
        found = [InkExample(ink) for ink in load_inks(path, names, truths, once=part is not None)]
    elif not path.exists() or (has_rows(path) and not has_ending(names, ".tsv")):
        found = [PictureExample(*pair) for pair in read_data_set(where)]
    else:
        found = [PictureExample(*pair) for pair in read_tsv(path)]
    chosen = [e for e in found if part is None or is_split or part_of(e.name) == part]
    if not chosen:
        raise DataError(f"{where}: expected examples in part {part}, found none")
    return chosen[:limit]


def part_of(file_name: str) -> str:
    """The part that a picture belongs to, by its file name."""
    place = int(hashlib.sha1(file_name.encode(), usedforsecurity=False).hexdigest(), 16) % N_PARTS
    return next(part for part, places in PARTS.items() if place in places)
