"""Settings: file, options, and what is wrong with them."""

import re
from dataclasses import dataclass, field

import pytest

from trainer.config import ConfigError, parse_config, to_dict


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    name: str = "run"
    steps: int = 10
    fast: bool = False
    start: str | None = None
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("name: file\nsteps: 20\ninner:\n  rate: 3e-4\n")
    argv = ["--config", str(path), "--steps", "30", "--inner.widths", "[4, 5, 6]", "--fast", "true"]
    config = parse_config(Outer, argv)
    assert config == Outer("file", 30, True, None, Inner(3e-4, (4, 5, 6)))


@pytest.mark.parametrize("word", ["no", "off", "yes", "n"])
def test_a_word_that_old_yaml_takes_for_a_truth_value_stays_a_word(tmp_path, word):
    path = tmp_path / "run.yaml"
    path.write_text(f"name: {word}\n")
    assert parse_config(Outer, ["--config", str(path)]).name == word
    assert parse_config(Outer, ["--name", word]).name == word
    assert parse_config(Outer, ["--fast", "true"]).fast
    with pytest.raises(ConfigError, match="expected bool"):
        parse_config(Outer, ["--fast", word])


def test_without_anything_the_defaults_hold():
    assert parse_config(Outer, []) == Outer()


def test_as_dictionary():
    assert to_dict(Outer())["inner"] == {"rate": 0.1, "widths": (1, 2)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "stepz: 3", "unknown setting stepz; expected one of fast, inner", id="unknown"
        ),
        pytest.param("inner:\n  rat: 3", "unknown setting inner.rat", id="unknown inside"),
        pytest.param("steps: 1.5", "steps: expected int, got 1.5", id="not whole"),
        pytest.param("steps: many", "steps: expected int, got 'many'", id="not a number"),
        pytest.param("fast: 1", "fast: expected bool, got 1", id="not a truth value"),
        pytest.param("inner: 3", "inner: expected keys and values, got 3", id="not nested"),
        pytest.param("inner:\n  widths: 3", "inner.widths: expected a list", id="not a list"),
        pytest.param("steps: 0", "steps must be at least 1, got 0", id="out of range"),
        pytest.param("- 1", "expected keys and values, got list", id="no mapping"),
        pytest.param("a: [", "expected a YAML file", id="no YAML"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_config(Outer, ["--config", str(path)])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: expected a YAML file"):
        parse_config(Outer, ["--config", str(tmp_path / "nowhere.yaml")])
