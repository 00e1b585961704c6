"""What was found and read on one page, kept small enough to keep for all pages of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from trainer.detection_metrics import PageResult, iou, judge
from trainer.report_breakdowns import outcome_of
from trainer.report_html import PAGE_PX, data_uri

MIN_IOU = 0.5  # from which on a box is right in a report
RIGHT, WRONG = 1, 0  # of detection_metrics.judge


@dataclass(frozen=True)
class LineOutcome:
    """A line with a truth, what was read in the box found for it, "" if there is none."""

    truth: str
    reading: str
    is_found: bool
    is_right: bool


@dataclass(frozen=True, eq=False)
class PageRecord:
    """A page of width x height pixels; picture is a data URI of it made small. lines is empty where
    nothing was read."""

    name: str
    picture: str | None
    width: int
    height: int
    result: PageResult
    lines: Sequence[LineOutcome] = ()

    @property
    def truth(self) -> np.ndarray:
        return self.result.truth

    @property
    def boxes(self) -> np.ndarray:
        return self.result.boxes

    @cached_property
    def verdicts(self) -> np.ndarray:
        return judge(self.result, MIN_IOU)

    @cached_property
    def is_hit(self) -> np.ndarray:
        """(M,) bool, which true boxes were found."""
        right = self.boxes[self.verdicts == RIGHT]
        return (iou(right, self.truth) >= MIN_IOU).any(axis=0)

    @property
    def n_missed(self) -> int:
        return int((~self.is_hit).sum())

    @property
    def n_false(self) -> int:
        return int((self.verdicts == WRONG).sum())

    @property
    def n_misread(self) -> int:
        return sum(line.is_found and not line.is_right for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """Without the picture."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "true": np.round(self.truth, 1).tolist(),
            "hit": self.is_hit.tolist(),
            "found": np.round(self.boxes, 1).tolist(),
            "scores": np.round(self.result.scores, 4).tolist(),
            "verdicts": self.verdicts.tolist(),
            "lines": [vars(line) for line in self.lines],
        }

    def as_shown(self, draw: Callable[[str], str | None]) -> dict[str, Any]:
        """What the HTML shows. Args: draw, makes SVG of LaTeX, None if it cannot be drawn."""
        return {
            "name": self.name,
            "picture": self.picture or "",
            "width": self.width,
            "height": self.height,
            "shown_width": round(self.width * min(1, *self._shrink())),
            "n_true": len(self.truth),
            "n_found": len(self.boxes),
            "n_missed": self.n_missed,
            "n_false": self.n_false,
            "n_misread": self.n_misread,
            "boxes": self._shown_boxes(),
            "lines": [_shown_line(line, draw) for line in self.lines],
        }

    def _shrink(self) -> tuple[float, float]:
        return PAGE_PX[0] / self.width, PAGE_PX[1] / self.height

    def _shown_boxes(self) -> list[dict[str, Any]]:
        shown = [_box(box, "ignore", "to be ignored") for box in self.result.ignore]
        for box, hit in zip(self.truth, self.is_hit, strict=True):
            shown.append(_box(box, "hit" if hit else "missed", "true line"))
        for box, score, verdict in zip(self.boxes, self.result.scores, self.verdicts, strict=True):
            shown.append(_box(box, "false" if verdict == WRONG else "found", f"score {score:.2f}"))
        return shown


def _box(box: np.ndarray, what: str, title: str) -> dict[str, Any]:
    x0, y0, x1, y1 = np.round(box, 1).tolist()
    return {"what": what, "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "title": title}


def _shown_line(line: LineOutcome, draw: Callable[[str], str | None]) -> dict[str, Any]:
    marked = outcome_of("", line.truth, line.reading, 0.0)
    verdict = "right" if line.is_right else "misread" if line.is_found else "not found"
    return {
        "verdict": verdict,
        "true": marked.true,
        "read": marked.read,
        "true_drawn": draw(line.truth),
        "read_drawn": draw(line.reading),
    }


def page_record(
    name: str, picture: Image.Image, result: PageResult, lines: Sequence[LineOutcome] = ()
) -> PageRecord:
    """A record with the page made small."""
    uri = data_uri(picture, PAGE_PX)
    return PageRecord(name, uri, picture.width, picture.height, result, lines)
