"""How many formulas of lists can be typeset here without TeX, how long it takes, and whether each
looks like itself.

python -m benchmarks.rendering formulas/*_validate.txt                     (one formula a line)
python -m benchmarks.rendering formulas/*_validate.txt --sample 50 --out /tmp     a quick look

What our own parser cannot read, macros and links among it, is never drawn and is counted as that.
Formulas of each list are sampled with a fixed seed.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.stored import RESULTS, store
from latexocr import render
from latexocr.errors import RenderError
from latexocr.latex import is_valid
from trainer.rendered import looks_like


@dataclass
class Drawn:
    """How many formulas of a list were asked for, read by the parser, drawn, and drawn so that they
    match themselves; the time of drawing; why the others were refused."""

    n: int = 0
    parsed: int = 0
    drawn: int = 0
    alike: int = 0
    seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Drawn) -> Drawn:
        return Drawn(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def row(self, name: str) -> dict[str, Any]:
        """Shares in percent."""
        return {
            "formulas_of": name,
            "n": self.n,
            "parsed_percent": round(100 * self.parsed / self.n, 2),
            "drawn_percent": round(100 * self.drawn / self.n, 2),
            "looks_like_itself_percent": round(100 * self.alike / max(1, self.drawn), 2),
            "ms_each": round(1000 * self.seconds / self.n, 2),
        }


def draw_all(formulas: Sequence[str]) -> Drawn:
    found = Drawn()
    for latex in formulas:
        found.n += 1
        found.parsed += is_valid(latex)
        start = time.perf_counter()
        try:
            render.picture(latex)
        except RenderError as error:
            found.refused[str(error)[:100]] += 1
            continue
        finally:
            found.seconds += time.perf_counter() - start
        found.drawn += 1
        found.alike += looks_like(latex, latex)
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", type=Path, nargs="+", help="text files, one formula a line")
    parser.add_argument("--sample", type=int, default=1000, help="formulas of each list")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of rendering.json")
    options = parser.parse_args(argv)
    chance, rows, everything = random.Random(options.seed), [], Drawn()
    for path in options.lists:
        lines = path.read_text("utf-8", errors="replace").splitlines()
        lines = [line for line in lines if line.strip()]
        if not lines:
            parser.error(f"{path}: expected a formula a line, found none")
        found = draw_all(chance.sample(lines, min(options.sample, len(lines))))
        everything += found
        rows.append(found.row(path.stem))
        print(rows[-1])
        for message, count in found.refused.most_common(5):
            print(f"    {count:4} {message}")
    rows.append(everything.row("all of these"))
    print(rows[-1])
    print(store("rendering", 1, {"lists": rows}, options.out))


if __name__ == "__main__":
    main()
