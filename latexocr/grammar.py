r"""Which tokens may come next, so that whatever is written is LaTeX that can be parsed.

A network sometimes forgets a brace, or closes one too many: what it wrote can then be neither
rendered nor exported. The grammar of canonical LaTeX is a small pushdown automaton; a decoder asks
it before each token and never leaves it.

    grammar = Grammar(vocabulary, end="</s>", special=("<pad>", "<s>"))
    state = grammar.start
    log_probabilities = grammar.constrained([state], log_probabilities)     # (1, V), by id
    state = grammar.after(state, token_id)
    missing = grammar.completion(state)          # ids that make a broken-off formula whole
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import torch
from torch import Tensor

from latexocr import latex_tables as tables

MAX_OPEN = 40  # groups in each other; the parser has a limit too


class Row(Enum):
    """What a row of tokens is the inside of, which decides how it ends."""

    FORMULA = "formula"
    GROUP = "group"  # an argument, or braces round a base
    SUB = "subscript"
    SUP = "superscript"
    OPTION = "option"  # [ ]
    TEXT = "text"
    STACK = "stack"  # lines in braces
    GRID = "grid"  # an environment


class Hook(Enum):
    """Which scripts the last thing of a row can still take."""

    NOTHING = "nothing"  # there is nothing yet
    BOTH = "both"
    SUP = "superscript"  # it has its subscript, which comes first
    NONE = "none"


@dataclass(frozen=True)
class Frame:
    """An open row. n_open: groups that must follow at once, each being an `opens`; takes_option: it
    may be a [ ] before them; environment: of a grid, its name; outer: the row that it is in."""

    row: Row = Row.FORMULA
    hook: Hook = Hook.NOTHING
    n_open: int = 0
    opens: Row = Row.GROUP
    takes_option: bool = False
    environment: str = ""
    depth: int = 0
    outer: Frame | None = None


_SCRIPT_HOOKS = {Row.SUB: Hook.SUP, Row.SUP: Hook.NONE}
_WITH_OPTION = frozenset((r"\sqrt", *tables.EXTENSIBLE_ARROWS))
_ARGUMENTS: dict[str, tuple[int, Row]] = {
    **{token: (n, Row.GROUP) for token, (_, n) in tables.COMMANDS.items()},
    **dict.fromkeys((*_WITH_OPTION, r"\operatorname", r"\mathbf"), (1, Row.GROUP)),
    r"\text": (1, Row.TEXT),
    r"\substack": (1, Row.STACK),
}
# Tokens that are no ink, and ' ~ which are only so in text.
_MARKS = frozenset(("{", "}", "_", "^", "&", "\\\\", "~", "'"))
_IN_TEXT = frozenset(("~", "'", r"\$", r"\%", r"\&", r"\#", r"\_", r"\{", r"\}"))


class Grammar:
    """The automaton for one vocabulary. Tokens that it does not know are plain symbols."""

    def __init__(
        self, vocabulary: Mapping[str, int], end: str, special: Collection[str] = ()
    ) -> None:
        """Args: vocabulary, id by token; end, the token that ends a formula; special, tokens that
        are never written."""
        self.ids = {token: i for token, i in vocabulary.items() if token not in special}
        self.tokens = {i: token for token, i in self.ids.items()}
        self.size = 1 + max(vocabulary.values())
        self.end = end
        self.start = Frame()
        enders = (end, "&", "\\\\", *(token for token in self.ids if token.startswith(r"\end{")))
        self.enders = torch.tensor([self.ids[token] for token in enders if token in self.ids])
        self._masks: dict[tuple[object, ...], Tensor] = {}

    def constrained(self, frames: Sequence[Frame], log_probabilities: Tensor) -> Tensor:
        """Log-probabilities (B, V) of the next tokens, -inf for what may not follow; the sum of the
        others is left as it is, so that what must be written against the odds stays doubtful.

        Whoever ends a row, a cell or the formula while something in it is open has forgotten to
        close that: such tokens' probability goes to the closing one."""
        allowed = torch.stack([self.allowed(frame) for frame in frames]).to(
            log_probabilities.device
        )
        found = log_probabilities.masked_fill(~allowed, -torch.inf)
        inside = [i for i, f in enumerate(frames) if f.outer is not None and not f.n_open]
        if inside:
            rows = torch.tensor(inside, device=found.device)
            closing = torch.tensor([self.ids[_closing(frames[i])] for i in inside]).to(rows)
            enders = self.enders.to(found.device)
            forgotten = log_probabilities[rows][:, enders]
            forgotten = forgotten.masked_fill(allowed[rows][:, enders], -torch.inf)
            both = torch.cat([found[rows, closing][:, None], forgotten], dim=1)
            found[rows, closing] = torch.logsumexp(both, dim=1)
        return found

    def allowed(self, frame: Frame) -> Tensor:
        """(V,) bool: the ids that may come next. At least one may."""
        key = (frame.row, frame.hook, frame.n_open > 0, frame.takes_option, frame.environment,
               frame.depth >= MAX_OPEN)  # fmt: skip
        if key not in self._masks:
            may_follow = _rule(frame, self.end)
            mask = torch.zeros(self.size, dtype=torch.bool)
            mask[[i for token, i in self.ids.items() if may_follow(token)]] = True
            self._masks[key] = mask
        return self._masks[key]

    def after(self, frame: Frame, token_id: int) -> Frame:
        """The state after one more token, which must be allowed."""
        token = self.tokens[token_id]
        if token == "{":
            inside = frame.opens if frame.n_open else Row.GROUP
            n_open = max(0, frame.n_open - 1)
            return _inside(replace(frame, n_open=n_open, takes_option=False), inside)
        if token == "[" and frame.takes_option:
            return _inside(replace(frame, takes_option=False), Row.OPTION)
        if frame.outer is not None and token == _closing(frame):
            hook = frame.outer.hook if frame.outer.n_open else Hook.BOTH
            return replace(frame.outer, hook=_SCRIPT_HOOKS.get(frame.row, hook))
        if token.startswith(r"\begin{"):
            return replace(_inside(frame, Row.GRID), environment=token[7:-1])
        if token in ("&", "\\\\"):
            return replace(frame, hook=Hook.NOTHING)
        if token in ("_", "^"):
            return replace(frame, n_open=1, opens=Row.SUB if token == "_" else Row.SUP)
        n_open, opens = _ARGUMENTS.get(token, (0, Row.GROUP))
        option = token in _WITH_OPTION
        return replace(frame, hook=Hook.BOTH, n_open=n_open, opens=opens, takes_option=option)

    def completion(self, frame: Frame) -> list[int]:
        """The fewest ids that close all that is open; what is missing stays empty."""
        missing = [self.ids[brace] for brace in "{}" * frame.n_open]
        if frame.outer is None:
            return missing
        return [*missing, self.ids[_closing(frame)], *self.completion(frame.outer)]


def _inside(outer: Frame, row: Row) -> Frame:
    return Frame(row, depth=outer.depth + 1, outer=outer)


def _closing(frame: Frame) -> str:
    if frame.row is Row.GRID:
        return rf"\end{{{frame.environment}}}"
    return "]" if frame.row is Row.OPTION else "}"


def _rule(frame: Frame, end: str) -> Callable[[str], bool]:
    """Whether a token may follow in a state."""
    if frame.n_open:
        return {"{", "["}.__contains__ if frame.takes_option else "{".__eq__
    if frame.row is Row.TEXT:
        return lambda token: (
            token == "}" or token in _IN_TEXT or (len(token) == 1 and token not in _MARKS)
        )
    marks = _allowed_marks(frame, end)
    is_deep = frame.depth >= MAX_OPEN

    def may_follow(token: str) -> bool:
        if token in _MARKS or token == end or token.startswith(r"\end{"):
            return token in marks
        return not (is_deep and (token in _ARGUMENTS or token.startswith(r"\begin{")))

    return may_follow


def _allowed_marks(frame: Frame, end: str) -> set[str]:
    """The tokens without ink that may follow where no group must follow at once."""
    marks: set[str] = set()
    if frame.depth < MAX_OPEN:
        marks.add("{")
        marks |= {Hook.BOTH: {"_", "^"}, Hook.SUP: {"^"}}.get(frame.hook, set())
    if frame.row is Row.FORMULA:
        marks.add(end)
    else:
        marks.add(_closing(frame))
    if frame.row in (Row.GRID, Row.STACK):
        marks.add("\\\\")
    if frame.environment in ("matrix", "cases"):
        marks.add("&")
    return marks
