"""Training pages for the detector: writing, paper and camera, with the box of every expression.

    python -m trainer.data.pages crohme_train.tar.gz --sheet pages.png --count 24
    python -m trainer.data.pages crohme_train.tar.gz --preset article --formulas formulas.txt \\
        --sheet article.png

A page is vectors until it is drawn, and a box is the extent of its expression's own points after
the camera has moved them; see drawing.py, layout.py (what is boxed), paper.py and camera.py.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from latexocr.errors import DataError
from trainer.data.crohme import read_inks
from trainer.data.page.camera import View, dim, expose, flat_view, light, random_view
from trainer.data.page.drawing import Canvas, Drawing, Pen, ink_box
from trainer.data.page.expressions import Expressions, Loose
from trainer.data.page.furniture import furniture
from trainer.data.page.layout import Column, Item, Kind, Style, Writer
from trainer.data.page.paper import Sheet, background, draw_ruling, grain, random_sheet
from trainer.data.page.printed import Renderer, mathra_renderer, read_formulas
from trainer.data.page.prose import FontLettering, Hand, Lettering, find_fonts, typeset
from trainer.data.strokes import Ink, rng_for

MIN_SEEN = 0.6  # an expression of which less is in the picture is to be ignored
MIN_BOX_PX = 3.0
MAX_SIDE_PX = 10_000
NAMES = ("Ana 9", "M. Silva", "Name:", "Tom, 7b", "Date:", "Lee", "page 3", "Olivia-2")
SHARES = (
    *("printed", "photo", "slip", "board", "prose"),
    *("extras", "grain", "light", "wear", "scattered", "loose"),
)


@dataclass(frozen=True)
class PageConfig:
    """What pages look like. Shares and probabilities are from 0 to 1."""

    long_side_min: int = 800  # of the picture, pixels
    long_side_max: int = 1300
    rows_min: float = 12.0  # rows of writing that a whole sheet has room for, more often many
    rows_max: float = 46.0
    max_equations: int = 32
    printed: float = 0.15  # share of pages whose formulas are printed
    photo: float = 0.7  # share seen by a camera; the others lie flat, as scans and screenshots do
    slip: float = 0.15  # share of cut-outs a few rows high
    board: float = 0.07  # share of black and white boards
    prose: float = 0.25  # share of blocks that are prose, on average
    extras: float = 0.35  # how much there is of figures, arrows, frames, crossed-out work
    grain: float = 0.02
    light: float = 0.5  # how uneven the light may be
    wear: float = 0.6  # how much blur, noise, cast and compression
    scattered: float = 0.05  # share of pages with expressions at random places
    loose: float = 0.0  # share of expressions by hand with a wide gap somewhere
    font_folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 64 <= self.long_side_min <= self.long_side_max <= MAX_SIDE_PX:
            raise ValueError(
                f"expected 64 <= long_side_min <= long_side_max <= {MAX_SIDE_PX}, "
                f"got {self.long_side_min} and {self.long_side_max}"
            )
        if not 2 <= self.rows_min <= self.rows_max < 1000 or self.max_equations < 1:
            raise ValueError(
                "expected 2 <= rows_min <= rows_max < 1000 and max_equations of 1 or more, "
                f"got {self.rows_min}, {self.rows_max} and {self.max_equations}"
            )
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


PRESETS = {
    "real": PageConfig(),
    # Clean scans and screenshots.
    "flat": PageConfig(photo=0.0, light=0.1, wear=0.15, grain=0.01, board=0.0),
    # The way of the article: rendered LaTeX at random places on white or ruled paper.
    "article": PageConfig(
        printed=1.0, photo=0.0, slip=0.0, board=0.0, prose=0.0, extras=0.0, grain=0.0, light=0.0,
        wear=0.0, scattered=1.0, rows_min=14, rows_max=30,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class PageSample:
    """A page and what is on it.

    image: (H, W, 3) uint8, RGB. boxes: (N, 4) float32, x0 y0 x1 y1 in pixel edges, ends excluded,
    one for each expression, tight around its ink. ignore: (M, 4) float32, where finding something
    is neither right nor wrong. latex: N truths, None where unknown."""

    image: np.ndarray
    boxes: np.ndarray
    ignore: np.ndarray
    latex: list[str | None]


@dataclass(frozen=True, eq=False)
class PagePlan:
    """A page before it is drawn: items in coordinates of the flat sheet, and the view of them."""

    sheet: Sheet
    view: View
    items: list[Item] = field(default_factory=list)


class PageGenerator:
    """Makes pages from inks, formulas or both. Build it once; page() is then quick."""

    def __init__(
        self,
        inks: Sequence[Ink] = (),
        formulas: Sequence[str] = (),
        config: PageConfig | None = None,
        render: Renderer | None = None,
    ) -> None:
        """Args: render, for the formulas; None for mathra.
        Raises: DataError if there is neither ink nor formula, or no renderer for formulas."""
        if not inks and not formulas:
            raise DataError("expected inks or formulas to make pages of, got neither")
        self.config = config or PageConfig()
        if formulas and render is None:
            render = mathra_renderer()
        self.expressions = Expressions(inks, formulas, render)
        self.hand_fonts, self.print_fonts = find_fonts(self.config.font_folders)

    def page(self, rng: np.random.Generator) -> PageSample:
        """A new page; the same for the same state of rng."""
        plan = self.plan(rng)
        image = self._photograph(plan, rng)
        boxes, ignore, latex = annotate(plan)
        return PageSample(image, boxes, ignore, latex)

    def plan(self, rng: np.random.Generator) -> PagePlan:
        """All decisions about what is written where, and how it is looked at."""
        config = self.config
        long_side = int(rng.integers(config.long_side_min, config.long_side_max + 1))
        least, most = np.log(config.rows_min), np.log(config.rows_max)
        rows = float(np.exp(least + rng.random() ** 0.7 * (most - least)))
        is_slip = rng.random() < config.slip
        height, width, row = _sheet_size(rng, long_side, rows, is_slip)
        sheet = random_sheet(rng, height, width, row, config.board)
        is_photo = rng.random() < config.photo * (0.5 if is_slip else 1)
        if is_photo:
            view = random_view(rng, height, width, long_side)
        else:
            sheet = replace(sheet, has_spiral=False)
            view = flat_view(height, width)
        items = self._write(rng, sheet)
        return PagePlan(sheet, view, items)

    # --- Writing ------------------------------------------------------------------------------

    def _write(self, rng: np.random.Generator, sheet: Sheet) -> list[Item]:
        config = self.config
        style = self._style(rng, sheet)
        most = int(np.exp(rng.uniform(np.log(1), np.log(config.max_equations + 0.99))))
        # Most pages are full ones; some hold only a line or two.
        most = most if rng.random() < 0.2 else config.max_equations
        writer = Writer(style, rng, most)
        writer.items += self._furniture(rng, sheet, style)
        if rng.random() < config.scattered:
            _scatter(writer, sheet)
        else:
            for column in _columns(rng, sheet, style):
                writer.fill(column)
        return writer.items

    def _style(self, rng: np.random.Generator, sheet: Sheet) -> Style:
        config, source = self.config, self.expressions
        is_printed = source.choose_printed(rng, config.printed)
        symbol = sheet.row * (rng.uniform(0.42, 0.72) if not is_printed else rng.uniform(0.5, 0.75))
        pen, prose_pen = _pens(rng, symbol, sheet.is_dark, is_printed)
        hand = Hand(source.bank, rng)
        font = self._font(rng, is_printed or rng.random() < 0.12)
        if is_printed:
            writer = source.printed(rng)
        elif rng.random() < 0.15:
            writer = source.by_hand(rng, FontLettering(font, int(rng.integers(0, 4))), school=1.0)
        else:
            writer = source.by_hand(rng, hand)
        if config.loose and not is_printed:
            writer = Loose(writer, rng, config.loose)
        by_letters = not is_printed and hand.can_write("en") and rng.random() < 0.6
        return Style(
            expression=writer.one,
            steps=writer.steps,
            words=_words(rng, hand if by_letters else None, font),
            pen=pen,
            prose_pen=prose_pen,
            symbol=symbol,
            row=sheet.row,
            prose=config.prose * rng.choice([0.0, 0.3, 0.8, 1.9]),
            extras=config.extras * rng.choice([0.0, 1.0, 2.0]),
            slant=0.0 if is_printed else float(np.radians(rng.normal(0, 5))),
            drift=0.0 if is_printed else abs(rng.normal(0, 0.012)),
            tight=rng.choice([rng.uniform(0.1, 0.4), rng.uniform(-0.45, 0.1)]),
        )

    def _font(self, rng: np.random.Generator, in_print: bool) -> str | None:
        fonts = self.print_fonts if in_print else self.hand_fonts
        return fonts[int(rng.integers(len(fonts)))] if fonts else None

    def _furniture(self, rng: np.random.Generator, sheet: Sheet, style: Style) -> list[Item]:
        """What the paper's maker or the back of the sheet puts on a page, and the writer's name."""
        extras = self.config.extras
        items = furniture(rng, sheet, self._font(rng, in_print=True), extras)
        if rng.random() < 0.55 * extras:
            items += self._bleed_through(rng, sheet, style)
        if rng.random() < 0.3 * extras:
            name = style.words(str(rng.choice(NAMES)))
            if name.strokes or name.outlines:
                at = rng.uniform(0.5, 0.85) * sheet.width, rng.uniform(0.2, 0.8) * sheet.row
                placed = name.scaled(0.8 * style.symbol).at(*at)
                items.append(Item(placed, style.prose_pen, Kind.OTHER))
        return items

    def _bleed_through(self, rng: np.random.Generator, sheet: Sheet, style: Style) -> list[Item]:
        """Writing on the other side of the paper, faint and mirrored."""
        back = Writer(replace(style, extras=0.0), rng, 12)
        for column in _columns(rng, sheet, style)[:1]:
            back.fill(column)
        share = rng.uniform(0.04, 0.22)
        colour = tuple(int(255 - share * (255 - c)) for c in style.pen.colour)

        def mirrored(points: np.ndarray) -> np.ndarray:
            return points * [-1, 1] + [sheet.width, 0]

        return [
            Item(item.drawing.mapped(mirrored), replace(item.pen, colour=colour), Kind.OTHER)
            for item in back.items
        ]

    # --- Drawing ------------------------------------------------------------------------------

    def _photograph(self, plan: PagePlan, rng: np.random.Generator) -> np.ndarray:
        config, sheet, view = self.config, plan.sheet, plan.view
        ink = draw_ink(plan)
        if rng.random() < 0.3 and config.wear > 0:
            ink = _rough(rng, ink)
        image = background(rng, sheet, view)
        if sheet.is_dark:
            image = 255 - cv2.multiply(255 - image, ink, scale=1 / 255)
        else:
            image = cv2.multiply(image, ink, scale=1 / 255)
        if config.grain:
            image = grain(rng, image, config.grain * rng.random())
        if config.light:
            image = dim(image, light(rng, view.height, view.width, config.light * rng.random()))
        return expose(rng, image, config.wear) if config.wear else image


def draw_ink(plan: PagePlan) -> np.ndarray:
    """What is printed and written on a page as its picture shows it: (H, W, 3) uint8, 255 = all
    light passes."""
    canvas = Canvas(plan.view.height, plan.view.width)
    scale = _page_scale(plan)
    draw_ruling(canvas, plan.sheet, plan.view, scale)
    for item in plan.items:
        canvas.draw(item.drawing.mapped(plan.view.apply), scaled_pen(item.pen, scale))
    return canvas.pixels()


def scaled_pen(pen: Pen, scale: float) -> Pen:
    """A pen of the page as it is seen in the picture."""
    return replace(pen, width=pen.width * scale)


def _page_scale(plan: PagePlan) -> float:
    return plan.view.scale_at(plan.sheet.width / 2, plan.sheet.height / 2)


def annotate(plan: PagePlan) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
    """Boxes, ignored boxes and LaTeX, in pixels of the picture and within it."""
    boxes: list[np.ndarray] = []
    ignore: list[np.ndarray] = []
    latex: list[str | None] = []
    scale = _page_scale(plan)
    limits = np.array([plan.view.width, plan.view.height], np.float32)
    for item in plan.items:
        if item.kind is Kind.OTHER:
            continue
        moved = item.drawing.mapped(plan.view.apply)
        share = _share_within(moved, limits)
        if share == 0:
            continue
        box = ink_box(moved, scaled_pen(item.pen, scale), limits if share < 1 else None)
        box = np.concatenate([np.maximum(box[:2], 0), np.minimum(box[2:], limits)])
        if (box[2:] - box[:2]).max() < MIN_BOX_PX or (box[2:] <= box[:2]).any():
            continue
        if item.kind is Kind.EQUATION and share >= MIN_SEEN:
            boxes.append(box)
            latex.append(item.latex if share == 1 else None)
        else:
            ignore.append(box)
    return _stacked(boxes), _stacked(ignore), latex


def _share_within(drawing: Drawing, limits: np.ndarray) -> float:
    """The share of the drawing's points that are in the picture."""
    points = np.concatenate([*drawing.strokes, *drawing.outlines])
    return float(((points >= -0.5) & (points < limits - 0.5)).all(axis=1).mean())


def _stacked(boxes: list[np.ndarray]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4)


def _rough(rng: np.random.Generator, ink: np.ndarray) -> np.ndarray:
    """Pencil and dry pens: the paper's tooth takes away from the ink."""
    tooth = rng.random((ink.shape[0] // 2 + 1, ink.shape[1] // 2 + 1), dtype=np.float32)
    loss = cv2.convertScaleAbs(tooth, alpha=255 * rng.uniform(0.1, 0.5))
    loss = cv2.resize(loss, ink.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return 255 - cv2.multiply(255 - ink, cv2.merge([255 - loss] * 3), scale=1 / 255)


# --- Pages -------------------------------------------------------------------------------------


def _sheet_size(
    rng: np.random.Generator, long_side: int, rows: float, is_slip: bool
) -> tuple[float, float, float]:
    """Height, width and row height of a sheet, in pixels of an average picture of it."""
    if is_slip:
        width = long_side * rng.uniform(0.35, 1.0)
        row = width / rng.uniform(5, 22)
        height = np.clip(rng.uniform(2.2, 9) * row, 0.25 * width, 1.5 * width)
        return float(height), width, row
    aspect = rng.uniform(1.2, 1.6) if rng.random() < 0.8 else rng.uniform(0.6, 1.0)
    height, width = (
        (long_side, long_side / aspect) if aspect >= 1 else (long_side * aspect, long_side)
    )
    # Landscape pages have fewer rows, not lower ones.
    return height, width, 1.15 * float(np.sqrt(height * width)) / rows


def _columns(rng: np.random.Generator, sheet: Sheet, style: Style) -> list[Column]:
    """Where to write: one column, or two or three beside each other."""
    left = rng.uniform(0.03, 0.14) * sheet.width if sheet.margin is None else sheet.margin
    left += 0.5 * style.symbol
    right = sheet.width * rng.uniform(0.9, 0.985)
    top = max(rng.uniform(0.2, 2.5) * sheet.row, 0.02 * sheet.height)
    if sheet.height > 12 * sheet.row and rng.random() < 0.2:
        top += rng.uniform(0, 0.35) * sheet.height
    # Those who write on lines begin at a line.
    top = sheet.first_row + sheet.row * round((top - sheet.first_row) / sheet.row)
    top = max(top, 0.1 * sheet.row)
    bottom = sheet.height - 0.3 * sheet.row
    room = (right - left) / style.symbol
    n = int(rng.choice([1, 2, 3], p=[0.72, 0.22, 0.06])) if room > 36 else 1
    edges = np.linspace(left, right, n + 1)
    gap = 3.0 * style.symbol if n > 1 else 0.0
    return [Column(a, b - gap, top, bottom) for a, b in pairwise(edges)]


def _scatter(writer: Writer, sheet: Sheet) -> None:
    """Expressions at random places that do not touch each other."""
    rng, style = writer.rng, writer.style
    taken: list[np.ndarray] = []
    for _ in range(3 * writer.max_equations):
        if writer.n_equations >= writer.max_equations:
            return
        found = style.expression(0.8 * sheet.width / style.symbol, 6.0)
        if found is None:
            return
        size = found.drawing.extent * style.symbol
        room = np.array([sheet.width, sheet.height]) - size - style.symbol
        if (room <= 0).any():
            continue
        low = rng.uniform(0.5 * style.symbol, np.maximum(room, style.symbol))
        box = np.concatenate([low, low + size])
        # Two that stand side by side closer than this are one expression to any reader.
        gap = np.array([2.5, 1.0]) * style.symbol
        if any((box[:2] < b[2:] + gap).all() and (b[:2] < box[2:] + gap).all() for b in taken):
            continue
        taken.append(box)
        placed = found.drawing.scaled(style.symbol).at(*low)
        writer.items.append(Item(placed, style.pen, Kind.EQUATION, found.latex))
        writer.n_equations += 1


def _pens(
    rng: np.random.Generator, symbol: float, is_dark: bool, is_printed: bool
) -> tuple[Pen, Pen]:
    """Pens for mathematics and for prose, mostly the same one; widths in pixels of the page."""
    if is_printed:
        black = Pen((int(rng.uniform(0, 70)),) * 3, 0.05 * symbol)
        return black, black
    width = max(0.9, symbol * np.exp(rng.uniform(np.log(0.055), np.log(0.15))))
    pen = Pen(_ink_colour(rng, is_dark), float(min(width, 9)))
    other = rng.random()
    if other < 0.75:
        return pen, pen
    if other < 0.9:
        return pen, replace(pen, colour=_ink_colour(rng, is_dark))
    return pen, Pen((30, 30, 30) if not is_dark else (230, 230, 230), pen.width)


def _words(
    rng: np.random.Generator, hand: Lettering | None, font: str | None
) -> Callable[[str], Drawing]:
    """How a page's lines of text are written, by hand where there is one, else in a font."""
    room = " " * int(rng.choice([1, 1, 1, 2, 3]))
    is_loud = rng.random() < 0.12

    def words(text: str) -> Drawing:
        text = text.upper() if is_loud else text
        if hand is None:
            return typeset(text.replace(" ", room), font)
        return hand.write("".join(c for c in text if hand.can_write(c)))

    return words


def _ink_colour(rng: np.random.Generator, is_dark: bool) -> tuple[int, int, int]:
    """Of a pen on white; on a dark board it is the light that the chalk takes from black."""
    if is_dark:
        chalk = [(40, 40, 40), (40, 40, 40), (30, 50, 150), (140, 60, 60), (60, 140, 70)]
        colour = np.array(chalk[int(rng.integers(len(chalk)))]) + rng.uniform(-20, 70)
    else:
        inks = [(30, 30, 35), (35, 50, 140), (25, 35, 85), (95, 95, 100), (190, 40, 55),
                (40, 110, 70), (110, 50, 120)]  # fmt: skip
        chosen = int(rng.choice(7, p=[0.29, 0.25, 0.12, 0.22, 0.07, 0.03, 0.02]))
        fade = rng.choice([rng.uniform(0, 0.3), rng.uniform(0, 0.68)])
        colour = np.array(inks[chosen], float)
        colour += fade * (235 - colour)
    red, green, blue = (int(c) for c in np.clip(colour, 0, 235))
    return red, green, blue


# --- Contact sheets ----------------------------------------------------------------------------


def with_boxes(sample: PageSample) -> np.ndarray:
    """The page with its boxes in red and its ignored places in blue, (H, W, 3) uint8."""
    shown = sample.image.copy()
    for boxes, colour in ((sample.ignore, (60, 60, 255)), (sample.boxes, (255, 0, 0))):
        for x0, y0, x1, y1 in np.round(boxes).astype(int).tolist():
            cv2.rectangle(shown, (x0 - 1, y0 - 1), (x1, y1), colour, 1)
    return shown


def sheet_of(pictures: Sequence[np.ndarray], columns: int = 6, cell_px: int = 420) -> np.ndarray:
    """Pictures in a grid, each shrunk to fit a square cell."""
    cells = []
    for picture in pictures:
        factor = min(cell_px / max(picture.shape[:2]), 1.0)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        cell = np.full((cell_px + 4, cell_px + 4, 3), 128, np.uint8)
        cell[2 : 2 + small.shape[0], 2 : 2 + small.shape[1]] = small
        cells.append(cell)
    cells += [np.full_like(cells[0], 128)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Contact sheet of training pages.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("inks", type=Path, help="folder or .tar.gz of InkML")
    parser.add_argument("--formulas", action="append", default=[], help="text file, one a line")
    parser.add_argument("--preset", choices=PRESETS, default="real")
    parser.add_argument("--fonts", action="append", default=[], help="folder of further fonts")
    parser.add_argument("--sheet", type=Path, required=True, help="PNG to write")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    config = replace(PRESETS[args.preset], font_folders=tuple(args.fonts))
    formulas = [latex for source in args.formulas for latex in read_formulas(source)]
    generator = PageGenerator(list(read_inks(args.inks)), formulas, config)
    pages = [generator.page(rng_for(args.seed, 0, i)) for i in range(args.count)]
    picture = sheet_of([with_boxes(page) for page in pages], args.columns)
    args.sheet.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(args.sheet), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise DataError(f"expected a place to write a PNG, got {args.sheet}")
    print(f"{args.sheet}: {len(pages)} pages, {sum(len(p.boxes) for p in pages)} boxes")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
