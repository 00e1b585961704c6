"""Doubtful tokens of a reading, found again in its pretty form."""

import pytest

from latexocr.doubts import MAX_TOKENS, doubts
from latexocr.latex import canonical, pretty


def probabilities(latex: str, *doubted: int) -> list[tuple[str, float]]:
    """Canonical tokens, those at the given places with 0.4, the others with 0.99."""
    tokens = canonical(latex).split()
    return [(token, 0.4 if n in doubted else 0.99) for n, token in enumerate(tokens)]


@pytest.mark.parametrize(
    ("latex", "token", "shown"),
    [
        pytest.param("x^2", "2", ["2"], id="braces are gone"),
        pytest.param("x^2", "^", ["^"], id="structure is doubted too"),
        pytest.param("x_1+x_2", "2", ["2"], id="second of two alike"),
        pytest.param(r"(\frac{a}{b})+c", "c", ["c"], id="left and right came in between"),
        pytest.param(r"\alpha\leq b", r"\leq", [r"\leq"], id="command"),
        pytest.param(r"\frac{a}{b}", r"\frac", [r"\frac"], id="fraction"),
        pytest.param("x^2", "{", [], id="braces are not doubted"),
    ],
)
def test_a_doubtful_token_is_found_in_what_a_person_sees(latex, token, shown):
    place = canonical(latex).split().index(token)
    text = pretty(latex)
    found = doubts(text, probabilities(latex, place))
    assert [text[doubt.start : doubt.end] for doubt in found] == shown
    assert all(doubt.probability == 0.4 for doubt in found)


def test_the_second_of_two_tokens_alike_is_not_mistaken_for_the_first():
    text = pretty("a+a")
    (found,) = doubts(text, probabilities("a+a", 2))
    assert found.start == text.rindex("a")


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        pytest.param("x", [], id="no probabilities known"),
        pytest.param("x", [("x", 0.9)], id="all sure"),
        pytest.param("y", [("x", 0.1)], id="nothing in common"),
        pytest.param("x", [("x", 0.1)] * (MAX_TOKENS + 1), id="too long"),
        pytest.param("", [("x", 0.1)], id="nothing shown"),
    ],
)
def test_nothing_is_doubted_where_nothing_can_be_said(latex, tokens):
    assert doubts(latex, tokens) == []


def test_of_a_reading_that_is_doubted_as_a_whole_the_least_likely_token_is_doubted():
    tokens = [("x", 0.9), ("^", 0.99), ("{", 0.1), ("2", 0.8), ("}", 1.0)]
    assert doubts("x^2", tokens) == []
    assert doubts("x^2", tokens, at_least_one=True) == [(2, 3, 0.8)]
    assert doubts("x", [("x", 1.0)], at_least_one=True) == []


def test_below_sets_what_is_doubtful():
    tokens = [("x", 0.8), ("+", 0.5), ("y", 0.2)]
    assert [len(doubts("x+y", tokens, below)) for below in (0.1, 0.3, 0.6, 0.9)] == [0, 1, 2, 3]
