"""What is written where on a page: exercises with their steps, prose, headings, figures, columns.

Box rule: one box for each line of mathematics; two expressions side by side in columns are two
boxes; a fraction, a matrix or a system with its brace is one; expressions with only commas or an
arrow between them are one. Question numbers, prose and crossed-out work are outside. A line of
prose with mathematics in it is not boxed: it is to be ignored, in training and in measuring.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from trainer.data.page import figures
from trainer.data.page.compose import Expression, beside
from trainer.data.page.drawing import Drawing, Pen, joined
from trainer.data.page.prose import LABELS, TITLES, has_maths, note, question_number, sentence


class Kind(Enum):
    EQUATION = "equation"  # has a box
    IGNORED = "ignored"  # finding it is neither right nor wrong
    OTHER = "other"  # must not be found


@dataclass(frozen=True, eq=False)
class Item:
    """Something on the page, in its coordinates. latex: of an equation, where it is known."""

    drawing: Drawing
    pen: Pen
    kind: Kind
    latex: str | None = None


@dataclass(frozen=True)
class Style:
    """How one page is written.

    expression gives one of at most so many units wide and high, a symbol being one unit. steps
    gives several that follow from each other. words writes a line of text, a capital being one unit
    high, the baseline at y = 0. symbol and row: pixels of the page."""

    expression: Callable[[float, float], Expression | None]
    steps: Callable[[float], list[Expression]]
    words: Callable[[str], Drawing]
    pen: Pen
    prose_pen: Pen
    symbol: float
    row: float
    prose: float = 0.3  # share of blocks that are prose
    extras: float = 0.3  # how much decoration there is, 1 is much
    slant: float = 0.0  # radians
    drift: float = 0.008  # radians, standard deviation of a line's slope
    tight: float = 0.25  # share of a row that stays free between lines; below 0, lines overlap


@dataclass
class Column:
    """A part of the page that is filled from the top. y: where the next row begins."""

    left: float
    right: float
    y: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left


@dataclass
class Writer:
    """Fills columns with blocks. Every choice comes from rng."""

    style: Style
    rng: np.random.Generator
    max_equations: int
    items: list[Item] = field(default_factory=list)
    n_equations: int = 0
    number: int = 1

    def fill(self, column: Column) -> None:
        """Write blocks until the column or the number of equations is used up."""
        style = self.style
        for _ in range(60):
            if column.y + style.row > column.bottom or self.n_equations >= self.max_equations:
                return
            kind = self.rng.random()
            if kind < style.prose:
                self._paragraph(column, int(self.rng.integers(1, 5)))
            elif kind < style.prose + 0.08 * style.extras:
                self._heading(column)
            elif kind < style.prose + 0.3 * style.extras:
                self._figure(column)
            elif kind < style.prose + 0.42 * style.extras:
                self._note(column)
            else:
                self._exercise(column)
            column.y += style.row * self.rng.choice([0, 0, 0.5, 1, 2])

    # --- Blocks -------------------------------------------------------------------------------

    def _exercise(self, column: Column) -> None:
        """A number, perhaps a line of text, and the steps of the answer below each other."""
        rng, style = self.rng, self.style
        inner = replace(column)
        if rng.random() < 0.55:
            inner.left += self._question_number(column)
        if rng.random() < 1.2 * style.prose:
            self._paragraph(inner, int(rng.integers(1, 3)))
        indent = rng.choice([0.0, 0.0, rng.uniform(0, 0.15), rng.uniform(0, 0.4)]) * inner.width
        inner.left += indent
        if inner.width > 6 * style.symbol:
            self._steps(inner)
        column.y = max(column.y, inner.y)

    def _steps(self, column: Column) -> None:
        rng, style = self.rng, self.style
        lines = style.steps(column.width / style.symbol)
        stagger = rng.uniform(0, 1.5) * style.symbol * (rng.random() < 0.3)
        x = column.left
        for expression in lines:
            if self.n_equations >= self.max_equations:
                return
            if not self._line(column, x + expression.indent * style.symbol, expression):
                return
            if rng.random() < 0.06 * style.extras:
                self._cross_out()
            x += stagger if x + stagger < column.left + 0.4 * column.width else 0.0

    def _line(self, column: Column, x: float, expression: Expression) -> bool:
        """One row with an expression, and sometimes others beside it. False: there is no room."""
        rng, style = self.rng, self.style
        expression = self._chained(expression, (column.right - x) / style.symbol)
        height = self._rows(expression.drawing) * style.row
        if column.y + height > column.bottom:
            return False
        x = max(column.left, min(x, column.right - expression.drawing.extent[0] * style.symbol))
        if rng.random() < 0.1 * style.extras:
            x = self._label(column, x, height, expression)
        right = self._put(expression, x, column.y, height)
        for _ in range(2):
            room = (column.right - right) / style.symbol - 4.5
            if room < 5 or rng.random() > 0.22 or self.n_equations >= self.max_equations:
                break
            second = style.expression(room, 0.9 * height / style.symbol)
            if second is None:
                break
            widest = min(12.0, room + 4.5 - second.drawing.extent[0])
            is_short = max(expression.drawing.extent[0], second.drawing.extent[0]) < 5
            least = 2.0 if is_short else 3.5
            gap = rng.uniform(least, max(least + 0.1, widest * rng.random())) * style.symbol
            right = self._put(second, right + gap, column.y, height)
            expression = second
        if rng.random() < 0.12 * style.extras:
            self._remark(column, right, height)
        column.y += height
        return True

    def _chained(self, expression: Expression, width: float) -> Expression:
        """Now and then with an arrow before it, or with one to what follows from it."""
        rng = self.rng
        if rng.random() > 0.08:
            return expression
        length = rng.uniform(0.7, 1.8)
        arrow = Expression(Drawing(figures.arrow(rng, 0.0, length, 0.0, 0.3).strokes), r"\to")
        gap = rng.uniform(0.3, 1.2)
        room = width - expression.drawing.extent[0] - length - 2 * gap
        second = self.style.expression(room, 2.5) if room > 3 else None
        parts = [arrow, expression] if second is None else [expression, arrow, second]
        whole = beside(rng, parts, gap)
        fits = whole.drawing.extent[0] <= width
        return Expression(whole.drawing, whole.latex, expression.indent) if fits else expression

    def _remark(self, column: Column, right: float, height: float) -> None:
        """Words behind an equation, perhaps with an arrow to them."""
        rng, style = self.rng, self.style
        x = right + rng.uniform(1.0, 3.0) * style.symbol
        if rng.random() < 0.4:
            end = x + rng.uniform(1.0, 2.5) * style.symbol
            self._arrow(x, end, column.y + height / 2)
            x = end + 0.6 * style.symbol
        row = replace(column, y=column.y + (height - style.row) / 2)
        if column.right - x > 5 * style.symbol:
            self._words(note(rng), x, row, Kind.OTHER, 0.85)

    def _label(self, column: Column, x: float, height: float, expression: Expression) -> float:
        """A word before an expression. Returns where the expression begins."""
        text = LABELS[int(self.rng.integers(len(LABELS)))]
        row = replace(column, y=column.y + (height - self.style.row) / 2)
        free = column.right - x - expression.drawing.extent[0] * self.style.symbol
        if free < (0.9 * len(text) + 3) * self.style.symbol:
            return x
        item = self._words(text, x, row, Kind.OTHER, 0.9)
        gap = self.rng.uniform(1.2, 4.0) * self.style.symbol
        return x if item is None else float(item.drawing.bounds[1][0]) + gap

    def _put(self, expression: Expression, x: float, y: float, height: float) -> float:
        """An equation with its left edge at x, in the middle of a row. Returns its right edge."""
        rng, style = self.rng, self.style
        placed = expression.drawing.scaled(style.symbol)
        placed = placed.sheared(style.slant, rng.normal(0, style.drift))
        free = height - placed.extent[1]
        top = y + free / 2 + np.clip(rng.normal(0, 0.12), -0.3, 0.3) * max(free, 0)
        placed = placed.at(x, top)
        self.items.append(Item(placed, style.pen, Kind.EQUATION, expression.latex))
        self.n_equations += 1
        if rng.random() < 0.06 * style.extras:
            frame = figures.frame(rng, *placed.bounds, 0.35 * style.symbol)
            self.items.append(Item(frame, style.pen, Kind.OTHER))
        return float(placed.bounds[1][0])

    def _rows(self, drawing: Drawing) -> int:
        rows = drawing.extent[1] * self.style.symbol / self.style.row
        # Long letters of a line reach into the next one; fractions and braces keep off it.
        tight = self.style.tight if rows < 1.5 else max(self.style.tight, 0.05)
        return max(1, int(np.ceil(rows + tight)))

    # --- Text ---------------------------------------------------------------------------------

    def _paragraph(self, column: Column, n_lines: int) -> None:
        """Lines of prose; those with mathematics in them are to be ignored."""
        rng, style = self.rng, self.style
        letters = max(6, int(column.width / (0.62 * style.symbol)))
        has_bullet = rng.random() < 0.15
        for i in range(n_lines):
            if column.y + style.row > column.bottom:
                return
            with_maths = rng.random() < 0.3
            most = letters if i < n_lines - 1 else int(letters * rng.uniform(0.4, 1))
            text = sentence(rng, with_maths, max(6, most))
            bullet = "- " if has_bullet and not i else ""
            self._words(bullet + text, column.left, column, None, 0.85)
            column.y += style.row

    def _note(self, column: Column) -> None:
        """One to three lines of a word or two, anywhere beside the rest."""
        rng, style = self.rng, self.style
        x = column.left + rng.uniform(0, 0.8) * column.width
        for _ in range(int(rng.integers(1, 4))):
            if column.y + style.row > column.bottom:
                return
            self._words(note(rng), x + rng.normal(0, 0.3) * style.symbol, column, None, 0.85)
            column.y += style.row

    def _heading(self, column: Column) -> None:
        rng, style = self.rng, self.style
        title = TITLES[int(rng.integers(len(TITLES)))]
        x = column.left + rng.choice([0, 0.3]) * column.width
        item = self._words(title, x, column, Kind.OTHER, rng.uniform(0.9, 1.25))
        if item is not None and rng.random() < 0.5:
            line = figures.underline(rng, *item.drawing.bounds)
            self.items.append(Item(line, style.prose_pen, Kind.OTHER))
        column.y += style.row

    def _question_number(self, column: Column) -> float:
        """At the start of the row that comes next. Returns the width that it takes."""
        rng, style = self.rng, self.style
        text = question_number(rng, self.number)
        self.number += 1
        item = self._words(text, column.left, column, Kind.OTHER, 0.95)
        if item is None:
            return 0.0
        if rng.random() < 0.2:
            ring = figures.ring(rng, *item.drawing.bounds)
            self.items.append(Item(ring, style.prose_pen, Kind.OTHER))
        width = float(item.drawing.extent[0])
        return width + rng.uniform(0.9, 3.0) * style.symbol

    def _words(
        self, text: str, x: float, column: Column, kind: Kind | None, size: float
    ) -> Item | None:
        """A line of text in the column's next row; it is cut where the column ends.

        Args: kind, None for what the text that is left asks for."""
        rng, style = self.rng, self.style
        words = style.words(text).scaled(size * style.symbol)
        while words.strokes or words.outlines:
            if words.extent[0] <= column.right - x or " " not in text:
                break
            text = text.rsplit(" ", 1)[0]
            words = style.words(text).scaled(size * style.symbol)
        if not (words.strokes or words.outlines):
            return None
        if kind is None:
            kind = Kind.IGNORED if has_maths(text) else Kind.OTHER
        baseline = column.y + style.row * (0.78 + np.clip(rng.normal(0, 0.04), -0.1, 0.1))
        placed = words.sheared(style.slant, rng.normal(0, style.drift / 2))
        placed = placed.moved(x - placed.bounds[0][0], baseline)
        item = Item(placed, style.prose_pen, kind)
        self.items.append(item)
        return item

    # --- Decoration ---------------------------------------------------------------------------

    def _figure(self, column: Column) -> None:
        """A sketch with a letter or two, over several rows."""
        rng, style = self.rng, self.style
        rows = int(rng.integers(3, 7))
        size = min(rows * style.row, 0.6 * column.width)
        if column.y + size > column.bottom:
            return
        x = column.left + rng.uniform(0, 1) * (column.width - size)
        sketch = figures.sketch(rng).scaled(0.85 * size).at(x, column.y + 0.08 * size)
        self.items.append(Item(sketch, style.pen, Kind.OTHER))
        for _ in range(int(rng.integers(0, 4))):
            letter = str(rng.choice(list("ABCabcxyr456")))
            row = Column(0, np.inf, column.y + rng.uniform(-0.1, 0.8) * size, column.bottom)
            self._words(letter, x + rng.uniform(-0.1, 1) * size, row, Kind.OTHER, 0.8)
        column.y += size + style.row

    def _arrow(self, x0: float, x1: float, y: float) -> None:
        arrow = figures.arrow(self.rng, x0, x1, y, 0.35 * self.style.symbol)
        self.items.append(Item(arrow, self.style.pen, Kind.OTHER))

    def _cross_out(self) -> None:
        """Strike the last equation out: it is none any more."""
        last = self.items[-1]
        if last.kind is Kind.EQUATION:
            scribble = figures.scribble(self.rng, *last.drawing.bounds)
            self.items[-1] = Item(joined([last.drawing, scribble]), last.pen, Kind.OTHER)
            self.n_equations -= 1
