"""Symbols that change places: the truth follows, and the new ink stands where the old one stood."""

import numpy as np
import pytest

from tests.tiny import inkml
from trainer.data.crohme import parse_inkml
from trainer.data.strokes import Ink
from trainer.data.substitute import Swapped, SymbolSwapper, box

VOCABULARY = {token: i for i, token in enumerate(["x", "l", "L", "T", "+", r"\times", "a"])}


def ink(letters: str) -> Ink:
    return parse_inkml(inkml(letters).encode(), letters)


def ids(letters: str) -> list[int]:
    return [VOCABULARY[letter] for letter in letters]


def swap(letters: str, share: float = 1.0, seed: int = 0) -> Swapped:
    pool = ["xl", "LT", "T+", letters]
    swapper = SymbolSwapper([ink(p) for p in pool], [ids(p) for p in pool], VOCABULARY)
    rng = np.random.default_rng(seed)
    return swapper.swap(ink(letters), ids(letters), ids(letters), range(len(letters)), share, rng)


def test_letters_become_others_of_their_kind_and_the_truth_follows():
    seen = {tuple(swap("LT", seed=seed).token_ids) for seed in range(20)}
    assert seen == {tuple(ids(pair)) for pair in ("LT", "LL", "TL", "TT")}
    result = swap("LT", seed=1)
    assert result.symbols == result.token_ids


def test_symbols_without_others_of_their_kind_stay():
    result = swap("x+l")  # no other letter as high as an x has ink, nor another sign than plus
    assert result.token_ids == ids("x+l")
    assert all(
        np.array_equal(a, b) for a, b in zip(result.ink.strokes, ink("x+l").strokes, strict=True)
    )


def test_a_share_of_zero_changes_nothing():
    assert swap("LTLT", share=0.0).token_ids == ids("LTLT")


@pytest.mark.parametrize("seed", range(10))
def test_the_new_ink_stands_where_the_old_one_stood(seed):
    before, after = ink("LTL"), swap("LTL", seed=seed).ink
    for old, new in zip(before.symbols, after.symbols, strict=True):
        old_low, old_high = box([before.strokes[i] for i in old.strokes])
        new_low, new_high = box([after.strokes[i] for i in new.strokes])
        assert (old_low + old_high) / 2 == pytest.approx((new_low + new_high) / 2, abs=1)
        assert 0.6 < (new_high - new_low)[1] / (old_high - old_low)[1] < 1.6


def test_every_stroke_belongs_to_one_symbol():
    after = swap("TL+", seed=3).ink
    owned = sorted(i for symbol in after.symbols for i in symbol.strokes)
    assert owned == list(range(len(after.strokes)))
