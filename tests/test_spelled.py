"""Names of functions that were read letter by letter."""

import pytest

from latexocr.latex import comparable
from latexocr.recognizer import Decoded
from latexocr.spelled import with_names
from tests.tiny import tiny_recognizer


@pytest.mark.parametrize(
    ("read", "named"),
    [
        ("m a x", r"\max"),
        ("m a x _ { x } f", r"\max _ { x } f"),
        ("2 s i n x + l o g y", r"2 \sin x + \log y"),
        ("s i n h x", r"\sinh x"),
        ("a r c t a n ( y )", r"\arctan ( y )"),
        ("K _ { m i n }", r"K _ { \min }"),
        (r"\frac { g c d } { d e t }", r"\frac { \gcd } { \det }"),
    ],
)
def test_letters_that_spell_a_name_become_it(read, named):
    assert _with_names(read) == named
    assert comparable(read) == comparable(named)


@pytest.mark.parametrize(
    "read",
    [
        "x m a x",  # where a name ends, but none begins
        "m a x i m a l",
        "s i n e",
        "d e t a",
        "m i n d",
        "l n x",
        "P r",
        "s i",
        "s ^ { i n }",
        r"\sin x",
        r"\text { m a x }",
        r"\text { i f { s i n } s i n } + x",
        r"\operatorname { m a x }",
        r"\mathbf { s i n }",
        "",
    ],
)
def test_other_letters_stay(read):
    assert _with_names(read) == read


def test_what_follows_lettered_text_has_names_again():
    assert _with_names(r"\text { s i n } s i n x") == r"\text { s i n } \sin x"


def test_text_that_was_broken_off_stays():
    assert _with_names(r"x \text { s i n") == r"x \text { s i n"


def test_a_name_is_as_likely_as_all_of_its_letters():
    tokens = [("2", 0.9), ("m", 0.5), ("a", 0.5), ("x", 1.0), ("+", 0.8)]
    assert with_names(tokens) == [("2", 0.9), (r"\max", 0.25), ("+", 0.8)]


def test_a_reading_has_the_name_in_latex_alternatives_and_tokens():
    found = [Decoded(text, -1.0, 4, (0.5, 0.5, 1.0)) for text in ("m a x", "m a y", "m i n")]
    (reading,) = tiny_recognizer().readings([found], n_alternatives=2)
    assert reading.latex == r"\max"
    assert [latex for latex, _ in reading.alternatives] == ["may", r"\min"]
    assert reading.tokens == [(r"\max", 0.25)]


def _with_names(read: str) -> str:
    return " ".join(token for token, _ in with_names([(token, 1.0) for token in read.split()]))
