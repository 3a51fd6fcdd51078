"""Which files a scan looks at: those chosen, those below folders, those a DICOMDIR names, those in ZIP archives."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ScanBatch
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import MAX_RECORDS, Contents, Directory
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.words import clean

MAX_NOTES = 50
_DIRECTORY_CLASS = b"\2\0\2\0UI\x14\x001.2.840.10008.1.3.10"  # (0002,0002), 20 characters
ARCHIVE_LIMIT_S = 60.0
_DEEPEST, _LONGEST_NAME = 32, 255
_DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
_SKIPPED_FOLDERS = {"$recycle.bin", "system volume information", "__macosx", "lost+found", "node_modules"}


@dataclass(slots=True)
class Tally:
    looked_at: int = 0
    skipped: int = 0
    total: int = 0
    notes: list[str] = field(default_factory=list)
    noted: int = 0
    notes_left_out: int = 0
    locked: dict[Path, None] = field(default_factory=dict)
    lost_folders: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        if self.noted < MAX_NOTES:
            self.noted += 1
            self.notes.append(sentence)
        else:
            self.notes_left_out += 1

    def batch(self, found: tuple[FoundImage, ...] = ()) -> ScanBatch:
        notes, self.notes = tuple(self.notes), []
        locked, self.locked = tuple(self.locked), {}
        return ScanBatch(found, self.looked_at, self.total, self.skipped, notes, locked)

    def lose(self, note: str, error: OSError) -> None:
        """A folder or chosen file that is not there. All that went away with one disc are told of together."""
        if isinstance(error, PermissionError):
            self.note(note)
        else:
            self.lost_folders.append(note)

    def note_lost_folders(self) -> None:
        """At the end of the listing."""
        if len(self.lost_folders) > 1:
            self.note(
                f"{self.lost_folders[0]} The same goes for {len(self.lost_folders) - 1:,} more. "
                "Check that their disk or network folder is connected, then open the folder again."
            )
        elif self.lost_folders:
            self.note(self.lost_folders[0])

    def lock(self, archive: Path) -> None:
        """Something in ``archive`` needs a password that nobody has given."""
        self.locked[archive] = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at, or ``member`` of the ZIP archive that the file is (as in ``ImageNode``).

    ``chosen`` by the reader himself, so that he is told when it is no image.
    """

    path: Path
    chosen: bool
    member: str = ""


class Listing:
    """Lists files on the caller's thread; DICOMDIRs and archives are read in ``sandbox``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def candidates(self, paths: Sequence[Path], cancel: CancelToken, tally: Tally) -> Iterator[Candidate | None]:
        """Files to look at, in a stable order, each once; None is a chance to pause."""
        seen: set[tuple[int, int]] = set()
        for path in paths:
            path = path.absolute()
            try:
                mode = path.stat().st_mode
            except OSError as error:
                tally.lose(f"{name_of(path)}: {faults.from_os_error(error).summary}", error)
                continue
            if stat.S_ISDIR(mode):
                yield from self._below(path, seen, cancel, tally)
            elif not stat.S_ISREG(mode):
                tally.note(f"{name_of(path)} is neither a file nor a folder.")
            elif path.name.upper() == "DICOMDIR" or is_dicomdir(path):
                yield from self._named_by_dicomdir(path, cancel, tally)
            elif is_archive(path):
                yield from self._in_archive(path, cancel, tally)
            else:
                yield Candidate(path, chosen=True)

    def _below(
        self, folder: Path, seen: set[tuple[int, int]], cancel: CancelToken, tally: Tally
    ) -> Iterator[Candidate | None]:
        for candidate in _files_below(folder, seen, tally):
            # By the name only: office documents are archives too, and the pictures in them are no films.
            if candidate is not None and candidate.path.suffix.lower() == ".zip" and is_archive(candidate.path):
                yield from self._in_archive(candidate.path, cancel, tally)
            else:
                yield candidate

    def _in_archive(self, path: Path, cancel: CancelToken, tally: Tally) -> Iterator[Candidate]:
        passwords = list(self._sandbox.passwords.of(path))
        try:
            contents = self._sandbox.ask(
                Contents, "archive", cancel, time_limit_s=ARCHIVE_LIMIT_S, path=str(path), passwords=passwords
            )
        except ReadError as error:
            tally.note(f"{name_of(path)}: {error.summary} {error.hint}".rstrip())
            return
        for note in contents.notes:
            tally.note(f"{name_of(path)}: {note}")
        if contents.locked:
            tally.lock(path)
        for member, _ in contents.members:
            yield Candidate(path, chosen=False, member=member)

    def _named_by_dicomdir(self, path: Path, cancel: CancelToken, tally: Tally) -> Iterator[Candidate]:
        try:
            directory = self._sandbox.ask(Directory, "dicomdir", cancel, path=str(path))
        except ReadError as error:
            tally.note(f"{name_of(path)}: {error.summary} {error.hint}")
            return
        root = path.parent.absolute()  # as the reader named it: the same film by folder is the same path
        climbing = missing = 0
        for parts in dict.fromkeys(directory.file_ids):
            cancel.raise_if_cancelled()
            file = _inside(root, parts)
            if file is None:
                climbing += 1
            elif not _is_there(file):
                missing += 1
            else:
                yield Candidate(file, chosen=True)
        if directory.cut:
            tally.note(f"{name_of(path)} names more than {MAX_RECORDS:,} files; open its folder to see all of them.")
        if climbing:
            what = "1 entry of the DICOMDIR points" if climbing == 1 else f"{climbing} entries of the DICOMDIR point"
            tally.note(f"{what} outside of its folder and {'was' if climbing == 1 else 'were'} refused.")
        if missing:
            what = "1 image" if missing == 1 else f"{missing} images"
            tally.note(f"{what} named by the DICOMDIR {'is' if missing == 1 else 'are'} not there.")


def _files_below(root: Path, seen: set[tuple[int, int]], tally: Tally) -> Iterator[Candidate | None]:
    """Every file below a folder; a folder reached twice (by a link that leads back) is entered once."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen and status.st_ino:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                listing = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            tally.lose(faults.folder_note(folder, error), error)
            continue
        deeper = []
        for entry in listing:
            if _skipped(entry.name):
                continue
            try:
                if entry.is_dir():
                    deeper.append(Path(entry.path))
                elif entry.is_file() and entry.name.upper() != "DICOMDIR":
                    yield Candidate(Path(entry.path), chosen=False)
            except OSError:
                continue
        waiting.extend(reversed(deeper))
        yield None


def is_dicomdir(path: Path) -> bool:
    """By the Media Storage SOP Class UID in its file meta information (PS3.10 8), whatever its name."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return head[128:132] == b"DICM" and _DIRECTORY_CLASS in head


def is_archive(path: Path) -> bool:
    """By its first bytes; that of an empty archive differs."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    return head[:4] in (b"PK\3\4", b"PK\5\6") and head[128:] != b"DICM"  # a preamble may hold anything


def _skipped(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SKIPPED_FOLDERS


def _is_there(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:
        return False


def _inside(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The file of a File ID, or None where it leads out of ``root``, also by a link. Discs write capitals.

    PS3.10 8.2 allows eight components of eight characters; real discs write more, none of them hundreds.
    """
    if len(parts) > _DEEPEST or not all(_is_plain(part) for part in parts):
        return None
    place = root
    try:
        for part in parts:
            exact = place / part
            place = exact if exact.exists() else _any_case(place, part)
        home, resolved = root.resolve(), place.resolve()
    except (OSError, RuntimeError, ValueError):  # links that lead in a circle, a name no disk can hold
        return None
    return place if resolved.is_relative_to(home) and resolved != home else None


def _is_plain(part: str) -> bool:
    """The name of one file or folder and nothing else, on any system; Windows takes some names for devices."""
    return (
        part not in ("", ".", "..")
        and len(part) <= _LONGEST_NAME
        and not any(c in part for c in "/\\:\0")
        and part.partition(".")[0].strip().upper() not in _DEVICES
    )


def _any_case(folder: Path, name: str) -> Path:
    for spelling in (name.lower(), name.upper(), f"{name.lower()};1", f"{name.upper()};1"):
        if (folder / spelling).exists():
            return folder / spelling
    return folder / name


def name_of(path: Path) -> str:
    return clean(path.name or str(path), 80)
