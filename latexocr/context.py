"""What the other lines of a page say about a doubtful one.

Whoever writes `x` in one line hardly means `X` in the next, and a step of a calculation repeats
most of the step before. So readings are put in order once more when all lines of a page have been
read: what stands in the other lines, and what followed there, is likelier to come again.

    orders = order_in_context(language, lines)     # of each line's readings, the best first

Source: Kuhn and De Mori 1990, "A cache-based natural language model for speech recognition",
doi:10.1109/34.56193, with longer pasts mixed in as Jelinek and Mercer 1980 do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latexocr.language import LanguageModel

# Of the language model with that knowledge, as in decoding.Prior. It counts for more than while a
# line is read, for it knows more.
WEIGHT, BONUS = 0.35, 1.2
# How much to go by what followed the last 0, 1, 2 and 3 tokens in other lines, beside what is
# expected anyway; half of that where these tokens were seen HALFWAY times.
SHARES = (0.1, 0.15, 0.25, 0.3)
HALFWAY = 2.0
NEGLIGIBLE = 1e-6  # what is left of counts when a line's own are taken out


@dataclass(frozen=True)
class Scored:
    """A reading: its token ids, start and end included, and their log-probability by the picture;
    -inf for one that never came to its end."""

    token_ids: tuple[int, ...]
    log_probability: float


def order_in_context(
    language: LanguageModel, lines: Sequence[Sequence[Scored]]
) -> list[list[tuple[int, float]]]:
    """The readings of each line, the best first, each line in the light of the others.

    Args: lines, the readings of each, at least one of each line.
    Returns: for each line the places of its readings, with the scores that decided, in nats."""
    if not lines:
        return []
    expected = _log_probabilities(language, [one for readings in lines for one in readings])
    of_line = _split(expected, [len(readings) for readings in lines])
    own = []
    for readings, expectations in zip(lines, of_line, strict=True):
        alone = np.array([_score(*both) for both in zip(readings, expectations, strict=True)])
        best = int(np.argmax(alone))
        share = 1.0 if math.isinf(alone[best]) else float(1 / np.exp(alone - alone[best]).sum())
        own.append(_Followers(readings[best].token_ids, share))
    everything = _Followers((), 0.0)
    for followers in own:
        everything.add(followers)
    orders = []
    for readings, expectations, followers in zip(lines, of_line, own, strict=True):
        everything.add(followers, -1)
        scores = [
            _score(reading, everything.adapted(reading.token_ids, expectation))
            for reading, expectation in zip(readings, expectations, strict=True)
        ]
        everything.add(followers)
        orders.append(sorted(enumerate(scores), key=lambda item: -item[1]))
    return orders


def _score(reading: Scored, expectation: np.ndarray) -> float:
    n_written = len(reading.token_ids) - 2
    return reading.log_probability + WEIGHT * (float(expectation.sum()) + BONUS * n_written)


class _Followers:
    """How often which token came after the last few, counted up to some factor."""

    def __init__(self, token_ids: Sequence[int], factor: float) -> None:
        self.counts: Counter[tuple[int, ...]] = Counter()  # of tokens and what follows them
        self.totals: Counter[tuple[int, ...]] = Counter()  # of tokens that something follows
        for end in range(1, len(token_ids)):
            for before in _pasts(token_ids, end):
                self.counts[*before, token_ids[end]] += factor
                self.totals[before] += factor

    def add(self, other: _Followers, sign: int = 1) -> None:
        for mine, its in ((self.counts, other.counts), (self.totals, other.totals)):
            for key, value in its.items():
                mine[key] += sign * value

    def adapted(self, token_ids: Sequence[int], expectation: np.ndarray) -> np.ndarray:
        """Log-probabilities of the tokens after the first, (T - 1,), where they were those of
        expectation without what was counted."""
        chances = np.exp(expectation)
        for end in range(1, len(token_ids)):
            for share, before in zip(SHARES, _pasts(token_ids, end), strict=False):
                total = self.totals[before]
                if total < NEGLIGIBLE:
                    break
                seen = max(0.0, self.counts[*before, token_ids[end]]) / total
                share *= total / (total + HALFWAY)
                chances[end - 1] += share * (seen - chances[end - 1])
        return np.log(chances)


def _pasts(token_ids: Sequence[int], end: int) -> list[tuple[int, ...]]:
    """The last 0, 1 and so on tokens before the one at end."""
    return [tuple(token_ids[end - n : end]) for n in range(min(len(SHARES), end + 1))]


@torch.inference_mode()
def _log_probabilities(language: LanguageModel, readings: Sequence[Scored]) -> list[np.ndarray]:
    """Of the tokens after the first of each reading, (T - 1,) each."""
    longest = max(len(reading.token_ids) for reading in readings)
    ids = torch.zeros(len(readings), longest, dtype=torch.int64)
    for row, reading in enumerate(readings):
        ids[row, : len(reading.token_ids)] = torch.tensor(reading.token_ids)
    ids = ids.to(language.bias.device)
    logits, _ = language(ids[:, :-1])
    likely = logits.float().log_softmax(dim=2).gather(2, ids[:, 1:, None])[..., 0].cpu().numpy()
    rows = zip(likely.astype(float), readings, strict=True)
    return [row[: len(reading.token_ids) - 1] for row, reading in rows]


def _split(rows: Sequence[np.ndarray], sizes: Sequence[int]) -> list[Sequence[np.ndarray]]:
    ends = np.cumsum(sizes)
    return [rows[end - size : end] for size, end in zip(sizes, ends, strict=True)]
