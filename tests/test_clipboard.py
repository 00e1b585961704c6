"""`latexocr clip`, with stand-ins for the computer's clipboard."""

import subprocess
import sys

import pytest
from PIL import ImageGrab

from latexocr import cli, clipboard
from latexocr.errors import ImageError
from tests.conftest import draw


@pytest.fixture
def holds(monkeypatch):
    """Sets what the clipboard gives: a picture, names of files, None, or an error."""

    def hold(content: object) -> None:
        def grab() -> object:
            if isinstance(content, Exception):
                raise content
            return content

        monkeypatch.setattr(ImageGrab, "grabclipboard", grab)

    return hold


@pytest.fixture
def written(monkeypatch) -> list[bytes]:
    """What was written to the clipboard, by a program that takes it."""
    texts: list[bytes] = []

    def run(command, input, **_):
        texts.append(input)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(clipboard.shutil, "which", lambda name: name)
    monkeypatch.setattr(clipboard.subprocess, "run", run)
    monkeypatch.setattr(sys, "platform", "linux")
    return texts


def test_the_picture_is_read_and_its_latex_takes_its_place(holds, written, model_folder, capsys):
    holds(draw("xl"))
    assert cli.main(["clip", "--model", str(model_folder)]) == 0
    (text,) = written
    assert capsys.readouterr().out == text.decode() + "\n"


def test_a_copied_file_is_read(holds, write_picture):
    holds([write_picture("a.png", "x")])
    assert clipboard.picture_from_clipboard().size == draw("x").size


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(NotImplementedError("no xclip"), "install wl-clipboard", id="no clipboard"),
        pytest.param(ChildProcessError("no display"), "no display", id="no screen"),
        pytest.param(None, "found none", id="empty, or a text"),
        pytest.param([], "found none", id="no file"),
        pytest.param(["missing.png"], "missing.png", id="file gone"),
    ],
)
def test_what_is_missing_is_said_before_the_model_is_loaded(
    holds, content, problem, capsys, monkeypatch
):
    holds(content)
    monkeypatch.setattr(cli, "_load", lambda model: pytest.fail("loaded for nothing"))
    assert cli.main(["clip"]) == 1
    out, err = capsys.readouterr()
    assert (out, problem in err) == ("", True)


@pytest.mark.parametrize(
    ("environment", "found", "program"),
    [
        pytest.param({}, {"wl-copy", "xclip"}, "wl-copy", id="Wayland first"),
        pytest.param({"DISPLAY": ":0"}, {"wl-copy", "xclip"}, "xclip", id="X11"),
        pytest.param({"DISPLAY": ":0"}, {"wl-copy"}, "wl-copy", id="what there is"),
    ],
)
def test_the_program_that_fits_the_screen_is_taken(monkeypatch, environment, found, program):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    commands = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(clipboard.shutil, "which", lambda name: name if name in found else None)
    monkeypatch.setattr(clipboard.subprocess, "run", lambda command, **_: commands.append(command))
    clipboard.text_to_clipboard("x")
    assert commands[0][0] == program


def test_without_a_program_to_write_the_latex_is_an_error(monkeypatch):
    monkeypatch.setattr(clipboard.shutil, "which", lambda name: None)
    with pytest.raises(ImageError, match="install"):
        clipboard.text_to_clipboard("x")
