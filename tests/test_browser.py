"""The app in a real browser: Debian's Chromium, driven by Playwright.

CHROMIUM=/path/to/chromium python -m pytest tests/test_browser.py
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

import app
from latexocr import hub

ROOT = Path(__file__).parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
IN_USE = re.compile("highlight")  # a class of the tool in hand
TIMEOUT_S = 500  # a browser that draws without a graphics card takes seconds for a stroke

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="needs Chromium (apt install chromium, or CHROMIUM=/path/to/it)",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "CI must run the browser tests: install chromium"
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@contextmanager
def serve(*command: str, **environment: str) -> Iterator[str]:
    """Runs an app on a free port while the block lasts. Gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    command = (sys.executable, *command, "--port", str(port))
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}) as server:
        try:
            wait_until_up(url, server)
            yield url
        finally:
            server.terminate()


def wait_until_up(url: str, server: subprocess.Popen) -> None:
    for _ in range(2 * TIMEOUT_S):
        assert server.poll() is None, f"the app ended with exit status {server.returncode}"
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"nothing at {url} after {TIMEOUT_S} s")


@pytest.fixture(scope="module")
def counting_url() -> Iterator[str]:
    with serve("-m", "tests.counting_app") as url:
        yield url


class Pad:
    """The pad that a page shows, and the result below it."""

    def __init__(self, page: Page, url: str, shape: str = "wide") -> None:
        page.set_default_timeout(TIMEOUT_S * 1000)
        expect.set_options(timeout=TIMEOUT_S * 1000)
        page.goto(url)
        self.page = page
        self.pad = page.locator(f".pad.{shape}")
        self.source = page.locator(".source textarea").first
        self.formula = page.locator(".formula").first
        self.confidence = page.locator(".confidence").first
        expect(self.tool("Brush")).to_have_class(IN_USE)

    def tool(self, name: str) -> Locator:
        return self.pad.get_by_role("button", name=name, exact=True)

    def stroke(self, *points: tuple[float, float]) -> None:
        """Draws with the mouse through points in pixels from the middle of the paper."""
        box = self.pad.locator("canvas").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.page.mouse
        mouse.move(x + points[0][0], y + points[0][1])
        mouse.down()
        for dx, dy in points[1:]:
            mouse.move(x + dx, y + dy, steps=3)
        mouse.up()

    def dash(self, place: int) -> None:
        """One short stroke; those at different places do not touch."""
        x = 24 * place - 100
        self.stroke((x, -20), (x + 8, 20))


def test_every_stroke_is_read_and_the_newest_drawing_wins(browser, counting_url):
    pad = Pad(browser.new_page(), counting_url)
    pad.dash(0)
    expect(pad.source).to_have_value("x_{1}")
    for place in range(1, 6):  # faster than they can be read
        pad.dash(place)
    expect(pad.source).to_have_value("x_{6}")
    pad.page.wait_for_timeout(3000)  # nothing older comes after
    expect(pad.source).to_have_value("x_{6}")
    expect(pad.confidence).to_have_text("sure · 95%")
    pad.page.close()


def test_clearing_and_undoing_are_read_like_strokes(browser, counting_url):
    pad = Pad(browser.new_page(), counting_url)
    pad.dash(0)
    pad.dash(1)
    expect(pad.source).to_have_value("x_{2}")
    pad.tool("Undo").click()
    expect(pad.source).to_have_value("x_{1}")
    pad.dash(2)
    pad.tool("Clear canvas").click()  # while the dash before is still being read
    expect(pad.source).to_have_value("")
    pad.page.wait_for_timeout(3000)
    expect(pad.source).to_have_value("")
    expect(pad.formula).to_have_text(app.DRAW_HINT)
    expect(pad.confidence).to_have_text("")
    pad.dash(3)  # the pen is still at hand
    expect(pad.source).to_have_value("x_{1}")
    pad.page.close()


def test_readings_can_be_chosen_and_edited(browser, counting_url):
    pad = Pad(browser.new_page(), counting_url)
    pad.dash(0)
    pad.page.locator(".choices button").nth(1).click()
    expect(pad.source).to_have_value("y_{1}")
    expect(pad.formula.locator("annotation")).to_have_text("y_{1}")
    expect(pad.confidence).to_have_text("chosen")
    pad.source.fill(r"\frac{a}{b}")  # pasted: no key is pressed
    expect(pad.formula.locator("annotation")).to_have_text(r"\frac{a}{b}")
    expect(pad.confidence).to_have_text("edited")
    pad.dash(1)
    expect(pad.source).to_have_value("x_{2}")
    pad.page.close()


def test_a_phone_has_a_paper_that_fits(browser, counting_url):
    screen = {"width": 390, "height": 844}
    phone = browser.new_context(viewport=screen, has_touch=True, is_mobile=True)
    pad = Pad(phone.new_page(), counting_url, shape="tall")
    pad.dash(2)
    expect(pad.source).to_have_value("x_{1}")
    width = pad.page.evaluate("document.documentElement.scrollWidth")
    assert width <= screen["width"]
    phone.close()


def test_an_upload_is_read_and_a_bad_one_explained(browser, counting_url, write_picture, tmp_path):
    page = browser.new_page()
    Pad(page, counting_url)
    page.get_by_role("tab", name="Upload").click()
    picture = page.locator("#picture input[type=file]")
    picture.set_input_files(write_picture("a.png", "lll"))
    source = page.locator(".source textarea").nth(1)
    expect(source).to_have_value("x_{3}")
    page.locator("#picture .icon-button-wrapper button").click()
    expect(source).to_have_value("")
    (tmp_path / "bad.png").write_text("this is text")
    picture.set_input_files(tmp_path / "bad.png")
    expect(page.locator(".formula").nth(1)).to_contain_text("cannot be read")
    page.close()


def test_the_model_reads_drawings_and_nothing_leaves_this_machine(browser, model_folder):
    is_trained = (hub.EMBEDDED / "recognizer" / "config.json").is_file()
    model = {} if is_trained else {"LATEXOCR_MODEL": str(model_folder)}
    with serve("app.py", **model) as url:
        page, requests = browser.new_page(), []
        page.on("request", lambda request: requests.append(request.url))
        pad = Pad(page, url)
        pad.stroke((-40, -40), (40, 40))
        expect(pad.source).not_to_have_value("")
        expect(pad.confidence).to_contain_text("%")
        first = pad.source.input_value()
        pad.stroke((40, -40), (-40, 40))
        expect(pad.source).not_to_have_value(first)
        pad.tool("Clear canvas").click()
        expect(pad.source).to_have_value("")
        outside = [u for u in requests if not u.startswith((url, "data:", "blob:"))]
        assert not outside
        page.close()
