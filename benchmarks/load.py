"""Many people drawing at once: how long each waits, whether anybody gets another one's reading, and
whether the app's memory grows.

python -m benchmarks.load                              20 people, 1,000 strokes, the app is started
python -m benchmarks.load --people 3 --strokes 30      a quick look
python -m benchmarks.load --url http://HOST:7860       a running app, whose memory is not looked at

Each simulated person does what a browser does: send the pad after each stroke, wait for the
reading, pause, go on. Drawings are our own (scripts/drawings.py), a different one per person, of
which one that stands alone is read first; under load the reading has to be the same.
"""

import argparse
import asyncio
import base64
import io
import json
import os
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from PIL import Image

from app_pad import START
from benchmarks.serving import resident_mb, serve
from benchmarks.stored import RESULTS, store
from scripts.drawings import FORMULAS, ink

PAPER_PX = (900, 320)
TIMEOUT_S = 300
SHARES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Wiring:
    """What of the app's description a browser needs for the pad: numbers of a part and a call."""

    pad: int  # the component that takes drawings
    call: int  # the function that reads them
    source: int  # place of the LaTeX among what the call gives


@dataclass
class Result:
    """Figures of one run; times in seconds, from sending a stroke to having its reading."""

    people: int
    strokes: int
    failed: int = 0
    wrong: int = 0  # readings that belong to another drawing
    seconds: float = 0.0
    latency_s: dict[str, float] = field(default_factory=dict)  # by percentile
    memory_mb: list[float] = field(default_factory=list)  # at ten times, first to last


def find_wiring(config: dict[str, Any]) -> Wiring:
    """The pad of an app, and the call that reads it, out of /config.

    Raises: ValueError if the app has none, as one of another version may."""
    parts = {part["id"]: part for part in config["components"]}
    for i, part in parts.items():
        if "pad" not in part["props"].get("elem_classes", ()):
            continue
        for call in config["dependencies"]:
            if (i, "input") in map(tuple, call["targets"]):
                return Wiring(i, call["id"], _place_of_source(call["outputs"], parts))
    raise ValueError("expected an app with a pad that is read after each stroke, got one without")


def _place_of_source(outputs: Sequence[int], parts: dict[int, dict]) -> int:
    return next(
        place
        for place, output in enumerate(outputs)
        if "source" in parts[output]["props"].get("elem_classes", ())
    )


class Person:
    """A browser, as far as the app can tell."""

    def __init__(self, client: httpx.AsyncClient, prefix: str, wiring: Wiring) -> None:
        self.client, self.prefix, self.wiring = client, prefix, wiring
        self.session = uuid4().hex

    async def draw(self, png: bytes) -> str:
        """Send a drawing and wait for what it says.

        Raises: RuntimeError if the app answers with an error."""
        body = {
            "data": [START + base64.b64encode(png).decode()],
            "fn_index": self.wiring.call,
            "trigger_id": self.wiring.pad,
            "session_hash": self.session,
            "event_data": None,
        }
        joined = await self.client.post(f"{self.prefix}/queue/join", json=body)
        joined.raise_for_status()
        return await self._answer(joined.json()["event_id"])

    async def _answer(self, event: str) -> str:
        address = f"{self.prefix}/queue/data"
        parameters = {"session_hash": self.session}
        async with self.client.stream("GET", address, params=parameters) as lines:
            async for line in lines.aiter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") != "process_completed" or message.get("event_id") != event:
                    continue
                if not message["success"]:
                    raise RuntimeError(f"the app answered: {message['output']}")
                return str(message["output"]["data"][self.wiring.source])
        raise RuntimeError("the app ended the connection without an answer")


def drawings(n: int) -> list[bytes]:
    """n drawings that differ, as PNG: formulas of ours with different pens."""
    made = []
    for i in range(n):
        formula = list(FORMULAS)[i % len(FORMULAS)]
        layer = ink(formula, PAPER_PX, pen_px=2 + i // len(FORMULAS))
        paper = Image.new("RGB", layer.size, "white")
        paper.paste(layer, mask=layer)
        paper.save(data := io.BytesIO(), "PNG")
        made.append(data.getvalue())
    return made


async def run(url: str, people: int, strokes: int, pause_s: float, pid: int | None) -> Result:
    """Let people draw, so many strokes all together."""
    pngs = drawings(people)
    result = Result(people, strokes)
    limits = httpx.Limits(max_connections=4 * people + 10)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits) as client:
        config = (await client.get("/config")).raise_for_status().json()
        prefix, wiring = config.get("api_prefix", "/gradio_api"), find_wiring(config)
        crowd = [Person(client, prefix, wiring) for _ in range(people)]
        truths = [await person.draw(png) for person, png in zip(crowd, pngs, strict=True)]
        latencies: list[float] = []
        shares = [strokes // people + (i < strokes % people) for i in range(people)]
        started = time.perf_counter()
        await asyncio.gather(
            *(
                _keep_drawing(person, png, truth, share, pause_s, latencies, result, pid)
                for person, png, truth, share in zip(crowd, pngs, truths, shares, strict=True)
            )
        )
        result.seconds = round(time.perf_counter() - started, 2)
    result.latency_s = percentiles(latencies)
    return result


async def _keep_drawing(
    person: Person,
    png: bytes,
    truth: str,
    strokes: int,
    pause_s: float,
    latencies: list[float],
    result: Result,
    pid: int | None,
) -> None:
    chance = random.Random(person.session)
    for _ in range(strokes):
        await asyncio.sleep(chance.uniform(0.5, 1.5) * pause_s)
        started = time.perf_counter()
        try:
            read = await person.draw(png)
        except (httpx.HTTPError, RuntimeError):
            result.failed += 1
            continue
        latencies.append(time.perf_counter() - started)
        result.wrong += read != truth
        if pid is not None and len(latencies) % max(1, result.strokes // 10) == 0:
            result.memory_mb.append(round(resident_mb(pid), 1))


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """Percentiles of times, by their names; empty without any."""
    if len(latencies) < 2:
        return {f"p{share}": round(time, 3) for time in latencies for share in SHARES}
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {f"p{share}": round(cuts[share - 1], 3) for share in SHARES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a running app (default: one is started)")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--strokes", type=int, default=1000, help="of all people together")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two strokes")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for load.json")
    arguments = parser.parse_args()
    place = nullcontext((arguments.url, None)) if arguments.url else serve("app.py")
    with place as (url, server):
        amount = (arguments.people, arguments.strokes, arguments.pause)
        result = asyncio.run(run(url, *amount, server and server.pid))
    record = {"pause_s": arguments.pause, **asdict(result)}
    cores = len(os.sched_getaffinity(0))
    print(store("load", cores, record, arguments.out).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
