"""Reading pictures: contract, order, batches, beams, confidence."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from latexocr.errors import ImageError, ModelError
from latexocr.imaging import prepare
from latexocr.recognizer import (
    CLOSER_CANDIDATES,
    DISAGREEMENT,
    Decoded,
    Recognizer,
    _best_of,
    _judged_anew,
    shape_batches,
)
from tests.conftest import draw
from tests.tiny import tiny_recognizer


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return tiny_recognizer()


@pytest.fixture(scope="module")
def embedded() -> Recognizer:
    return Recognizer.from_pretrained("latexocr/weights/recognizer", "cpu")


def drawing(n_symbols: int, size: int = 40) -> np.ndarray:
    """A row of crosses, dark on white, (H, W) uint8."""
    page = np.full((2 * size, (n_symbols + 1) * 2 * size), 255, np.uint8)
    for i in range(n_symbols):
        x, y = (2 * i + 1) * size, size // 2
        cv2.line(page, (x, y), (x + size, y + size), 0, 4)
        cv2.line(page, (x + size, y), (x, y + size), 0, 4)
    return page


def test_a_reading_has_latex_confidence_and_alternatives(recognizer):
    reading = recognizer.read(drawing(2), n_alternatives=3)
    assert isinstance(reading.latex, str)
    assert 0 <= reading.confidence <= 1
    assert len(reading.alternatives) <= 3
    latexes = [reading.latex, *(latex for latex, _ in reading.alternatives)]
    assert len(set(latexes)) == len(latexes)
    confidences = [confidence for _, confidence in reading.alternatives]
    assert confidences == sorted(confidences, reverse=True)


def test_a_batch_reads_as_one_by_one_in_the_order_given(recognizer):
    drawings = [drawing(n) for n in (5, 1, 3, 2, 4)]
    together = recognizer.read_batch(drawings, n_alternatives=0)
    alone = [recognizer.read(d, n_alternatives=0) for d in drawings]
    assert [r.latex for r in together] == [r.latex for r in alone]
    assert [r.confidence for r in together] == pytest.approx(
        [r.confidence for r in alone], abs=1e-4
    )


def test_as_many_candidates_are_found_as_there_are_beams(recognizer):
    """Of what is doubtful, as all is to random weights, at least as many as a closer look has."""
    picture = [np.full((30, 60), 255, np.uint8)]
    for n_beams, n_found in ((1, 1), (4, CLOSER_CANDIDATES), (8, 8)):
        assert len(recognizer.decode(picture, n_beams, max_new_tokens=8)[0]) == n_found


def test_what_is_doubtful_is_looked_at_again(embedded, monkeypatch):
    pictures = [prepare(draw(text), embedded.symbol_px) for text in ("l+T+T+l", "TT", "l+T")]
    config = embedded.model.config
    monkeypatch.setattr(config, "confidence_weights", [0.0, 0.0, 0.0])
    monkeypatch.setattr(config, "confidence_offset", 9.0)
    sure = embedded.decode(pictures, 2)
    config.confidence_offset = -9.0
    again = embedded.decode(pictures, 2)
    assert [len(found) for found in sure] == [2, 2, 2]
    for once, twice in zip(sure, again, strict=True):
        assert 2 < len(twice) <= CLOSER_CANDIDATES
        assert len({c.canonical for c in twice}) == len(twice)
        assert {c.canonical for c in twice} > {c.canonical for c in once}
    # Together they read as alone, in the order given.
    alone = [embedded.decode([picture], 2)[0] for picture in pictures]
    assert [found[0].canonical for found in alone] == [found[0].canonical for found in again]
    for found in embedded.decode(pictures, 2, max_new_tokens=2):
        assert all(sum(p > 0 for p in c.token_probabilities) <= 2 for c in found)
    greedy = embedded.decode(pictures)
    config.confidence_offset = 9.0
    assert greedy == embedded.decode(pictures)


def test_candidates_of_a_closer_look_have_the_mean_of_what_all_views_say():
    candidates = [Decoded("x", -1.0, 2, (0.5,), True, -0.5), Decoded("y", -2.0, 2, (0.2,))]
    by_view = [[(-3.0, 0.0), (-2.0, 0.0)], [(-1.0, -2.0), (-1.0, -1.0)]]
    first, second = _judged_anew(candidates, by_view)
    assert (first.canonical, first.log_probability) == ("y", pytest.approx(-2.0))
    assert (second.canonical, second.log_probability) == ("x", pytest.approx(-3.0))
    assert second.score == pytest.approx(-3.0 + 0.5)  # what the language model adds stays
    assert second.token_probabilities == pytest.approx([np.exp(-2.0)])


def test_a_view_that_shows_the_ink_badly_hardly_counts():
    candidates = [Decoded("x", -1.0, 2, (0.5,))]
    (found,) = _judged_anew(candidates, [[(-0.1, 0.0)], [(-50.0, 0.0)], [(-0.1, 0.0)]])
    assert found.log_probability == pytest.approx(-0.1, abs=1e-3)
    shares = np.exp([0.0, -1.0]) / np.exp([0.0, -1.0]).sum()
    (found,) = _judged_anew(candidates, [[(-1.0, -1.0)], [(-3.0, -1.0 - (DISAGREEMENT - 2))]])
    assert found.log_probability == pytest.approx(-2.0 - DISAGREEMENT * shares[1])


def test_of_several_views_each_text_comes_once_and_what_ended_before_what_did_not():
    a, b = Decoded("a", -2.0, 2, score=-2.0), Decoded("b", -1.0, 2, score=-1.0)
    better, endless = replace(a, score=-0.5), Decoded("c", -0.1, 9, is_whole=False)
    assert _best_of([a, b, endless, better], 5) == [better, b]
    assert _best_of([a, b, better], 1) == [better]
    assert _best_of([endless], 5) == [endless]


def test_the_log_probability_is_that_of_the_decoded_tokens(recognizer):
    picture = np.full((24, 56), 255, np.uint8)
    found = recognizer.decode([picture], max_new_tokens=6)[0][0]
    n_written = sum(p > 0 for p in found.token_probabilities)  # the others only close
    ids = recognizer.tokenizer(found.canonical).input_ids[: 1 + n_written]
    pixels = torch.zeros(1, 1, 32, 64)
    pixels[0, 0, :24, :56] = 1
    tokens = torch.tensor([ids])
    sizes = torch.tensor([[24, 56]])
    with torch.no_grad():
        logits = recognizer.model(pixels, tokens[:, :-1], picture_sizes=sizes).logits
    logits[:, :, recognizer.unwritable] = -torch.inf
    states = [recognizer.grammar.start]
    for token_id in ids[1:-1]:
        states.append(recognizer.grammar.after(states[-1], token_id))
    likely = recognizer.grammar.constrained(states, logits[0].log_softmax(-1))
    wanted = likely.gather(1, tokens[0, 1:, None]).sum()
    assert found.log_probability == pytest.approx(float(wanted), abs=1e-3)


def test_a_saved_recognizer_reads_the_same(recognizer, tmp_path):
    recognizer.save_pretrained(tmp_path)
    loaded = Recognizer.from_pretrained(tmp_path, device="cpu")
    assert loaded.read(drawing(3), 0) == recognizer.read(drawing(3), 0)


def test_a_blank_picture_is_an_image_error(recognizer):
    with pytest.raises(ImageError):
        recognizer.read(np.full((50, 80), 255, np.uint8))


def test_a_folder_without_a_model_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="expected a recogniser"):
        Recognizer.from_pretrained(tmp_path)


def test_shape_batches_keep_the_budget_and_every_picture_once():
    rng = np.random.default_rng(0)
    shapes = [tuple(row) for row in rng.integers(8, 200, (80, 2))]
    batches = list(shape_batches(shapes, pixel_budget=50_000))
    assert sorted(i for batch in batches for i in batch) == list(range(80))
    for batch in batches:
        height, width = (-(-np.array([shapes[i] for i in batch]).max(axis=0) // 16) * 16).tolist()
        assert len(batch) == 1 or len(batch) * height * width <= 50_000
