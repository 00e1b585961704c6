"""Fit a recogniser's confidence: how often is a reading right, given what is known of its
probability?

    python -m trainer.calibrate --model runs/crohme_small/final --data crohme_test2013.tar.gz

Use the set that weights are selected on, never one that figures are reported on. The numbers are
written into the model's config.json, and into that of its int8 twin, which then is what reads: one
curve for greedy readings, and one for those of a search of four beams, which is what the app does.
"""

import argparse
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit, xlogy

from latexocr.confidence import greedy_features, search_features
from latexocr.hub import resolve
from latexocr.quantized import find_twin, load_recognizer
from latexocr.recognizer import Recognizer
from trainer.data.examples import load_examples
from trainer.metrics import token_edits

N_BEAMS = 4  # of the app
# Share of right readings that a wrong truth makes count as wrong: what is expected beforehand, and
# as good as how many right readings that knowledge is.
MISLABELLED, AS_GOOD_AS = 0.02, 50


def fit_logistic(
    features: np.ndarray, right: Sequence[bool], ridge: float = 1e-3
) -> tuple[np.ndarray, float]:
    """Weights and offset of the logistic curve from features (N, K) to the chance of being right.

    Some truths are wrong themselves, so that the surest readings too count as wrong now and then,
    and a plain fit would trust none. How many is found together with the curve, as the likeliest:
    P(counts as right) = (1 - mislabelled) * curve. Targets are smoothed as in Platt 1999,
    "Probabilistic outputs for support vector machines", eq. 5, so that a clean split does not lead
    to infinite slopes.
    Source: Copas 1988, "Binary regression models for contaminated data", J. R. Statist. Soc. B 50.
    Raises: ValueError if there are fewer than ten readings."""
    if len(features) < 10:
        raise ValueError(f"expected at least 10 readings to fit a curve to, got {len(features)}")
    hits = np.asarray(right, dtype=float)
    n_right, n_wrong = hits.sum(), (1 - hits).sum()
    targets = np.where(hits > 0, (n_right + 1) / (n_right + 2), 1 / (n_wrong + 2))
    x = np.column_stack([np.asarray(features, dtype=float), np.ones(len(hits))])  # (N, K + 1)

    def unlikelihood(guess: np.ndarray) -> tuple[float, np.ndarray]:
        weights, mislabelled = guess[:-1], expit(guess[-1])
        curve = expit(np.clip(x @ weights, -30, 30))
        chance = (1 - mislabelled) * curve
        known = xlogy(MISLABELLED, mislabelled) + xlogy(1 - MISLABELLED, 1 - mislabelled)
        seen = xlogy(targets, chance) + xlogy(1 - targets, 1 - chance)
        by_value = (targets - chance) / (1 - chance) * (1 - curve)
        by_share = mislabelled * (chance - targets) / (1 - chance)  # of the logit of mislabelled
        gradient = np.append(
            ridge * weights - x.T @ by_value,
            -by_share.sum() - AS_GOOD_AS * (MISLABELLED - mislabelled),
        )
        return float(ridge / 2 * weights @ weights - seen.sum() - AS_GOOD_AS * known), gradient

    start = np.append(np.zeros(x.shape[1]), logit(MISLABELLED))
    found = minimize(unlikelihood, start, jac=True)
    return found.x[:-2], float(found.x[-2])


def calibrate(
    recognizer: Recognizer, data: str, labels: str | None = None
) -> dict[str, list[float] | float]:
    """Fit both curves to readings of a data set; the model's configuration knows them afterwards.

    Returns: what was set in it."""
    examples = load_examples(data, labels)
    pictures = [example.sample(recognizer.symbol_px, None, None).pixels for example in examples]
    fitted: dict[str, list[float] | float] = {}
    # Greedy first: its curve decides what a search looks at again.
    for name, features, n_beams in (
        ("confidence", greedy_features, 1),
        ("search_confidence", search_features, N_BEAMS),
    ):
        found = [candidates[0] for candidates in recognizer.decode(pictures, n_beams)]
        right = [
            token_edits(example.latex, reading.canonical)[0] == 0
            for example, reading in zip(examples, found, strict=True)
        ]
        weights, offset = fit_logistic(np.array([features(reading) for reading in found]), right)
        fitted[f"{name}_weights"] = [round(float(weight), 4) for weight in weights]
        fitted[f"{name}_offset"] = round(offset, 4)
        for key, value in fitted.items():
            setattr(recognizer.model.config, key, value)
    return fitted


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="folder of the recogniser's weights")
    parser.add_argument("--data", required=True, help="the selection set")
    parser.add_argument("--labels", help="TSV of truths by name")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    folder = arguments.model or resolve(None, "recognizer")
    twin = find_twin(folder)
    fitted = calibrate(load_recognizer(twin or folder), arguments.data, arguments.labels)
    for one in filter(None, (folder, twin)):
        path = one / "config.json"
        config = json.loads(path.read_text(encoding="utf-8")) | fitted
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path}: {fitted}")


if __name__ == "__main__":
    main()
