"""Decoding with cached keys and values, one beam and several, and where on the paper it is."""

import pytest
import torch

from latexocr.decoding import GUIDED_LAYERS, Candidate, decode
from latexocr.modeling import RecognizerModel
from latexocr.places import NOWHERE, PlaceTracker, looked_at
from latexocr.tokenizer import build_tokenizer
from tests.tiny import tiny_model

VOCABULARY = build_tokenizer().get_vocab()
FORBIDDEN = (0, 1, 3)


@pytest.fixture(scope="module")
def model() -> RecognizerModel:
    """Random weights to which places matter."""
    model = tiny_model(seed=3)
    torch.nn.init.normal_(model.place.weight, std=0.3)
    return model


def pictures(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.rand(n, 1, 48, 96, generator=torch.Generator().manual_seed(0))
    return pixels, torch.tensor([[48, 96]] * n)


def run(model: RecognizerModel, n_beams: int, n: int = 3) -> list[list[Candidate]]:
    return decode(model, *pictures(n), VOCABULARY, n_beams, 10, FORBIDDEN)


@torch.no_grad()
def step_by_step(model: RecognizerModel, ids: list[int], pixels: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (T, V) of what follows each token, all computed anew, without a cache."""
    tracker, places = PlaceTracker(VOCABULARY), [NOWHERE]
    encoded = model.encoder(pixels)
    for t in range(1, len(ids) + 1):
        out = model(
            encoder_outputs=encoded,
            decoder_input_ids=torch.tensor([ids[:t]]),
            places=torch.tensor([places]),
            output_attentions=True,
        )
        looked = looked_at(out.cross_attentions[-GUIDED_LAYERS:], columns=96 // 8)
        if t < len(ids):
            places.append(tracker.step(ids[t], tuple(looked[0].tolist())))
    logits = out.logits[0]
    logits[:, list(FORBIDDEN)] = -torch.inf
    return logits.log_softmax(dim=-1)


@pytest.mark.parametrize("n_beams", [1, 3])
def test_what_is_written_has_the_probability_that_a_run_without_cache_gives_it(model, n_beams):
    for i, beams in enumerate(run(model, n_beams)):
        for found in beams:
            ids = [1, *found.token_ids, *([2] if found.is_whole else [])]
            scores = step_by_step(model, ids[:-1], pictures()[0][i : i + 1])
            wanted = scores[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum()
            assert found.log_probability == pytest.approx(float(wanted), abs=1e-3)


def test_greedy_writes_the_likeliest_token_each_time(model):
    for i, (found,) in enumerate(run(model, 1)):
        ids = [1, *found.token_ids]
        likeliest = step_by_step(model, ids, pictures()[0][i : i + 1]).argmax(dim=-1).tolist()
        assert likeliest[: len(found.token_ids)] == list(found.token_ids)


def test_beams_come_in_order_differ_and_the_best_is_no_worse_than_greedy(model):
    for greedy, beams in zip(run(model, 1), run(model, 4), strict=True):
        scores = [found.log_probability for found in beams]
        assert scores == sorted(scores, reverse=True)
        assert len({found.token_ids for found in beams}) == 4
        assert scores[0] >= greedy[0].log_probability - 1e-4


def test_a_batch_is_decoded_as_one_by_one(model):
    pixels, sizes = pictures()
    alone = [
        decode(model, pixels[i : i + 1], sizes[i : i + 1], VOCABULARY, 2, 10, FORBIDDEN)[0]
        for i in range(3)
    ]
    assert [[c.token_ids for c in beams] for beams in run(model, 2)] == [
        [c.token_ids for c in beams] for beams in alone
    ]


def test_the_limit_of_tokens_and_the_forbidden_ones_are_kept(model):
    for beams in run(model, 3):
        for found in beams:
            assert len(found.token_ids) <= 10
            assert not set(found.token_ids) & set(FORBIDDEN)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        pytest.param("x + y", [0, 1, 2], id="symbols are where their ink is"),
        pytest.param("x ^ { y } + x", [0, 0, 0, 1, 0, 2, 3], id="a brace closes: back to the base"),
        pytest.param(
            r"\frac { x } { y } + x", [0, 0, 1, 0, 0, 2, 0, 3, 4], id="a fraction: back to its bar"
        ),
        pytest.param("x } y", [0, 0, 1], id="a brace too many stays"),
        pytest.param("{ x", [None, 0], id="nothing before"),
    ],
)
def test_the_place_of_tokens_without_ink(latex, expected):
    """Expected: for each token the number of the symbol whose place it takes."""
    tracker = PlaceTracker(VOCABULARY)
    symbols = iter(range(10))
    found = []
    for token in latex.split():
        has_ink = token not in ("{", "}", "^")
        place = (float(next(symbols)), 0.0) if has_ink else (99.0, 99.0)
        found.append(tracker.step(VOCABULARY[token], place))
    assert found == [NOWHERE if k is None else (float(k), 0.0) for k in expected]


def test_a_copied_tracker_goes_its_own_way():
    tracker = PlaceTracker(VOCABULARY)
    for token, place in (("x", (1.0, 1.0)), ("{", None), ("y", (2.0, 2.0))):
        tracker.step(VOCABULARY[token], place)
    twin = tracker.copy()
    assert twin.step(VOCABULARY["}"], None) == (1.0, 1.0)
    assert tracker.step(VOCABULARY["}"], None) == (1.0, 1.0)


def test_the_place_looked_at_is_where_most_attention_is():
    attention = torch.full((1, 2, 1, 12), 0.01)
    attention[0, 0, 0, 7] = 0.9  # row 1, column 3 of 3 x 4 cells; the first head is the guided one
    assert looked_at((attention,), columns=4)[0].tolist() == pytest.approx([1.5, 3.5], abs=0.1)
