r"""Compare weights on several sets: perplexity, expression rate, and what is taken for what.

    python -m trainer.compare --models runs/plain/final runs/altered/final \
        --sets im2latex_validate.tar.gz:select crohme_test2013.tar.gz --limit 300

Weights are those of our recogniser, of a TrOCR or of a BLIP captioner. Perplexity is per token of
canonical LaTeX, unsmoothed, without padding. `script_errors` are superscripts and subscripts
missed, made up or taken for each other, for 100 of the truths. `rarer` is the share, in percent, of
the symbols taken for another one whose place one takes that is rarer in the set: 50 is no leaning.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rapidfuzz.distance import Levenshtein

from trainer.data.examples import PARTS
from trainer.finetune import Evaluation, FinetuneConfig, start_trainee
from trainer.metrics import comparable_tokens, score_readings
from trainer.push_files import foreign_kind
from trainer.refined import is_refined

SCRIPTS = frozenset({"^", "_"})
STRUCTURE = frozenset({"{", "}", "^", "_", "&", r"\\"})
N_SHOWN = 10  # confusions


@dataclass(frozen=True)
class Confusions:
    """Tokens taken for others: the commonest pairs of a true one and one read, with how often; and
    the share of all pairs in which the one read is the rarer, in percent."""

    confused: list[tuple[str, str, int]]
    n_confused: int
    rarer: float


def confusions(truths: Sequence[str], readings: Sequence[str]) -> Confusions:
    """Substitutions of symbols in the shortest ways from truths to readings. Pairs of equally
    common tokens count half."""
    both = zip(truths, readings, strict=True)
    tokens = [(comparable_tokens(truth)[0], comparable_tokens(read)[0]) for truth, read in both]
    common = Counter(token for truth, _ in tokens for token in truth)
    found: Counter[tuple[str, str]] = Counter()
    for truth, reading in tokens:
        for step in Levenshtein.editops(truth, reading):
            if step.tag == "replace":
                pair = truth[step.src_pos], reading[step.dest_pos]
                if not STRUCTURE.intersection(pair):
                    found[pair] += 1
    n = found.total()
    rarer = sum(k * _is_rarer(common[t], common[r]) for (t, r), k in found.items())
    shown = [(true, read, k) for (true, read), k in found.most_common(N_SHOWN)]
    return Confusions(shown, n, round(100 * rarer / n, 1) if n else 50.0)


def _is_rarer(n_true: int, n_read: int) -> float:
    return 0.5 if n_true == n_read else float(n_read < n_true)


def script_errors(truths: Sequence[str], readings: Sequence[str]) -> float:
    """In the shortest ways from truths to readings, for 100 scripts of the truths; 0 if there are
    none."""
    n_true = n_wrong = 0
    for truth, reading in zip(truths, readings, strict=True):
        true, read = comparable_tokens(truth)[0], comparable_tokens(reading)[0]
        n_true += sum(token in SCRIPTS for token in true)
        for step in Levenshtein.editops(true, read):
            lost = step.tag != "insert" and true[step.src_pos] in SCRIPTS
            made = step.tag != "delete" and read[step.dest_pos] in SCRIPTS
            n_wrong += lost or made
    return round(100 * n_wrong / n_true, 1) if n_true else 0.0


def compare(model: str, where: str, limit: int | None, batch_size: int = 16) -> dict[str, Any]:
    """Figures of one model on one set, PATH or PATH:PART.

    Raises: ModelError or DataError if there is no such model or set."""
    source, _, part = where.rpartition(":")
    if part not in PARTS:
        source, part = where, ""
    is_foreign = Path(model).is_dir() and foreign_kind(Path(model)) is not None
    weights: dict[str, Any] = {"model_from" if is_foreign else "init": model}
    weights |= {"refinement": not is_foreign and is_refined(model)}
    chosen = {"select": source, "select_part": part or None, "select_limit": limit}
    trainee = start_trainee(FinetuneConfig(data=source, batch_size=batch_size, **weights, **chosen))
    trainee.objective.eval()
    # No weights are better than infinitely good ones: none are kept.
    evaluation = Evaluation(
        FinetuneConfig(data=source, **weights, **chosen), trainee, Path(), best_exprate=math.inf
    )
    truths = [example.latex for example in evaluation.examples]
    readings = trainee.read(evaluation.examples)
    figures: dict[str, Any] = {"model": model, "set": where}
    figures["parameters"] = sum(p.numel() for p in trainee.objective.parameters())
    if evaluation.encoded.examples:
        figures["perplexity"] = round(evaluation.perplexity(trainee.objective), 4)
    figures |= asdict(score_readings(truths, readings))
    figures["script_errors"] = script_errors(truths, readings)
    return figures | asdict(confusions(truths, readings))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", nargs="+", required=True, help="folders of weights, as training leaves them")
    add("--sets", nargs="+", required=True, help="data sets, PATH or PATH:PART")
    add("--limit", type=int, help="the first so many examples of each")
    add("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    for where in arguments.sets:
        for model in arguments.models:
            print(json.dumps(compare(model, where, arguments.limit)), flush=True)


if __name__ == "__main__":
    main()
