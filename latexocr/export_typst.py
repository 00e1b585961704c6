r"""Tree -> Typst. Every token stands apart, so that no two are read as one name or shorthand.

Typst pairs delimiters by itself: `( )` stay as they are where they belong together, and get a
backslash where they do not. Its functions end at a comma, which gets a backslash in arguments.
Source: https://typst.app/docs/reference/math/ (0.15).
"""

import re
from collections.abc import Sequence

from latexocr import latex_tables as tables
from latexocr.export_parts import (
    LABELLED,
    Fence,
    Number,
    Part,
    Words,
    aligned_cells,
    arrange,
    has_limits,
    operator_name,
)
from latexocr.export_symbols import (
    ACCENTS,
    ALPHABETS,
    CANCELS,
    OVER,
    TYPST_NAMES,
    UNDER,
    WORDS,
    arrow,
    character,
)
from latexocr.latex_tree import PRIME, Command, Grid, Node, Row, Scripts, Symbol

_EMPTY = '""'
# Typst would read more than the character in these.
_ESCAPED = frozenset('\\/#$&_"`@~^()[]{}|⟨⟩⌊⌋⌈⌉⟦⟧‖√∛∜')
_ENDS_ARGUMENT = frozenset(",;:")
_PAIRED = frozenset(("()", "[]", "{}", "⟨⟩", "⌊⌋", "⌈⌉", "⟦⟧"))  # Typst makes them grow together
_BARS = {"||": "abs", "‖‖": "norm"}
_COMMANDS = {r"\frac": "frac", r"\sqrt": "sqrt", r"\binom": "binom"}


def typst(formulas: Sequence[Row]) -> str:
    """Displayed equations, one below the other.

    Raises: ExportError for a symbol without a Unicode character."""
    return "\n\n".join(f"$ {_equation(formula.items)} $" for formula in formulas)


def _equation(items: list[Node]) -> str:
    """A whole equation: aligned lines that are all of it are lines of Typst, aligned at `&`."""
    if len(items) == 1 and isinstance(items[0], Grid) and items[0].name == "aligned":
        return " \\\n  ".join(_aligned_lines(items[0], argument=False))
    return _row(items)


def _row(items: list[Node], argument: bool = False) -> str:
    """The nodes side by side. argument: of a function, which ends at a comma."""
    return _parts(arrange(items), argument)


def _parts(parts: list[Part], argument: bool = False) -> str:
    return " ".join(_node(part.node, argument, part.kind) for part in parts) or _EMPTY


def _node(node: Node, argument: bool, kind: str = "ordinary") -> str:
    match node:
        case Symbol(token):
            return _symbol(token, argument)
        case Number(digits):
            return digits
        case Words(text):
            return _quoted(text)
        case Row(items):
            return _row(items, argument)
        case Fence():
            return _fence(node)
        case Scripts():
            return _scripts(node, argument, kind)
        case Grid():
            return _grid(node)
        case Command():
            return _command(node)
    raise TypeError(f"no Typst for {type(node).__name__}")


def _symbol(token: str, argument: bool) -> str:
    if token in TYPST_NAMES:
        return TYPST_NAMES[token]
    if token in WORDS:
        limits = ", limits: #true" if token in tables.LIMIT_BASES else ""
        return f"op({_quoted(WORDS[token])}{limits})"
    if token in "-*":  # Typst's own minus and asterisk
        return token
    char = character(token)
    if char in _ESCAPED or (argument and char in _ENDS_ARGUMENT):
        return "\\" + char
    return char if len(char) == 1 else f"cancel({char[0]})"  # the second is a stroke through it


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fence(node: Fence) -> str:
    left, right = character(node.left), character(node.right)
    grid = node.items[0] if len(node.items) == 1 else None
    if isinstance(grid, Grid) and grid.name == "matrix" and left + right in _PAIRED | {*_BARS}:
        return _matrix(grid, _quoted(left))
    inside = _row(node.items) if node.items else ""
    if left + right in _PAIRED:
        return f"{left}{inside}{right}"
    if left + right in _BARS and inside:
        return f"{_BARS[left + right]}({_row(node.items, argument=True)})"
    inside = _row(node.items, argument=True) if node.items else ""
    return f"lr(\\{left} {inside} \\{right})"


# Scripts -------------------------------------------------------------------------------------


def _scripts(node: Scripts, argument: bool, kind: str) -> str:
    base, name = node.base, node.base.name if isinstance(node.base, Command) else ""
    if isinstance(base, Row) and base.items:  # braces round scripts that get scripts
        places = [("b", node.sub), ("t", node.sup)]
        said = [f"{place}: {_row(script.items, True)}" for place, script in places if script]
        return f"attach({', '.join([_row(base.items, True), *said])})"
    written = _EMPTY if isinstance(base, Row) else _node(base, argument)
    if name in LABELLED and (label := node.sub if name in UNDER else node.sup):
        written = f"{written[:-1]}, {_row(label.items, True)})"
        rest = node.sup if name in UNDER else node.sub
        return written + (_script("^" if name in UNDER else "_", rest) if rest else "")
    if name and has_limits(base):
        written = f"limits({_node(base, True)})"
    elif kind == "relation" and not name:  # Typst would put them above and below
        written = f"scripts({_node(base, True)})"
    return written + _both_scripts(node)


def _both_scripts(node: Scripts) -> str:
    sup = node.sup.items if node.sup else []
    n_primes = next((n for n, item in enumerate(sup) if item is not PRIME), len(sup))
    raised = _script("^", Row(sup[n_primes:])) if sup[n_primes:] else ""
    return "'" * n_primes + (_script("_", node.sub) if node.sub else "") + raised


def _script(mark: str, script: Row) -> str:
    only = script.items[0] if len(script.items) == 1 else None
    if isinstance(only, Grid) and only.name == r"\substack":
        lines = " \\ ".join(_row(row[0].items) for row in only.rows)
        return f"{mark}({lines})"
    written = _row(script.items)
    return mark + (written if re.fullmatch(r"\w|\d+|[a-zA-Z]+", written) else f"({written})")


# Grids ---------------------------------------------------------------------------------------


def _grid(node: Grid) -> str:
    if node.name == "cases":
        rows = [" & ".join(_row(cell.items, True) for cell in row) for row in node.rows]
        return f"cases({', '.join(rows)})"
    if node.name == "aligned":
        return f"mat(delim: #none, {'; '.join(_aligned_lines(node, argument=True))})"
    return _matrix(node, "#none")


def _aligned_lines(node: Grid, argument: bool) -> list[str]:
    lines = []
    for left, right in aligned_cells(node.rows):
        before = _parts(left, argument) + " " if left else ""
        lines.append(before + "&" + _parts(right, argument))
    return lines


def _matrix(node: Grid, delimiters: str) -> str:
    rows = [", ".join(_row(cell.items, True) for cell in row) for row in node.rows]
    return f"mat(delim: {delimiters}, {'; '.join(rows)})"


# Commands ------------------------------------------------------------------------------------


def _command(node: Command) -> str:
    name = node.name
    if name == r"\operatorname" and (word := operator_name(node)):
        return f"op({_quoted(word)})"
    args = [_row(arg.items, argument=True) for arg in node.args]
    if name in tables.EXTENSIBLE_ARROWS:
        below = _script("_", node.option) if node.option else ""
        above = _script("^", node.args[0]) if node.args[0].items else ""
        return f"stretch({arrow(name)}){below}{above}"
    if name in _COMMANDS:
        if node.option:
            return f"root({_row(node.option.items, True)}, {args[0]})"
        return f"{_COMMANDS[name]}({', '.join(args)})"
    return _decorated(name, args[0]) or _built(name, args)


def _decorated(name: str, inside: str) -> str:
    """Accents, lines, braces, strokes and alphabets; empty if the command is none of these."""
    if name in ACCENTS:
        return f"{ACCENTS[name][2]}({inside})"
    if name in ALPHABETS:
        return f"{ALPHABETS[name][2]}({inside})"
    if name in CANCELS:
        return f"cancel({CANCELS[name][2]}{inside})"
    char, function = {**OVER, **UNDER}.get(name, ("", ""))
    if function:
        return f"{function}({inside})"
    return f"attach(limits({inside}), b: stretch({char}))" if char else ""


def _built(name: str, args: list[str]) -> str:
    match name:
        case r"\mathbf":
            return f"upright(bold({args[0]}))"
        case r"\operatorname":
            return f"op(upright({args[0]}))"
        case r"\overset":
            return f"limits({args[1]})^({args[0]})"
        case r"\underset":
            return f"limits({args[1]})_({args[0]})"
        case r"\boxed":
            return f"#box(stroke: 0.5pt, inset: 3pt, baseline: 3pt, $display({args[0]})$)"
        case r"\pmod":
            return f"quad (mod {args[0]})"
    raise TypeError(f"no Typst for {name}")
