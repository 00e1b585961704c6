"""Training a change of the weights that trainer/adapter.py can write into a small file.

The weights stay as they are. Beside each matrix, that of the vocabulary's vectors among them, a
product of two thin ones is trained, and biases and norms as a whole; other embeddings stay.

Source: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", arXiv:2106.09685.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from latexocr.modeling import RecognizerModel
from trainer.adapter import balanced, ranks_of_changes

# By what the product is multiplied (alpha / r in section 4.1): a step of the thin matrices moves
# the sum less far than the same step of all weights would.
SCALE = 3.0


class LowRankChange(nn.Module):
    """What is added to a frozen matrix or kernel: SCALE * left (C_out, R) @ right (R, C_in)."""

    def __init__(self, change: Tensor, rank: int) -> None:
        """Args: change, to start from."""
        super().__init__()
        matrix = change.flatten(1)
        if matrix.any():
            left, right = balanced(matrix / SCALE, rank)
        else:
            left = torch.zeros(len(matrix), rank)
            right = torch.randn(rank, matrix.shape[1]) / matrix.shape[1] ** 0.5
        self.left, self.right = nn.Parameter(left.contiguous()), nn.Parameter(right.contiguous())

    def forward(self, weight: Tensor) -> Tensor:
        return weight + SCALE * (self.left @ self.right).view_as(weight)


def train_low_rank(model: RecognizerModel, base: Mapping[str, Tensor], rank: int) -> None:
    """Keep the matrices of base, a state dict of such a model, and train what is added to them.
    The model goes on from its own weights as nearly as a change of this rank allows."""
    ranks = ranks_of_changes(model, rank)
    made: dict[int, LowRankChange] = {}  # one where tokens are read and written
    for name, module in list(model.named_modules()):
        for key, weight in list(module.named_parameters(recurse=False)):
            if weight.ndim == 1:
                continue
            weight.requires_grad_(False)
            place = weight.data_ptr()
            if place not in made:
                start = base[f"{name}.{key}"]
                change = weight.detach() - start
                weight.data.copy_(start)
                if place not in ranks:
                    continue
                made[place] = LowRankChange(change, ranks[place])
            parametrize.register_parametrization(module, key, made[place])


def merged_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict that the model would have without the parts that are trained beside weights,
    these included in them."""
    before, after = ".parametrizations.", ".original"
    found = {}
    for key, value in model.state_dict().items():
        if before not in key:
            found[key] = value
        elif key.endswith(after):
            name = key.removesuffix(after).replace(before, ".")
            module, _, own = name.rpartition(".")
            found[name] = getattr(model.get_submodule(module), own).detach()
    return found
