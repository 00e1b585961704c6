"""The Upload tab at work: pages are read, shown with a box on each equation, and corrected.

The widgets are laid out in app.py, and app_desk.py says what they show. All of it is made of one
Document, which lives in the session and is changed in place: so an edit that comes while further
pages are being read is not lost to them.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from app_desk import (
    Work,
    list_of,
    mark_of,
    problems,
    progress,
    show_equations,
    show_inbox,
    show_item,
    show_page,
    summary,
    texts_of,
    view_of,
)
from app_document import Document, Item, Sheet
from app_exports import WRITERS
from app_formats import SAVE, file_of
from app_panel import readings_of, typeset
from app_uploads import N_ALTERNATIVES, Source, find_pages, follow
from latexocr.boxes import Box
from latexocr.errors import ImageError
from latexocr.pipeline import LatexOCR, Page

VIEW_HTML = """
<figure class="sheet"><img alt="" draggable="false"><svg aria-label="Equations of the page"></svg>
</figure>
<div class="below">
  <p class="how"><span class="mouse">Drag</span><span class="touch">Tap two corners</span>
    to mark an equation that is missing.</p>
  <nav><button class="previous" aria-label="Previous page">&lsaquo;</button><span></span>
    <button class="next" aria-label="Next page">&rsaquo;</button></nav>
</div>
"""

# copyText is of app_keys.js.
COPY = """(texts) => copyText(texts.KIND, document.querySelector("#copy_KIND"))"""

REVEAL = """() => document.querySelector(".detail").scrollIntoView(
    {behavior: "smooth", block: "nearest"})"""


LIMIT_S = 300.0  # of reading what one person handed in at once


class Inbox(NamedTuple):
    """The widgets that take pages."""

    picture: gr.Image
    files: gr.File
    wanted: gr.Textbox  # which pages of a PDF


class Picks(NamedTuple):
    """What triggers `pick` with an index."""

    choices: gr.HTML  # readings of the selected equation
    listing: gr.HTML  # equations of the page


class Tools(NamedTuple):
    """Buttons for all equations."""

    copies: dict[str, gr.Button]  # by the texts they copy
    saves: dict[str, gr.Button]  # by the kind of file


def page_view() -> gr.HTML:
    """A page with the boxes of its equations. app_pages.js says what it takes and triggers."""
    script = Path(__file__).with_name("app_pages.js").read_text(encoding="utf-8")
    return gr.HTML(
        value=None,
        html_template=VIEW_HTML,
        js_on_load=script,
        apply_default_css=False,
        elem_classes="page-view",
        picture="",
    )


# ---- reading -----------------------------------------------------------------------------------


class Reader:
    """The events that need the model.

    limit_s: after so many seconds no further page is begun: others wait for their turn."""

    def __init__(self, get_ocr: Callable[[], LatexOCR], limit_s: float = LIMIT_S) -> None:
        self.get_ocr = get_ocr
        self.limit_s = limit_s

    def read_picture(self, file: dict[str, Any] | None) -> Iterator[Work]:
        """Read a page that came as a picture, stored by Gradio but not decoded."""
        yield from self._read([file] if file else [], "")

    def read_files(self, files: list[dict[str, Any]] | None, wanted: str | None) -> Iterator[Work]:
        """Read PDFs and pictures. wanted: which pages of the PDFs."""
        yield from self._read(files or [], wanted or "")

    def _read(self, files: Sequence[dict[str, Any]], wanted: str) -> Iterator[Work]:
        if not files:
            yield Work()
            return
        document = Document()
        sources = find_pages(files, wanted, document.problems)
        started = time.monotonic()
        for n, source in enumerate(sources, start=1):
            if n > 1 and time.monotonic() - started > self.limit_s:
                document.problems.append(
                    f"after {self.limit_s:.0f} s, {len(sources) - n + 1} of {len(sources)} pages "
                    "were not read any more: hand them in by themselves"
                )
                break
            yield from self._read_source(document, source, (n, len(sources)))
        document.progress = ""
        if document.sheets:
            yield Work(status=summary(document), view=view_of(document))
        else:
            yield show_inbox(problems(document))

    def _read_source(
        self, document: Document, source: Source, place: tuple[int, int]
    ) -> Iterator[Work]:
        """Read a page into the document. place: which page it is, and of how many."""
        document.progress = progress(place)
        try:
            sheet = source.load()
        except ImageError as error:
            document.problems.append(f"{source.title}: {error}")
            return
        document.sheets.append(sheet)
        is_first = len(document.sheets) == 1
        yield (
            show_page(document)
            if is_first
            else Work(status=summary(document), view=view_of(document))
        )
        try:
            for news in follow(self.get_ocr(), sheet.picture()):
                if isinstance(news, Page):
                    document.fill(sheet, news)
                else:
                    document.progress = progress(place, news)
                    yield Work(status=summary(document))
        except Exception:  # ours, not the visitor's: the other pages are not to be lost by it
            logging.exception("reading %s", source.title)
            document.problems.append(f"{source.title}: reading it failed, and the log says why")
            sheet.is_read = True
        if sheet is document.sheet:
            yield show_page(document) if sheet.turn else show_equations(document)

    def mark(self, document: Document, event: gr.EventData) -> Work:
        """Read what a person marked on a page, and insert it."""
        if not 0 <= event.page < len(document.sheets):
            return Work()
        sheet = document.sheets[event.page]
        try:
            box = _within(event.box, sheet)
            reading = self.get_ocr().read_box(sheet.picture(), box, N_ALTERNATIVES)
        except ImageError as error:
            notice = f"nothing can be read there: {error}"
            return Work(status=summary(document, notice), view=view_of(document))
        document.add(sheet, box, reading)
        return show_equations(document)


def _within(box: Sequence[float], sheet: Sheet) -> Box:
    """A box as the page view sends it, cut off at the edges of the page."""
    limits = (sheet.width, sheet.height) * 2
    x0, y0, x1, y1 = (
        min(max(float(side), 0.0), limit) for side, limit in zip(box, limits, strict=True)
    )
    return x0, y0, x1, y1


# ---- correcting --------------------------------------------------------------------------------


def select(document: Document, event: gr.EventData) -> Work:
    """Show the equation whose box was clicked; the page view has marked it already."""
    if document.find(event.id) is None:
        return Work()
    document.selected = event.id
    return show_item(document)


def pick(document: Document, event: gr.EventData) -> Work:
    """Show an equation of the list."""
    if not document.sheet or not 0 <= event.index < len(document.sheet.items):
        return Work()
    document.selected = document.sheet.items[event.index].id
    return show_item(document)._replace(view=view_of(document))


def turn(document: Document, event: gr.EventData) -> Work:
    """Show another page."""
    document.show_page(event.page)
    return show_page(document) if document.sheet else Work()


def edit(document: Document, latex: str, id: int) -> Work:
    """Keep what a person typed, pasted or deleted in the source of an equation, and show it."""
    item = document.find(id)
    if item is None or item.latex == latex:
        return Work()
    item.latex = latex
    item.by_hand = "" if latex == item.reading.latex else "edited"
    return _changed(document, item)


def choose(document: Document, id: int, event: gr.EventData) -> Work:
    """Take one of the readings of an equation instead of the first."""
    item = document.find(id)
    if item is None or not 0 <= event.index < len(readings_of(item.reading)):
        return Work()
    item.latex = readings_of(item.reading)[event.index]
    item.by_hand = "chosen" if event.index else ""
    return _changed(document, item)._replace(source=item.latex)


def _changed(document: Document, item: Item) -> Work:
    shown = Work(view=view_of(document), listing=list_of(document), texts=texts_of(document))
    if item.id != document.selected:  # another one was selected meanwhile
        return shown
    return shown._replace(formula=typeset(item.latex), confidence=mark_of(item))


def remove(document: Document, event: gr.EventData) -> Work:
    """Take out the equation on whose box Delete was pressed."""
    document.remove(event.id)
    return show_equations(document) if document.sheet else Work()


def remove_selected(document: Document) -> Work:
    document.remove(document.selected)
    return show_equations(document) if document.sheet else Work()


def bring_back(document: Document) -> Work:
    """Undo the last removal."""
    document.bring_back()
    return show_page(document) if document.sheet else Work()


def save(kind: str, document: Document) -> dict[str, str]:
    """The file that a browser is to offer, with all equations. kind: one of WRITERS."""
    mime, write = WRITERS[kind]
    return file_of(f"equations.{kind}", mime, write(document))


# ---- events ------------------------------------------------------------------------------------


def connect(
    reader: Reader, inbox: Inbox, work: Work, picks: Picks, tools: Tools, again: gr.Button
) -> None:
    """Tie the widgets of the tab to what happens in them. again: the button to start again."""
    # "multiple": Gradio would drop a click that comes while the one before is being answered.
    light = {
        "outputs": list(work),
        "trigger_mode": "multiple",
        "show_progress": "hidden",
        "api_visibility": "private",
    }
    on_upload(reader, inbox, work, again)
    work.view.select(select, work.document, **light)
    work.view.turn(turn, work.document, **light)
    work.view.remove(remove, work.document, **light)
    work.view.mark(reader.mark, work.document, concurrency_id="model", **light)
    work.remove.click(remove_selected, work.document, **light)
    work.bring_back.click(bring_back, work.document, **light)
    picks.listing.pick(pick, work.document, **light)
    picks.listing.pick(None, js=REVEAL)
    picks.choices.pick(choose, [work.document, work.written], **light)
    edited = [work.document, work.source, work.written]
    work.source.change(edit, edited, **light | {"trigger_mode": "always_last"})
    for kind, button in tools.copies.items():
        button.click(None, work.texts, js=COPY.replace("KIND", kind))
    file = gr.JSON(visible=False)
    for kind, button in tools.saves.items():
        made = button.click(partial(save, kind), work.document, **light | {"outputs": file})
        made.then(None, file, js=SAVE)


def on_upload(reader: Reader, inbox: Inbox, work: Work, again: gr.Button) -> None:
    """Read what is handed in; start again when that is wished.

    Pages take long: strokes of others must not wait behind them, so they have a queue of their
    own."""
    reading = {
        "outputs": list(work),
        "preprocess": False,  # undecoded: pictures.py checks a file first
        "trigger_mode": "multiple",  # Gradio takes a cancelled call for one that is under way
        "concurrency_id": "pages",
        "show_progress": "minimal",
        "show_progress_on": work.trouble,
        "api_visibility": "private",
    }
    several = [inbox.files, inbox.wanted]
    runs = [
        inbox.picture.change(reader.read_picture, inbox.picture, **reading),
        inbox.files.change(reader.read_files, several, **reading),
        inbox.wanted.submit(reader.read_files, several, **reading),
    ]
    # In two steps: emptying the inbox calls the reading again, with nothing, and Gradio would take
    # that for the call to be cancelled.
    again.click(None, cancels=runs).then(
        lambda: (None, *show_inbox()),
        outputs=[inbox.files, *work],
        show_progress="hidden",
        api_visibility="private",
    )
