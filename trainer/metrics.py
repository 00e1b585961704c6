"""How right readings are. All formulas are compared in their comparable form (latexocr.latex)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from latexocr.errors import TexError
from latexocr.latex import comparable

Interval = tuple[float, float]  # low and high end, percent
N_RESAMPLES = 2000


@dataclass(frozen=True)
class RecognitionScore:
    """Scores over a set of formulas.

    exprate, le1, le2: percent of formulas with 0, at most 1, at most 2 token edits. cer: token
    edits per true token, percent. ci95 of exprate, and le1_ci95, le2_ci95, cer_ci95: bootstrap
    intervals, percent. unparsed: truths that do not parse; they stay in the denominator and are
    compared token by token."""

    n: int
    exprate: float
    le1: float
    le2: float
    cer: float
    ci95: Interval
    le1_ci95: Interval
    le2_ci95: Interval
    cer_ci95: Interval
    unparsed: int


def comparable_tokens(latex: str) -> tuple[list[str], bool]:
    """The tokens that metrics compare, and whether the formula parsed.

    A formula that does not parse is split at white space."""
    try:
        return comparable(latex).split(), True
    except TexError:
        return latex.split(), False


def token_edits(truth: str, reading: str) -> tuple[int, int, bool]:
    """Levenshtein distance in tokens, the truth's length, and whether the truth parsed."""
    true_tokens, parsed = comparable_tokens(truth)
    read_tokens, _ = comparable_tokens(reading)
    return Levenshtein.distance(true_tokens, read_tokens), len(true_tokens), parsed


def score_readings(truths: Sequence[str], readings: Sequence[str]) -> RecognitionScore:
    """Expression rate with its interval, the rates within 1 and 2 edits, and the token error rate.

    ExpRate = formulas without an edit / formulas; CER = sum of edits / sum of true tokens, an edit
    being the insertion, deletion or substitution of one token of the comparable form.
    Source: Mouchere et al., CROHME 2014 (ExpRate and the rates within k errors), on tokens; for the
    token error rate Gervais et al. 2024, arXiv:2404.10690 (MathWriting).
    Raises: ValueError if the lists differ in length or are empty."""
    if len(truths) != len(readings) or not truths:
        raise ValueError(
            "expected as many readings as truths, at least one, "
            f"got {len(readings)} and {len(truths)}"
        )
    rows = [token_edits(truth, reading) for truth, reading in zip(truths, readings, strict=True)]
    edits = np.array([row[0] for row in rows])
    n_tokens = np.array([row[1] for row in rows])
    return RecognitionScore(
        n=len(rows),
        exprate=percent(edits == 0),
        le1=percent(edits <= 1),
        le2=percent(edits <= 2),
        cer=round(100 * float(edits.sum()) / max(int(n_tokens.sum()), 1), 2),
        ci95=bootstrap_interval(edits == 0),
        le1_ci95=bootstrap_interval(edits <= 1),
        le2_ci95=bootstrap_interval(edits <= 2),
        cer_ci95=ratio_interval(edits, n_tokens),
        unparsed=sum(not row[2] for row in rows),
    )


def percent(hits: np.ndarray) -> float:
    return round(100 * float(hits.mean()), 2)


def bootstrap_interval(hits: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Interval:
    """95 % percentile bootstrap interval of the mean of 0/1 outcomes (N,), in percent.

    Source: Efron 1979, doi:10.1214/aos/1176344552. The mean of a resample of N outcomes with k hits
    is binomial(N, k/N)/N, so the resamples need not be drawn one by one."""
    means = np.random.default_rng(seed).binomial(len(hits), hits.mean(), n_resamples) / len(hits)
    return interval_of(100 * means)


def ratio_interval(numerators: np.ndarray, denominators: np.ndarray) -> Interval:
    """95 % percentile bootstrap interval of sum / sum over formulas, (N,) each, in percent."""
    sums = resampled_sums(np.stack([numerators, denominators], axis=1))
    return interval_of(100 * sums[:, 0] / np.maximum(sums[:, 1], 1e-9))


def resampled_sums(rows: np.ndarray, n_resamples: int = N_RESAMPLES, seed: int = 0) -> np.ndarray:
    """Sums of rows (N, K) over resamples of N of them, with replacement: (n_resamples, K)."""
    n = len(rows)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)
    return times.astype(np.float64) @ np.asarray(rows, dtype=np.float64)


def interval_of(values: np.ndarray) -> Interval:
    """The middle 95 % of the values of resamples."""
    low, high = np.percentile(values, [2.5, 97.5])
    return round(float(low), 2), round(float(high), 2)
