"""Training started as users start it, `accelerate launch`, in processes that can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 240


def launch(script: str, settings: Path, output: Path, *options: str) -> subprocess.Popen:
    """A run named `run` in the folder output, of a script of trainer/ with a file of settings."""
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *(f"trainer/{script}", "--config", str(settings), "--output", str(output)),
        *("--name", "run", *options),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that launcher, trainer and workers can be killed together
    )


def finish(process: subprocess.Popen) -> str:
    """What a run that ends well has printed."""
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, output
    return output


def undisturbed(script: str, settings: Path, output: Path) -> Path:
    """The folder output, after a whole run in it."""
    finish(launch(script, settings, output))
    return output


def kill_after(process: subprocess.Popen, output: Path, n_steps: int) -> None:
    """Kill a run and all its processes, as a power cut would, once it has made some steps."""
    deadline = time.monotonic() + TIMEOUT_S
    while len(records(output, "train")) < n_steps:
        alive = time.monotonic() < deadline and process.poll() is None
        assert alive, f"{n_steps} steps were not made"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def records(output: Path, kind: str) -> list[dict]:
    """Lines of one kind of a run's log."""
    log = output / "run" / "log.jsonl"
    if not log.exists():
        return []
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def by_step(output: Path, kind: str, figure: str) -> dict[int, float]:
    """A figure of one kind of records. Of a step that was made twice the last one counts."""
    return {row["step"]: row[figure] for row in records(output, kind)}
