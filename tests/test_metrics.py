"""Scores on hand-worked cases, and against rapidfuzz's own distance."""

import numpy as np
import pytest

from trainer.metrics import bootstrap_interval, score_readings, token_edits


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
