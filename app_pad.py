"""The pad that people write on, and the picture that comes from it.

Not Gradio's Sketchpad: it paints sixty times a second, written on or not, and waits for half a
second after each stroke, which is longer than a reading takes.
"""

import base64
import binascii
from pathlib import Path

import gradio as gr
from PIL import Image

from latexocr.errors import ImageError
from latexocr.pictures import load_picture

START = "data:image/png;base64,"
MAX_CHARACTERS = 8_000_000  # of a drawing as it comes from the browser; a full pad has some 30,000

_ICON = (
    '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" '
    'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
)
_TOOLS = (  # label, what it does, how it is drawn
    ("Brush", "Pen", '<path d="M4 20l1-5L16 4l4 4L9 19zM14 6l4 4"/>'),
    ("Eraser", "Eraser", '<path d="M8 20h12M5 13l8-8 6 6-8 8H8l-3-3a2 2 0 0 1 0-3zM9 9l6 6"/>'),
    ("Undo", "Undo (Ctrl Z)", '<path d="M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3"/>'),
    ("Redo", "Redo (Ctrl Shift Z)", '<path d="M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3"/>'),
    (
        "Clear canvas",
        "Clear (Del)",
        '<path d="M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5"/>',
    ),
)
HTML = (
    '<div class="tools" role="toolbar" aria-label="Tools of the pad">'
    + "".join(
        f'<button type="button" aria-label="{label}" title="{title}">{_ICON}{path}</svg></button>'
        for label, title, path in _TOOLS
    )
    + '</div><canvas role="img" aria-label="Paper to write an equation on"></canvas>'
)


def pad() -> gr.HTML:
    """White paper and a black pen. app_pad.js says what comes from it."""
    return gr.HTML(
        value="",
        html_template=HTML,
        js_on_load=Path(__file__).with_name("app_pad.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="pad",
    )


def picture_of(drawing: str | None) -> Image.Image | None:
    """A drawing as it comes from the pad; None if the paper is blank.

    Raises: ImageError if it is none."""
    if not drawing:
        return None
    if not drawing.startswith(START) or len(drawing) > MAX_CHARACTERS:
        raise ImageError(
            f"expected a drawing as PNG of at most {MAX_CHARACTERS} characters, "
            f"got {drawing[: len(START)]!r} and so on, {len(drawing)} characters"
        )
    try:
        encoded = base64.b64decode(drawing[len(START) :], validate=True)
    except binascii.Error as error:
        raise ImageError(f"expected a drawing in base64: {error}") from error
    return load_picture(encoded)
