"""The references of the grey chain, and one cache of model graphs for all tests of the command line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def reference(repository: Path) -> ModuleType:
    """The reference renderers beside the checkout."""
    path = repository.parent / "shared" / "tools" / "ref_render.py"
    if not path.exists():
        pytest.skip("needs the reference renderers in ../shared/tools/ref_render.py, which is not there")
    spec = importlib.util.spec_from_file_location("ref_render_for_cli", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(autouse=True)
def _one_cache(graphs: Path, _user_folders: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turning the weights into a graph takes seconds and is done once for all of these tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(graphs))
    monkeypatch.setenv("LOCALAPPDATA", str(graphs))
