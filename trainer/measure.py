"""Measure weights: how many formulas of a set are read exactly, and how long one takes; how well
the equations of pages are found (`detector`), and found and read (`pages`).

python -m trainer.measure recognizer --data crohme_test2014.tar.gz --labels crohme_labels_2014.tsv
python -m trainer.measure recognizer --data im2latex_validate.tar.gz --part report --json
python -m trainer.measure recognizer --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz
python -m trainer.measure recognizer --data benchmarks/wide.json --formulas formulas.tar.gz \\
    --ink crohme_test2013.tar.gz --fonts kiloji.ttf kiloji_p.ttf --symbol-fonts DejaVuSans.ttf
python -m trainer.measure detector --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz
python -m trainer.measure detector --data benchmarks/pages_synthetic.json \\
    --ink crohme_test2014.tar.gz --formulas wikipedia_validate.txt
python -m trainer.measure pages --data benchmarks/photos_dev.json --pictures photos_dev.tar.gz

--report DIR writes a report beside: report.json, summary.md, and index.html, in which every formula
or page can be looked at. It holds pictures of the data set: mind its licence before you share it.
"""

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

import torch

from latexocr.detector import Detector
from latexocr.errors import DataError, PartMissingError
from latexocr.hub import resolve
from latexocr.pipeline import LatexOCR
from latexocr.quantized import load_quickest
from trainer.data.examples import PARTS, Example, load_examples
from trainer.data.page_sets import load_lines, load_pages
from trainer.data.wide import load_wide
from trainer.measure_pages import measure_detector, measure_pages
from trainer.measure_recognizer import (
    N_TIMED,
    all_metrics,
    measure_recognizer,
    outcomes_of,
    thumbnails,
    write_readings,
)
from trainer.report import write_pages_report, write_recognizer_report
from trainer.report_pages import PageRecord


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="what", required=True)
    _recognizer_options(parts.add_parser("recognizer", help="formulas, one a picture"))
    _page_options(parts.add_parser("detector", help="where the equations of pages are"))
    _page_options(parts.add_parser("pages", help="where they are and what they say"))
    for part in parts.choices.values():
        part.add_argument("--model", help="folder or Hub repository; default: embedded weights")
        part.add_argument("--json", action="store_true", help="print one JSON object")
        part.add_argument("--report", type=Path, help="folder to write a report to")
        part.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(argv)


def _recognizer_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, help="folder or .tar.gz of InkML or of pictures, or Hub data set")
    add("--pictures", help="folder or .tar.gz of the pictures that --data, a JSON file, annotates")
    add("--formulas", help="folder or .tar.gz of the lists that --data, a manifest, names lines of")
    add("--ink", help="folder or .tar.gz of InkML to write these formulas with")
    add("--fonts", nargs="*", default=(), help="hand-lettered fonts to write them with")
    add("--symbol-fonts", nargs="*", default=(), help="other fonts, for symbols")
    add("--labels", help="TSV of truths by name, where the data has none or wrong ones")
    add("--part", choices=sorted(PARTS), help="part of a data set that is split by file name")
    add("--limit", type=int, help="measure the first so many examples only")
    add("--beams", type=int, default=1, help="1 is greedy decoding")
    add("--together", action="store_true", help="lines in the light of the others of their page")
    add("--timed", type=int, default=N_TIMED, help="pictures to time one at a time; 0 for none")
    add("--readings", type=Path, help="JSON lines file to write truths and readings to")
    add("--full", action="store_true", help="all metrics, also those that draw; so does --report")


def _page_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", required=True, type=Path, help="annotations of pictures, or a manifest")
    add("--pictures", help="folder or .tar.gz with the annotated pictures")
    add("--ink", help="folder or .tar.gz of InkML to generate a manifest's pages from")
    add("--formulas", nargs="*", default=(), help="lists of LaTeX to print on generated pages")


def main(argv: list[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments = parse_arguments(argv)
    torch.set_num_threads(arguments.threads)
    figures = figures_of(arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{key:>20}  {value}" for key, value in figures.items()))


def figures_of(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.what == "recognizer":
        return _recognizer_figures(arguments)
    pages = load_pages(arguments.data, arguments.pictures, arguments.ink, arguments.formulas)
    records: list[PageRecord] | None = [] if arguments.report else None
    if arguments.what == "pages":
        figures = measure_pages(LatexOCR(arguments.model), pages, records)
    else:
        figures = measure_detector(_finder(arguments.model), pages, records)
    if records is not None:
        title = f"{arguments.what}: {arguments.data.name}"
        write_pages_report(arguments.report, title, figures, records)
    return figures


def _finder(model: str | None) -> LatexOCR:
    """Finds by the model's detector. What it finds is read by the embedded recogniser where the
    model has none, as what a training of detectors leaves."""
    try:
        return LatexOCR(model)
    except PartMissingError:
        ocr = LatexOCR()
        ocr.detector = Detector.from_pretrained(resolve(model, "detector"))
        return ocr


def _recognizer_figures(arguments: argparse.Namespace) -> dict[str, Any]:
    examples = _examples(arguments)
    recognizer = load_quickest(resolve(arguments.model, "recognizer"))
    figures, readings = measure_recognizer(
        recognizer, examples, arguments.beams, arguments.timed, arguments.together
    )
    confidences = [recognizer.confidence(reading) for reading in readings]
    if arguments.readings:
        write_readings(arguments.readings, examples, readings, confidences)
    if not arguments.full and not arguments.report:
        return figures
    truths, texts = [e.latex for e in examples], [r.canonical for r in readings]
    figures |= all_metrics(truths, texts, confidences)
    if arguments.report:
        outcomes = outcomes_of(examples, readings, confidences)
        title = f"recognizer: {Path(arguments.data).name}"
        write_recognizer_report(arguments.report, title, figures, outcomes, thumbnails(examples))
    return figures


def _examples(arguments: argparse.Namespace) -> list[Example]:
    if arguments.pictures:
        return [*load_lines(Path(arguments.data), arguments.pictures)][: arguments.limit]
    if arguments.formulas:
        if not arguments.ink:
            raise DataError("expected --ink, InkML to write the manifest's formulas with")
        return load_wide(
            arguments.data,
            arguments.formulas,
            arguments.ink,
            arguments.fonts,
            arguments.symbol_fonts,
        )[: arguments.limit]
    return load_examples(arguments.data, arguments.labels, arguments.part, limit=arguments.limit)


if __name__ == "__main__":
    main()
