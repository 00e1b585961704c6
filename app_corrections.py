"""Saving corrections: a button, what it tells before, and what it says afterwards.

Nothing of it is shown unless whoever runs the app has said where corrections go (see app.py).
"""

import html
import logging
from collections.abc import Callable
from typing import NamedTuple

import gradio as gr
from PIL import Image

from app_document import Document
from app_panel import Written
from latexocr.corrections import Corrections
from latexocr.errors import LatexOCRError
from latexocr.regions import own_ink

NOTHING = "There is no equation here to save."
SAVED = "Saved. You can correct it again; the last one counts."
FAILED = "It could not be saved, and the log says why."


class Saving(NamedTuple):
    """The widgets: a button, and the place for what it says."""

    button: gr.Button
    message: gr.HTML


def save_button(corrections: Corrections | None, name: str) -> Saving:
    """The button with its notice. name: to tell the one of a tab from the other."""
    wanted = corrections is not None
    with gr.Row(visible=wanted, elem_classes="saving"):
        button = gr.Button(
            "Save correction", size="sm", scale=0, min_width=150, elem_id=f"save_{name}"
        )
        gr.HTML(f'<p class="label">{html.escape(corrections.notice)}</p>' if wanted else "")
    return Saving(button, gr.HTML(visible=wanted, elem_classes="saved"))


class Saver:
    """The events of the buttons."""

    def __init__(self, corrections: Corrections | None) -> None:
        self.corrections = corrections

    def save_drawing(self, written: Written, latex: str) -> str:
        """Keep what is on the pad with what stands in the source. Returns: HTML that says so."""
        return self._save(written.picture, latex)

    def save_item(self, document: Document) -> str:
        """Keep the selected equation of a page: its ink, as the recogniser looks at it, without
        what else is on the page."""
        item = document.item
        if item is None:
            return told(NOTHING)
        ink = own_ink(document.sheet.picture(), item.box)
        return self._save(Image.fromarray(255 - ink), item.latex)

    def _save(self, picture: Image.Image | None, latex: str) -> str:
        if self.corrections is None or picture is None:
            return told(NOTHING)
        try:
            self.corrections.save(picture, latex)
        except LatexOCRError as error:
            return told(f"Not saved: {error}. Your LaTeX is still above.", is_wrong=True)
        except Exception:  # the Hub's client has many kinds; a visitor can do nothing about them
            logging.exception("saving a correction")
            return told(FAILED, is_wrong=True)
        return told(SAVED)


def on_save(
    saving: Saving,
    save: Callable[..., str],
    inputs: list[gr.components.Component],
    source: gr.Textbox,
) -> None:
    """Tie the button to an event of Saver's. What it said is gone once the source is another."""
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    saving.button.click(save, inputs, saving.message, **quiet)
    source.change(None, None, saving.message, js="() => ''", **quiet)


def told(text: str, is_wrong: bool = False) -> str:
    role, kind = ("alert", "wrong") if is_wrong else ("status", "right")
    return f'<p role="{role}" class="{kind}">{html.escape(text)}</p>'
