"""Folders with models that lie somewhere: looked at, and copied."""

from __future__ import annotations

import contextlib
import shutil
import stat
import time
from pathlib import Path

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import CARD_NAME, ONNX_NAME, WEIGHTS_NAME, read_card, weights_name
from cxr_viewer.inference.store import faults
from cxr_viewer.inference.store.records import RECORDS_NAME

LARGEST_BYTES = 4 << 30
MOST_FILES = 64
_LARGEST_TEXT_BYTES = 16 << 20
_BESIDE = (".md", ".txt", ".png", ".jpg", ".jpeg", ".svg", ".csv", ".toml")
_WITHOUT_ENDING = ("LICENSE", "NOTICE", "LICENCE")
_CHUNK = 1 << 20


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


def sweep(parent: Path, prefixes: tuple[str, ...]) -> None:
    """Remove what an installation left behind that was killed; a running one is younger than a day."""
    for path in parent.iterdir():
        with contextlib.suppress(OSError):
            if path.name.startswith(prefixes) and _days_old(path) > 1:
                shutil.rmtree(path, ignore_errors=True)


def _days_old(path: Path) -> float:
    return (time.time() - path.stat().st_mtime) / 86400
