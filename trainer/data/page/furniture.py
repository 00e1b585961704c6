"""What the paper's maker prints on a sheet: fields of forms, calendars, a place for the date."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from trainer.data.page import figures
from trainer.data.page.drawing import Drawing, Pen, joined
from trainer.data.page.layout import Item, Kind
from trainer.data.page.paper import Sheet
from trainer.data.page.prose import typeset

CALENDARS = (
    ("S/L", "T/M", "Q/M", "Q/J", "S/V", "S/S", "D/D"),
    ("D", "S", "T", "Q", "Q", "S", "S"),
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    tuple(str(day) for day in range(1, 32)),
)


def furniture(
    rng: np.random.Generator, sheet: Sheet, font: str | None, amount: float
) -> list[Item]:
    """Args: font, for words in print; amount, 1 is much."""
    items: list[Item] = []
    if rng.random() < 0.3 * amount:
        items += _form(rng, sheet)
    if rng.random() < 0.4 * amount:
        items.append(_calendar(rng, sheet, font))
    if rng.random() < 0.3 * amount:
        items.append(_date_field(rng, sheet))
    if rng.random() < 0.3 * amount and sheet.has_spiral:
        brand = typeset(str(rng.choice(["VERINT", "NOTES", "2026", "Date"])), None)
        size = 0.5 * sheet.row
        at = (0.8 * sheet.width, sheet.height - 0.7 * sheet.row)
        items.append(Item(brand.scaled(size).moved(*at), Pen((60, 60, 60)), Kind.OTHER))
    return items


def _form(rng: np.random.Generator, sheet: Sheet) -> list[Item]:
    """Printed frames of a form or worksheet."""
    n = int(rng.integers(1, 4))
    x0, x1 = rng.uniform(0.02, 0.1) * sheet.width, rng.uniform(0.9, 0.98) * sheet.width
    edges = np.linspace(rng.uniform(0.02, 0.12), 0.97, n + 1) * sheet.height
    cells, pen = int(rng.integers(2, 9)), _print_pen(rng, sheet)
    return [
        Item(figures.grid_frame(x0, a, x1, a + 0.93 * (b - a), cells), pen, Kind.OTHER)
        for a, b in pairwise(edges)
    ]


def _calendar(rng: np.random.Generator, sheet: Sheet, font: str | None) -> Item:
    """Days or months in a row of cells, along the top or the bottom of the sheet."""
    labels = CALENDARS[int(rng.integers(len(CALENDARS)))]
    cell = min(rng.uniform(0.02, 0.06), 0.9 / len(labels)) * sheet.width
    height = min(cell, rng.uniform(0.4, 0.7) * sheet.row)
    drawings = []
    for i, label in enumerate(labels):
        word = typeset(label, font)
        if word.outlines:
            size = min(0.6 * height, 0.8 * cell / max(word.extent[0], 1e-3))
            free = np.array([cell, height]) - word.extent * size
            drawings.append(word.scaled(size).at(i * cell + free[0] / 2, free[1] / 2))
    width = cell * len(labels)
    if rng.random() < 0.8:
        frame = [np.array([(0, y), (width, y)]) for y in (0.0, height)]
        bars = [np.array([(i * cell, 0), (i * cell, height)]) for i in range(len(labels) + 1)]
        drawings.append(Drawing((*frame, *bars)))
    x = rng.choice([0.04, 0.5, 0.96]) * (sheet.width - width)
    y = rng.uniform(0.015, 0.05) if rng.random() < 0.6 else rng.uniform(0.93, 0.97)
    return Item(joined(drawings).moved(x, y * sheet.height), _print_pen(rng, sheet), Kind.OTHER)


def _date_field(rng: np.random.Generator, sheet: Sheet) -> Item:
    """Two slashes between which day, month and year are to be written."""
    size = rng.uniform(0.4, 0.8) * sheet.row
    x, y = rng.uniform(0.55, 0.85) * sheet.width, rng.uniform(0.02, 0.06) * sheet.height
    gap = rng.uniform(1.2, 2.2) * size
    slashes = [np.array([(x + i * gap, y + size), (x + i * gap + 0.35 * size, y)]) for i in (0, 1)]
    if rng.random() < 0.5:
        slashes.append(np.array([(x - gap, y + size), (x + 2.5 * gap, y + size)]))
    return Item(Drawing(tuple(slashes)), _print_pen(rng, sheet), Kind.OTHER)


def _print_pen(rng: np.random.Generator, sheet: Sheet) -> Pen:
    width = max(0.7, rng.uniform(0.001, 0.0025) * sheet.width)
    return Pen((int(rng.uniform(20, 150)),) * 3, width)
