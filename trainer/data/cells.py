"""The nodes of a row side by side: what kind each is, and which brackets belong together."""

from __future__ import annotations

from dataclasses import dataclass

from latexocr import latex_tables as tables
from latexocr.latex_tree import Command, Node, Symbol, Text
from trainer.data.boxes import Box

_BARS = frozenset(("|", r"\|"))
FENCES = frozenset(tables.OPENING) | frozenset(tables.CLOSING) | _BARS

_KINDS = (
    dict.fromkeys(tables.RELATIONS, "rel")
    | dict.fromkeys(tables.BINARY, "bin")
    | dict.fromkeys((*tables.OPERATORS, *tables.BIG_OPERATORS), "op")
    | dict.fromkeys(tables.OPENING, "open")
    | dict.fromkeys(tables.CLOSING, "close")
    | dict.fromkeys((",", ";", ":"), "punct")
    | {".": "dot"}
    | {"/": "ord", r"\not": "rel"}
)


@dataclass(eq=False)
class Cell:
    """A node of a row. A bracket gets its box when what it holds is known: cells[slice(*span)]."""

    token: str
    kind: str
    box: Box | None = None
    symbol: int = -1
    sub: Box | None = None
    sup: Box | None = None
    span: tuple[int, int] = (0, 0)


def kind_of(node: Node) -> str:
    if isinstance(node, Symbol):
        return _KINDS.get(node.token, "ord")
    if isinstance(node, Command) and node.name.startswith(r"\x") and node.name != r"\xcancel":
        return "rel"
    return "word" if isinstance(node, Text) else "ord"


def match_fences(cells: list[Cell]) -> None:
    """What each bracket holds; brackets without a partner go by their neighbours."""
    waiting: list[int] = []
    for at, cell in enumerate(cells):
        if cell.token not in FENCES:
            continue
        cell.span = (max(0, at - 1), at + 2)
        if cell.token in _BARS:
            if waiting and cells[waiting[-1]].token == cell.token:
                _pair(cells, waiting.pop(), at)
            else:
                waiting.append(at)
        elif cell.kind == "open":
            waiting.append(at)
        else:
            while waiting and cells[waiting[-1]].token in _BARS:
                waiting.pop()
            if waiting:
                _pair(cells, waiting.pop(), at)


def _pair(cells: list[Cell], left: int, right: int) -> None:
    cells[left].span = cells[right].span = (left + 1, right)


def grow(box: Box, around: Box, margin: float) -> Box:
    """Make a bracket as tall as what it holds, if that is taller than the bracket."""
    top, bottom = min(box.top, around.top - margin), max(box.bottom, around.bottom + margin)
    if bottom - top < 1.15 * box.height:
        return box
    factor = (bottom - top) / box.height
    left = box.left
    box.stretch(min(factor**0.5, 1.7), factor)
    return box.shift(left - box.left, top - box.top)


def centred(box: Box, on: Box) -> Box:
    y = (on.top + on.bottom) / 2 - (box.top + box.bottom) / 2
    return box.shift(on.middle - box.middle, y)
