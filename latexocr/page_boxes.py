"""Where the equations of a page are: at the size that their writing needs, whole lines.

found = find_equations(detector, page)           # page: an upright RGB picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from latexocr.boxes import Box
from latexocr.detector import Detection, Detector
from latexocr.regions import at_once, fit_to_ink
from latexocr.rescoring import candidates_from

SMALL_LINE_PX = 24.0  # lines lower than this, as the detector sees them, deserve a closer look
GOOD_LINE_PX = 34.0  # and are then seen at about this height, where the page has the pixels
ENLARGED_LINE_PX = 28.0  # and at this one where it must be enlarged
MAX_ENLARGED = 2.0  # times
MAX_LOOK_PX = 2600  # longest side of a closer look: more takes seconds, and gigabytes

_SAME_LINE = 0.6  # of the lower one of two boxes that is level with the other
_SAME_HEIGHT = 2.2  # a fragment of a line is not that much higher than the rest of it
_MAX_BREAK = 0.5  # between fragments of a line, in heights of the lower one


def find_equations(
    detector: Detector, page: Image.Image, found: Sequence[Detection] | None = None
) -> list[Detection]:
    """Equations of an upright page, the surest first, fragments of a line joined, boxes tight; with
    them candidates that are not likely, where it is for what is read to decide (rescoring.py).

    Small writing is looked at again more closely. Args: found, what find_candidates finds on the
    page, if it has been looked at already."""
    found = find_candidates(detector, page) if found is None else found
    longest = max(page.size)
    looked_at = min(longest, detector.config.long_side)
    closer = _closer_look(likely(detector, found), longest, looked_at)
    if closer > looked_at:
        found = find_candidates(detector, page, closer)
    whole = join_fragments(likely(detector, found))
    whole += [one for one in found if not _is_likely(detector, one) and not _is_part(one, whole)]
    boxes = at_once(fit_to_ink, page, [one.box for one in whole])
    return [replace(one, box=box) for one, box in zip(whole, boxes, strict=True)]


def find_candidates(
    detector: Detector, page: Image.Image, long_side: int | None = None
) -> list[Detection]:
    """What the detector finds that may be an equation, the surest first. Arguments as its own."""
    return detector.detect(page, long_side, candidates_from(detector.config))


def likely(detector: Detector, found: Sequence[Detection]) -> list[Detection]:
    """Those of the candidates that are equations as far as the detector can tell."""
    return [one for one in found if _is_likely(detector, one)]


def _is_likely(detector: Detector, one: Detection) -> bool:
    return one.score >= detector.config.score_min


def _is_part(one: Detection, whole: Sequence[Detection]) -> bool:
    x0, y0, x1, y1 = one.box
    return any(
        other.box[0] <= x0 and other.box[1] <= y0 and x1 <= other.box[2] and y1 <= other.box[3]
        for other in whole
    )


def _closer_look(found: Sequence[Detection], longest: int, looked_at: int) -> int:
    """Longest side at which to look at a page again, pixels; looked_at if what was found is large
    enough. Args: longest, the page's own; looked_at, that of the first look."""
    if not found:
        return min(longest, MAX_LOOK_PX, round(looked_at * GOOD_LINE_PX / SMALL_LINE_PX))
    height = float(np.median([one.box[3] - one.box[1] for one in found]))  # of the page's pixels
    if height * looked_at / longest >= SMALL_LINE_PX:
        return looked_at
    wanted = min(longest, round(longest * GOOD_LINE_PX / height))
    if height < SMALL_LINE_PX:
        wanted = round(longest * min(MAX_ENLARGED, ENLARGED_LINE_PX / height))
    return min(wanted, MAX_LOOK_PX)


def join_fragments(found: Sequence[Detection]) -> list[Detection]:
    """Boxes that follow closely on each other in one line become one; the surest first."""
    boxes = sorted(found, key=lambda one: one.box[0])
    joined: list[Detection] = []
    for one in boxes:
        partner = next(
            (i for i, other in enumerate(joined) if _is_one_line(other.box, one.box)), -1
        )
        if partner < 0:
            joined.append(one)
        else:
            other = joined[partner]
            low, high = np.minimum(other.box, one.box), np.maximum(other.box, one.box)
            box = (*low[:2].tolist(), *high[2:].tolist())
            joined[partner] = Detection(box, max(other.score, one.score))
    return sorted(joined, key=lambda one: -one.score)


def _is_one_line(left: Box, right: Box) -> bool:
    heights = left[3] - left[1], right[3] - right[1]
    level = min(left[3], right[3]) - max(left[1], right[1])
    return (
        level > _SAME_LINE * min(heights)
        and max(heights) < _SAME_HEIGHT * min(heights)
        and right[0] - left[2] < _MAX_BREAK * min(heights)
    )
