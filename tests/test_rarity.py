"""What rare symbols are rewarded with, and how their frequencies are counted."""

import pytest
import torch

from latexocr import rarity
from latexocr.language import LanguageModel
from latexocr.rarity import token_counts, token_rewards
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer, default_vocabulary
from tests.conftest import draw
from tests.tiny import tiny_model
from trainer.frequencies import count_tokens, main

VOCABULARY = build_tokenizer().get_vocab()


def test_the_rarer_a_token_the_more_but_never_beyond_the_limit():
    rewards = token_rewards(VOCABULARY)
    assert rewards.shape == (len(VOCABULARY),)
    assert rewards.min() == 0 and rewards.max() == rarity.MOST
    counts = token_counts()
    counted = sorted(counts, key=counts.__getitem__)
    ordered = [float(rewards[VOCABULARY[token]]) for token in counted]
    assert ordered == sorted(ordered, reverse=True)
    by_token = {token: float(rewards[VOCABULARY[token]]) for token in VOCABULARY}
    assert by_token["x"] == by_token["+"] == by_token["{"] == by_token["</s>"] == 0
    assert 0 < by_token[r"\kappa"] < by_token[r"\exists"]


def test_a_token_ten_times_as_rare_gets_its_share_of_the_logarithm(monkeypatch):
    monkeypatch.setattr(rarity, "token_counts", lambda: {"x": 9_989, "y": 10, "z": 1})
    assert token_rewards({"x": 0, "y": 1, "z": 2, "unknown": 3}).tolist() == pytest.approx(
        [0.0, 0.0, 0.5 * 2.302585, 0.0]
    )


def test_every_token_of_the_vocabulary_is_counted():
    assert list(token_counts()) == default_vocabulary()


def test_searched_readings_are_rewarded_and_greedy_ones_are_not(monkeypatch):
    """A reward for T that outweighs everything, beside random weights."""
    language = LanguageModel(len(VOCABULARY), 8, 12).eval()
    for parameter in language.parameters():
        torch.nn.init.zeros_(parameter)
    rewards = torch.zeros(len(VOCABULARY))
    rewards[VOCABULARY["T"]] = 100.0
    monkeypatch.setattr("latexocr.recognizer.token_rewards", lambda _: rewards)
    recognizer = Recognizer(tiny_model(), build_tokenizer(), "cpu", language)
    picture = draw("x+l")
    assert recognizer.read(picture, n_alternatives=3).latex.startswith("T")
    assert not recognizer.read(picture, n_alternatives=0).latex.startswith("T")


def test_lists_count_alike_however_long_they_are(tmp_path):
    short, long = tmp_path / "a_train.txt", tmp_path / "b_train.txt"
    short.write_text("x+1\n" * 3, "utf-8")
    long.write_text("y^2\n" * 500 + "\\frac{\n", "utf-8")
    counts = count_tokens([long, short], each=3)
    assert counts["x"] == 3 and counts["y"] <= 3 and counts["+"] == 3
    assert count_tokens([short, long], each=3) == counts


def test_the_command_prints_a_line_for_each_token(tmp_path, capsys):
    formulas = tmp_path / "some_train.txt"
    formulas.write_text("x+\\psi\nx\n", "utf-8")
    main(["--formulas", str(formulas)])
    rows = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert list(rows) == default_vocabulary()
    assert (rows["x"], rows[r"\psi"], rows["y"]) == ("2", "1", "0")
