"""A program of benchmarks in a process that has done nothing else."""

import json
import os
import subprocess
import sys
from typing import Any

from latexocr.errors import ModelError


def run_alone(module: str, *arguments: str, n_threads: int) -> dict[str, Any]:
    """The JSON that python -m benchmarks.MODULE prints as its last line.

    Raises: ModelError if it fails, with what it said last."""
    line = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise ModelError(f"expected a reading, got: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])
