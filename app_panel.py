"""The panel that shows one reading: formula, confidence, source, other readings to choose from."""

import html
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from app_formats import formats
from latexocr.corrections import MAX_CHARACTERS
from latexocr.doubts import doubts
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
    confidence: Any  # HTML of a badge, and of the tokens that are doubtful
    source: Any
    written: Any  # to know a person's edits of source from what we write into it
    choices: Any


class Written(NamedTuple):
    """What we last wrote into the source of a panel, the readings to choose from, and what they
    were read from, if it is kept."""

    latex: str = ""
    readings: tuple[str, ...] = ()
    picture: Image.Image | None = None


def panel(hint: str, written: gr.State | gr.Number) -> tuple[Panel, gr.HTML]:
    """The widgets, without their events, and what triggers `pick` with the index of a choice.

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
                max_length=MAX_CHARACTERS,
                interactive=True,
                buttons=["copy"],
                elem_classes="source",
            )
            formats(source)
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


def show(reading: Reading, picture: Image.Image | None = None) -> Panel:
    """The reading; if there are others, all of them to choose from, the likeliest first.

    picture: what it was read from, if a correction of it can be saved."""
    return Panel(
        formula=typeset(reading.latex),
        confidence=trust(reading),
        source=reading.latex,
        written=Written(reading.latex, tuple(readings_of(reading)), picture),
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


def edit(hint: str, latex: str, written: Written) -> tuple[Any, Any, Any]:
    """Show what a person typed, pasted or deleted; what is shown already stays.

    hint: what is shown for nothing. It also brings the hint back where our own emptying of the
    source comes after an older change of it, and looks like a person's.
    Returns: formula, confidence and written."""
    if latex == written.latex:
        return gr.skip(), gr.skip(), gr.skip()
    if not latex:
        return hint, "", written._replace(latex="")
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


def trust(reading: Reading) -> str:
    """HTML that says how far to trust a reading, and which of its tokens least."""
    return badge(*judge(reading.confidence)) + unsure(reading)


def unsure(reading: Reading) -> str:
    """HTML of the LaTeX with its doubtful tokens marked, empty if there are none."""
    pieces, at = [], 0
    is_doubted = reading.confidence < SURE
    for start, end, probability in doubts(reading.latex, reading.tokens, at_least_one=is_doubted):
        token = html.escape(reading.latex[start:end])
        pieces.append(html.escape(reading.latex[at:start]))
        pieces.append(f'<mark title="{probability:.0%} sure of this">{token}</mark>')
        at = end
    if not pieces:
        return ""
    marked = "".join(pieces) + html.escape(reading.latex[at:])
    return f'<p class="unsure"><span>Unsure:</span> <code>{marked}</code></p>'


def badge(kind: str, text: str) -> str:
    return f'<span class="badge {kind}">{text}</span>'


def typeset(latex: str) -> str:
    """Markdown that shows a formula. A bare dollar sign or an empty line would end it, and Gradio
    lays it out as HTML, where `i<j` and `a&lt` would be read as other things. Links and pictures in
    it are not shown: KaTeX is not told to trust it."""
    formula = re.sub(r"(?<!\\)\$", "", latex)
    formula = re.sub(r"[<&](?=\S)", r"\g<0> ", formula)
    formula = "\n".join(line for line in formula.splitlines() if line.strip()).strip()
    return f"$$\n{formula}\n$$" if formula else ""
