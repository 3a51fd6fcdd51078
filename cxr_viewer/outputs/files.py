"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from cxr_viewer.core.errors import ExportError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have ``write`` fill a file beside ``path``, then put it in its place in one step.

    A reader sees the old file or the new one. When anything fails, what was there before stays and nothing is left
    behind. A link is followed, so that the file it points to is replaced and not the link.

    Args:
        path: where the file is to lie; its folder must be there.
        write: gets the open file, may seek in it.

    Raises:
        ExportError: ``disk-full``, ``no-permission``, ``no-folder``, ``not-a-file`` or ``export-failed``.
    """
    try:
        target = path.resolve()
        _refuse_unfit(path, target)
        part = target.with_name(f".cxr-{secrets.token_hex(8)}.part")
        try:
            with part.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise export_error(path, error) from error


def check_writable(path: Path) -> None:
    """Find out now, not after an hour of work, that a file cannot be written there.

    Raises:
        ExportError: as :func:`write_atomic` would.
    """
    try:
        target = path.resolve()
        _refuse_unfit(path, target)
        trial = target.with_name(f".cxr-{secrets.token_hex(8)}.part")
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise export_error(path, error) from error


def _refuse_unfit(path: Path, target: Path) -> None:
    if target.is_dir():
        raise ExportError(
            f"“{path.name or path}” is a folder, not a file.",
            hint="Give the name of the file to write as well.",
            code="not-a-file",
        )
    if target.exists() and not target.is_file():  # replacing a device would take it away from the whole machine
        raise ExportError(f"“{path.name}” is not an ordinary file.", hint="Choose another name.", code="not-a-file")
    if not target.parent.is_dir():
        raise ExportError(
            f"The folder for “{path.name}” does not exist.",
            hint="Make the folder first, or choose another one.",
            code="no-folder",
        )


def export_error(path: Path, error: OSError) -> ExportError:
    """What an operating system's refusal means to the person who wanted the file."""
    name = path.name
    if error.errno in _FULL:
        return ExportError(
            f"There is no room on the disk for “{name}”.",
            hint="Free some space or choose another disk; nothing was written.",
            detail=str(error),
            code="disk-full",
        )
    if error.errno in _FORBIDDEN:
        return ExportError(
            f"“{name}” may not be written there.",
            hint="Choose a folder of your own, or close the program that holds the file open.",
            detail=str(error),
            code="no-permission",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ExportError(
            f"The folder for “{name}” does not exist.",
            hint="Make the folder first, or choose another one.",
            detail=str(error),
            code="no-folder",
        )
    if error.errno == errno.ENAMETOOLONG:
        return ExportError("The file name is too long.", hint="Choose a shorter one.", detail=str(error), code="name")
    return ExportError(
        f"“{name}” could not be written.",
        hint="Choose another folder, or make room on the disk.",
        detail=str(error),
        code="export-failed",
    )
