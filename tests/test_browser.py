"""The app in a real browser: Debian's Chromium, driven by Playwright.

CHROMIUM=/path/to/chromium python -m pytest tests/test_browser.py
"""

import json
import re

from playwright.sync_api import expect

import app
from benchmarks.serving import serve
from latexocr import hub
from tests.browsing import IN_BROWSER, PHONE, Desk, Pad
from tests.test_app_pages import page_of

pytestmark = IN_BROWSER


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
    pad.page.locator(".choices .entry").nth(1).click()
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
    phone = browser.new_context(**PHONE)
    pad = Pad(phone.new_page(), counting_url)
    pad.dash(2)
    expect(pad.source).to_have_value("x_{1}")
    width = pad.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["viewport"]["width"]
    phone.close()


def test_equations_of_a_page_are_shown_and_corrected(browser, counting_url, drawn_page):
    desk = Desk(browser.new_page(), counting_url)
    desk.hand_in(drawn_page, by="picture")
    expect(desk.status).to_contain_text(re.compile(r"equation \d of 3"))
    expect(desk.boxes).to_have_count(3)
    expect(desk.boxes.nth(2)).to_have_class(re.compile("doubtful"))
    expect(desk.boxes.locator("text")).to_have_text(["1", "2", "3?"])
    expect(desk.entries.locator("annotation")).to_have_text(["x_{1}", "x_{2}", "x_{3}"])
    expect(desk.source).to_have_value("x_{1}")

    desk.boxes.nth(1).locator(".area").click()
    expect(desk.source).to_have_value("x_{2}")
    expect(desk.confidence).to_have_text("likely · 70%")
    expect(desk.page.locator(".crop img")).to_be_visible()
    desk.source.fill("a<b")
    expect(desk.formula.locator("annotation")).to_have_text("a< b")
    expect(desk.entries.locator("annotation")).to_have_text(["x_{1}", "a< b", "x_{3}"])
    desk.entries.nth(2).click()
    expect(desk.source).to_have_value("x_{3}")
    expect(desk.selected.locator("text")).to_have_text("3?")
    desk.page.locator(".desk .choices .entry").nth(1).click()
    expect(desk.source).to_have_value("y_{3}")
    expect(desk.confidence).to_have_text("chosen")
    desk.boxes.nth(1).locator(".area").click()  # what was edited is still there
    expect(desk.source).to_have_value("a<b")
    expect(desk.confidence).to_have_text("edited")

    desk.page.keyboard.press("Delete")
    expect(desk.boxes).to_have_count(2)
    expect(desk.source).to_have_value("y_{3}")
    desk.page.get_by_role("button", name="Bring back").click()
    expect(desk.boxes).to_have_count(3)
    expect(desk.source).to_have_value("a<b")
    desk.page.locator("#remove").click()
    expect(desk.boxes).to_have_count(2)

    assert desk.save("md") == "$$\nx_1\n$$\n\n$$\ny_3\n$$\n"
    assert "y_3" in desk.save("tex")
    (saved,) = json.loads(desk.save("json"))
    assert [equation["latex"] for equation in saved["equations"]] == ["x_{1}", "y_{3}"]
    assert desk.save("docx").startswith("PK")
    desk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.page.locator("#copy_align").click()
    expect(desk.page.locator("#copy_align")).to_have_class(re.compile("done"))
    copied = desk.page.evaluate("navigator.clipboard.readText()")
    assert copied == "\\begin{align}\n  x_1 \\\\\n  y_3\n\\end{align}"
    desk.page.close()


def test_an_equation_that_is_missing_can_be_marked(browser, counting_url, drawn_page):
    desk = Desk(browser.new_page(), counting_url)
    desk.hand_in(drawn_page, by="picture")
    expect(desk.entries).to_have_count(3)
    desk.boxes.nth(1).locator(".area").click()
    desk.page.keyboard.press("Delete")
    expect(desk.entries).to_have_count(2)
    desk.drag((0.02, 0.36), (0.98, 0.64))
    expect(desk.entries.locator("annotation")).to_have_text(["x_{1}", "x_{2}", "x_{3}"])
    expect(desk.source).to_have_value("x_{2}")
    expect(desk.selected.locator("text")).to_have_text("2")
    desk.drag((0.9, 0.01), (0.99, 0.1))
    expect(desk.status).to_contain_text("nothing can be read there")
    expect(desk.page.locator(".rubber")).to_have_count(0)
    expect(desk.boxes).to_have_count(3)
    desk.page.close()


def test_a_phone_marks_with_two_taps(browser, counting_url, drawn_page):
    phone = browser.new_context(**PHONE)
    desk = Desk(phone.new_page(), counting_url)
    desk.hand_in(drawn_page, by="picture")
    expect(desk.entries).to_have_count(3)
    desk.entries.nth(1).tap()
    expect(desk.source).to_have_value("x_{2}")
    desk.page.locator("#remove").tap()
    expect(desk.entries).to_have_count(2)
    desk.page.locator(".sheet").scroll_into_view_if_needed()
    desk.page.touchscreen.tap(*desk.point(0.02, 0.36))
    expect(desk.page.locator(".rubber")).to_have_count(1)
    desk.page.touchscreen.tap(*desk.point(0.98, 0.64))
    expect(desk.entries.locator("annotation")).to_have_text(["x_{1}", "x_{2}", "x_{3}"])
    assert desk.page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
    phone.close()


def test_pages_of_a_pdf_are_switched_and_keep_their_edits(browser, counting_url, tmp_path):
    pages = [page_of("l", "ll"), page_of("lll", "l")]
    pages[0].save(tmp_path / "a.pdf", save_all=True, append_images=pages[1:], resolution=200)
    (tmp_path / "bad.png").write_text("this is text")
    desk = Desk(browser.new_page(), counting_url)
    desk.hand_in(tmp_path / "bad.png", tmp_path / "a.pdf")
    expect(desk.status).to_contain_text(re.compile("page [23] of 3"))
    expect(desk.page.locator(".page-view nav")).to_have_text(re.compile("Page 1 of 2"))
    desk.source.fill("a")  # while the second page is being read
    expect(desk.entries.locator("annotation")).to_have_text(["a", "x_{2}"])
    expect(desk.status).to_contain_text("a.pdf, page 1 · 2 equations")
    expect(desk.status).to_contain_text("bad.png: expected a picture")
    desk.page.get_by_role("button", name="Next page").click()
    expect(desk.entries.locator("annotation")).to_have_text(["x_{3}", "x_{1}"])
    expect(desk.source).to_have_value("x_{3}")
    desk.page.get_by_role("button", name="Previous page").click()
    expect(desk.source).to_have_value("a")
    desk.page.get_by_role("button", name="Start again").click()
    expect(desk.page.locator("#wanted")).to_be_visible()
    desk.page.locator("#wanted input, #wanted textarea").fill("2")
    desk.hand_in(tmp_path / "a.pdf")
    expect(desk.status).to_contain_text("a.pdf, page 2 · 2 equations")
    desk.page.close()


def test_starting_again_ends_the_reading_and_nobody_else_sees_it(
    browser, counting_url, drawn_page, tmp_path
):
    desk = Desk(browser.new_page(), counting_url)
    other = Desk(browser.new_context().new_page(), counting_url)
    desk.hand_in(*[drawn_page] * 9)
    expect(desk.status).to_contain_text(re.compile(r"page \d of 9"))
    expect(other.page.locator("#wanted")).to_be_visible()
    other.page.context.close()
    desk.page.get_by_role("button", name="Start again").click()
    expect(desk.page.locator("#wanted")).to_be_visible()
    page_of("ll", "l").save(tmp_path / "other.png")
    desk.hand_in(tmp_path / "other.png")
    expect(desk.status).to_contain_text("other.png · 2 equations")
    desk.page.wait_for_timeout(3000)  # nothing of the first pages comes after
    expect(desk.entries.locator("annotation")).to_have_text(["x_{2}", "x_{1}"])
    desk.page.close()


def test_one_equation_is_simply_shown_and_a_bad_file_explained(
    browser, counting_url, write_picture, tmp_path
):
    (tmp_path / "bad.png").write_text("this is text")
    desk = Desk(browser.new_page(), counting_url)
    desk.hand_in(tmp_path / "bad.png", by="picture")
    expect(desk.page.locator(".block.trouble")).to_contain_text("bad.png: expected a picture")
    desk.hand_in(write_picture("a.png", "lll"), by="files")
    expect(desk.source).to_have_value("x_{3}")
    expect(desk.formula.locator("annotation")).to_have_text("x_{3}")
    expect(desk.page.locator(".block.listing")).not_to_be_visible()
    desk.page.close()


def test_the_model_reads_drawings_and_nothing_leaves_this_machine(browser, model_folder):
    is_trained = (hub.EMBEDDED / "recognizer" / "config.json").is_file()
    model = {} if is_trained else {"LATEXOCR_MODEL": str(model_folder)}
    with serve("app.py", **model) as (url, _):
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
