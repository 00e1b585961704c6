"""LaTeX OCR: pictures of handwritten or printed formulas in, LaTeX out.

from latexocr import LatexOCR
print(LatexOCR().read("formula.png").latex)

Importing this package is quick: torch is loaded when LatexOCR is first asked for.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Equation": "latexocr.pipeline",
    "LatexOCR": "latexocr.pipeline",
    "Page": "latexocr.pipeline",
    "Reading": "latexocr.recognizer",
    "DataError": "latexocr.errors",
    "ImageError": "latexocr.errors",
    "LatexOCRError": "latexocr.errors",
    "ExportError": "latexocr.errors",
    "ModelError": "latexocr.errors",
    "RenderError": "latexocr.errors",
    "TexError": "latexocr.errors",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
