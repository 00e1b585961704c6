r"""The tree of a formula, and the rules by which each formula has one tree only.

A row is a list of nodes: Symbol, Scripts, Command, Text, Grid, and Row where a group must stay.
There are no spaces, sizes and font switches, and no groups without meaning.
"""

from dataclasses import dataclass

from latexocr import latex_tables as tables


class Node:
    """A part of a formula. Nodes are compared by identity; symbols exist once each."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Symbol(Node):
    r"""One token without arguments: a letter, a digit, `\alpha`, `\sum`."""

    token: str


@dataclass(slots=True, eq=False)
class Row(Node):
    """Nodes side by side."""

    items: list[Node]


@dataclass(slots=True, eq=False)
class Scripts(Node):
    """A base with a subscript, a superscript or both; limits are scripts too.

    The base is a Row where braces must stay: empty, or scripts that get scripts."""

    base: Node
    sub: Row | None
    sup: Row | None


@dataclass(slots=True, eq=False)
class Command(Node):
    r"""A command with arguments: `\frac`, `\sqrt`, `\hat`, `\mathbf`; option is its [ ]."""

    name: str
    args: list[Row]
    option: Row | None = None


@dataclass(slots=True, eq=False)
class Text(Node):
    """Running text, a token for each character; `~` is a space."""

    characters: list[str]


@dataclass(slots=True, eq=False)
class Grid(Node):
    r"""Rows of cells. name: `matrix`, `cases`, `aligned` or `\substack`.

    Each row has at least one cell, in `aligned` and `\substack` one."""

    name: str
    rows: list[list[Row]]


SYMBOLS: dict[str, Symbol] = {token: Symbol(token) for token in tables.SYMBOLS}
SYMBOLS |= {old: SYMBOLS.setdefault(new, Symbol(new)) for old, new in tables.SYNONYMS.items()}

DOT, CDOT, NOT, PRIME = (SYMBOLS[token] for token in (".", r"\cdot", r"\not", r"\prime"))
LBRACE, RBRACE = SYMBOLS[r"\{"], SYMBOLS[r"\}"]
_LDOTS, _CDOTS = SYMBOLS[r"\ldots"], SYMBOLS[r"\cdots"]
_STRUCK = {SYMBOLS[old]: SYMBOLS[new] for old, new in tables.NOT_NAMES.items()}
_LIMIT_SYMBOLS = frozenset(SYMBOLS[token] for token in tables.LIMIT_BASES)
_LIMIT_COMMANDS = frozenset((r"\operatorname", r"\overbrace", r"\underbrace"))
_OPERATOR_NAMES = {name[1:]: SYMBOLS[name] for name in tables.OPERATORS} | {
    "mod": SYMBOLS[r"\bmod"]
}
_OPERATORS = frozenset(_OPERATOR_NAMES.values())
_LABELLED_ARROWS = {SYMBOLS[f"\\{name}"]: f"\\x{name}" for name in ("rightarrow", "leftarrow")}


def complete(items: list[Node]) -> list[Node]:
    """A whole row: what reads as one symbol across its neighbours is put together."""
    if DOT in items:
        items = _merge_dots(items, DOT, _LDOTS)
    if CDOT in items:
        items = _merge_dots(items, CDOT, _CDOTS)
    if NOT in items:
        items = _merge_not(items)
    if LBRACE in items:
        items = _open_cases(items)
    return items


def _merge_dots(items: list[Node], dot: Symbol, dots: Symbol) -> list[Node]:
    merged: list[Node] = []
    for item in items:
        merged.append(item)
        if item is dot and merged[-3:] == [dot, dot, dot]:
            merged[-3:] = [dots]
    return merged


def _merge_not(items: list[Node]) -> list[Node]:
    merged: list[Node] = []
    for item in items:
        struck = _STRUCK.get(base_of(item))
        if struck and merged and merged[-1] is NOT:
            merged[-1] = with_base(item, struck)
        else:
            merged.append(item)
    return merged


def _open_cases(items: list[Node]) -> list[Node]:
    """A brace before a matrix that no brace closes opens cases."""
    for at in range(len(items) - 1):
        cases = as_cases(items[at + 1]) if items[at] is LBRACE else None
        if cases and not _closes(items[at + 2 :]):
            return [*items[:at], cases, *_open_cases(items[at + 2 :])]
    return items


def _closes(items: list[Node]) -> bool:
    depth = 1
    for item in items:
        depth += (item is LBRACE) - (base_of(item) is RBRACE)
        if not depth:
            return True
    return False


def as_cases(node: Node) -> Grid | None:
    """A matrix or aligned rows as cases; None for another node."""
    if isinstance(node, Grid) and node.name in ("matrix", "aligned"):
        return Grid("cases", node.rows)
    return None


# Scripts -------------------------------------------------------------------------------------


def base_of(node: Node) -> Node:
    """The node without its scripts."""
    return node.base if isinstance(node, Scripts) else node


def with_base(node: Node, base: Node) -> Node:
    """`base` with the scripts of `node`, if it has any."""
    return Scripts(base, node.sub, node.sup) if isinstance(node, Scripts) else base


def is_letter(node: Node) -> bool:
    return isinstance(node, Symbol) and node.token.isalpha() and node.token.isascii()


def takes_limits(node: Node) -> bool:
    """Whether the scripts of a node stand below and above it in a display."""
    if isinstance(node, Command):
        return node.name in _LIMIT_COMMANDS
    return node in _LIMIT_SYMBOLS


def attach(base: list[Node], sub: list[Node] | None, sup: list[Node] | None) -> list[Node]:
    """`base` with scripts on its last node; empty scripts are none."""
    if not sub and not sup:
        return base
    low, high = Row(sub) if sub else None, Row(_bare_primes(sup)) if sup else None
    last = base[-1] if base else Row([])
    if not isinstance(last, Scripts):
        return [*base[:-1], Scripts(last, low, high)]
    if last.sup and high and all(item is PRIME for item in last.sup.items):
        last, high = Scripts(last.base, last.sub, None), Row(last.sup.items + high.items)
    if (last.sub and low) or (last.sup and high):
        return [*base[:-1], Scripts(Row([last]), low, high)]
    return [*base[:-1], Scripts(last.base, low or last.sub, high or last.sup)]


def attach_limits(base: list[Node], sub: list[Node] | None, sup: list[Node] | None) -> list[Node]:
    r"""`base` with scripts that `\limits` puts below and above it."""
    if not base or takes_limits(base[-1]):
        return attach(base, sub, sup)
    if sub:
        base = stack(r"\underset", Row(sub), Row(complete(base)))
    return stack(r"\overset", Row(sup), Row(complete(base))) if sup else base


def _bare_primes(items: list[Node]) -> list[Node]:
    """The items of a superscript: in `x^{'}` the prime is not raised once more."""
    bare: list[Node] = []
    for item in items:
        empty = isinstance(item, Scripts) and isinstance(item.base, Row) and not item.base.items
        primes = empty and not item.sub and all(mark is PRIME for mark in item.sup.items)
        bare += item.sup.items if primes else [item]
    return bare


# Words ---------------------------------------------------------------------------------------


def spell(items: list[Node]) -> list[Node]:
    """Upright letters: a run of letters that is the name of an operator becomes the operator."""
    spelled: list[Node] = []
    run: list[Node] = []
    for item in items:
        if is_letter(base_of(item)):
            run.append(item)
        if not is_letter(item):  # scripts end a word: only its last letter has them
            spelled += _as_operator(run)
            run = []
            spelled += [] if is_letter(base_of(item)) else [item]
    return spelled + _as_operator(run)


def _as_operator(letters: list[Node]) -> list[Node]:
    """Letters, the last perhaps with scripts, as an operator if they are the name of one."""
    operator = _OPERATOR_NAMES.get("".join(base_of(letter).token for letter in letters))
    return [with_base(letters[-1], operator)] if operator else letters


def spell_last_word(items: list[Node]) -> list[Node]:
    """The items with their last letters spelled: `lim` without its backslash."""
    start = len(items)
    while start and is_letter(items[start - 1]):
        start -= 1
    return items[:start] + _as_operator(items[start:])


def operator(items: list[Node]) -> list[Node]:
    r"""The argument of `\operatorname` as a node: a known operator, or a name."""
    spelled = spell(items)
    if len(items) < 2 or all(item in _OPERATORS for item in spelled):
        return spelled
    return [Command(r"\operatorname", [Row(items)])]


def text(characters: list[str]) -> list[Node]:
    """Text as a node; a single letter, digits, marks and names of operators are maths."""
    joined: list[str] = []
    for character in characters:
        if character != "~" or (joined and joined[-1] != "~"):
            joined.append(character)
    if joined and joined[-1] == "~":
        joined.pop()
    operator = _OPERATOR_NAMES.get("".join(joined))
    if operator:
        return [operator]
    marks = [character for character in joined if character != "~"]
    plain = all(mark in SYMBOLS or not mark.isascii() for mark in marks)
    if plain and (len(joined) <= 1 or not any(mark.isalpha() for mark in marks)):
        return [SYMBOLS.get(mark) or Symbol(mark) for mark in marks]
    return [Text(joined)]


# Commands ------------------------------------------------------------------------------------


def command(name: str, args: list[Row]) -> list[Node]:
    """A command of the table, as nodes."""
    if name in (r"\mathbb", r"\mathcal", r"\mathfrak"):
        return wrap(name, args[0].items)
    if name in (r"\overset", r"\underset"):
        return stack(name, *args)
    return [Command(name, args)]


def wrap(name: str, items: list[Node]) -> list[Node]:
    """A font command round nodes; round nothing, or a second time, it says nothing."""
    inner: list[Node] = []
    for item in complete(items):
        same = isinstance(item, Command) and item.name == name
        inner += item.args[0].items if same else [item]
    return [Command(name, [Row(inner)])] if inner else []


def stack(name: str, mark: Row, base: Row) -> list[Node]:
    r"""`\overset` or `\underset`. Round an operator they are its limits, round an arrow its
    labels."""
    if not mark.items:
        return base.items
    above = name == r"\overset"
    only = base.items[0] if len(base.items) == 1 else None
    if takes_limits(base_of(only)):
        taken = isinstance(only, Scripts) and (only.sup if above else only.sub)
        if not taken:
            return attach([only], None if above else mark.items, mark.items if above else None)
    if only in _LABELLED_ARROWS:
        only = Command(_LABELLED_ARROWS[only], [Row([])])
    if isinstance(only, Command) and only.name in _LABELLED_ARROWS.values():
        if above and not only.args[0].items:
            return [Command(only.name, [mark], only.option)]
        if not above and not only.option:
            return [Command(only.name, only.args, mark)]
    return [Command(name, [mark, base])]


def fence(left: str, items: list[Node], right: str) -> list[Node]:
    """The items between delimiters; an empty delimiter is none."""
    return [*([SYMBOLS[left]] if left else []), *items, *([SYMBOLS[right]] if right else [])]


def grid(kind: str, rows: list[list[list[Node]]]) -> list[Node]:
    """A grid without its empty rows and columns. One cell alone is no grid, except in cases."""
    if kind in ("aligned", r"\substack"):  # the marks & have no ink
        rows = [[[item for cell in row for item in cell]] for row in rows]
    rows = [[complete(cell) for cell in row] for row in rows if any(row)]
    used = {n for row in rows for n, cell in enumerate(row) if cell}
    rows = [[cell for n, cell in enumerate(row) if n in used] for row in rows]
    for row in rows:
        while not row[-1]:
            row.pop()
    if not rows or (kind != "cases" and len(rows) == len(rows[0]) == 1):
        return rows[0][0] if rows else []
    return [Grid(kind, [[Row(cell) for cell in row] for row in rows])]
