"""Formulas written in ink: what is written, where it stands, and by whom."""

import tarfile

import cv2
import numpy as np
import pytest

from latexocr.errors import DataError, LatexOCRError, TexError
from latexocr.latex import canonical, parse
from latexocr.tokenizer import default_vocabulary
from tests.tiny import inkml, write_inks
from trainer.data.batches import align_symbols
from trainer.data.crohme import parse_inkml, read_inks
from trainer.data.drawn import drawn_symbols
from trainer.data.extent import expected_extent
from trainer.data.glyphs import GlyphBook, is_held_out, writer_of
from trainer.data.ink import InkWriter, WrittenExample, formula_examples, main
from trainer.data.layout import Layout, inked_tokens
from trainer.data.pieces import piece_inks
from trainer.data.skeletons import FontStrokes, thin
from trainer.data.strokes import Ink, InkAugment, Symbol, rng_for

FORMULAS = [
    r"\frac{a}{b}",
    "x_i^2",
    r"\sqrt[3]{x}",
    r"\sum_{i=1}^n i",
    r"\int_0^1 f(x)dx",
    r"\left(\frac{1}{2}\right)^{n+1}",
    r"\begin{pmatrix} a & b \\ c & \alpha \end{pmatrix}",
    r"f(x)=\begin{cases} 1 & x>0 \\ 0 & \text{if not} \end{cases}",
    r"\vec{a}\cdot\hat{b}\not\subset\mathbb{R}^n",
    r"A \xrightarrow[n]{m} \overset{*}{B}",
    r"\binom{n}{k} \pmod{p} \limsup_{t\to 0} \operatorname{Hom}(A)",
    r"\underbrace{a+b}_{n} \overline{z} \boxed{x} \cancel{y}",
    r"\sqrt[n]{\sqrt{x[1]}} [2]",
    r"\mathbf{v} + {}_2F_1 |x| \| y \|",
]


def donors(n: int = 24) -> list[Ink]:
    """Formulas of lines and crosses, a writer for each."""
    letters = ["lx", "x+l", "LTx", "xTl+"]
    inks = [parse_inkml(inkml(letters[i % 4]).encode(), f"ink{i}") for i in range(n)]
    return [Ink(k.name, k.strokes, k.latex, k.symbols, f"w{i}") for i, k in enumerate(inks)]


@pytest.fixture(scope="module")
def writer() -> InkWriter:
    return InkWriter(donors())


def boxes(ink: Ink) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, right, bottom of each symbol by label."""
    found = {}
    for symbol in ink.symbols:
        points = np.concatenate([ink.strokes[i] for i in symbol.strokes])
        found[symbol.label] = (*points.min(axis=0), *points.max(axis=0))
    return found


def same(left: Ink, right: Ink) -> bool:
    return len(left.strokes) == len(right.strokes) and all(
        np.array_equal(a, b) for a, b in zip(left.strokes, right.strokes, strict=True)
    )


def test_the_same_generator_writes_the_same_ink(writer):
    latex = r"\frac{x+1}{\sqrt{y}} = \alpha"
    first = writer.write(latex, rng_for(1, 2, 3))
    assert same(first, writer.write(latex, rng_for(1, 2, 3)))
    assert same(first, InkWriter(donors()).write(latex, rng_for(1, 2, 3)))
    assert not same(first, writer.write(latex, rng_for(1, 2, 4)))


@pytest.mark.parametrize("latex", FORMULAS)
def test_symbols_are_the_inked_tokens_in_their_order(writer, latex):
    tokens = canonical(latex).split()
    inked = [tokens[place] for place in inked_tokens(tokens)]
    for seed in range(3):
        ink = writer.write(latex, rng_for(seed, 0, 0))
        labels = [r"\frac" if s.is_fraction else s.label for s in ink.symbols]
        assert labels == inked
        assert all(symbol.strokes for symbol in ink.symbols)
        assert sorted(i for s in ink.symbols for i in s.strokes) == list(range(len(ink.strokes)))
        assert all(np.isfinite(stroke).all() for stroke in ink.strokes)


@pytest.mark.parametrize("latex", FORMULAS)
def test_training_aligns_every_symbol_with_its_token(writer, latex):
    example = WrittenExample("f", canonical(latex), writer)
    tokens = example.latex.split()
    known = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    is_fraction = example.symbol_is_fraction
    labels = [r"\frac" if is_fraction[i] else s for i, s in enumerate(example.symbol_labels)]
    aligned = align_symbols([known[t] for t in tokens], [known[label] for label in labels])
    found = {place: symbol for place, symbol in enumerate(aligned) if symbol >= 0}
    assert found == {place: symbol for symbol, place in enumerate(inked_tokens(tokens))}


@pytest.mark.parametrize(
    ("latex", "upper", "lower"),
    [
        pytest.param("x^2", "2", "x", id="superscript"),
        pytest.param("x_2", "x", "2", id="subscript"),
        pytest.param("x_a^b", "b", "a", id="both scripts"),
        pytest.param(r"\frac{a}{b}", "a", "-", id="numerator over the bar"),
        pytest.param(r"\frac{a}{b}", "-", "b", id="denominator under the bar"),
        pytest.param(r"\vec{a}", r"\vec", "a", id="accent"),
        pytest.param(r"\underline{a}", "a", r"\underline", id="line below"),
        pytest.param(r"\overset{a}{b}", "a", "b", id="stacked"),
        pytest.param(r"\begin{matrix} a \\ b \end{matrix}", "a", "b", id="rows"),
    ],
)
def test_what_stands_above(writer, latex, upper, lower):
    for seed in range(20):
        found = boxes(writer.write(latex, rng_for(seed, 0, 0)))
        middles = [(found[label][1] + found[label][3]) / 2 for label in (upper, lower)]
        assert middles[0] < middles[1]


def test_a_bar_and_a_root_reach_over_what_they_hold(writer):
    for seed in range(20):
        fraction = boxes(writer.write(r"\frac{abc}{d}", rng_for(seed, 0, 0)))
        assert fraction["-"][0] < fraction["b"][0] and fraction["-"][2] > fraction["b"][2]
        root = boxes(writer.write(r"\sqrt{abc}", rng_for(seed, 0, 0)))
        assert root[r"\sqrt"][0] < root["a"][0] and root[r"\sqrt"][1] < root["b"][1]


def test_brackets_grow_with_what_they_hold(writer):
    def height(latex: str) -> float:
        heights = []
        for seed in range(20):
            box = boxes(writer.write(latex, rng_for(seed, 0, 0)))["("]
            heights.append(box[3] - box[1])
        return float(np.median(heights))

    assert height(r"(\frac{a}{b})") > 1.3 * height("(a)")


def test_symbols_of_a_row_do_not_overlap(writer):
    for seed in range(20):
        found = boxes(writer.write("a+b=T", rng_for(seed, 0, 0)))
        lefts = [found[label][0] for label in "a+b=T"]
        assert lefts == sorted(lefts)


@pytest.mark.parametrize(
    ("latex", "error"),
    [
        pytest.param("x^{2", TexError, id="unbalanced"),
        pytest.param("", DataError, id="empty"),
        pytest.param("Ж", DataError, id="no ink for the letter"),
        pytest.param(r"\mathfrak{c}", DataError, id="no ink in that font"),
    ],
)
def test_what_cannot_be_written(writer, latex, error):
    with pytest.raises(error):
        writer.write(latex, rng_for(0, 0, 0))
    try:
        tokens = canonical(latex).split()
    except LatexOCRError:
        return
    assert not writer.can_write(tokens)


def test_the_drawn_table_and_the_layout_write_the_whole_vocabulary():
    writer = InkWriter()
    assert [token for token in default_vocabulary() if not writer.can_write([token, "x"])] == []
    for key, drawn in drawn_symbols().items():
        assert all(part.token in drawn_symbols() for part in drawn.parts if part.kind == "ink"), key


# --- Sources ---------------------------------------------------------------------------------


def test_ink_comes_from_donors_where_they_have_it():
    book = GlyphBook(donors(200))
    rng = rng_for(0, 0, 0)
    sources = {book.hand(rng).glyph("x", rng).source for _ in range(50)}
    assert len(sources) > 5 and all(source.startswith("writer w") for source in sources)


def test_one_hand_keeps_its_writer():
    book = GlyphBook(donors(200))
    rng = rng_for(0, 0, 0)
    hand = book.hand(rng)
    assert len({hand.glyph("x", rng).source for _ in range(10)}) == 1


def test_held_out_sources_are_disjoint_from_training_ones():
    inks = donors(200)
    train, held_out = GlyphBook(inks), GlyphBook(inks, held_out=True)
    assert train.sources("x") and held_out.sources("x")
    assert not train.sources("x") & held_out.sources("x")
    writers = {writer_of(ink) for ink in inks}
    assert train.sources("x") - {"drawn"} == {w for w in writers if not is_held_out(w)}
    assert train.can_write(r"\alpha") and not held_out.can_write(r"\alpha")
    assert held_out.can_write(r"\mathbb L")  # a line beside a letter of a held-out writer


def test_files_without_a_writer_are_grouped_by_name():
    ink = Ink("MathBrush_200923-1253-128", (), "x", ())
    assert writer_of(ink) == "file MathBrush_200923-1253"


def test_a_strange_sample_is_no_donor():
    inks = donors(40)
    flat = np.array([[0, 0], [500, 1]], np.float32)
    odd = Ink("odd", (flat,), "l", (Symbol("x", (0,)),), "odd writer")
    assert "writer odd writer" not in GlyphBook([*inks, odd]).sources("x")


# --- Skeletons -------------------------------------------------------------------------------


def test_thinning_leaves_a_line():
    mask = np.zeros((30, 60), bool)
    mask[10:19, 5:55] = True
    lines = thin(mask)
    assert 35 <= lines.sum() <= 50 and lines.any(axis=0).sum() >= 35
    assert (lines.sum(axis=0) <= 2).all()


@pytest.mark.parametrize("thickness", [2, 3, 5])
def test_thinning_keeps_the_head_of_an_arrow(thickness):
    mask = np.zeros((60, 90), np.uint8)
    for end in ((10, 30), (62, 12), (62, 48)):
        cv2.line(mask, (80, 30), end, 1, thickness)
    lines = thin(mask > 0)
    rows = np.flatnonzero(lines[:, 60:].any(axis=1))
    assert rows[0] <= 18 and rows[-1] >= 42  # both strokes of the head, to their ends


def test_a_missing_font_is_reported(tmp_path):
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(DataError):
        FontStrokes(tmp_path / "no.ttf")


# --- Examples --------------------------------------------------------------------------------


def test_a_transpose_is_written_with_a_letter(tmp_path, writer):
    (tmp_path / "some_train.txt").write_text("x^\\top + y_\\top\n", encoding="utf-8")
    (example,) = formula_examples([tmp_path], writer, max_tokens=50)
    assert example.latex == canonical(r"x^T + y_\top")


def test_examples_draw_marks_on_their_ink(writer):
    example = WrittenExample("f", canonical(r"\frac{x^2}{y}+\sqrt{z}"), writer)
    sample = example.sample(20.0, rng_for(0, 0, 0), InkAugment())
    assert set(sample.marks[:, 2].astype(int)) == set(range(len(example.symbol_labels)))
    columns, rows = np.round(sample.marks[:, :2]).astype(int).T
    height, width = sample.pixels.shape
    near = [sample.pixels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max(initial=0)
            for x, y in zip(columns.clip(0, width - 1), rows.clip(0, height - 1),
                            strict=True)]  # fmt: skip
    assert np.mean(np.array(near) > 60) > 0.98
    again = example.sample(20.0, rng_for(0, 0, 0), InkAugment())
    assert np.array_equal(sample.pixels, again.pixels)
    plain = [example.sample(20.0, None, None).pixels for _ in range(2)]
    assert np.array_equal(*plain)
    assert example.picture().min() < 128 < example.picture().max()


@pytest.mark.parametrize("latex", FORMULAS)
def test_the_expected_shape_is_about_right(writer, latex):
    example = WrittenExample("f", canonical(latex), writer)
    shapes = [example.sample(20.0, rng_for(i, 0, 0), InkAugment()).pixels.shape for i in range(60)]
    ratio = np.median(shapes, axis=0) / example.expected_shape(20.0)
    assert (ratio > 0.5).all() and (ratio < 2.0).all()


def test_a_longer_formula_is_expected_to_be_wider():
    assert expected_extent(parse("x+y+z"))[0] > expected_extent(parse("x"))[0]
    assert expected_extent(parse(r"\frac{x}{y}"))[1] > expected_extent(parse("x"))[1]


def test_lists_are_read_without_what_cannot_be_learnt(tmp_path, writer):
    lines = ["x + 1", "x+1", "x^{2", "a b c d e f", r"\frac{a}{b}", r"\mathfrak{c}", "Ж", "z",
             r"\mathbf{v}^2", ""]  # fmt: skip
    (tmp_path / "made_train.txt").write_text("\n".join(lines))
    (tmp_path / "made_validate.txt").write_text("y")
    with tarfile.open(tmp_path / "lists.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made_train.txt", "lists/made_train.txt")
    expected = ["x + 1", r"\frac { a } { b }", "v ^ { 2 }"]
    for path in (tmp_path, tmp_path / "lists.tar.gz", tmp_path / "made_train.txt"):
        examples = formula_examples([path], writer, max_tokens=5 + 2, forbidden=["z"])
        assert [e.latex for e in examples if len(e.latex.split()) != 6] == expected
    assert len(formula_examples([tmp_path], writer, max_tokens=7, limit=2)) == 2
    with pytest.raises(DataError):
        formula_examples([tmp_path / "none.tar.gz"], writer, max_tokens=5)


def test_parts_of_formulas_are_formulas_of_the_same_ink():
    lines = ["x", "=", "T", "+", "l"]
    strokes = tuple(np.array([[i, 0], [i, 1]], np.float32) for i in range(5))
    symbols = tuple(Symbol(token, (i,)) for i, token in enumerate(lines))
    pieces = piece_inks([Ink("f", strokes, "x=T+l", symbols, "w")])
    assert [piece.latex for piece in pieces] == ["T + l"]
    assert [s.label for s in pieces[0].symbols] == ["T", "+", "l"]
    assert pieces[0].strokes[0][0, 0] == 2 and pieces[0].writer == "w"
    assert piece_inks([Ink("f", strokes, "x=T-l", symbols)]) == []


def test_a_contact_sheet_is_written(tmp_path):
    (tmp_path / "made_train.txt").write_text("x + 1\nT^{l}\n")
    inks = write_inks(tmp_path / "inks", n=4)
    main([str(tmp_path), "--donors", str(inks), "--sheet", str(tmp_path / "sheet.png"),
          "--count", "2"])  # fmt: skip
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert len(list(read_inks(inks))) == 4


def test_a_layout_lists_fraction_bars(writer):
    rng = rng_for(0, 0, 0)
    layout = Layout(writer.book.hand(rng), rng)
    layout.write(parse(r"\frac{1}{2}-3"))
    assert layout.symbols == [("-", True), ("1", False), ("2", False), ("-", False), ("3", False)]
