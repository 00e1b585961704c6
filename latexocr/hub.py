"""Where weights come from: the embedded ones, a local folder or a Hugging Face Hub repository.

A folder and a repository have the same shape:

    recognizer/        config.json, safetensors, tokenizer
    recognizer_int8/   the same recogniser, quicker on a CPU (see quantized.py); may be missing
    detector/          config.json, safetensors
"""

import re
from pathlib import Path
from typing import Literal

from latexocr.errors import ModelError, PartMissingError

Part = Literal["recognizer", "detector"]

QUICK = "recognizer_int8"

EMBEDDED = Path(__file__).parent / "weights"

_REPO_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # user/name, as the Hub spells it


def resolve(source: str | Path | None, part: Part) -> Path:
    """Folder that holds one part of a model.

    Args: source is None for the embedded weights, the path of a local folder, or the id of a Hub
        repository ("user/name"), of which only the wanted part is downloaded, once.
    Raises: PartMissingError if the part is not there, ModelError if nothing is; both say what was
        looked for, and where."""
    if source is None or not str(source).strip():
        return _checked(EMBEDDED, part)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _checked(folder, part)
    if isinstance(source, str) and _REPO_ID.fullmatch(source):
        return _checked(_download(source, part), part)
    raise ModelError(
        f"expected a folder with weights or a Hub repository like user/name, got {str(source)!r}, "
        "which is neither"
    )


def _checked(folder: Path, part: Part) -> Path:
    if not (folder / part / "config.json").is_file():
        raise PartMissingError(
            f"expected a {part} in {folder}, but {part}/config.json is missing there"
        )
    return folder / part


def _download(repo_id: str, part: Part) -> Path:
    from httpx2 import HTTPError  # what the client raises if a connection breaks off
    from huggingface_hub import snapshot_download  # slow to import, and rarely needed

    folders = [part, QUICK] if part == "recognizer" else [part]
    try:
        return Path(snapshot_download(repo_id, allow_patterns=[f"{name}/*" for name in folders]))
    except (OSError, ValueError, HTTPError) as error:  # no network, no such repository, no access
        raise ModelError(
            f"expected the folder or Hub repository {repo_id!r}: there is no such folder here, "
            f"and downloading gave: {error}"
        ) from error
