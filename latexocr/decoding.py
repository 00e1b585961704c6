"""From pictures to token ids: greedy and beam decoding with cached keys and values.

The stock `generate` cannot tell the decoder where it is on the paper (see places.py), which
follows from the attention of the step before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from latexocr.grammar import Grammar
from latexocr.language import LanguageModel
from latexocr.modeling import STRIDE, InkEncoderOutput, RecognizerModel
from latexocr.places import NOWHERE, PlaceTracker, looked_at

GUIDED_LAYERS = 2  # of the decoder, counted from its end, whose attention tells the place
HOPELESS = 10.0  # candidates whose log-probability is so far below the best one's are given up
MOST_TURNS = (12, 6, 4, 4, 4, 4, 4, 4)  # of a loop of 1, 2 and so on tokens
LOOKED_BACK = max(length * turns for length, turns in enumerate(MOST_TURNS, 1))


@dataclass(frozen=True)
class Prior:
    """What is likely before the picture is looked at, and how much that counts.

    To the recogniser's log-probability of a token is added weight times the language model's, and
    weight times bonus for each token but the end, or formulas would come out short: what is left
    out cannot be unlikely.
    Source: shallow fusion as in Gulcehre et al. 2015, arXiv:1503.03535, section 4.1, with a reward
    per word as in Murray and Chiang 2018, arXiv:1808.10006."""

    model: LanguageModel
    weight: float
    bonus: float = 0.0  # in nats


@dataclass(frozen=True)
class Candidate:
    """A sequence without start and end token, the sum of its tokens' log-probabilities by the
    recogniser alone (where it looks at several views, their mean), and whether it came to its end
    before the limit; if so, that counts as a token too.

    token_log_probabilities has one for each of token_ids, none for the end. If a candidate was
    broken off, tokens that close what was open follow; their probability is 0. score is what the
    search went by: the log-probability and what the prior adds."""

    token_ids: tuple[int, ...]
    log_probability: float
    is_whole: bool
    token_log_probabilities: tuple[float, ...] = ()
    score: float = 0.0


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
    n_views: int = 1,
) -> list[list[Candidate]]:
    """The n_beams likeliest sequences for each formula, the likeliest first; all of them can be
    parsed.

    Args: pixel_values and picture_sizes as InkEncoder.forward, n_views pictures of each formula
        after one another, one text being written for all of them; grammar, of the vocabulary;
        forbidden, ids that are never written; prior, what else makes a sequence likely. One beam is
        greedy decoding."""
    encoded = model.encoder(pixel_values, picture_sizes)
    columns = pixel_values.shape[3] // STRIDE
    n_formulas = len(pixel_values) // n_views
    search = _Search(model, grammar, n_formulas, n_beams, forbidden, prior, n_views)
    views = torch.arange(n_views, device=model.device)
    # Of each row, which is a view of a beam of a formula, the picture that it looks at.
    picture = torch.arange(n_formulas, device=model.device)[:, None, None] * n_views + views
    picture = picture.expand(-1, n_beams, -1).flatten()
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    for step in range(min(max_new_tokens, model.config.decoder.max_position_embeddings - 1)):
        # At first all beams of a formula are the same one, so one does for all.
        spread = step == 0 and n_beams > 1
        tokens, places = search.newest.repeat_interleave(n_views), search.places
        n_rows = len(pixel_values) if spread else len(tokens)
        out = model(
            encoder_outputs=encoded,
            decoder_input_ids=tokens[:n_rows, None],
            places=places[:n_rows, None],
            cache=cache,
            use_cache=True,
            output_attentions=True,
        )
        logits = out.logits[:, -1].float()
        looked = looked_at(out.cross_attentions[-GUIDED_LAYERS:], columns)
        if spread:
            logits, looked, encoded = logits[picture], looked[picture], _rows_of(encoded, picture)
            cache.reorder_cache(picture)
        origin = search.advance(logits, looked)
        if search.is_done():
            break
        if origin is not None:
            # All beams of a picture look at the same cells: only their own past moves with them.
            cache.self_attention_cache.reorder_cache((origin[:, None] * n_views + views).flatten())
    return search.results()


def _rows_of(encoded: InkEncoderOutput, rows: Tensor) -> InkEncoderOutput:
    mask = encoded.attention_mask
    return InkEncoderOutput(encoded.last_hidden_state[rows], None if mask is None else mask[rows])


class _Search:
    """The beams of a batch, formula after formula: B * K rows. Where it looks, and is told to have
    looked, differs between the views: B * K * V of these."""

    def __init__(
        self,
        model: RecognizerModel,
        grammar: Grammar,
        n_formulas: int,
        n_beams: int,
        forbidden: Collection[int],
        prior: Prior | None = None,
        n_views: int = 1,
    ) -> None:
        config = model.config
        self.end, self.pad = config.eos_token_id, config.pad_token_id
        self.n_formulas, self.n_beams, self.n_views = n_formulas, n_beams, n_views
        device = model.device
        n_rows = n_formulas * n_beams
        self.forbidden = torch.tensor(sorted(forbidden), dtype=torch.int64, device=device)
        self.newest = torch.full((n_rows,), config.decoder_start_token_id, device=device)
        self.places = torch.tensor([NOWHERE] * (n_rows * n_views), device=device)
        self.scores = torch.full((n_formulas, n_beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # at the start all beams are the same one
        self.prior, self.prior_state = prior, None
        self.own = torch.zeros(n_rows, device=device)  # scores without the prior
        self.ended = torch.zeros(n_rows, dtype=torch.bool, device=device)
        # Of each row its tokens, and how likely each was after those before it.
        self.written: list[list[tuple[int, float]]] = [[] for _ in range(n_rows)]
        self.trackers = [[PlaceTracker(grammar.ids) for _ in range(n_views)] for _ in range(n_rows)]
        self.grammar = grammar
        self.states = [grammar.start] * n_rows

    def advance(self, logits: Tensor, looked: Tensor) -> Tensor | None:
        """Write the next token of every beam.

        Args: logits (B * K * V, T), of T tokens; looked (B * K * V, 2), where each view looked.
        Returns: for each new row the old one that it continues, None if that is itself."""
        logits[:, self.forbidden] = -torch.inf
        likely = torch.log_softmax(logits, dim=1).unflatten(0, (-1, self.n_views)).mean(dim=1)
        gains = self.grammar.constrained(self.states, likely)
        for row, written in enumerate(self.written):
            if not self.states[row].n_open:  # a group that must follow cannot be forbidden
                tail = [token for token, _ in written[-LOOKED_BACK:]]
                gains[row, turning_in_circles(tail)] = -torch.inf
        preferred = gains + self._prior_gains() if self.prior else gains
        for which in (gains, preferred):
            which[self.ended] = -torch.inf
            which[self.ended, self.pad] = 0.0  # what has ended stays as it is
        n_tokens = gains.shape[1]
        totals = (self.scores.flatten()[:, None] + preferred).view(self.n_formulas, -1)
        self.scores, chosen = totals.topk(self.n_beams, dim=1)
        first = torch.arange(self.n_formulas, device=chosen.device)[:, None] * self.n_beams
        origin = (first + chosen // n_tokens).flatten()
        self.newest = (chosen % n_tokens).flatten()
        self.ended = self.ended[origin] | (self.newest == self.end)
        likely = gains[origin, self.newest]
        self.own = self.own[origin] + likely
        if self.prior_state is not None:
            self.prior_state = self.prior_state[:, origin]
        looked = looked.unflatten(0, (-1, self.n_views))[origin]
        self._write(origin.tolist(), looked.tolist(), likely.tolist())
        return origin if self.n_beams > 1 else None

    def _prior_gains(self) -> Tensor:
        """(B * K, V), of the tokens that may follow the newest ones."""
        prior = self.prior
        likely, self.prior_state = prior.model.step(self.newest, self.prior_state)
        gains = prior.weight * (likely + prior.bonus)
        gains[:, self.end] -= prior.weight * prior.bonus
        return gains

    def _write(
        self,
        origin: Sequence[int],
        looked: Sequence[Sequence[Sequence[float]]],
        log_probabilities: Sequence[float],
    ) -> None:
        alone = self.n_beams == 1
        self.written = [self.written[i] if alone else self.written[i].copy() for i in origin]
        if not alone:
            self.trackers = [[one.copy() for one in self.trackers[i]] for i in origin]
        self.states = [self.states[i] for i in origin]
        places = []
        for row, token in enumerate(self.newest.tolist()):
            if token not in (self.end, self.pad):
                self.written[row].append((token, log_probabilities[row]))
                self.states[row] = self.grammar.after(self.states[row], token)
            for tracker, place in zip(self.trackers[row], looked[row], strict=True):
                places.append(tracker.step(token, tuple(place)))
        self.places = torch.tensor(places, device=self.places.device)

    def is_done(self) -> bool:
        hopeless = self.scores < self.scores.max(dim=1, keepdim=True).values - HOPELESS
        best_ended = self.ended.view(self.scores.shape)[:, :1]
        return bool((self.ended.view(self.scores.shape) | (hopeless & best_ended)).all())

    def results(self) -> list[list[Candidate]]:
        """Candidates of each picture. Those that never ended come as far as they got, closed."""
        endings = [
            [] if ended else [(token, -torch.inf) for token in self.grammar.completion(state)]
            for state, ended in zip(self.states, self.ended.tolist(), strict=True)
        ]
        whole = [[*tokens, *ending] for tokens, ending in zip(self.written, endings, strict=True)]
        scores = self.scores.flatten().tolist()
        rows = zip(whole, self.own.tolist(), self.ended.tolist(), scores, strict=True)
        found = [_candidate(*row) for row in rows]
        return [found[i * self.n_beams : (i + 1) * self.n_beams] for i in range(self.n_formulas)]


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
    written: Sequence[tuple[int, float]], log_probability: float, ended: bool, score: float
) -> Candidate:
    token_ids = tuple(token for token, _ in written)
    each = tuple(likely for _, likely in written)
    return Candidate(token_ids, log_probability, ended, each, score)
