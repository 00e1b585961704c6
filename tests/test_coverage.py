"""How much of a picture a reading accounts for."""

import numpy as np
import pytest

from latexocr.coverage import (
    REACH,
    SYMBOL_REWARD,
    UNREAD_COST,
    coverage,
    inked_cells,
    unread_cells,
)
from latexocr.modeling import STRIDE
from latexocr.places import NOWHERE, Place
from latexocr.recognizer import Decoded, _judged_anew, _with_coverage

LEFT, RIGHT = (0.5, 0.05), (0.5, 0.95)  # where two_symbols has its ink


@pytest.fixture
def two_symbols() -> np.ndarray:
    """A square at either end of a line of twenty cells."""
    picture = np.zeros((2 * STRIDE, 20 * STRIDE), np.uint8)
    picture[:, : 2 * STRIDE] = picture[:, -2 * STRIDE :] = 255
    return picture


def unread(picture: np.ndarray, places: list[Place]) -> int:
    return unread_cells(inked_cells(picture), picture.shape, places)


def gain(picture: np.ndarray, tokens: list[str], places: list[Place]) -> float:
    return coverage(inked_cells(picture), picture.shape, tokens, places)


def test_ink_is_unread_where_nobody_looked(two_symbols):
    assert unread(two_symbols, [LEFT, RIGHT]) == 0
    assert unread(two_symbols, [LEFT]) == 4
    assert unread(two_symbols, []) == 8
    assert unread(np.zeros_like(two_symbols), []) == 0


def test_ink_within_reach_has_been_read(two_symbols):
    def beside_the_right_one(cells: float) -> tuple[float, float]:
        """So far to the left of its left cells' middles."""
        return (0.25, (18.5 - cells) / 20)

    assert unread(two_symbols, [LEFT, beside_the_right_one(REACH - 1.5)]) == 0
    assert unread(two_symbols, [LEFT, beside_the_right_one(REACH + 0.1)]) == 4


@pytest.mark.parametrize("shape", [(1, 1), (STRIDE - 1, 3 * STRIDE + 1), (STRIDE, STRIDE)])
def test_a_picture_may_end_within_a_cell(shape):
    inked = inked_cells(np.full(shape, 255, np.uint8))
    rows, columns = (side // STRIDE for side in shape)
    assert len(inked) >= rows * columns
    assert unread(np.full(shape, 255, np.uint8), [(0.5, 0.5)]) == 0


def test_symbols_are_rewarded_and_what_structures_them_is_not(two_symbols):
    both = gain(two_symbols, ["x", "y"], [LEFT, RIGHT])
    assert both == pytest.approx(2 * SYMBOL_REWARD)
    power = gain(two_symbols, ["x", "^", "{", "y", "}"], [LEFT, LEFT, LEFT, RIGHT, LEFT])
    assert power == pytest.approx(both)
    one = gain(two_symbols, ["x"], [LEFT])
    assert one == pytest.approx(SYMBOL_REWARD - 4 * UNREAD_COST)


def test_a_token_without_a_place_has_read_nothing(two_symbols):
    assert gain(two_symbols, ["x"], [NOWHERE]) == pytest.approx(SYMBOL_REWARD - 8 * UNREAD_COST)


def test_what_reads_all_ink_comes_before_what_is_a_little_likelier(two_symbols):
    short = Decoded("x", -1.0, 2, score=-0.8, places=(LEFT,))
    whole = Decoded("x y", -1.5, 3, score=-1.4, places=(LEFT, RIGHT))
    broken = Decoded("x x x", -0.1, 3, is_whole=False, places=(LEFT, LEFT, RIGHT))
    found = _with_coverage([broken, short, whole], two_symbols)
    assert [one.canonical for one in found] == ["x y", "x", "x x x"]
    best = found[0]
    assert best.score == pytest.approx(whole.score + best.coverage)
    assert best.log_probability == whole.log_probability  # the recogniser's own
    far_likelier = Decoded("x", -1.0, 2, score=3.0, places=(LEFT,))
    assert _with_coverage([whole, far_likelier], two_symbols)[0].canonical == "x"


def test_a_closer_look_leaves_coverage_as_it_is(two_symbols):
    found = _with_coverage([Decoded("x", -1.0, 2, (0.5,), score=-0.8, places=(LEFT,))], two_symbols)
    (judged,) = _judged_anew(found, [[(-2.0, -1.0)], [(-2.0, -1.0)]])
    assert judged.coverage == found[0].coverage
    assert judged.score == pytest.approx(found[0].score - 2.0)
