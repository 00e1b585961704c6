"""Breakdowns of errors, and reports: what they count, and that nothing in them becomes markup."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from trainer.detection_metrics import PageResult
from trainer.report import markdown_table, write_pages_report, write_recognizer_report
from trainer.report_breakdowns import (
    GROUPINGS,
    KINDS,
    frequent_confusions,
    group_scores,
    groups_of,
    kind_counts,
    kind_of,
    outcome_of,
)
from trainer.report_html import FormulaDrawer, data_uri
from trainer.report_pages import LineOutcome, page_record


@pytest.mark.parametrize(
    ("truth", "reading", "kind"),
    [
        pytest.param(r"\frac{a}{b}", r"{a \over b}", "right", id="the same comparable form"),
        pytest.param(r"a\models b", r"a\vDash b", "looks the same", id="typeset alike"),
        pytest.param("x^2", "x ^ {", "not LaTeX", id="does not parse"),
        pytest.param("a+b", "+ a".join(["a"] * 12), "repeats itself", id="round in circles"),
        pytest.param("x^2", "x_2", "symbols elsewhere", id="below for above"),
        pytest.param("x^2", "x2", "symbols elsewhere", id="not raised"),
        pytest.param("ab", "ba", "symbols elsewhere", id="order"),
        pytest.param("a+b", "a-b", "wrong symbols", id="one symbol"),
        pytest.param(r"\frac{a}{b}", r"\frac{c}{d}", "wrong symbols", id="two symbols"),
        pytest.param("a+b", "a+", "symbols missing", id="one less"),
        pytest.param("a+b", "", "symbols missing", id="nothing read"),
        pytest.param("a+b", "a+b+c", "symbols too many", id="two more"),
        pytest.param("x^2+1", "y2", "several", id="all of it"),
    ],
)  # fmt: skip
def test_kinds_of_error(truth, reading, kind):
    assert kind in KINDS
    assert kind_of(truth, reading) == kind


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        pytest.param("x+1", {"length": "1 to 5", "scripts": "without", "matrix": "without"},
                     id="row"),
        pytest.param("x^2", {"scripts": "1 deep", "length": "1 to 5"}, id="script"),
        pytest.param("x^{y_i}", {"scripts": "2 deep"}, id="script of a script"),
        pytest.param("{x^a}^b", {"scripts": "1 deep"}, id="scripts of scripts are no deeper"),
        pytest.param("x^{y^{z^{w^u}}}", {"scripts": "3 deep or more"}, id="very deep"),
        pytest.param(r"\frac{a}{b}+\frac{c}{d}", {"fraction": "1 deep"}, id="two side by side"),
        pytest.param(r"\frac{a}{\frac{b}{c}}", {"fraction": "2 deep"}, id="fraction in a fraction"),
        pytest.param(r"\sqrt{\frac{a}{b}}", {"root": "1 deep", "fraction": "1 deep"}, id="root"),
        pytest.param(r"\begin{pmatrix}a^2\\b\end{pmatrix}", {"matrix": "with", "scripts": "1 deep"},
                     id="matrix"),
        pytest.param(r"\nosuch x", {"length": "1 to 5", "fraction": "without"}, id="not parsed"),
        pytest.param("+".join("a" * 30), {"length": "over 50"}, id="long"),
    ],
)  # fmt: skip
def test_groups_of_a_formula(latex, expected):
    groups = groups_of(latex)
    assert set(groups) == set(GROUPINGS)
    assert expected.items() <= groups.items()


PAIRS = [("a+b", "a+b"), ("a+b", "a-b"), ("c+d", "c-d"), ("x^2", "x2"), (r"\frac{a}{b}", "a")]


def outcomes():
    return [outcome_of(f"f{n}", *pair, 0.5) for n, pair in enumerate(PAIRS)]


def test_an_outcome_marks_what_differs():
    outcome = outcomes()[1]
    assert outcome.true == [("a", False), ("+", True), ("b", False)]
    assert outcome.read == [("a", False), ("-", True), ("b", False)]
    assert (outcome.edits, outcome.is_right) == (1, False)


def test_confusions_are_counted_over_the_set_and_braces_are_none():
    found = frequent_confusions(outcomes())
    assert found[0] == ("+", "-", 2)
    assert ("^", "", 1) in found
    assert not any({was, became} & {"{", "}"} for was, became, _ in found)


def test_groups_are_scored_in_order_and_add_up():
    scores = group_scores(outcomes(), "length")
    assert [one.name for one in scores] == ["1 to 5", "6 to 10"]
    assert [(one.n, one.exprate) for one in scores] == [(4, 25.0), (1, 0.0)]
    assert scores[0].cer == pytest.approx(100 * (1 + 1 + 3) / (3 + 3 + 3 + 5), abs=0.01)
    assert sum(kind_counts(outcomes()).values()) == len(PAIRS)


# --- Files ---------------------------------------------------------------------------------------

EVIL = r"\text{</script><script>alert(1)</script>}"


@pytest.fixture
def report(tmp_path):
    found = [*outcomes(), outcome_of("<b>evil</b>", EVIL, "x", 0.1)]
    pictures = [data_uri(np.full((20, 40), 255, np.uint8))] * (len(found) - 1) + [None]
    write_recognizer_report(tmp_path, "A set", {"exprate": 20.0, "ci95": (1, 2)}, found, pictures)
    return tmp_path


def test_a_report_is_json_markdown_and_html(report):
    content = json.loads((report / "report.json").read_text())
    assert [row["kind"] for row in content["formulas"]][:2] == ["right", "wrong symbols"]
    summary = (report / "summary.md").read_text()
    assert "| ci95 | 1 to 2 |" in summary and "| `+` | `-` | 2 |" in summary
    page = (report / "index.html").read_text()
    rows = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [row["kind"] for row in rows][:2] == ["right", "wrong symbols"]
    assert rows[-1]["true"][0][0] == "<" and rows[-1]["picture"] is None


def test_a_page_asks_for_nothing_from_the_network_and_runs_nothing_of_the_data(report):
    page = (report / "index.html").read_text()
    assert "alert(1)" not in page
    assert "<b>evil" not in page
    addresses = re.findall(r"https?://[^\"' <]+", page)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == []


def test_every_glyph_that_a_formula_refers_to_stands_in_the_page_once():
    drawer = FormulaDrawer()
    drawn = [drawer.draw(latex) for latex in (r"\frac{x}{2}", "x+x", r"\sqrt{x}")]
    assert drawer.draw("x^{") is None
    used = set(re.findall(r'href="#(g\d+)"', "".join(drawn)))
    defined = re.findall(r'<path id="(g\d+)"', drawer.outlines())
    assert used and sorted(defined) == sorted(used)
    assert "<title" not in "".join(drawn) and "<text" not in "".join(drawn)


def test_a_picture_is_made_small_and_one_that_cannot_be_read_is_none():
    assert data_uri(b"no picture") is None
    large = data_uri(np.full((3000, 4000), 255, np.uint8))
    assert large.startswith("data:image/webp;base64,") and len(large) < 20_000


def test_pages_are_shown_with_what_was_found_and_missed(tmp_path):
    boxes = np.array([[0, 0, 100, 20], [0, 300, 90, 320]], float)
    truth = np.array([[0, 0, 100, 22], [0, 100, 100, 120]], float)
    ignore = np.array([[200, 0, 250, 20]], float)
    result = PageResult(boxes, np.array([0.9, 0.7]), truth, ignore)
    lines = [LineOutcome("x^2", "x_2", True, False), LineOutcome("y", "", False, False)]
    record = page_record("<i>one</i>", Image.new("RGB", (400, 500), "white"), result, lines)
    assert (record.n_missed, record.n_false, record.n_misread) == (1, 1, 1)
    write_pages_report(tmp_path, "Pages", {"page_score": 0.0}, [record])
    (row,) = json.loads((tmp_path / "report.json").read_text())["pages"]
    assert (row["hit"], row["verdicts"]) == ([True, False], [1, 0])
    page = (tmp_path / "index.html").read_text()
    shown = re.findall(r'<rect class="(\w+)"', page)
    assert sorted(shown) == ["false", "found", "hit", "ignore", "missed"]
    assert "<i>one" not in page and page.count("<mark>") >= 2
    assert "| 2 | 1 | 2 | 1 |" in (tmp_path / "summary.md").read_text()


def test_a_page_without_boxes_is_a_page_too(tmp_path):
    nothing = np.empty((0, 4))
    record = page_record(
        "blank", Image.new("RGB", (40, 50)), PageResult(nothing, np.empty(0), nothing, nothing)
    )
    write_pages_report(tmp_path, "Pages", {}, [record])
    assert record.as_json()["hit"] == []


def test_tables_of_markdown():
    table = markdown_table(("what", "n"), [("a|b", 1), ("c\nd", -2.5)])
    assert table == "| what | n |\n| --- | ---: |\n| a\\|b | 1 |\n| c d | -2.5 |\n"
