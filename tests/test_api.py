"""The app as other programs see it: the examples of docs/api.md run as they stand there."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from latexocr.pictures import MAX_BYTES
from latexocr.pipeline import LatexOCR
from tests.conftest import draw

DOCUMENT = Path(__file__).parents[1] / "docs" / "api.md"
USUAL = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def url(model_folder, tmp_path_factory):
    """The app with a tiny model, and a folder of its own for uploads."""
    tiny = LatexOCR(model_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "get_ocr", lambda: tiny)
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        demo = app.build()
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
        yield url.rstrip("/")
        demo.close()


@pytest.fixture
def folder(tmp_path):
    """A folder with formula.png."""
    draw("xl").save(tmp_path / "formula.png")
    return tmp_path


def example(language: str, url: str) -> str:
    """The example of docs/api.md in that language, for an app at that address."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert USUAL in code
    return code.replace(USUAL, url)


def test_the_example_in_python_prints_what_is_read(url, folder):
    done = subprocess.run(
        [sys.executable, "-c", example("python", url)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    reading = app.get_ocr().read(folder / "formula.png")
    assert reading.latex in done.stdout
    assert f"[0, 0, {', '.join(map(str, draw('xl').size))}]" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_example_for_curl_prints_what_is_read(url, folder):
    done = subprocess.run(
        ["bash", "-c", example("bash", url)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "event: complete" in done.stdout
    (result,) = json.loads(re.search(r"^data: (.*)$", done.stdout, re.MULTILINE)[1])
    assert result["latex"] == app.get_ocr().read(folder / "formula.png").latex


@pytest.mark.parametrize("api_name", ["/read", "/read_page"])
def test_files_of_the_machine_that_nobody_uploaded_are_not_read(url, folder, api_name):
    client = Client(url, verbose=False)
    stolen = {"path": str(folder / "formula.png"), "meta": {"_type": "gradio.FileData"}}
    body = {"data": [stolen]}
    joined = httpx.post(f"{url}/gradio_api/call{api_name}", json=body).json()
    answer = httpx.get(f"{url}/gradio_api/call{api_name}/{joined['event_id']}", timeout=60).text
    assert "event: error" in answer and "latex" not in answer
    assert client.predict(handle_file(str(folder / "formula.png")), api_name=api_name)


def test_a_file_that_is_too_large_is_refused_by_the_library_too(url, folder):
    with (folder / "large.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    large = handle_file(str(folder / "large.png"))
    with pytest.raises(AppError, match="at most 50 MB"):
        Client(url, verbose=False).predict(large, api_name="/read")
