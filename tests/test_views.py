"""The sizes in which an ink map is looked at."""

import numpy as np

from latexocr.views import LARGEST, SIZES, first_view, views


def bars() -> np.ndarray:
    """Upright bars, each three times as wide as the paper beside it."""
    picture = np.zeros((56, 140), np.uint8)
    picture[:, ::4] = picture[:, 1::4] = picture[:, 2::4] = 255
    return picture


def test_views_have_the_sizes_that_are_named_and_as_much_ink_for_them():
    for view, size in zip(views(bars()), SIZES, strict=True):
        assert view.shape == (round(56 * size / LARGEST), round(140 * size / LARGEST))
        assert abs(view.mean() / bars().mean() - 1) < 0.02


def test_the_picture_itself_is_the_largest_view_and_the_first_comes_first():
    found = views(bars())
    assert np.array_equal(found[SIZES.index(LARGEST)], bars())
    assert np.array_equal(found[0], first_view(bars()))


def test_a_single_pixel_has_views():
    assert all(min(view.shape) >= 1 for view in views(np.full((1, 1), 255, np.uint8)))
