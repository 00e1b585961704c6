"""The web page: draw or upload an equation, get LaTeX. Widgets and events only, no model code.

Run it:          python app.py                    then open http://127.0.0.1:7860
In the network:  python app.py --host 0.0.0.0 --port 8000
Other weights:   LATEXOCR_MODEL=FOLDER_OR_USER/REPO python app.py
"""

import argparse
import os
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr
from gradio.components.image_editor import EditorData
from PIL import Image

from latexocr.errors import ImageError, ModelError
from latexocr.pipeline import LatexOCR, page_as_json, reading_as_json
from latexocr.recognizer import Reading

DRAW_HINT = "Write an equation on the paper. It is read after every stroke."
UPLOAD_HINT = "Add a picture of one equation: a photo, a scan or a screenshot."
SURE, LIKELY = 0.9, 0.6  # from which confidence on a reading is called so

MAX_UNREAD_DRAWINGS = 100  # Gradio would keep them for good
FILES_LAST_S = 3600  # drawings and uploads are deleted after an hour, and when the app stops

MATH = [{"left": "$$", "right": "$$", "display": True}]  # Gradio's default differs by release

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
MONO_FONTS = ["ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace"]

# Gradio's pad starts without a tool, and loses the pen when it is cleared: take it up again.
PICK_UP_PEN = """() => {
    const pickUp = (pad) => {
        const tools = [...pad.querySelectorAll(".toolbar-wrap .half-container:first-child button")];
        if (tools.length && !tools.some((tool) => tool.classList.contains("highlight"))) {
            tools[0].click();
        }
    };
    for (const pad of document.querySelectorAll(".pad")) {
        new MutationObserver(() => pickUp(pad)).observe(pad, {
            subtree: true, childList: true, attributes: true, attributeFilter: ["class"],
        });
        pickUp(pad);
    }
}"""


@cache
def get_ocr() -> LatexOCR:
    """The model, loaded once. Raises: ModelError if LATEXOCR_MODEL does not lead to one."""
    return LatexOCR(os.environ.get("LATEXOCR_MODEL"))


# ---- what a result panel shows -----------------------------------------------------------------


class Panel(NamedTuple):
    """The widgets that show a reading, or their new values."""

    formula: Any
    confidence: Any
    source: Any
    written: Any  # what we last wrote into source, to know a person's edits from our own
    choices: Any


def answer(picture: Image.Image | str | None, hint: str) -> Panel:
    """What to show for a picture; the hint if there is none."""
    if picture is None:
        return note(hint)
    try:
        return show(get_ocr().read(picture))
    except ImageError as error:
        return note(f"This picture cannot be read: {error}")


def show(reading: Reading) -> Panel:
    """The reading; if there are others, all of them to choose from, the likeliest first."""
    choices = [[typeset(latex)] for latex, _ in [(reading.latex, 0), *reading.alternatives]]
    return Panel(
        formula=typeset(reading.latex),
        confidence=badge(*judge(reading.confidence)),
        source=reading.latex,
        written=reading.latex,
        choices=gr.update(samples=choices, visible=len(choices) > 1),
    )


def note(text: str) -> Panel:
    """A panel without a reading, that says why."""
    return Panel(text, confidence="", source="", written="", choices=gr.update(visible=False))


def judge(confidence: float) -> tuple[str, str]:
    """A word for a confidence from 0 to 1, and the text to show."""
    word = "sure" if confidence >= SURE else "likely" if confidence >= LIKELY else "doubtful"
    return word, f"{word} · {confidence:.0%}"


def badge(kind: str, text: str) -> str:
    return f'<span class="badge {kind}">{text}</span>'


def typeset(latex: str) -> str:
    """Markdown that shows a formula. A bare dollar sign would end it."""
    formula = re.sub(r"(?<!\\)\$", "", latex).strip()
    return f"$$\n{formula}\n$$" if formula else ""


# ---- events ------------------------------------------------------------------------------------


def read_drawing(pad: gr.Sketchpad, drawing: dict[str, Any] | None) -> Panel:
    """Read a pad, given its note of which drawing it has sent. A blank one gives the hint."""
    if not drawing or not drawing.get("id"):  # the newest drawing has a note of its own
        return Panel(*[gr.skip()] * len(Panel._fields))
    layers = pad.preprocess(EditorData(id=drawing["id"]))["layers"]
    while len(pad.blob_storage) > MAX_UNREAD_DRAWINGS:  # those that a newer stroke has overtaken
        pad.blob_storage.pop(next(iter(pad.blob_storage)), None)
    has_ink = layers and layers[0].getchannel("A").getbbox()
    return answer(layers[0] if has_ink else None, DRAW_HINT)


def read_upload(file: dict[str, Any] | None) -> Panel:
    """Read an uploaded file, as Gradio stored it: undecoded, since imaging.py checks it first."""
    return answer(file and file["path"], UPLOAD_HINT)


def edit(latex: str, written: str) -> tuple[Any, Any]:
    """Show what a person typed, pasted or deleted; what we wrote is shown already."""
    if latex == written:
        return gr.skip(), gr.skip()
    return typeset(latex), badge("edited", "edited")


def choose(choice: list[str]) -> Panel:
    """Take one of the readings instead of the first."""
    (formula,) = choice
    latex = formula.removeprefix("$$\n").removesuffix("\n$$")
    return Panel(formula, badge("edited", "chosen"), latex, written=latex, choices=gr.skip())


def read(image: dict[str, Any] | None) -> dict[str, Any]:
    """LaTeX of a picture of one equation, with its confidence from 0 to 1 and other readings."""
    try:
        return reading_as_json(get_ocr().read(stored_path(image)))
    except ImageError as error:
        raise gr.Error(str(error)) from error


def read_page(image: dict[str, Any] | None) -> dict[str, Any]:
    """Equations of a page in reading order: box (x0, y0, x1, y1), score, LaTeX, confidence."""
    try:
        return page_as_json(get_ocr().read_page(stored_path(image)))
    except ImageError as error:
        raise gr.Error(str(error)) from error


def stored_path(file: dict[str, Any] | None) -> str:
    if not file or not file.get("path"):
        raise ImageError("expected a picture, got none")
    return file["path"]


# ---- layout ------------------------------------------------------------------------------------


def build() -> gr.Blocks:
    """The whole page. Loads no weights."""
    with gr.Blocks(title="LaTeX OCR", delete_cache=(FILES_LAST_S, FILES_LAST_S)) as demo:
        gr.Markdown("# LaTeX OCR\nWrite an equation by hand, get its LaTeX.", elem_id="title")
        with gr.Tab("Draw"):
            # Two papers, of which app.css shows the one that fits the screen.
            pads = [pad("wide", width=900, height=320), pad("tall", width=320, height=300)]
            drawn = panel(DRAW_HINT)
        with gr.Tab("Upload"):
            picture = gr.Image(
                show_label=False,
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard", "webcam"],
                buttons=[],
                height=320,
                elem_id="picture",
            )
            uploaded = panel(UPLOAD_HINT)
        for paper in pads:
            on_stroke(paper, drawn)
        on_picture(picture, read_upload, uploaded, preprocess=False)
        add_endpoints(read, read_page)
        demo.load(js=PICK_UP_PEN)
    return demo


def pad(shape: str, width: int, height: int) -> gr.Sketchpad:
    """White paper and a black pen."""
    return gr.Sketchpad(
        show_label=False,
        type="pil",
        format="png",
        canvas_size=(width, height),
        fixed_canvas=True,
        height=height + 60,  # Gradio leaves 30 pixels around the paper
        layers=False,
        transforms=(),
        buttons=[],
        brush=gr.Brush(default_size=3, colors=["#000000"], color_mode="fixed"),
        eraser=gr.Eraser(default_size=16),
        elem_classes=["pad", shape],
    )


def panel(hint: str) -> Panel:
    """Formula, confidence, source and choices, with the events among themselves."""
    with gr.Row(equal_height=True):
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
            choices = gr.Dataset(
                label="Readings, the likeliest first",
                components=[gr.Markdown(render=False, latex_delimiters=MATH)],
                samples=[],
                layout="gallery",
                visible=False,
                elem_classes="choices",
            )
    widgets = Panel(formula, confidence, source, gr.State(""), choices)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    # Not `input`: Gradio only sends it for pressed keys, not for pasting or deleting.
    source.change(
        edit, [source, widgets.written], [formula, confidence], trigger_mode="always_last", **quiet
    )
    choices.click(choose, choices, list(widgets), **quiet)
    return widgets


def on_stroke(pad: gr.Sketchpad, shown: Panel) -> None:
    """Read a pad after every stroke, undo and clear.

    Only the pad's `change` comes with the drawing of its moment; `input` may bring an older one.
    The pad is no input of the function itself: Gradio would upload it at each step of the call."""
    drawing = gr.JSON(visible=False)
    pad.change(None, pad, drawing, js="(drawing) => drawing", api_visibility="private")
    on_picture(drawing, partial(read_drawing, pad), shown)


def on_picture(picture: Any, read: Callable, shown: Panel, **options: Any) -> None:
    """Read a picture whenever it changes, so that the newest wins.

    A page has one call under way (always_last): changes meanwhile lead to one more call, with the
    newest picture. So no answer can come after that to a newer picture."""
    picture.change(
        read,
        picture,
        list(shown),
        trigger_mode="always_last",
        concurrency_id="model",
        show_progress="hidden",
        api_visibility="private",
        **options,
    )


def add_endpoints(*functions: Callable) -> None:
    """Offer functions from a picture to JSON to other programs, under their own names."""
    for function in functions:
        with gr.Row(visible=False):
            image = gr.Image(label="image", type="filepath", image_mode=None)
            result = gr.JSON(label="result")
            gr.Button().click(
                function,
                image,
                result,
                preprocess=False,
                concurrency_id="model",
                api_name=function.__name__,
            )


def theme() -> gr.themes.Base:
    return gr.themes.Default(
        primary_hue="indigo", neutral_hue="zinc", radius_size="lg", font=FONTS, font_mono=MONO_FONTS
    )


demo = build()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, help="(default: the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio")
    arguments = parser.parse_args()
    try:
        get_ocr()
    except ModelError as error:
        parser.exit(2, f"app.py: {error}\n")
    demo.launch(
        server_name=arguments.host,
        server_port=arguments.port,
        share=arguments.share,
        theme=theme(),
        css_paths=Path(__file__).with_name("app.css"),
        footer_links=["api", "settings"],
        max_file_size="50mb",
        ssr_mode=False,
    )


if __name__ == "__main__":
    main()
