"""Pictures with their LaTeX: a TSV that names them, the layout of Im2LaTeX-100k, rows of data sets.

A picture that is missing comes as no bytes, so that it is counted and listed with those that cannot
be read instead of ending a run.
"""

import logging
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from latexocr.errors import DataError
from latexocr.image_rows import parse_source, read_rows
from trainer.data.archives import read_files

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LIST_SUFFIX = ".lst"
FORMULAS = "formulas.lst"  # how the name of Im2LaTeX's list of formulas ends
PICTURES = "formula_images"  # Im2LaTeX's folder of pictures, or the name of its archive
# Im2LaTeX's own split, by what the parts of other data sets are called.
SPLITS = {"train": "train", "select": "validate", "report": "test"}

Pair = tuple[str, str, bytes]
"""Name of the picture, LaTeX, encoded picture."""


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURE_SUFFIXES)


# --- A TSV with pictures -----------------------------------------------------------------------


def read_tsv(path: Path) -> Iterator[Pair]:
    """Pictures of a folder or archive by the TSVs in it, `image<TAB>latex`; a folder of corrections
    is one.

    Raises: DataError if there is no TSV, a line without two columns, or none of the pictures."""
    tables: dict[str, str] = {}
    pictures: dict[str, bytes] = {}
    for name, data in read_files(path, lambda n: n.endswith(".tsv") or _is_picture(n)):
        if name.endswith(".tsv"):
            tables[name] = _text(data)
        else:
            pictures[PurePosixPath(name).name] = data
    if not tables:
        raise DataError(
            f"{path}: expected *.inkml files, a TSV `image<TAB>latex`, Im2LaTeX's *.lst or a data "
            "set of `datasets`, found none of them"
        )
    for table, text in sorted(tables.items()):
        yield from _rows_of_table(f"{path}: {table}", text, pictures)


def _rows_of_table(table: str, text: str, pictures: dict[str, bytes]) -> Iterator[Pair]:
    missing: list[str] = []
    n_found = 0
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line:
            continue
        name, tab, latex = line.partition("\t")
        if not tab:
            raise DataError(f"{table} line {number}: expected `image<TAB>latex`, got {line[:60]!r}")
        file_name = PurePosixPath(name).name
        if file_name in pictures:
            n_found += 1
            yield file_name, latex, pictures[file_name]
        elif number > 1:  # the first line may be a header
            missing.append(file_name)
            yield file_name, latex, b""
    if missing and not n_found:
        raise DataError(f"{table}: expected pictures, but picture {missing[0]} is missing")
    if missing:
        logger.warning("%s: %d pictures are missing: %s, ...", table, len(missing), missing[0])


# --- Im2LaTeX-100k -----------------------------------------------------------------------------


def read_im2latex(path: Path, part: str | None = None) -> Iterator[Pair]:
    """Pictures and formulas in the layout of Zenodo's record 56198: a list of formulas, lists of
    their numbers and pictures for each split, and a folder or archive of pictures.

    Args: path, of one split's list, or of the folder or archive of all; part, of the latter: its
        train, validation or test split, or all of them.
    Raises: DataError if a list is missing or broken, or none of the pictures is there."""
    folder = path.parent if path.suffix == LIST_SUFFIX else path
    lists = {n: _text(data) for n, data in read_files(folder, lambda n: n.endswith(LIST_SUFFIX))}
    formulas = next((text for n, text in lists.items() if n.endswith(FORMULAS)), None)
    if formulas is None:
        raise DataError(f"{folder}: expected a list of formulas, *{FORMULAS}, found none")
    endings = [f"_{SPLITS[part]}.lst"] if part else [f"_{s}.lst" for s in SPLITS.values()]
    if folder != path:
        endings = [path.name]
    chosen = [name for name in sorted(lists) if name.endswith(tuple(endings))]
    if not chosen:
        raise DataError(f"{folder}: expected {' or '.join(endings)}, got {', '.join(lists)}")
    pictures = _pictures_of(folder)
    lines = formulas.split("\n")  # some hold form feeds, at which splitlines would break them
    n_found = 0
    for name in chosen:
        for stem, latex in _rows_of_list(f"{folder}: {name}", lists[name], lines):
            n_found += stem in pictures
            yield f"{stem}.png", latex, pictures.get(stem, b"")
    if not n_found:
        raise DataError(f"{folder}: expected pictures in {PICTURES}, found none that a list names")


def _rows_of_list(where: str, text: str, formulas: list[str]) -> Iterator[tuple[str, str]]:
    """Stem of the picture and formula of each line: `number picture kind`, or, as im2markup writes
    them, `picture number`."""
    for number, line in enumerate(text.splitlines(), 1):
        columns = line.split()
        if not columns:
            continue
        if len(columns) == 2 and not columns[0].isdecimal():
            columns.reverse()
        if len(columns) < 2 or not columns[0].isdecimal() or int(columns[0]) >= len(formulas):
            raise DataError(
                f"{where} line {number}: expected the number of one of {len(formulas)} formulas "
                f"and the name of a picture, got {line[:60]!r}"
            )
        picture = PurePosixPath(columns[1])
        stem = picture.stem if _is_picture(picture.name) else picture.name
        yield stem, formulas[int(columns[0])]


def _pictures_of(folder: Path) -> dict[str, bytes]:
    """By their stems, from the folder or archive itself, or from an archive of pictures in it."""
    found = {PurePosixPath(n).stem: data for n, data in read_files(folder, _is_picture)}
    packed = sorted(folder.glob(f"{PICTURES}*.tar*")) if folder.is_dir() and not found else []
    for archive in packed:
        found |= {PurePosixPath(n).stem: data for n, data in read_files(archive, _is_picture)}
    return found


def _text(data: bytes) -> str:
    """Im2LaTeX's list of formulas is not all UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


# --- Data sets ---------------------------------------------------------------------------------


def read_data_set(where: str) -> Iterator[Pair]:
    """Rows of a data set, see latexocr.image_rows. Raises: DataError as read_rows."""
    for name, picture, latex in read_rows(parse_source(where), with_text=True):
        yield name, latex, picture
