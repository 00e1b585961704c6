"""Where readings go wrong: by length, by structure, by kind of error, and symbol for symbol."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from rapidfuzz.distance import Levenshtein

from latexocr.errors import TexError
from latexocr.latex import Command, Grid, Node, Row, Scripts, is_valid, parse
from trainer.metrics import Interval, bootstrap_interval, comparable_tokens, percent
from trainer.rendered import looks_like
from trainer.structure import symbol_tree

LENGTHS = (5, 10, 20, 30, 50)  # tokens: the upper ends of the groups
DEEPEST = 3  # what is deeper counts as this deep
LOOP_LENGTH = 4  # tokens that come again LOOP_TIMES times without a pause: the decoder is stuck
LOOP_TIMES = 4
BRACES, SCRIPTS = frozenset("{}"), frozenset("^_")
GROUPINGS = ("length", "fraction", "root", "scripts", "matrix")

RIGHT, SAME_LOOK = "right", "looks the same"
KINDS = {  # in the order in which they are tried
    RIGHT: "the same comparable form",
    SAME_LOOK: "another form, but typeset alike",
    "not LaTeX": "the reading does not parse",
    "repeats itself": "the decoder went round in circles",
    "symbols elsewhere": "the right symbols, in other places or another order",
    "wrong symbols": "all places right, one symbol or more is not",
    "symbols missing": "nothing wrong but what is left out",
    "symbols too many": "nothing wrong but what was added",
    "several": "more than one of these",
}

Marked = list[tuple[str, bool]]  # tokens, and whether each differs from the other side


@dataclass(frozen=True)
class Outcome:
    """One formula, its reading, and what is to be said of it.

    true and read: comparable tokens with marks on those that differ. groups: the name of its group
    by GROUPINGS. confusions: true token and what was read in its place, "" for nothing."""

    name: str
    truth: str
    reading: str
    confidence: float
    edits: int
    kind: str
    true: Marked
    read: Marked
    groups: dict[str, str]
    confusions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return self.edits == 0


@dataclass(frozen=True)
class GroupScore:
    """How well one group of formulas is read; figures as in metrics.RecognitionScore."""

    name: str
    n: int
    exprate: float
    ci95: Interval
    cer: float


def outcome_of(name: str, truth: str, reading: str, confidence: float) -> Outcome:
    """All that is said of one reading."""
    true, _ = comparable_tokens(truth)
    read, parsed = comparable_tokens(reading)
    edits = Levenshtein.editops(true, read)
    return Outcome(
        name=name,
        truth=truth,
        reading=reading,
        confidence=confidence,
        edits=len(edits),
        kind=kind_of(truth, reading),
        true=_marked(true, {op.src_pos for op in edits if op.tag != "insert"}),
        read=_marked(read, {op.dest_pos for op in edits if op.tag != "delete"}),
        groups=groups_of(truth),
        # What does not parse is split at white space: such pieces are no tokens.
        confusions=list(_confusions(true, read)) if parsed else [],
    )


def _marked(tokens: Sequence[str], differing: set[int]) -> Marked:
    return [(token, place in differing) for place, token in enumerate(tokens)]


def _confusions(true: Sequence[str], read: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a least number of edits. Braces say nothing: a script has them, or has not."""
    for op in Levenshtein.editops(true, read):
        was = "" if op.tag == "insert" else true[op.src_pos]
        became = "" if op.tag == "delete" else read[op.dest_pos]
        pair = ("" if was in BRACES else was, "" if became in BRACES else became)
        if any(pair):
            yield pair


def kind_of(truth: str, reading: str) -> str:
    """The kind of error, out of KINDS."""
    true, _ = comparable_tokens(truth)
    read, _ = comparable_tokens(reading)
    if true == read:
        return RIGHT
    if not is_valid(reading):
        return "not LaTeX"
    if looks_like(truth, reading):
        return SAME_LOOK
    if is_loop(read) and not is_loop(true):
        return "repeats itself"
    ink_true, ink_read = (Counter(t for t in side if t not in BRACES | SCRIPTS)
                          for side in (true, read))  # fmt: skip
    if ink_true == ink_read:
        return "symbols elsewhere"
    if _same_relations(truth, reading):
        return "wrong symbols"
    if ink_read < ink_true:
        return "symbols missing"
    return "symbols too many" if ink_true < ink_read else "several"


def is_loop(tokens: Sequence[str]) -> bool:
    """Whether a run of up to LOOP_LENGTH tokens follows upon itself LOOP_TIMES times.

    A single token may be dots or digits, and has to come thrice as often."""
    for length in range(1, LOOP_LENGTH + 1):
        times = LOOP_TIMES if length > 1 else 3 * LOOP_TIMES
        same = 0
        for place in range(length, len(tokens)):
            same = same + 1 if tokens[place] == tokens[place - length] else 0
            if same >= length * (times - 1):
                return True
    return False


def _same_relations(truth: str, reading: str) -> bool:
    try:
        return symbol_tree(truth).keys() == symbol_tree(reading).keys()
    except TexError:
        return False


# --- Groups of formulas -----------------------------------------------------------------------


def groups_of(latex: str) -> dict[str, str]:
    """The group of a formula by each of GROUPINGS, by what its truth has."""
    tokens, parsed = comparable_tokens(latex)
    depths: Counter[str] = Counter()
    if parsed:
        _measure_depths(parse(latex).items, depths, {"fraction": 0, "root": 0, "scripts": 0})
    return {
        "length": length_group(len(tokens), LENGTHS),
        "fraction": _depth_group(depths["fraction"]),
        "root": _depth_group(depths["root"]),
        "scripts": _depth_group(depths["scripts"]),
        "matrix": "with" if depths["matrix"] else "without",
    }


def length_group(n_tokens: int, ends: Sequence[int]) -> str:
    """The name of the group of formulas of about this length. ends: the upper ends of the groups;
    one more, the last, is open."""
    low = 1
    for high in ends:
        if n_tokens <= high:
            return f"{low} to {high}"
        low = high + 1
    return f"over {ends[-1]}"


def _depth_group(depth: int) -> str:
    if not depth:
        return "without"
    return f"{DEEPEST} deep or more" if depth >= DEEPEST else f"{depth} deep"


def _measure_depths(nodes: Iterable[Node], deepest: Counter[str], at: dict[str, int]) -> None:
    """Notes in `deepest` how deeply fractions, roots and scripts are nested, and grids."""
    for node in nodes:
        here = dict(at)
        if isinstance(node, Command) and node.name in (r"\frac", r"\sqrt"):
            here["fraction" if node.name == r"\frac" else "root"] += 1
        if isinstance(node, Grid):
            deepest["matrix"] = 1
        for name, depth in here.items():
            deepest[name] = max(deepest[name], depth)
        if isinstance(node, Scripts):
            _measure_depths([node.base], deepest, here)
            here = here | {"scripts": here["scripts"] + 1}
            deepest["scripts"] = max(deepest["scripts"], here["scripts"])
            _measure_depths([row for row in (node.sub, node.sup) if row], deepest, here)
        else:
            _measure_depths(_children(node), deepest, here)


def _children(node: Node) -> list[Node]:
    match node:
        case Row():
            return node.items
        case Command():
            return [*node.args, *([node.option] if node.option else [])]
        case Grid():
            return list(chain.from_iterable(node.rows))
    return []


# --- Tables -----------------------------------------------------------------------------------


def group_scores(outcomes: Sequence[Outcome], grouping: str) -> list[GroupScore]:
    """One row for each group that has formulas, in the order of length or depth."""
    members: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        members[outcome.groups[grouping]].append(outcome)
    return [_score(name, members[name]) for name in sorted(members, key=_group_order)]


def _group_order(name: str) -> tuple[int, int]:
    first, _, rest = name.partition(" ")
    order = {"without": 0, "with": 1, "over": 3}.get(first, 2)
    return order, int(first if first.isdigit() else rest or 0)


def _score(name: str, outcomes: Sequence[Outcome]) -> GroupScore:
    right = np.array([outcome.is_right for outcome in outcomes])
    n_tokens = sum(len(outcome.true) for outcome in outcomes)
    edits = sum(outcome.edits for outcome in outcomes)
    cer = round(100 * edits / max(n_tokens, 1), 2)
    return GroupScore(name, len(outcomes), percent(right), bootstrap_interval(right), cer)


def kind_counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many readings are of each of KINDS, those without any left out."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def frequent_confusions(outcomes: Sequence[Outcome], limit: int = 40) -> list[tuple[str, str, int]]:
    """True token, what was read in its place ("" for nothing), and how often, over the set."""
    counts = Counter(pair for outcome in outcomes for pair in outcome.confusions)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(was, became, count) for (was, became), count in ordered[:limit]]
