"""Measures of the field on sequences of tokens: BLEU-4, normalised edit distance, perplexity.

Papers on printed formulas report the first two. They depend on how LaTeX is cut into tokens and
normalised, so figures of other projects are comparable in size only, not to the last digit.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from latexocr.latex import canonical
from trainer.metrics import (
    Interval,
    comparable_tokens,
    interval_of,
    ratio_interval,
    resampled_sums,
)

BLEU_ORDER = 4  # n-grams of 1 to so many tokens


def paired(truths: Sequence[str], readings: Sequence[str]) -> list[tuple[str, str]]:
    """Each truth with its reading.

    Raises: ValueError if the lists differ in length or are empty."""
    if len(truths) != len(readings) or not truths:
        raise ValueError(
            "expected as many readings as truths, at least one, "
            f"got {len(readings)} and {len(truths)}"
        )
    return list(zip(truths, readings, strict=True))


def bleu(truths: Sequence[str], readings: Sequence[str]) -> float:
    """BLEU-4 of a set of formulas on comparable tokens, percent.

    exp(mean over n = 1..4 of log p_n) * min(1, exp(1 - truth tokens / read tokens)), where p_n is
    the share of the readings' n-grams that their truths have too, each no more often than there.
    Counts are summed over the whole set before they are divided, without smoothing: a set without
    a single common n-gram of four tokens scores 0.
    Raises: ValueError if the lists differ in length or are empty.
    Source: Papineni et al. 2002, doi:10.3115/1073083.1073135, as multi-bleu.perl computes it, which
    im2markup uses (Deng et al. 2017, arXiv:1609.04938)."""
    pairs = [tuple(_tokens(latex) for latex in pair) for pair in paired(truths, readings)]
    return bleu_of_tokens([truth for truth, _ in pairs], [reading for _, reading in pairs])


def bleu_interval(truths: Sequence[str], readings: Sequence[str]) -> Interval:
    """95 % percentile bootstrap interval of bleu over the formulas, percent. Errors as bleu."""
    counts = [_bleu_counts(*map(_tokens, pair)) for pair in paired(truths, readings)]
    return interval_of(_bleu_of_counts(resampled_sums(np.array(counts))))


def bleu_of_tokens(truths: Sequence[Sequence[str]], readings: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of sequences of any tokens, percent; see bleu."""
    pairs = zip(truths, readings, strict=True)
    counts = np.array([_bleu_counts(truth, reading) for truth, reading in pairs])
    return round(float(_bleu_of_counts(counts.sum(axis=0))), 2)


def _bleu_counts(truth: Sequence[str], reading: Sequence[str]) -> list[int]:
    """Of one formula, all that BLEU sums: the n-grams of its reading that the truth has too, n from
    1 to 4; all n-grams of its reading; the tokens of the truth and of the reading."""
    read = [_ngrams(reading, n) for n in range(1, BLEU_ORDER + 1)]
    common = [(grams & _ngrams(truth, n)).total() for n, grams in enumerate(read, start=1)]
    return [*common, *(grams.total() for grams in read), len(truth), len(reading)]


def _bleu_of_counts(counts: np.ndarray) -> np.ndarray:
    """BLEU in percent of sums of _bleu_counts, (..., 10) -> (...)."""
    common, total = counts[..., :BLEU_ORDER], counts[..., BLEU_ORDER : 2 * BLEU_ORDER]
    n_true, n_read = counts[..., -2], counts[..., -1]
    precisions = np.maximum(common, 1) / np.maximum(total, 1)  # those of 0 are seen to below
    brevity = np.minimum(0.0, 1 - n_true / np.maximum(n_read, 1))
    score = 100 * np.exp(brevity + np.log(precisions).mean(axis=-1))
    return np.where((common > 0).all(axis=-1), score, 0.0)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1))


def edit_score(truths: Sequence[str], readings: Sequence[str]) -> float:
    """1 - edits / length of the longer, percent, on comparable tokens; 100 is perfect.

    Edits (insertions, deletions, substitutions) and lengths are summed over the whole set before
    they are divided.
    Raises: ValueError if the lists differ in length or are empty.
    Source: the edit distance score of im2markup (Deng et al. 2017, arXiv:1609.04938)."""
    edits, longest = _edits(truths, readings).sum(axis=0)
    return round(100 * float(1 - edits / longest), 2) if longest else 100.0


def edit_score_interval(truths: Sequence[str], readings: Sequence[str]) -> Interval:
    """95 % percentile bootstrap interval of edit_score, percent. Errors as edit_score."""
    edits, longest = _edits(truths, readings).T
    return ratio_interval(longest - edits, longest)


def _edits(truths: Sequence[str], readings: Sequence[str]) -> np.ndarray:
    """(N, 2): of each formula the edits, and the length of the longer side."""
    rows = []
    for truth, reading in paired(truths, readings):
        true_tokens, read_tokens = _tokens(truth), _tokens(reading)
        longest = max(len(true_tokens), len(read_tokens))
        rows.append((Levenshtein.distance(true_tokens, read_tokens), longest))
    return np.array(rows)


def perplexity(truths: Sequence[str], log_probabilities: Sequence[float]) -> float:
    """How many tokens a model hesitates between, on average: 1 is sure and right.

    exp(- sum of the log probabilities / number of canonical tokens), the end token of each formula
    counted, padding not.
    Args: log_probabilities, for each truth the natural logarithm of the probability that the model
        gives to all of its tokens together, the end token included.
    Raises: ValueError if the lists differ in length or are empty; TexError if a truth does not
        parse, for then a model cannot have given it a probability.
    Source: Jelinek et al. 1977, doi:10.1121/1.2016299."""
    if len(truths) != len(log_probabilities) or not truths:
        raise ValueError(
            "expected a log probability for each truth, at least one, "
            f"got {len(log_probabilities)} and {len(truths)}"
        )
    n_tokens = sum(len(canonical(truth).split()) + 1 for truth in truths)
    return math.exp(-math.fsum(log_probabilities) / n_tokens)


def _tokens(latex: str) -> list[str]:
    return comparable_tokens(latex)[0]
