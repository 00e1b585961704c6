"""Make docs/results.md: our figures on all report sets, beside published ones.

python -m benchmarks.make_results --data-dir DATA     measure the embedded weights, write the page
python -m benchmarks.make_results --data-dir DATA --only crohme_2014 pages    measure some anew
python -m benchmarks.make_results --render-only                  from what was measured before
python -m benchmarks.make_results --article PICTURES             the article's pictures alone

DATA holds the archives of CROHME, Im2LaTeX and photos, see SETS; a set that is missing is said to
be missing. PICTURES is a folder of the article's public pictures with a TSV `image<TAB>latex`.
Each measurement is kept as benchmarks/results/KEY.json. Decoding is greedy, and once more with the
four beams that the app reads with. Figures on speed, load and other projects' programs come from
what benchmarks/ stored there.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.results_page import write_page
from benchmarks.stored import RESULTS, store
from latexocr.errors import DataError
from latexocr.hub import EMBEDDED, resolve
from latexocr.quantized import weights_digest
from trainer import measure
from trainer.confidence import reliability

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parents[1]
FORMULA_LISTS = ("wikipedia_validate.txt", "k12_validate.txt")  # printed on generated pages


@dataclass(frozen=True)
class ReportSet:
    """A set, and the options of trainer.measure that measure it.

    options: `{data}` stands for the folder of the data, `{lists}` for that of formula lists,
    `{root}` for this checkout. needs: files without which the set is missing."""

    key: str
    title: str
    role: str
    what: str
    options: tuple[str, ...]
    needs: tuple[str, ...]


def _crohme(year: int, role: str, labels: bool = True) -> ReportSet:
    data, truths = f"{{data}}/crohme_test{year}.tar.gz", f"{{data}}/crohme_labels_{year}.tsv"
    options = ("--data", data, *(("--labels", truths) if labels else ()))
    needs = (data, *((truths,) if labels else ()))
    return ReportSet(f"crohme_{year}", f"CROHME {year}", role, "recognizer", options, needs)


_PHOTOS = ("{root}/benchmarks/photos_dev.json", "{data}/photos_dev.tar.gz")
_SYNTHETIC = "{root}/benchmarks/pages_synthetic.json"
_PHOTO_OPTIONS = ("--data", _PHOTOS[0], "--pictures", _PHOTOS[1])
_INK = "{data}/crohme_test2014.tar.gz"
_SELECTION_INK = "{data}/crohme_test2013.tar.gz"
_FONTS = "/usr/share/fonts/truetype"  # Debian's fonts-kiloji and fonts-dejavu-core
_HELD_OUT = (f"{_FONTS}/kiloji/kiloji.ttf", f"{_FONTS}/kiloji/kiloji_p.ttf")
_HELD_OUT_SYMBOLS = f"{_FONTS}/dejavu/DejaVuSans.ttf"
_LISTS = tuple(f"{{lists}}/{name}" for name in FORMULA_LISTS)


def _with_beams(one: ReportSet) -> ReportSet:
    """The same set, read as the app reads it."""
    return replace(
        one,
        key=f"{one.key}_beams",
        title=f"{one.title}, four beams",
        options=(*one.options, "--beams", "4"),
    )


_READING = (
    _crohme(2013, "selection", labels=False),
    _crohme(2014, "report"),
    _crohme(2016, "report"),
    ReportSet(
        "im2latex", "Im2LaTeX-100k, report part", "report", "recognizer",
        ("--data", "{data}/im2latex_validate.tar.gz", "--part", "report"),
        ("{data}/im2latex_validate.tar.gz",),
    ),
    ReportSet(
        "photo_lines", "lines of real photos", "development", "recognizer", _PHOTO_OPTIONS, _PHOTOS
    ),
    # 1,000 formulas of the lists, written with glyphs that training never saw.
    ReportSet(
        "wide", "wide vocabulary", "report", "recognizer",
        ("--data", "{root}/benchmarks/wide.json", "--formulas", "{data}/formulas.tar.gz",
         "--ink", _SELECTION_INK, "--fonts", *_HELD_OUT, "--symbol-fonts", _HELD_OUT_SYMBOLS),
        ("{data}/formulas.tar.gz", _SELECTION_INK, *_HELD_OUT, _HELD_OUT_SYMBOLS),
    ),
)  # fmt: skip
SETS = (
    *_READING,
    *map(_with_beams, _READING),
    ReportSet(
        "photo_lines_page", "lines of real photos with their page, four beams", "development",
        "recognizer", (*_PHOTO_OPTIONS, "--beams", "4", "--together"), _PHOTOS,
    ),
    ReportSet(
        "detector_synthetic", "generated pages", "report", "detector",
        ("--data", _SYNTHETIC, "--ink", _INK, "--formulas", *_LISTS),
        (_SYNTHETIC, _INK, "{data}/formulas.tar.gz"),
    ),
    ReportSet("detector_photos", "real photos", "development", "detector", _PHOTO_OPTIONS, _PHOTOS),
    ReportSet(
        "pages", "real photos, found and read", "development", "pages", _PHOTO_OPTIONS, _PHOTOS
    ),
)  # fmt: skip


def article_set(folder: Path) -> ReportSet:
    options = ("--data", str(folder))
    return ReportSet(
        "article", "the article's public pictures", "report", "recognizer", options, (str(folder),)
    )


def measure_set(one: ReportSet, places: dict[str, str], results: Path, threads: int) -> Path | None:
    """Measure one set and store the figures; None if its data is missing.

    Raises: LatexOCRError if the data is there but cannot be read."""
    missing = [need for need in (n.format(**places) for n in one.needs) if not Path(need).exists()]
    if missing:
        logger.warning("%s: missing %s", one.key, ", ".join(missing))
        return None
    options = [option.format(**places) for option in one.options]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        readings = Path(folder) / "readings.jsonl"
        if one.what == "recognizer":
            options += ["--full", "--readings", str(readings)]
        figures = measure.figures_of(measure.parse_arguments([one.what, *options]))
        rows = readings.read_text("utf-8").splitlines() if readings.exists() else []
    content = {
        "key": one.key,
        "weights": digest_of("recognizer" if one.what == "recognizer" else one.what),
        "seconds": round(time.perf_counter() - start, 1),
        "figures": figures,
        "reliability": reliability_rows([json.loads(row) for row in rows]),
    }
    return store(one.key, threads, content, results)


def reliability_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bins of confidence of readings, as trainer.measure wrote them."""
    if not rows:
        return []
    bins = reliability([row["confidence"] for row in rows], [row["is_right"] for row in rows])
    return [vars(one) for one in bins]


def digest_of(part: str) -> str:
    """Name of the embedded weights that a measurement rests on."""
    parts = ("detector", "recognizer") if part == "pages" else (part,)
    return weights_digest(*(resolve(None, name) for name in parts))


def formula_lists(data_dir: Path, folder: Path) -> Path:
    """A folder with FORMULA_LISTS, out of formulas.tar.gz. Empty if there is no such file.

    Raises: DataError if a list is not in the archive, or it is broken."""
    path = data_dir / "formulas.tar.gz"
    if not path.is_file():
        return folder
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                if name in FORMULA_LISTS and member.isfile():
                    (folder / name).write_bytes(archive.extractfile(member).read())
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path}: expected a .tar.gz of formula lists, got {error}") from error
    missing = [name for name in FORMULA_LISTS if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{path}: expected {', '.join(missing)} in it, found none")
    return folder


def measure_all(
    data_dir: Path, sets: Sequence[ReportSet], results: Path, threads: int
) -> list[Path]:
    """Measure sets one after the other. Returns the files that were written."""
    with tempfile.TemporaryDirectory() as name:
        places = {
            "data": str(data_dir),
            "lists": str(formula_lists(data_dir, Path(name))),
            "root": str(ROOT),
        }
        written = []
        for one in sets:
            path = measure_set(one, places, results, threads)
            if path:
                logger.warning("%s: written to %s", one.title, path)
                written.append(path)
    return written


def main(argv: list[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder with the archives of the data sets")
    add("--article", type=Path, help="folder of the article's public pictures, with a TSV")
    add("--only", nargs="+", choices=[one.key for one in SETS], help="sets to measure anew")
    add("--render-only", action="store_true", help="write the page from stored measurements")
    add("--results", type=Path, default=RESULTS, help="folder of stored measurements")
    add("--out", type=Path, default=ROOT / "docs" / "results.md", help="the page")
    add("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    if not options.render_only:
        if not options.data_dir and not options.article:
            parser.error("expected --data-dir, --article or --render-only")
        torch.set_num_threads(options.threads)
        chosen = [one for one in SETS if not options.only or one.key in options.only]
        chosen = chosen if options.data_dir else []
        if options.article:
            chosen.append(article_set(options.article))
        measure_all(options.data_dir or EMBEDDED, chosen, options.results, options.threads)
    digests = {part: digest_of(part) for part in ("recognizer", "detector", "pages")}
    write_page(options.out, options.results, SETS, digests)
    print("written to", options.out)


if __name__ == "__main__":
    main()
