"""From pictures to token ids: greedy and beam decoding with cached keys and values.

The stock `generate` cannot tell the decoder where it is on the paper (see places.py), which
follows from the attention of the step before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latexocr.grammar import Grammar
from latexocr.language import LanguageModel
from latexocr.modeling import STRIDE, RecognizerModel
from latexocr.places import NOWHERE, Place, PlaceTracker, looked_at
from latexocr.stepping import Steps, rows_of

HOPELESS = 10.0  # candidates whose log-probability is so far below the best one's are given up
MOST_TURNS = (12, 6, 4, 4, 4, 4, 4, 4)  # of a loop of 1, 2 and so on tokens
LOOKED_BACK = max(length * turns for length, turns in enumerate(MOST_TURNS, 1))
Written = tuple[int, float, Place]  # a token, how likely it was, and its place
Placed = tuple[Sequence[int], Sequence[Place]]  # tokens without start and end, and their places
DONE_SHARE = 0.1  # of the pictures in work that are put aside together when they are done


@dataclass(frozen=True)
class Prior:
    """What is likely before the picture is looked at, and how much that counts.

    To the recogniser's log-probability of a token is added weight times the language model's, and
    weight times bonus for each token but the end, or formulas would come out short: what is left
    out cannot be unlikely; and rewards, a token's own.
    Source: shallow fusion as in Gulcehre et al. 2015, arXiv:1503.03535, section 4.1, with a reward
    per word as in Murray and Chiang 2018, arXiv:1808.10006."""

    model: LanguageModel
    weight: float
    bonus: float = 0.0  # in nats
    rewards: Tensor | None = None  # (V,) in nats, of each token: see rarity.py


@dataclass(frozen=True)
class Candidate:
    """A sequence without start and end token, the sum of its tokens' log-probabilities by the
    recogniser alone, and whether it came to its end before the limit; if so, that counts as a token
    too.

    token_log_probabilities has one for each of token_ids, none for the end. If a candidate was
    broken off, tokens that close what was open follow; their probability is 0. score is what the
    search went by: the log-probability and what the prior adds. places are those that the decoder
    was told with the tokens that it wrote, row and column in cells (see places.py)."""

    token_ids: tuple[int, ...]
    log_probability: float
    is_whole: bool
    token_log_probabilities: tuple[float, ...] = ()
    score: float = 0.0
    places: tuple[Place, ...] = ()


@torch.inference_mode()
def decode(
    model: RecognizerModel,
    pixel_values: Tensor,
    picture_sizes: Tensor,
    grammar: Grammar,
    n_beams: int = 1,
    max_new_tokens: int = 200,
    forbidden: Collection[int] = (),
    prior: Prior | None = None,
) -> list[list[Candidate]]:
    """The n_beams likeliest sequences for each picture, the likeliest first; all of them can be
    parsed.

    Args: pixel_values and picture_sizes as InkEncoder.forward; grammar, of the vocabulary;
        forbidden, ids that are never written; prior, what else makes a sequence likely. One beam is
        greedy decoding."""
    columns, n_pictures = pixel_values.shape[3] // STRIDE, len(pixel_values)
    steps: Steps = model.steps(model.encoder(pixel_values, picture_sizes))
    search = _Search(model, grammar, n_pictures, n_beams, forbidden, prior)
    for step in range(min(max_new_tokens, model.config.decoder.max_position_embeddings - 1)):
        # At first all beams of a picture are the same one, so one does for all.
        spread = step == 0 and n_beams > 1
        n_rows = n_pictures if spread else len(search.newest)
        newest, places = search.newest[:n_rows, None], search.places[:n_rows, None]
        found, attentions = steps.step(newest, places)
        logits, looked = found[:, 0], looked_at(attentions, columns)
        if spread:
            rows = torch.arange(n_pictures, device=model.device).repeat_interleave(n_beams)
            logits, looked = logits[rows], looked[rows]
            steps.follow(rows)
        origin = search.advance(logits.float(), looked)
        if origin is not None:
            steps.follow(origin)
        left = search.put_aside()
        if left is not None:
            if not len(left):
                break
            steps.keep(left)
    return search.results()


@torch.inference_mode()
def token_log_probabilities(
    model: RecognizerModel,
    pixel_values: Tensor,
    picture_sizes: Tensor,
    sequences: Sequence[Sequence[Placed]],
    forbidden: Collection[int] = (),
) -> list[list[tuple[float, ...]]]:
    """How likely each token of given sequences is after those before it, the end token the last.

    The sequences of a picture need not have been read on it: this is how a candidate found in one
    view is judged by another, in a single step, since its places are known.

    Args: as decode; sequences, of each picture."""
    start, end = model.config.decoder_start_token_id, model.config.eos_token_id
    pad, device = model.config.pad_token_id, model.device
    n_each = max(map(len, sequences))
    rows = [one for some in sequences for one in (*some, *[((), ())] * (n_each - len(some)))]
    longest = max(len(ids) for ids, _ in rows)
    tokens = [[start, *ids, end, *[pad] * (longest - len(ids))] for ids, _ in rows]
    places = [[NOWHERE, *told, *[NOWHERE] * (longest - len(told))] for _, told in rows]
    told = torch.tensor(tokens, device=device)
    steps: Steps = model.steps(model.encoder(pixel_values, picture_sizes))
    logits = steps.step(told[:, :-1], torch.tensor(places, device=device))[0].float()
    logits[..., torch.tensor(sorted(forbidden), dtype=torch.int64, device=device)] = -torch.inf
    likely = logits.log_softmax(dim=-1).gather(2, told[:, 1:, None])[..., 0].tolist()
    found = [tuple(each[: len(ids) + 1]) for each, (ids, _) in zip(likely, rows, strict=True)]
    return [found[i * n_each :][: len(some)] for i, some in enumerate(sequences)]


class _Search:
    """The beams of a batch, picture after picture: B * K rows."""

    def __init__(
        self,
        model: RecognizerModel,
        grammar: Grammar,
        n_pictures: int,
        n_beams: int,
        forbidden: Collection[int],
        prior: Prior | None = None,
    ) -> None:
        config = model.config
        self.end, self.pad = config.eos_token_id, config.pad_token_id
        self.n_beams = n_beams
        device = model.device
        n_rows = n_pictures * n_beams
        self.forbidden = torch.tensor(sorted(forbidden), dtype=torch.int64, device=device)
        self.newest = torch.full((n_rows,), config.decoder_start_token_id, device=device)
        self.places = torch.tensor([NOWHERE] * n_rows, device=device)
        self.scores = torch.full((n_pictures, n_beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # at the start all beams are the same one
        self.prior, self.prior_state = prior, None
        self.own = torch.zeros(n_rows, device=device)  # scores without the prior
        self.ended = torch.zeros(n_rows, dtype=torch.bool, device=device)
        # Of each row its tokens, how likely each was after those before it, and its place.
        self.written: list[list[Written]] = [[] for _ in range(n_rows)]
        self.trackers = [PlaceTracker(grammar.ids) for _ in range(n_rows)]
        self.grammar = grammar
        self.states = [grammar.start] * n_rows
        self.in_work = list(range(n_pictures))  # of each K rows, which picture they read
        self.done: dict[int, list[Candidate]] = {}  # those that are put aside

    def advance(self, logits: Tensor, looked: Tensor) -> Tensor | None:
        """Write the next token of every beam.

        Args: logits (B * K, T), of T tokens; looked (B * K, 2), where each row looked.
        Returns: for each new row the old one that it continues, None if that is itself."""
        logits[:, self.forbidden] = -torch.inf
        gains = self.grammar.constrained(self.states, torch.log_softmax(logits, dim=1))
        for row, written in enumerate(self.written):
            if not self.states[row].n_open:  # a group that must follow cannot be forbidden
                tail = [token for token, *_ in written[-LOOKED_BACK:]]
                gains[row, turning_in_circles(tail)] = -torch.inf
        preferred = gains + self._prior_gains() if self.prior else gains
        for which in (gains, preferred):
            which[self.ended] = -torch.inf
            which[self.ended, self.pad] = 0.0  # what has ended stays as it is
        n_tokens = gains.shape[1]
        totals = (self.scores.flatten()[:, None] + preferred).view(len(self.scores), -1)
        self.scores, chosen = totals.topk(self.n_beams, dim=1)
        first = torch.arange(len(chosen), device=chosen.device)[:, None] * self.n_beams
        origin = (first + chosen // n_tokens).flatten()
        self.newest = (chosen % n_tokens).flatten()
        self.ended = self.ended[origin] | (self.newest == self.end)
        likely = gains[origin, self.newest]
        self.own = self.own[origin] + likely
        if self.prior_state is not None:
            self.prior_state = self.prior_state[:, origin]
        self._write(origin.tolist(), looked[origin].tolist(), likely.tolist())
        return origin if self.n_beams > 1 else None

    def _prior_gains(self) -> Tensor:
        """(B * K, V), of the tokens that may follow the newest ones."""
        prior = self.prior
        likely, self.prior_state = prior.model.step(self.newest, self.prior_state)
        gains = prior.weight * (likely + prior.bonus)
        gains[:, self.end] -= prior.weight * prior.bonus
        return gains if prior.rewards is None else gains + prior.rewards

    def _write(
        self,
        origin: Sequence[int],
        looked: Sequence[Sequence[float]],
        log_probabilities: Sequence[float],
    ) -> None:
        alone = self.n_beams == 1
        self.written = [self.written[i] if alone else self.written[i].copy() for i in origin]
        if not alone:
            self.trackers = [self.trackers[i].copy() for i in origin]
        self.states = [self.states[i] for i in origin]
        places = []
        for row, token in enumerate(self.newest.tolist()):
            places.append(self.trackers[row].step(token, tuple(looked[row])))
            if token not in (self.end, self.pad):
                self.written[row].append((token, log_probabilities[row], places[row]))
                self.states[row] = self.grammar.after(self.states[row], token)
        self.places = torch.tensor(places, device=self.places.device)

    def _done_pictures(self) -> Tensor:
        """(B,) bool: nothing that could still be written would matter."""
        hopeless = self.scores < self.scores.max(dim=1, keepdim=True).values - HOPELESS
        ended = self.ended.view(self.scores.shape)
        return (ended | (hopeless & ended[:, :1])).all(dim=1)

    def put_aside(self) -> Tensor | None:
        """Drop the rows of pictures that are done, when these are many enough to be worth it.

        Returns: the pictures that are left, by their places among those in work before, None if
        these are all."""
        done = self._done_pictures()
        if int(done.sum()) < DONE_SHARE * len(done):
            return None
        found = self._candidates()
        for place in done.nonzero().flatten().tolist():
            self.done[self.in_work[place]] = found[place]
        left = (~done).nonzero().flatten()
        rows = rows_of(left, self.n_beams)
        self.in_work = [self.in_work[place] for place in left.tolist()]
        self.scores, self.own, self.ended = self.scores[left], self.own[rows], self.ended[rows]
        self.newest = self.newest[rows]
        self.places = self.places[rows]
        if self.prior_state is not None:
            self.prior_state = self.prior_state[:, rows]
        for name in ("written", "trackers", "states"):
            setattr(self, name, [getattr(self, name)[row] for row in rows.tolist()])
        return left

    def results(self) -> list[list[Candidate]]:
        """Candidates of each picture. Those that never ended come as far as they got, closed."""
        found = self.done | dict(zip(self.in_work, self._candidates(), strict=True))
        return [found[picture] for picture in sorted(found)]

    def _candidates(self) -> list[list[Candidate]]:
        """Of the pictures in work."""
        endings = [
            [] if ended else [(id_, -torch.inf, NOWHERE) for id_ in self.grammar.completion(state)]
            for state, ended in zip(self.states, self.ended.tolist(), strict=True)
        ]
        whole = [[*tokens, *ending] for tokens, ending in zip(self.written, endings, strict=True)]
        scores = self.scores.flatten().tolist()
        rows = zip(whole, self.own.tolist(), self.ended.tolist(), scores, strict=True)
        found = [_candidate(*row) for row in rows]
        return [found[i : i + self.n_beams] for i in range(0, len(found), self.n_beams)]


def turning_in_circles(token_ids: Sequence[int]) -> list[int]:
    """The tokens with which a sequence would go on repeating itself, after it has done so for long.

    A decoder that has lost its way writes the same few tokens until its limit. Numbers may well be
    long rows of zeros, so that a single token may come a dozen times."""
    found = set()
    for length, turns in enumerate(MOST_TURNS, 1):
        tail = list(token_ids[-length * turns :])
        if len(tail) == length * turns and tail == turns * tail[:length]:
            found.add(tail[0])
    return sorted(found)


def _candidate(
    written: Sequence[Written], log_probability: float, ended: bool, score: float
) -> Candidate:
    token_ids, each, places = zip(*written, strict=True) if written else ((), (), ())
    return Candidate(token_ids, log_probability, ended, each, score, places)
