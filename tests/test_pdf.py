"""Pages of PDFs: which are wanted, how many there are, and what no page can be had from."""

import io
from contextlib import nullcontext
from pathlib import Path

import pypdfium2
import pytest

from latexocr.errors import ImageError
from latexocr.pdf import count_pages, page_numbers, pdf_pages
from tests.conftest import draw

LOCKED = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>> endobj
4 0 obj <</Filter/Standard/V 1/R 2/P -4/O<OWNER>/U<USER>>> endobj
trailer <</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]/Size 5>>
""".replace(b"OWNER", b"ab" * 32).replace(b"USER", b"cd" * 32)


def empty_pdf() -> bytes:
    pypdfium2.PdfDocument.new().save(data := io.BytesIO())
    return data.getvalue()


def write_pdf(path: Path, *letters: str) -> Path:
    """A PDF with one page for each text; one pixel of the drawing is one pixel of the page."""
    pages = [draw(text) for text in letters]
    pages[0].save(path, save_all=True, append_images=pages[1:], resolution=200)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2", [2], id="one"),
        pytest.param("1-3, 5", [1, 2, 3, 5], id="range and one"),
        pytest.param(" 5 ,1 \u2013 2,", [5, 1, 2], id="order, spaces, long dash, comma at the end"),
        pytest.param("1-3,2", [1, 2, 3], id="each once"),
        pytest.param("", [], id="none"),
        pytest.param("6", ImageError, id="beyond the end"),
        pytest.param("0-2", ImageError, id="before the start"),
        pytest.param("3-1", ImageError, id="backwards"),
        pytest.param("1-9999999999", ImageError, id="range beyond the end"),
        pytest.param("all", ImageError, id="words"),
        pytest.param("-3", ImageError, id="no start"),
    ],
)
def test_page_numbers(text, expected):
    with (
        pytest.raises(expected, match="expected pages") if expected is ImageError else nullcontext()
    ):
        assert page_numbers(text, n_pages=5) == expected


def test_wanted_pages_come_in_the_order_asked_for(tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "x", "LT", "+++")
    assert count_pages(path) == 3
    sizes = [draw(letters).size for letters in ("+++", "x")]
    assert [page.size for page in pdf_pages(path, [3, 1])] == sizes
    assert len(list(pdf_pages(path))) == 3
    with pytest.raises(ImageError, match="page from 1 to 3, got 4"):
        next(pdf_pages(path, [4]))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(empty_pdf(), "at least one page", id="no pages"),
        pytest.param(LOCKED, "without a password", id="locked"),
        pytest.param(b"%PDF-1.4 and then nothing", "broken", id="broken"),
        pytest.param(b"", "broken", id="empty"),
    ],
)
def test_what_has_no_pages_is_reported(content, problem):
    for look in (count_pages, lambda source: next(pdf_pages(source))):
        with pytest.raises(ImageError, match=problem):
            look(content)


def test_a_missing_pdf_is_reported_by_its_path(tmp_path):
    with pytest.raises(ImageError, match=r"path of a PDF, got .*none\.pdf"):
        count_pages(tmp_path / "none.pdf")
