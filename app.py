"""The web page: draw or upload an equation, get LaTeX. Widgets and events only, no model code.

Run it:          python app.py                    then open http://127.0.0.1:7860
In the network:  python app.py --host 0.0.0.0 --port 8000
Other weights:   LATEXOCR_MODEL=FOLDER_OR_USER/REPO python app.py
Corrections:     python app.py --corrections FOLDER    or LATEXOCR_FEEDBACK_DATASET=USER/REPO
For assistants:  python app.py --mcp              needs pip install "gradio[mcp]"
"""

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported

import gradio as gr

from app_corrections import Saver, on_save, save_button
from app_desk import Work
from app_document import Document
from app_pad import pad, picture_of
from app_pages import Inbox, Picks, Reader, Tools, connect, page_view
from app_panel import Panel, Written, choose, edit, formulas, note, panel, show
from app_uploads import FIRST_PAGES
from latexocr.corrections import Corrections, open_corrections
from latexocr.errors import DataError, ImageError, ModelError
from latexocr.pipeline import LatexOCR, page_as_json, reading_as_json

DRAW_HINT = "Write an equation on the paper. It is read after every stroke."

KEYS_HINT = (
    "<kbd>Ctrl Z</kbd> undo <kbd>Ctrl Shift Z</kbd> redo <kbd>Del</kbd> clear "
    '<kbd>Ctrl C</kbd> copy LaTeX <span role="status">Copied</span>'
)

MAX_WAITING = 200  # calls in one queue; who comes after them is told to try again
FILES_LAST_S = 3600  # drawings and uploads are deleted after an hour, and when the app stops

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
MONO_FONTS = ["ui-monospace", "Menlo", "Consolas", "Liberation Mono", "monospace"]


@cache
def get_ocr() -> LatexOCR:
    """The model, loaded once. Raises: ModelError if LATEXOCR_MODEL does not lead to one."""
    return LatexOCR(os.environ.get("LATEXOCR_MODEL"))


# ---- events ------------------------------------------------------------------------------------


def read_drawing(drawing: str | None, keep: bool = False) -> Panel:
    """What to show for a drawing as it comes from the pad; the hint if there is none.

    keep: so that it can be corrected."""
    try:
        picture = picture_of(drawing)
        if picture is None:
            return note(DRAW_HINT)
        return show(get_ocr().read(picture), picture if keep else None)
    except ImageError as error:
        return note(f"This drawing cannot be read: {error}")


def read(image: dict[str, Any] | None) -> dict[str, Any]:
    """Read a picture of one equation, handwritten or printed.

    Args:
        image: a picture file (PNG, JPEG, WebP, GIF, BMP, TIFF) with one equation on it.

    Returns:
        Its LaTeX, a confidence from 0 to 1 that all of it is right, and other readings."""
    try:
        return reading_as_json(get_ocr().read(stored_path(image)))
    except ImageError as error:
        raise gr.Error(str(error)) from error


def read_page(image: dict[str, Any] | None) -> dict[str, Any]:
    """Find and read all equations of a photographed or scanned page.

    Args:
        image: a picture file (PNG, JPEG, WebP, GIF, BMP, TIFF) of the page.

    Returns:
        The equations in reading order, each with its box (x0, y0, x1, y1 in pixels), the score of
        the box, LaTeX, and the confidence from 0 to 1 that the LaTeX is right."""
    try:
        return page_as_json(get_ocr().read_page(stored_path(image)))
    except ImageError as error:
        raise gr.Error(str(error)) from error


def stored_path(file: dict[str, Any] | None) -> str:
    if not file or not file.get("path"):
        raise ImageError("expected a picture, got none")
    return file["path"]


# ---- layout ------------------------------------------------------------------------------------


def build(corrections: Corrections | None = None) -> gr.Blocks:
    """The whole page. Loads no weights.

    corrections: where people's corrections go; without it they are not asked for any."""
    saver = Saver(corrections)
    with gr.Blocks(title="LaTeX OCR", delete_cache=(FILES_LAST_S, FILES_LAST_S)) as demo:
        gr.Markdown("# LaTeX OCR\nWrite an equation by hand, get its LaTeX.", elem_id="title")
        with gr.Tab("Draw"):
            draw_tab(saver)
        with gr.Tab("Upload"):
            upload_tab(saver)
        add_endpoints(read, read_page)
        demo.load(js=Path(__file__).with_name("app_keys.js").read_text(encoding="utf-8"))
    return demo.queue(max_size=MAX_WAITING)


def draw_tab(saver: Saver) -> None:
    with gr.Column(elem_classes="papers"):
        paper = pad()
        gr.HTML(KEYS_HINT, elem_classes="keys")
        waiting = gr.HTML(elem_classes="waiting")
    drawn, picks = panel(DRAW_HINT, gr.State(Written()))
    correct(drawn, picks)
    on_stroke(paper, drawn, waiting, keep=saver.corrections is not None)
    saving = save_button(saver.corrections, "drawing")
    on_save(saving, saver.save_drawing, [drawn.written, drawn.source], drawn.source)


def correct(shown: Panel, picks: gr.HTML) -> None:
    """Let a person edit the source, or choose another reading."""
    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    # Not `input`: Gradio only sends it for pressed keys, not for pasting or deleting.
    shown.source.change(
        partial(edit, DRAW_HINT),
        [shown.source, shown.written],
        [shown.formula, shown.confidence, shown.written],
        trigger_mode="always_last",
        **quiet,
    )
    picks.pick(choose, shown.written, list(shown), **quiet)


def on_stroke(paper: gr.HTML, shown: Panel, waiting: gr.HTML, keep: bool) -> None:
    """Read the pad after every stroke, undo and clear.

    waiting: where the place in the queue is told, if it takes long; keep: as answer's.

    One call is under way (always_last): strokes meanwhile lead to one more call, with the newest
    drawing. So no answer can come after that to a newer drawing."""
    paper.input(
        partial(read_drawing, keep=keep),
        paper,
        list(shown),
        trigger_mode="always_last",
        concurrency_id="model",
        show_progress="minimal",
        show_progress_on=waiting,
        api_visibility="private",
    )


def upload_tab(saver: Saver) -> None:
    """Where pages are handed in, and where they are worked on afterwards, in the same place."""
    with gr.Column(elem_classes="inbox") as box:
        inbox = upload_inbox()
        trouble = gr.HTML(elem_classes="trouble")
    with gr.Column(visible=False, elem_classes="desk") as desk:
        with gr.Row(elem_classes="head"):
            status = gr.HTML(elem_classes="status")
            again = gr.Button("Start again", size="sm", scale=0, min_width=110)
        with gr.Row(elem_classes="sides"):
            with gr.Column(scale=5, min_width=320):
                view = page_view()
            with gr.Column(scale=4, min_width=320):
                with gr.Column(elem_classes="detail"):
                    crop = gr.HTML(elem_classes="crop")
                    shown, choices = panel("", gr.Number(0, visible=False, precision=0))
                    with gr.Row(elem_classes="buttons"):
                        remove = gr.Button("Delete this equation", size="sm", elem_id="remove")
                        back = gr.Button("Bring back", size="sm", visible=False)
                    saving = save_button(saver.corrections, "item")
                with gr.Column(visible=False, elem_classes="all") as several:
                    listed, listing = formulas("Equations of this page", "listing")
                    tools = upload_tools()
    work = Work(
        document=gr.State(Document()),
        inbox=box,
        picture=inbox.picture,
        desk=desk,
        trouble=trouble,
        status=status,
        view=view,
        crop=crop,
        remove=remove,
        bring_back=back,
        several=several,
        listing=listing,
        texts=gr.JSON(visible=False),
        **shown._asdict(),
    )
    connect(Reader(lambda: get_ocr()), inbox, work, Picks(choices, listed), tools, again)
    on_save(saving, saver.save_item, [work.document], work.source)


def upload_inbox() -> Inbox:
    with gr.Row(equal_height=True):
        picture = gr.Image(
            label="A picture of an equation or a page",
            type="filepath",
            image_mode=None,
            sources=["upload", "clipboard", "webcam"],
            buttons=[],
            height=340,
            scale=3,
            min_width=320,
            elem_id="picture",
        )
        with gr.Column(scale=2, min_width=320):
            files = gr.File(
                label="A PDF, or several pictures",
                file_count="multiple",
                file_types=["image", ".heic", ".heif", ".pdf"],
                height=230,
                elem_id="files",
            )
            wanted = gr.Textbox(
                label="Pages of a PDF",
                placeholder=f"1-3, 5 (without this, the first {FIRST_PAGES})",
                elem_id="wanted",
            )
    return Inbox(picture, files, wanted)


def upload_tools() -> Tools:
    """Buttons for all equations of all pages."""
    gr.HTML('<p class="label">All equations: copy, download</p>')
    with gr.Row(elem_classes="buttons"):
        copies = {
            kind: gr.Button(label, size="sm", elem_id=f"copy_{kind}")
            for kind, label in (("blocks", "$$ … $$"), ("align", "align"))
        }
        saves = {
            kind: gr.Button(label, size="sm", elem_id=f"save_{kind}")
            for kind, label in (("tex", ".tex"), ("md", ".md"), ("docx", "Word"), ("json", "JSON"))
        }
    return Tools(copies, saves)


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
    plain = gr.themes.Default(
        primary_hue="indigo", neutral_hue="zinc", radius_size="lg", font=FONTS, font_mono=MONO_FONTS
    )
    # The default is too pale to read outdoors, on a phone.
    return plain.set(
        body_text_color_subdued="*neutral_500", body_text_color_subdued_dark="*neutral_400"
    )


def parse_arguments() -> argparse.Namespace:
    """The command line. What is missing for it ends the start with a message."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", help="address to listen at (default: this machine only)")
    parser.add_argument("--port", type=int, help="(default: the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio")
    parser.add_argument("--mcp", action="store_true", help="be a server of tools for assistants")
    parser.add_argument(
        "--corrections",
        metavar="FOLDER",
        default=os.environ.get("LATEXOCR_CORRECTIONS", ""),
        help="let people save corrections, and keep them here to train on "
        "(default: LATEXOCR_CORRECTIONS, else they are not asked for any)",
    )
    arguments = parser.parse_args()
    if arguments.mcp and importlib.util.find_spec("mcp") is None:
        parser.exit(2, "app.py: --mcp needs a package more: pip install 'gradio[mcp]'\n")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        corrections = open_corrections(
            arguments.corrections, os.environ.get("LATEXOCR_FEEDBACK_DATASET", "")
        )
        get_ocr()
    except (ModelError, DataError) as error:
        print(f"app.py: {error}", file=sys.stderr)
        sys.exit(2)
    # As Ctrl+C does: drawings and uploads are deleted, and corrections sent, before the end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build(corrections).launch(
        server_name=arguments.host,
        server_port=arguments.port,
        share=arguments.share,
        theme=theme(),
        css_paths=Path(__file__).with_name("app.css"),
        footer_links=["api", "settings"],
        max_file_size="50mb",
        mcp_server=arguments.mcp,
        ssr_mode=False,
    )


if __name__ == "__main__":
    main()
