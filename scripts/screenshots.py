"""Write formulas with the mouse in the app, hand in a page of them, and take pictures of it.

python -m scripts.screenshots --out docs          draw*.png and upload*.png: light, dark, phone
python -m scripts.screenshots --out /tmp --say    says what is read of each formula, no pictures

It needs requirements-dev.txt and Chromium (apt install chromium, or CHROMIUM=/path/to/it). Nothing
but our own drawings is shown.
"""

import argparse
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from scripts import drawings
from scripts.drawings import FORMULAS, strokes

ROOT = Path(__file__).parents[1]
TIMEOUT_MS = 300_000
WRITTEN = r"x^{2}+y^{2}=1"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# What a picture's name says: what is added to the address, and the browser's options.
LOOKS: dict[str, tuple[str, dict]] = {
    "": ("", {}),
    "_dark": ("?__theme=dark", {}),
    "_phone": ("", PHONE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--say", action="store_true", help="only say what is read")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (
        subprocess.Popen([sys.executable, "app.py", "--port", port], cwd=ROOT) as server,
        sync_playwright() as playwright,
    ):
        try:
            url = f"http://127.0.0.1:{port}/"
            wait_until_up(url)
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            say(browser, url) if arguments.say else take_all(browser, url, arguments.out)
        finally:
            server.terminate()


def say(browser: Browser, url: str) -> None:
    """Print each formula, what is read of it, and how sure that is."""
    page = open_page(browser, url)
    for wanted in FORMULAS:
        write(page, wanted)
        read = settled_source(page)
        print(wanted, read, page.locator(".confidence .badge").first.inner_text(), sep="\t")
        page.get_by_role("button", name="Clear canvas").first.click()
        page.wait_for_function("!document.querySelector('.source textarea').value")


def take_all(browser: Browser, url: str, out: Path) -> None:
    for look, (query, options) in LOOKS.items():
        page = open_page(browser, url + query, **options)
        write(page, WRITTEN)
        settled_source(page)
        page.screenshot(path=out / f"draw{look}.png", full_page=bool(options))
        page.close()
        page = open_page(browser, url + query, **options)
        hand_in(page)
        page.screenshot(path=out / f"upload{look}.png", full_page=bool(options))
        page.close()


def hand_in(page: Page) -> None:
    """Upload a page of our formulas, and wait until all of it is read."""
    page.get_by_role("tab", name="Upload").click()
    drawings.page(list(FORMULAS)[:4]).save(picture := io.BytesIO(), "PNG")
    file = {"name": "notes.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.locator("#files input[type=file]").set_input_files(files=[file])
    page.get_by_text(re.compile(r"notes\.png · \d equations")).wait_for()
    page.wait_for_timeout(1000)


def wait_until_up(url: str) -> None:
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.5)


def open_page(browser: Browser, url: str, **options: object) -> Page:
    page = browser.new_page(**({"viewport": {"width": 1280, "height": 840}} | options))
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    page.wait_for_selector(".pad button.highlight")
    return page


def write(page: Page, latex: str) -> None:
    """Draw a formula with the mouse."""
    box = page.locator(".pad canvas").first.bounding_box()
    for stroke in strokes(latex, (box["x"], box["y"], box["width"], box["height"])):
        for n, (x, y) in enumerate(stroke):
            page.mouse.move(x, y, steps=3)
            if n == 0:
                page.mouse.down()
        page.mouse.up()


def settled_source(page: Page, quiet_ms: int = 4000) -> str:
    """The LaTeX in the source box, once it has not changed for a while."""
    source, last = page.locator(".source textarea").first, ""
    while True:
        page.wait_for_timeout(quiet_ms)
        if last and source.input_value() == last:
            return last
        last = source.input_value()


if __name__ == "__main__":
    main()
