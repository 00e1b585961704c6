r"""Formulas as people write them in notebooks, of which lists from papers have few: matrices,
systems, cases, words and units among the mathematics, decimal commas, steps of a calculation.

    python -m trainer.data.school --out school.txt --count 100000
    accelerate launch trainer/finetune.py ... --formulas "[formulas.tar.gz, school.txt]"

All is made up at random; the same seed gives the same formulas. One LaTeX a line, each once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from trainer.data.ink import write_lines

LETTERS = tuple("xxxxyyzabcdnmtkuvwpqrs")
CAPITALS = tuple("ABCDEFPQRSTVX")
GREEK = (r"\theta", r"\alpha", r"\beta", r"\lambda", r"\phi", r"\pi", r"\omega", r"\mu", r"\sigma")
FUNCTIONS = (r"\sin", r"\cos", r"\tan", r"\ln", r"\log")
RELATIONS = ("=", "=", "=", "<", ">", r"\leq", r"\geq", r"\neq", r"\approx")
WORDS = (
    *("if", "otherwise", "for all", "and", "or", "not", "where", "then", "so", "since", "when"),
    *("no A", "nao A", "win", "bid", "rain", "even", "red", "max", "min", "total", "area", "dim"),
    *("si", "para", "sinon", "oder", "wenn", "rank", "odd", "heads", "const", "eff", "in", "out"),
)
UNITS = ("cm", "m", "km", "s", "kg", "N", "J", "cm^{2}", "m^{2}", "m/s", "km/h", "m^{3}", "cm^{3}")
FENCES = (("bmatrix", 5), ("pmatrix", 4), ("vmatrix", 2), ("matrix", 1))


class Scribe:
    """Makes up formulas. Every choice comes from rng."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.kinds: Sequence[tuple[Callable[[], str], int]] = (
            (self.matrix_equation, 6),
            (self.system, 3),
            (self.cases, 3),
            (self.value, 5),
            (self.probability, 3),
            (self.equation, 5),
            (self.step, 4),
            (self.derivative, 3),
            (self.integral, 2),
            (self.chain, 2),
            (self.listing, 2),
        )

    def formula(self) -> str:
        weights = np.array([weight for _, weight in self.kinds], float)
        return self.kinds[int(self.rng.choice(len(weights), p=weights / weights.sum()))][0]()

    # --- Parts --------------------------------------------------------------------------------

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, most: int = 99) -> str:
        return str(int(np.exp(self.rng.uniform(0, np.log(most + 1)))))

    def number(self) -> str:
        """Whole, with a comma, or with a point."""
        if self.chance(0.6):
            return self.integer(999)
        return self.integer() + self.pick([",", "."]) + str(self.rng.integers(1, 1000))

    def letter(self) -> str:
        found = self.pick(LETTERS)
        if self.chance(0.12):
            found = self.pick(GREEK)
        if self.chance(0.15):
            found += "_{" + self.pick(["1", "2", "0", "n", "i", "ij", "11", "k"]) + "}"
        return found

    def term(self) -> str:
        """A product with few factors."""
        options = (
            lambda: self.integer(),
            lambda: self.letter(),
            lambda: self.integer(12) + self.letter(),
            lambda: self.letter() + "^{" + self.pick(["2", "2", "3", "n", "-1", "x"]) + "}",
            lambda: self.integer(12) + self.letter() + "^{" + self.pick(["2", "3", "4"]) + "}",
            lambda: self.integer(30) + self.pick([r"\cdot ", r"\times ", "."]) + self.integer(30),
            lambda: self.pick(FUNCTIONS) + " " + self.pick([*GREEK, "x", "t"]),
            lambda: rf"\frac{{{self.integer(30)}}}{{{self.integer(30)}}}",
            lambda: rf"\frac{{{self.letter()}}}{{{self.integer(12)}}}",
            lambda: rf"\sqrt{{{self.integer()}}}",
            lambda: f"({self.letter()}{self.pick('+-')}{self.integer(12)})",
            lambda: f"({self.integer(12)}{self.letter()}^{{3}})^{{{self.pick('23')}}}",
        )
        return options[int(self.rng.integers(len(options)))]()

    def sum(self, most: int = 3) -> str:
        n = int(self.rng.integers(1, most + 1))
        start = "-" if self.chance(0.12) else ""
        return start + "".join((self.pick("++-") if i else "") + self.term() for i in range(n))

    def cell(self) -> str:
        draw = self.rng.random()
        if draw < 0.6:
            return ("-" if self.chance(0.2) else "") + self.integer(20)
        if draw < 0.8:
            return self.letter()
        if draw < 0.88:
            return ("-" if self.chance(0.3) else "") + self.pick(
                [r"\sin\theta", r"\cos\theta", r"\sin x", r"\cos\alpha", "e^{t}"]
            )
        return self.sum(2)

    def matrix(self) -> str:
        rows, columns = int(self.rng.integers(1, 4)), int(self.rng.integers(1, 4))
        rows = max(rows, 2) if columns == 1 else rows
        weights = np.array([weight for _, weight in FENCES], float)
        name = FENCES[int(self.rng.choice(len(FENCES), p=weights / weights.sum()))][0]
        body = r" \\ ".join(" & ".join(self.cell() for _ in range(columns)) for _ in range(rows))
        return rf"\begin{{{name}}} {body} \end{{{name}}}"

    def words(self) -> str:
        return rf"\text{{{self.pick(WORDS)}}}"

    # --- Lines --------------------------------------------------------------------------------

    def matrix_equation(self) -> str:
        name = self.pick([*CAPITALS, rf"\vec{{{self.pick('uvwxab')}}}", "I", "A^{T}", "A^{-1}"])
        options = (
            lambda: self.matrix(),
            lambda: f"{name}={self.matrix()}",
            lambda: f"{name}={self.matrix()}",
            lambda: f"{self.matrix()}={self.matrix()}",
            lambda: self.matrix() + self.matrix(),
            lambda: self.matrix() + self.pick(["+", "-", r"\cdot ", r"\sim "]) + self.matrix(),
            lambda: rf"\det {self.matrix()}={self.integer(30)}",
            lambda: f"{self.integer(12)}{self.matrix()}",
            lambda: self.pick(["AA^{T}=A^{T}A=I", "A^{-1}=A^{T}", "(AB)^{T}=B^{T}A^{T}", "Ax=b",
                               r"A\vec{x}=\lambda \vec{x}", r"\vec{u}\cdot \vec{v}=0", "AB=C",
                               r"\vec{u}\perp \vec{v}", r"AB\neq BA"]),
        )  # fmt: skip
        return options[int(self.rng.integers(len(options)))]()

    def system(self) -> str:
        n = int(self.rng.choice([2, 2, 2, 3]))
        lines = (f"{self.sum()}{self.pick(RELATIONS[:5])}{self.integer()}" for _ in range(n))
        return r"\begin{cases} " + r" \\ ".join(lines) + r" \end{cases}"

    def cases(self) -> str:
        x = self.pick("xxtn")
        joint = self.pick([" & ", ", & ", ", ", r" & \text{if } ", r", & \text{if } "])
        last = self.pick([rf"{x}<{self.integer(9)}", r"\text{otherwise}", r"\text{else}"])
        first = f"{self.sum(2)}{joint}{x}{self.pick(RELATIONS[3:7])} {self.integer(9)}"
        second = self.pick([self.integer(9), self.sum(2)]) + (", & " if "&" in joint else ", ")
        body = first + r" \\ " + second + last
        return rf"{self.pick('fgFhuf')}({x})=\begin{{cases}} {body} \end{{cases}}"

    def value(self) -> str:
        image = f"{self.pick('fFgh')}({self.integer(9)})"
        left = self.pick([self.letter(), self.pick(CAPITALS), image])
        sign = self.pick(["", "", "", "-", r"\pm "])
        upright = rf"\text{{{self.pick(UNITS[:6])}}}"
        unit = self.pick(["", "", self.pick(UNITS), upright, r"\%"])
        return f"{left}{self.pick(RELATIONS)} {sign}{self.number()}{unit}"

    def probability(self) -> str:
        below = f"X{self.pick(RELATIONS[3:7])} {self.pick('xyY')}"
        event = self.pick([*CAPITALS[:4], self.words(), r"\text{no }" + self.pick("AB"), r"\bar{A}",
                           below, r"A\cap B", "A|B", r"\ln Y\leq x", r"A\cup B"])  # fmt: skip
        share = rf"\frac{{{self.integer(9)}}}{{{self.integer(30)}}}"
        right = self.pick([f"0,{self.integer()}", f"0.{self.integer()}", "1-P(A)", "1-0,7",
                           share, "P(A)P(B)"])  # fmt: skip
        return f"{self.pick(['P', 'P', 'E', 'F'])}({event})={right}"

    def equation(self) -> str:
        return f"{self.sum()}{self.pick(RELATIONS)} {self.sum()}"

    def step(self) -> str:
        """A line that begins with what it follows by."""
        return self.pick(["=", "=", r"\Rightarrow ", r"\Leftrightarrow ", r"\approx "]) + self.sum(
            4
        )

    def derivative(self) -> str:
        x = self.pick("xxxt")
        partial = rf"\frac{{\partial f}}{{\partial {x}}}="
        start = self.pick([rf"\frac{{d}}{{d{x}}}", rf"\frac{{d}}{{d{x}}}", rf"\frac{{dy}}{{d{x}}}=",
                           partial, f"f'({x})=", "y'=", f"f''({x})="])  # fmt: skip
        inner = self.sum(2)
        return f"{start}{inner}" if start.endswith("=") else f"{start}({inner})={self.sum(2)}"

    def integral(self) -> str:
        low, high = self.integer(9), self.pick([self.integer(9), r"\infty", "x", r"\pi"])
        if self.chance(0.4):
            return rf"=[{self.sum(2)}]_{{{low}}}^{{{high}}}"
        limits = rf"_{{{low}}}^{{{high}}}" if self.chance(0.6) else ""
        return rf"\int {limits}{self.sum(2)} d{self.pick('xxt')}"

    def chain(self) -> str:
        arrow = self.pick([r"\rightarrow ", r"\Rightarrow ", r"\Leftrightarrow "])
        return f"{self.sum(2)}={self.sum(2)}{arrow}{self.letter()}={self.number()}"

    def listing(self) -> str:
        parts = [f"{self.letter()}={self.number()}" for _ in range(int(self.rng.integers(2, 4)))]
        return self.pick([", ", r",\quad ", r"\text{ and }"]).join(parts)


def school_formulas(count: int, seed: int = 0) -> list[str]:
    """So many different formulas."""
    scribe = Scribe(np.random.default_rng(seed))
    found: dict[str, None] = {}
    while len(found) < count:
        found[scribe.formula()] = None
    return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="text file to write")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    formulas = school_formulas(options.count, options.seed)
    write_lines(options.out, formulas)
    print(f"{options.out}: {len(formulas)} formulas")


if __name__ == "__main__":
    main()
