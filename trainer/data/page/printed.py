"""Printed formulas for pages: LaTeX -> outlines, by a renderer that needs no TeX.

The default renderer is that of latexocr.render, about 150 formulas a second; any function from
LaTeX to a mask takes its place, pdflatex with more font families say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from latexocr.errors import DataError, RenderError
from latexocr.render import picture
from trainer.data.page.drawing import Drawing, from_mask

EM_PX = 44  # formulas are rendered this large and traced
MARGIN_EM = 0.1  # italics lean out of their formula's box
MAX_LATEX = 90  # characters; longer ones would not fit a line
_OUTLINE_CACHE = 2048

Renderer = Callable[[str], np.ndarray | None]
"""LaTeX -> (H, W) uint8, 0 = paper and 255 = ink, EM_PX to the em; None if it cannot."""


def mathra_renderer() -> Renderer:
    """The renderer that needs no TeX."""

    def render(latex: str) -> np.ndarray | None:
        try:
            return 255 - np.asarray(picture(latex, EM_PX, MARGIN_EM))
        except RenderError:  # a list has LaTeX of any kind: another formula will do
            return None

    return render


class FormulaPrinter:
    """Draws formulas of a list, and remembers what it drew."""

    def __init__(self, formulas: tuple[str, ...], render: Renderer) -> None:
        self.formulas, self.render = formulas, render
        self.outlines = lru_cache(maxsize=_OUTLINE_CACHE)(self._outlines)

    def draw(self, rng: np.random.Generator) -> tuple[Drawing, str] | None:
        """A random formula, one unit to the em, and its LaTeX; None if it cannot be rendered."""
        latex = self.formulas[int(rng.integers(len(self.formulas)))]
        drawing = self.outlines(latex)
        return None if drawing is None else (drawing, latex)

    def _outlines(self, latex: str) -> Drawing | None:
        mask = self.render(latex)
        if mask is None or not mask.any():
            return None
        drawing = from_mask(mask, EM_PX)
        return drawing if drawing.outlines else None


def read_formulas(source: str) -> tuple[str, ...]:
    """Formulas of a text file, one a line, that are short enough for a line of a page.

    Raises: DataError if the file cannot be read or holds none."""
    try:
        lines = Path(source).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: expected a text file of formulas, got {error}") from error
    # \hline and rules are drawn in part only; alignments are several lines of mathematics.
    unfit = re.compile(r"\\\\|\\hline|\\begin|&|\\tag|\\label")
    found = tuple(
        s for s in map(str.strip, lines) if 3 <= len(s) <= MAX_LATEX and not unfit.search(s)
    )
    if not found:
        raise DataError(f"{source}: expected formulas, one a line, found none")
    return found
