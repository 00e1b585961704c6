"""Structural expression rate: hand-worked trees and errors, and errors of explicit graphs."""

import random
from pathlib import Path

import pytest

from latexocr.latex import comparable, is_valid
from trainer.metrics import score_readings
from trainer.structure import (
    ABOVE,
    BELOW,
    INSIDE,
    RIGHT,
    SUB,
    SUP,
    SymbolTree,
    label_errors,
    score_structure,
    symbol_tree,
)

LINES = (Path(__file__).parent / "formulas.txt").read_text(encoding="utf-8").splitlines()
FORMULAS = [latex for latex in LINES if is_valid(latex)]


@pytest.mark.parametrize(
    ("latex", "tree"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("x", {(): "x"}, id="one symbol"),
        pytest.param("x^2+1", {(): "x", (SUP,): "2", (RIGHT,): "+", (RIGHT, RIGHT): "1"}, id="row"),
        pytest.param("x_i^{ab}", {(): "x", (SUB,): "i", (SUP,): "a", (SUP, RIGHT): "b"},
                     id="scripts"),
        pytest.param(r"\frac{a}{b}", {(): r"\frac", (ABOVE,): "a", (BELOW,): "b"}, id="fraction"),
        pytest.param(r"\sqrt[3]{x}", {(): r"\sqrt", (INSIDE,): "x", (ABOVE,): "3"}, id="root"),
        pytest.param(r"\sum_i^n", {(): r"\sum", (BELOW,): "i", (ABOVE,): "n"}, id="limits"),
        pytest.param(r"\int_0^1", {(): r"\int", (SUB,): "0", (SUP,): "1"}, id="limits beside"),
        pytest.param(r"\hat x^2", {(): "x", (ABOVE,): r"\hat", (SUP,): "2"}, id="accent"),
        pytest.param(r"\overset{a}{=}", {(): "=", (ABOVE,): "a"}, id="something above"),
        pytest.param(r"\overline{ab}", {(): r"\bar", (INSIDE,): "a", (INSIDE, RIGHT): "b"},
                     id="line over letters"),
        pytest.param(r"\xrightarrow[b]{a}", {(): r"\xrightarrow", (ABOVE,): "a", (BELOW,): "b"},
                     id="labelled arrow"),
        pytest.param(r"\mathbb{R}^n", {(): r"\mathbb R", (SUP,): "n"}, id="blackboard letter"),
        pytest.param(r"{}_2F", {(): "{ }", (SUB,): "2", (RIGHT,): "F"}, id="script on nothing"),
        pytest.param(r"\begin{matrix}a&b\\c\end{matrix}", {
            (): "matrix",
            (INSIDE,): r"\\", (INSIDE, BELOW): r"\\",
            (INSIDE, INSIDE): "&", (INSIDE, INSIDE, RIGHT): "&", (INSIDE, BELOW, INSIDE): "&",
            (INSIDE, INSIDE, INSIDE): "a", (INSIDE, INSIDE, RIGHT, INSIDE): "b",
            (INSIDE, BELOW, INSIDE, INSIDE): "c",
        }, id="matrix"),
    ],
)  # fmt: skip
def test_trees(latex, tree):
    assert symbol_tree(latex) == tree


@pytest.mark.parametrize(
    ("truth", "reading", "errors"),
    [
        pytest.param(r"\frac{a}{2}", r"{a \over 2}", 0, id="over is frac"),
        pytest.param("x_1^2", "x^2_1", 0, id="order of scripts"),
        pytest.param(r"1\cdots n", r"1\ldots n", 0, id="look-alikes"),
        pytest.param("a+b", "a-b", 1, id="one symbol wrong"),
        pytest.param("x^2", "y^3", 2, id="two symbols wrong"),
        pytest.param("a+b", "a+", 2, id="the last missing: a node and an edge"),
        pytest.param("x", r"\hat{x}", 2, id="an accent too many"),
        pytest.param("x^2", "x2", 4, id="a script on the line: gone here, new there"),
        pytest.param("x^2", "x_2", 4, id="a superscript below the line"),
        pytest.param("abc", "bc", 4, id="the first missing: all move up, the last place is empty"),
        pytest.param("", "x", 1, id="a single symbol hangs on nothing"),
        pytest.param("ab", "", 3, id="nothing read"),
    ],
)
def test_label_errors(truth, reading, errors):
    assert label_errors(symbol_tree(truth), symbol_tree(reading)) == errors
    assert label_errors(symbol_tree(reading), symbol_tree(truth)) == errors


def as_graph(tree: SymbolTree) -> dict[object, str]:
    """Nodes and edges with their labels, in the open."""
    edges = {(path[:-1], path): path[-1] for path in tree if path}
    return {("node", path): label for path, label in tree.items()} | edges


def test_label_errors_are_those_of_explicit_graphs():
    rng = random.Random(0)
    for _ in range(1000):
        trees = [symbol_tree(rng.choice(FORMULAS)) for _ in range(2)]
        left, right = map(as_graph, trees)
        differing = sum(left.get(key) != right.get(key) for key in left.keys() | right.keys())
        assert label_errors(*trees) == differing


def test_trees_are_equal_where_comparable_forms_are():
    by_tree: dict[frozenset, set[str]] = {}
    for latex in FORMULAS:
        tree = symbol_tree(latex)
        assert label_errors(tree, symbol_tree(comparable(latex))) == 0
        by_tree.setdefault(frozenset(tree.items()), set()).add(comparable(latex))
    assert [forms for forms in by_tree.values() if len(forms) > 1] == []
    assert len(by_tree) > 150


def test_a_tree_hangs_together():
    for latex in FORMULAS:
        tree = symbol_tree(latex)
        assert all(path[:-1] in tree for path in tree if path)


def test_scores_of_a_hand_worked_set():
    truths = ["a+b", "x^2", "1", "cd", r"\nosuch x"]
    readings = ["a+b", "x^3", "12", "c^d", r"\nosuch y"]
    score = score_structure(truths, readings)
    assert (score.exprate, score.le1, score.le2) == (20.0, 60.0, 80.0)
    assert (score.n, score.structure, score.unparsed) == (5, 60.0, 1)


def test_exprate_is_that_of_the_tokens():
    rng = random.Random(1)
    truths = [rng.choice(FORMULAS) for _ in range(200)]
    readings = [t if rng.random() < 0.5 else t.replace("x", "y", 1) for t in truths]
    score, token_score = score_structure(truths, readings), score_readings(truths, readings)
    assert 50 < score.exprate == token_score.exprate < 100
    assert score.ci95 == token_score.ci95


def test_lists_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="as many readings as truths"):
        score_structure(["x"], [])
