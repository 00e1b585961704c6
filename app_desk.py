"""What the widgets of the Upload tab show of a document."""

import html
from typing import Any, NamedTuple

import gradio as gr

from app_document import Document, Item
from app_exports import as_align, as_blocks
from app_panel import badge, entries, judge, note, offer, trust, typeset

PICK_HINT = "Choose an equation on the page."
EMPTY_HINT = "No equation found: mark one with the mouse, or tap two of its corners."
NO_CROP = "<i></i>"  # keeps its place
BUSY_HINT = "Looking for equations …"


class Work(NamedTuple):
    """The widgets of the tab, or their new values."""

    document: Any = gr.skip()
    inbox: Any = gr.skip()  # where pages are handed in
    picture: Any = gr.skip()  # what is handed in there as a picture
    desk: Any = gr.skip()  # where they are worked on; one of the two is visible
    trouble: Any = gr.skip()  # below the inbox
    status: Any = gr.skip()  # above the desk
    view: Any = gr.skip()
    crop: Any = gr.skip()
    formula: Any = gr.skip()
    confidence: Any = gr.skip()
    source: Any = gr.skip()
    written: Any = gr.skip()  # id of the equation that source shows, 0 for none
    choices: Any = gr.skip()
    remove: Any = gr.skip()
    bring_back: Any = gr.skip()
    several: Any = gr.skip()  # what is only needed for more than one equation
    listing: Any = gr.skip()
    texts: Any = gr.skip()  # what the copy buttons copy


def show_inbox(trouble: str = "") -> Work:
    """The beginning: nothing has been handed in, or nothing that could be read."""
    return Work(
        document=Document(),
        inbox=gr.update(visible=True),
        picture=None,  # a browser would show a broken one
        desk=gr.update(visible=False),
        trouble=trouble,
        source="",
        written=0,
    )


def show_page(document: Document) -> Work:
    """The page that a document shows, and its equations."""
    return show_equations(document)._replace(
        document=document,
        inbox=gr.update(visible=False),
        desk=gr.update(visible=True),
        trouble="",
        view=gr.update(value=view_of(document), picture=document.sheet.display_url()),
    )


def show_equations(document: Document) -> Work:
    """The equations of the page; its picture is shown already."""
    return show_item(document)._replace(
        status=summary(document),
        view=view_of(document),
        bring_back=gr.update(visible=bool(document.removed)),
        several=gr.update(visible=document.n_items > 1),
        listing=list_of(document),
        texts=texts_of(document),
    )


def show_item(document: Document) -> Work:
    """The selected equation."""
    sheet, item = document.sheet, document.item
    if item is None:
        hint = PICK_HINT if sheet.items else EMPTY_HINT if sheet.is_read else ""
        panel = note(hint)._replace(written=0)
        return Work(**panel._asdict(), crop=NO_CROP, remove=gr.update(visible=False))
    crop = NO_CROP if sheet.covers(item.box) else f'<img alt="" src="{sheet.crop_url(item)}">'
    return Work(
        crop=crop,
        formula=typeset(item.latex),
        confidence=mark_of(item),
        source=item.latex,
        written=item.id,
        choices=offer(item.reading),
        remove=gr.update(visible=True),
    )


def view_of(document: Document) -> dict[str, Any]:
    """The page view's value, of which app_pages.js draws the boxes."""
    sheet = document.sheet
    boxes = [
        {"id": item.id, "number": n, "kind": kind_of(item), "box": item.box}
        for n, item in enumerate(sheet.items, start=1)
        if not sheet.covers(item.box)
    ]
    document.n_views += 1
    return {
        "page": document.shown,
        "pages": len(document.sheets),
        "width": sheet.width,
        "height": sheet.height,
        "busy": not sheet.is_read,
        "selected": document.selected,
        "ids": [item.id for item in sheet.items],
        "boxes": boxes,
        "n": document.n_views,  # a value that is like the last would not be drawn
    }


def list_of(document: Document) -> str:
    """Markdown of the equations of the shown page, numbered."""
    items = document.sheet.items
    kinds = [kind_of(item) for item in items]
    numbers = [f"{n} ?" if kind == "doubtful" else str(n) for n, kind in enumerate(kinds, start=1)]
    return entries([item.latex for item in items], map(badge, kinds, numbers))


def kind_of(item: Item) -> str:
    return "edited" if item.by_hand else judge(item.reading.confidence)[0]


def mark_of(item: Item) -> str:
    """The badge of an equation: how sure its reading is, or that a person changed it."""
    if item.by_hand:
        return badge("edited", item.by_hand)
    return trust(item.reading)


def texts_of(document: Document) -> dict[str, str]:
    return {"blocks": as_blocks(document), "align": as_align(document)}


def summary(document: Document, notice: str = "") -> str:
    """What is on the shown page, in words, and what could not be read."""
    sheet = document.sheet
    if document.progress:
        return document.progress + problems(document)
    n, n_doubtful = len(sheet.items), sum(kind_of(item) == "doubtful" for item in sheet.items)
    words = [sheet.title]
    if n != 1:
        words.append(f"{n} equations" if n else "no equation found")
        words += [f"{n_doubtful} doubtful, marked “?”"] if n_doubtful else []
    words += [notice] if notice else []
    return f'<p role="status">{html.escape(" · ".join(words))}</p>{problems(document)}'


def problems(document: Document) -> str:
    lines = "".join(f"<li>{html.escape(problem)}</li>" for problem in document.problems)
    return f'<ul class="problems" role="alert">{lines}</ul>' if lines else ""


def progress(page: tuple[int, int], equations: tuple[int, int] | None = None) -> str:
    """A line that says how far the reading is: of pages and equations, which one of how many."""
    (n, n_pages), (done, total) = page, equations or (0, 0)
    words = [f"page {n} of {n_pages}"] if n_pages > 1 else []
    words.append(f"equation {done} of {total}" if equations else BUSY_HINT)
    share = (n - 1 + (done / total if total else 0)) / n_pages
    text = html.escape(" · ".join(words))
    return f'<p role="status">{text}</p><div class="bar"><i style="width: {share:.1%}"></i></div>'
