r"""Tree -> LaTeX to paste: between dollars, in environments, in Markdown, in a whole document.

The formula is always written anew from its tree, so that nothing passes that the parser does not
know: no `\input`, no `\href`, no `\write18`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from latexocr import latex_tables as tables
from latexocr.errors import ExportError
from latexocr.latex_pretty import print_formula
from latexocr.latex_tree import PRIME, Command, Grid, Node, Row, Scripts, Symbol, Text

_NESTING = re.compile(r"(\{|\\begin\{\w+\})|(\}|\\end\{\w+\})|\\\\|\\.")
# Markdown reads a line that begins so as a list, a heading or a quotation.
_MARKDOWN_MARK = re.compile(r"[-+>=#*]|\d+[.)]")
_HTML_TAG = re.compile(r"<(?=[a-zA-Z/!?])")  # Markdown takes `i<j` for the beginning of a tag
# Characters of text that LaTeX's oldest fonts print as others.
_MISPRINTED = re.compile(r'\\text\{[^{}]*[<>|"]')

_PACKAGES = {
    r"\cancel": "cancel",
    r"\bcancel": "cancel",
    r"\xcancel": "cancel",
    r"\overbracket": "mathtools",
    r"\underbracket": "mathtools",
    r"\llbracket": "stmaryrd",
    r"\rrbracket": "stmaryrd",
    r"\bigsqcap": "stmaryrd",
    r"\mapsfrom": "stmaryrd",
}
# In no package that everybody has: defined in the document.
_DEFINITIONS = {
    r"\oiint": r"\DeclareMathOperator{\oiint}{{\bigcirc\mkern-22mu\iint}}",
    r"\oiiint": r"\DeclareMathOperator{\oiiint}{{\bigcirc\mkern-26mu\iiint}}",
    r"\overparen": r"\newcommand{\overparen}[1]{\overset{\frown}{#1}}",
    r"\underparen": r"\newcommand{\underparen}[1]{\underset{\smile}{#1}}",
    r"\utilde": r"\newcommand{\utilde}[1]{\underset{\sim}{#1}}",
    r"\euro": r"\newcommand{\euro}{\text{\texteuro}}",
    r"\xlongequal": r"\newcommand{\xlongequal}[2][]{\overset{#2}{\underset{#1}{=\joinrel=}}}",
    **{
        rf"\xtwohead{way}arrow": rf"\newcommand{{\xtwohead{way}arrow}}[2][]"
        rf"{{\overset{{#2}}{{\underset{{#1}}{{\twohead{way}arrow}}}}}}"
        for way in ("right", "left")
    },
}
_AMSMATH_ARROWS = (r"\xrightarrow", r"\xleftarrow")
_PACKAGES |= {
    name: "mathtools"
    for name in tables.EXTENSIBLE_ARROWS
    if name not in _AMSMATH_ARROWS and name not in _DEFINITIONS
}


def each(before: str, after: str, between: str) -> Callable[[Sequence[Row]], str]:
    """A writer that puts `before` and `after` round each formula and `between` two."""
    return lambda formulas: between.join(before + _printed(row) + after for row in formulas)


def align(formulas: Sequence[Row]) -> str:
    """One `align`: a line for each formula, or for each line of one that has lines."""
    lines = [line for formula in formulas for line in _lines(formula)]
    printed = print_formula([Grid("aligned", [[Row(_prepared(line))] for line in lines])])
    body = printed.removeprefix(r"\begin{aligned} ").removesuffix(r" \end{aligned}")
    return _environment("align", list(_cut(body)))


def gather(formulas: Sequence[Row]) -> str:
    """One `gather`: a centred line for each formula."""
    return _environment("gather", [_printed(formula) for formula in formulas])


def markdown(formulas: Sequence[Row]) -> str:
    """A block between double dollars for each formula."""
    blocks = []
    for formula in formulas:
        latex = _HTML_TAG.sub("< ", _printed(formula))
        gap = "" if _MARKDOWN_MARK.match(latex) else "\n"
        blocks.append(f"$${gap}{latex}{gap}$$")
    return "\n\n".join(blocks) + "\n"


def document(formulas: Sequence[Row]) -> str:
    """A document that pdfLaTeX, XeLaTeX and LuaLaTeX compile.

    Raises: ExportError for a letter that pdfLaTeX has no font for."""
    body = each("\\[\n  ", "\n\\]\n", "\n")(formulas)
    wrong = next((c for c in body if not c.isascii() and not _is_european(c)), "")
    if wrong:
        raise ExportError(f"expected Latin letters for a LaTeX document, got {wrong!r}")
    used = set(re.findall(r"\\[a-zA-Z]+", body))
    packages = sorted({_PACKAGES[name] for name in used if name in _PACKAGES})
    lines = [r"\documentclass{article}", r"\usepackage{amsmath}", r"\usepackage{amssymb}"]
    lines += [rf"\usepackage{{{name}}}" for name in packages]
    if not body.isascii() or _MISPRINTED.search(body):
        lines.insert(1, r"\usepackage[T1]{fontenc}")
    lines += [definition for name, definition in _DEFINITIONS.items() if name in used]
    return "\n".join([*lines, r"\begin{document}", "", body, r"\end{document}", ""])


def _is_european(character: str) -> bool:
    """Whether the character is in LaTeX's T1 fonts: Latin letters with their accents."""
    plain = unicodedata.normalize("NFD", character)[0].isascii() or character in "ÆæØøŒœŁłßĐđÞþÐð"
    return character.isalpha() and character < "\u0180" and plain


# Formulas ------------------------------------------------------------------------------------


def _printed(formula: Row) -> str:
    return print_formula(_prepared(formula.items))


def _prepared(items: list[Node]) -> list[Node]:
    r"""The nodes as LaTeX typesets them rightly: `\mathbf` leaves small Greek letters and signs
    thin, and letters like é are no maths."""
    return [_prepared_node(item) for item in items]


def _prepared_node(node: Node) -> Node:
    match node:
        case Symbol(token) if not token.isascii():
            return Text([token])
        case Row(items):
            return Row(_prepared(items))
        case Scripts(base, sub, sup):
            scripts = (Row(_prepared(script.items)) if script else None for script in (sub, sup))
            return Scripts(_prepared_node(base), *scripts)
        case Command(name, args, option):
            bold = name == r"\mathbf" and not all(_is_mathbf(item) for item in args[0].items)
            prepared = [Row(_prepared(arg.items)) for arg in args]
            below = Row(_prepared(option.items)) if option else None
            return Command(r"\boldsymbol" if bold else name, prepared, below)
        case Grid(name, rows):
            return Grid(name, [[Row(_prepared(cell.items)) for cell in row] for row in rows])
    return node


def _is_mathbf(node: Node) -> bool:
    r"""Whether `\mathbf` makes all of the node bold: Latin letters, digits, capital Greek."""
    match node:
        case Symbol(token):
            return token.isalnum() or (token[1:2].isupper() and token in tables.GREEK)
        case Row(items):
            return all(_is_mathbf(item) for item in items)
        case Scripts(base, sub, sup):
            scripts = [script for script in (sub, sup) if script]
            return _is_mathbf(base) and all(_is_script_of_bold(script) for script in scripts)
        case Command(name, args):
            return name not in _ALPHABETS and all(_is_mathbf(arg) for arg in args)
    return isinstance(node, Text)


_ALPHABETS = (r"\mathcal", r"\mathfrak", r"\mathbb")


def _is_script_of_bold(script: Row) -> bool:
    return all(_is_mathbf(item) or item is PRIME for item in script.items)


def _lines(formula: Row) -> list[list[Node]]:
    """The lines of a formula that is nothing but aligned lines; else the formula as one."""
    only = formula.items[0] if len(formula.items) == 1 else None
    if isinstance(only, Grid) and only.name == "aligned":
        return [row[0].items for row in only.rows]
    return [formula.items]


def _cut(body: str) -> Iterator[str]:
    r"""The lines of printed LaTeX: cut at each `\\` that stands in no group or environment."""
    depth, start = 0, 0
    for match in _NESTING.finditer(body):
        depth += (match[1] is not None) - (match[2] is not None)
        if match[0] == "\\\\" and not depth:
            yield body[start : match.start()].strip()
            start = match.end()
    yield body[start:].strip()


def _environment(name: str, lines: list[str]) -> str:
    r"""LaTeX takes a `[` or `*` after `\\` for an option of it."""
    guarded = ["{}" + line if line.startswith(("[", "*")) else line for line in lines]
    body = " \\\\\n".join(f"  {line}" for line in guarded)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"
