"""Fewer bits: a recogniser that takes less room and less time on a CPU, and what that costs.

Quantise:  python -m trainer.quantize --out small --method onnx-int8
           python -m trainer.quantize --model runs/NAME/final --out small --method bf16
As twin:   the first, then move small/recognizer to recognizer_int8 beside recognizer
Read:      LatexOCR("small"), or latexocr.quantized.load_recognizer("small/recognizer")
Compare:   python -m trainer.quantize --table --data crohme_test2014.tar.gz \\
               --labels crohme_labels_2014.tsv --limit 200

Writing and reading ONNX graphs needs onnx, onnxscript and onnxruntime. The ranges of values that
int8 has to cover are found on pictures: formulas in ink of our own, or those of --calibrate.
"""

import argparse
import copy
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latexocr.errors import ModelError
from latexocr.hub import resolve
from latexocr.quantized import (
    METHODS,
    PLACES_FILE,
    Method,
    load_recognizer,
    quantization_of,
    to_bfloat16,
    weights_digest,
    write_quantization,
)
from latexocr.recognizer import Recognizer
from latexocr.views import first_view
from trainer.data.examples import Example, load_examples
from trainer.data.ink import InkWriter
from trainer.data.strokes import rng_for, sample
from trainer.metrics import percent, ratio_interval, score_readings, token_edits
from trainer.onnx_graphs import find_places, quantize_graphs, write_graphs

logger = logging.getLogger(__name__)

N_CALIBRATION = 64  # pictures of --calibrate
MAX_FILE_BYTES = 10_000_000  # of what lies in the repository
WEIGHT_SUFFIXES = (".safetensors", ".onnx")
# Small and large, flat and high, sparse and dense: what int8 has to cover.
CALIBRATION_FORMULAS = (
    r"x",
    r"-1",
    r"a+b=c",
    r"2.5\times 10^{-3}",
    r"y=mx+b",
    r"E=mc^2",
    r"f(x)=x^2-4x+3",
    r"\frac{1}{2}",
    r"\frac{a+b}{c-d}",
    r"\frac{\partial u}{\partial t}=\frac{\partial^2u}{\partial x^2}",
    r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}",
    r"\sqrt{x^2+y^2}",
    r"\sum_{n=1}^{\infty}\frac{1}{n^2}=\frac{\pi^2}{6}",
    r"\int_0^1x^2dx",
    r"\int_{-\infty}^{\infty}e^{-x^2}dx=\sqrt{\pi}",
    r"\lim_{n\to\infty}(1+\frac{1}{n})^n=e",
    r"\sin^2\theta+\cos^2\theta=1",
    r"a_{n+1}=a_n+a_{n-1}",
    r"\alpha\beta\gamma\delta\lambda\mu",
    r"A\cup B\subset C",
    r"\forall x\in X\exists y\leq x",
    r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
    r"P(A|B)=\frac{P(B|A)P(A)}{P(B)}",
    r"x_1^2+x_2^2+x_3^2+\ldots+x_n^2",
)


def quantize(
    recognizer: Recognizer,
    folder: Path,
    method: Method,
    calibration: Sequence[np.ndarray] = (),
    source: str = "",
) -> None:
    """Write a recogniser with fewer bits; load_recognizer reads it.

    Args: calibration, pictures on which int8 finds its ranges, (h, w) uint8 as imaging.prepare
        makes them for the recogniser's symbol_px; drawn ones if there are none; source,
        quantized.weights_digest of what the recogniser was loaded from.
    Raises: ModelError if the folder has something in it, or what int8 needs is not installed."""
    if folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder}: expected a new or an empty folder, got one with files")
    folder.mkdir(parents=True, exist_ok=True)
    if method == "bf16":
        model = copy.deepcopy(recognizer.model).cpu()
        to_bfloat16(model)
        Recognizer(model, recognizer.tokenizer, "cpu", recognizer.language).save_pretrained(folder)
    else:
        recognizer.model.config.save_pretrained(folder)
        recognizer.tokenizer.save_pretrained(folder)
        if recognizer.language:
            recognizer.language.save(folder)
        _write_int8(recognizer, folder, calibration or drawn_pictures(recognizer.symbol_px))
    write_quantization(folder, method, source, recognizer.n_parameters)
    for file in folder.iterdir():
        if file.stat().st_size > MAX_FILE_BYTES:
            logger.warning("%s has %.1f MB, more than 10", file, file.stat().st_size / 1e6)


def _write_int8(recognizer: Recognizer, folder: Path, pictures: Sequence[np.ndarray]) -> None:
    with tempfile.TemporaryDirectory() as exact:
        try:
            write_graphs(recognizer.model, Path(exact))
            quantize_graphs(Path(exact), folder, [first_view(picture) for picture in pictures])
            places = find_places(recognizer.model, folder)
            (folder / PLACES_FILE).write_text(json.dumps(places, indent=1) + "\n", "utf-8")
        except ImportError as error:
            raise ModelError(
                "expected onnx, onnxscript and onnxruntime to be installed for int8: "
                f"`pip install onnx onnxscript onnxruntime` brings them ({error})"
            ) from error


def drawn_pictures(symbol_px: int) -> list[np.ndarray]:
    """Prepared pictures of formulas of many kinds, written with drawn symbols."""
    writer = InkWriter()
    inks = [writer.write(f, rng_for(0, 0, i)) for i, f in enumerate(CALIBRATION_FORMULAS)]
    return [sample(ink, symbol_px, None, None).pixels for ink in inks]


def prepared(examples: Sequence[Example], symbol_px: int) -> list[np.ndarray]:
    """Plain pictures of examples as imaging.prepare makes them."""
    return [example.sample(symbol_px, None, None).pixels for example in examples]


def find_recognizer(source: str | None) -> Path:
    """The recogniser's folder: itself, as training leaves it, or one with a part `recognizer`.

    Raises: ModelError if there is none, or one that is quantised already."""
    direct = source and (Path(source) / "config.json").is_file()
    folder = Path(source) if direct else resolve(source, "recognizer")
    method = quantization_of(folder)
    if method:
        raise ModelError(f"{folder}: expected weights as training left them, got {method}")
    return folder


def copy_license(source: Path, target: Path) -> None:
    """The licence of weights goes where they go."""
    if (source / "LICENSE").is_file():
        shutil.copy(source / "LICENSE", target)


# --- Comparing ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Figures of one kind of weights: size on disk in MB; milliseconds from a picture to LaTeX, one
    at a time, the median; percent of formulas read right, what is gained on float32, in points, and
    percent read as with float32. 95 % intervals, of the gain over the same pictures."""

    name: str
    megabytes: float
    milliseconds: float
    exprate: float
    exprate_ci95: tuple[float, float]
    gain: float
    gain_ci95: tuple[float, float]
    same: float


def compare(
    folder: Path, examples: Sequence[Example], calibration: Sequence[np.ndarray], n_timed: int
) -> list[Row]:
    """Rows for float32 and every method, over the same pictures in the same process.

    Args: folder of the recogniser; examples to read, the first n_timed of them also one at a time;
        calibration, as for quantize."""
    recognizers = {"float32": load_recognizer(folder, "cpu")}
    sizes = {"float32": weight_megabytes(folder)}
    with tempfile.TemporaryDirectory() as work:
        for method in METHODS:
            target = Path(work) / method
            quantize(recognizers["float32"], target, method, calibration)
            recognizers[method] = load_recognizer(target, "cpu")
            sizes[method] = weight_megabytes(target)
        times = time_in_turn(list(recognizers.values()), examples[:n_timed])
        pictures = prepared(examples, recognizers["float32"].symbol_px)
        readings = {name: [found[0].canonical for found in recognizer.decode(pictures)]
                    for name, recognizer in recognizers.items()}  # fmt: skip
    truths = [example.latex for example in examples]
    hits = {name: right(truths, found) for name, found in readings.items()}
    rows = []
    for name, milliseconds in zip(recognizers, times, strict=True):
        score, gains = score_readings(truths, readings[name]), hits[name] - hits["float32"]
        rows.append(
            Row(
                name=name,
                megabytes=sizes[name],
                milliseconds=float(np.median(milliseconds)),
                exprate=score.exprate,
                exprate_ci95=score.ci95,
                gain=percent(gains),
                gain_ci95=ratio_interval(gains, np.ones(len(gains))),
                same=percent(np.array(readings[name]) == np.array(readings["float32"])),
            )
        )
    return rows


def right(truths: Sequence[str], readings: Sequence[str]) -> np.ndarray:
    """1 where a reading is right in every token, else 0: (N,)."""
    pairs = zip(truths, readings, strict=True)
    return np.array([float(token_edits(truth, reading)[0] == 0) for truth, reading in pairs])


def time_in_turn(
    recognizers: Sequence[Recognizer], examples: Sequence[Example]
) -> list[list[float]]:
    """Milliseconds for each recogniser and picture, greedy, imaging included.

    All take turns at each picture, so that what else the machine does meets them all alike."""
    pictures = [example.picture() for example in examples]
    times: list[list[float]] = [[] for _ in recognizers]
    for picture in [*pictures[:2], *pictures]:  # the first two warm up
        for recognizer, own in zip(recognizers, times, strict=True):
            start = time.perf_counter()
            recognizer.read(picture, n_alternatives=0)
            own.append(1000 * (time.perf_counter() - start))
    return [own[len(pictures[:2]) :] for own in times]


def weight_megabytes(folder: Path) -> float:
    files = [file for file in folder.iterdir() if file.suffix in WEIGHT_SUFFIXES]
    return sum(file.stat().st_size for file in files) / 1e6


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [
        "| weights | on disk, MB | ms a picture | ExpRate, % | on float32 | read the same, % |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        exprate, gain = _between(row.exprate, row.exprate_ci95), _between(row.gain, row.gain_ci95)
        size, time_ = f"{row.megabytes:.1f}", f"{row.milliseconds:.1f}"
        lines.append(f"| {row.name} | {size} | {time_} | {exprate} | {gain} | {row.same:.1f} |")
    return "\n".join(lines)


def _between(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.1f} ({interval[0]:.1f} to {interval[1]:.1f})"


# --- Command line ------------------------------------------------------------------------------


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", help="folder of a recogniser or of weights, or Hub repository; default: ours")
    add("--out", type=Path, help="new folder; the recogniser comes into its part `recognizer`")
    add("--method", choices=METHODS, default="onnx-int8")
    add("--calibrate", help="data set to calibrate int8 on, in place of formulas of our own")
    add("--table", action="store_true", help="compare all methods on --data instead")
    add("--data", help="folder or .tar.gz of InkML or of pictures, or Hub data set")
    add("--labels", help="TSV of truths by name, where the data has none or wrong ones")
    add("--part", help="part of a data set that is split by file name")
    add("--limit", type=int, default=200, help="read the first so many examples")
    add("--timed", type=int, default=50, help="so many of them also one at a time")
    arguments = parser.parse_args(argv)
    if arguments.table and not arguments.data:
        parser.error("--table needs --data, a data set to read")
    if not arguments.table and not arguments.out:
        parser.error("expected --out, a folder to write to, or --table")
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments = parse_arguments(argv)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    folder = find_recognizer(arguments.model)
    recognizer = load_recognizer(folder, "cpu")
    calibration: list[np.ndarray] = []
    if arguments.calibrate:
        own = load_examples(arguments.calibrate, limit=N_CALIBRATION)
        calibration = prepared(own, recognizer.symbol_px)
    if arguments.table:
        examples = load_examples(
            arguments.data, arguments.labels, arguments.part, limit=arguments.limit
        )
        print(as_markdown(compare(folder, examples, calibration, arguments.timed)))
        return
    target = arguments.out / "recognizer"
    quantize(recognizer, target, arguments.method, calibration, weights_digest(folder))
    copy_license(folder, target)
    print(f"{target}: {arguments.method}, {weight_megabytes(target):.1f} MB")


if __name__ == "__main__":
    main()
