"""One reader process with its pipes, and the folder it may write to. See ``sandbox`` for what is done with it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, BinaryIO, cast

from cxr_viewer.core.errors import ReadError
from cxr_viewer.sources import faults

_log = logging.getLogger(__name__)

_PIPE_BYTES = 1 << 20
LOW_PRIORITY, LOWEST_PRIORITY = 5, 19
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
_JANITOR = 'read -r _; rm -rf -- "$1"'
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT")


class ReaderProcess:
    """This interpreter, isolated from the folder and environment the program is started in.

    Started by command line with two pipes, not through ``multiprocessing``: its spawn would import the program's own
    start-up module, with Qt, into the child. The thread that starts a process has to outlive it, because Linux tells a
    child of the end of the thread that made it.

    Args:
        boot: Python code; gets the search path, the memory limit and the scratch folder as its arguments.
        scratch: the one folder it may write to, removed by :meth:`end`; None for none.

    Raises:
        OSError: the system would not start it.
    """

    def __init__(self, boot: str, memory_limit_bytes: int, scratch: Path | None) -> None:
        package_root = str(Path(__file__).resolve().parents[2])
        search = [package_root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
        # Not in the reader's folder: a process that stands in it keeps a disc from ejecting.
        place = str(scratch) if scratch is not None else tempfile.gettempdir()
        self._scratch = scratch
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", boot, json.dumps(search), str(memory_limit_bytes), str(scratch or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=place,
            env={**os.environ, **_ONE_THREAD, **dict.fromkeys(_TEMPORARY, place)},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only: fewer, larger gulps
            import fcntl

            fcntl.fcntl(self.answers.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """It runs, and nobody has stopped it."""
        if self._process.poll() is not None:
            return False
        if sys.platform == "linux":
            with contextlib.suppress(ChildProcessError):  # gone in this very moment
                return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None
        return True

    @property
    def requests(self) -> BinaryIO:
        return _pipe(self._process.stdin)

    @property
    def answers(self) -> BinaryIO:
        return _pipe(self._process.stdout)

    def make_way(self, priority: int = LOW_PRIORITY) -> None:
        """Let the window and the reader of a film have the processor first, where the system offers that."""
        with contextlib.suppress(AttributeError, OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, priority)

    def kill(self) -> None:
        """At once, also where it is stopped or hangs; :meth:`end` does the rest."""
        self._process.kill()

    def end(self) -> None:
        """Kill it, wait until it is gone, and remove what it wrote."""
        self._process.kill()
        self._process.wait()
        for pipe in (self.requests, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
        if self._scratch is not None:
            _remove(self._scratch)

    def cause_of_death(self, error: Exception) -> ReadError:
        """What to say of a process that went away by itself, or stopped making sense (``error``) and was killed."""
        ended_itself = self._process.poll() is not None
        self._process.kill()
        status = self._process.wait()
        if isinstance(error, MemoryError):
            return faults.too_large_for_memory("in the window's process")
        if not ended_itself and not isinstance(error, EOFError | OSError):
            return faults.reader_crashed(f"answer without form: {error}")
        cause = f"exit status {status}" if status >= 0 else signal.Signals(-status).name
        if cause in _FROM_OUTSIDE:
            return faults.reader_killed(cause)
        return faults.reader_crashed(f"{cause}; {type(error).__name__}")


class ScratchRoot:
    """The folder that holds the scratch folders of all readers; gone when the program is, however it ends.

    Where the window's process is killed, nothing of it can tidy up, and its readers may not remove their own folder. So
    a shell waits for the end of a pipe, which the system closes in any case, and then removes the folder.
    """

    def __init__(self) -> None:
        self._janitor: subprocess.Popen[bytes] | None = None
        self._path: Path | None = None
        try:
            self._path = Path(tempfile.mkdtemp(prefix="cxr-viewer-readers-"))
            if os.name == "posix":
                self._janitor = subprocess.Popen(
                    ["/bin/sh", "-c", _JANITOR, "sh", str(self._path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,  # what ends the program's own group leaves it alone
                )
        except OSError as error:
            _log.warning("readers have no scratch folder, or nobody to remove it: %s", error)

    def folder(self) -> Path | None:
        """A new, private folder; None where the disk will not have it."""
        if self._path is None:
            return None
        try:
            return Path(tempfile.mkdtemp(dir=self._path))
        except OSError as error:
            _log.warning("a reader has no scratch folder: %s", error)
            return None

    def remove(self) -> None:
        """Everything, now. Safe to call twice."""
        if self._path is not None:
            _remove(self._path)
        if self._janitor is not None:
            with contextlib.suppress(OSError):
                _pipe(self._janitor.stdin).close()
            self._janitor.wait()
        self._path = self._janitor = None


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError, RecursionError):  # absurdly deep folders are left to the shell
        shutil.rmtree(folder, ignore_errors=True)


def _pipe(stream: IO[bytes] | None) -> BinaryIO:
    assert stream is not None
    return cast(BinaryIO, stream)
