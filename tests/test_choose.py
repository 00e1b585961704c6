"""Choosing between whole readings: what is searched, what is learnt, and a run as users do it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from latexocr.decoding import token_log_probabilities
from latexocr.errors import LatexOCRError
from latexocr.hub import EMBEDDED, QUICK
from latexocr.quantized import load_recognizer
from latexocr.recognizer import stack_pictures
from latexocr.tokenizer import build_tokenizer
from tests.launching import finish, launch, records
from tests.tiny import TINY, tiny_model, write_inks
from trainer.choose import ChooseConfig, ChoosingModel, log_probabilities, start_choosing
from trainer.config import build
from trainer.data.batches import BatchPlan, Kind
from trainer.finetune import load_training_data
from trainer.objective import IGNORE, TrainingModel
from trainer.rivals import ContestedBatch, ContestedSample, WithRivals, Writing, collate_contested
from trainer.trainee import RecognizerTrainee

READER = str(EMBEDDED / QUICK)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict:
    return {
        "reader": READER,
        "data": str(write_inks(tmp_path_factory.mktemp("inks"), n=12)),
        "output": str(tmp_path_factory.mktemp("runs")),
        "model": TINY | {"dropout": 0.0},
    }


@pytest.fixture(scope="module")
def samples(settings) -> list[ContestedSample]:
    """All formulas, read by the embedded weights."""
    config = build(ChooseConfig, settings)
    trainee = start_choosing(config)
    data = load_training_data(config, trainee)
    lengths = [len(ids) for ids in data.token_ids]
    plan = BatchPlan([Kind(data.examples)], lengths, data.shapes, trainee.batches, 0)
    dataset = trainee.dataset(data.examples, data.token_ids, is_plain=False)
    return [sample for draws in plan.epoch(0) for sample in dataset.__getitems__(draws)]


# --- What is searched --------------------------------------------------------------------------


def test_the_truth_comes_first_and_its_rivals_are_others(samples):
    contested = [one for one in samples if one.writings]
    assert contested
    for one in contested:
        truth, *rivals = (writing.token_ids for writing in one.writings)
        assert truth == one.sample.token_ids
        assert rivals and truth not in rivals
        assert len({tuple(ids) for ids in rivals}) == len(rivals)


def test_what_a_search_did_not_find_is_judged_as_if_it_had(samples):
    """The truths that were found, looked up once more: the same prior, and so nearly the same
    places that the reader finds them as likely."""
    dataset = WithRivals([], READER)
    reader = load_recognizer(READER, "cpu")
    found = [one for one in samples if one.writings]
    compared = 0
    for one, told in zip(found, dataset._looked_up([s.sample for s in found]), strict=True):
        truth = one.writings[0]
        assert told.token_ids == truth.token_ids
        assert told.prior == pytest.approx(truth.prior, abs=1e-3)
        likely = [
            sum(
                token_log_probabilities(
                    reader.model,
                    *stack_pictures([one.sample.sample.pixels]),
                    [[(way.token_ids[1:-1], list(map(tuple, way.places[1:-1].tolist())))]],
                )[0][0]
            )
            for way in (truth, told)
        ]
        assert likely[1] == pytest.approx(likely[0], abs=0.5)
        compared += 1
    assert compared > 3


def test_a_batch_has_as_many_ways_as_the_picture_with_the_most(samples):
    first, second, third = samples[:3]
    x, y = (Writing([1, token, 2], torch.zeros(3, 2).numpy(), prior)
            for token, prior in ((20, 0.5), (30, -1.0)))  # fmt: skip
    longer = Writing([1, 20, 30, 2], torch.ones(4, 2).numpy(), 0.25)
    batch = collate_contested(
        [
            replace(first, writings=[x, y]),
            replace(second, writings=[]),
            replace(third, writings=[y, longer, x]),
        ]
    )
    assert batch.contested.tolist() == [0, 2]
    assert batch.writings[:, :, :3].tolist() == [
        [[1, 20, 2], [1, 30, 2], [0, 0, 0]],
        [[1, 30, 2], [1, 20, 30], [1, 20, 2]],
    ]
    assert batch.writing_labels[1, 1].tolist() == [20, 30, 2]
    assert batch.writing_labels[0, 0].tolist() == [20, 2, IGNORE]
    assert batch.priors.tolist() == [[0.5, -1.0, -math.inf], [-1.0, 0.25, 0.5]]


# --- What is learnt ----------------------------------------------------------------------------


def contested_batch(priors: list[float]) -> ContestedBatch:
    """One blank picture, and as many ways of two tokens to read it, the first the truth."""
    n = len(priors)
    ids = torch.tensor([[[1, 20 + 10 * way, 25] for way in range(n)]])
    return ContestedBatch(
        pixel_values=torch.zeros(1, 1, 16, 32),
        picture_sizes=torch.tensor([[16, 32]]),
        input_ids=torch.tensor([[1, 20, 25]]),
        labels=torch.tensor([[20, 25, 2]]),
        cells=torch.full((1, 8), IGNORE),
        cell_symbols=torch.full((1, 8), -1),
        token_symbols=torch.full((1, 3), -1),
        places=torch.full((1, 3, 2), -1.0),
        place_sources=torch.full((1, 3), -1),
        contested=torch.tensor([0]),
        writings=ids,
        writing_labels=torch.cat([ids[..., 1:], torch.full((1, n, 1), 2)], dim=2),
        writing_places=torch.full((1, n, 3, 2), -1.0),
        priors=torch.tensor([priors]),
    )


def choosing(weight: float) -> ChoosingModel:
    """Without anything random."""
    return ChoosingModel(TrainingModel(tiny_model(dropout=0.0), 0.0, 0.0, 0.0), weight)


@torch.no_grad()
def test_the_objective_adds_the_chance_that_another_reading_is_preferred():
    batch = contested_batch([0.3, 0.0, -0.4, -math.inf])
    plain, weighed = choosing(0.0)(**vars(batch)), choosing(2.5)(**vars(batch))
    model = choosing(0.0).ordinary.recognizer
    scores = []
    for ids, labels in zip(batch.writings[0, :3], batch.writing_labels[0, :3], strict=True):
        out = model(batch.pixel_values, ids[None], picture_sizes=batch.picture_sizes)
        scores.append(float(log_probabilities(out.logits, labels[None])))
    chances = (torch.tensor(scores) + batch.priors[0, :3]).softmax(dim=0)
    wanted = 2.5 * float(1 - chances[0])
    assert float(weighed.objective - plain.objective) == pytest.approx(wanted, rel=1e-4)
    assert float(weighed.token_loss) == pytest.approx(float(plain.token_loss), rel=1e-5)


def test_a_few_steps_make_the_truth_preferred():
    batch, model = contested_batch([-2.0, 0.0, 0.0]), choosing(4.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(30):
        model.n_contested = model.n_preferred = 0
        optimizer.zero_grad()
        losses = model(**vars(batch))
        (losses.objective - losses.token_loss).backward()  # what is asked of whole readings alone
        optimizer.step()
    assert (model.n_contested, model.n_preferred) == (1, 1)


@torch.no_grad()
def test_pictures_without_rivals_are_learnt_as_ever(samples):
    batch = collate_contested([replace(one, writings=[]) for one in samples[:2]])
    assert isinstance(batch, ContestedBatch)
    plain = collate_contested([one.sample for one in samples[:2]])
    found, wanted = (choosing(4.0)(**vars(which)).objective for which in (batch, plain))
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


# --- A run -------------------------------------------------------------------------------------


def test_a_run_says_how_often_the_truth_is_preferred(settings, tmp_path):
    run = {key: value for key, value in settings.items() if key != "output"}
    run |= {"select": settings["data"], "loop": {"max_steps": 2, "warmup_steps": 1}}
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(run))
    finish(launch("choose.py", path, tmp_path))
    (row,) = records(tmp_path, "select")
    assert 0 <= row["preferred"] <= 1 and row["perplexity"] > 1
    assert Path(tmp_path / "run" / "final" / "config.json").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"reader": ""}, "expected --reader", id="no reader"),
        pytest.param({"model_from": "x/y"}, "model_from x/y", id="a foreign model"),
        pytest.param({"choice_weight": -1.0}, "choice_weight >= 0, got -1", id="weight"),
    ],
)
def test_what_cannot_be_is_said(settings, changes, message):
    with pytest.raises(LatexOCRError, match=message):
        build(ChooseConfig, settings | changes)


def test_a_plain_data_set_is_not_read(settings):
    trainee = start_choosing(build(ChooseConfig, settings))
    assert isinstance(trainee, RecognizerTrainee)
    assert not isinstance(trainee.dataset([], [], is_plain=True), WithRivals)
    assert trainee.tokenizer.get_vocab() == build_tokenizer().get_vocab()
