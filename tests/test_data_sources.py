"""Data sets as people have them: pools of CROHME, Im2LaTeX-100k, tables, rows of `datasets`."""

import tarfile
import zipfile
from pathlib import Path

import datasets
import pytest

from latexocr.errors import DataError, TexError
from latexocr.image_rows import parse_source
from tests.tiny import inkml
from tests.tiny_foreign import png
from trainer.data.crohme import parse_inkml
from trainer.data.examples import InkExample, load_examples
from trainer.data.ink_sets import ink_hash, set_of
from trainer.trainee import encode


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def names(examples: list) -> list[str]:
    return [example.name for example in examples]


# --- Pools of CROHME -----------------------------------------------------------------------------

POOL = {
    "CROHME_training_2011/a.inkml": inkml("xl"),
    "trainData_2012_part1/b.inkml": inkml("xl", shift=7.0),  # the same ink elsewhere on the sheet
    "trainData_2012_part2/c.inkml": inkml("x+l"),
    "TrainINKML_2013/HAMEX/d.inkml": inkml("xl"),
    "TrainINKML_2013/MathBrush/e.inkml": inkml("TL"),
    "TrainINKML_2013/MathBrush/f.inkml": inkml("ll"),
    "TrainINKML_2013/MathBrush/broken.inkml": "no XML",
    "TestINKML_2013/g.inkml": inkml("ll"),  # its twin must not be trained on
    # As test sets are handed to those who take part: without a truth.
    "testData_2012/h.inkml": inkml("TT").replace('<annotation type="truth">$TT$</annotation>', ""),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_ink_that_is_there_twice_counts_once(tmp_path, kind):
    where = write(tmp_path / "archive", POOL)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
            for name, content in POOL.items():
                archive.writestr(f"archive/{name}", content)
        where = tmp_path / "archive.zip"
    examples = load_examples(str(where))
    assert names(examples) == ["a", "c", "e"]
    assert all(isinstance(example, InkExample) for example in examples)


def test_a_test_set_is_read_when_its_folder_is_named(tmp_path):
    folder = write(tmp_path / "archive", POOL)
    assert names(load_examples(str(folder / "TestINKML_2013"))) == ["g"]


def test_no_ink_is_in_two_parts(tmp_path):
    """One set, in which an ink has a hundred names."""
    files = {f"set/{i:03d}.inkml": inkml("xl", shift=float(i)) for i in range(100)}
    where = write(tmp_path / "pool", files)
    found = []
    for part in ("select", "report", "train"):
        try:
            found += names(load_examples(str(where), part=part))
        except DataError:
            continue
    assert found == ["000"]
    assert len(load_examples(str(where))) == 100  # nothing is split, nothing is left out


@pytest.mark.parametrize(
    ("letters", "same"),
    [pytest.param("xl", True, id="same"), pytest.param("lx", False, id="another order")],
)
def test_the_hash_tells_inks_apart(letters, same):
    first, other = (parse_inkml(inkml(text, 3.0).encode(), "n") for text in ("xl", letters))
    assert (ink_hash(first) == ink_hash(other)) is same


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CROHME2013_data/TrainINKML/HAMEX/a.inkml", "CROHME2013_data/TrainINKML"),
        ("archive/testData_2012/a.inkml", "archive/testData_2012"),
        ("HAMEX/train_1.inkml", ""),
    ],
)
def test_the_set_of_a_file(name, expected):
    assert set_of(name) == expected


# --- Im2LaTeX-100k -------------------------------------------------------------------------------

LISTS = {
    "im2latex_formulas.lst": "x\n\\frac{1}{2}\x0c\ny \xe9\nx+y\n".encode("latin-1"),
    "im2latex_train.lst": "0 aaa basic\n1 bbb basic\n",
    "im2latex_validate.lst": "3 ccc.png basic\n",
    "im2latex_test.lst": "ddd.png 3\n",
}
PICTURES = {f"formula_images/{n}.png": png("x") for n in ("aaa", "ccc", "ddd")}


@pytest.mark.parametrize(
    ("where", "part", "expected"),
    [
        pytest.param("", None, ["ddd", "aaa", "bbb", "ccc"], id="all"),
        pytest.param("", "train", ["aaa", "bbb"], id="its own split"),
        pytest.param("", "select", ["ccc"], id="validation"),
        pytest.param("im2latex_test.lst", None, ["ddd"], id="one list"),
    ],
)
def test_im2latex_as_zenodo_has_it(tmp_path, where, part, expected):
    folder = write(tmp_path / "im2latex", LISTS | PICTURES)
    examples = load_examples(str(folder / where), part=part)
    assert names(examples) == [f"{stem}.png" for stem in expected]
    by_name = {example.name: example for example in examples}
    if "bbb.png" in by_name:
        assert by_name["bbb.png"].latex == "\\frac{1}{2}\x0c"
        assert by_name["bbb.png"].encoded == b""  # missing, to be left out and listed


def test_im2latex_with_its_pictures_still_packed(tmp_path):
    folder = write(tmp_path / "im2latex", LISTS)
    pictures = write(tmp_path / "unpacked", PICTURES)
    with tarfile.open(folder / "formula_images.tar.gz", "w:gz") as archive:
        archive.add(pictures / "formula_images", "formula_images")
    assert (
        load_examples(str(folder), part="select")[0].encoded == PICTURES["formula_images/ccc.png"]
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(LISTS, "found none that a list names", id="no pictures"),
        pytest.param(
            LISTS | PICTURES | {"im2latex_train.lst": "9 aaa basic\n"},
            "line 1",
            id="no such formula",
        ),
    ],
)
def test_a_broken_im2latex_says_why(tmp_path, files, message):
    folder = write(tmp_path / "im2latex", files)
    with pytest.raises(DataError, match=message):
        load_examples(str(folder / "im2latex_train.lst"))


# --- Tables --------------------------------------------------------------------------------------


class AnyTrainee:
    """Takes whatever has ink."""

    def token_ids(self, latex: str) -> list[int]:
        if "{" in latex:
            raise TexError("unbalanced")
        return [0, 1]

    def shape(self, example) -> tuple[int, int]:
        return example.expected_shape(20)


def test_what_a_table_has_no_use_of_is_listed(tmp_path):
    table = "image\tlatex\na.png\tx\ngone.png\ty\nbroken.png\tz\nbare.png\t\nodd.png\tx^{\n"
    pictures = {f"{name}.png": png("x") for name in ("a", "bare", "odd")}
    folder = write(tmp_path / "t", {"t.tsv": table, "broken.png": b"none"} | pictures)
    encoded = encode(load_examples(str(folder)), AnyTrainee())
    assert names(encoded.examples) == ["a.png"]
    reasons = dict(encoded.left_out)
    assert set(reasons) == {"gone.png", "broken.png", "bare.png", "odd.png"}
    assert reasons["bare.png"] == "expected LaTeX, got nothing"
    assert "empty" in reasons["gone.png"]


# --- Rows of `datasets` --------------------------------------------------------------------------


@pytest.fixture
def write_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def make(kind: str = "parquet", **columns: list) -> str:
        rows = datasets.Dataset.from_dict(columns)
        for name in {"image", "scan"} & set(columns):
            rows = rows.cast_column(name, datasets.Image())
        folder = tmp_path / "rows"
        folder.mkdir()
        if kind == "saved":
            rows.save_to_disk(str(folder))
        else:
            rows.to_parquet(str(folder / "train.parquet"))
        return str(folder)

    return make


CELLS = [{"bytes": png("x"), "path": "x.png"}, None, {"bytes": png("l"), "path": None}]


@pytest.mark.parametrize("kind", ["parquet", "saved"])
def test_rows_become_examples(write_rows, kind):
    where = write_rows(kind, image=CELLS, latex=["x", "y", None])
    examples = load_examples(where)
    assert [(e.name, e.latex) for e in examples] == [
        ("x.png", "x"), ("0000001", "y"), ("0000002", ""),
    ]  # fmt: skip
    encoded = encode(examples, AnyTrainee())
    assert names(encoded.examples) == ["x.png"] and len(encoded.left_out) == 2


def test_rows_are_streamed_as_far_as_they_are_wanted(write_rows):
    where = write_rows(scan=CELLS, said=["x", "y", "z"])
    examples = load_examples(f"{where}?streaming=1&rows=2&image=scan&text=said")
    assert names(examples) == ["x.png", "0000001"]


@pytest.mark.parametrize(
    ("columns", "query", "message"),
    [
        pytest.param({"image": CELLS, "said": ["x"] * 3}, "", "LaTeX one named .*got image, said"),
        pytest.param({"page": [1], "latex": ["x"]}, "", "pictures one named .*got page, latex"),
        pytest.param({"image": CELLS, "latex": [1, 2, 3]}, "", "text in the column latex, got int"),
        pytest.param({"image": CELLS, "latex": ["x"] * 3}, "?text=a", "of LaTeX one named a, got"),
        pytest.param({"image": CELLS, "latex": ["x"] * 3}, "?split=test", "with the split test"),
    ],
    ids=["no LaTeX", "no pictures", "LaTeX that is no text", "no such column", "no such split"],
)
def test_rows_without_what_is_needed_say_so(write_rows, columns, query, message):
    with pytest.raises(DataError, match=message):
        load_examples(write_rows(**columns) + query)


def test_a_folder_of_pictures_with_metadata_as_the_app_sends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    metadata = '{"file_name": "a.png", "latex": "x+1"}\n'
    folder = write(tmp_path / "sent" / "data", {"a.png": png("x"), "metadata.jsonl": metadata})
    examples = load_examples(str(folder))
    assert [(e.name, e.latex, e.encoded) for e in examples] == [("a.png", "x+1", png("x"))]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        pytest.param("a/b?colour=red", "got colour", id="unknown option"),
        pytest.param("a/b?rows=many", "a number", id="rows that are no number"),
        pytest.param("a/b?streaming", None, id="flag without a value"),
    ],
)
def test_options_of_a_data_set(where, message):
    if message is None:
        assert not parse_source(where).streaming
        return
    with pytest.raises(DataError, match=message):
        parse_source(where)
