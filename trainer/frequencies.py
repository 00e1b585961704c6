"""Count how often each token comes in formulas, for latexocr/rarity.py.

    python -m trainer.frequencies --formulas mix.txt --each 40000 > latexocr/token_counts.txt

Of each list so many formulas are drawn, or a long one would decide alone. One token and its count a
line, in the order of the vocabulary.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from latexocr.errors import TexError
from latexocr.latex import canonical
from latexocr.tokenizer import default_vocabulary
from trainer.data.ink import TRAINING_LISTS, read_lists
from trainer.data.strokes import rng_for


def count_tokens(lists: Sequence[Path], each: int, seed: int = 0) -> Counter[str]:
    """Of canonical tokens. Args: lists, .txt, folder or .tar.gz; each, formulas drawn from each
    list; those that cannot be parsed count for nothing.

    Raises: DataError if a list cannot be read."""
    counts: Counter[str] = Counter()
    texts = sorted(one for path in lists for one in read_lists(path, TRAINING_LISTS))
    for number, (_, text) in enumerate(texts):
        formulas = text.splitlines()
        order = rng_for(seed, 0, number).permutation(len(formulas))
        for i in order[:each]:
            try:
                counts.update(canonical(formulas[i]).split())
            except TexError:
                continue
    return counts


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--formulas",
        type=Path,
        nargs="+",
        required=True,
        help="lists of LaTeX: .txt, folder or .tar.gz",
    )
    parser.add_argument("--each", type=int, default=4000, help="formulas drawn from each list")
    arguments = parser.parse_args(argv)
    counts = count_tokens(arguments.formulas, arguments.each)
    for token in default_vocabulary():
        print(f"{token}\t{counts[token]}")


if __name__ == "__main__":
    main()
