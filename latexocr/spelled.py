r"""Names of functions that were read letter by letter.

`\max`, and three letters that happen to be m, a and x, are the same ink, and sometimes a recogniser
writes the letters. Typeset they are a product in italics, and `sinx` is one of four factors.

    >>> with_names([("s", 0.5), ("i", 1.0), ("n", 1.0), ("x", 0.8)])
    [('\\sin', 0.5), ('x', 0.8)]
"""

import math
from collections.abc import Sequence

from latexocr import latex_tables as tables

MIN_LETTERS = 3  # l n and P r are products as often
_NAMES = {name[1:]: name for name in tables.OPERATORS if len(name) > MIN_LETTERS}
# After these an argument of one letter may follow at once; others begin too many words.
_OF_LETTERS = frozenset(
    name for name in _NAMES if any(stem in name for stem in ("sin", "cos", "tan", "log"))
)
_NO_ARGUMENTS = frozenset("es")  # but the ends of sine and logs
# Commands whose argument is letters, or stands in a face of its own.
_LETTERED = frozenset(
    (r"\text", r"\operatorname", r"\mathbf", r"\mathbb", r"\mathcal", r"\mathfrak")
)

Token = tuple[str, float]


def with_names(tokens: Sequence[Token]) -> list[Token]:
    """Canonical tokens, each with its probability, where letters that spell a name became one token
    with the probability of them all.

    A name begins where a row of letters does, and ends where that ends, or a letter before:
    `a r c t a n x`, but not `x m a x`."""
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        end, name = at + 1, None
        if tokens[at][0] in _LETTERED:
            end = _group_end(tokens, end)
        elif _is_letter(tokens[at][0]):
            while end < len(tokens) and _is_letter(tokens[end][0]):
                end += 1
            name = _name("".join(token for token, _ in tokens[at:end]))
        if name:
            rest = at + len(name)
            found.append((_NAMES[name], math.prod(share for _, share in tokens[at:rest])))
            at = rest
        found += tokens[at:end]
        at = end
    return found


def _name(letters: str) -> str | None:
    if letters in _NAMES:
        return letters
    name, argument = letters[:-1], letters[-1]
    return name if name in _OF_LETTERS and argument not in _NO_ARGUMENTS else None


def _is_letter(token: str) -> bool:
    return len(token) == 1 and token.isascii() and token.isalpha()


def _group_end(tokens: Sequence[Token], at: int) -> int:
    """Where the group that begins at a place has ended."""
    n_open = 0
    for place in range(at, len(tokens)):
        n_open += (tokens[place][0] == "{") - (tokens[place][0] == "}")
        if n_open == 0:
            return place + 1
    return len(tokens)
