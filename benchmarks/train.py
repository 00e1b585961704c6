"""How many samples a second does a training step take, by picture area and model?

python -m benchmarks.train                                     default model and half its width
python -m benchmarks.train --configs trainer/configs/distill_small.yaml --seconds 20
python -m benchmarks.train --threads 1 --seconds 1 --areas 48x96 --out /tmp      a quick look

One step is forward and backward pass, clipping and AdamW on a batch of random pictures as large as
the pixel budget allows; drawing them, which training does in other processes, is left out. Run
nothing else meanwhile: two programs on the same cores stall each other far beyond their share.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.stored import RESULTS, peak_memory_mb, store
from latexocr.modeling import STRIDE, RecognizerConfig, build_model
from latexocr.places import NOWHERE
from latexocr.tokenizer import build_tokenizer
from trainer.allocator import use_fast_allocator
from trainer.config import build
from trainer.data.batches import BatchConfig
from trainer.objective import IGNORE, NO_SYMBOL, Batch, TrainingModel

AREAS = ("32x96", "64x192", "96x384", "160x640")  # height x width in pixels, multiples of 16
TOKENS_PER_PIXEL = 20 / (64 * 192)  # of a typical handwritten formula at symbol size 20
WARM_UP = 2  # steps that are not counted


def models(configs: Sequence[str]) -> dict[str, RecognizerConfig]:
    """The default model, one of half its width, and those of training configs."""
    plain = RecognizerConfig()
    half = replace(
        plain,
        stage_widths=tuple(width // 2 for width in plain.stage_widths),
        hidden_size=plain.hidden_size // 2,
        ffn_size=plain.ffn_size // 2,
        decoder_ffn_size=plain.decoder_ffn_size // 2,
        attention_heads=plain.attention_heads // 2,
    )
    found = {"default": plain, "half width": half}
    for path in configs:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        found[Path(path).stem] = build(RecognizerConfig, settings.get("model", {}), "model.")
    return found


def random_batch(height: int, width: int, n: int, vocab_size: int) -> Batch:
    """n pictures of noise with formulas of the usual length, all labels in place."""
    n_tokens = max(4, round(TOKENS_PER_PIXEL * height * width))
    n_cells = height // STRIDE * (width // STRIDE)
    tokens = torch.randint(4, vocab_size, (n, n_tokens + 1))
    places = torch.rand(n, n_tokens, 2) * torch.tensor([height / STRIDE, width / STRIDE])
    places[:, 0] = NOWHERE[0]
    return Batch(
        pixel_values=(torch.rand(n, 1, height, width) > 0.9).float(),
        picture_sizes=torch.tensor([[height, width]] * n),
        input_ids=tokens[:, :-1],
        labels=tokens[:, 1:],
        cells=torch.where(torch.rand(n, n_cells) < 0.3, tokens[:, :1], IGNORE),
        cell_symbols=torch.randint(NO_SYMBOL, n_tokens, (n, n_cells)),
        token_symbols=torch.arange(n_tokens).repeat(n, 1),
        places=places,
    )


class Step:
    """One optimiser update after the other, as the training loop makes them."""

    def __init__(self, config: RecognizerConfig, mixed: bool) -> None:
        torch.manual_seed(0)
        self.vocab_size = len(build_tokenizer())
        recognizer = build_model(replace(config, vocab_size=self.vocab_size))
        self.objective = TrainingModel(recognizer, 0.1, 0.5, 0.3, 0.1).train()
        self.optimizer = torch.optim.AdamW(self.objective.parameters(), lr=1e-5)
        self.mixed = mixed

    def __call__(self, batch: Batch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            loss = self.objective(**vars(batch)).objective / batch.n_tokens
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.objective.parameters())


def time_steps(step: Step, height: int, width: int, budget: int, seconds: float) -> dict[str, Any]:
    """Steps for some seconds, at least three."""
    n = max(1, budget // (height * width))
    batch = random_batch(height, width, n, step.vocab_size)
    for _ in range(WARM_UP):
        step(batch)
    n_steps, start = 0, time.perf_counter()
    while n_steps < 3 or time.perf_counter() - start < seconds:
        step(batch)
        n_steps += 1
    took = (time.perf_counter() - start) / n_steps
    return {
        "height": height,
        "width": width,
        "batch": n,
        "tokens": batch.labels.shape[1],
        "ms_per_step": round(1000 * took, 1),
        "samples_per_s": round(n / took, 1),
        "kilopixels_per_s": round(n * height * width / took / 1000, 1),
    }


def main(argv: list[str] | None = None) -> None:
    use_fast_allocator()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--configs", nargs="*", default=(), help="training configs whose models to time too")
    add("--areas", nargs="+", default=AREAS, help="HEIGHTxWIDTH in pixels, multiples of 16")
    add("--pixel-budget", type=int, default=BatchConfig.pixel_budget, help="pixels of a batch")
    add("--seconds", type=float, default=10, help="for each area and model")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--float32", action="store_true", help="without bfloat16")
    add("--out", type=Path, default=RESULTS, help="folder for train.json")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    rows: list[dict[str, Any]] = []
    for name, config in models(options.configs).items():
        step = Step(config, mixed=not options.float32)
        for area in options.areas:
            height, width = map(int, area.split("x"))
            times = time_steps(step, height, width, options.pixel_budget, options.seconds)
            rows.append({"model": name, "parameters": step.n_parameters} | times)
            print(json.dumps(rows[-1]), flush=True)
    content = {
        "precision": "float32" if options.float32 else "bfloat16 autocast",
        "rows": rows,
        "peak_memory_mb": peak_memory_mb(),
    }
    print("written to", store("train", options.threads, content, options.out))


if __name__ == "__main__":
    main()
