r"""Corrections: pictures with the LaTeX that a person says they show, kept to learn from.

corrections = open_corrections(folder="corrections")        # on this machine
corrections = open_corrections(dataset="user/name")         # on the Hugging Face Hub
corrections.save("formula.png", r"\frac{a}{b}")

A folder has the form that trainer/finetune.py takes as --data: pictures, and a TSV
`image<TAB>latex` that names them. What goes to the Hub has the form of its image folders: then
`datasets.load_dataset("user/name")` has columns `image` and `latex`, and training takes the id.
"""

import hashlib
import io
import json
import os
import tempfile
import threading
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from PIL import Image

from latexocr.errors import DataError, TexError
from latexocr.latex import canonical
from latexocr.pictures import Source, load_picture

if TYPE_CHECKING:
    from huggingface_hub import CommitScheduler

TABLE = "corrections.tsv"
METADATA = "metadata.jsonl"  # the name that image folders go by
MAX_SIDE_PX = 2400  # longer pictures are reduced: reading brings them to far fewer pixels
MAX_CHARACTERS = 10_000
UPLOAD_EVERY_MINUTES = 5


class Corrections(ABC):
    """A place that takes corrections; several threads may save at once."""

    notice: str
    """What a person is to be told before saving: where it goes, and whether it leaves the
    machine."""

    def save(self, picture: Source, latex: str) -> str:
        """Keep a picture with its LaTeX, which is brought onto one line.

        Returns: the name of the picture's file.
        Raises: TexError if the LaTeX cannot be parsed, ImageError if the picture cannot be read,
            DataError if it cannot be written. Nothing is kept then."""
        text = one_line(latex)
        png = encode(load_picture(picture))
        name = f"{hashlib.sha1(png, usedforsecurity=False).hexdigest()}.png"
        try:
            self._write(name, png, text)
        except OSError as error:
            raise DataError(f"expected to write a correction, but {error}") from error
        return name

    @abstractmethod
    def _write(self, name: str, png: bytes, latex: str) -> None: ...


class FolderCorrections(Corrections):
    """Corrections in a folder of this machine. The same picture again replaces what it had."""

    def __init__(self, folder: Path) -> None:
        """Raises: DataError if nothing can be written there."""
        self.folder = folder.expanduser()
        self.table = self.folder / TABLE
        self.lock = threading.Lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._rewrite(self._lines())
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"expected a folder for corrections that can be written to, got {folder}: {error}"
            ) from error
        self.notice = (
            f"Saving keeps the picture and its LaTeX in the folder “{self.folder.name}” of the "
            "computer that runs this app, to train on. Nothing is sent anywhere."
        )

    def _write(self, name: str, png: bytes, latex: str) -> None:
        with self.lock:
            (self.folder / name).write_bytes(png)
            others = [line for line in self._lines() if line.partition("\t")[0] != name]
            self._rewrite([*others, f"{name}\t{latex}"])

    def _lines(self) -> list[str]:
        return self.table.read_text(encoding="utf-8").splitlines() if self.table.exists() else []

    def _rewrite(self, lines: list[str]) -> None:
        """Write the table beside it first: one that is cut off would lose earlier corrections."""
        new = self.table.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.replace(new, self.table)


class HubCorrections(Corrections):
    """Corrections that are uploaded to a data set every few minutes, and when the app stops.

    Each start has a folder of its own there: an app's disk may be wiped, and must not write over
    what an earlier one sent."""

    def __init__(self, dataset: str, every_minutes: float = UPLOAD_EVERY_MINUTES) -> None:
        """A data set that does not exist is made, for its owner's eyes only.

        Raises: DataError if it cannot be written to."""
        run = f"{datetime.now(UTC):%Y%m%d}-{uuid4().hex[:8]}"
        self.dataset = dataset
        self.waiting = tempfile.TemporaryDirectory(prefix="corrections-")
        self.folder = Path(self.waiting.name)
        self.scheduler = _schedule(dataset, self.folder, f"data/{run}", every_minutes)
        self.notice = (
            f"Saving sends the picture and its LaTeX to the data set “{dataset}” on the Hugging "
            "Face Hub, to train on."
        )

    def _write(self, name: str, png: bytes, latex: str) -> None:
        with self.scheduler.lock:  # so that no table is uploaded without its pictures
            (self.folder / name).write_bytes(png)
            line = json.dumps({"file_name": name, "latex": latex}, ensure_ascii=False)
            with (self.folder / METADATA).open("a", encoding="utf-8") as table:
                table.write(line + "\n")

    def upload(self) -> None:
        """Send what is waiting now."""
        self.scheduler.trigger().result()


def open_corrections(folder: str | Path = "", dataset: str = "") -> Corrections | None:
    """Where corrections go: a folder or a data set on the Hub; None if neither is named.

    Raises: DataError if both are, or if nothing can be written there."""
    if folder and dataset:
        raise DataError(
            f"expected corrections to go to one place, got both the folder {folder} and the data "
            f"set {dataset}"
        )
    if dataset:
        return HubCorrections(dataset)
    return FolderCorrections(Path(folder)) if folder else None


def one_line(latex: str) -> str:
    """The LaTeX on one line, as a table needs it.

    Raises: TexError if it is empty, too long or cannot be parsed."""
    if len(latex) > MAX_CHARACTERS:
        raise TexError(f"expected at most {MAX_CHARACTERS} characters, got {len(latex)}")
    meaning = canonical(latex)
    if not meaning:
        raise TexError("expected the LaTeX of the picture, got nothing")
    text = " ".join(latex.split())
    if canonical(text) != meaning:
        raise TexError("expected LaTeX without comments: on one line they would swallow the rest")
    return text


def encode(picture: Image.Image) -> bytes:
    """A picture as PNG, reduced if it is larger than needed."""
    picture = picture.copy()
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    picture.save(data := io.BytesIO(), "PNG")
    return data.getvalue()


def _schedule(dataset: str, folder: Path, place: str, every_minutes: float) -> "CommitScheduler":
    from huggingface_hub import CommitScheduler  # slow to import, and rarely needed

    try:
        return CommitScheduler(
            repo_id=dataset,
            repo_type="dataset",
            folder_path=folder,
            path_in_repo=place,
            every=every_minutes,
            private=True,
        )
    except Exception as error:  # the client raises many kinds: no token, no access, no network
        raise DataError(
            f"expected a data set on the Hub that can be written to, got {dataset}: {error}"
        ) from error
