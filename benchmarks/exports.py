"""How many formulas of lists can be written in each format, and whether what was written is sound.

python -m benchmarks.exports formulas/*_validate.txt                       (one formula a line)
python -m benchmarks.exports formulas/*_validate.txt --sample 20 --out /tmp     a quick look

LaTeX is parsed again and must be the same formula; MathML and Word's markup must hold the elements
that their standards allow, and the .docx must open; Typst must compile; an SVG must be well formed
and a PNG hold ink. The formulas are sampled from those that the parser reads, with a fixed seed.
"""

import argparse
import io
import random
import re
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from benchmarks.stored import RESULTS, store
from latexocr import render
from latexocr.errors import ExportError, RenderError, TexError
from latexocr.export import FORMATS, export
from latexocr.export_mathml import NAMESPACE as MATHML
from latexocr.export_omml import NAMESPACE as OMML
from latexocr.latex import canonical, pretty

if TYPE_CHECKING:
    import typst

# Children of each element of MathML that we write; those without an entry hold text only.
MATHML_CHILDREN = {
    "math": "any",
    "mrow": "any (any)+",
    "mfrac": "any any",
    "msqrt": "any",
    "mroot": "any any",
    "msub": "any any",
    "msup": "any any",
    "msubsup": "any any any",
    "munder": "any any",
    "mover": "any any",
    "munderover": "any any any",
    "menclose": "any",
    "mtable": "(mtr)+",
    "mtr": "(mtd)+",
    "mtd": "(any)?",
}
MATHML_TEXT = ("mi", "mn", "mo", "mtext", "mspace")
_OMML_ANY = (
    "(acc|bar|borderBox|box|d|eqArr|f|func|groupChr|limLow|limUpp|m|nary|r|rad|sSub|sSubSup|sSup)"
)
_MATHML_ANY = r"(?!mtr|mtd)\w+"
# Children of each element of Word's maths, in their order: ECMA-376 part 1, shared-math.xsd.
OMML_CHILDREN = {
    "oMathPara": "oMath",
    **dict.fromkeys(("oMath", "e", "num", "den", "sub", "sup", "lim", "deg", "fName"), "(any)*"),
    "r": "(rPr)? (w:rPr)? t",
    "rPr": "nor|(scr)? (sty)?",
    "acc": "accPr e",
    "accPr": "chr",
    "bar": "barPr e",
    "barPr": "pos",
    "box": "boxPr e",
    "boxPr": "opEmu",
    "borderBox": "(borderBoxPr)? e",
    "borderBoxPr": "hideTop hideBot hideLeft hideRight (strikeBLTR)? (strikeTLBR)?",
    "d": "dPr e",
    "dPr": "begChr endChr",
    "eqArr": "(e)+",
    "f": "(fPr)? num den",
    "fPr": "type",
    "func": "fName e",
    "groupChr": "groupChrPr e",
    "groupChrPr": "chr pos vertJc",
    "limLow": "e lim",
    "limUpp": "e lim",
    "m": "mPr (mr)+",
    "mPr": "plcHide mcs",
    "mcs": "mc",
    "mc": "mcPr",
    "mcPr": "count mcJc",
    "mr": "(e)+",
    "nor": "",
    "nary": "naryPr sub sup e",
    "naryPr": "chr limLoc (subHide)? (supHide)?",
    "rad": "(radPr)? deg e",
    "radPr": "degHide",
    "sSub": "e sub",
    "sSup": "e sup",
    "sSubSup": "e sub sup",
}


def check_mathml(written: str, latex: str) -> None:
    """Raises: ValueError where an element is unknown or has not the children it must have."""
    root = ElementTree.fromstring(written)
    if root.tag != f"{{{MATHML}}}math" or root.get("display") != "block":
        raise ValueError("no displayed math element")
    for element in root.iter():
        name = element.tag.removeprefix(f"{{{MATHML}}}")
        if name in MATHML_TEXT:
            if len(element) or (not element.text and name not in ("mi", "mspace")):
                raise ValueError(f"{name} holds {len(element)} elements, text {element.text!r}")
            continue
        children = [child.tag.removeprefix(f"{{{MATHML}}}") for child in element]
        _check_children(name, children, MATHML_CHILDREN)


def check_omml(root: ElementTree.Element) -> None:
    """Raises: ValueError where an element of Word's maths has not the children it must have."""
    for element in root.iter():
        space, _, name = str(element.tag).rpartition("}")
        if space != f"{{{OMML}" or name == "t":
            continue
        children = [
            ("" if child.tag.startswith(space) else "w:") + child.tag.rpartition("}")[2]
            for child in element
        ]
        if name in OMML_CHILDREN:
            _check_children(name, children, OMML_CHILDREN)
        elif children or f"{{{OMML}}}val" not in element.attrib:
            raise ValueError(f"unknown element {name} of {children}")


def _check_children(name: str, children: list[str], rules: dict[str, str]) -> None:
    if name not in rules:
        raise ValueError(f"unknown element {name}")
    kind = _OMML_ANY if rules is OMML_CHILDREN else _MATHML_ANY
    pattern = re.sub(r"[\w:]+", lambda m: f"({kind if m[0] == 'any' else m[0]},)", rules[name])
    if not re.fullmatch(pattern.replace(" ", ""), "".join(f"{child}," for child in children)):
        raise ValueError(f"{name} holds {children}, expected {rules[name]}")


def check_docx(written: bytes, latex: str) -> None:
    from docx import Document

    body = Document(io.BytesIO(written)).element.body
    roots = [element for element in body.iter() if element.tag == f"{{{OMML}}}oMathPara"]
    if len(roots) != 1:
        raise ValueError(f"{len(roots)} equations instead of one")
    check_omml(roots[0])


def check_typst(written: str, latex: str) -> None:
    source = f"#set page(width: auto, height: auto)\n{written}"
    _typst_compiler().compile(input=source.encode(), format="svg")


@cache
def _typst_compiler() -> "typst.Compiler":
    """One for all: each looks for fonts when it is made."""
    import typst

    return typst.Compiler()


def check_latex(written: str, latex: str) -> None:
    if r"\begin{document}" in written:
        written = written.split(r"\begin{document}")[1].split(r"\end{document}")[0]
    if canonical(written) != canonical(latex):
        raise ValueError("parsed again it is another formula")


def check_svg(written: str, latex: str) -> None:
    root = ElementTree.fromstring(written)
    if not any(element.tag.endswith("}path") for element in root.iter()):
        raise ValueError("nothing is drawn")


def check_png(written: bytes, latex: str) -> None:
    with Image.open(io.BytesIO(written)) as picture:
        if picture.convert("L").getextrema()[0] > 128:
            raise ValueError("nothing is drawn")


Writer = Callable[[str], str | bytes]
Check = Callable[[str | bytes, str], None]
_OWN_CHECKS = {"mathml": check_mathml, "docx": check_docx, "typst": check_typst}
EXPORTS: dict[str, tuple[Writer, Check]] = {
    **{
        name: (partial(export, format=name), _OWN_CHECKS.get(name, check_latex)) for name in FORMATS
    },
    "svg": (render.svg, check_svg),
    "png": (render.png, check_png),
}


def sample(lists: list[Path], size: int, seed: int) -> list[str]:
    """Pretty formulas, as many from each list, of those that the parser reads."""
    chance, formulas = random.Random(seed), []
    for number, path in enumerate(lists):
        lines = path.read_text("utf-8", errors="replace").splitlines()
        wanted = size * (number + 1) // len(lists) - len(formulas)
        readable = _readable(chance.sample(lines, len(lines)))
        formulas += [latex for latex, _ in zip(readable, range(wanted), strict=False)]
    return formulas


def _readable(lines: list[str]) -> Iterator[str]:
    for line in lines:
        try:
            form = pretty(canonical(line))
        except TexError:
            continue
        if form:
            yield form


def measure(name: str, formulas: list[str]) -> tuple[dict[str, Any], Counter[str]]:
    """How many formulas were written and how many of these are sound, in percent, with the time of
    both; and what went wrong with the others."""
    write, check = EXPORTS[name]
    n_written, n_sound, wrong = 0, 0, Counter()
    start = time.perf_counter()
    for latex in formulas:
        try:
            written = write(latex)
        except (ExportError, RenderError) as error:
            wrong[f"refused: {error}"] += 1
            continue
        n_written += 1
        try:
            check(written, latex)
            n_sound += 1
        except Exception as error:  # whatever a checker of another library raises
            wrong[f"unsound: {str(error)[:60]}: {latex[:60]}"] += 1
    seconds = time.perf_counter() - start
    row = {
        "format": name,
        "n": len(formulas),
        "written_percent": round(100 * n_written / len(formulas), 1),
        "sound_percent": round(100 * n_sound / max(1, n_written), 1),
        "ms_each_with_the_check": round(1000 * seconds / len(formulas), 1),
    }
    return row, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", type=Path, nargs="+", help="text files, one formula a line")
    parser.add_argument("--sample", type=int, default=200, help="formulas, in equal parts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", nargs="+", default=list(EXPORTS), choices=list(EXPORTS))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of exports.json")
    args = parser.parse_args()
    formulas = sample(args.lists, args.sample, args.seed)
    if not formulas:
        parser.error("expected at least one formula that the parser reads, got none")
    rows: list[dict[str, Any]] = []
    for name in args.formats:
        row, wrong = measure(name, formulas)
        rows.append(row)
        print(row)
        for message, count in wrong.most_common(5):
            print(f"    {count:4} {message}")
    print(store("exports", 1, {"formats": rows}, args.out))


if __name__ == "__main__":
    main()
