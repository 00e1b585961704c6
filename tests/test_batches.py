"""Plans of batches, and batches as tensors."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from latexocr.errors import DataError
from latexocr.modeling import STRIDE
from latexocr.tokenizer import build_tokenizer
from tests.tiny import write_inks
from trainer.data.batches import (
    BatchConfig,
    BatchPlan,
    Draw,
    DrawnExamples,
    Kind,
    PlannedBatches,
    align_symbols,
    collate,
    few_sides,
    symbols_of_cells,
)
from trainer.data.crohme import symbol_inks
from trainer.data.examples import InkExample, load_examples, part_of
from trainer.data.strokes import InkAugment
from trainer.objective import IGNORE, NO_SYMBOL


@pytest.fixture(scope="module")
def formulas(tmp_path_factory) -> list[InkExample]:
    return load_examples(str(write_inks(tmp_path_factory.mktemp("inks"), n=40)))


def make_plan(formulas, seed=0, **config) -> BatchPlan:
    symbols = [InkExample(ink) for ink in symbol_inks([f.ink for f in formulas])]
    n_tokens = [len(e.latex) + 2 for e in [*formulas, *symbols]]
    settings = BatchConfig(**config)
    kinds = [Kind(formulas), Kind(symbols, settings.symbols_per_epoch)]
    return BatchPlan(kinds, n_tokens, shapes_of([*formulas, *symbols]), settings, seed)


def shapes_of(examples: list[InkExample]) -> list[tuple[int, int]]:
    return [example.expected_shape(20) for example in examples]


def indices(batches: list[list[Draw]]) -> list[int]:
    return sorted(draw.index for batch in batches for draw in batch)


def test_an_epoch_has_every_formula_once(formulas):
    batches = make_plan(formulas, pixel_budget=20_000).epoch(5)
    assert indices(batches) == list(range(40))
    assert len(batches) > 3


def test_batches_keep_the_budget_of_padded_pixels(formulas):
    plan = make_plan(formulas, pixel_budget=20_000)
    for batch in plan.epoch(0):
        sides = [-(-plan.shapes[d.index] * d.scale // 16) * 16 for d in batch]
        height, width = np.max(sides, axis=0)
        assert len(batch) == 1 or len(batch) * height * width <= 20_000


def test_batches_of_few_shapes_have_every_formula_once(formulas):
    plan = make_plan(formulas, pixel_budget=60_000, few_shapes=True)
    batches = plan.epoch(0)
    assert indices(batches) == list(range(40))
    assert {len(batch) for batch in batches} <= {1, 2, 4, 8, 16, 32}
    for batch in batches:
        height, width = few_sides(np.max([plan.shapes[d.index] * d.scale for d in batch], axis=0))
        assert len(batch) == 1 or len(batch) * height * width <= 60_000


def test_batches_of_few_shapes_have_fewer_of_them():
    rng = np.random.default_rng(0)
    shapes = [tuple(shape) for shape in rng.uniform((20, 20), (100, 600), (20_000, 2))]
    found = []
    for few_shapes in (False, True):
        config = BatchConfig(pixel_budget=500_000, few_shapes=few_shapes)
        plan = BatchPlan([Kind(range(20_000))], [3] * 20_000, shapes, config, seed=0)
        round_up = few_sides if few_shapes else (lambda sides: np.ceil(sides / 16) * 16)
        found.append(
            {
                (
                    len(batch),
                    *round_up(
                        np.max([np.multiply(shapes[d.index], d.scale) for d in batch], axis=0)
                    ),
                )
                for batch in plan.epoch(0)
            }
        )
    assert 2 * len(found[1]) < len(found[0])


def test_the_curriculum_starts_with_short_formulas_and_symbols(formulas):
    plan = make_plan(formulas, curriculum=(3,), symbols_per_epoch=(7, 2))
    first, second = indices(plan.epoch(0)), indices(plan.epoch(1))
    assert all(plan.n_tokens[i] <= 3 for i in first if i < 40)
    assert sum(i >= 40 for i in first) == 7
    assert [i for i in second if i < 40] == list(range(40))
    assert sum(i >= 40 for i in second) == 2


def test_every_epoch_draws_other_examples_of_a_kind(formulas):
    kinds = [Kind(formulas[:10]), Kind(formulas[10:], (5,))]
    plan = BatchPlan(kinds, [3] * 40, shapes_of(formulas), BatchConfig(), seed=0)
    drawn = [indices(plan.epoch(epoch)) for epoch in range(3)]
    assert all(chosen[:10] == list(range(10)) for chosen in drawn)
    others = [chosen[10:] for chosen in drawn]
    assert all(len(set(chosen)) == 5 and min(chosen) >= 10 for chosen in others)
    assert others[0] != others[1] != others[2]


def test_the_plan_follows_from_seed_and_epoch(formulas):
    config = {"pixel_budget": 20_000}
    assert make_plan(formulas, **config).epoch(1) == make_plan(formulas, **config).epoch(1)
    assert make_plan(formulas, **config).epoch(1) != make_plan(formulas, **config).epoch(2)
    assert make_plan(formulas, **config).epoch(1) != make_plan(formulas, seed=1, **config).epoch(1)


def test_starting_at_a_position_gives_what_is_left_then_the_next_epoch(formulas):
    plan = make_plan(formulas, pixel_budget=20_000)
    n = len(plan.epoch(0))
    wanted = [*plan.epoch(0)[n - 2 :], *plan.epoch(1)[:2]]
    assert list(islice(PlannedBatches(plan, 0, n - 2), 4)) == wanted


def test_processes_share_the_batches_of_an_epoch(formulas):
    plan = make_plan(formulas, pixel_budget=20_000)
    n_steps = len(plan.epoch(0)) // 2
    shares = [list(islice(PlannedBatches(plan, 0, 0, p, 2), n_steps)) for p in (0, 1)]
    together = [batch for pair in zip(*shares, strict=True) for batch in pair]
    assert together == plan.epoch(0)[: 2 * n_steps]


def test_a_batch_holds_what_its_samples_hold(formulas):
    tokenizer = build_tokenizer()
    ids = [tokenizer(" ".join(f.latex)).input_ids for f in formulas]
    known = tokenizer.get_vocab()
    dataset = DrawnExamples(formulas, ids, known, 20, InkAugment(), seed=0)
    chosen = [Draw(0, i, 1.0) for i in (3, 4, 5)]
    samples = [dataset[draw] for draw in chosen]
    batch = collate(samples)
    padded = collate(samples, few_shapes=True)
    height, width = batch.pixel_values.shape[2:]
    assert padded.pixel_values.shape[2:] == tuple(few_sides(np.array([height, width])))
    assert torch.equal(padded.pixel_values[..., :height, :width], batch.pixel_values)
    assert padded.pixel_values.sum() == batch.pixel_values.sum()
    n_cells = padded.pixel_values.shape[2] * padded.pixel_values.shape[3] // STRIDE**2
    assert padded.cells.shape == (len(samples), n_cells)
    assert batch.n_tokens == sum(len(ids[d.index]) - 1 for d in chosen)
    for row, drawn in enumerate(samples):
        token_ids, (height, width) = drawn.token_ids, drawn.sample.pixels.shape
        picture = torch.from_numpy(drawn.sample.pixels) / 255
        assert torch.equal(batch.pixel_values[row, 0, :height, :width], picture)
        assert batch.pixel_values[row].sum() == pytest.approx(float(picture.sum()), rel=1e-5)
        assert batch.picture_sizes[row].tolist() == [height, width]
        n = len(token_ids) - 1
        assert batch.input_ids[row, :n].tolist() == token_ids[:-1]
        assert batch.labels[row, :n].tolist() == token_ids[1:]
        assert (batch.labels[row, n:] == IGNORE).all()
        shown = set(batch.cells[row].unique().tolist()) - {IGNORE}
        assert shown == {known[label] for label in formulas[chosen[row].index].symbol_labels}
        # Letter by letter, each token writes the next symbol; the end token writes none.
        assert batch.token_symbols[row, :n].tolist() == [*range(n - 1), NO_SYMBOL]
        assert set(batch.cell_symbols[row].tolist()) == {NO_SYMBOL, *range(n - 1)}
        # Letters stand side by side, each right of the one before; before the first is nowhere.
        columns = batch.places[row, :n, 1].tolist()
        assert columns == sorted(columns) and columns[0] == -1
        assert all(0 < column * 8 < width for column in columns[1:])


def test_samples_repeat_by_seed_epoch_and_index(formulas):
    def pixels(epoch: int, seed: int) -> np.ndarray:
        dataset = DrawnExamples(formulas, [[1, 2]] * 40, {r"\frac": 9}, 20, InkAugment(), seed)
        return dataset[Draw(epoch, 0, 1.0)].sample.pixels

    assert np.array_equal(pixels(0, 0), pixels(0, 0))
    assert not np.array_equal(pixels(0, 0), pixels(1, 0))
    assert not np.array_equal(pixels(0, 0), pixels(0, 1))


def test_swapped_samples_repeat_and_their_labels_follow(formulas):
    tokenizer = build_tokenizer()
    ids = [tokenizer(" ".join(f.latex)).input_ids for f in formulas]

    def drawn(swap_share: float) -> list:
        dataset = DrawnExamples(
            formulas, ids, tokenizer.get_vocab(), 20, InkAugment(), 0, swap_share
        )
        return [dataset[Draw(0, i, 1.0)] for i in range(40)]

    once, again, plain = drawn(1.0), drawn(1.0), drawn(0.0)
    assert all(
        a.token_ids == b.token_ids and np.array_equal(a.sample.pixels, b.sample.pixels)
        for a, b in zip(once, again, strict=True)
    )
    assert [s.token_ids for s in plain] == ids
    changed = [i for i in range(40) if once[i].token_ids != ids[i]]
    assert len(changed) > 5
    for s in once:  # what each token writes is what its symbol shows
        written = [
            (t, s.symbols_shown[k]) for t, k in zip(s.token_ids, s.aligned, strict=True) if k >= 0
        ]
        assert written and all(token == shown for token, shown in written)


def test_a_cell_belongs_to_the_symbol_with_most_ink_in_it():
    marks = np.array([[1, 1, 0], [2, 2, 1], [3, 3, 1], [9, 1, 0], [1, 9, -1], [17, 1, 2]], float)
    assert symbols_of_cells(marks, 3, grid=(2, 2)).tolist() == [1, 0, NO_SYMBOL, NO_SYMBOL]


@pytest.mark.parametrize(
    ("tokens", "symbols", "aligned"),
    [
        pytest.param("a + b", "a + b", [0, 1, 2], id="in order"),
        pytest.param("x _ { 1 }", "x 1", [0, -1, -1, 1, -1], id="braces write nothing"),
        pytest.param("1 + 1", "1 + 1", [0, 1, 2], id="repeated symbols"),
        pytest.param("a b c", "a c", [0, -1, 1], id="a symbol missing"),
        pytest.param("a c", "a b c", [0, 2], id="a symbol too many"),
        pytest.param("a", "", [-1], id="no symbols"),
    ],
)
def test_tokens_are_aligned_with_the_symbols_they_write(tokens, symbols, aligned):
    vocabulary = {token: i for i, token in enumerate(["a", "b", "c", "x", "1", "+", "_", "{", "}"])}
    found = align_symbols(*([vocabulary[t] for t in text.split()] for text in (tokens, symbols)))
    assert found == aligned


# --- Where examples come from ---------------------------------------------------------------


def test_a_table_of_pictures_is_read_from_a_folder(tmp_path):
    import cv2

    for name in ("a.png", "b.png"):
        page = np.full((60, 90), 255, np.uint8)
        cv2.line(page, (20, 20), (60, 40), 0, 3)
        cv2.imwrite(str(tmp_path / name), page)
    (tmp_path / "labels.tsv").write_text("image\tlatex\na.png\tx\nb.png\t\\frac{1}{2}\n")
    examples = load_examples(str(tmp_path))
    assert [(e.name, e.latex) for e in examples] == [("a.png", "x"), ("b.png", r"\frac{1}{2}")]
    assert examples[0].sample(20, None, None).pixels.max() == 255


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, "found none of them", id="empty folder"),
        pytest.param(
            {"t.tsv": "image\tlatex\nx.png\ty\n"}, "picture x.png is missing", id="missing"
        ),
        pytest.param({"t.tsv": "just one column\n"}, "expected `image<TAB>latex`", id="no tab"),
    ],
)
def test_folders_that_are_no_data_set_say_why(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_examples(str(tmp_path))


def test_parts_are_disjoint_and_repeatable():
    names = [f"{i}.png" for i in range(1700)]
    parts = [part_of(name) for name in names]
    assert 60 < parts.count("select") < 140
    assert 140 < parts.count("report") < 260
    assert parts == [part_of(name) for name in names]


def test_an_unknown_part_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected a part out of select, report, train"):
        load_examples(str(write_inks(Path(tmp_path) / "inks", n=2)), part="test")
