"""Which files ``analyse`` looks at: those the user named, and the images in the folders and DICOMDIRs named."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.cli import archives, parts
from cxr_viewer.cli.progress import counted
from cxr_viewer.core.errors import CxrError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode, PassedOver

if TYPE_CHECKING:
    from cxr_viewer.sources.sandbox import Sandbox

# In a folder these are simply not films. Any other fault is a film that cannot be read, and is not passed over.
# A protected archive gets an answer of its own.
_NO_FILM = {"not-an-image", "no-image-object", "dicomdir", "empty-file", "zip-archive", "password-needed"}


@dataclass(frozen=True, slots=True)
class Item:
    """A file to be asked about.

    Attributes:
        node: what a scan has found out; None for a file the user named, which is looked at when its turn comes.
        member: of the archive at ``path``, as in ``ImageNode``.
        fault: why it cannot be asked about.
    """

    path: Path
    node: ImageNode | None = None
    member: str = ""
    fault: CxrError | None = field(default=None, repr=False)


def find(paths: Sequence[Path], processes: Sandbox, password_file: Path | None = None) -> list[Item]:
    """Every file once, in the order named; below a folder in the order of the scan, unreadable films last.

    Args:
        password_file: holds the password of protected archives.
    """
    items: dict[tuple[Path, str], Item] = {}
    for path in paths:
        if path.is_dir() or path.name.upper() == "DICOMDIR" or archives.is_archive(path):
            found = _in_folder(path, processes, password_file)
        elif path.exists():
            found = iter((Item(path),))
        else:
            found = iter((Item(path, fault=parts.no_such_file()),))
        for item in found:
            items.setdefault((item.path.absolute(), item.member), item)
    return list(items.values())


def _in_folder(folder: Path, processes: Sandbox, password_file: Path | None) -> Iterator[Item]:
    """The films a scan finds in a folder, a DICOMDIR or an archive, those of protected archives after the others."""
    from cxr_viewer.sources.reader import SandboxReader

    locked: dict[Path, None] = {}
    yield from _scanned(folder, processes, locked)
    films = SandboxReader(processes)
    for archive in tuple(locked):
        try:
            opened = archives.unlock(films, archive, password_file)
        except CxrError as error:
            yield Item(archive, fault=error)
            continue
        still_locked: dict[Path, None] = {}
        if opened:
            yield from _scanned(archive, processes, still_locked)
        if still_locked or not opened:
            yield Item(archive, fault=archives.password_needed(archive))


def _scanned(folder: Path, processes: Sandbox, locked: dict[Path, None]) -> Iterator[Item]:
    """Archives that were left out are put into ``locked``."""
    from cxr_viewer.sources.scan import FolderScanner

    told: list[str] = []
    faulty: list[Item] = []
    try:
        for batch in counted(FolderScanner(processes).scan([folder], CancelToken())):
            told += batch.notes
            locked.update(dict.fromkeys(batch.locked))
            faulty += [_faulty(file) for file in batch.passed_over if file.code not in _NO_FILM]
            for found in batch.found:
                yield Item(found.image.path, found.image, found.image.member)
    except ReadError as error:
        yield Item(folder, fault=error)
        return
    names = {item.path.name for item in faulty}
    for note in dict.fromkeys(told):
        if not any(note.startswith(f"{name}:") for name in names):  # these get an answer of their own
            print(f"cxr-viewer: {note}", file=sys.stderr)
    yield from faulty


def _faulty(file: PassedOver) -> Item:
    return Item(
        file.stamp.path, member=file.stamp.member, fault=ReadError(file.summary, hint=file.hint, code=file.code)
    )
