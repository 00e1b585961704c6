"""A small file that makes a recogniser's weights (nearly) those of another run.

python -m trainer.adapter runs/tail/final --base latexocr/weights/recognizer --rank 24 \\
    --out latexocr/weights/recognizer

A run with --low_rank changes nothing that would not fit. Of any other one as much is kept as has
room: the largest singular values of each matrix's change.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latexocr.adapter import ADAPTER_FILE, Adapter, Change
from latexocr.errors import ModelError
from latexocr.modeling import RecognizerModel
from latexocr.recognizer import Recognizer

LARGEST_CODE = 127
VECTOR_STEPS = 8  # to the root mean square of a bias's or a norm's change
EPSILON = 1e-5  # of torch's batch norm
SHORTEST = 4  # sides of a matrix, in ranks
VOCABULARY_RANK = 64  # of the change of the tokens' vectors, each of which may go its own way


def vocabulary_of(model: RecognizerModel) -> Tensor:
    """The tokens' vectors (V, C): an embedding, and the output's matrix."""
    return model.decoder.get_output_embeddings().weight


def ranks_of_changes(model: RecognizerModel, rank: int) -> dict[int, int]:
    """How the changes of a model's matrices and kernels are bounded, by where these lie in memory:
    less than rank where their sides are short. What is not named stays as it is: embeddings of
    positions, and what is too small."""
    vocabulary = vocabulary_of(model).data_ptr()
    tables = {m.weight.data_ptr() for m in model.modules() if isinstance(m, nn.Embedding)}
    found = {}
    for weight in model.parameters():
        place = weight.data_ptr()
        if weight.ndim == 1 or place in tables - {vocabulary}:
            continue
        most = VOCABULARY_RANK if place == vocabulary else rank
        own = min(most, weight.shape[0] // SHORTEST, math.prod(weight.shape[1:]) // SHORTEST)
        if own:
            found[place] = own
    return found


def balanced(change: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best approximation of a matrix (M, N) by a product of (M, R) and (R, N), whose entries
    are of about the same size.

    Source: Eckart and Young 1936, "The approximation of one matrix by another of lower rank"."""
    left, values, right = torch.linalg.svd(change.float(), full_matrices=False)
    roots = values[:rank].sqrt()
    # Unit columns of length M and rows of length N: the longer one has the smaller entries.
    ratio = (change.shape[0] / change.shape[1]) ** 0.25
    return left[:, :rank] * roots * ratio, right[:rank] * roots[:, None] / ratio


def with_statistics_of(
    base: Mapping[str, Tensor], target: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Target, but its batch norms have the base's running means and variances, and other weights
    and biases that come to the same: a variance near 0 could not be told in steps."""
    found = dict(target)
    for name in base:
        norm, _, kind = name.rpartition(".")
        if kind != "running_var":
            continue
        mean, var, weight, bias = (
            f"{norm}.{part}" for part in ("running_mean", "running_var", "weight", "bias")
        )
        if torch.equal(base[mean], target[mean]) and torch.equal(base[var], target[var]):
            continue
        gain = target[weight] / (target[var] + EPSILON).sqrt()
        found[weight] = gain * (base[var] + EPSILON).sqrt()
        found[bias] = target[bias] + gain * (base[mean] - target[mean])
        found[mean], found[var] = base[mean], base[var]
        counter = f"{norm}.num_batches_tracked"
        found[counter] = base[counter]
    return found


def make_adapter(
    base: RecognizerModel, target: RecognizerModel, rank: int, coarseness: float
) -> Adapter:
    """What brings one model's weights near another's, but for embeddings of positions: those stay.

    Args: rank of the matrices' changes; coarseness, the step in root mean squares of what all
        their factors hold: one for all, so that the file is as small as it can be for its error.
    Raises: ModelError if their names or shapes differ."""
    start, end = base.state_dict(), target.state_dict()
    if {k: v.shape for k, v in start.items()} != {k: v.shape for k, v in end.items()}:
        raise ModelError("expected two recognisers of the same shape, got others")
    end = with_statistics_of(start, end)
    ranks = ranks_of_changes(base, rank)
    vectors, factors = {}, {}
    for name, tensor in start.items():
        own_rank = ranks.pop(tensor.data_ptr(), 0)  # once where a matrix has two names
        if torch.equal(tensor, end[name]):
            continue
        change = end[name].float() - tensor.float()
        if tensor.ndim <= 1:
            vectors[name] = change
        elif own_rank:
            factors[name] = balanced(change.flatten(1), own_rank)
    entries = [part.flatten() for pair in factors.values() for part in pair]
    step = _step(torch.cat(entries), coarseness) if entries else 1.0
    changes = {
        name: Change(step, tuple(_codes(part, step) for part in pair))
        for name, pair in factors.items()
    }
    for name, change in vectors.items():
        own_step = _step(change, 1 / VECTOR_STEPS)
        changes[name] = Change(own_step, (_codes(change.flatten(), own_step),))
    return Adapter(changes)


def _step(values: Tensor, coarseness: float) -> float:
    """In root mean squares of the values, or what the largest of them needs."""
    rms = float(values.square().mean().sqrt())
    return max(coarseness * rms, float(values.abs().max()) / LARGEST_CODE)


def _codes(values: Tensor, step: float) -> np.ndarray:
    return (values / step).round().to(torch.int8).numpy()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("model", help="folder or Hub repository of the weights to come near")
    add("--base", required=True, help="folder or Hub repository of the weights to start from")
    add("--rank", type=int, default=24, help="of the change of a matrix")
    add("--coarseness", type=float, default=1.0, help="of the numbers: larger for a smaller file")
    add("--out", type=Path, required=True, help="folder for the adapter, most often the base's own")
    options = parser.parse_args(argv)
    base = Recognizer.from_pretrained(options.base, "cpu", with_adapter=False)
    target = Recognizer.from_pretrained(options.model, "cpu")
    options.out.mkdir(parents=True, exist_ok=True)
    make_adapter(base.model, target.model, options.rank, options.coarseness).save(options.out)
    path = options.out / ADAPTER_FILE
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
