"""Ink as pen strokes: what it is, how another hand would have written it, and its picture.

    ink --sample--> Sample(pixels, marks), the standard picture that the models read

Every random choice comes from the generator that the caller hands in; see rng_for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from latexocr.imaging import MARGIN_PX, Frame, erase_lines, find_frame, standardize

PLAIN_PEN = 0.08  # pen width of the plain picture, in symbol sizes
OVERSIZE = 2.0  # strokes are drawn this much larger than the standard picture, then averaged down
MAX_RASTER_PX = 6000  # a stray stroke far away must not ask for gigabytes
MAX_HEIGHT_PX, MAX_WIDTH_PX = 384, 1536  # of the standard picture, margins included

_SHIFT = 4  # binary places of the sub-pixel coordinates given to OpenCV
_SEEN = 80  # of 255: what is fainter in a photo is not taken for ink
_NO_SYMBOL = -1
_FEW_SYMBOLS = 2  # with so few, a line of the paper could be part of the formula


@dataclass(frozen=True)
class Symbol:
    """A symbol of a formula: its label in the data set, and the indices of its strokes.

    is_fraction: whether a minus sign's label stands for a fraction's bar."""

    label: str
    strokes: tuple[int, ...]
    is_fraction: bool = False


@dataclass(frozen=True, eq=False)
class Ink:
    """A handwritten formula.

    name: stem of its file. strokes: each (N, 2) float32, x and y in pen units, y down. latex: its
    truth as written. symbols: in the order of the truth as far as the file tells, empty where the
    strokes are not segmented. writer: if known.
    """

    name: str
    strokes: tuple[np.ndarray, ...]
    latex: str
    symbols: tuple[Symbol, ...] = ()
    writer: str | None = None


@dataclass(frozen=True)
class Sample:
    """A picture to train on.

    pixels: (h, w) uint8, 0 = paper, 255 = ink. marks: (M, 3) float32, points about one pixel apart
    along the pen's way: x, y in pixels (the middle of the first pixel is 0, 0), and the index into
    ink.symbols of what is written there, -1 for none. None where the ink has no symbols.
    """

    pixels: np.ndarray
    marks: np.ndarray | None


@dataclass(frozen=True)
class InkAugment:
    """How far the strokes of one writer are bent towards other hands. Lengths in symbol sizes."""

    slant_deg: float = 8.0  # standard deviation; never beyond 2.5 of them
    rotate_deg: float = 2.5  # standard deviation; never beyond 3 of them
    aspect: float = 0.2  # width over height changes by a factor up to e^this, both ways
    warp: float = 0.14  # slope of the slow waves that bend lines and vary sizes
    symbol_shift: float = 0.06  # standard deviation, each symbol for itself
    symbol_scale: float = 0.08  # standard deviation of the logarithm
    symbol_rotate_deg: float = 4.0  # standard deviation
    wobble: float = 0.018  # largest tremble of the pen
    smooth: float = 0.3  # probability of rounding the corners
    lift: float = 0.02  # probability, for each stroke, that the pen skips a little
    pen_min: float = 0.05  # pen width, log-uniform between the two
    pen_max: float = 0.15
    fade: float = 0.25  # strokes lose up to this share of their ink
    blur: float = 0.5  # probability of a soft edge
    scale_min: float = 0.7  # size of the symbols relative to symbol_px, log-uniform
    scale_max: float = 1.4
    scale_floor: float = 0.65  # no smaller than this by the true size either: it must be readable
    rule: float = 0.0  # probability that a line of the paper is left, from side to side
    erased: float = 0.0  # probability that lines of the paper were there and are taken away again
    neighbours: float = 0.0  # probability that edges of other lines of writing are in the picture
    pencil: float = 0.0  # probability that the ink has grain and gaps, and some of it is faint
    gap: float = 0.0  # probability that a formula is torn apart between two symbols
    gap_max: float = 4.0  # by up to so much

    def __post_init__(self) -> None:
        if not 0 < self.pen_min <= self.pen_max or not 0 < self.scale_min <= self.scale_max:
            raise ValueError(f"expected 0 < min <= max for pen and scale, got {self}")


def rng_for(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample of one epoch: the same whatever the order or the worker."""
    return np.random.default_rng([seed, epoch, index])


# --- Sizes -----------------------------------------------------------------------------------


def ink_symbol_size(ink: Ink) -> float:
    """Typical size of the symbols in pen units, near what imaging.symbol_size finds in a picture.

    The 60th percentile of max(width, height) over the connected parts of the symbols (an i is a
    stem and a dot, hence a little above the median). Bars and specks do not count if there is
    anything else. Without segmentation the strokes are the parts. 1.0 if all are single points.
    """
    width, height = np.subtract(*reversed(_part_boxes(ink))).T
    size = np.maximum(width, height)
    is_whole = (size > 0.2 * np.quantile(size, 0.9)) & (height > 0.25 * width)
    # What is wide is letters in one line of the pen, or a root: its height says more.
    size = np.where(is_whole, np.minimum(size, 1.5 * height), size)
    typical = float(np.quantile(size[is_whole] if is_whole.any() else size, 0.6))
    return typical if typical > 0 else 1.0


def expected_shape(ink: Ink, symbol_px: float, scale: float = 1.0) -> tuple[int, int]:
    """About the (height, width) of the ink's standard picture in pixels, without drawing it.

    Args: symbol_px and scale, whose product is the symbol size in the picture, in pixels.
    """
    points = np.concatenate(ink.strokes)
    extent = (points.max(axis=0) - points.min(axis=0)) / ink_symbol_size(ink) + PLAIN_PEN
    limits = np.array([MAX_WIDTH_PX, MAX_HEIGHT_PX]) - 2 * MARGIN_PX
    extent *= min(symbol_px * scale, *(limits / extent))
    width, height = np.maximum(1, np.round(extent)).astype(int) + 2 * MARGIN_PX
    return int(height), int(width)


def _starts(strokes: Sequence[np.ndarray]) -> np.ndarray:
    """Index of each stroke's first point among all points."""
    lengths = [len(stroke) for stroke in strokes]
    return np.concatenate([[0], np.cumsum(lengths[:-1])]).astype(np.intp)


def _boxes(points: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest x, y of each run of points: two (S, 2) arrays."""
    return np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)


def _part_boxes(ink: Ink) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the connected parts: strokes of one symbol whose boxes overlap are one part."""
    low, high = _boxes(np.concatenate(ink.strokes), _starts(ink.strokes))
    if not ink.symbols:
        return low, high
    low, high = low.tolist(), high.tolist()
    parts: list[list[float]] = []  # left, top, right, bottom
    for symbol in ink.symbols:
        n_before = len(parts)
        for i in symbol.strokes:
            box = [*low[i], *high[i]]
            for other in parts[n_before:]:
                if (box[0] <= other[2] and other[0] <= box[2]
                        and box[1] <= other[3] and other[1] <= box[3]):  # fmt: skip
                    parts.remove(other)
                    box = [*map(min, box[:2], other[:2]), *map(max, box[2:], other[2:])]
            parts.append(box)
    boxes = np.array(parts)
    return boxes[:, :2], boxes[:, 2:]


# --- From ink to sample ----------------------------------------------------------------------


@dataclass(frozen=True)
class _Trail:
    """Points the pen passes at even steps, in symbol sizes: points (M, 2), stroke (M,) rising
    numbers, symbol (M,) index or -1."""

    points: np.ndarray
    stroke: np.ndarray
    symbol: np.ndarray


def sample(
    ink: Ink,
    symbol_px: float,
    rng: np.random.Generator | None = None,
    augment: InkAugment | None = None,
) -> Sample:
    """The ink's standard picture, and where in it each symbol is.

    Args: symbol_px, size of a typical symbol in the picture, in pixels; rng, None for the plain
        picture that is the same every time; augment, None for the usual strengths.
    """
    augment = augment or InkAugment()
    trail = _trail(ink, symbol_px)
    pen, scale = PLAIN_PEN, 1.0
    shades = np.full(len(ink.strokes), 255)
    if rng is not None:
        trail = _distort(trail, rng, augment)
        pen = _log_uniform(rng, augment.pen_min, augment.pen_max)
        scale = _log_uniform(rng, augment.scale_min, augment.scale_max)
        n_strokes = trail.stroke[-1] + 1
        shades = 255 * (1 - augment.fade * rng.random() * rng.random(n_strokes))
    raster, points, zoom = _draw(trail.points, trail.stroke, pen, symbol_px * scale, shades)
    wears = max(augment.rule, augment.erased, augment.neighbours) > 0
    if rng is not None and wears and len(ink.symbols) > _FEW_SYMBOLS:
        raster, lowered = _leave_remnants(raster, rng, pen * zoom, augment)
        points[:, 1] += lowered
    if rng is not None and rng.random() < augment.pencil:
        raster = _grain(raster, rng, pen * zoom)
    if rng is not None and rng.random() < augment.blur:
        raster = cv2.GaussianBlur(raster, (0, 0), rng.uniform(0.4, 1.2))
    frame = find_frame(raster, symbol_px, MAX_HEIGHT_PX, MAX_WIDTH_PX)
    if rng is not None:
        # Symbols that touch look like large ones and come out small, whatever the scale says.
        true_scale = frame.scale * zoom / symbol_px
        frame = _scaled(frame, max(scale, augment.scale_floor / true_scale))
    pixels = standardize(raster, symbol_px, frame)
    marks = _marks(points, trail.symbol, frame, pixels.shape) if ink.symbols else None
    return Sample(pixels, marks)


def _scaled(frame: Frame, scale: float) -> Frame:
    """The frame for symbols larger or smaller than the standard, within the largest picture."""
    limits = (
        (MAX_HEIGHT_PX - 2 * MARGIN_PX) / (frame.bottom - frame.top),
        (MAX_WIDTH_PX - 2 * MARGIN_PX) / (frame.right - frame.left),
    )
    return replace(frame, scale=min(frame.scale * scale, *limits))


def draw(
    strokes: Sequence[np.ndarray], size: float, pen: float = PLAIN_PEN, symbol_px: float = 20.0
) -> np.ndarray:
    """Ink map of strokes with round pen tips, larger than the standard picture by OVERSIZE.

    Args: strokes, each (N, 2), x and y with y down, a single point is a dot; size of a symbol in
        the strokes' units; pen, its width in symbol sizes; symbol_px of the standard picture.
    Returns: (H, W) uint8, 0 = paper, 255 = ink, for latexocr.imaging.standardize.
    """
    ids = np.repeat(np.arange(len(strokes)), [len(stroke) for stroke in strokes])
    points = np.concatenate(strokes).astype(np.float64) / size
    return _draw(points, ids, pen, symbol_px, np.full(len(strokes), 255))[0]


def _draw(
    points: np.ndarray, stroke: np.ndarray, pen: float, symbol_px: float, shades: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Points in symbol sizes -> the ink map, the points in its pixels, pixels of a symbol size."""
    low, high = points.min(axis=0), points.max(axis=0)
    # OpenCV's pens have whole widths, so the drawing's scale gives way to get this one exactly.
    thickness = max(2, round(pen * symbol_px * OVERSIZE))
    zoom = min(thickness / pen, MAX_RASTER_PX / (high - low).max(initial=1.0))
    pad = thickness + 2  # pixels
    points = (points - low) * zoom + pad
    width, height = np.ceil((high - low) * zoom).astype(int) + 2 * pad + 1
    raster = np.zeros((height, width), np.uint8)
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cuts = np.flatnonzero(np.diff(stroke)) + 1
    for piece, shade in zip(np.split(fixed, cuts), shades, strict=True):
        if len(piece) == 1 or (piece == piece[0]).all():
            radius = (thickness << _SHIFT) // 2
            cv2.circle(raster, piece[0].tolist(), radius, float(shade), -1, cv2.LINE_AA, _SHIFT)
        else:
            cv2.polylines(raster, [piece], False, float(shade), thickness, cv2.LINE_AA, _SHIFT)
    return raster, points, zoom


def _marks(
    points: np.ndarray, symbol: np.ndarray, frame: Frame, shape: tuple[int, int]
) -> np.ndarray:
    """Points in pixels of the ink map -> marks in pixels of the standard picture."""
    height, width = shape
    # The real factors: standardize rounds the picture's sides to whole pixels.
    factors = np.array([
        (width - 2 * MARGIN_PX) / (frame.right - frame.left),
        (height - 2 * MARGIN_PX) / (frame.bottom - frame.top),
    ])  # fmt: skip
    # Pixel middles are whole numbers in both pictures; pixel edges are what resizing keeps.
    moved = (points + 0.5 - [frame.left, frame.top]) * factors + MARGIN_PX - 0.5
    return np.column_stack([moved, symbol]).astype(np.float32)


def _trail(ink: Ink, symbol_px: float) -> _Trail:
    """The ink's points at even steps of about a pixel of the standard picture, in symbol sizes."""
    points = np.concatenate(ink.strokes).astype(np.float64)
    starts = _starts(ink.strokes)
    points = (points - points.min(axis=0)) / ink_symbol_size(ink)
    steps = np.hypot(*np.diff(points, axis=0).T)
    # All strokes in one go: their ways are laid end to end, with a gap of 1 from stroke to stroke.
    steps[starts[1:] - 1] = 1.0
    way = np.concatenate([[0.0], np.cumsum(steps)])
    first, last = way[starts], way[np.append(starts[1:], len(points)) - 1]
    n_points = np.ceil((last - first) * symbol_px).astype(int) + 1
    stroke = np.repeat(np.arange(len(starts)), n_points)
    rank = np.arange(len(stroke)) - np.repeat(np.cumsum(n_points) - n_points, n_points)
    share = rank / np.maximum(n_points - 1, 1)[stroke]
    place = first[stroke] + share * (last - first)[stroke]
    even = np.column_stack([np.interp(place, way, points[:, axis]) for axis in (0, 1)])
    return _Trail(even, stroke, _symbol_of_stroke(ink)[stroke])


def _symbol_of_stroke(ink: Ink) -> np.ndarray:
    owner = np.full(len(ink.strokes), _NO_SYMBOL)
    for index, symbol in enumerate(ink.symbols):
        owner[list(symbol.strokes)] = index
    return owner


# --- What a crop of a page brings along --------------------------------------------------------


def _leave_remnants(
    raster: np.ndarray, rng: np.random.Generator, pen_px: float, augment: InkAugment
) -> tuple[np.ndarray, int]:
    """Ruling and neighbouring lines of writing, as far as imaging leaves them in a crop of a page.

    Returns: the ink map, and by how many pixels what was there is lower in it."""
    lowered = 0
    if rng.random() < augment.neighbours:
        above, below = (_edge_of_line(raster, rng, from_top) for from_top in (False, True))
        raster, lowered = np.vstack([above, raster, below]), len(above)
    if rng.random() < augment.rule:
        raster = np.maximum(raster, _rule(raster.shape, rng, pen_px))
    if rng.random() < augment.erased:
        raster = _ruled_and_erased(raster, rng, pen_px)
    return raster, lowered


def _ruled_and_erased(raster: np.ndarray, rng: np.random.Generator, pen_px: float) -> np.ndarray:
    """The scars that are left where imaging takes the ruling of a page away."""
    lines, depth = np.zeros(raster.shape, np.int32), raster
    for number in range(1, int(rng.integers(1, 3)) + 1):
        rule = _rule(raster.shape, rng, pen_px)
        lines[rule > 0] = number
        # Where both lie on each other it is darker than the line, though not twice as dark.
        depth = np.maximum(depth, cv2.addWeighted(rule, 0.75, depth, 0.25, 0))
    mask = (depth > _SEEN).astype(np.uint8)
    return erase_lines(mask, depth, np.where(mask > 0, lines, 0))[1]


def _grain(raster: np.ndarray, rng: np.random.Generator, pen_px: float) -> np.ndarray:
    """Pencil or a dry pen on rough paper, as a camera sees it: dark and faint by turns."""
    height, width = raster.shape
    share = np.ones(raster.shape, np.float32)
    for size, strength in ((pen_px * 0.4, 0.5), (pen_px * 6, 0.7)):
        small = (max(2, round(height / size)), max(2, round(width / size)))
        noise = rng.random(small, dtype=np.float32)
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        share *= 1 - strength * rng.random() * np.clip(noise, 0, 1)
    return np.rint(raster * share).astype(np.uint8)


def _edge_of_line(raster: np.ndarray, rng: np.random.Generator, from_top: bool) -> np.ndarray:
    """The upper or lower edge of this very writing, some of it, as if it were another line's."""
    rows = np.flatnonzero(raster.any(axis=1))
    height = int(rng.uniform(0, 0.2) * (rows[-1] - rows[0]))
    edge = raster[rows[0] :][:height] if from_top else raster[: rows[-1] + 1][::-1][:height][::-1]
    edge = np.roll(edge, int(rng.integers(raster.shape[1])), axis=1)
    start, stop = np.sort(rng.integers(0, raster.shape[1] + 1, 2))
    edge[:, start:stop] = 0
    gap = np.zeros((int(rng.uniform(0, 0.12) * raster.shape[0]), raster.shape[1]), np.uint8)
    return np.vstack([gap, edge] if from_top else [edge, gap])


def _rule(shape: tuple[int, ...], rng: np.random.Generator, pen_px: float) -> np.ndarray:
    """A line of ruled paper, mostly near the foot of the writing, here and there interrupted."""
    height, width = shape
    place = rng.uniform(0.6, 1.0) if rng.random() < 0.75 else rng.uniform(0.0, 0.3)
    climb = rng.normal(0, 0.012) * width
    line = np.zeros((height, width), np.uint8)
    ends = [(0, int(place * height - climb / 2)), (width - 1, int(place * height + climb / 2))]
    thickness = max(1, round(pen_px * rng.uniform(0.25, 1.0)))
    cv2.line(line, *ends, float(rng.uniform(70, 255)), thickness, cv2.LINE_AA)
    if rng.random() < 0.4:
        start, stop = np.sort(rng.integers(0, width + 1, 2))
        line[:, start:stop] = 0
    return line


# --- Other hands -----------------------------------------------------------------------------


def _distort(trail: _Trail, rng: np.random.Generator, augment: InkAugment) -> _Trail:
    points = _jitter_symbols(trail, rng, augment)
    if augment.gap and rng.random() < augment.gap:
        points = _torn_apart(points, trail.stroke, rng, augment.gap_max)
    if rng.random() < augment.smooth:
        points = _round_corners(points, trail.stroke, n_passes=int(rng.integers(1, 4)))
    points = _wobble(points, rng, augment.wobble * rng.random())
    points = _warp(points, rng, augment.warp)
    points = points @ _affine(rng, augment).T
    return _lift(replace(trail, points=points), rng, augment.lift)


def _torn_apart(
    points: np.ndarray, stroke: np.ndarray, rng: np.random.Generator, most: float
) -> np.ndarray:
    """Move all on the right of a place where no stroke is to the right; wide places are likelier to
    get wider."""
    starts = np.flatnonzero(np.diff(stroke, prepend=-1))
    left = np.minimum.reduceat(points[:, 0], starts)
    right = np.maximum.reduceat(points[:, 0], starts)
    order = np.argsort(left)
    ends = np.maximum.accumulate(right[order])[:-1]
    width = np.maximum(left[order][1:] - ends, 0)
    if not width.any():
        return points
    at = ends[int(rng.choice(len(width), p=width / width.sum()))]
    moved = points.copy()
    moved[points[:, 0] > at, 0] += rng.uniform(0.3, most)
    return moved


def _jitter_symbols(trail: _Trail, rng: np.random.Generator, augment: InkAugment) -> np.ndarray:
    """Shift, scale and turn each symbol for itself."""
    n_symbols = int(trail.symbol.max(initial=_NO_SYMBOL)) + 1
    if not n_symbols:
        return trail.points
    low = np.full((n_symbols + 1, 2), np.inf)  # the last row is for strokes of no symbol
    high = -low
    starts = np.flatnonzero(np.diff(trail.stroke, prepend=-1))
    stroke_low, stroke_high = _boxes(trail.points, starts)
    np.minimum.at(low, trail.symbol[starts], stroke_low)
    np.maximum.at(high, trail.symbol[starts], stroke_high)
    is_empty = high < low
    low[is_empty], high[is_empty] = 0, 0
    extent = (high - low).max(axis=1)
    middle = (low + high) / 2
    # Big symbols (fraction bars, roots) turn and grow less: their ends would run into others.
    calm = 1 / np.maximum(extent, 1)
    calm[-1] = 0
    shift = rng.normal(0, augment.symbol_shift, middle.shape) * (calm > 0)[:, None]
    grow = np.exp(rng.normal(0, augment.symbol_scale, len(calm)).clip(-0.3, 0.3) * calm)
    turn = np.radians(rng.normal(0, augment.symbol_rotate_deg, len(calm)) * calm)
    cos, sin = (grow * np.cos(turn))[trail.symbol], (grow * np.sin(turn))[trail.symbol]
    x, y = (trail.points - middle[trail.symbol]).T
    turned = np.column_stack([cos * x - sin * y, sin * x + cos * y])
    return turned + (middle + shift)[trail.symbol]


def _round_corners(points: np.ndarray, stroke: np.ndarray, n_passes: int) -> np.ndarray:
    inside = np.flatnonzero((stroke[2:] == stroke[1:-1]) & (stroke[1:-1] == stroke[:-2])) + 1
    points = points.copy()
    for _ in range(n_passes):
        points[inside] = (points[inside - 1] + 2 * points[inside] + points[inside + 1]) / 4
    return points


def _wobble(points: np.ndarray, rng: np.random.Generator, size: float) -> np.ndarray:
    """A tremble: noise that hangs together over some steps of the pen."""
    noise = rng.normal(0, size, (len(points) + 4, 2)).cumsum(axis=0)
    noise = np.vstack([np.zeros((1, 2)), noise])
    return points + (noise[5:] - noise[:-5]) / np.sqrt(5)


def _warp(points: np.ndarray, rng: np.random.Generator, slope: float) -> np.ndarray:
    """Slow waves over the paper: lines bend, sizes and spaces drift. slope: rms of the strain."""
    n_waves = 4
    length = np.exp(rng.uniform(np.log(2.5), np.log(15.0), n_waves))  # in symbol sizes
    angle = rng.uniform(0, 2 * np.pi, n_waves)
    vectors = 2 * np.pi / length * np.stack([np.cos(angle), np.sin(angle)])  # (2, n_waves)
    phase = rng.uniform(0, 2 * np.pi, n_waves)
    amplitude = rng.normal(0, slope / np.sqrt(n_waves), (n_waves, 2)) * length[:, None] / 2 / np.pi
    return points + np.sin(points @ vectors + phase) @ amplitude


def _affine(rng: np.random.Generator, augment: InkAugment) -> np.ndarray:
    """Slant, aspect and rotation of the whole formula: a (2, 2) matrix for (x, y)."""
    slant = np.radians(augment.slant_deg * np.clip(rng.normal(), -2.5, 2.5))
    turn = np.radians(augment.rotate_deg * np.clip(rng.normal(), -3, 3))
    stretch = np.exp(augment.aspect * rng.uniform(-0.5, 0.5))
    lean = np.array([[stretch, -np.tan(slant)], [0.0, 1 / stretch]])  # y is down: minus leans right
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[cos, -sin], [sin, cos]]) @ lean


def _lift(trail: _Trail, rng: np.random.Generator, probability: float) -> _Trail:
    """Here and there the pen leaves the paper for two or three steps within a stroke."""
    n_points = np.bincount(trail.stroke)
    skips = np.flatnonzero((rng.random(len(n_points)) < probability) & (n_points > 12))
    if not len(skips):
        return trail
    first = (np.cumsum(n_points) - n_points)[skips]
    gap = first + (rng.uniform(0.2, 0.8, len(skips)) * n_points[skips]).astype(int)
    keep = np.ones(len(trail.stroke), bool)
    keep[gap] = keep[gap + 1] = False
    new_stroke = np.zeros(len(trail.stroke), int)
    new_stroke[gap + 2] = 1
    stroke = trail.stroke + np.cumsum(new_stroke)
    return _Trail(trail.points[keep], stroke[keep], trail.symbol[keep])


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
