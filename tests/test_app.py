"""The app without a browser: what its panels say, and its endpoints for other programs."""

import io
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.components.image_editor import AcceptBlobs
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image, ImageOps

import app
import app_panel
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
    assert not app.demo.analytics_enabled


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


def test_a_lone_reading_offers_no_choice():
    assert app_panel.show(Reading("a", 0.5)).choices == ""


def test_only_a_persons_edits_change_what_is_shown():
    written = app_panel.Written("x")
    assert app_panel.edit("x", written) == (gr.skip(), gr.skip(), gr.skip())
    formula, confidence, written = app_panel.edit("y", written)
    assert formula == app_panel.typeset("y")
    assert "edited" in confidence
    formula, _, _ = app_panel.edit("x", written)  # back to what it was
    assert formula == app_panel.typeset("x")


def test_an_empty_pad_is_no_error():
    pad = app.pad("wide", width=90, height=30)
    assert app.read_drawing(pad, {"id": "sent without ink"}).formula == app.DRAW_HINT


def test_a_note_without_a_drawing_changes_nothing():
    pad = app.pad("wide", width=90, height=30)
    for drawing in (None, {}, {"background": None, "layers": [], "composite": None}):
        assert all(value == gr.skip() for value in app.read_drawing(pad, drawing))


def test_a_drawing_is_read_and_overtaken_ones_are_forgotten(ocr):
    pad = app.pad("wide", width=90, height=30)
    alpha = ImageOps.invert(draw("x").convert("L"))
    ink = Image.merge("LA", [Image.new("L", alpha.size), alpha]).convert("RGBA")
    ink.save(data := io.BytesIO(), "PNG")
    for i in range(app.MAX_UNREAD_DRAWINGS + 5):
        form = {"type": "layer", "index": "0", "id": str(i)}  # text, as a browser sends it
        file = ("layer_0.png", data.getvalue())
        pad.accept_blobs(AcceptBlobs.model_construct(data=form, files=[file]))
    newest = app.MAX_UNREAD_DRAWINGS + 4
    panel = app.read_drawing(pad, {"id": str(newest)})
    assert panel.source == app.get_ocr().read(ink).latex
    assert len(pad.blob_storage) == app.MAX_UNREAD_DRAWINGS


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
