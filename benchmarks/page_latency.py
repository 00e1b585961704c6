"""How long does a photographed page take, from the file to the equations, and how much memory?

python -m benchmarks.page_latency crohme_test2014.tar.gz
python -m benchmarks.page_latency crohme_test2014.tar.gz --pages 1 --repeats 1 --out /tmp    a look

Pages are generated with the ink given: photographs of 12 megapixels on which exactly 15 expressions
are to be found, among prose and what else pages hold. Each is read as the app reads it, with three
alternatives, and greedily, which is the quickest way, by a process of its own: first once
unmeasured (a kept reader is what the app has), then --repeats times each way; the memory is the
most that the process ever held. Run nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.alone import run_alone
from benchmarks.stored import RESULTS, peak_memory_mb, store
from latexocr.errors import ModelError
from latexocr.pipeline import LatexOCR
from trainer.data.crohme import read_inks
from trainer.data.pages import PRESETS, PageGenerator, annotate
from trainer.data.strokes import rng_for

SEED = 12
LONG_SIDE_PX = 4000
MEGAPIXELS = 11.8, 12.6
N_EQUATIONS = 15
MAX_TRIED = 5000
WAYS = {"seconds_median": 3, "seconds_median_greedy": 0}  # alternatives asked for


def photographs(ink: Path, n_pages: int) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB of about 12 megapixels with N_EQUATIONS expressions each.

    Raises: ModelError if no such pages come up."""
    config = replace(
        PRESETS["real"], long_side_min=LONG_SIDE_PX, long_side_max=LONG_SIDE_PX, photo=1.0, slip=0.0
    )
    generator = PageGenerator(list(read_inks(ink)), config=config)
    found = 0
    for index in range(MAX_TRIED):
        if found == n_pages:
            return
        plan = generator.plan(rng_for(SEED, 0, index))
        megapixels = plan.view.height * plan.view.width / 1e6
        is_large = MEGAPIXELS[0] <= megapixels <= MEGAPIXELS[1]
        if is_large and len(annotate(plan)[0]) == N_EQUATIONS:
            found += 1
            yield generator.page(rng_for(SEED, 0, index)).image
    raise ModelError(f"expected {n_pages} pages of {N_EQUATIONS} expressions, got {found}")


def read_often(path: Path, repeats: int) -> dict[str, Any]:
    """Seconds of each reading of a page, both ways, equations found, and the memory of this process
    in MB."""
    reader = LatexOCR()
    encoded = path.read_bytes()
    n_found = len(reader.read_page(encoded).equations)
    seconds: dict[str, list[float]] = {}
    for way, n_alternatives in WAYS.items():
        for _ in range(repeats):
            start = time.perf_counter()
            reader.read_page(encoded, n_alternatives)
            seconds.setdefault(way, []).append(round(time.perf_counter() - start, 3))
    return {"found": n_found, "seconds": seconds, "peak_memory_mb": peak_memory_mb()}


def measure(ink: Path, n_pages: int, repeats: int, n_threads: int) -> dict[str, Any]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, image in enumerate(photographs(ink, n_pages)):
            path = Path(folder) / f"page_{number}.jpg"
            cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            options = ["--read", "--repeats", str(repeats), "--threads", str(n_threads)]
            result = run_alone("page_latency", str(path), *options, n_threads=n_threads)
            rows.append(
                {
                    "page": number,
                    "pixels": f"{image.shape[1]} x {image.shape[0]}",
                    "file_mb": round(path.stat().st_size / 1e6, 1),
                    "equations": N_EQUATIONS,
                    "found": result["found"],
                    **{way: median(times) for way, times in result["seconds"].items()},
                    "peak_memory_mb": result["peak_memory_mb"],
                }
            )
            print(rows[-1], flush=True)
    return {
        **{way: median(row[way] for row in rows) for way in WAYS},
        "peak_memory_mb": max(row["peak_memory_mb"] for row in rows),
        "readings_of_each_page": repeats,
        "pages": rows,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ink", type=Path, help="folder or .tar.gz of InkML to write pages with")
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for page_latency.json")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.read:
        torch.set_num_threads(options.threads)
        print(json.dumps(read_often(options.ink, options.repeats)))
        return
    figures = measure(options.ink, options.pages, options.repeats, options.threads)
    print("written to", store("page_latency", options.threads, figures, options.out))


if __name__ == "__main__":
    main()
