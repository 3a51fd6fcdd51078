"""System libraries that Qt needs and the judges the tests ask: looked for, installed where that is allowed.

The list is what ``readelf -d`` says of PySide6 6.12's Qt6Gui, its platform plugins ``xcb`` and ``wayland`` and their Qt
libraries, less what every Linux has (libc, libstdc++, zlib). Left the file, right Debian's and Ubuntu's package.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from dev_progress import SetupError, say

ALWAYS = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libzstd.so.1": "libzstd1",
}
"""Needed to import Qt's widgets at all, with or without a screen."""

X11 = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-glx.so.0": "libxcb-glx0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""Needed for a window on an X11 screen, Xvfb included."""

WAYLAND = {"libwayland-client.so.0": "libwayland-client0", "libwayland-cursor.so.0": "libwayland-cursor0"}
"""Needed for a window on a Wayland screen."""

JUDGES = {"dcmdump": "dcmtk", "gdcmconv": "libgdcm-tools", "Xvfb": "xvfb"}
"""Programs that tests compare with, or run the window on; a test whose judge is missing is skipped and says so."""


def ensure(log: Path, *, tests: bool, thorough: bool) -> None:
    """Make sure that Qt can start here, and for ``tests`` that their judges are there.

    Whatever is missing is installed through apt-get by root or by a ``sudo`` that asks nothing.

    Args:
        log: file that apt-get's own words are added to.
        tests: also look for what the tests need: the X11 libraries and ``JUDGES``.
        thorough: also look for libraries that only a kind of screen not in use now needs.

    Raises:
        SetupError: a library without which nothing can start is missing and may not be installed; holds the line
            to type. What is only missing for another kind of screen, or for a few tests, is told and passed over.
    """
    if not sys.platform.startswith("linux"):
        return
    vital = dict(ALWAYS)
    if not tests and os.environ.get("WAYLAND_DISPLAY"):
        vital |= WAYLAND
    elif not tests and os.environ.get("DISPLAY"):
        vital |= X11
    wanted = vital | (X11 if tests or thorough else {}) | (JUDGES if tests else {})
    absent = missing(wanted)
    if not absent:
        return
    installer = _apt_get()
    if installer is not None and _install(installer, packages(wanted, absent), log):
        absent = missing(wanted)
    needed = [name for name in vital if name in absent]
    if needed:
        raise SetupError(
            f"Qt needs system libraries that are not here: {', '.join(needed)}.",
            f"Install them, then run the same command again:\n  {line_to_type(wanted, absent)}",
        )
    if tests and absent:
        say(f"A few tests will be skipped, for {', '.join(absent)} is missing. To have them all:")
        say(f"  {line_to_type(wanted, absent)}")


def missing(names: Iterable[str]) -> list[str]:
    """Those shared libraries the dynamic linker does not find, and those programs that are not on the PATH."""
    return [name for name in names if not (_loads(name) if ".so" in name else shutil.which(name))]


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def packages(table: Mapping[str, str], names: list[str]) -> list[str]:
    """Debian packages of the libraries and programs ``names``, each once."""
    return list(dict.fromkeys(table[name] for name in names))


def line_to_type(table: Mapping[str, str], names: list[str]) -> str:
    """The line that installs the libraries and programs ``names`` on this kind of Linux."""
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y {' '.join(packages(table, names))}"
    suffix = "()(64bit)" if sys.maxsize > 2**32 else ""
    for tool, arguments in (("dnf", "install"), ("zypper", "install --capability")):
        if shutil.which(tool):
            return f"sudo {tool} {arguments} " + " ".join(
                f"'{name}{suffix}'" if ".so" in name else table[name] for name in names
            )
    return "the packages of your system that hold " + ", ".join(names)


def install_packages(names: list[str], log: Path) -> bool:
    """Install Debian packages where this user may; False where not, or where it failed."""
    installer = _apt_get()
    return installer is not None and _install(installer, names, log)


def _apt_get() -> list[str] | None:
    """The start of an apt-get command this user may run without being asked anything, or None."""
    if shutil.which("apt-get") is None:
        return None
    command = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n", *command]
    return None


def _install(apt_get: list[str], names: list[str], log: Path) -> bool:
    say(f"Installing system packages: {', '.join(names)}...")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as out:

        def run(*arguments: str) -> bool:
            command = [*apt_get, *arguments]
            out.write(f"\n$ {' '.join(command)}\n")
            out.flush()
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode == 0

        install = ("install", "-y", "--no-install-recommends")
        if run(*install, *names):
            return True
        if run("update"):  # a bare machine has no package lists yet
            if run(*install, *names):
                return True
            if sum(run(*install, name) for name in names):  # one unknown name must not keep the others away
                return True
    say(f"apt-get could not install them; its words are in {log}.")
    return False
