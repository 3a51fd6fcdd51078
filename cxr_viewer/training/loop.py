"""The training loop for every kind of lesson: schedule, averaged weights, early stopping, checkpoints, several GPUs.

Chance comes from the recipe's seed, the epoch and the step alone, so a run that was stopped, even killed, and started
again gives what an unbroken one gives (on the same hardware; see torch's notes on reproducibility).
"""

from __future__ import annotations

import contextlib
import copy
import json
import math
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.checkpoint import BEST_NAME, CHECKPOINT_NAME, HISTORY_NAME, read_checkpoint, written
from cxr_viewer.training.ddp import Ranks, joined
from cxr_viewer.training.lesson import Batch, Judgement, Lesson
from cxr_viewer.training.recipe import LoopConfig
from cxr_viewer.training.tensorboard import Curves
from cxr_viewer.training.transfer import take_over

tqdm.monitor_interval = 0  # its watcher thread would outlive the bar, for nothing: every step here is short
_AHEAD = 3


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What does not change the result (but for rounding).

    Attributes:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        threads: of torch, on the CPU.
        workers: threads that prepare films while the network learns.
        fresh: start again even where there is a checkpoint.
        tensorboard: also write the curves for TensorBoard.
    """

    device: str = "auto"
    threads: int = 2
    workers: int = 1
    fresh: bool = False
    tensorboard: bool = False
    quiet: bool = False


@dataclass(slots=True)
class _State:
    """What a checkpoint holds."""

    network: nn.Module
    averaged: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    taken: tuple[str, ...]
    epoch: int = 0
    step: int = 0
    best: tuple[float, float] = (-math.inf, -math.inf)
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class _Step(nn.Module):
    """The lesson's loss as a module, so that gradients can be averaged over processes whatever the lesson does."""

    def __init__(self, network: nn.Module, lesson: Lesson) -> None:
        super().__init__()
        self.network = network
        self._lesson = lesson

    def forward(self, batch: Batch) -> Tensor:
        return self._lesson.loss(self.network, batch)


def learn(
    lesson: Lesson,
    config: LoopConfig,
    out: Path,
    *,
    settings: Mapping[str, Any],
    init: Path | None = None,
    options: RunOptions | None = None,
) -> Path:
    """Train, and keep the averaged weights of the epoch with the best validation score.

    A checkpoint is written after every epoch; training goes on from the one in ``out`` unless ``options.fresh``.

    Args:
        settings: all that decides the result; a checkpoint made with others is refused.
        init: safetensors or a bundle to start from; see :mod:`cxr_viewer.training.transfer`.

    Returns:
        The file with the best weights. Under torchrun every process returns it; only the chief has written it.

    Raises:
        CxrError: a checkpoint of other settings or a damaged one, weights that do not fit, a loss that is no number.
    """
    options = options or RunOptions()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    with joined(options.device) as ranks:
        _check_shares(config, ranks)
        if ranks.chief:
            out.mkdir(parents=True, exist_ok=True)
        state = _fresh_state(lesson, config, ranks, init)
        signature = dict(settings)
        if not options.fresh:
            _go_on(state, config, ranks, out / CHECKPOINT_NAME, signature)
        with Curves(out / "tensorboard" if options.tensorboard and ranks.chief else None, state.epoch) as curves:
            while state.epoch < config.epochs and state.epoch - state.best_epoch < config.patience:
                started = time.perf_counter()
                loss = _train_epoch(state, lesson, config, ranks, options)
                state.epoch += 1
                if ranks.chief:
                    row = _judged(state, lesson, loss, config, out)
                    row["seconds"] = time.perf_counter() - started
                    _tell(row, better=state.best_epoch == state.epoch)
                    curves.add(row)
                    _save(state, signature, out)
                state.best_epoch = ranks.shared(state.best_epoch)
    return out / BEST_NAME


def _go_on(state: _State, config: LoopConfig, ranks: Ranks, path: Path, signature: Mapping[str, Any]) -> None:
    """Take up a checkpoint, if there is one; the chief reads it for all."""
    content = ranks.shared(read_checkpoint(path, dict(signature)) if ranks.chief and path.is_file() else None)
    if content is None:
        return
    _restore(state, content)
    if ranks.chief:
        print(f"Going on after epoch {state.epoch} of {config.epochs}.")


def _check_shares(config: LoopConfig, ranks: Ranks) -> None:
    parts = ranks.count * config.accumulate
    if config.batch % parts:
        raise CxrError(
            f"A step of {config.batch} films cannot be shared by {ranks.count} processes in {config.accumulate} parts.",
            hint=f"Give --set training.batch=N with a multiple of {parts}.",
            code="wrong-use",
        )


def _fresh_state(lesson: Lesson, config: LoopConfig, ranks: Ranks, init: Path | None) -> _State:
    torch.manual_seed(config.seed)
    network = lesson.network()
    taken: tuple[str, ...] = ()
    if init is not None:
        taken = take_over(network, init, quiet=not ranks.chief)
    network = network.to(device=ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    fp16 = half_kind(ranks.device, config) is torch.float16
    scaler = torch.amp.GradScaler(ranks.device.type, enabled=fp16)
    return _State(network, averaged, _optimizer(network, config, taken), scaler, taken)


def _is_trunk(name: str, config: LoopConfig, taken: tuple[str, ...]) -> bool:
    return name in taken and not name.startswith(config.head)


def _optimizer(network: nn.Module, config: LoopConfig, taken: tuple[str, ...]) -> torch.optim.Optimizer:
    """Matrices decay, biases and norms do not; what was taken over has a rate of its own."""
    groups: list[dict[str, Any]] = []
    trained = set(taken)
    for trunk in (False, True):
        for decays in (True, False):
            chosen = [
                parameter
                for name, parameter in network.named_parameters()
                if _is_trunk(name, config, tuple(trained)) == trunk and (parameter.ndim > 1) == decays
            ]
            if chosen:
                decay = config.weight_decay if decays else 0.0
                rate = config.trunk_rate if trunk else 1.0
                groups.append({"params": chosen, "weight_decay": decay, "rate": rate})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0)
    return torch.optim.AdamW(groups, lr=config.learning_rate)


# ---------------------------------------------------------------- one epoch


def _train_epoch(state: _State, lesson: Lesson, config: LoopConfig, ranks: Ranks, options: RunOptions) -> float:
    """Returns the mean loss of this process."""
    _freeze(state, config, frozen=state.epoch < config.freeze_epochs)
    # Of dropout and the like: so that a run that was stopped goes on as if it had not been.
    torch.manual_seed(int(np.random.SeedSequence((config.seed, state.epoch, ranks.rank)).generate_state(1)[0]))
    order = lesson.order(np.random.default_rng((config.seed, state.epoch)))
    if len(order) < ranks.count * config.accumulate:
        raise CxrError(f"{len(order)} films are too few to learn from.", code="no-films")
    steps = max(1, len(order) // config.batch)
    step = ranks.wrapped(_Step(state.network, lesson))
    quiet = options.quiet or not ranks.chief
    bar = tqdm(total=steps, desc=f"Epoch {state.epoch + 1}", unit="step", disable=quiet or None, leave=False)
    running, half = torch.zeros((), device=ranks.device), half_kind(ranks.device, config)
    with contextlib.closing(_batches(lesson, order, config, ranks, options, state.epoch)) as batches, bar:
        for number in range(steps):
            for group in state.optimizer.param_groups:
                rate = _schedule(state.epoch + number / steps, config)
                group["lr"] = config.learning_rate * group["rate"] * rate
            running += _one_step(state, step, batches, config, ranks, half)
            if number % 10 == 9:
                bar.set_postfix(loss=f"{float(running) / (number + 1):.3f}", refresh=False)
            bar.update()
    mean = float(running) / steps
    if not math.isfinite(mean):
        raise CxrError(
            f"The loss of epoch {state.epoch + 1} is no number.",
            hint="Give a lower --set training.learning_rate, or --set training.half=false.",
            code="loss-lost",
        )
    return mean


def _one_step(
    state: _State,
    step: nn.Module,
    batches: Iterator[Batch],
    config: LoopConfig,
    ranks: Ranks,
    half: torch.dtype | None,
) -> Tensor:
    """One change of the weights; returns the loss, detached."""
    state.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=ranks.device)
    for part in range(config.accumulate):
        batch = {name: _moved(value, ranks.device) for name, value in next(batches).items()}
        last = part == config.accumulate - 1
        waits = contextlib.nullcontext() if last or ranks.count == 1 else step.no_sync()  # type: ignore[operator]
        with waits:
            with torch.autocast(ranks.device.type, dtype=half, enabled=half is not None):
                loss: Tensor = step(batch) / config.accumulate
            state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    if config.clip:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.step += 1
    if ranks.chief:
        _average(state.averaged, state.network, min(config.average, (1 + state.step) / (10 + state.step)))
    return total


def _batches(
    lesson: Lesson, order: NDArray[np.int64], config: LoopConfig, ranks: Ranks, options: RunOptions, epoch: int
) -> Generator[Batch, None, None]:
    """This process's share of every part of every step; other threads prepare the next ones while the network learns.

    Every batch has a seed of its own, so it is the same however many threads there are.
    """
    size = min(config.batch, len(order))
    pieces = [order[start : start + size] for start in range(0, len(order) - len(order) % size, size)]
    shares = [
        share for piece in pieces for share in np.array_split(piece[ranks.rank :: ranks.count], config.accumulate)
    ]
    seeds = np.random.SeedSequence((config.seed, epoch, 1)).spawn(len(shares) * ranks.count)[ranks.rank :: ranks.count]

    def make(number: int) -> Batch:
        return lesson.batch(shares[number], np.random.default_rng(seeds[number]))

    with ThreadPoolExecutor(options.workers) as pool:
        waiting: list[Future[Batch]] = []
        try:
            for number in range(len(shares)):
                while len(waiting) < _AHEAD + options.workers - 1 and number + len(waiting) < len(shares):
                    waiting.append(pool.submit(make, number + len(waiting)))
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _moved(value: Tensor, device: torch.device) -> Tensor:
    moved = value.to(device)
    return moved.contiguous(memory_format=torch.channels_last) if moved.ndim == 4 else moved


def _freeze(state: _State, config: LoopConfig, *, frozen: bool) -> None:
    """Hold what was taken over, with the running averages of its norms, or let it go."""
    state.network.train()
    held = {name for name in state.taken if frozen and _is_trunk(name, config, state.taken)}
    for name, parameter in state.network.named_parameters():
        parameter.requires_grad_(name not in held)
    for name, module in state.network.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and f"{name}.running_mean" in held:
            module.eval()


def half_kind(device: torch.device, config: LoopConfig) -> torch.dtype | None:
    """bfloat16 where the hardware multiplies it; float16 on other GPUs; None where full precision is as fast."""
    if not config.half:
        return None
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if native else torch.float16
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else None


def _schedule(epoch: float, config: LoopConfig) -> float:
    """Share of the learning rate: rises in a line, then falls as half a cosine wave to 0."""
    warm_up = min(config.warm_up_epochs, config.epochs / 10)
    if epoch < warm_up:
        return max(0.02, epoch / warm_up)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (epoch - warm_up) / max(1e-9, config.epochs - warm_up))))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


# ---------------------------------------------------------------- after an epoch


def _judged(state: _State, lesson: Lesson, loss: float, config: LoopConfig, out: Path) -> dict[str, float]:
    """Measure the averaged weights, and keep them if they are the best so far."""
    state.averaged.eval()
    with torch.inference_mode():
        judgement: Judgement = lesson.judge(state.averaged)
    row = {"epoch": float(state.epoch), "loss": loss, "score": judgement.score, **judgement.figures}
    state.history.append(row)
    if not math.isfinite(judgement.score):
        raise CxrError("The validation score is no number.", hint="Check the labels of the validation films.")
    if (judgement.score, judgement.tie) > state.best:
        state.best, state.best_epoch = (judgement.score, judgement.tie), state.epoch
        weights = {name: value.contiguous().cpu() for name, value in state.averaged.state_dict().items()}
        written(out / BEST_NAME, lambda path: save_file(weights, path))
    return row


def _tell(row: Mapping[str, float], *, better: bool) -> None:
    shown = ", ".join(
        f"{name} {value:.4f}" for name, value in row.items() if name not in ("epoch", "seconds") and "/" not in name
    )
    best = " (best so far)" if better else ""
    print(f"Epoch {int(row['epoch'])}: {shown}, {row['seconds']:.0f} s{best}", flush=True)


def _save(state: _State, settings: Mapping[str, Any], out: Path) -> None:
    content = {
        "settings": json.dumps(settings, sort_keys=True),
        "network": state.network.state_dict(),
        "averaged": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": state.scaler.state_dict(),
        "taken": list(state.taken),
        "numbers": [state.epoch, state.step, state.best_epoch, *state.best],
        "history": json.dumps(state.history),
    }
    written(out / CHECKPOINT_NAME, lambda path: torch.save(content, path))
    text = json.dumps(state.history, indent=1) + "\n"
    written(out / HISTORY_NAME, lambda path: path.write_text(text, encoding="utf-8"))


def _restore(state: _State, content: Mapping[str, Any]) -> None:
    state.network.load_state_dict(content["network"])
    state.averaged.load_state_dict(content["averaged"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.scaler.load_state_dict(content["scaler"])
    epoch, step, best_epoch, score, tie = content["numbers"]
    state.epoch, state.step, state.best_epoch, state.best = int(epoch), int(step), int(best_epoch), (score, tie)
    state.history = json.loads(content["history"])
    state.taken = tuple(content["taken"])
