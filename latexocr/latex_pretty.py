r"""Tree -> the LaTeX that a person would paste.

Spaces round relations and binary operators, no braces where TeX needs none, `\left( \right)` where
the content is tall, `pmatrix` for a matrix in parentheses. Parsing it again gives the same tree.
"""

import re
from dataclasses import dataclass

from latexocr import latex_tables as tables
from latexocr.latex_tree import (
    LBRACE,
    NOT,
    PRIME,
    SYMBOLS,
    Command,
    Grid,
    Node,
    Row,
    Scripts,
    Symbol,
    Text,
    base_of,
)

_CLOSERS = dict(zip(tables.OPENING, tables.CLOSING, strict=True))
_HALF_OPEN = {"(": "]", "[": ")"}  # [0, 1) is matched too
_BARS = ("|", r"\|")
_STRUCK = {positive: name for name, positive in tables.NEGATED.items()}
_INTEGRALS = {1: r"\int", 2: r"\iint", 3: r"\iiint"}
_TYPED = {r"\rightarrow": r"\to"}
_TALL_COMMANDS = frozenset(
    (r"\frac", r"\binom", r"\underbrace", r"\overbrace", r"\underset", r"\overset")
).union(tables.EXTENSIBLE_ARROWS)
_BARE_SCRIPTS = frozenset(
    ("*", "+", "-", r"\infty", r"\circ", r"\ell", r"\dagger", r"\perp", r"\top", r"\star")
).union(tables.GREEK)
LINKING_WORDS = re.compile(
    "if|and|or|for|where|when|with|as|then|otherwise|else|such|that|is|in|on|by|to|from"
)
# An operator keeps away from what is before it and what it is applied to.
_SPACED_PAIRS = ({"operator", "ordinary"}, {"operator"})
_INT, _COLON, _EQUALS = SYMBOLS[r"\int"], SYMBOLS[":"], SYMBOLS["="]


@dataclass(slots=True)
class _Piece:
    """Printed LaTeX of one item; kind says how it is spaced: ordinary, relation, binary, opening,
    closing, comma or operator."""

    latex: str
    kind: str = "ordinary"
    depth: int = 0  # fences open around it


def print_formula(items: list[Node]) -> str:
    """LaTeX of a row of nodes."""
    return _space(_pieces(items, tight=False))


def _space(pieces: list[_Piece], tight: bool = False) -> str:
    """The pieces in one line, with the spaces that people type, or only the needed ones (tight)."""
    line, before = "", "start"
    for piece in pieces:
        kind = piece.kind
        if kind == "binary" and before in ("start", "relation", "binary", "opening", "comma"):
            kind = "sign"
        around = kind in ("relation", "binary") and not tight
        if around or (before in ("relation", "binary", "comma") and not tight):
            line = line.rstrip() + " " if line else line
        elif {before, kind} in _SPACED_PAIRS and not tight:
            line += " "
        line += (" " if _would_run_on(line, piece.latex) else "") + piece.latex
        before = kind
    return line


def _would_run_on(line: str, latex: str) -> bool:
    """Whether TeX, or a reader, would take the beginning of `latex` for a part of the line."""
    tail = line[-40:]  # longer than any control word
    if latex[:1].isalpha() and re.search(r"\\[a-zA-Z]+$", tail):
        return True
    return latex[:1].isalnum() and re.search(r"(?<!\\)[_^][a-zA-Z0-9]$", tail) is not None


def _pieces(items: list[Node], tight: bool) -> list[_Piece]:
    pairs = matching(items)
    opened = {left: right for left, right in pairs if are_tall(items[left + 1 : right])}
    closing = {right: left for left, right in opened.items()}
    depth_of, such_that = _depths(len(items), pairs), set_bars(items, pairs)
    pieces: list[_Piece] = []
    at = 0
    while at < len(items):
        depth = depth_of[at]
        right = opened.get(at)
        matrix = right == at + 2 and _fenced_matrix(items, at)
        if matrix:
            piece, at = _Piece(matrix), at + 3
        elif right is not None:
            piece, at = _Piece(r"\left" + items[at].token, "opening"), at + 1
        elif at in closing:
            piece, at = _Piece(r"\right" + _item(items[at]), "closing"), at + 1
        elif at in such_that:
            piece, at = _Piece(r"\mid", "relation"), at + 1
        else:
            piece, at = _next_piece(items, at, tight)
        piece.depth = depth
        pieces.append(piece)
    return pieces


def _next_piece(items: list[Node], at: int, tight: bool) -> tuple[_Piece, int]:
    """The piece for the item at `at`, or for several that are printed as one; the place after."""
    item, following = items[at], items[at + 1] if at + 1 < len(items) else None
    base = base_of(following)
    if item is NOT and isinstance(base, Symbol) and base.token in _STRUCK:
        return _Piece(_item(following, _STRUCK[base.token]), "relation"), at + 2
    if item is _INT and base is _INT:
        return _integrals(items, at)
    if item is _COLON and base is _EQUALS:
        return _Piece(":" + _item(following), "relation"), at + 2
    if isinstance(item, Text) and not tight:
        return _Piece(_text(item, before=at > 0, after=following is not None)), at + 1
    return _Piece(_item(item), kind_of(item)), at + 1


def _integrals(items: list[Node], at: int) -> tuple[_Piece, int]:
    end = at
    while end < min(len(items), at + 3) and items[end] is _INT:
        end += 1
    scripted = end < len(items) and isinstance(items[end], Scripts) and end - at < 3
    if scripted and items[end].base is _INT:
        return _Piece(_item(items[end], _INTEGRALS[end - at + 1]), "operator"), end + 1
    return _Piece(_INTEGRALS[end - at], "operator"), end


def kind_of(item: Node) -> str:
    if isinstance(item, Scripts):
        kind = kind_of(item.base)
        return kind if kind in ("relation", "operator", "closing") else "ordinary"
    if isinstance(item, Command) and item.name in (r"\overset", r"\underset"):
        inner = item.args[1].items
        return kind_of(inner[0]) if len(inner) == 1 else "ordinary"
    name = item.name if isinstance(item, Command) else ""
    token = item.token if isinstance(item, Symbol) else name
    return _KINDS.get(token, "ordinary")


_KINDS = {
    **dict.fromkeys(tables.OPERATORS + tables.BIG_OPERATORS, "operator"),
    **dict.fromkeys((*tables.LIMIT_BASES, r"\operatorname"), "operator"),
    **dict.fromkeys(tables.BINARY, "binary"),
    **dict.fromkeys(tables.RELATIONS + tables.EXTENSIBLE_ARROWS, "relation"),
    **dict.fromkeys(tables.OPENING, "opening"),
    **dict.fromkeys(tables.CLOSING, "closing"),
    **dict.fromkeys((",", ";"), "comma"),
    "/": "ordinary",  # 1/2 has no spaces
}


# Fences --------------------------------------------------------------------------------------


def _base(item: Node) -> str:
    base = base_of(item)
    return base.token if isinstance(base, Symbol) else ""


def matching(items: list[Node]) -> list[tuple[int, int]]:
    """Places of delimiters that belong together on this level."""
    pairs, open_at = [], []
    for at, item in enumerate(items):
        token = _base(item)
        if token in _CLOSERS and isinstance(item, Symbol):
            open_at.append(at)
        elif token in tables.CLOSING:
            fits = [n for n, left in enumerate(open_at) if _fit(items[left].token, token)]
            if fits:
                pairs.append((open_at[fits[-1]], at))
                del open_at[fits[-1] :]
    return pairs + _matching_bars(items, pairs)


def set_bars(items: list[Node], pairs: list[tuple[int, int]]) -> list[int]:
    """Places of the bars of `{ x | x > 0 }`: alone between braces, with something on both sides."""
    return [
        places[0]
        for (inside, token), places in _bars(items, pairs).items()
        if len(places) == 1 and token == "|" and inside >= 0 and items[inside] is LBRACE
        if places[0] > inside + 1 and isinstance(items[places[0]], Symbol)
    ]


def _fit(left: str, right: str) -> bool:
    return right in (_CLOSERS[left], _HALF_OPEN.get(left))


def _bars(items: list[Node], pairs: list[tuple[int, int]]) -> dict[tuple[int, str], list[int]]:
    """Places of the bars of each kind in each fence; a fence is known by its opening place."""
    groups: dict[tuple[int, str], list[int]] = {}
    for at, item in enumerate(items):
        struck = at > 0 and items[at - 1] is NOT
        if (token := _base(item)) in _BARS and not struck:
            inside = max((left for left, right in pairs if left < at < right), default=-1)
            groups.setdefault((inside, token), []).append(at)
    return groups


def _matching_bars(items: list[Node], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bars are matched in their order where an even number stands in the same fence."""
    matched = []
    for places in _bars(items, pairs).values():
        if len(places) % 2 == 0 and all(isinstance(items[at], Symbol) for at in places[::2]):
            matched += zip(places[::2], places[1::2], strict=True)
    return matched


def _depths(length: int, pairs: list[tuple[int, int]]) -> list[int]:
    return [sum(left < at < right for left, right in pairs) for at in range(length)]


def _fenced_matrix(items: list[Node], at: int) -> str:
    """`( matrix )` as `pmatrix`; empty if it is none."""
    grid, name = items[at + 1], tables.FENCED_MATRICES.get((_base(items[at]), _base(items[at + 2])))
    if not name or not isinstance(grid, Grid) or grid.name != "matrix":
        return ""
    latex, closer = _grid(Grid(name, grid.rows)), items[at + 2]
    return latex if isinstance(closer, Symbol) else _item(closer, latex)


def are_tall(items: list[Node]) -> bool:
    return any(_is_tall(item) for item in items)


def _is_tall(node: Node) -> bool:
    if isinstance(node, Symbol):
        return node.token in tables.BIG_OPERATORS
    if isinstance(node, Row):
        return are_tall(node.items)
    if isinstance(node, Scripts):
        return any(_is_tall(part) for part in (node.base, node.sub, node.sup) if part)
    if isinstance(node, Command):
        return node.name in _TALL_COMMANDS or any(_is_tall(arg) for arg in node.args)
    return isinstance(node, Grid)


# Items ---------------------------------------------------------------------------------------


def _item(node: Node, instead: str = "") -> str:
    """LaTeX of a node; `instead` replaces the symbol, or the base of the scripts."""
    if isinstance(node, Scripts):
        return (instead or _item(node.base)) + _scripts(node)
    if isinstance(node, Symbol):
        return instead or _TYPED.get(node.token, node.token)
    if isinstance(node, Row):
        return "{" + print_formula(node.items) + "}"
    if isinstance(node, Text):
        return _text(node, before=False, after=False)
    return _grid(node) if isinstance(node, Grid) else _command(node)


def _scripts(node: Scripts) -> str:
    sup = node.sup.items if node.sup else []
    n_primes = next((n for n, item in enumerate(sup) if item is not PRIME), len(sup))
    latex = _script("_", node.sub.items) if node.sub else ""
    return latex + "'" * n_primes + (_script("^", sup[n_primes:]) if sup[n_primes:] else "")


def _script(mark: str, items: list[Node]) -> str:
    token = items[0].token if len(items) == 1 and isinstance(items[0], Symbol) else ""
    bare = token in _BARE_SCRIPTS or (token.isascii() and token.isalnum())
    return mark + (token if bare else "{" + _space(_pieces(items, True), tight=True) + "}")


def _command(node: Command) -> str:
    tight = node.name not in (r"\frac", r"\sqrt", r"\binom", r"\boxed", r"\underbrace")
    latex = node.name
    if node.option:
        option = _space(_pieces(node.option.items, True), tight=True)
        closes_early = any(item is SYMBOLS["]"] for item in node.option.items)
        latex += "[{" + option + "}]" if closes_early else f"[{option}]"
    for arg in node.args:
        latex += "{" + _space(_pieces(arg.items, tight), tight) + "}"
    return f" {latex}" if node.name == r"\pmod" else latex


def _text(node: Text, before: bool, after: bool) -> str:
    """before, after: whether something stands there, from which a linking word keeps away."""
    words = "".join(f"{c}\n" for c in node.characters).split("~\n")
    spaced_out = all(word.count("\n") == 1 for word in words)
    latex = ("~" if spaced_out else " ").join(word.replace("\n", "") for word in words)
    if len(words) > 1 or LINKING_WORDS.fullmatch(latex):
        latex = " " * before + latex + " " * after
    return r"\text{" + latex + "}"


def _grid(node: Grid) -> str:
    if node.name == "aligned":
        return _environment("aligned", _aligned_rows([row[0].items for row in node.rows]))
    rows = [" & ".join(print_formula(cell.items) for cell in row) for row in node.rows]
    if node.name == r"\substack":
        return r"\substack{" + r" \\ ".join(_guarded(row) for row in rows) + "}"
    return _environment(node.name, rows)


def _environment(name: str, rows: list[str]) -> str:
    body = r" \\ ".join(_guarded(row) for row in rows)
    return rf"\begin{{{name}}} {body} \end{{{name}}}"


def _guarded(row: str) -> str:
    r"""LaTeX takes a `[` or `*` after `\\` for an option of it."""
    return "{}" + row if row.startswith(("[", "*")) else row


def _aligned_rows(rows: list[list[Node]]) -> list[str]:
    """The rows, aligned at the first relation of each that stands outside of fences."""
    lines = [_pieces(items, tight=False) for items in rows]
    places = [
        next((n for n, p in enumerate(line) if p.kind == "relation" and not p.depth), None)
        for line in lines
    ]
    if all(place is None for place in places):
        return [_space(line) for line in lines]
    printed = []
    for line, place in zip(lines, places, strict=True):
        left = _space(line[:place]) if place else ""
        right = _space(line[place:] if place else line)
        printed.append(f"{left} &{'' if place is not None else ' '}{right}".strip())
    return printed
