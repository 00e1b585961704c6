"""LaTeX words to ids and back."""

import pytest
from transformers import AutoTokenizer

from latexocr.tokenizer import build_tokenizer, default_vocabulary

FORMULAS = [
    r"\frac { a } { 2 }",
    r"x _ { i } ^ { 2 } \leq \omega",
    r"\begin{cases} 1 & \text { i f } ~ x < 0 \\ 0 \end{cases}",
    r"< s > \{ | \| \} < / s >",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_ids_decode_to_the_same_tokens(formula):
    tokenizer = build_tokenizer()
    ids = tokenizer(formula).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == formula
    assert len(ids) == len(formula.split()) + 2
    assert tokenizer.unk_token_id not in ids


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_saved_tokenizer_gives_the_same_ids(formula, tmp_path):
    tokenizer = build_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(formula).input_ids == tokenizer(formula).input_ids
    assert loaded.decode(tokenizer(formula).input_ids, skip_special_tokens=True) == formula


def test_special_tokens_have_the_ids_that_the_model_is_built_with():
    tokenizer = build_tokenizer()
    ids = [tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id]
    assert ids == [0, 1, 2]


def test_the_vocabulary_goes_beyond_crohme():
    tokens = default_vocabulary()
    wanted = [
        r"\omega",
        r"\vec",
        r"\partial",
        r"\nabla",
        r"\psi",
        r"\otimes",
        r"\binom",
        r"\begin{matrix}",
        r"\text",
        r"~",
        r"\mathbb",
    ]
    assert set(wanted) <= set(tokens)
    assert len(tokens) == len(set(tokens))


def test_unknown_tokens_are_marked():
    tokenizer = build_tokenizer()
    assert tokenizer(r"\nosuchcommand").input_ids[1] == tokenizer.unk_token_id


def test_a_token_given_twice_is_an_error():
    with pytest.raises(ValueError, match="got x more than once"):
        build_tokenizer(["x", "y", "x"])
