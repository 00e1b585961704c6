"""How long a person at the pad waits: from lifting the pen to seeing the formula typeset.

python -m benchmarks.draw_latency               20 strokes in Chromium, the app is started
python -m benchmarks.draw_latency --strokes 5   a quick look

A formula of fifteen tokens is drawn with the mouse. Its last stroke is then taken back and drawn
again, so often; each time the page itself measures from `pointerup` until the formula of the whole
drawing has been painted. It needs Chromium (apt install chromium, or CHROMIUM=/path/to/it).
"""

import argparse
import os
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.serving import serve
from benchmarks.stored import RESULTS, store
from scripts.drawings import strokes
from scripts.screenshots import open_page, settled_source

FORMULA = "x^{2}+y^{2}=1+n"
TIMEOUT_MS = 60_000
SETTLED_MS = 6000  # nothing changes for so long: all strokes have been read

TYPESET = "() => document.querySelector('.formula annotation')?.textContent ?? ''"

# Waits until the formula of the whole drawing stands there, and has been painted.
WATCH = """(whole) => {
    const formula = document.querySelector(".formula");
    window.waited = null;
    let lifted = null;
    const lift = () => { lifted = performance.now(); };
    document.addEventListener("pointerup", lift, {capture: true, once: true});
    const watcher = new MutationObserver(() => {
        if (lifted === null || formula.querySelector("annotation")?.textContent !== whole) return;
        watcher.disconnect();
        requestAnimationFrame(() => setTimeout(() => {
            window.waited = performance.now() - lifted;
        }));
    });
    watcher.observe(formula, {subtree: true, childList: true, characterData: true});
}"""


def measure(page: Page, n_strokes: int) -> tuple[list[float], str]:
    """Milliseconds of each repetition, and what was read of the whole drawing.

    Raises: RuntimeError if the drawing without its last stroke is read in the same way."""
    box = page.locator(".pad canvas").first.bounding_box()
    points = strokes(FORMULA, (box["x"], box["y"], box["width"], box["height"]))
    for stroke in points:
        draw(page, stroke)
    read, whole = settled_source(page, quiet_ms=SETTLED_MS), page.evaluate(TYPESET)
    times = []
    for _ in range(n_strokes):
        page.keyboard.press("Control+z")
        settled_source(page, quiet_ms=SETTLED_MS // 4)
        if page.evaluate(TYPESET) == whole:
            raise RuntimeError(f"expected another reading without the last stroke, got {whole}")
        page.evaluate(WATCH, whole)
        draw(page, points[-1])
        page.wait_for_function("window.waited !== null", timeout=TIMEOUT_MS)
        times.append(page.evaluate("window.waited"))
    return times, read


def draw(page: Page, stroke: list[tuple[float, float]]) -> None:
    page.mouse.move(*stroke[0])
    page.mouse.down()
    for x, y in stroke[1:]:
        page.mouse.move(x, y)
    page.mouse.up()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for draw_latency.json")
    arguments = parser.parse_args()
    with serve("app.py") as (url, _), sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        times, read = measure(open_page(browser, url), arguments.strokes)
        version = browser.version
        browser.close()
    record = {
        "formula": FORMULA,
        "read": read,
        "median_ms": round(statistics.median(times), 1),
        "times_ms": [round(time, 1) for time in times],
        "browser": f"Chromium {version}",
    }
    cores = len(os.sched_getaffinity(0))
    print(store("draw_latency", cores, record, arguments.out).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
