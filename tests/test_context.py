"""Readings of a page in the light of its other lines."""

import math

import pytest
import torch

from latexocr.context import Scored, order_in_context
from latexocr.language import LanguageModel
from latexocr.recognizer import Decoded, Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.tiny import tiny_recognizer

TOKENIZER = build_tokenizer()


@pytest.fixture(scope="module")
def language() -> LanguageModel:
    """To which all tokens are equally likely."""
    language = LanguageModel(len(TOKENIZER), 8, 8).eval()
    for weights in language.parameters():
        torch.nn.init.zeros_(weights)
    return language


def scored(latex: str, log_probability: float) -> Scored:
    return Scored(tuple(TOKENIZER(latex).input_ids), log_probability)


def places(language: LanguageModel, lines: list[list[Scored]]) -> list[list[int]]:
    return [[place for place, _ in order] for order in order_in_context(language, lines)]


def test_a_letter_is_what_it_is_in_the_other_lines(language):
    doubtful = [scored("X + 1", -0.7), scored("x + 1", -0.8)]
    sure = [scored("2 x = y", -0.01), scored("2 X = y", -5.0)]
    assert places(language, [sure, doubtful])[1] == [1, 0]
    otherwise = [scored("2 X = y", -0.01), scored("2 x = y", -5.0)]
    assert places(language, [otherwise, doubtful])[1] == [0, 1]


def test_what_the_picture_leaves_no_doubt_of_stays(language):
    sure = [scored("X + 1", -0.01), scored("x + 1", -9.0)]
    others = [[scored("2 x = y", -0.01)], [scored("x = 3", -0.01)]]
    assert places(language, [sure, *others])[0] == [0, 1]


def test_a_step_repeats_the_step_before(language):
    """Both letters stand in the other line, but only one of them after the same tokens."""
    doubtful = [scored("4 a c - b = 3", -0.7), scored("4 a e - b = 3", -0.8)]
    other = [scored("c + 4 a e - b", -0.01)]
    assert places(language, [doubtful, other])[0] == [1, 0]


def test_a_line_does_not_vouch_for_itself(language):
    close = [scored("X X X", -0.7), scored("x x x", -0.71)]
    unrelated = [scored("1 + 2", -0.01)]
    assert places(language, [close, unrelated])[0] == [0, 1]


@pytest.fixture
def recognizer(language) -> Recognizer:
    recognizer = tiny_recognizer()
    recognizer.language = language
    return recognizer


def test_a_single_line_stays_as_it_is(recognizer):
    alone = [[Decoded("x", -3.0, 2, (0.1,)), Decoded("y", -1.0, 2, (0.1,))]]
    assert recognizer.in_context(alone) == alone
    assert recognizer.in_context([]) == []


def test_what_was_not_searched_for_stays_as_it_is(recognizer):
    greedy = [[Decoded("x", -3.0, 2, (0.1,))], [Decoded("y", -1.0, 2, (0.1,))]]
    assert recognizer.in_context(greedy) == greedy


def test_how_far_the_best_is_ahead_is_told_anew(recognizer):
    doubtful = [Decoded("X + 1", -0.7, 4, (0.5,) * 3), Decoded("x + 1", -0.8, 4, (0.5,) * 3)]
    others = [[Decoded("2 x = x", -0.01, 5, (0.9,) * 4)]]
    (first, second), _ = recognizer.in_context([doubtful, *others])
    assert first.canonical == "x + 1" and first.lead == -second.lead > 0


def test_what_accounts_for_more_of_the_picture_is_preferred_there_too(recognizer):
    close = [Decoded("x", -0.7, 2, (0.5,)), Decoded("x + 1", -1.5, 4, (0.5,) * 3, coverage=9.0)]
    (first, _), _ = recognizer.in_context([close, [Decoded("y = z", -0.01, 4, (0.9,) * 3)]])
    assert first.canonical == "x + 1"


def test_a_reading_without_an_end_comes_last(language):
    broken = [scored("x = 1", -math.inf), scored("y = 2", -4.0)]
    orders = places(language, [broken, [scored("x = 1", -0.01)]])
    assert orders[0] == [1, 0]
    only_broken = [scored("x", -math.inf)]
    assert places(language, [only_broken, broken])[0] == [0]


def test_without_a_language_model_the_picture_alone_decides():
    recognizer = tiny_recognizer()
    lines = [[Decoded("X", -0.7, 2, (0.5,)), Decoded("x", -0.8, 2, (0.5,))]] * 2
    assert recognizer.in_context(lines) == lines
