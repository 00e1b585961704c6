"""Decoding with cached keys and values, one beam and several, and where on the paper it is."""

from dataclasses import replace

import pytest
import torch

from latexocr.decoding import (
    Candidate,
    Prior,
    _Search,
    decode,
    token_log_probabilities,
    turning_in_circles,
)
from latexocr.grammar import Grammar
from latexocr.imaging import prepare
from latexocr.language import LanguageModel
from latexocr.latex import is_valid
from latexocr.modeling import RecognizerModel
from latexocr.places import NOWHERE, PlaceTracker, looked_at
from latexocr.recognizer import Recognizer
from latexocr.stepping import GUIDED_LAYERS
from latexocr.tokenizer import build_tokenizer
from latexocr.views import first_view
from tests.conftest import draw
from tests.tiny import tiny_model

TOKENIZER = build_tokenizer()
VOCABULARY = TOKENIZER.get_vocab()
FORBIDDEN = (0, 1, 3)
LIMIT = 10
LETTERS = ("x", "x+l", "l+x+T+x", "T", "x+x", "L+x+l+l+x")  # that tests.conftest can draw
GRAMMAR = Grammar(VOCABULARY, "</s>", ("<pad>", "<s>", "<unk>"))


@pytest.fixture(scope="module")
def model() -> RecognizerModel:
    """Random weights to which places matter."""
    model = tiny_model(seed=3)
    torch.nn.init.normal_(model.place.weight, std=0.3)
    return model


@pytest.fixture(scope="module")
def embedded() -> Recognizer:
    return Recognizer.from_pretrained("latexocr/weights/recognizer", "cpu")


def pictures(n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.rand(n, 1, 48, 96, generator=torch.Generator().manual_seed(0))
    return pixels, torch.tensor([[48, 96]] * n)


def run(
    model: RecognizerModel, n_beams: int, n: int = 3, prior: Prior | None = None
) -> list[list[Candidate]]:
    return decode(model, *pictures(n), GRAMMAR, n_beams, LIMIT, FORBIDDEN, prior)


def random_prior(weight: float) -> Prior:
    """That depends on all that was written before."""
    torch.manual_seed(1)
    language = LanguageModel(len(VOCABULARY), 16, 24).eval()
    torch.nn.init.normal_(language.embedding.weight)
    language.bias.data[2] = 8.0  # short formulas, which come to their end
    return Prior(language, weight)


@torch.no_grad()
def prior_log_probability(prior: Prior, found: Candidate) -> float:
    """Of a whole sequence, all at once."""
    ids = torch.tensor([1, *found.token_ids, 2])
    logits, _ = prior.model(ids[None, :-1])
    return float(logits[0].log_softmax(dim=1)[torch.arange(len(ids) - 1), ids[1:]].sum())


@torch.no_grad()
def step_by_step(model: RecognizerModel, ids: list[int], pixels: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (T, V) of what may follow each token, computed anew, without a cache."""
    logits = free_logits(model, ids, pixels)
    logits[:, list(FORBIDDEN)] = -torch.inf
    states = [GRAMMAR.start]
    for token_id in ids[1:]:
        states.append(GRAMMAR.after(states[-1], token_id))
    return GRAMMAR.constrained(states, logits.log_softmax(dim=-1))


def free_logits(model: RecognizerModel, ids: list[int], pixels: torch.Tensor) -> torch.Tensor:
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
    return out.logits[0]


@pytest.mark.parametrize("prior", [None, random_prior(0.5)], ids=["no prior", "a prior"])
@pytest.mark.parametrize("n_beams", [1, 3])
def test_what_is_written_has_the_probability_that_a_run_without_cache_gives_it(
    model, n_beams, prior
):
    """With a prior too it is the recogniser's own."""
    for i, beams in enumerate(run(model, n_beams, prior=prior)):
        pictured = pictures()[0][i : i + 1]
        for found in beams:
            n_written = sum(p > -torch.inf for p in found.token_log_probabilities)
            ids = [1, *found.token_ids[:n_written], *([2] if found.is_whole else [])]
            scores = step_by_step(model, ids[:-1], pictured)
            wanted = scores[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum()
            assert found.log_probability == pytest.approx(float(wanted), abs=1e-3)


def test_greedy_writes_the_likeliest_token_each_time(model):
    for i, (found,) in enumerate(run(model, 1)):
        ids = list(found.token_ids)[:LIMIT]
        scores = step_by_step(model, [1, *ids], pictures()[0][i : i + 1])
        assert scores.argmax(dim=-1).tolist()[: len(ids)] == ids


def test_beams_come_in_order_and_differ(model):
    for beams in run(model, 4):
        scores = [found.log_probability for found in beams]
        assert scores == sorted(scores, reverse=True)
        assert len({found.token_ids for found in beams}) == 4


def test_a_prior_decides_by_its_weight(model):
    prior = random_prior(0.7)
    plain, swayed = run(model, 4), run(model, 4, prior=prior)
    assert [beams[0].token_ids for beams in plain] != [beams[0].token_ids for beams in swayed]
    n_compared = 0
    for beams in swayed:
        scores = [
            found.log_probability + prior.weight * prior_log_probability(prior, found)
            for found in beams
            if found.is_whole
        ]
        assert scores == sorted(scores, reverse=True)
        n_compared += len(scores)
    assert n_compared > 4
    for more, beams in zip(run(model, 4, prior=replace(prior, bonus=20.0)), swayed, strict=True):
        assert len(more[0].token_ids) > len(beams[0].token_ids)
    weightless = run(model, 4, prior=random_prior(0.0))
    assert [[c.token_ids for c in beams] for beams in weightless] == [
        [c.token_ids for c in beams] for beams in plain
    ]


def test_a_reward_counts_as_often_as_its_token_is_written(model):
    prior = random_prior(0.0)
    plain = run(model, 4, prior=prior)
    wanted = plain[0][-1].token_ids[0]
    rewards = torch.zeros(len(TOKENIZER))
    rewards[wanted] = 50.0
    for beams in run(model, 4, prior=replace(prior, rewards=rewards)):
        assert beams[0].token_ids[0] == wanted
        for found in beams:
            n = found.token_ids.count(wanted)
            assert found.score == pytest.approx(found.log_probability + 50.0 * n, abs=1e-2)


def test_enough_beams_find_the_likeliest_of_all(model):
    """Where greedy decoding is led astray by a likely first token."""
    pixels, sizes = pictures(1)
    first = step_by_step(model, [1], pixels)[0]
    possible = [i for i in range(len(VOCABULARY)) if first[i] > -torch.inf and i != 2]
    (beams,) = decode(model, pixels, sizes, GRAMMAR, len(possible) + 1, 2, FORBIDDEN)
    ((greedy,),) = decode(model, pixels, sizes, GRAMMAR, 1, 2, FORBIDDEN)
    best = max(
        *(float(first[i] + step_by_step(model, [1, i], pixels)[1].max()) for i in possible),
        float(first[2]),
    )
    assert beams[0].log_probability == pytest.approx(best, abs=1e-3)
    assert beams[0].log_probability >= greedy.log_probability - 1e-4


@pytest.mark.parametrize("n_beams", [1, 4])
def test_a_batch_is_decoded_as_one_by_one(embedded, n_beams):
    """Pictures that are done leave the batch early, each at another step."""
    drawn = [first_view(prepare(draw(each), embedded.symbol_px)) for each in LETTERS]
    alone = [embedded._decode([picture], n_beams, LIMIT)[0] for picture in drawn]
    for found, wanted in zip(embedded._decode(drawn, n_beams, LIMIT), alone, strict=True):
        assert [c.canonical for c in found] == [c.canonical for c in wanted]
        scores = [c.log_probability for c in wanted]
        assert [c.log_probability for c in found] == pytest.approx(scores, abs=1e-3)
    assert len({found[0].n_tokens for found in alone}) > 3


def test_what_is_read_on_one_picture_can_be_judged_by_another(model):
    pixels, sizes = pictures(2)
    placed = [
        [
            ((4, 9), ((0.5, 2.0), (1.5, 3.0))),
            ((5, 6, 7), ((2.5, 8.0), NOWHERE, (4.0, 1.0))),
            ((), ()),
        ],
        [((8,), ((1.0, 1.0),))],
    ]
    judged = token_log_probabilities(model, pixels, sizes, placed, FORBIDDEN)
    assert [len(likely) for likely in judged] == [3, 1]
    for picture, some, of_some in zip(pixels, placed, judged, strict=True):
        for (ids, places), likely in zip(some, of_some, strict=True):
            out = model(
                picture[None],
                decoder_input_ids=torch.tensor([[1, *ids]]),
                places=torch.tensor([[NOWHERE, *places]]),
            )
            logits = out.logits[0].detach()
            logits[:, list(FORBIDDEN)] = -torch.inf
            written = torch.tensor([*ids, 2])
            wanted = logits.log_softmax(dim=-1)[torch.arange(len(written)), written]
            assert likely == pytest.approx(wanted.tolist(), abs=1e-4)


def test_the_limit_of_tokens_and_the_forbidden_ones_are_kept(model):
    for beams in run(model, 3):
        for found in beams:
            assert sum(p > -torch.inf for p in found.token_log_probabilities) <= LIMIT
            assert not set(found.token_ids) & set(FORBIDDEN)


@pytest.mark.parametrize("n_beams", [1, 3])
def test_even_random_weights_write_nothing_that_cannot_be_parsed(model, n_beams):
    for beams in run(model, n_beams, n=6):
        for found in beams:
            assert is_valid(" ".join(TOKENIZER.convert_ids_to_tokens(found.token_ids)))


@pytest.mark.parametrize(
    ("token_ids", "expected"),
    [
        pytest.param([7] * 11, [], id="eleven zeros are a number"),
        pytest.param([5, *[7] * 12], [7], id="twelve are none"),
        pytest.param([4, *[7, 8] * 5], [], id="some terms of a series"),
        pytest.param([4, *[7, 8] * 6], [7], id="too many of them"),
        pytest.param([4, *[7, 8] * 6, 7], [8], id="in the middle of a term"),
        pytest.param([1, 2, 3] * 4, [1], id="longer terms"),
        pytest.param([1, 2, 3] * 3 + [1, 2, 4], [], id="the last one differs"),
        pytest.param(list(range(9)) * 5, [], id="whole lines may come again"),
        pytest.param([], [], id="nothing yet"),
    ],
)
def test_who_turns_in_circles_is_stopped(token_ids, expected):
    assert turning_in_circles(token_ids) == expected


def test_a_loop_is_never_stopped_where_a_group_must_follow(model):
    r"""{ \frac { \frac { ...: after the bar there is nothing but a brace to write."""
    search = _Search(model, GRAMMAR, 1, 1, FORBIDDEN)
    for step in range(20):
        logits = torch.full((1, len(VOCABULARY)), -9.0)
        logits[0, VOCABULARY[r"\frac"]], logits[0, VOCABULARY["{"]] = 1.0 if step else -9.0, 0.5
        search.advance(logits, torch.zeros(1, 2))
    ((found,),) = search.results()
    assert found.log_probability > -torch.inf
    assert is_valid(" ".join(TOKENIZER.convert_ids_to_tokens(found.token_ids)))


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
