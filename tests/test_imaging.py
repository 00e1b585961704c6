"""Pictures in, ink out: every way to hand in a picture, every light, every size."""

import io
import sys
import zlib
from contextlib import nullcontext, suppress
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageDraw, ImageFont

from latexocr import pictures
from latexocr.errors import ImageError
from latexocr.imaging import (
    MARGIN_PX,
    erase_lines,
    find_frame,
    ink_map,
    prepare,
    standardize,
    symbol_size,
)
from latexocr.pictures import load_picture

SYMBOL_PX = 20.0
pillow_heif.register_heif_opener()  # to write it; what reads must do so by itself


def draw_formula(symbol: float = 60.0, pen: float = 0.08, margin: int = 20) -> np.ndarray:
    """x + 1 over 02, as strokes: (H, W) uint8 ink map with symbols of that many pixels."""
    s, shift = symbol, 4
    size = (int(2.8 * s) + 2 * margin, int(4.4 * s) + 2 * margin)
    big = np.zeros(
        (size[0] * 4, size[1] * 4), np.uint8
    )  # drawn larger, then averaged: smooth edges
    width = max(1, round(pen * s * 4))

    def at(x: float, y: float) -> tuple[int, int]:
        return tuple(round((margin + v * s) * 4 * 2**shift) for v in (x, y))

    lines = [(0.2, 0.1, 1, 0.9), (1, 0.1, 0.2, 0.9), (1.5, 0.5, 2.5, 0.5), (2, 0, 2, 1)]
    lines += [(3.2, 0.3, 3.6, 0), (3.6, 0, 3.6, 1), (0, 1.4, 4.2, 1.4)]
    lines += [(2.4, 2.6, 3.2, 2.6), (3.2, 1.9, 2.4, 2.6), (2.5, 1.8, 3.2, 1.9)]
    for x0, y0, x1, y1 in lines:
        cv2.line(big, at(x0, y0), at(x1, y1), 255, width, shift=shift)
    axes = tuple(round(v * s * 4 * 2**shift) for v in (0.35, 0.45))
    cv2.ellipse(big, at(1.2, 2.2), axes, 0, 0, 360, 255, width, shift=shift)
    return cv2.resize(big, size[::-1], interpolation=cv2.INTER_AREA)


def print_text(text: str, size: float = 40, margin: int = 12) -> np.ndarray:
    """Text in the font that comes with PIL: (H, W) uint8 ink map."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    page = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin), 0)
    ImageDraw.Draw(page).text((margin - left, margin - top), text, 255, font=font)
    return np.asarray(page)


def encode(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two pictures, the second brought to the size of the first."""
    other = cv2.resize(other, one.shape[::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def assert_same(one: np.ndarray, other: np.ndarray, least: float, size: float = 0.0) -> None:
    np.testing.assert_allclose(one.shape, other.shape, rtol=size)
    assert likeness(one, other) > least


# ---- load_picture -------------------------------------------------------------------------------

INK = draw_formula()
DARK_ON_LIGHT = 255 - INK


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(DARK_ON_LIGHT, id="array (H, W)"),
        pytest.param(DARK_ON_LIGHT[..., None], id="array (H, W, 1)"),
        pytest.param(np.dstack([DARK_ON_LIGHT] * 3), id="array (H, W, 3)"),
        pytest.param(np.dstack([DARK_ON_LIGHT] * 3 + [INK * 0 + 255]), id="array (H, W, 4)"),
        pytest.param(DARK_ON_LIGHT / 255, id="array of float"),
        pytest.param(DARK_ON_LIGHT > 127, id="array of bool"),
        pytest.param(np.asfortranarray(DARK_ON_LIGHT)[:, :], id="array in column order"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT), id="PIL L"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT).convert("1"), id="PIL 1 bit"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT).convert("P"), id="PIL palette"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT).convert("CMYK"), id="PIL CMYK"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT).convert("LA"), id="PIL LA"),
        pytest.param(
            Image.fromarray(DARK_ON_LIGHT).convert("RGBA").convert("RGBa"), id="PIL premultiplied"
        ),
        pytest.param(Image.fromarray(DARK_ON_LIGHT / np.float32(255)), id="PIL float"),
        pytest.param(Image.fromarray(DARK_ON_LIGHT.astype(np.uint16) * 257), id="PIL 16 bits"),
        pytest.param(encode(DARK_ON_LIGHT), id="PNG"),
        pytest.param(encode(DARK_ON_LIGHT.astype(np.uint16) * 257), id="PNG of 16 bits"),
        pytest.param(encode(DARK_ON_LIGHT.astype(np.uint16) * 257, "TIFF"), id="TIFF of 16 bits"),
        pytest.param(encode(DARK_ON_LIGHT, "JPEG", quality=90), id="JPEG"),
        pytest.param(encode(DARK_ON_LIGHT, "WEBP", lossless=True), id="WEBP"),
        pytest.param(encode(DARK_ON_LIGHT, "BMP"), id="BMP"),
        pytest.param(encode(DARK_ON_LIGHT, "HEIF", quality=90), id="HEIC"),
        pytest.param(bytearray(encode(DARK_ON_LIGHT, "PPM")), id="PPM in a bytearray"),
        pytest.param(
            encode(
                DARK_ON_LIGHT, "GIF", save_all=True, append_images=[Image.new("L", INK.shape[::-1])]
            ),
            id="GIF with a second, black frame",
        ),
    ],
)
def test_every_way_to_hand_in_a_picture_gives_the_same(source):
    picture = load_picture(source)
    assert picture.mode == "RGB"
    assert picture.size == INK.shape[::-1]
    difference = np.abs(np.asarray(picture).astype(int) - DARK_ON_LIGHT[..., None])
    assert difference.mean() < 5  # 1 bit, 6-colour palettes and JPEG lose a little
    assert_same(standardize(INK, SYMBOL_PX), prepare(source, SYMBOL_PX), 0.93, size=0.05)


def test_paths_are_read_as_text_or_path(tmp_path):
    path = tmp_path / "formula.png"
    path.write_bytes(encode(DARK_ON_LIGHT))
    assert load_picture(path) == load_picture(str(path)) == load_picture(path.read_bytes())


@pytest.mark.parametrize(
    ("red", "green", "blue"),
    [
        pytest.param(0, 0, 0, id="black strokes"),
        pytest.param(255, 255, 255, id="white strokes, alpha is the ink"),
        pytest.param(255, 240, 200, id="pale strokes"),
        pytest.param(30, 60, 200, id="blue strokes"),
    ],
)
def test_a_transparent_drawing_is_seen(red, green, blue):
    pad = np.dstack(
        [np.full_like(INK, red), np.full_like(INK, green), np.full_like(INK, blue), INK]
    )
    for source in (pad, encode(pad), encode(pad, "WEBP", lossless=True)):
        assert_same(standardize(INK, SYMBOL_PX), prepare(source, SYMBOL_PX), 0.98)


def test_a_white_card_with_text_on_a_transparent_sheet_stays_as_it_is():
    card = np.pad(np.dstack([DARK_ON_LIGHT] * 3 + [INK * 0 + 255]), ((5, 5), (5, 5), (0, 0)))
    assert_same(standardize(INK, SYMBOL_PX), prepare(card, SYMBOL_PX), 0.98)


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn clockwise to view
    lying = np.rot90(DARK_ON_LIGHT)
    picture = load_picture(encode(lying, "JPEG", exif=exif, quality=95))
    assert picture.size == INK.shape[::-1]
    assert_same(standardize(INK, SYMBOL_PX), prepare(picture, SYMBOL_PX), 0.97, size=0.05)


def header_only(width: int, height: int) -> bytes:
    """A PNG whose header promises that size, with nothing behind it."""
    data = bytearray(encode(Image.new("L", (1, 1))))
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param(b"", "empty", id="no bytes"),
        pytest.param(b"x^2 + 1 = 0\n" * 50, "PNG, JPEG", id="text"),
        pytest.param(b"%PDF-1.7\n" + bytes(100), "PNG, JPEG", id="PDF"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PNG", id="PostScript"),
        pytest.param(encode(DARK_ON_LIGHT)[:-400], "complete", id="truncated PNG"),
        pytest.param(encode(DARK_ON_LIGHT, "JPEG")[:-900], "complete", id="truncated JPEG"),
        pytest.param(encode(DARK_ON_LIGHT)[:20], "picture", id="PNG cut in its header"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(64), "picture", id="PNG of zeros"),
        pytest.param(header_only(10_001, 10_000), "10001 x 10000", id="101 megapixels"),
        pytest.param(header_only(60_000, 60_000), "megapixels", id="decompression bomb"),
        pytest.param(header_only(2**31 - 1, 2**31 - 1), "megapixels", id="absurd header"),
        pytest.param(header_only(0, 5), "picture", id="header of width 0"),
        pytest.param("no/such/file.png", "no/such/file.png", id="missing file"),
        pytest.param(Path("no/such.png"), "such.png", id="missing path"),
        pytest.param("nul\0byte.png", "path", id="path with a zero byte"),
        pytest.param(".", "path", id="a folder"),
        pytest.param(Image.new("L", (0, 4)), "0 x 4", id="PIL without pixels"),
        pytest.param(np.zeros((0, 5), np.uint8), "(0, 5)", id="array without pixels"),
        pytest.param(np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)", id="array of two channels"),
        pytest.param(np.zeros(9, np.uint8), "(9,)", id="flat array"),
        pytest.param(np.zeros((2, 4, 4, 3), np.uint8), "(2, 4, 4, 3)", id="batch of arrays"),
        pytest.param(np.zeros((4, 4), np.int64), "int64", id="array of int64"),
        pytest.param(np.full((4, 4), 200.0), "200", id="float array up to 255"),
        pytest.param(np.full((4, 4), np.nan), "nan", id="float array of NaN"),
        pytest.param(None, "NoneType", id="nothing"),
        pytest.param([[1, 2]], "list", id="list"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(source, says):
    with pytest.raises(ImageError) as caught:
        load_picture(source)
    assert says in str(caught.value)
    assert "expected" in str(caught.value)


def test_too_many_bytes_are_refused_before_decoding(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    (tmp_path / "large.png").write_bytes(bytes(1001))
    for source in (bytes(1001), tmp_path / "large.png"):
        with pytest.raises(ImageError, match="at most"):
            load_picture(source)


def test_without_the_package_for_heic_it_is_said_what_to_do(monkeypatch):
    pictures._learn_heic.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"got HEIC.*pip install pillow-heif"):
        load_picture(encode(DARK_ON_LIGHT, "HEIF"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "HEIF"])
def test_broken_bytes_raise_nothing_else(kind):
    rng = np.random.default_rng(0)
    whole = np.frombuffer(encode(draw_formula(12, margin=3), kind), np.uint8)
    for _ in range(60):
        broken = whole.copy()
        broken[rng.integers(0, len(whole), 4)] = rng.integers(0, 256, 4)
        broken = broken[: rng.integers(len(whole) // 2, len(whole) + 1)]
        with suppress(ImageError):
            prepare(broken.tobytes(), SYMBOL_PX)


# ---- ink_map ------------------------------------------------------------------------------------


def as_photo(ink: np.ndarray, paper: float, stroke: float, light: np.ndarray | float) -> np.ndarray:
    """Grey picture of the ink with that paper and stroke grey, in that light, with camera noise."""
    noise = np.random.default_rng(0).normal(0, 2, ink.shape)
    grey = (paper + (stroke - paper) * (ink / 255.0)) * light + noise
    return np.clip(np.rint(cv2.GaussianBlur(grey, (0, 0), 0.7)), 0, 255).astype(np.uint8)


def light_field(shape: tuple[int, int], darkest: float) -> np.ndarray:
    """Light that falls from 1 at the upper left to darkest at the lower right."""
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    return 1 - (1 - darkest) * (x + y) / 2


LARGE = draw_formula(100, margin=60)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(as_photo(LARGE, 235, 40, 1), id="photo"),
        pytest.param(as_photo(LARGE, 210, 170, 1), id="faint pencil"),
        pytest.param(as_photo(LARGE, 235, 40, light_field(LARGE.shape, 0.35)), id="uneven light"),
        pytest.param(as_photo(LARGE, 90, 30, 1), id="photo in the dark"),
        pytest.param(as_photo(LARGE, 45, 200, 1), id="blackboard"),
        pytest.param(
            as_photo(LARGE, 60, 190, light_field(LARGE.shape, 0.5)), id="board in a corner"
        ),
        pytest.param(LARGE, id="dark mode"),
        pytest.param(np.rint(30 + LARGE * 0.5).astype(np.uint8), id="grey on dark grey"),
        pytest.param(np.rint(250 - LARGE * 0.2).astype(np.uint8), id="grey on white"),
        pytest.param(
            np.dstack([255 - LARGE // 8, 255 - LARGE // 6, 255 - LARGE]), id="yellow on white"
        ),
        pytest.param(np.dstack([LARGE, LARGE // 5, LARGE // 5]), id="red on black"),
    ],
)
def test_light_and_colours_do_not_matter(picture):
    assert_same(standardize(LARGE, SYMBOL_PX), prepare(picture, SYMBOL_PX), 0.95, size=0.05)


@pytest.mark.parametrize("desk", [25, 60])
def test_a_sheet_on_a_dark_desk_is_read_like_the_sheet_alone(desk):
    sheet = as_photo(LARGE, 210, 60, 1)
    height, width = sheet.shape
    picture = as_photo(np.zeros((3 * height, 2 * width)), desk, desk, 1)
    picture[height : 2 * height, width // 2 : width // 2 + width] = sheet
    assert_same(prepare(sheet, SYMBOL_PX), prepare(picture, SYMBOL_PX), 0.95, size=0.05)


def test_dark_mode_equals_light_mode():
    np.testing.assert_array_equal(prepare(INK, SYMBOL_PX), prepare(DARK_ON_LIGHT, SYMBOL_PX))


@pytest.mark.parametrize("pen", [0.03, 0.08, 0.16])
@pytest.mark.parametrize("symbol", [12, 40, 130])
def test_strokes_drawn_or_photographed_give_one_picture(symbol, pen):
    ink = draw_formula(symbol, pen, margin=10)
    assert_same(standardize(ink, SYMBOL_PX), prepare(255 - ink, SYMBOL_PX), 0.98)


@pytest.mark.parametrize("text", ["x+1", "E", "B", "(8)", "=", "1.5", "ii"])
@pytest.mark.parametrize("margin", [3, 100])
def test_print_needs_little_margin(text, margin):
    ink = print_text(text, margin=margin)
    assert_same(standardize(ink, SYMBOL_PX), prepare(255 - ink, SYMBOL_PX), 0.9, size=0.05)


def test_ruled_paper_and_a_table_beside_it_are_no_ink():
    ruled = LARGE.copy()
    for row in (40, 41):
        ruled[row::70] = np.maximum(ruled[row::70], 120)
    page = as_photo(ruled, 230, 40, light_field(LARGE.shape, 0.7))
    page = np.vstack([np.random.default_rng(1).integers(20, 60, (90, page.shape[1])), page])
    picture = prepare(page.astype(np.uint8), SYMBOL_PX)
    assert_same(standardize(LARGE, SYMBOL_PX), picture, 0.85, size=0.08)


def test_specks_go_and_dots_stay():
    ink = print_text("i.j", size=90, margin=40)
    specked = ink.copy()
    specked[10:14, 10] = 255
    specked[-6:-4, 60:62] = 255
    assert_same(standardize(ink, SYMBOL_PX), prepare(255 - specked, SYMBOL_PX), 0.95)


def test_the_ink_map_of_a_large_picture_is_reduced():
    page = np.full((1500, 4000), 255, np.uint8)
    page[400 : 400 + LARGE.shape[0], 900 : 900 + LARGE.shape[1]] -= LARGE
    ink = ink_map(load_picture(page))
    assert ink.shape == (750, 2000)
    assert_same(standardize(LARGE, SYMBOL_PX), standardize(ink, SYMBOL_PX), 0.9, size=0.08)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.full((60, 90), 255, np.uint8), id="white"),
        pytest.param(np.zeros((60, 90), np.uint8), id="black"),
        pytest.param(np.full((1, 1), 255, np.uint8), id="one pixel"),
        pytest.param(np.zeros((1, 300), np.uint8), id="one row"),
        pytest.param(np.zeros((300, 1), np.uint8), id="one column"),
        pytest.param(np.zeros((60, 90, 4), np.uint8), id="fully transparent"),
        pytest.param(as_photo(np.zeros((300, 400), np.uint8), 200, 0, 1), id="blank sheet"),
        pytest.param(
            as_photo(np.zeros((300, 400), np.uint8), 200, 0, light_field((300, 400), 0.5)),
            id="blank sheet in uneven light",
        ),
    ],
)
def test_blank_pictures_have_no_ink(picture):
    assert not ink_map(load_picture(picture)).any()
    with pytest.raises(ImageError, match="no ink found"):
        prepare(picture, SYMBOL_PX)


def test_ruled_lines_with_a_speck_beside_them_are_blank_paper():
    """Cut out of a page: nothing is left when the lines are gone."""
    crop = np.full((60, 600, 3), 255, np.uint8)
    crop[[10, 40]] = 60
    crop[13, 300:303] = 60
    assert not ink_map(load_picture(crop), own=(0.45, 0.55)).any()


@pytest.mark.parametrize("columns", [(0,), (0, 1), (7,)])
def test_a_line_of_a_column_or_two_can_be_erased(columns):
    lines = np.zeros((20, 40), int)
    lines[3:5, columns] = 1
    mask = (lines > 0).astype(np.uint8)
    left, depth = erase_lines(mask, 200 * mask, lines)
    assert not left.any() and not depth.any()


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 500), (500, 1), (2, 2), (3, 40_000)])
def test_slivers_are_read_or_refused(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with nullcontext() if ink_map(load_picture(picture)).any() else pytest.raises(ImageError):
        assert prepare(picture, SYMBOL_PX).dtype == np.uint8


# ---- symbol_size, find_frame, standardize -------------------------------------------------------


@pytest.mark.parametrize("pen", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("factor", [0.3, 1, 3])
def test_symbol_size_follows_the_symbols_not_the_pen(factor, pen):
    symbol = 60 * factor
    assert symbol_size(draw_formula(symbol, pen)) == pytest.approx(0.93 * symbol, rel=0.1)


@pytest.mark.parametrize("factor", [0.3, 3])
def test_any_drawing_size_gives_nearly_the_same_picture(factor):
    standard = standardize(draw_formula(60), SYMBOL_PX)
    other = standardize(draw_formula(60 * factor), SYMBOL_PX)
    assert_same(standard, other, 0.8, size=0.08)


def test_pen_width_hardly_changes_the_size():
    thin, thick = (standardize(draw_formula(60, pen), SYMBOL_PX) for pen in (0.02, 0.1))
    np.testing.assert_allclose(thin.shape, thick.shape, rtol=0.1)
    assert thin.max() == thick.max() == 255  # faint lines are brought up to full ink


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param("1", 18, 26, id="one"),
        pytest.param("x", 18, 26, id="x"),
        pytest.param("-", 12, 22, id="minus"),
        pytest.param("=", 12, 24, id="equals"),
        pytest.param(".", 3, 10, id="dot stays small"),
        pytest.param(":", 10, 40, id="colon"),
        pytest.param("i", 18, 32, id="i with its dot"),
    ],
)
def test_single_symbols(text, least, most):
    for size in (30, 120):
        height, width = standardize(print_text(text, size), SYMBOL_PX).shape
        assert least <= max(height, width) - 2 * MARGIN_PX <= most


def test_margins_are_paper_and_the_ink_fills_the_rest():
    picture = standardize(INK, SYMBOL_PX)
    inner = picture[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    assert picture.sum() == inner.sum()
    assert all(side.any() for side in (inner[0], inner[-1], inner[:, 0], inner[:, -1]))


def test_a_frame_can_be_found_first_and_used_later():
    frame = find_frame(INK, SYMBOL_PX)
    assert frame.scale == pytest.approx(SYMBOL_PX / symbol_size(INK))
    np.testing.assert_array_equal(standardize(INK, SYMBOL_PX, frame), standardize(INK, SYMBOL_PX))
    assert INK[frame.top : frame.bottom, frame.left : frame.right].max() == 255


@pytest.mark.parametrize(("max_height", "max_width"), [(384, 1536), (40, 1536), (384, 50)])
def test_limits_shrink_the_picture_and_keep_its_aspect(max_height, max_width):
    free = find_frame(INK, 200, 10_000, 10_000)
    picture = standardize(INK, 200, None, max_height, max_width)
    assert picture.shape[0] <= max_height and picture.shape[1] <= max_width
    height, width = (side - 2 * MARGIN_PX for side in picture.shape)
    aspect = (free.right - free.left) / (free.bottom - free.top)
    assert width / height == pytest.approx(aspect, rel=0.05)


@pytest.mark.parametrize(
    "ink",
    [
        pytest.param(np.zeros((9, 9), np.uint8), id="blank"),
        pytest.param(np.zeros((0, 9), np.uint8), id="no pixels"),
        pytest.param(np.ones((9, 9, 3), np.uint8), id="colour"),
        pytest.param(np.ones((9, 9), np.float32), id="float"),
    ],
)
def test_only_ink_maps_with_ink_have_a_size(ink):
    for function in (symbol_size, lambda it: find_frame(it, 20), lambda it: standardize(it, 20)):
        with pytest.raises(ImageError):
            function(ink)
