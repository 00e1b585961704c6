r"""Formulas of lists, some of their symbols exchanged for rarer ones of the same kind.

    python -m trainer.data.rare LISTS... --out rare.txt --count 150000
    accelerate launch trainer/finetune.py ... --formulas "[formulas.tar.gz, rare.txt]"

What people write has a long tail: of ten thousand formulas of the lists seven have an `\exists`,
one has a `\cot`, and a recogniser that has seen a symbol ten times reads it by chance. Here
relations become other relations, letters other letters, letters with a mark or arguments of a
function, and so on; rarer symbols less often, though far more often than in the lists. The same
seed gives the same formulas.
"""

from __future__ import annotations

import argparse
import string
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from latexocr import latex_tables as tables
from trainer.data.ink import (
    HELD_OUT_LISTS,
    TRAINING_LISTS,
    read_lines,
    training_form,
    write_lines,
)

MAX_TOKENS = 40
COMMON = 150.0  # of 10,000 formulas; symbols with more are not put in
RAREST = 0.3  # of 10,000 formulas; what has less counts as if it had so many
EVENNESS = 0.6  # 0: as often as in the lists; 1: all equally often

_RELATIONS = ("=", "<", ">", *tables.RELATIONS)
_FENCES = dict(zip(tables.OPENING, tables.CLOSING, strict=True)) | {r"\|": r"\|", "|": "|"}
_LARGE = tuple(token for token in tables.BIG_OPERATORS if token not in tables.INTEGRALS)
_LETTERS = (*string.ascii_letters, *tables.GREEK)
_LETTERLIKE = (
    *(r"\infty", r"\emptyset", r"\varnothing", r"\hbar", r"\ell", r"\wp", r"\Re", r"\Im"),
    *(r"\imath", r"\jmath", r"\aleph", r"\beth", r"\top", r"\bot", r"\complement", r"\eth"),
    *(r"\mho", r"\flat", r"\sharp", r"\natural", r"\Box", r"\Diamond", r"\triangle"),
    *(r"\bullet", r"\star"),
)
_PREFIXES = (
    *(r"\forall", r"\exists", r"\neg", r"\nabla", r"\partial", r"\angle", r"\sharp", r"\surd"),
    r"\complement",
)
_FONTS = (r"\mathcal", r"\mathbb", r"\mathfrak", r"\mathbf")
_ACCENTS = (
    *(r"\hat", r"\tilde", r"\bar", r"\vec", r"\dot", r"\ddot", r"\check", r"\breve", r"\acute"),
    *(r"\grave", r"\mathring", r"\overline", r"\underline", r"\overrightarrow", r"\overleftarrow"),
)
_SUFFIXES = ("!", r"\prime", r"\%", "?", r"\dagger", r"\ddagger", r"\star", r"\circ")
_PUNCTUATION = (",", ".", ";", ":", "?", "!")
_NO_MATHS = frozenset((r"\text", r"\operatorname"))


class Exchanger:
    """Exchanges symbols in canonical tokens."""

    def __init__(self, counts: Counter[str], n_formulas: int) -> None:
        """Args: counts, in how many of n_formulas each token stands."""
        self._shares = {token: 1e4 * n / max(1, n_formulas) for token, n in counts.items()}
        kinds = (
            (_RELATIONS, _RELATIONS),
            (tables.BINARY, tables.BINARY),
            (tables.OPERATORS, tables.OPERATORS),
            (tables.INTEGRALS, tables.INTEGRALS),
            (_LARGE, _LARGE),
            (_LETTERS, _LETTERS + _LETTERLIKE),
            (_PUNCTUATION, _PUNCTUATION),
        )
        # Where a token is of two kinds, as * and |, the first one counts.
        self._kind_of = {token: others for kind, others in reversed(kinds) for token in kind}

    def exchanged(self, tokens: Sequence[str], rng: np.random.Generator) -> list[str]:
        """The tokens with one to four changes, as far as there is anything to change."""
        tokens = list(tokens)
        for _ in range(1 + min(3, int(rng.poisson(0.8)))):
            draw = rng.random()
            if draw < 0.6:
                tokens = self._symbol(tokens, rng)
            elif draw < 0.8:
                tokens = self._marked(tokens, rng)
            elif draw < 0.88:
                tokens = self._fenced(tokens, rng)
            elif draw < 0.95:
                tokens = self._named(tokens, rng)
            else:
                tokens = self._beside(tokens, rng)
        return tokens

    def _chosen(self, options: Sequence[str], rng: np.random.Generator) -> str:
        shares = np.array([self._shares.get(option, 0.0) for option in options])
        weights = np.maximum(shares, RAREST) ** (1 - EVENNESS) * (shares <= COMMON)
        if not weights.any():
            weights = np.ones(len(options))
        return options[int(rng.choice(len(options), p=weights / weights.sum()))]

    def _symbol(self, tokens: list[str], rng: np.random.Generator) -> list[str]:
        """Another symbol of its kind in place of one; of a letter mostly wherever it stands."""
        free = _mathematics(tokens)
        places = [place for place in free if tokens[place] in self._kind_of]
        if not places:
            return tokens
        # Letters are many: without more weight the others would hardly change.
        weights = np.array([1.0 if tokens[place] in _LETTERS else 3.0 for place in places])
        place = places[int(rng.choice(len(places), p=weights / weights.sum()))]
        old, new = tokens[place], self._chosen(self._kind_of[tokens[place]], rng)
        everywhere = old in _LETTERS and rng.random() < 0.7
        return [
            new if token == old and (i == place or (everywhere and i in free)) else token
            for i, token in enumerate(tokens)
        ]

    def _marked(self, tokens: list[str], rng: np.random.Generator) -> list[str]:
        """A letter under a mark, or in another font."""
        place = _some_letter(tokens, rng)
        if place is None:
            return tokens
        marks = _ACCENTS + _FONTS if tokens[place].isalpha() else _ACCENTS
        mark = self._chosen(marks, rng)
        return [*tokens[:place], mark, "{", tokens[place], "}", *tokens[place + 1 :]]

    def _fenced(self, tokens: list[str], rng: np.random.Generator) -> list[str]:
        """Other fences in place of parentheses; a binomial in place of a fraction."""
        if r"\frac" in tokens and rng.random() < 0.15:
            place = tokens.index(r"\frac")
            return [*tokens[:place], r"\binom", *tokens[place + 1 :]]
        pairs = _pairs(tokens)
        if not pairs:
            return tokens
        left, right = pairs[int(rng.integers(len(pairs)))]
        opening = self._chosen(tuple(_FENCES), rng)
        tokens = tokens.copy()
        tokens[left], tokens[right] = opening, _FENCES[opening]
        return tokens

    def _named(self, tokens: list[str], rng: np.random.Generator) -> list[str]:
        """A function's name before a letter, sometimes raised to a power."""
        place = _some_letter(tokens, rng)
        if place is None:
            return tokens
        name = [self._chosen(tables.OPERATORS, rng)]
        if rng.random() < 0.2:
            power = ["2"] if rng.random() < 0.5 else ["-", "1"]
            name += ["^", "{", *power, "}"]
        return [*tokens[:place], *name, *tokens[place:]]

    def _beside(self, tokens: list[str], rng: np.random.Generator) -> list[str]:
        """A quantifier or the like before a letter, or a factorial or the like after it."""
        place = _some_letter(tokens, rng)
        if place is None:
            return tokens
        if rng.random() < 0.7:
            return [*tokens[:place], self._chosen(_PREFIXES, rng), *tokens[place:]]
        if tokens[place + 1 : place + 2] in (["^"], ["_"]):
            return tokens
        sign = self._chosen(_SUFFIXES, rng)
        raised = ["^", "{", sign, "}"] if sign.startswith("\\") and sign != r"\%" else [sign]
        return [*tokens[: place + 1], *raised, *tokens[place + 1 :]]


def rare_formulas(
    lines: Sequence[str], count: int, seed: int = 0, forbidden: Collection[str] = ()
) -> list[str]:
    """So many different canonical formulas; fewer if the lines give no more.

    Args: lines, LaTeX; what does not parse or is too long is left out. forbidden, canonical
        formulas that must not come out."""
    rng = np.random.default_rng(seed)
    canonical = []
    for index in rng.permutation(len(lines)):
        tokens = (training_form(lines[index]) or "").split()
        if 1 < len(tokens) <= MAX_TOKENS:
            canonical.append(tokens)
        if len(canonical) >= count:
            break
    exchanger = Exchanger(
        Counter(token for tokens in canonical for token in set(tokens)), len(canonical)
    )
    found: dict[str, None] = {}
    for tokens in canonical * 3:
        formula = training_form(" ".join(exchanger.exchanged(tokens, rng)))
        if formula and formula != " ".join(tokens) and formula not in forbidden:
            found[formula] = None
        if len(found) >= count:
            break
    return list(found)


def _mathematics(tokens: Sequence[str]) -> list[int]:
    """Places outside of words and names."""
    places, depth, words = [], 0, None
    for place, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if words is not None and token == "}" and depth == words:
            words = None
        elif words is None and token in _NO_MATHS:
            words = depth
        elif words is None:
            places.append(place)
    return places


def _pairs(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Places of parentheses that belong together, in the same group and the same cell."""
    pairs: list[tuple[int, int]] = []
    waiting: list[list[int]] = [[]]
    for place, token in enumerate(tokens):
        if token == "{" or token.startswith(r"\begin"):
            waiting.append([])
        elif (token == "}" or token.startswith(r"\end")) and len(waiting) > 1:
            waiting.pop()
        elif token in ("&", r"\\"):
            waiting[-1].clear()
        elif token == "(":
            waiting[-1].append(place)
        elif token == ")" and waiting[-1]:
            pairs.append((waiting[-1].pop(), place))
    return pairs


def _some_letter(tokens: Sequence[str], rng: np.random.Generator) -> int | None:
    """Place of a letter, None if there is none."""
    places = [place for place in _mathematics(tokens) if tokens[place] in _LETTERS]
    return places[int(rng.integers(len(places)))] if places else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", type=Path, nargs="+", help=".txt, folder or .tar.gz")
    parser.add_argument("--out", type=Path, required=True, help="text file to write")
    parser.add_argument("--count", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = list(read_lines(options.lists, TRAINING_LISTS))
    # A single file is a list to train on, whatever its name.
    collections = [path for path in options.lists if path.suffix != ".txt"]
    forbidden = {training_form(line) for line in read_lines(collections, HELD_OUT_LISTS)}
    formulas = rare_formulas(lines, options.count, options.seed, forbidden)
    write_lines(options.out, formulas)
    print(f"{options.out}: {len(formulas)} formulas")


if __name__ == "__main__":
    main()
