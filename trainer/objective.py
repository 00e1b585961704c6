"""What a recogniser is trained to do: predict the next token, say which symbol each cell shows, and
look at the symbol that it is about to write.

The last two need ink that is segmented by symbol. They tell the encoder directly which symbol is
where, and the decoder where to look, which both would otherwise have to find out by themselves; at
inference they are left out.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latexocr.modeling import STRIDE, InkEncoderOutput, RecognizerModel
from latexocr.places import NOWHERE, cells_looked_at, guided
from latexocr.stepping import GUIDED_LAYERS
from trainer.auxiliary import CountingHead, from_the_end

IGNORE = -100  # no label
NO_SYMBOL = -1
PLACE_NOISE = 0.4  # cells, standard deviation
PLACES_WRONG, PLACES_UNKNOWN = 0.04, 0.08  # shares of tokens
LOOKS = 2  # at a picture whose symbols are not marked, to find the places of its tokens


class TensorBatch:
    """What the loop asks of a batch, for dataclasses of tensors with `labels` among them."""

    labels: Tensor

    def to(self, device: torch.device) -> Self:
        return type(self)(**{key: value.to(device) for key, value in vars(self).items()})

    @property
    def n_tokens(self) -> int:
        return int((self.labels != IGNORE).sum())


@dataclass
class Batch(TensorBatch):
    """Pictures of one batch and what they say.

    pixel_values (B, 1, H, W) float32, 0 to 1; picture_sizes (B, 2) int64, pixels; input_ids and
    labels (B, T) int64, labels shifted by one and IGNORE where padded; cells (B, H/8 * W/8) int64,
    the id of the symbol that a cell shows, IGNORE where unknown or blank; cell_symbols (B, H/8 *
    W/8) int64, that symbol's index in its formula, and token_symbols (B, T) int64, the index of the
    symbol that a label writes, both NO_SYMBOL where there is none; places (B, T, 2) float32, where
    each of input_ids stands, in cells, negative where that is not known; place_sources (B, T)
    int64, which of input_ids each takes its place from, negative for none."""

    pixel_values: Tensor
    picture_sizes: Tensor
    input_ids: Tensor
    labels: Tensor
    cells: Tensor
    cell_symbols: Tensor
    token_symbols: Tensor
    places: Tensor
    place_sources: Tensor


@dataclass
class LossSums:
    """Sums over a batch, so that batches can be joined exactly. objective is what is minimised."""

    objective: Tensor
    token_loss: Tensor  # unsmoothed cross-entropy, summed over tokens
    n_right: Tensor  # tokens predicted right, the true ones before them given
    cell_loss: Tensor  # mean over the labelled cells
    attention_loss: Tensor  # mean over the tokens that write a symbol


def token_losses(
    logits: Tensor, labels: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over the tokens of a batch, those with IGNORE left out.

    Args: logits (B, T, V); labels (B, T).
    Returns: the smoothed cross-entropy; the plain one, and the number of tokens predicted right,
        both without gradient."""
    logits, target = logits.float().flatten(0, 1), labels.flatten()  # (B * T, V), (B * T,)
    smoothed = F.cross_entropy(logits, target, label_smoothing=label_smoothing, reduction="sum")
    with torch.no_grad():
        plain = F.cross_entropy(logits, target, reduction="sum")
        n_right = (logits.argmax(dim=1) == target).sum()
    return smoothed, plain, n_right


class TrainingModel(nn.Module):
    """The recogniser with the head of the auxiliary task; its forward pass returns the losses."""

    def __init__(
        self,
        recognizer: RecognizerModel,
        label_smoothing: float,
        cell_loss_weight: float,
        attention_loss_weight: float,
        input_noise: float = 0.0,
        counting_loss_weight: float = 0.0,
        both_directions: bool = False,
        found_places: float = 0.0,
    ) -> None:
        """Args: both_directions, formulas are learnt to be written from their end, too, which
        counts as much; found_places, share of the pictures whose places are known that are told
        those that the model finds instead, as it is when it reads."""
        super().__init__()
        self.recognizer = recognizer
        self.label_smoothing = label_smoothing
        self.cell_loss_weight = cell_loss_weight
        self.attention_loss_weight = attention_loss_weight
        self.input_noise = input_noise
        self.counting_loss_weight = counting_loss_weight
        self.both_directions = both_directions
        self.found_places = found_places
        config = recognizer.config
        width, n_tokens = config.encoder.hidden_size, config.decoder.vocab_size
        self.cell_head = nn.Linear(width, n_tokens)
        self.counting_head = CountingHead(width, n_tokens) if counting_loss_weight else None

    def forward(
        self,
        pixel_values: Tensor,
        picture_sizes: Tensor,
        input_ids: Tensor,
        labels: Tensor,
        cells: Tensor,
        cell_symbols: Tensor,
        token_symbols: Tensor,
        places: Tensor,
        place_sources: Tensor,
    ) -> LossSums:
        """Arguments as in Batch. The places of pictures whose symbols are not marked are those that
        the model itself looks at. The auxiliary losses are means that count as many times as there
        are tokens, so that their weights do not depend on how many cells a batch has."""
        encoded = self.recognizer.encoder(pixel_values, picture_sizes)
        columns = pixel_values.shape[3] // STRIDE
        true_ids = input_ids
        places = self._with_found(places, encoded, input_ids, place_sources, columns)
        if self.training and self.input_noise:
            input_ids = self._disturbed(input_ids, labels)
        if self.training:
            places = misplaced(places)
        out = self.recognizer(
            encoder_outputs=encoded,
            decoder_input_ids=input_ids,
            places=places,
            use_cache=False,
            output_attentions=bool(self.attention_loss_weight),
        )
        smoothed, token_loss, n_right = token_losses(out.logits, labels, self.label_smoothing)
        cell_loss = self._cell_loss(out.encoder_last_hidden_state, cells)
        attention_loss = torch.zeros_like(cell_loss)
        if self.attention_loss_weight:
            layers = out.cross_attentions[-GUIDED_LAYERS:]
            attention_loss = looking_elsewhere(layers, token_symbols, cell_symbols)
        auxiliary = self.cell_loss_weight * cell_loss + self.attention_loss_weight * attention_loss
        if self.counting_head is not None:
            features, mask = encoded.last_hidden_state, encoded.attention_mask
            auxiliary = auxiliary + self.counting_loss_weight * self.counting_head(
                features, mask, labels
            )
        objective = smoothed + auxiliary * (labels != IGNORE).sum()
        if self.both_directions and self.training:
            backwards = self._backwards(encoded, true_ids, labels, token_symbols, cell_symbols)
            objective = (objective + backwards) / 2
        return LossSums(objective, token_loss, n_right, cell_loss.detach(), attention_loss.detach())

    def logits(self, batch: Batch) -> Tensor:
        """Of the next token after each of batch.input_ids, (B, T, V)."""
        encoded = self.recognizer.encoder(batch.pixel_values, batch.picture_sizes)
        columns = batch.pixel_values.shape[3] // STRIDE
        places = self._with_found(
            batch.places, encoded, batch.input_ids, batch.place_sources, columns
        )
        return self.recognizer(
            encoder_outputs=encoded,
            decoder_input_ids=batch.input_ids,
            places=places,
            use_cache=False,
        ).logits

    def _backwards(
        self,
        encoded: InkEncoderOutput,
        input_ids: Tensor,
        labels: Tensor,
        token_symbols: Tensor,
        cell_symbols: Tensor,
    ) -> Tensor:
        """The objective of writing the formulas from their end, the decoder not told its places."""
        padding = self.recognizer.config.pad_token_id
        input_ids, labels, token_symbols = from_the_end(
            input_ids, labels, token_symbols, padding, IGNORE, NO_SYMBOL
        )
        if self.input_noise:
            input_ids = self._disturbed(input_ids, labels)
        out = self.recognizer(
            encoder_outputs=encoded,
            decoder_input_ids=input_ids,
            use_cache=False,
            output_attentions=bool(self.attention_loss_weight),
        )
        smoothed, _, _ = token_losses(out.logits, labels, self.label_smoothing)
        if not self.attention_loss_weight:
            return smoothed
        layers = out.cross_attentions[-GUIDED_LAYERS:]
        elsewhere = looking_elsewhere(layers, token_symbols, cell_symbols)
        return smoothed + self.attention_loss_weight * elsewhere * (labels != IGNORE).sum()

    @torch.no_grad()
    def _with_found(
        self,
        places: Tensor,
        encoded: InkEncoderOutput,
        input_ids: Tensor,
        place_sources: Tensor,
        columns: int,
    ) -> Tensor:
        """places, with those found that are unknown for a whole formula, and of the known ones as
        many as are asked for: the true tokens are given, and the decoder looks for each. At
        inference it finds its places in the same way."""
        wanted = (places[..., 0] < 0).all(dim=1)
        if self.training and self.found_places:
            wanted |= torch.rand(len(places), device=places.device) < self.found_places
        rows = wanted.nonzero()[:, 0]
        if not len(rows):
            return places
        found = torch.full_like(places[rows], NOWHERE[0])
        mask = encoded.attention_mask
        memory = InkEncoderOutput(
            encoded.last_hidden_state[rows].detach(), None if mask is None else mask[rows]
        )
        for _ in range(LOOKS):
            out = self.recognizer(
                encoder_outputs=memory,
                decoder_input_ids=input_ids[rows],
                places=found,
                use_cache=False,
                output_attentions=True,
            )
            # bfloat16 could not tell one cell from the next on the right of a long formula.
            with torch.autocast(places.device.type, enabled=False):
                looked = cells_looked_at(out.cross_attentions[-GUIDED_LAYERS:], columns)
            found = told_places(looked, place_sources[rows])
        return places.index_copy(0, rows, found)

    def _disturbed(self, input_ids: Tensor, labels: Tensor) -> Tensor:
        """Replace some input tokens by others of the batch, start tokens aside: a decoder that
        cannot trust what came before has to look at the picture.

        Source: word dropout as in Bowman et al. 2016, arXiv:1511.06349, section 3.1."""
        written = labels[labels != IGNORE]
        others = written[torch.randint(len(written), input_ids.shape, device=input_ids.device)]
        chosen = torch.rand(input_ids.shape, device=input_ids.device) < self.input_noise
        chosen[:, 0] = False
        return torch.where(chosen, others, input_ids)

    def _cell_loss(self, features: Tensor, cells: Tensor) -> Tensor:
        known = cells != IGNORE
        if not self.cell_loss_weight or not known.any():
            # The head must take part all the same: DDP waits for every parameter's gradient.
            return self.cell_head(features[:, 0]).float().sum() * 0.0
        return F.cross_entropy(self.cell_head(features[known]).float(), cells[known])


def told_places(looked: Tensor, place_sources: Tensor) -> Tensor:
    """The place to tell with each token: (B, T, 2), NOWHERE where it has none.

    Args: looked (B, T, 2), where the decoder looked when each was put in; place_sources as in
        Batch."""
    sources = place_sources[:, :, None]
    # A token's ink is looked at while it is written, which is one step before it is put in.
    seen = looked.gather(1, (sources - 1).clamp_min(0).expand(-1, -1, 2))
    return torch.where(sources < 0, torch.full_like(seen, NOWHERE[0]), seen)


def misplaced(places: Tensor) -> Tensor:
    """Places (B, T, 2) as the decoder will find them by itself: not quite right, some unknown, some
    far off."""
    shape = places.shape[:2]
    noisy = places + PLACE_NOISE * torch.randn_like(places)
    others = torch.randint(shape[1], shape, device=places.device)
    elsewhere = places.gather(1, others[..., None].expand(-1, -1, 2))
    chance = torch.rand(shape, device=places.device)[..., None]
    noisy = torch.where(chance < PLACES_WRONG, elsewhere, noisy)
    known = (places[..., :1] >= 0) & (chance < 1 - PLACES_UNKNOWN)
    return torch.where(known, noisy.clamp_min(0), torch.full_like(places, -1.0))


def looking_elsewhere(
    attentions: tuple[Tensor, ...], token_symbols: Tensor, cell_symbols: Tensor
) -> Tensor:
    """Negative log of the attention that falls on the symbol to be written.

    Only the first half of the heads is guided; the others stay free to look at what is around.
    Args: attentions, one (B, heads, T, N) for each guided layer; token_symbols (B, T); cell_symbols
        (B, N).
    Returns: the mean over layers and over the tokens whose symbol has cells; 0 if there are none.
    Source: Liu et al. 2016, "Neural machine translation with supervised attention",
    arXiv:1609.04186."""
    wanted = token_symbols[:, :, None] == cell_symbols[:, None, :]
    wanted &= token_symbols[:, :, None] != NO_SYMBOL  # (B, T, N)
    known = wanted.any(dim=2)
    if not known.any():
        return attentions[0].new_zeros((), dtype=torch.float32)
    losses = []
    for attention in attentions:
        share = (guided(attention.float()) * wanted).sum(dim=2)[known]
        losses.append(-share.clamp_min(1e-6).log().mean())
    return torch.stack(losses).mean()
