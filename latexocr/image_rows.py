"""Rows of Hugging Face data sets, of the Hub or of a folder here: pictures, and their LaTeX if any.

    source = parse_source("user/name?split=test&image=scan&text=formula&streaming=1&rows=5000")
    for name, picture, latex in read_rows(source, with_text=True): ...

After the question mark, all may be left out: `config`, `split` (train), the columns `image` and
`text` (found by their names and kinds), `rows` (the first so many), and `streaming=1`, which reads
the rows as they come instead of downloading all of them first. A folder is one that
`datasets.load_dataset` takes (parquet, JSON lines, pictures with a metadata.jsonl), or that
`Dataset.save_to_disk` has written. Needs `pip install datasets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from latexocr.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

IMAGE_COLUMNS = ("image", "img", "picture")
TEXT_COLUMNS = ("latex", "text", "latex_formula", "formula", "label")
NO = ("0", "false", "no", "")
SAVED_FILES = ("state.json", "dataset_dict.json")  # what Dataset.save_to_disk leaves
FILES = ("*.parquet", "*.arrow", "metadata.jsonl", "metadata.csv", *SAVED_FILES)

Row = tuple[str, bytes, str]
"""Name, encoded picture, LaTeX. What a row does not have is empty."""


@dataclass(frozen=True)
class RowSource:
    """A data set, and what of it is wanted; see above."""

    name: str
    config: str | None = None
    split: str = "train"
    image: str | None = None
    text: str | None = None
    rows: int | None = None
    streaming: bool = False


def parse_source(where: str) -> RowSource:
    """Raises: DataError if there is an option that is none, or one with no value."""
    name, _, query = where.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    known = [field.name for field in fields(RowSource)][1:]
    unknown = sorted(set(options) - set(known))
    if unknown or (query and not options):
        raise DataError(
            f"{where}: expected options out of {', '.join(known)} after the question mark, "
            f"got {', '.join(unknown) or query}"
        )
    if "streaming" in options:
        options["streaming"] = options["streaming"].lower() not in NO
    if "rows" in options:
        if not options["rows"].isdecimal():
            raise DataError(f"{where}: expected rows to be a number, got {options['rows']!r}")
        options["rows"] = int(options["rows"])
    return RowSource(name, **options)


def has_rows(folder: Path) -> bool:
    """Whether a folder holds a data set of this kind."""
    return folder.is_dir() and any(next(folder.rglob(name), None) for name in FILES)


def open_rows(source: RowSource, with_text: bool) -> tuple[Dataset | IterableDataset, str, str]:
    """A data set, and the names of its columns of pictures and of LaTeX; the latter is empty if it
    is not asked for. Pictures come as dictionaries of `bytes` and `path`, not decoded.

    Raises: DataError if there is no such data set, or it has no such columns."""
    import datasets  # slow to import, and rarely needed

    rows = _load(source)
    columns = rows.column_names or list(next(iter(rows), {}))
    pictures = [
        name
        for name, feature in (rows.features or {}).items()
        if isinstance(feature, datasets.Image)
    ]
    wanted = [source.image] if source.image else [*IMAGE_COLUMNS, *pictures]
    image = _column(source, columns, wanted, "pictures", "image")
    text = ""
    if with_text:
        texts = [source.text] if source.text else TEXT_COLUMNS
        text = _column(source, columns, texts, "LaTeX", "text")
    try:
        rows = rows.cast_column(image, datasets.Image(decode=False))
    except Exception as error:  # Arrow raises many kinds
        raise DataError(
            f"{source.name}: expected pictures in the column {image}, got {error}"
        ) from error
    if source.rows is not None:
        n_rows = None if source.streaming else len(rows)
        rows = rows.take(source.rows if n_rows is None else min(source.rows, n_rows))
    return rows, image, text


def read_rows(source: RowSource, with_text: bool) -> Iterator[Row]:
    """All rows. Raises: DataError as open_rows, or if a column of LaTeX holds no text."""
    rows, image, text = open_rows(source, with_text)
    for number, row in enumerate(rows):
        latex = row[text] if text else ""
        if latex is not None and not isinstance(latex, str):
            raise DataError(
                f"{source.name}: expected text in the column {text}, got {type(latex).__name__} "
                f"in row {number}"
            )
        yield row_name(row[image], number), row_picture(row[image]), latex or ""


def row_name(cell: dict[str, Any] | None, number: int) -> str:
    """The name of the picture's file, or the row's number where it has none."""
    path = (cell or {}).get("path")
    return Path(path).name if path else f"{number:07d}"


def row_picture(cell: dict[str, Any] | None) -> bytes:
    """The encoded picture; empty if there is none, or if its file cannot be read."""
    cell = cell or {}
    if cell.get("bytes") or not cell.get("path"):
        return cell.get("bytes") or b""
    from datasets.utils.file_utils import xopen  # also opens what lies in archives and on the Hub

    try:
        with xopen(cell["path"], "rb") as file:
            return file.read()
    except (OSError, ValueError):
        return b""


def _load(source: RowSource) -> Dataset | IterableDataset:
    import datasets

    try:
        folder = Path(source.name)
        if any((folder / name).is_file() for name in SAVED_FILES):
            saved = datasets.load_from_disk(source.name)
            return saved[source.split] if isinstance(saved, datasets.DatasetDict) else saved
        return datasets.load_dataset(
            source.name, source.config, split=source.split, streaming=source.streaming
        )
    except Exception as error:  # the Hub's client and the readers of files raise many kinds
        raise DataError(
            f"{source.name}: expected a folder or archive here, or a data set of the Hub with the "
            f"split {source.split}; {type(error).__name__}: {error}"
        ) from error


def _column(
    source: RowSource, columns: Sequence[str], wanted: Sequence[str], what: str, option: str
) -> str:
    found = next((name for name in wanted if name in columns), None)
    if found is None:
        raise DataError(
            f"{source.name}: expected columns, of {what} one named "
            f"{' or '.join(dict.fromkeys(wanted))}, got {', '.join(columns) or 'none'}; "
            f"`?{option}=NAME` names another"
        )
    return found
