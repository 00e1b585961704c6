"""A list of formulas with rare commands: each command often enough, none of them too often."""

from collections import Counter

import pytest

from trainer.data.gather import COMMAND, gathered, main, rare_commands

COMMON = [rf"\frac{{{i}}}{{x}} + \sin {i}" for i in range(1000)]
SINH = [rf"\sinh({i}x)" for i in range(30)]
BOTH = [rf"\tanh {i} = \frac{{\sinh {i}}}{{\cosh {i}}}" for i in range(8)]


def counts(lines):
    return Counter(command for line in lines for command in set(COMMAND.findall(line)))


def test_each_command_has_as_many_as_there_are_up_to_the_most():
    found = gathered([COMMON + SINH, BOTH], {r"\sinh", r"\tanh", r"\gcd"}, 20)
    assert counts(found)[r"\tanh"] == 8 and r"\gcd" not in counts(found)
    assert 20 <= counts(found)[r"\sinh"] <= 28  # those with \tanh come for its sake
    assert set(found) <= {*SINH, *BOTH} and len(set(found)) == len(found)


def test_the_first_list_comes_first_and_the_seed_decides():
    found = gathered([SINH[:20], SINH[20:]], {r"\sinh"}, 25)
    assert set(SINH[:20]) < set(found) and len(found) == 25
    assert found == gathered([SINH[:20], SINH[20:]], {r"\sinh"}, 25)
    assert found != gathered([SINH[:20], SINH[20:]], {r"\sinh"}, 25, seed=1)


def test_a_command_is_not_taken_for_a_longer_one():
    assert gathered([[r"\sinh x", r"\in X", r"a \% b"]], {r"\sin", r"\%"}, 5) == [r"a \% b"]


def test_what_is_rare_is_counted_in_formulas():
    rare = rare_commands(COMMON + SINH + BOTH, 0.02)
    assert {r"\cosh", r"\tanh", r"\gcd"} <= rare
    assert rare.isdisjoint({r"\sinh", r"\frac", r"\sin", "x"})


@pytest.mark.parametrize("chosen", [(), (r"\tanh",)])
def test_command_line(tmp_path, chosen):
    for name, lines in (("a_train.txt", COMMON + SINH), ("b_train.txt", BOTH)):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "out" / "gathered.txt"
    commands = ["--commands", *chosen] if chosen else ["--below", "0.02"]
    main([*(str(tmp_path / f"{n}_train.txt") for n in "ab"), "--out", str(out), *commands])
    found = out.read_text(encoding="utf-8").splitlines()
    assert set(found) == set(BOTH)
