"""Figures from a log, and from formulas that are drawn here."""

import json
from pathlib import Path

import numpy as np
import pytest

from latexocr.errors import DataError
from latexocr.pipeline import LatexOCR
from trainer import figures


def write_log(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


LOG = [
    {"kind": "start", "step": 0},
    {"kind": "train", "step": 1, "loss": 3.0},
    {"kind": "train", "step": 2, "loss": 9.0},
    {"kind": "start", "step": 1},  # it was killed, and takes step 2 again
    {"kind": "train", "step": 2, "loss": 2.0},
    {"kind": "select", "step": 2, "exprate": 12.5, "perplexity": 4.0},
]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        pytest.param("loss", ([1, 2], [3.0, 2.0], "train"), id="the last of a step counts"),
        pytest.param("exprate", ([2], [12.5], "select"), id="selection"),
        pytest.param("f1", ([], [], ""), id="not in this log"),
    ],
)
def test_a_curve_is_what_the_log_says(tmp_path, figure, expected):
    assert figures.curve(write_log(tmp_path / "run", LOG), figure) == expected


def test_curves_are_the_same_file_again(tmp_path):
    pytest.importorskip("matplotlib")
    run = write_log(tmp_path / "run", LOG)
    for name in ("a.svg", "b.svg"):
        figures.save_figure(figures.draw_curves([run]), tmp_path / name)
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    for words in (b"loss per token", b"perplexity", b"expression rate", b"run"):
        assert words in first
    assert b"F1" not in first


def test_runs_without_a_log_are_named(tmp_path):
    with pytest.raises(DataError, match=r"log\.jsonl, got .*nowhere"):
        figures.draw_curves([tmp_path / "nowhere"])


def test_lengths_leave_out_what_does_not_parse(tmp_path):
    pytest.importorskip("matplotlib")
    figures.save_figure(figures.draw_lengths({"mine": ["x", "x+1", "x^{"]}), tmp_path / "l.svg")
    assert b"mine: 2 formulas, median 2" in (tmp_path / "l.svg").read_bytes()


def test_samples_are_drawn_of_our_own_ink(model_folder, tmp_path):
    examples = figures.own_examples()[:2]
    altered = figures.draw_altered(examples)
    width, height = figures.CELL_PX
    assert altered.shape == (2 * height, (1 + figures.N_ALTERED) * width, 3)
    plain, changed = altered[:, :width], altered[:, width : 2 * width]
    assert np.count_nonzero(plain < 128) > 100
    assert not np.array_equal(plain, changed)
    readings = figures.draw_readings(LatexOCR(model_folder, "cpu"), examples)
    assert readings.shape == (2 * height, 3 * width, 3)
    figures.save_picture(readings, tmp_path / "r.png")
    assert (tmp_path / "r.png").stat().st_size < 100_000
