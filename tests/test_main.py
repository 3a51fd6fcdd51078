"""The program's start: what is imported, and where an argument goes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cxr_viewer import __main__ as start
from cxr_viewer import __version__, app, cli

HEAVY = ("PySide6", "torch", "pydicom", "SimpleITK", "openvino", "cv2", "sklearn", "matplotlib")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cxr_viewer", *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"cxr-viewer {__version__}")


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert set(re.findall(r"\n    (\w+)(?=\s)", done.stdout)) == {*start.COMMANDS, "open"}


@pytest.mark.parametrize(
    "arguments",
    [[], ["analyse"], ["train"], ["evaluate"], ["compare"], ["calibrate"], ["localise"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from cxr_viewer.__main__ import main\n"
        "try:\n"
        f"    main({[*arguments, '--help']!r})\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr.strip() == "[]", done.stderr


def test_commands_go_to_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda argv: seen.append(list(argv)) or 7)
    assert start.main(["render", "a.dcm"]) == 7
    assert seen == [["render", "a.dcm"]]


@pytest.mark.parametrize("argv", [[], ["film.dcm"], ["open", "film.dcm", "--screenshot", "a.png"], ["./render"]])
def test_everything_else_opens_the_window(argv: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(app, "main", lambda argv: seen.append(list(argv)) or 5)
    assert start.main(argv) == 5
    assert seen == [argv]


def test_open_takes_paths_and_a_screenshot(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        app, "run_window", lambda paths, *, screenshot, size: seen.append((list(paths), screenshot, size)) or 0
    )
    assert start.main(["open", "a.dcm", "b", "--screenshot", "out.png", "--size", "1280x800"]) == 0
    assert seen == [([Path("a.dcm"), Path("b")], Path("out.png"), (1280, 800))]


def test_a_missing_system_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def fail(name: str, *arguments: object, **options: object) -> object:
        if name == "cxr_viewer" and arguments and "app" in (arguments[2] or ()):  # type: ignore[operator]
            raise ImportError("libEGL.so.1: cannot open shared object file: No such file or directory")
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(SystemExit) as caught:
        start.main(["film.dcm"])
    assert "libEGL.so.1" in str(caught.value.code)
    assert "packaging/dev.py run" in str(caught.value.code)
