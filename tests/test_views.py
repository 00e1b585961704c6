"""Views of an ink map for a second look."""

import numpy as np

from latexocr.views import LARGER, N_VIEWS, views


def bars() -> np.ndarray:
    """An upright bar."""
    picture = np.zeros((40, 60), np.uint8)
    picture[5:35, 20:24] = 255
    return picture


def columns(picture: np.ndarray, row: int) -> float:
    """Where the ink of a row is in the mean."""
    weights = picture[row].astype(float)
    return float((weights * np.arange(len(weights))).sum() / weights.sum())


def test_the_picture_itself_comes_first():
    assert len(views(bars())) == N_VIEWS
    assert np.array_equal(views(bars())[0], bars())


def test_one_view_is_larger_in_both_directions():
    larger = views(bars())[1]
    assert larger.shape == (round(40 * LARGER), round(60 * LARGER))
    assert abs(larger.mean() / bars().mean() - 1) < 0.05


def test_one_view_leans_and_loses_no_ink():
    slanted = views(bars())[2]
    assert columns(slanted, 33) - columns(slanted, 6) > 2
    assert abs(int(slanted.sum(dtype=int)) / int(bars().sum(dtype=int)) - 1) < 0.02
    full = np.full((200, 30), 255, np.uint8)
    assert views(full)[2][:, -1].max() < 255  # its right edge is on the canvas


def test_a_single_pixel_has_views():
    assert all(min(view.shape) >= 1 for view in views(np.full((1, 1), 255, np.uint8)))
