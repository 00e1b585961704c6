"""Train a student recogniser by a teacher: by its probabilities, and by its readings.

Smaller:       accelerate launch trainer/distill.py --config trainer/configs/distill_small.yaml \\
                   --teacher latexocr/weights/recognizer --data crohme_train.tar.gz \\
                   --select crohme_test2013.tar.gz
Same shape:    the same with --config trainer/configs/distill_self.yaml
No truths:     add --unlabelled "[scans/]" --min_confidence 0.5: the teacher reads them, once
Go on:         the same command; it resumes from the newest checkpoint in runs/NAME
CPU check:     add --loop.max_steps 20 --model.hidden_size 32 --name check

All other settings are those of trainer/finetune.py.
Source: Hinton et al. 2015, arXiv:1503.02531; readings as truths, Kim and Rush 2016,
arXiv:1606.07947; same shape, Furlanello et al. 2018, arXiv:1805.04770.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn import functional as F

from latexocr.errors import DataError
from latexocr.recognizer import Recognizer
from trainer.allocator import use_fast_allocator
from trainer.config import ConfigError, parse_config
from trainer.data.batches import Draw, Kind
from trainer.data.examples import Example, PictureExample, load_examples
from trainer.data.picture_sets import PICTURE_SUFFIXES
from trainer.finetune import (
    Evaluation,
    FinetuneConfig,
    TrainingData,
    load_training_data,
    start_trainee,
    train,
)
from trainer.objective import IGNORE, LossSums, TrainingModel
from trainer.teacher import RecognizerTeacher, Teacher, read_once, relabelled
from trainer.trainee import Encoded, RecognizerTrainee, encode, with_pictures

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DistillConfig(FinetuneConfig):
    """A run of distillation. The student's shape is `model`."""

    name: str = "distill"
    teacher: str = ""  # folder or Hub repository of one of our recognisers
    teacher_weight: float = 0.7  # share of the loss that is the distance to its probabilities
    temperature: float = 2.0  # that both sides' probabilities are flattened by for it
    relabel: bool = False  # the teacher's readings take the place of the truths of `data`
    unlabelled: tuple[str, ...] = ()  # data sets, or folders of pictures, that the teacher reads
    min_confidence: float = 0.0  # 0 to 1; readings that the teacher is less sure of are left out
    readings: str | None = None  # JSON lines file that keeps them; None: in the run's folder

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.teacher:
            raise ValueError("expected --teacher: folder of a recogniser, got nothing")
        if self.model_from:
            raise ValueError(
                f"a student is our own recogniser, but model_from says {self.model_from}"
            )
        if not (0 <= self.teacher_weight <= 1 and 0 <= self.min_confidence <= 1):
            raise ValueError(
                "teacher_weight and min_confidence must be from 0 to 1, "
                f"got {self.teacher_weight} and {self.min_confidence}"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")


# --- The objective -----------------------------------------------------------------------------


def divergence(teacher: Tensor, student: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the student from the teacher, summed over the tokens of a
    batch, in nats.

    Args: logits (B, T, V) of both; labels (B, T), whose IGNORE leaves a token out."""
    counted = labels != IGNORE
    wanted = (teacher[counted] / temperature).log_softmax(dim=1)  # (tokens, V)
    found = (student[counted].float() / temperature).log_softmax(dim=1)
    # Not from logarithms: tokens unknown to the teacher have none.
    return F.kl_div(found, wanted.exp(), reduction="sum")


class DistillingModel(nn.Module):
    """A student; its forward pass returns the losses, the teacher's among them."""

    def __init__(
        self, ordinary: TrainingModel, teacher: Teacher, teacher_weight: float, temperature: float
    ) -> None:
        super().__init__()
        self.ordinary = ordinary
        # No module: its weights do not belong into optimiser, average and checkpoints.
        self.teacher = teacher
        self.teacher_weight, self.temperature = teacher_weight, temperature
        self._logits: Tensor | None = None
        ordinary.recognizer.register_forward_hook(self._remember_logits)

    def _remember_logits(self, _module: nn.Module, _arguments: Any, out: Any) -> None:
        self._logits = out.logits

    def forward(self, **batch: Tensor) -> LossSums:
        """Arguments as in Batch. The squared temperature keeps the gradient's size."""
        losses = self.ordinary(**batch)
        student, self._logits = self._logits, None
        if not self.training or not self.teacher_weight:
            return losses
        distance = divergence(
            self.teacher.logits(**batch), student, batch["labels"], self.temperature
        )
        weight = self.teacher_weight
        objective = (1 - weight) * losses.objective + weight * self.temperature**2 * distance
        return replace(losses, objective=objective)

    @torch.no_grad()
    def distance(self, batch: dict[str, Tensor]) -> float:
        """As divergence, at temperature 1."""
        self.ordinary(**batch)
        student, self._logits = self._logits, None
        return float(divergence(self.teacher.logits(**batch), student, batch["labels"], 1.0))


class DistillingEvaluation(Evaluation):
    """As Evaluation; teacher_kl, in nats per token of the selection set, says how far the student
    is from its teacher."""

    def __call__(self, model: DistillingModel) -> dict[str, float]:
        figures = super().__call__(model)
        device = next(model.parameters()).device
        examples, token_ids = self.encoded.examples, self.encoded.token_ids
        dataset = self.trainee.dataset(examples, token_ids, is_plain=True)
        distance, n_tokens = 0.0, 0
        for index in range(len(examples)):
            batch = self.trainee.collate([dataset[Draw(0, index, 1.0)]])
            distance += model.distance(vars(batch.to(device)))
            n_tokens += batch.n_tokens
        return figures | ({"teacher_kl": distance / n_tokens} if n_tokens else {})


# --- Student, teacher and data -----------------------------------------------------------------


def start_student(config: DistillConfig) -> RecognizerTrainee:
    """The student, taught by the teacher.

    Raises: ModelError if there is no teacher, ConfigError if it cannot read what is asked of it."""
    trainee = start_trainee(config)
    recognizer = Recognizer.from_pretrained(config.teacher, device=str(PartialState().device))
    teacher = RecognizerTeacher(recognizer, trainee.tokenizer.get_vocab(), trainee.symbol_px)
    longest = teacher.max_tokens + 1  # the end token is not told to it
    if config.batches.max_tokens > longest:
        raise ConfigError(
            f"batches.max_tokens: expected at most {longest}, which the teacher can write, "
            f"got {config.batches.max_tokens}"
        )
    trainee.objective = DistillingModel(
        trainee.objective, teacher, config.teacher_weight, config.temperature
    )
    return trainee


def load_data(config: DistillConfig, trainee: RecognizerTrainee) -> TrainingData:
    """As load_training_data, with the teacher's readings as far as they are asked for.

    Raises: DataError if there is nothing to read, or none of it can be used."""
    data = load_training_data(config, trainee)
    if config.relabel:
        formulas = read_by_teacher(config, trainee, config.data, data.kinds[0].examples)
        data = TrainingData(
            [Kind(formulas.examples), *data.kinds[1:]], [formulas, *data.encoded[1:]]
        )
    for source in config.unlabelled:
        examples = with_pictures(load_unlabelled(source), trainee)
        data.encoded.append(read_by_teacher(config, trainee, source, examples))
        data.kinds.append(Kind(data.encoded[-1].examples))
    return data


def read_by_teacher(
    config: DistillConfig, trainee: RecognizerTrainee, source: str, examples: list[Example]
) -> Encoded:
    """Examples with the teacher's readings as truths. One process reads, the others wait.

    Raises: DataError if none of the readings can be learnt."""
    path = Path(config.readings or Path(config.output) / config.name / "teacher_readings.jsonl")
    with PartialState().main_process_first():
        readings = read_once(trainee.objective.teacher, source, examples, path)
    sure = relabelled(examples, readings, config.min_confidence)
    logger.info("%s: the teacher is sure of %d of %d", source, len(sure), len(examples))
    found = encode(sure, trainee)
    if not found.examples:
        reason = found.left_out[0][1] if found.left_out else "its confidence is too low"
        raise DataError(
            f"{source}: expected readings of the teacher to learn from, but none of "
            f"{len(examples)} can be used: {reason}"
        )
    return found


def load_unlabelled(source: str) -> list[Example]:
    """The pictures of a folder without truths, or the examples of any data set.

    Raises: DataError if there are none."""
    folder = Path(source)
    if not folder.is_dir() or any(p.suffix in (".tsv", ".inkml") for p in folder.rglob("*")):
        return load_examples(source)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not files:
        raise DataError(f"{source}: expected a folder with pictures, found none in it")
    return [PictureExample(str(p.relative_to(folder)), "", p.read_bytes()) for p in files]


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(DistillConfig, description=__doc__.splitlines()[0])
    train(config, start_student, load_data, DistillingEvaluation)


if __name__ == "__main__":
    main()
