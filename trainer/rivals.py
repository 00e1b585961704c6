"""What a recogniser reads in a training picture besides the truth, for trainer/choose.py.

    dataset = WithRivals(drawn_examples, "latexocr/weights/recognizer_int8")
    samples = dataset.__getitems__(draws)        # as a DataLoader asks for a batch
    batch = collate_contested(samples)

The reader is searched in the loader's processes, and keeps its weights while others are trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from latexocr.decoding import Candidate, decode
from latexocr.modeling import STRIDE
from latexocr.places import NOWHERE, cells_looked_at
from latexocr.quantized import load_recognizer
from latexocr.recognizer import Recognizer, stack_pictures
from trainer.data.batches import Draw, TrainingSample, collate
from trainer.objective import IGNORE, LOOKS, Batch, told_places

N_BEAMS = 4
MOST_RIVALS = 3  # of a picture, the likeliest
LONGER = 16  # tokens more than the truth has, at which a search is broken off


@dataclass(frozen=True)
class Writing:
    """One way to read a picture.

    token_ids from start to end; places (n_tokens, 2), float32, of each, as the reader found them;
    prior: what the language model and the rewards for rare tokens add to its log-probability."""

    token_ids: list[int]
    places: np.ndarray
    prior: float


@dataclass(frozen=True)
class ContestedSample:
    """A sample, and how it can be read: the truth first, then its rivals; empty without any."""

    sample: TrainingSample
    writings: list[Writing]


@dataclass
class ContestedBatch(Batch):
    """A batch with P of its pictures contested, in K ways each, the truth the first.

    contested (P,) int64, which pictures; writings (P, K, T) int64, input ids; writing_labels (P, K,
    T) int64, shifted by one and IGNORE where padded; writing_places (P, K, T, 2) float32; priors
    (P, K) float32, minus infinity where there is no such writing."""

    contested: Tensor
    writings: Tensor
    writing_labels: Tensor
    writing_places: Tensor
    priors: Tensor


class WithRivals(Dataset):
    """Samples of a data set with what a reader makes of their pictures."""

    def __init__(self, dataset: Dataset, reader: str) -> None:
        """Args: dataset, of training samples; reader, a recogniser's folder, quantised or not, of
        the same vocabulary."""
        self.dataset, self.source = dataset, reader
        self._reader: Recognizer | None = None  # loaded where it reads: sessions outlive no fork

    @property
    def reader(self) -> Recognizer:
        if self._reader is None:
            self._reader = load_recognizer(self.source, "cpu")
        return self._reader

    def __getitems__(self, draws: Sequence[Draw]) -> list[ContestedSample]:
        samples = [self.dataset[draw] for draw in draws]
        return [
            ContestedSample(*both) for both in zip(samples, self._contest(samples), strict=True)
        ]

    @torch.inference_mode()
    def _contest(self, samples: Sequence[TrainingSample]) -> list[list[Writing]]:
        reader = self.reader
        pixel_values, sizes = stack_pictures([s.sample.pixels for s in samples])
        found = decode(
            reader.model,
            pixel_values,
            sizes,
            reader.grammar,
            N_BEAMS,
            max(len(s.token_ids) for s in samples) + LONGER,
            reader.unwritable,
            reader.prior(N_BEAMS),
        )
        contests = [
            self._others(candidates, s.token_ids)
            for candidates, s in zip(found, samples, strict=True)
        ]
        # The truths that were not found stand where the reader looks while it is told them.
        missing = [i for i, (truth, others) in enumerate(contests) if others and truth is None]
        told = self._looked_up([samples[i] for i in missing]) if missing else []
        truths = dict(zip(missing, told, strict=True))
        return [
            [truths.get(i, truth), *others] if others else []
            for i, (truth, others) in enumerate(contests)
        ]

    def _others(
        self, candidates: Sequence[Candidate], truth: list[int]
    ) -> tuple[Writing | None, list[Writing]]:
        """The truth, if it is among the candidates, and what else is."""
        start, end = truth[0], truth[-1]
        own, others = None, []
        for candidate in candidates:
            if not candidate.is_whole:
                continue
            ids = [start, *candidate.token_ids, end]
            places = np.array([NOWHERE, *candidate.places, NOWHERE], np.float32)
            writing = Writing(ids, places, candidate.score - candidate.log_probability)
            if ids == truth:
                own = writing
            else:
                others.append(writing)
        return own, others[:MOST_RIVALS]

    @torch.inference_mode()
    def _looked_up(self, samples: Sequence[TrainingSample]) -> list[Writing]:
        """Their truths, with places that the reader finds."""
        model, batch = self.reader.model, collate(samples)
        encoded = model.encoder(batch.pixel_values, batch.picture_sizes)
        places = torch.full_like(batch.places, NOWHERE[0])
        for _ in range(LOOKS):
            _, attentions = model.steps(encoded).step(batch.input_ids, places)
            looked = cells_looked_at(attentions, batch.pixel_values.shape[3] // STRIDE)
            places = told_places(looked, batch.place_sources)
        found = []
        for s, row in zip(samples, places.numpy(), strict=True):
            told = np.array([*row[: len(s.token_ids) - 1], NOWHERE], np.float32)
            found.append(Writing(s.token_ids, told, self._prior(s.token_ids)))
        return found

    def _prior(self, ids: Sequence[int]) -> float:
        prior = self.reader.prior(N_BEAMS)
        if prior is None:
            return 0.0
        told = torch.tensor([ids])
        likely = prior.model(told[:, :-1])[0].log_softmax(dim=2).gather(2, told[:, 1:, None])
        n_rewarded = len(ids) - 2  # neither start nor end
        found = prior.weight * (float(likely.sum()) + prior.bonus * n_rewarded)
        return found if prior.rewards is None else found + float(prior.rewards[told[0, 1:]].sum())


def collate_contested(
    samples: Sequence[ContestedSample | TrainingSample], few_shapes: bool = False
) -> Batch:
    """Samples as one batch, a ContestedBatch where they were read. Args: as collate."""
    if not isinstance(samples[0], ContestedSample):
        return collate(samples, few_shapes)
    batch = collate([one.sample for one in samples], few_shapes)
    contested = [i for i, one in enumerate(samples) if one.writings]
    n_ways = max((len(one.writings) for one in samples), default=0)
    longest = max((len(w.token_ids) for one in samples for w in one.writings), default=1)
    shape = (len(contested), n_ways, longest)
    ids, labels = torch.zeros(shape, dtype=torch.int64), torch.full(shape, IGNORE)
    places = torch.full((*shape, 2), NOWHERE[0])
    priors = torch.full(shape[:2], -torch.inf)
    for row, i in enumerate(contested):
        for way, writing in enumerate(samples[i].writings):
            n = len(writing.token_ids)
            ids[row, way, :n] = labels[row, way, :n] = torch.tensor(writing.token_ids)
            places[row, way, :n] = torch.from_numpy(writing.places)
            priors[row, way] = writing.prior
    return ContestedBatch(
        **vars(batch),
        contested=torch.tensor(contested, dtype=torch.int64),
        writings=ids[..., :-1],
        writing_labels=labels[..., 1:],
        writing_places=places[..., :-1, :],
        priors=priors,
    )
