"""The computer's clipboard: a picture out of it, LaTeX back into it.

On Linux it takes a program: wl-clipboard for Wayland, xclip for X11.
"""

import os
import shutil
import subprocess
import sys

from PIL import Image, ImageGrab

from latexocr.errors import ImageError
from latexocr.pictures import load_picture

TIMEOUT_S = 10

# What writes a text from its standard input into the clipboard, by platform and in this order.
WRITERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "darwin": (("pbcopy",),),
    "win32": (("clip",),),
    "linux": (("wl-copy",), ("xclip", "-selection", "clipboard")),
}


class ClipboardError(ImageError):
    """There is no clipboard here, or no picture in it."""


def picture_from_clipboard() -> Image.Image:
    """The picture that was copied; of a copied file, that file.

    Raises: ClipboardError if there is no clipboard or no picture in it; ImageError if the picture
        cannot be decoded."""
    try:
        found = ImageGrab.grabclipboard()
    except NotImplementedError as error:
        raise ClipboardError(
            "expected a clipboard, but none can be reached: install wl-clipboard (Wayland) or "
            f"xclip (X11), and run this where there is a screen ({error})"
        ) from error
    except OSError as error:  # the program that asks for it failed: no display, mostly
        raise ClipboardError(f"expected a clipboard, but asking for it gave: {error}") from error
    if isinstance(found, list):
        found = found[0] if found else None
    if found is None:
        raise ClipboardError("expected a picture in the clipboard, found none: copy one first")
    return load_picture(found)


def text_to_clipboard(text: str) -> None:
    """Put a text into the clipboard.

    Raises: ClipboardError if that cannot be done."""
    command = _writer()
    if command is None:
        raise ClipboardError(
            "expected a program that writes to the clipboard: install wl-clipboard or xclip"
        )
    # Without pipes for its output: xclip goes on in the background and would hold them open.
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run(command, input=text.encode(), check=True, timeout=TIMEOUT_S, **quiet)
    except (OSError, subprocess.SubprocessError) as error:
        raise ClipboardError(f"expected to write to the clipboard, but {error}") from error


def _writer() -> tuple[str, ...] | None:
    commands = WRITERS.get(sys.platform, ())
    if os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        commands = commands[::-1]
    return next((command for command in commands if shutil.which(command[0])), None)
