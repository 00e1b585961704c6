"""Training as users start it: `accelerate launch`, in processes of their own, on ink made here."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from latexocr.language import LANGUAGE_FILE, LanguageModel
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.launching import TIMEOUT_S, by_step, finish, kill_after, launch, records, undisturbed
from tests.tiny import TINY, write_inks

SCRIPT = "finetune.py"


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


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory) -> Path:
    """The output of a run that nobody disturbed."""
    return undisturbed(SCRIPT, settings, tmp_path_factory.mktemp("whole"))


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
    kill_after(launch(SCRIPT, settings, tmp_path), tmp_path, n_steps=5)
    finish(launch(SCRIPT, settings, tmp_path))
    assert 0 < records(tmp_path, "start")[1]["step"] < 12
    assert by_step(tmp_path, "train", "loss") == pytest.approx(
        by_step(whole, "train", "loss"), abs=2e-5
    )


def test_training_starts_from_given_weights(settings, whole, tmp_path):
    final = whole / "run" / "final"
    finish(launch(SCRIPT, settings, tmp_path, "--init", str(final), "--loop.max_steps", "2"))
    first = records(tmp_path, "train")[0]["loss"]
    assert first < records(whole, "train")[0]["loss"] - 0.1


def test_a_language_model_stays_beside_the_weights_that_go_on_from_it(settings, whole, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(whole / "run" / "final", start)
    LanguageModel(len(build_tokenizer()), 8, 12).save(start)
    finish(launch(SCRIPT, settings, tmp_path, "--init", str(start), "--loop.max_steps", "1"))
    kept = tmp_path / "run" / "final" / LANGUAGE_FILE
    assert kept.read_bytes() == (start / LANGUAGE_FILE).read_bytes()


def test_the_final_weights_keep_the_share_of_the_first_ones_that_is_asked_for(
    settings, whole, tmp_path
):
    final = whole / "run" / "final"
    start = ["--init", str(final), "--loop.max_steps", "3", "--loop.ema_decay", "0"]
    finish(launch(SCRIPT, settings, tmp_path / "new", *start))
    finish(launch(SCRIPT, settings, tmp_path / "mixed", *start, "--init_share", "0.75"))
    old, new, mixed = (
        Recognizer.from_pretrained(folder, device="cpu").model.encoder.fine.weight
        for folder in (final, tmp_path / "new/run/final", tmp_path / "mixed/run/final")
    )
    assert not torch.allclose(new, old, atol=1e-3)
    assert torch.allclose(mixed, 0.75 * old + 0.25 * new, atol=1e-3)


def test_a_change_of_low_rank_is_trained_beside_weights_that_stay(settings, whole, tmp_path):
    final, rank = whole / "run" / "final", 2
    low = ["--low_rank", str(rank), "--loop.max_steps", "3", "--loop.ema_decay", "0"]
    low += ["--loop.peak_lr", "1e-2"]
    finish(launch(SCRIPT, settings, tmp_path, "--init", str(final), *low))
    old, new = (
        Recognizer.from_pretrained(folder, device="cpu").model.state_dict()
        for folder in (final, tmp_path / "run/final")
    )
    name = "encoder.layers.0.ffn1.weight"
    sizes = torch.linalg.svdvals(new[name] - old[name])
    assert sizes[rank - 1] > 10 * sizes[rank] > 0  # what is left is rounding to float16
    positions, read, written = (
        f"decoder.{name}.weight"
        for name in (
            "model.decoder.embed_positions",
            "model.decoder.embed_tokens",
            "output_projection",
        )
    )
    assert torch.equal(new[positions], old[positions])
    assert torch.equal(new[read], new[written]) and not torch.equal(new[read], old[read])


@pytest.mark.parametrize("options", [["--low_rank", "2"], ["--low_rank", "-1", "--init", "x"]])
def test_a_low_rank_that_cannot_be_is_refused_at_once(settings, tmp_path, options):
    process = launch(SCRIPT, settings, tmp_path, *options)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode != 0
    assert "expected low_rank >= 0, and with it --init" in output


def test_an_unknown_setting_is_named(settings, tmp_path):
    settings_with_typo = tmp_path / "typo.yaml"
    settings_with_typo.write_text(settings.read_text() + "\nlearnin_rate: 1\n")
    process = launch(SCRIPT, settings_with_typo, tmp_path)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode != 0
    assert "unknown setting learnin_rate" in output
