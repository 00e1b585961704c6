r"""The tree of a formula -> ink in its places, as a person would put it on paper.

    layout = Layout(hand, rng)
    box = layout.write(parse(latex))
    layout.symbols                       # [(token, is it a fraction's bar), ...]

Written in the order of the canonical tokens: the n-th symbol is the n-th token that has ink, see
inked_tokens. Sizes and places come from the ink itself, so that nothing collides that a careful
writer would keep apart, and everything else wavers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latexocr import latex_tables as tables
from latexocr.errors import DataError
from latexocr.latex_tree import (
    NOT,
    Command,
    Grid,
    Node,
    Row,
    Scripts,
    Symbol,
    Text,
    base_of,
    takes_limits,
)
from trainer.data.boxes import SMALLEST, Box, ink_box, join
from trainer.data.cells import FENCES, Cell, centred, grow, kind_of, match_fences
from trainer.data.constructs import COMMANDS, write_grid
from trainer.data.glyphs import Hand

_UNARY_AFTER = frozenset(("start", "rel", "bin", "open", "punct", "op"))
_GAPS = {"rel": 0.2, "bin": 0.14, "op": 0.1, "open": 0.05, "close": 0.05, "punct": 0.05,
         "dot": 0.08, "word": 0.24}  # fmt: skip
_WORDS = {  # operators that are not spelled as they are called
    r"\liminf": "lim~inf", r"\limsup": "lim~sup", r"\injlim": "inj~lim", r"\projlim": "proj~lim",
    r"\bmod": "mod", r"\varlimsup": "lim", r"\varliminf": "lim", r"\varinjlim": "lim",
    r"\varprojlim": "lim",
}  # fmt: skip
_WORD_MARKS = {  # and the mark that they have
    r"\varlimsup": r"\overline", r"\varliminf": r"\underline",
    r"\varinjlim": r"\underrightarrow", r"\varprojlim": r"\underleftarrow",
}  # fmt: skip
LOW_MARKS = {  # marks below -> the drawn mark
    r"\underline": r"\underline", r"\underbrace": r"\underbrace", r"\utilde": r"\tilde",
    r"\underbracket": r"\underbracket", r"\underparen": r"\underparen",
    r"\underrightarrow": r"\overrightarrow", r"\underleftarrow": r"\overleftarrow",
    r"\underleftrightarrow": r"\overleftrightarrow",
}  # fmt: skip
_RIGID_MARKS = frozenset((r"\dot", r"\ddot", r"\dddot", r"\ddddot", r"\mathring", r"\acute",
                          r"\grave"))  # fmt: skip
_SINGLE_MARKS = frozenset((r"\hat", r"\check", r"\tilde", r"\bar", r"\vec", r"\breve"))
_INTEGRALS = frozenset(tables.INTEGRALS)


@dataclass(frozen=True)
class Habits:
    """How one writer lays out one formula; lengths in em."""

    gap: float  # factor of all spaces
    script: float  # size of scripts
    script_lift: float  # superscripts higher, subscripts lower by this
    fraction: float  # size of what stands above and below a fraction's bar
    bar: float  # how far bars reach beyond what they belong to
    sides: float  # probability of limits beside a big operator
    integral_limits: float  # probability of limits below and above an integral
    tall: float  # probability that brackets grow with what they hold
    waver: float  # standard deviation of places
    resize: float  # standard deviation of the logarithm of sizes


def draw_habits(rng: np.random.Generator) -> Habits:
    """The habits of some writer."""
    return Habits(
        gap=float(np.exp(rng.normal(0.2, 0.3))),
        script=rng.uniform(0.55, 0.8),
        script_lift=rng.normal(0.02, 0.05),
        fraction=rng.uniform(0.8, 1.0),
        bar=rng.uniform(0.0, 0.2),
        sides=rng.choice([0.05, 0.9], p=[0.8, 0.2]),
        integral_limits=rng.choice([0.0, 0.9], p=[0.8, 0.2]),
        tall=rng.choice([1.0, 0.3], p=[0.9, 0.1]),
        waver=rng.uniform(0.01, 0.04),
        resize=rng.uniform(0.03, 0.11),
    )


class Layout:
    """Writes one formula."""

    def __init__(self, hand: Hand, rng: np.random.Generator, habits: Habits | None = None) -> None:
        self.hand, self.rng = hand, rng
        self.habits = habits or draw_habits(rng)
        self.symbols: list[tuple[str, bool]] = []

    def write(self, formula: Row) -> Box:
        """The ink of a formula, the size of its letters about 1 em.

        Raises: DataError if a symbol has no ink."""
        return self.row(formula.items, 1.0, True)

    # Symbols ---------------------------------------------------------------------------------

    def new_symbol(self, label: str, is_fraction: bool = False) -> int:
        self.symbols.append((label, is_fraction))
        return len(self.symbols) - 1

    def glyph(self, key: str, size: float, symbol: int) -> Box:
        glyph = self.hand.glyph(key, self.rng)
        grow, widen = np.exp(self.rng.normal(0, self.habits.resize, 2).clip(-0.25, 0.25))
        points = glyph.points * (size * grow * widen, size * grow)
        points[:, 1] += self.rng.normal(0, self.habits.waver) * size
        return ink_box(points, glyph.lengths, symbol)

    def _symbol(self, token: str, size: float, display: bool) -> Box:
        symbol = self.new_symbol(token)
        if token in tables.BIG_OPERATORS:
            size *= self.rng.uniform(0.9, 1.15) if display else self.rng.uniform(0.6, 0.85)
            lift = 0.25 * (1 - size)  # smaller ones stay in the middle of the line
            return self.glyph(token, size, symbol).shift(0, -lift * 0.5)
        book = self.hand.book
        if token in _WORDS or (token in tables.OPERATORS and not book.can_write(token)):
            return self._word(token, size, symbol)
        if token in tables.OPERATORS and self.rng.random() < 0.15:
            return self._word(token, size, symbol)
        return self.glyph(token, size, symbol)

    def _word(self, token: str, size: float, symbol: int) -> Box:
        box = self.letters(_WORDS.get(token, token[1:]), size, lambda _: symbol)
        mark = _WORD_MARKS.get(token)
        return self._marked(mark, symbol, box, size) if mark else box

    def letters(self, text: Sequence[str], size: float, owner: Callable[[str], int]) -> Box:
        """Letters close together; ~ is a space."""
        boxes: list[Box] = []
        x = 0.0
        close = self.rng.uniform(0.03, 0.1) * size
        for letter in text:
            if letter == "~":
                x += self.rng.uniform(0.3, 0.55) * size
                continue
            box = self.glyph(letter, size, owner(letter))
            boxes.append(box.shift(x - box.left, 0))
            x = box.right + close * self.rng.uniform(0.5, 1.5)
        return join(boxes)

    # Rows ------------------------------------------------------------------------------------

    def row(self, items: Sequence[Node], size: float, display: bool) -> Box:
        cells = self._cells(items, size, display)
        match_fences(cells)
        for cell in sorted(cells, key=lambda cell: cell.span[1] - cell.span[0]):
            if cell.box is None:
                self._grow_fence(cell, cells, size)
        return self.beside(cells, size)

    def _cells(self, items: Sequence[Node], size: float, display: bool) -> list[Cell]:
        cells: list[Cell] = []
        strike: int | None = None
        for item in items:
            base = base_of(item)
            if base is NOT and item is base:
                strike = self.new_symbol(NOT.token)
                continue
            token = base.token if isinstance(base, Symbol) else ""
            cell = Cell(token, kind_of(base))
            if token in FENCES:
                cell.symbol = self.new_symbol(token)
                if isinstance(item, Scripts):
                    cell.sub, cell.sup = self.scripts(item, size)
            else:
                cell.box = self.node(item, size, display)
            if strike is not None:
                cell.box = self._struck(cell, strike, size)
                strike = None
            cells.append(cell)
        return cells if strike is None else [*cells, self._lone_strike(strike, size)]

    def _struck(self, cell: Cell, strike: int, size: float) -> Box:
        if cell.box is None:
            cell.box = self.glyph(cell.token, size, cell.symbol)
        slash = self.glyph(NOT.token, size, strike)
        return join([cell.box, centred(slash, cell.box)])

    def _lone_strike(self, strike: int, size: float) -> Cell:
        return Cell(NOT.token, "ord", self.glyph(NOT.token, size, strike))

    def _grow_fence(self, cell: Cell, cells: list[Cell], size: float) -> None:
        box = self.glyph(cell.token, size, cell.symbol)
        held = [other.box for other in cells[slice(*cell.span)] if other.box and other.box.pieces]
        if held and self.rng.random() < self.habits.tall:
            around = join(held)
            grow(box, around, self.rng.uniform(-0.02, 0.1) * size)
        cell.box = self.beside_scripts(box, cell.sub, cell.sup, size)

    def beside(self, cells: list[Cell], size: float) -> Box:
        boxes: list[Box] = []
        x, y, before = 0.0, 0.0, "start"
        for cell in cells:
            kind = "ord" if cell.kind == "bin" and before in _UNARY_AFTER else cell.kind
            if boxes:
                x += self._gap(before, kind, size)
            y = 0.8 * y + self.rng.normal(0, self.habits.waver) * size
            boxes.append(cell.box.shift(x - cell.box.left, y))
            x, before = cell.box.right, kind
        return join(boxes)

    def _gap(self, before: str, kind: str, size: float) -> float:
        wide = max(_GAPS.get(before, 0), _GAPS.get(kind, 0))
        if before == "punct":
            wide = 0.22
        if size < 0.85:
            wide *= 0.6  # scripts are written close
        gap = (0.06 + wide) * self.habits.gap * np.exp(self.rng.normal(0, 0.3))
        return max(0.035, gap + self.rng.normal(0, 0.015)) * size

    def node(self, node: Node, size: float, display: bool) -> Box:
        match node:
            case Symbol():
                return self._symbol(node.token, size, display)
            case Scripts():
                return self._scripted(node, size, display)
            case Row():
                return self.row(node.items, size, display)
            case Text():
                return self.letters(node.characters, size, self.new_symbol)
            case Grid():
                return write_grid(self, node, size, display)
            case Command():
                return self._command(node, size, display)
        raise DataError(f"expected a node of a formula, got {node!r}")

    # Scripts ---------------------------------------------------------------------------------

    def scripts(self, node: Scripts, size: float) -> tuple[Box | None, Box | None]:
        small = max(SMALLEST, size * self.habits.script)
        sub = self.row(node.sub.items, small, False) if node.sub else None
        sup = self.row(node.sup.items, small, False) if node.sup else None
        return sub, sup

    def _scripted(self, node: Scripts, size: float, display: bool) -> Box:
        base = self.node(node.base, size, display)
        if not base.pieces:  # scripts of nothing hang in the air
            base = Box(0, -0.5 * size, 0.02, 0)
        sub, sup = self.scripts(node, size)
        if self._has_limits(node.base, display):
            return self.over_under(base, sup, sub, size)
        return self.beside_scripts(base, sub, sup, size)

    def _has_limits(self, base: Node, display: bool) -> bool:
        if not takes_limits(base):
            return False
        if isinstance(base, Command) and base.name != r"\operatorname":
            return True
        token = base.token if isinstance(base, Symbol) else ""
        if token in _INTEGRALS:
            return self.rng.random() < self.habits.integral_limits
        sides = self.habits.sides if token in tables.BIG_OPERATORS else 0.04
        return self.rng.random() > (sides if display else max(sides, 0.4))

    def beside_scripts(self, base: Box, sub: Box | None, sup: Box | None, size: float) -> Box:
        boxes, rng = [base], self.rng
        gap = size * self.habits.gap * 0.05
        lift = (self.habits.script_lift + rng.normal(0, 1.5 * self.habits.waver)) * size
        tall = min(base.height, 1.2 * size)
        middle = (base.top + base.bottom) / 2
        if sup:
            y = min(-0.4 * size, base.top + 0.27 * size, base.top + 0.42 * tall - sup.bottom) - lift
            x = _edge(base, base.top, middle)
            boxes.append(sup.shift(x + gap * rng.uniform(0.4, 2) - sup.left, y))
        if sub:
            y = max(0.14 * size, base.bottom, base.bottom - 0.6 * tall - sub.top) + 0.7 * lift
            if sup:
                y = max(y, sup.bottom + 0.1 * size - sub.top)
            x = _edge(base, middle, base.bottom)
            boxes.append(sub.shift(x + gap * rng.uniform(0.4, 2) - sub.left, y))
        return join(boxes)

    def over_under(self, base: Box, over: Box | None, under: Box | None, size: float) -> Box:
        boxes = [base]
        for box, is_over in ((over, True), (under, False)):
            if box is None or not box.pieces:
                continue
            gap = self.rng.uniform(0.06, 0.2) * size
            y = base.top - gap - box.bottom if is_over else base.bottom + gap - box.top
            x = base.middle - box.middle + self.rng.normal(0, 0.06) * size
            boxes.append(box.shift(x, y))
        return join(boxes)

    # Commands --------------------------------------------------------------------------------

    def _command(self, node: Command, size: float, display: bool) -> Box:
        special = COMMANDS.get(node.name)
        if special:
            return special(self, node, size, display)
        symbol = self.new_symbol(node.name)
        inside = self.row(node.args[0].items, size, display)
        return self._marked(node.name, symbol, inside, size)

    def _marked(self, mark: str, symbol: int, base: Box, size: float) -> Box:
        """A mark above or below, as wide as what it belongs to if its kind can be stretched."""
        is_low = mark in LOW_MARKS
        box = self.glyph(LOW_MARKS.get(mark, mark), size, symbol)
        wanted = base.width * self.rng.uniform(0.9, 1.1)
        if mark in _SINGLE_MARKS:
            wanted = max(0.22 * size, min(base.width * self.rng.uniform(0.7, 1.05), 3 * size))
        if mark not in _RIGID_MARKS:
            factor = max(0.34 * size, wanted) / max(box.width, 0.05)
            box.stretch(factor, np.clip(factor**0.4, 0.8, 1.6))
        gap = self.rng.uniform(0.05, 0.14) * size
        lean = self.rng.normal(0.02, 0.04) * size
        y = base.bottom + gap - box.top if is_low else base.top - gap - box.bottom
        return join([base, box.shift(base.middle - box.middle + lean, y)])


def _edge(base: Box, y_low: float, y_high: float) -> float:
    """Where a script begins: a little under the arm of a T or over the foot of an L, not far."""
    if not base.pieces:
        return base.right
    return max(base.reach(y_low, y_high), base.right - 0.25 * base.width)


# --- Tokens with ink -------------------------------------------------------------------------

_NO_INK = frozenset(
    ("{", "}", "_", "^", "&", "~", "\\\\", r"\text", r"\operatorname", r"\mathbf", r"\mathbb",
     r"\mathcal", r"\mathfrak", r"\overset", r"\underset", r"\substack", r"\begin{matrix}",
     r"\end{matrix}", r"\end{cases}", r"\begin{aligned}", r"\end{aligned}")
)  # fmt: skip


# Tokens that this module writes itself, or that have no ink: no glyph is asked for.
STRUCTURE = _NO_INK | frozenset(COMMANDS) | frozenset(_WORDS)


def inked_tokens(tokens: Sequence[str]) -> list[int]:
    """The places of the tokens that have ink of their own, in the order of the symbols.

    Args: tokens of a canonical formula."""
    places: list[int] = []
    depth = 0
    options: list[int] = []  # depths at which an optional argument is open
    for place, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        before = tokens[place - 1] if place else ""
        if token == "[" and (before == r"\sqrt" or before in tables.EXTENSIBLE_ARROWS):
            options.append(depth)
        elif token == "]" and options and options[-1] == depth:
            options.pop()
        elif token not in _NO_INK:
            places.append(place)
    return places
