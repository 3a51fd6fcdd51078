"""``cxr-viewer train`` as several processes, by the command that docs/training.md gives."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_viewer import cli
from cxr_viewer.core.errors import CxrError
from cxr_viewer.training import commands
from cxr_viewer.training.checkpoint import BEST_NAME
from cxr_viewer.training.run import SITES_NAME

FILMS = 48
SMALL = {"network": '"cxr-tiny"', "input.size_px": 32, "films.size_px": 32, "training.epochs": 1, "training.batch": 8}


def _index(folder: Path, last: str = "0") -> Path:
    """Squares with and without a bright middle, of two sites; the last film's label is ``last``."""
    chance = np.random.default_rng(0)
    rows = []
    for number in range(FILMS):
        grey = chance.integers(40, 120, (32, 32)).astype(np.uint8)
        grey[10:22, 10:22] += np.uint8(60 * (number % 2))
        cv2.imwrite(str(folder / f"{number}.png"), grey)
        rows.append([f"{number}.png", f"p{number}", "North" if number % 4 < 2 else "South", number % 2])
    rows[-1][-1] = last
    with (folder / "films.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "patient", "site", "Square"], *rows])
    return folder / "films.csv"


def _train(index: Path, out: Path, *more: str) -> list[str]:
    changes = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    return ["train", "--recipe", "classify", "--data", str(index), "--out", str(out), "--threads", "1", *changes, *more]


def _torchrun(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    return subprocess.run([*torchrun, "cxr_viewer", *arguments], capture_output=True, text=True, check=False)


def test_two_processes_train_and_one_speaks(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _torchrun(_train(_index(tmp_path), out, "--leave-one-site-out"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Epoch 1:") == 2  # one for each site, by one process
    assert done.stdout.count("Training: 20 films of 20 patients") == 2
    with (out / SITES_NAME).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["site"], row["films"]) for row in rows[:2]] == [("North", "24"), ("South", "24")]
    assert len(list(out.glob(f"without-*/{BEST_NAME}"))) == 2


def test_what_is_wrong_with_the_films_is_told_once(tmp_path: Path) -> None:
    index = _index(tmp_path, last="perhaps")
    done = _torchrun(_train(index, tmp_path / "out", "--set", 'labels=["Square"]'))
    assert done.returncode == 1
    sentence = f"cxr-viewer: films.csv, line {FILMS + 1}: “perhaps” in the column “Square” is no known value"
    assert done.stderr.count(sentence) == 1, done.stderr
    assert "Traceback" not in done.stderr.split("torch/distributed")[0]


def test_a_process_that_outlives_the_first_tells_what_it_met_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setattr("cxr_viewer.training.commands.time.sleep", waited.append)
    parser, _ = cli.build_parser("train")
    arguments = parser.parse_args(
        _train(_index(tmp_path, last="perhaps"), tmp_path / "o", "--set", 'labels=["Square"]')
    )
    with pytest.raises(CxrError, match="no known value"):
        commands.run_train(arguments)
    assert waited == [commands.CHIEF_SPEAKS_S]
