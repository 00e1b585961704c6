"""A small file that changes weights: what it holds, and who takes it up."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from latexocr.adapter import ADAPTER_FILE, Adapter
from latexocr.errors import ModelError
from latexocr.graph_weights import graph_weights, with_weights
from latexocr.hub import QUICK, resolve
from latexocr.modeling import RecognizerModel
from latexocr.quantized import (
    PLACES_FILE,
    OnnxModel,
    load_quickest,
    load_recognizer,
    weights_digest,
)
from latexocr.recognizer import Recognizer, stack_pictures
from latexocr.tokenizer import build_tokenizer
from tests.tiny import tiny_model
from trainer import adapter as command
from trainer.adapter import make_adapter, vocabulary_of
from trainer.low_rank import SCALE, merged_state, train_low_rank
from trainer.quantize import drawn_pictures, quantize
from trainer.quantize import main as quantize_command

RANK = 2
FINE = 0.02  # a step so small that rounding hardly shows


def trained(model: RecognizerModel) -> RecognizerModel:
    """What a run of low rank may make of a model: all that it trains has changed, and so have the
    batch statistics."""
    base = {name: value.clone() for name, value in model.state_dict().items()}
    found = tiny_model(decoder_layers=2)
    found.load_state_dict(base)
    train_low_rank(found, base, RANK)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in found.named_parameters():
            if value.requires_grad:
                is_matrix = "parametrizations" in name and "embed_tokens" not in name
                value += torch.randn_like(value) * (0.3 / SCALE if is_matrix else 0.05)
        for module in found.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean += 0.2 * torch.randn_like(module.running_mean)
                module.running_var *= 0.01 + torch.rand_like(module.running_var)
    plain = tiny_model(decoder_layers=2)
    plain.load_state_dict(merged_state(found))
    return plain


@pytest.fixture(scope="module")
def base() -> RecognizerModel:
    return tiny_model(seed=3, decoder_layers=2)


@pytest.fixture(scope="module")
def target(base) -> RecognizerModel:
    return trained(base)


@pytest.fixture(scope="module")
def folders(base, target, tmp_path_factory) -> dict[str, Path]:
    """Those of the weights before, with an adapter since, and of the weights after."""
    found = {name: tmp_path_factory.mktemp(name) / "recognizer" for name in ("before", "after")}
    for model, folder in zip((base, target), found.values(), strict=True):
        Recognizer(model, build_tokenizer(), "cpu").save_pretrained(folder)
    options = ["--rank", str(RANK), "--coarseness", str(FINE), "--out", str(found["before"])]
    command.main([str(found["after"]), "--base", str(found["before"]), *options])
    return found


def encoded(model: nn.Module, picture: int = 3) -> torch.Tensor:
    with torch.inference_mode():
        return model.encoder(*stack_pictures([drawn_pictures(20)[picture]])).last_hidden_state


def test_weights_with_their_adapter_compute_what_those_after_training_compute(folders, target):
    loaded = Recognizer.from_pretrained(folders["before"], "cpu").model
    wanted, found = encoded(target), encoded(loaded)
    before = encoded(Recognizer.from_pretrained(folders["before"], "cpu", with_adapter=False).model)
    assert (found - wanted).abs().mean() < 0.1 * (before - wanted).abs().mean()


def test_the_tokens_vectors_change_once_though_they_have_two_names(base, target):
    assert not torch.equal(vocabulary_of(base), vocabulary_of(target))
    changed = make_adapter(base, target, RANK, FINE)
    tables = ("embed_tokens.weight", "embed_positions.weight", "output_projection.weight")
    assert sum(name.endswith(tables) for name in changed.changes) == 1
    found = tiny_model(seed=3, decoder_layers=2)
    changed.add_to(found)
    difference = vocabulary_of(target) - vocabulary_of(base)
    error = vocabulary_of(found) - vocabulary_of(target)
    assert error.norm() < 0.1 * difference.norm()


def test_a_change_of_full_rank_is_kept_as_far_as_there_is_room(base):
    other = tiny_model(seed=4, decoder_layers=2)
    name = "encoder.layers.0.ffn1.weight"
    errors = []
    for rank in (1, 4, 8):
        values = make_adapter(base, other, rank, FINE).changes[name].values()
        change = other.state_dict()[name] - base.state_dict()[name]
        errors.append(float((values - change).norm() / change.norm()))
    assert 1 > errors[0] > errors[1] > errors[2] > 0


def test_the_same_weights_need_no_change(base):
    assert not make_adapter(base, base, RANK, 1).changes


def test_coarser_numbers_take_less_room(base, target, tmp_path):
    sizes = []
    for coarseness in (0.1, 0.5, 2):
        make_adapter(base, target, RANK, coarseness).save(tmp_path)
        sizes.append((tmp_path / ADAPTER_FILE).stat().st_size)
    assert sizes[0] > sizes[1] > sizes[2]


def test_what_is_saved_again_holds_the_change_and_has_no_adapter(folders, tmp_path):
    loaded = Recognizer.from_pretrained(folders["before"], "cpu")
    loaded.save_pretrained(tmp_path)
    assert not (tmp_path / ADAPTER_FILE).exists()
    again = Recognizer.from_pretrained(tmp_path, "cpu").model.state_dict()
    assert all(torch.equal(value, again[key]) for key, value in loaded.model.state_dict().items())


# --- The int8 twin -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twin(base, folders) -> Path:
    """Of the weights before they had their adapter."""
    source = weights_digest(folders["before"], with_adapters=False)
    folder = folders["before"].with_name(QUICK)
    quantize(Recognizer(base, build_tokenizer(), "cpu"), folder, "onnx-int8", source=source)
    return folder


def likelihoods(recognizer: Recognizer) -> torch.Tensor:
    """Of the first token of some pictures."""
    found = recognizer.decode(drawn_pictures(recognizer.symbol_px)[5:11], max_new_tokens=1)
    return torch.tensor([candidates[0].log_probability for candidates in found])


def test_the_twin_takes_up_the_adapter(folders, twin):
    quick, known = load_quickest(folders["before"], "cpu"), load_recognizer(twin)
    assert isinstance(quick.model, OnnxModel)
    wanted = likelihoods(Recognizer.from_pretrained(folders["after"], "cpu"))
    unchanged = likelihoods(
        Recognizer.from_pretrained(folders["before"], "cpu", with_adapter=False)
    )
    distances = [(found - wanted).abs().max() for found in (likelihoods(quick), unchanged)]
    assert distances[0] < 0.5 * distances[1], distances
    assert torch.equal(likelihoods(known), likelihoods(quick))  # asked for by itself, too


def test_a_twin_without_places_for_other_weights_is_not_taken(folders, twin, tmp_path):
    for folder in (folders["before"], twin):
        shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / QUICK / PLACES_FILE).unlink()
    recognizer = load_quickest(tmp_path / "recognizer", "cpu")
    assert isinstance(recognizer.model, RecognizerModel)


@pytest.mark.parametrize("content", ["{}", "[", '{"encoder.onnx": {"encoder.norm.bias": 3}}'])
def test_places_that_are_none_are_named(folders, twin, tmp_path, content):
    for folder in (folders["before"], twin):
        shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / QUICK / PLACES_FILE).write_text(content)
    with pytest.raises(ModelError, match=f"{PLACES_FILE}: expected places"):
        load_quickest(tmp_path / "recognizer", "cpu")


def test_a_twin_made_of_all_weights_is_taken_as_it_is(folders, tmp_path):
    shutil.copytree(folders["before"], tmp_path / "recognizer")
    quantize_command(["--model", str(tmp_path), "--out", str(tmp_path / "small")])
    (tmp_path / "small/recognizer").rename(tmp_path / QUICK)
    quick = load_quickest(tmp_path / "recognizer", "cpu")
    assert isinstance(quick.model, OnnxModel)
    wanted = likelihoods(Recognizer.from_pretrained(tmp_path / "recognizer", "cpu"))
    assert (likelihoods(quick) - wanted).abs().max() < 0.02


def test_the_embedded_twin_could_take_up_an_adapter():
    """Its graphs, given the weights that they were made of, stay what they are but for rounding."""
    source, quick = resolve(None, "recognizer"), resolve(None, "recognizer").with_name(QUICK)
    weights = graph_weights(Recognizer.from_pretrained(source, "cpu", with_adapter=False).model)
    places = json.loads((quick / PLACES_FILE).read_text())
    for name, of_graph in weights.items():
        data = (quick / name).read_bytes()
        before = np.frombuffer(data, np.uint8)
        after = with_weights(data, places[name], of_graph)
        differs = np.frombuffer(after, np.uint8) != before
        assert differs.mean() < 0.01
        other = {key: value.flip(0) for key, value in of_graph.items()}
        changed = np.frombuffer(with_weights(after, places[name], other), np.uint8)
        assert (changed != before).mean() > 0.8  # hardly a byte is anything else


# --- What cannot be ----------------------------------------------------------------------------


def test_an_adapter_of_other_weights_is_refused(base, target):
    other = tiny_model(decoder_layers=2, hidden_size=64)
    with pytest.raises(ModelError, match=r"expected an adapter of these weights.*\(32"):
        make_adapter(base, target, RANK, 1).add_to(other)
    with pytest.raises(ModelError, match="two recognisers of the same shape"):
        make_adapter(base, other, RANK, 1)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_broken_adapter_is_named(folders, tmp_path, content):
    shutil.copytree(folders["before"], tmp_path / "recognizer")
    (tmp_path / "recognizer" / ADAPTER_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=f"{ADAPTER_FILE}: expected an adapter"):
        Recognizer.from_pretrained(tmp_path / "recognizer", "cpu")


def test_a_folder_without_one_has_none(tmp_path):
    assert Adapter.load(tmp_path) is None
