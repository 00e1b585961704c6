"""Settings of a run: frozen dataclasses, filled from one YAML file and the command line.

    config = parse_config(FinetuneConfig, ["--config", "run.yaml", "--optim.peak_lr", "3e-4"])

A default is written once, in the dataclass. Every key of it is an option: `--data`,
`--model.symbol_px`.
"""

import argparse
import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from latexocr.errors import DataError

C = TypeVar("C")


class ConfigError(DataError):
    """A setting is unknown, of the wrong type or out of range."""


def parse_config(kind: type[C], argv: Sequence[str] | None = None, description: str = "") -> C:
    """The run's settings: defaults, then the file given by --config, then the options.

    Raises: ConfigError if a key is unknown or its value does not fit."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, help="YAML file of settings")
    defaults = _flat(_defaults(kind))
    for key, default in defaults.items():
        parser.add_argument(f"--{key}", dest=key, metavar="VALUE", help=f"default: {default}")
    options = vars(parser.parse_args(argv))
    path = options.pop("config")
    settings = _read_yaml(path) if path else {}
    for key, text in options.items():
        if text is not None:
            _put(settings, key, yaml.load(text, _Loader))
    return build(kind, settings)


class _Loader(yaml.SafeLoader):
    """As in YAML 1.2, only true and false are bool: `no` is a number format, not a refusal."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def build(kind: type[C], settings: dict[str, Any], where: str = "") -> C:
    """A dataclass from a dictionary of its fields, nested dataclasses from nested dictionaries.

    Raises: ConfigError if a key is unknown or a value does not fit its field's type."""
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(settings) - set(hints))
    if unknown:
        known = ", ".join(sorted(hints))
        raise ConfigError(f"unknown setting {where}{unknown[0]}; expected one of {known}")
    values = {key: _convert(hints[key], value, f"{where}{key}") for key, value in settings.items()}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where or kind.__name__}: {error}") from error


def to_dict(config: Any) -> dict[str, Any]:
    """The inverse of build, for logs and for the record beside the weights."""
    return dataclasses.asdict(config)


def _defaults(kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        inner = hints[field.name]
        if dataclasses.is_dataclass(inner):
            found[field.name] = _defaults(inner)
        elif field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
        else:
            found[field.name] = "required"
    return found


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _put(settings: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        settings = settings.setdefault(parent, {})
    settings[last] = value


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: expected a YAML file of settings, got {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected keys and values, got {type(settings).__name__}")
    return settings


def _convert(hint: Any, value: Any, where: str) -> Any:
    """The value as the hinted type; YAML reads 3e-4 as text, and 1 where a float is meant."""
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected keys and values, got {value!r}")
        return build(hint, value, f"{where}.")
    if isinstance(hint, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        inner = typing.get_args(hint)[0]
        return tuple(_convert(inner, item, where) for item in value)
    return _convert_plain(hint, value, where)


def _convert_plain(hint: type, value: Any, where: str) -> Any:
    if hint is str and isinstance(value, str | int | float):
        return str(value)
    try:
        fits = isinstance(value, bool) if hint is bool else not isinstance(value, bool)
        if fits and not (hint is int and float(value) != int(value)):
            return hint(value)
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
