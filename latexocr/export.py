r"""LaTeX to what people paste and open: LaTeX environments, MathML, Typst, Markdown, .tex, .docx.

    >>> export(r"x^2 \leq y", "typst")
    '$ x^2 <= y $'

Formulas are written from their tree, never from their text: what the parser does not know raises
an error, and what a format cannot express does too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from latexocr.errors import ExportError
from latexocr.export_mathml import mathml
from latexocr.export_omml import docx
from latexocr.export_parts import check_characters
from latexocr.export_tex import align, document, each, gather, markdown
from latexocr.export_typst import typst
from latexocr.latex_parser import parse
from latexocr.latex_tree import Row


@dataclass(frozen=True)
class Format:
    """A format that `export` writes; label is for people, write takes the trees of formulas."""

    name: str
    label: str
    suffix: str  # of a file, with its dot
    mime: str
    write: Callable[[Sequence[Row]], str | bytes] = field(repr=False)


_TEX, _DOCX = "text/x-tex", "vnd.openxmlformats-officedocument.wordprocessingml.document"
FORMATS: dict[str, Format] = {
    item.name: item
    for item in (
        Format("latex", "LaTeX", ".tex", _TEX, each("", "", "\n")),
        Format("inline", "LaTeX in a line: $...$", ".tex", _TEX, each("$", "$", "\n")),
        Format("display", "LaTeX display: $$...$$", ".tex", _TEX, each("$$", "$$", "\n\n")),
        Format("brackets", r"LaTeX display: \[...\]", ".tex", _TEX, each(r"\[", r"\]", "\n\n")),
        Format(
            "equation",
            "LaTeX equation",
            ".tex",
            _TEX,
            each("\\begin{equation}\n  ", "\n\\end{equation}", "\n\n"),
        ),
        Format("align", "LaTeX align", ".tex", _TEX, align),
        Format("gather", "LaTeX gather", ".tex", _TEX, gather),
        Format("tex", "LaTeX document", ".tex", _TEX, document),
        Format("markdown", "Markdown", ".md", "text/markdown", markdown),
        Format("mathml", "MathML (Word, web pages)", ".mml", "application/mathml+xml", mathml),
        Format("typst", "Typst", ".typ", "text/plain", typst),
        Format("docx", "Word document", ".docx", f"application/{_DOCX}", docx),
    )
}


def export(latex: str | Sequence[str], format: str) -> str | bytes:
    """One formula, or several of a page in their order, in one of FORMATS.

    Returns: text; bytes for docx.
    Raises: TexError if a formula cannot be parsed; ExportError if there is no such format, nothing
    to write, or something that the format cannot express."""
    if format not in FORMATS:
        raise ExportError(f"expected a format of {', '.join(FORMATS)}, got {format!r}")
    formulas = [parse(formula) for formula in ([latex] if isinstance(latex, str) else latex)]
    if not formulas or not all(formula.items for formula in formulas):
        raise ExportError("expected a formula, got nothing to write")
    for formula in formulas:
        check_characters(formula.items)
    try:
        return FORMATS[format].write(formulas)
    except RecursionError:
        raise ExportError(
            f"expected fewer groups and operators in each other for {format}"
        ) from None
