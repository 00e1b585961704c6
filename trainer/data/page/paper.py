"""Sheets: their colour, ruling, holes, folds and grain, and the desk below them.

What is printed on a sheet is drawn on the same canvas as the ink and goes through the same view.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import cv2
import numpy as np

from trainer.data.page.camera import View
from trainer.data.page.drawing import Canvas, Colour, Drawing, Pen


class Ruling(Enum):
    BLANK = "blank"
    RULED = "ruled"
    SQUARED = "squared"
    DOTTED = "dotted"


@dataclass(frozen=True)
class Sheet:
    """A sheet of height x width in units of the page, lines a row apart.

    colour: of the paper as the camera sees it in full light. is_dark: a board that is written on
    with chalk; its colour is dark and the ink is light. margin: x of the red line, None without."""

    height: float
    width: float
    row: float
    colour: Colour
    ruling: Ruling = Ruling.BLANK
    line_colour: Colour = (170, 195, 225)
    line_width: float = 0.7
    margin: float | None = None
    has_spiral: bool = False
    has_holes: bool = False
    n_folds: int = 0
    is_dark: bool = False
    first_row: float = 0.0


def random_sheet(
    rng: np.random.Generator, height: float, width: float, row: float, board: float
) -> Sheet:
    """Args: board, probability of a black or white board."""
    if rng.random() < board:
        return _board(rng, height, width, row)
    rulings = [Ruling.BLANK, Ruling.RULED, Ruling.SQUARED, Ruling.DOTTED]
    ruling = rulings[int(rng.choice(4, p=[0.38, 0.4, 0.16, 0.06]))]
    is_yellow = rng.random() < 0.07
    white = rng.uniform(190, 253)
    tint = rng.normal(0, 4, 3) + ([0, -8, -75] if is_yellow else [0, 0, rng.uniform(-12, 2)])
    colour = tuple(int(c) for c in np.clip(white + tint, 60, 255))
    is_ruled = ruling is Ruling.RULED
    return Sheet(
        height,
        width,
        row,
        colour,
        ruling,
        _line_colour(rng),
        rng.uniform(0.5, 1.3),
        margin=rng.uniform(0.07, 0.16) * width if is_ruled and rng.random() < 0.45 else None,
        has_spiral=rng.random() < 0.14,
        has_holes=rng.random() < 0.12,
        n_folds=int(rng.choice([0, 0, 0, 1, 2])),
        first_row=rng.uniform(0.5, 4) * row,
    )


def _board(rng: np.random.Generator, height: float, width: float, row: float) -> Sheet:
    if rng.random() < 0.4:
        return Sheet(height, width, row, (238, 240, 243))
    dark = rng.uniform(15, 75)
    tint = [rng.uniform(-15, 5), rng.uniform(0, 25), rng.uniform(-10, 15)]
    colour = tuple(int(c) for c in np.clip(dark + np.array(tint), 5, 110))
    return Sheet(height, width, row, colour, is_dark=True)


def _line_colour(rng: np.random.Generator) -> Colour:
    base = [(150, 180, 225), (165, 165, 170), (140, 170, 160), (190, 150, 160), (110, 140, 200)]
    colour = np.array(base[int(rng.choice(5, p=[0.5, 0.25, 0.08, 0.05, 0.12]))], float)
    fade = rng.uniform(0.0, 0.75)
    return tuple(int(c) for c in colour + fade * (250 - colour))


# --- What is printed on it ---------------------------------------------------------------------


def draw_ruling(canvas: Canvas, sheet: Sheet, view: View, scale: float) -> None:
    """Lines, squares or dots, and the red margin."""
    width = max(0.5, sheet.line_width * scale)
    pen = Pen(sheet.line_colour, width)
    canvas.draw(_rule_lines(sheet).mapped(view.apply), pen)
    if sheet.margin is not None:
        line = _straight((sheet.margin, 0), (sheet.margin, sheet.height))
        canvas.draw(Drawing((line,)).mapped(view.apply), Pen((225, 130, 140), width))


def _straight(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    return np.linspace(np.array(start, float), np.array(end, float), 13)


def _rule_lines(sheet: Sheet) -> Drawing:
    if sheet.ruling is Ruling.BLANK:
        return Drawing()
    rows = np.arange(sheet.first_row % sheet.row, sheet.height, sheet.row)
    if sheet.ruling is Ruling.RULED:
        rows = rows[rows > sheet.first_row - 1]
        return Drawing(tuple(_straight((0, y), (sheet.width, y)) for y in rows))
    columns = np.arange(0.3 * sheet.row, sheet.width, sheet.row)
    if sheet.ruling is Ruling.DOTTED:
        return Drawing(tuple(np.array([[x, y]]) for x in columns for y in rows))
    across = [_straight((0, y), (sheet.width, y)) for y in rows]
    down = [_straight((x, 0), (x, sheet.height)) for x in columns]
    return Drawing((*across, *down))


# --- What the camera sees below the ink --------------------------------------------------------


def background(rng: np.random.Generator, sheet: Sheet, view: View) -> np.ndarray:
    """The sheet on its desk, without what is written: (H, W, 3) uint8."""
    picture = np.empty((view.height, view.width, 3), np.uint8)
    picture[:] = sheet.colour
    edge = view.apply(_outline(sheet))
    if not _covers(edge, view):
        desk = _desk(rng, view.height, view.width)
        mask = np.zeros((view.height, view.width), np.uint8)
        cv2.fillPoly(mask, [np.round(edge * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
        shade = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1.5, 6))
        desk = cv2.multiply(desk, cv2.merge([255 - cv2.convertScaleAbs(shade, None, 0.55)] * 3),
                            scale=1 / 255)  # fmt: skip
        cv2.copyTo(picture, mask, desk)
        picture = desk
    for _ in range(sheet.n_folds):
        _fold(rng, picture, sheet, view)
    if sheet.has_spiral:
        _spiral(rng, picture, sheet, view)
    if sheet.has_holes:
        _holes(rng, picture, sheet, view)
    return picture


def grain(rng: np.random.Generator, picture: np.ndarray, strength: float) -> np.ndarray:
    """Crumples and clouds: slow unevenness of a share of the light."""
    height, width = picture.shape[:2]
    cells = int(rng.integers(3, 14))
    small = rng.normal(0, strength, (cells, cells)).astype(np.float32)
    field = cv2.resize(small, (width // 4 + 1, height // 4 + 1), interpolation=cv2.INTER_CUBIC)
    shade = (255 * np.clip(1 - strength - field, 0.3, 1)).astype(np.uint8)
    shade = cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(picture, cv2.merge([shade] * 3), scale=1 / 255)


def _outline(sheet: Sheet) -> np.ndarray:
    corners = [(0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height), (0, 0)]
    sides = [_straight(a, b) for a, b in pairwise(corners)]
    return np.concatenate(sides)


def _covers(edge: np.ndarray, view: View) -> bool:
    """Does the sheet fill the picture?"""
    corners = [(0, 0), (view.width, 0), (view.width, view.height), (0, view.height)]
    polygon = edge.astype(np.float32)
    return all(cv2.pointPolygonTest(polygon, (float(x), float(y)), True) > 1 for x, y in corners)


def _desk(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Wood, cloth, a grey table: a colour with clouds or streaks."""
    colours = [
        (140, 95, 55), (95, 65, 45), (190, 150, 105), (60, 60, 65), (175, 175, 175),
        (200, 195, 185), (45, 55, 90), (120, 30, 35), (25, 25, 28), (150, 150, 140),
    ]  # fmt: skip
    colour = np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, 12, 3)
    streaks = (int(rng.integers(4, 60)), int(rng.integers(2, 8)))
    if rng.random() < 0.5:
        streaks = streaks[::-1]
    field = rng.normal(1, rng.uniform(0.02, 0.16), streaks).astype(np.float32)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    flat = np.empty((height, width, 3), np.uint8)
    flat[:] = np.clip(colour, 5, 250).astype(np.uint8)
    desk = cv2.multiply(flat, cv2.merge([field] * 3), dtype=cv2.CV_8U)
    for _ in range(int(rng.choice([0, 0, 1, 4]))):  # knots and crumbs
        centre = tuple((rng.random(2) * [width, height]).astype(int).tolist())
        axes = tuple((rng.uniform(1, 0.02 * max(height, width), 2)).astype(int).tolist())
        grey = float(rng.choice([rng.uniform(10, 60), rng.uniform(200, 250)]))
        cv2.ellipse(desk, centre, axes, rng.uniform(0, 180), 0, 360, [grey] * 3, -1, cv2.LINE_AA)
    return desk


def _fold(rng: np.random.Generator, picture: np.ndarray, sheet: Sheet, view: View) -> None:
    """One side of the fold lies in less light, and its edge shows as a thin line."""
    y = rng.uniform(0.25, 0.75) * sheet.height
    slope = rng.normal(0, 0.01) * sheet.height
    crease = view.apply(_straight((0, y), (sheet.width, y + slope)))
    below = view.apply(_straight((sheet.width, sheet.height), (0, sheet.height)))
    side = np.concatenate([crease, below])
    mask = np.full(picture.shape[:2], 255, np.uint8)
    cv2.fillPoly(mask, [np.round(side).astype(np.int32)], float(rng.uniform(225, 250)))
    line = [np.round(crease * 8).astype(np.int32)]
    cv2.polylines(mask, line, False, float(rng.uniform(190, 245)), 1, cv2.LINE_AA, 3)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.8)
    cv2.multiply(picture, cv2.merge([mask] * 3), picture, 1 / 255)


def _spiral(rng: np.random.Generator, picture: np.ndarray, sheet: Sheet, view: View) -> None:
    """Wire loops along the left or right edge."""
    x, out = (0.02, -1) if rng.random() < 0.7 else (0.98, 1)
    step = rng.uniform(0.015, 0.03) * sheet.height
    wire = tuple(int(c) for c in rng.uniform(20, 90) + rng.normal(0, 5, 3))
    for y in np.arange(step, sheet.height, step):
        loop = np.linspace(0, np.pi, 9)
        points = np.column_stack([
            x * sheet.width + out * 0.035 * sheet.width * np.sin(loop),
            y - 0.25 * step * np.cos(loop),
        ])  # fmt: skip
        centre = view.apply(points[:1] + np.array([0, 0.25 * step]))[0]
        radius = max(1, round(0.2 * step * view.scale_at(*points[0])))
        cv2.circle(picture, np.round(centre).astype(int).tolist(), radius, (40, 40, 42), -1, 16)
        line = [np.round(view.apply(points) * 8).astype(np.int32)]
        cv2.polylines(picture, line, False, wire, max(1, radius // 2), cv2.LINE_AA, 3)


def _holes(rng: np.random.Generator, picture: np.ndarray, sheet: Sheet, view: View) -> None:
    """Punched holes through which the desk is seen."""
    x = sheet.width * (0.03 if rng.random() < 0.8 else 0.97)
    grey = rng.uniform(40, 170)
    for y in np.linspace(*rng.uniform([0.08, 0.8], [0.2, 0.92]), int(rng.choice([2, 3, 4]))):
        centre = view.apply(np.array([[x, y * sheet.height]]))[0]
        radius = max(2, round(0.011 * sheet.width * view.scale_at(x, y * sheet.height)))
        where = np.round(centre).astype(int)
        cv2.circle(picture, where.tolist(), radius, [grey] * 3, -1, cv2.LINE_AA)
        cv2.ellipse(picture, where.tolist(), (radius, radius), 200, 0, 180, [grey * 0.5] * 3, 1, 16)
