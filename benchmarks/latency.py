"""How long does a reading take? Cold start, first reading, single pictures, batches, memory.

python -m benchmarks.latency                                   on pictures typeset here
python -m benchmarks.latency --data crohme_test2014.tar.gz --labels crohme_labels_2014.tsv
python -m benchmarks.latency --threads 1 --repeats 1 --out /tmp     a quick look

Times run from an encoded picture in memory to LaTeX, imaging included. Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.alone import run_alone
from benchmarks.pictures import TOKEN_GROUPS, TimedPicture, own_pictures, set_pictures
from benchmarks.stored import RESULTS, peak_memory_mb, store
from latexocr.hub import resolve
from latexocr.quantized import load_quickest
from latexocr.recognizer import Recognizer
from trainer.report_breakdowns import length_group

BATCH_SIZES = (1, 8, 32)
ALTERNATIVES = {"greedy": 0, "with 3 alternatives": 3}


def cold_starts(picture: TimedPicture, model: str | None, n: int, n_threads: int) -> dict[str, Any]:
    """Medians of n starts in processes of their own; wall_s from start to exit, python included.

    Raises: ModelError if the process fails, with what it said last."""
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "formula.png"
        path.write_bytes(picture.encoded)
        arguments = [str(path), *([model] if model else [])]
        for _ in range(n):
            start = time.perf_counter()
            figures = run_alone("cold_start", *arguments, n_threads=n_threads)
            runs.append(figures | {"wall_s": time.perf_counter() - start})
    return {key: round(median(run[key] for run in runs), 3) for key in runs[0]}


def single_times(
    recognizer: Recognizer, pictures: Sequence[TimedPicture], n_alternatives: int, repeats: int
) -> list[dict[str, Any]]:
    """Milliseconds by number of tokens in the truth: rows of the groups, and one of all."""
    times: dict[str, list[float]] = defaultdict(list)
    for picture in pictures[:3]:
        recognizer.read(picture.encoded, n_alternatives)
    for _ in range(repeats):
        for picture in pictures:
            start = time.perf_counter()
            recognizer.read(picture.encoded, n_alternatives)
            elapsed_ms = 1000 * (time.perf_counter() - start)
            times[length_group(picture.n_tokens, TOKEN_GROUPS)].append(elapsed_ms)
    order = [length_group(n, TOKEN_GROUPS) for n in (*TOKEN_GROUPS, TOKEN_GROUPS[-1] + 1)]
    rows = {name: times[name] for name in order if name in times}
    rows["all"] = [value for values in times.values() for value in values]
    return [
        {
            "tokens": name,
            "pictures": len(values) // repeats,
            "ms_median": round(float(np.median(values)), 1),
            "ms_p95": round(float(np.percentile(values, 95)), 1),
        }
        for name, values in rows.items()
    ]


def batch_throughput(
    recognizer: Recognizer, pictures: Sequence[TimedPicture]
) -> list[dict[str, Any]]:
    """Pictures read in a second, handed in so many at a time, greedy."""
    rows = []
    encoded = [picture.encoded for picture in pictures]
    for size in BATCH_SIZES:
        start = time.perf_counter()
        for first in range(0, len(encoded), size):
            recognizer.read_batch(encoded[first : first + size], n_alternatives=0)
        seconds = time.perf_counter() - start
        rows.append({"batch": size, "pictures_per_s": round(len(encoded) / seconds, 1)})
    return rows


def measure_latency(
    pictures: Sequence[TimedPicture],
    model: str | None,
    n_threads: int,
    repeats: int,
    n_starts: int,
) -> dict[str, Any]:
    """All figures of this benchmark.

    Raises: ModelError if the weights cannot be loaded."""
    shortest = min(pictures, key=lambda picture: picture.n_tokens)
    figures: dict[str, Any] = {}
    if n_starts:
        figures["cold_start"] = cold_starts(shortest, model, n_starts, n_threads)
    torch.set_num_threads(n_threads)
    recognizer = load_quickest(resolve(model, "recognizer"), "cpu")
    figures["single"] = {
        how: single_times(recognizer, pictures, n, repeats) for how, n in ALTERNATIVES.items()
    }
    figures["batches"] = batch_throughput(recognizer, pictures)
    figures["peak_memory_mb"] = peak_memory_mb()
    return figures


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", help="folder or Hub repository; default: embedded weights")
    add("--data", help="time the pictures of this data set in place of our own")
    add("--labels", help="TSV of truths by name, for --data")
    add("--part", help="part of a data set that is split by file name")
    add("--pictures", help="pictures that --data, a JSON file, annotates")
    add("--limit", type=int, default=200, help="pictures of --data")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--repeats", type=int, default=3, help="times that each picture is read alone")
    add("--starts", type=int, default=3, help="cold starts; 0 for none")
    add("--out", type=Path, default=RESULTS, help="folder for latency.json")
    options = parser.parse_args(argv)
    if options.data:
        pictures = set_pictures(
            options.data, options.labels, options.part, options.pictures, options.limit
        )
    else:
        pictures = own_pictures()
    figures = measure_latency(
        pictures, options.model, options.threads, options.repeats, options.starts
    )
    figures = {"set": Path(options.data).name if options.data else "typeset here"} | figures
    print(json.dumps(figures, indent=1))
    print("written to", store("latency", options.threads, figures, options.out))


if __name__ == "__main__":
    main()
