"""Train a recogniser on formulas and their pictures, from random weights or from given ones.

From scratch:  accelerate launch trainer/finetune.py --config trainer/configs/crohme_small.yaml \\
                   --data crohme_train.tar.gz --select crohme_test2013.tar.gz
More formulas: add --formulas "[formulas.tar.gz]" --batches.written_per_epoch "[12000]"
Go on:         the same command; it resumes from the newest checkpoint in runs/NAME
Start from:    add --init latexocr/weights/recognizer
The article's: --config trainer/configs/seed_trocr_large_crohme.yaml --data crohme_train.tar.gz,
               or any TrOCR or BLIP captioner of a folder or the Hub with --model_from
CPU check:     add --loop.max_steps 20 --model.hidden_size 32 --name check
"""

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence, Set
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from latexocr.errors import DataError
from latexocr.language import LanguageModel
from latexocr.latex import canonical
from latexocr.modeling import RecognizerConfig, RecognizerModel, build_model
from latexocr.recognizer import Recognizer
from latexocr.tokenizer import build_tokenizer, default_vocabulary
from trainer.allocator import use_fast_allocator
from trainer.config import ConfigError, parse_config, to_dict
from trainer.data.augment import PictureAugment
from trainer.data.batches import (
    BatchConfig,
    BatchPlan,
    Kind,
    PlannedBatches,
    make_loader,
    rounds,
)
from trainer.data.crohme import symbol_inks
from trainer.data.examples import Example, InkExample, PrintedExample, load_examples
from trainer.data.ink import InkWriter, formula_examples
from trainer.data.pieces import piece_inks
from trainer.data.strokes import Ink, InkAugment
from trainer.data.truths import canonical_truths, truths_of
from trainer.foreign import ForeignTrainee, load_foreign
from trainer.loop import Loop, LoopConfig, make_accelerator, memory_advice
from trainer.low_rank import train_low_rank
from trainer.metrics import score_readings
from trainer.objective import TrainingModel
from trainer.push import check_access, push_final
from trainer.refined import RefinedModel
from trainer.soup import mean_weights
from trainer.trainee import Alterations, Encoded, RecognizerTrainee, Trainee, encode, with_pictures

logger = logging.getLogger(__name__)

MOST_REPEATS = 12  # of an example with a rare token
LARGEST_EXPONENT = 700.0  # of a perplexity that a float can hold


@dataclass(frozen=True)
class FinetuneConfig:
    """A run of fine-tuning."""

    name: str = "finetune"  # of the run's folder
    output: str = "runs"  # where the run's folder is made
    data: str = ""  # what to train on: a folder, an archive or a Hub data set
    labels: str | None = None  # TSV of truths, where the data has none or wrong ones
    part: str | None = None  # train, for data that is split by file name
    select: str | None = None  # what to evaluate on during training
    select_part: str | None = None  # of it, as part is of data
    select_limit: int = 200  # examples of it
    init: str | None = None  # folder or Hub repository of weights to start from
    # Share of the starting weights in the final ones: what was known before is forgotten less.
    init_share: float = 0.0
    # Rank of a change that is trained beside the weights of init, which stay: trainer/adapter.py
    # makes a small file of it. 0: the weights themselves are trained.
    low_rank: int = 0
    low_rank_base: str | None = None  # weights that stay, where they are others than those of init
    # TrOCR or BLIP captioner to train in place of our own model: folder or Hub repository. Its
    # learning rates are a hundred times lower than ours, see trainer/configs/seed_*.yaml.
    model_from: str | None = None
    batch_size: int = 4  # pictures per batch for model_from, whose pictures have one size
    epochs: int = 0  # passes over the data, in place of loop.max_steps; 0: go by that
    seed: int = 0
    n_workers: int = 1  # processes that draw pictures ahead
    label_smoothing: float = 0.1
    cell_loss_weight: float = 0.5
    attention_loss_weight: float = 0.3
    input_noise: float = 0.1  # share of the decoder's input tokens that are replaced
    counting_loss_weight: float = 0.0  # of learning how many of each token a picture shows
    both_directions: bool = False  # formulas are learnt from their end, too
    # Share of the ink whose decoder is told the places that it finds, as when it reads, in place of
    # the middles of its symbols. Those of pictures without ink are always found.
    found_places: float = 0.0
    refinement: bool = False  # of attention, see trainer/refined.py
    augment_ink: bool = True
    augment_pictures: bool = False
    swap_share: float = 0.0  # share of symbols that change places with others of their kind
    formulas: tuple[str, ...] = ()  # lists of LaTeX to write in ink: .txt, folder or .tar.gz
    formulas_limit: int = 120_000  # so many of them, chosen at random
    formulas_tokens: int = 50  # longer ones are left out
    # Data sets, or TSVs of labels, whose formulas are not written unless the data has them too.
    exclude: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()  # files of hand-lettered fonts, for symbols that no one wrote
    symbol_fonts: tuple[str, ...] = ()  # files of other fonts, for the same but plain letters
    # Archives of pictures of printed formulas, PATH or PATH:PART (see trainer/data/examples.py).
    printed: tuple[str, ...] = ()
    # What a model confuses most: examples with any of these tokens are drawn so many times as
    # often, in all kinds but the data itself.
    emphasised: tuple[str, ...] = ()
    emphasised_printed: tuple[str, ...] = ()  # the same for print alone
    emphasis: int = 4
    # Examples with a token that a smaller share of their kind has than this are drawn more often,
    # by the root of how much smaller it is; 0: none. In all kinds but the data itself and print.
    rare_share: float = 0.0
    push_to_hub: str | None = None  # user/name of a repository; final/ is pushed there at the end
    model: RecognizerConfig = field(default_factory=RecognizerConfig)
    batches: BatchConfig = field(default_factory=BatchConfig)
    augment: InkAugment = field(default_factory=InkAugment)
    pictures: PictureAugment = field(default_factory=PictureAugment)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.data:
            raise ValueError("expected --data: a folder, an archive or a Hub data set, got nothing")
        if self.init and self.model_from:
            raise ValueError(
                "expected either init, our own weights, or model_from, "
                f"got {self.init} and {self.model_from}"
            )
        if self.refinement and self.model_from:
            raise ValueError(
                f"refinement is for our own model, but model_from says {self.model_from}"
            )
        if not (0 <= self.init_share < 1 and 0 <= self.found_places <= 1):
            raise ValueError(
                "expected init_share from 0 to below 1 and found_places from 0 to 1, "
                f"got {self.init_share} and {self.found_places}"
            )
        if self.low_rank and (not self.init or self.init_share or self.low_rank < 0):
            raise ValueError(
                "expected low_rank >= 0, and with it --init and no init_share, "
                f"got {self.low_rank}, {self.init} and {self.init_share}"
            )
        if self.batch_size < 1 or self.epochs < 0 or self.emphasis < 1:
            raise ValueError(
                "expected batch_size >= 1, epochs >= 0 and emphasis >= 1, "
                f"got {self.batch_size}, {self.epochs} and {self.emphasis}"
            )
        if not 0 <= self.rare_share < 1:
            raise ValueError(f"expected rare_share from 0 to below 1, got {self.rare_share}")
        unknown = {*self.emphasised, *self.emphasised_printed}.difference(default_vocabulary())
        if unknown:
            raise ValueError(
                f"expected tokens of the vocabulary to emphasise, got {' '.join(sorted(unknown))}"
            )


@dataclass(frozen=True)
class TrainingData:
    """Kinds of examples, formulas as they come first, each encoded."""

    kinds: list[Kind]
    encoded: list[Encoded]

    @property
    def examples(self) -> list[Example]:
        return [example for part in self.encoded for example in part.examples]

    @property
    def token_ids(self) -> list[list[int]]:
        return [ids for part in self.encoded for ids in part.token_ids]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        return [shape for part in self.encoded for shape in part.shapes]


def load_training_data(config: FinetuneConfig, trainee: Trainee) -> TrainingData:
    """Formulas whose truth parses and fits, what their ink is made of, and formulas to write.

    Raises: DataError if there is nothing to read, or nothing of it can be used."""
    formulas = encode(load_examples(config.data, config.labels, config.part), trainee)
    if not formulas.examples:
        name, reason = formulas.left_out[0]
        raise DataError(
            f"{config.data}: expected formulas that the model can write, with pictures, but none "
            f"of {len(formulas.left_out)} can be used; {name}: {reason}"
        )
    inks = [example.ink for example in formulas.examples if isinstance(example, InkExample)]
    data = TrainingData([Kind(formulas.examples)], [formulas])
    often = set(config.emphasised)
    often_printed = often.union(config.emphasised_printed)
    batches = config.batches
    rare = config.rare_share
    for wanted, tokens, rare_share, make in (
        (batches.symbols_per_epoch, often, rare, lambda: map(InkExample, symbol_inks(inks))),
        (batches.pieces_per_epoch, often, rare, lambda: map(InkExample, piece_inks(inks))),
        (batches.written_per_epoch, often, rare, lambda: written_examples(config, inks)),
        (batches.printed_per_epoch, often_printed, 0.0, lambda: printed_examples(config)),
    ):
        if any(wanted):
            encoded = encode(list(make()), trainee)
            data.encoded.append(emphasise(encoded, tokens, config.emphasis, rare_share))
            data.kinds.append(Kind(data.encoded[-1].examples, wanted))
    logger.info("examples of each kind: %s", [len(kind.examples) for kind in data.kinds])
    return data


def emphasise(
    encoded: Encoded, tokens: Set[str], emphasis: int, rare_share: float = 0.0
) -> Encoded:
    """The same, what has one of these tokens `emphasis` times, and what has a rare one as often as
    repeat_factors says, if that is more."""
    if not tokens and not rare_share:
        return encoded
    shown = [set(canonical(example.latex).split()) for example in encoded.examples]
    times = repeat_factors(shown, rare_share)
    times = [
        n if tokens.isdisjoint(some) else max(n, emphasis)
        for n, some in zip(times, shown, strict=True)
    ]
    columns = zip(times, encoded.examples, encoded.token_ids, encoded.shapes, strict=True)
    found = Encoded(left_out=encoded.left_out)
    for n, example, ids, shape in columns:
        found.examples.extend([example] * n)
        found.token_ids.extend([ids] * n)
        found.shapes.extend([shape] * n)
    return found


def repeat_factors(shown: Sequence[Set[str]], rare_share: float) -> list[int]:
    """How often each example is drawn where others are drawn once: by its rarest token.

    Args: shown, the tokens of each; rare_share, of examples, below which a token is rare.
    Source: Gupta et al. 2019, "LVIS", arXiv:1908.03195, appendix B.2, in whole numbers up to
    MOST_REPEATS."""
    counts = Counter(token for some in shown for token in some)
    times = {
        token: round((rare_share * len(shown) / count) ** 0.5) for token, count in counts.items()
    }
    return [
        min(MOST_REPEATS, max(1, max((times[token] for token in some), default=1)))
        for some in shown
    ]


def printed_examples(config: FinetuneConfig) -> list[Example]:
    """Raises: DataError if an archive cannot be read."""
    if not config.printed:
        raise DataError("expected --printed, archives of pictures, for batches.printed_per_epoch")
    found: list[Example] = []
    for source in config.printed:
        where, _, part = source.partition(":")
        found += map(PrintedExample.of, load_examples(where, part=part or None))
    return found


def written_examples(config: FinetuneConfig, donors: list[Ink]) -> list[Example]:
    """Formulas of the lists, to be written by the donors' hands.

    Raises: DataError if a list or a set to exclude cannot be read."""
    own = set(canonical_truths(ink.latex for ink in donors))
    excluded = {latex for path in config.exclude for latex in canonical_truths(truths_of(path))}
    fonts = [[Path(font) for font in some] for some in (config.fonts, config.symbol_fonts)]
    writer = InkWriter(donors, *fonts)
    return formula_examples(
        config.formulas,
        writer,
        config.formulas_tokens,
        limit=config.formulas_limit,
        forbidden=excluded - own,
        seed=config.seed,
    )


def start_trainee(config: FinetuneConfig) -> Trainee:
    """The model to train: given weights, or random ones of the configured shape.

    Raises: ModelError if the weights to start from cannot be loaded."""
    alterations = Alterations(
        config.augment if config.augment_ink else None,
        config.pictures if config.augment_pictures else None,
        config.swap_share,
        config.seed,
    )
    if config.model_from:
        torch.manual_seed(config.seed)  # tokens that are new to the model start from random weights
        foreign = load_foreign(config.model_from)
        return ForeignTrainee(
            foreign, config.label_smoothing, config.batches, config.batch_size, alterations
        )
    model, tokenizer, language = start_model(config)
    if config.low_rank:
        torch.manual_seed(config.seed)
        base = Recognizer.from_pretrained(
            config.low_rank_base or config.init, "cpu", type(model), with_adapter=False
        )
        train_low_rank(model, base.model.state_dict(), config.low_rank)
    objective = TrainingModel(
        model,
        config.label_smoothing,
        config.cell_loss_weight,
        config.attention_loss_weight,
        config.input_noise,
        config.counting_loss_weight,
        config.both_directions,
        config.found_places,
    )
    return RecognizerTrainee(model, tokenizer, objective, config.batches, alterations, language)


def start_model(
    config: FinetuneConfig,
) -> tuple[RecognizerModel, PreTrainedTokenizerFast, LanguageModel | None]:
    """Our own model, its tokenizer, and the language model beside given weights. These keep their
    shape; how much is dropped out is the run's own."""
    kind = RefinedModel if config.refinement else RecognizerModel
    if config.init:
        start = Recognizer.from_pretrained(config.init, "cpu", kind)
        shape = start.model.config
        shape.encoder.dropout = shape.decoder.dropout = config.model.dropout
        model = kind(config=shape)
        model.load_state_dict(start.model.state_dict())
        return model, start.tokenizer, start.language
    torch.manual_seed(config.seed)
    tokenizer = build_tokenizer()
    model = build_model(replace(config.model, vocab_size=len(tokenizer)))
    if config.refinement:
        model = RefinedModel(model.config, model.encoder, model.decoder)
    return model, tokenizer, None


# --- Evaluation --------------------------------------------------------------------------------


class Evaluation:
    """Greedy reading of the selection set, and perplexity per canonical token on it, end tokens
    included; the best weights so far are kept beside the run."""

    def __init__(
        self, config: FinetuneConfig, trainee: Trainee, run_dir: Path, best_exprate: float
    ) -> None:
        """Args: best_exprate, of the run so far."""
        self.trainee, self.run_dir, self.best_exprate = trainee, run_dir, best_exprate
        loaded = load_examples(config.select, part=config.select_part, limit=config.select_limit)
        # A truth that does not parse counts, for the set is what it is; a row without one cannot.
        self.examples = with_pictures([e for e in loaded if e.latex.strip()], trainee)
        if not self.examples:
            raise DataError(f"{config.select}: expected pictures to read, found none")
        self.encoded = encode(self.examples, trainee)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Args: model, the trainee's objective."""
        readings = self.trainee.read(self.examples)
        score = score_readings([example.latex for example in self.examples], readings)
        if score.exprate >= self.best_exprate:
            self.best_exprate = score.exprate
            self.trainee.save(self.run_dir / "best")
        figures = {"exprate": score.exprate, "le1": score.le1, "cer": score.cer}
        return figures | ({"perplexity": self.perplexity(model)} if self.encoded.examples else {})

    @torch.no_grad()
    def perplexity(self, model: nn.Module) -> float:
        """Unsmoothed; whatever the tokenizer, it counts the tokens of canonical LaTeX."""
        device = next(model.parameters()).device
        examples, token_ids = self.encoded.examples, self.encoded.token_ids
        lengths = [len(ids) for ids in token_ids]
        whole = replace(
            self.trainee.batches,
            scale_min=1.0,
            scale_max=1.0,
            curriculum=(),
            max_tokens=max(lengths),
        )
        plan = BatchPlan([Kind(examples)], lengths, self.encoded.shapes, whole, seed=0)
        dataset = self.trainee.dataset(examples, token_ids, is_plain=True)
        loss = 0.0
        for draws in plan.epoch(0):
            batch = self.trainee.collate([dataset[draw] for draw in draws])
            loss += float(model(**vars(batch.to(device))).token_loss)
        n_canonical = sum(len(canonical(example.latex).split()) + 1 for example in examples)
        return math.exp(min(loss / n_canonical, LARGEST_EXPONENT))


# --- The run -----------------------------------------------------------------------------------


def train(
    config: FinetuneConfig,
    start: Callable[[FinetuneConfig], Trainee] = start_trainee,
    load: Callable[[FinetuneConfig, Trainee], TrainingData] = load_training_data,
    evaluation: type[Evaluation] = Evaluation,
) -> Path:
    """Run, or go on with, a training. Returns the folder of the final weights.

    Args: start, load and evaluation, what another kind of training does in its own way.
    Raises: DataError, ModelError or ConfigError for what the user gave; MemoryError with advice;
        PushError if it is to be pushed and cannot be, at once if that can be known."""
    # OpenMP and OpenCV threads do not survive a fork: a worker that needed OpenCV's would wait for
    # ever.
    cv2.setNumThreads(0)
    if config.init_share and not config.init:
        raise ConfigError("expected --init, weights for init_share to keep, got none")
    run_dir = Path(config.output) / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(config.loop, run_dir)
    if config.push_to_hub and accelerator.is_main_process:
        check_access(config.push_to_hub)
    n_processes = accelerator.num_processes
    trainee = start(config)
    # A second copy of a large model is made only where it is needed.
    start_weights = deepcopy(trainee.objective.state_dict()) if config.init_share else {}
    data = load(config, trainee)
    lengths = [len(ids) for ids in data.token_ids]
    plan = BatchPlan(data.kinds, lengths, data.shapes, trainee.batches, config.seed)
    config = replace(
        config, loop=replace(config.loop, max_steps=n_steps(config, plan, n_processes))
    )
    loop = Loop(accelerator, trainee.objective, config.loop)
    # Dropout differs between processes.
    torch.manual_seed(config.seed + accelerator.process_index)
    accelerator.init_trackers("logs")
    if accelerator.is_main_process:
        (run_dir / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")
        write_left_out(data.encoded[0].left_out, run_dir / "left_out.tsv")
    loop.resume()
    batches = PlannedBatches(
        plan, loop.state.epoch, loop.state.position, accelerator.process_index, n_processes
    )
    dataset = trainee.dataset(data.examples, data.token_ids, is_plain=False)
    evaluate = None
    if config.select:
        evaluate = evaluation(config, trainee, run_dir, loop.state.best_exprate)
    with memory_advice(trainee.memory_advice):
        loop.run(
            iter(make_loader(dataset, trainee.collate, batches, config.n_workers)),
            lambda epoch: rounds(len(plan.epoch(epoch)), n_processes) * n_processes,
            evaluate,
        )
    if accelerator.is_main_process:
        trained = accelerator.unwrap_model(loop.model)
        loop.average.copy_to(trained)
        if config.init_share:
            trained.load_state_dict(
                mean_weights(trained.state_dict(), start_weights, config.init_share)
            )
        trainee.save(run_dir / "final")
        if config.push_to_hub:
            push_final(run_dir, config.push_to_hub)
    accelerator.end_training()
    return run_dir / "final"


def n_steps(config: FinetuneConfig, plan: BatchPlan, n_processes: int) -> int:
    """Optimiser updates of the run."""
    if not config.epochs:
        return config.loop.max_steps
    n_rounds = sum(rounds(len(plan.epoch(e)), n_processes) for e in range(config.epochs))
    return max(1, n_rounds // config.loop.accumulate)


def write_left_out(left_out: list[tuple[str, str]], path: Path) -> None:
    """A TSV of names and reasons, so that a user can see to them."""
    if left_out:
        rows = [f"{name}\t{' '.join(reason.split())}\n" for name, reason in left_out]
        path.write_text("".join(["name\treason\n", *rows]), encoding="utf-8")


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(FinetuneConfig, description=__doc__.splitlines()[0])
    train(config)


if __name__ == "__main__":
    main()
