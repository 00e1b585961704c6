"""BLEU, edit score and perplexity: hand-worked cases, and what other libraries say."""

import math
import random

import pytest
import sacrebleu
import torch
from torchmetrics.functional.text import perplexity as torchmetrics_perplexity

from tests.token_pairs import random_formulas, random_pairs
from trainer.sequence_metrics import (
    bleu,
    bleu_interval,
    bleu_of_tokens,
    edit_score,
    edit_score_interval,
    perplexity,
)


@pytest.mark.parametrize(
    ("truth", "reading", "expected"),
    [
        pytest.param("a b c d e", "a b c d e", 100, id="the same"),
        pytest.param("a b c d e", "a b c d f", 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25,
                     id="the last wrong"),
        pytest.param("a b c d e", "a b c d", 100 * math.exp(1 - 5 / 4), id="too short"),
        pytest.param("a b c d", "a b c d e", 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25,
                     id="too long: no other penalty"),
        pytest.param("a b c d e", "a b c", 0, id="no four tokens in a row"),
        pytest.param("a b c d e", "", 0, id="nothing read"),
        pytest.param("a a b c d e", "a a a b c d", 100 * (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25,
                     id="no more often than in the truth"),
        pytest.param(r"a b c \phi \leq", r"a b c \varphi \le", 100, id="comparable forms"),
    ],
)  # fmt: skip
def test_bleu_of_one_formula(truth, reading, expected):
    assert bleu([truth], [reading]) == pytest.approx(expected, abs=0.01)


def test_bleu_sums_its_counts_before_it_divides():
    truths, readings = ["a b c d e", "x y"], ["a b c d f", "x y"]
    expected = 100 * (6 / 7 * 4 / 5 * 2 / 3 * 1 / 2) ** 0.25
    assert bleu(truths, readings) == pytest.approx(expected, abs=0.01)


def test_bleu_is_that_of_sacrebleu():
    pairs = random_pairs(1000, seed=0)
    reference = sacrebleu.metrics.BLEU(smooth_method="none", tokenize="none", force=True)

    def theirs(some: list[tuple[list[str], list[str]]]) -> float:
        truths, readings = ([" ".join(side) for side in sides] for sides in zip(*some, strict=True))
        return reference.corpus_score(readings, [truths]).score

    for some in [pairs, *([pair] for pair in pairs)]:
        assert bleu_of_tokens(*zip(*some, strict=True)) == pytest.approx(theirs(some), abs=0.01)


def plain_distance(left: list[str], right: list[str]) -> int:
    """Levenshtein distance, by its definition."""
    row = list(range(len(right) + 1))
    for n, token in enumerate(left, start=1):
        before, row[0] = row[0], n
        for m, other in enumerate(right, start=1):
            best = min(row[m] + 1, row[m - 1] + 1, before + (token != other))
            before, row[m] = row[m], best
    return row[-1]


@pytest.mark.parametrize(
    ("truths", "readings", "expected"),
    [
        pytest.param(["a+b"], ["a+b"], 100, id="the same"),
        pytest.param(["a+b"], ["a-b"], 100 * 2 / 3, id="one of three"),
        pytest.param(["a+b"], ["a+b+c"], 100 * 3 / 5, id="two too many of five"),
        pytest.param(["a+b", "x"], ["a+b", "y"], 100 * 3 / 4, id="summed over the set"),
        pytest.param(["x^2"], ["x2"], 100 * 2 / 5, id="a script takes three tokens more"),
        pytest.param([""], [""], 100, id="nothing to read"),
        pytest.param(["ab"], [""], 0, id="nothing read"),
    ],
)
def test_edit_score(truths, readings, expected):
    assert edit_score(truths, readings) == pytest.approx(expected, abs=0.01)


def test_edit_score_is_that_of_the_plain_distance():
    for truth, reading in random_pairs(1000, seed=1):
        longest = max(len(truth), len(reading))
        expected = 100 * (1 - plain_distance(truth, reading) / longest) if longest else 100
        assert edit_score([" ".join(truth)], [" ".join(reading)]) == pytest.approx(
            expected, abs=0.01
        )


@pytest.mark.parametrize(
    ("truths", "log_probabilities", "expected"),
    [
        pytest.param(["x"], [0.0], 1, id="sure and right"),
        pytest.param(["x"], [2 * math.log(1 / 8)], 8, id="one of eight, the end token too"),
        pytest.param(["x^2", "y"], [-6.0, -2.0], math.exp(8 / (5 + 1 + 1 + 1)), id="by tokens"),
        pytest.param([r"\frac12"], [-8.0], math.e, id="tokens of the canonical form"),
    ],
)
def test_perplexity(truths, log_probabilities, expected):
    assert perplexity(truths, log_probabilities) == pytest.approx(expected)


def test_perplexity_is_that_of_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    for truth, _ in random_pairs(1000, seed=4):
        n_tokens = len(truth) + 1  # the end token too
        logits = torch.randn(1, n_tokens, 7, generator=generator)
        target = torch.randint(7, (1, n_tokens), generator=generator)
        chosen = torch.log_softmax(logits, dim=2).gather(2, target[..., None]).sum()
        expected = float(torchmetrics_perplexity(logits, target))
        assert perplexity([" ".join(truth)], [float(chosen)]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("score", "interval"), [(bleu, bleu_interval), (edit_score, edit_score_interval)]
)
def test_intervals_are_those_of_resampling(score, interval):
    pairs = random_formulas(150, seed=2)
    low, high = interval(*zip(*pairs, strict=True))
    rng = random.Random(3)
    drawn = [rng.choices(pairs, k=len(pairs)) for _ in range(150)]
    values = sorted(score(*zip(*some, strict=True)) for some in drawn)
    assert low <= score(*zip(*pairs, strict=True)) <= high
    assert (low, high) == pytest.approx((values[4], values[-5]), abs=2)


@pytest.mark.parametrize(
    "score", [bleu, bleu_interval, edit_score, edit_score_interval, perplexity]
)
@pytest.mark.parametrize(("truths", "others"), [([], []), (["a"], [])])
def test_lists_that_do_not_fit_are_refused(score, truths, others):
    with pytest.raises(ValueError, match="expected"):
        score(truths, others)
