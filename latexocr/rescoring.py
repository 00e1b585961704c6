"""Is it mathematics? What is read in a box tells more than how it looks.

A word taken for mathematics reads as letters in a row, none of which is sure; an equation has
relations, and symbols that are. So those of a detector's candidates that are not OBVIOUS are begun
to be read, and a logistic curve over its score and what was read gives each the score that counts.
The curve belongs to the detector and lies in its config.json; trainer/rescore.py fits it on
generated pages.

    candidates = detector.detect(page, score_min=candidates_from(detector.config))
    scores = rescored(detector.config, [one.score for one in candidates], readings)
    equations = [one for one, score in zip(candidates, scores) if score >= ACCEPTED]
"""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from latexocr import latex_tables as tables
from latexocr.confidence import logistic

if TYPE_CHECKING:
    from latexocr.detection_model import DetectorConfig
    from latexocr.recognizer import Decoded

CANDIDATE_MIN = 0.45  # of the detector's score: lower ones are too rarely equations to be read
OBVIOUS = 0.85  # what the detector is so sure of need not be read: it is mathematics nearly always
ACCEPTED = 0.5  # chance from which on a candidate counts as an equation
MAX_TOKENS = 48  # of a candidate's reading: enough to tell
FEATURES = (
    *("detector's score", "tokens' probability", "relation", "letters in a row"),
    *("only digits", "one token", "two tokens"),
)

_SCORE_LIMITS = 0.01, 0.995  # beyond, a score says no more
_LETTERS = frozenset(string.ascii_letters)
_RELATIONS = frozenset(tables.RELATIONS)


def candidates_from(config: DetectorConfig) -> float | None:
    """The detector's score from which on boxes are candidates; None, the config's own, for a
    detector without a curve."""
    return CANDIDATE_MIN if config.rescore_weights else None


def reading_features(score: float, reading: Decoded) -> list[float]:
    """FEATURES of a candidate. Args: score, the detector's; reading, the best, of one token or
    more up to MAX_TOKENS."""
    tokens = reading.canonical.split()
    low, high = _SCORE_LIMITS
    clipped = min(max(score, low), high)
    return [
        math.log(clipped / (1 - clipped)),
        math.sqrt(max(0.0, -reading.log_probability) / max(1, reading.n_tokens)),
        float(not _RELATIONS.isdisjoint(tokens)),
        math.log1p(_longest_run(tokens)),
        float(bool(tokens) and all(token.isdigit() for token in tokens)),
        float(len(tokens) <= 1),
        float(len(tokens) == 2),
    ]


def rescored(
    config: DetectorConfig, scores: Sequence[float], readings: Sequence[Decoded]
) -> list[float]:
    """How likely each candidate is an equation, 0 to 1. Arguments as reading_features, for each."""
    return [
        logistic(reading_features(*both), config.rescore_weights, config.rescore_offset)
        for both in zip(scores, readings, strict=True)
    ]


def _longest_run(tokens: Sequence[str]) -> int:
    """Of letters that follow on each other."""
    longest = run = 0
    for token in tokens:
        run = run + 1 if token in _LETTERS else 0
        longest = max(longest, run)
    return longest
