"""What goes to the Hub: the files of a model's repository and of a Space, by their path there.

Only what is named here is sent. Of weights that is safetensors, ONNX, JSON, cards and licences,
each looked into; pickles run code where they are loaded, and are never sent. Of the code, a Space
gets the app and what the wheel has of latexocr/.
"""

import json
import logging
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from huggingface_hub import RepoCard
from safetensors import SafetensorError, safe_open

from latexocr.errors import ModelError
from latexocr.hub import EMBEDDED, QUICK, Part

logger = logging.getLogger(__name__)

Files = dict[str, Path | bytes]
"""Contents, or where they lie, by path in the repository."""

ROOT = Path(__file__).parents[1]
FIGURES = "figures.json"

# The article's own models, by the model types of config.json: of a TrOCR, that of its encoder.
FOREIGN_TYPES = {"vit": "TrOCR", "deit": "TrOCR", "blip": "BLIP"}
MODEL_TYPES: dict[str, Part] = {
    "vision-encoder-decoder": "recognizer",
    "latexocr-detector": "detector",
}
TEXTS = ("LICENSE", "README.md")  # that may lie beside weights
ONNX_START = b"\x08"  # tag of a graph's first field, its version of the format
APP_PATTERNS = ("app*.py", "app*.css", "app*.js")  # app.py and what it is made of
APP_TEXTS = ("requirements.txt", "LICENSE")

SPACE_TEXT = """
# LaTeX OCR

Write an equation by hand, or upload a picture of one, and get its LaTeX. It runs on the Space's
CPU; the weights lie in `latexocr/weights` and are those of
[{repo}](https://huggingface.co/{repo}), whose card says how well they read and under which licence
they are. The code is under the MIT licence.
"""


def find_parts(folder: Path) -> dict[Part, Path]:
    """Folders of the recogniser and the detector.

    Args: folder with subfolders recognizer/ and detector/, of which one may be missing, or a single
        one of them, as a training run leaves it.
    Raises: ModelError if there is neither, or a model of another kind."""
    if (folder / "config.json").is_file():
        return {_kind(folder): folder}
    parts: dict[Part, Path] = {
        part: folder / part for part in get_args(Part) if (folder / part / "config.json").is_file()
    }
    if not parts:
        raise ModelError(f"expected recognizer/ or detector/ with weights in {folder}, got neither")
    for part, place in parts.items():
        if _kind(place) != part:
            raise ModelError(f"{place}: expected a {part}, got a {_kind(place)}")
    return parts


def _kind(folder: Path) -> Part:
    model_type = _read_json(folder / "config.json").get("model_type")
    if model_type not in MODEL_TYPES:
        raise ModelError(
            f"{folder}/config.json: expected a model_type of {' or '.join(MODEL_TYPES)}, "
            f"got {model_type!r}"
        )
    return MODEL_TYPES[model_type]


def foreign_kind(folder: Path) -> str | None:
    """TrOCR or BLIP, if the folder is such a checkpoint; None for our own models."""
    if not (folder / "config.json").is_file():
        return None
    config = _read_json(folder / "config.json")
    encoder = config.get("encoder")
    inner = encoder.get("model_type") if isinstance(encoder, dict) else None
    return FOREIGN_TYPES.get(inner or config.get("model_type"))


def foreign_files(folder: Path) -> Files:
    """What transformers reads of a TrOCR or BLIP checkpoint, at the top of its repository.

    Raises: ModelError if something is missing or broken."""
    return {name.partition("/")[2]: path for name, path in part_files("recognizer", folder).items()}


def part_files(part: Part, folder: Path) -> Files:
    """Weights, configs, tokenizer and texts of one part, and the recogniser's int8 twin if it has
    one. What is left out is logged.

    Raises: ModelError if something is missing or broken."""
    files: Files = {}
    left_out: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name == FIGURES:
            continue  # it lies beside the parts
        if path.suffix in _CHECKS or path.name in TEXTS:
            _CHECKS.get(path.suffix, _read_text)(path)
            files[f"{part}/{path.name}"] = path
        else:
            left_out.append(path.name)
    if left_out:
        logger.warning("%s: not sent: %s", folder, ", ".join(left_out))
    wanted = {"config.json", *_weights_of(folder)}
    wanted |= {"tokenizer.json"} if part == "recognizer" else set()
    missing = sorted(name for name in wanted if f"{part}/{name}" not in files)
    if missing:
        raise ModelError(f"{folder}: expected a {part}, but there is no {', no '.join(missing)}")
    twin = folder.with_name(QUICK)
    if folder.name == "recognizer" and twin.is_dir():
        quick = part_files(part, twin)
        files |= {name.replace(part, QUICK, 1): path for name, path in quick.items()}
    return files


def _weights_of(folder: Path) -> Iterable[str]:
    """Names of the files that hold the weights."""
    if _runs_on_onnx(folder):
        from latexocr.quantized import ENCODER_FILE, STEP_FILE

        return [ENCODER_FILE, STEP_FILE]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return ["model.safetensors"]
    return map(str, _read_json(index).get("weight_map", {}).values())


def _runs_on_onnx(folder: Path) -> bool:
    if not (folder / "quantization.json").is_file():
        return False
    from latexocr.quantized import quantization_of  # imports torch, which other weights do without

    return quantization_of(folder) == "onnx-int8"


def _read_json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: expected a JSON object, got {type(found).__name__}")
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected text, got {error}") from error


def _check_safetensors(path: Path) -> None:
    """Read the table of contents: finds pickles by that name, pointers of git LFS, cut files."""
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: expected safetensors, got {error}") from error


def _check_onnx(path: Path) -> None:
    """Look at how it starts: finds pickles by that name, pointers of git LFS, empty files."""
    with path.open("rb") as file:
        start = file.read(len(ONNX_START))
    if start != ONNX_START:
        raise ModelError(f"{path}: expected an ONNX graph, got a file that starts with {start!r}")


_CHECKS = {".safetensors": _check_safetensors, ".json": _read_json, ".onnx": _check_onnx}


def license_text(folder: Path, parts: dict[Part, Path]) -> str:
    """The licence that lies beside the weights; else that of the embedded ones.

    Weights without a licence of their own were most likely made from the same data, or from the
    embedded weights, and are bound by the same terms."""
    for place in (folder, *parts.values(), EMBEDDED / "recognizer"):
        if (place / "LICENSE").is_file():
            return _read_text(place / "LICENSE")
    raise ModelError(f"expected a LICENSE in {folder}, got none, and none in {EMBEDDED} either")


def space_files(parts: dict[Part, Path], repo_id: str) -> Files:
    """The app, with the weights where it looks for them.

    Raises: ModelError if there is no recogniser, or no app beside this package."""
    if "recognizer" not in parts:
        raise ModelError("expected a recogniser for the Space, got a detector alone")
    needed = ("app.py", *APP_TEXTS, "README.md")
    missing = [name for name in needed if not (ROOT / name).is_file()]
    if missing:
        raise ModelError(
            f"expected the app in {ROOT}, but {', '.join(missing)} is missing: a Space is pushed "
            "from a checkout of the source code"
        )
    files: Files = {name: ROOT / name for name in APP_TEXTS}
    files |= {path.name: path for pattern in APP_PATTERNS for path in sorted(ROOT.glob(pattern))}
    files["README.md"] = _space_readme(repo_id)
    package = ROOT / "latexocr"
    for pattern in _package_patterns():
        for path in sorted(package.glob(pattern)):
            if package / "weights" not in path.parents and path.is_file():
                files[f"latexocr/{path.relative_to(package).as_posix()}"] = path
    for part, folder in parts.items():
        weights = part_files(part, folder)
        files |= {f"latexocr/weights/{name}": path for name, path in weights.items()}
    return files


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _package_patterns() -> list[str]:
    """Modules, and the data that the wheel has beside them."""
    return ["**/*.py", *_project()["tool"]["setuptools"]["package-data"]["latexocr"]]


def _space_readme(repo_id: str) -> bytes:
    """Our README's front matter, by which the Hub starts the app, and a few words."""
    card = RepoCard.load(ROOT / "README.md")
    card.data["models"] = [repo_id]
    card.text = SPACE_TEXT.format(repo=repo_id)
    return str(card).encode()
