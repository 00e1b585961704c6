"""Train a recogniser on formulas and their pictures, from random weights or from given ones.

From scratch:  accelerate launch trainer/finetune.py --config trainer/configs/crohme_small.yaml \\
                   --data crohme_train.tar.gz --select crohme_test2013.tar.gz
More formulas: add --formulas "[formulas.tar.gz]" --batches.written_per_epoch "[12000]"
Go on:         the same command; it resumes from the newest checkpoint in runs/NAME
Start from:    add --init latexocr/weights/recognizer
CPU check:     add --loop.max_steps 20 --model.hidden_size 32 --name check
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from latexocr.errors import ModelError, TexError
from latexocr.latex import canonical
from latexocr.modeling import RecognizerConfig, RecognizerModel, build_model
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer
from trainer.allocator import use_fast_allocator
from trainer.config import parse_config, to_dict
from trainer.data.batches import (
    BatchConfig,
    BatchPlan,
    DrawnExamples,
    Kind,
    PlannedBatches,
    make_loader,
    rounds,
)
from trainer.data.crohme import read_labels, symbol_inks
from trainer.data.examples import Example, InkExample, load_examples
from trainer.data.ink import InkWriter, formula_examples
from trainer.data.pieces import piece_inks
from trainer.data.strokes import Ink, InkAugment
from trainer.loop import Loop, LoopConfig, make_accelerator
from trainer.metrics import score_readings
from trainer.objective import TrainingModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetuneConfig:
    """A run of fine-tuning."""

    name: str = "finetune"  # of the run's folder
    output: str = "runs"  # where the run's folder is made
    data: str = ""  # what to train on: a folder, an archive or a Hub data set
    labels: str | None = None  # TSV of truths, where the data has none or wrong ones
    part: str | None = None  # train, for data that is split by file name
    select: str | None = None  # what to evaluate on during training
    select_limit: int = 200  # examples of it
    init: str | None = None  # folder or Hub repository of weights to start from
    seed: int = 0
    n_workers: int = 1  # processes that draw pictures ahead
    label_smoothing: float = 0.1
    cell_loss_weight: float = 0.5
    attention_loss_weight: float = 0.3
    input_noise: float = 0.1  # share of the decoder's input tokens that are replaced
    augment_ink: bool = True
    swap_share: float = 0.0  # share of symbols that change places with others of their kind
    formulas: tuple[str, ...] = ()  # lists of LaTeX to write in ink: .txt, folder or .tar.gz
    formulas_limit: int = 120_000  # so many of them, chosen at random
    formulas_tokens: int = 50  # longer ones are left out
    # Data sets, or TSVs of labels, whose formulas are not written unless the data has them too.
    exclude: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()  # files of hand-lettered fonts, for symbols that no one wrote
    push_to_hub: str | None = None  # repository to push the weights to at the end
    model: RecognizerConfig = field(default_factory=RecognizerConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    augment: InkAugment = field(default_factory=InkAugment)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("expected --data: a folder, an archive or a Hub data set, got nothing")


@dataclass(frozen=True)
class TrainingData:
    """Kinds of examples, formulas as they come first, and the token ids of all of them."""

    kinds: list[Kind]
    token_ids: list[list[int]]

    @property
    def examples(self) -> list[Example]:
        return [example for kind in self.kinds for example in kind.examples]


def load_training_data(config: FinetuneConfig, tokenizer: PreTrainedTokenizerFast) -> TrainingData:
    """Formulas whose truth parses and fits, what their ink is made of, and formulas to write."""
    formulas, token_ids = encode(load_examples(config.data, config.labels, config.part), tokenizer)
    inks = [example.ink for example in formulas if isinstance(example, InkExample)]
    kinds = [Kind(formulas)]
    for wanted, make in (
        (config.batches.symbols_per_epoch, lambda: map(InkExample, symbol_inks(inks))),
        (config.batches.pieces_per_epoch, lambda: map(InkExample, piece_inks(inks))),
        (config.batches.written_per_epoch, lambda: written_examples(config, inks)),
    ):
        if any(wanted):
            examples, ids = encode(list(make()), tokenizer)
            kinds.append(Kind(examples, wanted))
            token_ids = token_ids + ids
    logger.info("examples of each kind: %s", [len(kind.examples) for kind in kinds])
    return TrainingData(kinds, token_ids)


def written_examples(config: FinetuneConfig, donors: list[Ink]) -> list[Example]:
    """Formulas of the lists, to be written by the donors' hands.

    Raises: DataError if a list or a set to exclude cannot be read."""
    own = set(canonical_truths(ink.latex for ink in donors))
    excluded = {latex for path in config.exclude for latex in canonical_truths(truths_of(path))}
    writer = InkWriter(donors, [Path(font) for font in config.fonts])
    return formula_examples(
        config.formulas,
        writer,
        config.formulas_tokens,
        limit=config.formulas_limit,
        forbidden=excluded - own,
        seed=config.seed,
    )


def truths_of(path: str) -> list[str]:
    """The formulas of a data set, or of a TSV of labels."""
    if path.endswith(".tsv"):
        return list(read_labels(Path(path)).values())
    return [example.latex for example in load_examples(path)]


def canonical_truths(truths: Iterable[str]) -> Iterator[str]:
    """Canonical forms of those that parse."""
    for latex in truths:
        with suppress(TexError):
            yield canonical(latex)


def encode(
    examples: list[Example], tokenizer: PreTrainedTokenizerFast
) -> tuple[list[Example], list[list[int]]]:
    """Examples with token ids, without those whose truth the model cannot write."""
    kept: list[Example] = []
    ids: list[list[int]] = []
    memory: dict[str, list[int] | None] = {}  # symbols repeat a hundred truths many times
    for example in examples:
        if example.latex not in memory:
            memory[example.latex] = token_ids(example.latex, tokenizer)
        found = memory[example.latex]
        if found is not None:
            kept.append(example)
            ids.append(found)
    if len(kept) < len(examples):
        logger.warning(
            "left out %d of %d examples: their LaTeX does not parse, is too long, or is not in the "
            "vocabulary",
            len(examples) - len(kept),
            len(examples),
        )
    return kept, ids


def token_ids(latex: str, tokenizer: PreTrainedTokenizerFast) -> list[int] | None:
    try:
        ids = tokenizer(canonical(latex)).input_ids
    except TexError:
        return None
    fits = len(ids) <= tokenizer.model_max_length and tokenizer.unk_token_id not in ids
    return ids if fits else None


def start_model(
    config: FinetuneConfig,
) -> tuple[RecognizerModel, PreTrainedTokenizerFast]:
    """The model to train: given weights, or random ones of the configured shape."""
    if config.init:
        start = Recognizer.from_pretrained(config.init, device="cpu")
        return start.model, start.tokenizer
    torch.manual_seed(config.seed)
    tokenizer = build_tokenizer()
    return build_model(replace(config.model, vocab_size=len(tokenizer))), tokenizer


def make_evaluation(
    config: FinetuneConfig, tokenizer: PreTrainedTokenizerFast, run_dir: Path
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Greedy reading of the selection set; the best weights so far are kept beside the run."""
    if not config.select:
        return None
    examples = load_examples(config.select, limit=config.select_limit)
    best = 0.0

    def evaluate(model: TrainingModel) -> dict[str, float]:
        nonlocal best
        device = str(next(model.parameters()).device)
        recognizer = Recognizer(model.recognizer, tokenizer, device)
        pictures = [example.sample(recognizer.symbol_px, None, None).pixels for example in examples]
        # An untrained model never stops by itself: without the cap this would outlast training.
        found = recognizer.decode(pictures, max_new_tokens=80)
        score = score_readings([e.latex for e in examples], [c[0].canonical for c in found])
        if score.exprate >= best:
            best = score.exprate
            export(recognizer, run_dir / "best")
        return {"exprate": score.exprate, "le1": score.le1, "cer": score.cer}

    return evaluate


def export(recognizer: Recognizer, folder: Path) -> None:
    """Write weights as they are shipped: float16, in files below 10 MB."""
    model = build_like(recognizer.model)
    model.load_state_dict(recognizer.model.state_dict())
    Recognizer(model.half(), recognizer.tokenizer, "cpu").save_pretrained(folder)


def build_like(model: RecognizerModel) -> RecognizerModel:
    return RecognizerModel(config=model.config)


def train(config: FinetuneConfig) -> Path:
    """Run, or go on with, a training. Returns the folder of the final weights.

    Raises: DataError, ModelError or ConfigError for what the user gave."""
    # OpenMP and OpenCV threads do not survive a fork: a worker that needed OpenCV's would wait for
    # ever.
    cv2.setNumThreads(0)
    run_dir = Path(config.output) / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(config.loop, run_dir)
    model, tokenizer = start_model(config)
    data = load_training_data(config, tokenizer)
    if not data.examples:
        raise ModelError(f"{config.data}: no example can be written with the model's vocabulary")
    objective = TrainingModel(
        model,
        config.label_smoothing,
        config.cell_loss_weight,
        config.attention_loss_weight,
        config.input_noise,
    )
    loop = Loop(accelerator, objective, config.loop)
    torch.manual_seed(config.seed + accelerator.process_index)  # dropout differs between processes
    accelerator.init_trackers("logs")
    if accelerator.is_main_process:
        (run_dir / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")
    loop.resume()
    symbol_px = model.config.encoder.symbol_px
    lengths = [len(ids) for ids in data.token_ids]
    plan = BatchPlan(data.kinds, lengths, symbol_px, config.batches, config.seed)
    dataset = DrawnExamples(
        data.examples,
        data.token_ids,
        tokenizer.get_vocab(),
        symbol_px,
        config.augment if config.augment_ink else None,
        config.seed,
        config.swap_share,
    )
    n_processes = accelerator.num_processes
    batches = PlannedBatches(
        plan, loop.state.epoch, loop.state.position, accelerator.process_index, n_processes
    )
    loop.run(
        iter(make_loader(dataset, batches, config.n_workers)),
        lambda epoch: rounds(len(plan.epoch(epoch)), n_processes) * n_processes,
        make_evaluation(config, tokenizer, run_dir),
    )
    if accelerator.is_main_process:
        trained = accelerator.unwrap_model(loop.model)
        loop.average.copy_to(trained)
        export(Recognizer(trained.recognizer, tokenizer), run_dir / "final")
    accelerator.end_training()
    return run_dir / "final"


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(FinetuneConfig, description=__doc__.splitlines()[0])
    train(config)


if __name__ == "__main__":
    main()
