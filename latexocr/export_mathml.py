"""Tree -> Presentation MathML, as browsers show it and as Word takes it on paste.

Word wants the namespace, accents that say they are accents, and one root. Browsers know MathML
Core only: alphabets are Unicode's own letters, and spaces are written where TeX has them.
Sources: W3C MathML 3 (Word) and MathML Core (browsers).
"""

from collections.abc import Sequence
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

from latexocr import latex_tables as tables
from latexocr.export_parts import (
    SET_BAR,
    Fence,
    Number,
    Part,
    Style,
    Words,
    aligned_cells,
    arrange,
    has_limits,
    is_large_sign,
    operator_name,
)
from latexocr.export_symbols import (
    ACCENTS,
    ALPHABETS,
    CANCELS,
    OVER,
    UNDER,
    UPRIGHT,
    WORDS,
    arrow,
    character,
    in_alphabet,
)
from latexocr.latex_tree import Command, Grid, Node, Row, Scripts, Symbol

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
# Word draws a box where a base is empty; it draws nothing where there is a space without width.
_EMPTY = "<mtext>&#x200B;</mtext>"
# Function application: Word makes a function of what is round it, browsers keep the thin space.
_APPLY = '<mo rspace="{}em">&#x2061;</mo>'
_GAP = '<mspace width="0.1667em"/>'  # TeX's thin space
_UNSPACED = frozenset("/|‖\\:@!?.")  # symbols for TeX, operators with spaces for MathML
_VERTICAL = frozenset("↑↓↕⇑⇓⇕|‖/")  # these grow by themselves
_PLAIN = Style()
_SIDES = ("right", "left")
# Browsers do not know `menclose`, but the style of it.
_BOX = "border: 1px solid; padding: 0.2em"
_STROKE = (
    "linear-gradient(to {} right, transparent calc(50% - 0.5px), currentColor calc(50% - 0.5px),"
    " currentColor calc(50% + 0.5px), transparent calc(50% + 0.5px))"
)


def mathml(formulas: Sequence[Row]) -> str:
    """One `math` element of display style; several formulas are rows of a table in it.

    Raises: ExportError for a symbol without a Unicode character."""
    if len(formulas) == 1:
        inside = _row(formulas[0].items)
    else:
        rows = [_e("mtr", _e("mtd", _row(formula.items))) for formula in formulas]
        inside = _e("mtable", *rows, displaystyle="true")
    return _e("math", inside, xmlns=NAMESPACE, display="block")


def _e(name: str, *children: str, **attributes: str) -> str:
    """An element with its children and attributes."""
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>"


def _mo(character: str, **attributes: str) -> str:
    return _e("mo", escape(character), **attributes)


# Rows ----------------------------------------------------------------------------------------


def _row(items: list[Node], style: Style = _PLAIN) -> str:
    return _parts(arrange(items), style)


def _parts(parts: list[Part], style: Style = _PLAIN) -> str:
    """Exactly one element."""
    written: list[str] = []
    for n, part in enumerate(parts):
        before = parts[n - 1].kind if n else "start"
        after = parts[n + 1].kind if n + 1 < len(parts) else "end"
        word = part.kind == "operator" and not is_large_sign(part.node)
        if word and before in ("ordinary", "number", "fence", "closing", "operator"):
            written.append(_GAP)
        written.append(_node(part.node, style, part.kind))
        if word and after in ("ordinary", "number", "fence", "opening", "operator"):
            written.append(_APPLY.format(0 if after in ("fence", "opening") else 0.1667))
    if len(written) == 1:
        return written[0]
    return _e("mrow", *written) if written else _EMPTY


def _node(node: Node, style: Style, kind: str = "ordinary") -> str:
    match node:
        case Symbol(token):
            return _symbol(token, style, kind)
        case Number(digits):
            return _e("mn", _styled(digits, style))
        case Words(text):
            return _e("mtext", escape(text).replace(" ", "&#xA0;"))
        case Row(items):
            return _row(items, style)
        case Fence():
            return _fence(node, style)
        case Scripts():
            return _scripts(node, style, kind)
        case Grid():
            return _grid(node, style)
        case Command():
            return _command(node, style)
    raise TypeError(f"no MathML for {type(node).__name__}")


def _symbol(token: str, style: Style, kind: str) -> str:
    if token in WORDS:
        return _word(WORDS[token], style)
    char = character(token)
    letter = char[0].isalpha() and kind == "ordinary"
    if letter or (kind == "ordinary" and char not in _UNSPACED):
        return _identifier(char, style)
    attributes: dict[str, str] = {}
    if kind == "sign":
        attributes["form"] = "prefix"
    if kind in ("opening", "closing") or char in _VERTICAL:
        attributes["stretchy"] = "false"
    if char in _UNSPACED and kind == "ordinary":
        attributes |= {"lspace": "0em", "rspace": "0em"}
    if char == SET_BAR:
        attributes |= {"lspace": "0.2778em", "rspace": "0.2778em"}
    if style.bold and not style.alphabet:
        attributes["mathvariant"] = "bold"
    return _mo(char, **attributes)


def _identifier(char: str, style: Style) -> str:
    styled = _styled(char, style)
    if styled != escape(char):
        return _e("mi", styled)
    variant = ALPHABETS[style.alphabet][0] if style.alphabet else "bold" if style.bold else ""
    if style.upright or char[0] in UPRIGHT:
        variant = variant or "normal"
    return _e("mi", styled, **({"mathvariant": variant} if variant else {}))


def _styled(text: str, style: Style) -> str:
    """The characters in the alphabet of the style, those that it has."""
    if not style.alphabet and not style.bold:
        return escape(text)
    alphabet = ALPHABETS[style.alphabet][3] if style.alphabet else ""
    return escape("".join(in_alphabet(c, alphabet, style.bold) or c for c in text))


def _word(word: str, style: Style) -> str:
    written = _styled(word.replace(" ", "\xa0"), style)
    if word == "mod":
        return _e("mo", written, lspace="0.2222em", rspace="0.2222em")
    return _e("mi", written)


def _fence(node: Fence, style: Style) -> str:
    stretchy = {"stretchy": "true" if node.tall else "false"}
    left = _mo(character(node.left), form="prefix", **stretchy)
    right = _mo(character(node.right), form="postfix", **stretchy)
    inside = _parts(arrange(node.items), style) if node.items else ""
    return _e("mrow", left, inside, right)


def _scripts(node: Scripts, style: Style, kind: str) -> str:
    names = ("munder", "mover", "munderover") if has_limits(node.base) else ("msub", "msup", "")
    base = _node(node.base, style, kind)
    if has_limits(node.base) and isinstance(node.base, Symbol) and node.base.token in WORDS:
        base = _mo(WORDS[node.base.token].replace(" ", "\xa0"), movablelimits="true")
    sub, sup = (_row(script.items, style) if script else "" for script in (node.sub, node.sup))
    if sub and sup:
        return _e(names[2] or "msubsup", base, sub, sup)
    return _e(names[0] if sub else names[1], base, sub or sup)


# Grids ---------------------------------------------------------------------------------------


def _grid(node: Grid, style: Style) -> str:
    if node.name == "aligned":
        sides = aligned_cells(node.rows)
        rows = [
            [_parts(left, style) if left else "", _aligned(right, style)] for left, right in sides
        ]
        return _table(rows, _SIDES, columnspacing="0em", displaystyle="true")
    rows = [[_row(cell.items, style) for cell in row] for row in node.rows]
    if node.name == "cases":
        brace = _mo("{", form="prefix", stretchy="true")
        return _e("mrow", brace, _table(rows, ("left", "left")))
    return _table(rows, ("center",))


def _aligned(parts: list[Part], style: Style) -> str:
    """A row from its relation on, which MathML takes for a prefix if it is not told otherwise."""
    return _e("mrow", "<mi/>", _parts(parts, style)) if parts else ""


def _table(rows: list[list[str]], columns: tuple[str, ...], **attributes: str) -> str:
    """Cells are aligned twice: Word reads columnalign, browsers read the style."""

    def cell(inside: str, n: int) -> str:
        align = columns[min(n, len(columns) - 1)]
        if align == "center":
            return _e("mtd", inside)
        style = f"text-align: {align}"
        if columns == _SIDES:  # of a relation, which stand together
            style += f"; padding-{'left' if align == 'left' else 'right'}: 0"
        return _e("mtd", inside, columnalign=align, style=style)

    written = [_e("mtr", *(cell(inside, n) for n, inside in enumerate(row))) for row in rows]
    return _e("mtable", *written, **attributes)


# Commands ------------------------------------------------------------------------------------


def _command(node: Command, style: Style) -> str:
    name = node.name
    if name == r"\mathbf":
        return _row(node.args[0].items, replace(style, bold=True))
    if name in ALPHABETS:
        return _row(node.args[0].items, replace(style, alphabet=name))
    if name == r"\operatorname":
        word = operator_name(node)
        upright = replace(style, upright=True)
        return _word(word, style) if word else _row(node.args[0].items, upright)
    args = [_row(arg.items, style) for arg in node.args]
    if name in tables.EXTENSIBLE_ARROWS:
        return _arrow(node, args[0], style)
    return _decorated(name, args[0]) or _built(node, args, style)


def _decorated(name: str, inside: str) -> str:
    """Accents, lines, braces and strokes; empty if the command is none of these."""
    if name in ACCENTS:
        stretchy = "true" if name.startswith(r"\over") else "false"
        return _e("mover", inside, _mo(ACCENTS[name][0], stretchy=stretchy), accent="true")
    if name in OVER:
        return _e("mover", inside, _mo(OVER[name][0], stretchy="true"), accent="true")
    if name in UNDER:
        return _e("munder", inside, _mo(UNDER[name][0], stretchy="true"), accentunder="true")
    if name in CANCELS:
        sides = ["bottom" if way == "BLTR" else "top" for way in CANCELS[name][1]]
        style = f"background: {', '.join(_STROKE.format(side) for side in sides)}"
        return _e("menclose", inside, notation=CANCELS[name][0], style=style)
    return ""


def _built(node: Command, args: list[str], style: Style) -> str:
    match node.name:
        case r"\frac":
            return _e("mfrac", *args)
        case r"\sqrt" if node.option:
            return _e("mroot", args[0], _row(node.option.items, style))
        case r"\sqrt":
            return _e("msqrt", args[0])
        case r"\binom":
            over = _e("mfrac", *args, linethickness="0pt")
            return _e("mrow", _mo("(", form="prefix"), over, _mo(")", form="postfix"))
        case r"\overset":
            return _e("mover", args[1], args[0])
        case r"\underset":
            return _e("munder", args[1], args[0])
        case r"\boxed":
            return _e("menclose", args[0], notation="box", style=_BOX)
        case r"\pmod":
            space, word = '<mspace width="1em"/>', "<mi>mod</mi>"
            inside = _e("mrow", word, '<mspace width="0.3333em"/>', args[0])
            flat = {"stretchy": "false"}
            return _e("mrow", space, _mo("(", **flat), inside, _mo(")", **flat))
    raise TypeError(f"no MathML for {node.name}")


def _arrow(node: Command, above: str, style: Style) -> str:
    sign = _mo(arrow(node.name), stretchy="true")
    if not node.option:
        return _e("mover", sign, above)
    below = _row(node.option.items, style)
    return _e("munderover", sign, below, above) if node.args[0].items else _e("munder", sign, below)
