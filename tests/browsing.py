"""Chromium, and the parts of the app's page that a test works with."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
IN_USE = re.compile("highlight")  # a class of the tool in hand
TIMEOUT_S = 120  # a browser that draws without a graphics card takes seconds for a stroke
DESKTOP = {"viewport": {"width": 1280, "height": 840}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# The share of its width up to which a canvas has ink, as it is shown.
LAST_INK = """(paper) => {
    const {data} = paper.getContext("2d").getImageData(0, 0, paper.width, paper.height);
    let last = NaN;  // which is neither here nor there
    for (let i = 3; i < data.length; i += 4) {
        const column = (i >> 2) % paper.width;
        if (data[i] > 127 && !(column <= last)) last = column;
    }
    return last / paper.width;
}"""
SCREENS = [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")]

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"),
        reason="needs Chromium (apt install chromium, or CHROMIUM=/path/to/it)",
    ),
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser whose webcam shows a test picture."""
    assert CHROMIUM, "CI must run the browser tests: install chromium"
    options = [
        *("--no-sandbox", "--disable-dev-shm-usage"),
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


class Pad:
    """The pad of a page, and the result below it."""

    def __init__(self, page: Page, url: str) -> None:
        page.set_default_timeout(TIMEOUT_S * 1000)
        expect.set_options(timeout=TIMEOUT_S * 1000)
        page.goto(url)
        self.page = page
        self.pad = page.locator(".pad")
        self.source = page.locator(".source textarea").first
        self.formula = page.locator(".formula").first
        self.confidence = page.locator(".confidence").first
        expect(self.tool("Brush")).to_have_class(IN_USE)
        page.wait_for_function("!!window.copyText")  # app_keys.js runs a moment later

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

    def wait_for_last_ink(self, where: str) -> None:
        """Until what is farthest to the right is there, as "> 0.9" of the paper's width: a paper
        follows its window's size a moment later."""
        paper = self.pad.locator("canvas").element_handle()
        self.page.wait_for_function(f"(paper) => ({LAST_INK})(paper) {where}", arg=paper)

    def dash(self, place: int) -> None:
        """One short stroke; those at different places do not touch."""
        x = 24 * place - 100
        self.stroke((x, -20), (x + 8, 20))


class Desk:
    """The Upload tab, where pages are handed in and corrected."""

    def __init__(self, page: Page, url: str) -> None:
        page.set_default_timeout(TIMEOUT_S * 1000)
        expect.set_options(timeout=TIMEOUT_S * 1000)
        page.goto(url)
        page.get_by_role("tab", name="Upload").click()
        self.page = page
        self.boxes = page.locator(".page-view .box")
        self.selected = page.locator(".page-view .box.selected")
        self.entries = page.locator(".listing .entry")
        self.source = page.locator(".desk .source textarea")
        self.formula = page.locator(".desk .block.formula")
        self.confidence = page.locator(".desk .block.confidence")
        self.status = page.locator(".block.status")

    def hand_in(self, *paths: Path, by: str = "files") -> None:
        self.page.locator(f"#{by} input[type=file]").first.set_input_files(paths)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the page, in shares of its sides, is on the screen."""
        box = self.page.locator(".sheet > svg").bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.point(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(*end), steps=5)
        self.page.mouse.up()

    def save(self, kind: str) -> str:
        with self.page.expect_download() as download:
            self.page.locator(f"#save_{kind}").click()
        assert download.value.suggested_filename == f"equations.{kind}"
        return Path(download.value.path()).read_text(errors="replace")
