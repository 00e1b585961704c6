"""Fit the curve by which what is read in a box decides whether it is mathematics: see
latexocr/rescoring.py.

    python -m trainer.rescore --data benchmarks/pages_selection.json --ink crohme_test2013.tar.gz \\
        --formulas wikipedia_train.txt k12_train.txt

Use pages that nothing is reported on, written with ink that the recogniser was not trained on: what
it knows by heart it reads too surely. The numbers are written into the detector's config.json. A
detector that is trained anew has none until this is run for it.
"""

import argparse
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from latexocr.detector import CONFIG_NAME, Detection, Detector
from latexocr.errors import DataError, ImageError
from latexocr.hub import resolve
from latexocr.page_boxes import find_equations
from latexocr.quantized import load_quickest
from latexocr.recognizer import Decoded, Recognizer
from latexocr.regions import prepare_boxes
from latexocr.rescoring import FEATURES, MAX_TOKENS, reading_features
from trainer.calibrate import fit_logistic
from trainer.data.page_sets import PageExample, load_pages
from trainer.detection_metrics import PageResult, judge

LEAST = 100  # candidates: fewer say too little


@dataclass(frozen=True)
class Candidate:
    """A candidate of a page, what is read in it, and whether it is an equation."""

    found: Detection
    reading: Decoded
    is_right: bool


def candidates_of(
    detector: Detector, recognizer: Recognizer, pages: Sequence[PageExample]
) -> list[Candidate]:
    """All candidates of the pages with ink in them, but for those that count neither way.

    Args: detector, one with a curve, whatever that is: else it gives no unlikely candidates."""
    result: list[Candidate] = []
    for page in pages:
        picture = page.picture()
        found = find_equations(detector, picture)
        boxes = np.array([one.box for one in found]).reshape(-1, 4)
        scores = np.array([one.score for one in found])
        verdicts = judge(PageResult(boxes, scores, page.boxes, page.ignore), 0.5)
        pictures = prepare_boxes(picture, [one.box for one in found], recognizer.symbol_px)
        counted = [
            i
            for i, verdict in enumerate(verdicts)
            if verdict >= 0 and not isinstance(pictures[i], ImageError)
        ]
        read = recognizer.decode([pictures[i] for i in counted], 1, MAX_TOKENS)
        for i, readings in zip(counted, read, strict=True):
            result.append(Candidate(found[i], readings[0], bool(verdicts[i])))
    return result


def fit(candidates: Sequence[Candidate]) -> tuple[list[float], float]:
    """Weights and offset of the logistic curve.

    Raises: DataError if there are too few candidates, or none of either kind."""
    right = [one.is_right for one in candidates]
    if len(right) < LEAST or len(set(right)) < 2:
        raise DataError(
            f"expected at least {LEAST} candidates, equations and others, "
            f"got {len(right)}, {sum(right)} of them equations"
        )
    features = [reading_features(one.found.score, one.reading) for one in candidates]
    weights, offset = fit_logistic(np.array(features), right)
    return weights.tolist(), offset


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", help="folder with recognizer/ and detector/; default: embedded weights")
    add("--data", required=True, type=Path, help="manifest of generated pages, or annotations")
    add("--pictures", help="folder or .tar.gz with the annotated pictures")
    add("--ink", help="folder or .tar.gz of InkML to generate a manifest's pages from")
    add("--formulas", nargs="*", default=(), help="lists of LaTeX to print on generated pages")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    folder = Path(resolve(arguments.model, "detector"))
    detector = Detector.from_pretrained(folder)
    detector.config = replace(detector.config, rescore_weights=(0.0,) * len(FEATURES))
    recognizer = load_quickest(resolve(arguments.model, "recognizer"))
    pages = load_pages(arguments.data, arguments.pictures, arguments.ink, arguments.formulas)
    weights, offset = fit(candidates_of(detector, recognizer, pages))
    fitted = {
        "rescore_weights": [round(weight, 4) for weight in weights],
        "rescore_offset": round(offset, 4),
    }
    path = folder / CONFIG_NAME
    config = json.loads(path.read_text(encoding="utf-8")) | fitted
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    print(f"{path}: {fitted}")


if __name__ == "__main__":
    main()
