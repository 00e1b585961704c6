"""How well expressions are found on pages: precision, recall and F1 at an intersection over union.

Found boxes are matched to true ones from the surest down, each to at most one. What is found in a
region to be ignored, and matches no true box, counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

IGNORED_SHARE = 0.5  # of a found box that lies in a region to be ignored


@dataclass(frozen=True)
class PageResult:
    """One page. boxes (N, 4) and scores (N,) are what was found, truth (M, 4) what is there, ignore
    (K, 4) what does not count; x0, y0, x1, y1 in pixels."""

    boxes: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    ignore: np.ndarray


@dataclass(frozen=True)
class DetectionScore:
    """Counts over pages, and the shares that follow from them, 0 to 1."""

    n_right: int
    n_found: int  # those in ignored regions left out
    n_true: int

    @property
    def precision(self) -> float:
        """1 where nothing was found."""
        return self.n_right / self.n_found if self.n_found else 1.0

    @property
    def recall(self) -> float:
        """1 where there is nothing to find."""
        return self.n_right / self.n_true if self.n_true else 1.0

    @property
    def f1(self) -> float:
        total = self.n_found + self.n_true
        return 2 * self.n_right / total if total else 1.0


def score_pages(
    pages: Iterable[PageResult], min_iou: float = 0.5, min_score: float = 0.0
) -> DetectionScore:
    """Args: min_iou, from which on a found box is right; min_score, of the boxes that count."""
    right = found = true = 0
    for page in pages:
        outcome = judge(page, min_iou)
        counts = page.scores >= min_score
        right += int((outcome[counts] == 1).sum())
        found += int((outcome[counts] >= 0).sum())
        true += len(page.truth)
    return DetectionScore(right, found, true)


def judge(page: PageResult, min_iou: float) -> np.ndarray:
    """For each found box 1 if it is right, 0 if it is wrong, -1 if it is to be ignored: (N,) int.

    Matching goes from the surest down, so that leaving out the least sure changes no other's
    verdict."""
    verdict = np.zeros(len(page.boxes), dtype=np.int64)
    overlap = iou(page.boxes, page.truth)
    is_free = np.ones(len(page.truth), dtype=bool)
    in_ignored = _share_inside(page.boxes, page.ignore).max(axis=1, initial=0.0) > IGNORED_SHARE
    for i in np.argsort(-page.scores, kind="stable"):
        open_overlap = np.where(is_free, overlap[i], -1.0)
        best = int(open_overlap.argmax()) if len(open_overlap) else -1
        if best >= 0 and open_overlap[best] >= min_iou:
            verdict[i] = 1
            is_free[best] = False
        elif in_ignored[i]:
            verdict[i] = -1
    return verdict


def best_threshold(pages: Sequence[PageResult], min_iou: float = 0.5) -> tuple[float, float]:
    """The score from which on boxes should count so that F1 is highest, and that F1.

    The middle between the last score that counts and the next one; 0.5 if nothing was found."""
    scores = np.concatenate([page.scores for page in pages] or [np.empty(0)])
    verdicts = np.concatenate([judge(page, min_iou) for page in pages] or [np.empty(0)])
    n_true = sum(len(page.truth) for page in pages)
    if not len(scores):
        return 0.5, score_pages(pages, min_iou).f1
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(verdicts[order] == 1)
    found = np.cumsum(verdicts[order] >= 0)
    total = found + n_true
    f1 = np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0)  # as DetectionScore has it
    # Among equal scores only the last place is a possible cut.
    is_last = np.append(np.diff(scores[order]) < 0, True)
    best = int(np.where(is_last, f1, -1).argmax())
    below = scores[order][best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[order][best] + below) / 2), float(f1[best])


def iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union: (N, 4), (M, 4) -> (N, M)."""
    common = _common(boxes, others)
    union = _area(boxes)[:, None] + _area(others)[None] - common
    return common / np.maximum(union, 1e-9)


def _share_inside(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    return _common(boxes, regions) / np.maximum(_area(boxes)[:, None], 1e-9)


def _common(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (high - low).clip(0).prod(axis=2)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
