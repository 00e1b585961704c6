"""All equations of a document: Markdown, LaTeX, one align environment, Word, JSON."""

import io
import json
from collections.abc import Callable, Iterable
from functools import lru_cache

from app_document import Document, Item, Sheet
from latexocr.errors import LatexOCRError
from latexocr.export import FORMATS, export

TEX_END = r"\end{document}"
EMPTY_TEX = "\\documentclass{article}\n\\begin{document}\n\n" + TEX_END + "\n"


def as_blocks(document: Document) -> str:
    """Every equation between double dollar signs."""
    return "\n\n".join(map(_block, _formulas(document.sheets)))


def as_align(document: Document) -> str:
    """One align environment with all equations."""
    lines = [line for latex in _formulas(document.sheets) for line in _align_lines(latex)]
    return "\\begin{align}\n" + " \\\\\n".join(lines) + "\n\\end{align}" if lines else ""


def as_markdown(document: Document) -> str:
    """The equations, below the names of their pages if there are several."""
    if len(document.sheets) == 1:
        return as_blocks(document) + "\n"
    return "\n".join(
        "\n\n".join([f"## {sheet.title}", *map(_block, _formulas([sheet]))]) + "\n"
        for sheet in document.sheets
    )


def as_tex(document: Document) -> str:
    """A file that LaTeX takes; what is no valid LaTeX stands at its end as a comment."""
    formulas = list(_formulas(document.sheets))
    good = [latex for latex in formulas if written(latex, "tex")]
    text = export(good, "tex") if good else EMPTY_TEX
    rest = ["% Not understood:\n% " + " ".join(x.split()) + "\n" for x in formulas if x not in good]
    return text.replace(TEX_END, "".join(rest) + TEX_END)


def as_docx(document: Document) -> bytes:
    """A Word document; what Word cannot show stands at its end as LaTeX."""
    from docx import Document as WordDocument  # python-docx

    formulas = list(_formulas(document.sheets))
    good = [latex for latex in formulas if _fits_word(latex)]
    word = WordDocument(io.BytesIO(export(good, "docx"))) if good else WordDocument()
    for latex in formulas:
        if latex not in good:
            word.add_paragraph(f"Not understood: {' '.join(latex.split())}")
    word.save(file := io.BytesIO())
    return file.getvalue()


def as_json(document: Document) -> str:
    """The pages as the command line gives them; what a person changed or chose is certain."""
    pages = [
        {
            "path": sheet.name,
            "page": sheet.number or 1,
            "width": sheet.given_size[0],
            "height": sheet.given_size[1],
            "equations": [_equation(sheet, item) for item in sheet.items],
        }
        for sheet in document.sheets
    ]
    return json.dumps(pages, indent=2, ensure_ascii=False) + "\n"


# Of each kind of file, its MIME type and what writes it.
WRITERS: dict[str, tuple[str, Callable[[Document], str | bytes]]] = {
    "tex": (FORMATS["tex"].mime, as_tex),
    "md": (FORMATS["markdown"].mime, as_markdown),
    "docx": (FORMATS["docx"].mime, as_docx),
    "json": ("application/json", as_json),
}


def _formulas(sheets: Iterable[Sheet]) -> Iterable[str]:
    """The LaTeX of all equations; without empty lines, which would end a formula."""
    for sheet in sheets:
        for item in sheet.items:
            if item.latex.strip():
                yield "\n".join(line for line in item.latex.splitlines() if line.strip())


@lru_cache(maxsize=5000)  # with each letter that a person types, all equations are written anew
def written(latex: str, format: str) -> str:
    """The formula in one of export.FORMATS that are text; nothing if it cannot be understood, or
    written so."""
    try:
        return export(latex, format)
    except LatexOCRError:
        return ""


@lru_cache(maxsize=5000)  # not what is written: a Word document has some 40 kB
def _fits_word(latex: str) -> bool:
    try:
        return bool(export(latex, "docx"))
    except LatexOCRError:
        return False


def _block(latex: str) -> str:
    return written(latex, "markdown").strip() or f"$$\n{latex}\n$$"


def _align_lines(latex: str) -> list[str]:
    """The lines of an align environment for a formula, one or more."""
    environment = written(latex, "align").splitlines()
    return [line.removesuffix(r" \\") for line in environment[1:-1]] or [f"  & {latex}"]


def _equation(sheet: Sheet, item: Item) -> dict:
    return {
        "box": sheet.given_box(item),
        "score": round(item.score, 4),
        "latex": item.latex,
        "confidence": 1.0 if item.by_hand else round(item.reading.confidence, 4),
        "by_hand": bool(item.by_hand),
    }
