"""Train the language model that helps the recogniser where a picture leaves doubts.

Ours:    accelerate launch trainer/language.py --config trainer/configs/language.yaml \\
             --formulas "[formulas.tar.gz, school.txt]" --data crohme_train.tar.gz \\
             --exclude "[crohme_test2013.tar.gz, crohme_labels_2014.tsv, crohme_labels_2016.tsv, \\
             im2latex_validate.tar.gz]" --select crohme_test2013.tar.gz
Go on:   the same command; it resumes from the newest checkpoint in runs/NAME
Use it:  cp runs/language/final/language_model.safetensors latexocr/weights/recognizer/

Then fit the recogniser's confidence again with trainer.calibrate.
"""

import json
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from latexocr.errors import DataError
from latexocr.language import LanguageModel
from latexocr.tokenizer import END, START, build_tokenizer
from trainer.allocator import use_fast_allocator
from trainer.config import parse_config, to_dict
from trainer.data.batches import EpochPlan, PlannedBatches, make_loader, rounds
from trainer.data.ink import TRAINING_LISTS, read_lists, training_form
from trainer.data.truths import canonical_truths, truths_of
from trainer.loop import Loop, LoopConfig, make_accelerator, memory_advice
from trainer.objective import IGNORE, LossSums, TensorBatch, token_losses

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LanguageConfig:
    """A run of training the language model."""

    name: str = "language"  # of the run's folder
    output: str = "runs"  # where the run's folder is made
    formulas: tuple[str, ...] = ()  # lists of LaTeX: .txt, folder or .tar.gz
    data: str | None = None  # a data set whose truths are learned too
    exclude: tuple[str, ...] = ()  # data sets and TSVs of labels whose formulas are left out
    select: str | None = None  # a data set on whose truths perplexity is measured
    per_epoch: int = 30_000  # at most so many formulas of each list, others in each epoch
    max_tokens: int = 80  # longer formulas are left out
    batch_tokens: int = 3000  # of one batch, padding included
    seed: int = 0
    width: int = 192  # of the embeddings
    hidden: int = 384  # of the recurrent layer
    dropout: float = 0.1
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.formulas and not self.data:
            raise ValueError("expected formulas or data to learn from, got neither")
        if self.batch_tokens < self.max_tokens + 1 or self.per_epoch < 1:
            raise ValueError(
                "expected batch_tokens above max_tokens and per_epoch >= 1, "
                f"got {self.batch_tokens}, {self.max_tokens} and {self.per_epoch}"
            )


@dataclass
class TextBatch(TensorBatch):
    """input_ids and labels (B, T) int64, labels shifted by one and IGNORE where padded."""

    input_ids: Tensor
    labels: Tensor


class LanguageObjective(nn.Module):
    """The language model; its forward pass returns the losses of a TextBatch."""

    def __init__(self, language: LanguageModel) -> None:
        super().__init__()
        self.language = language

    def forward(self, input_ids: Tensor, labels: Tensor) -> LossSums:
        logits, _ = self.language(input_ids)
        smoothed, token_loss, n_right = token_losses(logits, labels, label_smoothing=0.0)
        none = torch.zeros_like(token_loss)
        return LossSums(smoothed, token_loss, n_right, none, none)


# --- Data ----------------------------------------------------------------------------------------


def load_texts(config: LanguageConfig, tokenizer: PreTrainedTokenizerFast) -> list[list[list[int]]]:
    """Token ids of the formulas of each list, start and end included.

    Raises: DataError if a list cannot be read, or no formula is left."""
    excluded = {latex for path in config.exclude for latex in canonical_truths(truths_of(path))}
    vocabulary = tokenizer.get_vocab()
    lists = [
        (name, encoded(map(training_form, text.splitlines()), vocabulary, config, excluded))
        for path in config.formulas
        for name, text in read_lists(path, TRAINING_LISTS)
    ]
    if config.data:
        truths = canonical_truths(truths_of(config.data))
        lists.append((config.data, encoded(truths, vocabulary, config, set())))
    logger.info("formulas of each list: %s", {name: len(texts) for name, texts in lists})
    if not any(texts for _, texts in lists):
        raise DataError("expected formulas of the recogniser's vocabulary, found none")
    return [texts for _, texts in lists]


def encoded(
    formulas: Iterable[str | None],
    vocabulary: dict[str, int],
    config: LanguageConfig,
    excluded: set[str],
) -> list[list[int]]:
    """Those that parse, are short enough, and are of the vocabulary."""
    start, end = vocabulary[START], vocabulary[END]
    found = []
    for latex in formulas:
        tokens = (latex or "").split()
        if not 0 < len(tokens) <= config.max_tokens or latex in excluded:
            continue
        if vocabulary.keys() >= set(tokens):
            found.append([start, *(vocabulary[token] for token in tokens), end])
    return found


class TextPlan(EpochPlan):
    """Which formulas each epoch has, in batches of about the same length."""

    def __init__(self, lists: Sequence[Sequence[list[int]]], config: LanguageConfig) -> None:
        self.lengths = np.array([len(text) for texts in lists for text in texts])
        ends = np.cumsum([len(texts) for texts in lists])
        self.ranges = [(end - len(texts), end) for end, texts in zip(ends, lists, strict=True)]
        self.config = config

    def _make_epoch(self, epoch: int) -> list[list[int]]:
        """Numbers of formulas."""
        rng = np.random.default_rng([self.config.seed, epoch])
        chosen = np.concatenate(
            [
                start + rng.permutation(end - start)[: self.config.per_epoch]
                for start, end in self.ranges
            ]
        )
        batches: list[list[int]] = []
        for i in chosen[np.argsort(self.lengths[chosen], kind="stable")]:
            if not batches or (len(batches[-1]) + 1) * self.lengths[i] > self.config.batch_tokens:
                batches.append([])
            batches[-1].append(int(i))
        return [batches[i] for i in rng.permutation(len(batches))]


def collate(texts: Sequence[list[int]]) -> TextBatch:
    """Args: token ids with start and end."""
    longest = max(map(len, texts)) - 1
    inputs = torch.zeros(len(texts), longest, dtype=torch.int64)
    labels = torch.full((len(texts), longest), IGNORE)
    for row, text in enumerate(texts):
        inputs[row, : len(text) - 1] = torch.tensor(text[:-1])
        labels[row, : len(text) - 1] = torch.tensor(text[1:])
    return TextBatch(inputs, labels)


# --- The run -------------------------------------------------------------------------------------


class Evaluation:
    """Perplexity per token, end tokens included, on the truths of a data set."""

    def __init__(self, config: LanguageConfig, vocabulary: dict[str, int]) -> None:
        truths = canonical_truths(truths_of(config.select))
        self.texts = encoded(truths, vocabulary, config, set())
        if not self.texts:
            raise DataError(f"{config.select}: expected truths of the vocabulary, found none")

    @torch.no_grad()
    def __call__(self, model: LanguageObjective) -> dict[str, float]:
        device = next(model.parameters()).device
        loss = n_tokens = 0.0
        for text in self.texts:
            batch = collate([text]).to(device)
            loss += float(model(**vars(batch)).token_loss)
            n_tokens += batch.n_tokens
        return {"perplexity": math.exp(loss / n_tokens)}


def train(config: LanguageConfig) -> Path:
    """Run, or go on with, a training. Returns the folder of the final weights.

    Raises: DataError or ConfigError for what the user gave; MemoryError with advice."""
    run_dir = Path(config.output) / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(config.loop, run_dir)
    tokenizer = build_tokenizer()
    lists = load_texts(config, tokenizer)
    torch.manual_seed(config.seed)
    language = LanguageModel(len(tokenizer), config.width, config.hidden, config.dropout)
    loop = Loop(accelerator, LanguageObjective(language), config.loop)
    torch.manual_seed(config.seed + accelerator.process_index)  # dropout differs between processes
    accelerator.init_trackers("logs")
    if accelerator.is_main_process:
        (run_dir / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")
    evaluate = Evaluation(config, tokenizer.get_vocab()) if config.select else None
    loop.resume()
    plan, n_processes = TextPlan(lists, config), accelerator.num_processes
    batches = PlannedBatches(
        plan, loop.state.epoch, loop.state.position, accelerator.process_index, n_processes
    )
    texts = [text for one in lists for text in one]
    with memory_advice("lower --batch_tokens and raise --loop.accumulate by as much"):
        loop.run(
            iter(make_loader(texts, collate, batches, n_workers=0)),
            lambda epoch: rounds(len(plan.epoch(epoch)), n_processes) * n_processes,
            evaluate,
        )
    if accelerator.is_main_process:
        trained = accelerator.unwrap_model(loop.model)
        loop.average.copy_to(trained)
        (run_dir / "final").mkdir(exist_ok=True)
        trained.language.save(run_dir / "final")
    accelerator.end_training()
    return run_dir / "final"


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(parse_config(LanguageConfig, description=__doc__.splitlines()[0]))


if __name__ == "__main__":
    main()
