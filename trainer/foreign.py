"""The article's own models, TrOCR and BLIP, as the training loop takes them.

    model = load_foreign("microsoft/trocr-large-handwritten")      # or a folder
    ids = model.token_ids(r"\\frac { a } { 2 }")                     # start and end included
    model.text(ids)                                                 # the same LaTeX again
    model.generate(model.pixel_values([picture]), 200)              # greedy readings

They keep their tokenizer and their picture size. Three things are other than in the article's own
code: pictures are padded and not squashed to that size, padding is no label, and what a tokenizer
cannot write (BLIP's knows no capital letters) is added to it.
"""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from tokenizers import AddedToken
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    AutoConfig,
    BlipForConditionalGeneration,
    BlipProcessor,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
    TrOCRProcessor,
    VisionEncoderDecoderModel,
)

from latexocr.errors import ImageError, ModelError, TexError
from latexocr.latex import canonical
from latexocr.modeling import COARSE_STRIDE
from latexocr.pictures import load_picture
from latexocr.tokenizer import default_vocabulary
from trainer.data.augment import alter, paper
from trainer.data.batches import BatchConfig, Draw
from trainer.data.examples import Example, PictureExample
from trainer.data.strokes import rng_for
from trainer.objective import IGNORE, LossSums, TensorBatch, token_losses
from trainer.trainee import Alterations

logger = logging.getLogger(__name__)

INK_SYMBOL_PX = 40.0  # ink is drawn with symbols of this size before the picture is made to fit
BLANK_RANGE = 16  # of 255: between the darkest and the lightest value of a picture with ink
ENCODERS = ("vit", "deit", "swin")
# Tokenizers that split at punctuation write `\\ frac`; canonical LaTeX has no `\\ ` of its own.
_SPLIT_COMMAND = re.compile(r"\\\s*(\\|[A-Za-z]+|\S)")


class ForeignModel(ABC):
    """A model with its processor, which reads a picture of fixed size and writes LaTeX."""

    model_class: ClassVar[type[PreTrainedModel]]
    processor_class: ClassVar[type[ProcessorMixin]]

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin) -> None:
        self.model, self.processor = model, processor
        self.tokenizer = processor.tokenizer
        self._add_missing_tokens()
        # The library's own has beams and bans on repetition that formulas need.
        self.writer.generation_config = GenerationConfig(
            decoder_start_token_id=self.start_id,
            bos_token_id=self.start_id,
            eos_token_id=self.end_id,
            pad_token_id=self.pad_id,
            do_sample=False,
            num_beams=1,
        )
        for name, parameter in model.named_parameters():
            # Nothing looks at the pooled picture, and DDP waits for every gradient it expects.
            if ".pooler." in name:
                parameter.requires_grad_(False)

    # --- What differs between the families ----------------------------------------------------

    writer: PreTrainedModel  # what generates
    start_id: int
    end_id: int
    pad_id: int
    max_tokens: int  # longest text, start and end included
    picture_size: tuple[int, int]  # height and width in pixels

    @property
    @abstractmethod
    def decoder(self) -> PreTrainedModel:
        """The part that has the token embeddings."""

    @abstractmethod
    def logits(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
        """(B, 3, H, W) and (B, T) -> (B, T, V)."""

    # --- Text ---------------------------------------------------------------------------------

    def token_ids(self, latex: str) -> list[int]:
        """Ids of the canonical form of a formula, start and end included.

        Raises: TexError if it does not parse, is too long, or does not survive the tokenizer."""
        text = canonical(latex)
        ids = [self.start_id, *self._encode(text), self.end_id]
        if len(ids) > self.max_tokens:
            raise TexError(f"expected at most {self.max_tokens} tokens, got {len(ids)}")
        if canonical(self.text(ids)) != text:
            raise TexError(f"expected what the tokenizer can write, got {text!r}")
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """LaTeX of token ids, special tokens left out."""
        written = [i for i in ids if i not in (self.start_id, self.end_id, self.pad_id)]
        text = self.tokenizer.decode(
            written, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return _SPLIT_COMMAND.sub(r"\\\1", text.strip())

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def _add_missing_tokens(self) -> None:
        missing = [t for t in default_vocabulary() if self._as_written(t) != t]
        if not missing:
            return
        logger.info("%d tokens are added to the tokenizer: %s", len(missing), " ".join(missing))
        # A model may have embeddings without a token, as BLIP's of its start: their ids are taken.
        taken = range(len(self.tokenizer), self.decoder.config.vocab_size)
        self.tokenizer.add_tokens([f"<taken_{i}>" for i in taken], special_tokens=True)
        self.tokenizer.add_tokens(
            [AddedToken(t, single_word=True, normalized=False) for t in missing]
        )
        self.decoder.resize_token_embeddings(len(self.tokenizer))

    def _as_written(self, token: str) -> str:
        return "".join(self.text(self._encode(token)).split())

    # --- Pictures -----------------------------------------------------------------------------

    def pixel_values(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """(H, W, 3) uint8 of any sizes -> (B, 3, H, W) float32 as the model expects it."""
        processor = self.processor.image_processor
        fitting = np.stack([fit(picture, *self.picture_size) for picture in pictures])
        values = torch.from_numpy(fitting).permute(0, 3, 1, 2).float()
        if processor.do_rescale:
            values = values * processor.rescale_factor
        if processor.do_normalize:
            mean, std = (
                torch.tensor(v)[:, None, None] for v in (processor.image_mean, processor.image_std)
            )
            values = (values - mean) / std
        return values.contiguous()

    @torch.no_grad()
    def generate(self, pixel_values: Tensor, max_new_tokens: int) -> list[str]:
        """Greedy readings of pictures, (B, 3, H, W) on the model's device."""
        longest = min(max_new_tokens, self.max_tokens - 1)
        ids = self.model.generate(pixel_values=pixel_values, max_new_tokens=longest)
        return [self.text(row) for row in ids.tolist()]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write what load_foreign, and the library's own classes, read."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)


class TrOCR(ForeignModel):
    """A ViT or DeiT that looks, and TrOCR's decoder that writes.

    Source: Li et al. 2021, arXiv:2109.10282."""

    model_class = VisionEncoderDecoderModel
    processor_class = TrOCRProcessor

    def __init__(self, model: VisionEncoderDecoderModel, processor: TrOCRProcessor) -> None:
        config = model.config.decoder
        self.writer = model
        self.picture_size = _sides(model.config.encoder.image_size)
        self.max_tokens = config.max_position_embeddings
        self.start_id = config.decoder_start_token_id
        self.end_id, self.pad_id = config.eos_token_id, config.pad_token_id
        super().__init__(model, processor)

    @property
    def decoder(self) -> PreTrainedModel:
        return self.model.decoder

    def logits(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
        return self.model(
            pixel_values=pixel_values, decoder_input_ids=input_ids, use_cache=False
        ).logits


class Blip(ForeignModel):
    """BLIP's captioner. Source: Li et al. 2022, arXiv:2201.12086."""

    model_class = BlipForConditionalGeneration
    processor_class = BlipProcessor

    def __init__(self, model: BlipForConditionalGeneration, processor: BlipProcessor) -> None:
        config = model.config.text_config
        self.writer = model.text_decoder
        self.picture_size = _sides(model.config.vision_config.image_size)
        self.max_tokens = config.max_position_embeddings
        self.start_id = config.bos_token_id
        self.end_id, self.pad_id = config.sep_token_id, config.pad_token_id
        super().__init__(model, processor)

    @property
    def decoder(self) -> PreTrainedModel:
        return self.model.text_decoder

    def logits(self, pixel_values: Tensor, input_ids: Tensor) -> Tensor:
        seen = self.model.vision_model(pixel_values=pixel_values).last_hidden_state
        return self.model.text_decoder(
            input_ids=input_ids, encoder_hidden_states=seen, use_cache=False
        ).logits


def _sides(image_size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (image_size,) * 2 if isinstance(image_size, int) else image_size
    return height, width


def load_foreign(source: str | Path) -> ForeignModel:
    """A TrOCR or a BLIP captioner of a folder, or of a repository of the Hub.

    Raises: ModelError if there is none."""
    try:
        kind = _kind(AutoConfig.from_pretrained(source))
        if kind is not None:
            model = kind.model_class.from_pretrained(source, dtype=torch.float32)
            return kind(model, kind.processor_class.from_pretrained(source))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"{source}: expected a TrOCR or BLIP checkpoint, got {error}") from error
    raise ModelError(
        f"{source}: expected a TrOCR (VisionEncoderDecoderModel of {' or '.join(ENCODERS)} and "
        "trocr) or a BLIP captioner (BlipForConditionalGeneration), got another model; weights of "
        "our own recogniser are given as --init"
    )


def _kind(config: PreTrainedConfig) -> type[ForeignModel] | None:
    if config.model_type == "vision-encoder-decoder":
        parts = config.encoder.model_type, config.decoder.model_type
        return TrOCR if parts[0] in ENCODERS and parts[1] == "trocr" else None
    is_captioner = Blip.model_class.__name__ in (config.architectures or [])
    return Blip if config.model_type == "blip" and is_captioner else None


def fit(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture, (h, w, 3) uint8, as large as it fits into (height, width, 3), in the middle; its
    aspect ratio is kept, and the rest has the colour of its paper."""
    zoom = min(height / picture.shape[0], width / picture.shape[1])
    h, w = (max(1, round(side * zoom)) for side in picture.shape[:2])
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = paper(picture)
    top, left = (height - h) // 2, (width - w) // 2
    canvas[top : top + h, left : left + w] = cv2.resize(picture, (w, h), interpolation=how)
    return canvas


# --- Training ----------------------------------------------------------------------------------


@dataclass
class ForeignBatch(TensorBatch):
    """pixel_values (B, 3, H, W) float32; input_ids and labels (B, T) int64, labels shifted by one
    and IGNORE where padded."""

    pixel_values: Tensor
    input_ids: Tensor
    labels: Tensor


class ForeignObjective(nn.Module):
    """A foreign model whose forward pass returns the losses; the auxiliary ones are 0."""

    def __init__(self, foreign: ForeignModel, label_smoothing: float) -> None:
        super().__init__()
        self.model = foreign.model
        self.foreign, self.label_smoothing = foreign, label_smoothing

    def forward(self, pixel_values: Tensor, input_ids: Tensor, labels: Tensor) -> LossSums:
        """Arguments as in ForeignBatch."""
        logits = self.foreign.logits(pixel_values, input_ids)
        smoothed, token_loss, n_right = token_losses(logits, labels, self.label_smoothing)
        none = torch.zeros_like(token_loss)
        return LossSums(smoothed, token_loss, n_right, none, none)


class ForeignExamples(Dataset):
    """Draws of examples as pictures (H, W, 3) uint8 and token ids."""

    def __init__(
        self,
        examples: Sequence[Example],
        token_ids: Sequence[list[int]],
        alterations: Alterations,
    ) -> None:
        self.examples, self.token_ids = examples, token_ids
        self.alterations = alterations

    def __getitem__(self, draw: Draw) -> tuple[np.ndarray, list[int]]:
        how = self.alterations
        rng = rng_for(how.seed, draw.epoch, draw.index)
        return rgb_picture(self.examples[draw.index], how, rng), self.token_ids[draw.index]


def rgb_picture(
    example: Example,
    alterations: Alterations | None = None,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """An example's picture, (H, W, 3) uint8, dark on light; ink is drawn.

    Args: rng, for the alterations; these may be None, for a plain picture.
    Raises: ImageError if the picture cannot be read or is blank."""
    how = alterations or Alterations()
    if not isinstance(example, PictureExample):
        drawn = example.sample(INK_SYMBOL_PX, rng if how.ink else None, how.ink)
        return np.repeat(255 - drawn.pixels[..., None], 3, axis=2)
    picture = load_picture(example.picture())
    pixels = np.asarray(picture)
    if np.ptp(pixels) < BLANK_RANGE:
        raise ImageError("no ink found in the picture: expected strokes, got blank paper")
    return alter(picture, how.pictures, rng).pixels if how.pictures else pixels


class ForeignTrainee:
    """A foreign model in training (see trainee.Trainee)."""

    memory_advice = (
        "lower --batch_size and raise --loop.accumulate by as much, or lower --batches.max_tokens"
    )
    max_new_tokens = 200  # of a reading; it takes about two for each token of canonical LaTeX

    def __init__(
        self,
        foreign: ForeignModel,
        label_smoothing: float,
        batches: BatchConfig,
        batch_size: int,
        alterations: Alterations,
    ) -> None:
        """Args: batches, of which only what is not about pictures counts; batch_size, pictures."""
        self.foreign, self.alterations, self.batch_size = foreign, alterations, batch_size
        self.objective = ForeignObjective(foreign, label_smoothing)
        self.batches = replace(
            batches,
            pixel_budget=batch_size * COARSE_STRIDE**2,
            max_examples=batch_size,
            scale_min=1.0,
            scale_max=1.0,
        )

    def token_ids(self, latex: str) -> list[int]:
        return self.foreign.token_ids(latex)

    def shape(self, example: Example) -> tuple[int, int]:
        """The smallest there is for all pictures, which count as one unit of the budget each."""
        if isinstance(example, PictureExample):
            rgb_picture(example)
        return COARSE_STRIDE, COARSE_STRIDE

    def dataset(
        self, examples: Sequence[Example], token_ids: Sequence[list[int]], is_plain: bool
    ) -> ForeignExamples:
        how = Alterations() if is_plain else self.alterations
        return ForeignExamples(examples, token_ids, how)

    def collate(self, samples: Sequence[tuple[np.ndarray, list[int]]]) -> ForeignBatch:
        longest = max(len(ids) for _, ids in samples)
        tokens = torch.full((len(samples), longest), self.foreign.pad_id)
        labels = torch.full((len(samples), longest), IGNORE)
        for i, (_, ids) in enumerate(samples):
            tokens[i, : len(ids)] = labels[i, : len(ids)] = torch.tensor(ids)
        pixel_values = self.foreign.pixel_values([picture for picture, _ in samples])
        return ForeignBatch(pixel_values, tokens[:, :-1], labels[:, 1:])

    def read(self, examples: Sequence[Example]) -> list[str]:
        device = self.foreign.model.device
        readings: list[str] = []
        for start in range(0, len(examples), self.batch_size):
            pictures = [rgb_picture(e) for e in examples[start : start + self.batch_size]]
            values = self.foreign.pixel_values(pictures).to(device)
            readings += self.foreign.generate(values, self.max_new_tokens)
        return readings

    def save(self, folder: Path) -> None:
        self.foreign.save_pretrained(folder)
