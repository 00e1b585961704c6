"""The recogniser's network: shapes, padding, saving."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import TrOCRForCausalLM

from latexocr.modeling import RecognizerConfig, RecognizerModel, build_model
from tests.tiny import tiny_model

TOKENS = torch.tensor([[1, 20, 30, 40, 50]])


def pictures(*shapes: tuple[int, int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 1, *shape, generator=generator) for shape in shapes]


def padded(singles: list[torch.Tensor], height: int, width: int) -> torch.Tensor:
    batch = torch.zeros(len(singles), 1, height, width)
    for row, single in zip(batch, singles, strict=True):
        row[:, : single.shape[2], : single.shape[3]] = single[0]
    return batch


@torch.no_grad()
def test_a_picture_is_read_the_same_alone_and_padded_in_a_batch():
    model = tiny_model()
    singles = pictures((32, 64), (48, 160), (64, 32))
    sizes = torch.tensor([s.shape[2:] for s in singles])
    alone = torch.cat([model(s, decoder_input_ids=TOKENS).logits for s in singles])
    together = model(
        padded(singles, 64, 160), picture_sizes=sizes, decoder_input_ids=TOKENS.repeat(3, 1)
    ).logits
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)
    assert alone.std(dim=0).max() > 1e-3  # else the pictures did not matter at all


@torch.no_grad()
def test_without_sizes_padding_is_taken_for_paper_and_changes_the_reading():
    model = tiny_model()
    (single,) = pictures((32, 64))
    alone = model(single, decoder_input_ids=TOKENS).logits
    unmasked = model(padded([single], 64, 160), decoder_input_ids=TOKENS).logits
    assert (alone - unmasked).abs().max() > 1e-4


def test_one_feature_per_8_by_8_pixels():
    out = tiny_model().encoder(torch.zeros(2, 1, 48, 80))
    assert out.last_hidden_state.shape == (2, 6 * 10, 32)
    assert out.attention_mask is None


def test_sides_that_are_no_multiple_of_16_are_refused():
    with pytest.raises(ValueError, match="multiples of 16, got 40 x 64"):
        tiny_model().encoder(torch.zeros(1, 1, 40, 64))


@torch.no_grad()
def test_saving_and_loading_changes_nothing(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path, max_shard_size="20kB")
    loaded = RecognizerModel.from_pretrained(tmp_path).eval()
    (single,) = pictures((32, 64))
    before = model(single, decoder_input_ids=TOKENS).logits
    assert torch.equal(before, loaded(single, decoder_input_ids=TOKENS).logits)
    assert loaded.config.encoder.symbol_px == model.config.encoder.symbol_px


def test_the_default_is_a_trocr_decoder_with_tied_embeddings_and_at_most_10_million_parameters():
    model = build_model(RecognizerConfig(vocab_size=573))
    n_parameters = sum(p.numel() for p in model.parameters())
    assert isinstance(model.decoder, TrOCRForCausalLM)
    assert model.decoder.output_projection.weight is model.get_input_embeddings().weight
    assert 3e6 < n_parameters < 10e6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stage_widths": (8, 8)}, "one number for each of the strides"),
        ({"hidden_size": 40, "attention_heads": 8}, "multiple of 4"),
    ],
)
def test_impossible_shapes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RecognizerConfig(vocab_size=10, **changes)


@torch.no_grad()
def test_places_matter_unless_they_are_unknown_or_the_weights_have_none():
    model = tiny_model()
    (single,) = pictures((32, 64))
    nowhere = torch.full((1, 5, 2), -1.0)
    somewhere = torch.rand(1, 5, 2, generator=torch.Generator().manual_seed(0)) * 4

    def logits(places: torch.Tensor | None) -> torch.Tensor:
        return model(single, decoder_input_ids=TOKENS, places=places).logits

    assert torch.equal(logits(None), logits(somewhere))
    torch.nn.init.normal_(model.place.weight, std=0.5)
    assert torch.equal(logits(None), logits(nowhere))
    assert (logits(None) - logits(somewhere)).abs().max() > 1e-3


def test_weights_from_before_there_were_places_are_read_as_they_were(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(
        {k: v for k, v in load_file(file).items() if k != "place.weight"}, file, {"format": "pt"}
    )
    assert not RecognizerModel.from_pretrained(tmp_path).place.weight.any()
