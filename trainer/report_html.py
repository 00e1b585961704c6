"""Reports as one HTML file that needs nothing else: pictures, outlines and script are all inside.

Formulas are drawn by latexocr.render. Their glyphs are outlines; each stands once in the file, and
all formulas refer to it, or a thousand formulas would take a hundred times the space.
"""

import base64
import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from latexocr.errors import ImageError, RenderError, TexError
from latexocr.latex import pretty
from latexocr.pictures import Source, load_picture
from latexocr.render import svg
from trainer.report_breakdowns import (
    GROUPINGS,
    KINDS,
    Outcome,
    frequent_confusions,
    group_scores,
    kind_counts,
)

FOLDER = Path(__file__).parent
THUMBNAIL_PX = (900, 260)  # largest picture of a formula in a report
PAGE_PX = (1000, 1400)  # of a page
QUALITY = 55  # of WebP: ink stays sharp enough to see what was misread

_HEAD = re.compile(r'<svg [^>]*?(viewBox="[^"]*" width="[^"]*" height="[^"]*" style="[^"]*")')
_OUTLINE = re.compile(r'<path id="[^"]*-(g\d+)" (d="[^"]*")/>')
_USED = re.compile(r'href="#[^"]*-(g\d+)"')


class FormulaDrawer:
    """Draws formulas as SVG that refers to shared outlines, see `outlines`."""

    def __init__(self) -> None:
        self._outlines: dict[str, str] = {}

    def draw(self, latex: str) -> str | None:
        """The formula in its pretty form; None if it cannot be drawn."""
        try:
            drawn = svg(pretty(latex))
        except (TexError, RenderError):
            return None
        head, (definitions, _, body) = _HEAD.search(drawn), drawn.rpartition("</defs>")
        for name, path in _OUTLINE.findall(definitions):
            self._outlines[name] = path
        body = body[: body.rindex("</g>") + len("</g>")]  # after it, text to be selected
        body = _USED.sub(r'href="#\1"', body)
        return f"<svg {head[1]}>{body}</svg>"

    def outlines(self) -> str:
        """What must stand in the page that shows the formulas."""
        paths = (f'<path id="{name}" {path}/>' for name, path in sorted(self._outlines.items()))
        return f'<svg width="0" height="0" aria-hidden="true"><defs>{"".join(paths)}</defs></svg>'


def data_uri(picture: Source, largest: tuple[int, int] = THUMBNAIL_PX) -> str | None:
    """A picture, made small, to stand in a page; None if it cannot be read."""
    try:
        image = load_picture(picture)
    except ImageError:
        return None
    image.thumbnail(largest, Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    image.save(encoded, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode()


def recognizer_html(
    title: str,
    figures: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    pictures: Sequence[str | None],
) -> str:
    """The error browser. Args: pictures, a data URI for each outcome, or None."""
    drawer = FormulaDrawer()
    rows = [_row(*pair, drawer) for pair in zip(outcomes, pictures, strict=True)]
    symbols = {token for outcome in outcomes for token, _ in (*outcome.true, *outcome.read)}
    return _template("report.html.j2").render(
        title=title,
        figures=figures,
        rows=rows,
        outlines=drawer.outlines(),
        groupings={name: group_scores(outcomes, name) for name in GROUPINGS},
        kinds=kind_counts(outcomes),
        kind_words=KINDS,
        confusions=frequent_confusions(outcomes),
        symbols=sorted(symbols),
    )


def _row(outcome: Outcome, picture: str | None, drawer: FormulaDrawer) -> dict[str, Any]:
    """One formula as the page's script takes it."""
    return {
        "name": outcome.name,
        "picture": picture,
        "true": outcome.true,
        "read": outcome.read,
        "trueDrawn": drawer.draw(outcome.truth),
        "readDrawn": None if outcome.truth == outcome.reading else drawer.draw(outcome.reading),
        "same": outcome.truth == outcome.reading,
        "kind": outcome.kind,
        "edits": outcome.edits,
        "confidence": round(outcome.confidence, 3),
        "groups": outcome.groups,
        "confusions": outcome.confusions,
    }


def pages_html(title: str, figures: Mapping[str, Any], pages: Sequence[Any]) -> str:
    """Pages with their boxes. Args: pages, measure_pages.PageRecord with thumbnails."""
    drawer = FormulaDrawer()
    shown = [page.as_shown(drawer.draw) for page in pages]
    return _template("report_pages.html.j2").render(
        title=title, figures=figures, pages=shown, outlines=drawer.outlines()
    )


@cache
def _template(name: str) -> jinja2.Template:
    # Names of files and LaTeX come from data sets: nothing of them may become markup.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
