"""Generated pages: what a seed fixes, where boxes lie, and what is refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from latexocr.errors import DataError
from tests.tiny import write_inks
from trainer.data import pages
from trainer.data.page.camera import View, flat_view, random_view
from trainer.data.page.compose import (
    LOOSE_MAX,
    Expression,
    fraction,
    level_with_top,
    loosened,
)
from trainer.data.page.drawing import Drawing, Pen
from trainer.data.page.furniture import furniture
from trainer.data.page.layout import Item, Kind
from trainer.data.page.paper import Ruling, Sheet
from trainer.data.page.printed import MAX_LATEX, read_formulas
from trainer.data.page.prose import FontLettering, GlyphBank, Hand, latex_of
from trainer.data.pages import PRESETS, PageConfig, PageGenerator, PagePlan, PageSample, annotate
from trainer.data.strokes import Ink, Symbol, rng_for

# Far apart, so that lines cross the picture's edge between their points.
LETTER = np.array([(0, 0), (45, 100), (50, 0)], np.float32)
LABELS = [*"0123456789xyzabdnfvPABIuc=+-()./", r"\lt", r"\gt", ",", r"\times", r"\pi"]
FORMULAS = ("abc", "x=y", "longer")

SMALL = {"long_side_min": 400, "long_side_max": 500, "rows_min": 10.0, "rows_max": 14.0}
PHOTOS = PageConfig(**SMALL, printed=0.4, photo=1.0, slip=0.0)


def characters(are_segmented: bool = True) -> list[Ink]:
    """Inks of four characters each, in which all the generator's own lines can be written."""
    inks = []
    for start in range(0, len(LABELS), 4):
        labels = LABELS[start : start + 4]
        strokes = tuple(LETTER + np.float32([70 * i, 0]) for i in range(len(labels)))
        symbols = tuple(Symbol(label, (i,)) for i, label in enumerate(labels))
        latex = " ".join(labels)
        inks.append(Ink(f"ink_{start}", strokes, latex, symbols if are_segmented else ()))
    return inks


def bars(latex: str) -> np.ndarray:
    """Stands for a renderer: a bar for each character."""
    mask = np.zeros((44, 30 * len(latex)), np.uint8)
    for i in range(len(latex)):
        mask[8:36, 30 * i + 6 : 30 * i + 20] = 255
    return mask


@pytest.fixture(scope="module")
def generator() -> PageGenerator:
    return PageGenerator(characters(), FORMULAS, PHOTOS, bars)


def check(page: PageSample, config: PageConfig) -> None:
    """What holds for every page."""
    height, width = page.image.shape[:2]
    assert (page.image.dtype, page.image.ndim, page.image.shape[2]) == (np.uint8, 3, 3)
    assert max(height, width) <= config.long_side_max
    assert len(page.latex) == len(page.boxes)
    for boxes in (page.boxes, page.ignore):
        assert (boxes.dtype, boxes.shape[1:]) == (np.float32, (4,))
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= [width, height]).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


# --- Seeds ---------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_page_whatever_was_made_before(generator):
    fresh = PageGenerator(characters(), FORMULAS, PHOTOS, bars).page(rng_for(3, 0, 1))
    generator.page(rng_for(3, 0, 0))
    page = generator.page(rng_for(3, 0, 1))
    assert np.array_equal(page.image, fresh.image)
    assert np.array_equal(page.boxes, fresh.boxes)
    assert page.latex == fresh.latex


@pytest.mark.parametrize("place", [(4, 0, 1), (3, 1, 1), (3, 0, 2)], ids=["seed", "epoch", "index"])
def test_another_seed_makes_another_page(generator, place):
    one, other = generator.page(rng_for(3, 0, 1)), generator.page(rng_for(*place))
    assert not np.array_equal(one.boxes, other.boxes)


def test_a_page_has_the_boxes_of_its_plan(generator):
    page, plan = generator.page(rng_for(3, 0, 1)), generator.plan(rng_for(3, 0, 1))
    boxes, ignore, latex = annotate(plan)
    assert len(boxes) and np.array_equal(page.boxes, boxes)
    assert np.array_equal(page.ignore, ignore)
    assert page.latex == latex


# --- Expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_gap_opens_between_two_symbols_and_nothing_else_changes(seed):
    row = [LETTER / 100 + np.array([x, 0]) for x in (0.0, 0.7, 1.4, 2.1)]
    bar = np.array([[0.7, 1.2], [1.9, 1.2]])  # belongs to the two in the middle
    before = Drawing((*row, bar))
    loose = loosened(np.random.default_rng(seed), Expression(before, "a", 0.5))
    assert (loose.latex, loose.indent) == ("a", 0.5)
    ways = [b - a for a, b in zip(before.strokes, loose.drawing.strokes, strict=True)]
    assert all(np.allclose(way, way[0]) and way[0, 1] == 0 for way in ways)
    first, second, third, last, under = (float(way[0, 0]) for way in ways)
    assert first == 0 and 0.4 <= last <= LOOSE_MAX
    assert second == pytest.approx(third) == pytest.approx(under)
    assert second in (0.0, pytest.approx(last))


def test_what_has_no_gap_stays_as_it_is():
    one = Expression(Drawing((LETTER, LETTER + np.array([10, 0]))), "a")
    assert loosened(np.random.default_rng(0), one) is one


def test_pages_of_loose_writing_have_longer_lines():
    def width(loose):
        config = PageConfig(**SMALL, printed=0.0, photo=0.0, slip=0.0, loose=loose)
        generator = PageGenerator(characters(), (), config)
        boxes = np.concatenate([generator.page(rng_for(0, 0, i)).boxes for i in range(12)])
        return np.median((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]))

    assert width(1.0) > 1.1 * width(0.0)


# --- Boxes ---------------------------------------------------------------------------------------


def seen_ink(plan: PagePlan, item: Item, box: np.ndarray) -> np.ndarray:
    """x0, y0, x1, y1 of the pixels that an item alone blackens on the plan's picture.

    What only grazes the picture's edge, away from the box, does not count: whether a fraction of
    the pen's width still shows there is a matter of rounding."""
    blank = replace(plan.sheet, ruling=Ruling.BLANK, margin=None)
    black = replace(item, pen=replace(item.pen, colour=(0, 0, 0)))
    light = pages.draw_ink(replace(plan, sheet=blank, items=[black]))
    is_black = light.min(axis=2) < 200
    grazes = np.ones_like(is_black)
    grazes[1:-1, 1:-1] = False
    x0, y0, x1, y1 = np.round(box).astype(int)
    grazes[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = False
    y, x = np.nonzero(is_black & ~grazes)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_boxes_are_tight_around_their_ink_however_the_page_is_bent_and_seen(generator):
    n_whole = n_cut = 0
    for seed in range(12):
        plan = generator.plan(rng_for(seed, 0, 0))
        if seed % 2:
            plan = replace(plan, view=shifted(plan.view, -plan.view.width / 3, -50))
        size = np.array([plan.view.width, plan.view.height])
        for item in plan.items:
            boxes, ignore, _ = annotate(replace(plan, items=[item]))
            for box in (*boxes, *ignore):
                assert seen_ink(plan, item, box) == pytest.approx(box, abs=1.5)
                is_cut = (box[:2] <= 0).any() or (box[2:] >= size).any()
                n_cut, n_whole = n_cut + is_cut, n_whole + (not is_cut)
    assert n_whole > 20
    assert n_cut > 5


def shifted(view: View, right: float, down: float) -> View:
    """A camera that points elsewhere: the picture's content moves by pixels."""
    move = np.array([[1.0, 0, right], [0, 1, down], [0, 0, 1]])
    return replace(view, matrix=move @ view.matrix)


def test_a_view_can_be_undone():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 300, (50, 2))
    for _ in range(20):
        view = random_view(rng, 400, 300, 500)
        assert view.invert(view.apply(points)) == pytest.approx(points, abs=1e-6)


def page_with(*strokes: list[tuple[float, float]], kind: Kind = Kind.EQUATION) -> PagePlan:
    """A flat page of 100 x 100 pixels with one item, drawn with a pen 2 pixels wide."""
    drawing = Drawing(tuple(np.array(stroke, np.float64) for stroke in strokes))
    sheet = Sheet(100, 100, 20, (255, 255, 255))
    return PagePlan(sheet, flat_view(100, 100), [Item(drawing, Pen(width=2.0), kind, "x")])


def dense(x0: float, x1: float) -> list[tuple[float, float]]:
    return [(x, 50.0) for x in np.linspace(x0, x1, 101)]


@pytest.mark.parametrize(
    ("stroke", "kind", "boxes", "ignore", "latex"),
    [
        pytest.param(dense(20, 70), Kind.EQUATION, [[19.5, 71.5]], [], ["x"], id="whole"),
        pytest.param(dense(60, 110), Kind.EQUATION, [[59.5, 100]], [], [None], id="a little cut"),
        pytest.param(dense(-60, 40), Kind.EQUATION, [], [[0, 41.5]], [], id="mostly cut"),
        pytest.param(dense(110, 160), Kind.EQUATION, [], [], [], id="outside"),
        pytest.param(dense(20, 70), Kind.IGNORED, [], [[19.5, 71.5]], [], id="to be ignored"),
        pytest.param(dense(20, 70), Kind.OTHER, [], [], [], id="no equation"),
        pytest.param(dense(20, 20.1), Kind.EQUATION, [], [], [], id="smaller than three pixels"),
    ],
)
def test_what_the_edge_cuts_is_ignored_or_loses_its_latex(stroke, kind, boxes, ignore, latex):
    found = annotate(page_with(stroke, kind=kind))
    assert found[0][:, [0, 2]] == pytest.approx(np.reshape(boxes, (-1, 2)))
    assert found[1][:, [0, 2]] == pytest.approx(np.reshape(ignore, (-1, 2)))
    assert found[2] == latex


def test_a_bar_that_is_cut_between_its_points_reaches_the_edge():
    boxes, _, _ = annotate(page_with([(-50.0, 40.0), (150.0, 40.0)], dense(30, 70)))
    assert boxes == pytest.approx(np.array([[0, 39.5, 100, 51.5]]))


def test_a_view_moves_the_box():
    view = View(np.array([[2.0, 0, 5], [0, 2, -30], [0, 0, 1]]), 200, 200)
    boxes, _, _ = annotate(replace(page_with(dense(20, 70)), view=view))
    assert boxes == pytest.approx(np.array([[43.5, 68.5, 147.5, 72.5]]), abs=0.6)


# --- Kinds of pages ------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_makes_valid_pages(preset):
    config = replace(PRESETS[preset], **SMALL)
    generator = PageGenerator(characters(), FORMULAS, config, bars)
    found = [generator.page(rng_for(0, 0, i)) for i in range(6)]
    for page in found:
        check(page, config)
    assert sum(len(page.boxes) for page in found) > 6


def test_lines_of_prose_with_mathematics_are_to_be_ignored():
    config = PageConfig(**SMALL, photo=0.0, slip=0.0, scattered=0.0, prose=1.0, extras=0.0)
    generator = PageGenerator(characters(), (), config)
    n_ignored = n_equations = 0
    for i in range(8):
        plan = generator.plan(rng_for(0, 0, i))
        kinds = [item.kind for item in plan.items]
        boxes, ignore, _ = annotate(plan)
        assert len(ignore) <= kinds.count(Kind.IGNORED)  # none is an equation, all are whole
        n_ignored, n_equations = n_ignored + len(ignore), n_equations + len(boxes)
    assert n_ignored > 5
    assert n_equations > 5


def test_the_article_s_pages_are_formulas_apart_from_each_other_on_clean_paper():
    config = replace(PRESETS["article"], **SMALL)
    generator = PageGenerator((), FORMULAS, config, bars)
    for i in range(5):
        page, plan = generator.page(rng_for(1, 0, i)), generator.plan(rng_for(1, 0, i))
        check(page, config)
        assert len(page.boxes) and set(page.latex) <= set(FORMULAS)
        inked = (pages.draw_ink(plan) < 90).all(axis=2)
        for x0, y0, x1, y1 in np.round(page.boxes).astype(int):
            assert inked[y0:y1, x0:x1].any()
            inked[max(0, y0 - 1) : y1 + 1, max(0, x0 - 1) : x1 + 1] = False
        assert not inked.any()


@pytest.mark.parametrize(
    ("inks", "formulas"),
    [
        pytest.param(characters(), (), id="segmented ink only"),
        pytest.param(characters(are_segmented=False), (), id="ink of unknown symbols only"),
        pytest.param((), FORMULAS, id="formulas only"),
    ],
)
def test_ink_or_formulas_alone_are_enough(inks, formulas):
    generator = PageGenerator(inks, formulas, PHOTOS, bars)
    found = [generator.page(rng_for(0, 0, i)) for i in range(4)]
    for page in found:
        check(page, PHOTOS)
    assert sum(len(page.boxes) for page in found) > 2


# --- What is written -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x=2, y=3", "f(x)=x^2", "2*3", "a:", "Da"])
def test_a_hand_writes_what_its_letters_and_their_stand_ins_allow(text):
    hand = Hand(GlyphBank(characters()), rng_for(0, 0, 0))
    assert hand.can_write(text)
    width, height = hand.write(text).extent
    assert width > 0.2 * len(text) and 0.5 < height < 3


def test_a_hand_that_lacks_a_letter_cannot_write_it():
    assert not Hand(GlyphBank(characters()), rng_for(0, 0, 0)).can_write("x?")


def test_room_around_relations_makes_a_line_wider():
    def width(gap: float) -> float:
        hand = Hand(GlyphBank(characters()), rng_for(0, 0, 0))
        hand.relation_gap = gap
        return float(hand.write("a=b").extent[0])

    assert width(1.5) > width(0.0) + 1.5


def test_a_font_writes_mathematics_too():
    wide, narrow = FontLettering(None, 3), FontLettering(None, 0)
    assert narrow.can_write("2*x=10") and not narrow.can_write("π") and not narrow.can_write(" ")
    assert wide.write("x=1").extent[0] > narrow.write("x=1").extent[0] + 0.5


@pytest.mark.parametrize(
    ("text", "latex"),
    [("2*3", r"2\times 3"), ("x≤π", r"x\leq \pi "), ("x<2", "x<2"), ("x=1→y", r"x=1\rightarrow y")],
)
def test_latex_of_a_line(text, latex):
    assert latex_of(text) == latex


def test_what_follows_a_fraction_stands_beside_it_at_the_height_of_its_top():
    letter = Expression(Drawing((LETTER / 100,)), "x")
    rng = rng_for(0, 0, 0)
    tall = fraction(rng, letter, letter)
    whole = level_with_top(rng, tall, letter)
    low, high = (side[1] for side in tall.drawing.bounds)
    follower = whole.drawing.strokes[-1]
    assert whole.latex == r"\frac{x}{x} x"
    assert follower[:, 0].min() > tall.drawing.bounds[1][0]
    assert follower[:, 1].mean() < (low + high) / 2 + 0.5


def test_what_the_paper_s_maker_printed_is_no_equation():
    sheet = Sheet(400.0, 300.0, 20.0, (250, 250, 250), has_spiral=True)
    found = [item for i in range(20) for item in furniture(rng_for(0, 0, i), sheet, None, 1.0)]
    assert len(found) > 10
    assert {item.kind for item in found} == {Kind.OTHER}


def test_without_ink_and_formulas_there_is_nothing_to_write():
    with pytest.raises(DataError, match="got neither"):
        PageGenerator((), (), PHOTOS)


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(None, id="refused"),
        pytest.param(np.zeros((44, 60), np.uint8), id="blank"),
        pytest.param(np.full((44, 60), 40, np.uint8), id="too faint to trace"),
    ],
)
def test_formulas_that_cannot_be_drawn_leave_a_page_without_equations(mask):
    generator = PageGenerator((), FORMULAS, PHOTOS, lambda latex: mask)
    page = generator.page(rng_for(0, 0, 0))
    check(page, PHOTOS)
    assert not len(page.boxes)


def test_the_contact_sheet_is_a_picture(tmp_path, capsys):
    inks, sheet = write_inks(tmp_path / "inks", n=6), tmp_path / "new" / "sheet.png"
    pages.main([str(inks), "--sheet", str(sheet), "--count", "1", "--preset", "flat"])
    assert "1 pages" in capsys.readouterr().out
    assert cv2.imread(str(sheet)).shape[:2] == (424, 6 * 424)


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"long_side_min": 20}, id="too small"),
        pytest.param({"long_side_min": 900, "long_side_max": 800}, id="sides exchanged"),
        pytest.param({"long_side_max": 100_000}, id="gigabytes"),
        pytest.param({"rows_min": 0.0}, id="no rows"),
        pytest.param({"rows_max": float("inf")}, id="rows without end"),
        pytest.param({"rows_min": float("nan")}, id="rows not a number"),
        pytest.param({"rows_min": 20.0, "rows_max": 10.0}, id="rows exchanged"),
        pytest.param({"max_equations": 0}, id="no equations"),
        pytest.param({"photo": -0.1}, id="share below 0"),
        pytest.param({"printed": 1.5}, id="share above 1"),
        pytest.param({"wear": float("nan")}, id="share not a number"),
        pytest.param({"light": 30.0}, id="light above 1"),
    ],
)
def test_a_config_that_makes_no_pages_is_refused(settings):
    with pytest.raises(ValueError, match=next(reversed(settings)).split("_")[0]):
        PageConfig(**settings)


def test_formulas_that_do_not_fit_a_line_are_left_out(tmp_path):
    path = tmp_path / "list.txt"
    lines = ["x+y", "", "ab", r"a \\ b", r"\begin{matrix}a\end{matrix}", "a & b", "z" * 91, " y=1 "]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_formulas(str(path)) == ("x+y", "y=1")
    assert MAX_LATEX == 90


@pytest.mark.parametrize("content", [None, b"", b"ab\n", b"\xff\xfe\x00"])
def test_a_list_without_formulas_is_refused(tmp_path, content):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"list\.txt"):
        read_formulas(str(path))
