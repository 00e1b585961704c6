"""From examples to batches: which go together, in which order, and as tensors.

Pictures are as large as their formulas, so batches are made by shape, height first, up to a number
of pixels. The plan of an epoch follows from (seed, epoch) alone: any process can make it, and a
resumed run goes on with the very next batch.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Sampler

from latexocr.errors import ImageError
from latexocr.modeling import COARSE_STRIDE, STRIDE
from latexocr.pictures import load_picture
from latexocr.places import NOWHERE, PlaceTracker
from latexocr.recognizer import stack_pictures
from trainer.data.augment import PictureAugment, alter
from trainer.data.examples import Example, InkExample, PictureExample
from trainer.data.strokes import InkAugment, Sample, rng_for
from trainer.data.substitute import SymbolSwapper
from trainer.objective import IGNORE, NO_SYMBOL, Batch, TensorBatch

FRACTION = r"\frac"
SWAPPED_DRAWS = 0.7  # share of the draws of ink in which symbols change places
HEIGHT_BIN_PX = 16  # pictures whose padded heights fall in one bin are batched together
FEW_SIDES_PX = np.array(
    [16, 32, 48, 64, 80, 96, *(part << octave for octave in range(7) for part in (128, 160, 192))]
)  # to which pictures are padded where few shapes are wanted


@dataclass(frozen=True)
class BatchConfig:
    """How batches are made."""

    pixel_budget: int = 136_000  # padded pixels per batch
    max_examples: int = 64  # per batch: isolated symbols are tiny
    max_tokens: int = 256  # longer formulas are left out of training
    # Formulas of epochs 0, 1, ... have at most so many tokens; later epochs take all.
    curriculum: tuple[int, ...] = ()
    # How many of the other kinds epochs 0, 1, ... draw; the last number holds from there on.
    symbols_per_epoch: tuple[int, ...] = (0,)  # isolated symbols
    pieces_per_epoch: tuple[int, ...] = (0,)  # parts of formulas
    written_per_epoch: tuple[int, ...] = (0,)  # formulas of lists, written in ink
    printed_per_epoch: tuple[int, ...] = (0,)  # pictures of printed formulas
    scale_min: float = 0.7  # symbol size relative to the model's, log-uniform
    scale_max: float = 1.4
    # Batches of a few shapes, whole numbers of pictures that are powers of two: a GPU's library
    # plans its convolutions anew for every shape, which takes longer than to compute them.
    few_shapes: bool = False

    def __post_init__(self) -> None:
        if self.pixel_budget < COARSE_STRIDE**2 or not 0 < self.scale_min <= self.scale_max:
            raise ValueError(
                f"expected pixel_budget >= {COARSE_STRIDE**2} and 0 < scale_min <= scale_max, "
                f"got {self}"
            )


@dataclass(frozen=True)
class Draw:
    """One example as one epoch draws it: its index, and how much larger than the model's
    symbols."""

    epoch: int
    index: int
    scale: float


@dataclass(frozen=True)
class Kind:
    """Examples of one kind, and how many of them epochs 0, 1, ... draw.

    per_epoch: the last number holds from there on; None for all of them in every epoch."""

    examples: Sequence[Example]
    per_epoch: tuple[int, ...] | None = None


class EpochPlan:
    """What the batches of each epoch are made of; those of the newest one are kept."""

    _newest: tuple[int, list[list]] = (-1, [])

    def epoch(self, epoch: int) -> list[list]:
        """The batches of an epoch, in training order."""
        if self._newest[0] != epoch:
            self._newest = (epoch, self._make_epoch(epoch))
        return self._newest[1]

    def _make_epoch(self, epoch: int) -> list[list]:
        raise NotImplementedError


class BatchPlan(EpochPlan):
    """Batches of all epochs, one after the other. Indices count the examples of all kinds, one kind
    after the other."""

    def __init__(
        self,
        kinds: Sequence[Kind],
        n_tokens: Sequence[int],
        shapes: Sequence[tuple[int, int]],
        config: BatchConfig,
        seed: int,
    ) -> None:
        """Args: of each example, n_tokens, start and end included, and about the height and width
        in pixels of its picture at scale 1."""
        if not any(kind.examples for kind in kinds):
            raise ValueError("expected at least one formula to train on, got none")
        self.kinds = kinds
        self.n_tokens = np.asarray(n_tokens)
        self.config = config
        self.seed = seed
        self.shapes = np.array(shapes, dtype=np.float64)

    def _make_epoch(self, epoch: int) -> list[list[Draw]]:
        rng = np.random.default_rng([self.seed, epoch])
        chosen = self._chosen(epoch, rng)
        config = self.config
        scales = np.exp(
            rng.uniform(np.log(config.scale_min), np.log(config.scale_max), len(chosen))
        )
        sides = self.shapes[chosen] * scales[:, None]
        if config.few_shapes:
            batches = self._of_few_shapes(few_sides(sides), rng)
        else:
            padded = np.ceil(sides / COARSE_STRIDE).astype(int) * COARSE_STRIDE
            batches = self._of_many_shapes(padded, rng)
        draws = [[Draw(epoch, int(chosen[i]), float(scales[i])) for i in some] for some in batches]
        return [draws[i] for i in rng.permutation(len(draws))]

    def _of_many_shapes(self, padded: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
        """Places of pictures that go together, by their padded heights and widths (N, 2)."""
        config = self.config
        order = np.lexsort((rng.random(len(padded)), padded[:, 1], padded[:, 0] // HEIGHT_BIN_PX))
        batches: list[list[int]] = []
        height = width = 0
        for i in order:
            height, width = max(height, padded[i, 0]), max(width, padded[i, 1])
            full = batches and (
                (len(batches[-1]) + 1) * height * width > config.pixel_budget
                or len(batches[-1]) >= config.max_examples
            )
            if not batches or full:
                batches.append([])
                height, width = padded[i]
            batches[-1].append(int(i))
        return batches

    def _of_few_shapes(self, padded: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
        """As _of_many_shapes. Each batch has as many as the shape of its widest picture allows;
        what is left of a height goes with the next larger one."""
        config = self.config
        batches: list[list[int]] = []
        left = np.zeros(0, dtype=int)
        heights = np.unique(padded[:, 0])
        for height in heights:
            left = rng.permutation(np.concatenate([left, np.flatnonzero(padded[:, 0] == height)]))
            left = left[np.argsort(-padded[left, 1], kind="stable")]
            while len(left):
                pixels = height * padded[left[0], 1]
                room = max(1, min(config.max_examples, config.pixel_budget // pixels))
                if len(left) < room and height < heights[-1]:
                    break
                n = 1 << (int(min(room, len(left))).bit_length() - 1)
                batches.append(left[:n].tolist())
                left = left[n:]
        return batches

    def _chosen(self, epoch: int, rng: np.random.Generator) -> np.ndarray:
        """Indices of the examples of an epoch, kind after kind."""
        longest = self.config.max_tokens
        if epoch < len(self.config.curriculum):
            longest = min(longest, self.config.curriculum[epoch])
        chosen: list[np.ndarray] = []
        start = 0
        for kind in self.kinds:
            stop = start + len(kind.examples)
            fitting = start + np.flatnonzero(self.n_tokens[start:stop] <= longest)
            if kind.per_epoch is not None:
                wanted = kind.per_epoch[min(epoch, len(kind.per_epoch) - 1)]
                fitting = rng.choice(fitting, min(wanted, len(fitting)), replace=False)
            chosen.append(fitting)
            start = stop
        found = np.concatenate(chosen)
        return found if len(found) else np.argsort(self.n_tokens)[:1]


class PlannedBatches:
    """Batch sampler: every n_processes-th batch of the plan from a position on, for ever."""

    def __init__(
        self, plan: BatchPlan, epoch: int, position: int, process: int = 0, n_processes: int = 1
    ) -> None:
        self.plan = plan
        self.start = (epoch, position)
        self.process, self.n_processes = process, n_processes

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, position = self.start
        while True:
            batches = self.plan.epoch(epoch)
            # An epoch's last batches that do not go round are left out, so that all
            # processes take the same number of steps.
            usable = rounds(len(batches), self.n_processes) * self.n_processes
            yield from batches[position + self.process : usable : self.n_processes]
            epoch, position = epoch + 1, 0


def rounds(n_batches: int, n_processes: int) -> int:
    """Steps that n_processes can take together; at least one, or an epoch might be empty."""
    return max(1, n_batches // n_processes)


class DrawnExamples(Dataset):
    """Draws of examples as training samples."""

    def __init__(
        self,
        examples: Sequence[Example],
        token_ids: Sequence[list[int]],
        vocabulary: dict[str, int],
        symbol_px: int,
        augment: InkAugment | None,
        seed: int,
        swap_share: float = 0.0,
        pictures: PictureAugment | None = None,
    ) -> None:
        """Args: vocabulary, id by token; augment and pictures, how ink and pictures are altered,
        None for plain ones; swap_share, the share of a formula's symbols that change places with
        others, in SWAPPED_DRAWS of the draws."""
        self.examples, self.token_ids, self.vocabulary = examples, token_ids, vocabulary
        self.symbol_px, self.seed, self.pictures = symbol_px, seed, pictures
        # The plan has drawn the scale already, since it decides what fits in a batch.
        self.augment = augment and replace(augment, scale_min=1.0, scale_max=1.0)
        self.swap_share = swap_share
        self.swapper = self._make_swapper() if swap_share else None

    def _make_swapper(self) -> SymbolSwapper:
        formulas = [e for e in self.examples if isinstance(e, InkExample)]
        shown = [self._shown(example) for example in formulas]
        return SymbolSwapper([e.ink for e in formulas], shown, self.vocabulary)

    def __getitem__(self, draw: Draw) -> "TrainingSample":
        example = self.examples[draw.index]
        rng = rng_for(self.seed, draw.epoch, draw.index) if self.augment else None
        token_ids, shown = self.token_ids[draw.index], self._shown(example)
        aligned = align_symbols(token_ids, self._written(example, shown))
        if (
            self.swapper
            and rng
            and isinstance(example, InkExample)
            and rng.random() < SWAPPED_DRAWS
        ):
            swapped = self.swapper.swap(
                example.ink, token_ids, shown, aligned, self.swap_share, rng
            )
            example, token_ids, shown = (
                InkExample(swapped.ink),
                swapped.token_ids,
                swapped.symbols,
            )
        if self.pictures and isinstance(example, PictureExample):
            sample = self._altered(example, draw)
        else:
            sample = example.sample(self.symbol_px * draw.scale, rng, self.augment)
        places = self._places(token_ids, aligned, sample, len(shown))
        sources = place_sources(token_ids, self.vocabulary)
        return TrainingSample(sample, token_ids, shown, aligned, places, sources)

    def _places(
        self, token_ids: Sequence[int], aligned: Sequence[int], sample: Sample, n_symbols: int
    ) -> np.ndarray:
        """(n_tokens, 2), where each token stands; NOWHERE for all where the ink is not known."""
        if sample.marks is None:
            return np.full((len(token_ids), 2), NOWHERE[0], np.float32)
        middles = symbol_middles(sample.marks, n_symbols)
        tracker = PlaceTracker(self.vocabulary)
        return np.array(
            [
                tracker.step(token, middles[symbol] if symbol >= 0 else None)
                for token, symbol in zip(token_ids, aligned, strict=True)
            ],
            np.float32,
        )

    def _altered(self, example: PictureExample, draw: Draw) -> Sample:
        """The standard picture of an altered picture, or of the plain one if no ink is left."""
        symbol_px = self.symbol_px * draw.scale
        rng = rng_for(self.seed, draw.epoch, draw.index)
        altered = alter(load_picture(example.picture()), self.pictures, rng)
        try:
            return Sample(altered.standard(symbol_px), None)
        except ImageError:
            return example.sample(symbol_px, None, None)

    def _shown(self, example: Example) -> list[int]:
        """The id of the token that each symbol looks like, IGNORE if it is none."""
        return [self.vocabulary.get(label, IGNORE) for label in example.symbol_labels]

    def _written(self, example: Example, shown: list[int]) -> list[int]:
        """As shown, but a fraction's bar, which looks like a minus sign, is written as `\\frac`."""
        fraction = self.vocabulary[FRACTION]
        is_fraction = example.symbol_is_fraction
        return [fraction if is_fraction[i] else token for i, token in enumerate(shown)]


@dataclass(frozen=True)
class TrainingSample:
    """One example, drawn.

    sample: its picture. token_ids. symbols_shown: the id of the token that each of its symbols
    looks like, IGNORE if none. aligned: for each token the symbol that it writes, or NO_SYMBOL.
    places: (n_tokens, 2), where each token stands, as latexocr.places tells it. place_sources: for
    each token the one that it takes its place from, negative for none."""

    sample: Sample
    token_ids: list[int]
    symbols_shown: list[int]
    aligned: list[int]
    places: np.ndarray
    place_sources: list[int]


def few_sides(sides: np.ndarray) -> np.ndarray:
    """The next larger of FEW_SIDES_PX for each side, the largest for those beyond."""
    found = np.searchsorted(FEW_SIDES_PX, sides)
    return FEW_SIDES_PX[np.minimum(found, len(FEW_SIDES_PX) - 1)]


def collate(samples: Sequence[TrainingSample], few_shapes: bool = False) -> Batch:
    """Samples of DrawnExamples as one batch; few_shapes as in BatchConfig."""
    pixel_values, sizes = stack_pictures([s.sample.pixels for s in samples])
    if few_shapes:
        height, width = pixel_values.shape[2:]
        below, right = np.maximum(few_sides(np.array([height, width])) - (height, width), 0)
        pixel_values = F.pad(pixel_values, (0, int(right), 0, int(below)))
    grid = (pixel_values.shape[2] // STRIDE, pixel_values.shape[3] // STRIDE)
    n_cells, longest = grid[0] * grid[1], max(len(s.token_ids) for s in samples)
    tokens = torch.zeros(len(samples), longest, dtype=torch.int64)
    labels = torch.full((len(samples), longest), IGNORE)
    token_symbols = torch.full((len(samples), longest), NO_SYMBOL)
    cells = torch.full((len(samples), n_cells), IGNORE)
    cell_symbols = torch.full((len(samples), n_cells), NO_SYMBOL)
    places = torch.full((len(samples), longest, 2), NOWHERE[0])
    sources = torch.full((len(samples), longest), int(NOWHERE[0]))
    for i, s in enumerate(samples):
        n = len(s.token_ids)
        tokens[i, :n] = labels[i, :n] = torch.tensor(s.token_ids)
        places[i, :n] = torch.from_numpy(s.places)
        sources[i, :n] = torch.tensor(s.place_sources)
        if s.sample.marks is not None:
            owner = symbols_of_cells(s.sample.marks, len(s.symbols_shown), grid)
            shown = np.append(s.symbols_shown, IGNORE)  # the last one is for NO_SYMBOL, -1
            cell_symbols[i] = torch.from_numpy(owner)
            cells[i] = torch.from_numpy(shown[owner])
            token_symbols[i, :n] = torch.tensor(s.aligned)
    return Batch(
        pixel_values,
        sizes,
        tokens[:, :-1],
        labels[:, 1:],
        cells,
        cell_symbols,
        token_symbols[:, 1:],
        places[:, :-1],
        sources[:, :-1],
    )


def place_sources(token_ids: Sequence[int], vocabulary: dict[str, int]) -> list[int]:
    """For each token the one whose place is told with it, negative for none.

    Args: token_ids, from the start token on; vocabulary, id by token."""
    tracker = PlaceTracker(vocabulary)
    return [int(tracker.step(token, (i, i))[0]) for i, token in enumerate(token_ids)]


def symbol_middles(marks: np.ndarray, n_symbols: int) -> list[tuple[float, float] | None]:
    """Row and column of the middle of each symbol's ink, in cells; None for one without ink."""
    x, y, symbol = marks.T
    of_symbol = symbol >= 0
    symbol = symbol[of_symbol].astype(int)
    n_marks = np.bincount(symbol, minlength=n_symbols)
    sums = [np.bincount(symbol, v[of_symbol] / STRIDE, minlength=n_symbols) for v in (y, x)]
    return [(sums[0][k] / n, sums[1][k] / n) if n else None for k, n in enumerate(n_marks.tolist())]


def symbols_of_cells(marks: np.ndarray, n_symbols: int, grid: tuple[int, int]) -> np.ndarray:
    """The index of the symbol that has most ink in each cell.

    Args: marks (M, 3), x and y in pixels and the symbol's index, -1 for none; grid, rows and
        columns.
    Returns: (rows * columns,) int64, NO_SYMBOL where there is no ink of a symbol."""
    rows, columns = grid
    owner = np.full(rows * columns, NO_SYMBOL, dtype=np.int64)
    x, y, symbol = (marks[:, 0] // STRIDE), (marks[:, 1] // STRIDE), marks[:, 2].astype(int)
    inside = (symbol >= 0) & (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    if not inside.any():
        return owner
    cell = (y * columns + x).astype(int)[inside]
    votes = np.bincount(cell * n_symbols + symbol[inside], minlength=len(owner) * n_symbols)
    votes = votes.reshape(-1, n_symbols)
    inked = votes.any(axis=1)
    owner[inked] = votes[inked].argmax(axis=1)
    return owner


def align_symbols(token_ids: Sequence[int], symbol_ids: Sequence[int]) -> list[int]:
    """The index of the symbol that each token writes; NO_SYMBOL for braces, scripts and whatever
    does not fit. Both come in about the same order, and the longest common runs are matched."""
    aligned = [NO_SYMBOL] * len(token_ids)
    matcher = SequenceMatcher(None, token_ids, symbol_ids, autojunk=False)
    for block in matcher.get_matching_blocks():
        for k in range(block.size):
            aligned[block.a + k] = block.b + k
    return aligned


def make_loader(
    dataset: Dataset,
    collate: Callable[[list], TensorBatch],
    batches: Sampler,
    n_workers: int,
) -> DataLoader[TensorBatch]:
    """Loader that draws ahead of the training step in n_workers processes of their own.

    Args: dataset, of samples by what batches has lists of, and collate, which makes a batch of
        samples."""
    return DataLoader(
        dataset,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=n_workers,
        prefetch_factor=8 if n_workers else None,
        worker_init_fn=one_thread,
        # Its own generator: drawing the workers' seed from the global one would shift dropout
        # in a resumed run.
        generator=torch.Generator(),
    )


def one_thread(_: int) -> None:
    """Workers draw with one thread each; more would take the cores from the training step, and
    OpenCV's threads do not survive a fork: a worker that needed them would wait for ever."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
