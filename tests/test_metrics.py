"""Scores on hand-worked cases, and against what other libraries count on random pairs."""

import numpy as np
import pytest
from torchmetrics.functional.text import edit_distance, word_error_rate

from tests.token_pairs import VOCABULARY, random_formulas
from trainer.metrics import bootstrap_interval, ratio_interval, score_readings, token_edits


@pytest.mark.parametrize(
    ("truth", "reading", "edits"),
    [
        pytest.param(r"\frac{a}{2}", r"{a \over 2}", 0, id="over is frac"),
        pytest.param(r"x_{1}^{2}", r"x^2_1", 0, id="order of scripts"),
        pytest.param(r"a + b", r"a - b", 1, id="one symbol"),
        pytest.param(r"a + b", "a +", 1, id="one missing"),
        pytest.param(r"a", "", 1, id="nothing read"),
        pytest.param(r"x^{2}", "x 2", 3, id="a script takes three tokens"),
        pytest.param(r"1 \cdots n", r"1 \ldots n", 0, id="look-alikes"),
        pytest.param(r"\phi", r"\psi", 1, id="no look-alikes"),
    ],
)
def test_token_edits(truth, reading, edits):
    assert token_edits(truth, reading)[0] == edits


def test_a_truth_that_does_not_parse_is_compared_token_by_token_and_counted():
    score = score_readings([r"\nosuch { x", r"\nosuch { x"], [r"\nosuch { x", "x"])
    assert (score.n, score.unparsed, score.exprate) == (2, 2, 50.0)


def test_scores_of_a_hand_worked_set():
    truths = ["a + b", "x ^ { 2 }", "1", "c d"]
    readings = ["a + b", "x ^ { 3 }", "l 1", "e f g"]
    score = score_readings(truths, readings)
    assert (score.exprate, score.le1, score.le2) == (25.0, 75.0, 75.0)
    assert score.cer == pytest.approx(100 * (0 + 1 + 1 + 3) / (3 + 5 + 1 + 2), abs=0.01)


def test_a_perfect_reading_scores_100():
    score = score_readings([r"\sqrt{x}"] * 5, [r"\sqrt{x}"] * 5)
    assert (score.exprate, score.cer, score.ci95) == (100.0, 0.0, (100.0, 100.0))


@pytest.mark.parametrize(("truths", "readings"), [([], []), (["a"], [])])
def test_lists_that_do_not_fit_are_refused(truths, readings):
    with pytest.raises(ValueError, match="as many readings as truths"):
        score_readings(truths, readings)


def test_the_interval_is_that_of_resampling():
    hits = np.random.default_rng(1).random(400) < 0.3
    low, high = bootstrap_interval(hits)
    rng = np.random.default_rng(2)
    means = [100 * rng.choice(hits, len(hits)).mean() for _ in range(3000)]
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=1.0)


def test_the_token_error_rate_is_the_word_error_rate_of_torchmetrics():
    pairs = random_formulas(1000, seed=3)
    for some in [pairs, *([pair] for pair in pairs)]:
        truths, readings = zip(*some, strict=True)
        expected = 100 * float(word_error_rate(list(readings), list(truths)))
        assert score_readings(truths, readings).cer == pytest.approx(expected, abs=0.01)


def test_expression_rates_count_edits_as_plainly_defined():
    pairs = random_formulas(1000, seed=4)
    edits = np.array([token_edits(*pair)[0] for pair in pairs])
    expected = [float(edit_distance([r], [t])) for t, r in map(as_letters, pairs)]
    assert edits.tolist() == expected
    score = score_readings(*zip(*pairs, strict=True))
    rates = [100 * float((edits <= limit).mean()) for limit in (0, 1, 2)]
    assert [score.exprate, score.le1, score.le2] == pytest.approx(rates, abs=0.01)


def as_letters(pair: tuple[str, str]) -> tuple[str, ...]:
    """Each token as one character, for a distance that counts characters."""
    return tuple("".join(chr(97 + VOCABULARY.index(t)) for t in side.split()) for side in pair)


def test_the_interval_of_a_ratio_is_that_of_resampling():
    rng = np.random.default_rng(5)
    lengths = rng.integers(1, 30, 300)
    edits = rng.binomial(lengths, 0.2)
    drawn = [rng.integers(300, size=300) for _ in range(3000)]
    ratios = [100 * edits[places].sum() / lengths[places].sum() for places in drawn]
    expected = tuple(np.percentile(ratios, [2.5, 97.5]))
    assert ratio_interval(edits, lengths) == pytest.approx(expected, abs=0.5)


def test_intervals_hold_the_figures_and_shrink_with_more_formulas():
    widths = []
    for n_pairs in (50, 800):
        score = score_readings(*zip(*random_formulas(n_pairs, seed=6), strict=True))
        for value, (low, high) in (
            (score.exprate, score.ci95),
            (score.le1, score.le1_ci95),
            (score.le2, score.le2_ci95),
            (score.cer, score.cer_ci95),
        ):
            assert low <= value <= high
        widths.append(score.cer_ci95[1] - score.cer_ci95[0])
    assert widths[1] < widths[0] / 2
