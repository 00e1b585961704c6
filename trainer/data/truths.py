"""Truths of data sets, to keep them out of what is trained on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from latexocr.errors import TexError
from latexocr.latex import canonical
from trainer.data.crohme import read_labels
from trainer.data.examples import load_examples


def truths_of(path: str) -> list[str]:
    """The formulas of a data set, or of a TSV of labels."""
    if path.endswith(".tsv"):
        return list(read_labels(Path(path)).values())
    return [example.latex for example in load_examples(path)]


def canonical_truths(truths: Iterable[str]) -> Iterator[str]:
    """Canonical forms of those that parse."""
    for latex in truths:
        with suppress(TexError):
            yield canonical(latex)
