"""The training loop with a model of two numbers."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from torch import Tensor, nn

from tests.tiny_foreign import batch_of, trainee, write_foreign
from trainer.foreign import ForeignBatch, load_foreign
from trainer.loop import (
    Loop,
    LoopConfig,
    evaluations_since_gain,
    learning_rate,
    memory_advice,
    read_log,
)
from trainer.objective import LossSums, TensorBatch


@dataclass
class Points(TensorBatch):
    inputs: Tensor
    labels: Tensor


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(2))

    def forward(self, inputs: Tensor, labels: Tensor) -> LossSums:
        loss = ((self.slope * inputs).sum(dim=1) - labels).square().sum()
        return LossSums(
            loss, loss.detach(), loss.detach() * 0, loss.detach() * 0, loss.detach() * 0
        )


@pytest.fixture
def make_loop(tmp_path):
    def make(model: nn.Module | None = None, **config: object) -> Loop:
        settings = {"max_steps": 12, "warmup_steps": 0, "log_steps": 1, "eval_minutes": 0}
        accelerator = Accelerator(cpu=True, project_dir=str(tmp_path))
        return Loop(accelerator, model or Line(), LoopConfig(**(settings | config)))

    yield make
    AcceleratorState._reset_state()
    PartialState._reset_state()


def run(loop: Loop, figures: list[dict[str, float]]) -> int:
    """Train with evaluations that find these figures, the last one again and again."""
    found = iter([*figures, *[figures[-1]] * 20])
    batch = Points(torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([1.0, 2.0]))
    loop.run(repeat(batch), lambda epoch: 100, lambda model: next(found))
    return loop.state.step


@pytest.mark.parametrize(
    ("rows", "since"),
    [
        pytest.param([], 0, id="none yet"),
        pytest.param([{"exprate": 0.0}], 0, id="the first is a gain"),
        pytest.param([{"exprate": 5.0}, {"exprate": 5.0}], 1, id="no better is none"),
        pytest.param(
            [{"exprate": 5.0}, {"exprate": 4.0}, {"exprate": 4.5}], 2, id="below the best"
        ),
        pytest.param([{"exprate": 5.0}, {"exprate": 4.0}, {"exprate": 6.0}], 0, id="a new best"),
        pytest.param(
            [{"exprate": 0.0, "perplexity": 9.0}, {"exprate": 0.0, "perplexity": 8.0}],
            0,
            id="perplexity falls while nothing is right",
        ),
        pytest.param(
            [{"exprate": 1.0, "perplexity": 2.0}, {"exprate": 1.0, "perplexity": 3.0}],
            1,
            id="perplexity rises",
        ),
        pytest.param([{"f1": 0.5}, {"f1": 0.6}, {"f1": 0.6}], 1, id="a detector"),
    ],
)
def test_evaluations_since_the_last_gain(rows, since):
    assert evaluations_since_gain(rows) == since


def test_a_run_without_gains_ends_early_and_stays_ended(make_loop, tmp_path):
    loop = make_loop(patience=3)
    figures = [{"exprate": 1.0}, {"exprate": 3.0}, {"exprate": 2.0}]
    assert run(loop, figures) == 5
    assert len(read_log(tmp_path, "select")) == 5
    again = make_loop(patience=3)
    assert again.resume()
    assert run(again, figures) == 5
    assert torch.equal(again.model.slope, loop.model.slope)


def test_patience_counts_from_the_checkpoint_that_a_run_goes_on_from(make_loop):
    assert run(make_loop(max_steps=2), [{"exprate": 1.0}]) == 2
    more = make_loop(patience=3)
    more.resume()
    assert run(more, [{"exprate": 1.0}]) == 4


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_a_run_ends_by_the_clock_and_stays_ended(make_loop, clock):
    assert run(make_loop(max_minutes=1e-6, clock=clock), [{"exprate": 1.0}]) == 1
    again = make_loop(max_minutes=1e-6, clock=clock)
    again.resume()
    assert run(again, [{"exprate": 1.0}]) == 1


@pytest.mark.parametrize(("clock", "expected"), [("wall", True), ("cpu", False)])
def test_time_in_which_nothing_is_computed_counts_only_by_the_wall_clock(
    make_loop, clock, expected
):
    loop = make_loop(clock=clock, max_steps=4)
    batch = Points(torch.tensor([[1.0, 2.0]]), torch.tensor([1.0]))

    def waiting() -> Iterator[Points]:
        for _ in range(4):
            time.sleep(0.2)
            yield batch

    loop.run(waiting(), lambda epoch: 100, None)
    assert (loop.state.seconds > 0.7) == expected


def test_the_learning_rate_falls_over_the_minutes_of_a_run_that_has_no_number_of_steps():
    config = LoopConfig(fall_over="minutes", max_minutes=2, warmup_steps=10, peak_lr=1.0)
    assert learning_rate(4, config, 1.0) == 0.5
    rates = [learning_rate(10**6, config, seconds) for seconds in (0.0, 60.0, 120.0)]
    assert rates == pytest.approx([1.0, 0.5, config.final_lr], abs=1e-5)


def test_without_minutes_the_learning_rate_cannot_fall_over_them():
    with pytest.raises(ValueError, match="max_minutes above 0"):
        LoopConfig(fall_over="minutes")


def test_without_patience_a_run_takes_all_its_steps(make_loop):
    assert run(make_loop(), [{"exprate": 1.0}]) == 12


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError, id="GPU"
        ),
        pytest.param(
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            MemoryError,
            id="CPU",
        ),
        pytest.param(RuntimeError("shapes do not match"), RuntimeError, id="something else"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_too_little_memory_says_what_to_lower(error, expected):
    with pytest.raises(expected) if expected else nullcontext() as caught, memory_advice("less"):
        if error:
            raise error
    if expected:
        assert ("less" in str(caught.value)) == (expected is MemoryError)


def test_memory_really_out_is_recognised():
    with pytest.raises(MemoryError, match="lower the batch"), memory_advice("lower the batch"):
        torch.empty(10**15)


def test_a_negative_patience_is_refused():
    with pytest.raises(ValueError, match="patience"):
        LoopConfig(patience=-1)


def test_batches_of_unequal_length_count_by_their_tokens(make_loop):
    loop = make_loop()
    short = Points(torch.ones(1, 2), torch.ones(1))
    long = Points(torch.ones(3, 2), torch.tensor([1.0, 2.0, 3.0]))
    assert loop.update([short, long])["loss"] == pytest.approx((1 + 1 + 4 + 9) / 4)


def test_averages_follow_at_once_without_decay(make_loop):
    loop = make_loop(ema_decay=0.0)
    run(loop, [{"exprate": 1.0}])
    assert torch.equal(loop.average.values["slope"], loop.model.slope.detach())


@pytest.mark.parametrize("kind", ["vit", "blip"])
def test_models_that_share_weights_go_on_exactly_where_they_were(make_loop, tmp_path, kind):
    folder = write_foreign(tmp_path / "model", kind)

    def start() -> tuple[Loop, ForeignBatch]:
        student = trainee(load_foreign(folder))
        return make_loop(student.objective, peak_lr=0.01), batch_of(student, [0, 1])

    cut, batch = start()
    cut.update([batch])
    cut.state.step = 1
    cut.save()
    resumed, _ = start()
    assert resumed.resume()
    assert resumed.update([batch]) == cut.update([batch])
    assert resumed.update([batch]) == cut.update([batch])
