"""The program's own files are found in a checkout and beside an installed package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cxr_viewer.core import resources
from cxr_viewer.core.errors import CxrError


@pytest.fixture(autouse=True)
def _ask_again() -> Iterator[None]:
    resources.resources_dir.cache_clear()
    yield
    resources.resources_dir.cache_clear()


def test_a_checkout_uses_the_folder_at_its_top(repository: Path) -> None:
    assert resources.resources_dir() == repository / "resources"


def test_an_installed_package_uses_what_it_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "cxr_viewer"
    (package / "_resources").mkdir(parents=True)
    (tmp_path / "site-packages" / "resources").mkdir()  # somebody else's
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resources.resources_dir() == package / "_resources"


def test_a_damaged_installation_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "cxr_viewer")
    with pytest.raises(CxrError) as caught:
        resources.resources_dir()
    assert caught.value.code == "no-resources"
    assert caught.value.hint == "Install the program again."
