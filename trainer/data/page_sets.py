"""Pages to measure with: photos that a person annotated, or generated ones that a manifest fixes.

    pages = load_pages(Path("benchmarks/photos_dev.json"), pictures="photos_dev.tar.gz")
    pages = load_pages(Path("benchmarks/pages_synthetic.json"), ink="crohme_test2014.tar.gz",
                       formulas=["wikipedia_validate.txt"])

Annotated: {"pictures": [{"name", "sha1", "equations": [{"box", "latex"}], "ignore": [box]}],
"lines": [{"name", "sha1", "latex"}]}, boxes in pixels after EXIF rotation, lines being pictures of
one equation each; the pictures themselves lie elsewhere. Generated: {"seed", "n_pages", "preset"}.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from latexocr.errors import DataError
from latexocr.pictures import load_picture
from latexocr.regions import own_ink
from trainer.data.crohme import read_inks
from trainer.data.examples import PictureExample
from trainer.data.page.printed import read_formulas
from trainer.data.pages import PRESETS, PageConfig, PageGenerator
from trainer.data.strokes import rng_for


@dataclass(frozen=True)
class PageExample:
    """A page whose equations are known.

    picture makes the upright RGB page; boxes (N, 4) and ignore (M, 4) are x0 y0 x1 y1 in its
    pixels; latex has N truths, None where unknown."""

    name: str
    picture: Callable[[], Image.Image]
    boxes: np.ndarray
    ignore: np.ndarray
    latex: Sequence[str | None]


def load_pages(
    data: Path,
    pictures: str | None = None,
    ink: str | None = None,
    formulas: Sequence[str] = (),
) -> list[PageExample]:
    """All pages of an annotation file or a manifest.

    Args: pictures, folder or .tar.gz with the annotated pictures; ink and formulas, what generated
        pages are made of.
    Raises: DataError if a file is missing, is no such file, or is not the picture annotated."""
    content = _read_json(data)
    if "pictures" in content:
        if not pictures:
            raise DataError(f"{data}: expected --pictures, the folder or archive they lie in")
        pages = _annotated(data, content["pictures"], _picture_files(Path(pictures)))
    else:
        seed, n_pages, config = _manifest(data, content)
        if not ink and not formulas:
            raise DataError(f"{data}: expected --ink or --formulas to generate the pages from")
        pages = _generated(seed, n_pages, config, ink, formulas)
    if not pages:
        raise DataError(f"{data}: expected at least one page, got none")
    return pages


def load_lines(data: Path, pictures: str) -> list[PictureExample]:
    """The transcribed equations of an annotation file: those of pages, cut out by their true boxes
    as the page pipeline cuts out what it finds, and the pictures of one equation.

    Raises: as load_pages."""
    content, files = _read_json(data), _picture_files(Path(pictures))
    with _annotations(data):
        lines = [
            PictureExample(entry["name"], entry["latex"], _checked(entry, files))
            for entry in content.get("lines", [])
            if entry["latex"] is not None
        ]
    for page in _annotated(data, content.get("pictures", []), files):
        picture = page.picture()
        for i, (box, latex) in enumerate(zip(page.boxes.tolist(), page.latex, strict=True)):
            if latex is not None:
                encoded = io.BytesIO()
                ink = Image.fromarray(255 - own_ink(picture, tuple(box)))
                ink.save(encoded, "PNG", compress_level=1)
                lines.append(PictureExample(f"{page.name}:{i}", latex, encoded.getvalue()))
    return lines


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: expected annotations or a manifest, got {error}") from error


@contextmanager
def _annotations(path: Path) -> Iterator[None]:
    """Names the file where an entry lacks something, or has something else in its place."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: expected annotated pictures, got {error!r}") from error


def _annotated(
    path: Path, entries: Sequence[dict[str, Any]], files: dict[str, bytes]
) -> list[PageExample]:
    with _annotations(path):
        return [
            PageExample(
                entry["name"],
                partial(load_picture, _checked(entry, files)),
                _boxes([equation["box"] for equation in entry["equations"]]),
                _boxes(entry.get("ignore", [])),
                [equation["latex"] for equation in entry["equations"]],
            )
            for entry in entries
        ]


def _checked(entry: dict[str, Any], files: dict[str, bytes]) -> bytes:
    """The file of an annotated picture, if it is the one that was annotated."""
    name = entry["name"]
    encoded = files.get(name)
    if encoded is None:
        raise DataError(f"expected the annotated picture {name}, but it is missing")
    if hashlib.sha1(encoded, usedforsecurity=False).hexdigest() != entry["sha1"]:
        raise DataError(f"{name}: expected the picture that was annotated, got another one")
    return encoded


def _picture_files(where: Path) -> dict[str, bytes]:
    """Content by name of all files of a folder or archive."""
    try:
        if where.is_dir():
            return {p.name: p.read_bytes() for p in where.rglob("*") if p.is_file()}
        with tarfile.open(where) as archive:
            return {Path(m.name).name: archive.extractfile(m).read() for m in archive if m.isfile()}
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:  # broken, or cut off
        raise DataError(f"{where}: expected a folder or .tar.gz of pictures: {error}") from error


def _manifest(path: Path, content: dict[str, Any]) -> tuple[int, int, PageConfig]:
    """Seed, number of pages and what they look like."""
    try:
        return int(content["seed"]), int(content["n_pages"]), PRESETS[content["preset"]]
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(PRESETS)
        raise DataError(
            f"{path}: expected pictures, or seed, n_pages and a preset ({known}), got {error!r}"
        ) from error


def _generated(
    seed: int, n_pages: int, config: PageConfig, ink: str | None, formulas: Sequence[str]
) -> list[PageExample]:
    inks = list(read_inks(Path(ink))) if ink else []
    printed = [latex for source in formulas for latex in read_formulas(source)]
    generator = PageGenerator(inks, printed, config)
    pages: list[PageExample] = []
    for index in range(n_pages):
        page = generator.page(rng_for(seed, 0, index))
        picture = partial(Image.fromarray, page.image)
        pages.append(PageExample(f"page {index}", picture, page.boxes, page.ignore, page.latex))
    return pages


def _boxes(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    for box in boxes:
        if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
            raise DataError(f"expected boxes x0, y0, x1, y1 with x0 < x1 and y0 < y1, got {box}")
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)
