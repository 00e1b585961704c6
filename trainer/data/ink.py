r"""Handwriting for any formula: LaTeX in, ink out, symbol by symbol.

    writer = InkWriter(donors, fonts)                  # donors: segmented CROHME training ink
    ink = writer.write(r"\frac { a } { b }", rng)      # the same rng, the same ink
    examples = formula_examples(["formulas.tar.gz"], writer, max_tokens=120)

Contact sheet:  python -m trainer.data.ink formulas.tar.gz --donors crohme_train.tar.gz \
                    --fonts setofont.ttf --sheet sheet.png
Coverage:       python -m trainer.data.ink formulas.tar.gz --coverage

The table of drawn symbols alone writes nearly all of the vocabulary; donors make it look like
people's writing, and fonts add shapes to what no donor wrote.
"""

from __future__ import annotations

import argparse
import logging
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np

from latexocr import latex_tables as tables
from latexocr.errors import DataError, TexError
from latexocr.latex import canonical, parse
from latexocr.tokenizer import default_vocabulary
from trainer.data.boxes import Box
from trainer.data.constructs import LETTER_FONTS
from trainer.data.crohme import read_inks, sheet
from trainer.data.extent import expected_extent, shape_of
from trainer.data.glyphs import GlyphBook
from trainer.data.layout import LOW_MARKS, STRUCTURE, Layout, inked_tokens
from trainer.data.strokes import (
    Ink,
    InkAugment,
    Sample,
    Symbol,
    draw,
    ink_symbol_size,
    rng_for,
    sample,
)

logger = logging.getLogger(__name__)

TRAINING_LISTS = "*_train.txt"  # other lists are for measuring,
HELD_OUT_LISTS = "*_validate.txt"  # these


class InkWriter:
    """Writes formulas in the hands of donors, with drawn symbols and fonts where they have none."""

    def __init__(
        self,
        donors: Sequence[Ink] = (),
        fonts: Sequence[Path] = (),
        symbol_fonts: Sequence[Path] = (),
        held_out: bool = False,
        all_donors: bool = False,
    ) -> None:
        """Args: as GlyphBook's."""
        self.book = GlyphBook(donors, fonts, symbol_fonts, held_out, all_donors)

    def write(self, latex: str, rng: np.random.Generator, name: str = "written") -> Ink:
        """A formula as a person might write it.

        Args: latex, in any form; rng, of all choices; name, of the ink.
        Returns: ink in em, symbols in the order of the canonical tokens that inked_tokens names; a
            fraction's bar is labelled `-`, as CROHME does, all others with their token.
        Raises: TexError if the formula cannot be parsed, DataError if it has no ink or a symbol
            that none of the sources can write."""
        layout = Layout(self.book.hand(rng), rng)
        box = layout.write(parse(latex))
        if not box.pieces:
            raise DataError(f"expected a formula with ink, got {latex!r}")
        return _ink(name, latex, box, layout.symbols, rng)

    def can_write(self, tokens: Sequence[str]) -> bool:
        """Whether there is ink for all tokens of a canonical formula."""
        for place, token in enumerate(tokens):
            if token in LETTER_FONTS:
                letters = [t for t in _argument(tokens, place + 1) if t.isalpha()]
                if not all(self.book.can_write(f"{token} {letter}") for letter in letters):
                    return False
            elif not (token in STRUCTURE or token in tables.OPERATORS
                      or self.book.can_write(LOW_MARKS.get(token, token))):  # fmt: skip
                return False
        return bool(inked_tokens(tokens))


def _argument(tokens: Sequence[str], start: int) -> list[str]:
    """The tokens within the braces that open at a place, nested braces left out."""
    inside: list[str] = []
    depth = 0
    for token in tokens[start:]:
        depth += (token == "{") - (token == "}")
        if not depth:
            break
        if depth == 1:
            inside.append(token)
    return inside


def _ink(
    name: str,
    latex: str,
    box: Box,
    symbols: Sequence[tuple[str, bool]],
    rng: np.random.Generator,
) -> Ink:
    """The ink of a box; the whole formula leans and climbs a little."""
    lean, climb = rng.normal(0.06, 0.1), rng.normal(0, 0.02)
    slope = np.array([[1.0, climb], [-lean, 1.0]], dtype=np.float32)
    strokes: list[np.ndarray] = []
    owned: list[list[int]] = [[] for _ in symbols]
    for piece in box.pieces:
        points = piece.points.astype(np.float32) @ slope
        start = 0
        for length in piece.lengths:
            owned[piece.symbol].append(len(strokes))
            strokes.append(points[start : start + length])
            start += length
    labelled = [Symbol(label, tuple(places), is_fraction)
                for (label, is_fraction), places in zip(symbols, owned, strict=True)]  # fmt: skip
    return Ink(name, tuple(strokes), latex, tuple(labelled))


# --- Examples --------------------------------------------------------------------------------


class WrittenExample:
    """A formula that is written afresh each time."""

    __slots__ = ("extent", "latex", "name", "writer")

    def __init__(self, name: str, latex: str, writer: InkWriter) -> None:
        """Args: latex, canonical."""
        self.name, self.latex, self.writer = name, latex, writer
        self.extent = expected_extent(parse(latex))

    @property
    def symbol_labels(self) -> list[str]:
        tokens = self.latex.split()
        labels = [tokens[place] for place in inked_tokens(tokens)]
        return ["-" if label == r"\frac" else label for label in labels]

    @property
    def symbol_is_fraction(self) -> list[bool]:
        tokens = self.latex.split()
        return [tokens[place] == r"\frac" for place in inked_tokens(tokens)]

    def expected_shape(self, symbol_px: float) -> tuple[int, int]:
        return shape_of(self.extent, symbol_px)

    def sample(
        self, symbol_px: float, rng: np.random.Generator | None, augment: InkAugment | None
    ) -> Sample:
        """The formula in a new hand; always in the same one if rng is None."""
        return sample(self._ink(rng), symbol_px, rng, augment)

    def picture(self) -> np.ndarray:
        ink = self._ink(None)
        return 255 - draw(ink.strokes, ink_symbol_size(ink))

    def _ink(self, rng: np.random.Generator | None) -> Ink:
        rng = rng or rng_for(0, 0, zlib.crc32(self.latex.encode()))
        return self.writer.write(self.latex, rng, self.name)


def formula_examples(
    paths: Sequence[str | Path],
    writer: InkWriter,
    max_tokens: int,
    lists: str = TRAINING_LISTS,
    limit: int | None = None,
    forbidden: Collection[str] = (),
    seed: int = 0,
) -> list[WrittenExample]:
    """Formulas of lists, one LaTeX a line, each one once.

    Left out and counted in one message are those that do not parse, have more than max_tokens
    tokens, tokens outside the vocabulary or without ink. Bold is dropped: ink cannot show it. What
    a transpose is written with is T, see hand_form.

    Args: paths, text files, or folders and .tar.gz with them; lists, the pattern of the names of
        the files to read in these; limit, so many formulas of all lists, chosen by the seed;
        forbidden, canonical formulas that must not be written, such as those of a test set.
    Raises: DataError if a path cannot be read or holds no list."""
    vocabulary = set(default_vocabulary())
    lines = [(f"{name}:{number}", line) for path in paths for name, text in read_lists(path, lists)
             for number, line in enumerate(text.splitlines(), 1) if line.strip()]  # fmt: skip
    if limit is not None:  # the order matters only where not all are taken
        lines = [lines[i] for i in np.random.default_rng(seed).permutation(len(lines))]
    seen, problems = set(forbidden), Counter()
    examples: list[WrittenExample] = []
    for name, line in lines:
        if limit is not None and len(examples) >= limit:
            break
        latex = hand_form(line)
        problem = _problem(latex, writer, vocabulary, max_tokens)
        if problem or latex in seen:
            problems[problem or "repeated or forbidden"] += 1
            continue
        seen.add(latex)
        examples.append(WrittenExample(name, latex, writer))
    logger.info("%d formulas to write; left out: %s", len(examples), dict(problems) or "none")
    return examples


def training_form(latex: str) -> str | None:
    """Canonical without bold; None if it does not parse."""
    try:
        found = canonical(latex)
        return canonical(_without_bold(found)) if r"\mathbf" in found else found
    except TexError:
        return None


def hand_form(latex: str) -> str | None:
    r"""Training form of what is written by hand, where a transpose is T: nobody's hand tells it
    from `\top`, and T is what most people would type."""
    found = training_form(latex)
    return found and found.replace(r"^ { \top }", "^ { T }")


def _without_bold(latex: str) -> str:
    """Its braces stay, and go with the next canonicalising where they mean nothing."""
    return " ".join(token for token in latex.split() if token != r"\mathbf")


def _problem(
    latex: str | None, writer: InkWriter, vocabulary: set[str], max_tokens: int
) -> str | None:
    if latex is None:
        return "does not parse"
    tokens = latex.split()
    if len(tokens) > max_tokens:
        return "too long"
    if not vocabulary.issuperset(tokens):
        return "outside the vocabulary"
    return None if writer.can_write(tokens) else "no ink"


def read_lists(path: str | Path, pattern: str) -> Iterator[tuple[str, str]]:
    """(stem, text) of each list of a folder, an archive or a single file, by name."""
    path = Path(path)
    try:
        if path.is_dir():
            found = [(p.stem, p.read_text("utf-8")) for p in path.rglob("*.txt")
                     if fnmatch(p.name, pattern)]  # fmt: skip
        elif path.suffix == ".txt":
            found = [(path.stem, path.read_text("utf-8"))]
        else:
            with tarfile.open(path) as archive:
                found = [(Path(m.name).stem, archive.extractfile(m).read().decode("utf-8"))
                         for m in archive if m.isfile()
                         and fnmatch(Path(m.name).name, pattern)]  # fmt: skip
    except (OSError, tarfile.TarError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: expected lists of formulas, got {error}") from error
    if not found:
        raise DataError(f"{path}: expected lists of formulas {pattern}, found none")
    yield from sorted(found)


def read_lines(paths: Iterable[str | Path], pattern: str) -> Iterator[str]:
    """The lines of all lists that read_lists gives."""
    for path in paths:
        for _, text in read_lists(path, pattern):
            yield from text.splitlines()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Writes a list as read_lines reads it, with the folders that lack on the way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


# --- Contact sheets --------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Contact sheet of formulas in synthetic handwriting.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("formulas", nargs="+", help="lists of LaTeX: .txt, folder or .tar.gz")
    parser.add_argument("--donors", type=Path, default=None, help="folder or .tar.gz of InkML")
    parser.add_argument("--fonts", type=Path, nargs="*", default=(), help="hand-lettered fonts")
    parser.add_argument("--symbol-fonts", type=Path, nargs="*", default=(), help="other fonts")
    parser.add_argument("--held-out", action="store_true", help="only sources not trained on")
    parser.add_argument("--lists", default=TRAINING_LISTS, help="names of the lists")
    parser.add_argument("--sheet", type=Path, default=None, help="PNG to write")
    parser.add_argument("--coverage", action="store_true", help="count what can be written")
    parser.add_argument("--count", type=int, default=48, help="number of formulas")
    parser.add_argument("--max-tokens", type=int, default=100)
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    donors = list(read_inks(args.donors)) if args.donors else []
    writer = InkWriter(donors, args.fonts, args.symbol_fonts, args.held_out)
    limit = None if args.coverage else args.count
    examples = formula_examples(
        args.formulas, writer, args.max_tokens, args.lists, limit, seed=args.seed
    )
    if args.sheet:
        _write_sheet(examples[: args.count], args.sheet, args.augment, args.seed)


def _write_sheet(examples: list[WrittenExample], path: Path, augment: bool, seed: int) -> None:
    inks = [e.writer.write(e.latex, rng_for(seed, 0, i), e.name) for i, e in enumerate(examples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), sheet(inks, InkAugment() if augment else None, seed)):
        raise DataError(f"expected a place to write a PNG, got {path}")
    print(f"{path}: {len(inks)} formulas")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
