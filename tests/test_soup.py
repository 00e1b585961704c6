"""Means of weights: what they hold, and that they can be read with."""

import pytest
import torch

from latexocr.errors import ModelError
from latexocr.recognizer import Recognizer
from tests.tiny import tiny_recognizer
from trainer import soup


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, [1.0, 2.0]), (0.25, [1.5, 3.0]), (1.0, [3.0, 6.0])],
    ids=["the first", "a quarter of the second", "the second"],
)
def test_weights_are_mixed_in_proportion_and_counters_are_the_seconds(share, expected):
    first = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(5)}
    second = {"w": torch.tensor([3.0, 6.0]), "n": torch.tensor(7)}
    mean = soup.mean_weights(first, second, share)
    assert mean["w"].tolist() == expected
    assert mean["n"].item() == 7


def test_half_precision_is_mixed_in_full(tmp_path):
    tiny = torch.tensor([6e-8], dtype=torch.float16)  # half of it is nothing in float16
    assert soup.mean_weights({"w": tiny}, {"w": tiny}, 0.5)["w"].equal(tiny)


def test_weights_of_another_shape_are_refused_by_name():
    first, second = {"head": torch.zeros(2)}, {"head": torch.zeros(3)}
    with pytest.raises(ModelError, match="head"):
        soup.mean_weights(first, second, 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_of_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        soup.mean_weights({}, {}, share)


def test_the_mean_of_two_folders_can_be_read_with(tmp_path):
    for seed, name in enumerate(("first", "second")):
        tiny_recognizer(seed).save_pretrained(tmp_path / name)
    folders = [str(tmp_path / name) for name in ("first", "second")]
    soup.main([*folders, "--share", "0.25", "--out", str(tmp_path / "mean")])
    first, second, mean = (
        Recognizer.from_pretrained(tmp_path / name, "cpu").model.decoder.output_projection.weight
        for name in ("first", "second", "mean")
    )
    assert torch.allclose(mean, 0.75 * first + 0.25 * second, atol=1e-3)
