"""Train the detector on pages that are made while it trains, from ink and formulas.

From scratch:  accelerate launch trainer/detect.py --config trainer/configs/detector_small.yaml \\
                   --data crohme_train.tar.gz --select crohme_test2013.tar.gz
With print:    add --formulas "[wikipedia_train.txt, k12_train.txt]"
Go on:         the same command; it resumes from the newest checkpoint in runs/NAME
CPU check:     add --loop.max_steps 10 --pages.long_side_max 400 --pages.long_side_min 300 \\
                   --name check
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from tqdm import tqdm

from latexocr.detector import (
    Detector,
    DetectorConfig,
    build_detector,
    merge_duplicates,
    page_pixels,
)
from trainer.allocator import use_fast_allocator
from trainer.config import parse_config, to_dict
from trainer.data.batches import make_loader
from trainer.data.crohme import read_inks
from trainer.data.page.printed import read_formulas
from trainer.data.pages import PageConfig, PageGenerator
from trainer.data.strokes import rng_for
from trainer.detection_metrics import PageResult, best_threshold, score_pages
from trainer.loop import Loop, LoopConfig, make_accelerator, memory_advice, read_log
from trainer.push import check_access, push_final

logger = logging.getLogger(__name__)

SELECT_EPOCH = 1_000_000  # pages of the selection set come from an epoch that no training reaches
LOSSES = ("loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg")


@dataclass(frozen=True)
class DetectConfig:
    """A run of training a detector."""

    name: str = "detector"  # of the run's folder
    output: str = "runs"  # where the run's folder is made
    data: str | None = None  # ink to write pages with: a folder or archive of InkML
    formulas: tuple[str, ...] = ()  # text files of LaTeX to print on pages, one formula a line
    select: str | None = None  # ink of the pages to evaluate on; None for that of data
    select_formulas: tuple[str, ...] = ()
    select_pages: int = 100
    init: str | None = None  # folder of weights to start from
    push_to_hub: str | None = None  # user/name of a repository; final/ is pushed there at the end
    seed: int = 0
    n_workers: int = 1  # processes that draw pages ahead
    batch_size: int = 3  # pages; they are padded to one size, which takes a fifth of the time
    # Batch norms keep the statistics of init's weights, so that pages can come one at a time.
    frozen_norms: bool = False
    pages_per_epoch: int = 3000  # only counted; no page comes twice
    model: DetectorConfig = field(default_factory=DetectorConfig)
    pages: PageConfig = field(default_factory=PageConfig)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(mixed_precision="auto"))

    def __post_init__(self) -> None:
        if self.data is None and not self.formulas:
            raise ValueError("expected --data, ink, or --formulas, text files; got neither")
        if not 1 <= self.batch_size <= self.pages_per_epoch:
            raise ValueError(
                "expected 1 <= batch_size <= pages_per_epoch, "
                f"got {self.batch_size} and {self.pages_per_epoch}"
            )
        if self.frozen_norms and not self.init:
            raise ValueError("frozen_norms needs init: random weights have no statistics to keep")
        if self.n_workers < 0 or self.select_pages < 0:
            raise ValueError(
                "n_workers and select_pages must be 0 or more, "
                f"got {self.n_workers} and {self.select_pages}"
            )


# --- Pages as batches --------------------------------------------------------------------------


@dataclass
class PageBatch:
    """Pages of any sizes: pixels, each (C, H, W) uint8, and targets as build_detector says."""

    pixels: list[Tensor]
    targets: list[dict[str, Tensor]]

    def to(self, device: torch.device) -> PageBatch:
        pixels = [page.to(device) for page in self.pixels]
        targets = [{k: v.to(device) for k, v in target.items()} for target in self.targets]
        return PageBatch(pixels, targets)

    @property
    def labels(self) -> list[Tensor]:
        """One for each page; the loop counts them."""
        return [target["labels"] for target in self.targets]


class TrainingPages(Dataset):
    """Page number index of an epoch, drawn when asked for."""

    def __init__(self, generator: PageGenerator, config: DetectConfig) -> None:
        self.generator, self.config = generator, config

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor]]:
        epoch, index = place
        page = self.generator.page(rng_for(self.config.seed, epoch, index))
        model = self.config.model
        pixels = page_pixels(page.image, model.input, model.long_side)
        # No page of the generator is much larger than the network looks at; boxes shrink with it.
        factor = pixels.shape[1] / page.image.shape[1]
        target = {
            "boxes": torch.from_numpy(page.boxes * np.float32(factor)),
            "labels": torch.ones(len(page.boxes), dtype=torch.int64),
            "ignore": torch.from_numpy(page.ignore * np.float32(factor)),
        }
        tensor = torch.from_numpy(np.ascontiguousarray(pixels))
        return (tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)), target


class PagePlaces(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) for one process, without end, from a place in an epoch on.

    position counts batches of all processes together, as RunState does."""

    def __init__(
        self, config: DetectConfig, epoch: int, position: int, process: int, n_processes: int
    ) -> None:
        self.config, self.start = config, (epoch, position)
        self.process, self.n_processes = process, n_processes

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size = self.config.batch_size
        epoch, position = self.start
        while True:
            n_batches = batches_per_epoch(self.config, self.n_processes)
            for batch in range(position + self.process, n_batches, self.n_processes):
                yield [(epoch, batch * size + i) for i in range(size)]
            epoch, position = epoch + 1, 0


def batches_per_epoch(config: DetectConfig, n_processes: int) -> int:
    """Of all processes together; each has equally many."""
    rounds = max(1, config.pages_per_epoch // (config.batch_size * n_processes))
    return rounds * n_processes


def collate(pages: list[tuple[Tensor, dict[str, Tensor]]]) -> PageBatch:
    pixels, targets = zip(*pages, strict=True)
    return PageBatch(list(pixels), list(targets))


# --- Training ----------------------------------------------------------------------------------


class DetectionObjective(nn.Module):
    """The detector; its forward pass returns torchvision's four losses, means over the pages."""

    def __init__(self, detector: GeneralizedRCNN, frozen_norms: bool = False) -> None:
        super().__init__()
        self.detector, self.frozen_norms = detector, frozen_norms

    def train(self, mode: bool = True) -> DetectionObjective:
        super().train(mode)
        if self.frozen_norms:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, pixels: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return self.detector([page.float().div_(255) for page in pixels], targets)


class DetectionLoop(Loop):
    """The training loop with losses of pages in place of losses of tokens."""

    def update(self, batches: list[PageBatch]) -> dict[str, float]:
        """One optimiser step over some batches.

        Returns: the sum of the losses and each of them, means over the batches.
        Raises: FloatingPointError if the loss is not finite."""
        lr = self._set_learning_rate()
        sums = torch.zeros(len(LOSSES), device=self.accelerator.device)
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1
            with self.accelerator.no_sync(self.model) if not last else nullcontext():
                losses = self.model(**vars(batch.to(self.accelerator.device)))
                # All batches have equally many pages, so that a mean of means is a mean.
                self.accelerator.backward(sum(losses.values()) / len(batches))
            sums += torch.stack([losses[name].detach() for name in LOSSES])
        figures = dict(zip(LOSSES, (sums / len(batches)).tolist(), strict=True))
        loss = sum(figures.values())
        self._step(loss)
        return {"loss": loss, **figures, "lr": lr}

    def _log(self, means: dict[str, float], bar: tqdm) -> None:
        state = self.state
        means = means | {"epoch": state.epoch, "pages_per_s": state.n_examples / state.seconds}
        self.accelerator.log({f"train/{key}": value for key, value in means.items()}, state.step)
        bar.set_postfix(loss=f"{means['loss']:.3f}")
        self._record("train", means)


def make_generator(
    data: str | None, formulas: tuple[str, ...], config: PageConfig
) -> PageGenerator:
    inks = list(read_inks(Path(data))) if data else []
    printed = [latex for source in formulas for latex in read_formulas(source)]
    return PageGenerator(inks, printed, config)


def make_evaluation(
    config: DetectConfig, generator: PageGenerator, run_dir: Path
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Finding expressions on fixed pages; the best weights so far are kept beside the run."""
    if not config.select_pages:
        return None
    if config.select or config.select_formulas:
        generator = make_generator(config.select, config.select_formulas, config.pages)
    pages = TrainingPages(generator, config)
    fixed = [pages[SELECT_EPOCH, i] for i in range(config.select_pages)]
    # A run that goes on must not overwrite better weights of before.
    best = max((row["f1"] for row in read_log(run_dir, "select")), default=0.0)

    def evaluate(model: DetectionObjective) -> dict[str, float]:
        nonlocal best
        device = str(next(model.parameters()).device)
        detector = Detector(model.detector, config.model, device)
        results = [look(detector, pixels, target) for pixels, target in fixed]
        threshold, f1 = best_threshold(results)
        score = score_pages(results, 0.5, threshold)
        if f1 >= best:
            best = f1
            export(detector, threshold, run_dir / "best")
        return {
            "f1": f1,
            "precision": score.precision,
            "recall": score.recall,
            "f1_iou75": score_pages(results, 0.75, threshold).f1,
            "threshold": threshold,
        }

    return evaluate


def look(detector: Detector, pixels: Tensor, target: dict[str, Tensor]) -> PageResult:
    """What the detector finds on a page of TrainingPages, of any score."""
    array = pixels.numpy()
    boxes, scores = detector.find(array[0] if len(array) == 1 else array.transpose(1, 2, 0))
    boxes, scores = merge_duplicates(boxes, scores, detector.config.overlap_max)
    return PageResult(
        boxes.numpy(), scores.numpy(), target["boxes"].numpy(), target["ignore"].numpy()
    )


def export(detector: Detector, threshold: float, folder: Path) -> None:
    """Write weights as they are shipped, float16, with the score that they work best from."""
    config = replace(detector.config, score_min=round(threshold, 4))
    Detector(detector.model, config, detector.device).save_pretrained(folder)


def start_model(config: DetectConfig) -> GeneralizedRCNN:
    if config.init:
        return Detector.from_pretrained(config.init, device="cpu").model.train()
    torch.manual_seed(config.seed)
    return build_detector(config.model)


def train(config: DetectConfig) -> Path:
    """Run, or go on with, a training. Returns the folder of the final weights.

    Raises: DataError, ModelError or ConfigError for what the user gave; MemoryError with advice;
        PushError if it is to be pushed and cannot be, at once if that can be known."""
    # OpenCV's threads do not survive a fork: a worker that needed them would wait for ever.
    cv2.setNumThreads(0)
    run_dir = Path(config.output) / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(config.loop, run_dir)
    if config.push_to_hub and accelerator.is_main_process:
        check_access(config.push_to_hub)
    generator = make_generator(config.data, config.formulas, config.pages)
    objective = DetectionObjective(start_model(config), config.frozen_norms).train()
    loop = DetectionLoop(accelerator, objective, config.loop)
    # Which candidates are looked at is drawn at random, differently in each process.
    torch.manual_seed(config.seed + accelerator.process_index)
    accelerator.init_trackers("logs")
    if accelerator.is_main_process:
        (run_dir / "config.json").write_text(json.dumps(to_dict(config), indent=2) + "\n")
    evaluate = make_evaluation(config, generator, run_dir)
    loop.resume()
    n_processes, state = accelerator.num_processes, loop.state
    places = PagePlaces(config, state.epoch, state.position, accelerator.process_index, n_processes)
    with memory_advice("lower --batch_size and raise --loop.accumulate by as much"):
        loop.run(
            iter(make_loader(TrainingPages(generator, config), collate, places, config.n_workers)),
            lambda _: batches_per_epoch(config, n_processes),
            evaluate,
        )
    _finish(config, accelerator, loop, evaluate, run_dir)
    accelerator.end_training()
    return run_dir / "final"


def _finish(
    config: DetectConfig,
    accelerator: Accelerator,
    loop: DetectionLoop,
    evaluate: Callable[[nn.Module], dict[str, float]] | None,
    run_dir: Path,
) -> None:
    """Write the averaged weights, and push them if that is asked for."""
    if not accelerator.is_main_process:
        return
    trained = accelerator.unwrap_model(loop.model)
    loop.average.copy_to(trained)
    trained.eval()
    threshold = evaluate(trained)["threshold"] if evaluate else config.model.score_min
    detector = Detector(trained.detector, config.model, str(accelerator.device))
    export(detector, threshold, run_dir / "final")
    if config.push_to_hub:
        push_final(run_dir, config.push_to_hub)


def main() -> None:
    use_fast_allocator()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = parse_config(DetectConfig, description=__doc__.splitlines()[0])
    train(config)


if __name__ == "__main__":
    main()
