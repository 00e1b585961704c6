"""Further things to learn beside reading, each off by default: how many of each token a picture
shows, and to write formulas from their end.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CountingHead(nn.Module):
    """Says of each cell how much of each token it shows; summed, how many of them the picture has.

    Source: Li et al. 2022 (CAN), arXiv:2207.11463, section 3.2; one head in place of two, and the
    counts are only learnt, not told to the decoder."""

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.share = nn.Linear(hidden_size, vocab_size)
        nn.init.constant_(self.share.bias, -6.0)  # a cell shows next to nothing of most tokens

    def forward(self, features: Tensor, mask: Tensor | None, labels: Tensor) -> Tensor:
        """Smooth L1 distance from the true counts, per token of the labels.

        Args: features (B, N, C) of cells; mask (B, N), True on a picture's own; labels (B, T),
            negative where there is none. The end token is one of each picture."""
        shares = self.share(features).float().sigmoid()
        if mask is not None:
            shares = shares * mask[..., None]
        known = labels >= 0
        truth = torch.zeros_like(shares[:, 0]).scatter_add_(1, labels.clamp_min(0), known.float())
        return F.smooth_l1_loss(shares.sum(dim=1), truth, reduction="sum") / known.sum()


def from_the_end(
    input_ids: Tensor, labels: Tensor, token_symbols: Tensor, padding: int, ignored: int, none: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same formulas, to be written from their end: it begins with the end token.

    Args: input_ids, labels and token_symbols (B, T) as in objective.Batch; padding, ignored and
        none, what these three hold where there is nothing.
    Returns: the three turned round. Source: Zhao et al. 2021 (BTTR), arXiv:2105.02412, section 3.4.
    """
    lengths = (labels != ignored).sum(dim=1, keepdim=True)
    from_end = lengths - 1 - torch.arange(labels.shape[1], device=labels.device)  # (B, T)
    is_token, at = from_end >= 0, from_end.clamp_min(0)
    inputs = torch.where(is_token, labels.gather(1, at), padding)
    targets = torch.where(is_token, input_ids.gather(1, at), ignored)
    # What an input token wrote, it wrote as the label one place before it; the start token nowhere.
    symbols = token_symbols.gather(1, (at - 1).clamp_min(0))
    return inputs, targets, torch.where(from_end >= 1, symbols, none)
