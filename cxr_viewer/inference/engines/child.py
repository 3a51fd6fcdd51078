"""Torch in a process of its own, spoken to over a pipe.

Importing torch takes 1.4 s and holds the interpreter for long stretches; in the window's process every one of them
would be a film that does not follow the hand. A driver that crashes takes only this process down. What crosses the
pipe is small (a film as the network sees it is 150 kB), so a pass costs about a millisecond more than in one process.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.engines import ONNX_NETWORK, Floats, pass_key, thread_count

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.inference.engines.child import serve
serve()
"""
_ENVIRONMENT = {
    # Two pools that wait by spinning slow each other to a crawl; read by the libraries as they load.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "OMP_NUM_THREADS": str(thread_count()),
    "TQDM_DISABLE": "1",
}
_ENDED = object()
_POLL_S = 0.05  # how soon a cancelled wait ends
_END_S = 3.0  # torch takes about half a second to leave
_BUSY_END_S = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """Answer: (device name, head weights, head bias); the last two are None where the pass gives no map."""

    card: ModelCard
    bundle: Path
    device: str


@dataclass(frozen=True, slots=True)
class Convert:
    """Answer: None, once the graph lies in ``folder``."""

    card: ModelCard
    bundle: Path
    folder: Path


@dataclass(frozen=True, slots=True)
class Extend:
    """Answer: None, once ``folder`` holds what other engines need; ``graph`` is None without OpenVINO."""

    card: ModelCard
    bundle: Path
    graph: Path | None
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Answer: (logits, features) of the engine loaded on this device; ``key`` is its card's ``pass_key``."""

    key: str
    device: str
    batch: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LibraryMaps:
    """Answer: raw maps (k, h, w) by a method of the ``grad-cam`` library."""

    key: str
    device: str
    film: Floats
    method: str


Command = Load | Convert | Extend | Run | LibraryMaps


class TorchProcess:
    """Starts the process with the first command, and again after it died. Used on one thread.

    Started by command line with two pipes, like the reader processes: ``multiprocessing`` would import the program's
    own start-up module, with Qt, into the child.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._listener: threading.Thread | None = None
        self._unanswered = 0
        self._ending: list[tuple[subprocess.Popen[bytes], threading.Thread, float]] = []
        self._starts = 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def starts(self) -> int:
        """How often it was started: what was loaded before the last start is gone."""
        return self._starts

    def start(self) -> None:
        """Start the process ahead of the first command. Raises OSError where the system would not."""
        self._started()

    def call(self, command: Command, cancel: CancelToken) -> Any:
        """Send a command and wait for its answer.

        A cancelled command is finished by the process all the same (loading is of use to the next film); its answer
        is dropped.

        Raises:
            CancelledError: ``cancel`` was set.
            ModelError: what the process reported, or ``engine-died``.
        """
        cancel.raise_if_cancelled()
        try:
            commands = self._started()
            while self._unanswered:
                self._wait(cancel)
            pickle.dump(command, commands)
            commands.flush()
            self._unanswered += 1
            answer = self._wait(cancel)
        except (EOFError, OSError) as error:
            code = self._process.poll() if self._process else None
            self.release()
            raise ModelError(
                "The engine's process ended unexpectedly.",
                hint="Try again; if it happens again, choose another device.",
                detail=f"exit code {code}, {error!r}",
                code="engine-died",
            ) from error
        if isinstance(answer, CxrError):
            raise answer
        return answer

    def release(self) -> None:
        """Let the process end by itself when it has finished what it does; the next command starts a new one."""
        process, listener = self._process, self._listener
        if process is not None and listener is not None:
            with contextlib.suppress(OSError):  # what was not sent yet cannot be sent to a dead process
                _pipe(process.stdin).close()  # it waits for commands there, finds nobody, and ends
            self._ending.append((process, listener, _END_S if self._unanswered == 0 else _BUSY_END_S))
        self._process = self._listener = None
        self._unanswered = 0

    def close(self) -> None:
        """End the process and wait until it is gone. Safe to call twice."""
        self.release()
        for process, listener, patience_s in self._ending:
            try:
                process.wait(patience_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            listener.join()
            _pipe(process.stdout).close()
        self._ending.clear()

    def _started(self) -> IO[bytes]:
        if self._process is None or not self.running:
            self.release()
            self._process = _start()
            self._starts += 1
            self._answers = queue.SimpleQueue()  # a process that ended may still be answering into the old one
            given = (_pipe(self._process.stdout), self._answers)
            self._listener = threading.Thread(target=_listen, args=given, name="torch-answers", daemon=True)
            self._listener.start()
        return _pipe(self._process.stdin)

    def _wait(self, cancel: CancelToken) -> Any:
        while True:
            try:
                answer = self._answers.get(timeout=_POLL_S)
            except queue.Empty:
                cancel.raise_if_cancelled()
                continue
            if answer is _ENDED:
                raise EOFError
            self._unanswered -= 1
            return answer


def _start() -> subprocess.Popen[bytes]:
    """This interpreter, isolated from the folder and the Python settings it is started in."""
    package_root = str(Path(__file__).resolve().parents[3])
    search = [package_root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    return subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", _BOOT, json.dumps(search)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),  # a process that stands in the reader's folder keeps a disc from ejecting
        env={**os.environ, **_ENVIRONMENT},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _listen(pipe: IO[bytes], answers: queue.SimpleQueue[object]) -> None:
    """Pass answers on until the process ends; waiting in a thread, because Windows cannot poll a pipe."""
    with contextlib.suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            answers.put(pickle.load(pipe))
    answers.put(_ENDED)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "the process is started with pipes"
    return pipe


class ChildEngine:
    """An :class:`~cxr_viewer.inference.engines.Engine` whose torch lives in a :class:`TorchProcess`.

    The process is shared with other engines and closed by its owner.

    Raises:
        ModelError: weights missing or damaged, torch missing, device not usable.
        CancelledError: ``cancel`` was set while loading.
    """

    def __init__(self, process: TorchProcess, card: ModelCard, bundle: Path, device: str, cancel: CancelToken) -> None:
        self._process = process
        self._load = Load(card, bundle, device)
        self._name, self._weights, self._bias = process.call(self._load, cancel)
        self._loaded_in = process.starts

    @property
    def device_name(self) -> str:
        return str(self._name)

    @property
    def head_weights(self) -> Floats | None:
        weights: Floats | None = self._weights
        return weights

    @property
    def head_bias(self) -> Floats | None:
        bias: Floats | None = self._bias
        return bias

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        command = Run(pass_key(self._load.card), self._load.device, batch)
        answer: tuple[Floats, Floats | None] = self._call(command, CancelToken())
        return answer

    def library_maps(self, film: Floats, method: str, cancel: CancelToken) -> Floats:
        """See :meth:`cxr_viewer.inference.engines.torch.TorchEngine.library_maps`."""
        command = LibraryMaps(pass_key(self._load.card), self._load.device, film, method)
        answer: Floats = self._call(command, cancel)
        return answer

    def close(self) -> None:
        """Nothing to do: the process belongs to its owner."""

    def _call(self, command: Command, cancel: CancelToken) -> Any:
        if not self._process.running or self._loaded_in != self._process.starts:
            self._process.call(self._load, cancel)  # it died since, or was released: the new one has to load first
            self._loaded_in = self._process.starts
        return self._process.call(command, cancel)


# ---------------------------------------------------------------- in the process


def serve() -> None:
    """Answer commands until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is the window's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries may print; nothing of that may come between the answers
    if hasattr(os, "nice"):
        os.nice(5)  # where cores are few, the window comes first
    engines: dict[tuple[str, str], Any] = {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            command: Command = pickle.load(sys.stdin.buffer)
            pickle.dump(_answered(command, engines), answers)
            answers.flush()


def _answered(command: Command, engines: dict[tuple[str, str], Any]) -> object:
    try:
        return _do(command, engines)
    except CxrError as error:
        return error
    except ImportError as error:
        return ModelError(
            "The reference engine (torch) is not installed.",
            hint="Install the program again.",
            detail=str(error),
            code="no-torch",
        )
    except Exception as error:
        return ModelError(
            "The model failed to run.",
            hint="Try again, or choose another device.",
            detail="".join(traceback.format_exception(error)),
            code="engine-failed",
        )


def _do(command: Command, engines: dict[tuple[str, str], Any]) -> object:
    if isinstance(command, Convert):
        _convert(command)
        return None
    if isinstance(command, Extend):
        from cxr_viewer.inference.engines.extend import extend

        extend(command.card, command.bundle, command.graph, command.folder)
        return None
    from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle

    if isinstance(command, Load):
        name = (pass_key(command.card), command.device)
        if name not in engines:
            engines[name] = TorchEngine(load_bundle(command.card, command.bundle), command.device)
        engine = engines[name]
        return engine.device_name, engine.head_weights, engine.head_bias
    engine = engines[command.key, command.device]
    if isinstance(command, LibraryMaps):
        return engine.library_maps(command.film, command.method)
    return engine.run(command.batch)


def _convert(command: Convert) -> None:
    """A model in ONNX needs no torch; the modules are imported only for what is asked."""
    if command.card.network == ONNX_NETWORK:
        from cxr_viewer.inference.engines.convert_onnx import convert_onnx

        convert_onnx(command.card, command.bundle, command.folder)
    else:
        from cxr_viewer.inference.engines.convert import convert

        convert(command.card, command.bundle, command.folder)
