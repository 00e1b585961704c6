"""Does training on a few corrections help with these, and what does it cost elsewhere?

python -m benchmarks.corrections --data crohme_test2013.tar.gz --elsewhere crohme_test2014.tar.gz \\
    --labels crohme_labels_2014.tsv
python -m benchmarks.corrections ... --limit 50 --out /tmp                   a quick look

The first 20 formulas of --data that are read wrong are corrected, in a folder as the app keeps it,
and trained on with trainer/configs/corrections.yaml. Then they are read again, and --elsewhere, on
which nothing was corrected, before and after.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.stored import RESULTS, store
from latexocr.corrections import FolderCorrections
from latexocr.errors import DataError
from latexocr.hub import resolve
from latexocr.pictures import load_picture
from latexocr.recognizer import Recognizer
from trainer.data.examples import Example, load_examples
from trainer.measure_recognizer import measure_recognizer
from trainer.metrics import token_edits

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "trainer" / "configs" / "corrections.yaml"
N_CORRECTED = 20
AT_ONCE = 100  # formulas read while looking for wrong ones


def read_wrong(recognizer: Recognizer, examples: Sequence[Example], n: int) -> list[Example]:
    """The first n examples that are not read exactly.

    Raises: DataError if there are fewer."""
    found: list[Example] = []
    for first in range(0, len(examples), AT_ONCE):
        some = examples[first : first + AT_ONCE]
        _, readings = measure_recognizer(recognizer, some, n_timed=0)
        for example, reading in zip(some, readings, strict=True):
            if token_edits(example.latex, reading.canonical)[0]:
                found.append(example)
        if len(found) >= n:
            return found[:n]
    raise DataError(f"expected {n} formulas that are read wrong, got {len(found)}")


def train_on(corrections: Path, weights: Path, output: Path, n_threads: int) -> Path:
    """What people do with a folder of corrections. Returns the folder of the new weights."""
    line = [sys.executable, "-m", "accelerate.commands.launch", "trainer/finetune.py"]
    line += ["--config", str(CONFIG), "--data", str(corrections), "--init", str(weights)]
    line += ["--output", str(output), "--loop.n_threads", str(n_threads)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(line, check=True, cwd=ROOT, env=environment)
    return output / "corrections" / "final"


def measure(
    data: str, elsewhere: str, labels: str | None, limit: int | None, n_threads: int
) -> dict[str, Any]:
    weights = resolve(None, "recognizer")
    before = Recognizer.from_pretrained(weights, "cpu")
    corrected = read_wrong(before, load_examples(data), N_CORRECTED)
    with tempfile.TemporaryDirectory() as folder:
        kept = FolderCorrections(Path(folder) / "corrections")
        for example in corrected:
            kept.save(load_picture(example.picture()), example.latex)
        start = time.perf_counter()
        final = train_on(kept.folder, weights, Path(folder), n_threads)
        minutes = (time.perf_counter() - start) / 60
        after = Recognizer.from_pretrained(final, "cpu")
    others = load_examples(elsewhere, labels, limit=limit)
    rows = []
    for name, examples in (("the corrected ones", corrected), (Path(elsewhere).name, others)):
        row: dict[str, Any] = {"formulas": name, "n": len(examples)}
        for when, recognizer in (("before", before), ("after", after)):
            figures, _ = measure_recognizer(recognizer, examples, n_timed=0)
            row |= {f"{key}_{when}": figures[key] for key in ("exprate", "cer")}
        rows.append(row)
    return {"minutes_of_training": round(minutes, 1), "read": rows}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="set to correct formulas of, which must not be reported on")
    add("--elsewhere", required=True, help="another set")
    add("--labels", help="TSV of truths by name, for --elsewhere")
    add("--limit", type=int, help="formulas of --elsewhere; default: all")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--out", type=Path, default=RESULTS, help="folder for corrections.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    figures = measure(
        options.data, options.elsewhere, options.labels, options.limit, options.threads
    )
    print(figures)
    print("written to", store("corrections", options.threads, figures, options.out))


if __name__ == "__main__":
    main()
