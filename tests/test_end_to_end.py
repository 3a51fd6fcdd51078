"""The program as a process on a real X display: opened, read, scored, reported and quit by keys alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

WAIT_S = 90.0


def _need_program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which is not installed (Debian package {package})")
    return found


@pytest.fixture
def display() -> Iterator[str]:
    """A screen of 1280 x 800 pixels that nobody sees."""
    xvfb = _need_program("Xvfb", "xvfb")
    read_end, write_end = os.pipe()
    server = subprocess.Popen(
        [xvfb, "-displayfd", str(write_end), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[write_end],
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


class Hand:
    """Keys and pointer on a display."""

    def __init__(self, display: str) -> None:
        self._xdotool = _need_program("xdotool", "xdotool")
        self._environment = {**os.environ, "DISPLAY": display}

    def do(self, *words: str) -> str:
        done = subprocess.run(
            [self._xdotool, *words], env=self._environment, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout.strip()

    def window(self, title: str) -> str:
        """The window with this title, once it is there."""
        return wait_for(lambda: self.do("search", "--onlyvisible", "--name", title).split("\n")[0], f"window {title!r}")

    def press(self, title: str, *keys: str) -> None:
        window = self.window(title)
        self.do("windowfocus", "--sync", window)
        for key in keys:
            self.do("key", "--clearmodifiers", key)


def wait_for(look: Callable[[], str], what: str) -> str:
    """What ``look`` finds as soon as it finds anything."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)  # polls another process; nothing here can be waited on
    raise AssertionError(f"{what} did not appear within {WAIT_S:.0f} s")


def test_a_reader_opens_a_film_and_leaves_with_a_report(
    display: str, tmp_path: Path, need_data: Callable[[str], Path], repository: Path
) -> None:
    film = need_data("dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm")
    home = tmp_path / "person"
    home.mkdir()
    environment = {
        **os.environ,
        "DISPLAY": display,
        "QT_QPA_PLATFORM": "xcb",
        "HOME": str(home),
        "CXR_VIEWER_HOME": str(tmp_path / "kept"),
    }
    hand = Hand(display)
    log = tmp_path / "output.txt"
    with log.open("w") as output:
        program = subprocess.Popen(
            [sys.executable, "-m", "cxr_viewer", str(film)],
            cwd=repository,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        trail = tmp_path / "kept" / "state" / "audit.jsonl"
        scored = lambda: "yes" if trail.exists() and '"analysed"' in trail.read_text() else ""  # noqa: E731
        wait_for(scored, "an analysis in the audit trail")
        hand.press("cxr_viewer", "g", "ctrl+e")
        hand.press("Export report", "Return")
        report = wait_for(lambda: next((str(path) for path in home.rglob("*.png")), ""), "a report")
        hand.press("cxr_viewer", "ctrl+q")
        assert program.wait(30) == 0
    finally:
        program.kill()
        program.wait()
    picture = QImage(report)
    assert max(picture.width(), picture.height()) >= 2000
    assert "Traceback" not in log.read_text()
    assert not any(part in Path(report).name for part in ("00000001", "1^"))  # no patient in the name


def test_the_screenshot_command_pictures_a_settled_window(
    tmp_path: Path, need_data: Callable[[str], Path], repository: Path
) -> None:
    film = need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm")
    picture = tmp_path / "window.png"
    done = subprocess.run(
        [sys.executable, "-m", "cxr_viewer", "open", str(film), "--screenshot", str(picture), "--size", "1280x800"],
        cwd=repository,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "CXR_VIEWER_HOME": str(tmp_path / "kept")},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert QImage(str(picture)).size().toTuple() == (1280, 800)
