"""Random truths and readings, to hold our metrics against those of other libraries."""

import random

VOCABULARY = [*"abcx2+-=()", r"\alpha", r"\leq"]  # that canonical forms leave as they are


def random_pairs(n_pairs: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Sequences of tokens, some alike and some less so."""
    rng = random.Random(seed)
    pairs = []
    for _ in range(n_pairs):
        truth = rng.choices(VOCABULARY, k=rng.randint(1, 40))
        reading = [t for t in truth if rng.random() < 0.9]
        for _ in range(rng.randint(0, 4)):
            reading.insert(rng.randint(0, len(reading)), rng.choice(VOCABULARY))
        pairs.append((truth, reading))
    return pairs


def random_formulas(n_pairs: int, seed: int) -> list[tuple[str, str]]:
    """The same as formulas; comparable forms leave them as they are."""
    return [(" ".join(truth), " ".join(read)) for truth, read in random_pairs(n_pairs, seed)]
