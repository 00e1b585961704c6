"""Losses on cases that can be worked by hand."""

import math

import pytest
import torch

from latexocr.modeling import STRIDE
from latexocr.places import looked_at
from latexocr.stepping import GUIDED_LAYERS
from latexocr.tokenizer import build_tokenizer
from tests.tiny import tiny_model
from trainer.auxiliary import CountingHead, from_the_end
from trainer.data.batches import place_sources
from trainer.objective import (
    IGNORE,
    NO_SYMBOL,
    Batch,
    TrainingModel,
    looking_elsewhere,
    misplaced,
)


def batch(cells: list[int], token_symbols: list[int]) -> Batch:
    """One blank picture of 2 x 4 cells and three tokens."""
    return Batch(
        torch.zeros(1, 1, 16, 32),
        torch.tensor([[16, 32]]),
        torch.tensor([[1, 20, 30]]),
        torch.tensor([[20, 30, 2]]),
        torch.tensor([cells]),
        torch.tensor([[0, 0, 1, 1, 0, 0, 1, 1]]),
        torch.tensor([token_symbols]),
        torch.full((1, 3, 2), -1.0),
        torch.tensor([[-1, 1, 2]]),
    )


PLAIN = batch([IGNORE] * 8, [NO_SYMBOL] * 3)


@torch.no_grad()
def test_without_auxiliary_losses_the_objective_is_the_summed_cross_entropy():
    objective = TrainingModel(tiny_model(), 0.0, 0.5, 0.3)
    losses = objective(**vars(PLAIN))
    logits = objective.recognizer(
        PLAIN.pixel_values, PLAIN.input_ids, picture_sizes=PLAIN.picture_sizes
    ).logits
    wanted = torch.nn.functional.cross_entropy(logits[0], PLAIN.labels[0], reduction="sum")
    assert float(losses.objective) == pytest.approx(float(wanted), rel=1e-5)
    assert float(losses.token_loss) == pytest.approx(float(wanted), rel=1e-5)


@torch.no_grad()
def test_auxiliary_losses_are_added_once_per_token_with_their_weights():
    full = batch([20, 20, 30, 30, 20, 20, 30, 30], [0, 1, NO_SYMBOL])
    model = tiny_model()
    objective = TrainingModel(model, 0.0, 0.5, 0.3)
    losses = objective(**vars(full))
    auxiliary = 0.5 * losses.cell_loss + 0.3 * losses.attention_loss
    wanted = losses.token_loss + 3 * auxiliary
    assert float(losses.objective) == pytest.approx(float(wanted), rel=1e-5)
    assert float(losses.cell_loss) > 0
    assert float(losses.attention_loss) > 0


def test_every_parameter_takes_part_even_without_segmented_ink():
    objective = TrainingModel(tiny_model().train(), 0.1, 0.5, 0.3)
    objective(**vars(PLAIN)).objective.backward()
    unused = [name for name, p in objective.named_parameters() if p.grad is None]
    assert unused == []


def test_everything_can_be_learnt_at_once():
    objective = TrainingModel(
        tiny_model().train(), 0.1, 0.5, 0.3, counting_loss_weight=1.0, both_directions=True
    )
    full = batch([20, 20, 30, 30, 20, 20, 30, 30], [0, 1, NO_SYMBOL])
    objective(**vars(full)).objective.backward()
    unused = [name for name, p in objective.named_parameters() if p.grad is None]
    assert unused == []


def test_formulas_are_turned_round():
    found = from_the_end(
        torch.tensor([[1, 20, 30], [1, 20, 0]]),
        torch.tensor([[20, 30, 2], [20, 2, IGNORE]]),
        torch.tensor([[0, 1, NO_SYMBOL], [0, NO_SYMBOL, NO_SYMBOL]]),
        0,
        IGNORE,
        NO_SYMBOL,
    )
    inputs, targets, symbols = (tensor.tolist() for tensor in found)
    assert inputs == [[2, 30, 20], [2, 20, 0]]
    assert targets == [[30, 20, 1], [20, 1, IGNORE]]
    assert symbols == [[1, 0, NO_SYMBOL], [0, NO_SYMBOL, NO_SYMBOL]]


@torch.no_grad()
def test_tokens_are_counted_over_the_cells_of_a_picture():
    head = CountingHead(2, 3)
    head.share.weight.copy_(torch.tensor([[60.0, 0.0], [0.0, 60.0], [0.0, 0.0]]))
    head.share.bias.fill_(-30.0)
    cells = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]])
    right = torch.tensor([[0, 0, 1, IGNORE]])
    own = torch.tensor([[True, True, True, False]])  # the last cell is another picture's padding
    assert float(head(cells, own, right)) == pytest.approx(0.0, abs=1e-6)
    assert float(head(cells, None, right)) == pytest.approx(0.5 / 3)  # one too many of one
    wrong = torch.tensor([[2, 2, 2, 2]])  # four of one missing, two and one of others too many
    assert float(head(cells, own, wrong)) == pytest.approx((3.5 + 1.5 + 0.5) / 4)


@pytest.mark.parametrize(
    ("attention", "token_symbol", "wanted"),
    [
        pytest.param([1.0, 0, 0, 0], 0, 0.0, id="all on the symbol"),
        pytest.param([0.25] * 4, 0, math.log(2), id="evenly: half on its two cells"),
        pytest.param([0, 0, 0.5, 0.5], 0, -math.log(1e-6), id="all elsewhere"),
        pytest.param([0.25] * 4, 7, 0.0, id="a symbol without cells does not count"),
        pytest.param([0.25] * 4, NO_SYMBOL, 0.0, id="a brace looks where it likes"),
    ],
)
def test_looking_elsewhere(attention, token_symbol, wanted):
    guided = torch.tensor(attention).view(1, 1, 1, 4)
    free = torch.tensor([0.0, 0, 0, 1]).view(1, 1, 1, 4)  # the other half of the heads
    loss = looking_elsewhere(
        (torch.cat([guided, free], dim=1),),
        torch.tensor([[token_symbol]]),
        torch.tensor([[0, 0, 1, NO_SYMBOL]]),
    )
    assert float(loss) == pytest.approx(wanted, abs=1e-5)


def test_places_are_disturbed_a_little_and_stay_unknown_where_they_are():
    torch.manual_seed(0)
    places = torch.full((4, 200, 2), 30.0)
    places[:, ::2] = -1.0
    found = misplaced(places)
    assert (found[:, ::2] == -1).all()
    told = found[:, 1::2]
    is_known = (told >= 0).all(dim=-1)
    assert 0.85 < is_known.float().mean() < 0.97  # some are withheld
    off = (told[is_known] - 30).abs()
    assert 0 < off.median() < 1
    assert off.max() > 20  # and a few are somewhere else


@torch.no_grad()
def test_places_that_nobody_marked_are_found_as_reading_finds_them():
    model = tiny_model(seed=3).eval()
    torch.nn.init.normal_(model.place.weight, std=0.3)
    for layer in model.decoder.model.decoder.layers:
        layer.encoder_attn.q_proj.weight.mul_(100)  # or it would look everywhere alike
    vocabulary = build_tokenizer().get_vocab()
    tokens = [vocabulary[token] for token in ("<s>", "x", "{", "y")]
    ids, sources = torch.tensor([tokens]), torch.tensor([place_sources(tokens, vocabulary)])
    pixels, sizes = torch.rand(1, 1, 32, 64), torch.tensor([[32, 64]])
    encoded = model.encoder(pixels, sizes)
    told = torch.full((1, 4, 2), -1.0)
    for step in (0, 2):  # the brace has no ink, and stands where the x does
        out = model(
            encoder_outputs=encoded,
            decoder_input_ids=ids[:, : step + 1],
            places=told[:, : step + 1],
            use_cache=False,
            output_attentions=True,
        )
        told[0, step + 1 :] = looked_at(out.cross_attentions[-GUIDED_LAYERS:], 64 // STRIDE)
    objective = TrainingModel(model, 0.0, 0.5, 0.3)
    found = objective._with_found(torch.full((1, 4, 2), -1.0), encoded, ids, sources, 64 // STRIDE)
    assert torch.allclose(found, told, atol=1e-4)
    assert not torch.allclose(found[0, 1], found[0, 3], atol=0.01)


@torch.no_grad()
def test_places_that_are_marked_stay():
    objective = TrainingModel(tiny_model(), 0.0, 0.5, 0.3)
    places = torch.tensor([[[-1.0, -1.0], [1.0, 2.0], [-1.0, -1.0]]])
    encoded = objective.recognizer.encoder(PLAIN.pixel_values, PLAIN.picture_sizes)
    found = objective._with_found(places, encoded, PLAIN.input_ids, PLAIN.place_sources, 4)
    assert torch.equal(found, places)


@torch.no_grad()
@pytest.mark.parametrize(("share", "is_told"), [(0.0, True), (1.0, False)])
def test_ink_can_be_learnt_with_the_places_that_reading_would_find(share, is_told):
    """Where the marks are matters only to a decoder that is told them."""
    model = tiny_model(dropout=0.0)
    torch.nn.init.normal_(model.place.weight, std=0.3)
    objective = TrainingModel(model, 0.0, 0.0, 0.0, found_places=share).train()
    losses = []
    for column in (1.0, 3.0):
        torch.manual_seed(0)
        marked = vars(PLAIN) | {"places": torch.tensor([[[-1.0, -1.0], [1.0, column], [1.0, 2.0]]])}
        losses.append(float(objective(**marked).token_loss))
    assert (abs(losses[0] - losses[1]) > 1e-4) is is_told
