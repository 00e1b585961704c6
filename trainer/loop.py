"""The one training loop: updates, learning rate, averaged weights, checkpoints, evaluation.

It runs on `accelerate`: one process or many, CPU or GPU. What it must remember between two runs is
RunState and the averaged weights; both lie in every checkpoint, beside model and optimiser.
"""

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from trainer.objective import Batch, LossSums

logger = logging.getLogger(__name__)

CHECKPOINTS_KEPT = 2
# How torch says that memory is too small: CUDA and its like, Linux, and what comes from malloc.
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
# Figures of an evaluation by which a run gets better, and whether more of them is better.
GOALS = {"exprate": 1, "f1": 1, "perplexity": -1}
# CPU time compares runs fairly that had other work beside them, as long as they do the same work
# outside the main process (loading data).
CLOCKS = {"wall": time.monotonic, "cpu": time.process_time}


@dataclass(frozen=True)
class LoopConfig:
    """Length and optimiser of a run."""

    max_steps: int = 20_000  # optimiser updates
    max_minutes: float = 0.0  # of training, over all runs, that end a run; 0: it goes by steps
    clock: str = "wall"  # what all minutes here are of: wall, or cpu, the main process's own
    peak_lr: float = 8e-4
    final_lr: float = 1e-6
    warmup_steps: int = 500
    # What the learning rate falls over: max_steps, or max_minutes, for a run whose speed on its
    # machine nobody knows yet.
    fall_over: str = "steps"
    weight_decay: float = 0.01
    max_norm: float = 1.0  # gradients are clipped to it
    ema_decay: float = 0.999
    accumulate: int = 1  # batches per update
    mixed_precision: str = "auto"  # auto, no, bf16 or fp16
    n_threads: int = 0  # 0: the cores divided by the processes of this machine
    save_minutes: float = 5.0
    eval_minutes: float = 15.0
    patience: int = 0  # evaluations in a row without a gain that end a run; 0: it goes on
    log_steps: int = 50

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.accumulate < 1:
            raise ValueError(
                "max_steps and accumulate must be at least 1, "
                f"got {self.max_steps} and {self.accumulate}"
            )
        if self.patience < 0 or self.max_minutes < 0:
            raise ValueError(
                "patience must be 0 or more evaluations and max_minutes 0 or more, "
                f"got {self.patience} and {self.max_minutes}"
            )
        if self.fall_over not in ("steps", "minutes") or (
            self.fall_over == "minutes" and not self.max_minutes
        ):
            raise ValueError(
                "fall_over must be steps, or minutes with max_minutes above 0, "
                f"got {self.fall_over!r} and {self.max_minutes}"
            )
        if self.clock not in CLOCKS:
            raise ValueError(f"clock must be one of {', '.join(CLOCKS)}, got {self.clock!r}")
        if self.mixed_precision not in ("auto", "no", "bf16", "fp16"):
            raise ValueError(
                f"mixed_precision must be auto, no, bf16 or fp16, got {self.mixed_precision!r}"
            )


@dataclass
class RunState:
    """Where a run stands."""

    step: int = 0  # optimiser updates
    epoch: int = 0
    position: int = 0  # batches of this epoch that all processes together have used
    seconds: float = 0.0  # of training, over all runs
    n_examples: int = 0
    best_exprate: float = 0.0  # percent, on the selection set

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.__dict__.update(saved)


class AveragedWeights:
    """Exponential moving average of a model's weights and batch statistics.

    Source: Polyak averaging as in Tarvainen and Valpola 2017, arXiv:1703.01780. The decay grows
    with the steps, so that the random start is soon forgotten."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.values = {
            key: value.detach().clone().float()
            for key, value in model.state_dict().items()
            if value.is_floating_point()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        current = model.state_dict()
        torch._foreach_lerp_(
            list(self.values.values()), [current[key] for key in self.values], 1 - decay
        )

    def copy_to(self, model: nn.Module) -> None:
        """Overwrite the model's weights with the averages."""
        model.load_state_dict(self.values, strict=False)

    def state_dict(self) -> dict[str, Any]:
        return {"n_updates": self.n_updates, "values": self.values}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.n_updates = saved["n_updates"]
        for key, value in saved["values"].items():
            self.values[key].copy_(value)


def learning_rate(step: int, config: LoopConfig, seconds: float = 0.0) -> float:
    """Linear warm-up, then half a cosine down to final_lr at max_steps or max_minutes.

    Args: seconds, of training so far. Source: Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5,
    without restarts."""
    if step < config.warmup_steps:
        return config.peak_lr * (step + 1) / config.warmup_steps
    if config.fall_over == "minutes":
        progress = seconds / (60 * config.max_minutes)
    else:
        progress = (step - config.warmup_steps) / max(1, config.max_steps - config.warmup_steps)
    wave = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.final_lr + (config.peak_lr - config.final_lr) * wave


def make_accelerator(config: LoopConfig, run_dir: Path) -> Accelerator:
    """Accelerator that uses all cores and the fastest safe number format.

    `accelerate launch` sets OMP_NUM_THREADS to 1 on a CPU, hence the threads are set here."""
    precision = config.mixed_precision
    if precision == "auto":
        precision = "bf16" if has_fast_bf16() else "no"
    accelerator = Accelerator(
        mixed_precision=precision, log_with="tensorboard", project_dir=str(run_dir)
    )
    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
    # Adam's moments of rare tokens fade into denormal numbers, which processors handle slowly.
    torch.set_flush_denormal(True)
    torch.set_num_threads(config.n_threads or max(1, (os.cpu_count() or 1) // n_local))
    return accelerator


def has_fast_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def make_optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.AdamW:
    """AdamW; biases, norms and embeddings do not decay."""
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
    chosen = {id(p) for p in decayed}
    others = [p for p in model.parameters() if id(p) not in chosen]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(0.9, 0.98), fused=True)


class Loop:
    """A run: model, optimiser, averaged weights, state, and the folder where they are kept."""

    def __init__(self, accelerator: Accelerator, model: nn.Module, config: LoopConfig) -> None:
        self.accelerator, self.config = accelerator, config
        self.run_dir = Path(accelerator.project_dir)
        self.state = RunState()
        # Channels last is what oneDNN's and cuDNN's bfloat16 convolutions want.
        model = model.to(memory_format=torch.channels_last)
        self.average = AveragedWeights(model, config.ema_decay)
        optimizer = make_optimizer(model, config)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        for key, value in self.average.values.items():
            self.average.values[key] = value.to(accelerator.device)
        accelerator.register_for_checkpointing(self.state, self.average)

    # --- One update ---------------------------------------------------------------------------

    def update(self, batches: list[Batch]) -> dict[str, float]:
        """One optimiser step over some batches, averaged over all their tokens in all processes.

        Returns: the loss per token, unsmoothed, the share of tokens right, and the auxiliary
            losses, over the batches of all processes.
        Raises: FloatingPointError if the loss is not finite."""
        lr = self._set_learning_rate()
        device, world = self.accelerator.device, self.accelerator.num_processes
        n_tokens = self._sum(sum(batch.n_tokens for batch in batches))
        sums = torch.zeros(4, device=device)
        for i, batch in enumerate(batches):
            last = i == len(batches) - 1
            with self.accelerator.no_sync(self.model) if not last else nullcontext():
                losses: LossSums = self.model(**vars(batch.to(device)))
                # The objective is a sum over tokens; DDP averages over processes, hence the factor.
                self.accelerator.backward(losses.objective * (world / n_tokens))
            sums += torch.stack(
                [losses.token_loss, losses.n_right, losses.cell_loss, losses.attention_loss]
            ).detach()
        sums = self.accelerator.reduce(sums, "sum")
        token_loss, n_right, cell_loss, attention_loss = sums.tolist()
        self._step(token_loss)
        n_batches = len(batches) * world
        return {
            "loss": token_loss / max(1, n_tokens),
            "accuracy": n_right / max(1, n_tokens),
            "cell_loss": cell_loss / n_batches,
            "attention_loss": attention_loss / n_batches,
            "lr": lr,
        }

    def _set_learning_rate(self) -> float:
        lr = learning_rate(self.state.step, self.config, self.state.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _step(self, loss: float) -> None:
        """Let the optimiser take its step by the gradients that lie ready; loss is their loss."""
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} at step {self.state.step}")
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.max_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.accelerator.unwrap_model(self.model))

    def _sum(self, number: int) -> float:
        """Sum over the processes."""
        value = torch.tensor(float(number), device=self.accelerator.device)
        return float(self.accelerator.reduce(value, "sum"))

    # --- The run ------------------------------------------------------------------------------

    def run(
        self,
        batches: Iterator[Batch],
        next_epoch_after: Callable[[int], int],
        evaluate: Callable[[nn.Module], dict[str, float]] | None,
    ) -> None:
        """Train until max_steps, or until time or patience runs out.

        Args: batches, from where the state stands; next_epoch_after, batches that epoch number has
            for all processes together; evaluate, figures of the model with averaged weights; its
            `exprate` decides which weights are kept as best."""
        config, state = self.config, self.state
        self._record("start", {"threads": torch.get_num_threads(), **self._setting()})
        clock = _Clock(CLOCKS[config.clock], state.seconds)
        bar = self._progress_bar()
        window: list[dict[str, float]] = []
        done = state.step >= config.max_steps or self._is_late() or self._is_exhausted()
        while not done:
            chunk = [next(batches) for _ in range(config.accumulate)]
            window.append(self.update(chunk))
            self._advance(chunk, next_epoch_after)
            state.seconds = clock.seconds()
            bar.update()
            done = state.step == config.max_steps or self._is_late()
            if state.step % config.log_steps == 0 or done:
                self._log(_means(window), bar)
                window = []
            if evaluate and self._agree(clock.is_due("eval", config.eval_minutes) or done):
                self._evaluate(evaluate)
                done = done or self._is_exhausted()
            if self._agree(clock.is_due("save", config.save_minutes) or done):
                self.save()
        bar.close()

    def _setting(self) -> dict[str, Any]:
        """What a reader of the log has to know to compare this run's times with another's."""
        return {
            "processes": self.accelerator.num_processes,
            "precision": self.accelerator.mixed_precision,
            "device": str(self.accelerator.device),
        }

    def _advance(self, chunk: list[Batch], batches_in: Callable[[int], int]) -> None:
        state, world = self.state, self.accelerator.num_processes
        state.step += 1
        state.n_examples += sum(len(batch.labels) for batch in chunk) * world
        state.position += len(chunk) * world
        while state.position >= batches_in(state.epoch):
            state.position -= batches_in(state.epoch)
            state.epoch += 1

    def _is_late(self) -> bool:
        limit = 60 * self.config.max_minutes
        return bool(limit) and self._agree(self.state.seconds >= limit)

    def _is_exhausted(self) -> bool:
        """Whether patience has run out, by the evaluations that the log has of this run's steps."""
        if not self.config.patience:
            return False
        since = 0
        if self.accelerator.is_main_process:
            rows = read_log(self.run_dir, "select")
            # After a kill the log knows of steps that this run has not taken yet, or takes twice.
            taken = {row["step"]: row for row in rows if row["step"] <= self.state.step}
            since = evaluations_since_gain([taken[step] for step in sorted(taken)])
        return self._agree(since >= self.config.patience)

    def _agree(self, due: bool) -> bool:
        """The main process decides what clocks decide, or the others would wait for ever."""
        if self.accelerator.num_processes == 1:
            return due
        flag = torch.tensor(float(due and self.accelerator.is_main_process))
        return bool(self.accelerator.reduce(flag.to(self.accelerator.device), "sum") > 0)

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.config.max_steps,
            initial=self.state.step,
            disable=None if self.accelerator.is_main_process else True,
            unit="step",
        )

    def _log(self, means: dict[str, float], bar: tqdm) -> None:
        state = self.state
        means = means | {"epoch": state.epoch, "examples_per_s": state.n_examples / state.seconds}
        self.accelerator.log({f"train/{key}": value for key, value in means.items()}, state.step)
        bar.set_postfix(loss=f"{means['loss']:.3f}", right=f"{means['accuracy']:.3f}")
        self._record("train", means)

    def _evaluate(self, evaluate: Callable[[nn.Module], dict[str, float]]) -> None:
        """Only the main process evaluates; the others meet it at the next update."""
        if not self.accelerator.is_main_process:
            return
        model = self.accelerator.unwrap_model(self.model)
        current = {key: value.clone() for key, value in model.state_dict().items()}
        self.average.copy_to(model)
        model.eval()
        figures = evaluate(model)
        model.load_state_dict(current)
        model.train()
        self.accelerator.log(
            {f"select/{key}": value for key, value in figures.items()}, self.state.step
        )
        self._record("select", figures)
        self.state.best_exprate = max(self.state.best_exprate, figures.get("exprate", 0.0))

    def _record(self, kind: str, figures: dict[str, Any]) -> None:
        """One JSON line: what a reader without TensorBoard looks at, and what figures are made
        from."""
        if not self.accelerator.is_main_process:
            return
        line = {"kind": kind, "step": self.state.step, "seconds": round(self.state.seconds, 1)}
        line |= {k: round(v, 6) if isinstance(v, float) else v for k, v in figures.items()}
        with (self.run_dir / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if kind == "select":
            logger.info("step %d: %s", self.state.step, line)

    # --- Checkpoints --------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; it appears under its name only when it is whole."""
        target = self.run_dir / "checkpoints" / f"step_{self.state.step:08d}"
        unfinished = target.with_name(target.name + ".tmp")
        self.accelerator.save_state(str(unfinished))
        self.accelerator.wait_for_everyone()  # each process writes its random state
        if self.accelerator.is_main_process:
            shutil.rmtree(target, ignore_errors=True)
            unfinished.rename(target)
            for old in checkpoints(self.run_dir)[:-CHECKPOINTS_KEPT]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Go on from the newest checkpoint of the run's folder, if there is one."""
        found = checkpoints(self.run_dir)
        if not found:
            return False
        self.accelerator.load_state(str(found[-1]))
        logger.info("resumed from %s", found[-1].name)
        return True


def checkpoints(run_dir: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    folder = run_dir / "checkpoints"
    return sorted(p for p in folder.glob("step_*") if p.suffix != ".tmp")


def read_log(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    """Lines of one kind of a run's log, in the order they were written."""
    log = run_dir / "log.jsonl"
    if not log.exists():
        return []
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == kind]


def evaluations_since_gain(rows: Sequence[dict[str, Any]]) -> int:
    """How many evaluations there were since the last that was better than all before it.

    A gain in any figure of GOALS counts: while no formula is right yet, perplexity falls."""
    best: dict[str, float] = {}
    since = 0
    for row in rows:
        figures = {name: sign * row[name] for name, sign in GOALS.items() if name in row}
        gained = {k: v for k, v in figures.items() if v > best.get(k, -math.inf)}
        best |= gained
        since = 0 if gained else since + 1
    return since


@contextmanager
def memory_advice(advice: str) -> Iterator[None]:
    """Adds what to lower to the error of a run whose memory is too small, of CPU or GPU.

    Raises: MemoryError in place of torch's RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        said = str(error)
        if not any(sign in said for sign in OUT_OF_MEMORY):
            raise
        raise MemoryError(f"out of memory ({said.splitlines()[0]}): {advice}") from error


class _Clock:
    """Seconds of a run, and which of its regular duties are due."""

    def __init__(self, now: Callable[[], float], seconds_before: float) -> None:
        self.now = now
        self.start = now()
        self.before = seconds_before
        self.last: dict[str, float] = {}

    def seconds(self) -> float:
        return self.before + self.now() - self.start

    def is_due(self, duty: str, minutes: float) -> bool:
        now = self.now()
        if now - self.last.setdefault(duty, self.start) < 60 * minutes:
            return False
        self.last[duty] = now
        return True


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
