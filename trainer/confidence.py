"""Is the confidence of readings worth anything? Calibration, separation, and a plot of both.

A reading with confidence 0.8 should be right eight times in ten (calibration), and right readings
should have more of it than wrong ones (separation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from scipy.stats import rankdata

from trainer.metrics import bootstrap_interval

N_BINS = 15  # of the calibration error, as in most papers
N_RESAMPLES = 500


@dataclass(frozen=True)
class Bin:
    """Readings whose confidence lies between low and high: how many, their mean confidence, the
    share that is right, from 0 to 1, and its 95 % interval."""

    low: float
    high: float
    n: int
    confidence: float
    right: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class ConfidenceScore:
    """ece: expected calibration error, 0 is perfect. auroc: area under the curve of right against
    wrong, 0.5 is chance and 1 perfect; None where all are right or all wrong. Bootstrap intervals
    of both. mean: mean confidence, to be held against the share that is right."""

    n: int
    mean: float
    right: float
    ece: float
    ece_ci95: tuple[float, float]
    auroc: float | None
    auroc_ci95: tuple[float, float] | None


def score_confidence(confidences: Sequence[float], right: Sequence[bool]) -> ConfidenceScore:
    """Both measures, from 0 to 1.

    Raises: ValueError if the lists differ in length or are empty."""
    if len(confidences) != len(right) or not len(right):
        raise ValueError(
            "expected a confidence for each reading, at least one, "
            f"got {len(confidences)} and {len(right)}"
        )
    sure, hits = np.asarray(confidences, float), np.asarray(right, bool)
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(hits), size=len(hits)) for _ in range(N_RESAMPLES)]
    areas = [auroc(sure[draw], hits[draw]) for draw in draws]
    area = auroc(sure, hits)
    return ConfidenceScore(
        n=len(hits),
        mean=round(float(sure.mean()), 4),
        right=round(float(hits.mean()), 4),
        ece=round(calibration_error(sure, hits), 4),
        ece_ci95=_middle([calibration_error(sure[draw], hits[draw]) for draw in draws]),
        auroc=None if area is None else round(area, 4),
        auroc_ci95=None if area is None else _middle([a for a in areas if a is not None]),
    )


def _middle(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def calibration_error(confidences: np.ndarray, right: np.ndarray, n_bins: int = N_BINS) -> float:
    """Expected calibration error: sum over bins of |share right - mean confidence| * share of the
    readings, from 0 to 1; n_bins of equal width.

    Source: Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599, eq. 3."""
    bins = _bin_numbers(confidences, n_bins)
    gaps = np.bincount(bins, right.astype(float) - confidences, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(confidences))


def auroc(confidences: np.ndarray, right: np.ndarray) -> float | None:
    """The chance that a right reading has more confidence than a wrong one, equal counting half.

    (sum of the ranks of the right ones - R (R + 1) / 2) / (R * W); None if R or W is 0.
    Source: Mann and Whitney 1947; Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747."""
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    if not n_right or not n_wrong:
        return None
    ranks = rankdata(confidences)[right].sum()
    return float((ranks - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def reliability(confidences: Sequence[float], right: Sequence[bool], n_bins: int = 10) -> list[Bin]:
    """Readings by confidence, empty bins left out."""
    sure, hits = np.asarray(confidences, float), np.asarray(right, bool)
    numbers = _bin_numbers(sure, n_bins)
    bins = []
    for number in np.unique(numbers).tolist():
        inside = numbers == number
        low, high = bootstrap_interval(hits[inside])
        bins.append(
            Bin(
                *(number / n_bins, (number + 1) / n_bins, int(inside.sum())),
                *(round(float(values[inside].mean()), 4) for values in (sure, hits)),
                ci95=(low / 100, high / 100),
            )
        )
    return bins


def _bin_numbers(confidences: np.ndarray, n_bins: int) -> np.ndarray:
    return np.minimum((confidences * n_bins).astype(int), n_bins - 1)


# --- The plot -----------------------------------------------------------------------------------

SIDE, MARGIN = 260, 44
STYLE = "font-family:sans-serif;font-size:11px"


def reliability_svg(bins: Sequence[Bin], title: str) -> str:
    """A reliability diagram: share right over mean confidence, with intervals; the area of a dot is
    the number of readings. On the diagonal confidence is what it says."""
    total = max(1, sum(one.n for one in bins))
    marks = [_mark(one, total) for one in bins]
    ticks = [_tick(value) for value in (0, 0.25, 0.5, 0.75, 1)]
    size = SIDE + 2 * MARGIN
    x0, y0, x1, y1 = *_at(0, 0), *_at(1, 1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}"'
            f' height="{size}" style="{STYLE}">',
            f'<rect width="{size}" height="{size}" fill="#fff"/>',
            f'<text x="{size / 2}" y="22" text-anchor="middle">{escape(title)}</text>',
            f'<path d="M{x0} {y0}L{x1} {y1}" stroke="#999" stroke-dasharray="4 3"/>',
            f'<path d="M{x0} {y1}V{y0}H{x1}" stroke="#333" fill="none"/>',
            *ticks,
            *marks,
            f'<text x="{size / 2}" y="{size - 8}" text-anchor="middle">confidence</text>',
            f'<text transform="translate(13 {size / 2}) rotate(-90)" text-anchor="middle">'
            "share that is right</text>",
            "</svg>",
            "",
        ]
    )


def _at(confidence: float, right: float) -> tuple[float, float]:
    return round(MARGIN + SIDE * confidence, 1), round(MARGIN + SIDE * (1 - right), 1)


def _tick(value: float) -> str:
    (x, bottom), (left, y) = _at(value, 0), _at(0, value)
    return (
        f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>'
        f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>'
    )


def _mark(one: Bin, total: int) -> str:
    x, y = _at(one.confidence, one.right)
    low, high = (_at(0, share)[1] for share in one.ci95)
    radius = round(2 + 14 * (one.n / total) ** 0.5, 1)
    return (
        f'<path d="M{x} {low}V{high}" stroke="#3657a7"/>'
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="#3657a7" fill-opacity="0.55">'
        f"<title>{one.n} readings, {one.right:.0%} right</title></circle>"
    )
