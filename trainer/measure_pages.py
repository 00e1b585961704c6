"""Measure how well the equations of pages are found, and found and read.

Used by `python -m trainer.measure detector` and `pages`; see there for commands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from latexocr.detector import Detection, Detector
from latexocr.errors import DataError
from latexocr.page_boxes import find_equations
from latexocr.pipeline import LatexOCR, Page
from trainer.data.page_sets import PageExample
from trainer.detection_metrics import PageResult, iou, score_pages
from trainer.metrics import bootstrap_interval, percent, token_edits

MAX_BOXES = 200  # of a page that count for mAP
ANY_SCORE = 0.05  # from which boxes count for mAP, which weighs them by their score


def measure_detector(detector: Detector, pages: Sequence[PageExample]) -> dict[str, Any]:
    """Precision, recall and F1 in percent at an intersection over union of 0.5 and 0.75, of the
    boxes that a user would see, and COCO's mean average precision in percent."""
    seen: list[PageResult] = []
    raw: list[PageResult] = []
    start = time.perf_counter()
    for page in pages:
        picture = page.picture()
        seen.append(_result(find_equations(detector, picture), page))
        raw.append(_result(detector.detect(picture, score_min=ANY_SCORE), page))
    seconds = time.perf_counter() - start
    at_50, at_75 = score_pages(seen, 0.5), score_pages(seen, 0.75)
    found = {
        "pages": len(pages),
        "n_true": at_50.n_true,
        "n_found": at_50.n_found,
        "precision": 100 * at_50.precision,
        "recall": 100 * at_50.recall,
        "f1": 100 * at_50.f1,
        "f1_iou75": 100 * at_75.f1,
        **mean_average_precision(raw),
        "seconds_per_page": seconds / len(pages) / 2,  # each page is looked at twice
    }
    return {key: round(value, 2) for key, value in found.items()}


def _result(found: Sequence[Detection], page: PageExample) -> PageResult:
    boxes = np.array([one.box for one in found]).reshape(-1, 4)
    return PageResult(boxes, np.array([one.score for one in found]), page.boxes, page.ignore)


def mean_average_precision(pages: Sequence[PageResult]) -> dict[str, float]:
    """COCO's mAP over intersections from 0.5 to 0.95, and at 0.5 and 0.75, in percent.

    Regions to be ignored are COCO's crowds. 0 where there is nothing to find.
    Source: Lin et al. 2014, arXiv:1405.0312."""
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    if not sum(len(page.truth) for page in pages):
        return {"map": 0.0, "map_50": 0.0, "map_75": 0.0}
    limits = [1, 10, MAX_BOXES]
    metric = MeanAveragePrecision(max_detection_thresholds=limits, extended_summary=True)
    for page in pages:
        truth = np.concatenate([page.truth, page.ignore])
        metric.update(
            [{
                "boxes": torch.tensor(page.boxes, dtype=torch.float32),
                "scores": torch.tensor(page.scores, dtype=torch.float32),
                "labels": torch.zeros(len(page.boxes), dtype=torch.int64),
            }],
            [{
                "boxes": torch.tensor(truth, dtype=torch.float32),
                "labels": torch.zeros(len(truth), dtype=torch.int64),
                "iscrowd": torch.tensor([0] * len(page.truth) + [1] * len(page.ignore)),
            }],
        )  # fmt: skip
    # Not the summary: for `map`, COCO's code insists on a limit of 100 boxes, or says -1.
    precision = metric.compute()["precision"][:, :, 0, 0, -1]  # (10 overlaps, 101 recalls)
    average = 100 * precision.mean(dim=1)
    figures = {"map": average.mean(), "map_50": average[0], "map_75": average[5]}
    return {name: float(value) for name, value in figures.items()}


def measure_pages(ocr: LatexOCR, pages: Sequence[PageExample]) -> dict[str, Any]:
    """Page score: percent of the true lines that are both found (intersection over union of 0.5)
    and read exactly. Lines whose truth is unknown do not count.

    Raises: DataError if there is no line with a truth."""
    hits: list[bool] = []
    n_found = 0
    start = time.perf_counter()
    for example in pages:
        outcome = lines_read(ocr.read_page(example.picture()), example)
        n_found += sum(found for found, _ in outcome)
        hits += [exact for _, exact in outcome]
    seconds = time.perf_counter() - start
    if not hits:
        raise DataError("expected pages with transcribed equations to measure with, got none")
    right = np.array(hits)
    return {
        "pages": len(pages),
        "lines": len(hits),
        "found": round(100 * n_found / len(hits), 2),
        "page_score": percent(right),
        "ci95": bootstrap_interval(right),
        "seconds_per_page": round(seconds / len(pages), 3),
    }


def lines_read(page: Page, example: PageExample) -> list[tuple[bool, bool]]:
    """For each true line with a truth: whether it was found, and whether it was read exactly."""
    boxes = np.array([equation.box for equation in page.equations]).reshape(-1, 4)
    overlap = iou(boxes, example.boxes)
    outcome: list[tuple[bool, bool]] = []
    for i, truth in enumerate(example.latex):
        if truth is None:
            continue
        best = int(overlap[:, i].argmax()) if len(boxes) else -1
        found = best >= 0 and overlap[best, i] >= 0.5
        reading = page.equations[best].reading.latex if found else ""
        outcome.append((found, found and token_edits(truth, reading)[0] == 0))
    return outcome
