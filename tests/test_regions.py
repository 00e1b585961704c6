"""One equation of a page: only its own ink, whatever is around it."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from latexocr.errors import ImageError
from latexocr.imaging import prepare
from latexocr.regions import fit_to_ink, own_ink, prepare_box
from tests.conftest import draw

SYMBOL_PX = 20
PLACE = (200, 150)  # where the equation stands on the page
WORD = draw("xTx")
INK = WORD.point(lambda v: 255 - v).getbbox()
BOX = (PLACE[0] + INK[0], PLACE[1] + INK[1], PLACE[0] + INK[2], PLACE[1] + INK[3])
ALONE = prepare(WORD, SYMBOL_PX)


def page(paper: int = 255) -> Image.Image:
    """An equation in the middle of much paper."""
    sheet = Image.new("RGB", (800, 400), (paper,) * 3)
    sheet.paste(WORD.point(lambda v: v * paper // 255), PLACE)
    return sheet


def ruled(darkness: int, tilt: float = 0.0) -> Image.Image:
    """The same on lines that begin right of the page's rim, one of them right below the ink."""
    sheet = page(235)
    pen = ImageDraw.Draw(sheet)
    for y in (BOX[3] - 84, BOX[3] - 1, BOX[3] + 82):
        pen.line([(60, y), (799, y + tilt * 739)], fill=(235 - darkness,) * 3, width=3)
    noise = np.random.default_rng(0).normal(0, 2, (400, 800, 1))
    return Image.fromarray(np.clip(np.asarray(sheet) + noise, 0, 255).astype(np.uint8))


def likeness(picture: np.ndarray) -> float:
    """Correlation with the equation that stands alone."""
    same = cv2.resize(picture, ALONE.shape[::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(same.ravel(), ALONE.ravel())[0, 1])


def test_alone_on_the_page_it_is_what_it_is_in_a_picture_of_its_own():
    assert likeness(prepare_box(page(), BOX, SYMBOL_PX)) > 0.95


@pytest.mark.parametrize("times", [6, 10])
def test_a_sharper_photo_gives_the_same_picture_of_fewer_pixels_than_it_has(times):
    large = page().resize((800 * times, 400 * times), Image.Resampling.BICUBIC)
    box = tuple(side * times for side in BOX)
    ink = own_ink(large, box)
    assert ink.size < 0.5 * (box[2] - box[0]) * (box[3] - box[1])
    assert likeness(prepare_box(large, box, SYMBOL_PX)) > 0.95
    assert fit_to_ink(large, box) == pytest.approx(box, abs=3 * times)


def test_small_symbols_of_a_wide_line_are_seen_in_all_pixels_there_are():
    sheet = Image.new("RGB", (1800, 200), "white")
    pen = ImageDraw.Draw(sheet)
    for x in range(300, 1500, 24):
        pen.line([(x, 95), (x + 12, 107)], fill="black", width=2)
        pen.line([(x, 107), (x + 12, 95)], fill="black", width=2)
    assert own_ink(sheet, (300, 95, 1491, 108)).shape[1] > 0.8 * 1191


@pytest.mark.parametrize("darkness", [60, 120, 200])
@pytest.mark.parametrize("tilt", [0.0, 0.004])
def test_lines_of_the_paper_go_even_where_ink_stands_on_them(darkness, tilt):
    picture = prepare_box(ruled(darkness, tilt), BOX, SYMBOL_PX)
    assert picture.shape[1] == pytest.approx(ALONE.shape[1], rel=0.15)
    assert likeness(picture) > 0.75


def test_a_long_bar_that_belongs_to_the_equation_stays():
    sheet = page()
    y = BOX[3] + 8
    ImageDraw.Draw(sheet).line([(BOX[0], y), (BOX[2], y)], fill="black", width=4)
    ink = own_ink(sheet, (BOX[0], BOX[1], BOX[2], y + 4))
    rows = (ink > 128).sum(axis=1)
    assert rows.max() > 0.9 * (BOX[2] - BOX[0])


def test_writing_of_other_lines_goes_and_own_ink_is_whole():
    sheet = page()
    sheet.paste(WORD.crop(INK), (BOX[0] + 20, BOX[3] + 6))  # close below
    sheet.paste(WORD.crop(INK), (BOX[0] - 190, BOX[1]))
    picture = prepare_box(sheet, BOX, SYMBOL_PX)
    assert likeness(picture) > 0.95
    cut_short = (BOX[0], BOX[1] + 3, BOX[2], BOX[3] - 3)
    assert likeness(prepare_box(sheet, cut_short, SYMBOL_PX, margin=0.0)) > 0.95


def test_what_touches_the_next_line_is_cut_between_them():
    sheet = page()
    middle = (BOX[0] + BOX[2]) // 2
    sheet.paste(WORD.crop(INK), (BOX[0], BOX[3] + 20))
    ImageDraw.Draw(sheet).line([(middle, BOX[1]), (middle, BOX[3] + 25)], fill="black", width=4)
    ink = own_ink(sheet, BOX, margin=0.0)
    height = (ink > 128).any(axis=1).sum()
    assert height == pytest.approx(BOX[3] - BOX[1], abs=4)


def test_what_symbols_touch_is_cut_off_far_beyond_the_box():
    sheet = page()
    bend, end = (BOX[2] - 10, BOX[3] - 8), (BOX[2] + 40, BOX[3] + 15)
    ImageDraw.Draw(sheet).line([(BOX[0] + 30, BOX[1] + 2), bend, end], fill="black", width=3)
    columns = np.flatnonzero(own_ink(sheet, BOX).max(axis=0))
    beyond = columns[-1] + 1 - columns[0] - (BOX[2] - BOX[0])
    assert beyond == pytest.approx(0.5 * (BOX[3] - BOX[1]), abs=3)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        pytest.param((600, 20, 700, 60), "no ink", id="blank place"),
        pytest.param((900, 20, 950, 60), "box within 800 x 400", id="beside the page"),
    ],
)
def test_a_box_without_ink_says_so(box, said):
    with pytest.raises(ImageError, match=said):
        prepare_box(page(), box, SYMBOL_PX)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param((0, 0, 0, 0), (0, 0, 0, 0), id="tight already"),
        pytest.param((-8, -6, 9, 7), (0, 0, 0, 0), id="too large"),
        pytest.param((6, 5, -8, -4), (0, 0, 0, 0), id="cuts a little off"),
    ],
)
def test_a_box_is_fitted_to_its_ink(change, expected):
    given = tuple(side + by for side, by in zip(BOX, change, strict=True))
    wanted = [side + by for side, by in zip(BOX, expected, strict=True)]
    assert fit_to_ink(page(), given) == pytest.approx(wanted, abs=3)


def test_a_side_stays_where_ink_goes_on_far_beyond_it():
    sheet = page()
    middle = (BOX[0] + BOX[2]) // 2
    ImageDraw.Draw(sheet).line([(middle, BOX[3] - 8), (middle, 390)], fill="black", width=5)
    assert fit_to_ink(sheet, BOX)[3] == BOX[3]


def test_a_side_stays_where_ink_begins_far_within():
    given = (BOX[0] - 60, *BOX[1:])
    assert fit_to_ink(page(), given)[0] == given[0]


def test_where_nothing_is_written_a_box_stays():
    assert fit_to_ink(Image.new("RGB", (300, 200), "white"), (20, 30, 90, 60)) == (20, 30, 90, 60)
