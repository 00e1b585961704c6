"""How sure is a reading: from what a search saw to the chance that all of it is right.

A logistic curve over a few features, fitted on the selection set (trainer/calibrate.py) and kept in
the model's config.json: one for greedy readings and one for those of a search, which also knows how
close the next best was. Source: Platt 1999.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from latexocr.recognizer import Decoded

LEAST_PROBABILITY = 1e-6  # of a token: what is less likely says nothing more
FAR = 8.0  # in nats: a reading that is further ahead, or further behind, is no surer


def greedy_features(candidate: Decoded) -> list[float]:
    """What tells right readings from wrong ones, 3: how unlikely all tokens are and how unlikely
    the unlikeliest is, both as the root of the negative log-probability, and the log of how many
    there are. Of a long formula that is as likely as a short one, each token is surer."""
    least = min(candidate.token_probabilities, default=math.exp(candidate.log_probability))
    return [
        math.sqrt(max(0.0, -candidate.log_probability)),
        math.sqrt(-math.log(min(1.0, max(least, LEAST_PROBABILITY)))),
        math.log1p(candidate.n_tokens),
    ]


def search_features(candidate: Decoded) -> list[float]:
    """These, and how far it is ahead of the other candidates, and how much of its score is the
    language model's, per token; 5."""
    lead = 0.0 if candidate.lead is None else candidate.lead
    from_language = candidate.score - candidate.coverage - candidate.log_probability
    prior = from_language / max(1, candidate.n_tokens)
    return [*greedy_features(candidate), max(-FAR, min(lead, FAR)), max(-FAR, min(prior, FAR))]


def confidence_of(config: Any, candidate: Decoded) -> float:
    """From 0 to 1, by the curves of a model's configuration; without them it is the product of the
    tokens' probabilities, which says too little."""
    if candidate.lead is not None and hasattr(config, "search_confidence_weights"):
        weights, offset = config.search_confidence_weights, config.search_confidence_offset
        return logistic(search_features(candidate), weights, offset)
    if hasattr(config, "confidence_weights"):
        weights, offset = config.confidence_weights, config.confidence_offset
        return logistic(greedy_features(candidate), weights, offset)
    return math.exp(candidate.log_probability)


def logistic(features: Sequence[float], weights: Sequence[float], offset: float) -> float:
    """The curve, from 0 to 1, at the weighted sum of the features."""
    value = float(np.dot(weights, features)) + offset
    return float(1 / (1 + np.exp(-np.clip(value, -30, 30))))


def leads(scores: Sequence[float], are_whole: Sequence[bool]) -> list[float]:
    """By how much each score is above the best of the others that came to their end; FAR where
    there are no others."""
    found = []
    for i, score in enumerate(scores):
        others = [s for j, s in enumerate(scores) if j != i and are_whole[j]]
        found.append(score - max(others) if others else FAR)
    return found
