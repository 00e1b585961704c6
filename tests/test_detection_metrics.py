"""Detection scores on cases worked by hand, and against plain search and COCO's own code."""

import numpy as np
import pytest

from trainer.detection_metrics import (
    DetectionScore,
    PageResult,
    best_threshold,
    iou,
    judge,
    score_pages,
)
from trainer.measure_pages import mean_average_precision

A, B, C = (0, 0, 100, 20), (0, 50, 100, 70), (0, 100, 100, 120)
NEAR_A = (0, 0, 60, 20)  # 0.6 of A
HALF_A = (0, 0, 50, 20)  # 0.5 of A


def page(found=(), truth=(), ignore=()) -> PageResult:
    """A page of found (box, score), true boxes and ignored boxes."""
    boxes = [box for box, _ in found]
    scores = [score for _, score in found]
    return PageResult(
        *(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32)),
        *(np.array(part, np.float32).reshape(-1, 4) for part in (truth, ignore)),
    )


@pytest.mark.parametrize(
    ("box", "other", "expected"),
    [
        pytest.param(A, A, 1, id="same"),
        pytest.param(A, B, 0, id="apart"),
        pytest.param(A, (100, 0, 200, 20), 0, id="touching"),
        pytest.param(A, NEAR_A, 0.6, id="part"),
        pytest.param(A, (50, 0, 150, 20), 1 / 3, id="half beside"),
        pytest.param((0, 0, 10, 10), (5, 5, 15, 15), 25 / 175, id="corner"),
        pytest.param((5, 5, 5, 9), A, 0, id="without area"),
        pytest.param((5, 5, 5, 9), (5, 5, 5, 9), 0, id="both without area"),
    ],
)
def test_iou(box, other, expected):
    boxes, others = np.array([box], float), np.array([other, other], float)
    assert iou(boxes, others) == pytest.approx(np.full((1, 2), expected))
    assert iou(others, boxes) == pytest.approx(np.full((2, 1), expected))


@pytest.mark.parametrize("shapes", [(0, 3), (3, 0), (0, 0)])
def test_iou_of_nothing_has_its_shape(shapes):
    assert iou(*(np.zeros((n, 4)) for n in shapes)).shape == shapes


JUDGED = [
    pytest.param([(A, 0.9)], [A], [], [1], id="right"),
    pytest.param([(A, 0.9)], [B], [], [0], id="wrong"),
    pytest.param([(A, 0.9)], [], [], [0], id="nothing there"),
    pytest.param([(HALF_A, 0.9)], [A], [], [1], id="just enough"),
    pytest.param([((0, 0, 49, 20), 0.9)], [A], [], [0], id="just too little"),
    pytest.param([(NEAR_A, 0.9), (A, 0.8)], [A], [], [1, 0], id="the surer one has it"),
    pytest.param([(A, 0.8), (NEAR_A, 0.9)], [A], [], [0, 1], id="in whichever order"),
    pytest.param([(A, 0.9), (A, 0.9)], [A], [], [1, 0], id="found twice"),
    pytest.param([(A, 0.9), (B, 0.8)], [B, A], [], [1, 1], id="truth in another order"),
    pytest.param([(C, 0.9)], [A], [C], [-1], id="in an ignored region"),
    pytest.param([((0, 100, 40, 110), 0.9)], [A], [C], [-1], id="a part of an ignored region"),
    pytest.param([((0, 100, 100, 160), 0.9)], [A], [C], [0], id="mostly beside it"),
    pytest.param([(A, 0.9)], [A], [(0, 0, 200, 200)], [1], id="right within an ignored region"),
    pytest.param(
        [(A, 0.9), (NEAR_A, 0.8)], [A], [(0, 0, 200, 200)], [1, -1], id="again in an ignored region"
    ),
    pytest.param([], [A], [C], [], id="nothing found"),
]


@pytest.mark.parametrize(("found", "truth", "ignore", "verdicts"), JUDGED)
def test_judge(found, truth, ignore, verdicts):
    assert judge(page(found, truth, ignore), 0.5).tolist() == verdicts


def test_each_true_box_goes_to_its_best_match():
    # What was found first would do for both true boxes, what was found second for one.
    found = [((0, 0, 100, 22), 0.9), ((0, 0, 100, 48), 0.8)]
    truth = [(0, 0, 100, 36), (0, 0, 100, 20)]
    assert judge(page(found, truth), 0.5).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("pages", "min_score", "counts", "shares"),
    [
        pytest.param([page()], 0, (0, 0, 0), (1, 1, 1), id="a blank page left blank"),
        pytest.param([page([], [A])], 0, (0, 0, 1), (1, 0, 0), id="nothing found"),
        pytest.param([page([(A, 0.9)])], 0, (0, 1, 0), (0, 1, 0), id="found on a blank page"),
        pytest.param(
            [page([(A, 0.9), (C, 0.8)], [A, B])], 0, (1, 2, 2), (0.5, 0.5, 0.5), id="half and half"
        ),
        pytest.param(
            [page([(A, 0.9), (C, 0.4)], [A, B])], 0.5, (1, 1, 2), (1, 0.5, 2 / 3), id="unsure out"
        ),
        pytest.param(
            [page([(A, 0.9)], [A]), page([(B, 0.7)], [A], [B]), page([(B, 0.7)], [A])],
            *(0, (1, 2, 3), (0.5, 1 / 3, 0.4)),
            id="several pages",
        ),
    ],
)
def test_score_pages(pages, min_score, counts, shares):
    score = score_pages(pages, 0.5, min_score)
    assert (score.n_right, score.n_found, score.n_true) == counts
    assert (score.precision, score.recall, score.f1) == pytest.approx(shares)


def test_a_perfect_answer_scores_exactly_1_at_any_overlap():
    pages = [page([(A, 0.2), (B, 0.9)], [B, A], [C]), page(), page([(C, 0.5)], [C])]
    for min_iou in (0.5, 0.75, 1.0):
        score = score_pages(pages, min_iou)
        assert score == DetectionScore(3, 3, 3)
        assert (score.precision, score.recall, score.f1) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("pages", "threshold", "f1"),
    [
        pytest.param([page([(A, 0.9), (C, 0.5)], [A])], 0.7, 1, id="between right and wrong"),
        pytest.param([page([(A, 0.9), (B, 0.5)], [A, B])], 0.25, 1, id="all are right"),
        pytest.param([page([(C, 0.9), (A, 0.5)], [A])], 0.25, 2 / 3, id="a wrong one is surest"),
        pytest.param([page([(A, 0.9), (C, 0.9)], [A])], 0.45, 2 / 3, id="no cut between equals"),
        pytest.param(
            [page([(A, 0.8)], [A]), page([(B, 0.6)], [A], [B]), page([(B, 0.4)], [A])],
            *(0.7, 0.5),
            id="over several pages",
        ),
        pytest.param([page([], [A])], 0.5, 0, id="nothing found"),
        pytest.param([page()], 0.5, 1, id="nothing to find"),
        pytest.param([page([(C, 0.8)], [], [C])], 0.4, 1, id="all of it ignored"),
        pytest.param([], 0.5, 1, id="no pages"),
    ],
)
def test_best_threshold(pages, threshold, f1):
    assert best_threshold(pages) == pytest.approx((threshold, f1))


def test_no_threshold_is_better_than_the_best():
    rng = np.random.default_rng(0)
    for _ in range(30):
        pages = [random_page(rng) for _ in range(3)]
        threshold, f1 = best_threshold(pages)
        assert score_pages(pages, 0.5, threshold).f1 == pytest.approx(f1)
        others = [score_pages(pages, 0.5, value).f1 for value in np.linspace(0, 1, 41)]
        assert f1 == pytest.approx(max(others))


def random_page(rng: np.random.Generator) -> PageResult:
    """True boxes in a column, found ones near some of them, scores in tenths."""
    rows = 30.0 * np.arange(6)
    truth = [(0, y, 100, y + 20) for y in rows[:4]]
    found = np.array([(0, y, 100, y + 20) for y in rng.choice(rows, 7)])
    found += rng.uniform(-12, 12, (7, 1))
    scores = rng.integers(1, 10, 7) / 10
    return page(list(zip(found, scores, strict=True)), truth, [(0, 150, 99, 170)])


# --- COCO's mean average precision ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param(
            [page([(A, 0.2), (B, 0.9)], [B, A], [C]), page([(C, 0.5)], [C])],
            {"map": 100, "map_50": 100, "map_75": 100},
            id="perfect",
        ),
        pytest.param([page([], [A])], {"map": 0, "map_50": 0, "map_75": 0}, id="nothing found"),
        pytest.param(
            [page([(A, 0.9)])], {"map": 0, "map_50": 0, "map_75": 0}, id="nothing to find"
        ),
        # COCO reads precision at recalls of 0, 0.01 ... 1: half of the lines are 51 of 101.
        pytest.param([page([(A, 0.9)], [A, B])], {"map": 5100 / 101}, id="half of the lines"),
        pytest.param([page([(A, 0.9), (C, 0.5)], [A])], {"map": 100}, id="a wrong one comes last"),
        pytest.param([page([(C, 0.9), (A, 0.5)], [A])], {"map": 50}, id="a wrong one comes first"),
        pytest.param(
            [page([((0, 0, 62, 20), 0.9)], [A])],
            {"map": 30, "map_50": 100, "map_75": 0},
            id="three of the ten overlaps",
        ),
        pytest.param([page([(C, 0.9), (A, 0.5)], [A], [C])], {"map": 100}, id="ignored region"),
    ],
)
def test_mean_average_precision(pages, expected):
    found = mean_average_precision(pages)
    assert set(found) == {"map", "map_50", "map_75"}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.01)


def test_more_than_a_hundred_lines_of_a_page_count():
    lines = [(0, 10 * i, 50, 10 * i + 8) for i in range(150)]
    assert mean_average_precision([page([(line, 0.5) for line in lines], lines)])[
        "map"
    ] == pytest.approx(100)
