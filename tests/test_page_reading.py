"""From pictures and PDFs of pages to equations, with stand-ins for what is trained."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from latexocr import cli
from latexocr.boxes import crop, quarter_turn, turned_back
from latexocr.detector import Detection
from latexocr.errors import ImageError
from latexocr.page_boxes import find_equations, join_fragments
from latexocr.pdf import MAX_SIDE_PX, pdf_pages
from latexocr.pipeline import LatexOCR, page_as_json
from latexocr.recognizer import SURE, Decoded
from tests.conftest import draw
from tests.fakes import CERTAIN, FixedFinder, InkFinder, decode_if_upright

LINES = ("xxxlll", "xxlll", "xxll", "xl")  # each has more ink on the left, each is shorter


@pytest.fixture
def ocr(model_folder, monkeypatch) -> LatexOCR:
    """Finds ink, and is certain of what it reads where the page stands upright."""
    ocr = LatexOCR(model_folder, device="cpu")
    ocr.detector = InkFinder()
    monkeypatch.setattr(ocr.recognizer, "decode", decode_if_upright)
    return ocr


def page_of(lines: tuple[str, ...] = LINES, size: tuple[int, int] = (700, 520)) -> Image.Image:
    """Lines below each other, a wide gap between them."""
    page = Image.new("RGB", size, "white")
    for i, letters in enumerate(lines):
        page.paste(draw(letters), (40, 20 + 120 * i))
    return page


# --- One equation, and more in view --------------------------------------------------------------


def photo_of(*lines: str, blots: bool = True) -> Image.Image:
    """Lines on paper of uneven light, and on the right a row of blots as high as all of it."""
    grey = np.asarray(page_of(lines).convert("L")) * np.linspace(0.6, 0.95, 700)
    if blots:
        grey[20:500:40, 600:690] = grey[30:500:40, 600:690] = 0
    noise = np.random.default_rng(0).normal(0, 2, grey.shape)
    return Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8)).convert("RGB")


def box_of(line: str) -> tuple[float, ...]:
    (found,) = InkFinder().detect(page_of((line,)))
    return found.box


def test_the_equation_of_a_photo_is_looked_for_where_all_of_it_is_doubtful(ocr):
    ocr.detector = FixedFinder([])
    seen = ocr.read(photo_of("xxxlll"))
    ocr.detector = FixedFinder([box_of("xxxlll")])
    reading = ocr.read(photo_of("xxxlll"))
    assert reading.confidence > SURE > seen.confidence
    assert ocr.read_batch([photo_of("xxxlll")] * 2) == [reading] * 2


def test_several_equations_of_a_photo_are_read_as_one(ocr):
    ocr.detector = FixedFinder([])
    seen = ocr.read(photo_of("xxxlll"))
    x0, y0, x1, y1 = box_of("xxxlll")
    ocr.detector = FixedFinder([(x0, y0, x1, y1), (x0, y0 + 300, x1, y1 + 300)])
    assert ocr.read(photo_of("xxxlll")) == seen


def test_what_is_found_in_a_photo_counts_only_if_it_is_surer(ocr):
    ocr.detector = FixedFinder([])
    seen = ocr.read(photo_of("xxxlll"))
    ocr.detector = FixedFinder([(600.0, 0.0, 700.0, 520.0)])
    assert ocr.read(photo_of("xxxlll")) == seen


@pytest.mark.parametrize(("height", "is_taken"), [(100, True), (480, False)])
def test_what_takes_most_of_a_photo_may_be_a_part_of_what_it_shows(ocr, height, is_taken):
    line = "xxxxllll"
    ocr.detector = FixedFinder([])
    seen = ocr.read(photo_of(line))
    x0, y0, x1, _ = box_of(line)
    ocr.detector = FixedFinder([(x0, y0, x1, y0 + height)])
    assert (ocr.read(photo_of(line)) != seen) == is_taken


@pytest.mark.parametrize(
    ("picture", "n_alternatives"),
    [
        pytest.param(photo_of("xxxlll"), 0, id="the quickest way"),
        pytest.param(page_of(("xl",)).resize((350, 900)), 3, id="a doubtful drawing"),
        pytest.param(page_of(("xxxlll",)), 3, id="what is sure"),
    ],
)
def test_nothing_is_looked_for_where_it_need_not_be(ocr, picture, n_alternatives):
    ocr.read(picture, n_alternatives)
    assert ocr.detector.looks == []


def test_a_photo_of_blank_paper_says_so_whatever_is_found_in_it(ocr):
    blank = photo_of(blots=False)
    for boxes in ([], [box_of("xxxlll")]):
        ocr.detector = FixedFinder(boxes)
        with pytest.raises(ImageError, match="no ink"):
            ocr.read(blank)
        assert ocr.detector.looks  # it is a photo, and was looked through


# --- A picture that is one equation --------------------------------------------------------------

LINE = "xxxlllxxx"
CONFIG = json.loads(Path("latexocr/weights/detector/config.json").read_text("utf-8"))
CURVE = {name: CONFIG[name] for name in ("rescore_weights", "rescore_offset")}


def line_ocr(model_folder, monkeypatch, boxes, whole="x = x", part="x", whole_is=0.9, part_is=0.9):
    """Finds given boxes, and reads one text in lines that are long and another in shorter ones,
    each token with the same probability."""

    def decode(pictures, n_beams=1, max_new_tokens=0):
        found = []
        for picture in pictures:
            is_long = picture.shape[1] > 6 * picture.shape[0]
            text, share = (whole, whole_is) if is_long else (part, part_is)
            n = len(text.split())
            one = Decoded(text, (n + 1) * math.log(share), n + 1, (share,) * n)
            found.append([one] * n_beams)
        return found

    ocr = LatexOCR(model_folder, device="cpu")
    ocr.detector = FixedFinder(boxes, **CURVE)
    monkeypatch.setattr(ocr.recognizer, "decode", decode)
    return ocr


def part_of(line: str) -> tuple[float, ...]:
    x0, y0, x1, y1 = box_of(line)
    return x0, y0, x0 + (x1 - x0) / 3, y1


def test_a_line_in_which_nothing_was_found_is_read_as_a_whole(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [])
    (equation,) = ocr.read_page(page_of((LINE,))).equations
    assert equation.reading.latex == "x = x"
    assert equation.box == pytest.approx(box_of(LINE), abs=2)
    assert 0.5 <= equation.score <= 1


def test_a_photo_of_many_pixels_has_the_box_in_its_own(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [])
    large = page_of((LINE,)).resize((2800, 2080))
    (equation,) = ocr.read_page(large).equations
    assert equation.box == pytest.approx([4 * side for side in box_of(LINE)], abs=8)


def test_a_line_of_words_is_no_equation(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [], whole="w o r d s", whole_is=0.5)
    assert ocr.read_page(page_of((LINE,))).equations == []


@pytest.mark.parametrize(
    ("letters", "share", "n_found"), [("x", 0.99, 1), ("x", 0.3, 0), ("xxx", 0.99, 0)]
)
def test_a_symbol_that_is_all_there_is_counts_if_it_is_sure(
    model_folder, monkeypatch, letters, share, n_found
):
    ocr = line_ocr(model_folder, monkeypatch, [], part_is=share)
    assert len(ocr.read_page(page_of((letters,))).equations) == n_found


def test_several_lines_are_not_one_equation(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [], part="x = x")
    assert ocr.read_page(page_of()).equations == []


def test_the_whole_counts_more_than_a_part_of_it(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [part_of(LINE)])
    (equation,) = ocr.read_page(page_of((LINE,))).equations
    assert equation.reading.latex == "x = x"


def test_what_was_found_counts_more_where_it_is_far_surer(model_folder, monkeypatch):
    ocr = line_ocr(model_folder, monkeypatch, [part_of(LINE)], whole_is=0.6, part_is=0.99)
    (equation,) = ocr.read_page(page_of((LINE,))).equations
    assert (equation.reading.latex, equation.box) == ("x", part_of(LINE))


def test_two_equations_in_a_line_stay_two(model_folder, monkeypatch):
    x0, y0, x1, y1 = box_of(LINE)
    boxes = [part_of(LINE), (x0 + (x1 - x0) / 3 * 2, y0, x1, y1)]
    ocr = line_ocr(model_folder, monkeypatch, boxes)
    assert len(ocr.read_page(page_of((LINE,))).equations) == 2


# --- Turns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_box_of_the_turned_page_shows_the_same_on_the_page(degrees):
    rng = np.random.default_rng(degrees)
    page = Image.fromarray(rng.integers(0, 255, (37, 53, 3), np.uint8))
    turned = quarter_turn(page, degrees)
    for _ in range(20):
        x0, x1 = sorted(rng.choice(turned.width + 1, 2, replace=False).tolist())
        y0, y1 = sorted(rng.choice(turned.height + 1, 2, replace=False).tolist())
        back = turned_back((x0, y0, x1, y1), degrees, page.size)
        shown = quarter_turn(page.crop(back), degrees)
        assert np.array_equal(np.asarray(shown), np.asarray(turned.crop((x0, y0, x1, y1))))


def test_turns_are_counter_clockwise():
    page = Image.fromarray(np.uint8([[1, 2], [3, 4]]))
    assert np.asarray(quarter_turn(page, 90)).tolist() == [[2, 4], [1, 3]]
    assert np.asarray(quarter_turn(page, 270)).tolist() == [[3, 1], [4, 2]]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_is_read_however_it_lies_and_boxes_stay_where_its_ink_is(ocr, degrees):
    given = quarter_turn(page_of(), degrees)
    page = ocr.read_page(given)
    assert page.turn == (360 - degrees) % 360
    assert (page.width, page.height) == given.size
    boxes = [equation.box for equation in page.equations]
    assert sorted(boxes) == sorted(one.box for one in InkFinder().detect(given))
    lengths = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]
    assert lengths == sorted(lengths, reverse=True)  # in the order of the upright page's lines
    assert all(equation.reading.latex == "x" for equation in page.equations)


@pytest.mark.parametrize(("lines", "turn"), [(LINES, 180), (LINES[:2], 0), (LINES[:1], 0)])
def test_many_lines_turn_a_page_that_reads_a_little_better_upside_down_and_few_do_not(
    ocr, monkeypatch, lines, turn
):
    def decode(pictures, n_beams=1, max_new_tokens=0):
        lying = [picture.shape[0] > picture.shape[1] for picture in pictures]
        upright = [decode_if_upright([p])[0][0].log_probability == CERTAIN for p in pictures]
        likely = [
            0.1 if lies else 0.5 if up else 0.57 for lies, up in zip(lying, upright, strict=True)
        ]
        return [[Decoded("x", math.log(share), 1)] * n_beams for share in likely]

    monkeypatch.setattr(ocr.recognizer, "decode", decode)
    assert ocr.read_page(page_of(lines)).turn == turn


def test_an_upright_page_is_looked_at_once(ocr):
    ocr.read_page(page_of())
    assert ocr.detector.looks == [None]


# --- Pages ---------------------------------------------------------------------------------------


def test_a_blank_page_has_no_equations(ocr):
    page = ocr.read_page(Image.new("RGB", (300, 200), "white"))
    assert (page.width, page.height, page.equations, page.turn) == (300, 200, [], 0)


def test_a_page_without_equations_has_none(ocr):
    ocr.detector = FixedFinder([])
    assert ocr.read_page(page_of()).equations == []


def test_boxes_without_ink_are_no_equations(ocr):
    (ink,) = InkFinder().detect(page_of(("xxl",)))
    ocr.detector = FixedFinder([(400, 300, 500, 350), ink.box, (400, 400, 500, 450)])
    (equation,) = ocr.read_page(page_of(("xxl",))).equations
    assert equation.box == ink.box


def test_a_page_whose_boxes_are_all_blank_has_no_equations(ocr):
    ocr.detector = FixedFinder([(40, 20, 140, 60), (40, 120, 140, 160)])
    page = ocr.read_page(Image.new("RGB", (300, 200), "white"))
    assert (page.equations, page.turn) == ([], 0)


def test_lines_far_from_each_other_are_blocks(ocr):
    page = page_of(("xxl", "xl"), size=(300, 900))
    page.paste(draw("xxl"), (40, 700))
    assert [equation.block for equation in ocr.read_page(page).equations] == [0, 1, 2]


@pytest.mark.parametrize(
    ("n_lines", "reports"),
    [
        (0, []),
        (3, [(3, 3)]),
        (8, [(8, 8)]),
        (11, [(8, 11), (11, 11)]),
        (17, [(8, 17), (16, 17), (17, 17)]),
    ],
)
def test_progress_counts_the_equations_read_those_without_ink_too(ocr, n_lines, reports):
    (ink,) = InkFinder().detect(page_of(("xxl",)))
    blank = [(300, 25 * i, 320, 25 * i + 10) for i in range(n_lines - 1)]
    ocr.detector = FixedFinder([ink.box, *blank][:n_lines])
    found = []
    ocr.read_page(page_of(("xxl",)), progress=lambda *counts: found.append(counts))
    assert found == reports


def test_alternatives_are_given_where_they_are_asked_for(model_folder):
    ocr = LatexOCR(model_folder, device="cpu")
    (equation,) = ocr.read_page(draw("xl"), n_alternatives=2).equations
    assert equation.reading == ocr.read_box(draw("xl"), equation.box, n_alternatives=2)
    assert 1 <= len(equation.reading.alternatives) <= 2


def test_a_page_as_json_is_what_the_contract_says(ocr):
    content = json.loads(json.dumps(page_as_json(ocr.read_page(page_of(("xxl",))))))
    assert set(content) == {"width", "height", "equations"}
    (equation,) = content["equations"]
    assert set(equation) == {"box", "score", "latex", "confidence"}
    assert len(equation["box"]) == 4 and equation["score"] == 0.9


@pytest.mark.parametrize("source", [b"", b"no picture", "missing.png", None, np.zeros((0, 5))])
def test_what_is_no_picture_is_an_image_error(ocr, source):
    with pytest.raises(ImageError):
        ocr.read_page(source)
    with pytest.raises(ImageError):
        ocr.read_box(source, (0, 0, 5, 5))


# --- What a person marks -------------------------------------------------------------------------


def test_what_a_person_marks_is_read_as_if_it_were_cut_out(model_folder):
    ocr = LatexOCR(model_folder, device="cpu")
    page = page_of()
    box = (40, 130, 40 + draw(LINES[1]).width, 210)
    assert ocr.read_box(page, box).latex == ocr.read(crop(page, box, margin=0.0)).latex
    assert ocr.read_box(page, (0, 0, *page.size), 0) == ocr.read(page, 0)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        pytest.param((10, 10, 10, 50), "box within 700 x 520", id="no width"),
        pytest.param((50, 10, 10, 50), "box within", id="sides exchanged"),
        pytest.param((-1, 10, 50, 50), "box within", id="left of the picture"),
        pytest.param((10, 10, 50, 521), "box within", id="below the picture"),
        pytest.param((10, float("nan"), 50, 50), "box within", id="not a number"),
        pytest.param((10, 10, float("inf"), 50), "box within", id="without end"),
        pytest.param((500, 400, 690, 490), "ink", id="blank place"),
    ],
)
def test_a_mark_that_cannot_be_read_says_why(ocr, box, said):
    with pytest.raises(ImageError, match=said):
        ocr.read_box(page_of(), box)


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        pytest.param((20, 30, 60, 40), 0.0, (42, 12), id="a pixel at least"),
        pytest.param((20, 30, 60, 40), 0.5, (52, 22), id="half a height"),
        pytest.param((20.4, 30.4, 59.6, 39.6), 0.0, (42, 12), id="whole pixels"),
        pytest.param((0, 0, 100, 50), 0.5, (100, 50), id="not beyond the page"),
        pytest.param((90, 40, 100, 50), 0.2, (13, 13), id="at the corner"),
    ],
)
def test_crop(box, margin, expected):
    assert crop(Image.new("RGB", (100, 50)), box, margin).size == expected


# --- Finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "heights", "looks"),
    [
        pytest.param((3000, 2000), [90, 100], [None], id="large writing"),
        pytest.param((3000, 2000), [45], [None, 2267], id="small writing"),
        pytest.param((2000, 3000), [45], [None, 2267], id="on a high page"),
        pytest.param((3000, 2000), [30], [None, 2600], id="tiny writing, up to a limit"),
        pytest.param((1500, 1000), [24], [None, 1500], id="up to the picture's own size"),
        pytest.param((1500, 1000), [15], [None, 2600], id="and beyond, where that is too small"),
        pytest.param((1000, 700), [16], [None, 1750], id="a small picture enlarged"),
        pytest.param((3000, 2000), [45, 90, 100], [None], id="most of it large"),
        pytest.param((3000, 2000), [], [None, 1417], id="nothing found"),
        pytest.param((1000, 700), [5], [None, 2000], id="no more than twice"),
        pytest.param((1000, 700), [26], [None], id="a small picture, legible"),
        pytest.param((1000, 700), [], [None], id="a small picture, nothing found"),
    ],
)
def test_small_writing_gets_a_closer_look(size, heights, looks):
    boxes = [(100, 150 * i, 400, 150 * i + height) for i, height in enumerate(heights)]
    detector = FixedFinder(boxes, long_side=1000)
    find_equations(detector, Image.new("RGB", size))
    assert detector.looks == looks


LEFT = (0, 0, 100, 20)


@pytest.mark.parametrize(
    ("boxes", "joined"),
    [
        pytest.param([], [], id="none"),
        pytest.param([LEFT], [LEFT], id="one"),
        pytest.param([LEFT, (105, 2, 150, 21)], [(0, 0, 150, 21)], id="close in one line"),
        pytest.param([(105, 2, 150, 21), LEFT], [(0, 0, 150, 21)], id="in whichever order"),
        pytest.param([LEFT, (90, 2, 150, 21)], [(0, 0, 150, 21)], id="overlapping"),
        pytest.param(
            [LEFT, (205, 0, 300, 20), (105, 0, 200, 20)], [(0, 0, 300, 20)], id="three in a row"
        ),
        pytest.param([LEFT, (111, 0, 150, 20)], [LEFT, (111, 0, 150, 20)], id="too far apart"),
        pytest.param([LEFT, (0, 22, 100, 42)], [LEFT, (0, 22, 100, 42)], id="below each other"),
        pytest.param([LEFT, (105, 10, 150, 30)], [LEFT, (105, 10, 150, 30)], id="half a line off"),
        pytest.param([LEFT, (105, 0, 150, 45)], [LEFT, (105, 0, 150, 45)], id="much higher"),
    ],
)
def test_fragments_of_a_line_become_one(boxes, joined):
    found = join_fragments([Detection(box, 0.5) for box in boxes])
    assert sorted(one.box for one in found) == sorted(joined)


def test_a_line_is_as_sure_as_its_surest_fragment_and_the_surest_come_first():
    found = join_fragments([
        Detection(LEFT, 0.4), Detection((105, 0, 150, 20), 0.7), Detection((0, 90, 50, 99), 0.6)
    ])  # fmt: skip
    assert [one.score for one in found] == [0.7, 0.6]


# --- PDF -----------------------------------------------------------------------------------------

LOCKED = b"""%PDF-1.4
1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 72 36]>> endobj
4 0 obj <</Filter/Standard/V 1/R 2/P -4/O<KEY>/U<KEY>>> endobj
trailer <</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]>>
""".replace(b"KEY", b"00" * 32)
OPEN = LOCKED.replace(b"/Encrypt 4 0 R", b"")


def pdf_of(*sizes: tuple[float, float]) -> bytes:
    """A PDF of blank pages, in points."""
    document, file = pypdfium2.PdfDocument.new(), io.BytesIO()
    for size in sizes:
        document.new_page(*size)
    document.save(file)
    return file.getvalue()


@pytest.fixture
def two_pages(tmp_path):
    path = tmp_path / "two.pdf"
    pages = [draw("xl"), draw("LT+")]
    pages[0].save(path, save_all=True, append_images=pages[1:], resolution=200)
    return path


@pytest.mark.parametrize("as_bytes", [False, True])
def test_pages_of_a_pdf_come_as_pictures_in_their_order(two_pages, as_bytes):
    found = list(pdf_pages(two_pages.read_bytes() if as_bytes else two_pages))
    assert [page.size for page in found] == [draw("xl").size, draw("LT+").size]
    shown = np.asarray(found[1].convert("L")) < 128
    drawn = np.asarray(draw("LT+").convert("L")) < 128
    assert (shown == drawn).mean() > 0.98


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param((72, 36), (200, 100), id="200 dots per inch"),
        pytest.param((14_400, 7200), (MAX_SIDE_PX, MAX_SIDE_PX // 2), id="poster"),
        pytest.param((14_400, 1), (MAX_SIDE_PX, 1), id="thread"),
    ],
)
def test_a_page_s_picture_has_a_sensible_size(size, expected):
    (page,) = pdf_pages(pdf_of(size))
    assert page.size == expected


def test_a_pdf_without_pages_is_called_so_even_after_a_locked_one():
    for content, said in [(LOCKED, "password"), (pdf_of(), "at least one page")]:
        with pytest.raises(ImageError, match=said):
            list(pdf_pages(content))


def test_the_locked_pdf_is_locked_and_not_broken():
    assert [page.size for page in pdf_pages(OPEN)] == [(200, 100)]


def test_the_command_line_reports_bad_pdfs_and_reads_the_others(
    model_folder, two_pages, tmp_path, capsys
):
    (tmp_path / "empty.pdf").write_bytes(pdf_of())
    (tmp_path / "locked.pdf").write_bytes(LOCKED)
    capsys.readouterr()
    status = cli.main(["page", str(tmp_path), "--json", "--model", str(model_folder)])
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 1
    names = [record["path"].removeprefix(f"{tmp_path}/") for record in records]
    assert names == ["empty.pdf", "locked.pdf", "two.pdf", "two.pdf"]
    assert ["error" in record for record in records] == [True, True, False, False]
    assert [record["page"] for record in records[2:]] == [1, 2]
    assert [len(record["equations"]) for record in records[2:]] == [1, 1]
