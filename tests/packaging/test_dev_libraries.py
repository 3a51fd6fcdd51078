"""The system libraries Qt needs are looked for, installed where allowed, and otherwise named in one line to type."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dev_libraries
import PySide6
import pytest
from dev_progress import SetupError

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="system packages are Linux's affair")

EVERY_LINUX_HAS = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1", "ld-linux-x86-64.so.2"}
ABSENT = {"libnowhere.so.9": "libnowhere9", "libneither.so.1": "libneither1", "no-such-program": "nosuch"}


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf (Debian package binutils)")
def test_the_tables_hold_what_the_installed_qt_asks_for() -> None:
    qt = Path(PySide6.__file__).parent / "Qt"
    parts = [qt / "plugins" / "platforms" / f"libq{name}.so" for name in ("xcb", "offscreen", "wayland")]
    parts += [qt / "plugins" / "xcbglintegrations" / "libqxcb-glx-integration.so"]
    parts += [
        qt / "lib" / f"libQt6{name}.so.6" for name in ("Core", "Gui", "Widgets", "DBus", "XcbQpa", "WaylandClient")
    ]
    said = subprocess.run(["readelf", "-d", *parts], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", said))
    foreign = {name for name in needed if not (qt / "lib" / name).exists()} - EVERY_LINUX_HAS
    known = dev_libraries.ALWAYS.keys() | dev_libraries.X11.keys() | dev_libraries.WAYLAND.keys()
    assert len(foreign) > 20
    assert foreign <= known


def test_missing_tells_libraries_and_programs_apart() -> None:
    assert dev_libraries.missing(["libc.so.6", "sh", *ABSENT]) == list(ABSENT)


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        ("apt-get", "sudo apt-get install -y libnowhere9 libneither1 nosuch"),
        ("dnf", "sudo dnf install 'libnowhere.so.9()(64bit)' 'libneither.so.1()(64bit)' nosuch"),
        ("zypper", "sudo zypper install --capability 'libnowhere.so.9()(64bit)' 'libneither.so.1()(64bit)' nosuch"),
        ("", "the packages of your system that hold libnowhere.so.9, libneither.so.1, no-such-program"),
    ],
)
def test_the_line_to_type_fits_the_system(monkeypatch: pytest.MonkeyPatch, tool: str, line: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name == tool else None)
    assert dev_libraries.line_to_type(ABSENT, list(ABSENT)) == line


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system where Qt's libraries are missing and nobody may install; gives the log to write."""
    monkeypatch.setattr(dev_libraries, "ALWAYS", {"libnowhere.so.9": "libnowhere9"})
    monkeypatch.setattr(dev_libraries, "X11", {"libneither.so.1": "libneither1"})
    monkeypatch.setattr(dev_libraries, "JUDGES", {"no-such-program": "nosuch"})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "env").symlink_to("/usr/bin/env")
    monkeypatch.setenv("PATH", f"{tools}")
    (tools / "apt-get").write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    (tools / "apt-get").chmod(0o755)
    return tmp_path / "setup.log"


def test_without_the_right_to_install_the_whole_line_is_told_at_once(bare: Path) -> None:
    with pytest.raises(SetupError, match=re.escape("libnowhere.so.9.")) as caught:
        dev_libraries.ensure(bare, tests=False, thorough=True)
    assert caught.value.mend.endswith("\n  sudo apt-get install -y libnowhere9 libneither1")


def test_what_only_some_tests_need_is_told_and_passed_over(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev_libraries, "ALWAYS", {"libc.so.6": "libc6"})
    dev_libraries.ensure(bare, tests=True, thorough=True)
    said = capsys.readouterr().out
    assert "A few tests will be skipped, for libneither.so.1, no-such-program is missing" in said
    assert "  sudo apt-get install -y libneither1 nosuch" in said


def test_a_screen_not_in_use_stops_nobody(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev_libraries, "ALWAYS", {"libc.so.6": "libc6"})
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    dev_libraries.ensure(bare, tests=False, thorough=True)
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(SetupError, match=re.escape("libneither.so.1.")):
        dev_libraries.ensure(bare, tests=False, thorough=False)


def test_root_fetches_the_package_lists_first_where_there_are_none(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = bare.parent / "lists"
    apt_get = bare.parent / "bin" / "apt-get"
    apt_get.write_text(f'#!/bin/sh\n[ "$1" = update ] && : > "{lists}"\n[ -e "{lists}" ]\n', encoding="ascii")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert dev_libraries.install_packages(["libnowhere9"], bare)
    calls = [line.partition("apt-get ")[2] for line in bare.read_text(encoding="utf-8").splitlines() if line]
    install = "install -y --no-install-recommends libnowhere9"
    assert calls == [install, "update", install]
    assert capsys.readouterr().out == "Installing system packages: libnowhere9...\n"


def test_an_apt_get_that_fails_is_told(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SetupError, match="Qt needs system libraries"):
        dev_libraries.ensure(bare, tests=False, thorough=False)
