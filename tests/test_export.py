"""Export: every format by examples, every symbol and formula by the parsers of the formats."""

# ruff: noqa: RUF001 - the maths of Unicode is what this is about.

import io
import xml.etree.ElementTree as ElementTree
from contextlib import nullcontext
from pathlib import Path

import pytest
import typst
from docx import Document

from benchmarks.exports import check_latex, check_mathml, check_omml
from latexocr import latex_tables as tables
from latexocr.errors import ExportError, TexError
from latexocr.export import FORMATS, export
from latexocr.export_omml import NAMESPACE as OMML
from latexocr.export_omml import omml
from latexocr.export_symbols import CHARACTERS, TYPST_NAMES, WORDS
from latexocr.latex import canonical, parse

LINES = (Path(__file__).parent / "formulas.txt").read_text(encoding="utf-8").splitlines()
FORMULAS = [latex for latex in LINES if canonical(latex)]
SYMBOLS = [symbol for symbol in tables.SYMBOLS if symbol != r"\not"]
LATEX_FORMATS = [name for name in FORMATS if name not in ("mathml", "typst", "docx")]
# What only the export has to do with, and lists of formulas seldom have.
SPECIAL = [
    r"\not x + \not\approx + \not\mathcal{D} + \nmid",
    r"|0\rangle\langle 1| + \langle\psi|\phi\rangle",
    r"{}_1F_2(a;b) + M^i{}_j + {x^2}^3",
    r"\overbrace{a+b}^{n}_{m} \underbrace{c}_{k} \overbracket{x}^y \underparen{z}",
    r"A \xrightarrow[b]{a} B \xleftarrow{} C \xlongequal{x} D \xtwoheadrightarrow{y} E",
    r"\cancel{x}\bcancel{y}\xcancel{z}\boxed{w}\utilde{u}\underleftarrow{v}",
    r"\begin{aligned}a\\b\end{aligned} = \substack{x\\y} \begin{matrix}1&2\\3\end{matrix}",
    r"\operatorname{a\mathbf{b}c} x \mathbf{\sin x \alpha \mathbb{R}} \mathbb{1+x}",
    r"\varlimsup_{n} \varinjlim \injlim_a \oiint_S \iint \iint \sum",
    r"\text{a \& \#1, \$5 \_ \{\} \% \textbackslash{}} : \text{\"e}",
    r"[(0, 1], )x( \| \left[\begin{matrix}1\\2\end{matrix}\right) /\backslash`?@",
    r"\frac{}{x} \sqrt{} a \pmod{n} \bmod b \lfloor x \rceil",
]


def case(latex: str, format: str, expected: str | type[Exception], name: str) -> object:
    return pytest.param(latex, format, expected, id=f"{format}: {name}")


@pytest.mark.parametrize(
    ("latex", "format", "expected"),
    [
        case("x ^ { 2 }", "latex", "x^2", "from canonical form"),
        case(r"\mathbf{x}\mathbf{\alpha}", "latex", r"\mathbf{x}\boldsymbol{\alpha}", "bold Greek"),
        case(r"\mathbf{x'_\alpha}", "latex", r"\boldsymbol{x_\alpha'}", "bold scripts"),
        case("é", "latex", r"\text{é}", "letter of no maths"),
        case("x", "inline", "$x$", "formula"),
        case("x", "display", "$$x$$", "formula"),
        case("x", "brackets", r"\[x\]", "formula"),
        case("x", "equation", "\\begin{equation}\n  x\n\\end{equation}", "formula"),
        case("a=b", "align", "\\begin{align}\n  a &= b\n\\end{align}", "one line"),
        case(
            r"a=\substack{b\\c}\\ [d]",
            "align",
            "\\begin{align}\n  a &= \\substack{b \\\\ c} \\\\\n  & [d]\n\\end{align}",
            "lines",
        ),
        case("[a]", "gather", "\\begin{gather}\n  {}[a]\n\\end{gather}", "bracket at a line"),
        case("x", "markdown", "$$\nx\n$$\n", "block"),
        case("-x", "markdown", "$$-x$$\n", "no list"),
        case("y_{i<j}", "markdown", "$$\ny_{i< j}\n$$\n", "no HTML"),
        case("f(x,y)/2", "typst", r"$ f (x , y) \/ 2 $", "slash"),
        case(r"\frac{a,b}{2}", "typst", r"$ frac(a \, b, 2) $", "comma in an argument"),
        case("x'_{ij}^2", "typst", "$ x'_(i j)^2 $", "scripts"),
        case("f^{(n)}", "typst", "$ f^((n)) $", "parentheses in a script"),
        case("]0,1[", "typst", r"$ \] 0 , 1 \[ $", "delimiters that do not fit"),
        case(r"|x|\,\|y\|", "typst", "$ abs(x) norm(y) $", "bars"),
        case("<=_a b", "typst", "$ < scripts(=)_a b $", "scripts of a relation"),
        case(r"\begin{pmatrix}a&b\end{pmatrix}", "typst", '$ mat(delim: "(", a, b) $', "matrix"),
        case(r"a&=b\\&=c", "typst", "$ a &= b \\\n  &= c $", "lines"),
        case(r"\text{say ``no''}", "typst", "$ \"say ``no''\" $", "text"),
        case("", "latex", ExportError, "empty"),
        case(r"\,", "docx", ExportError, "no ink"),
        case("x", "pdf", ExportError, "no such format"),
        case("x^{2", "mathml", TexError, "unbalanced brace"),
        case("a\\not", "mathml", ExportError, "nothing to strike"),
        case("\\text{a\x07b}", "docx", ExportError, "control character"),
        case(r"\text{数}", "tex", ExportError, "letter without a font"),
        case(r"\sum " * 400, "docx", ExportError, "operators without end"),
    ],
)
def test_export(latex, format, expected):
    wrong = isinstance(expected, type)
    with pytest.raises(expected) if wrong else nullcontext():
        assert export(latex, format) == expected


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("x_1^2", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        (r"\Gamma", '<mi mathvariant="normal">Γ</mi>'),
        ("-12.5", '<mrow><mo form="prefix">−</mo><mn>12.5</mn></mrow>'),
        ("12^3", "<msup><mn>12</mn><mn>3</mn></msup>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        (r"\mathbf{v1}", "<mrow><mi>𝐯</mi><mn>𝟏</mn></mrow>"),
        (r"\mathbf{x_i}", "<msub><mi>𝐱</mi><mi>𝐢</mi></msub>"),
        (r"\mathcal{BF}", "<mrow><mi>ℬ</mi><mi>ℱ</mi></mrow>"),
        (r"\mathbf{\mathfrak{g}}", "<mi>𝖌</mi>"),
        (r"\not\leq", "<mo>≰</mo>"),
        ("a|b", '<mi>a</mi><mo stretchy="false" lspace="0em" rspace="0em">|</mo><mi>b</mi>'),
        (r"\sin x", '<mi>sin</mi><mo rspace="0.1667em">\u2061</mo><mi>x</mi>'),
        (r"\hat x", '<mover accent="true"><mi>x</mi><mo stretchy="false">^</mo></mover>'),
        (r"\text{if }x<1", "<mtext>if\xa0</mtext>"),
        (r"x\text{ if }y", "<mtext>\xa0if\xa0</mtext>"),
        (r"\sum_i^n", "<munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover>"),
        (r"\int_0", "<msub><mo>∫</mo><mn>0</mn></msub>"),
        (r"\lim_n", '<munder><mo movablelimits="true">lim</mo><mi>n</mi></munder>'),
        (r"\{x|x>0\}", '<mo lspace="0.2778em" rspace="0.2778em">∣</mo>'),
        (r"\{a\}", '<mo form="prefix" stretchy="false">{</mo><mi>a</mi>'),
        (r"(\frac12)", '<mo form="prefix" stretchy="true">(</mo>'),
        (r"\text{a<b \& c}", "<mtext>a&lt;b\xa0&amp;\xa0c</mtext>"),
    ],
)
def test_mathml(latex, expected):
    written = export(latex, "mathml")
    check_mathml(written, latex)
    head = '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
    assert written.startswith(head) and written.endswith("</math>")
    assert expected in written.replace("&#x2061;", "\u2061").replace("&#xA0;", "\xa0")


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\sum_i^n a_i = b", "nary(sub(i) sup(n) e(sSub(e(a) sub(i)))) = b"),
        (r"\int fdx + 1", "nary(sub() sup() e(f d x)) + 1"),
        (r"\sin x \cos y", "func(fName(sin) e(x)) func(fName(cos) e(y))"),
        (r"\log\log n", "func(fName(log) e(func(fName(log) e(n))))"),
        (r"\ln(x)y", "func(fName(ln) e(d(e(x)))) y"),
        (r"\sin^2 x", "func(fName(sSup(e(sin) sup(2))) e(x))"),
        (r"\lim_n x", "func(fName(limLow(e(lim) lim(n))) e(x))"),
        (r"\frac a{b^2}", "f(num(a) den(sSup(e(b) sup(2))))"),
        (r"\sqrt x \sqrt[3]y", "rad(deg() e(x)) rad(deg(3) e(y))"),
        (r"\left(x\right)^2", "sSup(e(d(e(x))) sup(2))"),
        (r"\vec v \overline{AB}", "acc(e(v)) bar(e(A B))"),
        (r"\begin{matrix}a&b\\c\end{matrix}", "m(mr(e(a) e(b)) mr(e(c) e()))"),
        (r"a&=b\\&=c", "eqArr(e(a & = b) e(& = c))"),
        (r"\{_a", "sSub(e({) sub(a))"),
        (r"\overset{a}{b} \xrightarrow{f}", "limUpp(e(b) lim(a)) box(e(groupChr(e(f))))"),
        (r"{}^2", "sSup(e(\u200b) sup(2))"),
    ],
)
def test_structure_of_word_equations(latex, expected):
    assert outline(ElementTree.fromstring(omml(parse(latex)))) == f"oMathPara(oMath({expected}))"


def outline(element: ElementTree.Element) -> str:
    """The elements of Word's maths with the text of their runs, without properties."""
    name = element.tag.rpartition("}")[2]
    if name == "r":
        return "".join(element.itertext())
    children = [outline(child) for child in element if not child.tag.endswith("Pr")]
    return f"{name}({' '.join(children)})"


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\sum_i", '<m:limLoc m:val="undOvr"/>'),
        (r"\int_i", '<m:limLoc m:val="subSup"/>'),
        (r"\mathcal{A}", '<m:scr m:val="script"/>'),
        (r"\mathbf{A}", '<m:sty m:val="b"/>'),
        (r"\Omega", '<m:sty m:val="p"/>'),
        (r"\text{if }x<1", "<m:nor/>"),
        (r"[0,1)", '<m:begChr m:val="["/><m:endChr m:val=")"/>'),
        (r"\hat x", '<m:chr m:val="&#770;"/>'),
        (r"\binom ab", '<m:type m:val="noBar"/>'),
        (r"\begin{cases}a\\b\end{cases}", '<m:begChr m:val="{"/><m:endChr m:val=""/>'),
    ],
)
def test_properties_of_word_equations(latex, expected):
    assert expected.replace("&#770;", "\u0302") in omml(parse(latex))


def test_a_document_of_word_has_an_equation_in_each_paragraph():
    document = Document(io.BytesIO(export(FORMULAS, "docx")))
    equations = [list(paragraph._p) for paragraph in document.paragraphs]
    assert [len(children) for children in equations] == [1] * len(FORMULAS)
    for (equation,) in equations:
        assert equation.tag == f"{{{OMML}}}oMathPara"
        check_omml(equation)


@pytest.mark.parametrize("latex", FORMULAS + SPECIAL)
def test_markup_is_sound(latex):
    check_mathml(export(latex, "mathml"), latex)
    check_omml(ElementTree.fromstring(omml(parse(latex))))


@pytest.mark.parametrize("latex", FORMULAS + SPECIAL)
def test_latex_stays_the_same_formula(latex):
    for name in LATEX_FORMATS:
        check_latex(export(latex, name), latex)


def test_typst_compiles_everything():
    formulas = FORMULAS + SPECIAL + SYMBOLS
    written = export(formulas, "typst")
    assert written.count("\n\n") == len(formulas) - 1
    assert typst.compile(written.encode(), format="pdf").startswith(b"%PDF")


def test_commas_and_semicolons_stay_in_their_cell_of_typst():
    grid = r"\begin{matrix} f(a;b), & [c,d) \\ \langle e,f\rangle; & \sqrt[a,b]{c:d} \end{matrix}"
    cells = f"{export(grid, 'typst')}.body.rows.map(row => row.len())"
    typst.compile(f"#let cells = {cells}\n#assert.eq(cells, (2, 2))".encode(), format="svg")


def test_several_formulas():
    written = export(["a=b", "c"], "mathml")
    check_mathml(written, "")
    assert [written.count(tag) for tag in ("<math ", "<mtr>", "<mtd>")] == [1, 2, 2]
    assert export(["a", "b"], "typst") == "$ a $\n\n$ b $"
    assert export(["a", "b"], "markdown") == "$$\na\n$$\n\n$$\nb\n$$\n"
    assert export(["a=b", r"c&=d\\&=e"], "align").count(r" \\") == 2
    with pytest.raises(ExportError):
        export([], "typst")


@pytest.mark.parametrize(
    ("latex", "packages"),
    [
        ("x", ["amsmath", "amssymb"]),
        (r"\xrightarrow{a} \text{b}", ["amsmath", "amssymb"]),
        (r"\cancel{x}", ["amsmath", "amssymb", "cancel"]),
        (r"\xmapsto{a} \underbracket{b}", ["amsmath", "amssymb", "mathtools"]),
        (r"\llbracket x \rrbracket", ["amsmath", "amssymb", "stmaryrd"]),
        (r"\text{Poincaré}", ["fontenc", "amsmath", "amssymb"]),
        (r"\text{a<b}", ["fontenc", "amsmath", "amssymb"]),
    ],
)
def test_a_document_loads_the_packages_that_it_needs(latex, packages):
    document = export(latex, "tex")
    lines = [line for line in document.splitlines() if line.startswith(r"\usepackage")]
    assert [line.rpartition("{")[2].removesuffix("}") for line in lines] == packages
    assert document.index(r"\documentclass") == 0
    assert document.endswith("\\]\n\n\\end{document}\n")


def test_a_document_defines_what_no_package_has():
    document = export(r"\oiint \utilde{x} \euro", "tex")
    for name in (r"\oiint", r"\utilde", r"\euro"):
        assert document.index(f"{{{name}}}") < document.index(r"\begin{document}")
    assert r"\newcommand" not in export(r"\iint \tilde{x}", "tex")


# Symbols -------------------------------------------------------------------------------------


def test_every_symbol_can_be_written():
    for token in SYMBOLS:
        check_mathml(export(token, "mathml"), token)
        check_omml(ElementTree.fromstring(omml(parse(token))))
        check_latex(export(token, "tex"), token)


def test_typst_names_are_the_same_characters():
    named = [(name, CHARACTERS[token]) for token, name in TYPST_NAMES.items() if token not in WORDS]
    assert len(named) > 90
    lines = [f'#assert.eq($ {name} $.body.text, "{character}")' for name, character in named]
    typst.compile("\n".join(lines).encode(), format="svg")


# Read from their character, these are a symbol that looks the same.
LOOK_ALIKES = set([r"\bot", r"\vDash", r"\Diamond", r"\bigtriangleup", r"\varnothing", r"\bigstar"])
LOOK_ALIKES |= {r"\preccurlyeq", r"\succcurlyeq", r"\prime"}


def test_characters_are_read_as_the_symbol_again():
    known = {token for token in CHARACTERS if CHARACTERS[token] in tables.UNICODE} - LOOK_ALIKES
    assert len(known) > 140
    for token in known:
        assert canonical(CHARACTERS[token]) == canonical(token)


# Unicode draws these alike; they mean the same.
VARIANTS = r"""\varsubsetneq \varsupsetneq \varsubsetneqq \varsupsetneqq \lvertneqq \gvertneqq
    \smallsmile \smallfrown \bigtriangleup \varnothing"""


def test_no_two_symbols_have_one_character_but_variants():
    tokens = CHARACTERS.keys() - set(VARIANTS.split())
    assert len({CHARACTERS[token] for token in tokens}) == len(tokens)


# Safety --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "latex",
    [
        r"\url{http://a.b}",
        r"\includegraphics{/etc/passwd}",
        r"\input{/etc/passwd}",
        r"\input /etc/passwd",
        r"\include{x}",
        r"\write18{ls}",
        r"\immediate\write18{ls}",
        r"\openin5=x",
        r"\def\x{\x}\x",
        r"\newcommand{\x}{y}",
        r"\let\x=y",
        r"\catcode`\%=12",
        r"\csname input\endcsname",
        r"\usepackage{x}",
        r"\htmlClass{a}{x}",
        r"\text{\input{x}}",
        r"\text{\url{x}}",
        r"^^5cinput{x}",
        r"\text{^^5cinput{x}}",
        r"\begin{filecontents}{x}\end{filecontents}",
        r"\begin{verbatim}x\end{verbatim}",
        r"\end{document}",
    ],
)
def test_commands_that_are_no_maths_do_not_pass(latex):
    for name in FORMATS:
        with pytest.raises(TexError):
            export(latex, name)


@pytest.mark.parametrize("name", LATEX_FORMATS)
def test_links_leave_their_text_only(name):
    written = export(r"\href{javascript:alert(1)}{x} + \hypertarget{a}y", name)
    assert "x + y" in written and "href" not in written and "javascript" not in written


@pytest.mark.parametrize("text", ["$#read(1)$", '"); #panic("', "\\textbackslash{}(", "//*`"])
def test_text_stays_text_in_typst(text):
    latex = r"\text{" + text.replace("#", r"\#").replace("$", r"\$") + "}"
    typst.compile(export(latex, "typst").encode(), format="svg")
    assert "#" not in export(r"\#", "typst").replace(r"\#", "")


def test_text_is_no_markup():
    latex = r"\text{<script>alert(1)</script><!-- ]]>}"
    assert "<s" not in export(latex, "markdown") and "<!" not in export(latex, "markdown")
    check_mathml(export(latex, "mathml"), latex)
    check_omml(ElementTree.fromstring(omml(parse(latex))))


def test_formats_are_fit_for_a_menu():
    assert len({item.label for item in FORMATS.values()}) == len(FORMATS)
    for name, item in FORMATS.items():
        assert item.name == name and item.suffix.startswith(".") and "/" in item.mime
        assert isinstance(export("x", name), bytes if name == "docx" else str)
