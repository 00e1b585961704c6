r"""What a recogniser has not learnt: how often each token is predicted, given the true ones before.

    python -m trainer.recall --config trainer/configs/mixture.yaml \
        --init latexocr/weights/recognizer --data crohme_train.tar.gz \
        --formulas "[gathered.txt]" --fonts ... \
        --batches.written_per_epoch "[5000]" --batches.printed_per_epoch "[0]" --out recall.json

Settings are those of trainer/finetune.py; what is asked of is the first epoch that such a run would
draw. Tokens come worst first, with what is taken for them: `\lceil` for `[` says what to draw more
often, where a share of 0 means that so far it came too rarely to be learnt at all.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from trainer.allocator import use_fast_allocator
from trainer.config import parse_config
from trainer.data.batches import BatchPlan
from trainer.finetune import FinetuneConfig, load_training_data, start_trainee
from trainer.objective import IGNORE, Batch, TrainingModel

N_MISTAKEN = 3  # that are named of each token


@dataclass(frozen=True)
class RecallConfig(FinetuneConfig):
    """What to ask of a recogniser."""

    out: str | None = None  # JSON file for all tokens
    shown: int = 60  # tokens to print, worst first
    least: int = 10  # times that a token must come to be printed

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model_from:
            raise ValueError(f"expected a recogniser of our own, got model_from {self.model_from}")


@dataclass(frozen=True)
class Recall:
    """How well one token is known.

    n: how often it comes; right: share of these in which it is the likeliest; chance: its mean
    probability; mistaken_for: the commonest of the tokens that were likelier, and how often."""

    token: str
    n: int
    right: float
    chance: float
    mistaken_for: list[tuple[str, int]]


@torch.no_grad()
def recalls(
    objective: TrainingModel, batches: Iterable[Batch], tokens: Sequence[str]
) -> list[Recall]:
    """Of each token that the batches have, worst first. Args: tokens, by their ids."""
    objective.eval()
    device = next(objective.parameters()).device
    taken_for: defaultdict[int, Counter[int]] = defaultdict(Counter)  # of each, the likeliest
    chances: defaultdict[int, float] = defaultdict(float)
    for batch in batches:
        batch = batch.to(device)
        known = batch.labels != IGNORE
        shares = objective.logits(batch).float().softmax(-1)[known]  # (N, V)
        truths, likeliest = batch.labels[known], shares.argmax(-1)
        own = shares.gather(1, truths[:, None])[:, 0]
        for true, found, share in zip(
            truths.tolist(), likeliest.tolist(), own.tolist(), strict=True
        ):
            taken_for[true][found] += 1
            chances[true] += share
    rows = []
    for true, taken in taken_for.items():
        n, right = taken.total(), taken.pop(true, 0)
        mistaken_for = [(tokens[k], times) for k, times in taken.most_common(N_MISTAKEN)]
        rows.append(Recall(tokens[true], n, right / n, chances[true] / n, mistaken_for))
    return sorted(rows, key=lambda row: (row.right, row.chance))


def measure(config: RecallConfig) -> list[Recall]:
    """Raises: DataError or ModelError for data or weights that cannot be read."""
    trainee = start_trainee(config)
    data = load_training_data(config, trainee)
    lengths = [len(ids) for ids in data.token_ids]
    plan = BatchPlan(data.kinds, lengths, data.shapes, trainee.batches, config.seed)
    dataset = trainee.dataset(data.examples, data.token_ids, is_plain=False)
    batches = (trainee.collate([dataset[draw] for draw in draws]) for draws in plan.epoch(0))
    tokens = trainee.tokenizer.convert_ids_to_tokens(range(len(trainee.tokenizer)))
    return recalls(trainee.objective, batches, tokens)


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(RecallConfig, description=__doc__.splitlines()[0])
    found = measure(config)
    for row in [row for row in found if row.n >= config.least][: config.shown]:
        others = ", ".join(f"{token} {times}" for token, times in row.mistaken_for)
        print(f"{row.right:5.2f} {row.chance:5.2f} {row.n:6d}  {row.token:16} {others}")
    if config.out:
        Path(config.out).write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
