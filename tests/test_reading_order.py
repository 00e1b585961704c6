"""Reading order on constructed layouts."""

import numpy as np
import pytest

from latexocr.reading_order import reading_order

HEADER, LEFT, RIGHT, FOOTER = (0, 0, 400, 20), 0, 300, (0, 120, 400, 140)


def line(x: float, y: float, width: float = 100, height: float = 20) -> tuple[float, ...]:
    return (x, y, x + width, y + height)


CASES = [
    pytest.param([], [], id="empty"),
    pytest.param([line(0, 0)], [[0]], id="one"),
    pytest.param([line(0, 60), line(0, 0), line(0, 30)], [[1, 2, 0]], id="lines from above"),
    pytest.param([line(200, 4), line(0, 0)], [[1, 0]], id="side by side in one line"),
    pytest.param(
        [line(0, 0), line(0, 30), line(0, 100), line(0, 130)], [[0, 1], [2, 3]], id="two blocks"
    ),
    pytest.param(
        [line(LEFT, 0), line(RIGHT, 5), line(LEFT, 30), line(RIGHT, 35)],
        [[0, 2], [1, 3]],
        id="two columns",
    ),
    pytest.param(
        [HEADER, line(LEFT, 40), line(RIGHT, 45), line(LEFT, 70), line(RIGHT, 75), FOOTER],
        [[0], [1, 3], [2, 4], [5]],
        id="columns between lines that span them",
    ),
    pytest.param(
        [line(0, 0), line(200, 0), line(0, 30), line(0, 60)],
        [[0, 1, 2, 3]],
        id="a lone box beside a column is part of its line",
    ),
    pytest.param(
        [line(150 * c, 30 * r) for r in range(3) for c in range(3)],
        [[0, 3, 6], [1, 4, 7], [2, 5, 8]],
        id="three columns",
    ),
    pytest.param(
        [line(0, 0), line(10, 17), line(20, 34)], [[0, 1, 2]], id="lines that touch each other"
    ),
    pytest.param(
        [line(0, 0, 90, 60), line(110, 20), line(0, 70)], [[0, 1, 2]], id="a fraction and its value"
    ),
]


@pytest.mark.parametrize(("boxes", "blocks"), CASES)
def test_reading_order(boxes, blocks):
    assert reading_order(np.array(boxes)) == blocks


@pytest.mark.parametrize(("boxes", "blocks"), CASES)
def test_the_order_in_which_boxes_come_does_not_matter(boxes, blocks):
    order = np.random.default_rng(0).permutation(len(boxes))
    found = reading_order(np.array([boxes[i] for i in order]))
    assert [[int(order[i]) for i in block] for block in found] == blocks


def test_every_box_is_read_once():
    rng = np.random.default_rng(1)
    for _ in range(20):
        corner = rng.uniform(0, 800, (30, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 200, (30, 2))])
        found = [i for block in reading_order(boxes) for i in block]
        assert sorted(found) == list(range(30))
