"""What several tests need: a tiny model in a folder, pictures drawn here, a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from tests.tiny import STROKES, tiny_recognizer

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as LatexOCR takes it, with a recogniser of random weights."""
    folder = tmp_path_factory.mktemp("model")
    tiny_recognizer().save_pretrained(folder / "recognizer")
    return folder


def draw(letters: str, size_px: int = 40, pen_px: int = 4) -> Image.Image:
    """A picture of letters beside each other, black on white."""
    picture = Image.new("RGB", (int(size_px * (1.5 * len(letters) + 1)), size_px * 2), "white")
    pen = ImageDraw.Draw(picture)
    for place, letter in enumerate(letters):
        left, top = size_px * (0.5 + 1.5 * place), size_px * 0.5
        for stroke in STROKES[letter]:
            points = [(left + x * size_px / 100, top + y * size_px / 100) for x, y in stroke]
            pen.line(points, fill="black", width=pen_px, joint="curve")
    return picture


@pytest.fixture
def write_picture(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a picture of letters below tmp_path; without letters, blank paper. Returns its
    path."""

    def write(name: str, letters: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(letters).save(path)
        return str(path)

    return write


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    from tests.browsing import chromium  # most tests do without Playwright

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def counting_url() -> Iterator[str]:
    """The address of an app that counts strokes, see counting_app.py."""
    from benchmarks.serving import serve

    with serve("-m", "tests.counting_app") as (url, _):
        yield url


@pytest.fixture
def drawn_page(tmp_path: Path) -> Path:
    """A page of three equations: of one stroke, of two, of three."""
    from tests.test_app_pages import page_of

    page_of("l", "ll", "lll").save(tmp_path / "page.png")
    return tmp_path / "page.png"
