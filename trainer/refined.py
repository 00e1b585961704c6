"""A decoder that is told what it has looked at so far, to compare with: attention refinement.

Only what trains and compares reads with it, for which a formula is written from the beginning at
each step.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig

from latexocr.errors import ModelError
from latexocr.modeling import STRIDE, InkEncoderOutput, RecognizerModel
from latexocr.stepping import GUIDED_LAYERS, rows_of

WIDTH, REACH = 32, 5  # channels, and cells that the refinement sees at once


class Refinement(nn.Module):
    """What is taken off a layer's attention scores, from where the layer before has looked."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(heads, WIDTH, REACH, padding=REACH // 2)
        self.score = nn.Conv2d(WIDTH, 1, 1, bias=False)
        nn.init.zeros_(self.score.weight)  # so that given weights go on as they read

    def forward(self, attention: Tensor, columns: int) -> Tensor:
        """Args: attention (B, heads, T, N) of N cells. Returns: (B, 1, T, N)."""
        b, heads, t, n = attention.shape
        before = attention.cumsum(dim=2) - attention  # all steps but the present one
        grids = before.transpose(1, 2).reshape(b * t, heads, n // columns, columns)
        return self.score(F.relu(self.spread(grids))).view(b, 1, t, n)


class RefinedModel(RecognizerModel):
    """A RecognizerModel whose layers from the second on look away from what has been read.

    Source: Zhao and Gao 2022 (CoMER), arXiv:2207.04410, section 3.3; with the attention of the
    layer before only, and one refinement for all heads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        layers = self.decoder.model.decoder.layers
        heads = self.config.decoder.decoder_attention_heads
        self.refinements = nn.ModuleList(Refinement(heads) for _ in layers[1:])
        self._columns, self._looked = 0, torch.empty(0)
        self.encoder.register_forward_pre_hook(self._note_columns)
        for number, layer in enumerate(layers):
            refinement = self.refinements[number - 1] if number else None

            def refine(
                module: nn.Module,
                args: tuple,
                kwargs: dict,
                refinement: nn.Module | None = refinement,
            ) -> tuple[tuple, dict]:
                kwargs = kwargs | {"output_attentions": True}
                if refinement is not None:
                    mask, taken = kwargs["attention_mask"], refinement(self._looked, self._columns)
                    kwargs["attention_mask"] = -taken if mask is None else mask - taken
                return args, kwargs

            layer.encoder_attn.register_forward_pre_hook(refine, with_kwargs=True)
            layer.encoder_attn.register_forward_hook(self._note_looked)

    def _init_weights(self, module: nn.Module) -> None:
        if any(module is refinement.score for refinement in self.refinements):
            nn.init.zeros_(module.weight)
        else:
            super()._init_weights(module)

    def _note_columns(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self._columns = args[0].shape[-1] // STRIDE

    def _note_looked(self, module: nn.Module, args: tuple, output: tuple) -> None:
        self._looked = output[1]

    def steps(self, encoded: InkEncoderOutput) -> "RefinedSteps":
        return RefinedSteps(self, encoded)


class RefinedSteps:
    """Steps (see stepping.Steps) of a RefinedModel."""

    def __init__(self, model: RefinedModel, encoded: InkEncoderOutput) -> None:
        self.model, self.encoded = model, encoded
        self.tokens: Tensor | None = None  # (R, T)
        self.places: Tensor | None = None  # (R, T, 2)

    def step(self, tokens: Tensor, places: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        n_new = tokens.shape[1]
        if self.tokens is not None:
            tokens = torch.cat([self.tokens, tokens], dim=1)
            places = torch.cat([self.places, places], dim=1)
        self.tokens, self.places = tokens, places
        memory, mask = self.encoded.last_hidden_state, self.encoded.attention_mask
        n_each = len(tokens) // len(memory)
        out = self.model(
            encoder_outputs=InkEncoderOutput(
                memory.repeat_interleave(n_each, dim=0),
                None if mask is None else mask.repeat_interleave(n_each, dim=0),
            ),
            decoder_input_ids=tokens,
            places=places,
            use_cache=False,
            output_attentions=True,
        )
        looked = out.cross_attentions[-GUIDED_LAYERS:]
        return out.logits[:, -n_new:], tuple(attention[:, :, -n_new:] for attention in looked)

    def follow(self, rows: Tensor) -> None:
        self.tokens, self.places = self.tokens[rows], self.places[rows]

    def keep(self, pictures: Tensor) -> None:
        memory, mask = self.encoded.last_hidden_state, self.encoded.attention_mask
        if self.tokens is not None:
            self.follow(rows_of(pictures, len(self.tokens) // len(memory)))
        self.encoded = InkEncoderOutput(memory[pictures], None if mask is None else mask[pictures])


def is_refined(source: str) -> bool:
    """Whether the weights of a folder or a Hub repository are those of a RefinedModel.

    Raises: ModelError if there is no configuration."""
    try:
        config = AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise ModelError(f"{source}: expected a recogniser's folder, got {error}") from error
    return RefinedModel.__name__ in (config.architectures or ())
