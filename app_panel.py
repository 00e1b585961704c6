"""The panel that shows one reading: formula, confidence, source, other readings to choose from."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import gradio as gr

from latexocr.recognizer import Reading

SURE, LIKELY = 0.9, 0.6  # from which confidence on a reading is called so

MATH = [{"left": "$$", "right": "$$", "display": True}]  # Gradio's default differs by release


# Makes a button of every entry of a list.
PICKING = """
const entries = () => [...element.querySelectorAll(".entry")];
const pick = (event) => {
    const entry = event.target.closest(".entry");
    if (!entry || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
    event.preventDefault();
    trigger("pick", {index: entries().indexOf(entry)});
};
element.addEventListener("click", pick);
element.addEventListener("keydown", pick);
new MutationObserver(() => entries().forEach((entry) => {
    entry.tabIndex = 0;
    entry.role = "button";
})).observe(element, {subtree: true, childList: true});
"""


class Panel(NamedTuple):
    """The widgets that show a reading, or their new values."""

    formula: Any
    confidence: Any
    source: Any
    written: Any  # to know a person's edits of source from what we write into it
    choices: Any


class Written(NamedTuple):
    """What we last wrote into the source of a panel, and the readings to choose from."""

    latex: str = ""
    readings: tuple[str, ...] = ()


def panel(hint: str, written: gr.State | gr.Number) -> tuple[Panel, gr.HTML]:
    """The widgets, without events, and what triggers `pick` with the index of a choice.

    A hint stands where the formula will be."""
    with gr.Row(equal_height=True, elem_classes="panel"):
        with gr.Column(scale=3, elem_classes="result"):
            formula = gr.Markdown(hint, latex_delimiters=MATH, elem_classes="formula")
            confidence = gr.HTML(elem_classes="confidence")
        with gr.Column(scale=2):
            source = gr.Textbox(
                label="LaTeX",
                placeholder="The source appears here. You can edit it.",
                lines=3,
                max_lines=8,
                interactive=True,
                buttons=["copy"],
                elem_classes="source",
            )
            picks, choices = formulas("Readings, the likeliest first", "choices")
    return Panel(formula, confidence, source, written, choices), picks


def formulas(label: str, name: str) -> tuple[gr.HTML, gr.Markdown]:
    """A list to be filled by `entries`, and what triggers `pick` with the index of one.

    Not a Dataset: it cuts formulas off after 60 characters."""
    template = f'<p class="label">{label}</p>@children'
    classes = ["formulas", name]
    with gr.HTML(html_template=template, js_on_load=PICKING, elem_classes=classes) as picks:
        content = gr.Markdown(latex_delimiters=MATH)
    return picks, content


def entries(formulas: Iterable[str], marks: Iterable[str] | None = None) -> str:
    """Markdown of a list of formulas, with HTML before each if that is wanted."""
    formulas = list(formulas)
    marks = [""] * len(formulas) if marks is None else marks
    return "\n\n".join(
        f'<div class="entry">{mark}\n\n{typeset(latex)}\n\n</div>'
        for latex, mark in zip(formulas, marks, strict=True)
    )


def show(reading: Reading) -> Panel:
    """The reading; if there are others, all of them to choose from, the likeliest first."""
    return Panel(
        formula=typeset(reading.latex),
        confidence=badge(*judge(reading.confidence)),
        source=reading.latex,
        written=Written(reading.latex, tuple(readings_of(reading))),
        choices=offer(reading),
    )


def offer(reading: Reading) -> str:
    """Markdown of the readings to choose from, empty where there is one alone."""
    return entries(readings_of(reading)) if reading.alternatives else ""


def readings_of(reading: Reading) -> list[str]:
    """All that a picture may say, the likeliest first."""
    return [reading.latex, *(latex for latex, _ in reading.alternatives)]


def note(text: str) -> Panel:
    """A panel without a reading, that says why."""
    return Panel(text, confidence="", source="", written=Written(), choices="")


def edit(latex: str, written: Written) -> tuple[Any, Any, Any]:
    """Show what a person typed, pasted or deleted; what is shown already stays.

    Returns: formula, confidence and written."""
    if latex == written.latex:
        return gr.skip(), gr.skip(), gr.skip()
    return typeset(latex), badge("edited", "edited"), written._replace(latex=latex)


def choose(written: Written, event: gr.EventData) -> Panel:
    """Take one of the readings instead of the first."""
    if not 0 <= event.index < len(written.readings):
        return Panel(*[gr.skip()] * len(Panel._fields))
    latex = written.readings[event.index]
    mark = badge("edited", "chosen")
    return Panel(typeset(latex), mark, latex, written._replace(latex=latex), choices=gr.skip())


def judge(confidence: float) -> tuple[str, str]:
    """A word for a confidence from 0 to 1, and the text to show."""
    word = "sure" if confidence >= SURE else "likely" if confidence >= LIKELY else "doubtful"
    return word, f"{word} · {confidence:.0%}"


def badge(kind: str, text: str) -> str:
    return f'<span class="badge {kind}">{text}</span>'


def typeset(latex: str) -> str:
    """Markdown that shows a formula. A bare dollar sign would end it, and Gradio lays it out as
    HTML, where `i<j` and `a&lt` would be read as other things."""
    formula = re.sub(r"(?<!\\)\$", "", latex).strip()
    formula = re.sub(r"[<&](?=\S)", r"\g<0> ", formula)
    return f"$$\n{formula}\n$$" if formula else ""
