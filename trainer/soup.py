"""The mean of two recognisers that come from the same weights.

python -m trainer.soup latexocr/weights/recognizer runs/mixture/final --share 0.6 --out runs/mean

It often reads better than either, and forgets less than the second, which went on from the first.
Calibrate its confidence afterwards with trainer.calibrate.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from latexocr.errors import ModelError
from latexocr.modeling import RecognizerModel
from latexocr.recognizer import Recognizer


def mean_weights(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 - share) * first + share * second of two state dicts, worked out in float32; what is not
    a floating point number is the second's.

    Raises: ModelError if their names or shapes differ, ValueError if share is not in 0 to 1.
    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903."""
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share between 0 and 1, got {share}")
    shapes = [{key: tuple(value.shape) for key, value in s.items()} for s in (first, second)]
    if shapes[0] != shapes[1]:
        differ = sorted(k for k in shapes[0] | shapes[1] if shapes[0].get(k) != shapes[1].get(k))
        raise ModelError(
            "expected weights of the same names and shapes, but these differ: "
            + ", ".join(differ[:5])
        )
    return {
        key: torch.lerp(first[key].float(), value.float(), share).to(value.dtype)
        if value.is_floating_point()
        else value
        for key, value in second.items()
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("first", help="folder or Hub repository")
    add("second", help="folder or Hub repository, whose tokenizer and language model are kept")
    add("--share", type=float, default=0.5, help="of the second, 0 to 1")
    add("--out", type=Path, required=True, help="folder for the mean")
    options = parser.parse_args(argv)
    first, second = (
        Recognizer.from_pretrained(source, "cpu") for source in (options.first, options.second)
    )
    states = first.model.state_dict(), second.model.state_dict()
    mean = RecognizerModel(config=second.model.config)
    mean.load_state_dict(mean_weights(*states, options.share))
    Recognizer(mean.half(), second.tokenizer, "cpu", second.language).save_pretrained(options.out)
    print("written to", options.out)


if __name__ == "__main__":
    main()
