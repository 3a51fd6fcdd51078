"""The lock holds everything, by hash, and names no place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dev_lock
import pytest
from dev_progress import SetupError
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def pins(repository: Path) -> list[dev_lock.Pin]:
    return dev_lock.read(repository / dev_lock.LOCK)


def test_every_dependency_of_the_project_is_pinned_within_its_bounds(
    repository: Path, pins: list[dev_lock.Pin]
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        versions = [pin.version for pin in pins if pin.name == dev_lock.normalise(requirement.name)]
        assert versions, f"{requirement.name} is not in the lock; run: python3 packaging/dev.py lock"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_the_lock_says_what_but_not_where(repository: Path) -> None:
    text = (repository / dev_lock.LOCK).read_text(encoding="utf-8")
    for place in ("://", "--index", "--extra-index", "--find-links", "@ "):
        assert place not in text


def test_an_entry_is_written_as_it_was_read(tmp_path: Path, repository: Path, pins: list[dev_lock.Pin]) -> None:
    again = tmp_path / "lock"
    again.write_text("".join(pin.requirement() + "\n" for pin in pins), encoding="utf-8")
    assert dev_lock.read(again) == pins
    assert again.read_text(encoding="utf-8") == (repository / dev_lock.LOCK).read_text(encoding="utf-8")


def test_a_setup_without_cuda_leaves_out_cuda_and_nothing_else(pins: list[dev_lock.Pin]) -> None:
    left_out = {pin.name for pin in pins if dev_lock.is_cuda(pin) or dev_lock.is_torch(pin)}
    assert {"torch", "torchvision", "triton", "nvidia-cudnn-cu13", "cuda-toolkit"} <= left_out
    strangers = [name for name in left_out if not name.startswith(("nvidia-", "cuda-", "torch", "triton"))]
    assert not strangers
    assert {"grad-cam", "numpy", "sympy", "filelock"} <= {pin.name for pin in pins} - left_out


@pytest.mark.parametrize("text", ["", "numpy==2.4.6\n", "numpy>=2 \\\n    --hash=sha256:" + "0" * 64, "<html>"])
def test_a_damaged_lock_is_told_with_the_way_out(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError, match="damaged") as caught:
        dev_lock.read(lock)
    assert caught.value.mend == "Restore it: git checkout -- packaging/requirements.lock"


def test_a_missing_lock_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        dev_lock.read(tmp_path / "lock")
