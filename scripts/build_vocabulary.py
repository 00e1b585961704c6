"""Write latexocr/vocabulary.txt, the canonical tokens that a recogniser can read, one on each line.

python scripts/build_vocabulary.py formulas.tar.gz --crohme crohme_train.tar.gz

It holds every token that the parser can give for LaTeX in ASCII, so that no such formula has an
unknown token, and the other tokens (accented letters, say) that are frequent in the training lists.
Folders do as well as archives. Special tokens are the tokenizer's and not in the file.
"""

import argparse
import html
import re
import string
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by path, without installing

from latexocr import latex_tables as tables
from latexocr.errors import TexError
from latexocr.latex import canonical

OUT = Path(__file__).resolve().parents[1] / "latexocr" / "vocabulary.txt"
MIN_OCCURRENCES, MIN_FORMULAS = 20, 10
TRUTH = re.compile(r'<annotation type="truth">(.*?)</annotation>', re.DOTALL)

STRUCTURE = [*"{}_^[]&~", "\\\\", r"\text", r"\operatorname", r"\mathbf", r"\sqrt", r"\substack"]
GRIDS = ("matrix", "cases", "aligned")
# In text every printable character is a token; these are written with a backslash.
ESCAPED = {character: "\\" + character for character in "#$%&_{}"}


def files(where: Path, suffix: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each file with this suffix in a folder or a .tar.gz."""
    if where.is_dir():
        for path in sorted(where.rglob(f"*{suffix}")):
            yield path.name, path.read_text("utf-8", errors="replace")
        return
    with tarfile.open(where) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(suffix):
                yield member.name, archive.extractfile(member).read().decode("utf-8", "replace")


def formulas(lists: Path, crohme: Path | None) -> Iterator[str]:
    """The training formulas: lines of the *_train.txt lists, truths of the InkML files."""
    for _, text in files(lists, "_train.txt"):
        yield from text.splitlines()
    for _, text in files(crohme, ".inkml") if crohme else ():
        if truth := TRUTH.search(text):
            yield html.unescape(truth[1])


def count(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Occurrences of each canonical token, and formulas with it. Unparsed formulas do not count."""
    occurrences, in_formulas = Counter(), Counter()
    for latex in lines:
        try:
            tokens = canonical(latex).split()
        except TexError:
            continue
        occurrences.update(tokens)
        in_formulas.update(set(tokens))
    return occurrences, in_formulas


def core() -> list[str]:
    """Every token of a canonical form in ASCII, in the order of the file."""
    printable = (ESCAPED.get(c, c) for c in string.digits + string.ascii_letters)
    marks = (ESCAPED.get(c, c) for c in string.punctuation if c != "\\")
    environments = [f"\\{edge}{{{name}}}" for name in GRIDS for edge in ("begin", "end")]
    symbols = tables.OPERATORS + tables.BIG_OPERATORS + tables.GREEK + tables.RELATIONS
    symbols += tables.BINARY + tables.OPENING + tables.CLOSING + tables.CORNERS + tables.PLAIN
    commands = [name for name, _ in tables.COMMANDS.values()] + list(tables.EXTENSIBLE_ARROWS)
    words = sorted({token for token in (*symbols, *commands) if len(token) > 1})
    return list(dict.fromkeys([*STRUCTURE, *environments, *printable, *marks, *words]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", type=Path, help="folder or .tar.gz of *_train.txt")
    parser.add_argument("--crohme", type=Path, help="folder or .tar.gz of InkML files")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    occurrences, in_formulas = count(formulas(args.lists, args.crohme))
    tokens = core()
    known = set(tokens)
    frequent = {
        token
        for token, n in occurrences.items()
        if n >= MIN_OCCURRENCES and in_formulas[token] >= MIN_FORMULAS
    }
    # Latin letters only: other scripts have too many characters to learn from a few lines.
    added = sorted(t for t in frequent - known if t.isascii() or "\u00c0" <= t <= "\u024f")
    args.out.write_text("\n".join(tokens + added) + "\n", encoding="utf-8")
    missing = occurrences.total() - sum(occurrences[token] for token in known | set(added))
    print(f"{len(tokens) + len(added)} tokens, {len(added)} of them only frequent: {added}")
    print(f"{sum(t not in occurrences for t in known)} never occur in the training formulas")
    print(f"{missing} of {occurrences.total()} tokens of these formulas are not in the file")


if __name__ == "__main__":
    main()
