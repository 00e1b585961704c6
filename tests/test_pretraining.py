"""Pretraining, and the article's own models, as users train them: `accelerate launch`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from latexocr.recognizer import Recognizer
from tests.conftest import draw
from tests.launching import ROOT, finish, records
from tests.tiny import TINY, write_inks
from tests.tiny_foreign import write_foreign
from trainer.config import ConfigError, build, parse_config
from trainer.finetune import FinetuneConfig
from trainer.foreign import Blip, TrOCR, load_foreign
from trainer.pretrain import PretrainConfig

CONFIGS = sorted((ROOT / "trainer/configs").glob("*.yaml"))
OTHER_COMMANDS = ("detector", "distill")  # whose configs have other keys
N_STEPS = 4
LETTERS = ["x", "x+T", "lLlL", "T+l"]


def write_pictures(folder: Path) -> Path:
    """Four pictures of print, one that is blank, one that is no picture, and one whose LaTeX is
    none."""
    folder.mkdir(parents=True)
    rows = ["image\tlatex"]
    for i, letters in enumerate([*LETTERS, "", "x"]):
        draw(letters).save(folder / f"{i}.png")
        rows.append(f"{i}.png\t{letters or 'x'}")
    rows[-1] += "^{"
    (folder / "broken.png").write_bytes(b"no picture")
    rows.append("broken.png\tx")
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n")
    return folder


def launch(script: str, folder: Path, settings: dict, processes: int = 1) -> Path:
    """The folder of a run on so many processes, which this waits for."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = {"max_steps": N_STEPS, "warmup_steps": 0, "log_steps": 1, "mixed_precision": "no"}
    loop |= {"n_threads": 1} | settings.get("loop", {})
    config = {"output": str(folder), "name": "run", "n_workers": 0} | settings | {"loop": loop}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, default_flow_style=False))
    # On a CPU `accelerate launch` starts several processes only with MPI; torch needs nothing.
    launcher = ["accelerate.commands.launch", "--cpu"]
    if processes > 1:
        launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, "-m", *launcher, f"trainer/{script}", "--config"]
    finish(
        subprocess.Popen(
            [*command, str(folder / "config.yaml")],
            cwd=ROOT,
            env=os.environ | {"ACCELERATE_USE_CPU": "true"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    return folder / "run"


@pytest.fixture(scope="module")
def trocr_settings(tmp_path_factory) -> dict:
    """Every step is an epoch of all four pictures, however many processes share it."""
    folder = tmp_path_factory.mktemp("trocr")
    return {
        "model_from": str(write_foreign(folder / "model", "vit")),
        "data": str(write_pictures(folder / "pictures")),
        "label_smoothing": 0.0,
        "loop": {"peak_lr": 3.0e-3},
    }


@pytest.fixture(scope="module")
def trocr_run(trocr_settings, tmp_path_factory) -> Path:
    settings = trocr_settings | {"batch_size": 4, "epochs": N_STEPS}
    settings |= {"select": settings["data"], "loop": {"peak_lr": 3.0e-3, "max_steps": 99}}
    return launch("pretrain.py", tmp_path_factory.mktemp("one"), settings)


def test_a_trocr_is_pretrained_on_pictures(trocr_run, trocr_settings):
    train, select = records(trocr_run.parent, "train"), records(trocr_run.parent, "select")
    assert [row["step"] for row in train] == list(range(1, N_STEPS + 1))  # by epochs
    assert train[-1]["loss"] < train[0]["loss"]
    assert select[-1]["perplexity"] > 1 and "exprate" in select[-1]
    assert json.loads((trocr_run / "config.json").read_text())["augment_pictures"]
    trained = load_foreign(trocr_run / "final")
    assert isinstance(trained, TrOCR)
    assert (
        trained.tokenizer.get_vocab()
        == load_foreign(trocr_settings["model_from"]).tokenizer.get_vocab()
    )


def test_what_cannot_be_used_is_left_out_and_listed(trocr_run):
    rows = (trocr_run / "left_out.tsv").read_text().splitlines()
    assert rows[0] == "name\treason"
    assert {row.split("\t")[0]: bool(row.split("\t")[1]) for row in rows[1:]} == {
        "4.png": True,
        "5.png": True,
        "broken.png": True,
    }


def test_two_processes_take_the_steps_of_one_with_double_batches(
    trocr_run, trocr_settings, tmp_path
):
    two = launch("pretrain.py", tmp_path, trocr_settings | {"batch_size": 2}, processes=2)
    assert records(two.parent, "start")[0]["processes"] == 2
    for name in ("loss", "accuracy"):
        wanted, found = (
            [row[name] for row in records(r.parent, "train")] for r in (trocr_run, two)
        )
        assert found == pytest.approx(wanted, abs=1e-4)


def test_blip_is_finetuned_on_ink_and_stops_when_nothing_is_gained(tmp_path):
    settings = {
        "model_from": str(write_foreign(tmp_path / "model", "blip")),
        "data": str(write_inks(tmp_path / "inks", n=6)),
        "select": str(tmp_path / "inks"),
        "select_limit": 2,
        # Nothing can be gained at this rate.
        "loop": {"peak_lr": 0.0, "final_lr": 0.0, "eval_minutes": 0, "patience": 1},
    }
    run = launch("finetune.py", tmp_path, settings)
    assert [row["step"] for row in records(run.parent, "select")] == [1, 2]
    assert isinstance(load_foreign(run / "final"), Blip)


def test_our_own_recogniser_is_pretrained_on_pictures(tmp_path):
    model = {key: list(v) if isinstance(v, tuple) else v for key, v in TINY.items()}
    settings = {"data": str(write_pictures(tmp_path / "pictures")), "model": model}
    run = launch("pretrain.py", tmp_path, settings | {"batches": {"pixel_budget": 30_000}})
    assert len((run / "left_out.tsv").read_text().splitlines()) == 4
    assert isinstance(Recognizer.from_pretrained(run / "final", device="cpu"), Recognizer)


# --- Settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [path for path in CONFIGS if not path.stem.startswith(OTHER_COMMANDS)],
    ids=lambda path: path.stem,
)
def test_every_config_in_the_repository_is_valid(path):
    kind = PretrainConfig if "pretrain" in path.read_text() else FinetuneConfig
    config = parse_config(kind, ["--config", str(path), "--data", "somewhere"])
    assert config.name == path.stem


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"init": "a", "model_from": "b"}, id="two starts"),
        pytest.param({"batch_size": 0}, id="empty batches"),
        pytest.param({"epochs": -1}, id="fewer than no epochs"),
        pytest.param({"pictures": {"affine": {"share": 2}}}, id="too large a share"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ConfigError):
        build(FinetuneConfig, {"data": "somewhere"} | wrong)
