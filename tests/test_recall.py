"""How well each token is known: what is counted, and the command."""

import json
import subprocess
import sys
from collections import Counter

import pytest
import torch

from latexocr.hub import EMBEDDED
from latexocr.tokenizer import build_tokenizer
from tests.launching import TIMEOUT_S
from tests.tiny import TINY, tiny_model, write_inks
from trainer.config import build
from trainer.data.batches import BatchPlan, Kind
from trainer.finetune import FinetuneConfig, load_training_data, start_trainee
from trainer.objective import IGNORE, Batch, TrainingModel
from trainer.recall import RecallConfig, recalls

TOKENS = build_tokenizer().convert_ids_to_tokens(range(len(build_tokenizer())))


@pytest.fixture(scope="module")
def inks(tmp_path_factory) -> str:
    return str(write_inks(tmp_path_factory.mktemp("inks"), n=12))


@pytest.fixture(scope="module")
def batches(inks) -> list[Batch]:
    config = build(FinetuneConfig, {"data": inks, "model": TINY, "batches": {"max_examples": 4}})
    trainee = start_trainee(config)
    data = load_training_data(config, trainee)
    lengths = [len(ids) for ids in data.token_ids]
    plan = BatchPlan([Kind(data.examples)], lengths, data.shapes, trainee.batches, 0)
    dataset = trainee.dataset(data.examples, data.token_ids, is_plain=True)
    return [trainee.collate([dataset[draw] for draw in draws]) for draws in plan.epoch(0)]


def test_each_token_of_the_batches_is_counted_and_judged(batches):
    objective = TrainingModel(tiny_model(), 0.0, 0.0, 0.0).eval()
    found = recalls(objective, batches, TOKENS)
    truths = [label for batch in batches for label in batch.labels.flatten().tolist()]
    wanted = Counter(TOKENS[label] for label in truths if label != IGNORE)
    assert {row.token: row.n for row in found} == wanted
    with torch.no_grad():
        n_right = sum(int(objective(**vars(batch)).n_right) for batch in batches)
    assert sum(row.right * row.n for row in found) == pytest.approx(n_right)
    assert all(0 < row.chance < 1 for row in found)


def test_what_a_model_always_writes_is_all_that_it_knows(batches):
    objective = TrainingModel(tiny_model(), 0.0, 0.0, 0.0)
    always = TOKENS.index("x")
    objective.logits = lambda batch: torch.eye(len(TOKENS))[torch.full_like(batch.labels, always)]
    found = recalls(objective, batches, TOKENS)
    assert [row.token for row in found if row.right] == ["x"]
    assert found[-1].token == "x"
    assert found[-1].mistaken_for == []
    assert all(row.mistaken_for == [("x", row.n)] for row in found[:-1])


def test_the_command_says_what_the_embedded_weights_know(inks, tmp_path):
    out = tmp_path / "recall.json"
    options = ["--data", inks, "--init", str(EMBEDDED / "recognizer"), "--least", "1"]
    command = [sys.executable, "-m", "trainer.recall", *options, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())
    assert [row["right"] for row in rows] == sorted(row["right"] for row in rows)
    shown = [line.split()[3] for line in done.stdout.splitlines()]
    assert shown == [row["token"] for row in rows]
    assert sum(row["right"] * row["n"] for row in rows) > 0.7 * sum(row["n"] for row in rows)


def test_other_models_are_refused(inks):
    with pytest.raises(ValueError, match="expected a recogniser of our own"):
        build(RecallConfig, {"data": inks, "model_from": "somewhere"})
