"""Teacher and student: what is learnt, what is read once, and a run as users start it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import yaml

from latexocr.errors import DataError, LatexOCRError
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.launching import by_step, finish, kill_after, launch, records, undisturbed
from tests.tiny import TINY, tiny_model, write_inks
from trainer.config import ConfigError, build
from trainer.data.examples import Example, load_examples
from trainer.distill import (
    DistillConfig,
    DistillingModel,
    divergence,
    load_data,
    load_unlabelled,
    start_student,
)
from trainer.objective import IGNORE, NO_SYMBOL, TrainingModel
from trainer.teacher import (
    RecognizerTeacher,
    TeacherReading,
    read_once,
    relabelled,
    zoomed,
)

SCRIPT = "distill.py"
N_STEPS = 8
MAX_TOKENS = 12  # of a formula, start and end included


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory) -> Path:
    """A teacher that reads x in all pictures, as often as it may, and more surely in some: random
    weights alone make all tokens much the same, and their readings do not parse."""
    recognizer = Recognizer(tiny_model(seed=5, max_tokens=MAX_TOKENS - 1), build_tokenizer(), "cpu")
    decoder = recognizer.model.decoder
    embeddings = decoder.output_projection.weight.data
    embeddings *= 6
    x = embeddings[recognizer.vocabulary["x"]]
    decoder.model.decoder.layers[-1].final_layer_norm.bias.data += 8 * x / x.square().sum()
    folder = tmp_path_factory.mktemp("teacher")
    recognizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def inks(tmp_path_factory) -> Path:
    return write_inks(tmp_path_factory.mktemp("inks"), n=12)


@pytest.fixture
def config(teacher_folder, inks, tmp_path) -> dict:
    """Settings in which the teacher takes a part in all that it can."""
    return {
        "teacher": str(teacher_folder),
        "data": str(inks),
        "output": str(tmp_path),
        "model": TINY | {"hidden_size": 16, "dropout": 0.1},
        "batches": {"max_tokens": MAX_TOKENS},
    }


# --- What is learnt ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("teacher", "student", "temperature", "expected"),
    [
        pytest.param([0.5, 0.5], [0.5, 0.5], 1.0, 0.0, id="equal"),
        pytest.param([0.5, 0.5], [0.8, 0.2], 1.0, 0.5 * math.log(0.25 / 0.16), id="by hand"),
        pytest.param([1.0, 0.0], [0.8, 0.2], 1.0, -math.log(0.8), id="a token it does not know"),
        pytest.param([0.5, 0.5], [0.8, 0.2], 2.0, 0.5 * math.log(0.25 / (2 / 9)), id="flattened"),
    ],
)
def test_divergence(teacher, student, temperature, expected):
    """One token counts, the other one is padding."""
    labels = torch.tensor([[1, IGNORE]])
    logits = [torch.tensor([[p, [0.9, 0.1]]]).log() for p in (teacher, student)]
    assert float(divergence(*logits, labels, temperature)) == pytest.approx(expected, abs=1e-6)


class FixedTeacher:
    """Always as sure of the same token; counts what it has to read."""

    fingerprint = "fixed"

    def __init__(self, token: int = 20, n_tokens: int = 573) -> None:
        self.token, self.n_tokens = token, n_tokens
        self.read_names: list[str] = []

    def logits(self, input_ids: torch.Tensor, **_: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(*input_ids.shape, self.n_tokens)
        logits[..., self.token] = 5.0
        return logits

    def read(self, examples: Sequence[Example]) -> list[TeacherReading]:
        self.read_names += [example.name for example in examples]
        return [TeacherReading("x", 0.1 * i) for i, _ in enumerate(examples)]


BATCH = {
    "pixel_values": torch.zeros(1, 1, 16, 32),
    "picture_sizes": torch.tensor([[16, 32]]),
    "input_ids": torch.tensor([[1, 20, 30]]),
    "labels": torch.tensor([[20, 30, 2]]),
    "cells": torch.full((1, 8), IGNORE),
    "cell_symbols": torch.full((1, 8), NO_SYMBOL),
    "token_symbols": torch.full((1, 3), NO_SYMBOL),
    "places": torch.full((1, 3, 2), -1.0),
    "place_sources": torch.full((1, 3), -1),
}


def distilling(weight: float, temperature: float = 2.0) -> DistillingModel:
    """Without anything random, so that losses can be compared."""
    ordinary = TrainingModel(tiny_model(dropout=0.0), 0.1, 0.0, 0.0)
    return DistillingModel(ordinary, FixedTeacher(), weight, temperature).train()


def test_the_objective_mixes_the_ordinary_loss_with_the_distance_by_weight():
    ordinary, mixed, only = (
        distilling(weight)(**BATCH).objective.item() for weight in (0.0, 0.25, 1.0)
    )
    assert mixed == pytest.approx(0.75 * ordinary + 0.25 * only, rel=1e-5)
    logits = (
        distilling(0.0)
        .ordinary.recognizer(
            pixel_values=BATCH["pixel_values"],
            picture_sizes=BATCH["picture_sizes"],
            decoder_input_ids=BATCH["input_ids"],
        )
        .logits
    )
    distance = divergence(
        FixedTeacher().logits(BATCH["input_ids"]), logits, BATCH["labels"], temperature=2.0
    )
    assert only == pytest.approx(4.0 * distance.item(), rel=1e-4)


def test_a_few_steps_on_the_distance_bring_the_student_to_its_teacher():
    """The teacher's token is none of the labels': the ordinary loss leads away from it."""
    model = distilling(weight=1.0)
    model.teacher = FixedTeacher(token=40)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = model.distance(BATCH)
    for _ in range(20):
        optimizer.zero_grad()
        model(**BATCH).objective.backward()
        optimizer.step()
    assert model.distance(BATCH) < 0.3 * before


def test_the_teacher_is_no_part_of_what_is_trained_and_saved(teacher_folder):
    recognizer = Recognizer.from_pretrained(teacher_folder, "cpu")
    teacher = RecognizerTeacher(recognizer, recognizer.vocabulary, recognizer.symbol_px)
    ordinary = TrainingModel(tiny_model(), 0.1, 0.5, 0.3)
    model = DistillingModel(ordinary, teacher, 0.5, 2.0).train()
    model(**BATCH).objective.backward()
    assert len(list(model.parameters())) == len(list(ordinary.parameters()))
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in recognizer.model.parameters())


# --- The teacher -------------------------------------------------------------------------------


def test_a_teacher_speaks_in_the_students_vocabulary(teacher_folder):
    recognizer = Recognizer.from_pretrained(teacher_folder, "cpu")
    own = RecognizerTeacher(recognizer, recognizer.vocabulary, recognizer.symbol_px)
    tokens = sorted(recognizer.vocabulary, key=recognizer.vocabulary.__getitem__)
    turned = [*tokens[:4], *reversed(tokens[4:]), "of the student alone"]
    other = RecognizerTeacher(
        recognizer, {token: i for i, token in enumerate(turned)}, recognizer.symbol_px
    )
    ids = {token: i for i, token in enumerate(turned)}
    there = torch.tensor([[ids[tokens[i]] for i in BATCH["input_ids"][0]]])
    wanted = own.logits(**BATCH)
    found = other.logits(**BATCH | {"input_ids": there})
    torch.testing.assert_close(found[..., [ids[token] for token in tokens]], wanted)
    assert bool((found[..., -1] == -torch.inf).all())


def test_pictures_are_scaled_to_the_teachers_symbols():
    pixels = torch.zeros(2, 1, 48, 64)
    pixels[0, :, :20, :40] = 1.0
    found, sizes = zoomed(pixels, torch.tensor([[20, 40], [48, 64]]), 1.25)
    assert found.shape == (2, 1, 64, 80)  # 60 x 80, padded to multiples of 16
    assert sizes.tolist() == [[25, 50], [60, 80]]
    assert float(found.sum()) == pytest.approx(20 * 40 * 1.25**2, rel=0.02)
    assert zoomed(pixels, sizes, 1.0)[0] is pixels


# --- Readings ----------------------------------------------------------------------------------


def test_pictures_are_read_once_and_again_only_by_another_teacher(inks, tmp_path):
    path, teacher = tmp_path / "readings.jsonl", FixedTeacher()
    examples = load_examples(str(inks))
    first = read_once(teacher, "inks", examples[:5], path)
    whole = path.read_text()
    path.write_text(whole[:-9])  # killed while it wrote the last one
    second = read_once(teacher, "inks", examples, path)
    names = [example.name for example in examples]
    assert teacher.read_names == names[:5] + names[4:]
    assert list(second) == names and second.items() >= {n: first[n] for n in names[:4]}.items()
    assert read_once(teacher, "inks", examples, path) == second
    assert len(teacher.read_names) == len(names) + 1
    teacher.fingerprint = "another"
    with pytest.raises(DataError, match="readings of this teacher, another, got those of fixed"):
        read_once(teacher, "inks", examples, path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("not JSON\nat all\n", id="text"),
        pytest.param('{"name": "a"}\n{"name": "b"}\n', id="other rows"),
        pytest.param("[1]\n[2]\n", id="no objects"),
    ],
)
def test_a_file_of_something_else_is_not_overwritten(content, inks, tmp_path):
    path = tmp_path / "readings.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match="expected a teacher's readings"):
        read_once(FixedTeacher(), "inks", load_examples(str(inks)), path)
    assert path.read_text() == content


def test_only_sure_readings_become_truths(inks):
    examples = load_examples(str(inks))[:4]
    readings = {
        example.name: TeacherReading(f"x + {i}", 0.3 * i) for i, example in enumerate(examples)
    }
    found = relabelled(examples, readings, min_confidence=0.5)
    assert [(e.name, e.latex) for e in found] == [
        (examples[2].name, "x + 2"),
        (examples[3].name, "x + 3"),
    ]
    assert found[0].sample(20, None, None).pixels.tolist() == (
        examples[2].sample(20, None, None).pixels.tolist()
    )


def test_a_folder_of_pictures_alone_is_enough_for_the_teacher(config, write_picture, tmp_path):
    write_picture("scans/one.png", "xl")
    write_picture("scans/deep/two.png", "T+x")
    write_picture("scans/blank.png", "")
    scans = str(tmp_path / "scans")
    assert [e.name for e in load_unlabelled(scans)] == ["blank.png", "deep/two.png", "one.png"]
    settings = build(DistillConfig, config | {"unlabelled": [scans], "relabel": True})
    data = load_data(settings, start_student(settings))
    readings = tmp_path / "distill" / "teacher_readings.jsonl"
    rows = [json.loads(line) for line in readings.read_text().splitlines()]
    by_name = {row["name"]: row["latex"] for row in rows[1:]}
    assert {row["set"] for row in rows[1:]} == {config["data"], scans}
    assert {"deep/two.png", "one.png"} < set(by_name) and "blank.png" not in by_name
    assert len(data.examples) == 12 + 2
    assert all(example.latex == by_name[example.name] for example in data.examples)


def test_readings_that_are_not_sure_enough_are_not_learnt(config):
    settings = build(DistillConfig, config | {"relabel": True, "min_confidence": 1.0})
    with pytest.raises(DataError, match="none of 12 can be used: its confidence is too low"):
        load_data(settings, start_student(settings))


# --- Settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"teacher": ""}, "expected --teacher", id="no teacher"),
        pytest.param({"teacher_weight": 1.5}, "from 0 to 1, got 1.5", id="weight"),
        pytest.param({"temperature": 0}, "temperature must be above 0", id="temperature"),
        pytest.param({"model_from": "x/y"}, "model_from says x/y", id="a foreign student"),
        pytest.param({"batches": {"max_tokens": 13}}, "expected at most 12", id="too long"),
        pytest.param({"teacher": "/no/such"}, "expected a recogniser", id="no such teacher"),
    ],
)
def test_what_cannot_be_is_said(config, changes, message):
    with pytest.raises(LatexOCRError, match=message):
        start_student(build(DistillConfig, config | changes))


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match="expected a folder with pictures"):
        load_unlabelled(str(tmp_path))


@pytest.mark.parametrize("name", ["distill_small", "distill_self"])
def test_the_configs_fit(name):
    path = Path(__file__).parent.parent / "trainer" / "configs" / f"{name}.yaml"
    settings = yaml.safe_load(path.read_text())
    config = build(DistillConfig, settings | {"teacher": "t", "data": "d"})
    assert config.name == name
    with pytest.raises(ConfigError, match="expected --teacher"):
        build(DistillConfig, settings | {"data": "d"})


# --- A run -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settings(teacher_folder, inks, tmp_path_factory) -> Path:
    """A tiny student of another shape than the teacher's, with all that is random turned on."""
    config = {
        "teacher": str(teacher_folder),
        "data": str(inks),
        "select": str(inks),
        "select_limit": 3,
        "relabel": True,
        "teacher_weight": 0.8,
        "swap_share": 0.5,
        "n_workers": 0,
        "model": TINY | {"hidden_size": 16, "symbol_px": 16, "dropout": 0.1},
        "batches": {"pixel_budget": 16_000, "max_tokens": MAX_TOKENS},
        "loop": {
            "max_steps": N_STEPS,
            "peak_lr": 0.02,
            "warmup_steps": 1,
            "log_steps": 1,
            "save_minutes": 0,
            "eval_minutes": 0,
            "mixed_precision": "no",
        },
    }
    path = tmp_path_factory.mktemp("settings") / "tiny.yaml"
    path.write_text(yaml.safe_dump(config, default_flow_style=False))
    return path


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory) -> Path:
    """The output of a run that nobody disturbed."""
    return undisturbed(SCRIPT, settings, tmp_path_factory.mktemp("whole"))


def test_a_student_comes_nearer_to_its_teacher(whole):
    distances = [row["teacher_kl"] for row in records(whole, "select")]
    assert distances[-1] < 0.8 * distances[0]
    student = Recognizer.from_pretrained(whole / "run" / "final", device="cpu")
    assert student.model.config.encoder.hidden_size == 16


def test_a_run_killed_in_the_middle_goes_on_exactly_where_it_was(settings, whole, tmp_path):
    kill_after(launch(SCRIPT, settings, tmp_path), tmp_path, n_steps=3)
    readings = (tmp_path / "run" / "teacher_readings.jsonl").read_text()
    finish(launch(SCRIPT, settings, tmp_path))
    assert 0 < records(tmp_path, "start")[1]["step"] < N_STEPS
    for kind, figure in (("train", "loss"), ("select", "teacher_kl")):
        found, wanted = (by_step(output, kind, figure) for output in (tmp_path, whole))
        assert found == pytest.approx(wanted, abs=2e-5)
    assert (tmp_path / "run" / "teacher_readings.jsonl").read_text() == readings
