"""Pictures of one formula each in, LaTeX out.

recognizer = Recognizer.from_pretrained("latexocr/weights/recognizer")
reading = recognizer.read("formula.png")
print(reading.latex, reading.confidence, reading.alternatives)
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from latexocr.adapter import Adapter
from latexocr.confidence import confidence_of, leads
from latexocr.context import Scored, order_in_context
from latexocr.coverage import coverage, inked_cells
from latexocr.decoding import Candidate, Placed, Prior, decode, token_log_probabilities
from latexocr.errors import ModelError, TexError
from latexocr.grammar import Grammar
from latexocr.imaging import prepare
from latexocr.language import LanguageModel
from latexocr.latex import is_valid, pretty
from latexocr.modeling import COARSE_STRIDE, STRIDE, RecognizerModel
from latexocr.pictures import Source
from latexocr.places import Place
from latexocr.rarity import token_rewards
from latexocr.spelled import Token, with_names
from latexocr.views import LARGEST, first_view, views

PIXEL_BUDGET = 400_000  # padded pixels per batch: more saves nothing on a CPU and costs memory
MAX_NEW_TOKENS = 200
# Of the language model (see decoding.Prior), chosen on CROHME 2013, the photos and made-up ink.
LANGUAGE_WEIGHT, LANGUAGE_BONUS = 0.24, 1.5
SURE = 0.8  # readings with less confidence are looked at again,
CLOSER_BEAMS = 2  # by so many beams in each of the other sizes,
CLOSER_CANDIDATES = 4  # and so many of what is found then are judged by all views,
DISAGREEMENT = 4.0  # in nats: a view that finds one so much unlikelier counts e times less


@dataclass(frozen=True)
class Reading:
    """What a picture says.

    latex as a person would paste it; confidence from 0 to 1 that all of it is right; alternatives,
    other readings with their confidence, the best first; tokens, the canonical LaTeX token by
    token, each with its probability from 0 to 1 after those before it (see doubts.py)."""

    latex: str
    confidence: float
    alternatives: list[tuple[str, float]] = field(default_factory=list)
    tokens: list[tuple[str, float]] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Decoded:
    """One decoded sequence: canonical LaTeX and the log-probability of its tokens, summed.

    token_probabilities: from 0 to 1, of each token of canonical. is_whole: whether it came to its
    end before the limit. score: what candidates are put in order by, the log-probability and what
    the language model and coverage add; coverage: how much of the picture it accounts for (see
    coverage.py); lead: how far it is above the best of the others, None if there were none to
    search for. places: of the written tokens, as shares of the picture's height and width, negative
    where there is none."""

    canonical: str
    log_probability: float
    n_tokens: int
    token_probabilities: tuple[float, ...] = ()
    is_whole: bool = True
    score: float = 0.0
    coverage: float = 0.0
    lead: float | None = None
    places: tuple[Place, ...] = ()


class Recognizer:
    """A model with its tokenizer, ready to read."""

    def __init__(
        self,
        model: RecognizerModel,
        tokenizer: PreTrainedTokenizerFast,
        device: str | None = None,
        language: LanguageModel | None = None,
    ) -> None:
        """Args: language, of the same vocabulary, to decide where the picture leaves doubts.

        Raises: ModelError if it has another vocabulary."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.tokenizer = tokenizer
        self.symbol_px = LARGEST * model.config.encoder.symbol_px  # that decode asks for
        self.vocabulary = tokenizer.get_vocab()
        never = {tokenizer.pad_token, tokenizer.bos_token, tokenizer.unk_token}
        self.grammar = Grammar(self.vocabulary, tokenizer.eos_token, never)
        self.unwritable = tokenizer.convert_tokens_to_ids(sorted(never))
        if language and len(language.bias) != len(tokenizer):
            raise ModelError(
                f"expected a language model of {len(tokenizer)} tokens, got {len(language.bias)}"
            )
        self.language = language.to(self.device) if language else None
        self.rewards = token_rewards(self.vocabulary).to(self.device)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        device: str | None = None,
        kind: type[RecognizerModel] = RecognizerModel,
        with_adapter: bool = True,
    ) -> "Recognizer":
        """Load a folder that save_pretrained wrote, or a Hub repository's id.

        Args: with_adapter, whether to add the change that may lie beside the weights (adapter.py).
        Raises: ModelError if there is no recogniser there, or one of another kind."""
        try:
            model = kind.from_pretrained(source, dtype=torch.float32)
            tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{source}: expected a recogniser's folder, got {error}") from error
        # Weights of the plain kind can start another; those of another would read wrongly.
        saved_as = (model.config.architectures or [kind.__name__])[0]
        if saved_as not in (kind.__name__, RecognizerModel.__name__):
            raise ModelError(f"{source}: expected weights of a {kind.__name__}, got a {saved_as}")
        adapter = Adapter.load(source) if with_adapter else None
        if adapter:
            adapter.add_to(model)
        return cls(model, tokenizer, device, LanguageModel.load(source))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer so that from_pretrained reads them, in files below 10 MB."""
        self.model.save_pretrained(folder, max_shard_size="9MB")
        self.tokenizer.save_pretrained(folder)
        if self.language:
            self.language.save(Path(folder))

    @property
    def n_parameters(self) -> int:
        """Of the model; of graphs, of what they were made of."""
        known = getattr(self.model, "n_parameters", None)
        return sum(p.numel() for p in self.model.parameters()) if known is None else known

    # --- Reading ------------------------------------------------------------------------------

    def read(self, image: Source, n_alternatives: int = 3) -> Reading:
        """Read one picture. Arguments and errors as read_batch."""
        return self.read_batch([image], n_alternatives)[0]

    def read_batch(self, images: Sequence[Source], n_alternatives: int = 3) -> list[Reading]:
        """Read pictures of one formula each.

        Args: images, each anything that pictures.load_picture takes; n_alternatives, 0 for the
            quickest way (greedy, one look), otherwise how many other readings to look for.
        Returns: readings in the order of the pictures.
        Raises: ImageError at the first picture that cannot be read."""
        return self.read_prepared([prepare(i, self.symbol_px) for i in images], n_alternatives)

    def read_prepared(
        self, pictures: Sequence[np.ndarray], n_alternatives: int = 0
    ) -> list[Reading]:
        """As read_batch, for pictures that imaging.standardize has made, (h, w) uint8."""
        return self.readings(self.decode(pictures, n_alternatives + 1), n_alternatives)

    def readings(
        self, candidates: Sequence[Sequence[Decoded]], n_alternatives: int
    ) -> list[Reading]:
        """What decode and in_context found, as a person gets it."""
        return [self._reading(found, n_alternatives) for found in candidates]

    @torch.inference_mode()
    def decode(
        self, pictures: Sequence[np.ndarray], n_beams: int = 1, max_new_tokens: int = MAX_NEW_TOKENS
    ) -> list[list[Decoded]]:
        """Canonical LaTeX of pictures, n_beams candidates each, the likeliest first.

        Args: pictures as imaging.standardize makes them with symbol_px, (h, w) uint8.

        With more than one beam, what is doubtful is read again in other sizes (views.py), and has
        up to CLOSER_CANDIDATES candidates if these are more."""
        first = [first_view(picture) for picture in pictures]
        results = self._decode(first, n_beams, max_new_tokens)
        if n_beams > 1:
            results = list(map(_with_coverage, results, first))
            # Nobody is ahead yet (`lead`), so this is the curve of greedy readings.
            doubtful = [i for i, found in enumerate(results) if self.confidence(found[0]) < SURE]
            seen = [views(pictures[i]) for i in doubtful]
            begun = [results[i] for i in doubtful]
            closer = self._look_closer(seen, begun, n_beams, max_new_tokens)
            for index, found in zip(doubtful, closer, strict=True):
                results[index] = found
            results = [_with_leads(found) for found in results]
        return results

    def _look_closer(
        self,
        seen: Sequence[Sequence[np.ndarray]],
        first: Sequence[list[Decoded]],
        n_beams: int,
        max_new_tokens: int,
    ) -> list[list[Decoded]]:
        """Candidates of doubtful pictures, judged by all views.

        Args: seen, the views of each picture; first, what was found in the first one of each."""
        found = [[in_first] for in_first in first]  # by picture and view
        for one_size in list(zip(*seen, strict=True))[1:]:
            more = self._decode(one_size, min(n_beams, CLOSER_BEAMS), max_new_tokens)
            for by_view, in_this, views_ in zip(found, more, seen, strict=True):
                by_view.append(_with_coverage(in_this, views_[0]))
        n_chosen = max(n_beams, CLOSER_CANDIDATES)
        chosen = [_best_of(list(chain.from_iterable(by_view)), n_chosen) for by_view in found]
        known = [[_likelihoods(in_view) for in_view in by_view] for by_view in found]
        # What a view has read itself it need not judge.
        missing = [
            (view, likely, [c for c in some if c.is_whole and c.canonical not in likely])
            for some, by_view, views_ in zip(chosen, known, seen, strict=True)
            for view, likely in zip(views_, by_view, strict=True)
        ]
        missing = [one for one in missing if one[2]]
        judged = self._judge([view for view, _, _ in missing], [others for *_, others in missing])
        for (_, likely, others), values in zip(missing, judged, strict=True):
            likely.update(zip((c.canonical for c in others), values, strict=True))
        return [
            _judged_anew(some, [[likely.get(c.canonical, ()) for c in some] for likely in by_view])
            for some, by_view in zip(chosen, known, strict=True)
        ]

    def _judge(
        self, pictures: Sequence[np.ndarray], candidates: Sequence[Sequence[Decoded]]
    ) -> list[list[tuple[float, ...]]]:
        """Log-probabilities of the tokens, end token included, of candidates for each picture that
        were read to their end in another one of its views."""
        results: list[list[tuple[float, ...]]] = [[] for _ in pictures]
        # Each picture of a batch has as many rows as the one with the most candidates.
        for count in sorted({len(of_picture) for of_picture in candidates}):
            alike = [i for i, of_picture in enumerate(candidates) if len(of_picture) == count]
            shapes = [pictures[i].shape for i in alike]
            for places in shape_batches(shapes, PIXEL_BUDGET // count):
                indices = [alike[place] for place in places]
                pixel_values, sizes = stack_pictures([pictures[i] for i in indices])
                found = token_log_probabilities(
                    self.model,
                    pixel_values.to(self.device),
                    sizes.to(self.device),
                    [[self._placed(c, pictures[i]) for c in candidates[i]] for i in indices],
                    self.unwritable,
                )
                for index, likely in zip(indices, found, strict=True):
                    results[index] = likely
        return results

    def _placed(self, candidate: Decoded, picture: np.ndarray) -> Placed:
        ids = self.tokenizer(candidate.canonical, add_special_tokens=False).input_ids
        return ids, _scaled(candidate.places, [side / STRIDE for side in picture.shape])

    def in_context(self, lines: Sequence[list[Decoded]]) -> list[list[Decoded]]:
        """The candidates of all lines of a page, put in order once more: see context.py. A line
        on its own, and candidates that were not searched for, stay as they are."""
        if self.language is None or len(lines) < 2 or max(map(len, lines)) < 2:
            return list(lines)
        scored = [[self._scored(candidate) for candidate in found] for found in lines]
        orders = order_in_context(self.language, scored)
        return [
            _with_leads([replace(found[i], score=score) for i, score in order])
            for found, order in zip(lines, orders, strict=True)
        ]

    def _scored(self, candidate: Decoded) -> Scored:
        ids = tuple(self.tokenizer(candidate.canonical).input_ids)
        known = candidate.log_probability + candidate.coverage
        known += float(self.rewards[list(ids)].sum())
        return Scored(ids, known if candidate.is_whole else -math.inf)

    def _decode(
        self, pictures: Sequence[np.ndarray], n_beams: int, max_new_tokens: int
    ) -> list[list[Decoded]]:
        results: list[list[Decoded]] = [[] for _ in pictures]
        for indices in shape_batches([p.shape for p in pictures], PIXEL_BUDGET // n_beams):
            pixel_values, sizes = stack_pictures([pictures[i] for i in indices])
            decoded = self._generate(pixel_values, sizes, n_beams, max_new_tokens)
            for index, beams in zip(indices, decoded, strict=True):
                results[index] = beams
        return results

    def _generate(
        self, pixel_values: Tensor, sizes: Tensor, n_beams: int, max_new_tokens: int
    ) -> list[list[Decoded]]:
        found = decode(
            self.model,
            pixel_values.to(self.device),
            sizes.to(self.device),
            self.grammar,
            n_beams,
            max_new_tokens,
            self.unwritable,
            self.prior(n_beams),
        )
        return [
            [self._decoded(candidate, [STRIDE / side for side in size]) for candidate in beams]
            for beams, size in zip(found, sizes.tolist(), strict=True)
        ]

    def prior(self, n_beams: int) -> Prior | None:
        """What candidates are searched by beside the picture, with so many beams."""
        if self.language is None:
            return None
        # A greedy reading hardly changes by it.
        rewards = self.rewards if n_beams > 1 else None
        return Prior(self.language, LANGUAGE_WEIGHT, LANGUAGE_BONUS, rewards)

    def _decoded(self, found: Candidate, cell: Sequence[float]) -> Decoded:
        """Args: cell, height and width of a cell as shares of the picture's."""
        return Decoded(
            self.tokenizer.decode(list(found.token_ids)),
            found.log_probability,
            len(found.token_ids) + found.is_whole,
            tuple(math.exp(value) for value in found.token_log_probabilities),
            found.is_whole,
            found.score,
            places=_scaled(found.places, cell),
        )

    def _reading(self, candidates: Sequence[Decoded], n_alternatives: int) -> Reading:
        """The likeliest candidate that is valid LaTeX, the others as alternatives."""
        ordered = sorted(candidates, key=lambda c: not is_valid(c.canonical))
        unique: dict[str, float] = {}
        ceiling = 1.0  # none is surer than those that the search prefers to it
        for candidate in ordered:
            ceiling = min(ceiling, self.confidence(candidate))
            unique.setdefault(_pretty(candidate), ceiling)
        (latex, confidence), *others = unique.items()
        best = ordered[0]
        # What decodes in another way may know no probabilities.
        tokens = _tokens(best) if best.token_probabilities else []
        return Reading(latex, confidence, others[:n_alternatives], tokens)

    def confidence(self, candidate: Decoded) -> float:
        """Estimate from 0 to 1 that a reading is right in every token: see confidence.py."""
        return confidence_of(self.model.config, candidate)


def _tokens(candidate: Decoded) -> list[Token]:
    tokens = candidate.canonical.split()
    known = candidate.token_probabilities or (1.0,) * len(tokens)
    return with_names(list(zip(tokens, known, strict=True)))


def _pretty(candidate: Decoded) -> str:
    latex = " ".join(token for token, _ in _tokens(candidate))
    try:
        return pretty(latex)
    except TexError:
        return latex  # better an odd formula to correct than none


def _scaled(places: Sequence[Place], by: Sequence[float]) -> tuple[Place, ...]:
    return tuple((row * by[0], column * by[1]) for row, column in places)


def _with_coverage(candidates: Sequence[Decoded], picture: np.ndarray) -> list[Decoded]:
    """Candidates that a search has found, put in order by how much of the picture, in its first
    view, they account for, too."""
    found, inked = [], inked_cells(picture)
    for candidate in candidates:
        gain = coverage(inked, picture.shape, candidate.canonical.split(), candidate.places)
        found.append(replace(candidate, coverage=gain, score=candidate.score + gain))
    return sorted(found, key=_rank)


def _rank(candidate: Decoded) -> tuple[bool, float]:
    """What candidates are sorted by: what came to its end first, then the best score."""
    return not candidate.is_whole, -candidate.score


def _with_leads(candidates: Sequence[Decoded]) -> list[Decoded]:
    ahead = leads([c.score for c in candidates], [c.is_whole for c in candidates])
    return [replace(c, lead=lead) for c, lead in zip(candidates, ahead, strict=True)]


def _best_of(found: Sequence[Decoded], count: int) -> list[Decoded]:
    """The best of what was found in several views, each text once. What came to no end only if
    nothing did."""
    unique: dict[str, Decoded] = {}
    for candidate in sorted(found, key=_rank):
        unique.setdefault(candidate.canonical, candidate)
    whole = [candidate for candidate in unique.values() if candidate.is_whole]
    return (whole or list(unique.values()))[:count]


def _likelihoods(found: Sequence[Decoded]) -> dict[str, tuple[float, ...]]:
    """Of what a search has read to the end, the log-probabilities of its tokens, end included."""
    likely = {}
    for one in found:
        if one.is_whole:
            tokens = [math.log(max(p, sys.float_info.min)) for p in one.token_probabilities]
            likely[one.canonical] = (*tokens, one.log_probability - sum(tokens))
    return likely


def _judged_anew(
    candidates: Sequence[Decoded], by_view: Sequence[Sequence[Sequence[float]]]
) -> list[Decoded]:
    """Candidates of one picture with the probabilities that all views give them in the mean, the
    best first. What shows the ink well counts for more: each view weighs by a root of the
    probability that it gives, the root of degree DISAGREEMENT.

    Args: by_view, for each view the log-probabilities of each candidate's tokens, end included."""
    found = []
    for candidate, *of_views in zip(candidates, *by_view, strict=True):
        if not candidate.is_whole:
            found.append(candidate)
            continue
        each = np.sum(of_views, axis=1)
        weights = np.exp((each - each.max()) / DISAGREEMENT)
        likely = np.average(of_views, axis=0, weights=weights)
        total = float(likely.sum())
        found.append(
            replace(
                candidate,
                log_probability=total,
                token_probabilities=tuple(np.exp(likely[:-1]).tolist()),
                score=candidate.score - candidate.log_probability + total,
            )
        )
    return sorted(found, key=lambda c: -c.score)


def stack_pictures(pictures: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Ink maps (h, w) uint8 of different sizes -> pixel_values (B, 1, H, W) float32 from 0 to 1, H
    and W multiples of 16, and picture_sizes (B, 2)."""
    sizes = np.array([picture.shape for picture in pictures])
    height, width = -(-sizes.max(axis=0) // COARSE_STRIDE) * COARSE_STRIDE
    canvas = np.zeros((len(pictures), 1, height, width), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        canvas[i, 0, : picture.shape[0], : picture.shape[1]] = picture
    return torch.from_numpy(canvas).float().div_(255), torch.from_numpy(sizes)


def shape_batches(shapes: Sequence[tuple[int, int]], pixel_budget: int) -> Iterator[list[int]]:
    """Indices of pictures that go together, alike in shape and within the budget of padded
    pixels."""
    padded = -(-np.array(shapes).reshape(-1, 2) // COARSE_STRIDE) * COARSE_STRIDE
    batch: list[int] = []
    height = width = 0
    for i in np.lexsort((padded[:, 1], padded[:, 0])):
        height, width = max(height, padded[i, 0]), max(width, padded[i, 1])
        if batch and (len(batch) + 1) * height * width > pixel_budget:
            yield batch
            batch, (height, width) = [], padded[i]
        batch.append(int(i))
    if batch:
        yield batch
