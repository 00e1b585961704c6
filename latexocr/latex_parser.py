r"""Tokens -> tree. A parser for the maths of LaTeX as people, papers and data sets write it.

Spaces, sizes and font switches are passed over, synonyms replaced, groups without meaning
dissolved: latex_tree.py has the rules, latex_tables.py the words.
"""

import re
import unicodedata
from collections.abc import Callable

from latexocr import latex_tables as tables
from latexocr.latex_tokens import END, LENGTH, PLACES, Cursor
from latexocr.latex_tree import (
    LBRACE,
    NOT,
    PRIME,
    SYMBOLS,
    Command,
    Node,
    Row,
    Symbol,
    Text,
    as_cases,
    attach,
    attach_limits,
    command,
    complete,
    fence,
    grid,
    is_letter,
    operator,
    spell,
    spell_last_word,
    text,
    wrap,
)

MAX_DEPTH = 60  # rows in rows; Python's own limit would come unannounced

_LINE_ENDS = frozenset(("\\\\", r"\cr", r"\crcr", r"\tabularnewline"))
_ENVIRONMENT_ENDS = {rf"\end{{{name}{star}}}" for name in tables.ENVIRONMENTS for star in ("", "*")}
_ROW_ENDS = (
    frozenset((END, "&", "}", r"\egroup", r"\right", r"\of", r"\)"))
    | _LINE_ENDS
    | _ENVIRONMENT_ENDS
)
_SCRIPTS = frozenset(("^", "_", "'", r"\sp", r"\sb")) | tables.LIMITS
_DELIMITERS = frozenset(SYMBOLS[token] for token in tables.DELIMITERS)
_ANGLES = {"<": r"\langle", ">": r"\rangle"}  # after \left, \right, \big
_RELATIONS = frozenset(SYMBOLS[token] for token in tables.RELATIONS) | {NOT, SYMBOLS[":"]}
_NEGATED = {
    token: [NOT, SYMBOLS[positive]]
    for token, positive in (tables.NEGATED | tables.NEGATED_VARIANTS).items()
}
_NO_LENGTH = re.compile(r"[-+]?0*[.,]?0*[a-z]")


def parse(latex: str) -> Row:
    r"""The tree of a formula.

    Raises: TexError with the place and what was expected if it cannot be parsed."""
    return Row(Parser(latex).formula())


class Parser(Cursor):
    """Builds the tree. A method that reads a construct begins at the token `at`."""

    depth = 0  # rows open

    def formula(self) -> list[Node]:
        """The whole formula; lines without an environment are aligned lines."""
        lines = self.cells()
        if self.tokens[self.at] != END:
            raise self.fail("a formula")
        return complete(grid("aligned", lines))

    # Rows ------------------------------------------------------------------------------------

    def row(self, bracket: bool = False, inside: str = "") -> list[Node]:
        """Nodes up to a token that ends a row, which is not read.

        bracket: `]` ends it too. inside: the switch or infix command whose rest of row it is."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"at most {MAX_DEPTH} groups in each other")
        items: list[Node] = []
        tokens, symbol_of = self.tokens, SYMBOLS.get
        detached = 0  # with so many items a script has nothing to hang on, as after a space
        while True:
            token = tokens[self.at]
            symbol = symbol_of(token)
            if symbol is not None:
                if bracket and token == "]":
                    break
                self.at += 1
                items.append(symbol)
            elif token in _SCRIPTS:
                items = self.hang_scripts(items, len(items) == detached)
                detached = 0 if items else detached
            elif token in _ROW_ENDS:
                break
            elif token in tables.SWITCHES or token in tables.INFIX:
                if inside in tables.SWITCHES:
                    break
                items = self.rest_of_row(items, bracket, inside)
            else:
                new = self.atom()
                items += self.with_scripts(new) if new and tokens[self.at] in _SCRIPTS else new
                detached = detached if new else len(items)
        self.depth -= 1
        return items

    def hang_scripts(self, items: list[Node], detached: bool) -> list[Node]:
        """The items with the scripts that follow, on the last item unless detached."""
        if detached:
            return items + self.with_scripts([])
        if self.tokens[self.at] in tables.LIMITS and is_letter(items[-1]):
            items = spell_last_word(items)
        return items[:-1] + self.with_scripts(items[-1:])

    def rest_of_row(self, items: list[Node], bracket: bool, inside: str) -> list[Node]:
        """The items with what a font switch or an infix command makes of the rest of the row."""
        token = self.tokens[self.at]
        if token in tables.INFIX:
            if inside:
                raise self.fail("braces round one of two fractions")
            return self.infix(items, bracket)
        self.at += 1
        font = tables.SWITCHES[token]
        if self.tokens[self.at] == "{":  # \bf{x} y: TeX makes y bold too, nobody means it
            new = self.argument(token)
        else:
            new = self.row(bracket, inside=token)
        new = wrap(font, new) if font else spell(new)
        return items + (self.with_scripts(new) if self.tokens[self.at] in _SCRIPTS else new)

    def infix(self, top: list[Node], bracket: bool) -> list[Node]:
        r"""`top \over bottom` fills the whole row."""
        token = self.tokens[self.at]
        self.at += 1
        if token == r"\above":
            self.skip_length()
        bottom = self.row(bracket, inside=token)
        kind, left, right = tables.INFIX[token]
        if kind in tables.COMMANDS:
            return [Command(kind, [Row(complete(top)), Row(complete(bottom))])]
        return fence(left, grid(kind, [[top], [bottom]]), right)

    def with_scripts(self, base: list[Node]) -> list[Node]:
        """Reads the scripts that follow `base` and hangs them on its last node."""
        sub, sup, raised, limits = None, None, False, False
        while (token := self.tokens[self.at]) in _SCRIPTS:
            if token in tables.LIMITS:
                limits = token == r"\limits"
                self.at += 1
            elif token in ("_", r"\sb"):
                if sub is not None:
                    raise self.fail("one subscript")
                self.at += 1
                sub = self.argument("_")
            elif raised:
                raise self.fail("one superscript")
            else:
                raised = token != "'"
                self.at += raised
                sup = (sup or []) + self.argument("^")
        return (attach_limits if limits else attach)(base, sub, sup)

    # Atoms -----------------------------------------------------------------------------------

    def atom(self) -> list[Node]:
        """One construct that is no plain symbol. No nodes if it has no ink."""
        token = self.tokens[self.at]
        if token in tables.NO_INK:
            self.at += 1
            return []
        if token == "{":
            self.at += 1
            return self.group("}")
        if token in tables.COMMANDS:
            self.at += 1
            name, n_args = tables.COMMANDS[token]
            return command(name, [Row(self.argument(token)) for _ in range(n_args)])
        read = _READERS.get(token)
        if read is None:
            return self.unlisted(token)
        self.at += 1
        return read(self, token)

    def unlisted(self, token: str) -> list[Node]:
        if token.startswith(r"\begin{"):
            return self.environment(token[7:-1])
        if not token.isascii() and token.isprintable():
            self.at += 1
            return [Symbol(token)]
        if token[:3] in (r"\lt", r"\gt") and len(token) == 4:  # "\ltN": CROHME forgot a space
            self.at += 1
            return [SYMBOLS[token[:3]], SYMBOLS[token[3]]]
        word = token[:1] == "\\" and token[1:2].isalpha()
        raise self.fail("a known command" if word else "a symbol")

    def group(self, closing: str) -> list[Node]:
        """The inside of a group whose first brace has been read."""
        opened = self.at - 1
        items = self.row()
        if self.tokens[self.at] != closing:
            raise self.fail(f"'{closing}' for the group from character {self.place(opened)}")
        self.at += 1
        return items

    def argument(self, of: str) -> list[Node]:
        """The nodes of one argument, complete: a group, or a single construct."""
        token = self.tokens[self.at]
        while (token in tables.NO_INK and token[1:].isalpha()) or token in tables.SWITCHES:
            self.at += 1  # \frac\displaystyle{1}2
            token = self.tokens[self.at]
        symbol = PRIME if token == "'" else SYMBOLS.get(token)
        if symbol is not None:
            self.at += 1
            return [symbol]
        if token in _ROW_ENDS or token in _SCRIPTS:
            raise self.fail(f"an argument of {of}")
        return complete(self.atom())

    def option(self) -> Row | None:
        """A [ ] argument, complete; None if there is none or it is empty."""
        if self.tokens[self.at] != "[":
            return None
        self.at += 1
        items = complete(self.row(bracket=True))
        self.expect("]", "']' of an optional argument")
        return Row(items) if items else None

    # Readers: the command itself has been read -------------------------------------------------

    def no_ink(self, token: str) -> list[Node]:
        self.skip_star()
        self.skip_option()
        for _ in range(tables.NO_INK_ARGUMENTS[token]):
            self.skip_argument()
        return []

    def length(self, token: str) -> list[Node]:
        self.skip_length()
        for word in ("plus", "minus"):
            if "".join(self.tokens[self.at : self.at + len(word)]) == word:
                self.at += len(word)
                self.skip_length()
        return []

    def rule(self, token: str) -> list[Node]:
        start = self.at
        self.skip_option()
        sizes = ["".join(self.skip_argument()) for _ in range(2)]
        if not any(_NO_LENGTH.match(size) for size in sizes):
            raise self.fail(r"a \rule without ink", start)
        return []

    def size(self, token: str) -> list[Node]:
        return self.delimiter(token) if self.tokens[self.at] in (".", "<", ">") else []

    def delimiter(self, of: str) -> list[Node]:
        token = self.tokens[self.at]
        symbol = SYMBOLS.get(_ANGLES.get(token, token))
        if symbol not in _DELIMITERS and token != ".":
            raise self.fail(f"a delimiter after {of}")
        self.at += 1
        return [symbol] if token != "." else []

    def left_right(self, token: str) -> list[Node]:
        opened = self.at - 1
        left = self.delimiter(token)
        inner = self.row()
        if self.tokens[self.at] != r"\right":
            raise self.fail(rf"\right for the \left at character {self.place(opened)}")
        self.at += 1
        right = self.delimiter(r"\right")
        cases = as_cases(inner[0]) if inner and left == [LBRACE] and not right else None
        return [cases, *inner[1:]] if cases else left + inner + right

    def last_argument(self, token: str) -> list[Node]:
        for _ in range(tables.LAST_ARGUMENT[token] - 1):
            self.skip_option()
            self.skip_argument()
        self.skip_option()
        return self.argument(token)

    def named_operator(self, token: str) -> list[Node]:
        self.skip_star()
        return operator(self.argument(token))

    def mathop(self, token: str) -> list[Node]:
        items = self.argument(token)
        return operator(items) if all(is_letter(item) for item in items) else items

    def fenced(self, token: str) -> list[Node]:
        self.skip_star()
        left, right = tables.FENCED[token]
        return fence(left, self.argument(token), right)

    def sqrt(self, token: str) -> list[Node]:
        degree = self.option()
        return [Command(r"\sqrt", [Row(self.argument(token))], degree)]

    def root(self, token: str) -> list[Node]:
        degree = complete(self.row())
        self.expect(r"\of", r"\of after \root")
        return [Command(r"\sqrt", [Row(self.argument(token))], Row(degree) if degree else None)]

    def arrow(self, token: str) -> list[Node]:
        below, above = self.option(), self.argument(token)
        plain = SYMBOLS.get("\\" + token[2:])
        if plain and not below and not above:
            return [plain]
        return [Command(token, [Row(above)], below)]

    def continued_fraction(self, token: str) -> list[Node]:
        self.skip_option()
        return [Command(r"\frac", [Row(self.argument(token)) for _ in range(2)])]

    def genfrac(self, token: str) -> list[Node]:
        start = self.at
        left, right, thickness, _ = ("".join(self.skip_argument()) for _ in range(4))
        rows = [Row(self.argument(token)) for _ in range(2)]
        if any(side and SYMBOLS.get(side) not in _DELIMITERS for side in (left, right)):
            raise self.fail(r"delimiters in \genfrac", start)
        if not _NO_LENGTH.match(thickness):
            return fence(left, [Command(r"\frac", rows)], right)
        if (left, right) == ("(", ")"):
            return [Command(r"\binom", rows)]
        return fence(left, grid(r"\substack", [[row.items] for row in rows]), right)

    def letter_accent(self, token: str) -> list[Node]:
        start = self.at
        items = self.argument(token)
        letter = items[0].token if len(items) == 1 and isinstance(items[0], Symbol) else ""
        return [Symbol(self.accented(token, letter, start))]

    def accented(self, accent: str, letter: str, start: int) -> str:
        letter = {r"\imath": "i", r"\i": "i", r"\jmath": "j", r"\j": "j"}.get(letter, letter)
        composed = unicodedata.normalize("NFC", letter + tables.LETTER_ACCENTS[accent])
        if len(letter) != 1 or len(composed) != 1:
            raise self.fail(f"a letter that takes the accent {accent}", start)
        return composed

    def math_choice(self, token: str) -> list[Node]:
        items = self.argument(token)
        for _ in range(3):
            self.skip_argument()
        return items

    # Grids -----------------------------------------------------------------------------------

    def cells(self) -> list[list[list[Node]]]:
        r"""Rows of cells up to a token that ends them, which is not read."""
        rows: list[list[list[Node]]] = [[]]
        while True:
            rows[-1].append(self.row())
            if self.tokens[self.at] == "&":
                self.at += 1
            elif self.tokens[self.at] in _LINE_ENDS:
                self.at += 1
                self.skip_line_gap()
                rows.append([])
            else:
                return rows

    def skip_line_gap(self) -> None:
        r"""Passes over the [2pt] of `\\[2pt]`; other brackets are ink."""
        at = self.at + (self.tokens[self.at] == "*")
        if self.tokens[at] == "[" and "]" in self.tokens[at : at + 24]:
            closing = self.tokens.index("]", at)
            if LENGTH.fullmatch("".join(self.tokens[at + 1 : closing])):
                self.at = closing + 1

    def environment(self, name: str) -> list[Node]:
        if name.rstrip("*") not in tables.ENVIRONMENTS:
            raise self.fail("a known environment")
        self.at += 1
        opening, place, closing = [*self.tokens[self.at : self.at + 3], END, END][:3]
        if opening == "[" and closing == "]" and place in PLACES:
            self.at += 3
        spec = self.skip_argument() if name.rstrip("*") in tables.WITH_SPEC else []
        rows = self.cells()
        self.expect(rf"\end{{{name}}}")
        kind, left, right = tables.ENVIRONMENTS[name.rstrip("*")]
        if name == "array" and _is_alignment(spec, rows):
            kind = "aligned"
        return fence(left, grid(kind, rows), right)

    def plain_grid(self, token: str) -> list[Node]:
        self.expect("{", f"'{{' after {token}")
        rows = self.cells()
        self.expect("}")
        kind, left, right = tables.ENVIRONMENTS[tables.PLAIN_GRIDS[token]]
        return fence(left, grid(kind, rows), right)

    # Text ------------------------------------------------------------------------------------

    def text(self, token: str) -> list[Node]:
        """Text with its maths: pieces of text, and nodes between them."""
        self.skip_option()
        if self.tokens[self.at] != "{":
            return self.argument(token)
        self.at += 1
        start = self.at
        pieces: list[Node] = []
        characters: list[str] = []
        self.text_piece(pieces, characters)
        pieces = complete(pieces + text(characters))
        if token in (r"\fbox", r"\framebox"):
            return command(r"\boxed", [Row(pieces)])
        bold = token == r"\textbf" and len(pieces) == 1 and is_letter(pieces[0])
        if r"\boldmath" in self.tokens[start : self.at]:  # \mbox{\boldmath $x$}
            bold = not any(isinstance(piece, Text) for piece in pieces)
        return wrap(r"\mathbf", pieces) if bold else pieces

    def text_piece(self, pieces: list[Node], characters: list[str]) -> None:
        """Reads up to and with the closing brace. The last characters are not yet a piece."""
        while (token := self.tokens[self.at]) != "}":
            if token == END:
                raise self.fail("'}' of a text argument")
            if token == "{" or (token in tables.TEXT and self.tokens[self.at + 1] == "{"):
                self.at += 1 if token == "{" else 2
                self.text_piece(pieces, characters)
            elif (character := self.text_character(token)) is not None:
                characters += [character] if character else []
            else:
                pieces += text(characters)
                characters.clear()
                pieces[:] = self.maths_in_text(token, pieces)
        self.at += 1

    def text_character(self, token: str) -> str | None:
        """Reads a character of text; empty if it has no ink. None if it is maths, left unread."""
        if token in ("&", "#"):
            raise self.fail(f"'\\{token}' in a text")
        if token in ("^", "_", r"\("):
            return None
        start, symbol = self.at, SYMBOLS.get(token)
        self.at += 1
        if token in tables.LETTER_ACCENTS:
            return self.accented(token, "".join(self.skip_argument()), start)
        if token[0] != "\\" or token[1] in "%&#$_{}":
            return token
        if token in tables.NO_INK:
            return "" if token in tables.NO_SPACE else "~"
        if token in tables.SWITCHES:
            return ""
        if symbol and not symbol.token.isascii():  # \o, \ae
            return symbol.token
        self.at = start
        return None

    def maths_in_text(self, token: str, pieces: list[Node]) -> list[Node]:
        """The pieces with a piece of maths: `$...$`, a script, or a command like `\\alpha`."""
        if token == r"\(":
            self.at += 1
            maths = self.row()
            self.expect(r"\)", "'$' that ends the maths in a text")
            return pieces + maths
        if token in ("^", "_"):
            return pieces[:-1] + self.with_scripts(pieces[-1:])
        return pieces + self.argument("a text")


def _is_alignment(spec: list[str], rows: list[list[list[Node]]]) -> bool:
    """An array used to align relations: `rcl` or `rl` columns that meet at a relation."""
    columns = "".join(token for token in spec if token in "rcl")
    if re.fullmatch(r"(rcl)+", columns):
        middle = [cell for row in rows for cell in row[1::3]]
        return all(not cell or (len(cell) < 3 and cell[0] in _RELATIONS) for cell in middle)
    if re.fullmatch(r"(rl)+", columns):
        pairs = [(row[n], row[n + 1]) for row in rows for n in range(0, len(row) - 1, 2)]
        return all(
            not left or not right or right[0] in _RELATIONS or left[-1] in _RELATIONS
            for left, right in pairs
        )
    return False


_Reader = Callable[[Parser, str], list[Node]]
_READERS: dict[str, _Reader] = {
    **dict.fromkeys(tables.MACROS, lambda _, token: list(_MACRO_NODES[token])),
    **dict.fromkeys(_NEGATED, lambda _, token: list(_NEGATED[token])),
    **dict.fromkeys(tables.TYPED_OPERATORS, lambda _, t: operator([SYMBOLS[c] for c in t[1:]])),
    **dict.fromkeys(tables.BOLD, lambda parser, token: wrap(r"\mathbf", parser.argument(token))),
    **dict.fromkeys(tables.ROMAN, lambda parser, token: spell(parser.argument(token))),
    **dict.fromkeys(tables.TRANSPARENT, Parser.argument),
    **dict.fromkeys(tables.NO_INK_ARGUMENTS, Parser.no_ink),
    **dict.fromkeys(tables.LENGTH_COMMANDS, Parser.length),
    **dict.fromkeys(tables.SIZES, Parser.size),
    **dict.fromkeys(tables.LAST_ARGUMENT, Parser.last_argument),
    **dict.fromkeys(tables.FENCED, Parser.fenced),
    **dict.fromkeys(tables.EXTENSIBLE_ARROWS, Parser.arrow),
    **dict.fromkeys(("\\'", r"\`", r"\^", r"\~", r"\""), Parser.letter_accent),
    **dict.fromkeys(tables.PLAIN_GRIDS, Parser.plain_grid),
    **dict.fromkeys(tables.TEXT, Parser.text),
    r"\operatorname": Parser.named_operator,
    r"\operatornamewithlimits": Parser.named_operator,
    r"\mathop": Parser.mathop,
    r"\left": Parser.left_right,
    r"\sqrt": Parser.sqrt,
    r"\root": Parser.root,
    r"\cfrac": Parser.continued_fraction,
    r"\genfrac": Parser.genfrac,
    r"\rule": Parser.rule,
    r"\mathchoice": Parser.math_choice,
    r"\bgroup": lambda parser, _: parser.group(r"\egroup"),
}
_MACRO_NODES = {name: Parser(latex).formula() for name, latex in tables.MACROS.items()}
