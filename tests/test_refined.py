"""Attention refinement: one token at a time, it says what it says of a whole formula."""

from dataclasses import replace

import pytest
import torch

from latexocr.decoding import decode
from latexocr.errors import ModelError
from latexocr.grammar import Grammar
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from tests.test_objective import PLAIN
from tests.tiny import tiny_model
from trainer.finetune import FinetuneConfig, start_model
from trainer.objective import TrainingModel
from trainer.refined import RefinedModel, is_refined


def refined_model() -> RefinedModel:
    plain = tiny_model(decoder_layers=3)
    torch.manual_seed(1)
    model = RefinedModel(plain.config, plain.encoder, plain.decoder).eval()
    for refinement in model.refinements:
        torch.nn.init.normal_(refinement.score.weight, std=3.0)
    for layer in model.decoder.model.decoder.layers:
        layer.encoder_attn.q_proj.weight.data.mul_(100)  # or it would look everywhere alike
    return model


@torch.no_grad()
def test_what_comes_later_changes_nothing_and_what_came_before_does():
    model = refined_model()
    pixels, sizes = torch.rand(2, 1, 32, 64), torch.tensor([[32, 64], [32, 48]])
    encoded = model.encoder(pixels, sizes)
    ids, places = torch.tensor([[1, 20, 30, 40], [1, 21, 31, 41]]), torch.full((2, 4, 2), -1.0)
    given = {"encoder_outputs": encoded, "decoder_input_ids": ids, "places": places}
    whole = model(**given, use_cache=False, output_attentions=True)
    steps = model.steps(encoded)
    for t in (slice(0, 1), slice(1, 3), slice(3, 4)):
        logits, attentions = steps.step(ids[:, t], places[:, t])
        assert torch.allclose(logits, whole.logits[:, t], atol=1e-4)
        assert torch.allclose(attentions[-1], whole.cross_attentions[-1][:, :, t])
    for refinement in model.refinements:
        refinement.score.weight.zero_()
    plain = model(**given, use_cache=False, output_attentions=True).cross_attentions[-1]
    refined = whole.cross_attentions[-1]
    assert torch.allclose(plain[:, :, 0], refined[:, :, 0], atol=1e-4)  # nothing was seen before
    assert not torch.allclose(plain[:, :, 2], refined[:, :, 2], atol=0.01)


@torch.no_grad()
def test_candidates_and_pictures_are_followed():
    model, vocabulary = refined_model(), build_tokenizer().get_vocab()
    pixels, sizes = torch.rand(3, 1, 32, 64), torch.tensor([[32, 64], [16, 48], [32, 16]])
    grammar = Grammar(vocabulary, model.config.eos_token_id)
    together = decode(model, pixels, sizes, grammar, 3, 12)
    for i, found in enumerate(together):
        (alone,) = decode(model, pixels[i : i + 1], sizes[i : i + 1], grammar, 3, 12)
        assert [c.token_ids for c in found] == [c.token_ids for c in alone]


def test_it_goes_on_from_plain_weights_as_they_read_and_is_no_plain_one(tmp_path):
    plain_folder, refined_folder = tmp_path / "plain", tmp_path / "refined"
    Recognizer(tiny_model(decoder_layers=2), build_tokenizer(), "cpu").save_pretrained(plain_folder)
    config = FinetuneConfig(data="x", init=str(plain_folder))
    plain, _, _ = start_model(config)
    refined, tokenizer, _ = start_model(replace(config, refinement=True))
    pixels, ids = torch.rand(1, 1, 32, 64), torch.tensor([[1, 20, 30]])
    with torch.no_grad():
        wanted, found = (m.eval()(pixels, ids).logits for m in (plain, refined))
    assert torch.allclose(wanted, found, atol=1e-4)
    assert not any(refinement.score.weight.any() for refinement in refined.refinements)

    Recognizer(refined, tokenizer, "cpu").save_pretrained(refined_folder)
    assert is_refined(str(refined_folder)) and not is_refined(str(plain_folder))
    start_model(replace(config, init=str(refined_folder), refinement=True))
    with pytest.raises(ModelError, match="expected weights of a RecognizerModel, got a Refined"):
        Recognizer.from_pretrained(refined_folder)


def test_all_of_it_is_trained():
    objective = TrainingModel(refined_model().train(), 0.1, 0.5, 0.3)
    objective(**vars(PLAIN)).objective.backward()
    assert [name for name, p in objective.named_parameters() if p.grad is None] == []
