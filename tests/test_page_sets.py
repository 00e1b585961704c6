"""Pages to measure with: annotation files, manifests, and the commands that measure."""

import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latexocr.detector import Detector
from latexocr.errors import DataError
from latexocr.pictures import load_picture
from latexocr.recognizer import Recognizer
from latexocr.regions import own_ink
from tests.conftest import draw
from tests.fakes import InkFinder, decode_if_upright
from tests.tiny import tiny_detector, write_inks
from trainer import measure
from trainer.data.page_sets import load_lines, load_pages

MANIFEST = {"seed": 5, "n_pages": 2, "preset": "flat"}


def page_of(*lines: str) -> Image.Image:
    page = Image.new("RGB", (400, 300), "white")
    for i, letters in enumerate(lines):
        page.paste(draw(letters), (30, 20 + 120 * i))
    return page


def ink_boxes(page: Image.Image) -> list[list[float]]:
    """From above."""
    return sorted((list(one.box) for one in InkFinder().detect(page)), key=lambda box: box[1])


def entry(path: Path, **more: object) -> dict:
    sha1 = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    return {"name": path.name, "sha1": sha1, **more}


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def annotated(tmp_path) -> Path:
    """boxes.json, and in pictures/ two pages and a line. On the second page a line is annotated
    where there is none, and what is there is to be ignored."""
    folder = tmp_path / "pictures" / "deep"
    folder.mkdir(parents=True)
    first, second = page_of("xxl", "xl"), page_of("xxxl", "xll")
    first.save(folder / "first.png")
    second.save(folder / "second.png")
    draw("x").save(folder / "line.png")
    upper, lower = ink_boxes(first)
    known, beside = ink_boxes(second)
    content = {
        "pictures": [
            entry(
                folder / "first.png",
                equations=[{"box": upper, "latex": "x"}, {"box": lower, "latex": "y"}],
            ),
            entry(
                folder / "second.png",
                ignore=[beside],
                equations=[{"box": known, "latex": None}, {"box": [300, 0, 390, 30], "latex": "x"}],
            ),
        ],
        "lines": [
            entry(folder / "line.png", latex="x"),
            {"name": "lost.png", "sha1": "0", "latex": None},
        ],
    }
    return write_json(tmp_path / "boxes.json", content)


@pytest.fixture
def archive(annotated) -> Path:
    """The same pictures as a .tar.gz."""
    path = annotated.parent / "pictures.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(annotated.parent / "pictures", "pictures")
    return path


# --- Annotations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("as_archive", [False, True])
def test_annotated_pages(annotated, archive, as_archive):
    pictures = archive if as_archive else annotated.parent / "pictures"
    first, second = load_pages(annotated, str(pictures))
    assert (first.name, second.name) == ("first.png", "second.png")
    assert (first.latex, second.latex) == (["x", "y"], [None, "x"])
    assert (first.boxes.shape, first.ignore.shape) == ((2, 4), (0, 4))
    assert (second.boxes.shape, second.ignore.shape) == ((2, 4), (1, 4))
    assert np.array_equal(np.asarray(first.picture()), np.asarray(page_of("xxl", "xl")))
    assert first.boxes.tolist() == ink_boxes(first.picture())


def test_pictures_are_turned_as_their_exif_data_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    page_of("xl").save(tmp_path / "photo.jpg", exif=exif)
    equations = [{"box": [0, 0, 300, 400], "latex": "x"}]
    data = {"pictures": [entry(tmp_path / "photo.jpg", equations=equations)]}
    (page,) = load_pages(write_json(tmp_path / "boxes.json", data), str(tmp_path))
    assert page.picture().size == (300, 400)


def test_transcribed_lines_are_cut_out_as_the_pipeline_cuts(annotated):
    lines = load_lines(annotated, str(annotated.parent / "pictures"))
    assert [(line.name, line.latex) for line in lines] == [
        ("line.png", "x"), ("first.png:0", "x"), ("first.png:1", "y"), ("second.png:1", "x"),
    ]  # fmt: skip
    first = page_of("xxl", "xl")
    for line, box in zip(lines[1:3], ink_boxes(first), strict=True):
        shown = np.asarray(load_picture(line.picture()).convert("L"))
        assert np.array_equal(shown, 255 - own_ink(first, tuple(box)))
    assert load_picture(lines[0].picture()).size == draw("x").size


def test_a_picture_that_is_missing_is_named(annotated):
    (annotated.parent / "pictures" / "deep" / "second.png").unlink()
    for load in (load_pages, load_lines):
        with pytest.raises(DataError, match=r"second\.png.*missing"):
            load(annotated, str(annotated.parent / "pictures"))


def test_a_picture_that_was_changed_is_named(annotated):
    page_of("xxl", "xx").save(annotated.parent / "pictures" / "deep" / "first.png")
    for load in (load_pages, load_lines):
        with pytest.raises(DataError, match=r"first\.png.*another"):
            load(annotated, str(annotated.parent / "pictures"))


def test_annotations_need_their_pictures(annotated):
    with pytest.raises(DataError, match="--pictures"):
        load_pages(annotated)


def test_pictures_that_are_nowhere_are_a_data_error(annotated, archive):
    with pytest.raises(DataError, match="nowhere"):
        load_pages(annotated, str(annotated.parent / "nowhere"))
    archive.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(DataError, match=r"pictures\.tar\.gz"):
        load_pages(annotated, str(archive))
    archive.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"pictures\.tar\.gz"):
        load_pages(annotated, str(archive))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"equations": [{"box": [0, 0, 9, 9]}]}, id="no latex"),
        pytest.param({"equations": [{"latex": "x"}]}, id="no box"),
        pytest.param({"equations": [{"box": [0, 0, 9], "latex": "x"}]}, id="three sides"),
        pytest.param({"equations": [{"box": [9, 0, 0, 9], "latex": "x"}]}, id="sides exchanged"),
        pytest.param({"equations": [{"box": 9, "latex": "x"}]}, id="a number for a box"),
        pytest.param({"equations": None}, id="no equations"),
        pytest.param({"equations": [], "ignore": [[5, 5, 5, 9]]}, id="nothing to ignore"),
        pytest.param({"sha1": None, "equations": []}, id="no checksum"),
        pytest.param({"name": ["a"], "equations": []}, id="no name"),
    ],
)
def test_broken_annotations_are_a_data_error(tmp_path, change):
    page_of("x").save(tmp_path / "a.png")
    data = {"pictures": [entry(tmp_path / "a.png") | change]}
    path = write_json(tmp_path / "boxes.json", data)
    with pytest.raises(DataError):
        load_pages(path, str(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("{", id="cut off"),
        pytest.param("[1]", id="a list"),
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"pictures": []}', id="no pictures"),
        pytest.param('{"pictures": {"a": 1}}', id="no list of pictures"),
        pytest.param('{"seed": 1, "n_pages": 2}', id="no preset"),
        pytest.param('{"seed": 1, "n_pages": 2, "preset": "moon"}', id="unknown preset"),
        pytest.param('{"seed": 1, "n_pages": "two", "preset": "real"}', id="text for a number"),
        pytest.param('{"seed": 1, "n_pages": 0, "preset": "real"}', id="no pages"),
    ],
)
def test_what_is_no_set_of_pages_is_a_data_error(tmp_path, content):
    inks = write_inks(tmp_path / "inks", n=2)
    path = tmp_path / "set.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"set\.json"):
        load_pages(path, pictures=str(inks), ink=str(inks))


# --- Manifests -----------------------------------------------------------------------------------


def test_a_manifest_fixes_its_pages(tmp_path):
    ink = str(write_inks(tmp_path / "inks", n=6))
    path = write_json(tmp_path / "pages.json", MANIFEST)
    found, again = load_pages(path, ink=ink), load_pages(path, ink=ink)
    assert [page.name for page in found] == ["page 0", "page 1"]
    for page, same in zip(found, again, strict=True):
        assert np.array_equal(np.asarray(page.picture()), np.asarray(same.picture()))
        assert np.array_equal(page.boxes, same.boxes)
        assert len(page.latex) == len(page.boxes)
    other = load_pages(write_json(path, MANIFEST | {"seed": 6}), ink=ink)
    assert not np.array_equal(other[0].boxes, found[0].boxes)


def test_a_manifest_needs_something_to_write(tmp_path):
    with pytest.raises(DataError, match="--ink or --formulas"):
        load_pages(write_json(tmp_path / "pages.json", MANIFEST))


# --- Commands ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def threads():
    """Measuring takes all cores; the tests that come after should not."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(model_folder, tmp_path, monkeypatch, capsys):
    """Runs `python -m trainer.measure` on a model that finds all ink and reads x: its output."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "recognizer").symlink_to(model_folder / "recognizer")
    tiny_detector().save_pretrained(model / "detector")
    monkeypatch.setattr(Detector, "from_pretrained", lambda *a, **k: InkFinder())
    monkeypatch.setattr(Recognizer, "decode", lambda self, *a, **k: decode_if_upright(*a, **k))

    def run(what: str, *options: str) -> str:
        capsys.readouterr()
        measure.main([what, *options, "--model", str(model)])
        return capsys.readouterr().out

    return run


def test_the_detector_is_measured_on_annotated_pages(run, annotated):
    options = ["--data", str(annotated), "--pictures", str(annotated.parent / "pictures")]
    figures = json.loads(run("detector", *options, "--json"))
    # Of four lines three are found, and what else is found is to be ignored.
    expected = {"pages": 2, "n_true": 4, "n_found": 3, "precision": 100, "recall": 75}
    assert expected.items() <= figures.items()
    assert figures["f1"] == figures["f1_iou75"] == pytest.approx(600 / 7, abs=0.01)
    assert figures["map"] == figures["map_50"] == pytest.approx(7600 / 101, abs=0.01)
    assert figures["seconds_per_page"] >= 0
    table = dict(line.split(maxsplit=1) for line in run("detector", *options).splitlines())
    assert set(table) == set(figures)


def test_finding_and_reading_are_measured_on_annotated_pages(run, annotated):
    options = ["--data", str(annotated), "--pictures", str(annotated.parent / "pictures")]
    figures = json.loads(run("pages", *options, "--json"))
    # Three lines have a truth: one is found and read, one found and misread, one is not found.
    assert (figures["pages"], figures["lines"]) == (2, 3)
    assert (figures["found"], figures["page_score"]) == (66.67, 33.33)
    low, high = figures["ci95"]
    assert 0 <= low <= 33.33 <= high <= 100


def test_the_detector_is_measured_on_generated_pages(run, tmp_path):
    path = write_json(tmp_path / "pages.json", MANIFEST)
    ink = str(write_inks(tmp_path / "inks", n=6))
    figures = json.loads(run("detector", "--data", str(path), "--ink", ink, "--json"))
    assert figures["pages"] == 2
    assert figures["n_true"] == sum(len(page.boxes) for page in load_pages(path, ink=ink)) > 0
    assert all(0 <= figures[name] <= 100 for name in ("precision", "recall", "f1", "map"))


def test_pages_without_transcribed_lines_cannot_be_scored(run, tmp_path):
    page = page_of("xl")
    page.save(tmp_path / "a.png")
    equations = [{"box": box, "latex": None} for box in ink_boxes(page)]
    data = {"pictures": [entry(tmp_path / "a.png", equations=equations)]}
    path = write_json(tmp_path / "boxes.json", data)
    with pytest.raises(DataError, match="transcribed"):
        run("pages", "--data", str(path), "--pictures", str(tmp_path), "--json")


def test_a_random_network_is_measured_too(annotated, tmp_path, capsys):
    tiny_detector().save_pretrained(tmp_path / "detector")
    options = ["--data", str(annotated), "--pictures", str(annotated.parent / "pictures")]
    measure.main(["detector", *options, "--model", str(tmp_path), "--json"])
    figures = json.loads(capsys.readouterr().out)
    assert figures["n_true"] == 4 and 0 <= figures["map"] < 20
