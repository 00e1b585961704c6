"""Where the expressions of a page come from: ink as it was written, parts of it, lines put together
from single symbols of ink, and printed formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trainer.data.page.compose import (
    Expression,
    beside,
    fraction,
    level_with_top,
    loosened,
    matrix,
    root,
    system,
)
from trainer.data.page.drawing import from_ink
from trainer.data.page.printed import FormulaPrinter, Renderer
from trainer.data.page.prose import GlyphBank, Lettering, latex_of, school_line
from trainer.data.strokes import Ink, ink_symbol_size

RELATIONS = ("=", r"\lt", "<", r"\gt", ">", r"\leq", r"\geq", r"\rightarrow")
_TRIES = 12  # for an expression that fits
_SHAPES = (0.64, 0.14, 0.07, 0.08, 0.07)  # how often composed lines have which shape
_SHORT = ("1", "0", "2", "-1", "4", "d", "dx", "2x", "x", "15", "x+3", "a", "x^2", "b-c", "n")
_UNDER_ROOTS = ("6^2+8^2", "36+64", "100", "x+1", "x", "b^2-4ac", "2", "a^2+b^2", "9+16", "25")


class Source(Protocol):
    """Expressions for one page. Lengths in sizes of a symbol."""

    def one(self, width: float, height: float) -> Expression | None:
        """An expression of at most this size; None if none was found."""

    def steps(self, width: float) -> list[Expression]:
        """One to about eight expressions to be written below each other."""


class Expressions:
    """Everything that pages can be made of; gives each page a source of its own."""

    def __init__(
        self, inks: Sequence[Ink], formulas: Sequence[str], render: Renderer | None
    ) -> None:
        self.inks = inks
        self.bank = GlyphBank(inks)
        self.printer = FormulaPrinter(tuple(formulas), render) if formulas and render else None
        self.by_writer: dict[str, list[int]] = {}
        for i, ink in enumerate(inks):
            self.by_writer.setdefault(writer_of(ink), []).append(i)
        self.writers = sorted(self.by_writer)

    def choose_printed(self, rng: np.random.Generator, share: float) -> bool:
        if self.printer is None:
            return False
        return not self.inks or bool(rng.random() < share)

    def printed(self, rng: np.random.Generator) -> Source:
        assert self.printer is not None
        return Printed(self.printer, rng)

    def by_hand(
        self, rng: np.random.Generator, hand: Lettering, school: float | None = None
    ) -> Source:
        """One writer's inks, topped up with others' where there are few. Args: school, None for a
        random share."""
        own = self.by_writer[self.writers[int(rng.integers(len(self.writers)))]]
        others = rng.integers(len(self.inks), size=max(0, 20 - len(own)))
        chosen = [self.inks[i] for i in (*own, *others)]
        if school is None:
            school = float(rng.choice([0.0, 0.3, 0.7, 0.95]))
        return Handwritten(chosen, hand, rng, school)


def writer_of(ink: Ink) -> str:
    """The writer, or what comes nearest to one: the source that the file's name begins with."""
    return ink.writer or ink.name[:12]


@dataclass(frozen=True)
class Loose:
    """Expressions of a source, a share of them with a wide gap somewhere."""

    source: Source
    rng: np.random.Generator
    share: float

    def one(self, width: float, height: float) -> Expression | None:
        found = self.source.one(width, height)
        return None if found is None else self._perhaps_loosened(found, width)

    def steps(self, width: float) -> list[Expression]:
        return [self._perhaps_loosened(found, width) for found in self.source.steps(width)]

    def _perhaps_loosened(self, found: Expression, width: float) -> Expression:
        if self.rng.random() >= self.share:
            return found
        loose = loosened(self.rng, found)
        return loose if loose.indent + loose.drawing.extent[0] <= width else found


@dataclass(frozen=True)
class Printed:
    """Formulas of a list, with letters of one unit: an em has about 1.45 of these."""

    printer: FormulaPrinter
    rng: np.random.Generator

    def one(self, width: float, height: float) -> Expression | None:
        for _ in range(_TRIES):
            found = self.printer.draw(self.rng)
            if found is None:
                continue
            drawing = found[0].scaled(1.45)
            if (drawing.extent <= [width, height]).all():
                return Expression(drawing, found[1])
        return None

    def steps(self, width: float) -> list[Expression]:
        found = [self.one(width, 6.0) for _ in range(int(self.rng.integers(1, 4)))]
        return [expression for expression in found if expression is not None]


@dataclass(frozen=True)
class Handwritten:
    """Inks of one writer. school: share of lines put together from single symbols."""

    inks: Sequence[Ink]
    hand: Lettering
    rng: np.random.Generator
    school: float

    def one(self, width: float, height: float) -> Expression | None:
        if self.rng.random() < self.school:
            line = self._composed()
            if line is not None and (line.drawing.extent <= [width, height]).all():
                return line
        best: Expression | None = None
        for _ in range(_TRIES):
            ink = self.inks[int(self.rng.integers(len(self.inks)))]
            found = Expression(from_ink(ink), ink.latex)
            if (found.drawing.extent > [width, height]).any():
                continue
            # People write more short lines than the data set has: of two, the shorter is likelier.
            if best is not None:
                is_shorter = found.drawing.extent[0] < best.drawing.extent[0]
                return found if is_shorter else best
            best = found
            if self.rng.random() < 0.4:
                return best
        return best

    def steps(self, width: float) -> list[Expression]:
        rng = self.rng
        if rng.random() < self.school:
            lines = [self._composed() for _ in range(int(rng.integers(1, 7)))]
            found = [line for line in lines if line is not None]
            return [line for line in found if line.drawing.extent[0] <= width]
        if rng.random() < 0.4:
            return self._derivation(width)
        lines = [self.one(width, 7.0) for _ in range(int(rng.choice([1, 1, 2, 3, 4])))]
        return [line for line in lines if line is not None]

    def _composed(self) -> Expression | None:
        """A short line, now and then with a fraction or a root, a derivative, a system or a
        matrix."""
        line = self._school_line()
        if line is None:
            return None
        shapes = (None, self._with_structure, self._derivative, self._system, self._matrix)
        shape = shapes[int(self.rng.choice(len(shapes), p=_SHAPES))]
        return line if shape is None else shape(line)

    def _system(self, line: Expression) -> Expression:
        """Mostly equations behind a brace, else the cases of a function."""
        rng = self.rng
        lines = [line, *(self._school_line() for _ in range(int(rng.choice([1, 1, 1, 2, 3]))))]
        whole = system(rng, [part for part in lines if part is not None])
        name = self._write("f(x)=") if rng.random() < 0.2 else None
        return whole if name is None else beside(rng, [name, whole])

    def _matrix(self, line: Expression) -> Expression:
        rng = self.rng
        shape = int(rng.integers(1, 4)), int(rng.choice([1, 2, 2, 3, 4]))
        cells: Callable[[], Expression | None] = self._angle if rng.random() < 0.2 else self._short
        words = [[cells() for _ in range(shape[1])] for _ in range(max(shape[0], 3 - shape[1]))]
        known = [[cell for cell in row if cell is not None] for row in words]
        if len({len(row) for row in known}) != 1 or not known[0]:
            return line
        whole = matrix(rng, known, has_brackets=rng.random() < 0.7)
        name = self._write(str(rng.choice(["A=", "I=", "B=", "u=", "v="])))
        return whole if name is None or rng.random() < 0.5 else beside(rng, [name, whole])

    def _with_structure(self, line: Expression) -> Expression:
        rng = self.rng
        top, bottom = self._short(), self._short()
        if top is None or bottom is None:
            return line
        if rng.random() < 0.3:
            top, bottom = line, bottom
        under = self._write(str(rng.choice(_UNDER_ROOTS))) or line
        part = fraction(rng, top, bottom) if rng.random() < 0.6 else root(rng, under)
        start = self._write(str(rng.choice(["x=", "c=", "=", "y=", "f(x)=", "A="])))
        parts = [part] if start is None or rng.random() < 0.2 else [start, part]
        end = self._school_line() if rng.random() < 0.3 else None
        gap = rng.uniform(0.2, 0.4) if rng.random() < 0.7 else rng.uniform(0.4, 1.6)
        return beside(rng, parts if end is None else [*parts, end], gap)

    def _derivative(self, line: Expression) -> Expression:
        """d/dx (3x^2) = 6x, and what follows from it."""
        rng = self.rng
        a, n = int(rng.integers(2, 9)), int(rng.integers(2, 6))
        top = self._write(str(rng.choice(["d", "d", "d", "dy", "df"])))
        bottom = self._write(str(rng.choice(["dx", "dx", "dt"])))
        texts = [f"({a}x^{n})={a * n}x", f"({a}x)={a}", f"(-{a})=0", f".({a}x)={a}", f"={a}x+{n}",
                 f"(-{a})=0 → f(x)={a}x+{n}", f"({a}x^{n}-{n})"]  # fmt: skip
        rest = self._write(str(rng.choice(texts)))
        if top is None or bottom is None or rest is None:
            return line
        part = fraction(rng, top, bottom)
        if rng.random() < 0.5:
            return level_with_top(rng, part, rest)
        return beside(rng, [part, rest], rng.uniform(0.2, 1.6))

    def _short(self) -> Expression | None:
        """A number, a letter or two."""
        return self._write(str(self.rng.choice(_SHORT)))

    def _angle(self) -> Expression | None:
        return self._write(str(self.rng.choice(["cos θ", "sin θ", "-sin θ", "0", "1", "cosθ"])))

    def _school_line(self) -> Expression | None:
        return self._write(school_line(self.rng))

    def _write(self, text: str) -> Expression | None:
        if not self.hand.can_write(text):
            return None
        return Expression(self.hand.write(text), latex_of(text))

    def _derivation(self, width: float) -> list[Expression]:
        """An ink cut at its relations: a = b, and below it = c."""
        for _ in range(4):
            ink = self.inks[int(self.rng.integers(len(self.inks)))]
            pieces = cut_at_relations(ink)
            if len(pieces) > 1:
                found = self._aligned(ink, pieces)
                if all(e.drawing.extent[0] + e.indent <= width for e in found):
                    return found
        whole = self.one(width, 7.0)
        return [] if whole is None else [whole]

    def _aligned(self, ink: Ink, pieces: Sequence[Ink]) -> list[Expression]:
        """Pieces as lines; mostly a relation stands below the one before."""
        low = min(stroke[:, 0].min() for stroke in pieces[0].strokes)
        indent = (clean_relations(ink)[0] - low) / ink_symbol_size(ink)
        indent *= self.rng.choice([0.0, 1.0, 1.0])
        return [
            Expression(from_ink(piece), piece.latex, indent if i else 0.0)
            for i, piece in enumerate(pieces)
        ]


def cut_at_relations(ink: Ink) -> list[Ink]:
    """An ink whose relations stand alone, as the lines of a derivation: `a = b`, `= c`, `= d`.

    The first line keeps its relation. Returns: [ink] itself where the ink cannot be cut, or its
    LaTeX does not say the same."""
    places = clean_relations(ink)
    texts = _split_latex(ink.latex)
    if len(places) < 2 or len(texts) != len(places) + 1:
        return [ink]
    cuts = [-np.inf, *places[1:], np.inf]
    texts = [texts[0] + texts[1], *texts[2:]]
    pieces = []
    middles = [_x_range(ink, symbol.strokes) for symbol in ink.symbols]
    for left, right, latex in zip(cuts[:-1], cuts[1:], texts, strict=True):
        kept = [s for s, (low, _) in zip(ink.symbols, middles, strict=True) if left <= low < right]
        strokes = tuple(ink.strokes[i] for symbol in kept for i in symbol.strokes)
        if not strokes:
            return [ink]
        pieces.append(Ink(ink.name, strokes, latex, (), ink.writer))
    return pieces


def _x_range(ink: Ink, strokes: Sequence[int]) -> tuple[float, float]:
    x = np.concatenate([ink.strokes[i][:, 0] for i in strokes])
    return float(x.min()), float(x.max())


def clean_relations(ink: Ink) -> list[float]:
    """Left edges of the relations that have nothing above or below, from left to right."""
    ranges = [_x_range(ink, symbol.strokes) for symbol in ink.symbols]
    found = []
    for i, symbol in enumerate(ink.symbols):
        low, high = ranges[i]
        if symbol.label in RELATIONS:
            others = (r for j, r in enumerate(ranges) if j != i)
            if all(r[1] <= low or r[0] >= high for r in others):
                found.append(low)
    return sorted(found)


def _split_latex(latex: str) -> list[str]:
    """LaTeX cut before each relation that is in no group."""
    pieces, depth = [""], 0
    for token in latex.replace("{", " { ").replace("}", " } ").replace("=", " = ").split():
        depth += (token == "{") - (token == "}")
        if depth == 0 and token in RELATIONS:
            pieces.append("")
        pieces[-1] += token + " "
    return [piece.strip() for piece in pieces]
