"""A folder with a report: report.json for programs, summary.md for people in a hurry, and
index.html to look at every formula or page (see report_html.py).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.report_breakdowns import (
    GROUPINGS,
    KINDS,
    Outcome,
    frequent_confusions,
    group_scores,
    kind_counts,
)
from trainer.report_html import pages_html, recognizer_html

SUMMARY_CONFUSIONS = 20


def write_recognizer_report(
    folder: Path,
    title: str,
    figures: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    pictures: Sequence[str | None],
) -> None:
    """Args: pictures, a data URI for each outcome, None where there is no picture."""
    formulas = [_formula(outcome) for outcome in outcomes]
    _write(folder, {"title": title, "figures": dict(figures), "formulas": formulas})
    summary = recognizer_summary(title, figures, outcomes)
    (folder / "summary.md").write_text(summary, encoding="utf-8")
    page = recognizer_html(title, figures, outcomes, pictures)
    (folder / "index.html").write_text(page, encoding="utf-8")


def write_pages_report(
    folder: Path, title: str, figures: Mapping[str, Any], pages: Sequence[Any]
) -> None:
    """Args: pages, measure_pages.PageRecord."""
    found = [page.as_json() for page in pages]
    _write(folder, {"title": title, "figures": dict(figures), "pages": found})
    worst = sorted(pages, key=lambda page: -(page.n_missed + page.n_false))
    rows = [(p.name, len(p.truth), p.n_missed, len(p.boxes), p.n_false) for p in worst]
    summary = [
        f"# {title}\n",
        figure_table(figures),
        "## Pages, the worst first\n",
        markdown_table(("page", "lines", "missed", "found", "of these wrong"), rows),
    ]
    (folder / "summary.md").write_text("\n".join(summary), encoding="utf-8")
    (folder / "index.html").write_text(pages_html(title, figures, pages), encoding="utf-8")


def _write(folder: Path, content: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "report.json").write_text(text + "\n", encoding="utf-8")


def _formula(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "truth": outcome.truth,
        "reading": outcome.reading,
        "confidence": round(outcome.confidence, 4),
        "edits": outcome.edits,
        "kind": outcome.kind,
        "groups": outcome.groups,
    }


def recognizer_summary(title: str, figures: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """Markdown: the figures, kinds of error, groups, and most frequent confusions."""
    kinds = kind_counts(outcomes)
    parts = [
        f"# {title}\n",
        figure_table(figures),
        "## Kinds of error\n",
        markdown_table(("kind", "what", "n"), [(k, KINDS[k], n) for k, n in kinds.items()]),
    ]
    for grouping in GROUPINGS:
        rows = [
            (g.name, g.n, g.exprate, f"{g.ci95[0]} to {g.ci95[1]}", g.cer)
            for g in group_scores(outcomes, grouping)
        ]
        parts += [
            f"## By {grouping}\n",
            markdown_table((grouping, "n", "ExpRate", "95 %", "CER"), rows),
        ]
    confusions = frequent_confusions(outcomes, SUMMARY_CONFUSIONS)
    rows = [(_code(was), _code(became), count) for was, became, count in confusions]
    parts += ["## Most frequent confusions\n", markdown_table(("true", "read", "times"), rows)]
    return "\n".join(parts)


def _code(token: str) -> str:
    return f"`{token}`" if token else "nothing"


def figure_table(figures: Mapping[str, Any]) -> str:
    rows = [
        (name, " to ".join(map(str, value)) if isinstance(value, list | tuple) else value)
        for name, value in figures.items()
    ]
    return markdown_table(("figure", "value"), rows)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown, columns of numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    numbers = [
        bool(cells) and all(row[i].replace(".", "", 1).lstrip("-").isdigit() for row in cells)
        for i in range(len(head))
    ]
    lines = [head, ["---:" if is_number else "---" for is_number in numbers], *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text.replace("|", "\\|")
