"""New formulas from real ink: symbols change places with other symbols of their kind.

The writers of CROHME copied a few thousand formulas, many of them again and again, and a decoder
soon knows these by heart instead of looking. Here a letter of a formula becomes another letter,
written by another hand, in the same place and of about the same size, and the truth changes with
it. Layout stays real.

    swapped = SymbolSwapper(inks, token_ids).swap(ink, token_ids, rng)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.data.strokes import Ink

# Symbols that fill the same part of a line; one may stand where another stood.
KINDS = tuple(
    tuple(kind.split())
    for kind in (
        r"a c e m n o r s u v w x z \alpha \sigma \pi",  # as high as an x
        r"0 1 2 3 4 5 6 7 8 9",
        r"A B C E F G H I L M N P R S T V X Y b d h k \Delta \theta \lambda",  # rise above it
        r"g p q y \gamma \mu \beta",  # hang below it
        r"= < > \leq \geq \neq",
        r"+ \times \div \pm",
    )
)
SIZE_JITTER = 0.12  # standard deviation of the logarithm of a new symbol's size
MAX_WIDENING = 1.6  # a new symbol may be so much wider than the old one


@dataclass(frozen=True)
class Swapped:
    """A formula after the change: its ink and its token ids, start and end included."""

    ink: Ink
    token_ids: list[int]
    symbols: list[int]  # token id of each symbol of the ink, as before the change or as swapped in


class SymbolSwapper:
    """Holds the ink of all symbols that can stand in for others."""

    def __init__(
        self, inks: Sequence[Ink], symbol_ids: Sequence[Sequence[int]], vocabulary: dict[str, int]
    ) -> None:
        """Args: symbol_ids, the token id of each symbol of each ink; vocabulary, id by token."""
        kinds = [[vocabulary[token] for token in kind if token in vocabulary] for kind in KINDS]
        self.pool: dict[int, list[tuple[int, int]]] = {
            token: [] for kind in kinds for token in kind
        }
        self.inks = inks
        for i, tokens in enumerate(symbol_ids):
            for k, token in enumerate(tokens):
                if token in self.pool:
                    self.pool[token].append((i, k))
        available = [[token for token in kind if self.pool[token]] for kind in kinds]
        self.choices = {token: kind for kind in available for token in kind if len(kind) > 1}

    def swap(
        self,
        ink: Ink,
        token_ids: Sequence[int],
        symbol_ids: Sequence[int],
        aligned: Sequence[int],
        share: float,
        rng: np.random.Generator,
    ) -> Swapped:
        """Replace about a share of the symbols that have others of their kind.

        Args: symbol_ids, token id of each symbol of the ink; aligned, for each token the symbol
            that it writes, or a negative number; symbols that no token writes stay."""
        tokens, symbols = list(token_ids), list(symbol_ids)
        strokes = {k: [ink.strokes[i] for i in s.strokes] for k, s in enumerate(ink.symbols)}
        for place, k in enumerate(aligned):
            if k < 0 or tokens[place] not in self.choices or rng.random() >= share:
                continue
            new = int(rng.choice(self.choices[tokens[place]]))
            donor, index = self.pool[new][rng.integers(len(self.pool[new]))]
            source = [self.inks[donor].strokes[i] for i in self.inks[donor].symbols[index].strokes]
            strokes[k] = fit(source, strokes[k], rng)
            tokens[place] = symbols[k] = new
        return Swapped(rebuild(ink, strokes), tokens, symbols)


def fit(
    source: Sequence[np.ndarray], target: Sequence[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    """Strokes moved and scaled to stand where the target's stand: about as high, same middle.

    Args: source and target, strokes of (N, 2) each. Returns: float32 strokes."""
    low, high = box(source)
    target_low, target_high = box(target)
    extent, room = np.maximum(high - low, 1e-6), np.maximum(target_high - target_low, 1e-6)
    scale = room.max() / extent.max() if extent[1] < 1e-3 * extent[0] else room[1] / extent[1]
    scale = min(scale, MAX_WIDENING * room.max() / extent[0])
    scale *= np.exp(rng.normal(0, SIZE_JITTER))
    middle, target_middle = (low + high) / 2, (target_low + target_high) / 2
    return [((s - middle) * scale + target_middle).astype(np.float32) for s in source]


def box(strokes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x and y of strokes, (2,) each."""
    points = np.concatenate(strokes)
    return points.min(axis=0), points.max(axis=0)


def rebuild(ink: Ink, strokes: dict[int, list[np.ndarray]]) -> Ink:
    """The ink with other strokes for its symbols; strokes of no symbol stay."""
    owned = {i for symbol in ink.symbols for i in symbol.strokes}
    written = [stroke for i, stroke in enumerate(ink.strokes) if i not in owned]
    symbols = []
    for k, symbol in enumerate(ink.symbols):
        places = range(len(written), len(written) + len(strokes[k]))
        written += strokes[k]
        symbols.append(replace(symbol, strokes=tuple(places)))
    return replace(ink, strokes=tuple(written), symbols=tuple(symbols))
