"""Training as users start it: `accelerate launch`, in processes of their own, on ink made here."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from latexocr.recognizer import Recognizer
from tests.tiny import TINY, write_inks

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    """A config that trains a tiny model for 12 steps, with all that is random turned on."""
    folder = tmp_path_factory.mktemp("training")
    data = write_inks(folder / "inks")
    (folder / "list_train.txt").write_text("x+l\nL+T=x\n\\frac{l}{T}\n")
    config = {
        "data": str(data),
        "formulas": [str(folder / "list_train.txt")],
        "select": str(data),
        "select_limit": 4,
        "model": TINY | {"dropout": 0.1},
        "swap_share": 0.5,
        "batches": {
            "pixel_budget": 8000,
            "curriculum": [3],
            "symbols_per_epoch": [6],
            "pieces_per_epoch": [2],
            "written_per_epoch": [2],
        },
        "loop": {
            "max_steps": 12,
            "warmup_steps": 3,
            "log_steps": 1,
            "save_minutes": 0,
            "mixed_precision": "no",
        },
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config, default_flow_style=False))
    return path


def launch(settings: Path, output: Path, *options: str) -> subprocess.Popen:
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("trainer/finetune.py", "--config", str(settings), "--output", str(output)),
        *("--name", "run", *options),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that launcher, trainer and workers can be killed together
    )


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    return output


def records(output: Path, kind: str) -> list[dict]:
    log = output / "run" / "log.jsonl"
    if not log.exists():
        return []
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory) -> Path:
    """The output of a run that nobody disturbed."""
    output = tmp_path_factory.mktemp("whole")
    finish(launch(settings, output))
    return output


def test_a_run_leaves_weights_that_can_be_read_with(whole):
    final = whole / "run" / "final"
    assert isinstance(Recognizer.from_pretrained(final, device="cpu"), Recognizer)
    assert all(file.stat().st_size < 10_000_000 for file in final.iterdir())
    assert {row["step"] for row in records(whole, "train")} == set(range(1, 13))
    assert records(whole, "select")[-1]["step"] == 12
    assert list((whole / "run" / "logs").rglob("events.out.tfevents.*"))


def test_all_cores_are_used_though_accelerate_sets_one_thread(whole):
    assert records(whole, "start")[0]["threads"] == os.cpu_count()


def test_a_run_killed_in_the_middle_goes_on_exactly_where_it_was(settings, whole, tmp_path):
    process = launch(settings, tmp_path)
    deadline = time.monotonic() + TIMEOUT_S
    while len(records(tmp_path, "train")) < 5:
        assert time.monotonic() < deadline and process.poll() is None, "no five steps were made"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finish(launch(settings, tmp_path))
    resumed = records(tmp_path, "start")[1]["step"]
    assert 0 < resumed < 12
    wanted = {row["step"]: row["loss"] for row in records(whole, "train")}
    found = {row["step"]: row["loss"] for row in records(tmp_path, "train")}  # the last ones count
    assert found == pytest.approx(wanted, abs=2e-5)


def test_training_starts_from_given_weights(settings, whole, tmp_path):
    final = whole / "run" / "final"
    finish(launch(settings, tmp_path, "--init", str(final), "--loop.max_steps", "2"))
    first = records(tmp_path, "train")[0]["loss"]
    assert first < records(whole, "train")[0]["loss"] - 0.1


def test_an_unknown_setting_is_named(settings, tmp_path):
    settings_with_typo = tmp_path / "typo.yaml"
    settings_with_typo.write_text(settings.read_text() + "\nlearnin_rate: 1\n")
    process = launch(settings_with_typo, tmp_path)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode != 0
    assert "unknown setting learnin_rate" in output
