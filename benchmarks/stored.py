"""Where figures of benchmarks are stored, and what they are worth nothing without: the machine."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "onnxruntime")


def machine(n_threads: int) -> dict[str, Any]:
    """Processor, memory and versions. Args: n_threads that were used."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": n_threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),  # at the end; this program is in it
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def peak_memory_mb() -> float:
    """The most memory that this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def store(name: str, n_threads: int, content: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result as JSON, with the date, the machine and the command. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command(),
        "machine": machine(n_threads),
        **content,
    }
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def command(argv: Sequence[str] | None = None) -> str:
    """The command line that is running, with names in place of absolute paths."""
    words = list(sys.argv if argv is None else argv)
    program = Path(words[0])
    package = program.parent.name
    known = package in ("benchmarks", "trainer")
    start = f"python -m {package}.{program.stem}" if known else program.name
    return " ".join([start, *(_name(word) for word in words[1:])])


def _name(word: str) -> str:
    return Path(word).name if Path(word).is_absolute() else word
