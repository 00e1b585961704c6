"""The decoder step by step, for several candidates of each picture.

The library's cached decoder wants a copy of a picture's keys and values for every candidate, and
reads all of them at every step. Here the candidates of a picture look at the same ones together,
which on large pictures takes half of the time. What comes out is the same.

    steps = model.steps(model.encoder(pixel_values, picture_sizes))
    logits, attentions = steps.step(tokens, places)        # one token in each row, or several
    steps.follow(rows)                                     # which candidates went on
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from transformers.models.trocr.modeling_trocr import TrOCRAttention

    from latexocr.modeling import InkEncoderOutput, RecognizerModel

GUIDED_LAYERS = 2  # of the decoder, counted from its end, whose attention tells the place


class Steps(Protocol):
    """What decoding needs of a model. There is a row for each candidate of each picture, picture
    after picture, as many of one as of another."""

    def step(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Write L tokens in each row, and say what may follow each.

        Args: tokens (R, L), places (R, L, 2) as RecognizerModel.forward.
        Returns: logits (R, L, V) of V tokens, and what the guided layers looked at, each
        (R, heads, L, N) of N cells."""

    def follow(self, rows: Tensor) -> None:
        """Go on with these rows: each new row has the past of the old one of that number."""

    def keep(self, pictures: Tensor) -> None:
        """Forget all pictures but these, and their rows."""


class DecoderSteps:
    """Steps of a RecognizerModel."""

    def __init__(self, model: RecognizerModel, encoded: InkEncoderOutput) -> None:
        self.model, self.decoder = model, model.decoder.model.decoder
        memory = encoded.last_hidden_state
        self.n_pictures, self.n_written = len(memory), 0
        self.own: list[tuple[Tensor, Tensor] | None] = [None] * len(self.decoder.layers)
        # Keys (P, heads, C / heads, N) and values (P, heads, N, C / heads) of the cells.
        self.cells: list[tuple[Tensor, Tensor]] = []
        with self._precision():
            for layer in self.decoder.layers:
                look = layer.encoder_attn
                keys, values = (_heads(part(memory), look) for part in (look.k_proj, look.v_proj))
                self.cells.append((keys.transpose(2, 3).contiguous(), values.contiguous()))
        seen = encoded.attention_mask
        self.hidden: Tensor | None = None  # (P, 1, 1, N), minus infinity where nothing may look
        if seen is not None:
            nothing = torch.zeros(seen.shape, device=memory.device)
            self.hidden = nothing.masked_fill(~seen, -torch.inf)[:, None, None]

    def _precision(self) -> torch.autocast:
        dtype = self.model.products_dtype
        return torch.autocast(self.model.device.type, dtype, enabled=dtype is not None)

    def step(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See Steps."""
        decoder, attentions, n_new = self.decoder, [], tokens.shape[1]
        with self._precision():
            x = self.model.embedded(tokens, places)
            positions = decoder.embed_positions
            start = self.n_written + positions.offset
            x = decoder.layernorm_embedding(x + positions.weight[start : start + n_new])
            for i, layer in enumerate(decoder.layers):
                x = layer.self_attn_layer_norm(x + self._look_back(layer.self_attn, x, i))
                seen, attention = self._look(layer.encoder_attn, x, i)
                x = layer.encoder_attn_layer_norm(x + seen)
                inner = layer.activation_fn(layer.fc1(x))
                x = layer.final_layer_norm(x + layer.fc2(inner))
                attentions.append(attention)
            logits = self.model.decoder.output_projection(x)
        self.n_written += n_new
        return logits, tuple(attentions[-GUIDED_LAYERS:])

    def _look_back(self, own: TrOCRAttention, x: Tensor, layer: int) -> Tensor:
        """Attention to what was written before: (R, L, C) -> (R, L, C)."""
        query, key, value = (_heads(part(x), own) for part in (own.q_proj, own.k_proj, own.v_proj))
        past = self.own[layer]
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        self.own[layer] = key, value
        seen = None  # by the newest token, all of them
        if x.shape[1] > 1:
            seen = torch.ones(x.shape[1], key.shape[2], dtype=torch.bool, device=x.device)
            seen = seen.tril(self.n_written)
        mixed = F.scaled_dot_product_attention(query, key, value, seen, scale=own.scaling)
        return own.out_proj(mixed.transpose(1, 2).flatten(2))

    def _look(self, look: TrOCRAttention, x: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Attention to the cells of a row's picture: (R, L, C) -> (R, L, C), (R, heads, L, N)."""
        keys, values = self.cells[layer]
        query = look.q_proj(x) * look.scaling
        of_pictures = query.view(self.n_pictures, -1, look.num_heads, look.head_dim)
        scores = of_pictures.transpose(1, 2) @ keys  # (P, heads, K * L, N)
        if self.hidden is not None:
            scores = scores + self.hidden
        weights = scores.softmax(dim=-1)
        mixed = (weights @ values).transpose(1, 2).reshape(x.shape)
        looked = weights.unflatten(2, (-1, x.shape[1]))  # (P, heads, K, L, N)
        return look.out_proj(mixed), looked.transpose(1, 2).flatten(0, 1)

    def follow(self, rows: Tensor) -> None:
        """See Steps."""
        self.own = [
            past and (past[0].index_select(0, rows), past[1].index_select(0, rows))
            for past in self.own
        ]

    def keep(self, pictures: Tensor) -> None:
        """See Steps."""
        written = self.own[0]
        if written is not None:
            self.follow(rows_of(pictures, len(written[0]) // self.n_pictures))
        self.cells = [(keys[pictures], values[pictures]) for keys, values in self.cells]
        self.hidden = None if self.hidden is None else self.hidden[pictures]
        self.n_pictures = len(pictures)


def _heads(x: Tensor, attention: TrOCRAttention) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    return x.unflatten(2, (attention.num_heads, attention.head_dim)).transpose(1, 2)


def rows_of(pictures: Tensor, n_each: int) -> Tensor:
    """The rows of pictures that have n_each of them: (P,) -> (P * n_each,)."""
    return (pictures[:, None] * n_each + torch.arange(n_each, device=pictures.device)).flatten()
