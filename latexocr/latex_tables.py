r"""Tables of the LaTeX that the project reads: what is a symbol, a wrapper, a space, a synonym.

Only data, no code that parses; latex_parser.py gives the tables their meaning.
"""

import string


def _pairs(text: str) -> dict[str, str]:
    """'a b; c d' -> {'a': 'b', 'c': 'd'}"""
    return {pair.split()[0]: " ".join(pair.split()[1:]) for pair in text.split(";") if pair.strip()}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names that stand upright and are read as one word: \sin and its like.
OPERATORS = _words(
    r"""\arccos \arcsin \arctan \arg \cos \cosh \cot \coth \csc \deg \det \dim \exp \gcd \hom \inf
    \ker \lg \lim \liminf \limsup \ln \log \max \min \Pr \sec \sin \sinh \sup \tan \tanh"""
)
# Names that LaTeX lacks and people type all the same; they become \operatorname { ... }.
TYPED_OPERATORS = _words(
    r"""\argmax \argmin \sech \csch \arcsec \arccot \arccsc \arcosh \arsinh \artanh \tg \ctg \cotg
    \arctg \arcctg \cosec \sgn \tr \Tr \rank \diag \erf \erfc \sh \ch \cth"""
)
INTEGRALS = (r"\int", r"\oint", r"\oiint", r"\oiiint")
BIG_OPERATORS = INTEGRALS + _words(
    r"""\sum \prod \coprod \bigcup \bigcap \bigvee \bigwedge \bigoplus \bigotimes \bigodot
    \bigsqcup \bigsqcap \biguplus"""
)
# Bases whose limits stand below and above in a display; \limits after them says nothing new.
LIMIT_BASES = frozenset(BIG_OPERATORS) | frozenset(
    _words(
        r"""\lim \liminf \limsup \max \min \sup \inf \det \gcd \Pr \arg \varinjlim \varprojlim
    \varliminf \varlimsup \injlim \projlim"""
    )
)

GREEK = _words(
    r"""\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa
    \varkappa \lambda \mu \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi
    \varphi \chi \psi \omega \digamma \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi
    \Psi \Omega"""
)
ARROWS = _words(
    r"""\rightarrow \leftarrow \leftrightarrow \Rightarrow \Leftarrow \Leftrightarrow \mapsto
    \mapsfrom \hookrightarrow \hookleftarrow \uparrow \downarrow \updownarrow \Uparrow \Downarrow
    \Updownarrow \nearrow \searrow \nwarrow \swarrow \rightharpoonup \rightharpoondown
    \leftharpoonup \leftharpoondown \rightleftharpoons \leftrightharpoons \rightleftarrows
    \leftrightarrows \rightrightarrows \leftleftarrows \upuparrows \downdownarrows
    \twoheadrightarrow \twoheadleftarrow \rightarrowtail \leftarrowtail \rightsquigarrow
    \leftrightsquigarrow \dashrightarrow \dashleftarrow \looparrowright \looparrowleft
    \curvearrowright \curvearrowleft \circlearrowright \circlearrowleft \upharpoonright
    \upharpoonleft \downharpoonright \downharpoonleft \Lsh \Rsh \multimap
    \Rrightarrow \Lleftarrow"""
)
RELATIONS = ARROWS + _words(
    r"""= < > \leq \geq \neq \equiv \sim \simeq \approx \approxeq \cong \propto \prec \succ \preceq
    \succeq \preccurlyeq \succcurlyeq \precsim \succsim \precapprox \succapprox \curlyeqprec
    \curlyeqsucc \ll \gg \lll \ggg \subset \supset \subseteq \supseteq \subsetneq \supsetneq
    \varsubsetneq \varsupsetneq \subseteqq \supseteqq \subsetneqq \supsetneqq \varsubsetneqq
    \varsupsetneqq \Subset \Supset \sqsubset \sqsupset \sqsubseteq \sqsupseteq \in \ni \notin
    \parallel \perp \models \vdash \dashv \vDash \Vdash \Vvdash \asymp \doteq \doteqdot \triangleq
    \circeq \bumpeq \Bumpeq \eqcirc \fallingdotseq \risingdotseq \lesssim \gtrsim \lessapprox
    \gtrapprox \lessgtr \gtrless \lesseqgtr \gtreqless \lesseqqgtr \gtreqqless \lessdot \gtrdot
    \eqslantless \eqslantgtr \backsim \backsimeq \lneq \gneq \lneqq \gneqq \lnsim \gnsim \lvertneqq
    \gvertneqq \lnapprox \gnapprox \precnsim \succnsim \precneqq \succneqq \precnapprox
    \succnapprox \trianglelefteq \trianglerighteq \triangleleft \triangleright \bowtie \smile \frown
    \smallsmile \smallfrown \between \pitchfork \therefore \because \blacktriangleleft
    \blacktriangleright"""
)
BINARY = _words(
    r"""+ - * / \times \div \cdot \pm \mp \oplus \ominus \otimes \oslash \odot \cup \cap \uplus
    \sqcup \sqcap \wedge \vee \setminus \circ \bullet \star \diamond \dagger \ddagger \amalg \wr
    \boxplus \boxminus \boxtimes \boxdot \ltimes \rtimes \leftthreetimes \rightthreetimes
    \divideontimes \curlywedge \curlyvee \barwedge \veebar \doublebarwedge \dotplus \Cup
    \Cap \circledast
    \circledcirc \circleddash \bigcirc \bigtriangleup \bigtriangledown \bmod \intercal"""
)
OPENING = ("(", "[", r"\{", r"\langle", r"\lfloor", r"\lceil", r"\llbracket")
CLOSING = (")", "]", r"\}", r"\rangle", r"\rfloor", r"\rceil", r"\rrbracket")
DELIMITERS = OPENING + CLOSING + (r"|", r"\|", "/", r"\backslash", r"\uparrow", r"\downarrow")
CORNERS = (r"\ulcorner", r"\urcorner", r"\llcorner", r"\lrcorner", r"\lmoustache", r"\rmoustache")
PLAIN = _words(
    r"""\infty \partial \nabla \forall \exists \emptyset \varnothing \prime \backprime
    \ldots \cdots \vdots \ddots \hbar \ell \wp \Re \Im \imath \jmath \aleph \beth \gimel \daleth
    \angle \measuredangle \sphericalangle \triangle \triangledown \Box \Diamond \blacksquare
    \blacktriangle \blacktriangledown \blacklozenge \bigstar \clubsuit \diamondsuit \heartsuit
    \spadesuit \flat \natural \sharp \neg \top \bot \surd \complement \eth \mho \Finv \Game \Bbbk
    \circledR \circledS \checkmark \maltese \backslash | \| \# \$ \% \& \_ \P \S \pounds \yen
    \copyright \diagup \diagdown \backepsilon \not \varlimsup \varliminf \varinjlim
    \varprojlim \injlim \projlim \euro"""
)
CHARACTERS = tuple(string.ascii_letters + string.digits + '.,;:!?"`@')

# Every token that is a symbol of its own in canonical form.
SYMBOLS = (
    *(*CHARACTERS, *GREEK, *RELATIONS, *BINARY, *OPERATORS, *BIG_OPERATORS),
    *(*OPENING, *CLOSING, *CORNERS, *PLAIN),
)

# A control word written in another way. The value is what is read in its place.
SYNONYMS = _pairs(
    r"""\le \leq; \ge \geq; \ne \neq; \leqslant \leq; \geqslant \geq; \leqq \leq; \geqq \geq;
    \to \rightarrow; \gets \leftarrow; \longrightarrow \rightarrow; \longleftarrow \leftarrow;
    \longleftrightarrow \leftrightarrow; \longmapsto \mapsto; \implies \Rightarrow;
    \Longrightarrow \Rightarrow; \impliedby \Leftarrow; \Longleftarrow \Leftarrow;
    \iff \Leftrightarrow; \Longleftrightarrow \Leftrightarrow; \longmapsfrom \mapsfrom;
    \leadsto \rightsquigarrow; \rarr \rightarrow; \restriction \upharpoonright;
    \land \wedge; \lor \vee; \lnot \neg; \owns \ni; \isin \in; \sub \subset; \empty \emptyset;
    \lbrace \{; \rbrace \}; \lbrack [; \rbrack ]; \lgroup (; \rgroup ); \lparen (; \rparen );
    \vert |; \lvert |; \rvert |; \mid |; \shortmid |; \divides |; \arrowvert |; \bracevert |;
    \Vert \|; \lVert \|; \rVert \|; \Arrowvert \|; \shortparallel \parallel;
    \ast *; \colon :; \vcentcolon :; \ratio :; \lt <; \gt >; \slash /; \lq `;
    \dots \ldots; \dotsc \ldots; \dotso \ldots; \dotsb \cdots; \dotsm \cdots; \dotsi \cdots;
    \textellipsis \ldots; \mathellipsis \ldots; \hdots \ldots;
    \centerdot \cdot; \cdotp \cdot; \ldotp .; \textperiodcentered \cdot;
    \dag \dagger; \ddag \ddagger; \thicksim \sim; \thickapprox \approx; \varpropto \propto;
    \smallsetminus \setminus; \square \Box; \lozenge \Diamond; \vartriangle \triangle;
    \lhd \triangleleft; \vartriangleleft \triangleleft; \unlhd \trianglelefteq;
    \rhd \triangleright; \vartriangleright \triangleright; \unrhd \trianglerighteq;
    \doublecap \Cap; \doublecup \Cup; \Join \bowtie; \llless \lll; \gggtr \ggg; \Doteq \doteqdot;
    \hslash \hbar; \i \imath; \j \jmath; \intop \int; \smallint \int; \ointop \oint;
    \textbackslash \backslash; \And \&; \textdollar \$; \textpercent \%; \textbar |;
    \textless <; \textgreater >; \textasteriskcentered *; \textunderscore \_;
    \varGamma \Gamma; \varDelta \Delta; \varTheta \Theta; \varLambda \Lambda; \varXi \Xi;
    \varPi \Pi; \varSigma \Sigma; \varUpsilon \Upsilon; \varPhi \Phi; \varPsi \Psi;
    \varOmega \Omega; \Alpha A; \Beta B; \Epsilon E; \Zeta Z; \Eta H; \Iota I; \Kappa K; \Mu M;
    \Nu N; \Omicron O; \Rho P; \Tau T; \Chi X; \omicron o; \thetasym \vartheta; \infin \infty;
    \AA Å; \aa å; \O Ø; \o ø; \L Ł; \l ł; \AE Æ; \ae æ; \OE Œ; \oe œ; \ss ß; \mod \bmod;
    \lBrack \llbracket; \rBrack \rrbracket"""
)
# Written with several tokens in canonical form.
MACROS = _pairs(
    r"""\iint \int \int; \iiint \int \int \int; \iiiint \int \int \int \int;
    \coloneqq : =; \coloneq : =; \colonequals : =; \eqqcolon = :; \eqcolon = :; \equalscolon = :;
    \coloncolonequals : : =; \Coloneqq : : =; \R \mathbb { R }; \N \mathbb { N }; \Z \mathbb { Z };
    \reals \mathbb { R }; \Reals \mathbb { R }; \natnums \mathbb { N }; \Complex \mathbb { C };
    \cnums \mathbb { C }"""
)
# \nsubseteq is \not \subseteq in canonical form: any relation can be struck through.
NEGATED = _pairs(
    r"""\nless <; \ngtr >; \nleq \leq; \ngeq \geq; \nsim \sim; \ncong \cong; \nprec \prec;
    \nsucc \succ; \npreceq \preceq; \nsucceq \succeq; \nsubseteq \subseteq; \nsupseteq \supseteq;
    \nmid |; \nparallel \parallel; \nvdash \vdash; \nvDash \vDash; \nVdash \Vdash;
    \ntriangleleft \triangleleft; \ntriangleright \triangleright;
    \ntrianglelefteq \trianglelefteq; \ntrianglerighteq \trianglerighteq;
    \nrightarrow \rightarrow; \nleftarrow \leftarrow; \nleftrightarrow \leftrightarrow;
    \nRightarrow \Rightarrow; \nLeftarrow \Leftarrow; \nLeftrightarrow \Leftrightarrow;
    \nexists \exists"""
)
NEGATED_VARIANTS = _pairs(
    r"""\nleqslant \leq; \ngeqslant \geq; \nleqq \leq; \ngeqq \geq; \nshortmid |;
    \nshortparallel \parallel; \nsubset \subset; \nsupset \supset; \notni \ni; \nVDash \vDash;
    \nsubseteqq \subseteqq; \nsupseteqq \supseteqq"""
)
# \not before these has a name of its own.
NOT_NAMES = {"=": r"\neq", r"\in": r"\notin"}

# Commands kept in canonical form: name there, number of arguments.
COMMANDS: dict[str, tuple[str, int]] = {
    name: (name, 1)
    for name in _words(r"""\hat \tilde \bar \vec \dot \ddot \dddot \ddddot \check \breve
        \acute \grave
    \mathring \overline \underline \overbrace \underbrace \overbracket \underbracket
    \overrightarrow \overleftarrow \overleftrightarrow \underrightarrow \underleftarrow
    \underleftrightarrow \overparen \underparen \cancel \bcancel \xcancel \boxed \pmod
    \mathbb \mathcal \mathfrak \utilde""")
}
COMMANDS |= {name: (name, 2) for name in (r"\frac", r"\binom", r"\overset", r"\underset")}
COMMANDS |= {
    old: (new, COMMANDS[new][1])
    for old, new in _pairs(
        r"""\dfrac \frac; \tfrac \frac; \dbinom \binom; \tbinom \binom; \widehat \hat;
        \widetilde \tilde; \widecheck \check; \widebar \overline; \stackrel \overset;
        \overarrow \overrightarrow; \underbar \underline; \Hat \hat; \Tilde \tilde; \Bar \bar;
        \Vec \vec; \Dot \dot; \Ddot \ddot; \Check \check; \Breve \breve; \Acute \acute;
        \Grave \grave; \wideparen \overparen; \overgroup \overparen; \undergroup \underparen;
        \overarc \overparen; \Bbb \mathbb; \mathds \mathbb; \mathbbm \mathbb; \mathscr \mathcal;
        \mathbfcal \mathcal; \frak \mathfrak; \mathbfscr \mathcal; \EuScript \mathcal"""
    ).items()
}
# An optional argument below the arrow, one argument above it.
EXTENSIBLE_ARROWS = _words(
    r"""\xrightarrow \xleftarrow \xleftrightarrow \xRightarrow \xLeftarrow \xLeftrightarrow
    \xhookrightarrow \xhookleftarrow \xmapsto \xrightharpoonup \xrightharpoondown \xleftharpoonup
    \xleftharpoondown \xrightleftharpoons \xleftrightharpoons \xlongequal \xtwoheadrightarrow
    \xtwoheadleftarrow"""
)
BOLD = frozenset(_words(r"\mathbf \bm \boldsymbol \pmb \bold \mathbold \mathbfit \symbf"))
# Wrappers whose argument stays and which say nothing that handwriting can show.
ROMAN = frozenset(
    _words(r"""\mathrm \mathit \mathsf \mathtt \mathnormal \mathup \mathsfit \symup \mathfont""")
)
TRANSPARENT = frozenset(
    _words(
        r"""\mathrel \mathbin \mathord \mathopen \mathclose \mathpunct \mathinner \ensuremath
    \rlap \llap \clap \mathrlap \mathllap \mathclap \lefteqn \vcenter \vbox"""
    )
)
# Old font switches: they hold to the end of the group.
SWITCHES = {
    r"\bf": r"\mathbf",
    r"\bfseries": r"\mathbf",
    r"\boldmath": r"\mathbf",
    r"\cal": r"\mathcal",
    **dict.fromkeys(
        _words(r"""\rm \it \sf \tt \sl \em \sc \mit \normalfont \rmfamily \sffamily
        \ttfamily \itshape
        \upshape \unboldmath"""),
        "",
    ),
}
TEXT = frozenset(
    _words(
        r"""\text \textrm \textnormal \mbox \hbox \textit \textbf \textsf \texttt \textup \textmd
    \textsl \textsc \emph \makebox \fbox \framebox"""
    )
)
# No ink: spaces, sizes, styles, line-break hints, table rules.
NO_INK = frozenset(
    _words(
        r"""~ \, \; \: \! \> \/ \- \quad \qquad \enspace \enskip \space \nobreakspace \thinspace
    \medspace \thickspace \negthinspace \negmedspace \negthickspace \hfill \hfil \hss \null
    \strut \mathstrut \relax \nobreak \allowbreak \protect \noindent \par \newline \break
    \smallskip \medskip \bigskip \displaystyle \textstyle \scriptstyle \scriptscriptstyle
    \tiny \scriptsize \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge
    \nonumber \notag \hline \hdashline \toprule \midrule \bottomrule \mathsurround \ignorespaces
    \unskip \qedhere \raggedright \centering \nolinebreak
    \nopagebreak $ \[ \] \displaylimits"""
    )
) | {"\\ ", "\\\n", "\\\t"}
# Of these the ones that are no space between words of a text.
NO_SPACE = frozenset(
    _words(
        r"""\! \/ \- \negthinspace \negmedspace \negthickspace \null \strut \mathstrut
    \relax \nobreak \allowbreak \protect \displaystyle \textstyle \scriptstyle \scriptscriptstyle
    \tiny \scriptsize
    \footnotesize \small \normalsize \large \Large \LARGE \huge \Huge \nonumber \notag
    \ignorespaces \unskip \mathsurround"""
    )
)
# No ink, and so many arguments go with them.
NO_INK_ARGUMENTS = {
    **dict.fromkeys(_words(r"\hspace \vspace \phantom \hphantom \vphantom \label \tag"), 1),
    **dict.fromkeys(_words(r"\color \cline \noalign \mspace \pagecolor \hypertarget"), 1),
}
# Their arguments before the last one carry no ink.
LAST_ARGUMENT = {
    r"\smash": 1,
    r"\textcolor": 2,
    r"\colorbox": 2,
    r"\raisebox": 2,
    r"\scalebox": 2,
    r"\rotatebox": 2,
    r"\resizebox": 3,
    r"\href": 2,
    r"\mathpalette": 2,
}
LENGTH_COMMANDS = frozenset(_words(r"\hskip \vskip \kern \mkern \mskip \raise \lower"))
SIZES = frozenset(
    _words(
        r"""\big \Big \bigg \Bigg \bigl \Bigl \biggl \Biggl \bigr \Bigr \biggr \Biggr \bigm \Bigm
    \biggm \Biggm \middle"""
    )
)
LIMITS = frozenset((r"\limits", r"\nolimits", r"\displaylimits"))
# Infix command -> command or grid that holds both sides, delimiters round it.
INFIX = {
    r"\over": (r"\frac", "", ""),
    r"\above": (r"\frac", "", ""),
    r"\atop": (r"\substack", "", ""),
    r"\choose": (r"\binom", "", ""),
    r"\brack": ("matrix", "[", "]"),
    r"\brace": ("matrix", r"\{", r"\}"),
}
# A pair of delimiters round the argument.
FENCED = {
    **dict.fromkeys((r"\ket", r"\Ket"), ("|", r"\rangle")),
    **dict.fromkeys((r"\bra", r"\Bra"), (r"\langle", "|")),
    **dict.fromkeys((r"\braket", r"\Braket"), (r"\langle", r"\rangle")),
    **dict.fromkeys((r"\set", r"\Set"), (r"\{", r"\}")),
    r"\abs": ("|", "|"),
    r"\norm": (r"\|", r"\|"),
    r"\pod": ("(", ")"),
}
# Environment -> kind of grid, delimiters round it.
ENVIRONMENTS: dict[str, tuple[str, str, str]] = {
    "matrix": ("matrix", "", ""),
    "smallmatrix": ("matrix", "", ""),
    "array": ("matrix", "", ""),
    "pmatrix": ("matrix", "(", ")"),
    "bmatrix": ("matrix", "[", "]"),
    "Bmatrix": ("matrix", r"\{", r"\}"),
    "vmatrix": ("matrix", "|", "|"),
    "Vmatrix": ("matrix", r"\|", r"\|"),
    "psmallmatrix": ("matrix", "(", ")"),
    "bsmallmatrix": ("matrix", "[", "]"),
    "cases": ("cases", "", ""),
    "dcases": ("cases", "", ""),
    "numcases": ("cases", "", ""),
    "rcases": ("matrix", "", r"\}"),
    "drcases": ("matrix", "", r"\}"),
    "subarray": (r"\substack", "", ""),
    **dict.fromkeys(
        _words("""aligned align alignat alignedat split gather gathered eqnarray multline multlined
        flalign xalignat equation math displaymath dmath"""),
        ("aligned", "", ""),
    ),
}
# These take a {...} before the first row, with no ink: column specs, numbers of columns.
WITH_SPEC = frozenset(_words("array subarray alignat alignedat xalignat"))
# Plain TeX: \pmatrix{a & b \cr c & d}
PLAIN_GRIDS = {
    r"\matrix": "matrix",
    r"\pmatrix": "pmatrix",
    r"\bmatrix": "bmatrix",
    r"\vmatrix": "vmatrix",
    r"\smallmatrix": "smallmatrix",
    r"\cases": "cases",
    r"\eqalign": "aligned",
    r"\displaylines": "aligned",
    r"\substack": "subarray",
    r"\Substack": "subarray",
}
FENCED_MATRICES = {
    ("(", ")"): "pmatrix",
    ("[", "]"): "bmatrix",
    (r"\{", r"\}"): "Bmatrix",
    ("|", "|"): "vmatrix",
    (r"\|", r"\|"): "Vmatrix",
}
# Accents over letters of running text, as Unicode combining characters.
LETTER_ACCENTS = {
    r"\'": "\u0301",
    r"\`": "\u0300",
    r"\^": "\u0302",
    r"\~": "\u0303",
    r"\"": "\u0308",
    r"\=": "\u0304",
    r"\.": "\u0307",
    r"\c": "\u0327",
    r"\v": "\u030c",
    r"\u": "\u0306",
    r"\H": "\u030b",
    r"\r": "\u030a",
    r"\k": "\u0328",
    r"\d": "\u0323",
    r"\b": "\u0331",
}

UNICODE = {
    character: command.split()
    for character, command in _pairs(
        r"""× \times; ÷ \div; ± \pm; ∓ \mp; · \cdot; ⋅ \cdot; ∙ \cdot; • \bullet; ∘ \circ; − -;
        – -; — -; ‐ -; ‑ -; ∗ *; ⁎ *; ★ \star; ⋆ \star; ≤ \leq; ≥ \geq; ⩽ \leq; ⩾ \geq; ≦ \leq;
        ≧ \geq; ≠ \neq; ≈ \approx; ≃ \simeq; ≅ \cong; ≡ \equiv; ∼ \sim; ∝ \propto; ≪ \ll; ≫ \gg;
        ≺ \prec; ≻ \succ; ∈ \in; ∉ \notin; ∋ \ni; ⊂ \subset; ⊃ \supset; ⊆ \subseteq; ⊇ \supseteq;
        ∪ \cup; ∩ \cap; ∅ \emptyset; ∖ \setminus; ∞ \infty; ∂ \partial; ∇ \nabla; ∀ \forall;
        ∃ \exists; ∄ \not \exists; ¬ \neg; ∧ \wedge; ∨ \vee; ⊕ \oplus; ⊗ \otimes; ⊖ \ominus;
        ⊙ \odot; ⊥ \perp; ⊤ \top; ⊢ \vdash; ⊨ \models; ∥ \parallel; ‖ \|; ∣ |; ∤ \not |; ∠ \angle;
        △ \triangle; ▵ \triangle; □ \Box; ◻ \Box; ◇ \diamond; → \rightarrow; ← \leftarrow;
        ↔ \leftrightarrow; ⇒ \Rightarrow; ⇐ \Leftarrow; ⇔ \Leftrightarrow; ⟹ \Rightarrow;
        ⟺ \Leftrightarrow; ⟶ \rightarrow; ⟵ \leftarrow; ↦ \mapsto; ↑ \uparrow; ↓ \downarrow;
        ⇌ \rightleftharpoons; ↪ \hookrightarrow; ∑ \sum; ∏ \prod; ∐ \coprod; ∫ \int; ∬ \int \int;
        ∭ \int \int \int; ∮ \oint; ⋃ \bigcup; ⋂ \bigcap; ⟨ \langle; ⟩ \rangle; 〈 \langle;
        〉 \rangle; ⌊ \lfloor; ⌋ \rfloor; ⌈ \lceil; ⌉ \rceil; ⟦ \llbracket; ⟧ \rrbracket; … \ldots;
        ⋯ \cdots; ⋮ \vdots; ⋱ \ddots; ∴ \therefore; ∵ \because; † \dagger; ‡ \ddagger; ℏ \hbar;
        ℓ \ell; ℘ \wp; ℜ \Re; ℑ \Im; ℵ \aleph; ı \imath; ȷ \jmath; ℝ \mathbb { R };
        ℕ \mathbb { N }; ℤ \mathbb { Z }; ℚ \mathbb { Q }; ℂ \mathbb { C }; ℙ \mathbb { P };
        ℍ \mathbb { H }; ′ '; ″ ' '; ‴ ' ' '; ’ '; ‘ `; ‵ \backprime; ° ^ { \circ }; º ^ { \circ };
        ¹ ^ { 1 }; ² ^ { 2 }; ³ ^ { 3 }; ⁴ ^ { 4 }; ⁵ ^ { 5 }; ⁶ ^ { 6 }; ⁷ ^ { 7 }; ⁸ ^ { 8 };
        ⁹ ^ { 9 }; ⁰ ^ { 0 }; ⁿ ^ { n }; ₀ _ { 0 }; ₁ _ { 1 }; ₂ _ { 2 }; ₃ _ { 3 }; ₄ _ { 4 };
        ₅ _ { 5 }; ₆ _ { 6 }; ₇ _ { 7 }; ₈ _ { 8 }; ₉ _ { 9 }; ₙ _ { n }; ½ \frac { 1 } { 2 };
        ¼ \frac { 1 } { 4 }; ¾ \frac { 3 } { 4 }; ⅓ \frac { 1 } { 3 }; ⅔ \frac { 2 } { 3 }; ≔ : =;
        ≜ \triangleq; ≲ \lesssim; ≳ \gtrsim; ≼ \preceq; ≽ \succeq; Ω \Omega; µ \mu; £ \pounds;
        ¥ \yen; § \S; ¶ \P; € \euro; ∆ \Delta; ϵ \epsilon; ϑ \vartheta; ϕ \phi; ϱ \varrho; ϖ \varpi;
        ς \varsigma; ϰ \varkappa; ε \varepsilon; φ \varphi; （ (; ） ); ， ,; ＝ =; ＋ +; － -;
        ： :; ！ !; ？ ?; 。 .; 、 ,; ＜ <; ＞ >; ［ [; ］ ]; ｜ |; ／ /; ｛ \{; ｝ \}"""
    ).items()
}
UNICODE["；"] = [";"]
UNICODE |= {degree: ["^", "{", r"\circ", "}"] for degree in (r"\degree", r"\textdegree")}
_UNICODE_SPACES = "\u00a0\u2002\u2003\u2009\u200a\u200b\u202f\u2061\u2062\u3000\ufeff"
UNICODE |= {space: [] for space in _UNICODE_SPACES}
_GREEK_LETTERS = "αβγδζηθικλμνξπρστυχψωΓΔΘΛΞΠΣΥΦΨΩ"
_GREEK_NAMES = _words(r"""\alpha \beta \gamma \delta \zeta \eta \theta \iota \kappa \lambda \mu \nu
    \xi \pi \rho \sigma \tau \upsilon \chi \psi \omega \Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma
    \Upsilon \Phi \Psi \Omega""")
UNICODE |= {letter: [name] for letter, name in zip(_GREEK_LETTERS, _GREEK_NAMES, strict=True)}

# What a metric takes for the same. FROZEN: any change here re-scores every number ever reported.
COMPARABLE_SYMBOLS = _pairs(
    r"""\cdots \ldots; \varphi \phi; \varepsilon \epsilon; \vartheta \theta; \varrho \rho;
    \bullet \cdot; \setminus \backslash; \triangle \Delta; \bigtriangleup \Delta;
    \varnothing \emptyset; \parallel \|; \bot \perp; \bmod m o d"""
) | {operator: " ".join(operator[1:]) for operator in OPERATORS}
COMPARABLE_COMMANDS = {r"\overline": r"\bar", r"\overrightarrow": r"\vec"}
COMPARABLE_DISSOLVED = frozenset((r"\mathbf", r"\operatorname"))
