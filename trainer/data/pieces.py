r"""Parts of handwritten formulas as formulas of their own: what stands in braces, the sides of a
relation, the terms of a sum.

The ink is the writer's, so the parts look exactly as in their formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from latexocr import latex_tables as tables
from latexocr.errors import TexError
from latexocr.latex import canonical
from trainer.data.examples import symbol_latex
from trainer.data.layout import inked_tokens
from trainer.data.strokes import Ink, Symbol

_OPENING = frozenset(("{", "(", "[", r"\{", r"\begin{matrix}", r"\begin{cases}"))
_CLOSING = frozenset(("}", ")", "]", r"\}", r"\end{matrix}", r"\end{cases}"))
_RELATIONS = frozenset(tables.RELATIONS)
_CUTS = _RELATIONS | frozenset(("+", "-", ",", r"\pm"))


def piece_inks(
    inks: Iterable[Ink], min_symbols: int = 2, max_symbols: int | None = None
) -> list[Ink]:
    """All parts of formulas whose symbols can be told from their tokens one by one.

    Args: inks, segmented; min_symbols and max_symbols of a part.
    Returns: inks named after their formula and the first and last token, without repeats."""
    pieces: list[Ink] = []
    for ink in inks:
        aligned = _aligned(ink)
        if aligned is None:
            continue
        tokens, symbol_of_token = aligned
        for start, stop in sorted(set(_spans(tokens))):
            owners = [symbol_of_token[i] for i in range(start, stop) if i in symbol_of_token]
            fits = min_symbols <= len(owners) < len(ink.symbols)
            if fits and (max_symbols is None or len(owners) <= max_symbols):
                piece = _cut(ink, tokens, start, stop, owners)
                pieces += [piece] if piece else []
    return pieces


def _aligned(ink: Ink) -> tuple[list[str], dict[int, int]] | None:
    """Canonical tokens, and which symbol each writes; None where they do not match one by one."""
    try:
        tokens = canonical(ink.latex).split()
    except TexError:
        return None
    places = inked_tokens(tokens)
    labels = [r"\frac" if s.is_fraction else symbol_latex(s.label) for s in ink.symbols]
    if [tokens[place] for place in places] != labels:
        return None
    return tokens, {place: symbol for symbol, place in enumerate(places)}


def _spans(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and one past the last token of each part."""
    yield from _sides(tokens, 0, len(tokens))
    waiting: list[int] = []
    for place, token in enumerate(tokens):
        if token == "{":
            waiting.append(place)
        elif token == "}" and waiting:
            start = waiting.pop() + 1
            yield start, place
            yield from _sides(tokens, start, place)


def _sides(tokens: Sequence[str], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Runs between two cuts at the outermost level: sides of relations, and terms."""
    for cuts in (_RELATIONS, _CUTS):
        depth, at = 0, start
        for place in range(start, stop):
            token = tokens[place]
            depth += (token in _OPENING) - (token in _CLOSING)
            if not depth and token in cuts:
                yield at, place
                at = place + 1
        if at > start:
            yield at, stop


def _cut(
    ink: Ink, tokens: Sequence[str], start: int, stop: int, owners: Sequence[int]
) -> Ink | None:
    latex = " ".join(tokens[start:stop])
    try:
        if canonical(latex) != latex:
            return None
    except TexError:
        return None
    strokes: list = []
    symbols: list[Symbol] = []
    for owner in owners:
        symbol = ink.symbols[owner]
        first = len(strokes)
        strokes += [ink.strokes[i] for i in symbol.strokes]
        places = tuple(range(first, len(strokes)))
        symbols.append(Symbol(symbol.label, places, symbol.is_fraction))
    return Ink(f"{ink.name}.{start}-{stop}", tuple(strokes), latex, tuple(symbols), ink.writer)
