"""pip inside the project's ``.venv``: run quietly, watched, and its faults put into sentences."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev_lock import Pin
from dev_progress import LiveLine, SetupError, duration, say

BATCH = 8
"""Packages per run of pip: what a kill can cost, and how many downloads lie on the disk beside the installed files."""

_TAIL_LINES = 15
_FAULTS = {
    "No space left on device|Errno 28|not enough space": (
        "The disk is full.",
        "Free some space (the whole set-up needs about 10 GB) and run the same command again; it goes on where it was.",
    ),
    "DO NOT MATCH THE HASHES|Hashes are required": (
        "A downloaded package is not the one this program was built with, so it was not installed.",
        "Try again, the download may have been cut. If it stays so, the package index or a proxy gives other files.",
    ),
    "CERTIFICATE_VERIFY_FAILED|SSLError": (
        "The package index could not be trusted: its certificate was refused.",
        "Check the date of this computer. Behind a company proxy set PIP_CERT to the company's certificate file.",
    ),
    "NewConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded|name resolution|Network is unreachable"
    "|ProxyError|ConnectionReset|IncompleteRead|Connection broken|Remote end closed": (
        "The package index could not be reached.",
        "Check the network (behind a proxy set HTTPS_PROXY) and run the same command again; it goes on where it was.",
    ),
    "No matching distribution found|from versions: none": (
        "The package index has no ready-made package for this Python or this kind of computer.",
        "Delete .venv and use Python 3.11, 3.12 or 3.13 of a 64-bit system: python3.12 packaging/dev.py run",
    ),
    "Permission denied|Errno 13": (
        "A file could not be written.",
        "Make sure that this folder belongs to you, .venv included (not to root), and run the same command again.",
    ),
}
"""What pip says (a regular expression), and the fault and the way out, a sentence each; the first that fits counts."""


@dataclass(frozen=True)
class Pip:
    """Runs pip of one environment.

    Attributes:
        python: interpreter of the environment.
        folder: the environment; pip's temporary files go there too, for /tmp is memory on many systems.
        log: file that everything pip says is added to.
    """

    python: Path
    folder: Path
    log: Path

    def run(self, *arguments: str, watch: Callable[[str], None] = lambda line: None) -> None:
        """Run one pip command; each line it says goes to the log and to ``watch``.

        Raises:
            SetupError: pip failed, with the cause as far as its words tell.
        """
        command = [str(self.python), "-P", "-m", "pip", *arguments]
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        said = []
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=_surroundings(temporary),
                close_fds=False,  # keeps the checkout's lock held if this process is killed and pip lives on
            ) as pip:
                assert pip.stdout is not None
                for line in pip.stdout:
                    watch(line)
                    if not line.startswith("Progress "):
                        log.write(line)
                        tail.append(line.rstrip())
                        said.append(line)
        shutil.rmtree(temporary, ignore_errors=True)
        if pip.returncode:
            raise explain("".join(said), "\n".join(tail))

    def renew(self, pin: Pin) -> None:
        """Bring pip itself to the version of the lock, by whatever pip is there.

        Raises:
            SetupError: pip failed.
        """
        self._install([pin])

    def install(self, pins: Sequence[Pin]) -> None:
        """Install exactly these entries of the lock, checked by their hashes, with a line of progress.

        Raises:
            SetupError: pip failed.
        """
        with LiveLine() as line:
            for start in range(0, len(pins), BATCH):
                batch = pins[start : start + BATCH]
                watch = _Watch(line, start, start + len(batch), len(pins))
                options = ("--no-build-isolation", "--force-reinstall", "--no-warn-script-location")
                self._install(batch, *options, "--progress-bar", "raw", watch=watch)
        count = f"{len(pins)} package{'' if len(pins) == 1 else 's'}"
        say(f"Installed {count} in {duration(line.seconds())}.")

    def _install(self, pins: Sequence[Pin], *options: str, watch: Callable[[str], None] = lambda line: None) -> None:
        wanted = self.folder / "setup-requirements.txt"
        wanted.write_text("".join(pin.requirement() + "\n" for pin in pins), encoding="utf-8")
        self.run("install", "--require-hashes", "--no-deps", *options, "--requirement", str(wanted), watch=watch)
        wanted.unlink()


class _Watch:
    """Reads what pip says of one batch and keeps the line of progress."""

    def __init__(self, line: LiveLine, before: int, after: int, total: int) -> None:
        self._line = line
        self._count = before
        self._after = after
        self._total = total
        self._name = ""

    def __call__(self, said: str) -> None:
        if match := re.match(r"Collecting ([\w.-]+)", said):
            self._name = match[1]
            self._count += 1
            self._show(self._name)
        elif match := re.match(r"Progress (\d+) of (\d+)", said):
            done, size = (int(number) / 1e6 for number in match.groups())
            self._show(f"{self._name} ({done:.0f} of {size:.0f} MB)" if size >= 10 else self._name)
        elif match := re.match(r"Installing collected packages: (.*)", said):
            self._count = self._after
            names = match[1].strip().split(", ")
            others = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self._show(f"unpacking {', '.join(names[:3])}{others}")

    def _show(self, what: str) -> None:
        self._line.show(f"{self._count} of {self._total}: {what}")


def explain(said: str, tail: str) -> SetupError:
    """What went wrong, from what pip said."""
    for pattern, (summary, mend) in _FAULTS.items():
        if re.search(pattern, said):
            return SetupError(summary, mend, tail)
    return SetupError("pip could not install the packages.", "Its last words are above.", tail)


def _surroundings(temporary: Path) -> dict[str, str]:
    """The person's own environment and pip configuration, less what would lead pip out of the ``.venv``."""
    surroundings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    here = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1"}
    return surroundings | here | {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
