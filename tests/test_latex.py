"""LaTeX: canonical and comparable forms, pretty-printing, errors."""

import random
from contextlib import nullcontext
from pathlib import Path

import pytest

from latexocr.errors import TexError
from latexocr.latex import (
    Command,
    Grid,
    Scripts,
    canonical,
    comparable,
    is_valid,
    parse,
    pretty,
    tokenize,
)
from latexocr.latex_tables import BINARY, GREEK, OPERATORS, RELATIONS

FORMULAS = (Path(__file__).parent / "formulas.txt").read_text(encoding="utf-8").splitlines()


def case(raw: str, expected: str, name: str) -> object:
    return pytest.param(raw, expected, id=name)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        case("x^2 y_{ij}", ["x", "^", "2", "y", "_", "{", "i", "j", "}"], "characters"),
        case(r"\alpha\{ \, \\", [r"\alpha", r"\{", r"\,", r"\\"], "control words and symbols"),
        case(r"\begin {matrix} a \end{matrix}", [r"\begin{matrix}", "a", r"\end{matrix}"], "grid"),
        case(r"\text{if x}", [r"\text", "{", *"if~x", "}"], "spaces count in text"),
        case(r"\text { i f ~ x }", [r"\text", "{", *"if~x", "}"], "text already in tokens"),
        case(r"\text{a $x y$}", [r"\text", "{", "a", "~", r"\(", *"xy", r"\)", "}"], "maths in it"),
        case("a % b\nc", ["a", "c"], "comment"),
        case(r"a \% b", ["a", r"\%", "b"], "percent sign"),
        case(" \n", [], "nothing"),
    ],
)
def test_tokenize(latex, expected):
    assert tokenize(latex) == expected


CANONICAL = [
    # scripts
    case("", "", "empty"),
    case("x^2", "x ^ { 2 }", "superscript"),
    case("x_i^2", "x _ { i } ^ { 2 }", "both scripts"),
    case("x^2_i", "x _ { i } ^ { 2 }", "sub before sup"),
    case("x^23", "x ^ { 2 } 3", "a script is one token"),
    case("x^{}_{}", "x", "empty scripts"),
    case("x^{2^{n}}", "x ^ { 2 ^ { n } }", "script of a script"),
    case(r"x^\frac12", r"x ^ { \frac { 1 } { 2 } }", "command as script"),
    case(r"x\sp2\sb1", "x _ { 1 } ^ { 2 }", "scripts by name"),
    case("{x}^2", "x ^ { 2 }", "group of one as base"),
    case("{ab}^2", "a b ^ { 2 }", "group as base"),
    case("{x^2}^3", "{ x ^ { 2 } } ^ { 3 }", "superscript of a superscript"),
    case("{x_1}^2", "x _ { 1 } ^ { 2 }", "group with the other script"),
    case("{}^2H", "{ } ^ { 2 } H", "empty base"),
    case("^2H", "{ } ^ { 2 } H", "no base"),
    case(r"x\,^2", "x { } ^ { 2 }", "script after a space"),
    case("x'", r"x ^ { \prime }", "prime"),
    case("x''", r"x ^ { \prime \prime }", "two primes"),
    case(r"x^\prime", r"x ^ { \prime }", "prime by name"),
    case(r"x^{'}", r"x ^ { \prime }", "prime in a superscript"),
    case("x'^2", r"x ^ { \prime 2 }", "prime and superscript"),
    case("{x'}^2", r"x ^ { \prime 2 }", "prime in the base"),
    case("x'_a", r"x _ { a } ^ { \prime }", "prime before subscript"),
    case("x_a'", r"x _ { a } ^ { \prime }", "prime after subscript"),
    case(r"\sum\limits_{i}^n", r"\sum _ { i } ^ { n }", "limits"),
    case(r"\int\nolimits_0^1", r"\int _ { 0 } ^ { 1 }", "no limits"),
    case(r"lim \limits_{x} f", r"\lim _ { x } f", "limits of letters"),
    case(r"A\limits_1^2", r"\overset { 2 } { \underset { 1 } { A } }", "limits of no operator"),
    case(r"\underset{x}{\max}", r"\max _ { x }", "underset of an operator"),
    case(r"\overset{n}{\underset{i}{\sum}}", r"\sum _ { i } ^ { n }", "both round an operator"),
    # groups, fractions, roots
    case("{{x}}{y}", "x y", "groups"),
    case("{}{{}}", "", "empty groups"),
    case(r"\frac12", r"\frac { 1 } { 2 }", "digits without braces"),
    case(r"\dfrac{a}b\tfrac a{b}", r"\frac { a } { b } \frac { a } { b }", "sizes of fractions"),
    case(r"\cfrac[l]{1}{2}", r"\frac { 1 } { 2 }", "continued fraction"),
    case(r"{a \over b}", r"\frac { a } { b }", "over"),
    case(r"x = {a+1 \over b} c", r"x = \frac { a + 1 } { b } c", "over in a group"),
    case(r"n \choose k", r"\binom { n } { k }", "choose"),
    case(r"{i \atop j}", r"\substack { i \\ j }", "atop"),
    case(r"n \brack k", r"[ \begin{matrix} n \\ k \end{matrix} ]", "brack"),
    case(r"\genfrac{(}{)}{0pt}{}{n}{k}", r"\binom { n } { k }", "genfrac as binomial"),
    case(r"\genfrac{}{}{}{}{n}{k}", r"\frac { n } { k }", "genfrac as fraction"),
    case(r"\sqrt2\sqrt[3]x", r"\sqrt { 2 } \sqrt [ 3 ] { x }", "roots"),
    case(r"\sqrt[]{x}", r"\sqrt { x }", "empty degree"),
    case(r"\sqrt[{[1]}]{x}", r"\sqrt [ { [ 1 ] } ] { x }", "bracket in a degree"),
    case(r"\root n \of x", r"\sqrt [ n ] { x }", "plain TeX root"),
    # synonyms
    case(r"\le\ge\ne\leqslant", r"\leq \geq \neq \leq", "relations"),
    case(
        r"\to\longrightarrow\gets\iff",
        r"\rightarrow \rightarrow \leftarrow \Leftrightarrow",
        "arrows",
    ),
    case(r"\land\lor\lnot", r"\wedge \vee \neg", "logic"),
    case(r"\lvert x\rvert \mid \Vert", r"| x | | \|", "bars"),
    case(r"\lbrace\rbrace\lbrack\rbrack", r"\{ \} [ ]", "brackets by name"),
    case(r"\lt\gt\ast\colon", "< > * :", "characters by name"),
    case(r"a \ltN", "a < N", "space forgotten after lt"),
    case(r"... \dots \dotsb", r"\ldots \ldots \cdots", "dots"),
    case(r"\cdot\cdot\cdot .\,.\,.", r"\cdots \ldots", "dots typed one by one"),
    case(r"\not=\not{=}\not\in", r"\neq \neq \notin", "negations with a name"),
    case(r"\not\subset\nsubseteq", r"\not \subset \not \subseteq", "other negations"),
    case(r"\iint_D", r"\int \int _ { D }", "double integral"),
    case(":= \\coloneqq", ": = : =", "definition"),
    case(r"\R\Z", r"\mathbb { R } \mathbb { Z }", "number sets"),
    case("x² ≤ α − ½", r"x ^ { 2 } \leq \alpha - \frac { 1 } { 2 }", "Unicode"),
    case("45°", r"4 5 ^ { \circ }", "degree sign"),
    case(r"\stackrel{d}{\to}", r"\xrightarrow { d }", "label on an arrow"),
    case(r"\overset{!}{=}", r"\overset { ! } { = }", "mark on a relation"),
    # fonts, names and text
    case(r"\mathrm{dx}", "d x", "roman"),
    case(r"\mathrm{sin}x {\rm max}", r"\sin x \max", "roman operators"),
    case(r"\mathrm{max_i x}", r"\max _ { i } x", "roman operator with a limit"),
    case(r"\operatorname{lim\,sup}_n", r"\limsup _ { n }", "operator of two words"),
    case(r"\operatorname*{erf}", r"\operatorname { e r f }", "unknown operator"),
    case(r"\mathop{\rm Tr}\nolimits", r"\operatorname { T r }", "mathop"),
    case(r"\argmax_x", r"\operatorname { a r g m a x } _ { x }", "typed operator"),
    case(r"{\bf x}_1 \bm y", r"\mathbf { x } _ { 1 } \mathbf { y }", "bold"),
    case(r"\boldsymbol{\mathbf{x}}", r"\mathbf { x }", "bold twice"),
    case(r"{\cal L}\mathscr{F}", r"\mathcal { L } \mathcal { F }", "script letters"),
    case(r"{\bf a \over b}", r"\frac { \mathbf { a } } { b }", "font in a fraction"),
    case(r"\text{if  x}", r"\text { i f ~ x }", "text"),
    case(r"\text{ if }", r"\text { i f }", "text with spaces round it"),
    case(r"\mbox{if $x>0$}", r"\text { i f } x > 0", "maths in text"),
    case(r"\text{max}", r"\max", "operator as text"),
    case(r"\mbox{x}\text{,}\text{10}", "x , 1 0", "text that is maths"),
    case(r"\textbf{v}", r"\mathbf { v }", "bold letter as text"),
    case(r"\text{Schr\"odinger}", r"\text { S c h r ö d i n g e r }", "accent in text"),
    case(r"\text{已知}x", r"\text { 已 知 } x", "Chinese text"),
    # what has no ink
    case(r"a\,b\quad c~d\ e\!f", "a b c d e f", "spaces"),
    case(r"\hspace{1cm}a\kern-1.5em b\hskip 2pt plus 1fil c", "a b c", "lengths"),
    case(r"\displaystyle\bigl(x\bigr)", "( x )", "sizes"),
    case(r"\left.x\right|_0", "x | _ { 0 }", "null delimiter"),
    case(r"\left<x\middle|y\right>", r"\langle x | y \rangle", "angles"),
    case(r"a\phantom{b}\label{c}\tag{1}\nonumber", "a", "phantom, label, tag"),
    case(r"\textcolor{red}{x}\color[rgb]{1,0,0}y", "x y", "colour"),
    case(r"\mathrel{=}\ensuremath{x}", "= x", "classes"),
    case("$ x_{k} $", "x _ { k }", "dollars"),
    case(r"\[x\] \(y\)", "x y", "display and inline marks"),
    case("a % b", "a", "comment"),
    # grids
    case(
        r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
        r"( \begin{matrix} a & b \\ c & d \end{matrix} )",
        "pmatrix",
    ),
    case(
        r"\left[\begin{array}{c|c}a&b\\\hline c&d\\[2pt]\end{array}\right]^T",
        r"[ \begin{matrix} a & b \\ c & d \end{matrix} ] ^ { T }",
        "array with lines",
    ),
    case(
        r"\pmatrix{a&b\cr c&d\cr}", r"( \begin{matrix} a & b \\ c & d \end{matrix} )", "plain TeX"
    ),
    case(r"\begin{matrix}a&&\\&&b\end{matrix}", r"\begin{matrix} a \\ & b \end{matrix}", "gaps"),
    case(r"\begin{matrix}a\end{matrix}^2", "a ^ { 2 }", "one cell"),
    case(
        r"\left\{\begin{array}{ll}a&b\\c&d\end{array}\right.",
        r"\begin{cases} a & b \\ c & d \end{cases}",
        "cases as an array",
    ),
    case(r"\{\begin{matrix}a\\b\end{matrix}", r"\begin{cases} a \\ b \end{cases}", "open brace"),
    case(
        r"\{\begin{matrix}a\\b\end{matrix}\}",
        r"\{ \begin{matrix} a \\ b \end{matrix} \}",
        "closed brace",
    ),
    case(
        r"\begin{align*}a&=b\\&=c\\\end{align*}",
        r"\begin{aligned} a = b \\ = c \end{aligned}",
        "align",
    ),
    case(
        r"\begin{array}{rcl}a&=&b\\&\le&c\end{array}",
        r"\begin{aligned} a = b \\ \leq c \end{aligned}",
        "array that aligns",
    ),
    case(r"a &= b \\ c &= d", r"\begin{aligned} a = b \\ c = d \end{aligned}", "bare lines"),
    case(r"\begin{split}a&=b\end{split}", "a = b", "one line"),
    case(r"\substack{a\\b}", r"\substack { a \\ b }", "substack"),
    case(r"a\\[1.5ex]b", r"\begin{aligned} a \\ b \end{aligned}", "gap between lines"),
    case(r"a\\[x]b", r"\begin{aligned} a \\ [ x ] b \end{aligned}", "bracket after a line"),
    case(
        r"\begin{aligned}[t]a\\{}[2pt]\end{aligned}",
        r"\begin{aligned} a \\ { } [ 2 p t ] \end{aligned}",
        "bracket that is no gap",
    ),
    case(
        r"\left[t\right]x\\y",
        r"\begin{aligned} { } [ t ] x \\ y \end{aligned}",
        "bracket that is no place",
    ),
    # wrong
    case("x_a_b", TexError, "two subscripts"),
    case("x^a^b", TexError, "two superscripts"),
    case("x^a'", TexError, "prime after a superscript"),
    case("x^{2", TexError, "open brace without end"),
    case("x}", TexError, "closing brace alone"),
    case("x^", TexError, "script missing"),
    case(r"\frac{1}", TexError, "argument missing"),
    case(r"\left(x", TexError, "left without right"),
    case(r"x\right)", TexError, "right without left"),
    case(r"\left x\right)", TexError, "no delimiter"),
    case(r"\foo", TexError, "unknown command"),
    case(r"\begin{foo}\end{foo}", TexError, "unknown environment"),
    case(r"\begin{matrix}x\end{cases}", TexError, "wrong end"),
    case(r"{a\over b\over c}", TexError, "two fractions in a group"),
    case(r"{a&b}", TexError, "mark outside of a grid"),
    case("\\", TexError, "backslash alone"),
    case(r"\sqrt[3", TexError, "open bracket"),
    case(r"\text{a", TexError, "open text"),
    case("{" * 500 + "}" * 500, TexError, "too deep"),
]


@pytest.mark.parametrize(("latex", "expected"), CANONICAL)
def test_canonical(latex, expected):
    with pytest.raises(expected) if isinstance(expected, type) else nullcontext():
        assert canonical(latex) == expected
    assert is_valid(latex) == (expected is not TexError)


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        ("x_a_b", "expected one subscript, got '_' at character 4"),
        (r"\frac{1}", r"expected an argument of \frac, got the end at character 9"),
        (r"a + \foo b", r"expected a known command, got '\foo' at character 5"),
        ("x^{2", "expected '}' for the group from character 3, got the end at character 5"),
        (r"\left( x", r"expected \right for the \left at character 1, got the end at character 9"),
        (r"α ≤ \foo", r"expected a known command, got '\foo' at character 5"),
        (r"\text{a b} \foo", r"expected a known command, got '\foo' at character 12"),
        ("a % {\n\\foo", r"expected a known command, got '\foo' at character 7"),
    ],
)
def test_errors_tell_the_place_and_what_was_expected(latex, message):
    with pytest.raises(TexError) as error:
        canonical(latex)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        case(r"\mathbf{v}_1", "v _ { 1 }", "bold"),
        case(r"\text{if } x", "i f x", "text"),
        case(r"\text{that's ~ it...}", r"t h a t ^ { \prime } s i t \ldots", "marks in text"),
        case(r"\sin x", "s i n x", "operator"),
        case(r"\operatorname{erf}_a", "e r f _ { a }", "operator name"),
        case(r"\lim_{x\to0}", r"l i m _ { x \rightarrow 0 }", "limit"),
        case(r"\varphi\varepsilon\vartheta", r"\phi \epsilon \theta", "variants"),
        case(r"\varpi\varsigma\ell", r"\varpi \varsigma \ell", "variants that differ"),
        case(r"\overline{x}\overrightarrow{AB}", r"\bar { x } \vec { A B }", "accents"),
        case(r"\cdots\ldots", r"\ldots \ldots", "dots"),
        case("||x||^2", r"\| x \| ^ { 2 }", "double bars"),
        case(r"a\parallel b", r"a \| b", "parallel"),
        case(r"\triangle ABC", r"\Delta A B C", "triangle"),
        case(r"a \pmod n", "a ( m o d n )", "modulus"),
        case(r"\mathbf{x^2}^3", "{ x ^ { 2 } } ^ { 3 }", "scripts of dissolved scripts"),
        case(r"\mathcal L\mathbb R", r"\mathcal { L } \mathbb { R }", "kept alphabets"),
    ],
)
def test_comparable(latex, expected):
    assert comparable(latex) == expected


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        case("a+b=c", "a + b = c", "spaces"),
        case("-x+(-y)", "-x + (-y)", "signs"),
        case("x ^ { i + 1 }", "x^{i+1}", "no spaces in scripts"),
        case("x ^ { 2 } y _ { i }", "x^2 y_i", "no braces round one token"),
        case("a _ { i } 2", "a_i 2", "script apart from what follows"),
        case(r"\alpha x", r"\alpha x", "space before a letter"),
        case(r"\alpha \beta", r"\alpha\beta", "no space before a command"),
        case(r"2 \sin x", r"2 \sin x", "operator"),
        case("f(x,y)", "f(x, y)", "comma"),
        case("x''_1", "x_1''", "primes"),
        case(r"(\frac12)^2", r"\left(\frac{1}{2}\right)^2", "tall content"),
        case(r"(x)(\sum_i x)", r"(x)\left(\sum_i x\right)", "only where it is tall"),
        case(r"[\frac12,3)", r"\left[\frac{1}{2}, 3\right)", "half open"),
        case(r"(\frac12", r"(\frac{1}{2}", "not closed"),
        case(r"|\frac ab|", r"\left|\frac{a}{b}\right|", "bars"),
        case(r"|\frac ab \not| c|", r"\left|\frac{a}{b} \nmid c\right|", "struck bar"),
        case(r"\{x|x>0\}", r"\{x \mid x > 0\}", "bar of a set"),
        case(r"P(A | \frac ab)", r"P\left(A|\frac{a}{b}\right)", "one bar"),
        case(
            r"\left(\begin{matrix}a&b\end{matrix}\right)^T",
            r"\begin{pmatrix} a & b \end{pmatrix}^T",
            "pmatrix",
        ),
        case(r"a&=b\\&=c", r"\begin{aligned} a &= b \\ &= c \end{aligned}", "aligned at relations"),
        case(
            r"a=b\\+c", r"\begin{aligned} a &= b \\ & +c \end{aligned}", "line without a relation"
        ),
        case(r"\begin{cases}x&y\\z\end{cases}", r"\begin{cases} x & y \\ z \end{cases}", "cases"),
        case(r"a\\{}[b]", r"\begin{aligned} a \\ {}[b] \end{aligned}", "bracket at a line"),
        case(r"x\text{ and }y", r"x\text{ and }y", "linking word"),
        case(r"3\text{cm}", r"3\text{cm}", "unit"),
        case(r"\text{a~b}", r"\text{a~b}", "text of single letters"),
        case(r"\int\int_D f", r"\iint_D f", "double integral"),
        case(r"\not\leq", r"\nleq", "negation with a name"),
        case("f:A\\to B := C", r"f:A \to B := C", "arrow and definition"),
        case(r"a\equiv b\pmod m", r"a \equiv b \pmod{m}", "modulus"),
        case("{x^2}^3{}_4F", "{x^2}^3{}_4 F", "groups that must stay"),
        case("", "", "empty"),
    ],
)
def test_pretty(latex, expected):
    assert pretty(latex) == expected


@pytest.mark.parametrize("latex", FORMULAS)
def test_forms_are_stable(latex):
    check_forms(latex)


def check_forms(latex: str) -> None:
    form, compared = canonical(latex), comparable(latex)
    assert canonical(form) == form
    assert canonical(pretty(form)) == form
    assert comparable(form) == compared
    assert comparable(compared) == compared
    assert tokenize(form) == form.split()


LETTERS = "abcxyzABC0123456789"
ENCLOSED = [r"\sqrt{%s}", r"\hat{%s}", r"\mathbf{%s}", r"\left(%s\right)", "{%s}", r"\mathrm{%s}"]
ENCLOSED += [r"\left\{%s\right.", "|%s|", r"\text{%s}", r"\operatorname{%s}", "[%s)", r"\{%s\}"]
PAIRED = [r"\frac{%s}{%s}", r"{%s \over %s}", "%s^{%s}", "%s_{%s}", "%s %s", r"\sqrt[%s]{%s}"]
PAIRED += [r"\begin{array}{cc}%s\\%s\end{array}", r"{%s}^{%s}", r"\overset{%s}{%s}", "%s,%s"]
PAIRED += [r"\begin{aligned}%s\\&=%s\end{aligned}", r"\begin{cases}%s&%s\end{cases}", "%s'+%s"]


def random_latex(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.1:
        symbols = [*LETTERS, *"...'", *chance.choice((GREEK, RELATIONS, BINARY, OPERATORS))]
        symbol = chance.choice([*symbols, r"\not", r"\,", "{}", r"\cdot", r"\text{a b}", r"\iint"])
        return symbol + " "
    pattern = chance.choice(ENCLOSED + PAIRED * 2)
    parts = [random_latex(chance, depth - 1) for _ in range(pattern.count("%s"))]
    return pattern % tuple(parts)


@pytest.mark.parametrize("seed", range(20))
def test_random_formulas_have_stable_forms(seed):
    chance = random.Random(seed)
    formulas = [random_latex(chance, depth=chance.randint(1, 5)) for _ in range(100)]
    valid = [latex for latex in formulas if is_valid(latex)]
    assert len(valid) > 30
    for latex in valid:
        check_forms(latex)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_formulas_raise_no_other_error(seed):
    chance = random.Random(seed)
    for latex in FORMULAS:
        tokens = tokenize(latex)
        for _ in range(chance.randint(1, 3)):
            tokens.insert(chance.randrange(len(tokens) + 1), chance.choice(DAMAGE))
            del tokens[chance.randrange(len(tokens))]
        damaged = " ".join(tokens)
        if is_valid(damaged):
            check_forms(damaged)


DAMAGE = [*"{}^_&[]'|", r"\left", r"\right", r"\frac", r"\text", r"\over", "\\\\", r"\bf", r"\not"]
DAMAGE += [r"\begin{matrix}", r"\end{matrix}", r"\limits", r"\sqrt", r"\{", r"\kern", r"\big"]


def test_the_tree_shows_the_structure():
    fraction, power = parse(r"\frac{1}{x} + y^2").items[0::2]
    assert isinstance(fraction, Command) and fraction.name == r"\frac"
    assert fraction.args[1].items[0].token == "x"
    assert isinstance(power, Scripts) and power.sub is None
    assert (power.base.token, power.sup.items[0].token) == ("y", "2")


def test_the_tree_shows_rows_and_cells():
    left, grid, right = parse(r"\begin{pmatrix}a&b\\c&d\end{pmatrix}").items
    assert isinstance(grid, Grid) and grid.name == "matrix"
    assert [[cell.items[0].token for cell in row] for row in grid.rows] == [["a", "b"], ["c", "d"]]
    assert (left.token, right.token) == ("(", ")")


def test_the_vocabulary_holds_the_tokens_of_all_formulas():
    path = Path(__file__).parents[1] / "latexocr" / "vocabulary.txt"
    vocabulary = path.read_text(encoding="utf-8").split()
    assert len(vocabulary) == len(set(vocabulary))
    used = {token for latex in FORMULAS for token in canonical(latex).split()}
    assert used <= set(vocabulary)
