r"""Where the decoder is on the paper: the place of the last token, told to it with that token.

A decoder that knows only which tokens it has written must find its way by their content, and jumps
to another `a _ { n }` in the middle of a sum. Told the place of the last symbol, it goes on there.
Symbols are where their ink is. Other tokens have no ink and take the place of what they belong to:
`{ ^ _` that of the token before, `}` that of the token before its `{`.

    tracker = PlaceTracker(vocabulary)
    for token_id, place in ...: place_of_token = tracker.step(token_id, place)
"""

from __future__ import annotations

import torch
from torch import Tensor

NOWHERE = (-1.0, -1.0)

# Tokens of canonical LaTeX that no ink belongs to.
UNWRITTEN = frozenset(
    ("{", "}", "_", "^", "&", "~", "\\\\", r"\text", r"\operatorname", r"\mathbf", r"\mathbb",
     r"\mathcal", r"\mathfrak", r"\overset", r"\underset", r"\substack", r"\begin{matrix}",
     r"\end{matrix}", r"\end{cases}", r"\begin{aligned}", r"\end{aligned}", "<s>", "</s>", "<pad>")
)  # fmt: skip

Place = tuple[float, float]


class PlaceTracker:
    """Follows one formula, token by token."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        """Args: vocabulary, id by token."""
        self.opening, self.closing = vocabulary.get("{"), vocabulary.get("}")
        self.unwritten = {vocabulary[token] for token in UNWRITTEN if token in vocabulary}
        self.place: Place = NOWHERE
        self._anchors: list[Place] = []

    def step(self, token_id: int, place: Place | None) -> Place:
        """The place to tell with a token. Args: place, row and column of its ink, if it has any."""
        if token_id == self.opening:
            self._anchors.append(self.place)
        elif token_id == self.closing:
            self.place = self._anchors.pop() if self._anchors else self.place
        elif place is not None and token_id not in self.unwritten:
            self.place = place
        return self.place

    def copy(self) -> PlaceTracker:
        """For a candidate that goes its own way from here on."""
        twin = PlaceTracker.__new__(PlaceTracker)
        twin.__dict__.update(self.__dict__)
        twin._anchors = self._anchors.copy()
        return twin


def looked_at(attentions: tuple[Tensor, ...], columns: int) -> Tensor:
    """The place that guided heads look at, of the newest token.

    Args: attentions (B, heads, T, N) of the guided layers; columns of the grid of N cells.
    Returns: (B, 2), row and column in cells, cell middles being whole numbers plus a half."""
    return cells_looked_at(tuple(layer[:, :, -1:] for layer in attentions), columns)[:, 0]


def cells_looked_at(attentions: tuple[Tensor, ...], columns: int) -> Tensor:
    """As looked_at, of all tokens: (B, T, 2)."""
    weights = torch.stack([guided(layer.float()) for layer in attentions]).mean(dim=0)  # (B, T, N)
    # Squared: a mean of two places that are both looked at would be a third.
    weights = weights.square()
    weights = weights / weights.sum(dim=-1, keepdim=True)
    cell = torch.arange(weights.shape[-1], device=weights.device)
    middles = torch.stack([cell // columns, cell % columns], dim=1) + 0.5  # (N, 2)
    return weights @ middles.to(weights.dtype)


def guided(attention: Tensor) -> Tensor:
    """Mean over the heads that are trained to look at the symbol: the first half of them.

    Args: attention (B, heads, ...). Returns: (B, ...)."""
    return attention[:, : max(1, attention.shape[1] // 2)].mean(dim=1)
