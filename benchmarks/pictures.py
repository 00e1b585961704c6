"""Pictures to time reading with: typeset here from formulas of our own, or those of a data set."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from latexocr.render import png
from trainer.data.examples import InkExample, load_examples
from trainer.data.page_sets import load_lines
from trainer.metrics import comparable_tokens

TOKEN_GROUPS = (10, 20, 40)  # upper ends; the last group is open
EM_PX = 48.0

FORMULAS = (
    "x", "7", r"\pi", "a+b", "x=3", "y^2", "3x-7", "2n+1", "f(x)=x", r"\frac{1}{2}", r"\sqrt{2}",
    "a^2+b^2=c^2", "F=ma", r"E=mc^2", r"\sin x+\cos x", "3x^2-5x+2=0", r"\frac{a+b}{c}",
    "y=mx+n", r"\sqrt{x^2+y^2}", r"\lim_{x\to0}f(x)", r"A=\pi r^2", r"v=\frac{s}{t}",
    r"x=\frac{-b+\sqrt{d}}{2a}", r"\sum_{i=1}^{n}i=\frac{n(n+1)}{2}", r"\int_0^1 x^2dx=\frac13",
    r"(a+b)^2=a^2+2ab+b^2", r"\sin^2\alpha+\cos^2\alpha=1", r"e^{i\pi}+1=0",
    r"f'(x)=\lim_{h\to0}\frac{f(x+h)-f(x)}{h}", r"\frac{d}{dx}\sin x=\cos x",
    r"x_{1,2}=\frac{-b\pm\sqrt{b^2-4ac}}{2a}", r"\int_a^b f(x)dx=F(b)-F(a)",
    r"\frac{\partial^2u}{\partial t^2}=c^2\frac{\partial^2u}{\partial x^2}",
    r"P(A|B)=\frac{P(B|A)P(A)}{P(B|A)P(A)+P(B|\bar A)P(\bar A)}",
    r"e^x=1+x+\frac{x^2}{2}+\frac{x^3}{6}+\frac{x^4}{24}+\cdots",
    r"\sqrt{(x_1-x_2)^2+(y_1-y_2)^2+(z_1-z_2)^2}",
    r"\begin{pmatrix}a&b\\c&d\end{pmatrix}\begin{pmatrix}x\\y\end{pmatrix}"
    r"=\begin{pmatrix}ax+by\\cx+dy\end{pmatrix}",
    r"\hat f(\xi)=\int_{-\infty}^{\infty}f(x)e^{-2\pi ix\xi}dx",
    r"\zeta(s)=\sum_{n=1}^{\infty}\frac{1}{n^s}=\prod_{p}\frac{1}{1-p^{-s}}",
    r"f(x)=\frac{1}{\sigma\sqrt{2\pi}}e^{-\frac{(x-\mu)^2}{2\sigma^2}}",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class TimedPicture:
    """A picture of one formula as an encoded file, and its ink where it has been recorded."""

    name: str
    latex: str
    encoded: bytes
    strokes: tuple[np.ndarray, ...] = ()

    @property
    def n_tokens(self) -> int:
        return len(comparable_tokens(self.latex)[0])


def own_pictures() -> list[TimedPicture]:
    """Typeset from FORMULAS; no data set is needed."""
    return [
        TimedPicture(f"own_{number:02d}", latex, png(latex, EM_PX))
        for number, latex in enumerate(FORMULAS)
    ]


def set_pictures(
    data: str,
    labels: str | None = None,
    part: str | None = None,
    pictures: str | None = None,
    limit: int | None = None,
) -> list[TimedPicture]:
    """Those of a data set, arguments as trainer.measure takes them; `limit` of them are spread over
    the whole set.

    Raises: DataError as load_examples."""
    found = load_lines(Path(data), pictures) if pictures else load_examples(data, labels, part)
    step = max(1, len(found) // limit) if limit else 1
    return [
        TimedPicture(
            example.name,
            example.latex,
            _encoded(example.picture()),
            example.ink.strokes if isinstance(example, InkExample) else (),
        )
        for example in found[::step][:limit]
    ]


def _encoded(picture: bytes | np.ndarray) -> bytes:
    if isinstance(picture, bytes):
        return picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", compress_level=1)
    return file.getvalue()
