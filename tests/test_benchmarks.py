"""Benchmarks: what they store, how peers are judged, and the results page made of it all."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from benchmarks import make_results, peer_worker, peers, rendering, results_page, stored
from benchmarks.corrections import read_wrong
from benchmarks.pictures import FORMULAS, TOKEN_GROUPS, own_pictures, set_pictures
from latexocr.errors import DataError
from latexocr.latex import is_valid
from tests.tiny import tiny_recognizer, write_inks
from trainer.data.examples import load_examples
from trainer.data.pages import PageSample
from trainer.report_breakdowns import length_group

PICTURES = own_pictures()[:4]  # x, 7, pi, a+b


def test_our_own_pictures_show_formulas_of_all_lengths():
    assert all(map(is_valid, FORMULAS))
    groups = {length_group(picture.n_tokens, TOKEN_GROUPS) for picture in own_pictures()}
    assert groups == {"1 to 10", "11 to 20", "21 to 40", "over 40"}


def test_pictures_of_a_set_are_spread_over_it_and_bring_their_ink(tmp_path):
    found = set_pictures(str(write_inks(tmp_path / "inks", n=8)), limit=4)
    assert [picture.name for picture in found] == [f"ink_{n:03d}" for n in (0, 2, 4, 6)]
    assert all(picture.encoded.startswith(b"\x89PNG") and picture.strokes for picture in found)


def test_a_result_says_when_and_where_but_names_no_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["/x/benchmarks/latency.py", "--data", "/secret/place/a.tar.gz"]
    )
    path = stored.store("latency", 2, {"figure": 1}, tmp_path / "results")
    found = json.loads(path.read_text())
    assert found["command"] == "python -m benchmarks.latency --data a.tar.gz"
    assert (found["figure"], found["machine"]["threads"]) == (1, 2)
    assert {"date", "processor", "cores"} <= found.keys() | found["machine"].keys()
    assert stored.peak_memory_mb() > 10


def test_the_first_formulas_that_are_read_wrong_are_corrected(tmp_path):
    examples = load_examples(str(write_inks(tmp_path / "inks", n=6)))
    reader = tiny_recognizer()  # of random weights
    assert [e.name for e in read_wrong(reader, examples, 4)] == [e.name for e in examples[:4]]
    with pytest.raises(DataError, match="expected 7 formulas that are read wrong, got 6"):
        read_wrong(reader, examples, 7)


def test_what_cannot_be_typeset_is_counted_and_told(tmp_path, capsys):
    formulas = tmp_path / "some_validate.txt"
    formulas.write_text("\\frac{a}{b}\n\nx^2\n\\frac{a\n")
    rendering.main([str(formulas), "--out", str(tmp_path)])
    one, everything = json.loads((tmp_path / "rendering.json").read_text())["lists"]
    assert (one["n"], one["drawn_percent"], one["looks_like_itself_percent"]) == (3, 66.67, 100.0)
    assert everything == one | {"formulas_of": "all of these", "ms_each": everything["ms_each"]}
    assert "   1 expected a formula that can be drawn" in capsys.readouterr().out


# --- Peers ---------------------------------------------------------------------------------------


def test_a_peer_that_is_not_installed_is_named_with_what_to_do(tmp_path):
    (tmp_path / "job.json").write_text("[]")
    setting = peers.Setting(sys.executable, 1, 10)
    run = peers.run_peer("pmsh-ocr", tmp_path, setting)
    assert "not installed" in run.problem and "pip install pmsh-ocr" in run.problem
    nowhere = peers.missing("pmsh-ocr", str(tmp_path / "python"))
    assert "cannot start" in nowhere


def test_a_picture_that_a_peer_cannot_read_is_a_wrong_reading():
    answers = {
        "own_00": {"latex": "x", "seconds": 0.1},
        "own_01": {"error": "ValueError: no", "seconds": 9.0},
        "own_02": {"latex": r"\pi ", "seconds": 0.3},
    }
    row = peers.read_row("pmsh-ocr", PICTURES, peers.Run(answers, {"peak_memory_mb": 100.0}))
    assert (row["n"], row["answered"], row["exprate"], row["ms_median"]) == (4, 2, 50.0, 200.0)
    nothing = peers.read_row("pmsh-ocr", PICTURES, peers.Run({}, {}, "stopped after 3 s"))
    assert nothing["problem"] == "stopped after 3 s" and "exprate" not in nothing


def test_boxes_of_a_peer_are_judged_by_the_box_rule():
    boxes = np.array([[0, 0, 100, 20], [0, 50, 100, 70]], np.float32)
    page = PageSample(np.zeros((9, 9, 3), np.uint8), boxes, np.empty((0, 4)), [None, None])
    answer = {"boxes": [[0, 0, 100, 21, 0.9], [300, 0, 400, 20, 0.8]], "seconds": 1.0}
    row = peers.find_row("rapid-layout", [page], peers.Run({"page_000": answer}, {}))
    assert (row["precision"], row["recall"], row["f1"]) == (50.0, 50.0, 50.0)


def test_ratios_are_to_ours_and_left_out_where_nothing_was_measured():
    ours = {"ms_median": 50.0, "peak_memory_mb": 400.0}
    rows = peers.with_ratios([ours, {"ms_median": 125.0}, {"problem": "not installed"}])
    assert (rows[0]["time_ratio"], rows[1]["time_ratio"]) == (1.0, 2.5)
    assert "memory_ratio" not in rows[1] and "time_ratio" not in rows[2]


def test_strokes_are_scaled_to_what_their_reader_expects():
    strokes = [[[10, 10], [12, 14]], [[20, 10], [22, 13]], [[30, 30], [31, 31]]]
    found = peer_worker.scaled(strokes)
    assert min(x for stroke in found for x, _ in stroke) == 40
    assert min(y for stroke in found for _, y in stroke) == 40
    assert found[1][1][1] - found[1][0][1] == pytest.approx(60)  # the stroke of median size


def test_a_peer_that_fails_on_a_picture_goes_on():
    def work(item):
        raise RuntimeError("odd picture")

    found = peer_worker.answer({"name": "a"}, work)
    assert found["error"] == "RuntimeError: odd picture" and found["seconds"] >= 0


# --- The results page ----------------------------------------------------------------------------

SETS = [one for one in make_results.SETS if one.key in ("crohme_2014", "crohme_2016", "pages")]
FIGURES = {
    "n": 986, "parameters": 9_000_000, "exprate": 50.4, "ci95": [47.4, 53.5], "le1": 69.7,
    "structure_exprate": 50.4, "structure_le1": 61.0, "rendered_match": 55.0, "ece": 0.0312,
    "auroc": 0.871, "auroc_ci95": [0.85, 0.9], "ms_median": 33.1,
}  # fmt: skip
BIN = {"low": 0.9, "high": 1.0, "n": 5, "confidence": 0.95, "right": 0.8, "ci95": [0.6, 1.0]}


def page(folder: Path, digest: str = "abc") -> str:
    digests = dict.fromkeys(("recognizer", "detector", "pages"), digest)
    results_page.write_page(folder / "docs" / "results.md", folder / "results", SETS, digests)
    return (folder / "docs" / "results.md").read_text()


def store_set(folder: Path, key: str) -> None:
    content = {
        "key": key,
        "weights": "abc",
        "seconds": 9.5,
        "figures": FIGURES,
        "reliability": [BIN],
    }
    stored.store(key, 2, content, folder / "results")


def test_without_measurements_the_page_says_what_is_missing(tmp_path):
    text = page(tmp_path)
    assert "not there: CROHME 2014, CROHME 2016, real photos, found and read" in text
    assert "benchmarks/results/latency.json" in text
    assert "CoMER" in text


def test_the_page_shows_ours_beside_published_figures(tmp_path):
    store_set(tmp_path, "crohme_2016")
    text = page(tmp_path)
    assert "| 50.4 (47.4 to 53.5) |" in text
    assert "| 0.031 | 0.871 (0.850 to 0.900) |" in text
    ours = next(line for line in text.splitlines() if line.startswith("| **ours**, tokens"))
    assert "9.0 M | - | 50.4 / 69.7 / -" in ours
    plot = tmp_path / "docs" / "figures" / "reliability_crohme_2016.svg"
    assert "figures/reliability_crohme_2016.svg" in text
    ElementTree.fromstring(plot.read_text())


def test_figures_of_other_weights_are_said_to_be_that(tmp_path):
    store_set(tmp_path, "crohme_2014")
    assert "other weights" not in page(tmp_path)
    assert "other weights than the embedded ones:** CROHME 2014" in page(tmp_path, digest="def")


def test_stored_benchmarks_become_tables_whatever_they_hold(tmp_path):
    rows = {
        "readers": {"a set": [{"name": "ours", "ms_median": 3.0, "ci95": [1, 2]}, {"name": "b"}]}
    }
    stored.store("peers", 1, rows | {"pages": "20 pages"}, tmp_path / "results")
    text = page(tmp_path)
    assert "| ours | 3.0 | 1 to 2 |" in text and "| pages | 20 pages |" in text


def test_a_broken_measurement_is_refused(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "pages.json").write_text("{")
    with pytest.raises(DataError, match="expected JSON"):
        page(tmp_path)


def test_the_readme_shows_the_stored_figures():
    root = Path(__file__).resolve().parents[1]
    shown = {line.split(" | ")[0]: line for line in (root / "README.md").read_text().splitlines()}
    rows = {
        "| handwriting, CROHME 2014": "crohme_2014_beams",
        "| handwriting, CROHME 2016": "crohme_2016_beams",
        "| handwriting with 262 different tokens, by hands that training never saw": "wide_beams",
        "| lines of photographed notes, with their page": "photo_lines_page",
        "| print, Im2LaTeX-100k": "im2latex_beams",
    }
    for title, key in rows.items():
        stored_set = json.loads((root / "benchmarks" / "results" / f"{key}.json").read_text())
        figures = stored_set["figures"]
        spans = [
            f"{figures[name]:.1f} ({low:.1f} to {high:.1f})"
            for name, (low, high) in (
                ("exprate", figures["ci95"]),
                ("le2", figures["le2_ci95"]),
            )
        ]
        assert shown[title] == " | ".join([title, str(figures["n"]), *spans]) + " |"
    photos = json.loads((root / "benchmarks" / "results" / "detector_photos.json").read_text())
    recall, precision = (round(photos["figures"][name]) for name in ("recall", "precision"))
    assert f"finds {recall} % of the lines, and {precision} % of its boxes" in "\n".join(
        shown.values()
    )


def test_a_set_without_its_data_is_left_out(tmp_path, caplog):
    places = {"data": str(tmp_path), "lists": "", "root": str(tmp_path)}
    assert make_results.measure_set(SETS[0], places, tmp_path, 1) is None
    assert "missing" in caplog.text
