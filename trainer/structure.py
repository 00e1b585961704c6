r"""Structural expression rate: are the right symbols in the right relations?

A formula is a tree of symbols. Each symbol but the first hangs on another one by one of six
relations, and is known by the relations that lead to it:

    x^2 + 1    ()             x        (Right,)        +
               (Sup,)         2        (Right, Right)  1

Two trees are compared label by label, as in the CROHME competitions: what counts is symbols and
relations, however many braces they take in LaTeX.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latexocr import latex_tables as tables
from latexocr.errors import TexError
from latexocr.latex import Command, Grid, Node, Row, Scripts, Symbol, Text, comparable, parse
from latexocr.latex_tree import takes_limits
from trainer.metrics import Interval, bootstrap_interval, comparable_tokens, percent
from trainer.sequence_metrics import paired

RIGHT, SUP, SUB, ABOVE, BELOW, INSIDE = "Right", "Sup", "Sub", "Above", "Below", "Inside"

Path = tuple[str, ...]  # relations from the first symbol of the formula
SymbolTree = dict[Path, str]  # label of the symbol at each path

_STACKS = {r"\overset": ABOVE, r"\underset": BELOW}
_ACCENTS = frozenset(
    (
        *(r"\hat", r"\tilde", r"\bar", r"\vec", r"\dot", r"\ddot", r"\dddot", r"\ddddot"),
        *(r"\check", r"\breve", r"\acute", r"\grave", r"\mathring"),
    )
)
_ARGUMENTS = {  # relations of the arguments; one argument is inside, if not listed
    r"\frac": (ABOVE, BELOW),
    r"\binom": (ABOVE, BELOW),
    r"\overset": (ABOVE, INSIDE),
    r"\underset": (BELOW, INSIDE),
    **dict.fromkeys(tables.EXTENSIBLE_ARROWS, (ABOVE,)),
}
_FONTS = frozenset((r"\mathbb", r"\mathcal", r"\mathfrak"))
_SIDE = frozenset(tables.INTEGRALS)  # their limits stand beside them
_GROUP, _LINE, _CELL = "{ }", r"\\", "&"  # labels of what has no ink


@dataclass(frozen=True)
class StructureScore:
    """exprate, le1, le2: percent of formulas with 0, at most 1, at most 2 label errors; structure:
    percent whose relations are all right, whatever the symbols. ci95 of exprate, and le1_ci95,
    le2_ci95, structure_ci95: bootstrap intervals, percent. unparsed: truths that do not parse; each
    of their tokens is then a symbol."""

    n: int
    exprate: float
    le1: float
    le2: float
    structure: float
    ci95: Interval
    le1_ci95: Interval
    le2_ci95: Interval
    structure_ci95: Interval
    unparsed: int


def symbol_tree(latex: str) -> SymbolTree:
    """The symbols of a formula in its comparable form, by their paths.

    Equal trees mean equal comparable forms, and the other way round. What has no ink but holds
    symbols in place is a symbol too: lines and cells of a matrix, groups that get scripts.
    Raises: TexError if the formula cannot be parsed.
    Source: symLG of CROHME 2019 (Mahdavi et al., doi:10.1109/ICDAR.2019.00247)."""
    tree: SymbolTree = {}
    _hang_row(parse(comparable(latex)).items, (), tree)
    return tree


def label_errors(truth: SymbolTree, reading: SymbolTree) -> int:
    """Labels of nodes and edges that differ or that only one of the trees has.

    A wrong symbol is one error. A symbol too many or too few is two, for its node and its edge (an
    edge is labelled by the last relation of its lower end's path); one that stands elsewhere is
    too few here and too many there, and so is all that hangs on it.
    Source: the distance D_B of LgEval (Zanibbi, Mouchere and Viard-Gaudin 2013, Evaluating
    structural pattern recognition for handwritten math via primitive label graphs)."""
    wrong = sum(truth[path] != reading[path] for path in truth.keys() & reading.keys())
    alone = truth.keys() ^ reading.keys()
    return wrong + sum(1 + bool(path) for path in alone)  # the first symbol hangs on nothing


def score_structure(truths: Sequence[str], readings: Sequence[str]) -> StructureScore:
    """Structural expression rate over a set of formulas.

    It counts what lgeval counts on symLG graphs, from our own parser's trees. exprate equals that
    of metrics.score_readings; le1 and le2 do not, and are the ones of the CROHME competitions.
    Raises: ValueError if the lists differ in length or are empty."""
    pairs = [(_tree(truth), _tree(reading)) for truth, reading in paired(truths, readings)]
    errors = np.array([label_errors(truth, reading) for (truth, _), (reading, _) in pairs])
    same_relations = np.array([t.keys() == r.keys() for (t, _), (r, _) in pairs])
    return StructureScore(
        n=len(pairs),
        exprate=percent(errors == 0),
        le1=percent(errors <= 1),
        le2=percent(errors <= 2),
        structure=percent(same_relations),
        ci95=bootstrap_interval(errors == 0),
        le1_ci95=bootstrap_interval(errors <= 1),
        le2_ci95=bootstrap_interval(errors <= 2),
        structure_ci95=bootstrap_interval(same_relations),
        unparsed=sum(not parsed for (_, parsed), _ in pairs),
    )


def _tree(latex: str) -> tuple[SymbolTree, bool]:
    """The tree, and whether the formula parsed; if not, its tokens stand in a row."""
    try:
        return symbol_tree(latex), True
    except TexError:
        tokens, _ = comparable_tokens(latex)
        return {(RIGHT,) * n: token for n, token in enumerate(tokens)}, False


# Tree of the parser -> tree of symbols ---------------------------------------------------------


def _hang_row(items: list[Node], path: Path, tree: SymbolTree) -> None:
    """Each item hangs to the right of the one before it."""
    for item in items:
        _hang(item, path, tree)
        path = (*path, RIGHT)


def _hang(node: Node, path: Path, tree: SymbolTree) -> None:
    """Puts a node at a path, and what hangs on it below."""
    match node:
        case Symbol():
            tree[path] = node.token
        case Scripts():
            _hang(node.base, path, tree)
            limits = takes_limits(node.base) and getattr(node.base, "token", "") not in _SIDE
            low, high = (BELOW, ABOVE) if limits else (SUB, SUP)
            _hang_parts([(low, node.sub), (high, node.sup)], path, tree)
        case Row():
            tree[path] = _GROUP
            _hang_parts([(INSIDE, node)], path, tree)
        case Command():
            _hang_command(node, path, tree)
        case Grid():
            tree[path] = node.name
            _hang_grid(node, (*path, INSIDE), tree)
        case Text():
            raise AssertionError("comparable forms have no text")


def _hang_parts(parts: list[tuple[str, Row | None]], path: Path, tree: SymbolTree) -> None:
    for relation, row in parts:
        if row:
            _hang_row(row.items, (*path, relation), tree)


def _hang_command(node: Command, path: Path, tree: SymbolTree) -> None:
    """A command is a symbol with its arguments round it, unless it is a mark on one symbol."""
    inner = node.args[-1].items
    only = inner[0].token if len(inner) == 1 and isinstance(inner[0], Symbol) else ""
    if only and node.name in _STACKS:
        tree[path] = only
        _hang_parts([(_STACKS[node.name], node.args[0])], path, tree)
    elif only and node.name in _ACCENTS:
        tree[path], tree[(*path, ABOVE)] = only, node.name
    elif only and node.name in _FONTS:
        tree[path] = f"{node.name} {only}"
    else:
        tree[path] = node.name
        relations = _ARGUMENTS.get(node.name, (INSIDE,))
        above = BELOW if node.name in tables.EXTENSIBLE_ARROWS else ABOVE
        _hang_parts([*zip(relations, node.args, strict=True), (above, node.option)], path, tree)


def _hang_grid(grid: Grid, path: Path, tree: SymbolTree) -> None:
    """Lines below each other, cells beside each other, as symbols that hold their content."""
    for row in grid.rows:
        tree[path] = _LINE
        cell_path = (*path, INSIDE)
        for cell in row:
            tree[cell_path] = _CELL
            _hang_parts([(INSIDE, cell)], cell_path, tree)
            cell_path = (*cell_path, RIGHT)
        path = (*path, BELOW)
