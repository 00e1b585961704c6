"""The Upload tab without a browser: pages read, shown, corrected and written out."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from docx import Document as WordDocument
from PIL import Image

import app_desk
import app_pages
from app_corrections import Saver
from app_desk import Work
from app_document import DISPLAY_SIDE_PX, Document, Sheet
from app_exports import as_align, as_blocks, as_docx, as_json, as_markdown, as_tex
from app_pages import Reader
from latexocr.corrections import FolderCorrections
from latexocr.pipeline import Equation, LatexOCR, Page
from latexocr.recognizer import Reading
from latexocr.regions import own_ink
from tests import counting_app
from tests.conftest import draw
from tests.counting_app import Counter
from tests.test_pdf import LOCKED, empty_pdf, write_pdf


@pytest.fixture
def reader(monkeypatch):
    """Events of a model that counts strokes, and takes no time for it."""
    monkeypatch.setattr(counting_app, "SECONDS_PER_READING", 0)
    return Reader(Counter)


def page_of(*lines: str) -> Image.Image:
    """A page with one equation per text, below each other."""
    rows = [draw(line) for line in lines]
    page = Image.new("RGB", (max(row.width for row in rows), 180 * len(rows)), "white")
    for place, row in enumerate(rows):
        page.paste(row, (0, 180 * place + 40))
    return page


@pytest.fixture
def upload(tmp_path):
    """Stores a picture or bytes as Gradio does; returns its note of the file."""

    def upload(name: str, content: Image.Image | bytes) -> dict:
        path = tmp_path / f"stored_{name}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path)
        return {"path": str(path), "orig_name": name}

    return upload


def read(reader: Reader, *files: dict, wanted: str = "") -> tuple[Document, list[Work]]:
    """The document that comes of files, and all that was shown on the way."""
    steps = list(reader.read_files(list(files), wanted))
    documents = [step.document for step in steps if isinstance(step.document, Document)]
    return documents[-1], steps


def event(**data) -> SimpleNamespace:
    return SimpleNamespace(**data)


def latexes(document: Document) -> list[str]:
    return [item.latex for item in document.sheet.items]


# ---- reading -----------------------------------------------------------------------------------


def test_a_page_is_shown_at_once_and_then_its_equations_in_reading_order(reader, upload):
    document, steps = read(reader, upload("a.png", page_of("l", "ll", "lll")))
    first, last = steps[0], steps[-2]
    assert first.desk["visible"] and not first.inbox["visible"]
    assert first.view["value"]["busy"] and first.view["picture"].startswith("data:image/jpeg;")
    assert latexes(document) == ["x_{1}", "x_{2}", "x_{3}"]
    boxes = last.view["boxes"]
    assert [(box["number"], box["kind"]) for box in boxes] == [
        (1, "sure"),
        (2, "likely"),
        (3, "doubtful"),
    ]
    assert last.source == "x_{1}" and last.written == boxes[0]["id"]
    assert last.listing.count('class="entry"') == 3
    assert '<span class="badge doubtful">3 ?</span>\n\n$$\nx_{3}\n$$' in last.listing
    assert "3 equations · 1 doubtful" in steps[-1].status
    json.dumps(last.view)


def test_progress_counts_pages_and_equations(reader, upload):
    files = [upload(f"{n}.png", page_of("l", "ll")) for n in range(3)]
    _, steps = read(reader, *files)
    told = " ".join(step.status for step in steps if isinstance(step.status, str))
    assert "page 1 of 3 · Looking for equations" in told
    assert "page 2 of 3 · equation 1 of 2" in told
    assert "page" not in app_desk.progress((1, 1), (5, 12)).split("width")[0]


def test_one_equation_is_simply_shown(upload, model_folder):
    tiny = LatexOCR(model_folder)  # it has no detector
    document, steps = read(Reader(lambda: tiny), upload("a.png", draw("x")))
    (item,), shown = document.sheet.items, steps[-2]
    assert item.box == (0, 0, *draw("x").size)
    assert shown.source == item.reading.latex
    assert shown.view["boxes"] == []
    assert "<img" not in shown.crop
    assert not shown.several["visible"]


def test_a_blank_page_can_still_be_marked(reader, upload):
    document, steps = read(reader, upload("a.png", Image.new("RGB", (300, 400), "white")))
    assert "no equation found" in steps[-1].status
    assert steps[-2].formula.startswith("No equation found: mark one with the mouse")
    assert document.sheet.is_read and document.item is None


def test_nothing_handed_in_changes_nothing(reader):
    assert list(reader.read_picture(None)) == list(reader.read_files(None, None)) == [Work()]


def test_large_pages_are_shown_reduced_and_kept_whole(reader, upload):
    page = page_of("l").resize((1800, 500))
    document, _ = read(reader, upload("a.png", page))
    with Image.open(io.BytesIO(document.sheet.display)) as shown:
        assert max(shown.size) == DISPLAY_SIDE_PX
    assert document.sheet.picture().size == page.size


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("a.png", b"this is text", "expected a picture", id="text"),
        pytest.param("a.png", b"", "empty file", id="empty"),
        pytest.param("a.pdf", LOCKED, "without a password", id="locked PDF"),
        pytest.param("a.pdf", empty_pdf(), "at least one page", id="PDF without pages"),
        pytest.param("a.pdf", b"%PDF-1.4 and then nothing", "broken", id="broken PDF"),
        pytest.param(
            "<img src=x>.png", b"this is text", "&lt;img src=x&gt;.png", id="HTML in name"
        ),
    ],
)
def test_a_bad_file_is_explained_and_the_others_are_read(reader, upload, name, content, problem):
    bad = {**upload("bad", content), "orig_name": name}
    document, (step,) = read(reader, bad)
    assert problem in step.trouble and "<img" not in step.trouble
    assert step.inbox["visible"] and not step.desk["visible"]
    document, steps = read(reader, bad, upload("good.png", page_of("l", "ll")))
    assert latexes(document) == ["x_{1}", "x_{2}"]
    assert problem in steps[-1].status


def test_a_page_that_the_model_fails_on_does_not_take_the_others_with_it(monkeypatch, upload):
    class Broken(Counter):
        def read_page(self, image, *args, **kwargs):
            if image.height > 300:
                raise RuntimeError("out of memory")
            return super().read_page(image, *args, **kwargs)

    monkeypatch.setattr(counting_app, "SECONDS_PER_READING", 0)
    files = [upload("a.png", page_of("l", "ll")), upload("b.png", page_of("lll"))]
    document, steps = read(Reader(Broken), *files)
    assert "a.png: reading it failed" in steps[-1].status
    assert [item.latex for item in document.sheets[1].items] == ["x_{3}"]
    assert all(sheet.is_read for sheet in document.sheets)


def test_a_file_that_was_deleted_meanwhile_is_explained(reader, tmp_path):
    _, (step,) = read(reader, {"path": str(tmp_path / "gone.pdf"), "orig_name": "a.pdf"})
    assert "a.pdf: expected a file, but it was deleted" in step.trouble


def test_of_a_long_pdf_the_first_pages_are_read_unless_others_are_wanted(reader, tmp_path):
    path = write_pdf(tmp_path / "a.pdf", *["l"] * 11, "ll")
    file = {"path": str(path), "orig_name": "a.pdf"}
    document, steps = read(reader, file)
    assert [sheet.number for sheet in document.sheets] == list(range(1, 11))
    assert "a.pdf has 12 pages: the first 10 are read" in steps[-1].status
    document, steps = read(reader, file, wanted="12, 2-3")
    assert [sheet.title for sheet in document.sheets] == [f"a.pdf, page {n}" for n in (12, 2, 3)]
    assert latexes(document) == ["x_{2}"]
    assert "problems" not in steps[-1].status
    _, (step,) = read(reader, file, wanted="12-14")
    assert "expected pages from 1 to 12" in step.trouble


def test_who_hands_in_too_much_does_not_keep_the_others_waiting(monkeypatch, upload):
    monkeypatch.setattr(counting_app, "SECONDS_PER_READING", 0)
    files = [upload(f"{n}.png", page_of("l", "ll")) for n in range(3)]
    document, steps = read(Reader(Counter, limit_s=0.0), *files)
    assert len(document.sheets) == 1
    assert "2 of 3 pages were not read any more" in steps[-1].status
    document, _ = read(Reader(Counter, limit_s=100.0), *files)
    assert len(document.sheets) == 3


def test_edits_made_while_further_pages_are_read_are_kept(reader, upload):
    files = [upload(f"{n}.png", page_of("l", "ll")) for n in range(2)]
    steps = reader.read_files(files, "")
    for step in steps:
        if isinstance(step.document, Document):
            document = step.document
        if step.source == "x_{1}":
            app_pages.edit(document, "a", document.selected)
    assert [item.latex for sheet in document.sheets for item in sheet.items] == [
        "a",
        "x_{2}",
        "x_{1}",
        "x_{2}",
    ]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_is_shown_upright_and_its_boxes_are_told_as_given(turn):
    upright = Image.new("RGB", (200, 100), "white")
    upright.paste("black", (20, 10, 60, 30))
    given = upright.rotate(-turn, expand=True)
    x, y = np.nonzero(np.asarray(given.convert("L")).T < 128)
    box = (float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
    document = Document([sheet := Sheet.of(given, "a.png")])
    document.fill(sheet, Page(*given.size, [Equation(box, 0.9, Reading("x", 0.9))], turn))
    assert (sheet.width, sheet.height) == upright.size
    assert sheet.items[0].box == (20, 10, 60, 30)
    assert sheet.given_box(sheet.items[0]) == list(box)


# ---- correcting --------------------------------------------------------------------------------


@pytest.fixture
def document(reader, upload):
    """A page of three equations, the first of which is selected."""
    return read(reader, upload("a.png", page_of("l", "ll", "lll")))[0]


def test_a_click_selects_on_the_page_and_in_the_list(document):
    third = document.sheet.items[2]
    assert app_pages.select(document, event(id=third.id)).source == "x_{3}"
    shown = app_pages.pick(document, event(index=1))
    assert (shown.source, shown.view["selected"]) == ("x_{2}", document.sheet.items[1].id)
    assert "data:image/jpeg" in shown.crop
    for gone in (
        app_pages.select(document, event(id=-1)),
        app_pages.pick(document, event(index=9)),
    ):
        assert gone == Work()


def test_an_edit_is_kept_and_can_be_taken_back(document):
    first, second = document.sheet.items[:2]
    shown = app_pages.edit(document, "a+b", first.id)
    assert shown.formula == "$$\na+b\n$$"
    assert "edited" in shown.confidence
    assert shown.view["boxes"][0]["kind"] == "edited"
    app_pages.select(document, event(id=second.id))
    assert app_pages.select(document, event(id=first.id)).source == "a+b"
    assert app_pages.edit(document, "a+b", first.id) == Work()  # we wrote that
    assert "sure" in app_pages.edit(document, "x_{1}", first.id).confidence


def test_a_late_edit_goes_to_the_equation_it_was_typed_for(document):
    first, second = document.sheet.items[:2]
    app_pages.select(document, event(id=second.id))
    shown = app_pages.edit(document, "a", first.id)
    assert (first.latex, second.latex) == ("a", "x_{2}")
    assert shown.formula == Work().formula
    assert app_pages.edit(document, "a", 0) == app_pages.edit(document, "a", -1) == Work()


def test_another_reading_can_be_chosen_and_the_first_again(document):
    first = document.sheet.items[0]
    shown = app_pages.choose(document, first.id, event(index=1))
    assert (shown.source, first.latex, first.by_hand) == ("y_{1}", "y_{1}", "chosen")
    assert app_pages.choose(document, first.id, event(index=0)).source == "x_{1}"
    assert first.by_hand == ""
    assert app_pages.choose(document, first.id, event(index=2)) == Work()


def test_a_removed_equation_can_be_brought_back_to_its_place(document):
    second = document.sheet.items[1]
    shown = app_pages.remove(document, event(id=second.id))
    assert (latexes(document), shown.source) == (["x_{1}", "x_{3}"], "x_{3}")
    assert shown.bring_back["visible"]
    shown = app_pages.bring_back(document)
    assert (latexes(document), shown.source) == (["x_{1}", "x_{2}", "x_{3}"], "x_{2}")
    assert not shown.bring_back["visible"]
    for _ in range(4):
        shown = app_pages.remove_selected(document)
    assert shown.formula == app_desk.EMPTY_HINT and not shown.remove["visible"]


def test_what_is_marked_is_read_and_inserted_in_reading_order(reader, document):
    second = document.sheet.items[1]
    app_pages.remove(document, event(id=second.id))
    x0, y0, x1, y1 = second.box
    shown = reader.mark(document, event(page=0, box=[x0 - 500, y0 - 9, x1 + 500, y1 + 9]))
    assert latexes(document) == ["x_{1}", "x_{2}", "x_{3}"]
    assert shown.source == "x_{2}"
    box = document.item.box
    assert 0 <= box[0] < box[2] <= document.sheet.width


def test_a_mark_without_ink_is_explained_and_leaves_the_page_as_it_is(reader, document):
    shown = reader.mark(document, event(page=0, box=[0, 0, 9, 9]))
    assert "nothing can be read there" in shown.status
    assert shown.view["n"] == document.n_views  # a new value, so that the mark goes away
    assert len(document.sheet.items) == 3
    assert reader.mark(document, event(page=7, box=[0, 0, 9, 9])) == Work()


def test_pages_are_switched_and_keep_what_was_done_to_them(reader, upload):
    files = [upload(f"{n}.png", page_of(*["l" * n, "ll"])) for n in (1, 3)]
    document, _ = read(reader, *files)
    app_pages.edit(document, "a", document.selected)
    shown = app_pages.turn(document, event(page=1))
    assert (shown.source, shown.view["value"]["page"]) == ("x_{3}", 1)
    assert app_pages.turn(document, event(page=0)).source == "a"
    assert app_pages.turn(document, event(page=2)).source == "a"  # there is none


def test_a_session_without_pages_does_nothing(reader):
    for act in (app_pages.remove_selected, app_pages.bring_back):
        assert act(Document()) == Work()
    for act in (app_pages.select, app_pages.pick, app_pages.turn, app_pages.remove, reader.mark):
        assert act(Document(), event(id=1, index=0, page=0, box=[0, 0, 9, 9])) == Work()


# ---- writing out -------------------------------------------------------------------------------


def test_all_equations_are_written_in_every_format(document):
    first, second, third = document.sheet.items
    app_pages.edit(document, "a\n\n= b", first.id)
    app_pages.edit(document, " ", third.id)
    assert as_blocks(document) == "$$\na = b\n$$\n\n$$\nx_2\n$$"
    assert as_align(document) == "\\begin{align}\n  a &= b \\\\\n  x_2\n\\end{align}"
    assert as_markdown(document) == as_blocks(document) + "\n"
    tex = as_tex(document)
    assert tex.startswith("\\documentclass") and "\\[\n  x_2\n\\]" in tex
    (page,) = json.loads(as_json(document))
    assert (page["path"], page["page"]) == ("a.png", 1)
    assert [e["latex"] for e in page["equations"]] == ["a\n\n= b", "x_{2}", " "]
    assert [e["confidence"] for e in page["equations"]] == [1.0, 0.7, 1.0]
    assert page["equations"][1]["box"] == list(second.box)
    file = app_pages.save("md", document)
    assert (file["name"], file["type"]) == ("equations.md", "text/markdown")
    assert base64.b64decode(file["data"]).decode() == as_markdown(document)
    word = base64.b64decode(app_pages.save("docx", document)["data"])
    assert ["oMath" in p._p.xml for p in WordDocument(io.BytesIO(word)).paragraphs] == [True, True]


def test_what_is_no_latex_is_left_as_it_was_typed(document):
    app_pages.edit(document, r"\mine{x} = {", document.selected)
    assert as_blocks(document).startswith("$$\n\\mine{x} = {\n$$\n\n$$\nx_2")
    assert as_align(document).startswith("\\begin{align}\n  & \\mine{x} = { \\\\\n  x_2")
    assert as_tex(document).endswith("% Not understood:\n% \\mine{x} = {\n\\end{document}\n")
    for item in document.sheet.items:
        app_pages.edit(document, "{", item.id)
    assert as_tex(document).count("% {") == 3
    lines = WordDocument(io.BytesIO(as_docx(document))).paragraphs
    assert [line.text for line in lines] == ["Not understood: {"] * 3


def test_several_pages_are_told_apart(reader, tmp_path):
    path = write_pdf(tmp_path / "a.pdf", "l", "ll")
    document, _ = read(reader, {"path": str(path), "orig_name": "my\nnotes.pdf"})
    assert as_markdown(document).startswith("## my notes.pdf, page 1\n\n$$\nx_1\n$$")
    assert [page["page"] for page in json.loads(as_json(document))] == [1, 2]


def test_of_a_page_only_the_ink_of_the_corrected_equation_is_kept(document, tmp_path):
    second = document.sheet.items[1]
    app_pages.select(document, event(id=second.id))
    Saver(FolderCorrections(tmp_path / "kept")).save_item(document)
    (path,) = (tmp_path / "kept").glob("*.png")
    kept = 255 - np.asarray(Image.open(path).convert("L"))
    assert np.array_equal(kept, own_ink(document.sheet.picture(), second.box))
    assert kept.any()
