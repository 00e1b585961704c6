r"""CDM, character detection matching: which characters of the typeset truth does a reading have?

Both formulas are drawn; each character of one is matched with a character of the other that is the
same, stands alike in the picture and comes at the same point; matches that do not keep their place
relative to others are dropped. What is left is counted. Unlike edit distances it does not depend on
how LaTeX is written, and unlike the rendered match it says how much of a formula is right.

Source: Wang et al. 2024, arXiv:2409.03643, and the code that comes with UniMERNet. The steps and
costs are theirs. It differs in this, so figures are comparable in size, not to the last digit:
- Characters come from a list of glyphs, not from colours in a picture of pdflatex. Bold and upright
  letters count as plain ones, look-alikes (comparable forms, latexocr.latex) as the same.
- A character may be 0.2 em off its place, not 20 pixels, which are 0.6 em: that would take a
  subscript for a superscript. (A script of three characters and more that is misplaced as a whole
  still counts, with them and with us: for a strict measure take the rendered match.)
- A group of two characters does not vouch for its own places, and one pair of characters is
  compared by shift alone: two points fit any two points.
- It is the same on every run: the groups are not drawn at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from latexocr import latex_tables as tables
from latexocr.render import Glyph
from trainer.drawn_characters import Character, characters
from trainer.metrics import (
    Interval,
    bootstrap_interval,
    comparable_tokens,
    percent,
    ratio_interval,
)
from trainer.rendered import drawn
from trainer.sequence_metrics import paired

_COST_TOKEN, _COST_POSITION, _COST_ORDER = 1.0, 0.05, 0.15
_COST_LOOK_ALIKE = 0.05
_RESIDUAL = 200.0  # 1/1000 em; a script on the line is 260 off
_N_GROUPS = 5  # each moved as a whole, by another word before it, say
_SMALLEST_GROUP = 3  # of all but the first
_SCALES = (0.5, 2.0)  # a group may have become a script, or have ceased to be one


@dataclass(frozen=True)
class CdmScore:
    """cdm: mean over the formulas of F1 = 2 * matched / (true + read characters), percent.

    exprate: ExpRate@CDM, percent of formulas whose F1 is 1. cdm_ci95 and, of exprate, ci95:
    bootstrap intervals, percent.
    undrawn: truths that cannot be drawn; with these, and with readings that cannot be drawn, F1 is
    1 if the comparable tokens are the same and else 0."""

    n: int
    cdm: float
    exprate: float
    cdm_ci95: Interval
    ci95: Interval
    undrawn: int


def score_cdm(truths: Sequence[str], readings: Sequence[str]) -> CdmScore:
    """CDM over a set of formulas.

    Raises: ValueError if the lists differ in length or are empty."""
    drawings = [
        (truth, drawn(truth), reading, drawn(reading))
        for truth, reading in paired(truths, readings)
    ]
    f1 = np.array([_f1(*row) for row in drawings])
    return CdmScore(
        n=len(f1),
        cdm=percent(f1),
        exprate=percent(f1 == 1),
        cdm_ci95=ratio_interval(f1, np.ones(len(f1))),
        ci95=bootstrap_interval(f1 == 1),
        undrawn=sum(true_glyphs is None for _, true_glyphs, _, _ in drawings),
    )


def cdm(truth: str, reading: str) -> float:
    """F1 of the characters of one reading, 0 to 1; see CdmScore."""
    return _f1(truth, drawn(truth), reading, drawn(reading))


def _f1(
    truth: str, true_glyphs: list[Glyph] | None, reading: str, read_glyphs: list[Glyph] | None
) -> float:
    if true_glyphs is None or read_glyphs is None:
        return float(comparable_tokens(truth) == comparable_tokens(reading))
    return character_f1(characters(true_glyphs), characters(read_glyphs))


def character_f1(truth: Sequence[Character], reading: Sequence[Character]) -> float:
    """2 * matched / (true + read characters), 0 to 1; 1 if there are none on either side."""
    if not truth and not reading:
        return 1.0
    if not truth or not reading:
        return 0.0
    costs = _token_costs(truth, reading)
    true_boxes, read_boxes = _boxes(truth), _boxes(reading)
    position = np.abs(_relative(true_boxes)[:, None] - _relative(read_boxes)).mean(axis=2)
    order = np.abs(_order(len(truth))[:, None] - _order(len(reading)))
    true_at, read_at = linear_sum_assignment(
        _COST_TOKEN * costs + _COST_POSITION * position + _COST_ORDER * order
    )
    same = costs[true_at, read_at] < 1
    places = (_centres(true_boxes[true_at[same]]), _centres(read_boxes[read_at[same]]))
    return 2 * int(_in_place(*places).sum()) / (len(truth) + len(reading))


def _token_costs(truth: Sequence[Character], reading: Sequence[Character]) -> np.ndarray:
    """(N, M): 0 for the same token, a little for look-alikes, 1 for others."""
    true, read = ([character.token for character in side] for side in (truth, reading))
    merged = tables.COMPARABLE_SYMBOLS
    same = np.equal.outer(np.array(true), np.array(read))
    alike = np.equal.outer(
        np.array([merged.get(token, token) for token in true]),
        np.array([merged.get(token, token) for token in read]),
    )
    return np.where(same, 0.0, np.where(alike, _COST_LOOK_ALIKE, 1.0))


def _boxes(side: Sequence[Character]) -> np.ndarray:
    return np.array([character.box for character in side])  # (N, 4)


def _relative(boxes: np.ndarray) -> np.ndarray:
    """The boxes (N, 4) in parts of the whole drawing's width and height."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return (boxes - np.tile(low, 2)) / np.tile(np.maximum(high - low, 1), 2)


def _order(length: int) -> np.ndarray:
    return np.arange(length) / length


def _centres(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:]) / 2  # (N, 4) -> (N, 2)


def _in_place(true: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Which of N matched characters keep their place.

    Args: true, read (N, 2), their centres in 1/1000 em.
    Returns: (N,) bool: in the largest group that one shift, with one scale, takes from its places
    in the truth to those in the reading, or in the next largest of those left, and so on."""
    kept = np.zeros(len(true), dtype=bool)
    for n_groups in range(_N_GROUPS):
        rest = np.flatnonzero(~kept)
        if not len(rest):
            break
        group = rest[_largest_group(true[rest], read[rest])]
        if n_groups and len(group) < _SMALLEST_GROUP:
            break
        kept[group] = True
    return kept


def _largest_group(true: np.ndarray, read: np.ndarray) -> np.ndarray:
    """Indices of the most points (N, 2) that one movement brings within _RESIDUAL of `read`.

    Movements tried: each takes one point exactly to its place, either as a shift or with the scale
    that fits a neighbour or a point far away too."""
    first = np.arange(len(true))
    scales = [np.ones(len(true))]
    for step in {1, len(true) // 2} - {0, len(true)}:
        second = np.roll(first, step)
        gaps = [np.linalg.norm(points - points[second], axis=1) for points in (true, read)]
        scales.append(np.clip(gaps[1] / np.maximum(gaps[0], 1), *_SCALES))
    scale = np.stack(scales)[:, :, None]  # (K, N, 1)
    offsets, read_offsets = true - true[:, None], read - read[:, None]  # (N, N, 2)
    distances = np.linalg.norm(scale[..., None] * offsets - read_offsets, axis=3)  # (K, N, N)
    # Measured in the larger of the two sizes, or it would matter which formula is the truth.
    fits = (distances <= _RESIDUAL * np.minimum(scale, 1)).reshape(-1, len(true))
    return np.flatnonzero(fits[fits.sum(axis=1).argmax()])
