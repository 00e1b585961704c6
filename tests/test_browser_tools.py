"""What makes the app a tool: keys, fingers and pens, pasting, dropping, the webcam, corrections,
many people at once, and LaTeX that would rather do harm.

CHROMIUM=/path/to/chromium python -m pytest tests/test_browser_tools.py
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.serving import serve
from tests.browsing import DESKTOP, IN_BROWSER, IN_USE, PHONE, SCREENS, Desk, Pad
from trainer.data.examples import load_examples

pytestmark = IN_BROWSER


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a person of its own, on a computer."""
    context = browser.new_context(**DESKTOP)
    yield context.new_page()
    context.close()


# ---- Draw ----------------------------------------------------------------------------------------


def test_keys_undo_redo_clear_and_copy_unless_one_is_typing(page, counting_url):
    pad = Pad(page, counting_url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pad.dash(0)
    pad.dash(1)
    expect(pad.source).to_have_value("x_{2}")
    page.keyboard.press("Control+z")
    expect(pad.source).to_have_value("x_{1}")
    page.keyboard.press("Control+Shift+z")
    expect(pad.source).to_have_value("x_{2}")
    page.keyboard.press("Control+c")
    expect(page.locator(".papers")).to_have_class(re.compile("done"))
    assert page.evaluate("navigator.clipboard.readText()") == "x_{2}"
    pad.source.press("End")
    pad.source.press("Backspace")  # goes to the text, not to the pad
    expect(pad.source).to_have_value("x_{2")
    pad.source.blur()
    page.keyboard.press("Delete")
    expect(pad.source).to_have_value("")
    page.keyboard.press("Control+c")  # nothing to copy
    assert page.evaluate("navigator.clipboard.readText()") == "x_{2}"


COPIED = "(start) => navigator.clipboard.readText().then((text) => text.startsWith(start))"


def test_a_formula_is_handed_over_in_other_formats(page, counting_url):
    pad = Pad(page, counting_url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def button(name):
        row = page.locator(".formats").first
        return row.get_by_role("button", name=name, exact=True)

    expect(button("Word")).to_be_disabled()
    expect(button("PNG")).to_be_disabled()
    pad.dash(0)
    for name, text in {"Word": "<math", "Typst": "$ x_1 $", "$ … $": "$x_1$"}.items():
        button(name).click()
        page.wait_for_function(COPIED, arg=text)
    with page.expect_download() as download:
        button("PNG").click()
    assert download.value.suggested_filename == "equation.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    pad.source.fill("x_{")
    expect(button("Word")).to_be_disabled()
    expect(button("PNG")).to_be_disabled()
    pad.source.fill("y")
    button("$ … $").click()
    page.wait_for_function(COPIED, arg="$y$")


def test_after_quick_typing_both_tabs_come_to_rest(page, counting_url, drawn_page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    pad = Pad(page, counting_url)
    type_quickly(pad)
    assert is_at_rest(page, asked)
    page.locator(".formats").first.get_by_role("button", name="$ … $", exact=True).click()
    page.wait_for_function(COPIED, arg="$x_{11}$")  # the last that was typed
    desk = Desk(page, counting_url)
    desk.hand_in(drawn_page)
    expect(desk.entries).to_have_count(3)
    type_quickly(desk)
    assert is_at_rest(page, asked)


def type_quickly(place: Pad | Desk) -> None:
    for n in range(12):
        place.source.fill(f"x_{n}")
    expect(place.confidence).to_contain_text("edited")


def is_at_rest(page: Page, asked: list[str]) -> bool:
    """Whether the page asks the server nothing more."""
    page.wait_for_timeout(2000)
    n_asked = len(asked)
    page.wait_for_timeout(1000)
    return len(asked) == n_asked


def test_a_drawing_outlives_a_window_that_changes(page, counting_url):
    pad = Pad(page, counting_url)
    pad.dash(0)
    pad.dash(16)  # far to the right
    expect(pad.source).to_have_value("x_{2}")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    pad.wait_for_last_ink("> 0.9")  # all of it is shown, smaller
    pad.dash(2)
    expect(pad.source).to_have_value("x_{3}")
    page.set_viewport_size({"width": 1280, "height": 840})
    page.keyboard.press("Control+z")
    expect(pad.source).to_have_value("x_{2}")
    pad.wait_for_last_ink("< 0.9")


def test_the_eraser_rubs_out_and_can_be_undone(page, counting_url):
    pad = Pad(page, counting_url)
    pad.dash(0)
    pad.dash(2)
    expect(pad.source).to_have_value("x_{2}")
    pad.tool("Eraser").click()
    expect(pad.tool("Eraser")).to_have_class(IN_USE)
    pad.stroke((-100, -30), (-92, 30))
    expect(pad.source).to_have_value("x_{1}")
    pad.stroke((-52, -30), (-44, 30))  # nothing is left
    expect(pad.source).to_have_value("")
    page.keyboard.press("Control+z")
    expect(pad.source).to_have_value("x_{1}")
    pad.tool("Brush").click()
    pad.dash(4)
    expect(pad.source).to_have_value("x_{2}")


def test_clearing_can_be_undone_and_the_pen_is_at_hand_again(page, counting_url):
    pad = Pad(page, counting_url)
    expect(pad.tool("Undo")).to_be_disabled()
    pad.dash(0)
    pad.tool("Eraser").click()
    pad.tool("Clear canvas").click()
    expect(pad.source).to_have_value("")
    expect(pad.tool("Brush")).to_have_class(IN_USE)
    expect(pad.tool("Clear canvas")).to_be_disabled()
    pad.tool("Undo").click()
    expect(pad.source).to_have_value("x_{1}")
    pad.tool("Redo").click()
    expect(pad.source).to_have_value("")


def test_a_finger_draws(browser, counting_url):
    context = browser.new_context(**PHONE)
    pad = Pad(context.new_page(), counting_url)
    box = pad.pad.locator("canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = context.new_cdp_session(pad.page)
    scrolled = pad.page.evaluate("scrollY")
    for kind, dy in [("touchStart", 0), ("touchMove", 20), ("touchMove", 50), ("touchEnd", None)]:
        points = [] if dy is None else [{"x": x, "y": y + dy}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(pad.source).to_have_value("x_{1}")
    assert pad.page.evaluate("scrollY") == scrolled  # the page stays under the finger
    context.close()


def test_a_stylus_draws(page, counting_url):
    pad = Pad(page, counting_url)
    box = pad.pad.locator("canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    pen = page.context.new_cdp_session(page)
    for kind, dy in [("Moved", 0), ("Pressed", 0), ("Moved", 20), ("Moved", 40), ("Released", 40)]:
        event = {"type": f"mouse{kind}", "x": x, "y": y + dy, "pointerType": "pen", "force": 0.5}
        button = {} if (kind, dy) == ("Moved", 0) else {"button": "left", "buttons": 1}
        pen.send("Input.dispatchMouseEvent", event | button | {"clickCount": 1})
    expect(pad.source).to_have_value("x_{1}")


LIGHT = """(node) => {
    const [red, green, blue] = getComputedStyle(node).color.match(/[\\d.]+/g).map(Number);
    return (red + green + blue) / 3;
}"""


def test_in_the_dark_the_formula_is_light_and_the_paper_stays_white(page, counting_url):
    pad = Pad(page, counting_url + "?__theme=dark")
    pad.dash(0)
    expect(pad.source).to_have_value("x_{1}")  # black ink on white paper, as it is read
    assert pad.formula.locator(".katex").first.evaluate(LIGHT) > 180


def test_two_people_draw_at_once_and_each_gets_the_own_reading(browser, counting_url):
    contexts = [browser.new_context(**DESKTOP), browser.new_context(**PHONE)]
    pads = [Pad(context.new_page(), counting_url) for context in contexts]
    for n in range(2):
        for place, pad in enumerate(pads):
            if n <= place:
                pad.dash(n + 2)
    for _ in range(2):
        for place, pad in enumerate(pads):
            expect(pad.source).to_have_value(f"x_{{{place + 1}}}")
        pads[0].page.wait_for_timeout(1500)  # nothing of the other comes after
    for context in contexts:
        context.close()


def test_who_waits_long_is_told_the_place_in_the_queue(browser, page, counting_url, drawn_page):
    others = [browser.new_context(**DESKTOP) for _ in range(4)]
    crowd = [Pad(context.new_page(), counting_url) for context in others]
    pad = Pad(page, counting_url)
    for other in crowd:
        other.dash(0)
        other.dash(1)
    pad.dash(0)
    expect(page.locator(".block.waiting")).to_contain_text(re.compile(r"queue|\d\.\ds"))
    expect(pad.source).to_have_value("x_{1}")
    expect(page.locator(".waiting .wrap")).not_to_be_visible()
    for context in others:
        context.close()


HOSTILE = [
    r"\href{https://evil.example}{a}",
    r"\url{https://evil.example}",
    r"\includegraphics{https://evil.example/a.png}",
    r"\htmlClass{evil}{a}\htmlData{x=y}{b}\htmlStyle{color:red}{c}",
    r"<img src=https://evil.example/a.png onerror=window.evil=1><script>window.evil=1</script>",
    "a\n\n![x](https://evil.example/a.png) [y](https://evil.example)\n\n$$ <b>z</b> $$",
    r"\rule{9999em}{9999em}",
    r"\def\a{\a\a}\a",
]


@pytest.mark.parametrize("screen", SCREENS)
def test_hostile_latex_is_shown_but_does_nothing(browser, counting_url, screen):
    context = browser.new_context(**screen)
    page, requests = context.new_page(), []
    page.on("request", lambda request: requests.append(request.url))
    pad = Pad(page, counting_url)
    for latex in HOSTILE:
        pad.source.fill(latex)
        expect(pad.confidence).to_have_text("edited")
        page.wait_for_timeout(700)
        for harm in ("a[href]", "img", "script", "iframe", ".evil", "[data-x]"):
            expect(pad.formula.locator(harm)).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.evil") is None
    assert not [url for url in requests if "evil" in url]
    pad.source.fill("x+1")  # nothing of it stays
    expect(pad.formula.locator("annotation")).to_have_text("x+1")
    context.close()


# ---- Handing in ----------------------------------------------------------------------------------

PASTE = """([name, data, type]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], name, {type}));
    document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
}"""
DROPPED = """([name, data, type]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], name, {type}));
    return dropped;
}"""


def as_file(path: Path) -> list[str]:
    return [path.name, base64.b64encode(path.read_bytes()).decode(), "image/png"]


def test_a_picture_pasted_anywhere_is_read(page, counting_url, drawn_page):
    Pad(page, counting_url)  # the Draw tab is shown
    page.evaluate(PASTE, as_file(drawn_page))
    expect(page.locator(".listing .entry")).to_have_count(3)
    expect(page.locator(".desk .source textarea")).to_have_value("x_{1}")
    page.locator(".desk .source textarea").fill("mine")
    page.evaluate(PASTE, as_file(drawn_page))  # what is being worked on is not lost
    page.wait_for_timeout(3000)
    expect(page.locator(".desk .source textarea")).to_have_value("mine")


@pytest.mark.parametrize("target", ["files", "picture"])
def test_a_picture_dropped_is_read(page, counting_url, drawn_page, target):
    desk = Desk(page, counting_url)
    dropped = page.evaluate_handle(DROPPED, as_file(drawn_page))
    zone = page.locator(f"#{target} button").filter(has=page.locator("input[type=file]")).first
    expect(zone).to_be_visible()
    zone.dispatch_event("drop", {"dataTransfer": dropped})
    expect(desk.entries).to_have_count(3)


@pytest.mark.parametrize("target", ["files", "picture"])
def test_what_an_iphone_writes_is_read(page, counting_url, drawn_page, tmp_path, target):
    pillow_heif.from_pillow(Image.open(drawn_page)).save(tmp_path / "a.heic")
    # As a browser names it where the system knows the format.
    photo = {"name": "IMG_1.HEIC", "mimeType": "image/heic"}
    photo["buffer"] = (tmp_path / "a.heic").read_bytes()
    desk = Desk(page, counting_url)
    page.locator(f"#{target} input[type=file]").first.set_input_files([photo])
    expect(desk.entries).to_have_count(3)


def test_the_webcam_takes_a_picture_that_is_read(page, counting_url):
    desk = Desk(page, counting_url)
    page.context.grant_permissions(["camera"])
    page.locator("#picture").get_by_label("Capture from camera").click()
    page.locator("#picture").get_by_text(re.compile("webcam", re.IGNORECASE)).click()
    # A person takes a picture of what is seen.
    page.wait_for_function("document.querySelector('#picture video')?.videoWidth > 0")
    page.locator("#picture").get_by_label("capture photo").click()
    expect(desk.page.locator(".page-view .sheet img")).to_be_visible()


# ---- Corrections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", SCREENS)
def test_corrections_of_both_tabs_are_kept_where_the_app_says(
    browser, screen, tmp_path, drawn_page
):
    kept = tmp_path / "kept"
    context = browser.new_context(**screen)
    with serve("-m", "tests.counting_app", "--corrections", str(kept)) as (url, _):
        pad = Pad(context.new_page(), url)
        expect(pad.page.get_by_text("Nothing is sent anywhere").first).to_be_visible()
        pad.dash(2)
        expect(pad.source).to_have_value("x_{1}")
        pad.source.fill("x_{")
        expect(pad.confidence).to_have_text("edited")
        pad.page.locator("#save_drawing").click()
        expect(pad.page.locator(".block.saved").first).to_contain_text("Not saved: expected")
        expect(pad.source).to_have_value("x_{")
        pad.source.fill("l_1")
        expect(pad.page.locator(".block.saved").first).to_have_text("")
        pad.page.locator("#save_drawing").click()
        expect(pad.page.locator(".block.saved").first).to_contain_text("Saved.")
        desk = Desk(pad.page, url)
        desk.hand_in(drawn_page)
        expect(desk.entries).to_have_count(3)
        desk.source.fill("l_2")
        expect(desk.confidence).to_have_text("edited")
        desk.page.locator("#save_item").click()
        expect(desk.page.locator(".desk .block.saved")).to_contain_text("Saved.")
        assert desk.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
    assert sorted(example.latex for example in load_examples(str(kept))) == ["l_1", "l_2"]


def test_without_a_place_for_corrections_nobody_is_asked(page, counting_url):
    Pad(page, counting_url)
    expect(page.locator("#save_drawing")).not_to_be_visible()
