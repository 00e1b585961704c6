"""How sure a recogniser is of a reading, and how that is fitted."""

import json

import numpy as np
import pytest

from latexocr.hub import QUICK
from latexocr.quantized import load_recognizer, weights_digest
from latexocr.recognizer import Decoded, Recognizer
from tests.tiny import tiny_recognizer, write_inks
from trainer import calibrate
from trainer.quantize import quantize

SURE = Decoded("x", -0.02, 2, (0.99,))
UNSURE = Decoded("x", -1.2, 2, (0.4,))
ONE_DOUBT = Decoded("x + y", -0.7, 4, (0.99, 0.99, 0.51))
MANY_DOUBTS = Decoded("x + y", -0.7, 4, (0.8, 0.8, 0.8))


AHEAD = Decoded("x", -0.3, 2, (0.8,), score=0.1, lead=5.0)
NECK_AND_NECK = Decoded("x", -0.3, 2, (0.8,), score=0.1, lead=0.05)


@pytest.fixture(scope="module")
def embedded() -> Recognizer:
    return Recognizer.from_pretrained("latexocr/weights/recognizer", "cpu")


@pytest.mark.parametrize(
    ("surer", "less_sure"),
    [
        (SURE, UNSURE),
        (SURE, ONE_DOUBT),
        (MANY_DOUBTS, ONE_DOUBT),
        (AHEAD, NECK_AND_NECK),
    ],
    ids=[
        "likelier",
        "likelier and shorter",
        "as likely, but no token stands out",
        "as likely, but the next is far behind",
    ],
)
def test_the_embedded_weights_know_which_reading_to_trust(embedded, surer, less_sure):
    assert 1 >= embedded.confidence(surer) > embedded.confidence(less_sure) >= 0


def test_a_reading_without_token_probabilities_has_a_confidence(embedded):
    assert 0 < embedded.confidence(Decoded("x", -0.5, 2)) < 1


def test_an_impossible_token_leaves_the_confidence_a_number(embedded):
    assert embedded.confidence(Decoded("x", -800.0, 2, (0.0,))) == pytest.approx(0, abs=1e-3)
    beaten = Decoded("x", -800.0, 2, (0.0,), score=-1e4, lead=-1e4)
    assert embedded.confidence(beaten) == pytest.approx(0, abs=1e-3)


def test_weights_that_were_never_calibrated_say_the_probability_itself():
    assert tiny_recognizer().confidence(UNSURE) == pytest.approx(np.exp(-1.2))


def test_the_curve_that_made_the_hits_is_found_again():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200_000, 3))
    chance = 1 / (1 + np.exp(-(features @ [-2.0, 0.5, 1.0] + 0.3)))
    weights, offset = calibrate.fit_logistic(features, rng.random(len(chance)) < chance)
    assert weights == pytest.approx([-2.0, 0.5, 1.0], abs=0.1)
    assert offset == pytest.approx(0.3, abs=0.1)


def test_wrong_truths_do_not_hide_how_sure_a_reading_is():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2))
    chance = 1 / (1 + np.exp(-(features @ [-3.0, 1.0] + 1.0)))
    counts_as_right = (rng.random(len(chance)) < chance) & (rng.random(len(chance)) > 0.06)
    weights, offset = calibrate.fit_logistic(features, counts_as_right)
    assert weights == pytest.approx([-3.0, 1.0], abs=0.15)
    assert offset == pytest.approx(1.0, abs=0.15)


def test_a_clean_split_gives_a_finite_curve():
    features = np.linspace(-1, 1, 20)[:, None]
    weights, offset = calibrate.fit_logistic(features, features[:, 0] > 0)
    assert np.isfinite(weights).all() and weights[0] > 1
    assert abs(offset) < 1


def test_a_handful_of_readings_is_refused():
    with pytest.raises(ValueError, match="at least 10 readings"):
        calibrate.fit_logistic(np.zeros((9, 3)), [True] * 9)


def test_the_twin_that_reads_is_what_is_calibrated(tmp_path, monkeypatch):
    folder = tmp_path / "recognizer"
    tiny_recognizer().save_pretrained(folder)
    quantize(load_recognizer(folder), tmp_path / QUICK, "onnx-int8", source=weights_digest(folder))
    data = write_inks(tmp_path / "inks")
    monkeypatch.setattr("sys.argv", ["calibrate", "--model", str(folder), "--data", str(data)])
    calibrate.main()
    kept = [json.loads((one / "config.json").read_text()) for one in (folder, tmp_path / QUICK)]
    assert kept[0]["confidence_weights"] == kept[1]["confidence_weights"]
    read = calibrate.calibrate(load_recognizer(tmp_path / QUICK), str(data))
    assert read["confidence_weights"] == kept[1]["confidence_weights"]


def test_calibrated_weights_come_back_from_their_folder(tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    tiny_recognizer().save_pretrained(folder)
    data = write_inks(tmp_path / "inks")
    monkeypatch.setattr("sys.argv", ["calibrate", "--model", str(folder), "--data", str(data)])
    calibrate.main()
    kept = json.loads((folder / "config.json").read_text())
    assert len(kept["confidence_weights"]) == 3
    assert len(kept["search_confidence_weights"]) == 5
    # Nothing that random weights read is right, and the curve has seen that.
    random_words = Decoded("x " * 100, -800.0, 100, (0.001,) * 100)
    assert 0 < Recognizer.from_pretrained(folder, "cpu").confidence(random_words) < 0.2
