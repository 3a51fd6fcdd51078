"""Which devices are offered."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from cxr_viewer.inference import devices as under_test


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    under_test.devices.cache_clear()
    yield
    under_test.devices.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str, driver: bool) -> None:
    (folder / "version.py").write_text(version)
    (folder / "driver").touch()
    spec = ModuleSpec("torch", None, origin=str(folder / "__init__.py"))
    monkeypatch.setattr(under_test, "find_spec", lambda name: spec)
    monkeypatch.setattr(under_test, "_DRIVER_FILES", (str(folder / ("driver" if driver else "none")),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


BUILT_FOR_CUDA = "from typing import Optional\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n"
BUILT_FOR_CPU = "from typing import Optional\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"


@pytest.mark.parametrize(
    ("version", "driver", "offered"),
    [(BUILT_FOR_CUDA, True, True), (BUILT_FOR_CUDA, False, False), (BUILT_FOR_CPU, True, False)],
)
def test_cuda_is_offered_with_a_driver_and_a_torch_that_can_use_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, driver: bool, offered: bool
) -> None:
    pretend(monkeypatch, tmp_path, version, driver)
    assert under_test.devices() == (("auto", "cpu", "cuda") if offered else ("auto", "cpu"))


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_device_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hidden: str) -> None:
    pretend(monkeypatch, tmp_path, BUILT_FOR_CUDA, driver=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert under_test.devices() == ("auto", "cpu")


def test_the_installed_torch_says_itself_what_it_was_built_for() -> None:
    import torch

    assert under_test._torch_built_for_cuda() == (torch.version.cuda is not None)
