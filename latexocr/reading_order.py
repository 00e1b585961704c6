"""In which order the boxes of a page are read: columns from the left, in each the lines from above.

    for group in reading_order(boxes): ...      # indices; a group is a block of lines set together

Pages are cut again and again, along gaps that no box crosses: between columns where there are any,
else above and below the largest part of the page that has columns. Source: the recursive X-Y cut of
Nagy and Seth 1984, ICPR, p. 347.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

_SHRINK = 0.2  # of a box's height at either end: lines that climb overlap a little
_MIN_CORRIDOR = 0.7  # between columns, in typical heights of a box
_MIN_COLUMN = 2  # boxes: a lone box beside others stands in a line with one of them
_SHARED_HEIGHT = 0.4  # of the lower one of two columns that is beside the other
_BLOCK_GAP = 1.0  # between lines that belong to different blocks, in typical heights of a box


def reading_order(boxes: np.ndarray) -> list[list[int]]:
    """Blocks of boxes in reading order, each a list of indices in reading order.

    Args: boxes (N, 4), x0 y0 x1 y1, y down, of a page that stands upright."""
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    if not len(boxes):
        return []
    typical = float(np.median(boxes[:, 3] - boxes[:, 1]))
    height = boxes[:, 3] - boxes[:, 1]
    inner = boxes + np.outer(_SHRINK * height, [0, 1, 0, -1])
    blocks: list[list[int]] = []
    for column in _columns(inner, np.arange(len(boxes)), typical):
        blocks += _blocks(boxes, list(_lines(inner, column)), typical)
    return blocks


def _columns(boxes: np.ndarray, places: np.ndarray, typical: float) -> Iterator[np.ndarray]:
    """Parts of a page that are read line by line, in reading order."""
    sides = _beside(boxes, places, typical)
    if sides:
        for side in sides:
            yield from _columns(boxes, side, typical)
        return
    bands = _bands(boxes, places)
    ranges = [
        (i, j)
        for i in range(len(bands))
        for j in range(i + 2, len(bands) + 1)
        if j - i < len(bands)
    ]
    # The longest run of bands that has columns: what is above and below it spans them.
    for i, j in sorted(ranges, key=lambda ends: ends[0] - ends[1]):
        if _beside(boxes, np.concatenate(bands[i:j]), typical):
            for part in (bands[:i], bands[i:j], bands[j:]):
                if part:
                    yield from _columns(boxes, np.concatenate(part), typical)
            return
    yield places


def _bands(boxes: np.ndarray, places: np.ndarray) -> list[np.ndarray]:
    """The boxes in bands from above, between which straight gaps go from side to side."""
    starts = [len(above) for above, _ in _cuts(boxes, places, axis=1)]
    order = places[np.argsort(boxes[places, 1], kind="stable")]
    return np.split(order, starts)


def _beside(
    boxes: np.ndarray, places: np.ndarray, typical: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Left and right columns at the widest corridor, None if there are no two columns."""
    found: list[tuple[float, tuple[np.ndarray, np.ndarray]]] = []
    for left, right in _cuts(boxes, places, axis=0):
        corridor = boxes[right, 0].min() - boxes[left, 2].max()
        if min(len(left), len(right)) < _MIN_COLUMN or corridor < _MIN_CORRIDOR * typical:
            continue
        top = max(boxes[left, 1].min(), boxes[right, 1].min())
        bottom = min(boxes[left, 3].max(), boxes[right, 3].max())
        lower = min(np.ptp(boxes[side][:, [1, 3]]) for side in (left, right))
        if bottom - top > _SHARED_HEIGHT * lower:
            found.append((corridor, (left, right)))
    return max(found, key=lambda item: item[0])[1] if found else None


def _cuts(
    boxes: np.ndarray, places: np.ndarray, axis: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All ways to part the boxes by a straight line across the axis, 0 for x and 1 for y."""
    order = places[np.argsort(boxes[places, axis], kind="stable")]
    reach = np.maximum.accumulate(boxes[order, axis + 2])
    for i in np.flatnonzero(boxes[order[1:], axis] >= reach[:-1]) + 1:
        yield order[:i], order[i:]


def _lines(boxes: np.ndarray, places: np.ndarray) -> Iterator[list[int]]:
    """Lines from above, each from the left: boxes whose middle is level with a line's first box."""
    line: list[int] = []
    for place in places[np.argsort(boxes[places][:, [1, 3]].mean(axis=1), kind="stable")]:
        if line and boxes[place, [1, 3]].mean() > boxes[line[0], 3]:
            yield sorted(line, key=lambda i: boxes[i, 0])
            line = []
        line.append(int(place))
    yield sorted(line, key=lambda i: boxes[i, 0])


def _blocks(boxes: np.ndarray, lines: Sequence[list[int]], typical: float) -> list[list[int]]:
    """Lines joined to blocks where the gap between them is small."""
    blocks: list[list[int]] = []
    bottom = -np.inf
    for line in lines:
        if boxes[line, 1].min() - bottom > _BLOCK_GAP * typical:
            blocks.append([])
        blocks[-1] += line
        bottom = boxes[line, 3].max()
    return blocks
