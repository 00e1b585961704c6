r"""Tables of what LaTeX symbols are elsewhere: their Unicode characters, their names in Typst.

Only data and look-ups. MathML, Word and Typst all take the characters; Typst also has names, which
are used for what people type, and left out where they changed between its releases.
"""
# ruff: noqa: RUF001 - the maths of Unicode is what this is about.

import unicodedata
from functools import cache

from latexocr import latex_tables as tables
from latexocr.errors import ExportError


def _pairs(text: str) -> dict[str, str]:
    """'a b; c d' -> {'a': 'b', 'c': 'd'}"""
    return dict(pair.split() for pair in text.split(";") if pair.strip())


CHARACTERS = _pairs(
    r"""\alpha α; \beta β; \gamma γ; \delta δ; \epsilon ϵ; \varepsilon ε; \zeta ζ; \eta η;
    \theta θ; \vartheta ϑ; \iota ι; \kappa κ; \varkappa ϰ; \lambda λ; \mu μ; \nu ν; \xi ξ; \pi π;
    \varpi ϖ; \rho ρ; \varrho ϱ; \sigma σ; \varsigma ς; \tau τ; \upsilon υ; \phi ϕ; \varphi φ;
    \chi χ; \psi ψ; \omega ω; \digamma ϝ; \Gamma Γ; \Delta Δ; \Theta Θ; \Lambda Λ; \Xi Ξ; \Pi Π;
    \Sigma Σ; \Upsilon Υ; \Phi Φ; \Psi Ψ; \Omega Ω;
    \rightarrow →; \leftarrow ←; \leftrightarrow ↔; \Rightarrow ⇒; \Leftarrow ⇐;
    \Leftrightarrow ⇔; \mapsto ↦; \mapsfrom ↤; \hookrightarrow ↪; \hookleftarrow ↩; \uparrow ↑;
    \downarrow ↓; \updownarrow ↕; \Uparrow ⇑; \Downarrow ⇓; \Updownarrow ⇕; \nearrow ↗;
    \searrow ↘; \nwarrow ↖; \swarrow ↙; \rightharpoonup ⇀; \rightharpoondown ⇁; \leftharpoonup ↼;
    \leftharpoondown ↽; \rightleftharpoons ⇌; \leftrightharpoons ⇋; \rightleftarrows ⇄;
    \leftrightarrows ⇆; \rightrightarrows ⇉; \leftleftarrows ⇇; \upuparrows ⇈; \downdownarrows ⇊;
    \twoheadrightarrow ↠; \twoheadleftarrow ↞; \rightarrowtail ↣; \leftarrowtail ↢;
    \rightsquigarrow ⇝; \leftrightsquigarrow ↭; \dashrightarrow ⇢; \dashleftarrow ⇠;
    \looparrowright ↬; \looparrowleft ↫; \curvearrowright ↷; \curvearrowleft ↶;
    \circlearrowright ↻; \circlearrowleft ↺; \upharpoonright ↾; \upharpoonleft ↿;
    \downharpoonright ⇂; \downharpoonleft ⇃; \Lsh ↰; \Rsh ↱; \multimap ⊸; \Rrightarrow ⇛;
    \Lleftarrow ⇚;
    \leq ≤; \geq ≥; \neq ≠; \equiv ≡; \sim ∼; \simeq ≃; \approx ≈; \approxeq ≊; \cong ≅;
    \propto ∝; \prec ≺; \succ ≻; \preceq ⪯; \succeq ⪰; \preccurlyeq ≼; \succcurlyeq ≽; \precsim ≾;
    \succsim ≿; \precapprox ⪷; \succapprox ⪸; \curlyeqprec ⋞; \curlyeqsucc ⋟; \ll ≪; \gg ≫;
    \lll ⋘; \ggg ⋙; \subset ⊂; \supset ⊃; \subseteq ⊆; \supseteq ⊇; \subsetneq ⊊; \supsetneq ⊋;
    \varsubsetneq ⊊; \varsupsetneq ⊋; \subseteqq ⫅; \supseteqq ⫆; \subsetneqq ⫋; \supsetneqq ⫌;
    \varsubsetneqq ⫋; \varsupsetneqq ⫌; \Subset ⋐; \Supset ⋑; \sqsubset ⊏; \sqsupset ⊐;
    \sqsubseteq ⊑; \sqsupseteq ⊒; \in ∈; \ni ∋; \notin ∉; \parallel ∥; \perp ⟂; \models ⊧;
    \vdash ⊢; \dashv ⊣; \vDash ⊨; \Vdash ⊩; \Vvdash ⊪; \asymp ≍; \doteq ≐; \doteqdot ≑;
    \triangleq ≜; \circeq ≗; \bumpeq ≏; \Bumpeq ≎; \eqcirc ≖; \fallingdotseq ≒; \risingdotseq ≓;
    \lesssim ≲; \gtrsim ≳; \lessapprox ⪅; \gtrapprox ⪆; \lessgtr ≶; \gtrless ≷; \lesseqgtr ⋚;
    \gtreqless ⋛; \lesseqqgtr ⪋; \gtreqqless ⪌; \lessdot ⋖; \gtrdot ⋗; \eqslantless ⪕;
    \eqslantgtr ⪖; \backsim ∽; \backsimeq ⋍; \lneq ⪇; \gneq ⪈; \lneqq ≨; \gneqq ≩; \lnsim ⋦;
    \gnsim ⋧; \lvertneqq ≨; \gvertneqq ≩; \lnapprox ⪉; \gnapprox ⪊; \precnsim ⋨; \succnsim ⋩;
    \precneqq ⪵; \succneqq ⪶; \precnapprox ⪹; \succnapprox ⪺; \trianglelefteq ⊴;
    \trianglerighteq ⊵; \triangleleft ◁; \triangleright ▷; \bowtie ⋈; \smile ⌣; \frown ⌢;
    \smallsmile ⌣; \smallfrown ⌢; \between ≬; \pitchfork ⋔; \therefore ∴; \because ∵;
    \blacktriangleleft ◀; \blacktriangleright ▶;
    \times ×; \div ÷; \cdot ⋅; \pm ±; \mp ∓; \oplus ⊕; \ominus ⊖; \otimes ⊗; \oslash ⊘; \odot ⊙;
    \cup ∪; \cap ∩; \uplus ⊎; \sqcup ⊔; \sqcap ⊓; \wedge ∧; \vee ∨; \setminus ∖; \circ ∘;
    \bullet •; \star ⋆; \diamond ⋄; \dagger †; \ddagger ‡; \amalg ⨿; \wr ≀; \boxplus ⊞;
    \boxminus ⊟; \boxtimes ⊠; \boxdot ⊡; \ltimes ⋉; \rtimes ⋊; \leftthreetimes ⋋;
    \rightthreetimes ⋌; \divideontimes ⋇; \curlywedge ⋏; \curlyvee ⋎; \barwedge ⊼; \veebar ⊻;
    \doublebarwedge ⩞; \dotplus ∔; \Cup ⋓; \Cap ⋒; \circledast ⊛; \circledcirc ⊚; \circleddash ⊝;
    \bigcirc ◯; \bigtriangleup △; \bigtriangledown ▽; \intercal ⊺;
    \int ∫; \iint ∬; \iiint ∭; \oint ∮; \oiint ∯; \oiiint ∰; \sum ∑; \prod ∏; \coprod ∐;
    \bigcup ⋃; \bigcap ⋂; \bigvee ⋁; \bigwedge ⋀; \bigoplus ⨁; \bigotimes ⨂; \bigodot ⨀;
    \bigsqcup ⨆; \bigsqcap ⨅; \biguplus ⨄;
    \{ {; \} }; \langle ⟨; \rangle ⟩; \lfloor ⌊; \rfloor ⌋; \lceil ⌈; \rceil ⌉; \llbracket ⟦;
    \rrbracket ⟧; \ulcorner ⌜; \urcorner ⌝; \llcorner ⌞; \lrcorner ⌟; \lmoustache ⎰;
    \rmoustache ⎱; \| ‖; \backslash \;
    \infty ∞; \partial ∂; \nabla ∇; \forall ∀; \exists ∃; \emptyset ∅; \varnothing ∅; \prime ′;
    \backprime ‵; \ldots …; \cdots ⋯; \vdots ⋮; \ddots ⋱; \hbar ℏ; \ell ℓ; \wp ℘; \Re ℜ; \Im ℑ;
    \imath ı; \jmath ȷ; \aleph ℵ; \beth ℶ; \gimel ℷ; \daleth ℸ; \angle ∠; \measuredangle ∡;
    \sphericalangle ∢; \triangle △; \triangledown ▿; \Box □; \Diamond ◇; \blacksquare ■;
    \blacktriangle ▴; \blacktriangledown ▾; \blacklozenge ⧫; \bigstar ★; \clubsuit ♣;
    \diamondsuit ♢; \heartsuit ♡; \spadesuit ♠; \flat ♭; \natural ♮; \sharp ♯; \neg ¬; \top ⊤;
    \bot ⊥; \surd √; \complement ∁; \eth ð; \mho ℧; \Finv Ⅎ; \Game ⅁; \Bbbk 𝕜; \circledR ®;
    \circledS Ⓢ; \checkmark ✓; \maltese ✠; \P ¶; \S §; \pounds £; \yen ¥; \copyright ©;
    \diagup ╱; \diagdown ╲; \backepsilon ϶; \euro €; \# #; \$ $; \% %; \& &; \_ _; - −; * ∗; ` ‘;
    " ”"""
)
# Upright names, where they are not the command without its backslash.
WORDS = {
    r"\liminf": "lim inf",
    r"\limsup": "lim sup",
    r"\injlim": "inj lim",
    r"\projlim": "proj lim",
    r"\bmod": "mod",
} | {name: name[1:] for name in tables.OPERATORS if name not in (r"\liminf", r"\limsup")}

# Marks above a letter: spacing character (MathML), combining character (Word), function (Typst).
ACCENTS = {
    r"\hat": ("^", "\u0302", "hat"),
    r"\tilde": ("~", "\u0303", "tilde"),
    r"\bar": ("¯", "\u0305", "macron"),
    r"\vec": ("→", "\u20d7", "arrow"),
    r"\dot": ("˙", "\u0307", "dot"),
    r"\ddot": ("¨", "\u0308", "dot.double"),
    r"\dddot": ("\u20db", "\u20db", "dot.triple"),
    r"\ddddot": ("\u20dc", "\u20dc", "dot.quad"),
    r"\check": ("ˇ", "\u030c", "caron"),
    r"\breve": ("˘", "\u0306", "breve"),
    r"\acute": ("´", "\u0301", "acute"),
    r"\grave": ("`", "\u0300", "grave"),
    r"\mathring": ("˚", "\u030a", "circle"),
    r"\overrightarrow": ("→", "\u20d7", "arrow"),
    r"\overleftarrow": ("←", "\u20d6", "arrow.l"),
    r"\overleftrightarrow": ("↔", "\u20e1", "arrow.l.r"),
}
# Marks as long as what is below or above them: character, function in Typst.
OVER = {
    r"\overline": ("‾", "overline"),
    r"\overbrace": ("⏞", "overbrace"),
    r"\overbracket": ("⎴", "overbracket"),
    r"\overparen": ("⏜", "overparen"),
}
UNDER = {
    r"\underline": ("_", "underline"),
    r"\underbrace": ("⏟", "underbrace"),
    r"\underbracket": ("⎵", "underbracket"),
    r"\underparen": ("⏝", "underparen"),
    r"\underrightarrow": ("→", ""),
    r"\underleftarrow": ("←", ""),
    r"\underleftrightarrow": ("↔", ""),
    r"\utilde": ("~", ""),
}
# Lines through a formula: MathML's notation, Word's properties, Typst's options.
CANCELS = {
    r"\cancel": ("updiagonalstrike", ("BLTR",), ""),
    r"\bcancel": ("downdiagonalstrike", ("TLBR",), "inverted: #true, "),
    r"\xcancel": ("updiagonalstrike downdiagonalstrike", ("BLTR", "TLBR"), "cross: #true, "),
}
# MathML's mathvariant, Word's m:scr, Typst's function, and how Unicode calls the alphabet.
ALPHABETS = {
    r"\mathbb": ("double-struck", "double-struck", "bb", "DOUBLE-STRUCK"),
    r"\mathcal": ("script", "script", "cal", "SCRIPT"),
    r"\mathfrak": ("fraktur", "fraktur", "frak", "FRAKTUR"),
}
# TeX does not slant these letters; MathML and Word slant all.
UPRIGHT = frozenset("ΓΔΘΛΞΠΣΥΦΨΩ∇")
# Labelled arrows whose character is not that of the arrow without its x.
_ARROWS = {r"\xlongequal": "="}

TYPST_NAMES = (
    _pairs(
        r"""\epsilon epsilon.alt; \varepsilon epsilon; \vartheta theta.alt; \varkappa kappa.alt;
    \varpi pi.alt; \varrho rho.alt; \varsigma sigma.alt; \phi phi.alt; \varphi phi;
    \leq <=; \geq >=; \neq !=; \rightarrow ->; \leftarrow <-; \leftrightarrow <->; \Rightarrow =>;
    \Leftrightarrow <=>; \mapsto |->; \ll <<; \gg >>; \in in; \notin in.not; \subset subset;
    \subseteq subset.eq; \supset supset; \supseteq supset.eq; \equiv equiv; \approx approx;
    \sim tilde.op; \simeq tilde.eq; \cong tilde.equiv; \propto prop; \parallel parallel;
    \times times; \div div; \cdot dot.op; \pm plus.minus; \mp minus.plus; \cup union;
    \wedge and; \vee or; \setminus without; \bullet bullet; \star star.op; \dagger dagger;
    \int integral; \iint integral.double; \iiint integral.triple; \oint integral.cont; \sum sum;
    \prod product; \coprod product.co; \infty infinity; \nabla nabla;
    \forall forall; \exists exists; \emptyset nothing; \prime prime; \ldots dots.h;
    \cdots dots.h.c; \vdots dots.v; \ddots dots.down; \ell ell; \angle angle;
    \neg not; \top top; \bot bot"""
    )
    | {
        name: name[1:]
        for name in tables.GREEK
        if not name.startswith(r"\var") and name not in (r"\epsilon", r"\phi", r"\digamma")
    }
    | {name: name[1:] for name in tables.OPERATORS}
    | {r"\bmod": "mod"}
)


def character(token: str) -> str:
    """The Unicode character of a symbol.

    Raises: ExportError for a command that has none here."""
    found = CHARACTERS.get(token, token)
    if found[0] == "\\" and len(found) > 1:
        raise ExportError(f"expected a symbol that has a Unicode character, got {token}")
    return found


def arrow(name: str) -> str:
    r"""The character of a labelled arrow: `\xrightarrow` -> →"""
    return _ARROWS.get(name) or character("\\" + name[2:])


@cache
def in_alphabet(letter: str, alphabet: str, bold: bool) -> str:
    r"""A letter, digit, ∂ or ∇ in bold, in an alphabet of Unicode ("SCRIPT"), or in both.

    Returns: the empty string where Unicode has none: `\mathbb{+}`, `\mathfrak{1}`."""
    name = unicodedata.name(letter[0], "")
    for word in ("LATIN ", "GREEK ", "LUNATE ", "LETTER "):
        name = name.replace(word, "")
    kinds = [f"MATHEMATICAL {'BOLD ' * bold}{alphabet}".strip()]
    if alphabet and not bold:  # those that came first have shorter names: SCRIPT CAPITAL B
        kinds.append("BLACK-LETTER" if alphabet == "FRAKTUR" else alphabet)
    for kind in kinds:
        try:
            return unicodedata.lookup(f"{kind} {name}") + letter[1:]
        except KeyError:
            continue
    return ""
