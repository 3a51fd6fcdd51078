"""pip's faults become sentences with a way out, and its progress one line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import dev_pip
import pytest
from dev_lock import Pin
from dev_pip import Pip
from dev_progress import LiveLine, SetupError, duration

NO_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError("HTTPSConnection(...): \
Failed to establish a new connection: [Errno -3] Temporary failure in name resolution")': /simple/rich/
ERROR: Could not find a version that satisfies the requirement rich==15.0.0 (from versions: none)
ERROR: No matching distribution found for rich==15.0.0
"""
OTHER_HASH = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated the package versions, ...
"""
FULL_DISK = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
NEW_PYTHON = "ERROR: Could not find a version that satisfies the requirement torch==2.15.0 (from versions: none)\n"
NOT_MINE = "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: 'x'\n"
PROXY = "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))\n"


@pytest.mark.parametrize(
    ("said", "summary", "mend"),
    [
        (NO_NETWORK, "could not be reached", "HTTPS_PROXY"),
        (OTHER_HASH, "not the one this program was built with", "Try again"),
        (FULL_DISK, "disk is full", "about 10 GB"),
        (NEW_PYTHON, "no ready-made package for this Python", "Python 3.11, 3.12 or 3.13"),
        (NOT_MINE, "could not be written", "belongs to you"),
        (PROXY, "certificate was refused", "PIP_CERT"),
        ("Segmentation fault\n", "pip could not install", "above"),
    ],
)
def test_each_fault_is_named_with_its_way_out(said: str, summary: str, mend: str) -> None:
    fault = dev_pip.explain(said, said)
    assert summary in fault.summary
    assert mend in fault.mend
    assert fault.log_tail == said


@pytest.fixture
def pip(tmp_path: Path) -> Pip:
    """The pip that runs these tests, told to log and to keep its temporary files in a folder of this test."""
    return Pip(Path(sys.executable), tmp_path, tmp_path / "setup.log")


def test_what_pip_says_is_watched_and_logged(pip: Pip) -> None:
    seen: list[str] = []
    pip.run("--version", watch=seen.append)
    assert seen[-1].startswith("pip ")
    assert seen[-1] in pip.log.read_text(encoding="utf-8")
    assert not (pip.folder / "tmp").exists()


def test_a_pip_that_fails_raises_the_sentence(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SetupError, match="no ready-made package") as caught:
        pip.renew(Pin("a-package-nobody-made", "1", "", ("sha256:" + "0" * 64,)))
    assert "No matching distribution" in caught.value.log_tail
    assert "No matching distribution" in pip.log.read_text(encoding="utf-8")


def test_the_persons_pip_settings_count_except_those_that_lead_out_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    surroundings = dev_pip._surroundings(tmp_path)
    assert surroundings["PIP_INDEX_URL"] == "https://mirror.example/simple"
    assert surroundings["PIP_USER"] == "0"
    assert "PYTHONPATH" not in surroundings
    assert surroundings["TMPDIR"] == str(tmp_path)


class Shown(LiveLine):
    """Keeps what it is told to show."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.texts: list[str] = []

    def show(self, text: str) -> None:
        self.texts.append(text)


def test_the_line_of_progress_counts_packages_and_bytes() -> None:
    line = Shown()
    watch = dev_pip._Watch(line, before=8, after=10, total=101)
    for said in (
        "Collecting torch==2.15.0 (from -r x (line 1))\n",
        "  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (539.1 MB)\n",
        "Progress 269000000 of 539100000\n",
        "Collecting rich==15.0.0 (from -r x (line 2))\n",
        "Progress 310000 of 310000\n",
        "Installing collected packages: torch, rich\n",
        "Installing collected packages: torch, rich, click, mypy, ruff\n",
    ):
        watch(said)
    assert line.texts == [
        "9 of 101: torch",
        "9 of 101: torch (269 of 539 MB)",
        "10 of 101: rich",
        "10 of 101: rich",
        "10 of 101: unpacking torch, rich",
        "10 of 101: unpacking torch, rich, click and 2 more",
    ]


def test_a_live_line_speaks_into_a_pipe_line_by_line() -> None:
    out = io.StringIO()
    with LiveLine(out, quiet_s=0.001) as line:
        line.show("3 of 4: torch")
        while not out.getvalue():
            pass
    assert out.getvalue().splitlines()[0] == "  3 of 4: torch, 0 s"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (125, "2 min 5 s")])
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
