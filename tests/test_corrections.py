"""Corrections that people save: what is kept, what is refused, and that training reads it."""

import json
import threading

import datasets
import numpy as np
import pytest

from latexocr.corrections import (
    METADATA,
    TABLE,
    FolderCorrections,
    HubCorrections,
    one_line,
    open_corrections,
)
from latexocr.errors import DataError, ImageError, TexError
from latexocr.imaging import prepare
from tests.conftest import draw
from tests.hub_server import HubServer
from tests.test_push import hub  # noqa: F401 -- a Hub that runs in the test
from trainer.data.examples import load_examples


def table(corrections: FolderCorrections) -> list[str]:
    return (corrections.folder / TABLE).read_text(encoding="utf-8").splitlines()


def test_what_is_saved_is_what_training_reads(tmp_path):
    corrections = FolderCorrections(tmp_path / "new" / "corrections")
    wanted = {"xl": "x^{2}\n + 1", "T": r"\alpha\text{ für }\beta", "L": "L"}
    for letters, latex in wanted.items():
        corrections.save(draw(letters), latex)
    examples = load_examples(str(corrections.folder))
    assert {example.latex for example in examples} == {
        "x^{2} + 1",
        r"\alpha\text{ für }\beta",
        "L",
    }
    (example,) = (example for example in examples if example.latex == "L")
    assert np.array_equal(example.sample(30, None, None).pixels, prepare(draw("L"), 30))


def test_the_same_picture_again_replaces_what_it_had(tmp_path):
    corrections = FolderCorrections(tmp_path)
    first = corrections.save(draw("x"), "y")
    other = corrections.save(draw("T"), "T")
    assert corrections.save(draw("x"), "x") == first
    assert table(corrections) == [f"{other}\tT", f"{first}\tx"]


def test_a_folder_is_gone_on_with(tmp_path):
    FolderCorrections(tmp_path).save(draw("x"), "x")
    FolderCorrections(tmp_path).save(draw("T"), "T")
    assert len(load_examples(str(tmp_path))) == 2


def test_people_who_save_at_once_lose_nothing(tmp_path):
    corrections = FolderCorrections(tmp_path)
    pictures = [draw("l" * n) for n in range(1, 13)]
    threads = [
        threading.Thread(target=corrections.save, args=(picture, f"x_{{{n}}}"))
        for n, picture in enumerate(pictures)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_examples(str(tmp_path))) == len(pictures)


@pytest.mark.parametrize(
    ("latex", "problem"),
    [
        pytest.param("x^{2", "expected", id="unbalanced"),
        pytest.param(r"\mine{x}", "expected", id="unknown command"),
        pytest.param("  ", "got nothing", id="empty"),
        pytest.param("x % of y\n+ 1", "without comments", id="comment"),
        pytest.param("x" * 10_001, "at most 10000", id="too long"),
    ],
)
def test_latex_that_cannot_be_used_is_refused_and_nothing_is_kept(tmp_path, latex, problem):
    corrections = FolderCorrections(tmp_path)
    with pytest.raises(TexError, match=problem):
        corrections.save(draw("x"), latex)
    assert [file.name for file in tmp_path.iterdir()] == [TABLE] and table(corrections) == []


def test_a_picture_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(ImageError):
        FolderCorrections(tmp_path).save(b"this is text", "x")


@pytest.mark.parametrize("separator", ["\n", "\t", "\x0b", "\x1c", "\u2028", "\x85", "\r\n"])
def test_no_separator_of_lines_or_columns_gets_into_the_table(separator):
    assert one_line(f"a +{separator}b") == "a + b"


def test_where_they_go_must_be_clear(tmp_path):
    assert open_corrections() is None
    assert "Nothing is sent" in open_corrections(folder=tmp_path / "kept").notice
    with pytest.raises(DataError, match="one place"):
        open_corrections(folder=tmp_path, dataset="ann/corrections")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can be written to"):
        open_corrections(folder=tmp_path / "file")


def test_a_data_set_on_the_hub_is_filled_and_can_be_loaded(hub: HubServer, tmp_path):  # noqa: F811
    for start in (1, 2):  # the app is started twice
        corrections = HubCorrections("ann/corrections", every_minutes=1000)
        try:
            corrections.save(draw("x" * start), "x^{2}")
            corrections.save(draw("T" * start), r"\tau")
            corrections.upload()
        finally:
            corrections.scheduler.stop()  # or it tries again at the end of all tests
    assert "ann/corrections" in corrections.notice
    repository = hub.repositories["dataset", "ann/corrections"]
    assert repository.private
    tables = [name for name in repository.files if name.endswith(METADATA)]
    assert len(tables) == 2
    rows = [json.loads(line) for line in repository.files[tables[0]].decode().splitlines()]
    assert [row["latex"] for row in rows] == ["x^{2}", r"\tau"]
    for name, data in repository.files.items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_bytes(data)
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "copy"), cache_dir=str(tmp_path), split="train"
    )
    assert set(loaded.column_names) == {"image", "latex"} and len(loaded) == 4


def test_a_data_set_that_cannot_be_written_to_is_said_at_the_start(hub, monkeypatch):  # noqa: F811
    monkeypatch.setenv("HF_TOKEN", "hf_ofNobody")
    with pytest.raises(DataError, match="can be written to"):
        HubCorrections("ann/corrections")
