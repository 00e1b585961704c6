r"""The wide vocabulary set: formulas of validation lists, written with ink that no training saw.

    examples = load_wide("benchmarks/wide.json", "formulas.tar.gz", "crohme_test2013.tar.gz",
                         ["kiloji.ttf"], ["DejaVuSans.ttf"])
    python -m trainer.data.wide formulas.tar.gz --ink ... --fonts ... --out benchmarks/wide.json

The manifest says which lines of which lists are taken, never what they say. Letters and digits are
a test set's ink; what it has no ink for comes from fonts that training leaves out, or is put
together from both (see glyphs.py). Each formula is always written in the same way.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from latexocr.errors import DataError, TexError
from latexocr.latex import canonical
from latexocr.tokenizer import default_vocabulary
from trainer.data.crohme import read_inks
from trainer.data.ink import (
    HELD_OUT_LISTS,
    TRAINING_LISTS,
    InkWriter,
    WrittenExample,
    read_lines,
    read_lists,
    training_form,
)

logger = logging.getLogger(__name__)

LEFT_OUT = ("im2latex_validate",)  # its formulas are print's report set
MAX_TOKENS = 40
TIMES = 3  # a token occurs at least so often to be counted


def load_wide(
    manifest: str | Path,
    formulas: str | Path,
    ink: str | Path,
    fonts: Sequence[str | Path],
    symbol_fonts: Sequence[str | Path],
) -> list[WrittenExample]:
    """The examples of a manifest.

    Args: formulas, the lists, a folder or .tar.gz; ink, InkML that no training uses; fonts and
        symbol_fonts as InkWriter's.
    Raises: DataError if a file, a line or the ink of a symbol is missing."""
    try:
        picked = list(json.loads(Path(manifest).read_text("utf-8"))["formulas"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{manifest}: expected a manifest of formulas, got {error}") from error
    writer = held_out_writer(ink, fonts, symbol_fonts)
    lines = _lines(formulas)
    examples = []
    for name in picked:
        latex = training_form(lines.get(name, ""))
        if not latex or not writer.can_write(latex.split()):
            raise DataError(f"{manifest}: expected {name} in {formulas}, and ink for all of it")
        examples.append(WrittenExample(name, latex, writer))
    return examples


def held_out_writer(
    ink: str | Path, fonts: Sequence[str | Path], symbol_fonts: Sequence[str | Path]
) -> InkWriter:
    donors = list(read_inks(Path(ink)))
    paths = ([Path(font) for font in some] for some in (fonts, symbol_fonts))
    return InkWriter(donors, *paths, held_out=True, all_donors=True)


def pick(
    lines: dict[str, str], writer: InkWriter, seen: set[str], count: int, seed: int
) -> list[str]:
    """Names of formulas, rare tokens first until each has TIMES, then at random.

    Args: seen, canonical formulas that must not be taken."""
    vocabulary, seen = set(default_vocabulary()), set(seen)
    order = np.random.default_rng(seed).permutation(sorted(lines)).tolist()
    usable: dict[str, list[str]] = {}
    for name in order:
        latex = training_form(lines[name])
        tokens = latex.split() if latex else []
        if (
            1 < len(tokens) <= MAX_TOKENS
            and latex not in seen
            and vocabulary.issuperset(tokens)
            and writer.can_write(tokens)
        ):
            usable[name] = tokens
            seen.add(latex)
    holders: dict[str, list[str]] = {}
    for name, tokens in usable.items():
        for token in set(tokens):
            holders.setdefault(token, []).append(name)
    picked: dict[str, None] = {}
    counts: Counter[str] = Counter()
    for token in sorted(holders, key=lambda token: (len(holders[token]), token)):
        for name in holders[token] if len(holders[token]) >= TIMES else ():
            if counts[token] >= TIMES:
                break
            if name not in picked:
                picked[name] = None
                counts.update(set(usable[name]))
    rest = (name for name in usable if name not in picked)
    chosen = [*picked, *rest][:count]
    counts = Counter(token for name in chosen for token in set(usable[name]))
    logger.info(
        "%d formulas of %d; %d tokens at least %d times",
        len(chosen), len(usable), sum(n >= TIMES for n in counts.values()), TIMES,
    )  # fmt: skip
    return sorted(chosen)


def _lines(formulas: str | Path) -> dict[str, str]:
    return {
        f"{name}:{number}": line
        for name, text in read_lists(formulas, HELD_OUT_LISTS)
        if name not in LEFT_OUT
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    }


def _training_formulas(formulas: str | Path) -> set[str]:
    found = set()
    for line in read_lines([formulas], TRAINING_LISTS):
        if len(line) < 12 * MAX_TOKENS:  # a longer one has too many tokens
            with suppress(TexError):
                found.add(canonical(line))
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("formulas", help="folder or .tar.gz of lists")
    parser.add_argument("--ink", required=True, help="InkML that no training uses")
    parser.add_argument("--fonts", nargs="*", default=(), help="hand-lettered fonts")
    parser.add_argument("--symbol-fonts", nargs="*", default=(), help="other fonts")
    parser.add_argument("--out", type=Path, required=True, help="manifest to write")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    writer = held_out_writer(args.ink, args.fonts, args.symbol_fonts)
    seen = _training_formulas(args.formulas)
    picked = pick(_lines(args.formulas), writer, seen, args.count, args.seed)
    args.out.write_text(json.dumps({"formulas": picked}, indent=0) + "\n", "utf-8")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
