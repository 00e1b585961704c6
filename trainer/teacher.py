"""What a student learns from: a recogniser's probabilities, and its readings of pictures.

    teacher = RecognizerTeacher(recognizer, student_tokenizer.get_vocab(), student_symbol_px)
    teacher.logits(**vars(batch))                     # (B, T, V) over the student's vocabulary
    readings = read_once(teacher, "notes/", examples, Path("readings.jsonl"))

Readings are made once: the file keeps them, and the next run looks there first.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from latexocr.errors import DataError
from latexocr.modeling import COARSE_STRIDE
from latexocr.recognizer import Recognizer
from trainer.data.examples import Example, InkExample, PictureExample

logger = logging.getLogger(__name__)

READ_TOGETHER = 64  # pictures between two writes to the file of readings


@dataclass(frozen=True)
class TeacherReading:
    """Canonical LaTeX, and the teacher's confidence from 0 to 1 that all of it is right."""

    latex: str
    confidence: float


class Teacher(Protocol):
    """All that a student asks of its teacher, whatever model that is.

    fingerprint: the same for the same weights, another for others."""

    fingerprint: str

    def logits(self, **batch: Tensor) -> Tensor:
        """(B, T, V) over the student's vocabulary, -inf for tokens that the teacher does not know,
        and without gradient. Args: a batch that the student trains on (see objective.Batch)."""

    def read(self, examples: Sequence[Example]) -> list[TeacherReading]:
        """Greedy readings of plain pictures."""


class RecognizerTeacher:
    """One of our own recognisers; its vocabulary and symbol size may differ from the student's."""

    def __init__(self, recognizer: Recognizer, vocabulary: dict[str, int], symbol_px: int) -> None:
        """Args: the student's vocabulary, id by token, and its symbol size in pixels."""
        self.recognizer = recognizer
        recognizer.model.to(memory_format=torch.channels_last).requires_grad_(False)
        self.zoom = recognizer.model.config.encoder.symbol_px / symbol_px
        known = recognizer.vocabulary
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        ids = torch.tensor([known.get(token, -1) for token in tokens], device=recognizer.device)
        self.unknown = ids < 0  # (V,)
        self.ids = ids.masked_fill(self.unknown, recognizer.tokenizer.unk_token_id)  # (V,)
        if bool(self.unknown.any()):
            logger.warning("the teacher does not know %d of the student's tokens",
                           int(self.unknown.sum()))  # fmt: skip
        self.fingerprint = fingerprint(recognizer)

    @property
    def max_tokens(self) -> int:
        """How many tokens it can be told, the start token included."""
        return self.recognizer.model.config.decoder.max_position_embeddings

    @torch.no_grad()
    def logits(
        self,
        pixel_values: Tensor,
        picture_sizes: Tensor,
        input_ids: Tensor,
        places: Tensor | None = None,
        **_: Tensor,
    ) -> Tensor:
        """See Teacher. The teacher is told the true tokens, where the student's are disturbed."""
        pixel_values, picture_sizes = zoomed(pixel_values, picture_sizes, self.zoom)
        logits = self.recognizer.model(
            pixel_values=pixel_values,
            picture_sizes=picture_sizes,
            decoder_input_ids=self.ids[input_ids],
            places=None if places is None else torch.where(places < 0, places, places * self.zoom),
            use_cache=False,
        ).logits
        return logits.float()[..., self.ids].masked_fill(self.unknown, -torch.inf)

    def read(self, examples: Sequence[Example]) -> list[TeacherReading]:
        """See Teacher."""
        recognizer = self.recognizer
        pictures = [example.sample(recognizer.symbol_px, None, None).pixels for example in examples]
        found = [candidates[0] for candidates in recognizer.decode(pictures)]
        return [TeacherReading(one.canonical, recognizer.confidence(one)) for one in found]


def zoomed(pixel_values: Tensor, picture_sizes: Tensor, zoom: float) -> tuple[Tensor, Tensor]:
    """Pictures of a batch with symbols `zoom` times as large, padded as the encoder wants it."""
    if zoom == 1:
        return pixel_values, picture_sizes
    height, width = (int(-(-side * zoom // 1)) for side in pixel_values.shape[2:])
    scaled = F.interpolate(pixel_values, size=(height, width), mode="bilinear", antialias=True)
    padded = F.pad(scaled, (0, -width % COARSE_STRIDE, 0, -height % COARSE_STRIDE))
    return padded, (picture_sizes * zoom).ceil().long()


def fingerprint(recognizer: Recognizer) -> str:
    """Of the weights and the vocabulary."""
    digest = hashlib.sha256(json.dumps(recognizer.vocabulary, sort_keys=True).encode())
    for name, value in sorted(recognizer.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


# --- Readings ----------------------------------------------------------------------------------


def read_once(
    teacher: Teacher, source: str, examples: Sequence[Example], path: Path
) -> dict[str, TeacherReading]:
    """The teacher's readings by name, out of a JSON lines file as far as it has them.

    Those that it has not are read and added to it, a few at a time: a run that is stopped goes on
    from there. Its first line says which teacher it is of.
    Args: source, the data set that the examples come from; names are looked up within it.
    Raises: DataError if the file holds something else, or the readings of another teacher."""
    known = load_readings(path, teacher.fingerprint)
    missing = [e for e in examples if (source, e.name) not in known]
    if missing:
        _write_readings(path, teacher.fingerprint, known)  # without a line that a kill has cut off
        for name, reading in _read_into(path, teacher, source, missing):
            known[source, name] = reading
    return {name: reading for (owner, name), reading in known.items() if owner == source}


def _read_into(
    path: Path, teacher: Teacher, source: str, examples: Sequence[Example]
) -> Iterator[tuple[str, TeacherReading]]:
    """Names and readings, each added to the file."""
    with path.open("a", encoding="utf-8") as file, tqdm(
        total=len(examples), unit="picture", desc="teacher", disable=None
    ) as bar:  # fmt: skip
        for start in range(0, len(examples), READ_TOGETHER):
            chunk = examples[start : start + READ_TOGETHER]
            for example, reading in zip(chunk, teacher.read(chunk), strict=True):
                file.write(_line(source, example.name, reading))
                yield example.name, reading
            file.flush()
            bar.update(len(chunk))


def load_readings(path: Path, wanted_teacher: str) -> dict[tuple[str, str], TeacherReading]:
    """Readings by data set and name; none if there is no such file. Errors as read_once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    try:
        rows = [json.loads(line) for line in lines[:-1]] + _parsed_if_whole(lines[-1:])
        if not rows:
            return {}
        teacher = rows[0]["teacher"]
        found = {(row["set"], row["name"]): TeacherReading(row["latex"], row["confidence"])
                 for row in rows[1:]}  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: expected a teacher's readings, got {error!r}") from error
    if teacher != wanted_teacher:
        raise DataError(
            f"{path}: expected readings of this teacher, {wanted_teacher}, got those of {teacher}; "
            "delete the file or name another one"
        )
    return found


def _parsed_if_whole(last: list[str]) -> list[dict]:
    """The last line was being written when a run was killed, perhaps."""
    try:
        return [json.loads(line) for line in last]
    except json.JSONDecodeError:
        return []


def _write_readings(
    path: Path, teacher: str, readings: dict[tuple[str, str], TeacherReading]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [_line(source, name, reading) for (source, name), reading in readings.items()]
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text("".join([json.dumps({"teacher": teacher}) + "\n", *rows]), "utf-8")
    unfinished.replace(path)


def _line(source: str, name: str, reading: TeacherReading) -> str:
    return json.dumps({"set": source, "name": name} | asdict(reading)) + "\n"


def relabelled(
    examples: Sequence[Example], readings: dict[str, TeacherReading], min_confidence: float
) -> list[Example]:
    """Examples with the teacher's readings as their truths, those that it is sure of."""
    return [
        with_latex(example, readings[example.name].latex)
        for example in examples
        if readings[example.name].confidence >= min_confidence
    ]


def with_latex(example: Example, latex: str) -> Example:
    """The same picture, with another truth.

    Raises: DataError for an example that is made from its truth."""
    if isinstance(example, InkExample):
        return InkExample(replace(example.ink, latex=latex))
    if isinstance(example, PictureExample):
        return PictureExample(example.name, latex, example.encoded)
    raise DataError(f"{example.name}: expected ink or a picture, got {type(example).__name__}")
