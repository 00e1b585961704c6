"""Buttons that hand over one formula in other formats: to the clipboard, or as a file."""

import base64
from pathlib import Path
from typing import Any

import gradio as gr

from app_exports import written
from latexocr.errors import LatexOCRError
from latexocr.export import FORMATS, export
from latexocr.render import png, svg

# Format, what its button says, and for whom it is.
COPIES = (
    ("inline", "$ … $", "LaTeX, in a line of text"),
    ("display", "$$ … $$", "LaTeX, on a line of its own; Markdown too"),
    ("equation", "equation", "LaTeX, with a number"),
    ("mathml", "Word", "MathML, which Word and web pages take"),
    ("typst", "Typst", "Typst"),
)
SAVES = (
    ("png", "PNG", "A picture for slides and messages"),
    ("svg", "SVG", "A picture of any size"),
    ("docx", ".docx", "A Word document with the equation in it"),
)
PICTURES = {"png": ("image/png", png), "svg": ("image/svg+xml", svg)}

# Made in the browser: on the server the file would have to lie somewhere.
SAVE = """(file) => {
    if (!file) return;
    const bytes = Uint8Array.from(atob(file.data), (letter) => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], {type: file.type}));
    Object.assign(document.createElement("a"), {href: url, download: file.name}).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}"""


def formats(source: gr.Textbox) -> None:
    """A row of buttons for the formula in a text box, with their events.

    app_formats.js says what the row takes and triggers."""
    row = gr.HTML(
        value=None,
        html_template=_buttons(),
        js_on_load=Path(__file__).with_name("app_formats.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_classes="formats",
    )
    file = gr.JSON(visible=False)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    # Not by the change itself: of two listeners to one event that both keep their last call for
    # later (always_last), each begins the whole event again when it is done, and none ever rests.
    changed = source.change(None, js="() => {}", **quiet)
    changed.then(texts_of, source, row, trigger_mode="always_last", **quiet)
    row.save(save, source, file, **quiet).then(None, file, js=SAVE)


def _buttons() -> str:
    def row(label: str, action: str, entries: tuple[tuple[str, str, str], ...]) -> str:
        buttons = "".join(
            f'<button type="button" data-{action}="{name}" title="{title}" disabled>{text}</button>'
            for name, text, title in entries
        )
        return f'<div role="group" aria-label="{label}"><span>{label}</span>{buttons}</div>'

    return row("Copy as", "copy", COPIES) + row("Save as", "save", SAVES)


def texts_of(latex: str) -> dict[str, str]:
    """The formula in each format that can be copied; without those that cannot express it, and
    empty for what is no valid LaTeX."""
    texts = {name: written(latex, name).strip() for name, _, _ in COPIES}
    return {name: text for name, text in texts.items() if text}


def save(latex: str, event: gr.EventData) -> dict[str, str] | None:
    """The formula as the file that was asked for. What cannot be written is told, not saved."""
    try:
        if event.format in PICTURES:
            kind, draw = PICTURES[event.format]
            return file_of(f"equation.{event.format}", kind, draw(latex))
        if event.format in FORMATS:
            form = FORMATS[event.format]
            return file_of(f"equation{form.suffix}", form.mime, export(latex, form.name))
    except LatexOCRError as error:
        gr.Warning(f"This formula cannot be saved so: {error}")
    return None


def file_of(name: str, kind: str, content: str | bytes) -> dict[str, Any]:
    """A file as SAVE takes it. kind: its MIME type."""
    encoded = content.encode() if isinstance(content, str) else content
    return {"name": name, "type": kind, "data": base64.b64encode(encoded).decode()}
