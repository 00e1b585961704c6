"""Which way up a page stands: as it is read best.

found, turn = find_upright(detector, recognizer, picture)
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from latexocr.boxes import quarter_turn, turned_back
from latexocr.detector import Detection, Detector
from latexocr.errors import ImageError
from latexocr.page_boxes import find_candidates, find_equations, likely
from latexocr.recognizer import Recognizer
from latexocr.regions import prepare_boxes

# Equations by which is judged whether a page stands upright, and tokens of each; what does not may
# be read without end.
SAMPLE, SAMPLE_TOKENS = 4, 24
# Geometric mean of the tokens' probabilities from which on it does. On 31 photos and scans the
# three wrong turns reached 0.779.
CERTAIN = 0.78
# From here on it does if upside down reads so much worse. Of the same photos lying on their side
# the likeliest reached 0.67.
LIKELY, AHEAD = 0.7, 1.15
# How much more that says than how much was found, in length of lines, where no turn is certain:
# with less than 4, some of the same photos were read lying on their side.
CONVICTION = 4
# Hardly any picture comes turned, and a few equations say little: of pictures of one, a sixth was
# turned that stood upright. So with not more than FEW, only so much of a turn's certainty counts.
FEW, DOUBTED = 2, 0.84


def find_upright(
    detector: Detector, recognizer: Recognizer, picture: Image.Image
) -> tuple[list[Detection], int]:
    """Equations of a picture as find_equations gives them, and by how many degrees
    counter-clockwise it had to be turned for them.

    What stands on its head is found all the same: only reading tells which way up it is."""
    tried: list[tuple[float, list[Detection], int]] = []
    for sideways in (0, 90):
        page = quarter_turn(picture, sideways)
        found = find_candidates(detector, page)
        seen = likely(detector, found) or found
        certainties: list[tuple[float, int]] = []
        for flip in (0, 180):
            turned = [replace(d, box=turned_back(d.box, flip, page.size)) for d in seen]
            certainty = _certainty(recognizer, quarter_turn(page, flip), turned)
            if certainty >= CERTAIN:
                return _look_closer(detector, picture, found, sideways + flip)
            if sideways + flip and len(seen) <= FEW:
                certainty *= DOUBTED
            # How long what was found is: a line that lies on its side comes in many pieces.
            found_px = sum(one.score * (one.box[2] - one.box[0]) for one in seen)
            worth = certainty**CONVICTION * found_px
            tried.append((worth, found, sideways + flip))
            certainties.append((certainty, flip))
        (second, _), (first, flip) = sorted(certainties)
        if first >= LIKELY and first >= AHEAD * second:
            return _look_closer(detector, picture, found, sideways + flip)
    _, found, turn = max(tried, key=lambda item: item[0])
    return _look_closer(detector, picture, found, turn)


def _look_closer(
    detector: Detector, picture: Image.Image, found: list[Detection], turn: int
) -> tuple[list[Detection], int]:
    """All equations of the picture turned by these degrees, and the degrees. Args: found, on the
    picture turned by these, or by half a turn less from 180 on."""
    seen = found if turn < 180 else None
    return find_equations(detector, quarter_turn(picture, turn), seen), turn


def _certainty(recognizer: Recognizer, page: Image.Image, found: Sequence[Detection]) -> float:
    """Geometric mean of the probabilities of the tokens of a few equations; 0 without any.

    Writing that lies on its side is read too, but with little conviction."""
    boxes = [one.box for one in found[:SAMPLE]]
    pictures = prepare_boxes(page, boxes, recognizer.symbol_px)
    inked = [picture for picture in pictures if not isinstance(picture, ImageError)]
    if not inked:
        return 0.0
    begun = recognizer.decode(inked, max_new_tokens=SAMPLE_TOKENS)
    decoded = [candidates[0] for candidates in begun]
    n_tokens = sum(min(max(1, one.n_tokens), SAMPLE_TOKENS) for one in decoded)
    return math.exp(sum(one.log_probability for one in decoded) / n_tokens)
