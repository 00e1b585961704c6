r"""Formulas of lists that have rare commands, up to so many for each command.

    python -m trainer.data.gather formulas.tar.gz rare.txt --out gathered.txt
    accelerate launch trainer/finetune.py ... --formulas "[formulas.tar.gz, gathered.txt]"

A run draws some ten thousand formulas out of a million: what one of a thousand has, it sees a few
dozen times and does not learn. Here one list is made of what has such commands, so that a run can
draw from it as much as from all others.
"""

import argparse
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from latexocr.tokenizer import default_vocabulary
from trainer.data.ink import TRAINING_LISTS, read_lines, write_lines

COMMAND = re.compile(r"\\(?:[A-Za-z]+|.)")
LONGEST = 260  # characters; hardly anything longer has few enough tokens to be trained on


def rare_commands(lines: Iterable[str], below: float) -> set[str]:
    """Commands of the vocabulary that are in fewer of the lines than this share."""
    counts, n_lines = Counter(), 0
    for line in lines:
        counts.update(set(COMMAND.findall(line)))
        n_lines += 1
    commands = {token for token in default_vocabulary() if COMMAND.fullmatch(token)}
    return {token for token in commands if counts[token] < below * n_lines}


def gathered(
    lists: Iterable[Sequence[str]], commands: Collection[str], most: int, seed: int = 0
) -> list[str]:
    """Lines with one of the commands, each once and in random order: those of the first list
    first, and no more for the sake of a command that `most` already have."""
    rng = np.random.default_rng(seed)
    wanted, counts = set(commands), Counter()
    found: dict[str, None] = {}
    for lines in lists:
        for index in rng.permutation(len(lines)):
            line = lines[index]
            if line in found or len(line) > LONGEST:
                continue
            shown = wanted.intersection(COMMAND.findall(line))
            if any(counts[command] < most for command in shown):
                found[line] = None
                counts.update(shown)
    ordered = list(found)
    return [ordered[index] for index in rng.permutation(len(ordered))]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("lists", type=Path, nargs="+", help=".txt, folder or .tar.gz; the first is preferred")
    add("--out", type=Path, required=True, help="text file to write")
    add("--commands", nargs="+", default=None, help="instead of all that are rare")
    add("--below", type=float, default=0.005, help="share of the formulas with a rare command")
    add("--most", type=int, default=1500, help="formulas for each command")
    add("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    lists = [list(read_lines([path], TRAINING_LISTS)) for path in options.lists]
    everything = (line for lines in lists for line in lines)
    commands = options.commands or rare_commands(everything, options.below)
    found = gathered(lists, commands, options.most, options.seed)
    write_lines(options.out, found)
    print(f"{options.out}: {len(found)} formulas with {len(commands)} commands")


if __name__ == "__main__":
    main()
