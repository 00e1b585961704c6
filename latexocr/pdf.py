"""Pages of a PDF as pictures.

python -c "from latexocr.pdf import pdf_pages; next(pdf_pages('notes.pdf')).show()"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from latexocr.errors import ImageError

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

PDF_MARK = b"%PDF-"  # a PDF starts with it
DOTS_PER_INCH = 200  # a 10-point formula then has symbols some 20 px high
MAX_SIDE_PX = 5000  # of a page's picture: posters get fewer dots, not more memory

_RANGE = re.compile(r"(\d+)(?:\s*[-\u2013]\s*(\d+))?")  # \u2013: the longer dash of print


def count_pages(source: bytes | str | Path) -> int:
    """How many pages a PDF has, given as bytes or path: 1 or more.

    Raises: ImageError as pdf_pages does."""
    return len(_open(source))


def pdf_pages(
    source: bytes | str | Path, numbers: Iterable[int] | None = None
) -> Iterator[Image.Image]:
    """Pictures of the pages of a PDF, given as bytes or path, each drawn when it is asked for.

    Args: numbers of the wanted pages, counted from 1; None for all.
    Raises: ImageError if the file is missing or broken, locked by a password, has no page at all,
        or has no page of that number."""
    import pypdfium2  # slow to import, and only needed here

    document = _open(source)
    for number in range(1, len(document) + 1) if numbers is None else numbers:
        if not 1 <= number <= len(document):
            raise ImageError(f"expected a page from 1 to {len(document)}, got {number}")
        try:
            page = document[number - 1]
            scale = min(DOTS_PER_INCH / 72, MAX_SIDE_PX / max(*page.get_size(), 1))
            picture = page.render(scale=scale).to_pil()
        except pypdfium2.PdfiumError as error:
            raise ImageError(f"expected a PDF, but page {number} is broken: {error}") from error
        yield picture


def page_numbers(text: str, n_pages: int) -> list[int]:
    """What "1-3, 5" means for a PDF of n_pages pages, each page once, in the order written.

    Raises: ImageError if it is not such a text, or names a page that the PDF does not have."""
    numbers: list[int] = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = _RANGE.fullmatch(part)
        if not match:
            raise ImageError(f'expected pages like "1-3, 5", got "{part}"')
        first, last = int(match[1]), int(match[2] or match[1])
        if not 1 <= first <= last <= n_pages:
            raise ImageError(f'expected pages from 1 to {n_pages}, got "{part}"')
        numbers += range(first, last + 1)
    return list(dict.fromkeys(numbers))


def _open(source: bytes | str | Path) -> PdfDocument:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(source)
    except OSError as error:
        raise ImageError(f"expected the path of a PDF, got {source}") from error
    except pypdfium2.PdfiumError as error:
        raise ImageError(_problem(source)) from error


def _problem(source: bytes | str | Path) -> str:
    """Why a PDF cannot be opened. pypdfium2 may name an older reason where there is no page."""
    from pypdfium2 import raw

    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    if document := raw.FPDF_LoadMemDocument64(data, len(data), None):
        raw.FPDF_CloseDocument(document)
        return "expected a PDF with at least one page, got one with none"
    if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD:
        return "expected a PDF without a password, got one that is locked"
    return "expected a PDF, got a file that is none, or a broken one"
