"""Examples to train on or to measure with, wherever they come from.

examples = load_examples("crohme_train.tar.gz")             # InkML, folder or archive
examples = load_examples("pictures/", part="select")        # TSV `image<TAB>latex` and its pictures
examples = load_examples("user/dataset")                    # Hub data set with image and latex
"""

import hashlib
import logging
import tarfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from latexocr.errors import DataError, ImageError, TexError
from latexocr.imaging import MARGIN_PX, find_frame, prepare
from latexocr.latex import canonical
from trainer.data import crohme
from trainer.data.strokes import (
    Ink,
    InkAugment,
    Sample,
    draw,
    expected_shape,
    ink_symbol_size,
    sample,
)

logger = logging.getLogger(__name__)

N_PARTS = 17
PARTS = {"select": (0,), "report": (1, 2), "train": tuple(range(3, N_PARTS))}
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
IMAGE_COLUMNS, TEXT_COLUMNS = ("image",), ("latex", "text", "latex_formula", "label")


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
    """All examples of a folder, an archive or a Hub data set, sorted by name.

    Args: where, a folder or .tar.gz of InkML, a folder or .tar.gz with a TSV `image<TAB>latex` and
        its pictures, or a Hub data set's id; labels, a TSV of truths by name that replace the
        files' own; part, `select`, `report` or `train`: those whose file name has its sha1 mod 17
        in the part.
    Raises: DataError if there is nothing to read, or nothing in the part."""
    if part is not None and part not in PARTS:
        raise DataError(f"expected a part out of {', '.join(PARTS)}, got {part!r}")
    path = Path(where)
    if not path.exists():
        found = list(_from_hub(where))
    elif _has_inkml(path):
        truths = crohme.read_labels(Path(labels)) if labels else None
        found = [InkExample(ink) for ink in crohme.read_inks(path, truths)]
    else:
        found = list(_from_tsv(path))
    chosen = [e for e in found if part is None or part_of(e.name) == part]
    if not chosen:
        raise DataError(f"{where}: expected examples in part {part}, found none")
    return chosen[:limit]


def part_of(file_name: str) -> str:
    """The part that a picture belongs to, by its file name."""
    place = int(hashlib.sha1(file_name.encode(), usedforsecurity=False).hexdigest(), 16) % N_PARTS
    return next(part for part, places in PARTS.items() if place in places)


def _has_inkml(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob("*.inkml"), None) is not None
    return any(name.endswith(".inkml") for name in _member_names(path))


def _member_names(path: Path) -> Iterator[str]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                yield member.name
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: expected a folder or a .tar.gz, got {error}") from error


def _from_tsv(path: Path) -> Iterator[PictureExample]:
    """Pictures of a folder or archive by the TSV in it; its lines name them."""
    tables: dict[str, str] = {}
    pictures: dict[str, bytes] = {}
    for name, data in _files(path):
        if name.endswith(".tsv"):
            tables[name] = data.decode("utf-8")
        elif name.lower().endswith(PICTURE_SUFFIXES):
            pictures[Path(name).name] = data
    if not tables:
        raise DataError(
            f"{path}: expected *.inkml files, or a TSV `image<TAB>latex`, found neither"
        )
    for table, text in sorted(tables.items()):
        for number, line in enumerate(text.splitlines(), 1):
            name, tab, latex = line.partition("\t")
            if not tab:
                raise DataError(f"{path}: {table} line {number}: expected `image<TAB>latex`")
            file_name = Path(name).name
            if file_name in pictures:
                yield PictureExample(file_name, latex, pictures[file_name])
            elif number > 1:  # the first line may be a header
                raise DataError(f"{path}: {table} line {number}: picture {name} is missing")


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            yield str(file.relative_to(path)), file.read_bytes()
        return
    with tarfile.open(path) as archive:
        for member in archive:
            handle = archive.extractfile(member)
            if handle:
                yield member.name, handle.read()


def _from_hub(where: str) -> Iterator[PictureExample]:
    import datasets  # slow to import, and only this source needs it

    try:
        rows = datasets.load_dataset(where, split="train")
    except Exception as error:  # the Hub client raises many kinds
        raise DataError(
            f"{where}: no such folder or archive here, and not a Hub data set: {error}"
        ) from error
    image = next((c for c in IMAGE_COLUMNS if c in rows.column_names), None)
    text = next((c for c in TEXT_COLUMNS if c in rows.column_names), None)
    if image is None or text is None:
        raise DataError(
            f"{where}: expected columns {IMAGE_COLUMNS} and {TEXT_COLUMNS}, got {rows.column_names}"
        )
    rows = rows.cast_column(image, datasets.Image(decode=False))
    for i, row in enumerate(rows):
        yield PictureExample(row[image]["path"] or f"{i:07d}", row[text], row[image]["bytes"])
