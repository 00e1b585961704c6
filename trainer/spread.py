"""Give tokens whose vectors lie together a direction of their own, before weights are trained on.

python -m trainer.spread latexocr/weights/recognizer --out runs/spread/final

Tokens that training has hardly met are pushed away from all that it has, in the same direction, and
end up so near each other that no state of the decoder could tell them apart. From there they learn
slowly: what is told apart is the product of the vector's own part and of the decoder's answer to
it, and both are small. A random part of some size lets the decoder learn its answer.

Source: Gao et al. 2019, "Representation degeneration problem in training natural language
generation models", arXiv:1907.12009.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from latexocr.recognizer import Recognizer
from trainer.adapter import VOCABULARY_RANK, vocabulary_of

NEAR = 0.93  # cosine to the nearest other vector, from which on a token has no direction of its own
SIZE = 0.8  # norm of the random part; what common tokens do not share has about as much


def nearest_cosines(vectors: Tensor) -> Tensor:
    """Of each vector (V, C) to the nearest other one: (V,)."""
    unit = F.normalize(vectors, dim=1)
    return (unit @ unit.T).fill_diagonal_(-1.0).amax(dim=1)


def spread(vectors: Tensor, near: float = NEAR, size: float = SIZE, seed: int = 0) -> Tensor:
    """Vectors (V, C), those that have another one nearer than `near` with something of their own.

    All these parts lie in VOCABULARY_RANK directions, so that an adapter can hold them."""
    together = nearest_cosines(vectors) > near
    width = vectors.shape[1]
    rng = torch.Generator().manual_seed(seed)
    rank = min(VOCABULARY_RANK, width)
    directions = torch.linalg.qr(torch.randn(width, rank, generator=rng))[0].T  # (R, C)
    own = F.normalize(torch.randn(int(together.sum()), rank, generator=rng), dim=1) @ directions
    found = vectors.clone()
    found[together] += size * own.to(found)
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("model", help="folder or Hub repository of a recogniser")
    add("--near", type=float, default=NEAR, help="cosine from which on vectors lie together")
    add("--size", type=float, default=SIZE, help="norm of what is added to each of them")
    add("--out", type=Path, required=True, help="folder for the weights")
    options = parser.parse_args(argv)
    recognizer = Recognizer.from_pretrained(options.model, "cpu")
    vectors = vocabulary_of(recognizer.model)
    together = int((nearest_cosines(vectors.detach()) > options.near).sum())
    with torch.no_grad():
        vectors.copy_(spread(vectors, options.near, options.size))
    recognizer.model.half()
    recognizer.save_pretrained(options.out)
    print(f"{together} of {len(vectors)} vectors lay together")


if __name__ == "__main__":
    main()
