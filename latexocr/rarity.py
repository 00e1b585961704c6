r"""Symbols that formulas seldom have are read too seldom.

A recogniser has learnt how often each symbol comes, and where ink could be either it prefers the
common one; the language model does so once more. So a search rewards what is rare. The counts are
those of the formulas that the recogniser learnt to write (trainer/frequencies.py).

    rewards = token_rewards(vocabulary)      # (V,) in nats, by id

Source: logit adjustment, Menon et al. 2021, arXiv:2007.07314, eq. 9, with a limit.
"""

import math
from functools import cache
from importlib.resources import files

import torch
from torch import Tensor

COMMON = 1e-3  # of all tokens: what is as frequent is no rarity
SHARE = 0.5  # of the logarithm of how much rarer a token is
MOST = 1.5  # in nats
COUNTS_FILE = "token_counts.txt"


def token_rewards(vocabulary: dict[str, int]) -> Tensor:
    """What each token of a vocabulary, id by token, is rewarded with: (V,), none below 0. Tokens
    that were not counted are not rewarded."""
    counts = token_counts()
    total = sum(counts.values())
    rewards = torch.zeros(max(vocabulary.values()) + 1)
    for token, place in vocabulary.items():
        if token in counts:
            rarer = COMMON * total / max(1, counts[token])
            rewards[place] = min(MOST, max(0.0, SHARE * math.log(rarer)))
    return rewards


@cache
def token_counts() -> dict[str, int]:
    """How often each canonical token comes in formulas."""
    lines = files("latexocr").joinpath(COUNTS_FILE).read_text("utf-8").splitlines()
    return {token: int(count) for token, _, count in (line.partition("\t") for line in lines)}
