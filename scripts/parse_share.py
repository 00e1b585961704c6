"""How much of each list of formulas the parser reads, how fast, and what it stumbles over.

python scripts/parse_share.py formulas.tar.gz --limit 2000     (a folder of .txt files does as well)
"""

import argparse
import re
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run by path, without installing

from latexocr.errors import TexError
from latexocr.latex import canonical


def read_lists(where: Path) -> Iterator[tuple[str, list[str]]]:
    """(file name, formulas, one per line) of each .txt file in a folder or a .tar.gz."""
    if where.is_dir():
        for path in sorted(where.glob("*.txt")):
            yield path.name, path.read_text("utf-8", errors="replace").splitlines()
        return
    with tarfile.open(where) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".txt"):
                text = archive.extractfile(member).read().decode("utf-8", errors="replace")
                yield Path(member.name).name, text.splitlines()


def kind_of(error: TexError) -> str:
    """The error without its place, to count errors of one kind."""
    return re.sub(r" (at|opened at) character \d+", "", str(error))


def measure(formulas: list[str], examples: dict[str, str], check: bool) -> tuple[int, Counter]:
    """How many parse, and the errors of the others. check: also that the form is stable."""
    errors: Counter[str] = Counter()
    for latex in formulas:
        try:
            form = canonical(latex)
            if check and canonical(form) != form:
                raise TexError("expected a stable canonical form, got another one")
        except TexError as error:
            errors[kind_of(error)] += 1
            examples.setdefault(kind_of(error), latex)
    return len(formulas) - errors.total(), errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", type=Path, help=".tar.gz or folder of .txt, one formula a line")
    parser.add_argument("--limit", type=int, help="formulas of each list, from its beginning")
    parser.add_argument("--errors", type=int, default=3, help="kinds of error shown of each list")
    parser.add_argument("--check", action="store_true", help="parse the canonical form again")
    args = parser.parse_args()
    total, examples = Counter(), {}
    for name, formulas in read_lists(args.lists):
        start, formulas = time.perf_counter(), formulas[: args.limit]
        n_parsed, errors = measure(formulas, examples, args.check)
        seconds = time.perf_counter() - start
        total += Counter(lines=len(formulas), parsed=n_parsed)
        share = 100 * n_parsed / max(1, len(formulas))
        print(f"{name:36} {len(formulas):7} lines {share:6.2f} % {len(formulas) / seconds:7.0f}/s")
        for error, count in errors.most_common(args.errors):
            print(f"    {count:6} {error}\n           {examples[error][:160]}")
    print(f"all: {total['parsed']} of {total['lines']}")


if __name__ == "__main__":
    main()
