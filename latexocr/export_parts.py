r"""A row of the tree as the other formats want it: what belongs together is one part.

LaTeX writes digits, delimiters and `\not` one after the other; MathML, Word and Typst have numbers,
fences and struck signs. `arrange` finds these in a row, for all formats alike.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from latexocr import latex_tables as tables
from latexocr.errors import ExportError
from latexocr.export_symbols import WORDS, character

# The fences and spaces of the pretty LaTeX are those of all other formats.
from latexocr.latex_pretty import LINKING_WORDS, are_tall, kind_of, matching, set_bars
from latexocr.latex_tree import (
    DOT,
    NOT,
    SYMBOLS,
    Command,
    Grid,
    Node,
    Row,
    Scripts,
    Symbol,
    Text,
    base_of,
    with_base,
)


@dataclass(slots=True, eq=False)
class Fence(Node):
    """Nodes between two delimiters, which are tokens. tall: the delimiters grow with them."""

    left: str
    items: list[Node]
    right: str
    tall: bool


@dataclass(slots=True, eq=False)
class Number(Node):
    """Digits, perhaps with a point: 12.5"""

    digits: str


@dataclass(slots=True, eq=False)
class Words(Node):
    """Running text as it is read, with the spaces that keep it from its neighbours."""

    text: str


@dataclass(frozen=True)
class Style:
    """What the fonts round a part make of it. alphabet: a key of ALPHABETS, or empty."""

    alphabet: str = ""
    bold: bool = False
    upright: bool = False


@dataclass(slots=True)
class Part:
    """A node of an arranged row; its base may be a Fence, Number or Words.

    kind: ordinary, number, words, fence, relation, binary, sign (a binary that has nothing on its
    left), opening, closing, comma or operator."""

    node: Node
    kind: str


SET_BAR = "\u2223"  # stands for the bar of { x | x > 0 }, which has the spaces of a relation
LABELLED = (r"\overbrace", r"\underbrace", r"\overbracket", r"\underbracket")
_SET_BAR = Symbol(SET_BAR)
_INT, _COLON, _EQUALS = SYMBOLS[r"\int"], SYMBOLS[":"], SYMBOLS["="]
_INTEGRALS = {1: r"\int", 2: r"\iint", 3: r"\iiint"}
_SIGNS = frozenset((*tables.BIG_OPERATORS, r"\iint", r"\iiint"))
_SIDE_SCRIPTS = frozenset((*tables.INTEGRALS, r"\iint", r"\iiint", r"\arg"))
_BRACKETS = frozenset(tables.OPENING + tables.CLOSING)
_KETS = (("|", r"\rangle"), (r"\langle", "|"))
_STRUCK_BARS = {"|": "∤", r"\|": "∦", r"\parallel": "∦"}
_STROKE = "\u0338"
# Limits that LaTeX draws with a line or an arrow round the word.
_DRAWN_LIMITS = {
    r"\varlimsup": r"\overline",
    r"\varliminf": r"\underline",
    r"\varinjlim": r"\underrightarrow",
    r"\varprojlim": r"\underleftarrow",
}
_NO_LEFT_SIDE = ("start", "relation", "binary", "sign", "opening", "comma", "operator")


def arrange(items: list[Node]) -> list[Part]:
    r"""The parts of a row.

    Raises: ExportError if `\not` stands before nothing."""
    parts: list[Part] = []
    pairs = matching(items)
    such_that = set_bars(items, pairs)
    items = [_SET_BAR if n in such_that else item for n, item in enumerate(items)]
    fences = _fences(items, pairs)
    at = 0
    while at < len(items):
        before = parts[-1].kind if parts else "start"
        if at in fences:
            part, end = _fence(items, at, fences[at]), fences[at] + 1
        else:
            part, end = _next_part(items, at, before)
        if part.kind == "binary" and before in _NO_LEFT_SIDE:
            part.kind = "sign"
        parts.append(part)
        at = end
    return parts


def _next_part(items: list[Node], at: int, before: str) -> tuple[Part, int]:
    """The part that begins at `at`, and the place after it."""
    item, following = items[at], items[at + 1] if at + 1 < len(items) else None
    if item is _SET_BAR:
        return Part(item, "relation"), at + 1
    if item is NOT:
        return _struck(following), at + 2
    if item is _INT and base_of(following) is _INT:
        return _integrals(items, at)
    if item is _COLON and base_of(following) is _EQUALS:
        return Part(with_base(following, Symbol("≔")), "relation"), at + 2
    if _starts_number(items, at, before):
        return _number(items, at)
    if isinstance(base_of(item), Text):
        words = _words(base_of(item), at > 0, following is not None)
        return Part(with_base(item, words), "words"), at + 1
    drawn = _DRAWN_LIMITS.get(_token(item))
    if drawn:
        word = Command(drawn, [Row([SYMBOLS[r"\lim"]])])
        return Part(with_base(item, word), "operator"), at + 1
    return Part(item, kind_of(item)), at + 1


def _fences(items: list[Node], pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Opening place -> closing place. Bars are no fence where a delimiter between them belongs to
    something outside, as in `|a> + |b>`: there each bar goes with its angle."""
    matched = {place for pair in pairs for place in pair}
    loose = [n for n, item in enumerate(items) if n not in matched and _token(item) in _BRACKETS]
    fences = {
        left: right
        for left, right in pairs
        if _token(items[left]) in _BRACKETS or not any(left < n < right for n in loose)
    }
    return fences | _kets(items, fences)


def _kets(items: list[Node], fences: dict[int, int]) -> dict[int, int]:
    inside = {n for left, right in fences.items() for n in range(left, right + 1)}
    marks = _BRACKETS | {"|"}
    loose = [n for n, item in enumerate(items) if n not in inside and _token(item) in marks]
    kets: dict[int, int] = {}
    for left, right in pairwise(loose):
        ends = (_token(items[left]), _token(items[right]))
        if ends in _KETS and isinstance(items[left], Symbol) and left not in kets.values():
            kets[left] = right
    return kets


def _fence(items: list[Node], left: int, right: int) -> Part:
    inside = items[left + 1 : right]
    fence = Fence(_token(items[left]), inside, _token(items[right]), are_tall(inside))
    return Part(with_base(items[right], fence), "fence")


def _token(item: Node | None) -> str:
    """The token of a symbol, with or without scripts; empty for other nodes."""
    base = base_of(item)
    return base.token if isinstance(base, Symbol) else ""


def _struck(node: Node | None) -> Part:
    r"""What `\not` strikes: a character of its own where Unicode has one, else with a stroke."""
    if node is None:
        raise ExportError(r"expected a symbol after \not, got the end of the row")
    token = _token(node)
    if not token or token in WORDS or len(character(token)) > 1:
        return Part(with_base(node, Command(r"\cancel", [Row([base_of(node)])])), kind_of(node))
    struck = unicodedata.normalize("NFC", character(token) + _STROKE)
    return Part(with_base(node, Symbol(_STRUCK_BARS.get(token, struck))), kind_of(node))


def _integrals(items: list[Node], at: int) -> tuple[Part, int]:
    """Two or three integral signs as one; the scripts of the last are the scripts of all."""
    end = at
    while end < min(len(items), at + 3) and base_of(items[end]) is _INT:
        end += 1
        if isinstance(items[end - 1], Scripts):
            break
    sign = Symbol(_INTEGRALS[end - at])
    return Part(with_base(items[end - 1], sign), "operator"), end


def _starts_number(items: list[Node], at: int, before: str) -> bool:
    if _token(items[at]).isdecimal():
        return True
    digit_follows = at + 1 < len(items) and _token(items[at + 1]).isdecimal()
    return items[at] is DOT and digit_follows and before in _NO_LEFT_SIDE


def _number(items: list[Node], at: int) -> tuple[Part, int]:
    """Digits with the points between them. Scripts on the last digit are scripts of the number."""
    end, digits = at, ""
    while end < len(items):
        digit_follows = end + 1 < len(items) and _token(items[end + 1]).isdecimal()
        point = items[end] is DOT and "." not in digits and digit_follows
        if not point and not _token(items[end]).isdecimal():
            break
        digits += _token(items[end])
        end += 1
        if isinstance(items[end - 1], Scripts):
            break
    return Part(with_base(items[end - 1], Number(digits)), "number"), end


def _words(node: Text, before: bool, after: bool) -> Words:
    """before, after: whether something stands there, from which a linking word keeps away."""
    text = _plain_text(node)
    linking = " " in text or LINKING_WORDS.fullmatch(text)
    return Words(f"{' ' * before}{text}{' ' * after}") if linking else Words(text)


def _plain_text(node: Text) -> str:
    """A text without LaTeX's escapes."""
    return "".join(" " if c == "~" else c.removeprefix("\\") for c in node.characters)


def is_large_sign(node: Node) -> bool:
    """Whether an operator, perhaps with scripts, is a sign like ∑; the others are words."""
    return _token(node) in _SIGNS


def has_limits(base: Node) -> bool:
    """Whether LaTeX puts the scripts of a base below and above it in a display."""
    if isinstance(base, Command):
        drawn = base.name in _DRAWN_LIMITS.values() and base.args[0].items == [SYMBOLS[r"\lim"]]
        return base.name in LABELLED or drawn
    return _token(base) in tables.LIMIT_BASES and _token(base) not in _SIDE_SCRIPTS


def operator_name(node: Command) -> str:
    r"""The word of an `\operatorname`; empty if it is more than letters, digits and marks."""
    symbols = node.args[0].items
    plain = all(isinstance(item, Symbol) and len(item.token) == 1 for item in symbols)
    return "".join(item.token for item in symbols) if plain else ""


def aligned_cells(rows: list[list[Row]]) -> Iterator[tuple[list[Part], list[Part]]]:
    """Each row in two: what is before its first relation, and what begins with it."""
    for row in rows:
        parts = arrange(row[0].items)
        place = next((n for n, part in enumerate(parts) if part.kind == "relation"), 0)
        yield parts[:place], parts[place:]


def check_characters(items: list[Node]) -> None:
    """Refuses characters that XML forbids or that nobody sees: control characters, surrogates.

    Raises: ExportError with the number of the character."""
    for token in _leaves(items):
        wrong = next((c for c in token if not c.isprintable()), "")
        if wrong:
            raise ExportError(f"expected printable characters, got U+{ord(wrong):04X}")


def _leaves(items: list[Node]) -> Iterator[str]:
    for item in items:
        match item:
            case Symbol(token):
                yield token
            case Text(characters):
                yield from characters
            case Row(inner):
                yield from _leaves(inner)
            case Scripts(base, sub, sup):
                yield from _leaves([base, *(script for script in (sub, sup) if script)])
            case Command():
                yield from _leaves([*item.args, *([item.option] if item.option else [])])
            case Grid(rows=rows):
                yield from _leaves([cell for row in rows for cell in row])
