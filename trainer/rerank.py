"""Does BLIP's image-text matching choose better among readings than the recogniser does?

    python -m trainer.rerank --captioner runs/compare_blip_small/final \\
        --train crohme_train.tar.gz --data crohme_test2013.tar.gz --steps 2000

The matcher looks and reads as the captioner does, and a head on its text's first token says whether
picture and LaTeX belong together. It is trained to tell truths from the recogniser's own mistakes.
Half of --data chooses how much it counts beside the recogniser's log probability, the other half is
measured. Source: Li et al. 2022, arXiv:2201.12086, section 3.2.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import BlipConfig, BlipForImageTextRetrieval

from latexocr.errors import DataError, ModelError, TexError
from latexocr.hub import resolve
from latexocr.latex import canonical
from latexocr.quantized import load_recognizer
from latexocr.recognizer import Recognizer
from trainer.data.examples import Example, load_examples
from trainer.foreign import Blip, load_foreign, rgb_picture
from trainer.metrics import token_edits

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the matcher's log-odds, tried on one half
BATCH = 8  # pictures of one update, each with its truth and a mistake


@dataclass(frozen=True)
class Candidates:
    """Readings of one picture, likeliest first, with their log probabilities."""

    example: Example
    texts: list[str]
    log_probabilities: list[float]

    @property
    def right(self) -> list[bool]:
        return [token_edits(self.example.latex, text)[0] == 0 for text in self.texts]


class Matcher(nn.Module):
    """BLIP's image-text matching, begun from a captioner's weights."""

    def __init__(self, captioner: Blip) -> None:
        super().__init__()
        self.captioner = captioner
        config: BlipConfig = captioner.model.config
        retrieval = BlipForImageTextRetrieval(config)
        retrieval.vision_model.load_state_dict(captioner.model.vision_model.state_dict())
        # The captioner only looks back; what it knows of the picture carries over all the same.
        retrieval.text_encoder.resize_token_embeddings(captioner.decoder.config.vocab_size)
        retrieval.text_encoder.load_state_dict(
            captioner.model.text_decoder.bert.state_dict(), strict=False
        )
        self.vision, self.text = retrieval.vision_model, retrieval.text_encoder
        self.head = retrieval.itm_head

    def forward(self, pixel_values: Tensor, texts: Sequence[str], owners: Tensor) -> Tensor:
        """Log-odds that a text belongs to its picture, (N,).

        Args: pixel_values (B, 3, H, W); texts, N; owners (N,), the picture of each."""
        seen = self.vision(pixel_values=pixel_values).last_hidden_state[owners]  # (N, P, C)
        rows = [self._ids(text) for text in texts]
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self.captioner.pad_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
        found = self.text(input_ids=ids, attention_mask=mask, encoder_hidden_states=seen)
        logits = self.head(found.last_hidden_state[:, 0])  # (N, 2)
        return logits[:, 1] - logits[:, 0]

    def _ids(self, text: str) -> list[int]:
        """A candidate need not be valid LaTeX, and is cut where the model's positions end."""
        inner = self.captioner._encode(text)[: self.captioner.max_tokens - 2]
        return [self.captioner.start_id, *inner, self.captioner.end_id]

    def pixels(self, examples: Sequence[Example]) -> Tensor:
        return self.captioner.pixel_values([rgb_picture(example) for example in examples])


def candidates_of(
    recognizer: Recognizer, examples: Sequence[Example], n_beams: int
) -> list[Candidates]:
    pictures = [e.sample(recognizer.symbol_px, None, None).pixels for e in examples]
    return [
        Candidates(e, [d.canonical for d in found], [d.log_probability for d in found])
        for e, found in zip(examples, recognizer.decode(pictures, n_beams), strict=True)
    ]


def fit(matcher: Matcher, sets: Sequence[Candidates], steps: int, lr: float, seed: int) -> None:
    """Train it to tell truths from mistakes.

    Raises: DataError if the recogniser makes none on these pictures."""
    mistakes = [[t for t, ok in zip(c.texts, c.right, strict=True) if not ok] for c in sets]
    usable = [i for i, wrong in enumerate(mistakes) if wrong and _is_writable(matcher, sets[i])]
    if not usable:
        raise DataError("expected pictures that the recogniser has wrong readings of, got none")
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(matcher.parameters(), lr=lr, weight_decay=0.01)
    matcher.train()
    for _ in tqdm(range(steps), unit="step"):
        chosen = rng.choice(usable, BATCH)
        texts = [_truth(sets[i]) for i in chosen] + [str(rng.choice(mistakes[i])) for i in chosen]
        owners = torch.arange(BATCH).repeat(2)
        odds = matcher(matcher.pixels([sets[i].example for i in chosen]), texts, owners)
        wanted = (torch.arange(2 * BATCH) < BATCH).float()
        loss = nn.functional.binary_cross_entropy_with_logits(odds, wanted)
        loss.backward()
        nn.utils.clip_grad_norm_(matcher.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    matcher.eval()


def _truth(candidates: Candidates) -> str:
    return canonical(candidates.example.latex)


def _is_writable(matcher: Matcher, candidates: Candidates) -> bool:
    try:
        matcher.captioner.token_ids(candidates.example.latex)
    except TexError:
        return False
    return True


@torch.no_grad()
def measure(matcher: Matcher, sets: Sequence[Candidates]) -> dict[str, Any]:
    """Expression rates in percent: of the recogniser's first reading, of the matcher's choice
    alone, of both together, and if the right one were always chosen; and what the matching
    costs."""
    start = time.perf_counter()
    odds = []
    for c in sets:
        owners = torch.zeros(len(c.texts), dtype=torch.int64)
        odds.append(matcher(matcher.pixels([c.example]), c.texts, owners).numpy())
    seconds = time.perf_counter() - start
    chosen_by, measured = slice(0, None, 2), slice(1, None, 2)

    def rate(part: slice, weight: float, own: float = 1.0) -> float:
        hits = [
            c.right[int(np.argmax(own * np.array(c.log_probabilities) + weight * o))]
            for c, o in zip(sets[part], odds[part], strict=True)
        ]
        return round(100 * float(np.mean(hits)), 2)

    best = max(WEIGHTS, key=lambda weight: rate(chosen_by, weight))
    return {
        "n": len(sets[measured]),
        "recognizer": rate(measured, 0.0),
        "matcher": rate(measured, 1.0, own=0.0),
        "both": rate(measured, best),
        "weight": best,
        "any": round(100 * float(np.mean([any(c.right) for c in sets[measured]])), 2),
        "ms_per_picture": round(1000 * seconds / len(sets), 1),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--captioner", required=True, help="BLIP captioner: folder or Hub repository")
    add("--train", required=True, help="data set to learn the matching on")
    add("--data", required=True, help="data set to measure on")
    add("--labels", help="TSV of its truths, where it has none or wrong ones")
    add("--model", help="recogniser: folder or Hub repository; default: embedded weights")
    add("--train_limit", type=int, default=2000)
    add("--limit", type=int, default=400)
    add("--beams", type=int, default=4)
    add("--steps", type=int, default=2000)
    add("--lr", type=float, default=1e-4)
    add("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    captioner = load_foreign(arguments.captioner)
    if not isinstance(captioner, Blip):
        raise ModelError(f"{arguments.captioner}: expected a BLIP captioner, got another model")
    torch.manual_seed(arguments.seed)
    matcher = Matcher(captioner)
    recognizer = load_recognizer(resolve(arguments.model, "recognizer"), "cpu")
    train = load_examples(arguments.train, limit=arguments.train_limit)
    data = load_examples(arguments.data, arguments.labels, limit=arguments.limit)
    sets = candidates_of(recognizer, train, arguments.beams)
    fit(matcher, sets, arguments.steps, arguments.lr, arguments.seed)
    print(json.dumps(measure(matcher, candidates_of(recognizer, data, arguments.beams))))


if __name__ == "__main__":
    main()
