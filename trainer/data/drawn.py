r"""Hand-drawn strokes of the symbols of mathematics, as a table.

A line of the table is `token box : part ; part ...`. The box is a name of BOXES, or `w,top,bottom`
in hundredths of an em, y down from the baseline. A part lies in a field of 100 x 100 that fills the
box, y down as well:

    10,0 10,100            the pen goes straight from point to point
    ~ 85,15 45,0 10,35     the pen swings through the points
    o 50 50 40 50          an ellipse: middle x y, half axes
    . 50 50                a dot
    @\int 0 0 100 100 v    the ink of another token in a field (left top right bottom), if wished
                           turned over: v upside down, h mirrored, l a quarter left, r half round

Tokens in fonts are written `\mathbb R`: these are keys of the table, not tokens of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from trainer.data import drawn_letters as letters
from trainer.data import drawn_signs as signs

BOXES = {  # width, top, bottom in hundredths of an em
    "x": (46, -46, 0),
    "asc": (44, -74, 0),
    "desc": (46, -46, 26),
    "both": (44, -74, 26),
    "cap": (58, -70, 0),
    "digit": (42, -68, 0),
    "rel": (62, -46, -2),
    "under": (62, -56, 8),
    "equal": (60, -36, -14),
    "line": (58, -27, -25),
    "bin": (54, -52, 0),
    "arrow": (88, -44, -8),
    "double": (92, -46, -6),
    "up": (28, -74, 8),
    "big": (95, -95, 45),
    "integral": (62, -115, 65),
    "fence": (20, -80, 24),
    "wide": (34, -80, 24),
    "shape": (62, -66, 0),
    "dots": (72, -10, 0),
}


@dataclass(frozen=True)
class Part:
    """A part of a drawn symbol, in its field of 100 x 100.

    kind: line, swing, ellipse, dot or ink. numbers: points (n, 2); for an ellipse (2, 2), middle
    and half axes; for ink (2, 2), the field's corners. token, flips: of ink."""

    kind: str
    numbers: np.ndarray
    token: str = ""
    flips: str = ""


@dataclass(frozen=True)
class Drawn:
    """A symbol of the table. box: width, top, bottom in em, y down from the baseline."""

    box: tuple[float, float, float]
    parts: tuple[Part, ...]


@cache
def drawn_symbols() -> dict[str, Drawn]:
    """The whole table by token; letters in fonts as `\\mathbb R`."""
    texts = (letters.LETTERS, letters.GREEK, signs.PLAIN, signs.BINARY, signs.RELATIONS,
             signs.ARROWS, signs.BIG, signs.MARKS)  # fmt: skip
    lines = "\n".join(texts).split("\n")
    table = dict(_entry(line) for line in lines if line)
    for font, text in ((r"\mathcal", letters.SCRIPT), (r"\mathfrak", letters.FRAKTUR)):
        entries = (_entry(line) for line in text.split("\n") if line)
        table |= {f"{font} {letter}": drawn for letter, drawn in entries}
    for letter, parts in letters.BLACKBOARD.items():
        width, top, bottom = table[letter].box
        drawn = tuple(_part(part.format(letter)) for part in parts)
        table[rf"\mathbb {letter}"] = Drawn((width + 0.12, top, bottom), drawn)
    return table


def _entry(line: str) -> tuple[str, Drawn]:
    head, _, body = line.partition(" : ")
    token, box = head.split()
    width, top, bottom = BOXES.get(box) or map(float, box.split(","))
    parts = tuple(_part(part.strip()) for part in body.split(" ; "))
    return token, Drawn((width / 100, top / 100, bottom / 100), parts)


def _part(text: str) -> Part:
    words = text.split()
    if text.startswith("@") and len(words) > 1:
        flips = words[5] if len(words) > 5 else ""
        # A ~ stands for the space in the name of a letter in a font.
        return Part("ink", _numbers(words[1:5]), words[0][1:].replace("~", " "), flips)
    if words[0] in ("o", "."):
        return Part("ellipse" if words[0] == "o" else "dot", _numbers(words[1:]))
    points = [word.split(",") for word in words if word != "~"]
    return Part("swing" if words[0] == "~" else "line", np.array(points, dtype=np.float64))


def _numbers(words: list[str]) -> np.ndarray:
    return np.array(words, dtype=np.float64).reshape(-1, 2)
