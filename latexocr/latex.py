r"""LaTeX formulas: tokens, canonical and comparable forms, validity, pretty-printing.

canonical   What models learn: one spelling of each formula. Tokens with spaces between them.
comparable  What metrics compare: canonical without fonts and with look-alikes merged.
pretty      What a person pastes: no needless spaces or braces, \left( \right) where it is tall.

    >>> canonical(r"{a \over b}^2 \le x'")
    '\\frac { a } { b } ^ { 2 } \\leq x ^ { \\prime }'
"""

from latexocr import latex_tables as tables
from latexocr.errors import TexError
from latexocr.latex_parser import parse
from latexocr.latex_pretty import print_formula
from latexocr.latex_tokens import LENGTH, PLACES, tokenize
from latexocr.latex_tree import (
    SYMBOLS,
    Command,
    Grid,
    Node,
    Row,
    Scripts,
    Symbol,
    Text,
    attach,
    base_of,
    command,
    complete,
    with_base,
)

__all__ = [
    "Command",
    "Grid",
    "Node",
    "Row",
    "Scripts",
    "Symbol",
    "Text",
    "canonical",
    "comparable",
    "is_valid",
    "parse",
    "pretty",
    "tokenize",
]


def canonical(latex: str) -> str:
    """The one spelling of a formula: tokens with single spaces between them.

    Raises: TexError with the place and what was expected if it cannot be parsed."""
    return _join(parse(latex).items)


def comparable(latex: str) -> str:
    """The canonical form without fonts and text wrappers and with look-alikes merged.

    Raises: TexError as canonical does; a metric then falls back to the plain tokens."""
    return _join(_comparable(parse(latex).items))


def is_valid(latex: str) -> bool:
    """Whether the formula can be parsed."""
    try:
        parse(latex)
    except TexError:
        return False
    return True


def pretty(latex: str) -> str:
    r"""The formula as a person would paste it. Its canonical form stays the same.

    Raises: TexError if it cannot be parsed."""
    return print_formula(parse(latex).items)


# Writing -------------------------------------------------------------------------------------


def _join(items: list[Node]) -> str:
    tokens: list[str] = []
    _write(items, tokens)
    return " ".join(tokens)


def _write(items: list[Node], out: list[str]) -> None:
    for item in items:
        if type(item) is Symbol:
            out.append(item.token)
        else:
            _WRITERS[type(item)](item, out)


def _write_row(row: Row, out: list[str]) -> None:
    out.append("{")
    _write(row.items, out)
    out.append("}")


def _write_scripts(node: Scripts, out: list[str]) -> None:
    _write([node.base], out)
    for mark, script in (("_", node.sub), ("^", node.sup)):
        if script:
            out.append(mark)
            _write_row(script, out)


def _write_command(node: Command, out: list[str]) -> None:
    out.append(node.name)
    if node.option:
        closes_early = any(item is SYMBOLS["]"] for item in node.option.items)
        out.append("[")
        _write([node.option] if closes_early else node.option.items, out)
        out.append("]")
    for arg in node.args:
        _write_row(arg, out)


def _write_text(node: Text, out: list[str]) -> None:
    out += [r"\text", "{", *node.characters, "}"]


def _write_grid(node: Grid, out: list[str]) -> None:
    stack = node.name == r"\substack"
    out += [node.name, "{"] if stack else [rf"\begin{{{node.name}}}"]
    for n_row, row in enumerate(node.rows):
        if n_row:
            out.append("\\\\")
        for n_cell, cell in enumerate(row):
            if n_cell:
                out.append("&")
            start = len(out)
            _write(cell.items, out)
            if not n_cell and _reads_as_option(out[start:]):
                out[start:start] = ["{", "}"]
    out.append("}" if stack else rf"\end{{{node.name}}}")


def _reads_as_option(tokens: list[str]) -> bool:
    r"""Whether a row begins with what `\\[2pt]` or `\begin{aligned}[t]` takes for an option."""
    if tokens[:1] != ["["] or "]" not in tokens:
        return False
    inside = "".join(tokens[1 : tokens.index("]")])
    return inside in PLACES or LENGTH.fullmatch(inside) is not None


_WRITERS = {
    Row: _write_row,
    Scripts: _write_scripts,
    Command: _write_command,
    Text: _write_text,
    Grid: _write_grid,
}


# Comparing -----------------------------------------------------------------------------------

_MERGED = {
    SYMBOLS[old]: [SYMBOLS.get(token, Symbol(token)) for token in new.split()]
    for old, new in tables.COMPARABLE_SYMBOLS.items()
}
_BAR, _DOUBLE_BAR, _CDOTS = SYMBOLS["|"], SYMBOLS[r"\|"], SYMBOLS[r"\cdots"]


def _comparable(items: list[Node]) -> list[Node]:
    merged: list[Node] = []
    for item in items:
        if type(item) is Symbol:
            merged += _MERGED.get(item, [item])
        elif type(item) is Text:
            merged = _with_letters(merged, item.characters)
        else:
            merged += _comparable_node(item)
    merged = [_MERGED[item][0] if item is _CDOTS else item for item in complete(merged)]
    return _merge_bars(merged) if _BAR in merged else merged


def _with_letters(items: list[Node], characters: list[str]) -> list[Node]:
    """The characters of a text as symbols after `items`; its apostrophes are primes."""
    items = list(items)
    for character in characters:
        if character == "'":
            items[-1:] = attach(items[-1:], None, [SYMBOLS[r"\prime"]])
        elif character != "~":
            symbol = SYMBOLS.get(character) or Symbol(character)
            items += _MERGED.get(symbol, [symbol])
    return items


def _comparable_row(row: Row | None) -> Row | None:
    return Row(_comparable(row.items)) if row else None


def _comparable_node(node: Node) -> list[Node]:
    match node:
        case Scripts():
            base = _comparable(node.base.items if isinstance(node.base, Row) else [node.base])
            sub = _comparable(node.sub.items) if node.sub else None
            sup = _comparable(node.sup.items) if node.sup else None
            return attach(base, sub, sup)
        case Text():
            return _with_letters([], node.characters)
        case Grid():
            rows = [[_comparable_row(cell) for cell in row] for row in node.rows]
            return [Grid(node.name, rows)]
    if node.name in tables.COMPARABLE_DISSOLVED:
        return _comparable(node.args[0].items)
    args = [_comparable_row(arg) for arg in node.args]
    if node.name == r"\pmod":
        return [SYMBOLS[c] for c in "(mod"] + args[0].items + [SYMBOLS[")"]]
    name = tables.COMPARABLE_COMMANDS.get(node.name, node.name)
    if name in tables.COMMANDS:
        return command(name, args)
    return [Command(name, args, _comparable_row(node.option))]


def _merge_bars(items: list[Node]) -> list[Node]:
    merged: list[Node] = []
    for item in items:
        if base_of(item) is _BAR and merged and merged[-1] is _BAR:
            merged[-1] = with_base(item, _DOUBLE_BAR)
        else:
            merged.append(item)
    return merged
