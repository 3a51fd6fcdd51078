"""Folders with models that lie somewhere: looked at, and copied."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import (
    CARD_NAME,
    LARGEST_REFERENCE_BYTES,
    ONNX_NAME,
    REFERENCE_NAME,
    WEIGHTS_NAME,
    file_sha256,
    read_card,
    weights_name,
)
from cxr_viewer.inference.store import faults
from cxr_viewer.inference.store.records import RECORDS_NAME

WORK, GOING = ".installing-", ".removing-"
"""How the names of folders begin in which models come and go."""
LARGEST_BYTES = 4 << 30
MOST_FILES = 64
_LARGEST_TEXT_BYTES = 16 << 20
_BESIDE = (".md", ".txt", ".png", ".jpg", ".jpeg", ".svg", ".csv", ".toml")
_WITHOUT_ENDING = ("LICENSE", "NOTICE", "LICENCE")
_CHUNK = 1 << 20
_OLD, _LOCK = ".old", ".lock"
_MOST_HOURS = 24


def check(folder: Path) -> ModelCard:
    """The card of a bundle in which nothing is that does not belong there.

    Raises:
        ModelError: it has a fault; the sentence names the first.
        OSError: the folder cannot be read.
    """
    if not folder.is_dir():
        raise faults.bad_folder("it is not a folder")
    paths = sorted(folder.iterdir())
    if len(paths) > MOST_FILES:
        raise faults.bad_folder(f"it holds more than {MOST_FILES} files")
    if not (folder / CARD_NAME).exists():
        raise faults.bad_folder(f"it has no {CARD_NAME}")
    for path in paths:
        _check_file(path)
    card = read_card(folder)
    if card.model_id.startswith(".") or card.model_id == RECORDS_NAME:  # names of what else lies in the models folder
        raise faults.bad_folder(f"its id is {card.model_id!r}")
    if not (folder / weights_name(card)).is_file():
        raise faults.bad_folder(f"it has no {weights_name(card)}")
    return card


def _check_file(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise faults.bad_folder(f"“{path.name}” is a link")
    if not stat.S_ISREG(status.st_mode):
        raise faults.bad_folder(f"“{path.name}” is not a plain file")
    if path.name in (WEIGHTS_NAME, ONNX_NAME):
        most = LARGEST_BYTES
    elif path.name == REFERENCE_NAME:
        most = LARGEST_REFERENCE_BYTES
    elif path.suffix.lower() in _BESIDE or path.name in _WITHOUT_ENDING:
        most = _LARGEST_TEXT_BYTES
    else:
        raise faults.bad_folder(f"“{path.name}” does not belong into it")
    if status.st_size > most:
        raise faults.bad_folder(f"“{path.name}” is too large")


def copy(folder: Path, target: Path, cancel: CancelToken) -> None:
    """Copy the files of a checked bundle; links are not followed, and nothing is executable afterwards.

    Raises:
        ModelError: it has changed since it was checked.
        OSError: reading or writing failed.
        CancelledError: ``cancel`` was set.
    """
    target.mkdir()
    for path in sorted(folder.iterdir()):
        _check_file(path)
        with path.open("rb") as source, (target / path.name).open("xb") as copied:
            while chunk := source.read(_CHUNK):
                cancel.raise_if_cancelled()
                copied.write(chunk)


@contextlib.contextmanager
def work_folder(models: Path) -> Iterator[Path]:
    """A folder beside the models, so that moving in is a renaming; gone afterwards, whatever happened.

    Raises:
        OSError: the models folder cannot be written.
    """
    models.mkdir(parents=True, exist_ok=True)
    sweep(models)
    work = Path(tempfile.mkdtemp(prefix=WORK, dir=models))
    try:
        with (work / _LOCK).open("w") as lock:
            _take(lock)
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def replaced(work: Path, place: Path) -> Path:
    """Where a model waits while another takes its ``place``; :func:`sweep` puts it back if that never happens."""
    (work / _OLD).mkdir(exist_ok=True)
    return work / _OLD / place.name


def sweep(models: Path) -> None:
    """Remove what a program left behind that was killed, and put back the model that it was about to replace."""
    with contextlib.suppress(OSError):
        for path in list(models.iterdir()):
            if path.name.startswith(WORK) and _abandoned(path):
                _put_back(path / _OLD, models)
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith(GOING) and _hours_old(path) > 1:
                shutil.rmtree(path, ignore_errors=True)


def _put_back(old: Path, models: Path) -> None:
    for folder in list(old.iterdir()) if old.is_dir() else ():
        if not os.path.lexists(models / folder.name):
            folder.rename(models / folder.name)


def _abandoned(work: Path) -> bool:
    """Whether the program that made it is gone: its lock went with it. Without locks the folder's age has to do."""
    try:
        with (work / _LOCK).open("r+") as lock:
            return _take(lock) or _hours_old(work) > _MOST_HOURS
    except BlockingIOError:
        return False
    except OSError:
        return _hours_old(work) > _MOST_HOURS


def _take(lock: IO[str]) -> bool:
    """False where the system has no such locks. Raises BlockingIOError where another program holds it."""
    try:
        import fcntl
    except ImportError:
        return False
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def _hours_old(path: Path) -> float:
    return (time.time() - path.stat().st_mtime) / 3600


def digest(path: Path, most_bytes: int) -> str:
    """Of a plain file that is not larger than the model can be: a pipe or a device has no end to wait for."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise faults.unreadable("it is not a plain file")
        if status.st_size > most_bytes:
            raise faults.too_large(f"{status.st_size} bytes, at most {most_bytes}")
        return file_sha256(path)
    except FileNotFoundError as error:
        raise faults.no_such_file(str(error)) from error
    except OSError as error:
        raise faults.unreadable(str(error)) from error
