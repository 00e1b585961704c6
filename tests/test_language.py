"""The language model: what it says, how it is kept, how it is trained."""

import math

import pytest
import torch
import yaml

from latexocr.errors import ModelError
from latexocr.language import LANGUAGE_FILE, LanguageModel
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.conftest import draw
from tests.launching import by_step, finish, kill_after, launch, records, undisturbed
from tests.tiny import tiny_model, write_inks
from trainer.data.batches import rounds
from trainer.language import LanguageConfig, TextPlan, collate

TOKENIZER = build_tokenizer()
SCRIPT = "language.py"


def random_language(vocab_size: int = len(TOKENIZER)) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(vocab_size, 8, 12).eval()


@torch.no_grad()
def test_step_by_step_it_says_what_it_says_at_once():
    language = random_language()
    ids = torch.tensor([[1, 9, 7, 30], [1, 5, 5, 8]])
    logits, _ = language(ids)
    state = None
    for t in range(4):
        found, state = language.step(ids[:, t], state)
        assert torch.allclose(found, logits[:, t].log_softmax(dim=1), atol=1e-5)
    assert torch.allclose(found.exp().sum(dim=1), torch.ones(2), atol=1e-5)


def test_a_recogniser_takes_its_language_model_along(tmp_path):
    recognizer = Recognizer(tiny_model(), TOKENIZER, "cpu", random_language())
    recognizer.save_pretrained(tmp_path)
    again = Recognizer.from_pretrained(tmp_path, "cpu")
    assert torch.allclose(again.language.bias, recognizer.language.bias, atol=1e-3)
    assert again.read(draw("x+l")).latex
    (tmp_path / LANGUAGE_FILE).unlink()
    assert Recognizer.from_pretrained(tmp_path, "cpu").language is None


def test_the_language_model_has_a_say_in_what_is_read(tmp_path):
    """One that expects nothing but T, beside a recogniser of random weights."""
    language = random_language()
    for parameter in language.parameters():
        torch.nn.init.zeros_(parameter)
    language.bias.data[TOKENIZER.get_vocab()["T"]] = 1000.0
    read_by = {
        name: Recognizer(tiny_model(), TOKENIZER, "cpu", prior).read(draw("x+l"), 0).latex
        for name, prior in (("the picture alone", None), ("both", language))
    }
    assert read_by["both"].startswith("T") and not read_by["the picture alone"].startswith("T")


def test_a_language_model_of_another_vocabulary_is_refused():
    with pytest.raises(ModelError, match="language model of"):
        Recognizer(tiny_model(), TOKENIZER, "cpu", random_language(vocab_size=5))


@pytest.mark.parametrize("content", [b"", b"not safetensors at all"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / LANGUAGE_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=LANGUAGE_FILE):
        LanguageModel.load(tmp_path)


# --- Training ------------------------------------------------------------------------------------


def test_an_epoch_has_each_formula_once_and_no_more_of_a_list_than_is_asked_for():
    lists = [[[1] + [5] * (n % 7 + 1) + [2] for n in range(50)], [[1, 9, 2]] * 5]
    config = LanguageConfig(data="x", per_epoch=20, max_tokens=10, batch_tokens=30)
    plan = TextPlan(lists, config)
    epochs = [[i for batch in plan.epoch(e) for i in batch] for e in range(3)]
    for chosen in epochs:
        assert len(set(chosen)) == len(chosen) == 25
        assert sum(i < 50 for i in chosen) == 20
    assert set(epochs[0]) != set(epochs[1])
    for batch in plan.epoch(0):
        assert len(batch) == 1 or sum(map(len, [lists[i >= 50][i % 50] for i in batch])) <= 30
    assert rounds(len(plan.epoch(0)), 1) == len(plan.epoch(0))


def test_labels_are_the_tokens_to_come():
    batch = collate([[1, 7, 8, 2], [1, 9, 2]])
    assert batch.input_ids.tolist() == [[1, 7, 8], [1, 9, 0]]
    assert batch.labels.tolist() == [[7, 8, 2], [9, 2, -100]]
    assert batch.n_tokens == 5


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    (folder / "list_train.txt").write_text("x+l\n\\frac{T}{L}\nL+T=x\n\\nonsense\n" * 20)
    config = {
        "formulas": [str(folder / "list_train.txt")],
        "data": str(write_inks(folder / "inks")),
        "select": str(folder / "inks"),
        "width": 16,
        "hidden": 24,
        "batch_tokens": 100,
        "loop": {"max_steps": 40, "warmup_steps": 5, "log_steps": 1, "peak_lr": 0.02}
        | {"save_minutes": 0, "mixed_precision": "no"},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    return undisturbed(SCRIPT, settings, tmp_path_factory.mktemp("whole"))


def test_a_run_learns_what_formulas_say(whole):
    assert records(whole, "select")[-1]["perplexity"] < len(TOKENIZER) / 20
    language = LanguageModel.load(whole / "run" / "final")
    known = TOKENIZER.get_vocab()
    with torch.no_grad():
        likely, _ = language.step(torch.tensor([known["<s>"]]))
    assert math.exp(likely[0, known["\\alpha"]]) < 1 / len(TOKENIZER) < likely[0].max().exp()


def test_a_run_killed_in_the_middle_goes_on_exactly_where_it_was(settings, whole, tmp_path):
    kill_after(launch(SCRIPT, settings, tmp_path), tmp_path, n_steps=10)
    finish(launch(SCRIPT, settings, tmp_path))
    assert by_step(tmp_path, "train", "loss") == pytest.approx(
        by_step(whole, "train", "loss"), abs=2e-5
    )


def test_nothing_to_learn_from_is_said(tmp_path):
    (tmp_path / "empty.yaml").write_text("name: run\n")
    process = launch(SCRIPT, tmp_path / "empty.yaml", tmp_path)
    output, _ = process.communicate(timeout=120)
    assert process.returncode and "expected formulas or data" in output
