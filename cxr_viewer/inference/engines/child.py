"""Torch in a process of its own, spoken to over a pipe.

Importing torch takes 1.4 s and holds the interpreter for long stretches; in the window's process every one of them
would be a film that does not follow the hand. A driver that crashes takes only this process down. What crosses the
pipe is small (a film as the network sees it is 150 kB), so a pass costs about a millisecond more than in one process.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.engines import Floats, thread_count

_log = logging.getLogger(__name__)

_POLL_S = 0.05  # how soon a cancelled wait ends
_END_S = 3.0  # torch takes about half a second to leave
_BUSY_END_S = 0.2


@dataclass(frozen=True, slots=True)
class Load:
    """Answer: (device name, head weights, head bias)."""

    card: ModelCard
    bundle: Path
    device: str


@dataclass(frozen=True, slots=True)
class Convert:
    """Answer: None, once the graph lies in ``folder``."""

    card: ModelCard
    bundle: Path
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Answer: (logits, features) of the engine loaded with these weights on this device."""

    sha256: str
    device: str
    batch: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LibraryMaps:
    """Answer: raw maps (k, h, w) by a method of the ``grad-cam`` library."""

    sha256: str
    device: str
    film: Floats
    method: str


Command = Load | Convert | Run | LibraryMaps


class TorchProcess:
    """Starts the process with the first command, and again after it died. Used on one thread."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None
        self._unanswered = 0
        self._ending: list[tuple[BaseProcess, float]] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.is_alive()

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
            connection = self._connected()
            while self._unanswered:
                self._wait(connection, cancel)
            connection.send(command)
            self._unanswered += 1
            answer = self._wait(connection, cancel)
        except (EOFError, OSError) as error:
            code = self._process.exitcode if self._process else None
            self.close()
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
        if self._connection is not None:
            self._connection.close()  # the process waits for commands there, finds nobody, and ends
        if self._process is not None:
            self._ending.append((self._process, _END_S if self._unanswered == 0 else _BUSY_END_S))
        self._process = self._connection = None
        self._unanswered = 0

    def close(self) -> None:
        """End the process and wait until it is gone. Safe to call twice."""
        self.release()
        for process, patience_s in self._ending:
            process.join(patience_s)
            if process.is_alive():
                process.terminate()
                process.join(_END_S)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._ending.clear()

    def _connected(self) -> Connection[Any, Any]:
        if self._connection is not None and self.running:
            return self._connection
        self.close()
        context = multiprocessing.get_context("spawn")  # a process that holds Qt must not be forked
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="torch", daemon=True)
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        return ours

    def _wait(self, connection: Connection[Any, Any], cancel: CancelToken) -> Any:
        while not connection.poll(_POLL_S):
            cancel.raise_if_cancelled()
        answer = connection.recv()
        self._unanswered -= 1
        return answer


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

    @property
    def device_name(self) -> str:
        return str(self._name)

    @property
    def head_weights(self) -> Floats:
        weights: Floats = self._weights
        return weights

    @property
    def head_bias(self) -> Floats:
        bias: Floats = self._bias
        return bias

    def run(self, batch: Floats) -> tuple[Floats, Floats]:
        answer: tuple[Floats, Floats] = self._call(Run(self._load.card.sha256, self._load.device, batch), CancelToken())
        return answer

    def library_maps(self, film: Floats, method: str, cancel: CancelToken) -> Floats:
        """See :meth:`cxr_viewer.inference.engines.torch.TorchEngine.library_maps`."""
        command = LibraryMaps(self._load.card.sha256, self._load.device, film, method)
        answer: Floats = self._call(command, cancel)
        return answer

    def close(self) -> None:
        """Nothing to do: the process belongs to its owner."""

    def _call(self, command: Command, cancel: CancelToken) -> Any:
        if not self._process.running:  # it died since, or was closed: a new one has to load first
            self._process.call(self._load, cancel)
        return self._process.call(command, cancel)


# ---------------------------------------------------------------- in the process


def _serve(connection: Connection[Any, Any]) -> None:
    """Answer commands until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is the window's to handle
    with contextlib.suppress(OSError, ValueError):
        os.dup2(2, 1)  # standard output is for results; libraries may print
    if hasattr(os, "nice"):
        os.nice(5)  # where cores are few, the window comes first
    # Two pools that wait by spinning slow each other down; read by the libraries as they load.
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", KMP_BLOCKTIME="0", TQDM_DISABLE="1")
    os.environ.setdefault("OMP_NUM_THREADS", str(thread_count()))
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    engines: dict[tuple[str, str], Any] = {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            command: Command = connection.recv()
            connection.send(_answered(lambda given=command: _do(given, engines)))  # type: ignore[misc]


def _answered(work: Callable[[], object]) -> object:
    try:
        return work()
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
        from cxr_viewer.inference.engines.convert import convert

        convert(command.card, command.bundle, command.folder)
        return None
    from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle

    if isinstance(command, Load):
        name = (command.card.sha256, command.device)
        if name not in engines:
            engines[name] = TorchEngine(load_bundle(command.card, command.bundle), command.device)
        engine = engines[name]
        return engine.device_name, engine.head_weights, engine.head_bias
    engine = engines[command.sha256, command.device]
    if isinstance(command, LibraryMaps):
        return engine.library_maps(command.film, command.method)
    return engine.run(command.batch)
