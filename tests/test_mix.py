"""A list out of several: every kind has its share, and no line comes twice."""

import pytest

from latexocr.errors import DataError
from trainer.data.mix import main, mixed

SCHOOL = [f"{i} + x" for i in range(200)]
RARE = [rf"\aleph_{{{i}}}" for i in range(50)]


def test_each_source_has_as_many_lines_as_it_is_given():
    found = mixed([(RARE, None), (SCHOOL, 80)])
    assert set(RARE) < set(found) and len(set(found) & set(SCHOOL)) == 80
    assert len(found) == len(set(found)) == 130


def test_what_two_sources_have_comes_once_and_empty_lines_never():
    found = mixed([([*RARE, "", " "], None), (RARE[:10] + RARE[:10], None)])
    assert sorted(found) == sorted(RARE)


def test_the_kinds_are_shuffled_and_the_seed_decides():
    found = mixed([(RARE, None), (SCHOOL, 50)])
    assert 10 < len(set(found[:50]) & set(RARE)) < 40
    assert found == mixed([(RARE, None), (SCHOOL, 50)]) != mixed([(RARE, None), (SCHOOL, 50)], 1)


def test_too_few_lines_are_an_error():
    with pytest.raises(DataError, match="source 2: expected at least 51 different lines, got 50"):
        mixed([(SCHOOL, 5), (RARE + RARE, 51)])


def test_command_line(tmp_path):
    for name, lines in (("school", SCHOOL), ("rare", RARE)):
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "out" / "mix.txt"
    main([f"{tmp_path}/school.txt:30", f"{tmp_path}/rare.txt", "--out", str(out)])
    found = out.read_text(encoding="utf-8").splitlines()
    assert len(found) == 80 and set(RARE) < set(found)
