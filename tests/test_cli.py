"""The command line's contract: its lines, its errors, its exit status."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from latexocr import cli
from tests.conftest import draw

READ_KEYS = {"path", "latex", "confidence", "alternatives", "seconds"}
PAGE_KEYS = {"path", "page", "width", "height", "equations", "seconds"}


@pytest.fixture
def run(model_folder, capsys):
    """Runs the command line on the tiny model: exit status, lines of stdout, text of stderr."""

    def run(command: str, *arguments: str):
        capsys.readouterr()
        status = cli.main([command, *arguments, "--model", str(model_folder)])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return run


def run_json(run, command, *arguments):
    status, lines, _ = run(command, *arguments, "--json")
    return status, [json.loads(line) for line in lines]


def test_read_gives_one_object_per_picture_in_their_order(run, write_picture):
    paths = [write_picture("b.png", "xl"), write_picture("a.jpg", "T")]
    status, records = run_json(run, "read", *paths)
    assert status == 0
    assert [record["path"] for record in records] == paths
    for record in records:
        assert set(record) == READ_KEYS
        assert isinstance(record["latex"], str)
        assert 0 <= record["confidence"] <= 1
        assert record["seconds"] > 0
        assert all(set(other) == {"latex", "confidence"} for other in record["alternatives"])


def test_folders_are_searched_for_pictures_sorted_by_name(run, write_picture, tmp_path):
    paths = [write_picture(f"scans/{name}", "x") for name in ("a.png", "deep/b.PNG", "z.jpeg")]
    (tmp_path / "scans" / "notes.txt").write_text("no picture")
    status, records = run_json(run, "read", str(tmp_path / "scans"))
    assert status == 0
    assert [record["path"] for record in records] == paths


def test_batches_change_nothing(run, write_picture, monkeypatch):
    paths = [write_picture(f"{i}.png", letters) for i, letters in enumerate(["x", "lT", "L", "T+"])]
    _, together = run_json(run, "read", *paths)
    monkeypatch.setattr(cli, "BATCH_SIZE", 3)
    _, apart = run_json(run, "read", *paths)
    assert [r["latex"] for r in apart] == [r["latex"] for r in together]


def test_bad_inputs_are_reported_in_their_place_and_the_rest_is_read(run, write_picture, tmp_path):
    (tmp_path / "text.png").write_text("this is text")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "nothing here").mkdir()
    good = write_picture("good.png", "x+l")
    bad = [
        str(tmp_path / "missing.png"),
        str(tmp_path / "text.png"),
        str(tmp_path / "empty.png"),
        str(tmp_path / "nothing here"),
        write_picture("blank.png", ""),
    ]
    status, records = run_json(run, "read", *bad, good)
    assert status == 1
    assert [record["path"] for record in records] == [*bad, good]
    assert all(set(record) == {"path", "error"} and record["error"] for record in records[:-1])
    assert set(records[-1]) == READ_KEYS


def test_without_json_a_single_picture_gives_its_latex_alone(run, write_picture):
    path = write_picture("a.png", "x")
    _, (record,) = run_json(run, "read", path)
    status, lines, err = run("read", path)
    assert (status, lines, err) == (0, record["latex"].splitlines(), "")


def test_without_json_several_pictures_are_told_apart(run, write_picture, tmp_path):
    paths = [
        write_picture("a.png", "x"),
        str(tmp_path / "missing.png"),
        write_picture("b.png", "T"),
    ]
    status, lines, err = run("read", *paths)
    assert status == 1
    assert [line.startswith(f"{paths[0]}: ") for line in lines] == [True, False]
    assert lines[1].startswith(f"{paths[2]}: ")
    assert err.startswith(f"{paths[1]}: ")


def test_a_dash_reads_standard_input(run, monkeypatch, tmp_path):
    draw("xl").save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    status, (record,) = run_json(run, "read", "-")
    assert (status, record["path"], set(record)) == (0, "-", READ_KEYS)


def test_page_gives_the_whole_picture_as_one_equation(run, write_picture):
    path = write_picture("a.png", "xTl")
    width, height = draw("xTl").size
    status, (record,) = run_json(run, "page", path)
    assert status == 0
    assert set(record) == PAGE_KEYS
    assert (record["path"], record["page"]) == (path, 1)
    assert (record["width"], record["height"]) == (width, height)
    (equation,) = record["equations"]
    assert set(equation) == {"box", "score", "latex", "confidence"}
    assert equation["box"] == [0, 0, width, height]


def test_a_blank_page_has_no_equations(run, write_picture):
    status, (record,) = run_json(run, "page", write_picture("blank.png", ""))
    assert (status, record["equations"]) == (0, [])


def test_a_pdf_gives_one_object_per_page(run, tmp_path):
    pages = [draw("x"), draw("LT")]
    pages[0].save(tmp_path / "a.pdf", save_all=True, append_images=pages[1:], resolution=200)
    status, records = run_json(run, "page", str(tmp_path / "a.pdf"))
    assert status == 0
    assert [record["page"] for record in records] == [1, 2]
    assert [(r["width"], r["height"]) for r in records] == [page.size for page in pages]


@pytest.mark.parametrize("content", [None, b"", b"%PDF-1.4 and then nothing"])
def test_a_broken_pdf_is_reported(run, tmp_path, content, write_picture):
    if content is not None:
        (tmp_path / "a.pdf").write_bytes(content)
    status, records = run_json(run, "page", str(tmp_path / "a.pdf"), write_picture("a.png", "x"))
    assert status == 1
    assert [set(record) == {"path", "error"} for record in records] == [True, False]


def test_a_missing_model_is_said_before_anything_is_read(capsys, tmp_path, write_picture):
    status = cli.main(["read", write_picture("a.png", "x"), "--model", str(tmp_path / "none")])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert "none" in err


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_shown_on_a_terminal_only(run, write_picture, monkeypatch, is_terminal):
    path = write_picture("a.png", "x")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    _, _, err = run("read", path)
    assert ("1/1" in err) is is_terminal


def test_as_a_module_stdout_holds_json_and_nothing_else(model_folder, write_picture):
    command = [sys.executable, "-m", "latexocr", "read", write_picture("a.png", "x"), "--json"]
    done = subprocess.run(
        [*command, "--model", str(model_folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == READ_KEYS
    assert done.stderr == ""


def test_in_a_pipe_a_picture_comes_in_and_nothing_but_latex_goes_out(model_folder, tmp_path):
    draw("xl").save(tmp_path / "a.png")
    command = f"cat a.png | {sys.executable} -m latexocr read - --model {model_folder} | cat"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_package_and_the_parser_do_without_torch():
    code = (
        "import sys, latexocr, latexocr.cli;"
        "latexocr.cli.build_parser();"
        "assert not {'torch', 'transformers', 'gradio'} & set(sys.modules);"
        "assert latexocr.LatexOCR and 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
