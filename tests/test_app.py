"""The app without a browser: what its panels say, and its endpoints for other programs."""

import base64
import io
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
import app_pad
import app_panel
from app_corrections import FAILED, NOTHING, SAVED, Saver
from app_document import Document
from benchmarks.serving import serve
from latexocr.corrections import TABLE, FolderCorrections
from latexocr.pipeline import LatexOCR
from latexocr.recognizer import Reading
from tests.conftest import draw


@pytest.fixture(scope="module")
def ocr(model_folder):
    """The app's model, a tiny one."""
    tiny = LatexOCR(model_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "get_ocr", lambda: tiny)
        yield


@pytest.fixture(scope="module")
def client(ocr):
    demo = app.build()
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
    yield Client(url, verbose=False)
    demo.close()


def test_importing_the_app_loads_no_weights_and_sends_nothing_home():
    assert app.get_ocr.cache_info().currsize == 0
    assert not app.build().analytics_enabled


@pytest.mark.parametrize(
    ("latex", "shown"),
    [
        pytest.param("x^{2}", "$$\nx^{2}\n$$", id="formula"),
        pytest.param("", "", id="empty"),
        pytest.param(" \n", "", id="only space"),
        pytest.param("$x$", "$$\nx\n$$", id="dollars would end the formula"),
        pytest.param(r"\$5", "$$\n\\$5\n$$", id="an escaped dollar is a symbol"),
        pytest.param("i<j", "$$\ni< j\n$$", id="no HTML tag"),
        pytest.param("a&lt", "$$\na& lt\n$$", id="no HTML entity"),
        pytest.param("a\n \n+b", "$$\na\n+b\n$$", id="an empty line would end it"),
    ],
)
def test_typeset(latex, shown):
    assert app_panel.typeset(latex) == shown


@pytest.mark.parametrize(
    ("confidence", "shown"),
    [
        (1.0, ("sure", "sure · 100%")),
        (0.9, ("sure", "sure · 90%")),
        (0.6, ("likely", "likely · 60%")),
        (0.0, ("doubtful", "doubtful · 0%")),
    ],
)
def test_judge(confidence, shown):
    assert app_panel.judge(confidence) == shown


def test_all_readings_can_be_chosen_and_the_first_again():
    panel = app_panel.show(Reading("a", 0.5, [("b", 0.3), (r"\frac{c}{d}", 0.1)]))
    assert panel.choices.count('class="entry"') == 3
    for index, latex in enumerate(["a", "b", r"\frac{c}{d}"]):
        chosen = app_panel.choose(panel.written, SimpleNamespace(index=index))
        assert (chosen.source, chosen.written.latex) == (latex, latex)
        assert chosen.formula in panel.choices
    assert app_panel.choose(panel.written, SimpleNamespace(index=3)).source == gr.skip()


@pytest.mark.parametrize(
    ("latex", "tokens", "marked"),
    [
        pytest.param("x+y", [("x", 0.9), ("+", 0.95), ("y", 0.4)], ["y"], id="one"),
        pytest.param("x<y", [("x", 0.9), ("<", 0.3), ("y", 0.2)], ["&lt;", "y"], id="no HTML"),
        pytest.param("x", [("x", 0.9)], ["x"], id="none, but the reading is doubtful"),
        pytest.param("x", [], [], id="unknown"),
    ],
)
def test_the_tokens_that_are_doubtful_are_marked(latex, tokens, marked):
    shown = app_panel.show(Reading(latex, 0.5, [], tokens)).confidence
    assert re.findall(r"<mark title=\"\d+% sure of this\">(.*?)</mark>", shown) == marked
    assert "doubtful · 50%" in shown
    assert ("Unsure" in shown) == bool(marked)


def test_a_lone_reading_offers_no_choice():
    assert app_panel.show(Reading("a", 0.5)).choices == ""


def test_only_a_persons_edits_change_what_is_shown():
    written = app_panel.Written("x")
    assert app_panel.edit("hint", "x", written) == (gr.skip(), gr.skip(), gr.skip())
    formula, confidence, written = app_panel.edit("hint", "y", written)
    assert formula == app_panel.typeset("y")
    assert "edited" in confidence
    formula, _, _ = app_panel.edit("hint", "x", written)  # back to what it was
    assert formula == app_panel.typeset("x")
    assert app_panel.edit("hint", "", written)[:2] == ("hint", "")
    emptied = app_panel.Written("")
    assert app_panel.edit("hint", "", emptied) == (gr.skip(), gr.skip(), gr.skip())


def drawing_of(picture: Image.Image) -> str:
    """As the pad sends it."""
    picture.save(data := io.BytesIO(), "PNG")
    return app_pad.START + base64.b64encode(data.getvalue()).decode()


@pytest.mark.parametrize("drawing", ["", None])
def test_an_empty_pad_is_no_error(drawing):
    assert app.read_drawing(drawing).formula == app.DRAW_HINT


def test_a_drawing_is_read_and_kept_only_if_it_may_be_corrected(ocr):
    drawing = drawing_of(draw("x"))
    panel = app.read_drawing(drawing)
    assert panel.source == app.get_ocr().read(draw("x")).latex
    assert panel.written.picture is None
    kept = app.read_drawing(drawing, keep=True).written.picture
    assert np.array_equal(np.asarray(kept.convert("L")), np.asarray(draw("x").convert("L")))


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        pytest.param("https://example.org/x.png", "expected a drawing as PNG", id="an address"),
        pytest.param(app_pad.START + "?" * 8, "expected a drawing in base64", id="no base64"),
        pytest.param(app_pad.START + "AAAA", "expected a picture", id="no picture"),
        pytest.param(app_pad.START + "A" * 8_000_004, "of at most", id="endless"),
        pytest.param(drawing_of(Image.new("RGB", (40, 40), "white")), "no ink", id="blank"),
    ],
)
def test_what_is_no_drawing_is_told_and_shown_as_no_reading(ocr, drawing, message):
    panel = app.read_drawing(drawing)
    assert "cannot be read" in panel.formula and message in panel.formula
    assert panel.source == ""


def test_only_the_two_endpoints_are_public(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/read", "/read_page"}


def test_the_endpoints_read_a_picture(client, tmp_path):
    draw("xl").save(tmp_path / "a.png")
    reading = client.predict(handle_file(str(tmp_path / "a.png")), api_name="/read")
    assert set(reading) == {"latex", "confidence", "alternatives"}
    page = client.predict(handle_file(str(tmp_path / "a.png")), api_name="/read_page")
    assert (page["width"], page["height"]) == draw("xl").size
    assert page["equations"][0]["box"] == [0, 0, *draw("xl").size]


@pytest.mark.parametrize("api_name", ["/read", "/read_page"])
def test_the_endpoints_explain_what_they_cannot_read(client, tmp_path, api_name):
    (tmp_path / "a.png").write_text("this is text")
    with pytest.raises(AppError, match="expected a picture"):
        client.predict(handle_file(str(tmp_path / "a.png")), api_name=api_name)
    with pytest.raises(AppError, match="got none"):
        client.predict(None, api_name=api_name)


@pytest.fixture
def drawn() -> app_panel.Written:
    """What the app knows after a drawing was read."""
    return app_panel.show(Reading("y", 0.5), draw("x")).written


def test_a_correction_of_a_drawing_is_kept(drawn, tmp_path):
    saver = Saver(FolderCorrections(tmp_path))
    assert SAVED in saver.save_drawing(drawn, "x")
    (line,) = (tmp_path / TABLE).read_text().splitlines()
    name, latex = line.split("\t")
    assert latex == "x" and np.array_equal(Image.open(tmp_path / name), draw("x"))


def test_a_correction_that_is_no_latex_is_explained_and_not_kept(drawn, tmp_path):
    said = Saver(FolderCorrections(tmp_path)).save_drawing(drawn, "x^{<")
    assert "Not saved: expected" in said and 'role="alert"' in said and "x^{<" not in said
    assert (tmp_path / TABLE).read_text() == ""


def test_without_a_drawing_there_is_nothing_to_save(tmp_path):
    saver = Saver(FolderCorrections(tmp_path))
    assert NOTHING in saver.save_drawing(app_panel.note("hint").written, "x")
    assert NOTHING in saver.save_item(Document())


def test_a_failure_of_the_hub_is_said_but_not_shown(drawn):
    class Broken:
        def save(self, picture, latex):
            raise RuntimeError("the token hf_secret was refused")

    said = Saver(Broken()).save_drawing(drawn, "x")
    assert FAILED in said and "hf_secret" not in said


def test_nobody_is_asked_for_corrections_unless_they_are_wanted(tmp_path):
    def buttons(corrections):
        blocks = app.build(corrections).blocks.values()
        rows = [b for b in blocks if "saving" in (getattr(b, "elem_classes", None) or ())]
        return [row.visible for row in rows]

    assert buttons(None) == [False, False]
    assert buttons(FolderCorrections(tmp_path)) == [True, True]


@pytest.mark.parametrize(
    ("arguments", "environment", "problem"),
    [
        pytest.param(["--mcp"], {}, "pip install 'gradio[mcp]'", id="MCP is not installed"),
        pytest.param(
            ["--corrections", "kept"],
            {"LATEXOCR_FEEDBACK_DATASET": "ann/corrections"},
            "one place",
            id="corrections to two places",
        ),
    ],
)
def test_what_cannot_be_started_ends_with_a_message(
    monkeypatch, capsys, tmp_path, arguments, environment, problem
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app, "get_ocr", lambda: None)
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["app.py", *arguments])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert problem in capsys.readouterr().err


@pytest.fixture
def can_be_interrupted() -> Iterator[None]:
    """What is started hears Ctrl+C, also where the tests run in a shell's background and do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("can_be_interrupted")
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_uploaded_is_deleted_when_the_app_stops(tmp_path, model_folder, signal_number):
    draw("x").save(picture := io.BytesIO(), "PNG")
    environment = {"GRADIO_TEMP_DIR": str(tmp_path), "LATEXOCR_MODEL": str(model_folder)}
    with serve("app.py", **environment) as (url, server):
        files = {"files": ("a.png", picture.getvalue())}
        (stored,) = httpx.post(f"{url}gradio_api/upload", files=files).json()
        assert Path(stored).is_relative_to(tmp_path) and Path(stored).is_file()
        server.send_signal(signal_number)
        server.wait(60)
    assert not Path(stored).exists()


def test_the_queue_is_not_endless():
    assert app.build()._queue.max_size == app.MAX_WAITING


def test_a_wrong_model_ends_the_start_with_a_message(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(app, "get_ocr", lambda: LatexOCR(tmp_path))
    monkeypatch.setattr("sys.argv", ["app.py"])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_readme_runs_as_a_space():
    import yaml

    root = Path(__file__).parents[1]
    front_matter = yaml.safe_load((root / "README.md").read_text().split("---")[1])
    assert front_matter["sdk"] == "gradio"
    assert (root / front_matter["app_file"]).is_file()
    assert front_matter["python_version"] == "3.12"
    # Gradio's release is chosen there and not by requirements.txt.
    requirement = next(
        line for line in (root / "requirements.txt").read_text().splitlines() if "gradio" in line
    )
    assert front_matter["sdk_version"].startswith(requirement.removeprefix("gradio>="))
