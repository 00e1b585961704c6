"""Measure a recogniser on formulas, each in a picture of its own.

Used by `python -m trainer.measure recognizer`; see there for commands.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latexocr.errors import ImageError
from latexocr.recognizer import Decoded, Recognizer
from trainer.cdm import score_cdm
from trainer.confidence import score_confidence
from trainer.data.examples import Example
from trainer.metrics import score_readings, token_edits
from trainer.rendered import score_rendered
from trainer.report_breakdowns import Outcome, outcome_of
from trainer.report_html import data_uri
from trainer.sequence_metrics import bleu, bleu_interval, edit_score, edit_score_interval
from trainer.structure import score_structure

N_TIMED = 100  # pictures that the single-picture time is the median of
NOTHING = Decoded("", 0.0, 0)  # read from a picture without ink


def measure_recognizer(
    recognizer: Recognizer,
    examples: Sequence[Example],
    n_beams: int = 1,
    n_timed: int = N_TIMED,
    together: bool = False,
) -> tuple[dict[str, Any], list[Decoded]]:
    """Figures of a recogniser on examples, and its readings.

    Args: together, the lines of a page are read in the light of each other, as the page pipeline
        reads them; they are named PAGE:NUMBER.
    Returns: exprate, le1, le2, cer (percent; see metrics.RecognitionScore), ci95 of exprate,
        seconds_per_picture in batches, and median and 95th percentile of the milliseconds from an
        array in memory to LaTeX, one picture at a time, imaging included."""
    pictures = [_standard(example, recognizer) for example in examples]
    start = time.perf_counter()
    pages = [example.name.rpartition(":")[0] for example in examples] if together else None
    readings = _decode(recognizer, pictures, n_beams, pages)
    seconds = time.perf_counter() - start
    score = score_readings([e.latex for e in examples], [r.canonical for r in readings])
    figures = asdict(score) | {
        "unreadable_pictures": sum(picture is None for picture in pictures),
        "seconds_per_picture": round(seconds / len(examples), 4),
        "beams": n_beams,
        "parameters": recognizer.n_parameters,
        "threads": torch.get_num_threads(),
    }
    timed = [e for e, p in zip(examples, pictures, strict=True) if p is not None][:n_timed]
    times = time_single(recognizer, timed, n_beams)
    if times:
        figures |= {
            "ms_median": round(float(np.median(times)), 1),
            "ms_p95": round(float(np.percentile(times, 95)), 1),
        }
    return figures, readings


def _standard(example: Example, recognizer: Recognizer) -> np.ndarray | None:
    try:
        return example.sample(recognizer.symbol_px, None, None).pixels
    except ImageError:
        return None


def _decode(
    recognizer: Recognizer,
    pictures: Sequence[np.ndarray | None],
    n_beams: int,
    pages: Sequence[str] | None = None,
) -> list[Decoded]:
    """Readings in the order of the pictures. A picture that cannot be read is a wrong reading, not
    a reason to leave it out. Args: pages, which page each is of, if it is of one."""
    good = [i for i, picture in enumerate(pictures) if picture is not None]
    found = dict(zip(good, recognizer.decode([pictures[i] for i in good], n_beams), strict=True))
    for page in sorted(set(pages or ()) - {""}):
        lines = [i for i in good if pages[i] == page]
        in_context = recognizer.in_context([found[i] for i in lines])
        found |= zip(lines, in_context, strict=True)
    return [found[i][0] if i in found else NOTHING for i in range(len(pictures))]


def time_single(recognizer: Recognizer, examples: Sequence[Example], n_beams: int) -> list[float]:
    """Milliseconds for each picture, one at a time, after three to warm up."""
    pictures = [example.picture() for example in examples]
    for picture in pictures[:3]:
        recognizer.read(picture, n_beams - 1)
    times = []
    for picture in pictures:
        start = time.perf_counter()
        recognizer.read(picture, n_beams - 1)
        times.append(1000 * (time.perf_counter() - start))
    return times


def all_metrics(
    truths: Sequence[str], readings: Sequence[str], confidences: Sequence[float]
) -> dict[str, Any]:
    """Every other metric of readings, in percent unless its own module says otherwise.

    Args: readings, canonical; confidences, 0 to 1. Drawing takes some 20 ms for each formula."""
    structure = score_structure(truths, readings)
    rendered, cdm = score_rendered(truths, readings), score_cdm(truths, readings)
    right = [token_edits(*pair)[0] == 0 for pair in zip(truths, readings, strict=True)]
    confidence = score_confidence(confidences, right)
    return {
        "structure_exprate": structure.exprate,
        "structure_ci95": structure.ci95,
        "structure_le1": structure.le1,
        "structure_le1_ci95": structure.le1_ci95,
        "structure_le2": structure.le2,
        "structure_le2_ci95": structure.le2_ci95,
        "structure_only": structure.structure,
        "structure_only_ci95": structure.structure_ci95,
        "bleu": bleu(truths, readings),
        "bleu_ci95": bleu_interval(truths, readings),
        "edit_score": edit_score(truths, readings),
        "edit_score_ci95": edit_score_interval(truths, readings),
        "rendered_match": rendered.match,
        "rendered_match_ci95": rendered.ci95,
        "undrawn_truths": rendered.undrawn,
        "undrawn_readings": rendered.undrawn_readings,
        "cdm": cdm.cdm,
        "cdm_ci95": cdm.cdm_ci95,
        "cdm_exprate": cdm.exprate,
        "cdm_exprate_ci95": cdm.ci95,
        "ece": confidence.ece,
        "ece_ci95": confidence.ece_ci95,
        "auroc": confidence.auroc,
        "auroc_ci95": confidence.auroc_ci95,
    }


def outcomes_of(
    examples: Sequence[Example], readings: Sequence[Decoded], confidences: Sequence[float]
) -> list[Outcome]:
    """What a report says of each reading."""
    return [
        outcome_of(example.name, example.latex, reading.canonical, confidence)
        for example, reading, confidence in zip(examples, readings, confidences, strict=True)
    ]


def thumbnails(examples: Sequence[Example]) -> list[str | None]:
    """The pictures of a report as data URIs."""
    return [data_uri(example.picture()) for example in examples]


def write_readings(
    path: Path,
    examples: Sequence[Example],
    readings: Sequence[Decoded],
    confidences: Sequence[float],
) -> None:
    """JSON lines of truths and readings."""
    with path.open("w", encoding="utf-8") as file:
        for example, reading, confidence in zip(examples, readings, confidences, strict=True):
            row = {
                "name": example.name,
                "truth": example.latex,
                "reading": reading.canonical,
                "log_probability": round(reading.log_probability, 4),
                "confidence": round(confidence, 4),
                "is_right": token_edits(example.latex, reading.canonical)[0] == 0,
            }
            file.write(json.dumps(row) + "\n")
