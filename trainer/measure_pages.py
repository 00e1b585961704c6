"""Measure how well the equations of pages are found, and found and read.

Used by `python -m trainer.measure detector` and `pages`; see there for commands.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from latexocr.detector import Detection
from latexocr.errors import DataError
from latexocr.pipeline import LatexOCR, Page
from trainer.data.page_sets import PageExample
from trainer.detection_metrics import PageResult, iou, score_pages
from trainer.metrics import Interval, bootstrap_interval, percent, ratio_interval, token_edits
from trainer.report_pages import LineOutcome, PageRecord, page_record

MAX_BOXES = 200  # of a page that count for mAP
ANY_SCORE = 0.05  # from which boxes count for mAP, which weighs them by their score


def measure_detector(
    ocr: LatexOCR, pages: Sequence[PageExample], records: list[PageRecord] | None = None
) -> dict[str, Any]:
    """Precision, recall and F1 in percent at an intersection over union of 0.5 and 0.75, of the
    boxes that a user would see, and COCO's mean average precision in percent, of what the detector
    finds alone, before anything is read; ci95 are bootstrap intervals over pages. (mAP has none:
    each resample would take COCO's whole evaluation.)

    Args: records, what was found on each page is added to it for a report."""
    seen: list[PageResult] = []
    raw: list[PageResult] = []
    seconds = 0.0
    for page in pages:
        picture = page.picture()
        start = time.perf_counter()
        seen.append(_result(ocr.find(picture), page))
        seconds += time.perf_counter() - start
        raw.append(_result(ocr.detector.detect(picture, score_min=ANY_SCORE), page))
        if records is not None:
            records.append(page_record(page.name, picture, seen[-1]))
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
        "seconds_per_page": seconds / len(pages),
    }
    figures: dict[str, Any] = {key: round(value, 2) for key, value in found.items()}
    return figures | {"f1_ci95": f1_interval(seen, 0.5), "f1_iou75_ci95": f1_interval(seen, 0.75)}


def f1_interval(pages: Sequence[PageResult], min_iou: float) -> Interval:
    """95 % percentile bootstrap interval of F1 over pages, percent."""
    scores = [score_pages([page], min_iou) for page in pages]
    counts = [(2 * one.n_right, one.n_found + one.n_true) for one in scores]
    return ratio_interval(*np.array(counts).T)


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


def measure_pages(
    ocr: LatexOCR, pages: Sequence[PageExample], records: list[PageRecord] | None = None
) -> dict[str, Any]:
    """Page score: percent of the true lines that are both found (intersection over union of 0.5)
    and read exactly. Lines whose truth is unknown do not count.

    Args: records, what was found and read on each page is added to it for a report.
    Raises: DataError if there is no line with a truth."""
    outcomes: list[LineOutcome] = []
    start = time.perf_counter()
    for example in pages:
        picture = example.picture()
        page = ocr.read_page(picture)
        lines = lines_read(page, example)
        outcomes += lines
        if records is not None:
            found = [Detection(equation.box, equation.score) for equation in page.equations]
            records.append(page_record(example.name, picture, _result(found, example), lines))
    seconds = time.perf_counter() - start
    if not outcomes:
        raise DataError("expected pages with transcribed equations to measure with, got none")
    right = np.array([line.is_right for line in outcomes])
    return {
        "pages": len(pages),
        "lines": len(outcomes),
        "found": percent(np.array([line.is_found for line in outcomes])),
        "page_score": percent(right),
        "ci95": bootstrap_interval(right),
        "seconds_per_page": round(seconds / len(pages), 3),
    }


def lines_read(page: Page, example: PageExample) -> list[LineOutcome]:
    """For each true line with a truth, what was found and read in its place."""
    boxes = np.array([equation.box for equation in page.equations]).reshape(-1, 4)
    overlap = iou(boxes, example.boxes)
    lines: list[LineOutcome] = []
    for i, truth in enumerate(example.latex):
        if truth is None:
            continue
        best = int(overlap[:, i].argmax()) if len(boxes) else -1
        found = best >= 0 and overlap[best, i] >= 0.5
        reading = page.equations[best].reading.latex if found else ""
        is_right = bool(found) and token_edits(truth, reading)[0] == 0
        lines.append(LineOutcome(truth, reading, bool(found), is_right))
    return lines
