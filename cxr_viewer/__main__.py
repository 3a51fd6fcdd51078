"""Start: a command goes to :mod:`cxr_viewer.cli`, everything else opens the window.

Nothing heavy is imported here, so that the window is up at once and ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import faulthandler
import sys
from collections.abc import Sequence

COMMANDS = ("render", "analyse", "report", "models", "train", "evaluate", "compare", "calibrate", "localise")
"""What works without a window. A file of one of these names is opened as ``./render``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; ``argv`` without its name. Returns the exit status: 0 good, 1 failed, 2 wrong use."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with contextlib.suppress(RuntimeError, OSError, AttributeError):  # pythonw has no standard error
        faulthandler.enable()
    if arguments and arguments[0] in (*COMMANDS, "-h", "--help", "--version"):
        from cxr_viewer import cli

        return cli.main(arguments)
    _torch_before_qt()
    try:
        from cxr_viewer import app
    except ImportError as error:
        if not (error.name or "").startswith("PySide6") and "cannot open shared object" not in str(error):
            raise
        sys.exit(_no_window(error))
    return app.main(arguments)


def _no_window(error: ImportError) -> str:
    """What to do when Qt finds a library of the system missing, which is the one thing pip cannot bring."""
    return (
        f"cxr-viewer: The window cannot be opened: {error}.\n"
        "Run python3 packaging/dev.py run, which names the missing system library; "
        "the commands without a window (cxr-viewer --help) work all the same."
    )


def _torch_before_qt() -> None:
    """On Windows torch 2.9 and later does not load once Qt has brought its own C++ runtime (pytorch issue 166628)."""
    if sys.platform == "win32":
        with contextlib.suppress(ImportError, OSError):  # the window then says that there is no model engine
            import torch  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
