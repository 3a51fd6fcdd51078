"""The loop: it learns, stops, goes on after being killed, starts from other weights, and is shared by processes."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.networks import build_network
from cxr_viewer.training.checkpoint import BEST_NAME, CHECKPOINT_NAME, HISTORY_NAME
from cxr_viewer.training.lesson import Judgement
from cxr_viewer.training.loop import RunOptions, learn
from cxr_viewer.training.recipe import LoopConfig
from cxr_viewer.training.transfer import take_over

SCRIPT = Path(__file__).with_name("plain_run.py")
QUIET = RunOptions(device="cpu", threads=1, quiet=True)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """The names of the script: ``run``, ``config``, ``PlainLesson``."""
    return runpy.run_path(str(SCRIPT))


def _same(left: dict[str, Tensor], right: dict[str, Tensor], **tolerance: float) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(right[name], value, **tolerance)


def _history(out: Path) -> list[dict[str, float]]:
    return json.loads((out / HISTORY_NAME).read_text(encoding="utf-8"))


def test_it_learns_and_keeps_the_best_epoch(plain: dict[str, Any], tmp_path: Path) -> None:
    plain["run"](tmp_path, epochs=8)
    history = _history(tmp_path)
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    network = plain["PlainLesson"]().network()
    network.load_state_dict(load_file(tmp_path / BEST_NAME))
    assert plain["PlainLesson"]().judge(network.eval().requires_grad_(False)).score == max(r["score"] for r in history)


def test_going_on_after_being_killed_gives_what_no_stop_gives(plain: dict[str, Any], tmp_path: Path) -> None:
    """A real process, killed without warning in its second epoch."""
    command = [sys.executable, str(SCRIPT), str(tmp_path / "killed"), "--die-in-epoch", "2"]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert len(_history(tmp_path / "killed")) == 1
    whole = plain["run"](tmp_path / "whole")
    _same(whole, plain["run"](tmp_path / "killed"), rtol=0, atol=0)
    best = [load_file(tmp_path / name / BEST_NAME) for name in ("whole", "killed")]
    _same(best[0], best[1], rtol=0, atol=0)


def test_two_processes_learn_what_one_learns(plain: dict[str, Any], tmp_path: Path) -> None:
    """Under a real torchrun: the ranks end with the same weights, and with those of one process on the same batches."""
    out = tmp_path / "two"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*torchrun, str(SCRIPT), str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    _same(first, second, rtol=0, atol=0)
    _same(plain["run"](tmp_path / "one"), first, rtol=1e-4, atol=1e-5)
    assert len(_history(out)) == 3
    assert done.stdout.count("Epoch 1:") == 1


def test_parts_of_a_step_add_up_to_the_step(plain: dict[str, Any], tmp_path: Path) -> None:
    whole, parts = plain["run"](tmp_path / "a"), plain["run"](tmp_path / "b", accumulate=3)
    _same(whole, parts, rtol=1e-4, atol=1e-5)
    lesson, config = plain["PlainLesson"](), replace(plain["config"](), accumulate=5)
    with pytest.raises(CxrError, match="12 films cannot be shared by 1 processes in 5 parts"):
        learn(lesson, config, tmp_path / "c", settings={}, options=QUIET)


def test_how_many_threads_prepare_films_changes_nothing(plain: dict[str, Any], tmp_path: Path) -> None:
    for name, workers in (("a", 1), ("b", 3)):
        lesson = plain["PlainLesson"]()
        learn(lesson, plain["config"](), tmp_path / name, settings={}, options=replace(QUIET, workers=workers))
    _same(load_file(tmp_path / "a" / BEST_NAME), load_file(tmp_path / "b" / BEST_NAME), rtol=0, atol=0)


def test_another_setting_is_named_and_a_damaged_checkpoint_is_not_taken(plain: dict[str, Any], tmp_path: Path) -> None:
    lesson, config = plain["PlainLesson"](), plain["config"]()
    learn(lesson, config, tmp_path, settings={"training.batch": 12, "seed": 1}, options=QUIET)
    with pytest.raises(CxrError, match=r"other settings: training\.batch was 12, now 16\."):
        learn(lesson, config, tmp_path, settings={"training.batch": 16, "seed": 1}, options=QUIET)
    learn(lesson, config, tmp_path, settings={"seed": 2}, options=replace(QUIET, fresh=True))
    (tmp_path / CHECKPOINT_NAME).write_bytes(b"no checkpoint")
    with pytest.raises(CxrError, match="cannot be read"):
        learn(lesson, config, tmp_path, settings={"seed": 2}, options=QUIET)


def _with_scores(plain: dict[str, Any], scores: list[float]) -> Any:
    class Scored(plain["PlainLesson"]):  # type: ignore[misc]
        def judge(self, network: nn.Module) -> Judgement:
            return Judgement(scores.pop(0), 0.0)

    return Scored()


def test_it_stops_when_nothing_gets_better(plain: dict[str, Any], tmp_path: Path) -> None:
    lesson = _with_scores(plain, [0.5, 0.7, 0.6, 0.7, 0.1])
    learn(lesson, replace(plain["config"](epochs=5), patience=2), tmp_path, settings={}, options=QUIET)
    assert [row["score"] for row in _history(tmp_path)] == [0.5, 0.7, 0.6, 0.7]


def test_a_loss_that_is_no_number_stops(plain: dict[str, Any], tmp_path: Path) -> None:
    class Lost(plain["PlainLesson"]):  # type: ignore[misc]
        def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            return super().loss(network, batch) * torch.nan

    with pytest.raises(CxrError, match="The loss of epoch 1 is no number"):
        learn(Lost(), plain["config"](), tmp_path, settings={}, options=QUIET)
    with pytest.raises(CxrError, match="validation score is no number"):
        learn(_with_scores(plain, [float("nan")]), plain["config"](), tmp_path / "x", settings={}, options=QUIET)


def _start(plain: dict[str, Any], folder: Path) -> Path:
    folder.mkdir()
    torch.manual_seed(7)
    network = plain["PlainLesson"]().network()
    del network[4]  # the head is another one
    save_file(network.state_dict(), folder / "start.safetensors")
    return folder / "start.safetensors"


def test_what_was_taken_over_waits_while_the_head_learns(
    plain: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = _start(plain, tmp_path / "start")
    config = replace(plain["config"](epochs=1), freeze_epochs=1, average=0.0)
    learn(plain["PlainLesson"](), config, tmp_path / "held", settings={}, init=start, options=QUIET)
    assert "2 of 4 tensors" in capsys.readouterr().out
    held, given = load_file(tmp_path / "held" / BEST_NAME), load_file(start)
    _same({name: held[name] for name in given}, given, rtol=0, atol=0)
    free = replace(config, freeze_epochs=0, trunk_rate=0.1)
    learn(plain["PlainLesson"](), free, tmp_path / "free", settings={}, init=start, options=QUIET)
    moved = load_file(tmp_path / "free" / BEST_NAME)["1.weight"] - given["1.weight"]
    fast = replace(config, freeze_epochs=0)
    learn(plain["PlainLesson"](), fast, tmp_path / "fast", settings={}, init=start, options=QUIET)
    moved_fast = load_file(tmp_path / "fast" / BEST_NAME)["1.weight"] - given["1.weight"]
    assert 0 < float(moved.abs().mean()) < 0.3 * float(moved_fast.abs().mean())


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = build_network("cxr-tiny", 2)
    with pytest.raises(CxrError, match="cannot be read"):
        take_over(network, tmp_path / "none.safetensors")
    save_file({"trunk.0.weight": torch.zeros(3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(CxrError, match="Nothing in the weights"):
        take_over(network, tmp_path / "other.safetensors")


def test_the_encoder_of_a_segmenter_fits_a_trunk(tmp_path: Path) -> None:
    network = build_network("cxr-tiny", 2)
    trunk = {name: value for name, value in network.state_dict().items() if name.startswith("trunk.")}
    body = {"body" + name.removeprefix("trunk"): torch.full_like(value, 2) for name, value in trunk.items()}
    save_file(body, tmp_path / "anatomy.safetensors")
    taken = take_over(network, tmp_path / "anatomy.safetensors", quiet=True)
    assert set(taken) == set(trunk)
    assert all(bool((network.state_dict()[name] == 2).all()) for name in trunk)


def test_tensorboard_is_asked_for_and_told_when_missing(
    plain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CxrError, match="TensorBoard is not installed"):
        learn(
            plain["PlainLesson"](), plain["config"](), tmp_path, settings={}, options=replace(QUIET, tensorboard=True)
        )


def test_curves_go_to_tensorboard(plain: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (extra “train”)")
    learn(plain["PlainLesson"](), plain["config"](), tmp_path, settings={}, options=replace(QUIET, tensorboard=True))
    assert list((tmp_path / "tensorboard").glob("events.*"))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_both_optimizers_learn(plain: dict[str, Any], tmp_path: Path, optimizer: str) -> None:
    config: LoopConfig = replace(plain["config"](epochs=6), optimizer=optimizer)
    learn(plain["PlainLesson"](), config, tmp_path, settings={}, options=QUIET)
    losses = [row["loss"] for row in _history(tmp_path)]
    assert losses[-1] < losses[0]


def test_too_few_films_are_told(plain: dict[str, Any], tmp_path: Path) -> None:
    class Empty(plain["PlainLesson"]):  # type: ignore[misc]
        def order(self, chance: np.random.Generator) -> Any:
            return np.empty(0, dtype=np.int64)

    with pytest.raises(CxrError, match="too few"):
        learn(Empty(), plain["config"](), tmp_path, settings={}, options=QUIET)
