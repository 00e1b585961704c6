"""Which character of a font writes which token, and which tokens fonts write well."""

from __future__ import annotations

from functools import cache

from latexocr import latex_tables as tables


def _words(text: str) -> list[str]:
    return text.split()


_CODES = r"""
    \subsetneq 228a; \supsetneq 228b; \Subset 22d0; \Supset 22d1; \sqsubset 228f; \sqsupset 2290;
    \sqsubseteq 2291; \sqsupseteq 2292; \dashv 22a3; \vDash 22a8; \Vdash 22a9; \Vvdash 22aa;
    \asymp 224d; \doteq 2250; \doteqdot 2251; \circeq 2257; \bumpeq 224f; \Bumpeq 224e; \eqcirc
    2256; \fallingdotseq 2252; \risingdotseq 2253; \lessapprox 2a85; \gtrapprox 2a86; \lessgtr
    2276; \gtrless 2277; \lesseqgtr 22da; \gtreqless 22db; \lessdot 22d6; \gtrdot 22d7; \backsim
    223d; \backsimeq 22cd; \lneqq 2268; \gneqq 2269; \lnsim 22e6; \gnsim 22e7; \precsim 227e;
    \succsim 227f; \curlyeqprec 22de; \curlyeqsucc 22df; \lll 22d8; \ggg 22d9; \trianglelefteq
    22b4; \trianglerighteq 22b5; \bowtie 22c8; \smile 2323; \frown 2322; \between 226c; \pitchfork
    22d4; \uplus 228e; \sqcup 2294; \sqcap 2293; \wr 2240; \amalg 2a3f; \dagger 2020; \ddagger
    2021; \boxplus 229e; \boxminus 229f; \boxtimes 22a0; \boxdot 22a1; \ltimes 22c9; \rtimes 22ca;
    \leftthreetimes 22cb; \rightthreetimes 22cc; \divideontimes 22c7; \curlywedge 22cf; \curlyvee
    22ce; \veebar 22bb; \dotplus 2214; \Cup 22d3; \Cap 22d2; \circledast 229b; \circledcirc 229a;
    \circleddash 229d; \oslash 2298; \intercal 22ba; \bigvee 22c1; \bigwedge 22c0; \bigoplus 2a01;
    \bigotimes 2a02; \bigodot 2a00; \biguplus 2a04; \bigsqcup 2a06; \oiint 222f; \oiiint 2230;
    \prime 2032; \beth 2136; \gimel 2137; \daleth 2138; \measuredangle 2221; \sphericalangle 2222;
    \triangledown 25bf; \blacksquare 25a0; \bigstar 2605; \clubsuit 2663; \diamondsuit 2662;
    \heartsuit 2661; \spadesuit 2660; \flat 266d; \natural 266e; \sharp 266f; \bot 22a5;
    \complement 2201; \eth f0; \mho 2127; \Finv 2132; \Game 2141; \circledR ae; \circledS 24c8;
    \copyright a9; \checkmark 2713; \maltese 2720; \Diamond 25ca; \hookleftarrow 21a9;
    \updownarrow 2195; \Uparrow 21d1; \Downarrow 21d3; \Updownarrow 21d5; \nearrow 2197; \searrow
    2198; \nwarrow 2196; \swarrow 2199; \rightharpoonup 21c0; \rightharpoondown 21c1;
    \leftharpoonup 21bc; \leftharpoondown 21bd; \leftrightharpoons 21cb; \rightleftarrows 21c4;
    \leftrightarrows 21c6; \rightrightarrows 21c9; \leftleftarrows 21c7; \upuparrows 21c8;
    \downdownarrows 21ca; \twoheadrightarrow 21a0; \twoheadleftarrow 219e; \rightarrowtail 21a3;
    \leftarrowtail 21a2; \rightsquigarrow 21dd; \leftrightsquigarrow 21ad; \dashrightarrow 21e2;
    \dashleftarrow 21e0; \looparrowright 21ac; \looparrowleft 21ab; \curvearrowright 21b7;
    \curvearrowleft 21b6; \circlearrowright 21bb; \circlearrowleft 21ba; \upharpoonright 21be;
    \upharpoonleft 21bf; \downharpoonright 21c2; \downharpoonleft 21c3; \Lsh 21b0; \Rsh 21b1;
    \multimap 22b8; \mapsfrom 21a4; \Rrightarrow 21db; \Lleftarrow 21da; \triangleleft 25c3;
    \triangleright 25b9; \digamma 3dd; \barwedge 22bc; \surd 221a; \oint 222e; \imath 131; \jmath
    237; \{ 7b; \} 7d; \# 23; \$ 24; \% 25; \& 26; \_ 5f; \backepsilon 3f6; \ulcorner 231c;
    \urcorner 231d; \llcorner 231e; \lrcorner 231f;
    \hat 2c6; \check 2c7; \tilde 2dc; \breve 2d8; \acute b4; \grave 60; \dot 2d9; \ddot a8;
    \mathring 2da; \vec 2192; \overrightarrow 2192; \overleftarrow 2190; \overleftrightarrow 2194;
    \overbrace 23de; \underbrace 23df; \overparen 2322; \underparen 2323; \begin{cases} 7b;
    \bigcirc 25ef; \bigtriangleup 25b3; \bigtriangledown 25bd; \diagup 2571; \diagdown 2572;
    \lmoustache 23b0; \rmoustache 23b1; \Bbbk 1d55c; \lneq 2a87; \gneq 2a88; \preccurlyeq 227c;
    \succcurlyeq 227d; \varnothing 2205; \varkappa 3f0; \eqslantless 2a95; \eqslantgtr 2a96;
    \approxeq 224a; \lessapprox 2a85; \subseteqq 2ac5; \supseteqq 2ac6; \subsetneqq 2acb;
    \supsetneqq 2acc; \lnapprox 2a89; \gnapprox 2a8a; \precnsim 22e8; \succnsim 22e9"""
_CHARACTERS = {
    token: chr(int(code, 16)) for token, code in (pair.split() for pair in _CODES.split(";"))
}
# First letter of each alphabet, and the letters that Unicode keeps elsewhere.
_LETTERS_IN_FONTS = (
    (r"\mathbb", 0x1D538, {"C": 0x2102, "H": 0x210D, "N": 0x2115, "P": 0x2119, "Q": 0x211A,
                           "R": 0x211D, "Z": 0x2124}),
    (r"\mathcal", 0x1D49C, {"B": 0x212C, "E": 0x2130, "F": 0x2131, "H": 0x210B, "I": 0x2110,
                            "L": 0x2112, "M": 0x2133, "R": 0x211B, "e": 0x212F, "g": 0x210A,
                            "o": 0x2134}),
    (r"\mathfrak", 0x1D504, {"C": 0x212D, "H": 0x210C, "I": 0x2111, "R": 0x211C, "Z": 0x2128}),
)  # fmt: skip
# The symbols that hand-lettered fonts draw as a hand would; their arrows and the like are print.
_LETTERED = (frozenset(tables.GREEK) - {r"\phi", r"\varphi"}) | frozenset(
    _words(
        r"""\sum \int \infty \partial \nabla \forall \exists \in \ni \subset \supset \subseteq
        \supseteq \cup \cap \pm \mp \leq \geq \neq \approx \sim \equiv \propto \angle \perp \ell
        \hbar \aleph \times \div \ll \gg \flat \sharp \S \P \$ \% \& \# \dagger"""
    )
)
# Filled shapes have no middle line to follow, and hollow letters have two.
_SHAPES = frozenset(
    _words(r"""\bullet \blacksquare \blacktriangle \blacktriangledown \blacktriangleleft
    \blacktriangleright \blacklozenge \bigstar \star \clubsuit \spadesuit \maltese""")
)


@cache
def characters() -> dict[str, str]:
    """The Unicode character of each token that has one; letters in fonts as `\\mathbb R`."""
    found: dict[str, str] = {}
    for character, names in tables.UNICODE.items():
        if len(names) == 1:  # the first is the plain one: ≤ before ⩽
            found.setdefault(names[0], character)
    found |= _CHARACTERS
    for font, start, exceptions in _LETTERS_IN_FONTS:
        for place, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"):
            found[f"{font} {letter}"] = chr(exceptions.get(letter, start + place))
    return found


def is_in_font(token: str, is_hand: bool) -> bool:
    """Whether to take a token from fonts of a kind."""
    if is_hand:
        return len(token) == 1 or token in _LETTERED
    is_plain = len(token) == 1 and token.isalnum()
    return not (is_plain or token in _SHAPES or token.startswith(r"\mathbb "))
