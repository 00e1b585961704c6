"""The figures of the documentation, from logs, data and weights.

Without data:  python -m trainer.figures --out docs/figures
Curves:        python -m trainer.figures --out docs/figures --runs runs/pretrain_print runs/mixture
Label lengths: python -m trainer.figures --out docs/figures --data crohme_train.tar.gz
With samples:  add --samples local/figures --labels TSV

What goes to --out shows no picture of a data set: curves, counts, and formulas and pages drawn
here. The same figures with pictures of --data go to --samples, which is not for publishing: most
data sets forbid it. Needs `pip install matplotlib`.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from latexocr.errors import DataError, RenderError, TexError
from latexocr.latex import canonical
from latexocr.pictures import load_picture
from latexocr.pipeline import LatexOCR
from latexocr.render import picture as typeset
from trainer.data.augment import PictureAugment, alter
from trainer.data.examples import Example, InkExample, load_examples
from trainer.data.ink import InkWriter
from trainer.data.pages import PageConfig, PageGenerator, PageSample, sheet_of
from trainer.data.strokes import InkAugment, rng_for
from trainer.loop import read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

SYMBOL_PX = 32.0  # of ink in samples
CELL_PX = (420, 110)  # width and height of a sample's cell
N_ALTERED = 3  # altered samples beside each plain one
N_PAGES = 6
N_SAMPLES = 8  # of data sets
CURVES = ("loss", "perplexity", "exprate", "f1")  # what a curve's panel may show, in this order
LABELS = {
    "loss": "loss per token",
    "perplexity": "perplexity per canonical token",
    "exprate": "expression rate, %",
    "f1": "F1 of boxes",
}
FORMULAS = (
    r"x=\frac{-b\pm\sqrt{b^2-4ac}}{2a}",
    r"\sum_{n=1}^{\infty}\frac{1}{n^2}=\frac{\pi^2}{6}",
    r"\int_0^1x^2dx=\frac{1}{3}",
    r"a_{n+1}=a_n+a_{n-1}",
    r"\lim_{n\to\infty}(1+\frac{1}{n})^n=e",
    r"\begin{pmatrix}a&b\\c&d\end{pmatrix}",
)


# --- Curves ------------------------------------------------------------------------------------


def curve(run_dir: Path, figure: str) -> tuple[list[int], list[float], str]:
    """Steps and values of one figure of a run's log, and whether they are of `train` or `select`.

    A run that went on after a kill has logged some steps twice; the last ones count."""
    for kind in ("select", "train"):
        values = {r["step"]: r[figure] for r in read_log(run_dir, kind) if figure in r}
        if values:
            steps = sorted(values)
            return steps, [values[step] for step in steps], kind
    return [], [], ""


def draw_curves(runs: Sequence[Path]) -> Figure:
    """Losses, and what the selection set says, of runs of training in one picture.

    Raises: DataError if none of them has a log."""
    shown = [name for name in CURVES if any(curve(run, name)[0] for run in runs)]
    if not shown:
        raise DataError(f"expected runs with a log.jsonl, got {', '.join(map(str, runs))}")
    figure, axes = _axes(len(shown))
    for axis, name in zip(axes, shown, strict=True):
        for run in runs:
            steps, values, kind = curve(run, name)
            if steps:
                axis.plot(steps, values, label=run.name, marker="." if kind == "select" else None)
        axis.set(xlabel="updates", ylabel=LABELS[name])
        axis.grid(alpha=0.3)
        if name == "perplexity":
            axis.set_yscale("log")
        axis.legend(frameon=False)
    return figure


def draw_lengths(sets: dict[str, Sequence[str]]) -> Figure:
    """How many tokens the canonical formulas of data sets have; those that do not parse are left
    out."""
    figure, (axis,) = _axes(1)
    lengths = {name: [n for n in map(_n_tokens, texts) if n] for name, texts in sets.items()}
    longest = np.percentile([n for found in lengths.values() for n in found], 99)
    bins = np.linspace(0, max(longest, 10), 50)
    for name, found in lengths.items():
        label = f"{name}: {len(found)} formulas, median {np.median(found):.0f}"
        axis.hist(found, bins, density=True, alpha=0.55, label=label)
    axis.set(xlabel="tokens of canonical LaTeX", ylabel="share of the formulas per token")
    axis.legend(frameon=False)
    return figure


def _n_tokens(latex: str) -> int:
    with suppress(TexError):
        return len(canonical(latex).split())
    return 0


def _axes(n: int) -> tuple[Figure, Sequence[Axes]]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # no window, whatever is set
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0 * n, 3.6), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(1, n, squeeze=False)[0]


def save_figure(figure: Figure, path: Path) -> None:
    """As SVG that is the same for the same curves."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "latexocr", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


# --- Samples -----------------------------------------------------------------------------------


def own_examples() -> list[Example]:
    """Formulas in ink that is drawn here, by no one's hand."""
    writer = InkWriter()
    inks = [writer.write(latex, rng_for(0, 0, i)) for i, latex in enumerate(FORMULAS)]
    return [InkExample(ink) for ink in inks]


def draw_altered(examples: Sequence[Example]) -> np.ndarray:
    """Each example plain, and after it as the augmentation of ink or of pictures alters it.

    Returns: (H, W, 3) uint8."""
    rows = []
    for index, example in enumerate(examples):
        rngs = [rng_for(1, n, index) for n in range(N_ALTERED)]
        if isinstance(example, InkExample):
            drawn = [example.sample(SYMBOL_PX, rng, InkAugment()).pixels for rng in rngs]
            altered = [255 - pixels for pixels in drawn]
        else:
            plain = load_picture(example.picture())
            altered = [alter(plain, PictureAugment(), rng).pixels for rng in rngs]
        rows.append(np.hstack([_cell(p) for p in (_picture(example), *altered)]))
    return np.vstack(rows)


def draw_print_altered() -> np.ndarray:
    """As draw_altered, of formulas that are typeset here."""
    rows = []
    for index, latex in enumerate(FORMULAS):
        plain = typeset(latex)
        rngs = [rng_for(2, n, index) for n in range(N_ALTERED)]
        altered = [alter(plain, PictureAugment(), rng).pixels for rng in rngs]
        rows.append(np.hstack([_cell(p) for p in (np.asarray(plain), *altered)]))
    return np.vstack(rows)


def draw_pages(examples: Sequence[Example]) -> np.ndarray:
    """Generated pages with their boxes, written with the ink of examples and with print."""
    inks = [example.ink for example in examples if isinstance(example, InkExample)]
    generator = PageGenerator(inks, list(FORMULAS), PageConfig())
    pages = [_boxed(generator.page(rng_for(3, 0, i))) for i in range(N_PAGES)]
    return sheet_of(pages, columns=N_PAGES // 2)


def _boxed(page: PageSample) -> np.ndarray:
    """As pages.with_boxes, with lines that are still seen when the page is a fifth of its size."""
    shown = page.image.copy()
    for x0, y0, x1, y1 in np.round(page.boxes).astype(int).tolist():
        cv2.rectangle(shown, (x0 - 3, y0 - 3), (x1 + 2, y1 + 2), (230, 0, 0), 3)
    return shown


def draw_readings(ocr: LatexOCR, examples: Sequence[Example]) -> np.ndarray:
    """Pictures, their truths and what is read, typeset side by side; a green rim for what is right
    to the last token."""
    rows = []
    readings = ocr.read_each([example.picture() for example in examples], n_alternatives=0)
    for example, reading in zip(examples, readings, strict=True):
        latex = "" if isinstance(reading, Exception) else reading.latex
        cells = [_cell(_picture(example)), _cell(_typeset(example.latex)), _cell(_typeset(latex))]
        right = bool(latex) and _same(latex, example.latex)
        colour = (40, 150, 70) if right else (200, 60, 40)
        cv2.rectangle(cells[2], (1, 1), (CELL_PX[0] - 3, CELL_PX[1] - 3), colour, 2)
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def _same(left: str, right: str) -> bool:
    with suppress(TexError):
        return canonical(left) == canonical(right)
    return False


def _picture(example: Example) -> np.ndarray:
    return np.asarray(load_picture(example.picture()))


def _typeset(latex: str) -> np.ndarray:
    """The formula, or its source where it cannot be drawn."""
    with suppress(RenderError, TexError):
        return np.asarray(typeset(latex).convert("RGB"))
    source = np.full((40, 400, 3), 255, np.uint8)
    text = latex.encode("ascii", "replace").decode()[:48]
    return cv2.putText(source, text, (4, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1)


def _cell(pixels: np.ndarray) -> np.ndarray:
    """A picture in a cell of CELL_PX, made smaller if it must be. (h, w) or (h, w, 3) uint8."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    width, height = CELL_PX
    zoom = min(1.0, (width - 12) / pixels.shape[1], (height - 12) / pixels.shape[0])
    small = cv2.resize(
        np.ascontiguousarray(pixels[..., :3]), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA
    )
    cell = np.full((height, width, 3), 255, np.uint8)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    cell[top : top + small.shape[0], left : left + small.shape[1]] = small
    cell[-1], cell[:, -1] = 210, 210
    return cell


def save_picture(pixels: np.ndarray, path: Path) -> None:
    """As a PNG of few colours, which is a third of the size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(64).save(path, optimize=True)


# --- The command line --------------------------------------------------------------------------


def make_figures(arguments: argparse.Namespace) -> list[Path]:
    """All figures that are asked for. Returns: where they are."""
    made: list[Path] = []

    def keep(folder: Path, name: str, figure: Any) -> None:
        path = folder / name
        (save_picture if isinstance(figure, np.ndarray) else save_figure)(figure, path)
        made.append(path)

    out, ocr, own = arguments.out, LatexOCR(arguments.model), own_examples()
    if arguments.runs:
        keep(out, "curves.svg", draw_curves(arguments.runs))
    keep(out, "augmented_ink.png", draw_altered(own))
    keep(out, "augmented_print.png", draw_print_altered())
    keep(out, "pages.png", draw_pages(own))
    keep(out, "readings.png", draw_readings(ocr, own))
    sets = {}
    for source in arguments.data:
        examples = load_examples(source, arguments.labels)
        sets[Path(source).name.partition(".")[0]] = [example.latex for example in examples]
        if arguments.samples:
            chosen = rng_for(arguments.seed, 0, 0).permutation(len(examples))[:N_SAMPLES]
            shown, name = [examples[i] for i in chosen], list(sets)[-1]
            keep(arguments.samples, f"{name}_augmented.png", draw_altered(shown))
            keep(arguments.samples, f"{name}_readings.png", draw_readings(ocr, shown))
            if any(isinstance(example, InkExample) for example in examples):
                keep(arguments.samples, f"{name}_pages.png", draw_pages(examples))
    if sets:
        keep(out, "lengths.svg", draw_lengths(sets))
    return made


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for figures that may be published")
    add("--samples", type=Path, help="folder for figures that show pictures of --data")
    add("--runs", type=Path, nargs="*", default=(), help="folders of training runs")
    add("--data", nargs="*", default=(), help="data sets, for label lengths and samples")
    add("--labels", help="TSV of truths by name, where the data has none or wrong ones")
    add("--model", help="folder or Hub repository; default: embedded weights")
    add("--seed", type=int, default=0, help="of the choice of samples")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    sizes = {str(p): p.stat().st_size for p in make_figures(parser.parse_args(argv))}
    print(json.dumps(sizes, indent=2))


if __name__ == "__main__":
    main()
