"""The wheel carries the models and samples, and finds them where it is installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as a wheel, built without network by the pinned build tool."""
    pytest.importorskip("hatchling", reason="needs hatchling, which packaging/dev.py installs")
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    built = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_resources_and_the_licences(wheel: Path, repository: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files", "resources"], cwd=repository, capture_output=True, text=True)
    resources = listed.stdout.split()
    assert {name.replace("resources/", "cxr_viewer/_resources/", 1) for name in resources} <= names
    for licence in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f".dist-info/licenses/{licence}") for name in names)
    assert not {name for name in names if name.startswith(("tests/", "packaging/", "resources/"))}


def test_an_installed_wheel_finds_its_resources(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from cxr_viewer.core import resources as r; "
    done = subprocess.run(
        [sys.executable, "-I", "-c", code + "print(r.resources_dir())"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(site / "cxr_viewer" / "_resources"), done.stderr


def test_the_wheel_offers_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        name = next(name for name in content.namelist() if name.endswith("entry_points.txt"))
        assert "cxr-viewer = cxr_viewer.__main__:main" in content.read(name).decode()
