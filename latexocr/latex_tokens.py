r"""LaTeX text -> tokens: control words, `\{`, `\begin{matrix}`, single characters."""

import re
from collections.abc import Iterator

from latexocr import latex_tables as tables
from latexocr.errors import TexError

PLACES = ("t", "b", "c", "l", "r")  # what \begin{aligned}[...] takes for its place on the line
END = ""  # stands after the last token of a formula
LENGTH = re.compile(  # what \\[...] takes for a gap between lines
    r"[-+]?(\d[\d.,]*|[.,]\d+)(pt|em|ex|mm|cm|in|mu|pc|bp|sp)|[-+]?[\d.]*\\(baselineskip|jot)"
)

_TOKEN = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|\\[a-zA-Z]+|\\.|[^\s]", re.DOTALL)
_TEXT_COMMAND = re.compile(r"\\(?:" + "|".join(n[1:] for n in tables.TEXT) + r")(?![a-zA-Z])")
_TEXT_TOKEN = re.compile(r"\\[a-zA-Z]+\s*|\\.|\s+|.", re.DOTALL)
_SPACED_OUT = re.compile(r"\s*(?:(?:\\[a-zA-Z]+|\\.|[^\s\\])(?:\s+|$))*", re.DOTALL)
_OPENING_BRACE = re.compile(r"\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_UNIT = re.compile("pt|em|ex|mm|cm|in|mu|pc|bp|sp|dd|cc|fil{1,3}")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")


def tokenize(latex: str) -> list[str]:
    r"""Tokens of LaTeX: control words, `\{`, `\begin{matrix}`, single characters.

    White space is dropped, except in text arguments, where it becomes the token `~`. Maths in a
    text stands between `\(` and `\)`."""
    if "%" in latex or r"\(" in latex or _TEXT_COMMAND.search(latex):
        return [token for token, _ in scan(latex)]
    tokens = _TOKEN.findall(latex)
    if r"\begin" in latex:
        return [_without_spaces(token) for token in tokens]
    return tokens


def scan(latex: str) -> Iterator[tuple[str, int]]:
    """The tokens as tokenize gives them, each with its place in the string."""
    if "%" in latex:  # a comment has no ink; blanks keep the places of what follows
        latex = _COMMENT.sub(lambda m: m[1] + " " * (len(m[0]) - len(m[1])), latex)
    at = 0
    while match := _TOKEN.search(latex, at):
        token, at = _without_spaces(match[0]), match.end()
        yield "$" if token in (r"\(", r"\)") else token, match.start()
        if token in tables.TEXT and (brace := _OPENING_BRACE.match(latex, at)):
            yield "{", brace.end() - 1
            at = _closing_brace(latex, brace.end())
            yield from _scan_text(latex, brace.end(), at)


def _scan_text(latex: str, at: int, end: int) -> Iterator[tuple[str, int]]:
    r"""Tokens of a text argument that fills at:end.

    In `\text { i f ~ x }` as canonical forms write it spaces stand between tokens and `~` is the
    space; in `\text{if x}` they are spaces."""
    spaced_out = _SPACED_OUT.fullmatch(latex, at, end) is not None
    in_maths = False
    while at < end:
        match = _TEXT_TOKEN.match(latex, at, end)
        token, start, at = match[0], at, match.end()
        if token.isspace():
            if not spaced_out and not in_maths:
                yield "~", start
            continue
        token = token.rstrip() if token[0] == "\\" and len(token) > 2 else token
        if token in ("$", r"\(", r"\)"):
            in_maths = not in_maths
            token = r"\(" if in_maths else r"\)"
        yield token, start


def _closing_brace(latex: str, at: int) -> int:
    """The place of the brace that closes a group whose inside begins at `at`, or the end."""
    depth = 1
    for match in _BRACE.finditer(latex, at):
        depth += (match[0] == "{") - (match[0] == "}")
        if not depth:
            return match.start()
    return len(latex)


def _without_spaces(token: str) -> str:
    r"""`\begin {matrix}` -> `\begin{matrix}`; other tokens have no spaces but `\ `."""
    return "".join(token.split()) if token[-1] == "}" and len(token) > 2 else token


def expand(tokens: list[str]) -> tuple[list[str], list[int]]:
    """The tokens with Unicode maths written as commands, and for each the index it had."""
    expanded, origin = [], []
    for index, token in enumerate(tokens):
        new = tables.UNICODE.get(token, [token])
        expanded += new
        origin += [index] * len(new)
    return expanded, origin


class Cursor:
    """A place in the tokens of a formula. `at` is the number of the token to be read next."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = tokenize(latex)
        self.origin: list[int] | None = None  # of each token, where Unicode made several of one
        if not latex.isascii() or "degree" in latex:
            self.tokens, self.origin = expand(self.tokens)
        self.tokens.append(END)
        self.at = 0

    def fail(self, expected: str, at: int | None = None) -> TexError:
        """The error to raise at token number `at` (the next one if None)."""
        token = self.tokens[self.at if at is None else at]
        came = f"'{token}'" if token != END else "the end"
        return TexError(f"expected {expected}, got {came} at character {self.place(at)}")

    def place(self, at: int | None = None) -> int:
        """The character, counted from 1, where token number `at` begins."""
        at = self.at if at is None else at
        if at == len(self.tokens) - 1:
            return len(self.latex) + 1
        index = self.origin[at] if self.origin else at
        return [start for _, start in scan(self.latex)][index] + 1

    def expect(self, token: str, what: str = "") -> None:
        """Passes over a token that must come now."""
        if self.tokens[self.at] != token:
            raise self.fail(what or f"'{token}'")
        self.at += 1

    def skip_argument(self) -> list[str]:
        """Passes over one argument unread: balanced braces, or one token. Returns its tokens."""
        opened, depth = self.at, 0
        while True:
            token = self.tokens[self.at]
            if token == END or (token == "}" and not depth):
                raise self.fail("'}'" if depth else "an argument")
            self.at += 1
            depth += (token == "{") - (token == "}")
            if not depth:
                return [t for t in self.tokens[opened : self.at] if t not in "{}"]

    def skip_option(self) -> None:
        if self.tokens[self.at] == "[" and "]" in self.tokens[self.at :]:
            self.at = self.tokens.index("]", self.at) + 1

    def skip_star(self) -> None:
        self.at += self.tokens[self.at] == "*"

    def skip_length(self) -> None:
        r"""Passes over 1.5em, -3mu, 2\baselineskip."""
        while self.tokens[self.at] in ("=", "+", "-"):
            self.at += 1
        while (token := self.tokens[self.at]).isdigit() or token in (".", ","):
            self.at += 1
        unit = _UNIT.match("".join(self.tokens[self.at : self.at + 5]))
        if unit:
            self.at += unit.end()
        elif token[:1] == "\\" and token[1:].isalpha():
            self.at += 1
        else:
            raise self.fail("a unit of length")
