"""The command line.

latexocr read formula.png                   prints its LaTeX
latexocr read scans/ more/*.jpg --json      one JSON object per picture and line
latexocr page notes.jpg paper.pdf --json    one per page, with boxes
cat formula.png | latexocr read -           reads a picture from standard input
latexocr clip                               reads the clipboard's picture, puts the LaTeX there

What cannot be read is reported in its place, the rest is read, and the exit status is 1.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latexocr import __version__
from latexocr.errors import ImageError, ModelError
from latexocr.pdf import PDF_MARK, pdf_pages

if TYPE_CHECKING:  # torch takes seconds to import: `latexocr --help` does without
    from latexocr.pictures import Source
    from latexocr.pipeline import LatexOCR

BATCH_SIZE = 16  # pictures read together: enough to fill batches, few enough to see progress
SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"),
    *(".heic", ".heif"),
}
PAGE_SUFFIXES = {*SUFFIXES, ".pdf"}

Record = dict  # one line of output: "path", then what was read, or "error"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit status: 0, 1 if an input failed, 2 without a model."""
    arguments = build_parser().parse_args(argv)
    sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes of no encoding
    try:
        return run(arguments)
    except ModelError as error:
        print(f"latexocr: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `latexocr read scans/ | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="latexocr", description="Pictures of formulas in, LaTeX out."
    )
    parser.add_argument("--version", action="version", version=f"latexocr {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_command(commands, "read", "IMAGE", "read pictures of one equation each")
    _add_command(commands, "page", "IMAGE|PDF", "find and read all equations of pages")
    _add_command(commands, "clip", "", "read the clipboard's picture and put its LaTeX there")
    return parser


def _add_command(commands: argparse._SubParsersAction, name: str, kind: str, help: str) -> None:
    """kind: what its inputs are called; without it, it takes none."""
    command = commands.add_parser(name, help=help, description=help)
    if kind:
        what = "a file, a folder, or - for stdin"
        command.add_argument("inputs", nargs="+", metavar=kind, help=what)
    command.add_argument("--json", action="store_true", help="print one JSON object per line")
    command.add_argument(
        "--model",
        default=os.environ.get("LATEXOCR_MODEL"),
        help="folder or Hub repository (user/name) with the weights to use "
        "(default: LATEXOCR_MODEL, else the embedded ones)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Read all inputs and print what they say."""
    from tqdm import tqdm

    if arguments.command == "clip":
        return clip(arguments)
    is_page = arguments.command == "page"
    paths = expand(arguments.inputs, PAGE_SUFFIXES if is_page else SUFFIXES)
    ocr = _load(arguments.model)
    failed = False
    # How many pages a PDF has is only known later: no total then.
    total = None if is_page else len(paths)
    with tqdm(total=total, unit="picture", disable=not sys.stderr.isatty()) as progress:
        for record in read_pages(ocr, paths) if is_page else read_pictures(ocr, paths):
            with progress.external_write_mode():
                show(record, as_json=arguments.json, with_path=len(paths) > 1)
            progress.update()
            failed = failed or "error" in record
    return int(failed)


def clip(arguments: argparse.Namespace) -> int:
    """Read the clipboard's picture, print its LaTeX and put it in the picture's place."""
    from latexocr.clipboard import picture_from_clipboard, text_to_clipboard
    from latexocr.pipeline import reading_as_json

    started = time.perf_counter()
    try:
        picture = picture_from_clipboard()  # before loading, which takes a moment
        reading = _load(arguments.model).read(picture)
        seconds = round(time.perf_counter() - started, 4)
    except ImageError as error:
        show({"path": "clipboard", "error": str(error)}, arguments.json, with_path=False)
        return 1
    record = {"path": "clipboard", **reading_as_json(reading), "seconds": seconds}
    show(record, arguments.json, with_path=False)  # before it can be lost
    try:
        text_to_clipboard(reading.latex)
    except ImageError as error:
        print(f"clipboard: {error}", file=sys.stderr)
        return 1
    return 0


def expand(inputs: Sequence[str], suffixes: set[str]) -> list[str]:
    """The inputs, with folders replaced by the files in them, in order of their names.

    A folder without any stays, to be reported."""
    paths: list[str] = []
    for path in inputs:
        files = Path(path).rglob("*") if path != "-" and Path(path).is_dir() else ()
        found = sorted(str(f) for f in files if f.suffix.lower() in suffixes and f.is_file())
        paths += found or [path]
    return paths


def read_pictures(ocr: "LatexOCR", paths: Sequence[str]) -> Iterator[Record]:
    """Records of pictures of one equation each, in the order of the paths."""
    from latexocr.pipeline import reading_as_json

    for start in range(0, len(paths), BATCH_SIZE):
        chunk = paths[start : start + BATCH_SIZE]
        started = time.perf_counter()
        results = ocr.read_each([_source(path) for path in chunk])
        seconds = round((time.perf_counter() - started) / len(chunk), 4)
        for path, result in zip(chunk, results, strict=True):
            if isinstance(result, ImageError):
                yield {"path": path, "error": str(result)}
            else:
                yield {"path": path, **reading_as_json(result), "seconds": seconds}


def read_pages(ocr: "LatexOCR", paths: Sequence[str]) -> Iterator[Record]:
    """Records of pages, in the order of the paths: one for a picture, one per page for a PDF."""
    from latexocr.pipeline import page_as_json

    for path in paths:
        started = time.perf_counter()
        try:
            for number, picture in enumerate(_pictures(path), start=1):
                page = page_as_json(ocr.read_page(picture))
                seconds = round(time.perf_counter() - started, 4)
                yield {"path": path, "page": number, **page, "seconds": seconds}
                started = time.perf_counter()
        except ImageError as error:
            yield {"path": path, "error": str(error)}


def show(record: Record, as_json: bool, with_path: bool) -> None:
    """Print a record; without JSON, its LaTeX, one equation per line, and errors to stderr."""
    if as_json:
        print(json.dumps(record), flush=True)
    elif "error" in record:
        print(f"{record['path']}: {record['error']}", file=sys.stderr, flush=True)
    else:
        prefix = f"{record['path']}: " if with_path else ""
        for equation in record.get("equations", [record]):
            print(prefix + equation["latex"], flush=True)


def _load(model: str | None) -> "LatexOCR":
    from transformers.utils import logging

    from latexocr.pipeline import LatexOCR

    logging.disable_progress_bar()  # of the loading: it would show in a pipe too
    return LatexOCR(model)


def _source(path: str) -> bytes | Path:
    return sys.stdin.buffer.read() if path == "-" else Path(path)


def _pictures(path: str) -> "Iterator[Source]":
    source = _source(path)
    is_pdf = Path(path).suffix.lower() == ".pdf" or (
        isinstance(source, bytes) and source.startswith(PDF_MARK)
    )
    return pdf_pages(source) if is_pdf else iter([source])
