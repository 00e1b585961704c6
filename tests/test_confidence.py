"""Calibration error and AUROC: hand-worked cases, what torchmetrics says, and the plot."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from trainer.confidence import (
    auroc,
    calibration_error,
    reliability,
    reliability_svg,
    score_confidence,
)


@pytest.mark.parametrize(
    ("confidences", "right", "expected"),
    [
        pytest.param([1.0, 1.0], [1, 1], 0, id="sure and right"),
        pytest.param([1.0, 1.0], [0, 0], 1, id="sure and wrong"),
        pytest.param([0.5] * 4, [1, 0, 1, 0], 0, id="half of the time, as it says"),
        pytest.param([0.9, 0.9, 0.1, 0.1], [1, 1, 0, 0], 0.1, id="too modest at both ends"),
        pytest.param([0.95, 0.05], [0, 1], 0.95, id="the wrong way round"),
        pytest.param([0.99, 0.93], [1, 0], 0.5 - 0.04, id="gaps cancel within a bin"),
    ],
)
def test_calibration_error(confidences, right, expected):
    found = calibration_error(np.array(confidences), np.array(right, bool), n_bins=10)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("confidences", "right", "expected"),
    [
        pytest.param([0.9, 0.8, 0.2], [1, 1, 0], 1, id="all right ones above"),
        pytest.param([0.2, 0.9], [1, 0], 0, id="the wrong way round"),
        pytest.param([0.5, 0.5], [1, 0], 0.5, id="no difference"),
        pytest.param([0.9, 0.6, 0.5, 0.1], [1, 0, 1, 0], 3 / 4, id="three of four pairs"),
        pytest.param([0.9, 0.6], [1, 1], None, id="none wrong"),
        pytest.param([0.9], [0], None, id="none right"),
    ],
)
def test_auroc(confidences, right, expected):
    assert auroc(np.array(confidences), np.array(right, bool)) == expected


def test_both_are_those_of_torchmetrics():
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

    rng = np.random.default_rng(0)
    for _ in range(1000):
        sure = np.round(rng.random(rng.integers(2, 40)) ** rng.choice([0.3, 1, 3]), 3)
        sure = np.clip(sure, 0.002, 0.998)  # at a bin's very edge torchmetrics takes the lower one
        right = rng.random(len(sure)) < sure
        theirs = torch.tensor(sure), torch.tensor(right).int()
        if 0 < right.sum() < len(right):
            assert auroc(sure, right) == pytest.approx(float(binary_auroc(*theirs)), abs=1e-6)
        # torchmetrics measures the confidence in the likelier of two classes: here always the same.
        high = 0.5 + sure / 2
        hits = torch.tensor(right).int()
        expected = binary_calibration_error(torch.tensor(high), hits, n_bins=15)
        inside = np.abs(high * 15 - np.round(high * 15)).min() > 1e-6
        if inside:
            assert calibration_error(high, right) == pytest.approx(float(expected), abs=1e-6)


def test_scores_have_intervals_that_hold_them():
    rng = np.random.default_rng(1)
    sure = rng.random(300)
    score = score_confidence(sure, rng.random(300) < sure)
    assert score.ece < 0.15 and 0.7 < score.auroc < 0.95
    assert score.auroc_ci95[0] < score.auroc < score.auroc_ci95[1]
    assert score.mean == pytest.approx(sure.mean(), abs=1e-4)


def test_without_a_wrong_reading_there_is_no_auroc():
    score = score_confidence([0.9, 0.8], [True, True])
    assert (score.auroc, score.auroc_ci95, score.right) == (None, None, 1.0)


@pytest.mark.parametrize(("confidences", "right"), [([], []), ([0.5], [])])
def test_lists_that_do_not_fit_are_refused(confidences, right):
    with pytest.raises(ValueError, match="a confidence for each reading"):
        score_confidence(confidences, right)


def test_the_plot_has_a_dot_for_each_bin_that_has_readings():
    bins = reliability([0.05, 0.95, 1.0, 0.93], [False, True, True, False])
    assert [(one.low, one.n, one.right) for one in bins] == [(0.0, 1, 0.0), (0.9, 3, 0.6667)]
    drawn = ElementTree.fromstring(reliability_svg(bins, "a < b & c"))
    tags = [element.tag.rpartition("}")[2] for element in drawn.iter()]
    assert tags.count("circle") == 2
    assert any(element.text == "a < b & c" for element in drawn.iter())
