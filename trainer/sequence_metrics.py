"""Measures of the field on sequences of tokens: BLEU-4, normalised edit distance, perplexity.

Papers on printed formulas report the first two. They depend on how LaTeX is cut into tokens and
normalised, so figures of other projects are comparable in size only, not to the last digit.
"""

import math
from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from latexocr.latex import canonical
from trainer.metrics import comparable_tokens

BLEU_ORDER = 4  # n-grams of 1 to so many tokens


def paired(truths: Sequence[str], readings: Sequence[str]) -> list[tuple[str, str]]:
    """Each truth with its reading.

    Raises: ValueError if the lists differ in length or are empty."""
    if len(truths) != len(readings) or not truths:
        raise ValueError(
            "expected as many readings as truths, at least one, "
            f"got {len(readings)} and {len(truths)}"
        )
    return list(zip(truths, readings, strict=True))


def bleu(truths: Sequence[str], readings: Sequence[str]) -> float:
    """BLEU-4 of a set of formulas on comparable tokens, percent.

    exp(mean over n = 1..4 of log p_n) * min(1, exp(1 - truth tokens / read tokens)), where p_n is
    the share of the readings' n-grams that their truths have too, each no more often than there.
    Counts are summed over the whole set before they are divided, without smoothing: a set without
    a single common n-gram of four tokens scores 0.
    Raises: ValueError if the lists differ in length or are empty.
    Source: Papineni et al. 2002, doi:10.3115/1073083.1073135, as multi-bleu.perl computes it, which
    im2markup uses (Deng et al. 2017, arXiv:1609.04938)."""
    pairs = [tuple(_tokens(latex) for latex in pair) for pair in paired(truths, readings)]
    return bleu_of_tokens([truth for truth, _ in pairs], [reading for _, reading in pairs])


def bleu_of_tokens(truths: Sequence[Sequence[str]], readings: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of sequences of any tokens, percent; see bleu."""
    log_precisions = []
    for n in range(1, BLEU_ORDER + 1):
        common = total = 0
        for truth, reading in zip(truths, readings, strict=True):
            read = _ngrams(reading, n)
            common += (read & _ngrams(truth, n)).total()
            total += read.total()
        if not common:
            return 0.0
        log_precisions.append(math.log(common / total))
    n_true, n_read = sum(map(len, truths)), sum(map(len, readings))
    brevity = min(0.0, 1 - n_true / n_read)
    return round(100 * math.exp(brevity + sum(log_precisions) / BLEU_ORDER), 2)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1))


def edit_score(truths: Sequence[str], readings: Sequence[str]) -> float:
    """1 - edits / length of the longer, percent, on comparable tokens; 100 is perfect.

    Edits (insertions, deletions, substitutions) and lengths are summed over the whole set before
    they are divided.
    Raises: ValueError if the lists differ in length or are empty.
    Source: the edit distance score of im2markup (Deng et al. 2017, arXiv:1609.04938)."""
    edits = longest = 0
    for truth, reading in paired(truths, readings):
        true_tokens, read_tokens = _tokens(truth), _tokens(reading)
        edits += Levenshtein.distance(true_tokens, read_tokens)
        longest += max(len(true_tokens), len(read_tokens))
    return round(100 * (1 - edits / longest), 2) if longest else 100.0


def perplexity(truths: Sequence[str], log_probabilities: Sequence[float]) -> float:
    """How many tokens a model hesitates between, on average: 1 is sure and right.

    exp(- sum of the log probabilities / number of canonical tokens), the end token of each formula
    counted, padding not.
    Args: log_probabilities, for each truth the natural logarithm of the probability that the model
        gives to all of its tokens together, the end token included.
    Raises: ValueError if the lists differ in length or are empty; TexError if a truth does not
        parse, for then a model cannot have given it a probability.
    Source: Jelinek et al. 1977, doi:10.1121/1.2016299."""
    if len(truths) != len(log_probabilities) or not truths:
        raise ValueError(
            "expected a log probability for each truth, at least one, "
            f"got {len(log_probabilities)} and {len(truths)}"
        )
    n_tokens = sum(len(canonical(truth).split()) + 1 for truth in truths)
    return math.exp(-math.fsum(log_probabilities) / n_tokens)


def _tokens(latex: str) -> list[str]:
    return comparable_tokens(latex)[0]
