"""TrOCR and BLIP in training: their text, their pictures, their losses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoProcessor,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipTextConfig,
    BlipVisionConfig,
)

from latexocr.errors import ImageError, ModelError, TexError
from latexocr.latex import canonical
from tests.conftest import draw as draw_letters
from tests.tiny import tiny_recognizer
from tests.tiny_foreign import EXAMPLES, SHAPE, SIDE_PX, batch_of, png, trainee, write_foreign
from trainer.data.augment import PictureAugment
from trainer.data.batches import Draw
from trainer.data.examples import PictureExample
from trainer.data.strokes import InkAugment
from trainer.foreign import ForeignModel, fit, load_foreign
from trainer.objective import IGNORE
from trainer.trainee import encode

KINDS = ["vit", "deit", "blip"]


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory) -> Path:
    return write_foreign(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def foreign(folder) -> ForeignModel:
    model = load_foreign(folder)
    model.model.eval()
    return model


# --- Text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        pytest.param("x+l", "x + l", id="letters"),
        pytest.param(r"\frac12", r"\frac { 1 } { 2 }", id="command"),
        pytest.param("AaBb", "A a B b", id="capitals"),
        pytest.param(r"\Delta\delta", r"\Delta \delta", id="capital in a command"),
        pytest.param(r"\{x\}", r"\{ x \}", id="escaped braces"),
        pytest.param(r"\mathbb{R}_+^n", r"\mathbb { R } _ { + } ^ { n }", id="scripts"),
        pytest.param(
            r"\begin{matrix}a\\b\end{matrix}",
            r"\begin{matrix} a \\ b \end{matrix}",
            id="end of a row",
        ),
    ],
)
def test_latex_survives_any_tokenizer(foreign, latex, text):
    ids = foreign.token_ids(latex)
    assert canonical(foreign.text(ids)) == canonical(text)
    assert (ids[0], ids[-1]) == (foreign.start_id, foreign.end_id)


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        pytest.param("x^{2", "}", id="does not parse"),
        pytest.param("x" * 100, "expected at most 64 tokens", id="too long"),
    ],
)
def test_what_cannot_be_written_is_refused(foreign, latex, message):
    with pytest.raises(TexError, match=message):
        foreign.token_ids(latex)


def test_new_tokens_are_written_and_kept(foreign, folder, tmp_path):
    foreign.save_pretrained(tmp_path)
    again = load_foreign(tmp_path)
    pixels = torch.rand(1, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([foreign.token_ids(r"\Delta X")])
    assert torch.equal(again.logits(pixels, ids), foreign.logits(pixels, ids))
    assert AutoProcessor.from_pretrained(tmp_path).tokenizer.vocab_size > 0


# --- Pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        pytest.param((10, 40), (8, 32), id="wide"),
        pytest.param((40, 10), (32, 8), id="tall"),
        pytest.param((64, 64), (32, 32), id="large"),
        pytest.param((4, 4), (32, 32), id="small"),
        pytest.param((1, 400), (1, 32), id="a line"),
    ],
)
def test_pictures_are_padded_and_not_squashed(shape, box):
    page = np.full((*shape, 3), 255, np.uint8)
    page[shape[0] // 2, shape[1] // 2] = 0  # anything but blank
    page[0], page[-1], page[:, 0], page[:, -1] = 200, 200, 200, 200
    fitted = fit(page, 32, 32)
    assert fitted.shape == (32, 32, 3)
    outside = np.ones((32, 32), bool)
    top, left = (32 - box[0]) // 2, (32 - box[1]) // 2
    outside[top : top + box[0], left : left + box[1]] = False
    assert (fitted[outside] == 200).all()


def test_pictures_are_normalised_as_the_processor_says(foreign):
    page = np.array(draw_letters("x").resize((SIDE_PX, SIDE_PX)))
    wanted = foreign.processor.image_processor(page, return_tensors="pt").pixel_values
    assert torch.allclose(foreign.pixel_values([page]), wanted, atol=1e-5)


@pytest.mark.parametrize(
    "data",
    [pytest.param(b"no picture", id="broken"), pytest.param(png(""), id="blank")],
)
def test_unreadable_pictures_are_left_out_and_listed(foreign, data):
    examples = [*EXAMPLES, PictureExample("c.png", "x", data), PictureExample("d", "x^{", b"")]
    found = encode(examples, trainee(foreign))
    assert found.examples == EXAMPLES
    assert [name for name, _ in found.left_out] == ["c.png", "d"]
    with pytest.raises(ImageError):
        trainee(foreign).shape(examples[2])


def test_samples_repeat_and_only_altered_ones_change_with_the_epoch(foreign):
    ids = [foreign.token_ids(e.latex) for e in EXAMPLES]
    student = trainee(foreign, ink=InkAugment(), pictures=PictureAugment(), seed=3)

    def drawn(index: int, epoch: int, is_plain: bool) -> np.ndarray:
        return student.dataset(EXAMPLES, ids, is_plain)[Draw(epoch, index, 1.0)][0]

    for index in (0, 1):
        assert np.array_equal(drawn(index, 0, False), drawn(index, 0, False))
        assert not np.array_equal(drawn(index, 0, False), drawn(index, 1, False))
        assert np.array_equal(drawn(index, 0, True), drawn(index, 1, True))


# --- Losses and reading --------------------------------------------------------------------------


@torch.no_grad()
def test_losses_are_sums_over_tokens_and_padding_is_none(foreign):
    student = trainee(foreign)
    both, first, second = (batch_of(student, indices) for indices in ([0, 1], [0], [1]))
    assert (both.labels == IGNORE).any()
    assert both.n_tokens == first.n_tokens + second.n_tokens
    losses = [student.objective(**vars(batch)) for batch in (both, first, second)]
    for name in ("objective", "token_loss"):
        together, *apart = (float(getattr(found, name)) for found in losses)
        assert together == pytest.approx(sum(apart), rel=1e-4)


@torch.no_grad()
def test_the_loss_is_the_one_of_the_library(foreign):
    student = trainee(foreign)
    batch = batch_of(student, [0])
    model = foreign.model
    if hasattr(model, "encoder"):
        model.config.pad_token_id = foreign.pad_id
        model.config.decoder_start_token_id = foreign.start_id
        mean = model(pixel_values=batch.pixel_values, labels=batch.labels).loss
    else:
        whole = torch.cat([batch.input_ids, batch.labels[:, -1:]], dim=1)
        mean = model(pixel_values=batch.pixel_values, input_ids=whole, labels=whole).loss
    loss = student.objective(**vars(batch)).token_loss
    assert float(loss) == pytest.approx(float(mean) * batch.n_tokens, rel=1e-4)


def test_every_parameter_that_is_trained_takes_part(foreign):
    student = trainee(foreign)
    student.objective(**vars(batch_of(student, [0, 1]))).objective.backward()
    unused = [
        name
        for name, parameter in student.objective.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    student.objective.zero_grad()
    assert unused == []


@torch.no_grad()
def test_greedy_reading_takes_the_likeliest_token_each_time(foreign):
    values = batch_of(trainee(foreign), [0, 1]).pixel_values
    readings = foreign.generate(values, max_new_tokens=7)
    for row, reading in zip(values, readings, strict=True):
        ids = [foreign.start_id]
        while len(ids) < 8 and (len(ids) == 1 or ids[-1] != foreign.end_id):
            ids.append(int(foreign.logits(row[None], torch.tensor([ids]))[0, -1].argmax()))
        assert reading == foreign.text(ids)


# --- What cannot be loaded -----------------------------------------------------------------------


def write_question_answering(folder: Path) -> None:
    config = BlipConfig(
        text_config=BlipTextConfig(vocab_size=20, intermediate_size=8, **SHAPE).to_dict(),
        vision_config=BlipVisionConfig(intermediate_size=8, image_size=32, **SHAPE).to_dict(),
    )
    BlipForQuestionAnswering(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(lambda folder: None, "expected a TrOCR or BLIP checkpoint", id="empty"),
        pytest.param(lambda folder: tiny_recognizer().save_pretrained(folder), "--init", id="ours"),
        pytest.param(write_question_answering, "got another model", id="another BLIP"),
    ],
)
def test_other_models_are_refused(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_foreign(tmp_path)
