"""Fewer bits: what is written, that it is read again, and that it still does the same."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latexocr.errors import ModelError
from latexocr.hub import QUICK, resolve
from latexocr.quantized import (
    METHODS,
    QUANTIZATION_FILE,
    STEP_FILE,
    OnnxModel,
    find_twin,
    load_quickest,
    load_recognizer,
    write_quantization,
)
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.conftest import draw
from tests.tiny import tiny_model, write_inks
from trainer.onnx_graphs import write_graphs
from trainer.quantize import as_markdown, drawn_pictures, find_recognizer, main, quantize

SUFFIXES = {".json", ".safetensors", ".onnx", ""}  # the last one for LICENSE


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder as LatexOCR takes it, of a recogniser with two layers to which places matter."""
    model = tiny_model(seed=3, decoder_layers=2)
    torch.nn.init.normal_(model.place.weight, std=0.3)
    folder = tmp_path_factory.mktemp("source")
    Recognizer(model, build_tokenizer(), "cpu").save_pretrained(folder / "recognizer")
    (folder / "recognizer" / "LICENSE").write_text("terms\n")
    return folder


@pytest.fixture(scope="module")
def full(source) -> Recognizer:
    return load_recognizer(source / "recognizer")


@pytest.fixture(scope="module")
def quantized(source, tmp_path_factory) -> dict[str, Path]:
    """The recogniser's folder for each method, written by the command line."""
    folders = {}
    for method in METHODS:
        out = tmp_path_factory.mktemp(method) / "out"
        main(["--model", str(source), "--out", str(out), "--method", method])
        folders[method] = resolve(out, "recognizer")
    return folders


@pytest.fixture(params=METHODS)
def folder(request, quantized) -> Path:
    return quantized[request.param]


def random_pictures() -> list[np.ndarray]:
    """Of different sizes, for one batch with much padding, and the smallest that there is."""
    rng = np.random.default_rng(0)
    sizes = ((40, 90), (23, 31), (64, 64), (5, 9))
    return [rng.integers(0, 256, size, np.uint8) for size in sizes]


def test_a_quantised_folder_reads_like_any_other(folder, full):
    recognizer = load_recognizer(folder)
    pictures = [draw("x+l"), draw("T")]
    readings = recognizer.read_batch(pictures)
    assert [len(r.alternatives) for r in readings] == [
        len(r.alternatives) for r in full.read_batch(pictures)
    ]
    assert all(0 <= reading.confidence <= 1 for reading in readings)
    assert readings == load_recognizer(folder).read_batch(pictures)


def test_a_reading_does_not_depend_on_its_neighbours(quantized):
    """Ranges of int8 must not be those of the whole batch."""
    recognizer = load_recognizer(quantized["onnx-int8"])
    pictures = random_pictures()
    together = [found[0] for found in recognizer.decode(pictures, max_new_tokens=12)]
    for picture, found in zip(pictures, together, strict=True):
        alone = recognizer.decode([picture], max_new_tokens=12)[0][0]
        assert alone.log_probability == pytest.approx(found.log_probability, abs=2e-3)


def test_a_quantised_folder_is_smaller_and_holds_no_pickles(folder, source):
    files = [file for file in folder.iterdir() if file.is_file()]
    assert {file.suffix for file in files} <= SUFFIXES
    assert (folder / "LICENSE").read_text() == "terms\n"
    whole = (source / "recognizer" / "model.safetensors").stat().st_size
    weights = [f.stat().st_size for f in files if f.suffix in (".safetensors", ".onnx")]
    assert sum(weights) < 0.75 * whole
    here = str(Path(__file__).parent.parent).encode()
    assert not any(here in file.read_bytes() for file in files)


def test_fewer_bits_change_little(folder, full):
    """The first token says how the cells look that the decoder sees."""
    few = load_recognizer(folder)
    for picture in drawn_pictures(full.symbol_px)[5:9]:
        wanted = full.decode([picture], max_new_tokens=1)[0][0]
        found = few.decode([picture], max_new_tokens=1)[0][0]
        assert found.log_probability == pytest.approx(wanted.log_probability, abs=0.05)


@pytest.fixture(scope="module")
def graphs(full, tmp_path_factory) -> Recognizer:
    """The same recogniser as graphs in full precision."""
    folder = tmp_path_factory.mktemp("graphs")
    write_graphs(full.model, folder)
    full.model.config.save_pretrained(folder)
    return Recognizer(OnnxModel(folder), full.tokenizer, "cpu")


@pytest.mark.parametrize("n_beams", [1, 3])
def test_graphs_in_full_precision_write_what_the_model_writes(full, graphs, n_beams):
    pictures = random_pictures()
    wanted = full.decode(pictures, n_beams, max_new_tokens=12)
    for beams, others in zip(graphs.decode(pictures, n_beams, 12), wanted, strict=True):
        assert [one.canonical for one in beams] == [one.canonical for one in others]
        scores = [one.log_probability for one in others]
        assert [one.log_probability for one in beams] == pytest.approx(scores, abs=1e-3)


def test_a_table_compares_all_methods(source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trainer.quantize.METHODS", ("bf16",))  # the others take seconds
    data = write_inks(tmp_path / "inks", n=4)
    main(["--table", "--model", str(source), "--data", str(data), "--limit", "3", "--timed", "2"])
    header, _, *rows = capsys.readouterr().out.strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert header.startswith("| weights | on disk, MB |")
    assert [row[0] for row in cells] == ["float32", "bf16"]
    assert cells[0][4:] == ["0.0 (0.0 to 0.0)", "100.0"]
    assert float(cells[1][1]) < float(cells[0][1]) and float(cells[1][2]) > 0


def test_markdown_of_no_rows_is_a_header():
    assert as_markdown([]).count("\n") == 1


# --- What cannot be ----------------------------------------------------------------------------


def test_a_folder_with_files_is_not_written_over(full, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="expected a new or an empty folder"):
        quantize(full, tmp_path, "bf16")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_quantised_is_not_quantised_again(quantized):
    with pytest.raises(ModelError, match="as training left them, got bf16"):
        find_recognizer(str(quantized["bf16"]))
    with pytest.raises(ModelError, match="as training left them, got bf16"):
        find_recognizer(str(quantized["bf16"].parent))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param('{"method": "int3"}', "a method out of bf16, onnx-int8, got 'int3'", id="new"),
        pytest.param("{}", 'expected {"method"', id="empty"),
        pytest.param("int8", 'expected {"method"', id="no JSON"),
    ],
)
def test_a_method_that_nobody_knows_is_named(tmp_path, content, message):
    (tmp_path / QUANTIZATION_FILE).write_text(content)
    with pytest.raises(ModelError, match=message):
        load_recognizer(tmp_path)


@pytest.mark.parametrize("broken", [None, b"not a graph"])
def test_a_graph_that_is_missing_or_broken_is_named(full, quantized, tmp_path, broken):
    for file in quantized["onnx-int8"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / STEP_FILE).unlink()
    if broken:
        (tmp_path / STEP_FILE).write_bytes(broken)
    with pytest.raises(ModelError, match=f"{STEP_FILE}: expected an ONNX graph"):
        load_recognizer(tmp_path)


def beside_each_other(folder: Path, source: Path, quick: Path) -> Path:
    """A model's folder with a recogniser and its int8 twin. Returns that of the former."""
    for name, place in (("recognizer", source), (QUICK, quick)):
        (folder / name).symlink_to(place, target_is_directory=True)
    return folder / "recognizer"


def test_on_a_cpu_the_twin_in_int8_is_taken(source, quantized, tmp_path, monkeypatch):
    folder = beside_each_other(tmp_path, source / "recognizer", quantized["onnx-int8"])
    assert isinstance(load_quickest(folder, "cpu").model, OnnxModel)
    monkeypatch.setattr("latexocr.quantized.find_spec", lambda name: None)
    assert not isinstance(load_quickest(folder, "cpu").model, OnnxModel)


def test_weights_without_a_twin_are_loaded_as_they_are(source):
    assert not isinstance(load_quickest(source / "recognizer", "cpu").model, OnnxModel)


def test_the_embedded_twin_is_one_of_the_embedded_weights():
    folder = resolve(None, "recognizer")
    twin = find_twin(folder)
    assert twin is not None
    configs = [json.loads((one / "config.json").read_text()) for one in (folder, twin)]
    for name in ("confidence_weights", "search_confidence_weights"):
        assert configs[0][name] == configs[1][name]
    reading = load_quickest(folder, "cpu").read(draw("x+l"))
    assert reading.latex == Recognizer.from_pretrained(folder, "cpu").read(draw("x+l")).latex


def test_a_twin_of_other_weights_is_not_taken(source, quantized, tmp_path):
    """Who copies new weights over the old ones gets what was copied."""
    stale = tmp_path / "stale"
    shutil.copytree(quantized["onnx-int8"], stale)
    write_quantization(stale, "onnx-int8", "0123456789ab")
    folder = beside_each_other(tmp_path, source / "recognizer", stale)
    assert not isinstance(load_quickest(folder, "cpu").model, OnnxModel)


def test_without_the_runtime_the_way_to_it_is_told(quantized, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match="pip install onnxruntime"):
        load_recognizer(quantized["onnx-int8"])


def test_a_folder_without_a_recogniser_is_named(tmp_path):
    write_quantization(tmp_path, "onnx-int8")
    with pytest.raises(ModelError, match="expected a recogniser's folder"):
        load_recognizer(tmp_path)
