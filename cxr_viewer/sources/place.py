"""Where the bytes of an image are: a file, or an entry of a ZIP archive. Runs in the reader process only."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cxr_viewer.sources import faults
from cxr_viewer.sources.attributes import FileFacts

LARGEST_FILE = 1 << 30


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
        """The file's own name."""
        return self.path.name

    def facts(self) -> FileFacts:
        """What the file system says. Asked before opening: opening a pipe or a device may wait for ever.

        Raises:
            ReadError: not a file.
            OSError: as the file system says.
        """
        if self.member:
            raise faults.zip_archive()
        status = self.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise faults.not_a_file()
        return FileFacts(self.path, status.st_size, status.st_mtime_ns)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes as a file that can be read and searched. Raises like :meth:`facts`."""
        with self.path.open("rb") as file:
            yield file

    def whole(self) -> bytes:
        """All bytes. Raises like :meth:`facts`; also ReadError for an empty file or one beyond all measure."""
        size = self.facts().size_bytes
        if size > LARGEST_FILE:
            raise faults.file_too_large(size, LARGEST_FILE)
        data = self.path.read_bytes()
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
