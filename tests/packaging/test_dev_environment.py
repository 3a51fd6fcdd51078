"""A `.venv` that is absent, half made, damaged, moved or out of date is seen as such and mended."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import dev_environment
import pytest
from dev_environment import Environment
from dev_lock import Pin
from dev_progress import SetupError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "house"
    (root / "packaging").mkdir(parents=True)
    (root / "packaging" / "requirements.lock").write_text("a==1\n", encoding="utf-8")
    (root / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    return root


@pytest.fixture
def made(checkout: Path) -> Environment:
    """An environment with an interpreter and a stamp, as a finished set-up leaves it."""
    environment = Environment(checkout, "cuda")
    dev_environment._ensure_interpreter(environment)
    environment.stamp.write_text(environment.key(), encoding="ascii")
    assert environment.is_ready()
    return environment


def test_nothing_made_is_not_ready(checkout: Path) -> None:
    assert not Environment(checkout, "cuda").is_ready()


@pytest.mark.parametrize("changed", ["packaging/requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_asks_for_a_new_setup(made: Environment, changed: str) -> None:
    with (made.repository / changed).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert not made.is_ready()


def test_a_killed_setup_is_not_ready(made: Environment) -> None:
    made.stamp.unlink()
    assert not made.is_ready()


def test_an_environment_without_interpreter_is_not_ready(made: Environment) -> None:
    made.python.unlink()
    assert not made.is_ready()


def test_a_moved_checkout_is_not_ready(made: Environment, tmp_path: Path) -> None:
    moved = made.repository.rename(tmp_path / "moved")
    assert not Environment(moved, "cuda").is_ready()


def test_the_other_build_of_torch_is_not_ready(made: Environment) -> None:
    assert not Environment(made.repository, "cpu").is_ready()


def _lose_interpreter(environment: Environment) -> None:
    for link in environment.python.parent.glob("python*"):
        link.unlink()


def _dangle(environment: Environment) -> None:
    _lose_interpreter(environment)
    environment.python.symlink_to("python-that-was-removed")


def _rubbish(environment: Environment) -> None:
    _lose_interpreter(environment)
    environment.python.write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
    environment.python.chmod(0o755)


def _lose_settings(environment: Environment) -> None:
    (environment.folder / "pyvenv.cfg").unlink()


@pytest.mark.skipif(os.name == "nt", reason="builds its damage from POSIX links and modes")
@pytest.mark.parametrize("damage", [_lose_interpreter, _dangle, _rubbish, _lose_settings])
def test_a_damaged_interpreter_is_mended_and_the_packages_stay(made: Environment, damage: object) -> None:
    package = made.site_packages() / "kept.py"
    package.write_text("", encoding="ascii")
    assert callable(damage)
    damage(made)
    dev_environment._ensure_interpreter(made)
    prefix = subprocess.run([made.python, "-c", "import sys, kept; print(sys.prefix)"], capture_output=True, text=True)
    assert Path(prefix.stdout.strip()) == made.folder


def test_packages_of_another_python_are_cleared_away(made: Environment) -> None:
    _lose_interpreter(made)
    made.site_packages().parent.rename(made.folder / "lib" / "python3.2")
    dev_environment._ensure_interpreter(made)
    assert not (made.folder / "lib" / "python3.2").exists()
    assert made.site_packages().is_dir()


def _package(site: Path, name: str, version: str = "1.0") -> Path:
    (site / name).mkdir(parents=True, exist_ok=True)
    (site / name / "__init__.py").write_text("x = 1\n", encoding="ascii")
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    record = f"{name}/__init__.py,sha256=x,6\n{name}/__pycache__/__init__.pyc,,9\n{info.name}/RECORD,,\n"
    (info / "RECORD").write_text(record, encoding="utf-8")
    return info


def test_whole_packages_are_known_by_normalised_name(tmp_path: Path) -> None:
    _package(tmp_path, "PySide6_Essentials", "6.12.0")
    _package(tmp_path, "torch", "2.15.0+cpu")
    assert dev_environment.whole_packages(tmp_path) == {"pyside6-essentials": "6.12.0", "torch": "2.15.0+cpu"}


@pytest.mark.parametrize("fault", ["lost", "cut", "no record", "rubbish record"])
def test_a_damaged_package_loses_its_entry(tmp_path: Path, fault: str) -> None:
    _package(tmp_path, "whole")
    info = _package(tmp_path, "broken")
    if fault == "lost":
        (tmp_path / "broken" / "__init__.py").unlink()
    elif fault == "cut":
        (tmp_path / "broken" / "__init__.py").write_text("x", encoding="ascii")
    elif fault == "no record":
        (info / "RECORD").unlink()
    else:
        (info / "RECORD").write_bytes(b"\xff\xfe,,\n")
    assert dev_environment.whole_packages(tmp_path) == {"whole": "1.0", "broken": ""}
    assert not info.exists()


def test_an_upgrade_cut_in_two_counts_as_damaged(tmp_path: Path) -> None:
    _package(tmp_path, "twice", "1.0")
    _package(tmp_path, "twice", "2.0")
    (tmp_path / "~wice").mkdir()
    assert dev_environment.whole_packages(tmp_path) == {"twice": ""}
    assert not (tmp_path / "~wice").exists()


def test_the_choice_of_torch_is_remembered(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert dev_environment.chosen_torch(checkout, None) == "cuda"
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "torch-build").write_text("cpu", encoding="ascii")
    assert dev_environment.chosen_torch(checkout, None) == "cpu"
    assert dev_environment.chosen_torch(checkout, "cuda") == "cuda"
    with pytest.raises(SetupError, match="CXR_VIEWER_TORCH is 'gpu'"):
        dev_environment.chosen_torch(checkout, "gpu")


def test_elsewhere_than_on_linux_the_index_has_no_cuda_anyway(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert dev_environment.chosen_torch(checkout, "cpu") == "cuda"


TORCH = [Pin(name, version, "", ()) for name, version in (("torch", "2.15.0"), ("torchvision", "0.29.2"))]
CUDA = Pin("nvidia-cudnn-cu13", "9.26", "", ())


class Recorder:
    """Stands in for pip and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def run(self, *arguments: str) -> None:
        self.asked.append(arguments)


def test_torch_without_cuda_comes_at_the_version_of_the_lock_and_cuda_goes() -> None:
    pip = Recorder()
    here = {"torch": "2.15.0", "nvidia-cudnn-cu13": "9.26"}
    dev_environment._install_cpu_torch(pip, [*TORCH, CUDA], here)  # type: ignore[arg-type]
    install, uninstall = pip.asked
    assert install[-2:] == ("torch==2.15.0+cpu", "torchvision==0.29.2+cpu")
    assert install[install.index("--index-url") + 1] == dev_environment.CPU_INDEX
    assert uninstall == ("uninstall", "--yes", "nvidia-cudnn-cu13")


def test_torch_without_cuda_is_not_fetched_twice() -> None:
    pip = Recorder()
    here = {"torch": "2.15.0+cpu", "torchvision": "0.29.2+cpu"}
    dev_environment._install_cpu_torch(pip, TORCH, here)  # type: ignore[arg-type]
    assert not pip.asked


def test_a_full_disk_is_seen_before_anything_is_fetched(made: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(made.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=10**9))
    with pytest.raises(SetupError, match=r"1\.0 GB are free"):
        dev_environment._announce(made, 100)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package index on this computer that offers pip 1.0; the wheel only notes how it was called."""
    folder = tmp_path / "simple" / "pip"
    folder.mkdir(parents=True)
    wheel = folder / "pip-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        note = "import pathlib, sys; pathlib.Path(sys.prefix, 'called').write_text(' '.join(sys.argv[1:3]))"
        content.writestr("pip/__main__.py", note)
    (folder / "index.html").write_text(f'<a href="{wheel.name}#sha256=0">pip</a>', encoding="ascii")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield wheel
        server.shutdown()
        thread.join()


def _pin_of(wheel: Path) -> Pin:
    return Pin("pip", "1.0", "", (f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}",))


def test_where_python_has_no_pip_it_is_fetched_by_its_hash(made: Environment, index: Path) -> None:
    assert dev_environment._pip_from_index(made, _pin_of(index))
    assert (made.folder / "called").read_text(encoding="utf-8") == "install --no-index"
    assert not list(made.folder.glob("*.whl"))


def test_a_pip_with_another_hash_is_refused(made: Environment, index: Path) -> None:
    with pytest.raises(SetupError, match="is not the one"):
        dev_environment._pip_from_index(made, Pin("pip", "1.0", "", ("sha256:" + "0" * 64,)))
    assert not (made.folder / "called").exists()


def test_an_index_without_that_pip_or_no_index_at_all_gives_way(
    made: Environment, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not dev_environment._pip_from_index(made, Pin("pip", "2.0", "", ()))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    assert not dev_environment._pip_from_index(made, _pin_of(index))


def test_where_pip_cannot_be_had_the_line_to_type_is_told(made: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("_pip_from_python", "_pip_from_index", "_pip_from_system"):
        monkeypatch.setattr(dev_environment, way, lambda environment, pin: False)
    with pytest.raises(SetupError) as caught:
        dev_environment._ensure_pip(made, None, Pin("pip", "1.0", "", ()))  # type: ignore[arg-type]
    assert f"sudo apt-get install -y python3.{sys.version_info.minor}-venv" in caught.value.mend
