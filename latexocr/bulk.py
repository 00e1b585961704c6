"""Read very many pictures of one equation each, into one table, on as many processes as there are.

    python -m latexocr.bulk --input scans/ --output out.parquet
    accelerate launch -m latexocr.bulk --input scans/ --output out.parquet
    accelerate launch --multi_gpu --num_machines 2 ... -m latexocr.bulk --input user/name ...

The input is a folder of pictures or a data set with a column of them (see latexocr.image_rows for
its options). The table has columns `index`, `name`, `latex`, `confidence`, `alternatives` and
`error`: a picture that cannot be read has an error and no LaTeX. It is written in parts beside the
output; the same command goes on where a run was ended, with any number of processes. Machines must
see the same output folder. Needs `pip install pyarrow`, `accelerate` for several processes and
`datasets` for data sets.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from latexocr.cli import SUFFIXES
from latexocr.errors import DataError, ImageError, LatexOCRError
from latexocr.image_rows import has_rows, open_rows, parse_source, row_name, row_picture

if TYPE_CHECKING:  # torch takes seconds to import
    import pyarrow

    from latexocr.pipeline import LatexOCR
    from latexocr.recognizer import Reading

logger = logging.getLogger(__name__)

PART_ROWS = 512  # pictures between two saves: what a run that is ended loses at most
BATCH_SIZE = 32  # pictures read together
LONGEST_WAIT = timedelta(days=7)  # of a process that is done for the others; torch's own is minutes

Item = tuple[str, "Path | bytes"]
"""Name of a picture, and the picture."""


class Input(Protocol):
    """Pictures in parts of part_rows each; fingerprint tells whether they are those of before."""

    fingerprint: str

    def parts(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, list[Item]]]:
        """Number and pictures of those parts whose number is wanted."""

    def n_parts(self) -> int:
        """How many there are; known once parts has been gone through."""


class FolderInput:
    """The pictures of a folder and its subfolders, in order of their names."""

    def __init__(self, folder: Path, part_rows: int) -> None:
        """Raises: DataError if there are none."""
        self.folder, self.part_rows = folder, part_rows
        files = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        self.names = sorted(p.relative_to(folder).as_posix() for p in files)
        if not self.names:
            raise DataError(f"{folder}: expected pictures or a data set, found neither")
        listed = "\n".join([str(part_rows), *self.names]).encode("utf-8", "surrogateescape")
        self.fingerprint = hashlib.sha256(listed).hexdigest()

    def parts(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, list[Item]]]:
        for number in filter(wanted, range(self.n_parts())):
            names = self.names[number * self.part_rows : (number + 1) * self.part_rows]
            yield number, [(name, self.folder / name) for name in names]

    def n_parts(self) -> int:
        return -(-len(self.names) // self.part_rows)


class RowsInput:
    """The rows of a data set. One that is streamed is gone through by every process."""

    def __init__(self, where: str, part_rows: int) -> None:
        """Raises: DataError if there is no such data set, or it has no column of pictures."""
        source = parse_source(where)
        self.part_rows, self.n_seen = part_rows, 0
        self.rows, self.column, _ = open_rows(source, with_text=False)
        self.n_rows = None if source.streaming else len(self.rows)
        self.fingerprint = hashlib.sha256(f"{part_rows} {where} {self.n_rows}".encode()).hexdigest()

    def parts(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, list[Item]]]:
        if self.n_rows is not None:
            for number in filter(wanted, range(self.n_parts())):
                start = number * self.part_rows
                stop = min(start + self.part_rows, self.n_rows)
                yield number, self._items(self.rows.select(range(start, stop)), start)
            return
        rows = iter(self.rows)
        while chunk := list(islice(rows, self.part_rows)):
            number, self.n_seen = self.n_seen, self.n_seen + 1
            if wanted(number):
                yield number, self._items(chunk, number * self.part_rows)

    def n_parts(self) -> int:
        return self.n_seen if self.n_rows is None else -(-self.n_rows // self.part_rows)

    def _items(self, rows: Sequence[dict], start: int) -> list[Item]:
        cells = ((i, row[self.column]) for i, row in enumerate(rows, start))
        return [(row_name(cell, i), row_picture(cell)) for i, cell in cells]


def open_input(where: str, part_rows: int) -> Input:
    """Raises: DataError if there are no pictures."""
    folder = Path(where)
    if folder.is_dir() and not has_rows(folder):
        return FolderInput(folder, part_rows)
    return RowsInput(where, part_rows)


# --- Reading -----------------------------------------------------------------------------------


def read_items(ocr: LatexOCR, items: Sequence[Item], n_alternatives: int) -> list[dict]:
    """A row for each picture, without its index."""
    rows: list[dict] = []
    for start in range(0, len(items), BATCH_SIZE):
        batch = items[start : start + BATCH_SIZE]
        results = _read_batch(ocr, [picture for _, picture in batch], n_alternatives)
        rows += [_row(name, result) for (name, _), result in zip(batch, results, strict=True)]
    return rows


def _read_batch(
    ocr: LatexOCR, pictures: Sequence[Path | bytes], n_alternatives: int
) -> list[Reading | Exception]:
    """Readings; where a picture cannot be read, why. One that breaks the reading of a batch must
    not take the others with it: then each is read alone."""
    try:
        return ocr.read_each(pictures, n_alternatives)
    except Exception as error:  # too little memory for a huge formula, say
        if len(pictures) == 1:
            return [error]
        return [_read_batch(ocr, [picture], n_alternatives)[0] for picture in pictures]


def _row(name: str, result: Reading | Exception) -> dict:
    # Arrow takes no lone surrogates, which is how Python spells file names of no encoding.
    row = {"name": name.encode("utf-8", "backslashreplace").decode()}
    if isinstance(result, Exception):
        kind = "" if isinstance(result, ImageError) else f"{type(result).__name__}: "
        return row | {"error": f"{kind}{result}"}
    alternatives = [{"latex": text, "confidence": sure} for text, sure in result.alternatives]
    found = {"latex": result.latex, "confidence": result.confidence}
    return row | found | {"alternatives": alternatives, "error": None}


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    other = pa.struct([("latex", pa.string()), ("confidence", pa.float32())])
    return pa.schema(
        [
            ("index", pa.int64()),
            ("name", pa.string()),
            ("latex", pa.string()),
            ("confidence", pa.float32()),
            ("alternatives", pa.list_(other)),
            ("error", pa.string()),
        ]
    )


# --- Parts on disk -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """The finished parts of a table, in a folder beside it."""

    output: Path

    @property
    def folder(self) -> Path:
        return self.output.with_name(self.output.name + ".parts")

    def start(self, fingerprint: str) -> None:
        """Raises: DataError if parts are there that were made of other pictures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self.folder / "input.json"
        if record.is_file():
            before = json.loads(record.read_text(encoding="utf-8"))
            if before != {"fingerprint": fingerprint}:
                raise DataError(
                    f"{self.folder}: expected parts of the same pictures, got those of others, or "
                    "of parts of another size; delete the folder to start anew"
                )
        unfinished = record.with_suffix(".tmp")
        unfinished.write_text(json.dumps({"fingerprint": fingerprint}), encoding="utf-8")
        os.replace(unfinished, record)

    def path(self, number: int) -> Path:
        return self.folder / f"part_{number:08d}.parquet"

    def write(self, number: int, rows: list[dict], first_index: int) -> None:
        """A part appears under its name only when it is whole."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        indexed = [{"index": i} | row for i, row in enumerate(rows, first_index)]
        # Workers whose launcher was killed may still be at it.
        unfinished = self.path(number).with_suffix(f".{uuid4().hex}.tmp")
        pq.write_table(pa.Table.from_pylist(indexed, schema=_schema()), unfinished)
        os.replace(unfinished, self.path(number))

    def join(self, n_parts: int) -> tuple[int, int]:
        """Make the table of all parts and delete them. Returns: its rows, and those with errors."""
        import pyarrow.parquet as pq

        unfinished = self.output.with_name(self.output.name + ".tmp")
        n_rows = n_errors = 0
        with pq.ParquetWriter(unfinished, _schema()) as writer:
            for number in range(n_parts):
                table = pq.read_table(self.path(number), schema=_schema())
                writer.write_table(table)
                n_rows += len(table)
                n_errors += len(table) - table.column("error").null_count
        os.replace(unfinished, self.output)
        shutil.rmtree(self.folder, ignore_errors=True)
        return n_rows, n_errors


# --- The run -----------------------------------------------------------------------------------


class _Alone:
    """What PartialState is to one process, where accelerate is not installed."""

    process_index, num_processes, is_main_process, device = 0, 1, True, None

    def wait_for_everyone(self) -> None:
        pass


def _processes() -> _Alone:
    n_processes = int(os.environ.get("WORLD_SIZE", "1"))
    try:
        from accelerate import PartialState  # slow to import
        from accelerate.utils import parse_flag_from_env
    except ImportError as error:
        if n_processes > 1:
            raise DataError(
                "expected accelerate for several processes: pip install accelerate"
            ) from error
        return _Alone()
    import torch

    # PartialState does not see by itself that there is no GPU: each process would be alone.
    on_cpu = parse_flag_from_env("ACCELERATE_USE_CPU")
    on_cpu |= n_processes > 1 and not torch.accelerator.is_available()
    return PartialState(cpu=on_cpu, timeout=LONGEST_WAIT)


def read_all(
    where: str,
    output: Path,
    model: str | None = None,
    n_alternatives: int = 0,
    part_rows: int = PART_ROWS,
) -> tuple[int, int] | None:
    """Read all pictures into a table, or go on with it, as one of the processes that do.

    Returns: the rows of the table and those of them with errors, in the main process; None in the
        others, and if the table was there already.
    Raises: DataError if there are no pictures, ModelError if there are no weights."""
    if output.is_file():
        logger.warning("%s is there already: nothing to do", output)
        return None
    try:
        import pyarrow  # noqa: F401 - before hours of reading
    except ImportError as error:
        raise DataError("expected pyarrow to write parquet: pip install pyarrow") from error
    processes, parts = _processes(), Parts(output)
    pictures = open_input(where, part_rows)
    if processes.is_main_process:
        parts.start(pictures.fingerprint)
    processes.wait_for_everyone()
    ocr = _load(model, processes)

    def is_mine(number: int) -> bool:
        own = number % processes.num_processes == processes.process_index
        return own and not parts.path(number).is_file()

    for number, items in pictures.parts(is_mine):
        parts.write(number, read_items(ocr, items, n_alternatives), number * part_rows)
        logger.info("part %d: %d pictures", number, len(items))
    processes.wait_for_everyone()
    return parts.join(pictures.n_parts()) if processes.is_main_process else None


def _load(model: str | None, processes: _Alone) -> LatexOCR:
    """The engine of the command line, with a process's share of the cores: accelerate sets one."""
    import torch

    from latexocr.pipeline import LatexOCR

    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", processes.num_processes))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // n_local))
    return LatexOCR(model, str(processes.device) if processes.device else None)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns: exit status, 2 if nothing could be done. Pictures that cannot be read do not count:
    launchers take any other status than 0 for a crash, and start anew or end the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--input", required=True, help="folder of pictures, or data set with a column of them")
    add("--output", required=True, type=Path, help="parquet file to write")
    add("--model", default=os.environ.get("LATEXOCR_MODEL"), help="folder or Hub repository")
    add("--alternatives", type=int, default=0, help="other readings to look for; 0 is quickest")
    add("--part-rows", type=int, default=PART_ROWS, help="pictures between two saves")
    arguments = parser.parse_args(argv)
    if arguments.part_rows < 1 or arguments.alternatives < 0:
        parser.error("expected --part-rows of 1 or more and --alternatives of 0 or more")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        counts = read_all(
            *(arguments.input, arguments.output, arguments.model),
            *(arguments.alternatives, arguments.part_rows),
        )
    except LatexOCRError as error:
        print(f"bulk: {error}", file=sys.stderr)
        return 2
    if counts is None:
        return 0
    n_rows, n_errors = counts
    print(f"{arguments.output}: {n_rows} pictures, {n_errors} of them could not be read")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
