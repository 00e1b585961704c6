"""Train a recogniser to prefer the truth to what a search would read instead.

accelerate launch trainer/choose.py --config trainer/configs/mixture.yaml \\
    --init runs/mixture/final --reader runs/mixture/int8 --data crohme_train.tar.gz

The ordinary loss asks for each token after the true ones before it. Which of a few whole readings
is likeliest, the language model and the rewards for rare tokens included, it never asks. Here it is
asked too: of each picture a reader, most often the same weights in int8, searches other readings,
and the chance that the truth would be preferred to them is made large.

All settings but reader and choice_weight are those of trainer/finetune.py.
Source: Prabhavalkar et al. 2018, "Minimum word error rate training for attention-based
sequence-to-sequence models", arXiv:1712.01818, with whole formulas for words.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from latexocr.modeling import InkEncoderOutput
from trainer.allocator import use_fast_allocator
from trainer.config import parse_config
from trainer.data.examples import Example
from trainer.finetune import Evaluation, FinetuneConfig, start_trainee, train
from trainer.objective import IGNORE, LossSums, TrainingModel
from trainer.rivals import WithRivals, collate_contested
from trainer.trainee import RecognizerTrainee


@dataclass(frozen=True)
class ChooseConfig(FinetuneConfig):
    """A run of choosing between whole readings."""

    name: str = "choose"
    reader: str = ""  # folder of the recogniser, quantised or not, that is searched for rivals
    choice_weight: float = 4.0  # of a picture, where that of a token is 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.reader or self.model_from:
            raise ValueError(
                "expected --reader, a recogniser's folder, and a recogniser of our own to train, "
                f"got reader {self.reader!r} and model_from {self.model_from}"
            )
        if self.choice_weight < 0:
            raise ValueError(f"expected choice_weight >= 0, got {self.choice_weight}")


class ChoosingModel(nn.Module):
    """A recogniser in training; its forward pass returns the losses, that of wrong choices among
    them."""

    def __init__(self, ordinary: TrainingModel, choice_weight: float) -> None:
        super().__init__()
        self.ordinary, self.choice_weight = ordinary, choice_weight
        self.n_contested = self.n_preferred = 0
        self._encoded: InkEncoderOutput | None = None
        ordinary.recognizer.encoder.register_forward_hook(self._remember_encoded)

    def _remember_encoded(self, _module: nn.Module, _arguments: Any, out: InkEncoderOutput) -> None:
        self._encoded = out

    def forward(
        self,
        contested: Tensor | None = None,
        writings: Tensor | None = None,
        writing_labels: Tensor | None = None,
        writing_places: Tensor | None = None,
        priors: Tensor | None = None,
        **batch: Tensor,
    ) -> LossSums:
        """Arguments as in ContestedBatch, or as in Batch alone."""
        losses = self.ordinary(**batch)
        encoded, self._encoded = self._encoded, None
        if contested is None or not len(contested):
            return losses
        n_ways = writings.shape[1]
        rows = contested.repeat_interleave(n_ways)
        mask = encoded.attention_mask
        out = self.ordinary.recognizer(
            encoder_outputs=InkEncoderOutput(
                encoded.last_hidden_state[rows], None if mask is None else mask[rows]
            ),
            decoder_input_ids=writings.flatten(0, 1),
            places=writing_places.flatten(0, 1),
            use_cache=False,
        )
        scores = log_probabilities(out.logits, writing_labels.flatten(0, 1)).view_as(priors)
        chances = (scores + priors).softmax(dim=1)  # (P, K)
        self.n_contested += len(chances)
        self.n_preferred += int((chances[:, 0] > 0.5).sum())
        wrong = (1 - chances[:, 0]).sum()
        return replace(losses, objective=losses.objective + self.choice_weight * wrong)


def log_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    """Of whole sequences: logits (B, T, V) and labels (B, T), IGNORE where padded, to (B,)."""
    flat = F.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, reduction="none"
    )
    return -flat.view_as(labels).sum(dim=1)


class ChoosingEvaluation(Evaluation):
    """As Evaluation; preferred, the share of contested training pictures since the last one whose
    truth was likelier than all rivals together."""

    def __call__(self, model: ChoosingModel) -> dict[str, float]:
        share = model.n_preferred / max(1, model.n_contested)
        model.n_contested = model.n_preferred = 0
        return super().__call__(model) | {"preferred": share}


class ChoosingTrainee(RecognizerTrainee):
    """A recogniser whose training pictures are searched for rivals of the truth."""

    def __init__(self, trainee: RecognizerTrainee, config: ChooseConfig) -> None:
        vars(self).update(vars(trainee))
        self.objective = ChoosingModel(trainee.objective, config.choice_weight)
        self.collate = partial(collate_contested, few_shapes=self.batches.few_shapes)
        self.reader = config.reader

    def dataset(
        self, examples: Sequence[Example], token_ids: Sequence[list[int]], is_plain: bool
    ) -> Dataset:
        drawn = super().dataset(examples, token_ids, is_plain)
        return drawn if is_plain else WithRivals(drawn, self.reader)


def start_choosing(config: ChooseConfig) -> ChoosingTrainee:
    """Raises: ModelError if the weights to start from cannot be loaded."""
    return ChoosingTrainee(start_trainee(config), config)


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(ChooseConfig, description=__doc__.splitlines()[0])
    train(config, start_choosing, evaluation=ChoosingEvaluation)


if __name__ == "__main__":
    main()
