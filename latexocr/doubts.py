r"""Which parts of a reading's LaTeX its recogniser was unsure of.

    >>> doubts("x^2", [("x", 0.99), ("^", 0.98), ("{", 1.0), ("2", 0.4), ("}", 1.0)])
    [Doubt(start=2, end=3, probability=0.4)]

A recogniser writes canonical LaTeX, a person sees the pretty form: braces go, `\left` comes. So the
tokens of the two are laid beside each other, and what has no partner is not doubted.
"""

import math
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from latexocr.latex_tokens import scan

DOUBTFUL = 0.7  # tokens with a lower probability are doubted
MAX_TOKENS = 500  # laying longer ones beside each other takes too long for what it is worth

_BRACES = ("{", "}")


class Doubt(NamedTuple):
    """latex[start:end] was written with this probability, from 0 to 1."""

    start: int
    end: int
    probability: float


def doubts(
    latex: str,
    tokens: Sequence[tuple[str, float]],
    below: float = DOUBTFUL,
    at_least_one: bool = False,
) -> list[Doubt]:
    """The doubtful tokens of a reading, in their order.

    Args: latex, its pretty form; tokens, its canonical ones with their probabilities, as
        Reading.tokens; below, what is doubtful; at_least_one, for a reading that is doubted as a
        whole: then the least likely token is doubtful in any case."""
    written = [(token, probability) for token, probability in tokens if token not in _BRACES]
    least = min((probability for _, probability in written), default=1.0)
    if at_least_one and least < 1:
        below = max(below, math.nextafter(least, 1))
    if len(tokens) > MAX_TOKENS or least >= below:
        return []
    shown = [(token, start) for token, start in scan(latex) if token not in _BRACES]
    matcher = SequenceMatcher(
        None, [token for token, _ in written], [token for token, _ in shown], autojunk=False
    )
    found = []
    for at, place, length in matcher.get_matching_blocks():
        for (token, probability), (_, start) in zip(
            written[at : at + length], shown[place : place + length], strict=True
        ):
            if probability < below:
                found.append(Doubt(start, start + len(token), probability))
    return found
