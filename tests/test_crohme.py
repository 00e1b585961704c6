"""Reading InkML, and the pictures made from it. Every file here is written by the test itself."""

from __future__ import annotations

import logging
import tarfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from latexocr.errors import DataError
from tests.tiny import inkml
from trainer.data import crohme
from trainer.data.crohme import parse_inkml, read_inks, read_labels, symbol_inks
from trainer.data.strokes import (
    Ink,
    InkAugment,
    Symbol,
    draw,
    expected_shape,
    ink_symbol_size,
    rng_for,
    sample,
)

SYMBOL_PX = 20.0

PLAIN = r"""<ink>
<annotation type="truth">$x \lt 1$</annotation>
<annotation type="writer">w7</annotation>
<trace id="a">0 0, 5 5, 10 10</trace>
<trace id="b">10 0, 5 5, 0 10</trace>
<trace id="c">30 0, 20 5, 30 10</trace>
<trace id="d">40 0, 40 10</trace>
<traceGroup><annotation type="truth">Segmentation</annotation>
  <traceGroup><annotation type="truth">x</annotation>
    <traceView traceDataRef="a"/><traceView traceDataRef="b"/></traceGroup>
  <traceGroup><annotation type="truth">\lt</annotation><traceView traceDataRef="c"/></traceGroup>
  <traceGroup><annotation type="truth">1</annotation><traceView traceDataRef="d"/></traceGroup>
</traceGroup></ink>"""
SYMBOLS = (Symbol("x", (0, 1)), Symbol(r"\lt", (2,)), Symbol("1", (3,)))


def circle(x: float, y: float, radius: float) -> np.ndarray:
    angle = np.linspace(0, 6, 30)
    return np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)])


def make_ink(*symbols: tuple[str, list], name: str = "made") -> Ink:
    """An ink from (label, strokes) pairs."""
    strokes, named = [], []
    for label, pieces in symbols:
        named.append(Symbol(label, tuple(range(len(strokes), len(strokes) + len(pieces)))))
        strokes += [np.asarray(piece, np.float32) for piece in pieces]
    return Ink(name, tuple(strokes), " ".join(label for label, _ in symbols), tuple(named))


@pytest.fixture
def fraction() -> Ink:
    """(0 + x) over 0, with an exponent: symbols of several sizes, a long bar, a dot."""
    return make_ink(
        ("0", [circle(120, 100, 40)]),
        ("+", [[(200, 100), (260, 100)], [(230, 70), (230, 130)]]),
        ("x", [[(300, 60), (370, 140)], [(370, 60), (300, 140)]]),
        ("2", [[(390, 30), (420, 20), (420, 40), (390, 70), (425, 70)]]),
        ("-", [[(60, 180), (440, 185)]]),
        ("0", [circle(250, 260, 45)]),
        (".", [[(330, 300)]]),
    )


# --- Reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(
            PLAIN.replace("<ink>", '<ink xmlns="http://www.w3.org/2003/InkML">'), id="namespace"
        ),
        pytest.param('<?xml version="1.0" encoding="UTF-8"?>\n' + PLAIN, id="declaration"),
        pytest.param(PLAIN.replace("0 0, 5 5, 10 10", "0 0 17, 5 5 33, 10 10 50"), id="with time"),
        pytest.param(
            PLAIN.replace("0 0, 5 5, 10 10", "0 0, 5 5 33, 10 10 50"), id="time now and then"
        ),
        pytest.param(
            PLAIN.replace("0 0, 5 5, 10 10", "\n 0.0  0.0,5.00 5e0 ,\n10. 10.0,\n"), id="decimals"
        ),
        pytest.param(PLAIN.replace("0 0, 5 5, 10 10", "<![CDATA[0 0, 5 5, 10 10]]>"), id="cdata"),
        pytest.param(PLAIN.replace("<trace id", "<trace xml:id"), id="xml:id"),
        pytest.param(PLAIN.replace('Ref="', 'Ref="#'), id="references with #"),
        pytest.param(PLAIN.replace("$", ""), id="no dollars"),
        pytest.param(PLAIN.replace(r"x \lt", r"x$ \lt"), id="a dollar too many"),
        pytest.param(
            PLAIN.replace("<trace id", '<trace id="e"> </trace><trace id', 1), id="an empty trace"
        ),
    ],
)
def test_the_same_ink_in_many_spellings(text: str) -> None:
    ink = parse_inkml(text.encode(), "f1")
    assert (ink.name, ink.latex, ink.writer, ink.symbols) == ("f1", r"x \lt 1", "w7", SYMBOLS)
    assert [len(stroke) for stroke in ink.strokes] == [3, 3, 3, 2]
    assert all(stroke.dtype == np.float32 for stroke in ink.strokes)
    np.testing.assert_array_equal(ink.strokes[0], [[0, 0], [5, 5], [10, 10]])


def test_latin1_bytes_in_a_file_that_claims_utf8() -> None:
    data = PLAIN.encode().replace(b"<traceGroup>", b"<mo>\xb7</mo><traceGroup>", 1)
    assert parse_inkml(data, "f1").symbols == SYMBOLS


def test_missing_segmentation_and_dangling_references() -> None:
    bare = PLAIN[: PLAIN.index("<traceGroup>")] + "</ink>"
    assert parse_inkml(bare.encode(), "f1").symbols == ()
    dangling = PLAIN.replace('traceDataRef="c"', 'traceDataRef="zz"')
    assert [s.label for s in parse_inkml(dangling.encode(), "f1").symbols] == ["x", "1"]


NO_TRUTH = PLAIN.replace(r"$x \lt 1$", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "empty file", id="empty"),
        pytest.param("  \n", "empty file", id="blank"),
        pytest.param(PLAIN[:200], "expected XML", id="cut off"),
        pytest.param("not xml at all", "expected XML", id="not XML"),
        pytest.param("<ink><annotation type='truth'>x</annotation></ink>", "trace", id="no trace"),
        pytest.param(NO_TRUTH, "truth", id="no truth"),
        pytest.param(PLAIN.replace("5 5, 10", "5 five, 10"), "trace", id="words for numbers"),
        pytest.param(PLAIN.replace("5 5, 10", "5 nan, 10"), "trace", id="not a number"),
        pytest.param(PLAIN.replace("0 0, 5 5, 10 10", "0, 5, 10"), "trace", id="one channel"),
        pytest.param(PLAIN.replace("0 0, 5 5, 10 10", ", 1 2"), None, id="leading comma"),
    ],
)
def test_broken_files(text: str, message: str | None) -> None:
    with pytest.raises(DataError, match=message) if message else nullcontext():
        parse_inkml(text.encode(), "f1")


def test_a_label_stands_in_for_a_missing_or_wrong_truth() -> None:
    assert parse_inkml(NO_TRUTH.encode(), "f1", latex="x < 1").latex == "x < 1"
    assert parse_inkml(PLAIN.encode(), "f1", latex="y").latex == "y"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good files (one in a subfolder), one without truth, one broken, one empty."""
    root = tmp_path / "inks"
    (root / "sub").mkdir(parents=True)
    for name in ("b", "sub/a", "c"):
        (root / f"{name}.inkml").write_text(PLAIN)
    (root / "untrue.inkml").write_text(NO_TRUTH)
    (root / "broken.inkml").write_text(PLAIN[:100])
    (root / "empty.inkml").write_text("")
    (root / "notes.txt").write_text("not ink")
    return root


def test_a_folder_and_its_archive_give_the_same(folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "inks.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname="anything")
    from_folder, from_archive = list(read_inks(folder)), list(read_inks(archive))
    assert [ink.name for ink in from_folder] == ["a", "b", "c"]
    assert [ink.name for ink in from_archive] == ["a", "b", "c"]
    for one, other in zip(from_folder, from_archive, strict=True):
        assert (one.latex, one.symbols) == (other.latex, other.symbols)
        assert all(map(np.array_equal, one.strokes, other.strokes))


def test_unreadable_files_are_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        list(read_inks(folder))
    assert "3 of 6 files" in caplog.text
    assert "untrue" in caplog.text


def test_labels_replace_truths(folder: Path, tmp_path: Path) -> None:
    tsv = tmp_path / "labels.tsv"
    tsv.write_text("id\ttokens\nuntrue\tx < 1\na\ty ^ { 2 }\n", encoding="utf-8")
    found = {ink.name: ink.latex for ink in read_inks(folder, read_labels(tsv))}
    assert found == {"a": "y ^ { 2 }", "b": r"x \lt 1", "c": r"x \lt 1", "untrue": "x < 1"}


@pytest.mark.parametrize("text", ["", "a\tb\n", "id\ttokens\nonly one column\n"])
def test_broken_labels(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.tsv").write_text(text)
    with pytest.raises(DataError, match=r"labels\.tsv"):
        read_labels(tmp_path / "labels.tsv")


def test_sources_that_hold_no_ink(tmp_path: Path) -> None:
    (tmp_path / "fake.tar.gz").write_text("no archive")
    for source in (tmp_path, tmp_path / "missing", tmp_path / "fake.tar.gz"):
        with pytest.raises(DataError):
            list(read_inks(source))


def test_symbol_inks(fraction: Ink) -> None:
    alone = symbol_inks([fraction, parse_inkml(PLAIN.encode(), "f1")])
    assert [ink.latex for ink in alone] == ["0", "+", "x", "2", "-", "0", "x", "<", "1"]
    assert len({ink.name for ink in alone}) == len(alone)
    cross = alone[2]
    assert cross.symbols == (Symbol("x", (0, 1)),)
    np.testing.assert_array_equal(cross.strokes[1], fraction.strokes[4])
    assert all(sample(ink, SYMBOL_PX, rng_for(0, 0, 0)).marks is not None for ink in alone)


# --- Pictures --------------------------------------------------------------------------------


def test_symbol_size_ignores_bars_and_dots(fraction: Ink) -> None:
    assert 60 <= ink_symbol_size(fraction) <= 90
    assert 60 <= ink_symbol_size(replace(fraction, symbols=())) <= 110
    assert ink_symbol_size(make_ink(("-", [[(0, 0), (50, 0)]]))) == 50
    assert ink_symbol_size(make_ink((".", [[(3, 3)]]))) == 1


def test_sample_is_a_standard_picture(fraction: Ink) -> None:
    picture = sample(fraction, SYMBOL_PX)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.max() == 255
    assert not picture.pixels[0].any()
    assert not picture.pixels[:, -1].any()
    assert picture.marks.dtype == np.float32
    assert set(picture.marks[:, 2]) == set(range(len(fraction.symbols)))
    assert np.array_equal(picture.pixels, sample(fraction, SYMBOL_PX).pixels)


def test_expected_shape_is_near_the_real_one(fraction: Ink) -> None:
    for ink in (fraction, parse_inkml(PLAIN.encode(), "f1"), *symbol_inks([fraction])):
        for symbol_px in (12.0, 20.0, 32.0):
            real = sample(ink, symbol_px).pixels.shape
            assert expected_shape(ink, symbol_px) == pytest.approx(real, rel=0.25)
            assert expected_shape(ink, symbol_px / 2, scale=2.0) == expected_shape(ink, symbol_px)


def test_pen_units_do_not_matter(fraction: Ink) -> None:
    large = replace(fraction, strokes=tuple(stroke * 1000 - 7e4 for stroke in fraction.strokes))
    for rng_of in (lambda: None, lambda: rng_for(1, 2, 3)):
        small_one = sample(fraction, SYMBOL_PX, rng_of())
        large_one = sample(large, SYMBOL_PX, rng_of())
        assert small_one.pixels.shape == large_one.pixels.shape
        difference = small_one.pixels.astype(int) - large_one.pixels
        assert np.abs(difference).max() <= 12  # a coordinate may round to the next 1/16 pixel
        np.testing.assert_allclose(small_one.marks, large_one.marks, atol=0.01)


def test_augmentation_depends_on_seed_epoch_and_index_only(fraction: Ink) -> None:
    def picture(*key: int) -> bytes:
        result = sample(fraction, SYMBOL_PX, rng_for(*key))
        return result.pixels.tobytes() + result.marks.tobytes()

    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len({picture(*key) for key in keys}) == len(keys)
    np.random.seed(5)  # global state plays no part
    assert [picture(*key) for key in reversed(keys)] == [picture(*key) for key in keys][::-1]
    plain = sample(fraction, SYMBOL_PX)
    assert picture(0, 0, 0) != plain.pixels.tobytes() + plain.marks.tobytes()


@pytest.mark.parametrize("index", [None, *range(25)])
def test_marks_lie_on_the_ink(fraction: Ink, index: int | None) -> None:
    picture = sample(fraction, SYMBOL_PX, None if index is None else rng_for(0, 0, index))
    height, width = picture.pixels.shape
    spots = np.round(picture.marks[:, :2]).astype(int)
    assert (spots >= 0).all()
    assert (spots < [width, height]).all()
    x, y = spots.T
    assert (picture.pixels[y, x] > 80).mean() > 0.98


@pytest.mark.parametrize("index", [None, *range(10)])
def test_marks_are_in_the_middle_of_the_ink(index: int | None) -> None:
    """Dots of known place, far apart, under every distortion: their middles are their marks."""
    dots = [("\\cdot", [[(200 * i, 40 * (i % 2))]]) for i in range(1, 6)]
    ink = make_ink(("0", [circle(0, 0, 50)]), ("0", [circle(1200, 0, 50)]), *dots)
    picture = sample(ink, 40.0, None if index is None else rng_for(3, 0, index))
    _, parts = cv2.connectedComponents((picture.pixels > 60).astype(np.uint8))
    rows, columns = np.indices(picture.pixels.shape)
    for symbol in range(2, 7):
        (mark,) = picture.marks[picture.marks[:, 2] == symbol, :2]
        part = parts[tuple(np.round(mark[::-1]).astype(int))]
        assert part > 0
        weights = picture.pixels * (parts == part)
        middle = [np.average(columns, weights=weights), np.average(rows, weights=weights)]
        assert np.abs(middle - mark).max() < 0.35


def test_marks_name_their_symbol_or_none(fraction: Ink) -> None:
    without_bar = replace(fraction, symbols=(fraction.symbols[0], fraction.symbols[5]))
    marks = sample(without_bar, SYMBOL_PX, rng_for(0, 0, 0)).marks
    assert set(marks[:, 2]) == {-1, 0, 1}
    assert marks[marks[:, 2] == 0, 1].mean() < marks[marks[:, 2] == 1, 1].mean()
    assert sample(replace(fraction, symbols=()), SYMBOL_PX, rng_for(0, 0, 0)).marks is None


@pytest.mark.parametrize(
    "strokes",
    [
        pytest.param([[(3, 3)]], id="one dot"),
        pytest.param([[(0, 0), (9, 0)]], id="one bar"),
        pytest.param([[(5, 5), (5, 5), (5, 5)]], id="pen held still"),
        pytest.param([circle(0, 0, 5), [(100_000, 3)]], id="stray dot far away"),
    ],
)
def test_odd_inks_give_pictures(strokes: list) -> None:
    for rng in (None, rng_for(0, 0, 0)):
        picture = sample(make_ink(("x", strokes)), SYMBOL_PX, rng)
        assert picture.pixels.any()
        assert np.isfinite(picture.marks).all()


def test_draw_makes_dots_as_wide_as_the_pen() -> None:
    ink_map = draw([np.array([[5.0, 5.0]])], size=10.0, pen=0.2, symbol_px=20.0)
    width = (ink_map > 127).any(axis=0).sum()
    assert abs(width - 0.2 * 20 * 2) <= 1


def test_augment_refuses_impossible_ranges() -> None:
    with pytest.raises(ValueError, match="min <= max"):
        InkAugment(pen_min=0.2, pen_max=0.1)


@pytest.mark.parametrize("flag", ["--augment", "--no-augment"])
def test_sheet_command_writes_a_png(folder: Path, tmp_path: Path, flag: str) -> None:
    out = tmp_path / "made" / "sheet.png"
    crohme.main([str(folder), "--sheet", str(out), "--count", "2", flag])
    assert cv2.imread(str(out)).std() > 0


# --- The order of symbols -------------------------------------------------------------------


def test_symbols_come_in_the_order_of_latex_and_fraction_bars_are_known():
    mathml = (
        "<math><mfrac xml:id='bar'><mroot xml:id='root'><mi xml:id='x'>x</mi><mn xml:id='3'>3</mn>"
        "</mroot><mo xml:id='minus'>-</mo></mfrac></math>"
    )
    labels = {"x": "x", "3": "3", "minus": "-", "bar": "-", "root": r"\sqrt", "lost": "y"}
    order = ["lost", "x", "minus", "3", "root", "bar"]
    traces = "".join(f'<trace id="{i}">{i} 0, {i} 9</trace>' for i in range(len(order)))
    groups = "".join(
        f'<traceGroup><annotation type="truth">{labels[name]}</annotation>'
        f'<traceView traceDataRef="{i}"/><annotationXML href="{name}"/></traceGroup>'
        for i, name in enumerate(order)
    )
    data = (
        r'<ink><annotation type="truth">\frac{\sqrt[3]{x}}{-}</annotation>'
        f'<annotationXML type="truth">{mathml}</annotationXML>{traces}'
        f"<traceGroup>{groups}</traceGroup></ink>"
    )
    ink = parse_inkml(data.encode(), "ordered")
    assert [s.label for s in ink.symbols] == ["-", r"\sqrt", "3", "x", "-", "y"]
    assert [s.is_fraction for s in ink.symbols] == [True, False, False, False, False, False]


def test_remnants_of_a_page_move_no_mark_and_leave_single_symbols_alone():
    ink = parse_inkml(inkml("xlT").encode(), "a")
    wear = InkAugment(rule=1.0, neighbours=1.0)
    for seed in range(10):
        drawn = sample(ink, 20, rng_for(seed, 0, 0), wear)
        x, y = drawn.marks[:, :2].round().astype(int).T
        on_paper = (y >= 0) & (y < drawn.pixels.shape[0]) & (x >= 0) & (x < drawn.pixels.shape[1])
        assert on_paper.all()
        assert (drawn.pixels[y, x] > 60).mean() > 0.9  # where the marks are, there is ink
    letter = parse_inkml(inkml("x").encode(), "b")
    plain = sample(letter, 20, rng_for(0, 0, 0), InkAugment())
    assert np.array_equal(sample(letter, 20, rng_for(0, 0, 0), wear).pixels, plain.pixels)


def test_a_formula_is_torn_apart_only_where_no_stroke_is(fraction: Ink):
    """The bar of a fraction holds all that is above and below it together."""
    plain = InkAugment(gap=1e-12)  # as many numbers are drawn
    torn = InkAugment(gap=1.0, gap_max=6.0)
    same = [sample(fraction, 20, rng_for(i, 0, 0), torn).pixels.shape for i in range(8)]
    assert same == [sample(fraction, 20, rng_for(i, 0, 0), plain).pixels.shape for i in range(8)]
    row = make_ink(("x", [[(0, 0), (50, 60)]]), ("1", [[(80, 0), (80, 60)]]))
    wide = [sample(row, 20, rng_for(i, 0, 0), torn).pixels.shape[1] for i in range(30)]
    tight = [sample(row, 20, rng_for(i, 0, 0), plain).pixels.shape[1] for i in range(30)]
    assert np.mean(wide) > 1.5 * np.mean(tight)
    marks = sample(row, 20, rng_for(0, 0, 0), torn).marks
    assert len(marks) and set(marks[:, 2]) == {0, 1}
