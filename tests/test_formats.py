"""The buttons that hand over one formula in other formats, without a browser."""

import base64
import io
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from docx import Document as WordDocument
from PIL import Image

import app_formats
from latexocr.latex import comparable
from latexocr.render import glyphs


def saved(latex: str, format: str) -> bytes:
    file = app_formats.save(latex, SimpleNamespace(format=format))
    assert file["name"] == f"equation.{format}" and "/" in file["type"]
    return base64.b64decode(file["data"])


def test_a_formula_can_be_copied_in_all_formats():
    texts = app_formats.texts_of(r"\frac{a}{2}")
    assert list(texts) == [name for name, _, _ in app_formats.COPIES]
    assert texts["inline"].startswith("$") and not texts["inline"].startswith("$$")
    assert comparable(texts["display"].strip("$")) == comparable(r"\frac{a}{2}")
    assert texts["equation"].startswith(r"\begin{equation}")
    assert texts["mathml"].startswith("<math") and "<mfrac>" in texts["mathml"]
    assert texts["typst"] == "$ frac(a, 2) $"


@pytest.mark.parametrize("latex", ["", " ", r"\frac{a", "x^{<"])
def test_what_is_no_formula_cannot_be_copied(latex):
    assert app_formats.texts_of(latex) == {}


def test_a_formula_is_saved_as_pictures_and_for_word():
    latex = r"x^{2}+1"
    with Image.open(io.BytesIO(saved(latex, "png"))) as picture:
        assert picture.format == "PNG" and picture.width > picture.height
    drawn = ElementTree.fromstring(saved(latex, "svg"))
    assert drawn.tag.endswith("svg")
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}use"))) == len(glyphs(latex))
    word = WordDocument(io.BytesIO(saved(latex, "docx")))
    assert "oMath" in word.paragraphs[0]._p.xml


@pytest.mark.parametrize("format", ["png", "svg", "docx"])
def test_what_cannot_be_saved_is_told(format, monkeypatch):
    told = []
    monkeypatch.setattr(app_formats.gr, "Warning", told.append)
    assert app_formats.save(r"\frac{a", SimpleNamespace(format=format)) is None
    assert "cannot be saved" in told[0] and "expected" in told[0]


def test_only_formats_that_there_are_can_be_asked_for():
    assert app_formats.save("x", SimpleNamespace(format="../../etc/passwd")) is None
