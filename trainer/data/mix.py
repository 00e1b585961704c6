r"""One list of formulas out of several, with so many lines of each.

    python -m trainer.data.mix gathered.txt school.txt:55000 k12_train.txt:20000 --out mix.txt
    accelerate launch trainer/finetune.py ... --formulas "[mix.txt]"

A run draws its formulas from all lists alike, so the longest of them decides what is learnt. In a
mixture every kind has the share that it is given.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from latexocr.errors import DataError
from trainer.data.ink import TRAINING_LISTS, read_lines, write_lines


def mixed(sources: Iterable[tuple[Sequence[str], int | None]], seed: int = 0) -> list[str]:
    """Lines in random order, each once.

    Args: sources, lines and how many of them to choose at random, None for all.
    Raises: DataError if a source has fewer different lines than are to be chosen."""
    rng = np.random.default_rng(seed)
    found: dict[str, None] = {}
    for place, (lines, count) in enumerate(sources, 1):
        different = list(dict.fromkeys(line for line in lines if line.strip()))
        if count is not None and count > len(different):
            raise DataError(
                f"source {place}: expected at least {count} different lines, got {len(different)}"
            )
        order = rng.permutation(len(different))[:count]
        found.update((different[index], None) for index in order)
    ordered = list(found)
    return [ordered[index] for index in rng.permutation(len(ordered))]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("sources", nargs="+", metavar="LIST[:COUNT]",
        help=".txt, folder or .tar.gz, and how many of its lines if not all")  # fmt: skip
    add("--out", type=Path, required=True, help="text file to write")
    add("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    sources = []
    for source in options.sources:
        path, _, count = source.rpartition(":")
        path, wanted = (path, int(count)) if path and count.isdecimal() else (source, None)
        sources.append((list(read_lines([path], TRAINING_LISTS)), wanted))
    found = mixed(sources, options.seed)
    write_lines(options.out, found)
    print(f"{options.out}: {len(found)} formulas")


if __name__ == "__main__":
    main()
