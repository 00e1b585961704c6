"""Rarer symbols in formulas of lists: they are LaTeX, rare symbols stand in many of them, and none
is a formula that something is measured with."""

from collections import Counter

import numpy as np
import pytest

from latexocr.latex import canonical
from latexocr.latex_tables import OPERATORS
from latexocr.tokenizer import default_vocabulary
from trainer.data.rare import Exchanger, main, rare_formulas
from trainer.data.school import school_formulas

LINES = (
    *school_formulas(1500),
    *(rf"a_{{{i}}} + b = \sum_{{k=1}}^{{{i}}} (x_k \cdot y)" for i in range(400)),
    *(rf"\int_0^{{{i}}} \sin(x) dx \leq \frac{{n}}{{{i}}}" for i in range(2, 400)),
)


@pytest.fixture(scope="module")
def formulas():
    return rare_formulas(LINES, 3000)


def test_they_are_canonical_and_have_known_tokens(formulas):
    assert len(formulas) == len(set(formulas)) == 3000
    vocabulary = set(default_vocabulary())
    for latex in formulas:
        assert canonical(latex) == latex and set(latex.split()) <= vocabulary, latex


@pytest.mark.parametrize(
    "token", [r"\exists", r"\ddot", r"\nu", r"\oint", r"\cot", r"\wedge", r"\lfloor", r"\prod"]
)
def test_what_no_line_has_stands_in_some(formulas, token):
    assert not any(token in line for line in LINES)
    assert sum(token in latex.split() for latex in formulas) >= 3


def test_functions_come_where_no_line_has_any():
    lines = [f"a_{{{i}}} + {i} x = y" for i in range(500)]
    found = rare_formulas(lines, 1000)
    with_names = [latex for latex in found if not set(latex.split()).isdisjoint(OPERATORS)]
    assert 0.05 < len(with_names) / len(found) < 0.3
    assert len({token for latex in with_names for token in latex.split()} & set(OPERATORS)) > 20
    assert any("^ { - 1 }" in latex for latex in with_names)


def test_fences_stay_in_pairs(formulas):
    for opening, closing in (("(", ")"), (r"\lfloor", r"\rfloor"), (r"\langle", r"\rangle")):
        for latex in formulas:
            tokens = latex.split()
            assert tokens.count(opening) == tokens.count(closing), latex


def test_words_stay_what_they_are():
    tokens = canonical(r"x = 1 \text{ if } y").split()
    exchanger, rng = Exchanger(Counter(), 1), np.random.default_rng(0)
    start = tokens.index(r"\text")
    for _ in range(200):
        changed = exchanger.exchanged(tokens, rng)
        place = changed.index(r"\text")
        assert changed[place : place + 5] == tokens[start : start + 5]


def test_no_formula_of_a_held_out_list_comes_out(tmp_path, monkeypatch, capsys):
    taken = rare_formulas(LINES, 200, seed=4)
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "some_train.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    (lists / "some_validate.txt").write_text("\n".join(taken[:50]) + "\n", encoding="utf-8")
    out = tmp_path / "rare.txt"
    monkeypatch.setattr(
        "sys.argv", ["rare", str(lists), "--out", str(out), "--count", "200", "--seed", "4"]
    )
    main()
    found = out.read_text(encoding="utf-8").splitlines()
    assert len(found) == 200 and not set(found) & set(taken[:50])
    assert len(set(found) & set(taken[50:])) >= 100  # the same seed gives the same ones
