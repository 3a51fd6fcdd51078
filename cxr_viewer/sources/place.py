"""Where the bytes of an image are: a file, or an entry of a ZIP archive. Runs in the reader process only."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from cxr_viewer.sources import archive, faults
from cxr_viewer.sources.archive_entry import LARGEST_ENTRY, Entry
from cxr_viewer.sources.attributes import FileFacts

LARGEST_FILE = LARGEST_ENTRY


@dataclass(frozen=True, slots=True)
class Place:
    """A file to read.

    Attributes:
        member: entry of the archive at ``path``, as in ``core.study.ImageNode``; empty for a plain file.
        passwords: what may open the archive. Never shown.
    """

    path: Path
    member: str = ""
    passwords: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, words: dict[str, Any]) -> Place:
        """The place a request names."""
        return cls(Path(words["path"]), str(words.get("member", "")), tuple(words.get("passwords", ())))

    @classmethod
    def all_of(cls, words: dict[str, Any]) -> tuple[Place, ...]:
        """The places a request for many names: ``files`` of (path, member), ``passwords`` by path."""
        passwords: dict[str, list[str]] = words.get("passwords", {})
        return tuple(cls(Path(path), member, tuple(passwords.get(path, ()))) for path, member in words["files"])

    @property
    def name(self) -> str:
        """The file's own name; in an archive what stands there, which may be anything."""
        if not self.member:
            return self.path.name
        return self._described()[1].name

    def facts(self) -> FileFacts:
        """What the file system says. Asked before opening: opening a pipe or a device may wait for ever.

        Raises:
            ReadError: not a file; for members also all that ``archive.open_member`` raises.
            OSError: as the file system says.
        """
        if self.member:
            holder, entry = self._described()
            return FileFacts(self.path, entry.size, holder.stamp_ns, self.member)
        status = self.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise faults.not_a_file()
        return FileFacts(self.path, status.st_size, status.st_mtime_ns)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes as a file that can be read and searched. Raises like :meth:`facts`."""
        if self.member:
            with archive.open_member(self.path, self.member, self.passwords) as entry:
                yield cast(BinaryIO, entry)
            return
        with self.path.open("rb") as file:
            yield file

    def _described(self) -> tuple[archive.Archive, Entry]:
        return archive.find_member(self.path, self.member, self.passwords)

    def whole(self) -> bytes:
        """All bytes. Raises like :meth:`facts`; also ReadError for an empty file or one beyond all measure."""
        size = self.facts().size_bytes
        if size > LARGEST_FILE:
            raise faults.file_too_large(size, LARGEST_FILE)
        with self.open() as file:
            data = file.read()
        if not data:
            raise faults.empty_file()
        return data

    def digest(self) -> str:
        """sha256 of all bytes, in hexadecimal."""
        digest = hashlib.sha256()
        with self.open() as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        return digest.hexdigest()
