"""InkML of several years in one folder or archive, as on Kaggle, without what it has twice.

    archive/CROHME_training_2011/  trainData_2012_part1/  trainData_2012_part2/  testData_2012/
            TrainINKML_2013/  TestINKML_2013/  ...

The training sets of CROHME 2011 and 2012 are for the most part in that of 2013 again, under other
names: whoever pools them and then splits at random tests on ink that was trained on. Here each
ink counts once, whatever its file is called. Inks of the test sets are left out of such a pool, and
so are their twins; to measure on a test set, name its folder.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from latexocr.errors import DataError
from trainer.data import crohme
from trainer.data.archives import read_files
from trainer.data.strokes import Ink

logger = logging.getLogger(__name__)

HASH_UNITS = 10_000  # of the ink's larger side: strokes are told apart to that much of it
NAMED = 5  # files that a warning names


def load_inks(
    path: Path, names: Iterable[str], labels: dict[str, str] | None, once: bool
) -> list[Ink]:
    """Inks of a folder or archive, sorted by name.

    Args: names of its files; labels, truths by name that replace the files' own; once, whether of
        inks that are the same only the first is wanted, as it must be where they are split
        afterwards. A pool of several sets has each once in any case.
    Raises: DataError if there is no InkML."""
    sets = {set_of(name) for name in names if name.endswith(".inkml")}
    if len(sets) > 1 or path.suffix == ".zip":
        return _pooled(path, labels or {})
    inks = list(crohme.read_inks(path, labels))  # what a run goes on with must stay what it was
    return without_twins(inks) if once else inks


def set_of(name: str) -> str:
    """The part of a file's path that names its set: up to the first folder of training or test
    data; empty if there is none."""
    folders = PurePosixPath(name).parts[:-1]
    for depth, folder in enumerate(folders, 1):
        if "train" in folder.lower() or _is_test(folder):
            return "/".join(folders[:depth])
    return ""


def _is_test(set_name: str) -> bool:
    return "test" in PurePosixPath(set_name).name.lower()


def _pooled(path: Path, labels: dict[str, str]) -> list[Ink]:
    found: list[tuple[str, Ink]] = []
    tested: set[str] = set()
    problems: list[str] = []
    for name, data in read_files(path, lambda name: name.endswith(".inkml")):
        stem, is_test = PurePosixPath(name).stem, _is_test(set_of(name))
        try:
            # Some files of test sets have no truth, but their ink counts all the same.
            truth = labels.get(stem) or ("?" if is_test else None)
            ink = crohme.parse_inkml(data, stem, truth)
        except DataError as error:
            problems.append(str(error))
            continue
        if is_test:
            tested.add(ink_hash(ink))
        else:
            found.append((name, ink))
    found.sort(key=lambda item: (item[1].name, item[0]))
    inks = without_twins((ink for _, ink in found), tested)
    if problems:
        shown = "; ".join(problems[:NAMED])
        logger.warning("%s: left out %d unreadable files: %s", path, len(problems), shown)
    logger.info(
        "%s: %d inks; left out %d that are there twice or in a test set, and %d of test sets",
        *(path, len(inks), len(found) - len(inks), len(tested)),
    )
    if not inks:
        raise DataError(f"{path}: expected *.inkml files of training sets, found none")
    return inks


def without_twins(inks: Iterable[Ink], others: Iterable[str] = ()) -> list[Ink]:
    """The first of each ink. Args: others, hashes of inks that are not wanted either."""
    seen = set(others)
    first: list[Ink] = []
    for ink in inks:
        own = ink_hash(ink)
        if own not in seen:
            seen.add(own)
            first.append(ink)
    return first


def ink_hash(ink: Ink) -> str:
    """The same for the same strokes in the same order, wherever and in whatever unit they are
    written."""
    points = np.concatenate(ink.strokes).astype(np.float64)
    corner, side = points.min(axis=0), float(np.ptp(points, axis=0).max()) or 1.0
    digest = hashlib.sha1(usedforsecurity=False)
    for stroke in ink.strokes:
        units = np.rint((stroke - corner) / side * HASH_UNITS).astype("<i4")
        digest.update(len(units).to_bytes(4, "little") + units.tobytes())
    return digest.hexdigest()
