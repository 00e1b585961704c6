"""The app in a process of its own, as people start it, for benchmarks and tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_S = 500  # where other programs take the processor


@contextmanager
def serve(*command: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Runs an app on a free port while the block lasts. Gives its address and its process.

    Args: command, what Python is to run; environment, what is to be other than here.
    Raises: RuntimeError if it ends at once, TimeoutError if it cannot be reached."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    words = [sys.executable, *command, "--port", str(port)]
    settings = {**os.environ, **environment}
    with subprocess.Popen(words, cwd=ROOT, env=settings, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_until_up(url, server)
            yield url, server
        finally:
            server.terminate()


def _wait_until_up(url: str, server: subprocess.Popen) -> None:
    for _ in range(2 * START_S):
        if server.poll() is not None:
            raise RuntimeError(f"the app ended with exit status {server.returncode}")
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"nothing at {url} after {START_S} s")


def resident_mb(pid: int) -> float:
    """Memory of a process in megabytes, as Linux counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise RuntimeError(f"process {pid} has no memory of its own any more")
