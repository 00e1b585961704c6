"""Bulk reading, in processes that are started as users start them, and can be killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from latexocr import bulk
from latexocr.errors import DataError
from latexocr.pipeline import LatexOCR
from tests.conftest import draw
from tests.launching import ROOT, TIMEOUT_S
from tests.tiny_foreign import png

N_PICTURES = 10
# Without a GPU, `--multi_gpu` is how accelerate starts several processes but by MPI.
TWO = ["--multi_gpu", "--num_processes=2", "--num_machines=1", "--mixed_precision=no"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, one of them in a folder below, one blank and one that is none."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "more").mkdir()
    for i in range(N_PICTURES - 3):
        draw("xlT+L"[: i % 3 + 1], size_px=20).save(folder / f"{i}.png")
    draw("x", size_px=20).save(folder / "more" / "below.png")
    draw("").save(folder / "blank.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def start(scans: Path, model: Path, output: Path, *launcher: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "accelerate.commands.launch", *launcher, "-m", "latexocr.bulk"]
    options = ["--input", str(scans), "--output", str(output), "--model", str(model)]
    return subprocess.Popen(
        [*command, *options, "--part-rows", "2"],
        cwd=ROOT,
        env=os.environ | {"ACCELERATE_USE_CPU": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def check(output: Path, scans: Path, model: Path) -> None:
    """Whether the table has each picture once, as the engine reads it."""
    rows = pq.read_table(output).to_pylist()
    assert [row["index"] for row in rows] == list(range(N_PICTURES))
    by_name = {row["name"]: row for row in rows}
    assert list(by_name) == sorted(by_name) and "more/below.png" in by_name
    assert {name for name, row in by_name.items() if row["error"]} == {"blank.png", "broken.jpg"}
    assert by_name["broken.jpg"]["latex"] is None
    reading = LatexOCR(model, "cpu").read(scans / "0.png", n_alternatives=0)
    assert by_name["0.png"]["latex"] == reading.latex
    assert by_name["0.png"]["confidence"] == pytest.approx(reading.confidence, abs=1e-4)


def test_two_processes_killed_in_the_middle_and_gone_on_with_by_one(scans, model_folder, tmp_path):
    output = tmp_path / "out.parquet"
    process = start(scans, model_folder, output, *TWO)
    folder = bulk.Parts(output).folder
    deadline = time.monotonic() + TIMEOUT_S
    while not (done := list(folder.glob("*.parquet"))):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    # The launcher's workers are in sessions of their own.
    for one in [*psutil.Process(process.pid).children(recursive=True), process]:
        one.kill()
    process.wait()
    if output.is_file():
        pytest.skip("it was done before it could be killed")
    first = {path: path.stat().st_mtime_ns for path in done}
    again = start(scans, model_folder, output, "--cpu")
    deadline = time.monotonic() + TIMEOUT_S
    while again.poll() is None and folder.is_dir():  # parts that were done are not made again
        assert time.monotonic() < deadline
        kept = {path: path.stat().st_mtime_ns for path in first if path.exists()}
        assert kept.items() <= first.items()
        time.sleep(0.05)
    text, _ = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0, text
    assert f"{N_PICTURES} pictures, 2 of them could not be read" in text
    check(output, scans, model_folder)
    assert not folder.exists()


def test_two_processes_share_the_parts(scans, model_folder, tmp_path):
    output = tmp_path / "out.parquet"
    process = start(scans, model_folder, output, *TWO)
    text, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, text
    check(output, scans, model_folder)


# --- In this process -----------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_processes", bulk._Alone)


def test_a_table_that_is_there_is_left_alone(alone, scans, tmp_path):
    output = tmp_path / "out.parquet"
    output.write_bytes(b"a table")
    assert bulk.read_all(str(scans), output) is None
    assert output.read_bytes() == b"a table"


def test_parts_of_other_pictures_are_not_mixed_in(alone, scans, model_folder, tmp_path):
    output = tmp_path / "out.parquet"
    bulk.Parts(output).start("others")
    with pytest.raises(DataError, match="parts of the same pictures"):
        bulk.read_all(str(scans), output, str(model_folder))


def test_a_folder_without_pictures_is_refused(alone, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="found neither"):
        bulk.read_all(str(tmp_path / "empty"), tmp_path / "out.parquet")


class Fragile:
    """An engine that no batch survives that has a certain picture in it."""

    def read_each(self, pictures: list[bytes], n_alternatives: int) -> list:
        from latexocr.recognizer import Reading

        if b"bomb" in pictures:
            raise MemoryError("too large")
        return [Reading("x", 0.5, [("y", 0.25)]) for _ in pictures]


def test_what_breaks_a_batch_does_not_take_the_others_with_it():
    items = [("a", b"1"), ("b", b"bomb"), ("\udcff", b"2")]
    rows = bulk.read_items(Fragile(), items, 1)
    assert [row.get("latex") for row in rows] == ["x", None, "x"]
    assert rows[1]["error"] == "MemoryError: too large"
    assert rows[2]["name"] == "\\udcff"


@pytest.mark.parametrize("streaming", [False, True], ids=["downloaded", "streamed"])
def test_a_data_set_is_read(alone, model_folder, tmp_path, monkeypatch, streaming):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features({"scan": datasets.Image(), "writer": datasets.Value("int32")})
    cells = [{"bytes": png("x"), "path": "x.png"}, {"bytes": png("+"), "path": None}, None]
    (tmp_path / "rows").mkdir()
    made = datasets.Dataset.from_dict({"scan": cells, "writer": [1, 2, 3]}, features=features)
    made.to_parquet(str(tmp_path / "rows" / "train.parquet"))
    where = f"{tmp_path / 'rows'}{'?streaming=1' if streaming else ''}"
    output = tmp_path / "out.parquet"
    assert bulk.read_all(where, output, str(model_folder), n_alternatives=1, part_rows=2) == (3, 1)
    rows = pq.read_table(output).to_pylist()
    assert [row["name"] for row in rows] == ["x.png", "0000001", "0000002"]
    assert rows[0]["alternatives"] and rows[2]["error"]
