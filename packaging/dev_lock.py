"""The lock file: every package of the program and of its tests at one version, known by its hashes.

It names no package index: pip's own configuration says where packages come from, the hashes say what they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev_progress import SetupError, say

LOCK = Path("packaging") / "requirements.lock"

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]*?)\s*)?\\?$")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """One entry of the lock.

    Attributes:
        name: normalised as the package index does it (PEP 503): lower case, hyphens.
        version: exact version.
        marker: environment marker (PEP 508), empty where the entry is for everybody.
        hashes: ``sha256:...`` of each file that may be installed.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def requirement(self) -> str:
        """The entry as pip reads it."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n    ".join([f"{self.name}=={self.version}{marker}", *(f"--hash={value}" for value in self.hashes)])


def normalise(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(lock: Path) -> list[Pin]:
    """All entries of a lock file.

    Raises:
        SetupError: the file is missing, empty, or has an entry without a hash.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise SetupError(f"The list of pinned packages cannot be read ({error}).", f"Restore it: {_RESTORE}") from None
    pins: list[Pin] = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        head = _PIN.match(block.splitlines()[0].strip()) if block else None
        hashes = tuple(_HASH.findall(block))
        if head is None or not hashes:
            raise SetupError("The list of pinned packages is damaged.", f"Restore it: {_RESTORE}", block[:200])
        pins.append(Pin(normalise(head["name"]), head["version"], head["marker"] or "", hashes))
    return pins


_RESTORE = f"git checkout -- {LOCK.as_posix()}"


def is_torch(pin: Pin) -> bool:
    """Packages that come in a build with CUDA and a build for the CPU alone."""
    return pin.name in ("torch", "torchvision")


def is_cuda(pin: Pin) -> bool:
    """Packages that only a torch built with CUDA needs."""
    return pin.name.startswith(("nvidia-", "cuda-")) or pin.name == "triton"


def remake(repository: Path, uv: Path, upgrade: bool) -> None:
    """Write the lock anew from ``pyproject.toml``, for all platforms and Pythons; keeps versions unless ``upgrade``.

    Raises:
        SetupError: uv is not there or finds no set of versions.
    """
    program = str(uv) if uv.exists() else shutil.which("uv")
    if program is None:
        raise SetupError("The tool that makes the lock (uv) is missing.", "Run `dev.py test` once, it brings it along.")
    command = [program, "pip", "compile", "pyproject.toml", "--extra", "dev", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    command += ["--quiet", "--output-file", LOCK.as_posix(), *(["--upgrade"] if upgrade else [])]
    environment = {name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"}
    say("Working out the versions; this asks the package index and takes a minute at most...")
    done = subprocess.run(command, cwd=repository, env=environment, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SetupError("No new lock was made; uv says why above.", "Mend the dependencies in pyproject.toml.")
    if "://" in (repository / LOCK).read_text(encoding="utf-8"):
        raise SetupError("The new lock names an address.", "Take the address out of uv's configuration and try again.")
    say(f"{LOCK.as_posix()} holds {len(read(repository / LOCK))} packages.")
