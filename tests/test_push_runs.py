"""Trainings that push what they have made, against a Hub that runs in the test."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import yaml

from tests.hub_server import Account, HubServer
from tests.launching import ROOT, TIMEOUT_S
from tests.tiny import TINY, TINY_DETECTOR, write_inks
from tests.tiny_foreign import write_foreign
from trainer.push import PushError, check_access, model_upload, space_upload

TOKEN = "hf_secretOfAnn"
REPO = "ann/formulas"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub where Ann may write; processes that are started, and this one, are pointed at it."""
    with HubServer() as server:
        server.tokens[TOKEN] = Account("ann")
        for name, value in {
            "HF_ENDPOINT": server.url,
            "HF_TOKEN": TOKEN,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        yield server


def launch(script: str, folder: Path, settings: dict, processes: int = 1) -> tuple[int, str]:
    """Exit status and output of a training on so many processes."""
    loop = {"max_steps": 2, "warmup_steps": 0, "log_steps": 1, "mixed_precision": "no"}
    config = {"output": str(folder), "name": "run", "n_workers": 0, "push_to_hub": REPO}
    config |= settings | {"loop": loop | {"n_threads": 1}}
    (folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))))
    launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, "-m", *launcher, f"trainer/{script}", "--config"]
    done = subprocess.run(
        [*command, str(folder / "config.yaml")],
        cwd=ROOT,
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    output = done.stdout + done.stderr
    assert TOKEN not in output
    return done.returncode, output


def test_two_processes_push_the_recogniser_once(hub, tmp_path):
    settings = {"data": str(write_inks(tmp_path / "inks", n=6)), "model": TINY}
    settings["batches"] = {"pixel_budget": 4000}  # a batch for each process
    status, output = launch("finetune.py", tmp_path, settings, processes=2)
    assert status == 0, output
    repository = hub.repositories["model", REPO]
    assert len(repository.commits) == 2  # the one that makes the repository, and ours
    final = tmp_path / "run" / "final"
    for file in final.iterdir():
        assert repository.files[f"recognizer/{file.name}"] == file.read_bytes()
    assert b"max_steps: 2" in repository.files["README.md"]


def test_a_detector_is_pushed(hub, tmp_path):
    settings = {
        "data": str(write_inks(tmp_path / "inks", n=6)),
        "model": TINY_DETECTOR,
        "batch_size": 1,
        "select_pages": 0,
        "pages": {"long_side_min": 200, "long_side_max": 240},
    }
    status, output = launch("detect.py", tmp_path, settings)
    assert status == 0, output
    assert "detector/model.safetensors" in hub.repositories["model", REPO].files


@pytest.mark.parametrize(
    ("repo", "token", "message"),
    [
        pytest.param("ann/a/b", TOKEN, "user/name", id="no name of a repository"),
        pytest.param(REPO, "hf_ofNobody", "valid token", id="token of nobody"),
    ],
)
def test_what_cannot_be_pushed_is_not_trained(hub, monkeypatch, tmp_path, repo, token, message):
    from trainer.finetune import FinetuneConfig, train

    monkeypatch.setenv("HF_TOKEN", token)
    config = FinetuneConfig(data="nowhere", output=str(tmp_path), push_to_hub=repo)
    with pytest.raises(PushError, match=message):  # before the data is looked for
        train(config)


def test_access_is_checked_for_a_repository(hub):
    check_access(REPO)
    with pytest.raises(PushError, match="user/name"):
        check_access("formulas")


@pytest.mark.parametrize(("kind", "name"), [("vit", "TrOCR"), ("deit", "TrOCR"), ("blip", "BLIP")])
def test_the_article_s_models_lie_at_the_top_of_their_repository(tmp_path, kind, name):
    folder = write_foreign(tmp_path / "model", kind)
    upload = model_upload(folder, REPO)
    wanted = {"config.json", "model.safetensors", "tokenizer.json", "README.md", "LICENSE"}
    assert wanted <= set(upload.files)
    assert f"A {name} checkpoint".encode() in upload.files["README.md"]


def write_onnx(folder: Path, start: bytes, part: str = "recognizer") -> Path:
    """What looks like quantised weights."""
    place = folder / part
    place.mkdir(parents=True)
    (place / "config.json").write_text('{"model_type": "vision-encoder-decoder"}')
    (place / "tokenizer.json").write_text("{}")
    (place / "quantization.json").write_text('{"method": "onnx-int8"}')
    for name in ("encoder.onnx", "step.onnx"):
        (place / name).write_bytes(start + b"graph")
    return folder


def test_quantised_weights_are_sent_with_what_runs_them(tmp_path):
    folder = write_onnx(tmp_path / "small", b"\x08")
    files = model_upload(folder, REPO).files
    names = {"encoder.onnx", "step.onnx", "quantization.json", "config.json", "tokenizer.json"}
    assert {f"recognizer/{name}" for name in names} <= set(files)


def test_the_int8_twin_goes_along(tmp_path):
    folder = write_onnx(tmp_path / "model", b"\x08")
    write_onnx(folder, b"\x08", "recognizer_int8")
    assert "recognizer_int8/step.onnx" in model_upload(folder, REPO).files
    space = space_upload(folder, "ann/app", REPO).files
    assert "latexocr/weights/recognizer_int8/step.onnx" in space


@pytest.mark.parametrize(
    ("start", "removed", "message"),
    [
        pytest.param(b"version https://git-lfs", None, "expected an ONNX graph", id="LFS pointer"),
        pytest.param(b"\x80", None, "expected an ONNX graph", id="pickle renamed"),
        pytest.param(b"\x08", "step.onnx", "no step.onnx", id="graph missing"),
    ],
)
def test_broken_graphs_are_named(tmp_path, start, removed, message):
    folder = write_onnx(tmp_path / "small", start)
    if removed:
        (folder / "recognizer" / removed).unlink()
    with pytest.raises(ValueError, match=message):
        model_upload(folder, REPO)
