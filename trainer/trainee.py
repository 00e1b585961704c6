"""A model in training, and what only it knows about examples: how it writes LaTeX, how large its
pictures are, what a batch is made of. The rest of a run is the same for all of them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerFast

from latexocr.errors import ImageError, TexError
from latexocr.language import LanguageModel
from latexocr.latex import canonical
from latexocr.modeling import RecognizerModel
from latexocr.recognizer import Recognizer
from trainer.data.augment import PictureAugment
from trainer.data.batches import BatchConfig, DrawnExamples, collate
from trainer.data.examples import Example
from trainer.data.strokes import InkAugment
from trainer.low_rank import merged_state
from trainer.objective import TensorBatch, TrainingModel

logger = logging.getLogger(__name__)

NAMED_LEFT_OUT = 5  # examples that a warning names


@dataclass(frozen=True)
class Alterations:
    """How examples are altered as they are drawn; None and 0 for not at all."""

    ink: InkAugment | None = None
    pictures: PictureAugment | None = None
    swap_share: float = 0.0  # share of a formula's symbols that change places with others
    seed: int = 0


class Trainee(Protocol):
    """objective: its forward pass takes a batch and returns LossSums. batches: how they are made.
    memory_advice: what to lower where memory is too small."""

    objective: nn.Module
    batches: BatchConfig
    memory_advice: str

    def token_ids(self, latex: str) -> list[int]:
        """Ids of a formula, start and end included. Raises: TexError if it cannot be written."""

    def shape(self, example: Example) -> tuple[int, int]:
        """About the height and width of its picture at scale 1, in pixels of
        BatchConfig.pixel_budget. Raises: ImageError if the picture cannot be read."""

    def dataset(
        self, examples: Sequence[Example], token_ids: Sequence[list[int]], is_plain: bool
    ) -> Dataset:
        """Samples by Draw, altered as the run's settings say, or plain."""

    def collate(self, samples: Sequence[Any]) -> TensorBatch:
        """Samples of the data set as a batch."""

    def read(self, examples: Sequence[Example]) -> list[str]:
        """Greedy readings with the present weights."""

    def save(self, folder: Path) -> None:
        """Write the present weights as they are to be used."""


class RecognizerTrainee:
    """Our own recogniser in training."""

    memory_advice = "lower --batches.pixel_budget and raise --loop.accumulate by as much"
    # An untrained model never stops by itself: without the cap evaluation would outlast training.
    max_new_tokens = 80

    def __init__(
        self,
        model: RecognizerModel,
        tokenizer: PreTrainedTokenizerFast,
        objective: TrainingModel,
        batches: BatchConfig,
        alterations: Alterations,
        language: LanguageModel | None = None,
    ) -> None:
        """Args: objective, of this very model; language, to be kept beside the weights: it is
        neither trained nor asked here."""
        self.model, self.tokenizer, self.objective = model, tokenizer, objective
        self.language = language
        self.batches, self.alterations = batches, alterations
        # No method: where workers are not forked, the model would be sent to each of them.
        self.collate = partial(collate, few_shapes=batches.few_shapes)
        self.symbol_px = model.config.encoder.symbol_px

    def token_ids(self, latex: str) -> list[int]:
        text = canonical(latex)
        ids = self.tokenizer(text).input_ids
        longest = self.tokenizer.model_max_length
        if len(ids) > longest:
            raise TexError(f"expected at most {longest} tokens, got {len(ids)}")
        if self.tokenizer.unk_token_id in ids:
            known = self.tokenizer.get_vocab()
            unknown = sorted({token for token in text.split() if token not in known})
            raise TexError(f"expected tokens of the vocabulary, got {' '.join(unknown)}")
        return ids

    def shape(self, example: Example) -> tuple[int, int]:
        return example.expected_shape(self.symbol_px)

    def dataset(
        self, examples: Sequence[Example], token_ids: Sequence[list[int]], is_plain: bool
    ) -> DrawnExamples:
        how = Alterations() if is_plain else self.alterations
        return DrawnExamples(
            examples,
            token_ids,
            self.tokenizer.get_vocab(),
            self.symbol_px,
            how.ink,
            how.seed,
            how.swap_share,
            how.pictures,
        )

    def read(self, examples: Sequence[Example]) -> list[str]:
        recognizer = Recognizer(self.model, self.tokenizer, str(self.model.device))
        size = recognizer.symbol_px
        pictures = [example.sample(size, None, None).pixels for example in examples]
        found = recognizer.decode(pictures, max_new_tokens=self.max_new_tokens)
        return [candidates[0].canonical for candidates in found]

    def save(self, folder: Path) -> None:
        """Write weights as they are shipped: float16, in files below 10 MB."""
        copy = type(self.model)(config=self.model.config)
        copy.load_state_dict(merged_state(self.model))
        Recognizer(copy.half(), self.tokenizer, "cpu", self.language).save_pretrained(folder)


# --- Examples that a trainee can use -----------------------------------------------------------


@dataclass(frozen=True)
class Encoded:
    """Examples, and of each the token ids and about the shape of its picture.

    left_out: examples that cannot be used, by name, and why."""

    examples: list[Example] = field(default_factory=list)
    token_ids: list[list[int]] = field(default_factory=list)
    shapes: list[tuple[int, int]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def encode(examples: Sequence[Example], trainee: Trainee) -> Encoded:
    """Examples without those that the model cannot write or whose picture cannot be read."""
    found = Encoded()
    memory: dict[str, list[int] | TexError] = {}  # symbols repeat a hundred truths many times
    for example in examples:
        if example.latex not in memory:
            memory[example.latex] = _ids_or_error(example.latex, trainee)
        ids = memory[example.latex]
        try:
            if isinstance(ids, TexError):
                raise ids
            shape = trainee.shape(example)
        except (TexError, ImageError) as error:
            found.left_out.append((example.name, str(error)))
            continue
        found.examples.append(example)
        found.token_ids.append(ids)
        found.shapes.append(shape)
    if found.left_out:
        logger.warning(
            "left out %d of %d examples, whose LaTeX or picture cannot be used: %s%s",
            len(found.left_out),
            len(examples),
            ", ".join(name for name, _ in found.left_out[:NAMED_LEFT_OUT]),
            ", ..." if len(found.left_out) > NAMED_LEFT_OUT else "",
        )
    return found


def _ids_or_error(latex: str, trainee: Trainee) -> list[int] | TexError:
    if not latex.strip():
        return TexError("expected LaTeX, got nothing")
    try:
        return trainee.token_ids(latex)
    except TexError as error:
        return error


def with_pictures(examples: Sequence[Example], trainee: Trainee) -> list[Example]:
    """Examples without those whose picture cannot be read, whether or not their LaTeX can."""
    found = []
    for example in examples:
        try:
            trainee.shape(example)
        except ImageError as error:
            logger.warning("left out %s: %s", example.name, error)
            continue
        found.append(example)
    return found
