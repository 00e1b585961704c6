"""CROHME: reading handwritten formulas from InkML files, and looking at them.

Contact sheet:  python -m trainer.data.crohme crohme_train.tar.gz --sheet sheet.png --count 48
Plain inks:     python -m trainer.data.crohme crohme_train/ --sheet plain.png --no-augment

The data sets themselves are not part of the project; see docs/training.md for where they come from.
"""

from __future__ import annotations

import argparse
import logging
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from latexocr.errors import DataError
from trainer.data.strokes import Ink, InkAugment, Symbol, rng_for, sample

logger = logging.getLogger(__name__)

SHEET_COLUMNS = 4
SHEET_CELL_PX = (480, 190)  # width, height; larger pictures are shrunk to fit

# How the segmentation names a symbol -> how LaTeX writes it; the others are LaTeX already.
LABEL_TO_LATEX = {r"\lt": "<", r"\gt": ">", "COMMA": ","}
# Alone on a page these are a speck that could be any of them.
SPECKS = frozenset({".", ",", "COMMA", r"\prime", "'", r"\cdot"})


# --- InkML -----------------------------------------------------------------------------------


def parse_inkml(data: bytes, name: str, latex: str | None = None) -> Ink:
    """One InkML file as ink: its strokes, its truth, and which strokes make which symbol.

    Args: data, the file; name, its stem, kept as the ink's name; latex, a truth that replaces the
    file's own, for files that have none or a wrong one.
    Returns: the ink, without symbols when the file has no segmentation.
    Raises: DataError when the data is no InkML, has no strokes, a broken trace, or no truth.
    """
    root = _xml_root(data, name)
    traces = [element for element in root.iter() if _tag(element) == "trace"]
    strokes: list[np.ndarray] = []
    stroke_of_id: dict[str, int] = {}
    for element in traces:
        points = _trace_points("".join(element.itertext()), name)
        if len(points):
            stroke_of_id.setdefault(_trace_id(element), len(strokes))
            strokes.append(points)
    if not strokes:
        raise DataError(f"{name}: expected at least one trace with points, got {len(traces)} empty")
    latex = _strip_dollars(latex if latex is not None else _annotation(root, "truth") or "")
    if not latex:
        raise DataError(f"{name}: expected an annotation of type 'truth' or a label, got neither")
    symbols = tuple(_symbols(root, stroke_of_id))
    return Ink(name, tuple(strokes), latex, symbols, _annotation(root, "writer"))


def _xml_root(data: bytes, name: str) -> ElementTree.Element:
    if not data.strip():
        raise DataError(f"{name}: expected InkML, got an empty file")
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        try:
            # Some files claim UTF-8 and hold a Latin-1 dot in their MathML.
            return ElementTree.fromstring(data.decode("latin-1"))
        except ElementTree.ParseError:
            raise DataError(f"{name}: expected XML, got a file with {error}") from error


def _tag(element: ElementTree.Element) -> str:
    """Name of an element without its namespace: some files have one, some none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _trace_id(element: ElementTree.Element) -> str:
    return element.get("id") or element.get("{http://www.w3.org/XML/1998/namespace}id") or ""


def _trace_points(text: str, name: str) -> np.ndarray:
    """Points `x y[ t ...], ...` as (N, 2) float32; further channels are dropped."""
    text = text.strip().strip(",")
    numbers = text.replace(",", " ").split()
    if not numbers:
        return np.empty((0, 2), np.float32)
    n_points = text.count(",") + 1
    try:
        points = np.array(numbers, dtype=np.float64).reshape(n_points, -1)[:, :2]
    except ValueError:
        points = _ragged_points(text, name)
    if points.shape[1] != 2 or not np.isfinite(points).all():
        raise DataError(f"{name}: expected points 'x y', got a trace starting with {text[:40]!r}")
    return points.astype(np.float32)


def _ragged_points(text: str, name: str) -> np.ndarray:
    """The slow way, for traces whose points do not all have the same number of channels."""
    try:
        rows = [point.split()[:2] for point in text.split(",") if point.strip()]
        return np.array(rows, dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise DataError(f"{name}: expected a trace of decimal points 'x y', got {error}") from error


def _annotation(element: ElementTree.Element, kind: str) -> str | None:
    """Text of the element's own annotation of a kind, or None where missing or blank."""
    for child in element:
        if _tag(child) == "annotation" and child.get("type") == kind:
            text = "".join(child.itertext()).strip()
            if text:
                return text
    return None


def _strip_dollars(latex: str) -> str:
    r"""Without `$`: some truths have stray ones inside. An escaped `\$` stays."""
    return re.sub(r"(?<!\\)\$", "", latex).strip()


def _symbols(root: ElementTree.Element, stroke_of_id: dict[str, int]) -> list[Symbol]:
    """The symbols in the order of the truth's MathML, those it does not know at the end.

    Symbols are the groups that hold traces directly; the groups of groups above them are none."""
    written = _mathml_elements(root)
    found: list[tuple[int, Symbol]] = []
    for group in root.iter():
        if _tag(group) != "traceGroup":
            continue
        ids = [view.get("traceDataRef", "").lstrip("#") for view in group
               if _tag(view) == "traceView"]  # fmt: skip
        strokes = dict.fromkeys(stroke_of_id[i] for i in ids if i in stroke_of_id)
        label = _annotation(group, "truth")
        if strokes and label:
            place, tag = written.get(_reference(group), (len(written), ""))
            found.append((place, Symbol(label, tuple(strokes), is_fraction=tag == "mfrac")))
    return [symbol for _, symbol in sorted(found, key=lambda item: item[0])]


def _reference(group: ElementTree.Element) -> str | None:
    """The id of the MathML element that a group of strokes is the ink of."""
    for child in group:
        if _tag(child) == "annotationXML":
            return child.get("href")
    return None


def _mathml_elements(root: ElementTree.Element) -> dict[str | None, tuple[int, str]]:
    """Place in the order of LaTeX, and tag, of each element of the truth's MathML by its id."""
    for child in root:
        if _tag(child) == "annotationXML" and child.get("type") == "truth":
            elements = (e for e in _latex_order(child) if _trace_id(e))
            return {_trace_id(e): (place, _tag(e)) for place, e in enumerate(elements)}
    return {}


def _latex_order(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """The element and all below it; a root's index comes before what is under the root."""
    yield element
    children = list(element)
    if _tag(element) == "mroot":
        children.reverse()
    for child in children:
        yield from _latex_order(child)


# --- Sets of files ---------------------------------------------------------------------------


def read_inks(source: Path, labels: dict[str, str] | None = None) -> Iterator[Ink]:
    """All inks of a folder (with its subfolders) or of a .tar.gz of InkML, sorted by name.

    Unreadable files are left out; one warning at the end counts them and names the first few.

    Args: source, folder or archive; labels, truths by ink name that replace the files' own.
    Raises: DataError when there is no such folder or archive, or no InkML file in it.
    """
    labels = labels or {}
    problems: list[str] = []
    n_files = 0
    for name, data in _read_files(Path(source)):
        n_files += 1
        try:
            yield parse_inkml(data, name, labels.get(name))
        except DataError as error:
            problems.append(str(error))
    if not n_files:
        raise DataError(f"{source}: expected *.inkml files, found none")
    if problems:
        shown = "; ".join(problems[:5])
        logger.warning("%s: left out %d of %d files: %s", source, len(problems), n_files, shown)


def _read_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """(stem, content) of every InkML file by stem; the same for a folder and its archive."""
    if source.is_dir():
        for path in sorted(source.rglob("*.inkml"), key=lambda path: (path.stem, str(path))):
            yield path.stem, path.read_bytes()
        return
    try:
        with tarfile.open(source) as archive:
            # In the archive's order, since seeking backwards in a .gz unpacks it from the start.
            found = [(Path(member.name), archive.extractfile(member).read())
                     for member in archive
                     if member.isfile() and member.name.endswith(".inkml")]  # fmt: skip
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{source}: expected a folder or .tar.gz of InkML, got {error}") from error
    for path, data in sorted(found, key=lambda item: (item[0].stem, str(item[0]))):
        yield path.stem, data


def read_labels(tsv: Path) -> dict[str, str]:
    """Truths by ink name, from a TSV with the header `id<TAB>tokens`.

    Raises: DataError when the file is missing, or a line has not exactly two columns.
    """
    try:
        lines = Path(tsv).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{tsv}: expected a TSV of labels, got {error}") from error
    rows = [line.split("\t") for line in lines]
    if not rows or rows[0] != ["id", "tokens"]:
        raise DataError(f"{tsv}: expected the header 'id<TAB>tokens', got {lines[:1]}")
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise DataError(f"{tsv}, line {number}: expected 2 columns, got {len(row)}")
    return {name: tokens.strip() for name, tokens in rows[1:]}


def symbol_inks(inks: Iterable[Ink]) -> list[Ink]:
    """Every segmented symbol as an ink of its own, to train on isolated symbols.

    Its name is the formula's name and the symbol's index; its truth is the label in LaTeX. Dots,
    commas and primes are left out: alone on a page nobody can tell them apart.
    """
    return [
        Ink(
            name=f"{ink.name}.{index}",
            strokes=tuple(ink.strokes[i] for i in symbol.strokes),
            latex=LABEL_TO_LATEX.get(symbol.label, symbol.label),
            symbols=(Symbol(symbol.label, tuple(range(len(symbol.strokes)))),),
            writer=ink.writer,
        )
        for ink in inks
        for index, symbol in enumerate(ink.symbols)
        if symbol.label not in SPECKS
    ]


# --- Contact sheets --------------------------------------------------------------------------


def sheet(
    inks: Sequence[Ink], augment: InkAugment | None, seed: int = 0, symbol_px: float = 20.0
) -> np.ndarray:
    """Pictures of inks in a grid, dark on white, the LaTeX above each.

    Args: augment, None for plain pictures; seed of the random choices.
    Returns: (H, W) uint8.
    """
    cells = []
    for index, ink in enumerate(inks):
        rng = None if augment is None else rng_for(seed, 0, index)
        cells.append(_cell(sample(ink, symbol_px, rng, augment).pixels, ink.latex))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % SHEET_COLUMNS)
    rows = [np.hstack(cells[i : i + SHEET_COLUMNS]) for i in range(0, len(cells), SHEET_COLUMNS)]
    return np.vstack(rows)


def _cell(pixels: np.ndarray, latex: str) -> np.ndarray:
    width, height = SHEET_CELL_PX
    cell = np.full((height, width), 255, np.uint8)
    shrink = min(1.0, (width - 10) / pixels.shape[1], (height - 30) / pixels.shape[0])
    picture = cv2.resize(255 - pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    cell[25 : 25 + picture.shape[0], 5 : 5 + picture.shape[1]] = picture
    # OpenCV's font knows ASCII only.
    text = latex.encode("ascii", "replace").decode()[:70]
    cv2.putText(cell, text, (5, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
    cell[-1], cell[:, -1] = 200, 200
    return cell


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Contact sheet of handwritten formulas.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="folder or .tar.gz of InkML")
    parser.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    parser.add_argument("--labels", type=Path, default=None, help="TSV of truths by file stem")
    parser.add_argument("--count", type=int, default=48, help="number of formulas")
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0, help="of the choice and the augmentation")
    args = parser.parse_args(argv)
    inks = list(read_inks(args.source, read_labels(args.labels) if args.labels else None))
    chosen = rng_for(args.seed, 0, 0).permutation(len(inks))[: args.count]
    picture = sheet([inks[i] for i in chosen], InkAugment() if args.augment else None, args.seed)
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.sheet), picture):
        raise DataError(f"expected a place to write a PNG, got {args.sheet}")
    print(f"{args.sheet}: {len(chosen)} of {len(inks)} formulas")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
