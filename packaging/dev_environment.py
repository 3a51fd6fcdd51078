"""The project's own ``.venv``: made, filled from the lock, mended where it is half made, and known by a stamp.

The stamp is written last. While it holds the key of the present lock nothing is looked at or installed; when it does
not, every package is held against its own list of files, and only what is missing or damaged is installed.
"""

from __future__ import annotations

import csv
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import dev_libraries
import dev_lock
from dev_lock import Pin, is_cuda, is_torch, normalise
from dev_pip import Pip, explain
from dev_progress import SetupError, say

INSTALLED_GB = {"cuda": 7.2, "cpu": 2.5}
DOWNLOAD_GB = {"cuda": 3.4, "cpu": 0.8}
"""Sizes of the whole set on Linux x86-64: ``cuda`` as measured, ``cpu`` estimated as that less CUDA, triton and the
part of torch that holds the GPU code."""

PUBLIC_INDEX = "https://pypi.org/simple"  # pip's own default, asked only for pip itself where Python came without it
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's public index of builds without CUDA


@dataclass(frozen=True)
class Environment:
    """The virtual environment of one checkout.

    Attributes:
        repository: root folder of the checkout.
        torch: ``"cuda"`` for the packages of the lock, ``"cpu"`` for PyTorch's build without CUDA (Linux only).
    """

    repository: Path
    torch: str

    @property
    def folder(self) -> Path:
        return self.repository / ".venv"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def log(self) -> Path:
        """Everything pip and apt-get said."""
        return self.folder / "setup.log"

    @property
    def stamp(self) -> Path:
        return self.folder / "setup-stamp"

    def site_packages(self) -> Path:
        """Where packages lie; made by the interpreter, so it may not exist yet."""
        if os.name == "nt":
            return self.folder / "Lib" / "site-packages"
        return next(iter(sorted(self.folder.glob("lib/python3*/site-packages"))), self.folder / "lib")

    def key(self) -> str:
        """What the environment was made from: lock, project file, torch build, this folder and the very interpreter."""
        parts = [
            (self.repository / dev_lock.LOCK).read_bytes(),
            (self.repository / "pyproject.toml").read_bytes(),
            self.torch.encode(),
            os.fsencode(self.repository),
            os.fsencode(self.python.resolve()),
        ]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def is_ready(self) -> bool:
        """True when a complete set-up was made from what the checkout holds now. Takes about a millisecond."""
        try:
            return os.access(self.python, os.X_OK) and self.stamp.read_text(encoding="ascii") == self.key()
        except OSError:
            return False


def chosen_torch(repository: Path, wish: str | None) -> str:
    """``wish`` if given, else what this checkout was set up with before, else ``"cuda"``.

    Raises:
        SetupError: the wish is neither ``cuda`` nor ``cpu``.
    """
    memory = repository / ".venv" / "torch-build"
    if wish is None:
        try:
            wish = memory.read_text(encoding="ascii").strip()
        except OSError:
            wish = "cuda"
    elif wish not in INSTALLED_GB:
        raise SetupError(f"CXR_VIEWER_TORCH is {wish!r}.", "Set it to cpu or to cuda, or leave it out.")
    return wish if wish in INSTALLED_GB and sys.platform.startswith("linux") else "cuda"


def make(environment: Environment) -> None:
    """Make or mend the environment until it is complete, then stamp it. Two at once wait for each other.

    Raises:
        SetupError: something failed that only the person can mend.
    """
    with _alone(environment.repository):
        if environment.is_ready():
            return
        say(f"Setting up in {environment.folder}.")
        environment.folder.mkdir(exist_ok=True)
        environment.stamp.unlink(missing_ok=True)
        pins = dev_lock.read(environment.repository / dev_lock.LOCK)
        _ensure_interpreter(environment)
        (environment.folder / "torch-build").write_text(environment.torch, encoding="ascii")
        pip = Pip(environment.python, environment.folder, environment.log)
        _ensure_pip(environment, pip, next(pin for pin in pins if pin.name == "pip"))
        _install_pins(environment, pip, pins)
        say("Installing the program itself...")
        pip.run("install", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(environment.repository))
        _try_out(environment)
        unfinished = environment.stamp.with_suffix(".new")
        unfinished.write_text(environment.key(), encoding="ascii")
        unfinished.replace(environment.stamp)
        say("The set-up is complete.")


@contextmanager
def _alone(repository: Path) -> Iterator[None]:
    """Hold the checkout for one set-up. A pip that outlives a killed set-up keeps holding it until it is done."""
    try:
        import fcntl
    except ImportError:  # Windows: no such lock, and nobody to share the folder with
        yield
        return
    handle = os.open(repository / "packaging", os.O_RDONLY)
    os.set_inheritable(handle, True)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is at work in this folder; waiting until it is done...")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _ensure_interpreter(environment: Environment) -> None:
    """A working interpreter in ``.venv``; packages installed for the same Python version are kept."""
    answer = _ask(environment, "import sys; print(sys.prefix if sys.version_info >= (3, 11) else '')")
    if answer and Path(answer).resolve() == environment.folder.resolve():
        return
    say(f"Making a virtual environment with Python {sys.version.split()[0]}...")
    for old in environment.python.parent.glob("python*"):
        old.unlink()
    same_python = environment.site_packages().parent.name == f"python3.{sys.version_info.minor}"
    command = [sys.executable, "-m", "venv", "--without-pip", str(environment.folder)]
    done = subprocess.run(command if same_python else [*command, "--clear"], capture_output=True, text=True)
    if done.returncode or _ask(environment, "") is None:
        raise SetupError(
            "Python could not make a virtual environment.",
            f"Delete the folder {environment.folder} and run this again. If that does not help, install Python's own\n"
            f"module for it (Debian, Ubuntu: sudo apt-get install -y {_venv_package()}).",
            done.stdout + done.stderr,
        )


def _venv_package() -> str:
    return f"python3.{sys.version_info.minor}-venv"


def _ensure_pip(environment: Environment, pip: Pip, pin: Pin) -> None:
    """pip at the version of the lock, brought by Python, fetched by its hash, or installed from the system."""
    version = _ask(environment, "import pip._internal.cli.main; print(pip.__version__)")
    if version == pin.version:
        return
    if version is None:
        for remains in environment.site_packages().glob("pip*"):
            if re.fullmatch(r"pip(-.*\.dist-info)?", remains.name):
                shutil.rmtree(remains)
        for bring in (_pip_from_python, _pip_from_index, _pip_from_system):
            if bring(environment, pin):
                break
        else:
            raise SetupError(
                "This Python came without pip, and pip could not be fetched.",
                f"Install it, then run the same command again:\n  sudo apt-get install -y {_venv_package()}",
            )
    pip.renew(pin)


def _pip_from_python(environment: Environment, pin: Pin) -> bool:
    del pin
    if _ask(environment, "import ensurepip") is None:  # Debian and Ubuntu keep it in a package of its own
        return False
    command = [str(environment.python), "-m", "ensurepip", "--default-pip"]
    return subprocess.run(command, capture_output=True).returncode == 0


def _pip_from_index(environment: Environment, pin: Pin) -> bool:
    """Fetch pip's own wheel, hold it against the lock's hash, and let it install itself."""
    index = os.environ.get("PIP_INDEX_URL", PUBLIC_INDEX).rstrip("/") + "/pip/"
    name = f"pip-{pin.version}-py3-none-any.whl"
    say("This Python came without pip; fetching it...")
    try:
        with urllib.request.urlopen(index, timeout=60) as page:
            link = re.search(rf'href="([^"]*{re.escape(name)})', page.read().decode("utf-8", "replace"))
        if link is None:
            return False
        with urllib.request.urlopen(urljoin(index, html.unescape(link[1])), timeout=60) as download:
            content = download.read()
    except (OSError, ValueError):  # no network, no certificates, an index that wants a password
        return False
    if f"sha256:{hashlib.sha256(content).hexdigest()}" not in pin.hashes:
        raise explain("DO NOT MATCH THE HASHES", name)
    wheel = environment.folder / name
    wheel.write_bytes(content)
    command = [str(environment.python), str(wheel / "pip"), "install", "--no-index", "--no-deps", str(wheel)]
    done = subprocess.run(command, capture_output=True)
    wheel.unlink()
    return done.returncode == 0


def _pip_from_system(environment: Environment, pin: Pin) -> bool:
    installed = dev_libraries.install_packages([_venv_package()], environment.log)
    return installed and _pip_from_python(environment, pin)


def _install_pins(environment: Environment, pip: Pip, pins: list[Pin]) -> None:
    """Install what the lock holds for this computer and is not here whole."""
    cpu = environment.torch == "cpu"
    wanted = [pin for pin in _applicable(environment, pins) if not (cpu and (is_cuda(pin) or is_torch(pin)))]
    here = whole_packages(environment.site_packages())
    missing = [pin for pin in wanted if here.get(pin.name) != pin.version]
    missing.sort(key=lambda pin: pin.name != "setuptools")  # first, for it builds what comes as source only
    if missing:
        _announce(environment, len(missing))
        pip.install(missing)
    if cpu:
        _install_cpu_torch(pip, pins, here)


def _announce(environment: Environment, count: int) -> None:
    """Say what is to come, and refuse what the disk cannot hold."""
    build = environment.torch if sys.platform.startswith("linux") else "cpu"  # the index has CUDA for Linux alone
    share = max(0.0, 1 - _size_gb(environment.folder) / INSTALLED_GB[build])
    download_gb, installed_gb = share * DOWNLOAD_GB[build], share * INSTALLED_GB[build]
    needed_gb = download_gb + installed_gb
    free_gb = shutil.disk_usage(environment.folder).free / 1e9
    if free_gb < needed_gb:
        raise SetupError(
            f"There is too little space on the disk: {free_gb:.1f} GB are free, about {needed_gb:.0f} GB are needed.",
            "Free some space, or set CXR_VIEWER_TORCH=cpu for a smaller set-up without CUDA (Linux).",
        )
    if share < 0.2:
        say(f"Installing {count} missing or changed package{'' if count == 1 else 's'}...")
        return
    say(
        f"Installing {count} packages, about {download_gb:.1f} GB to download and {installed_gb:.0f} GB on the disk; "
        f"this takes a few minutes. Details go to {environment.log}."
    )


def _install_cpu_torch(pip: Pip, pins: list[Pin], here: dict[str, str]) -> None:
    torch = [f"{pin.name}=={pin.version}+cpu" for pin in pins if is_torch(pin)]
    if all(here.get(name) == version for name, version in (wish.split("==") for wish in torch)):
        return
    say(
        "Installing PyTorch without CUDA from PyTorch's own index; the lock's hashes do not cover these two packages..."
    )
    pip.run("install", "--no-deps", "--force-reinstall", "--index-url", CPU_INDEX, *torch)
    unneeded = [pin.name for pin in pins if is_cuda(pin) and pin.name in here]
    if unneeded:
        pip.run("uninstall", "--yes", *unneeded)


def _applicable(environment: Environment, pins: list[Pin]) -> list[Pin]:
    """The entries whose marker is true here, as the environment's own pip reads markers."""
    code = (
        "import json, sys; from pip._vendor.packaging.markers import Marker\n"
        "print(json.dumps([not text or Marker(text).evaluate() for text in json.load(sys.stdin)]))"
    )
    answer = _ask(environment, code, json.dumps([pin.marker for pin in pins]))
    if answer is None:
        raise SetupError("pip is damaged.", f"Delete the folder {environment.folder} and run the same command again.")
    return [pin for pin, applies in zip(pins, json.loads(answer), strict=True) if applies]


def whole_packages(site_packages: Path) -> dict[str, str]:
    """Version of each installed package, by normalised name, that has all its files at their size.

    What a kill or a full disk left of the others loses its entry, so that pip installs it anew over the remains.
    """
    found: dict[str, str] = {}
    for remains in site_packages.glob("~*"):  # pip's own set-aside copies
        shutil.rmtree(remains, ignore_errors=True)
    for info in sorted(site_packages.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        name = normalise(name)
        if name in found or not _is_whole(info):
            shutil.rmtree(info)
            found[name] = ""
        else:
            found[name] = version
    return found


def _is_whole(info: Path) -> bool:
    """True when each file of the package's RECORD (PEP 376) is there with its size; compiled files do not count."""
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as record:
            for path, _, size in csv.reader(record):
                if size and not path.endswith(".pyc") and (info.parent / path).stat().st_size != int(size):
                    return False
    except (OSError, ValueError):
        return False
    return True


def _size_gb(folder: Path) -> float:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # another process may be tidying up
            total += file.lstat().st_size
    return total / 1e9


def _try_out(environment: Environment) -> None:
    """Import what the program stands on, once, so that a set-up called complete is one that works.

    Not openvino: imported without the program's own precautions it writes a telemetry number into the home folder.
    """
    say("Checking that it works...")
    code = "import PySide6.QtWidgets, pyqtgraph, SimpleITK, pydicom, cv2, torch, torchvision, cxr_viewer"
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, env=_headless())
    if done.returncode:
        raise SetupError(
            "The packages are installed but do not work together.",
            f"If a system library is named above, install it. Otherwise delete {environment.folder} and try again.",
            "\n".join(done.stderr.splitlines()[-5:]),
        )


def _headless() -> dict[str, str]:
    return os.environ | {"QT_QPA_PLATFORM": "offscreen"}


def _ask(environment: Environment, code: str, given: str = "") -> str | None:
    """What the environment's interpreter prints for ``code``, or None when it does not run or the code fails."""
    try:
        done = subprocess.run([environment.python, "-I", "-c", code], input=given, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
