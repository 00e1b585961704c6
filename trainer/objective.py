"""What a recogniser is trained to do: predict the next token, and say which symbol each cell shows.

The second task needs ink that is segmented by symbol. It tells the encoder directly which symbol is where,
which it would otherwise have to find out through the decoder's attention; at inference it is left out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from latexocr.modeling import RecognizerModel

IGNORE = -100


@dataclass
class Batch:
    """Pictures of one batch and what they say.

    pixel_values (B, 1, H, W) float32, 0 to 1; picture_sizes (B, 2) int64, pixels; input_ids and labels
    (B, T) int64, labels shifted by one and IGNORE where padded; cells (B, H/8 * W/8) int64, the id of the
    symbol that a cell shows, IGNORE where unknown or blank."""

    pixel_values: Tensor
    picture_sizes: Tensor
    input_ids: Tensor
    labels: Tensor
    cells: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(**{key: value.to(device) for key, value in vars(self).items()})

    @property
    def n_tokens(self) -> int:
        return int((self.labels != IGNORE).sum())


@dataclass
class LossSums:
    """Sums over a batch, so that batches can be joined exactly. objective is what is minimised."""

    objective: Tensor
    token_loss: Tensor  # unsmoothed cross-entropy, summed over tokens
    n_right: Tensor  # tokens predicted right, the true ones before them given
    cell_loss: Tensor  # mean over the labelled cells


class TrainingModel(nn.Module):
    """The recogniser with the head of the auxiliary task; its forward pass returns the losses."""

    def __init__(
        self, recognizer: RecognizerModel, label_smoothing: float, cell_loss_weight: float
    ) -> None:
        super().__init__()
        self.recognizer = recognizer
        self.label_smoothing = label_smoothing
        self.cell_loss_weight = cell_loss_weight
        self.cell_head = nn.Linear(
            recognizer.config.encoder.hidden_size, recognizer.config.decoder.vocab_size
        )

    def forward(
        self,
        pixel_values: Tensor,
        picture_sizes: Tensor,
        input_ids: Tensor,
        labels: Tensor,
        cells: Tensor,
    ) -> LossSums:
        """Arguments as in Batch. The cell loss counts as many times as there are tokens, so that its
        weight does not depend on how many cells a batch has."""
        out = self.recognizer(
            pixel_values=pixel_values,
            picture_sizes=picture_sizes,
            decoder_input_ids=input_ids,
            use_cache=False,
        )
        logits = out.logits.float().flatten(0, 1)  # (B * T, V)
        target = labels.flatten()
        smoothed = F.cross_entropy(
            logits, target, label_smoothing=self.label_smoothing, reduction="sum"
        )
        cell_loss = self._cell_loss(out.encoder_last_hidden_state, cells)
        objective = smoothed + self.cell_loss_weight * cell_loss * (target != IGNORE).sum()
        with torch.no_grad():
            token_loss = F.cross_entropy(logits, target, reduction="sum")
            n_right = (logits.argmax(dim=1) == target).sum()
        return LossSums(objective, token_loss, n_right, cell_loss.detach())

    def _cell_loss(self, features: Tensor, cells: Tensor) -> Tensor:
        known = cells != IGNORE
        if not self.cell_loss_weight or not known.any():
            # The head must take part all the same: DDP waits for every parameter's gradient.
            return self.cell_head(features[:, 0]).float().sum() * 0.0
        return F.cross_entropy(self.cell_head(features[known]).float(), cells[known])
