"""What was read from the pages a person handed in, and what that person has changed since.

One Document belongs to one visitor. It holds the pages themselves, as they are needed for reading
what is marked later, and no files. Nothing here knows widgets or models.
"""

from __future__ import annotations

import base64
import io
import itertools
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from latexocr.boxes import Box, crop, quarter_turn, turned_back
from latexocr.pictures import load_picture
from latexocr.pipeline import Equation, Page
from latexocr.reading_order import reading_order
from latexocr.recognizer import Reading

DISPLAY_SIDE_PX = 1600  # longest side of the copy of a page that a browser gets
CROP_SIDE_PX = 900  # and of an equation cut out of it
MAX_KEPT_BYTES = 6_000_000  # of a page that is kept without loss
MAX_JPEG_SIDE_PX = 65_500  # the format has no room for more

# Never the same twice: what is late for one document must not hit another. 0 is for none.
_IDS = itertools.count(1)


@dataclass(eq=False)
class Item:
    """An equation of a page.

    box is in pixels of the page as it is shown; latex, what a person left of the reading; by_hand
    says whether it was "edited" or "chosen" by that person."""

    id: int
    box: Box
    score: float
    reading: Reading
    latex: str
    by_hand: str = ""


@dataclass(eq=False)
class Sheet:
    """A page and its equations in reading order.

    number: of the page in its PDF, 0 for a picture. turn: by how many degrees counter-clockwise the
    page is turned to be read and shown."""

    name: str
    number: int
    kept: bytes  # an encoded picture, as it was handed in if that is not too large
    display: bytes  # JPEG
    width: int  # pixels, as it is shown
    height: int
    turn: int = 0
    is_read: bool = False
    items: list[Item] = field(default_factory=list)

    @classmethod
    def of(
        cls, picture: Image.Image, name: str, number: int = 0, encoded: bytes | None = None
    ) -> Sheet:
        """A page that is still to be read. picture: as load_picture gives it; encoded: of what."""
        kept, display = _kept(picture, encoded), _jpeg(_reduced(picture, DISPLAY_SIDE_PX))
        return cls(name, number, kept, display, *picture.size)

    def picture(self) -> Image.Image:
        """The page as it is shown, all pixels of it."""
        return quarter_turn(load_picture(self.kept), self.turn)

    def turn_by(self, degrees: int) -> None:
        """Show the page turned, as it was read."""
        self.turn = degrees
        picture = self.picture()
        self.width, self.height = picture.size
        self.display = _jpeg(_reduced(picture, DISPLAY_SIDE_PX))

    def sort(self) -> None:
        """Bring the equations into reading order."""
        blocks = reading_order(np.array([item.box for item in self.items]))
        self.items = [self.items[place] for block in blocks for place in block]

    @property
    def title(self) -> str:
        """What the page is called, on one line."""
        name = " ".join(self.name.split())
        return f"{name}, page {self.number}" if self.number else name

    def covers(self, box: Box) -> bool:
        """Whether a box is all of the page: nothing was looked for, or a single line is all."""
        x0, y0, x1, y1 = box
        return x0 <= 0 and y0 <= 0 and x1 >= self.width and y1 >= self.height

    def display_url(self) -> str:
        return _data_url(self.display)

    def crop_url(self, item: Item) -> str:
        """What an equation was read from, as data URL."""
        return _data_url(_jpeg(_reduced(crop(self.picture(), item.box), CROP_SIDE_PX)))

    @property
    def given_size(self) -> tuple[int, int]:
        """Width and height in pixels before the page was turned."""
        size = (self.width, self.height)
        return size[::-1] if self.turn in (90, 270) else size

    def given_box(self, item: Item) -> list[float]:
        """The box in pixels of the page before it was turned."""
        back = turned_back(item.box, self.turn, self.given_size)
        return [round(side, 1) for side in back]


@dataclass(eq=False)
class Document:
    """All pages of one visitor, the one that is shown, and the equation that is selected in it."""

    sheets: list[Sheet] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what could not be read, and why
    shown: int = 0  # place of the page in sheets
    selected: int | None = None  # id of an equation of that page
    removed: list[tuple[Sheet, Item]] = field(default_factory=list)  # to be brought back
    progress: str = ""  # HTML that says how far the reading is; empty when it is done
    n_views: int = 0

    @property
    def sheet(self) -> Sheet | None:
        """The page that is shown."""
        return self.sheets[self.shown] if self.sheets else None

    @property
    def item(self) -> Item | None:
        """The equation that is selected."""
        return self.find(self.selected)

    @property
    def n_items(self) -> int:
        return sum(len(sheet.items) for sheet in self.sheets)

    def find(self, id: int | None) -> Item | None:
        """The equation of that number, None if there is none any more."""
        items = (item for sheet in self.sheets for item in sheet.items)
        return next((item for item in items if item.id == id), None)

    def fill(self, sheet: Sheet, page: Page) -> None:
        """Enter what was read on a page; if it is the page that is shown, select the first."""
        if page.turn:
            sheet.turn_by(page.turn)
        given_size = (page.width, page.height)
        for equation in page.equations:
            box = _turned(equation.box, page.turn, given_size)
            sheet.items.append(_item(box, equation))
        sheet.is_read = True
        if sheet is self.sheet:
            self.show_page(self.shown)

    def show_page(self, place: int) -> None:
        """Show another page, and select its first equation."""
        if 0 <= place < len(self.sheets):
            self.shown = place
            self.selected = self.sheet.items[0].id if self.sheet.items else None

    def add(self, sheet: Sheet, box: Box, reading: Reading) -> None:
        """Insert what a person marked, in reading order; select it if its page is shown still."""
        item = _item(box, Equation(box, 1.0, reading))
        sheet.items.append(item)
        sheet.sort()
        if sheet is self.sheet:
            self.selected = item.id

    def remove(self, id: int | None) -> None:
        """Take an equation of the shown page out and select the next; bring_back undoes it."""
        item = self.find(id)
        if item is None or item not in self.sheet.items:
            return
        items = self.sheet.items
        place = items.index(item)
        items.remove(item)
        self.removed.append((self.sheet, item))
        following = items[place : place + 1] or items[-1:]
        self.selected = following[0].id if following else None

    def bring_back(self) -> None:
        """Undo the newest removal."""
        if self.removed:
            sheet, item = self.removed.pop()
            sheet.items.append(item)
            sheet.sort()
            self.shown, self.selected = self.sheets.index(sheet), item.id


def _item(box: Box, equation: Equation) -> Item:
    reading = equation.reading
    plain = tuple(float(side) for side in box)  # a browser would take NumPy's numbers for texts
    return Item(next(_IDS), plain, equation.score, reading, reading.latex)


def _turned(box: Box, degrees: int, size: tuple[int, int]) -> Box:
    """A box of a page of this size as a box of the page turned counter-clockwise by degrees."""
    turned_size = size[::-1] if degrees in (90, 270) else size
    return turned_back(box, (360 - degrees) % 360, turned_size)


def _reduced(picture: Image.Image, side_px: int) -> Image.Image:
    """A copy whose longest side is at most side_px."""
    copy = picture.copy()
    copy.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    return copy


def _kept(picture: Image.Image, encoded: bytes | None) -> bytes:
    """The page encoded without loss, unless that takes too much memory."""
    if encoded is None:
        picture.save(data := io.BytesIO(), "PNG", compress_level=1)
        encoded = data.getvalue()
    if len(encoded) <= MAX_KEPT_BYTES or max(picture.size) > MAX_JPEG_SIDE_PX:
        return encoded
    return _jpeg(picture, quality=90)


def _jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    picture.save(data := io.BytesIO(), "JPEG", quality=quality)
    return data.getvalue()


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
