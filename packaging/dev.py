"""The two commands a person needs, on a machine with nothing but Python 3.11+ and git.

    python3 packaging/dev.py run [--cpu] [PATHS...]     set up, then open the window (on the sample study, if no path)
    python3 packaging/dev.py test [--cpu] [ARGS...]     set up, then check everything; ARGS go to pytest
    python3 packaging/dev.py lock [--upgrade]           remake packaging/requirements.lock from pyproject.toml

The first run makes ``.venv`` and fills it with the pinned packages; later runs start at once. ``--cpu``, or the
environment variable ``CXR_VIEWER_TORCH=cpu``, sets up PyTorch without CUDA (Linux); ``.venv`` remembers it until
``CXR_VIEWER_TORCH=cuda``. Only the standard library is used here, and this file is readable for any Python 3.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
REPOSITORY = Path(__file__).resolve().parent.parent
_COUNTS = re.compile(r"\b\d+ (passed|failed|errors?|skipped)\b|no tests ran")


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    if sys.version_info < OLDEST:
        return _another_python(arguments)
    from dev_progress import SetupError, say

    command, *rest = arguments or ["help"]
    if command not in COMMANDS:
        print((__doc__ or "").strip())
        return 0 if command in ("help", "-h", "--help") else 2
    try:
        return COMMANDS[command](rest)
    except SetupError as error:
        if error.log_tail:
            say(f"\n{error.log_tail}\n")
        say(f"{error.summary}\n{error.mend}")
    except OSError as error:
        full = error.errno == errno.ENOSPC
        say(f"{'The disk is full' if full else 'A file could not be read or written'} ({error}).")
        say(f"{'Free some space' if full else 'Make sure that this folder belongs to you'} and run the same again.")
    except KeyboardInterrupt:
        say("\nStopped. The same command goes on where it was.")
        return 130
    return 1


def run(arguments: list[str]) -> int:
    """Open the program's window in place of this process."""
    python, paths = _set_up(arguments, tests=False)
    _prepare_models(python)
    if not paths:
        samples = REPOSITORY / "resources" / "samples"
        paths = [str(samples)] if samples.is_dir() else []
    if _without_screen():
        from dev_progress import SetupError

        raise SetupError(
            "There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set).",
            "Start it from a desktop, or work without a window: .venv/bin/cxr-viewer analyse --help",
        )
    command = [str(python), "-P", "-m", "cxr_viewer", *paths]  # -P: nothing is imported from the folder one stands in
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command).returncode


def test(arguments: list[str]) -> int:
    """Lint, import contracts, types and all tests, without a screen; 0 when all pass."""
    from dev_progress import say

    python, extra = _set_up(arguments, tests=True)
    failed = []
    closing = ""
    for title, module, *options in STEPS:
        say(f"\n=== {title} ===")
        command = [str(python), *(["-m", module] if module != "-c" else ["-c"]), *options]
        if module == "pytest":
            command += ["--color=yes"] * sys.stdout.isatty() + extra
        status, last = _watched(command)
        if status:
            failed.append(title)
        closing = last
    passed = f"\n{len(STEPS) - len(failed)} of {len(STEPS)} checks passed"
    say(f"{passed}; failed: {', '.join(failed)}." if failed else f"{passed}.")
    say(closing)
    return 1 if failed else 0


STEPS = [
    ("Lint: ruff check", "ruff", "check"),
    ("Format: ruff format --check", "ruff", "format", "--check"),
    (
        "Import contracts: lint-imports",
        "-c",
        "import importlinter.cli as c; c.lint_imports_command()",
        "--no-logo",
    ),
    ("Types: mypy --strict", "mypy", "--strict"),
    # A file's tests stay together: many share what took long to make. Two cores are the design target.
    ("Tests: pytest", "pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "loadfile"),
]


def lock(arguments: list[str]) -> int:
    """Remake the lock file."""
    import dev_environment
    import dev_lock

    environment = dev_environment.Environment(REPOSITORY, "cuda")
    dev_lock.remake(REPOSITORY, environment.python.with_stem("uv"), upgrade="--upgrade" in arguments)
    return 0


COMMANDS = {"run": run, "test": test, "lock": lock}


def _set_up(arguments: list[str], *, tests: bool) -> tuple[Path, list[str]]:
    """Make sure that everything is installed; returns the interpreter and the arguments that are not for the set-up."""
    import dev_environment
    import dev_libraries

    cpu = "--cpu" in arguments
    wish = "cpu" if cpu else os.environ.get("CXR_VIEWER_TORCH") or None
    torch = dev_environment.chosen_torch(REPOSITORY, wish)
    environment = dev_environment.Environment(REPOSITORY, torch)
    ready = environment.is_ready()
    dev_libraries.ensure(environment.log, tests=tests, thorough=not ready)
    if not ready:
        dev_environment.make(environment)
    return environment.python, [argument for argument in arguments if argument != "--cpu"]


def _prepare_models(python: Path) -> None:
    """The first time, convert the bundled models for this computer, so that the first film has its answer at once.

    What goes wrong here is told by the program itself when a film asks; the window opens all the same.
    """
    from dev_progress import say

    done = python.parent.parent / ".models-prepared"
    if done.exists():
        return
    say("Preparing the models for this computer (only once, some ten seconds).")
    command = [str(python), "-P", "-m", "cxr_viewer", "models", "prepare"]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        done.touch()


def _watched(command: list[str]) -> tuple[int, str]:
    """Run a command, hand its output through as it comes, and return its status and closing line.

    The closing line is the last one that counts tests, else the last one: libraries may still talk while they unload.
    """
    surroundings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    surroundings |= {"QT_QPA_PLATFORM": "offscreen", "PYTHONUNBUFFERED": "1"}
    last = b""
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        for part in iter(lambda: os.read(pipe, 65536), b""):
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
            last = (last + part)[-65536:]
    lines = [line for line in last.decode("utf-8", "replace").splitlines() if line.strip()]
    counting = [line for line in lines if _COUNTS.search(line)]
    return process.returncode, (counting or lines or [""])[-1]


def _without_screen() -> bool:
    chosen = os.environ.get("QT_QPA_PLATFORM", "")
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform.startswith("linux") and not screen and chosen in ("", "xcb", "wayland")


def _another_python(arguments: list[str]) -> int:
    """Go on with a newer Python of this machine, or say what is needed."""
    for minor in (13, 12, 11, 14):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, str(Path(__file__).resolve()), *arguments])
    print(f"This program needs Python 3.11 or newer; this is Python {sys.version.split()[0]}.")
    print("Install Python 3.12 and run it with that: python3.12 packaging/dev.py " + " ".join(arguments))
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
