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
from trainer.adapter import VOCABULARY_RANK, balanced, rank_of, tables_of, vocabulary_of


class LowRankChange(nn.Module):
    """What is added to a frozen matrix or kernel: left (C_out, R) times right (R, C_in)."""

    def __init__(self, change: Tensor, rank: int) -> None:
        """Args: change, to start from."""
        super().__init__()
        matrix = change.flatten(1)
        if matrix.any():
            left, right = balanced(matrix, rank)
        else:
            left = torch.zeros(len(matrix), rank)
            right = torch.randn(rank, matrix.shape[1]) / matrix.shape[1] ** 0.5
        self.left, self.right = nn.Parameter(left.contiguous()), nn.Parameter(right.contiguous())

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.left @ self.right).view_as(weight)


def train_low_rank(model: RecognizerModel, base: Mapping[str, Tensor], rank: int) -> None:
    """Keep the matrices of base, a state dict of such a model, and train what is added to them.
    The model goes on from its own weights as nearly as a change of this rank allows."""
    tables, vocabulary = tables_of(model), vocabulary_of(model).data_ptr()
    of_vocabulary: LowRankChange | None = None  # the same one where tokens are read and written
    for name, module in list(model.named_modules()):
        for key, weight in list(module.named_parameters(recurse=False)):
            if weight.ndim == 1:
                continue
            weight.requires_grad_(False)
            is_vocabulary = weight.data_ptr() == vocabulary
            if is_vocabulary and of_vocabulary is not None:
                parametrize.register_parametrization(module, key, of_vocabulary)
                continue
            change = weight.detach() - base[f"{name}.{key}"]
            weight.data.copy_(base[f"{name}.{key}"])
            own_rank = rank_of(tuple(weight.shape), VOCABULARY_RANK if is_vocabulary else rank)
            if own_rank and (is_vocabulary or weight.data_ptr() not in tables):
                trained = LowRankChange(change, own_rank)
                parametrize.register_parametrization(module, key, trained)
                of_vocabulary = trained if is_vocabulary else of_vocabulary


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
