"""Tree -> the equations of Word (Office Math Markup, OMML), and a .docx of them.

Word's large operators and functions hold what they are applied to, which LaTeX does not say: it is
what follows, up to the next relation, plus or minus.
Source: ECMA-376 part 1, 22.1 (shared-math.xsd), for the elements and their order.
"""

import io
from collections.abc import Sequence
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

from latexocr import latex_tables as tables
from latexocr.errors import ExportError
from latexocr.export_parts import (
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
)
from latexocr.latex_tree import Command, Grid, Node, Row, Scripts, Symbol

NAMESPACE = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
# Word draws a box where an argument is empty; it draws nothing round a space without width.
_NOTHING = "\u200b"
_ENDS_OPERAND = frozenset(("relation", "binary", "comma", "closing"))
_STROKED_SIDES = "".join(f'<m:hide{side} m:val="1"/>' for side in ("Top", "Bot", "Left", "Right"))
_PLAIN = Style()


def docx(formulas: Sequence[Row]) -> bytes:
    """A Word document with a displayed equation in each paragraph.

    Raises: ExportError for a symbol without a Unicode character, or for too deep a formula."""
    from docx import Document
    from docx.oxml import parse_xml
    from lxml.etree import XMLSyntaxError

    document = Document()
    document.core_properties.author = document.core_properties.comments = ""  # of the template
    for formula in formulas:
        try:
            equation = parse_xml(omml(formula))
        except XMLSyntaxError as error:  # of the depth of the markup, all else is ours
            raise ExportError(f"expected fewer groups in each other for Word: {error}") from None
        document.add_paragraph()._p.append(equation)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def omml(formula: Row) -> str:
    """An `m:oMathPara` element, as it stands in a paragraph of Word."""
    spaces = f'xmlns:m="{NAMESPACE}" xmlns:w="{_WORD}"'
    return f"<m:oMathPara {spaces}><m:oMath>{_row(formula.items)}</m:oMath></m:oMathPara>"


def _e(name: str, *children: str) -> str:
    return f"<m:{name}>{''.join(children)}</m:{name}>"


def _value(name: str, value: str) -> str:
    return f"<m:{name} m:val={quoteattr(value)}/>"


def _run(text: str, style: Style = _PLAIN, kind: str = "") -> str:
    """kind: `p` for upright letters, `nor` for words of running text, which Word spaces itself."""
    if kind == "nor":
        properties = "<m:nor/>"
    else:
        script = _value("scr", ALPHABETS[style.alphabet][1]) if style.alphabet else ""
        upright = kind == "p" or style.upright or style.bold
        letters = ("b" if style.bold else "p") if upright else ""
        properties = script + (_value("sty", letters) if letters else "")
    font = '<w:rPr><w:rFonts w:ascii="Cambria Math" w:hAnsi="Cambria Math"/></w:rPr>'
    written = f'<m:t xml:space="preserve">{escape(text)}</m:t>'
    return _e("r", _e("rPr", properties) if properties else "", font, written)


# Rows ----------------------------------------------------------------------------------------


def _row(items: list[Node], style: Style = _PLAIN) -> str:
    """The nodes side by side; never nothing."""
    return _parts(arrange(items), style) if items else _run(_NOTHING)


def _parts(parts: list[Part], style: Style) -> str:
    written: list[str] = []
    at = 0
    while at < len(parts):
        part = parts[at]
        at += 1
        if part.kind != "operator":
            written.append(_node(part.node, style, part.kind))
            continue
        large = is_large_sign(part.node)
        end = _operand_end(parts, at, large)
        operand = _parts(parts[at:end], style) if end > at else ""
        written.append(_operator(part.node, operand, style))
        at = end
    return "".join(written)


def _operand_end(parts: list[Part], start: int, large: bool) -> int:
    """The place after what an operator is applied to. A word takes one fence, or what stands
    before the next fence or word."""
    if not large and start < len(parts) and parts[start].kind == "fence":
        return start + 1
    end = start
    while end < len(parts) and parts[end].kind not in _ENDS_OPERAND:
        if not large and end > start and parts[end].kind in ("operator", "fence", "words"):
            break
        end += 1
    return end


def _operator(node: Node, operand: str, style: Style) -> str:
    scripts = node if isinstance(node, Scripts) else Scripts(node, None, None)
    if is_large_sign(node):
        return _nary(scripts, operand, style)
    name = _with_scripts(_node(scripts.base, style, "operator"), scripts, style)
    return _e("func", _e("fName", name), _e("e", operand)) if operand else name


def _nary(node: Scripts, operand: str, style: Style) -> str:
    properties = _value("chr", character(node.base.token))
    properties += _value("limLoc", "undOvr" if has_limits(node.base) else "subSup")
    properties += "" if node.sub else _value("subHide", "1")
    properties += "" if node.sup else _value("supHide", "1")
    sub, sup = (_row(script.items, style) if script else "" for script in (node.sub, node.sup))
    arguments = _e("sub", sub), _e("sup", sup), _e("e", operand or _run(_NOTHING))
    return _e("nary", _e("naryPr", properties), *arguments)


def _node(node: Node, style: Style, kind: str = "ordinary") -> str:
    match node:
        case Symbol(token):
            return _symbol(token, style)
        case Number(digits):
            return _run(digits, style)
        case Words(text):
            return _run(text, kind="nor")
        case Row(items):
            return _row(items, style)
        case Fence():
            return _fence(character(node.left), _row(node.items, style), character(node.right))
        case Scripts():
            return _with_scripts(_node(node.base, style, kind), node, style)
        case Grid():
            return _grid(node, style)
        case Command():
            return _command(node, style)
    raise TypeError(f"no OMML for {type(node).__name__}")


def _symbol(token: str, style: Style) -> str:
    if token in WORDS:
        word = f" {WORDS[token]} " if token == r"\bmod" else WORDS[token]
        return _run(word, style, "p")
    char = character(token)
    return _run(char, style, "p" if char[0] in UPRIGHT else "")


def _fence(left: str, inside: str, right: str) -> str:
    properties = _value("begChr", left) + _value("endChr", right)
    return _e("d", _e("dPr", properties), _e("e", inside))


def _with_scripts(base: str, node: Scripts, style: Style) -> str:
    sub, sup = (_row(script.items, style) if script else "" for script in (node.sub, node.sup))
    if has_limits(node.base):
        base = _e("limLow", _e("e", base), _e("lim", sub)) if sub else base
        return _e("limUpp", _e("e", base), _e("lim", sup)) if sup else base
    if not sub and not sup:
        return base
    name = "sSubSup" if sub and sup else "sSub" if sub else "sSup"
    return _e(name, _e("e", base), _e("sub", sub) if sub else "", _e("sup", sup) if sup else "")


# Grids ---------------------------------------------------------------------------------------


def _grid(node: Grid, style: Style) -> str:
    if node.name == "aligned":
        lines = []
        for left, right in aligned_cells(node.rows):
            before = _parts(left, style) if left else ""
            lines.append(_e("e", before, _run("&"), _parts(right, style)))  # & aligns, unseen
        return _e("eqArr", *lines)
    rows = [[_row(cell.items, style) for cell in row] for row in node.rows]
    if node.name == "cases":
        return _fence("{", _matrix(rows, "left"), "")
    return _matrix(rows, "center")


def _matrix(rows: list[list[str]], align: str) -> str:
    width = max(len(row) for row in rows)
    column = _value("count", str(width)) + _value("mcJc", align)
    properties = _value("plcHide", "1") + _e("mcs", _e("mc", _e("mcPr", column)))
    filled = [row + [""] * (width - len(row)) for row in rows]
    written = [_e("mr", *(_e("e", cell) for cell in row)) for row in filled]
    return _e("m", _e("mPr", properties), *written)


# Commands ------------------------------------------------------------------------------------


def _command(node: Command, style: Style) -> str:
    name, items = node.name, node.args[0].items
    if name == r"\mathbf":
        return _row(items, replace(style, bold=True))
    if name in ALPHABETS:
        return _row(items, replace(style, alphabet=name))
    if name == r"\operatorname":
        word = operator_name(node)
        return _run(word, style, "p") if word else _row(items, replace(style, upright=True))
    args = [_row(arg.items, style) for arg in node.args]
    if name in tables.EXTENSIBLE_ARROWS:
        return _arrow(node, args[0], style)
    return _decorated(name, args[0]) or _built(node, args, style)


def _decorated(name: str, inside: str) -> str:
    """Accents, lines, braces and strokes; empty if the command is none of these."""
    if name in ACCENTS:
        return _e("acc", _e("accPr", _value("chr", ACCENTS[name][1])), _e("e", inside))
    if name in (r"\overline", r"\underline"):
        place = _value("pos", "top" if name == r"\overline" else "bot")
        return _e("bar", _e("barPr", place), _e("e", inside))
    if name in OVER:
        return _group(OVER[name][0], "top", "bot", inside)
    if name in UNDER:
        return _group(UNDER[name][0], "bot", "top", inside)
    if name in CANCELS:
        strokes = "".join(_value(f"strike{way}", "1") for way in CANCELS[name][1])
        return _e("borderBox", _e("borderBoxPr", _STROKED_SIDES, strokes), _e("e", inside))
    return ""


def _group(char: str, place: str, baseline: str, inside: str) -> str:
    """A character as long as what is below or above it; place: of the character."""
    properties = _value("chr", char) + _value("pos", place) + _value("vertJc", baseline)
    return _e("groupChr", _e("groupChrPr", properties), _e("e", inside))


def _built(node: Command, args: list[str], style: Style) -> str:
    match node.name:
        case r"\frac":
            return _e("f", _e("num", args[0]), _e("den", args[1]))
        case r"\sqrt" if node.option:
            degree = _row(node.option.items, style)
            return _e("rad", _e("deg", degree), _e("e", args[0]))
        case r"\sqrt":
            hidden = _e("radPr", _value("degHide", "1"))
            return _e("rad", hidden, _e("deg"), _e("e", args[0]))
        case r"\binom":
            bare = _e("fPr", _value("type", "noBar"))
            return _fence("(", _e("f", bare, _e("num", args[0]), _e("den", args[1])), ")")
        case r"\overset":
            return _e("limUpp", _e("e", args[1]), _e("lim", args[0]))
        case r"\underset":
            return _e("limLow", _e("e", args[1]), _e("lim", args[0]))
        case r"\boxed":
            return _e("borderBox", _e("e", args[0]))
        case r"\pmod":
            return _run("\u2003") + _fence("(", _run("mod ", style, "p") + args[0], ")")
    raise TypeError(f"no OMML for {node.name}")


def _arrow(node: Command, above: str, style: Style) -> str:
    """An arrow as long as its label, on the line: a box that is an operator."""
    labelled = _group(arrow(node.name), "bot", "bot", above)
    if node.option:
        below = _row(node.option.items, style)
        labelled = _e("limLow", _e("e", labelled), _e("lim", below))
    return _e("box", _e("boxPr", _value("opEmu", "1")), _e("e", labelled))
