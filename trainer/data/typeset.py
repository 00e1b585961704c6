r"""Print: formulas of lists, typeset by pdfLaTeX in many fonts, as an archive to train on.

    python -m trainer.data.typeset formulas.tar.gz --out typeset.tar.gz --count 40000

Needs pdflatex with the preview package and pdftoppm (Debian: texlive-latex-extra, texlive-science,
texlive-fonts-extra, cm-super, poppler-utils). Each batch has one font and one resolution. Formulas
that TeX complains about are left out and counted. The archive is a TSV `picture<TAB>LaTeX` and the
PNGs, as trainer.data.examples reads it.
"""

from __future__ import annotations

import argparse
import io
import logging
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from latexocr.errors import DataError, TexError
from latexocr.latex import canonical, pretty
from latexocr.tokenizer import default_vocabulary
from trainer.data.ink import TRAINING_LISTS, read_lines
from trainer.data.truths import canonical_truths, truths_of

logger = logging.getLogger(__name__)

BATCH = 400  # formulas of one run of TeX
TEX_SECONDS = 120  # a run that takes longer hangs
MARGIN_PX = 6  # paper round the ink
PLAIN_SHARE = 0.5  # of the batches are in TeX's own font, which most of the world's formulas are in
DPI = (75, 100, 100, 120, 150, 200)  # 100 is that of Im2LaTeX-100k

FAMILIES = {
    "times": r"\usepackage{newtxtext,newtxmath}",
    "times-old": r"\usepackage{mathptmx}",
    "palatino": r"\usepackage{newpxtext,newpxmath}",
    "palatino-old": r"\usepackage{mathpazo}",
    "stix": r"\usepackage{stix}",
    "kp": r"\usepackage{kpfonts}",
    "new-century": r"\usepackage{fouriernc}",
    "utopia": r"\usepackage{fourier}",
    "charter": r"\usepackage[charter]{mathdesign}",
    "euler": r"\usepackage{eulervm}",
    "libertine": r"\usepackage{libertine}\usepackage[libertine]{newtxmath}",
    "antykwa": r"\usepackage[math]{anttor}",
    "iwona": r"\usepackage[math]{iwona}",
    "kurier": r"\usepackage[math]{kurier}",
    "cm-bright": r"\usepackage{cmbright}",
    "arev": r"\usepackage{arev}",
}
_OWN_SYMBOLS = ("stix", "times", "palatino", "kp", "libertine", "charter")
_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{amsmath}
%s\usepackage{mathtools}\usepackage{cancel}\usepackage{stmaryrd}
\usepackage[active,tightpage]{preview}\setlength\PreviewBorder{4pt}
\begin{document}
"""


def typeset(formulas: Sequence[str], preamble: str, dpi: int) -> list[np.ndarray | None]:
    """Pictures of formulas, (H, W) uint8, black on white; None where TeX complains.

    Args: formulas, LaTeX as pretty writes it; preamble, what sets the fonts; dpi, of the pictures.
    Raises: DataError if pdflatex or pdftoppm is missing."""
    for program in ("pdflatex", "pdftoppm"):
        if not shutil.which(program):
            raise DataError(f"expected {program} to typeset with, but it is not installed")
    with tempfile.TemporaryDirectory() as folder:
        pictures = _run(formulas, preamble, dpi, Path(folder))
    if pictures is not None:
        return pictures
    if len(formulas) == 1:
        return [None]
    # Some formula swallowed a page or broke the run: look for it in halves.
    middle = len(formulas) // 2
    halves = (formulas[:middle], formulas[middle:])
    return [picture for half in halves for picture in typeset(half, preamble, dpi)]


def _run(
    formulas: Sequence[str], preamble: str, dpi: int, folder: Path
) -> list[np.ndarray | None] | None:
    """As typeset; None if pages and formulas do not correspond."""
    pages = "\n".join(
        rf"\typeout{{<<{i}>>}}\begin{{preview}}$\displaystyle {latex}$\end{{preview}}"
        for i, latex in enumerate(formulas)
    )
    (folder / "f.tex").write_text(preamble + pages + "\n\\end{document}\n", "utf-8")
    tex = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", "f.tex"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(tex, timeout=TEX_SECONDS, **quiet)
    if not (folder / "f.pdf").is_file():
        return None
    subprocess.run(["pdftoppm", "-gray", "-r", str(dpi), "f.pdf", "p"], **quiet)
    files = sorted(folder.glob("p-*.pgm"))
    if len(files) != len(formulas):
        return None
    log = (folder / "f.log").read_text("latin-1")
    bad = {int(text[: text.index(">>")]) for text in log.split("<<")[1:]
           if ">>" in text[:8] and re.search(r"^! |Missing character", text, re.M)}  # fmt: skip
    return [
        None if i in bad else cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        for i, file in enumerate(files)
    ]


def preamble_of(family: str | None) -> str:
    """What sets a family of FAMILIES; None for TeX's own."""
    fonts = FAMILIES[family] + "\n" if family else ""
    return _PREAMBLE % (("" if family in _OWN_SYMBOLS else r"\usepackage{amssymb}") + fonts)


def choose(
    lines: Iterable[str], count: int, n_tokens: range, forbidden: set[str], seed: int
) -> list[str]:
    """Canonical formulas that the vocabulary writes, each once; chosen by the seed. Args: n_tokens,
    how long they may be."""
    vocabulary = set(default_vocabulary())
    lines = list(lines)
    seen, chosen = set(forbidden), []
    for i in np.random.default_rng(seed).permutation(len(lines)):
        with suppress(TexError):
            latex = canonical(lines[i])
            tokens = latex.split()
            if len(tokens) in n_tokens and vocabulary.issuperset(tokens):
                if latex not in seen:
                    chosen.append(latex)
                seen.add(latex)
        if len(chosen) == count:
            break
    return chosen


def pictures_of(formulas: Sequence[str], seed: int) -> Iterator[tuple[str, np.ndarray | None]]:
    """Formulas and their pictures, cropped to the ink; batch by batch in another font."""
    rng = np.random.default_rng(seed)
    for start in range(0, len(formulas), BATCH):
        batch = formulas[start : start + BATCH]
        family = None if rng.random() < PLAIN_SHARE else str(rng.choice(list(FAMILIES)))
        pictures = typeset([pretty(f) for f in batch], preamble_of(family), int(rng.choice(DPI)))
        for latex, picture in zip(batch, pictures, strict=True):
            yield latex, None if picture is None else _cropped(picture)


def _cropped(picture: np.ndarray) -> np.ndarray | None:
    left, top, width, height = cv2.boundingRect(cv2.inRange(picture, 0, 200))
    if not width:
        return None
    inked = picture[top : top + height, left : left + width]
    return cv2.copyMakeBorder(inked, *[MARGIN_PX] * 4, cv2.BORDER_CONSTANT, value=255)


def write_archive(pairs: Iterable[tuple[str, np.ndarray | None]], out: Path, total: int) -> Counter:
    """Write pictures and their TSV. Returns how many were written and how many left out."""
    counts, rows = Counter(), []
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, "w") as archive:
        for latex, picture in tqdm(pairs, total=total, unit="formula"):
            counts["left out" if picture is None else "written"] += 1
            if picture is not None:
                name = f"{len(rows):06d}.png"
                rows.append(f"{name}\t{latex}\n")
                _add(archive, name, cv2.imencode(".png", picture)[1].tobytes())
        _add(archive, "typeset.tsv", "".join(rows).encode())
    return counts


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description="Pictures of typeset formulas, to train on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("formulas", nargs="+", help="lists of LaTeX: .txt, folder or .tar.gz")
    parser.add_argument("--out", type=Path, required=True, help="archive to write, .tar")
    parser.add_argument("--count", type=int, default=40_000, help="number of formulas")
    parser.add_argument("--min-tokens", type=int, default=2, help="shorter ones are left out")
    parser.add_argument("--max-tokens", type=int, default=120, help="longer ones are left out")
    parser.add_argument("--lists", default=TRAINING_LISTS, help="names of the lists")
    parser.add_argument("--exclude", nargs="*", default=(), help="sets whose truths are left out")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    forbidden = {latex for path in args.exclude for latex in canonical_truths(truths_of(path))}
    lines = read_lines(args.formulas, args.lists)
    n_tokens = range(args.min_tokens, args.max_tokens + 1)
    formulas = choose(lines, args.count, n_tokens, forbidden, args.seed)
    print(dict(write_archive(pictures_of(formulas, args.seed), args.out, len(formulas))))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
