"""The training loop: AdamW, a cosine schedule with warm-up, averaged weights, early stopping, checkpoints."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import InputSpec
from cxr_viewer.inference.networks import CamNetwork, build_network
from cxr_viewer.inference.preprocess import prepare
from cxr_viewer.training.augment import AugmentConfig, augmented
from cxr_viewer.training.data import FilmSet
from cxr_viewer.training.style import balancing_weights, label_from_make

CHECKPOINT_NAME = "checkpoint.pt"
BEST_NAME = "best.safetensors"
HISTORY_NAME = "history.json"
INPUT = InputSpec(size_px=192, fit="stretch", crop_border=True, mean=0.5, std=0.25)


@dataclass(frozen=True, slots=True)
class FitConfig:
    """All that decides what comes out, besides the films.

    Attributes:
        epochs: most passes over the films; the learning rate falls to 0 over them.
        patience: stop after this many epochs without a better validation AUC.
        average: share of the old value kept per step in the averaged weights, which are the ones kept.
        label_smoothing: targets are this far from 0 and 1.
        balanced: draw normal and pneumonia equally often, and films within each so that their make says nothing about
            the label (:mod:`cxr_viewer.training.style`).
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        threads: of torch, on the CPU.
    """

    network: str = "cxr-small"
    epochs: int = 22
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.03
    average: float = 0.998
    patience: int = 8
    balanced: bool = True
    seed: int = 1
    device: str = "auto"
    threads: int = 2
    input: InputSpec = INPUT
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(slots=True)
class _State:
    """What a checkpoint holds."""

    network: CamNetwork
    averaged: CamNetwork
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    best: tuple[float, float] = (-1.0, -math.inf)
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def pick_device(name: str) -> torch.device:
    """``"auto"`` is CUDA where there is one.

    Raises:
        CxrError: CUDA was asked for and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise CxrError("No CUDA device is available.", hint="Train with --device cpu.", code="no-cuda")
    return torch.device(name)


def prepared(films: FilmSet, spec: InputSpec) -> NDArray[np.float32]:
    """The network's input for every film, (n, 1, size, size), exactly as in reading."""
    out = np.empty((len(films), 1, spec.size_px, spec.size_px), dtype=np.float32)
    for index, grey in enumerate(films.grey):
        out[index] = prepare(grey.astype(np.float32) / np.float32(255), spec)[0]
    return out


def score(network: nn.Module, inputs: NDArray[np.float32], *, batch: int = 64) -> NDArray[np.float64]:
    """Logits (n,) of the first label, in full precision, in evaluation mode."""
    device = next(network.parameters()).device
    network.eval()
    logits = np.empty(len(inputs), dtype=np.float64)
    with torch.inference_mode():
        for start in range(0, len(inputs), batch):
            part = torch.from_numpy(inputs[start : start + batch]).to(device)
            logits[start : start + batch] = network(part)[:, 0].cpu().numpy()
    return logits


def fit(
    train: FilmSet,
    validation: FilmSet,
    config: FitConfig,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = True,
    quiet: bool = False,
) -> Path:
    """Train and keep the averaged weights of the epoch with the best validation AUC (ties: the lower log loss).

    A checkpoint is written after every epoch; with ``resume`` training goes on from the one in ``out`` if it was made
    with the same configuration.

    Args:
        init: safetensors to start from; the head is taken over only where its shape fits.

    Returns:
        The file with the best weights.

    Raises:
        CxrError: films of one kind only, or a checkpoint of another configuration.
    """
    if len(np.unique(train.labels)) < 2 or len(np.unique(validation.labels)) < 2:
        raise CxrError("Training and validation both need normal films and films with pneumonia.", code="one-class")
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(config.seed)
    device = pick_device(config.device)
    state = _fresh_state(config, device, init)
    if resume and (out / CHECKPOINT_NAME).is_file():
        _restore(state, config, out / CHECKPOINT_NAME, device)
        print(f"Going on after epoch {state.epoch} of {config.epochs}.")
    checked = prepared(validation, config.input)
    weights = None
    if config.balanced:
        weights = balancing_weights(label_from_make(train, validation)[0], train.labels)
    while state.epoch < config.epochs and state.epoch - state.best_epoch < config.patience:
        started = time.perf_counter()
        loss = _train_epoch(state, train, weights, config, device, quiet=quiet)
        state.epoch += 1
        _note_epoch(state, validation, score(state.averaged, checked), loss, time.perf_counter() - started, out)
        _checkpoint(state, config, out)
    return out / BEST_NAME


def _fresh_state(config: FitConfig, device: torch.device, init: Path | None) -> _State:
    network = build_network(config.network, 1)
    if init is not None:
        _take_over(network, init)
    network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).requires_grad_(False)
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return _State(network, averaged, torch.optim.AdamW(groups, lr=config.learning_rate))


def _take_over(network: CamNetwork, path: Path) -> None:
    try:
        given = load_file(path)
    except (OSError, ValueError) as error:
        raise CxrError(
            f"The weights “{path.name}” cannot be read.",
            hint="Give a safetensors file.",
            detail=str(error),
            code="init-unreadable",
        ) from error
    own = network.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if any(name.startswith("trunk.") and name not in fitting for name in own):
        raise CxrError(f"The weights “{path.name}” belong to another network.", code="init-mismatch")
    network.load_state_dict(own | fitting)


def _batches(
    films: FilmSet, weights: NDArray[np.float64] | None, config: FitConfig, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of augmented batches; one thread prepares the next batches while the network learns."""
    chance = np.random.default_rng((config.seed, epoch))
    order = _epoch_order(films.labels, weights, chance)
    starts = range(0, len(order) - len(order) % config.batch or len(order), config.batch)
    seeds = np.random.SeedSequence((config.seed, epoch, 1)).spawn(len(starts))

    def make(number: int) -> tuple[Tensor, Tensor]:
        own = np.random.default_rng(seeds[number])
        chosen = order[starts[number] : starts[number] + config.batch]
        grey = np.stack([augmented(films, int(i), config.input.size_px, config.augment, own) for i in chosen])
        inputs = (grey[:, None] - np.float32(config.input.mean)) / np.float32(config.input.std)
        return torch.from_numpy(inputs), torch.from_numpy(films.labels[chosen].astype(np.float32))

    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, number) for number in range(min(3, len(starts)))]
        for number in range(len(starts)):
            ready = ahead.pop(0)
            if number + 3 < len(starts):
                ahead.append(pool.submit(make, number + 3))
            yield ready.result()


def _epoch_order(
    labels: NDArray[np.int64], weights: NDArray[np.float64] | None, chance: np.random.Generator
) -> NDArray[np.int64]:
    """As many draws as films; with weights: half of each label, within it by weight, else every film once."""
    if weights is None:
        return chance.permutation(labels.size)
    parts = []
    for label in (0, 1):
        own = np.flatnonzero(labels == label)
        # Evenly spaced steps through the summed weights: a film of weight 1 comes up as often as its share says.
        steps = (np.arange(labels.size // 2) + chance.random()) / (labels.size // 2)
        shuffled = chance.permutation(own)
        summed = np.cumsum(weights[shuffled])
        parts.append(shuffled[np.minimum(np.searchsorted(summed / summed[-1], steps), own.size - 1)])
    return chance.permutation(np.concatenate(parts))


def _train_epoch(
    state: _State,
    films: FilmSet,
    weights: NDArray[np.float64] | None,
    config: FitConfig,
    device: torch.device,
    *,
    quiet: bool,
) -> float:
    state.network.train()
    per_epoch = max(1, len(films) // config.batch)
    total = config.epochs * per_epoch
    bar = tqdm(total=per_epoch, desc=f"Epoch {state.epoch + 1}", unit="batch", disable=quiet or None, leave=False)
    running, half = 0.0, _half_precision(device)
    for inputs, labels in _batches(films, weights, config, state.epoch):
        for group in state.optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(state.step, total, warm_up=per_epoch)
        targets = labels.to(device) * (1 - 2 * config.label_smoothing) + config.label_smoothing
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            logits = state.network(inputs.to(device).contiguous(memory_format=torch.channels_last))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(state.network.parameters(), 2.0)
        state.optimizer.step()
        state.step += 1
        _average(state.averaged, state.network, min(config.average, (1 + state.step) / (10 + state.step)))
        running += float(loss.detach())
        bar.update()
        bar.set_postfix(loss=f"{running / bar.n:.3f}" if bar.n else "")
    bar.close()
    return running / per_epoch


def _half_precision(device: torch.device) -> bool:
    """bfloat16 only where the hardware multiplies it; elsewhere it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _schedule(step: int, total: int, *, warm_up: int) -> float:
    warm_up = min(warm_up, max(1, total // 10))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm_up) / max(1, total - warm_up))))


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, keep: float) -> None:
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


def _note_epoch(
    state: _State, films: FilmSet, logits: NDArray[np.float64], loss: float, seconds: float, out: Path
) -> None:
    auc = float(roc_auc_score(films.labels, logits))
    nll = float(log_loss(films.labels, 1 / (1 + np.exp(-logits)), labels=[0, 1]))
    state.history.append(
        {"epoch": state.epoch, "loss": loss, "validation_auc": auc, "validation_log_loss": nll, "seconds": seconds}
    )
    better = (auc, -nll) > state.best
    print(
        f"Epoch {state.epoch}: loss {loss:.4f}, validation AUC {auc:.4f}, log loss {nll:.4f}, {seconds:.0f} s"
        + (" (best so far)" if better else ""),
        flush=True,
    )
    if better:
        state.best, state.best_epoch = (auc, -nll), state.epoch
        weights = {name: value.contiguous().cpu() for name, value in state.averaged.state_dict().items()}
        save_file(weights, out / BEST_NAME)
    (out / HISTORY_NAME).write_text(json.dumps(state.history, indent=1), encoding="utf-8")


def _checkpoint(state: _State, config: FitConfig, out: Path) -> None:
    content = {
        "config": _signature(config),
        "network": state.network.state_dict(),
        "averaged": state.averaged.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "numbers": [state.epoch, state.step, state.best_epoch, *state.best],
        "history": json.dumps(state.history),
    }
    partial = out / (CHECKPOINT_NAME + ".partial")
    torch.save(content, partial)
    partial.replace(out / CHECKPOINT_NAME)  # never half a checkpoint


def _signature(config: FitConfig) -> str:
    """The settings that decide the result; a run may go on with other threads or on another device."""
    values = asdict(config)
    del values["device"], values["threads"]
    return json.dumps(values, sort_keys=True)


def _restore(state: _State, config: FitConfig, path: Path, device: torch.device) -> None:
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        same = content["config"] == _signature(config)
    except Exception as error:  # torch raises many kinds here
        raise CxrError(
            f"The checkpoint “{path.name}” cannot be read.",
            hint="Remove it, or train with --fresh.",
            detail=str(error),
            code="checkpoint-damaged",
        ) from error
    if not same:
        raise CxrError(
            "The checkpoint in the output folder was made with other settings.",
            hint="Give another --out, or --fresh to start again.",
            detail=f"then: {content['config']}",
            code="checkpoint-other",
        )
    state.network.load_state_dict(content["network"])
    state.averaged.load_state_dict(content["averaged"])
    state.optimizer.load_state_dict(content["optimizer"])
    epoch, step, best_epoch, auc, nll = content["numbers"]
    state.epoch, state.step, state.best_epoch, state.best = int(epoch), int(step), int(best_epoch), (auc, nll)
    state.history = json.loads(content["history"])
