"""ZIP archives, read in memory: nothing is unpacked to disk and no name inside is made into a path.

Runs in the reader process only. The standard library reads the directory of an archive; the entries are read here, so
that every byte is counted while it is inflated and nothing is believed that an archive says of itself.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.study import member_stamp_ns
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Contents
from cxr_viewer.sources.archive_entry import Entry, EntryFile, entry_of
from cxr_viewer.sources.words import clean

MAX_ENTRIES = 50_000
MAX_DIRECTORY_BYTES = 12 << 20
MAX_DEPTH = 2
"""An archive, and archives in it."""
MAX_TOTAL_BYTES = 64 << 30
MAX_RATIO, RATIO_SLACK_BYTES = 200, 1 << 30
LARGEST_INNER_BYTES = 256 << 20
LARGEST_TRIAL_BYTES = 64 << 20
MAX_TRIALS = 200
_LOCAL_HEADER_BYTES, _CENTRAL_HEADER_BYTES = 30, 46
_SKIPPED = ("__macosx", "$recycle.bin", "system volume information")
_KEPT_OPEN = 4

_opened: dict[tuple[object, ...], Archive] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """A ZIP archive whose directory was read and found sound.

    Attributes:
        path: the file; the outermost one for an archive inside another.
        inner: the bytes of an archive inside another.
        size_bytes, stamp_ns: of the file.
        entries: all of them, by number.
    """

    path: Path
    inner: bytes | None
    size_bytes: int
    stamp_ns: int
    entries: tuple[Entry, ...]

    @contextmanager
    def entry(self, number: int, passwords: tuple[str, ...]) -> Iterator[EntryFile]:
        """The bytes of an entry, inflated as far as they are read.

        Raises:
            ReadError: no such entry, protected, packed in an unknown way, damaged, or a bomb; also while reading.
        """
        entry = self.described(number)
        with self._bytes() as file:
            yield EntryFile(file, entry, passwords)

    def described(self, number: int) -> Entry:
        """What the directory says of an entry, without opening it. Raises ReadError where there is none."""
        if not 0 <= number < len(self.entries):
            raise faults.file_changed()
        return self.entries[number]

    @contextmanager
    def _bytes(self) -> Iterator[BinaryIO]:
        if self.inner is not None:
            yield io.BytesIO(self.inner)
            return
        with self.path.open("rb") as file:
            yield file


# ---------------------------------------------------------------- opening


def open_archive(path: Path) -> Archive:
    """The archive at ``path``; its directory is kept in memory for the next entry asked for.

    Raises:
        ReadError: no ZIP archive, not copied whole, damaged, or built to do harm.
        OSError: as the file system says.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise faults.not_a_file()
    key = (str(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _opened:
        with path.open("rb") as file:
            entries = _directory(file)
        stamp = member_stamp_ns(status.st_size, status.st_mtime_ns)
        _keep(key, Archive(path, None, status.st_size, stamp, entries))
    return _opened[key]


def _keep(key: tuple[object, ...], archive: Archive) -> None:
    """The last few; of archives inside others only the last, whose bytes are held."""
    if archive.inner is not None:
        for old in [old for old, kept in _opened.items() if kept.inner is not None]:
            del _opened[old]
    while len(_opened) >= _KEPT_OPEN:
        del _opened[next(iter(_opened))]
    _opened[key] = archive


def _inside(outer: Archive, number: int, passwords: tuple[str, ...]) -> Archive:
    """The archive that an entry holds, inflated into memory."""
    key = (str(outer.path), outer.size_bytes, outer.stamp_ns, number)
    if key not in _opened:
        with outer.entry(number, passwords) as file:
            if file.entry.size > LARGEST_INNER_BYTES:
                raise faults.archive_refused("an archive inside it is too large to be opened in memory")
            data = file.read()
        entries = _directory(io.BytesIO(data))
        _keep(key, Archive(outer.path, data, outer.size_bytes, outer.stamp_ns, entries))
    return _opened[key]


class _Measured(io.RawIOBase):
    """A file that hands out no more than a directory may hold at once: the library reads it in one piece.

    Args:
        any_names: the names claim to be UTF-8 and are not; the claim is taken out, as they are shown to nobody's harm.
    """

    def __init__(self, file: BinaryIO, any_names: bool) -> None:
        self._file, self._any_names = file, any_names

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(MAX_DIRECTORY_BYTES + 1 if size < 0 else min(size, MAX_DIRECTORY_BYTES + 1))
        if len(data) > MAX_DIRECTORY_BYTES:
            raise faults.archive_refused(f"its list of contents is larger than {MAX_DIRECTORY_BYTES >> 20} MiB")
        return _without_utf8_claims(data) if self._any_names and data.startswith(b"PK\1\2") else data


def _without_utf8_claims(directory: bytes) -> bytes:
    """The directory with bit 11 of every entry's flags off (APPNOTE 4.4.4): its names are read as code page 437."""
    data, place = bytearray(directory), 0
    while data[place : place + 4] == b"PK\1\2" and place + _CENTRAL_HEADER_BYTES <= len(data):
        data[place + 9] &= ~0x08 & 0xFF
        place += _CENTRAL_HEADER_BYTES + sum(struct.unpack_from("<3H", data, place + 28))
    return bytes(data)


def _directory(file: BinaryIO, any_names: bool = False) -> tuple[Entry, ...]:
    """The entries of an archive, checked."""
    try:
        with zipfile.ZipFile(_Measured(file, any_names)) as opened:
            infos, end = opened.infolist(), opened.start_dir
    except UnicodeDecodeError:
        if any_names:
            raise
        return _directory(file, any_names=True)
    except zipfile.BadZipFile as error:
        raise faults.archive_damaged(str(error)) from error
    except (NotImplementedError, ValueError, OverflowError, IndexError) as error:
        raise faults.archive_damaged(f"{type(error).__name__} in the list of contents") from error
    if len(infos) > MAX_ENTRIES:
        raise faults.archive_refused(f"it holds more than {MAX_ENTRIES:,} files")
    entries = tuple(entry_of(number, info) for number, info in enumerate(infos))
    _check_places(entries, end)
    total, packed = sum(entry.size for entry in entries), sum(entry.packed for entry in entries)
    if total > min(MAX_TOTAL_BYTES, RATIO_SLACK_BYTES + MAX_RATIO * packed):
        raise faults.archive_refused(f"it would unpack to {total / 2**30:,.0f} GiB")
    return entries


def _check_places(entries: tuple[Entry, ...], end: int) -> None:
    """Entries lie one behind the other; where they share bytes, a small archive holds any amount of data."""
    free_from = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < free_from:
            raise faults.archive_refused("its files overlap")
        free_from = entry.offset + _LOCAL_HEADER_BYTES + entry.packed
    if free_from > end:
        raise faults.archive_damaged("an entry reaches beyond the data")


# ---------------------------------------------------------------- members


def find_member(path: Path, member: str, passwords: tuple[str, ...]) -> tuple[Archive, Entry]:
    """A member as the directory describes it, with the archive that holds it; only archives around it are opened.

    Raises:
        ReadError: as from :func:`open_archive` and :meth:`Archive.entry`, and where there is no such member.
    """
    numbers = [int(part) if part.isdecimal() and len(part) < 10 else -1 for part in member.split("/")]
    if len(numbers) > MAX_DEPTH:
        raise faults.file_changed()
    archive = open_archive(path)
    for number in numbers[:-1]:
        archive = _inside(archive, number, passwords)
    return archive, archive.described(numbers[-1])


@contextmanager
def open_member(path: Path, member: str, passwords: tuple[str, ...]) -> Iterator[EntryFile]:
    """A member of an archive as a file. Raises like :meth:`Archive.entry`."""
    archive, entry = find_member(path, member, passwords)
    with archive.entry(entry.number, passwords) as file:
        yield file


def contents(path: Path, passwords: tuple[str, ...]) -> Contents:
    """What a scan should look at in an archive. Raises like :func:`open_archive`."""
    notes: list[str] = []
    members, locked = _look_into(open_archive(path), "", passwords, notes)
    return Contents(tuple(members), locked, tuple(notes))


def _look_into(
    archive: Archive, prefix: str, passwords: tuple[str, ...], notes: list[str]
) -> tuple[list[tuple[str, int]], bool]:
    """(members, some are locked) of an archive and of those inside it."""
    members: list[tuple[str, int]] = []
    shut = _is_shut(archive, passwords)
    locked = shut
    for entry in archive.entries:
        if not _worth_a_look(entry) or (entry.encrypted and shut):
            continue
        member = f"{prefix}{entry.number}"
        if not _is_archive(entry):
            members.append((member, entry.size))
            continue
        if prefix.count("/") + 2 > MAX_DEPTH:
            notes.append(f"{clean(entry.name, 80)} was left out: it is an archive in an archive in an archive.")
            continue
        try:
            deeper = _look_into(_inside(archive, entry.number, passwords), f"{member}/", passwords, notes)
        except ReadError as error:
            locked |= error.code == faults.PASSWORD_NEEDED
            notes.append(f"{clean(entry.name, 80)}: {error.summary}")
            continue
        members += deeper[0]
        locked |= deeper[1]
    return members, locked


def _worth_a_look(entry: Entry) -> bool:
    if entry.is_folder or not entry.size:
        return False
    parts = [part for part in entry.full_name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if any(part.startswith(".") or part.lower() in _SKIPPED for part in parts):
        return False
    return bool(parts) and parts[-1].upper() != "DICOMDIR"


def _is_archive(entry: Entry) -> bool:
    """By its name: office documents are ZIP archives too, and their pictures are no films."""
    return entry.name.lower().endswith(".zip") and _worth_a_look(entry)


def _is_shut(archive: Archive, passwords: tuple[str, ...]) -> bool:
    """Whether there are protected entries and none of ``passwords`` opens them."""
    trial = _trial(archive)
    return trial is not None and not any(_opens(archive, trial, password) for password in passwords)


def _trial(archive: Archive) -> Entry | None:
    """The protected entry that takes least to try, of those this program could unpack."""
    shut = [entry for entry in archive.entries if entry.encrypted and entry.size and not entry.unreadable]
    return min(shut, key=lambda entry: max(entry.packed, entry.size), default=None)


def _opens(archive: Archive, entry: Entry, password: str) -> bool:
    """Tried on the whole entry: the check value of the traditional cipher lets one wrong password in 256 pass."""
    try:
        with archive.entry(entry.number, (password,)) as file:
            file.read(LARGEST_TRIAL_BYTES)
    except ReadError as error:
        if error.code in (faults.PASSWORD_NEEDED, faults.ARCHIVE_DAMAGED):
            return False
        raise
    return True


def unlocks(path: Path, password: str, known: tuple[str, ...]) -> bool:
    """Whether ``password`` opens a protected entry; ``known`` ones open what lies around it. Raises like
    :func:`open_archive`."""
    archive = open_archive(path)
    if _opens_some(archive, password):
        return True
    for entry in archive.entries:
        if _is_archive(entry):
            with suppress(ReadError):
                if _opens_some(_inside(archive, entry.number, (*known, password)), password):
                    return True
    return False


def _opens_some(archive: Archive, password: str) -> bool:
    shut = [entry for entry in archive.entries if entry.encrypted and not entry.unreadable]
    shut.sort(key=lambda entry: entry.size)
    return any(_opens(archive, entry, password) for entry in shut[:MAX_TRIALS])
