"""The two commands: what they start, what they say, and with what status they end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dev
import pytest
from dev_progress import SetupError


@pytest.fixture(autouse=True)
def _set_up_already(monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(arguments: list[str], *, tests: bool) -> tuple[Path, list[str]]:
        return Path(sys.executable), arguments

    monkeypatch.setattr(dev, "_set_up", pretend)


class StartedError(Exception):
    """Raised in place of becoming the program."""


@pytest.fixture
def _becoming(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(program: str, command: list[str]) -> None:
        raise StartedError(*command[1:])

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")


@pytest.mark.usefixtures("_becoming")
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a process")
def test_run_becomes_the_program_on_the_paths_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartedError) as started:
        dev.main(["run", "a folder", "film.dcm"])
    assert started.value.args == ("-P", "-m", "cxr_viewer", "a folder", "film.dcm")


@pytest.mark.usefixtures("_becoming")
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot replace a process")
def test_run_without_paths_opens_the_sample_study(repository: Path) -> None:
    with pytest.raises(StartedError) as started:
        dev.main(["run"])
    assert started.value.args[-1] == str(repository / "resources" / "samples")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a screen")
def test_run_without_a_screen_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert dev.main(["run"]) == 1
    assert "There is no screen here" in capsys.readouterr().out


def test_test_runs_every_check_and_ends_with_the_closing_line_of_the_last(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = [
        ("Lint", "-c", "print('all fine')"),
        ("Types", "-c", "raise SystemExit('2 errors')"),
        ("Tests", "-c", "print('....\\n==== 4 passed in 0.1s ====')"),
    ]
    monkeypatch.setattr(dev, "STEPS", steps)
    assert dev.main(["test"]) == 1
    said = capfd.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("=== ")] == ["=== Lint ===", "=== Types ===", "=== Tests ==="]
    assert said[-2:] == ["2 of 3 checks passed; failed: Types.", "==== 4 passed in 0.1s ===="]


def test_test_ends_well_when_all_is_well(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dev, "STEPS", [("Tests", "-c", "import os; print(os.environ['QT_QPA_PLATFORM'])")])
    assert dev.main(["test"]) == 0
    assert capfd.readouterr().out.splitlines()[-2:] == ["1 of 1 checks passed.", "offscreen"]


def test_the_checks_are_those_the_house_promises() -> None:
    assert [" ".join(step[1:3]) for step in dev.STEPS if step[1] != "-c"] == [
        "ruff check",
        "ruff format",
        "mypy --strict",
        "pytest -n",
    ]
    assert sum("lint_imports" in step[2] for step in dev.STEPS if len(step) > 2) == 1


def test_a_fault_of_the_set_up_is_told_in_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: list[str]) -> int:
        raise SetupError("The disk is full.", "Free some space.", "pip's last words")

    monkeypatch.setitem(dev.COMMANDS, "run", fail)
    assert dev.main(["run"]) == 1
    assert capsys.readouterr().out == "\npip's last words\n\nThe disk is full.\nFree some space.\n"


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), ([], 0), (["trun"], 2)])
def test_wrong_use_shows_the_commands(arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert dev.main(arguments) == status
    assert "dev.py run" in capsys.readouterr().out


def test_an_old_python_is_told_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev, "OLDEST", (99, 0))
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    assert dev.main(["run", "film.dcm"]) == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().out


def test_continuous_integration_calls_exactly_the_second_command(repository: Path) -> None:
    script = repository / ".ci" / "run"
    lines = [line for line in script.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines[-1] == "exec python3 packaging/dev.py test"
    listed = subprocess.run(["git", "ls-files", "-s", ".ci/run"], cwd=repository, capture_output=True, text=True)
    assert listed.returncode or listed.stdout.startswith("100755")


def test_the_closing_line_is_the_one_that_counts_tests(capfd: pytest.CaptureFixture[str]) -> None:
    words = "print('== 3 passed, 1 skipped in 2.00s =='); print('nanobind: leaked 514 functions!')"
    assert dev._watched([sys.executable, "-c", words]) == (0, "== 3 passed, 1 skipped in 2.00s ==")
    assert dev._watched([sys.executable, "-c", "print('All checks passed!'); raise SystemExit(1)"])[1] == (
        "All checks passed!"
    )
    assert "leaked 514" in capfd.readouterr().out
