"""The grammar by which a decoder writes: it refuses no formula, and lets through nothing else."""

from importlib.resources import files

import numpy as np
import pytest
import torch

from latexocr.grammar import MAX_OPEN, Frame, Grammar
from latexocr.latex import canonical
from latexocr.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer()
VOCABULARY = TOKENIZER.get_vocab()
SPECIAL = ("<pad>", "<s>", "<unk>")
GRAMMAR = Grammar(VOCABULARY, "</s>", SPECIAL)
FORMULAS = files("tests").joinpath("formulas.txt").read_text(encoding="utf-8").splitlines()
BRACES = ("{", "}", "_", "^", "&", "\\\\", "[", "]")
COMMANDS = (r"\text", r"\sqrt", r"\frac", r"\substack", r"\xrightarrow")
GRIDS = (r"\begin{matrix}", r"\end{matrix}", r"\begin{cases}", r"\begin{aligned}")
STRUCTURE = (*BRACES, *COMMANDS, *GRIDS)


def state_after(latex: str) -> Frame:
    state = GRAMMAR.start
    for token in latex.split():
        assert GRAMMAR.allowed(state)[VOCABULARY[token]], f"{token} is refused in {latex}"
        state = GRAMMAR.after(state, VOCABULARY[token])
    return state


def may_follow(latex: str, token: str) -> bool:
    return bool(GRAMMAR.allowed(state_after(latex))[VOCABULARY[token]])


def test_every_canonical_formula_can_be_written():
    known = [canonical(line) for line in FORMULAS]
    written = [latex for latex in known if all(token in VOCABULARY for token in latex.split())]
    assert len(written) > 0.9 * len(FORMULAS)
    for latex in written:
        assert GRAMMAR.allowed(state_after(latex))[VOCABULARY["</s>"]]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_grammar_allows_can_be_parsed(seed):
    chance = np.random.default_rng(seed)
    weights = np.ones(len(VOCABULARY))
    weights[[VOCABULARY[token] for token in STRUCTURE]] = 40
    for _ in range(25):
        state, ids = GRAMMAR.start, []
        for _ in range(int(chance.integers(1, 80))):
            likely = GRAMMAR.allowed(state).numpy() * weights
            token_id = int(chance.choice(len(likely), p=likely / likely.sum()))
            if token_id == VOCABULARY["</s>"]:
                break
            ids.append(token_id)
            state = GRAMMAR.after(state, token_id)
        canonical(" ".join(TOKENIZER.convert_ids_to_tokens([*ids, *GRAMMAR.completion(state)])))


@pytest.mark.parametrize(
    ("latex", "token", "expected"),
    [
        pytest.param(r"x ^", "2", False, id="an argument begins with a brace"),
        pytest.param(r"x ^ { 2 }", "_", False, id="the subscript comes first"),
        pytest.param(r"x _ { 2 }", "^", True, id="and the superscript second"),
        pytest.param(r"x ^ { 2 } y", "^", True, id="each base has its own"),
        pytest.param("", "^", False, id="no script without a base"),
        pytest.param("{ }", "^", True, id="but on an empty one"),
        pytest.param(r"\frac { a }", "+", False, id="a fraction has two arguments"),
        pytest.param(r"\frac { a }", "_", False, id="and no scripts between them"),
        pytest.param(r"\frac { a } { b }", "_", True, id="but after them"),
        pytest.param(r"\sqrt", "[", True, id="a root may have a degree"),
        pytest.param(r"\frac", "[", False, id="a fraction has none"),
        pytest.param("x", "}", False, id="nothing is open"),
        pytest.param("{ x", "</s>", False, id="something is open"),
        pytest.param("x", "&", False, id="cells are in grids"),
        pytest.param(r"\begin{matrix} x", "&", True, id="of a matrix"),
        pytest.param(r"\begin{aligned} x", "&", False, id="aligned lines have no cells"),
        pytest.param(r"\begin{matrix} x", r"\end{cases}", False, id="another grid's end"),
        pytest.param(r"\begin{matrix} { x", r"\end{matrix}", False, id="a brace in a cell"),
        pytest.param(r"\text { i", r"\frac", False, id="no mathematics in text"),
        pytest.param("x", "~", False, id="no space outside it"),
        pytest.param("{ " * MAX_OPEN, "{", False, id="too deep"),
        pytest.param("x", "<pad>", False, id="special tokens"),
        pytest.param("x", "<", True, id="less than is no special token"),
    ],
)
def test_what_may_follow(latex, token, expected):
    assert may_follow(latex, token) == expected


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        pytest.param(r"\sqrt { \frac { a", r"\sqrt { \frac { a } { } }", id="fraction in a root"),
        pytest.param(r"x ^", "x ^ { }", id="script not begun"),
        pytest.param(
            r"\begin{cases} x & { y", r"\begin{cases} x & { y } \end{cases}", id="group in cases"
        ),
        pytest.param("x + y", "x + y", id="nothing is missing"),
    ],
)
def test_a_broken_off_formula_is_closed(latex, expected):
    missing = TOKENIZER.convert_ids_to_tokens(GRAMMAR.completion(state_after(latex)))
    assert " ".join([*latex.split(), *missing]) == expected


def test_ending_with_something_open_closes_it():
    """An undecided network that has forgotten the brace of a root ends, and so the brace comes."""
    scores = torch.full((1, len(VOCABULARY)), -20.0)
    scores[0, [VOCABULARY["</s>"], VOCABULARY["x"], VOCABULARY["}"]]] = torch.tensor([0.0, -1, -9])
    log_probabilities = scores.log_softmax(dim=1)
    found = GRAMMAR.constrained([state_after(r"\sqrt { 2")], log_probabilities)[0]
    assert int(found.argmax()) == VOCABULARY["}"]
    assert float(found.exp().sum()) == pytest.approx(1.0, abs=1e-4)


def test_what_is_not_allowed_gives_its_probability_to_nobody():
    log_probabilities = torch.zeros(1, len(VOCABULARY)).log_softmax(dim=1)
    found = GRAMMAR.constrained([GRAMMAR.start], log_probabilities)[0]
    assert float(found[VOCABULARY["x"]]) == float(log_probabilities[0, VOCABULARY["x"]])
    assert float(found[VOCABULARY["}"]]) == -torch.inf
