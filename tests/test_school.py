"""Formulas as in notebooks: they are LaTeX that the embedded vocabulary has words for."""

import pytest

from latexocr.latex import canonical
from latexocr.tokenizer import default_vocabulary
from trainer.data.school import main, school_formulas


def test_all_formulas_parse_and_have_known_tokens():
    vocabulary = set(default_vocabulary())
    for latex in school_formulas(2000):
        assert set(canonical(latex).split()) <= vocabulary, latex


STRUCTURES = (
    r"\begin{matrix}",
    r"\begin{cases}",
    r"\text",
    r"\int",
    r"\Rightarrow",
    r"\prime",
    r"\%",
)


@pytest.mark.parametrize("token", STRUCTURES)
def test_what_papers_lack_is_there(token):
    formulas = [canonical(latex).split() for latex in school_formulas(2000)]
    assert sum(token in tokens for tokens in formulas) >= 20


def test_a_seed_gives_the_same_formulas_each_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["school", "--out", str(tmp_path / "a.txt"), "--count", "300", "--seed", "4"]
    )
    main()
    lines = (tmp_path / "a.txt").read_text(encoding="utf-8").splitlines()
    assert lines == school_formulas(300, seed=4) != school_formulas(300, seed=5)
    assert len(set(lines)) == 300
