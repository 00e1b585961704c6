"""The card of a model on the Hub: what it is, how it was made, how well it reads.

What is true of all models made here stands in model_card.md.j2. The rest lies beside the weights:
figures, and words on the training, in figures.json,

    {"recognizer": [{"set": "CROHME 2014", "metric": "ExpRate", "value": 41.2,
                     "interval": [38.1, 44.3]}],
     "detector": [...],
     "training": {"data": "...", "recipe": "...", "hardware": "...", "time": "..."}}

of which all but set, metric and value may be left out. Without "training", the settings and the log
of the run that the weights lie in tell about it.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from latexocr.errors import DataError
from latexocr.hub import Part
from trainer.push_files import FIGURES

TEMPLATE = Path(__file__).with_name("model_card.md.j2")
FOREIGN_TEMPLATE = Path(__file__).with_name("foreign_card.md.j2")
TASKS: dict[Part, str] = {"recognizer": "image-to-text", "detector": "object-detection"}
TRAINING_KEYS = ("data", "recipe", "hardware", "time")
LICENSES = {  # the Hub's names, by words of the licence
    "CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0",
    "Apache License": "apache-2.0",
    "MIT License": "mit",
}


@dataclass(frozen=True)
class Figure:
    """How well one part does on one set; interval is that of 95 % confidence."""

    part: Part
    set: str
    metric: str
    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Record:
    """What lies beside weights about them."""

    figures: list[Figure]
    training: dict[str, str]  # Markdown by TRAINING_KEYS, without those that nobody wrote down


def read_record(folder: Path) -> Record:
    """Figures and words on the training.

    Raises: DataError if figures.json is not as this module's docstring says."""
    path = folder / FIGURES
    found: dict[str, Any] = {}
    if path.is_file():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{path}: expected JSON, got {error}") from error
    known = {*get_args(Part), "training"}
    if not isinstance(found, dict) or set(found) - known:
        raise DataError(f"{path}: expected a dictionary with keys of {sorted(known)}, got {found}")
    figures = [_figure(row, part, path) for part in get_args(Part) for row in found.get(part, [])]
    training = found.get("training") or run_record(folder.resolve().parent)
    if not isinstance(training, dict) or set(training) - set(TRAINING_KEYS):
        raise DataError(f"{path}: expected training with keys of {TRAINING_KEYS}, got {training}")
    return Record(figures, training)


def _figure(row: Any, part: Part, path: Path) -> Figure:
    try:
        interval = row.get("interval")
        if interval is not None:
            low, high = interval
            interval = (float(low), float(high))
        return Figure(part, str(row["set"]), str(row["metric"]), float(row["value"]), interval)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected set, metric, value and perhaps interval [low, high], got {row}"
        ) from error


# --- The run that the weights lie in --------------------------------------------------------------


def run_record(run_dir: Path) -> dict[str, str]:
    """What the folder of a training run says about it; nothing if it is no such folder."""
    try:
        settings = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
        lines = (run_dir / "log.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    settings = _without_places(settings)
    log: list[dict[str, Any]] = []
    for line in lines:
        with suppress(ValueError):  # a killed run may leave half a line
            log.append(json.loads(line))
    training = {"recipe": f"\n\n```yaml\n{yaml.safe_dump(settings, sort_keys=False)}```"}
    sources = [settings.get("data"), *settings.get("formulas", [])]
    training["data"] = ", ".join(f"`{source}`" for source in sources if source)
    starts = [line for line in log if line.get("kind") == "start"]
    if starts:
        training["hardware"] = ", ".join(
            f"{key} {starts[-1][key]}" for key in HARDWARE_KEYS if key in starts[-1]
        )
    if log:
        last = log[-1]
        training["time"] = f"{last['seconds'] / 3600:.1f} hours for {last['step']:,} updates"
    return training


HARDWARE_KEYS = ("device", "processes", "threads", "precision")


def _without_places(value: Any) -> Any:
    """Settings with names in place of absolute paths: those say who trained it, and where."""
    if isinstance(value, dict):
        return {key: _without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return Path(value).name
    return value


# --- The card -------------------------------------------------------------------------------------


def make_card(repo_id: str, parts: list[Part], record: Record, license_text: str) -> str:
    """README.md of the repository, with its front matter. The same for the same input."""
    figures = [figure for figure in record.figures if figure.part in parts]
    name = repo_id.split("/")[-1]
    license_id = next((v for words, v in LICENSES.items() if words in license_text), "other")
    data = ModelCardData(
        license=license_id,
        license_name=None if license_id != "other" else "license-of-the-weights",
        license_link=None if license_id != "other" else "LICENSE",
        library_name="latexocr",
        pipeline_tag=TASKS[parts[0]],
        tags=["latex", "ocr", "handwriting", "mathematics", *parts],
        metrics=sorted({_slug(figure.metric) for figure in figures}) or None,
        model_name=name if figures else None,  # of the model-index
        eval_results=[_eval_result(figure) for figure in figures] or None,
    )
    card = ModelCard.from_template(
        data,
        template_path=str(TEMPLATE),
        name=name,
        repo_id=repo_id,
        parts=parts,
        figures=figures,
        training=record.training,
        license_id=license_id,
    )
    return f"{card}\n"


def make_foreign_card(repo_id: str, kind: str, record: Record, license_text: str) -> str:
    """README.md of a TrOCR's or BLIP's repository, which transformers loads without us."""
    license_id = next((v for words, v in LICENSES.items() if words in license_text), "other")
    data = ModelCardData(
        license=license_id,
        license_name=None if license_id != "other" else "license-of-the-weights",
        license_link=None if license_id != "other" else "LICENSE",
        library_name="transformers",
        pipeline_tag=TASKS["recognizer"],
        tags=["latex", "ocr", "mathematics", kind.lower()],
    )
    card = ModelCard.from_template(
        data,
        template_path=str(FOREIGN_TEMPLATE),
        name=repo_id.split("/")[-1],
        repo_id=repo_id,
        kind=kind,
        training=record.training,
    )
    return f"{card}\n"


def _eval_result(figure: Figure) -> EvalResult:
    return EvalResult(
        task_type=TASKS[figure.part],
        dataset_type=_slug(figure.set),
        dataset_name=figure.set,
        metric_type=_slug(figure.metric),
        metric_name=figure.metric,
        metric_value=figure.value,
        metric_args={"interval_95": list(figure.interval)} if figure.interval else None,
    )


def _slug(text: str) -> str:
    """CROHME 2014 -> crohme-2014"""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
