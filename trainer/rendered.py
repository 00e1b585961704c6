r"""Rendered match: do a reading and its truth look the same when they are typeset?

`a \over b` and `\frac{a}{b}` do, `x_1^2` and `x^2_1` do, `\phi` and `\varphi` do not. It asks what
a user asks, and is the measure that people mean when they call two pieces of LaTeX the same; how it
is written does not count.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from latexocr.errors import RenderError, TexError
from latexocr.latex import pretty
from latexocr.render import Box, Glyph, glyphs
from trainer.metrics import Interval, bootstrap_interval, comparable_tokens, percent
from trainer.sequence_metrics import paired

# 1/1000 em. Brackets that grow stand 12 lower and 10 closer than plain ones; the smallest shift
# that says something, of a script by one level, is above 100.
TOLERANCE = 25.0


@dataclass(frozen=True)
class RenderedScore:
    """match: percent of formulas that look like their truths, with ci95, its bootstrap interval.

    undrawn: truths, undrawn_readings: readings that cannot be drawn. These formulas stay in the
    denominator and match if their comparable tokens are the same."""

    n: int
    match: float
    ci95: Interval
    undrawn: int
    undrawn_readings: int


def drawn(latex: str) -> list[Glyph] | None:
    """The glyphs of a formula in its pretty form, or None if it cannot be drawn.

    Spaces, sizes and upright letters are left out: handwriting has none of them."""
    found = _drawn(latex)
    return None if found is None else list(found)


@lru_cache(maxsize=4096)  # a set's truths and readings are drawn once for all metrics
def _drawn(latex: str) -> tuple[Glyph, ...] | None:
    try:
        return tuple(glyphs(pretty(latex)))
    except (TexError, RenderError):
        return None


def same_glyphs(
    left: Sequence[Glyph], right: Sequence[Glyph], tolerance: float = TOLERANCE
) -> bool:
    """Whether two drawings show the same glyphs at the same places.

    Args: tolerance, by how much each side of each box may differ, in 1/1000 em, once the top left
    corners of both drawings lie on each other.
    Source: the idea of Deng et al. 2017, arXiv:1609.04938, section 5 (exact match of rendered
    pictures, columns compared with a tolerance), on glyphs instead of pixels."""
    if len(left) != len(right):
        return False
    unmatched: dict[str, list[np.ndarray]] = defaultdict(list)
    for glyph, box in zip(right, aligned_boxes(right), strict=True):
        unmatched[glyph.name].append(box)
    for glyph, box in zip(left, aligned_boxes(left), strict=True):
        candidates = unmatched[glyph.name]
        near = (n for n, other in enumerate(candidates) if np.abs(box - other).max() <= tolerance)
        found = next(near, None)
        if found is None:
            return False
        candidates.pop(found)
    return True


def aligned_boxes(drawing: Sequence[Glyph]) -> np.ndarray:
    """The boxes (N, 4) with the top left corner of the whole drawing at the origin."""
    boxes: list[Box] = [glyph.box for glyph in drawing]
    array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if not len(array):
        return array
    return array - np.tile([array[:, 0].min(), array[:, 3].max()], 2)


def looks_like(truth: str, reading: str) -> bool:
    """Whether two formulas look the same; if one cannot be drawn, whether they read the same."""
    return _looks_like(truth, drawn(truth), reading, drawn(reading))


def _looks_like(
    truth: str, true_glyphs: list[Glyph] | None, reading: str, read_glyphs: list[Glyph] | None
) -> bool:
    if true_glyphs is None or read_glyphs is None:
        return comparable_tokens(truth) == comparable_tokens(reading)
    return same_glyphs(true_glyphs, read_glyphs)


def score_rendered(truths: Sequence[str], readings: Sequence[str]) -> RenderedScore:
    """Rendered match over a set of formulas: those that look like their truths / all.

    Raises: ValueError if the lists differ in length or are empty."""
    pairs = paired(truths, readings)
    drawings = [(drawn(truth), drawn(reading)) for truth, reading in pairs]
    hits = np.array(
        [
            _looks_like(truth, true_glyphs, reading, read_glyphs)
            for (truth, reading), (true_glyphs, read_glyphs) in zip(pairs, drawings, strict=True)
        ]
    )
    return RenderedScore(
        n=len(hits),
        match=percent(hits),
        ci95=bootstrap_interval(hits),
        undrawn=sum(true_glyphs is None for true_glyphs, _ in drawings),
        undrawn_readings=sum(read_glyphs is None for _, read_glyphs in drawings),
    )
