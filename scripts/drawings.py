r"""Formulas as pen strokes of our own, for pictures of the app and for measuring it.

strokes(r"\frac{a+b}{2}", (0, 0, 900, 320))    # points, in a room of this place and size
ink(r"\frac{a+b}{2}", (900, 320))              # black on nothing
page(FORMULAS)                                 # a page of formulas, black on white
"""

from collections.abc import Iterable
from math import cos, pi, sin

from PIL import Image, ImageDraw

PAPER = (10.0, 4.0)  # width and height that FORMULAS are laid out on

Points = list[tuple[float, float]]


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Points:
    """Part of an ellipse, from start to end in turns; 0 is right, 0.25 is down."""
    angles = [2 * pi * (start + (end - start) * i / 12) for i in range(13)]
    return [(cx + rx * cos(a), cy + ry * sin(a)) for a in angles]


# Strokes of each symbol in a box 1 high, y downwards; small letters use its lower part.
SYMBOLS: dict[str, list[Points]] = {
    "x": [[(0.0, 0.4), (0.28, 0.72), (0.5, 1.0)], [(0.5, 0.38), (0.2, 0.75), (0.0, 1.0)]],
    "y": [[(0.0, 0.4), (0.12, 0.7), (0.27, 0.74)], [(0.5, 0.4), (0.28, 0.95), (0.05, 1.35)]],
    "a": [[*arc(0.25, 0.7, 0.23, 0.28, -0.1, -0.97), (0.47, 0.5), (0.49, 0.9), (0.6, 1.0)]],
    "b": [[(0.05, 0.0), (0.05, 0.95), *arc(0.25, 0.72, 0.21, 0.26, 0.45, 1.4)]],
    "e": [[(0.05, 0.7), (0.4, 0.66), *arc(0.25, 0.7, 0.22, 0.28, -0.05, -0.85)]],
    "i": [[(0.1, 0.42), (0.1, 0.9), (0.2, 1.0)], [(0.11, 0.16), (0.13, 0.2)]],
    "n": [[(0.03, 0.42), (0.03, 1.0), *arc(0.23, 0.62, 0.19, 0.22, 0.55, 1.0), (0.44, 1.0)]],
    "pi": [
        [(0.0, 0.46), (0.6, 0.44)],
        [(0.16, 0.46), (0.12, 1.0)],
        [(0.42, 0.46), (0.42, 0.95), (0.52, 1.0)],
    ],
    "0": [arc(0.26, 0.5, 0.26, 0.5, -0.2, -1.2)],
    "1": [[(0.1, 0.02), (0.1, 1.0)]],
    "2": [[*arc(0.25, 0.27, 0.25, 0.27, -0.5, 0.1), (0.0, 1.0), (0.52, 0.98)]],
    "+": [[(0.0, 0.6), (0.5, 0.6)], [(0.25, 0.33), (0.25, 0.87)]],
    "=": [[(0.0, 0.5), (0.5, 0.49)], [(0.0, 0.72), (0.5, 0.72)]],
    "bar": [[(0.0, 0.0), (1.0, 0.01)]],
    "root": [[(0.0, 0.6), (0.1, 0.5), (0.25, 1.0), (0.45, -0.1), (2.6, -0.12)]],
    "sum": [[(0.75, 0.05), (0.0, 0.03), (0.4, 0.5), (0.0, 1.0), (0.8, 0.98)]],
}  # fmt: skip

# LaTeX -> symbols with left, top and height on PAPER.
FORMULAS: dict[str, list[tuple[str, float, float, float]]] = {
    "x^{2}+y^{2}=1": [
        ("x", 2.0, 1.4, 1.1), ("2", 2.7, 1.0, 0.6), ("+", 3.4, 1.4, 1.1), ("y", 4.3, 1.4, 1.1),
        ("2", 5.05, 1.0, 0.6), ("=", 5.8, 1.4, 1.1), ("1", 6.8, 1.4, 1.1),
    ],
    r"\frac{a+b}{2}": [
        ("a", 3.6, 0.5, 1.0), ("+", 4.5, 0.5, 1.0), ("b", 5.4, 0.45, 1.0), ("bar", 3.3, 1.9, 2.8),
        ("2", 4.5, 2.2, 1.0),
    ],
    r"\sqrt{x+1}": [
        ("root", 3.0, 1.2, 1.3), ("x", 3.9, 1.3, 1.1), ("+", 4.8, 1.25, 1.1), ("1", 5.8, 1.3, 1.0),
    ],
    r"e^{i\pi}+1=0": [
        ("e", 1.8, 1.4, 1.1), ("i", 2.4, 1.05, 0.6), ("pi", 2.65, 1.0, 0.65), ("+", 3.5, 1.4, 1.1),
        ("1", 4.6, 1.4, 1.1), ("=", 5.2, 1.4, 1.1), ("0", 6.2, 1.4, 1.1),
    ],
    r"\sum_{n=1}^{x}n": [
        ("sum", 3.5, 1.0, 1.4), ("n", 3.3, 2.6, 0.6), ("=", 3.75, 2.6, 0.6), ("1", 4.3, 2.6, 0.6),
        ("x", 3.85, 0.1, 0.65), ("n", 5.1, 1.2, 1.1),
    ],
    "x^{2}+y^{2}=1+n": [
        ("x", 1.0, 1.4, 1.1), ("2", 1.7, 1.0, 0.6), ("+", 2.4, 1.4, 1.1), ("y", 3.3, 1.4, 1.1),
        ("2", 4.05, 1.0, 0.6), ("=", 4.8, 1.4, 1.1), ("1", 5.8, 1.4, 1.1), ("+", 6.5, 1.4, 1.1),
        ("n", 7.6, 1.4, 1.1),
    ],
}  # fmt: skip


def strokes(latex: str, room: tuple[float, float, float, float]) -> list[Points]:
    """The strokes of one of FORMULAS, as large as fits. room: left, top, width, height."""
    left, top, width, height = room
    unit = min(width / PAPER[0], height / (PAPER[1] + 0.7))  # a little air above and below
    x0, y0 = left + (width - PAPER[0] * unit) / 2, top + (height - PAPER[1] * unit) / 2
    return [
        [(x0 + (at_x + x * size) * unit, y0 + (at_y + y * size) * unit) for x, y in stroke]
        for symbol, at_x, at_y, size in FORMULAS[latex]
        for stroke in SYMBOLS[symbol]
    ]


def ink(latex: str, size: tuple[int, int], pen_px: int = 3) -> Image.Image:
    """A formula in black on nothing, RGBA."""
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for points in strokes(latex, (0, 0, *size)):
        pen.line(points, fill="black", width=pen_px, joint="curve")
    return layer


def page(formulas: Iterable[str], width: int = 1200, line: int = 260) -> Image.Image:
    """A page with the formulas below each other, black on white; line: pixels for each."""
    formulas = list(formulas)
    paper = Image.new("RGB", (width, line * len(formulas) + 80), "white")
    for n, latex in enumerate(formulas):
        layer = ink(latex, (int(2.2 * line), line), pen_px=4)
        paper.paste(layer, (60 + 120 * (n % 3), 40 + line * n), layer)
    return paper
