"""The ink of single symbols: cut from real handwriting, drawn by a table, or taken from fonts.

    book = GlyphBook(donors, fonts)
    hand = book.hand(rng)                  # one writer, for one formula
    glyph = hand.glyph(r"\\alpha", rng)    # in em, on a baseline

Every source belongs either to training or to the held-out ones, so that a recogniser can be
measured on shapes that it has never seen.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from latexocr import latex_tables as tables
from latexocr.errors import DataError
from trainer.data.characters import characters, is_in_font
from trainer.data.drawn import Drawn, Part, drawn_symbols
from trainer.data.examples import symbol_latex
from trainer.data.skeletons import load_font
from trainer.data.strokes import Ink

FRACTION_BAR = r"\frac"  # its ink in the book; a fraction's bar is longer than a minus sign
HELD_OUT_SHARE = 8  # one writer in so many is held out
HELD_OUT_FONTS = frozenset(
    (
        "kiloji",
        "kiloji_b",
        "kiloji_d",
        "kiloji_p",
        "Humor-Sans",
        "DejaVuSans-ExtraLight",
        "DejaVuSans",
    )
)
MAX_POINTS = 48  # of a donated stroke: tablets give more than a picture can show

N_HELPERS = 3  # writers who write what a formula's own writer never wrote

# Their shape says nothing about a hand.
_LINES = frozenset((r"\overline", r"\underline", r"\bar", r"\not", r"\xlongequal"))
_RARE = 16  # donated samples of a symbol below which other sources are used as well
_STRANGE = 2.5  # samples this many times wider or narrower than usual are left out
_TEMPLATE_NOISE = 2.6  # hundredths of a drawn symbol's box, each point for itself


@dataclass(frozen=True)
class Glyph:
    """Ink of one symbol, in em if not said otherwise, y down from the baseline, x from about 0.

    points (N, 2); lengths, points of each stroke; source, whose ink it is."""

    points: np.ndarray
    lengths: tuple[int, ...]
    source: str

    @property
    def width(self) -> float:
        return float(self.points[:, 0].max())


@dataclass(frozen=True)
class _Donated:
    """Ink of a symbol as a donor wrote it."""

    source: str
    strokes: tuple[np.ndarray, ...]
    aspect: float


class GlyphBook:
    """All ink of symbols there is, by token and by source."""

    def __init__(
        self,
        donors: Sequence[Ink] = (),
        fonts: Sequence[Path] = (),
        symbol_fonts: Sequence[Path] = (),
        held_out: bool = False,
        all_donors: bool = False,
    ) -> None:
        """Args: donors, segmented inks; fonts, files of hand-lettered fonts; symbol_fonts, files of
        other fonts, from which no plain letters and digits are taken; held_out, whether to use the
        sources held out of training or the others. Held out are some writers and HELD_OUT_FONTS;
        of the drawn symbols they use only straight lines, and what is put together from ink.
        all_donors: whether all donors are on that side, whoever they are."""
        self.held_out = held_out
        self._samples = _samples(donors, None if all_donors else held_out)
        self._writers = _writers(self._samples)
        self._names = sorted(self._writers)
        n_tokens = np.array([len(self._writers[name]) for name in self._names], dtype=np.float64)
        self._chances = n_tokens / n_tokens.sum() if len(n_tokens) else n_tokens
        self._fonts = [(load_font(Path(path)), is_hand) for is_hand, paths in
                       ((True, fonts), (False, symbol_fonts)) for path in paths
                       if (Path(path).stem in HELD_OUT_FONTS) == held_out]  # fmt: skip

    def hand(self, rng: np.random.Generator) -> Hand:
        """A writer for one formula, those with many symbols more often, and the helpers who write
        what that one never wrote."""
        if not self._names:
            return Hand(self, ())
        places = np.searchsorted(np.cumsum(self._chances), rng.random(1 + N_HELPERS))
        return Hand(self, tuple(self._names[min(i, len(self._names) - 1)] for i in places))

    def can_write(self, token: str) -> bool:
        return bool(self._samples.get(token) or self._drawn(token) or self._in_fonts(token))

    def sources(self, token: str) -> set[str]:
        """Names of all sources of a token."""
        found = {sample.source for sample in self._samples.get(token, ())}
        found |= {name for name, _ in self._in_fonts(token)}
        return found | ({"drawn"} if self._drawn(token) else set())

    def donated(self, token: str, writers: Sequence[str]) -> list[_Donated]:
        """Samples of the first writer who has any, else of all."""
        own = (self._writers[writer].get(token) for writer in writers)
        return next(filter(None, own), self._samples.get(token, []))

    def _in_fonts(self, token: str) -> list[tuple[str, tuple[np.ndarray, ...]]]:
        character = characters().get(token, token if len(token) == 1 else "")
        found = [(font.name, font.strokes(character)) for font, is_hand in self._fonts
                 if character and is_in_font(token, is_hand)]  # fmt: skip
        return [(name, strokes) for name, strokes in found if strokes]

    def _drawn(self, token: str) -> Drawn | None:
        drawn = drawn_symbols().get(token)
        if drawn is None or not self.held_out or token in _LINES:
            return drawn
        if self._samples.get(token) or self._in_fonts(token):
            return None
        inked = [part.token for part in drawn.parts if part.kind == "ink"]
        return drawn if inked and all(map(self.can_write, inked)) else None

    def choose(
        self, token: str, writers: Sequence[str], rng: np.random.Generator
    ) -> list[_Donated] | Drawn | tuple[str, tuple[np.ndarray, ...]]:
        """A source for a token: one writer's samples, a drawn symbol, or a font's strokes.

        Args: writers, the first choices in their order.
        Raises: DataError if there is none."""
        samples = self._samples.get(token, [])
        for writer in writers:
            own = self._writers[writer].get(token)
            if own and (len(samples) >= _RARE or rng.random() < 0.6):
                return own
        if len(samples) >= _RARE or (samples and rng.random() < 0.5):
            other = samples[int(rng.integers(len(samples)))]
            return self._writers[other.source][token]
        fonts = self._in_fonts(token)
        drawn = self._drawn(token)
        if drawn and (not fonts or rng.random() < 0.55):
            return drawn
        if fonts:
            return fonts[int(rng.integers(len(fonts)))]
        if samples:
            return samples
        raise DataError(f"expected a symbol that some hand can write, got {token!r}")


class Hand:
    """One writer: writes the same symbol in much the same way each time."""

    def __init__(self, book: GlyphBook, writers: Sequence[str]) -> None:
        self.book, self.writers = book, writers
        self._chosen: dict[str, object] = {}

    def glyph(self, token: str, rng: np.random.Generator) -> Glyph:
        """Ink of a token in its usual size.

        Raises: DataError if there is no ink for it."""
        if token not in self._chosen:
            self._chosen[token] = self.book.choose(token, self.writers, rng)
        chosen = self._chosen[token]
        if isinstance(chosen, Drawn):
            return _with_ticks(self._draw(chosen, rng), rng)
        if isinstance(chosen, list):
            sample = chosen[int(rng.integers(len(chosen)))]
            source, strokes = sample.source, sample.strokes
        else:
            source, strokes = chosen
        points = np.concatenate(strokes).astype(np.float64)
        lengths = tuple(len(stroke) for stroke in strokes)
        box = usual_box(token)
        points = _fit(points, box) if box else _at_left(points)
        return _with_ticks(Glyph(points, lengths, source), rng)

    def raw(self, token: str, rng: np.random.Generator) -> Glyph | None:
        """Ink of a token just as some donor wrote it, in any size; None if no donor did."""
        samples = self.book.donated(token, self.writers)
        if not samples:
            return None
        sample = samples[int(rng.integers(len(samples)))]
        points = np.concatenate(sample.strokes).astype(np.float64)
        return Glyph(points, tuple(map(len, sample.strokes)), sample.source)

    def _draw(self, drawn: Drawn, rng: np.random.Generator) -> Glyph:
        width, top, bottom = drawn.box
        pieces = [self._draw_part(part, rng) for part in drawn.parts]
        points = np.concatenate([points for points, _ in pieces])
        points = points * [width / 100, (bottom - top) / 100] + [0, top]
        return Glyph(_at_left(points), tuple(n for _, ns in pieces for n in ns), "drawn")

    def _draw_part(
        self, part: Part, rng: np.random.Generator
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        """Points in the field of 100 x 100, and how many each stroke has."""
        if part.kind == "ink":
            glyph = self.glyph(part.token, rng)
            return _into_field(_flip(glyph.points, part.flips), part.numbers), glyph.lengths
        if part.kind == "ellipse":
            points = _ellipse(part.numbers, rng)
        else:
            noise = rng.normal(0, _TEMPLATE_NOISE, part.numbers.shape)
            # Where the pen turns sharply two points are the same, and must stay so.
            repeated = np.flatnonzero((part.numbers[1:] == part.numbers[:-1]).all(axis=1)) + 1
            noise[repeated] = noise[repeated - 1]
            points = part.numbers + noise
            if part.kind == "swing" and len(points) > 2:
                points = _swing(len(points)) @ points
        return points, (len(points),)


@cache
def usual_box(token: str) -> tuple[float, float, float] | None:
    """Width, top and bottom of a token in em; None if no table knows."""
    drawn = drawn_symbols().get(token)
    if drawn:
        return drawn.box
    if token.startswith("\\") and token[1:].isalpha() and token in tables.OPERATORS:
        letters = [drawn_symbols()[letter].box for letter in token[1:]]
        width = sum(box[0] for box in letters) + 0.06 * (len(letters) - 1)
        return width, min(box[1] for box in letters), max(box[2] for box in letters)
    return None


# --- Donated ink -----------------------------------------------------------------------------


def _samples(donors: Sequence[Ink], held_out: bool | None) -> dict[str, list[_Donated]]:
    """Symbols of the donors on this side of the split, or of all if that is None, by token."""
    found: dict[str, list[_Donated]] = defaultdict(list)
    tokens: dict[str, str] = {}
    for ink in donors:
        source = writer_of(ink)
        if held_out is not None and is_held_out(source) != held_out:
            continue
        for symbol in ink.symbols:
            if symbol.label not in tokens:
                tokens[symbol.label] = symbol_latex(symbol.label)
            token = FRACTION_BAR if symbol.is_fraction else tokens[symbol.label]
            strokes = tuple(_fewer(ink.strokes[i]) for i in symbol.strokes)
            found[token].append(_Donated(source, strokes, _aspect(strokes)))
    return {token: _usual(samples) for token, samples in found.items()}


def _fewer(stroke: np.ndarray) -> np.ndarray:
    step = -(-len(stroke) // MAX_POINTS)
    return stroke if step <= 1 else np.concatenate([stroke[:-1:step], stroke[-1:]])


def _aspect(strokes: Sequence[np.ndarray]) -> float:
    low = np.min([stroke.min(axis=0) for stroke in strokes], axis=0)
    width, height = np.max([stroke.max(axis=0) for stroke in strokes], axis=0) - low
    least = 0.15 * max(width, height) or 1.0
    return float((width + least) / (height + least))


def _usual(samples: list[_Donated]) -> list[_Donated]:
    """Without the strange ones: some symbols are cut or labelled wrongly."""
    if len(samples) < 5:
        return samples
    middle = float(np.median([sample.aspect for sample in samples]))
    return [s for s in samples if 1 / _STRANGE < s.aspect / middle < _STRANGE]


def _writers(samples: dict[str, list[_Donated]]) -> dict[str, dict[str, list[_Donated]]]:
    writers: dict[str, dict[str, list[_Donated]]] = {}
    for token, donated in samples.items():
        for sample in donated:
            writers.setdefault(sample.source, {}).setdefault(token, []).append(sample)
    return writers


def writer_of(ink: Ink) -> str:
    """Name of the hand: the writer where known, else the first parts of the file's name, which in
    some sets are the day and the person."""
    if ink.writer and ink.writer != "Unknown":
        return f"writer {ink.writer}"
    return "file " + "-".join(ink.name.split("-")[:2])


def is_held_out(source: str) -> bool:
    """Whether a writer is one of those kept out of training; the same on every machine."""
    return int(hashlib.sha1(source.encode()).hexdigest(), 16) % HELD_OUT_SHARE == 0


# --- Shapes ----------------------------------------------------------------------------------


def _fit(points: np.ndarray, box: tuple[float, float, float]) -> np.ndarray:
    """Ink of any size moved and scaled to a token's usual box, its shape kept if it is not odd."""
    low = points.min(axis=0)
    extent = np.maximum(points.max(axis=0) - low, 1e-6)
    width, top, bottom = box
    size = np.array([width, bottom - top])
    if size.max() < 0.1:  # a dot
        factors = np.full(2, 0.05 / max(extent.max(), 1e-3)) * (extent.max() > 1e-3)
    elif size[0] > 1.6 * size[1]:  # flat: the width counts
        factor = size[0] / extent[0]
        low_y, high_y = 0.75 * size[1] / extent[1], (1.5 * size[1] + 0.08) / extent[1]
        factors = np.array([factor, min(max(factor, min(low_y, 1.6 * factor)), high_y)])
    else:
        factor = size[1] / extent[1]
        factors = np.array([min(factor, (1.6 * size[0] + 0.08) / extent[0]), factor])
    middle = (top + bottom) / 2
    scaled = (points - low) * factors
    return scaled + np.array([0, middle - extent[1] * factors[1] / 2])


def _with_ticks(glyph: Glyph, rng: np.random.Generator) -> Glyph:
    """Points of the pen as the tiny strokes that they are; small pens would lose them."""
    if 1 not in glyph.lengths:
        return glyph
    points: list[np.ndarray] = []
    start = 0
    for length in glyph.lengths:
        stroke = glyph.points[start : start + length]
        if length == 1:
            stroke = stroke + np.array([[0, 0], rng.normal(0, 0.022, 2), rng.normal(0, 0.022, 2)])
        points.append(stroke)
        start += length
    return Glyph(np.concatenate(points), tuple(map(len, points)), glyph.source)


def _at_left(points: np.ndarray) -> np.ndarray:
    return points - [points[:, 0].min(), 0]


def _into_field(points: np.ndarray, field: np.ndarray) -> np.ndarray:
    low = points.min(axis=0)
    extent = points.max(axis=0) - low
    flat = extent < 0.05 * extent.max()
    share = np.where(flat, 0.5, (points - low) / np.where(flat, 1, extent))
    return field[0] + share * (field[1] - field[0])


def _flip(points: np.ndarray, flips: str) -> np.ndarray:
    for flip in flips:
        x, y = points.T
        turned = {"v": (x, -y), "h": (-x, y), "l": (y, -x), "r": (-x, -y)}[flip]
        points = np.column_stack(turned)
    return points


def _ellipse(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A closed round, begun at the top and closed not quite where it began."""
    start = rng.normal(-0.5 * np.pi - 0.3, 0.3)
    angle = start - np.linspace(0, 2 * np.pi + rng.normal(0.12, 0.15), 25)
    spiral = np.linspace(1, 1 + rng.normal(0, 0.05), 25)[:, None]
    return numbers[0] + spiral * np.column_stack([np.cos(angle), np.sin(angle)]) * numbers[1]


@cache
def _swing(n_points: int) -> np.ndarray:
    """(5 * (n - 1) + 1, n) weights of points through which a smooth line goes.

    Source: Catmull and Rom 1974, "A class of local interpolating splines"."""
    t = np.linspace(0, 1, 6)[:5, None]
    basis = 0.5 * np.hstack([
        -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2,
    ])  # fmt: skip
    weights = np.zeros((5 * (n_points - 1) + 1, n_points))
    for i in range(n_points - 1):
        for k in range(4):
            at = min(max(i + k - 1, 0), n_points - 1)
            weights[5 * i : 5 * i + 5, at] += basis[:, k]
    weights[-1, -1] = 1
    return weights
