"""What a person hands in, page by page: pictures and PDFs, and reading them with progress."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from PIL import Image

from app_document import Sheet
from latexocr.errors import ImageError
from latexocr.pdf import PDF_MARK, count_pages, page_numbers, pdf_pages
from latexocr.pictures import load_picture
from latexocr.pipeline import LatexOCR, Page

FIRST_PAGES = 10  # of a PDF, if a person does not say which
MAX_PAGES = 30  # at once: each takes seconds to read, and megabytes to keep
N_ALTERNATIVES = 3


@dataclass(frozen=True)
class Source:
    """A page that is to be read: a picture, or a page of a PDF, which are numbered from 1."""

    name: str
    path: Path
    number: int = 0

    @property
    def title(self) -> str:
        return f"{self.name}, page {self.number}" if self.number else self.name

    def load(self) -> Sheet:
        """The page, still unread. Raises: ImageError if the file has none, or it is broken."""
        if self.number:
            picture = next(pdf_pages(self.path, [self.number]))
            return Sheet.of(picture, self.name, self.number)
        return Sheet.of(load_picture(self.path), self.name, encoded=self.path.read_bytes())


def find_pages(files: Sequence[dict[str, Any]], wanted: str, problems: list[str]) -> list[Source]:
    """The pages of uploaded files, as Gradio stored them.

    Args: wanted, which pages of a PDF, as in pdf.page_numbers; problems, to which is added what
        cannot be read or is left out, and why."""
    sources: list[Source] = []
    for file in files:
        path = Path(file["path"])
        name = file.get("orig_name") or path.name
        try:
            sources += [Source(name, path, n) for n in _pages_of(path, name, wanted, problems)]
        except ImageError as error:
            problems.append(f"{name}: {error}")
    if len(sources) > MAX_PAGES:
        problems.append(f"of {len(sources)} pages the first {MAX_PAGES} are read")
    return sources[:MAX_PAGES]


def _pages_of(path: Path, name: str, wanted: str, problems: list[str]) -> Sequence[int]:
    """Numbers of the wanted pages of a PDF, the first ones by default; 0 alone for a picture."""
    if not path.is_file():
        raise ImageError("expected a file, but it was deleted after an hour: add it again")
    with path.open("rb") as file:
        is_pdf = PDF_MARK in file.read(1024) or path.suffix.lower() == ".pdf"
    if not is_pdf:
        return [0]
    n_pages = count_pages(path)
    if wanted.strip():
        return page_numbers(wanted, n_pages)
    if n_pages > FIRST_PAGES:
        problems.append(
            f"{name} has {n_pages} pages: the first {FIRST_PAGES} are read. For others, start "
            f"again and say which, as in {FIRST_PAGES + 1}-{min(n_pages, 2 * FIRST_PAGES)}."
        )
    return range(1, min(n_pages, FIRST_PAGES) + 1)


class _Stopped(Exception):
    """Nobody waits for the page any more."""


def follow(ocr: LatexOCR, picture: Image.Image) -> Iterator[tuple[int, int] | Page]:
    """Reads a page in a thread of its own, so that it can be said how far it is.

    Gives how many equations have been read, and of how many, again and again; at last the page."""
    news: SimpleQueue = SimpleQueue()
    stop = threading.Event()

    def report(done: int, total: int) -> None:
        if stop.is_set():
            raise _Stopped
        news.put((done, total))

    def read() -> None:
        try:
            news.put(ocr.read_page(picture, n_alternatives=N_ALTERNATIVES, progress=report))
        except Exception as error:
            news.put(error)  # to be raised where it is waited for

    threading.Thread(target=read, daemon=True).start()
    try:
        while True:
            item = news.get()
            if isinstance(item, Exception):
                raise item
            yield item
            if isinstance(item, Page):
                return
    finally:
        stop.set()
