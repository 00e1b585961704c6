"""From whatever a person hands in to the one picture form that the models read.

    bytes, path, PIL picture, array --pictures.load_picture--> checked RGB picture
    --ink_map--> (H, W) uint8, 0 = paper and 255 = ink, whatever the light, the paper and the pen
    --standardize--> the ink cropped and scaled until its *symbols* have the wanted size

Training draws strokes straight into an ink map and calls `standardize`; serving calls `prepare`.
Both give the same picture for the same strokes.

    python -c "from latexocr.imaging import prepare; print(prepare('formula.png', 20).shape)"
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from latexocr.errors import ImageError
from latexocr.paper import is_light_on_dark, limited
from latexocr.pictures import Source, load_picture

MAX_SIDE_PX = 2000  # of an ink map: more adds time, not legibility, for one equation
MARGIN_PX = 4  # paper round a standard picture, after scaling
MAX_HEIGHT, MAX_WIDTH = 19.2, 76.8  # of a standard picture, in symbols

_MAX_GAIN = 4.0  # what is fainter than 255 / 4 after scaling stays faint, or noise would come up
_MIN_CONTRAST = 0.04  # ink takes at least this share of the paper's light
_DARKER = 1.4  # where a stroke lies on a line of the paper, than the line alone
_LONG_LINE = 0.4  # of a picture's width: shorter ones may be drawn by hand
_MIN_PENS_PER_SYMBOL = 5.0  # a lone dot says nothing about symbols: go by the pen's width


@dataclass(frozen=True)
class Frame:
    """Where the ink lies in an ink map, and by how much to scale it.

    Pixels of the ink map: left and top are the first ink column and row, right and bottom are one
    past the last. scale: pixels of the standard picture per pixel of the ink map."""

    left: int
    top: int
    right: int
    bottom: int
    scale: float


def ink_map(
    picture: Image.Image,
    own: tuple[float, float] | None = None,
    max_side: float = MAX_SIDE_PX,
) -> np.ndarray:
    """Ink of a photo, scan, screenshot or drawing, whatever the light, the paper and the pen.

    Args: picture in RGB, as load_picture gives it; own, where the page goes on to the left and
        right of what the picture is about, the columns of that, in shares of the width: long lines
        that go on beyond them are the paper's; max_side in pixels.
    Returns: (H, W) uint8, 0 = paper, 255 = full ink, all 0 for a blank picture. H and W are those
        of the picture, or smaller by one factor where its longest side exceeds max_side."""
    rgb, grey = _rgb_and_grey(picture, max_side)
    sheet = _flat_sheet(grey)
    if _is_dark_mode(grey, sheet):
        rgb = 255 - rgb
    # The darkest channel sees ink of any colour; grey would lose yellow, and half of red.
    darkest = cv2.min(cv2.min(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    depth = _ink_depth(darkest, sheet)
    return _full_contrast(_without_dirt(depth, sheet is not None, own))


def is_photo(picture: Image.Image) -> bool:
    """Whether a picture has the greys of a photo, and no paper of one single grey: no drawing,
    screenshot or clean scan. Args: picture in RGB."""
    return _flat_sheet(_rgb_and_grey(picture, MAX_SIDE_PX)[1]) is None


def prepare(source: Source, symbol_px: float) -> np.ndarray:
    """Anything load_picture takes, as the picture that the recogniser reads.

    Args: source as in load_picture; symbol_px, the typical symbol's size in the result, in pixels.
    Returns: (h, w) uint8, 0 = paper, 255 = ink, as standardize gives it.
    Raises: ImageError as load_picture does, and if the picture has no ink."""
    return standardize(ink_map(load_picture(source)), symbol_px)


def symbol_size(ink: np.ndarray) -> float:
    """Typical size of the symbols in an ink map, in its pixels; the pen's width does not count.

    It approximates the median over symbols of max(width, height), long thin bars left out.
    Args: ink (H, W) uint8, 0 = paper, 255 = ink.
    Raises: ImageError if ink is not such an array, or has no ink."""
    _check_ink(ink)
    mask = _binarize(ink)
    stats = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
    return _typical_size(stats.astype(np.float64), _stroke_width(mask))


def find_frame(
    ink: np.ndarray,
    symbol_px: float,
    max_height: int | None = None,
    max_width: int | None = None,
) -> Frame:
    """Box of the ink and the scale that brings its typical symbol to symbol_px.

    Args: ink (H, W) uint8, 0 = paper, 255 = ink; symbol_px in pixels of the standard picture;
        max_height and max_width limit the standard picture, margins included, by a smaller scale,
        to MAX_HEIGHT and MAX_WIDTH symbols by default.
    Raises: ImageError if ink is not such an array, or has no ink."""
    size = symbol_size(ink)
    left, top, width, height = cv2.boundingRect(cv2.inRange(ink, _soft_edge(ink), 255))
    max_height = max_height or round(MAX_HEIGHT * symbol_px)
    max_width = max_width or round(MAX_WIDTH * symbol_px)
    scale = min(
        symbol_px / size,
        (max_height - 2 * MARGIN_PX) / height,
        (max_width - 2 * MARGIN_PX) / width,
    )
    return Frame(left, top, left + width, top + height, scale)


def standardize(
    ink: np.ndarray,
    symbol_px: float,
    frame: Frame | None = None,
    max_height: int | None = None,
    max_width: int | None = None,
) -> np.ndarray:
    """Crop an ink map to its ink, scale it to the standard symbol size, bring strokes to full ink.

    Args: ink (H, W) uint8, 0 = paper, 255 = ink; symbol_px, max_height, max_width as in find_frame,
        whose result frame is (found here if None; if given, the three sizes have no effect).
    Returns: (h, w) uint8, 0 = paper, 255 = ink, MARGIN_PX of paper on each side.
    Raises: ImageError if ink is not such an array, or has no ink."""
    frame = frame or find_frame(ink, symbol_px, max_height, max_width)
    crop = ink[frame.top : frame.bottom, frame.left : frame.right]
    height = max(1, round(crop.shape[0] * frame.scale))
    width = max(1, round(crop.shape[1] * frame.scale))
    # AREA averages every source pixel, so that thin strokes survive any reduction.
    how = cv2.INTER_AREA if frame.scale < 1 else cv2.INTER_CUBIC
    scaled = _normalize_contrast(cv2.resize(crop, (width, height), interpolation=how))
    return cv2.copyMakeBorder(scaled, *[MARGIN_PX] * 4, cv2.BORDER_CONSTANT, value=0)


def _check_ink(ink: np.ndarray) -> None:
    if ink.ndim != 2 or ink.dtype != np.uint8 or ink.size == 0:
        raise ImageError(f"expected an (H, W) uint8 ink map, got {ink.dtype} of shape {ink.shape}")
    if not ink.any():
        raise ImageError("no ink found in the picture: expected strokes, got blank paper")


def _ink_level(ink: np.ndarray) -> float:
    """Typical value of the inked pixels: mean of the values, weighted by themselves."""
    counts = cv2.calcHist([ink], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    values = np.arange(256)
    mass = counts * values
    return float(mass @ values / mass.sum())


def _binarize(ink: np.ndarray) -> np.ndarray:
    return cv2.threshold(ink, 0.4 * _ink_level(ink), 1, cv2.THRESH_BINARY)[1]


def _soft_edge(ink: np.ndarray) -> float:
    return max(1.0, 0.15 * _ink_level(ink))


def _stroke_width(mask: np.ndarray) -> float:
    """Mean pen width in pixels of a 0/1 mask: area over half of the outline's length."""
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    steps = cv2.countNonZero(padded[:, 1:] ^ padded[:, :-1]) + cv2.countNonZero(
        padded[1:] ^ padded[:-1]
    )
    # Pixel edges overstate a slanting outline by 4 / pi, averaged over directions.
    return 2 * cv2.countNonZero(mask) / (steps * np.pi / 4)


def _typical_size(stats: np.ndarray, stroke: float) -> float:
    """Typical size of the components (N, 5), as connectedComponentsWithStats gives them.

    The numbers here are fitted to CROHME's symbol boxes."""
    width = np.maximum(stats[:, cv2.CC_STAT_WIDTH] - stroke, 1)
    height = np.maximum(stats[:, cv2.CC_STAT_HEIGHT] - stroke, 1)
    longest = np.maximum(width, height)
    is_bar = (height < 0.25 * width) & (height < 4 * stroke)
    is_symbol = ~is_bar & (longest > 3 * stroke)
    if is_symbol.any():
        # A wide component is letters that touch, or a root: its height says more than its width.
        size = np.minimum(longest, 1.5 * height)[is_symbol]
        size = size[size > 0.15 * _middle(size)]  # without the crumbs of broken strokes
    else:
        size = longest  # a minus, an equals sign, dots: nothing better to go by
    return max(_middle(size), _MIN_PENS_PER_SYMBOL * stroke)


def _middle(size: np.ndarray) -> float:
    """A soft median: the mean of log(size) over the middle fifth, which does not jump where one
    component more or less would move a median. Large components weigh a little more, since
    small ones are often parts of symbols."""
    size = np.sort(size)
    weight = size**0.3
    end = np.cumsum(weight) / weight.sum()
    start = np.concatenate(([0.0], end[:-1]))
    share = np.maximum(np.minimum(end, 0.6) - np.maximum(start, 0.4), 0)
    return float(np.exp(share @ np.log(size) / share.sum()))


def _normalize_contrast(ink: np.ndarray, max_gain: float = _MAX_GAIN) -> np.ndarray:
    """Scale values until the middles of strokes are at 255: averaging makes thin strokes faint."""
    if not ink.any():
        return ink
    counts = cv2.calcHist([ink], [0], None, [256], [0, 256]).ravel()
    counts[: int(0.5 * _ink_level(ink)) + 1] = 0
    level = int(np.searchsorted(np.cumsum(counts), 0.9 * counts.sum()))
    return cv2.convertScaleAbs(ink, alpha=min(max_gain, 255 / max(level, 1)))


# ---- from picture to ink ------------------------------------------------------------------------


def _rgb_and_grey(picture: Image.Image, max_side: float) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) and (H, W) uint8, no larger than max_side."""
    rgb = limited(np.asarray(picture.convert("RGB")), max_side)
    return rgb, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _flat_sheet(grey: np.ndarray) -> np.ndarray | None:
    """Where the paper is, bool (H, W), if it has one single grey: drawing, screenshot, clean scan.

    These have no light to even out, and may be so bold or so tightly cropped that what surrounds a
    stroke says little. None if the greys are those of a photo."""
    kernel = np.ones((3, 3), np.uint8)
    smooth = (cv2.dilate(grey, kernel) - cv2.erode(grey, kernel) <= 3).astype(np.uint8)
    counts = cv2.calcHist([grey], [0], smooth, [256], [0, 256]).ravel()
    levels = np.argsort(counts)[-3:]  # of paper and ink, and the neighbour of one
    if counts.sum() < 0.15 * grey.size or counts[levels].sum() < 0.85 * counts.sum():
        return None
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    share = [_near(grey, level).mean() + _near(rim, level).mean() for level in levels]
    return _near(grey, int(levels[np.argmax(share)]))


def _near(grey: np.ndarray, level: int) -> np.ndarray:
    return cv2.absdiff(grey, np.full_like(grey, level)) <= 2


def _is_dark_mode(grey: np.ndarray, sheet: np.ndarray | None) -> bool:
    """Is the ink lighter than what surrounds it (blackboard, dark screen)?"""
    if sheet is None:
        return is_light_on_dark(grey)
    paper = float(np.median(grey[sheet]))
    difference = grey.astype(np.int16) - np.int16(paper)
    darker = np.maximum(-difference, 0).sum(dtype=np.float64)
    lighter = np.maximum(difference, 0).sum(dtype=np.float64)
    # Dark ink is what people mostly hand in: the lighter the sheet, the more it takes to believe in
    # light ink.
    return lighter > darker * (0.5 + paper / 128)


def _paper(grey: np.ndarray, sheet: np.ndarray | None) -> np.ndarray:
    """Grey of the paper below the ink, uint8 (H, W): a wide median, on a small copy. Dark strokes
    are filled first, so that the median also holds where they are dense."""
    if sheet is not None:
        return np.full_like(grey, np.median(grey[sheet]))
    small = limited(grey, 400)
    stroke = int(np.clip(min(small.shape) // 5, 9, 25))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (stroke, stroke))
    small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel)
    window = max(small.shape) // 8 * 2 + 1
    small = cv2.GaussianBlur(cv2.medianBlur(small, window), (0, 0), 2)
    return cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _ink_depth(grey: np.ndarray, sheet: np.ndarray | None) -> np.ndarray:
    """How much of the paper's light the ink takes: uint8 (H, W), 0 = paper, 255 = black."""
    paper = np.maximum(_paper(grey, sheet), 1)
    light = cv2.divide(grey, paper, dtype=cv2.CV_32F)  # 1 = paper, less = ink
    light[_beside_sheet(paper)] = 1
    # Paper is most of the picture; what is brighter than it can only be noise, and ink must be
    # darker by a multiple of that. The limits hold where bold strokes are most of the picture.
    middle, bright = np.percentile(light[::3, ::3], [50, 84])
    middle = float(np.clip(middle, 0.93, 1))
    noise = float(np.clip(bright - middle, 0, 0.08))
    top = middle - 3 * noise
    depth = cv2.convertScaleAbs(np.maximum(top - light, 0), alpha=255 / top)
    is_blank = not depth.any() or _ink_level(depth) < 255 * max(_MIN_CONTRAST, noise)
    return np.zeros_like(depth) if is_blank else depth


def _beside_sheet(paper: np.ndarray) -> np.ndarray:
    """Where the picture shows a dark table and no paper, bool (H, W), with the sheet's rim.

    Even a deep shadow leaves paper more than a third of its grey."""
    dark = (paper < 0.35 * np.percentile(paper[::3, ::3], 90)).astype(np.uint8)
    rim = max(paper.shape) // 100 * 2 + 1
    return cv2.dilate(dark, np.ones((rim, rim), np.uint8)) > 0


def _without_dirt(
    depth: np.ndarray, is_flat: bool, own: tuple[float, float] | None = None
) -> np.ndarray:
    """Keep strokes and their soft edges; drop paper texture, faint ruling, specks, dark borders.

    is_flat: the picture is no photo, so that what is faint is meant, and few lines are ruling."""
    if not depth.any():
        return depth
    level = _ink_level(depth)
    faintest = (0.15 if is_flat else 0.35) * level
    marks = cv2.threshold(depth, faintest, 1, cv2.THRESH_BINARY)[1]
    lines = _ruling(marks, depth, is_flat, own)
    unruled, depth = erase_lines(marks, depth, lines)
    strong = _strokes(unruled) if unruled.any() else unruled
    if not strong.any():
        return np.zeros_like(depth)
    reach = int(np.ceil(_stroke_width(strong))) * 2 + 1
    near = cv2.dilate(strong, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    # What is left far from any stroke tells how much of the strokes' edges is paper's texture.
    texture = float(np.sqrt(cv2.mean(cv2.multiply(depth, depth, dtype=cv2.CV_32F), 1 - near)[0]))
    return cv2.multiply(cv2.subtract(depth, min(3 * texture, 0.3 * level)), near)


def _ruling(
    mask: np.ndarray, depth: np.ndarray, is_flat: bool, own: tuple[float, float] | None
) -> np.ndarray:
    """The lines of ruled paper, (H, W), each with its number: they are fainter than the ink, or
    many, or go on beyond what the picture is about.

    A fraction bar is none of this, even where the picture is cropped to its ink."""
    lines = _lines_across(mask, own)
    n_lines = len(np.unique(lines[lines > 0]))
    others = depth[(mask > 0) & (lines == 0)]
    if not n_lines or not others.size:
        return np.zeros_like(lines)
    thickness = float(np.median((lines > 0).sum(axis=0))) / n_lines
    crest = float(np.median(np.where(lines, depth, 0).max(axis=0)))
    is_faint = crest < 0.75 * np.percentile(others, 75)
    is_ruling = own is not None or is_faint or (n_lines > 1 and not is_flat)
    # Letters cropped to their ink, E say, reach from side to side too, but are not long and thin.
    if mask.shape[1] < 40 * thickness or not is_ruling:
        return np.zeros_like(lines)
    return lines


def erase_lines(
    mask: np.ndarray, depth: np.ndarray, lines: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take lines of the paper away; strokes that cross them or stand on them stay.

    Args: mask (H, W) uint8, 1 where there is ink or a line; depth (H, W) uint8, how dark it is;
        lines (H, W) int, the number of the line that a pixel may belong to, 0 for none.
    Returns: mask and depth without the lines."""
    height, width = mask.shape
    left, row, columns = mask.copy(), np.arange(height)[:, None], np.arange(width)
    for number in np.unique(lines[lines > 0]):
        y, x = np.nonzero(lines == number)
        middle = np.polyval(_course(x, y), columns)
        on_line = np.abs(y - middle[x]) < 3
        if not on_line.any():
            continue
        per_column = np.bincount(x[on_line])
        half = float(np.median(per_column[per_column > 0])) / 2 + 1
        in_band = np.abs(row - middle) <= half
        in_band[:, : x.min()] = in_band[:, x.max() + 1 :] = False
        # A stroke goes on above or below the line, or is darker where both lie on each other.
        above = np.clip(np.floor(middle - half).astype(int), 0, height - 1)
        below = np.clip(np.ceil(middle + half).astype(int), 0, height - 1)
        is_stroke = (mask[above, columns] | mask[below, columns]) > 0
        is_dark = depth > _DARKER * float(np.median(depth[y[on_line], x[on_line]]))
        left[in_band & ~(is_stroke | is_dark)] = 0
        left = _without_crumbs(left, np.abs(row - middle) <= half + 2)
    # Or the soft edge of a stroke would bring a piece of the line below it along.
    erased = cv2.dilate(mask - left, np.ones((5, 3), np.uint8)) & (1 - left)
    return left, cv2.multiply(depth, 1 - erased)


def _without_crumbs(mask: np.ndarray, near_line: np.ndarray) -> np.ndarray:
    """Take away what is left of a line: pieces of ink that lie near it with all of themselves."""
    n_pieces, labels = cv2.connectedComponents(mask, connectivity=8)
    stays = np.bincount(labels[~near_line], minlength=n_pieces) > 0
    return mask & stays[labels]


def _course(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Coefficients of y as a quadratic function of x through most of the points; of fewer degrees
    where they lie in fewer columns."""
    chosen = np.ones(len(x), bool)
    for most in (1, 1, 2, 2):
        degree = min(most, len(np.unique(x[chosen])) - 1)
        course = np.polyfit(x[chosen], y[chosen], degree)
        off = np.abs(y - np.polyval(course, x))
        chosen = off <= max(1.5, 1.5 * float(np.median(off)))
    return course


def _lines_across(mask: np.ndarray, own: tuple[float, float] | None = None) -> np.ndarray:
    """Lines that run from side to side, or far beyond the own columns: (H, W), each line's ink has
    its number, all else is 0."""
    width = mask.shape[1]
    run = max(9, width // 16)
    bars = cv2.dilate(mask, np.ones((5, 1), np.uint8))  # so that a line may climb a little
    bars = cv2.morphologyEx(bars, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    bars = cv2.morphologyEx(bars, cv2.MORPH_CLOSE, np.ones((3, run), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bars, connectivity=8)
    left = stats[:, cv2.CC_STAT_LEFT]
    right = left + stats[:, cv2.CC_STAT_WIDTH]
    across = (left <= 0.02 * width) & (right >= 0.98 * width)
    if own is not None:
        beyond = (left < own[0] * width - run) | (right > own[1] * width + run)
        across |= beyond & (right - left > _LONG_LINE * width)
    across[0] = False
    return np.where(across[labels] & (mask > 0), labels, 0)


def _strokes(mask: np.ndarray) -> np.ndarray:
    """What a pen of the prevailing width can have made, of a 0/1 mask with at least one 1."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    outline = np.bincount(labels[mask > inner], minlength=n)
    longest = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    at_edge = _touches_edge(stats, mask.shape)
    # Extent counts: a hundred specks must not outvote ten symbols, nor a table at the rim.
    weight = np.where(at_edge, 0.1, 1.0) * longest.astype(np.float64) ** 2
    pen = _weighted_median((2 * area / np.maximum(outline, 1))[1:], weight[1:])
    keep = area > 0.2 * pen**2  # the dot of a pen has 0.8 of it
    keep[0] = False
    kept = keep[labels].astype(np.uint8)
    return kept if not at_edge[1:].any() else _without_solids(kept, keep & at_edge, labels, pen)


def _touches_edge(stats: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    left, top, width, height = stats[:, :4].T
    return (left == 0) | (top == 0) | (left + width == shape[1]) | (top + height == shape[0])


def _without_solids(
    mask: np.ndarray, at_edge: np.ndarray, labels: np.ndarray, pen: float
) -> np.ndarray:
    """Take tables, thumbs and shadows away: far thicker than a pen, and cut by the picture's rim.

    at_edge: bool, for each of the labels, whether it reaches the rim. pen: width in pixels."""
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    core = (depth > 2.5 * pen) & at_edge[labels]
    if not core.any():
        return mask
    to_core = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 3)
    return mask & (to_core > 4 * pen)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _full_contrast(depth: np.ndarray) -> np.ndarray:
    """Scale values until the ink, faint pencil too, is at 255."""
    return _normalize_contrast(depth, 1 / _MIN_CONTRAST)
