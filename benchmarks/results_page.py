"""docs/results.md out of stored measurements: tables, and a reliability plot as SVG beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from latexocr.errors import DataError
from trainer.confidence import Bin, reliability_svg
from trainer.report import markdown_table

if TYPE_CHECKING:
    from benchmarks.make_results import ReportSet

TEMPLATE = Path(__file__).with_name("results.md.j2")
PUBLISHED = Path(__file__).with_name("published.json")
FIGURES = "figures"  # folder of plots, beside the page
RELIABILITY_SETS = ("crohme_2016", "photo_lines")
OTHERS = (  # stored by benchmarks/
    *("latency", "page_latency", "peers", "train", "load", "draw_latency", "exports"),
    *("rendering", "corrections"),
)

# Columns: title, figure, and the figure's interval.
READING = (
    ("ExpRate", "exprate", "ci95"),
    ("within 1", "le1", "le1_ci95"),
    ("within 2", "le2", "le2_ci95"),
    ("CER", "cer", "cer_ci95"),
    ("rendered match", "rendered_match", "rendered_match_ci95"),
)
DEEPER = (
    ("structural ExpRate", "structure_exprate", "structure_ci95"),
    ("within 1 label", "structure_le1", "structure_le1_ci95"),
    ("within 2 labels", "structure_le2", "structure_le2_ci95"),
    ("structure alone", "structure_only", "structure_only_ci95"),
    ("BLEU-4", "bleu", "bleu_ci95"),
    ("edit score", "edit_score", "edit_score_ci95"),
    ("CDM", "cdm", "cdm_ci95"),
    ("ExpRate@CDM", "cdm_exprate", "cdm_exprate_ci95"),
)
CONFIDENCE = (("ECE", "ece", "ece_ci95"), ("AUROC", "auroc", "auroc_ci95"))
FINDING = (
    ("precision", "precision", ""),
    ("recall", "recall", ""),
    ("F1 at 0.5", "f1", "f1_ci95"),
    ("F1 at 0.75", "f1_iou75", "f1_iou75_ci95"),
    ("COCO mAP", "map", ""),
)
Columns = Sequence[tuple[str, str, str]]


def write_page(
    out: Path, results: Path, sets: Sequence[ReportSet], digests: Mapping[str, str]
) -> None:
    """Args: out, the page; results, folder of stored measurements; digests, of the embedded weights
    by kind of measurement, to tell which figures are of other weights.

    Raises: DataError if a stored measurement is broken."""
    stored = {one.key: read_result(results / f"{one.key}.json") for one in sets}
    plots = _write_plots(out.parent / FIGURES, stored)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    text = template.render(
        reading=score_table(_of(sets, stored, "recognizer"), READING),
        deeper=score_table(_of(sets, stored, "recognizer"), DEEPER),
        confidence=score_table(_of(sets, stored, "recognizer"), CONFIDENCE),
        finding=score_table(_of(sets, stored, "detector"), FINDING, n="pages"),
        pages=score_table(
            _of(sets, stored, "pages"),
            (("lines found", "found", ""), ("page score", "page_score", "ci95")),
            n="lines",
        ),
        missing=[one.title for one in sets if stored[one.key] is None],
        stale=stale(sets, stored, digests),
        measured=measured_table(sets, stored),
        crohme=crohme_table(published, stored),
        published=published,
        article=read_result(results / "article.json"),
        plots=plots,
        columns=_columns,
        others={name: read_result(results / f"{name}.json") for name in OTHERS},
        generic=generic_tables,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text.rstrip() + "\n", encoding="utf-8")


def read_result(path: Path) -> dict[str, Any] | None:
    """A stored result, None if there is none.

    Raises: DataError if it is no JSON object."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected a JSON object, got {type(found).__name__}")
    return found


Stored = Mapping[str, dict[str, Any] | None]
Rows = list[tuple["ReportSet", dict[str, Any]]]


def _of(sets: Sequence[ReportSet], stored: Stored, what: str) -> Rows:
    """Sets of a kind that have been measured, with their figures."""
    return [
        (one, result["figures"])
        for one in sets
        if one.what == what and (result := stored[one.key]) is not None
    ]


def score_table(rows: Rows, columns: Columns, n: str = "n") -> str:
    """One row for each set, one column for each figure, with its interval."""
    if not rows:
        return "*Not measured.*\n"
    head = ("set", "role", n, *(title for title, _, _ in columns))
    body = [
        (one.title, one.role, figures.get(n), *(figure(figures, *c[1:]) for c in columns))
        for one, figures in rows
    ]
    return markdown_table(head, body)


def figure(figures: Mapping[str, Any], key: str, interval: str) -> str:
    """A figure with its interval, as far as they are known."""
    value = figures.get(key)
    if value is None:
        return "-"
    digits = 3 if key in ("ece", "auroc") else 1
    text = f"{value:.{digits}f}"
    ends = figures.get(interval)
    return f"{text} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else text


def stale(sets: Sequence[ReportSet], stored: Stored, digests: Mapping[str, str]) -> list[str]:
    """Titles of sets that were measured with other weights than the embedded ones."""
    return [
        one.title
        for one in sets
        if (result := stored[one.key]) is not None and result["weights"] != digests[one.what]
    ]


def measured_table(sets: Sequence[ReportSet], stored: Stored) -> str:
    rows = [
        (
            one.title,
            result["date"],
            f"`{result['weights']}`",
            result["seconds"],
            result["machine"]["threads"],
            result["figures"].get("ms_median"),
        )
        for one in sets
        if (result := stored[one.key]) is not None
    ]
    return markdown_table(
        ("set", "date", "weights", "seconds in all", "threads", "ms per picture"), rows
    )


def crohme_table(published: Mapping[str, Any], stored: Stored) -> str:
    """Ours beside published ones, by their own figures."""
    rows: list[tuple[str, ...]] = []
    parameters = ""
    for kind, keys in (
        ("tokens", ("exprate", "le1", "le2")),
        ("symLG", ("structure_exprate", "structure_le1", "structure_le2")),
    ):
        cells = []
        for year in (2014, 2016):
            result = stored.get(f"crohme_{year}")
            cells.append(_triple([result["figures"].get(key) for key in keys]) if result else "-")
            parameters = f"{result['figures']['parameters'] / 1e6:.1f} M" if result else parameters
        note = "comparable form, look-alikes merged; " + (
            "token edits" if kind == "tokens" else "our own label graphs, as official"
        )
        extra = "yes, see below"
        rows.append((f"**ours**, {kind}", parameters, *cells, note, "CROHME 2013 test", extra))
    for row in published["crohme"]:
        rows.append(
            (
                f"{row['system']} ({row['source']})",
                row["parameters"] or "-",
                _triple(row["2014"]),
                _triple(row["2016"]),
                row["exprate"],
                row["selected_on"],
                row["extra_data"],
            )
        )
    head = ("system", "parameters", "2014", "2016", "which ExpRate", "selected on", "extra data")
    return markdown_table(head, rows)


def _columns(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    """Rows as a table. Args: columns, title and key of each."""
    body = [[row[key] for _, key in columns] for row in rows]
    return markdown_table([title for title, _ in columns], body)


def _triple(values: Sequence[float | None]) -> str:
    return " / ".join("-" if value is None else f"{value:.1f}" for value in values)


def generic_tables(result: Mapping[str, Any]) -> str:
    """Tables of any stored result: lists of rows become tables, the rest a list of facts."""
    facts: list[tuple[str, Any]] = []
    tables: list[str] = []
    for key, value in result.items():
        if key in ("date", "command", "machine"):
            continue
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            tables.append(f"\n{_words(key)}:\n\n{_row_table(value)}")
        elif isinstance(value, dict):
            tables.append(f"\n{_words(key)}:\n\n{generic_tables(value).lstrip()}")
        else:
            facts.append((_words(key), value))
    head = markdown_table(("what", "value"), facts) if facts else ""
    return head + "".join(tables)


def _row_table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    columns = [c for c in columns if any(row.get(c) is not None for row in rows)]
    body = [[_plain(row.get(column)) for column in columns] for row in rows]
    return markdown_table([_words(column) for column in columns], body)


def _plain(value: Any) -> Any:
    return " to ".join(map(str, value)) if isinstance(value, list) else value


def _words(key: str) -> str:
    return key.replace("_", " ")


def _write_plots(folder: Path, stored: Stored) -> list[str]:
    """Reliability plots of the sets that have one. Returns the files' names."""
    names = []
    for key in RELIABILITY_SETS:
        result = stored.get(key)
        if result and result["reliability"]:
            bins = [Bin(**row) for row in result["reliability"]]
            folder.mkdir(parents=True, exist_ok=True)
            name = f"reliability_{key}.svg"
            drawn = reliability_svg(bins, f"Confidence, {key.replace('_', ' ')}")
            (folder / name).write_text(drawn, encoding="utf-8")
            names.append(f"{FIGURES}/{name}")
    return names
