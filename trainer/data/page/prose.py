"""Words on a page: in fonts that look handwritten, in print, and in letters cut out of real ink.

Fonts are looked for on the machine, none is part of the project. More of them make a better
detector; the ones this was made for, with their licences:

    apt-get install fonts-klee fonts-dkg-handwriting fonts-breip fonts-ecolier-court fonts-kristi \\
        fonts-femkeklaver fonts-bwht            # OFL; femkeklaver CC BY-SA
    npm install @fontsource/caveat @fontsource/kalam @fontsource/patrick-hand \\
        @fontsource/indie-flower @fontsource/shadows-into-light @fontsource/gochi-hand # all OFL

Folders of others, node_modules/@fontsource among them, are named in PageConfig.font_folders.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from trainer.data.page.drawing import Drawing, from_mask, joined
from trainer.data.strokes import Ink, ink_symbol_size

SYSTEM_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
FONT_SUFFIXES = (".ttf", ".otf", ".woff2")
HANDWRITING = [
    "architects-daughter",
    "annie-use",
    "bad-script",
    "becausewe",
    "breip",
    "caveat",
    "cedarville",
    "comic",
    "covered-by",
    "dkg",
    "delicious",
    "ecolier",
    "femke",
    "gaegu",
    "gloria",
    "gochi",
    "handlee",
    "homemade",
    "humor-sans",
    "indie",
    "kalam",
    "klee",
    "kristi",
    "mansalva",
    "marck",
    "nanum-pen",
    "neucha",
    "patrick",
    "playpen",
    "reenie",
    "rock-salt",
    "schoolbell",
    "shadows",
    "shantell",
    "short-stack",
    "stevehand",
    "delphine",
    "sue-ellen",
    "swanky",
    "the-girl",
    "yomogi",
    "yozfont",
    "zen-kurenaido",
]
PRINT = ("dejavusans", "dejavuserif", "liberation", "cmr", "lmroman", "noto", "carlito", "gelasio")
UNFIT = ("mono", "math", "symbol", "emoji", "cjk", "-ext-", "cyrillic", "greek", "devanagari")

_FONT_PX = 44  # fonts are drawn this large and traced
_TEXT_CACHE = 256

# A line of prose, in words; what matters is how it looks, not what it says.
SENTENCES = (
    "Find the roots of the equation",
    "Solve the following system of equations by substitution",
    "Let f be a continuous function on the closed interval",
    "Calculate the area of the circle",
    "If the probability of an event is known then",
    "We want to show that the columns are perpendicular",
    "since both sides are positive",
    "therefore the series converges",
    "by the mean value theorem there is a point such that",
    "Check whether this is a maximum",
    "so what about the other direction",
    "rows and columns must have unit length",
    "basically the same information",
    "and substitute into the first one",
    "for all real numbers",
    "Resolva a desigualdade",
    "Encontre as raízes da equação quadrática",
    "Calcule o comprimento da hipotenusa de um triângulo",
    "Si la probabilidad del evento es",
    "Calculer la dérivée de la fonction suivante",
    "Bestimme die Nullstellen der Funktion",
    "Simplify the expression and write the answer below",
    "the dot product must be zero",
    "Draw a diagram and label every angle",
    "A train leaves the station at noon and travels north",
    "How many different ways are there to choose three",
    "Use the chain rule here",
    "see the next page",
    "not sure about this step",
    "Now integrate by parts twice",
    "Proof. Suppose not",
    "which is a contradiction",
    "the matrix is orthogonal if and only if its inverse is its transpose",
    "compare with the result of the last lecture",
    "Name",
    "Date",
    "units are metres per second",
    "then the remaining terms cancel",
    "we are done",
)
TITLES = (
    "Homework", "Chapter 3", "Exercises", "Quiz", "Lecture notes", "Review", "Example", "Solution",
    "Definition", "Theorem", "Worksheet", "Linear algebra", "Calculus II", "Tarefa", "Problem set",
    "Answer", "Note", "Algebra", "Probability", "Physics", "Proof", "Summary", "Matrices",
)  # fmt: skip
LABELS = (
    "so", "CDF:", "ex.", "then", "Let", "hence", "answer:", "dot product:", "or", "Area:", "PDF",
    "thus", "we get", "note:", "and", "where", "with", "Formula", "let", "if",
)  # fmt: skip
INLINE_MATHS = (
    "x = 2", "f(x) = x^2 - 4x + 1", "a > 0", "n + 1", "3x - 7 < 2", "AB = C", "P(A) = 0.7", "x + y",
    "2x + 5 = 15", "y = mx + b", "f(2)", "A^2 = I", "v = 6", "k < n", "u + v = 0", "(a, b)",
)  # fmt: skip


def find_fonts(folders: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """Paths of (handwriting fonts, print fonts) in the system's font folders and the given ones,
    sorted by file name. Both may be empty: text then is written in Pillow's own font."""
    found: dict[str, str] = {}
    for folder in (*SYSTEM_FOLDERS, *folders):
        for path in sorted(Path(folder).expanduser().rglob("*")):
            name = path.name.lower()
            is_subset = path.suffix == ".woff2" and not name.endswith("latin-400-normal.woff2")
            if path.suffix in FONT_SUFFIXES and not is_subset:
                found.setdefault(name, str(path))
    names = [name for name in sorted(found) if not any(word in name for word in UNFIT)]
    by_hand = [found[name] for name in names if any(word in name for word in HANDWRITING)]
    in_print = [found[name] for name in names if name.startswith(PRINT)]
    return by_hand, in_print


@cache
def _font(path: str | None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(path, _FONT_PX) if path else ImageFont.load_default(_FONT_PX)


@lru_cache(maxsize=_TEXT_CACHE)
def typeset(text: str, path: str | None) -> Drawing:
    """A line of text in a font, None for Pillow's own; `^2` is raised.

    Returns: outlines with the baseline at y = 0, one unit being the height of a capital H. Empty
        if the font draws nothing for it."""
    font = _font(path)
    unit = max(1, -font.getbbox("H", anchor="ls")[1])
    plain, *raised = text.split("^")
    parts, x = [_traced(plain, font)], font.getlength(plain)
    for piece in raised:
        parts.append(_traced(piece[:1], font).scaled(0.65).moved(x, -0.5 * unit))
        x += 0.7 * font.getlength(piece[:1])
        parts.append(_traced(piece[1:], font).moved(x, 0))
        x += font.getlength(piece[1:])
    return joined(parts).scaled(1 / unit)


def _traced(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Drawing:
    if not text.strip():
        return Drawing()
    left, top, right, bottom = (round(side) for side in font.getbbox(text, anchor="ls"))
    if right <= left or bottom <= top:
        return Drawing()
    image = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(image).text((2 - left, 2 - top), text, font=font, fill=255, anchor="ls")
    return from_mask(np.asarray(image), 1.0).moved(left - 2.0, top - 2.0)


# --- Letters of real ink -----------------------------------------------------------------------

# How high above the baseline a character begins and ends, in heights of a digit.
_TALL, _SMALL, _HANGING = (0.0, 1.0), (0.0, 0.62), (-0.38, 0.62)
_REACH = (
    dict.fromkeys("bdfhklt0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", _TALL)
    | dict.fromkeys("acemnorsuvwxz", _SMALL)
    | dict.fromkeys("gpqy", _HANGING)
    | {"i": (0.0, 0.85), "j": (-0.38, 0.85), "+": (0.12, 0.68), "=": (0.28, 0.54)}
    | {"-": (0.36, 0.44), "<": (0.1, 0.7), ">": (0.1, 0.7), "(": (-0.2, 1.1), ")": (-0.2, 1.1)}
    | {"/": (-0.1, 1.05), ".": (0.0, 0.08), ",": (-0.16, 0.08), "!": _TALL, "*": (0.15, 0.6)}
    | {"[": (-0.15, 1.1), "]": (-0.15, 1.1), "π": (0.0, 0.6), "θ": _TALL, "±": (0.05, 0.7)}
    | {"≤": (0.05, 0.75), "≥": (0.05, 0.75), "≠": (0.15, 0.7), "→": (0.25, 0.55)}
)
_WIDE = {"-": 0.5, "→": 1.1}  # these are scaled by width
_LABELS = {"<": r"\lt", ">": r"\gt", "*": r"\times", "π": r"\pi", "θ": r"\theta"} | {
    "±": r"\pm", "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "→": r"\rightarrow"
}  # fmt: skip
_FLAT = "-=+.,→"  # the others are at most a little wider than high, or were segmented wrongly
_RELATIONS, _OPERATORS = "=<>≤≥≠→", "+-*±"
_HANGING_LETTERS = "gjpqy"
_TRIES = 5
_STAND_INS = (
    {"o": "0", "á": "a", "â": "a", "ã": "a", "ä": "a", "é": "e", "ê": "e", "í": "i", "ç": "c"}
    | {"ó": "o", "õ": "o", "ö": "o", "ú": "u", "ü": "u", "D": "d", "J": "j", "K": "k", "O": "0"}
    | {"Q": "q", "U": "u", "W": "w", "Z": "z"}
)


class GlyphBank:
    """Where in a collection of inks each character was written."""

    def __init__(self, inks: Sequence[Ink]) -> None:
        self.inks = inks
        self.places: dict[str, list[tuple[int, int]]] = {}
        for i, ink in enumerate(inks):
            for j, symbol in enumerate(ink.symbols):
                self.places.setdefault(symbol.label, []).append((i, j))

    def glyph(self, label: str, rng: np.random.Generator) -> Drawing | None:
        """One writing of a symbol, in pen units; None if nobody wrote it."""
        places = self.places.get(label)
        if not places:
            return None
        i, j = places[int(rng.integers(len(places)))]
        strokes = [self.inks[i].strokes[k] for k in self.inks[i].symbols[j].strokes]
        size = ink_symbol_size(self.inks[i])
        return Drawing(tuple((stroke / size).astype(np.float64) for stroke in strokes))


class Lettering(Protocol):
    """A way to write lines of text. Characters as in school_line."""

    def can_write(self, text: str) -> bool: ...

    def write(self, text: str) -> Drawing:
        """The baseline at y = 0, a digit being one unit high; the character after `^` raised."""


class Hand:
    """An invented writer: one form of each character, taken from the bank when first needed."""

    def __init__(self, bank: GlyphBank, rng: np.random.Generator) -> None:
        self.bank, self.rng = bank, rng
        self.forms: dict[str, Drawing | None] = {}
        self.spacing = rng.uniform(0.08, 0.28)
        self.word_gap = float(np.exp(rng.uniform(np.log(0.5), np.log(1.8))))
        self.jitter = rng.uniform(0.0, 0.06)
        # Many leave much room on both sides of a relation, some on those of a sign, too.
        self.relation_gap = float(
            rng.choice([0.0, rng.uniform(0.1, 0.5), rng.uniform(0.4, 1.5)], p=[0.3, 0.35, 0.35])
        )
        self.operator_gap = self.relation_gap * float(rng.choice([0.0, 0.4, 1.0]))
        self.hang = rng.uniform(0.8, 1.9)  # how low letters hang, in usual ones
        self.has_long_f = rng.random() < 0.6

    def can_write(self, text: str) -> bool:
        return all(c in " ^" or self._form(c) is not None for c in text)

    def write(self, text: str) -> Drawing:
        """Text as strokes, the baseline at y = 0, a digit being one unit high. A character after
        `^` is raised. Call can_write first."""
        x, parts, is_raised = 0.0, [], False
        for i, character in enumerate(text):
            if character == "^":
                is_raised = True
                continue
            if character == " ":
                x += self.word_gap
                continue
            form = self._form(character)
            assert form is not None, f"no form of {character!r}"
            scale = (0.6 if is_raised else 1.0) * np.exp(self.rng.normal(0, self.jitter))
            lift = -0.6 if is_raised else 0.0
            gap = self._gap(character)
            x += gap if i else 0.0
            placed = form.scaled(scale).moved(x, lift + self.rng.normal(0, self.jitter))
            parts.append(placed)
            x = placed.bounds[1][0] + self.spacing + gap
            is_raised = False
        return joined(parts)

    def _gap(self, character: str) -> float:
        """How much more room there is on either side of a character."""
        if character in _RELATIONS:
            is_break = self.rng.random() < 0.04
            return self.relation_gap * self.rng.uniform(0.6, 1.4) + is_break * self.rng.uniform(
                1, 2
            )
        return self.operator_gap * self.rng.uniform(0.5, 1.2) if character in _OPERATORS else 0.0

    def _form(self, character: str) -> Drawing | None:
        if character not in self.forms:
            self.forms[character] = self._find(character)
        return self.forms[character]

    def _find(self, character: str) -> Drawing | None:
        if character == ":":
            return Drawing(tuple(np.array([[0.05, y]]) for y in (-0.08, -0.5)))
        reach = _REACH.get(character) or _REACH.get(_STAND_INS.get(character, ""))
        if reach is None:
            return None
        if character in _HANGING_LETTERS:
            reach = (reach[0] * self.hang, reach[1])
        elif character == "f" and self.has_long_f:
            reach = (-0.32 * self.hang, 1.1)
        for name in (character, _STAND_INS.get(character, character)):
            for _ in range(_TRIES):
                glyph = self.bank.glyph(_LABELS.get(name, name), self.rng)
                if glyph is not None and (character in _FLAT or _is_upright(glyph)):
                    return _seated(glyph, reach, _WIDE.get(character))
        return None


@dataclass(frozen=True)
class FontLettering:
    """A font in the place of a hand: what is in a font need not be prose. gap: spaces on either
    side of a relation."""

    font: str | None
    gap: int = 1

    def can_write(self, text: str) -> bool:
        return text.isascii() and bool(typeset(self._spaced(text), self.font).outlines)

    def write(self, text: str) -> Drawing:
        return typeset(self._spaced(text), self.font)

    def _spaced(self, text: str) -> str:
        room = " " * self.gap
        return re.sub(
            "([=<>])", rf"{room}\1{room}", text.replace("*", "\N{MULTIPLICATION SIGN}")
        ).strip()


def _is_upright(glyph: Drawing) -> bool:
    width, height = glyph.extent
    return bool(width < 1.5 * height)


def _seated(glyph: Drawing, reach: tuple[float, float], width: float | None) -> Drawing:
    """Scaled to reach from its lowest to its highest point over the baseline, left edge at 0."""
    bottom, top = reach
    size = glyph.extent
    factor = (top - bottom) / max(size[1], 1e-3) if width is None else width / max(size[0], 1e-3)
    factor = min(factor, 1.4 / max(size[0], 1e-3))
    scaled = glyph.scaled(factor)
    low, high = scaled.bounds
    return scaled.moved(-low[0], -bottom - high[1] if width is None else -0.4 - low[1])


# --- What to write -----------------------------------------------------------------------------


def sentence(rng: np.random.Generator, with_maths: bool, max_letters: int) -> str:
    """A line of prose of about max_letters at most; with_maths puts a little formula into it."""
    words = SENTENCES[int(rng.integers(len(SENTENCES)))].split()
    while len(" ".join(words)) < 0.6 * max_letters and rng.random() < 0.8:
        words += SENTENCES[int(rng.integers(len(SENTENCES)))].split()
    formula = INLINE_MATHS[int(rng.integers(len(INLINE_MATHS)))] if with_maths else ""
    while len(words) > 1 and len(" ".join(words)) + len(formula) > max_letters:
        words.pop()
    if with_maths:
        words.insert(int(rng.integers(1, len(words) + 1)), formula)
    return " ".join(words) + str(rng.choice(["", "", ".", ":", ","]))


def has_maths(text: str) -> bool:
    """Is there a formula, or the beginning of one, in what sentence made?"""
    return any(character in text for character in "=<>+^") or "P(" in text or "f(" in text


def note(rng: np.random.Generator) -> str:
    """One to three words, as they stand beside sketches and behind results."""
    words = SENTENCES[int(rng.integers(len(SENTENCES)))].lower().split()
    first, n = int(rng.integers(len(words))), int(rng.integers(1, 4))
    text = " ".join(words[first : first + n])
    return str(rng.choice(["{}", "{}", "({})", "{}:", "* {}", "- {}", "{}!"])).format(text)


def question_number(rng: np.random.Generator, number: int) -> str:
    form = rng.choice(["{})", "{}.", "{} -", "{}.-", "{}.)", "({})", "{}", "Q{}.", "{}-)"])
    label = str(number) if rng.random() < 0.8 else "abcdefgh"[number % 8]
    return str(form).format(label)


def school_line(rng: np.random.Generator) -> str:
    """A line of school mathematics; LaTeX but for `*` (times) and signs like `π`; see latex_of."""
    a, b, c, d = (int(n) for n in rng.choice([2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 38, 64, 98], 4))
    x = str(rng.choice(list("xxxyzabn")))
    forms = (
        f"{a}{x}+{b}={c}", f"{x}={a}", f"{x}={a}.{b}", f"{a}{x}={b}", f"{x}<{a}", f"{a}{b}{c}",
        f"{a}{x}-{b}<{c}", f"f({a})={b}-{c}+{d}", f"f({x})={x}^2-{a}{x}+{b}", f"={a}{b}",
        f"{x}^2-{a}{x}+{b}=0", f"({x}-{a})({x}+{b})=0", f"P(A)=0.{a}", f"{a}+{b}", f"{x}-y={a}",
        f"{a}*{b}^2+{c}*{d}", f"{a}{b}+{c}", f"={a}{x}+{b}", f"y={a}{x}-{b}", f"A={a}.{b}{c}",
        f"({a}{x}^3)^2={b}{x}^6", f"{a}{x}+{b}y={c}", f"a={a}", f"b=-{b}", f"c={a}-{b}", f"={a}",
        f"{x}>{a}", f"{x}+{a}={b}{x}-{c}", f"π*{a}^2={b}{c}.{d}", f"{x}=-{a}", f"{a}/{b}+{c}/{d}",
        f"v={a}{x}", f"-{a}+(-{b})=-{c}", f"{a}, {b}, {c}", f"{x}={a}, y={b}",
        f"f({x})={x}^3-{a}{x}+{b}", f"f({a})=({a})^3-{b}.{a}+{c}", f"f({a})={b}", f"f({a})={b}-{c}",
        f"P(A)=0,{a}", f"P(noA)=1-0,{b}", f"P(naoA)=0,{c}", "P(nao A) = 1 - P(A)", f"F({a})={b}",
        f"π.{a}^2={b}{c},54 cm^2", f"A={a}{b},54cm^2", "A=π.r^2", f"{x}={a} cm", f"v={a} m/s",
        f"{x}^2-{a}{x}+{b}=({x}-{c})({x}-{d})=0", f"{a}{x}+{b}y={c}→{a}(y+{d})+{b}y={c}",
        f"{x}={a}→y={b}", f"{x}≤{a}", f"{x}≥-{b}", f"{a}{x}+{b}≠{c}", f"{x}=±{a}", f"{a} {b} + {c}",
        f"sin θ={a}/{b}", f"cos(θ)=0,{c}", "A^2=AB", f"({x}+y)^2={x}^2+{a}{x}y+y^2", f"{x}/{a}={b}",
    )  # fmt: skip
    return forms[int(rng.integers(len(forms)))]


def latex_of(text: str) -> str:
    """LaTeX of what school_line gives."""
    for character, command in _LABELS.items():
        if not character.isascii() or character == "*":
            text = text.replace(character, command + " ")
    return text
