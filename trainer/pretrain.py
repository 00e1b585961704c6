"""Pretrain on rendered formulas, altered so that they look less like print.

Ours:          accelerate launch trainer/pretrain.py --config trainer/configs/pretrain_print.yaml \\
                   --data im2latex_train.tar.gz --select im2latex_validate.tar.gz
The article's: the same with --config trainer/configs/seed_trocr_large.yaml
Without one:   add --pictures.rules.share 0
Go on:         the same command; it resumes from the newest checkpoint in runs/NAME
Then:          trainer/finetune.py with --init or --model_from runs/NAME/final

The run itself is that of trainer/finetune.py, and so are all settings; only defaults differ.
"""

import logging
from dataclasses import dataclass

from trainer.allocator import use_fast_allocator
from trainer.config import parse_config
from trainer.finetune import FinetuneConfig, train


@dataclass(frozen=True)
class PretrainConfig(FinetuneConfig):
    """A run of pretraining."""

    name: str = "pretrain"
    augment_pictures: bool = True


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    train(parse_config(PretrainConfig, description=__doc__.splitlines()[0]))


if __name__ == "__main__":
    main()
