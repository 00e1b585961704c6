"""Pages of a PDF as pictures.

python -c "from latexocr.pdf import pdf_pages; next(pdf_pages('notes.pdf')).show()"
"""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from latexocr.errors import ImageError

PDF_MARK = b"%PDF-"  # a PDF starts with it
DOTS_PER_INCH = 200  # a 10-point formula then has symbols some 20 px high
MAX_SIDE_PX = 5000  # of a page's picture: posters get fewer dots, not more memory


def pdf_pages(source: bytes | str | Path) -> Iterator[Image.Image]:
    """Pictures of the pages of a PDF, given as bytes or path, each drawn when it is asked for.

    Raises: ImageError if the file is missing or broken, or locked by a password."""
    import pypdfium2  # slow to import, and only needed here

    try:
        document = pypdfium2.PdfDocument(source)
        for page in document:
            scale = min(DOTS_PER_INCH / 72, MAX_SIDE_PX / max(*page.get_size(), 1))
            yield page.render(scale=scale).to_pil()
    except (pypdfium2.PdfiumError, OSError) as error:
        raise ImageError(f"expected a PDF without a password, but: {error}") from error
