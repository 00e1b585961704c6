"""Write formulas with the mouse in the app, say what it reads, and take pictures of it.

python scripts/screenshots.py --out docs          draw.png and so on, on a computer
python scripts/screenshots.py --out /tmp --all    dark mode and a phone too

It needs requirements-dev.txt and Chromium (apt install chromium, or CHROMIUM=/path/to/it).
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from math import cos, pi, sin
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
TIMEOUT_MS = 300_000

Points = list[tuple[float, float]]


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse, from start to end in turns; 0 is right, 0.25 is down."""
    angles = [2 * pi * (start + (end - start) * i / 12) for i in range(13)]
    return [(cx + rx * cos(a), cy + ry * sin(a)) for a in angles]


# Strokes of each symbol in a box 1 high, y downwards; small letters use its lower part.
SYMBOLS: dict[str, list[Points]] = {
    "x": [[(0.0, 0.4), (0.28, 0.72), (0.5, 1.0)], [(0.5, 0.38), (0.2, 0.75), (0.0, 1.0)]],
    "y": [[(0.0, 0.4), (0.12, 0.7), (0.27, 0.74)], [(0.5, 0.4), (0.28, 0.95), (0.05, 1.35)]],
    "a": [[*arc(0.25, 0.7, 0.23, 0.28, -0.1, -0.97), (0.47, 0.5), (0.49, 0.9), (0.6, 1.0)]],
    "b": [[(0.05, 0.0), (0.05, 0.95), *arc(0.25, 0.72, 0.21, 0.26, 0.45, 1.4)]],
    "e": [[(0.05, 0.7), (0.4, 0.66), *arc(0.25, 0.7, 0.22, 0.28, -0.05, -0.85)]],
    "i": [[(0.1, 0.42), (0.1, 0.9), (0.2, 1.0)], [(0.11, 0.16), (0.13, 0.2)]],
    "n": [[(0.03, 0.42), (0.03, 1.0), *arc(0.23, 0.62, 0.19, 0.22, 0.55, 1.0), (0.44, 1.0)]],
    "pi": [
        [(0.0, 0.46), (0.6, 0.44)],
        [(0.16, 0.46), (0.12, 1.0)],
        [(0.42, 0.46), (0.42, 0.95), (0.52, 1.0)],
    ],
    "0": [arc(0.26, 0.5, 0.26, 0.5, -0.2, -1.2)],
    "1": [[(0.1, 0.02), (0.1, 1.0)]],
    "2": [[*arc(0.25, 0.27, 0.25, 0.27, -0.5, 0.1), (0.0, 1.0), (0.52, 0.98)]],
    "+": [[(0.0, 0.6), (0.5, 0.6)], [(0.25, 0.33), (0.25, 0.87)]],
    "=": [[(0.0, 0.5), (0.5, 0.49)], [(0.0, 0.72), (0.5, 0.72)]],
    "bar": [[(0.0, 0.0), (1.0, 0.01)]],
    "root": [[(0.0, 0.6), (0.1, 0.5), (0.25, 1.0), (0.45, -0.1), (2.6, -0.12)]],
    "sum": [[(0.75, 0.05), (0.0, 0.03), (0.4, 0.5), (0.0, 1.0), (0.8, 0.98)]],
}  # fmt: skip

# LaTeX -> symbols with left, top and height on a paper 10 wide and 4 high.
FORMULAS: dict[str, list[tuple[str, float, float, float]]] = {
    "x^{2}+y^{2}=1": [
        ("x", 2.0, 1.4, 1.1), ("2", 2.7, 1.0, 0.6), ("+", 3.4, 1.4, 1.1), ("y", 4.3, 1.4, 1.1),
        ("2", 5.05, 1.0, 0.6), ("=", 5.8, 1.4, 1.1), ("1", 6.8, 1.4, 1.1),
    ],
    r"\frac{a+b}{2}": [
        ("a", 3.6, 0.5, 1.0), ("+", 4.5, 0.5, 1.0), ("b", 5.4, 0.45, 1.0), ("bar", 3.3, 1.9, 2.8),
        ("2", 4.5, 2.2, 1.0),
    ],
    r"\sqrt{x+1}": [
        ("root", 3.0, 1.2, 1.3), ("x", 3.9, 1.3, 1.1), ("+", 4.8, 1.25, 1.1), ("1", 5.8, 1.3, 1.0),
    ],
    r"e^{i\pi}+1=0": [
        ("e", 1.8, 1.4, 1.1), ("i", 2.4, 1.05, 0.6), ("pi", 2.65, 1.0, 0.65), ("+", 3.5, 1.4, 1.1),
        ("1", 4.6, 1.4, 1.1), ("=", 5.2, 1.4, 1.1), ("0", 6.2, 1.4, 1.1),
    ],
    r"\sum_{n=1}^{x}n": [
        ("sum", 3.5, 1.0, 1.4), ("n", 3.3, 2.6, 0.6), ("=", 3.75, 2.6, 0.6), ("1", 4.3, 2.6, 0.6),
        ("x", 3.85, 0.1, 0.65), ("n", 5.1, 1.2, 1.1),
    ],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--all", action="store_true", help="dark mode and a phone too")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with subprocess.Popen([sys.executable, "app.py", "--port", port], cwd=ROOT) as server:
        try:
            take_all(f"http://127.0.0.1:{port}/", arguments.out, arguments.all)
        finally:
            server.terminate()


def take_all(url: str, out: Path, every_look: bool) -> None:
    wait_until_up(url)
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = open_page(browser, url)
        for n, wanted in enumerate(FORMULAS):
            write(page, FORMULAS[wanted])
            read = settled_source(page)
            print(wanted, read, page.locator(".confidence").first.inner_text(), sep="\t")
            page.screenshot(path=out / ("draw.png" if n == 0 else f"draw_{n + 1}.png"))
            page.get_by_role("button", name="Clear canvas").first.click()
            page.wait_for_function("!document.querySelector('.source textarea').value")
        if every_look:
            look(open_page(browser, url + "?__theme=dark"), out / "dark.png")
            phone = {"width": 390, "height": 844}
            look(open_page(browser, url, viewport=phone, is_mobile=True), out / "phone.png")


def look(page: Page, path: Path) -> None:
    write(page, FORMULAS[r"\frac{a+b}{2}"])
    settled_source(page)
    page.screenshot(path=path, full_page=True)


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
    page.wait_for_selector(".pad:visible .toolbar-wrap button.highlight")
    return page


def write(page: Page, formula: list[tuple[str, float, float, float]]) -> None:
    box = page.locator(".pad:visible canvas").first.bounding_box()
    unit = min(box["width"] / 10, box["height"] / 4.7)
    x0, y0 = box["x"] + box["width"] / 2 - 5 * unit, box["y"] + box["height"] / 2 - 2 * unit
    for symbol, left, top, height in formula:
        for stroke in SYMBOLS[symbol]:
            for n, (x, y) in enumerate(stroke):
                x, y = x0 + (left + x * height) * unit, y0 + (top + y * height) * unit
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
