"""Measure weights: how many formulas of a set are read exactly, and how long one takes; how well
the equations of pages are found (`detector`), and found and read (`pages`).

python -m trainer.measure recognizer --data crohme_test2014.tar.gz --labels crohme_labels_2014.tsv
python -m trainer.measure recognizer --data im2latex_validate.tar.gz --part report --json
python -m trainer.measure recognizer --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz
python -m trainer.measure detector --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz
python -m trainer.measure detector --data benchmarks/pages_synthetic.json \\
    --ink crohme_test2014.tar.gz --formulas wikipedia_validate.txt
python -m trainer.measure pages --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz
"""

import argparse
import json
import logging
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latexocr.detector import Detector
from latexocr.hub import resolve
from latexocr.pipeline import LatexOCR
from latexocr.quantized import load_recognizer
from latexocr.recognizer import Decoded, Recognizer
from trainer.data.examples import PARTS, Example, load_examples
from trainer.data.page_sets import load_lines, load_pages
from trainer.measure_pages import measure_detector, measure_pages
from trainer.metrics import score_readings

N_TIMED = 100  # pictures that the single-picture time is the median of


def measure_recognizer(
    recognizer: Recognizer, examples: list[Example], n_beams: int = 1, n_timed: int = N_TIMED
) -> tuple[dict[str, Any], list[Decoded]]:
    """Figures of a recogniser on examples, and its readings.

    Returns: exprate, le1, le2, cer (percent; see metrics.RecognitionScore), ci95 of exprate,
        seconds_per_picture in batches, and median and 95th percentile of the milliseconds from an
        array in memory to LaTeX, one picture at a time, imaging included."""
    # An unreadable picture is a wrong reading, not a reason to leave it out.
    pictures = [example.sample(recognizer.symbol_px, None, None).pixels for example in examples]
    start = time.perf_counter()
    readings = [found[0] for found in recognizer.decode(pictures, n_beams)]
    seconds = time.perf_counter() - start
    score = score_readings([e.latex for e in examples], [r.canonical for r in readings])
    figures = asdict(score) | {
        "seconds_per_picture": round(seconds / len(examples), 4),
        "beams": n_beams,
        "parameters": sum(p.numel() for p in recognizer.model.parameters()),
        "threads": torch.get_num_threads(),
    }
    times = time_single(recognizer, examples[:n_timed], n_beams) if n_timed else []
    if times:
        figures |= {
            "ms_median": round(float(np.median(times)), 1),
            "ms_p95": round(float(np.percentile(times, 95)), 1),
        }
    return figures, readings


def time_single(recognizer: Recognizer, examples: list[Example], n_beams: int) -> list[float]:
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


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="what", required=True)
    _recognizer_options(parts.add_parser("recognizer", help="formulas, one a picture"))
    _page_options(parts.add_parser("detector", help="where the equations of pages are"))
    _page_options(parts.add_parser("pages", help="where they are and what they say"))
    for part in parts.choices.values():
        part.add_argument("--model", help="folder or Hub repository; default: embedded weights")
        part.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)


def _recognizer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, help="folder or .tar.gz of InkML or of pictures, or Hub data set")
    add("--pictures", help="folder or .tar.gz of the pictures that --data, a JSON file, annotates")
    add("--labels", help="TSV of truths by name, where the data has none or wrong ones")
    add("--part", choices=sorted(PARTS), help="part of a data set that is split by file name")
    add("--limit", type=int, help="measure the first so many examples only")
    add("--beams", type=int, default=1, help="1 is greedy decoding")
    add("--timed", type=int, default=N_TIMED, help="pictures to time one at a time; 0 for none")
    add("--readings", help="JSON lines file to write truths and readings to")


def _page_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, type=Path, help="annotations of pictures, or a manifest")
    add("--pictures", help="folder or .tar.gz with the annotated pictures")
    add("--ink", help="folder or .tar.gz of InkML to generate a manifest's pages from")
    add("--formulas", nargs="*", default=(), help="lists of LaTeX to print on generated pages")


def main(argv: list[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments = parse_arguments(argv)
    torch.set_num_threads(os.cpu_count() or 1)
    figures = figures_of(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{key:>20}  {value}" for key, value in figures.items()))


def figures_of(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.what == "recognizer":
        return _recognizer_figures(arguments)
    pages = load_pages(arguments.data, arguments.pictures, arguments.ink, arguments.formulas)
    if arguments.what == "pages":
        return measure_pages(LatexOCR(arguments.model), pages)
    detector = Detector.from_pretrained(resolve(arguments.model, "detector"))
    return measure_detector(detector, pages)


def _recognizer_figures(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.pictures:
        examples = load_lines(Path(arguments.data), arguments.pictures)[: arguments.limit]
    else:
        examples = load_examples(
            arguments.data, arguments.labels, arguments.part, limit=arguments.limit
        )
    recognizer = load_recognizer(resolve(arguments.model, "recognizer"))
    figures, readings = measure_recognizer(recognizer, examples, arguments.beams, arguments.timed)
    if arguments.readings:
        write_readings(arguments.readings, examples, readings)
    return figures


def write_readings(path: str, examples: list[Example], readings: list[Decoded]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for example, reading in zip(examples, readings, strict=True):
            row = {"name": example.name, "truth": example.latex, "reading": reading.canonical}
            row["log_probability"] = round(reading.log_probability, 4)
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
