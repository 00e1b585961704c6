"""What is read in a box decides whether it is mathematics."""

import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latexocr.detector import Detection, Detector, DetectorConfig
from latexocr.errors import DataError, ModelError
from latexocr.hub import resolve
from latexocr.page_boxes import find_equations
from latexocr.pipeline import LatexOCR
from latexocr.recognizer import Decoded
from latexocr.rescoring import (
    ACCEPTED,
    CANDIDATE_MIN,
    FEATURES,
    OBVIOUS,
    candidates_from,
    rescored,
)
from tests.conftest import draw
from tests.fakes import FixedFinder
from tests.tiny import tiny_detector, write_inks
from trainer import rescore
from trainer.data.page_sets import PageExample

# A curve that goes by one feature alone: relations are wanted.
RELATION = FEATURES.index("relation")
BY_RELATION = tuple(10.0 * (i == RELATION) for i in range(len(FEATURES)))


def read_as(latex: str, token_probability: float = 0.9) -> Decoded:
    n_tokens = len(latex.split()) + 1
    return Decoded(latex, n_tokens * math.log(token_probability), n_tokens)


# --- The embedded curve --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded() -> DetectorConfig:
    return Detector.from_pretrained(resolve(None, "detector"), "cpu").config


@pytest.mark.parametrize("score", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("word", ["t h e n", "A n s w e r", r"s o l u t i o n", "N o t e s ,"])
@pytest.mark.parametrize(
    "equation", ["x = 3", r"\frac { 1 } { 2 } + y ^ { 2 } = 4", "a _ { 1 } > b"]
)
def test_letters_in_a_row_are_less_likely_mathematics_than_an_equation(
    embedded, score, word, equation
):
    of_word, of_equation = rescored(embedded, [score] * 2, [read_as(word), read_as(equation)])
    assert of_word < of_equation


def test_what_is_read_surely_and_what_the_detector_is_sure_of_is_likelier(embedded):
    surely, unsurely = read_as("x + y", 0.99), read_as("x + y", 0.4)
    low, high, other = rescored(embedded, [0.5, 0.9, 0.5], [unsurely, unsurely, surely])
    assert low < high
    assert low < other


@pytest.mark.parametrize("score", [0.0, 1.0])
@pytest.mark.parametrize("latex", ["", "x", "3 4", "x " * 48])
def test_every_reading_has_a_chance(embedded, score, latex):
    (chance,) = rescored(embedded, [score], [read_as(latex.strip())])
    assert 0 <= chance <= 1


def test_no_candidates_have_no_chances(embedded):
    assert rescored(embedded, [], []) == []


# --- Candidates ----------------------------------------------------------------------------------

LINE, NEXT = (0, 0, 100, 20), (105, 0, 150, 20)
PAGE = Image.new("RGB", (400, 300), "white")


def test_only_a_detector_with_a_curve_gives_unlikely_candidates():
    finder = FixedFinder([LINE], scores=[0.5], score_min=0.6)
    assert find_equations(finder, PAGE) == []
    finder = FixedFinder([LINE], scores=[0.5], score_min=0.6, rescore_weights=BY_RELATION)
    assert [one.box for one in find_equations(finder, PAGE)] == [LINE]
    assert candidates_from(finder.config) == CANDIDATE_MIN < 0.5


@pytest.mark.parametrize(
    ("boxes", "scores", "found"),
    [
        pytest.param([LINE, NEXT], [0.9, 0.8], [(0, 0, 150, 20)], id="likely ones are joined"),
        pytest.param([LINE, NEXT], [0.9, 0.5], [LINE, NEXT], id="an unlikely one stays apart"),
        pytest.param([LINE, NEXT], [0.5, 0.5], [LINE, NEXT], id="so do two of them"),
        pytest.param(
            [LINE, (108, 0, 200, 20), (101, 3, 107, 18)],
            [0.9, 0.8, 0.5],
            [(0, 0, 200, 20)],
            id="an unlikely one within a joined one is a part of it",
        ),
    ],
)
def test_unlikely_candidates_change_no_likely_ones(boxes, scores, found):
    finder = FixedFinder(boxes, scores=scores, score_min=0.6, rescore_weights=BY_RELATION)
    assert [one.box for one in find_equations(finder, PAGE)] == found


# --- Pages ---------------------------------------------------------------------------------------


@pytest.fixture
def ocr(model_folder, monkeypatch) -> LatexOCR:
    """Finds three lines, the lowest with little conviction, and reads a relation in the longer
    ones."""
    ocr = LatexOCR(model_folder, device="cpu")
    boxes = []
    for top, letters in zip((20, 140, 260), ("xxxx", "xl", "xxxx"), strict=True):
        line = draw(letters)
        boxes.append((40, top, 40 + line.width, top + line.height))
    ocr.detector = FixedFinder(
        boxes, scores=[0.7, 0.8, 0.5], score_min=0.6, rescore_weights=BY_RELATION,
        rescore_offset=-5.0,
    )  # fmt: skip

    def decode(pictures, n_beams=1, max_new_tokens=0):
        latex = ["x = x" if one.shape[1] > 2.5 * one.shape[0] else "x" for one in pictures]
        return [[read_as(one)] * n_beams for one in latex]

    monkeypatch.setattr(ocr.recognizer, "decode", decode)
    return ocr


def written() -> Image.Image:
    page = Image.new("RGB", (700, 400), "white")
    for top, letters in zip((20, 140, 260), ("xxxx", "xl", "xxxx"), strict=True):
        page.paste(draw(letters), (40, top))
    return page


def test_a_page_has_what_reads_as_mathematics_however_sure_the_detector_was(ocr):
    page = ocr.read_page(written())
    assert [equation.reading.latex for equation in page.equations] == ["x = x"] * 2
    tops = [equation.box[1] for equation in page.equations]
    assert tops[0] < 100 and tops[1] > 250  # in reading order
    assert all(
        equation.score == pytest.approx(1 / (1 + math.exp(-5))) for equation in page.equations
    )


def test_what_is_found_is_what_is_read(ocr):
    found = ocr.find(written())
    page = ocr.read_page(written())
    assert sorted(one.box for one in found) == sorted(one.box for one in page.equations)
    assert all(one.score >= ACCEPTED for one in found)


def test_progress_counts_only_what_is_mathematics(ocr):
    counts = []
    ocr.read_page(written(), progress=lambda *both: counts.append(both))
    assert counts == [(2, 2)]


def test_what_is_obvious_is_not_read_for_it(ocr, monkeypatch):
    ocr.detector.found = [replace(one, score=OBVIOUS) for one in ocr.detector.found]
    monkeypatch.setattr(ocr.recognizer, "decode", lambda *_: pytest.fail("something was read"))
    assert [one.score for one in ocr.find(written())] == [OBVIOUS] * 3


def test_faint_writing_is_read_where_nothing_is_likely(ocr):
    ocr.detector.found = [replace(one, score=0.5) for one in ocr.detector.found]
    assert len(ocr.read_page(written()).equations) == 2


def test_a_page_of_words_has_no_equations(ocr):
    ocr.detector.found = ocr.detector.found[1:2]
    assert ocr.read_page(written()).equations == []


def test_a_model_without_a_detector_finds_nothing_and_says_so(model_folder):
    with pytest.raises(ModelError, match="detector"):
        LatexOCR(model_folder, device="cpu").find(written())


# --- Fitting -------------------------------------------------------------------------------------


def candidates(n: int = 200) -> list[rescore.Candidate]:
    """Half of them equations; the detector's score says nothing, what is read says all."""
    rng = np.random.default_rng(0)
    return [
        rescore.Candidate(
            Detection(LINE, float(score)), read_as("x = 1" if i % 2 else "t h e n"), bool(i % 2)
        )
        for i, score in enumerate(rng.uniform(0.3, 1, n))
    ]


def test_a_fitted_curve_tells_equations_from_words():
    weights, offset = rescore.fit(candidates())
    config = DetectorConfig(rescore_weights=tuple(weights), rescore_offset=offset)
    word, equation = rescored(config, [0.95, 0.3], [read_as("t h e n"), read_as("x = 1")])
    assert word < 0.1 < 0.9 < equation


@pytest.mark.parametrize(
    "some", [candidates(20), candidates()[::2], []], ids=["too few", "all words", "none"]
)
def test_too_little_to_fit_says_what_was_expected(some):
    with pytest.raises(DataError, match="expected at least 100 candidates"):
        rescore.fit(some)


def test_the_command_writes_the_curve_beside_the_weights(
    tmp_path, model_folder, monkeypatch, capsys
):
    model = tmp_path / "model"
    shutil.copytree(model_folder, model)
    tiny_detector(score_min=0.3).save_pretrained(model / "detector")
    manifest = tmp_path / "pages.json"
    manifest.write_text(json.dumps({"seed": 3, "n_pages": 1, "preset": "real"}))
    ink = write_inks(tmp_path / "inks", n=4)
    asked = []

    def candidates_of(detector, recognizer, pages):
        asked.extend(pages)
        return candidates()

    threads = torch.get_num_threads()
    monkeypatch.setattr(rescore, "candidates_of", candidates_of)
    monkeypatch.setattr(
        "sys.argv",
        ["rescore", "--model", str(model), "--data", str(manifest), "--ink", str(ink)],
    )
    try:
        rescore.main()
    finally:
        torch.set_num_threads(threads)
    assert len(asked) == 1
    assert str(model / "detector" / "config.json") in capsys.readouterr().out
    config = Detector.from_pretrained(model / "detector", "cpu").config
    assert len(config.rescore_weights) == len(FEATURES)
    assert config.score_min == 0.3  # the rest stays


def test_candidates_are_judged_by_the_truth_of_their_page(ocr):
    boxes = np.array([one.box for one in ocr.find(written())])
    example = PageExample("a", written, boxes[:1], boxes[1:], [None])
    found = rescore.candidates_of(ocr.detector, ocr.recognizer, [example])
    # One equation, one that counts neither way, and the word.
    judged = sorted((one.reading.canonical, one.is_right) for one in found)
    assert judged == [("x", False), ("x = x", True)]
