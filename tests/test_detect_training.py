"""Training of the detector: its batches, its evaluation, and the run itself, as users start it."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from latexocr.detection_model import DetectorConfig
from latexocr.detector import Detector
from tests.launching import by_step, finish, kill_after, launch, records, undisturbed
from tests.tiny import TINY_DETECTOR, tiny_detector, write_inks
from trainer.data.pages import PageConfig
from trainer.detect import (
    LOSSES,
    DetectConfig,
    DetectionObjective,
    PagePlaces,
    TrainingPages,
    batches_per_epoch,
    collate,
    make_evaluation,
    make_generator,
    start_model,
)

SCRIPT = "detect.py"
N_STEPS = 10
PAGES = {"long_side_min": 260, "long_side_max": 320, "rows_min": 7, "rows_max": 9}
PAGES |= {"prose": 0.0, "extras": 0.0}  # so that most of these small pages have room for equations


@pytest.fixture(scope="module")
def inks(tmp_path_factory) -> str:
    return str(write_inks(tmp_path_factory.mktemp("detection") / "inks"))


@pytest.fixture
def config(inks) -> DetectConfig:
    return DetectConfig(
        data=inks,
        batch_size=2,
        pages_per_epoch=9,
        model=DetectorConfig(**TINY_DETECTOR),
        pages=PageConfig(**PAGES),
    )


# --- Batches -------------------------------------------------------------------------------------


def places(config: DetectConfig, n: int, *where: int) -> list[list[tuple[int, int]]]:
    return list(islice(PagePlaces(config, *where), n))


def test_every_page_of_an_epoch_comes_once_and_then_the_next_epoch(config):
    assert batches_per_epoch(config, 1) == 4
    found = places(config, 5, 0, 0, 0, 1)
    assert found[:4] == [[(0, i), (0, i + 1)] for i in (0, 2, 4, 6)]
    assert found[4] == [(1, 0), (1, 1)]


def test_a_run_that_goes_on_gets_the_pages_that_it_would_have_got(config):
    whole = places(config, 12, 0, 0, 0, 1)
    assert places(config, 5, 1, 3, 0, 1) == whole[7:]


def test_processes_share_the_pages_of_an_epoch(config):
    n_batches = batches_per_epoch(config, 3) // 3
    shares = [places(config, n_batches, 0, 0, process, 3) for process in range(3)]
    indices = [index for share in shares for batch in share for _, index in batch]
    assert sorted(indices) == list(range(6))


def test_pages_are_made_as_the_network_looks_at_them(config):
    config = replace(config, model=replace(config.model, long_side=100))
    generator = make_generator(config.data, (), config.pages)
    large = TrainingPages(generator, replace(config, model=DetectorConfig()))
    pixels, target = TrainingPages(generator, config)[0, 3]
    full_pixels, full_target = large[0, 3]
    assert (pixels.dtype, pixels.ndim, max(pixels.shape)) == (torch.uint8, 3, 100)
    factor = pixels.shape[2] / full_pixels.shape[2]
    assert target["boxes"].numpy() == pytest.approx(full_target["boxes"].numpy() * factor)
    assert target["labels"].tolist() == [1] * len(target["boxes"])
    assert target["ignore"].shape[1:] == (4,)


def test_pages_of_a_batch_keep_their_sizes(config):
    pages = TrainingPages(make_generator(config.data, (), config.pages), config)
    batch = collate([pages[0, 0], pages[0, 1]])
    assert [page.shape for page in batch.pixels] == [pages[0, i][0].shape for i in (0, 1)]
    assert [len(labels) for labels in batch.labels] == [len(t["boxes"]) for t in batch.targets]


@pytest.mark.parametrize(
    "settings",
    [
        {"data": None},
        {"batch_size": 0},
        {"batch_size": 20},
        {"n_workers": -1},
        {"select_pages": -1},
        {"frozen_norms": True},
    ],
)
def test_a_run_that_makes_no_sense_is_refused(config, settings):
    with pytest.raises(ValueError, match="data" if "data" in settings else next(iter(settings))):
        replace(config, **settings)


def test_frozen_norms_stay_as_they_are_while_the_rest_learns():
    model = DetectionObjective(tiny_detector().model, frozen_norms=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    boxes = {"boxes": torch.tensor([[8.0, 8.0, 80.0, 24.0]]), "labels": torch.ones(1).long()}
    page = torch.randint(0, 256, (1, 64, 96), dtype=torch.uint8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    sum(model([page], [boxes]).values()).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert changed
    assert not any("running" in name for name in changed)
    assert model.eval().train().training  # and an evaluation in between does not thaw them
    model([page], [boxes])
    assert all(
        torch.equal(value, before[name])
        for name, value in model.state_dict().items()
        if "running" in name
    )


# --- Evaluation ----------------------------------------------------------------------------------


def test_better_weights_of_before_are_not_overwritten(config, tmp_path):
    config = replace(config, select_pages=2)
    generator = make_generator(config.data, (), config.pages)
    model = DetectionObjective(tiny_detector().model)
    evaluate = make_evaluation(config, generator, tmp_path)
    figures = evaluate(model)
    assert set(figures) == {"f1", "precision", "recall", "f1_iou75", "threshold"}
    assert Detector.from_pretrained(tmp_path / "best").config.score_min == pytest.approx(
        figures["threshold"], abs=1e-4
    )
    row = {"kind": "select", "step": 5, "f1": 1.0}
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "best" / "config.json").unlink()
    assert make_evaluation(config, generator, tmp_path)(model) == figures
    assert not (tmp_path / "best" / "config.json").exists()


def test_without_pages_to_select_by_nothing_is_evaluated(config, tmp_path):
    config = replace(config, select_pages=0)
    generator = make_generator(config.data, (), config.pages)
    assert make_evaluation(config, generator, tmp_path) is None


# --- Runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def settings(inks, tmp_path_factory) -> Path:
    """A config that trains a tiny detector for a few steps, on ink and on printed formulas."""
    folder = tmp_path_factory.mktemp("detection_run")
    (folder / "list_train.txt").write_text("x+l\nL+T=x\n\\frac{l}{T}\n")
    content = {
        "data": inks,
        "formulas": [str(folder / "list_train.txt")],
        "select_pages": 2,
        "batch_size": 2,
        "pages_per_epoch": 8,
        "model": {key: list(v) if isinstance(v, tuple) else v for key, v in TINY_DETECTOR.items()},
        "pages": PAGES | {"printed": 0.5},
        "loop": {
            "max_steps": N_STEPS,
            "warmup_steps": 2,
            "log_steps": 1,
            "save_minutes": 0,
            "mixed_precision": "no",
            "n_threads": 1,
        },
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory) -> Path:
    """The output of a run that nobody disturbed."""
    return undisturbed(SCRIPT, settings, tmp_path_factory.mktemp("whole"))


def test_a_run_leaves_weights_that_find_something(whole):
    steps = {row["step"] for row in records(whole, "train")}
    assert steps == set(range(1, N_STEPS + 1))
    assert any(row["loss_box_reg"] > 0 for row in records(whole, "train"))
    (row,) = records(whole, "select")
    final = Detector.from_pretrained(whole / "run" / "final", device="cpu")
    assert final.config.score_min == pytest.approx(row["threshold"], abs=1e-4)
    assert final.config.widths == TINY_DETECTOR["widths"]
    found = final.detect(np.full((200, 200), 255, np.uint8), score_min=0.0)
    assert isinstance(found, list)
    assert (whole / "run" / "best" / "model.safetensors").stat().st_size < 10_000_000


def test_a_run_killed_in_the_middle_goes_on_exactly_where_it_was(settings, whole, tmp_path):
    kill_after(launch(SCRIPT, settings, tmp_path), tmp_path, n_steps=4)
    finish(launch(SCRIPT, settings, tmp_path))
    assert 0 < records(tmp_path, "start")[1]["step"] < N_STEPS
    assert by_step(tmp_path, "train", "loss") == pytest.approx(
        by_step(whole, "train", "loss"), abs=2e-5
    )
    assert records(tmp_path, "select")[-1]["f1"] == records(whole, "select")[-1]["f1"]


def test_weights_of_a_run_can_be_trained_further(whole):
    model = start_model(DetectConfig(data="ink", init=str(whole / "run" / "final")))
    boxes = {"boxes": torch.tensor([[8.0, 8.0, 80.0, 24.0]]), "labels": torch.ones(1).long()}
    losses = DetectionObjective(model)([torch.zeros(1, 64, 96, dtype=torch.uint8)], [boxes])
    assert set(losses) == set(LOSSES)
    trained = load_file(whole / "run" / "final" / "model.safetensors")
    name, weights = next(iter(model.named_parameters()))
    assert torch.equal(weights, trained[name].float())
