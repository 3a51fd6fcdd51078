"""One entry of a ZIP archive as a file of plain bytes: decrypted, inflated and counted as far as it is read."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cxr_viewer.core.errors import ReadError
from cxr_viewer.sources import faults, unlocking
from cxr_viewer.sources.unlocking import Decrypter, WinZipAes, ZipCrypto

LARGEST_ENTRY = 1 << 30
MAX_RATIO, RATIO_SLACK_BYTES = 200, 64 << 20
"""A film of 18 MB that is all black shrinks to 18 kB; a bomb goes on for ever."""
_PIECE = 1 << 18
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "xz", 98: "PPMd"}
_ENCRYPTED, _LATER_CRC, _PATCHED, _STRONGLY = 0x1, 0x8, 0x20, 0x2040


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the directory of its archive describes it; nothing of it is to be believed.

    Attributes:
        full_name: with its folders, as in the archive. Never a path.
        size, packed: bytes, claimed.
        offset: of the local header in the archive.
        method: of compression; that behind the encryption for AES.
        aes_version, aes_strength: 0 where the entry is not protected by AES.
        checks: what the last byte before data in the traditional cipher may be.
        unreadable: the name of a method this program has not, or empty.
    """

    number: int
    full_name: str
    size: int
    packed: int
    offset: int
    method: int
    crc: int
    encrypted: bool
    aes_version: int
    aes_strength: int
    checks: tuple[int, ...]
    unreadable: str

    @property
    def name(self) -> str:
        """The last part of the name."""
        return self.full_name.replace("\\", "/").rstrip("/").rpartition("/")[2]

    @property
    def is_folder(self) -> bool:
        return self.full_name.endswith(("/", "\\"))


def entry_of(number: int, info: zipfile.ZipInfo) -> Entry:
    method, aes_version, aes_strength, unreadable = info.compress_type, 0, 0, ""
    if method == unlocking.AES_METHOD:
        field = unlocking.aes_field(info.extra)
        if field is None or not unlocking.aes_head_bytes(field[1]):
            unreadable = "unknown encryption"
        else:
            aes_version, aes_strength, method = field
    if info.flag_bits & _STRONGLY:
        unreadable = "PKWARE strong encryption"
    elif info.flag_bits & _PATCHED:
        unreadable = "patch data"
    elif method not in (_STORED, _DEFLATED, unlocking.AES_METHOD):
        unreadable = _METHODS.get(method, f"method {method}")
    _, _, _, hour, minute, second = info.date_time
    checks = ((hour << 11 | minute << 5 | second // 2) >> 8 & 0xFF, info.CRC >> 24)
    return Entry(
        number,
        info.filename,
        info.file_size,
        info.compress_size,
        info.header_offset,
        method,
        info.CRC,
        bool(info.flag_bits & _ENCRYPTED),
        aes_version,
        aes_strength,
        checks if info.flag_bits & _LATER_CRC else checks[1:],
        unreadable,
    )


class EntryFile(io.RawIOBase):
    """The plain bytes of an entry. What was read once is kept, so that a parser may go back.

    Args:
        file: the archive.
        passwords: the first that fits is used.

    Raises:
        ReadError: protected, packed in an unknown way, damaged, or larger than it may be; also while reading.
    """

    def __init__(self, file: BinaryIO, entry: Entry, passwords: tuple[str, ...]) -> None:
        if entry.unreadable:
            raise faults.archive_method(entry.unreadable)
        if entry.size > LARGEST_ENTRY:
            raise faults.file_too_large(entry.size, LARGEST_ENTRY)
        self.entry = entry
        self._file = file
        self._data = bytearray()
        self._at = 0
        self._place, self._left = self._data_at(), entry.packed
        self._limit = min(entry.size, RATIO_SLACK_BYTES + MAX_RATIO * entry.packed)
        self._decrypter = self._unlock(passwords) if entry.encrypted else None
        self._pieces = self._plain()

    # ------------------------------------------------------------ as a file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            self._fill(None)
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        if start + offset < 0:
            raise ValueError("seek before the beginning")
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = None if size is None or size < 0 else self._at + size
        self._fill(end)
        found = bytes(memoryview(self._data)[self._at : end])
        self._at += len(found)
        return found

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        found = self.read(len(view))
        view[: len(found)] = found
        return len(found)

    def _fill(self, end: int | None) -> None:
        while end is None or len(self._data) < end:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._data += piece

    # ------------------------------------------------------------ from the archive

    def _raw(self, count: int) -> bytes:
        """The next bytes of the entry as they stand in the archive."""
        self._file.seek(self._place)
        data = self._file.read(min(count, self._left))
        if len(data) < min(count, self._left):
            raise faults.archive_damaged("the archive ends within an entry")
        self._place += len(data)
        self._left -= len(data)
        return data

    def _data_at(self) -> int:
        self._file.seek(self.entry.offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
            raise faults.archive_damaged("no entry where the list of contents has one")
        _, name, extra = _LOCAL_HEADER.unpack(header)
        return self.entry.offset + _LOCAL_HEADER.size + int(name) + int(extra)

    def _unlock(self, passwords: tuple[str, ...]) -> Decrypter:
        entry = self.entry
        if entry.aes_strength:
            head = self._raw(unlocking.aes_head_bytes(entry.aes_strength))
            if self._left < unlocking.AES_TAIL:
                raise faults.archive_damaged("a protected entry without its code")
            self._left -= unlocking.AES_TAIL
        else:
            head = self._raw(unlocking.ZIPCRYPTO_HEAD)
        for password in passwords:
            for spelling in unlocking.spellings(password):
                tried: WinZipAes | ZipCrypto
                if entry.aes_strength:
                    tried = WinZipAes(spelling, head, entry.aes_strength)
                else:
                    tried = ZipCrypto(spelling, head, entry.checks)
                if tried.fits:
                    return tried
        raise faults.password_needed()

    def _packed(self) -> Iterator[bytes]:
        """The decrypted bytes before inflating."""
        while self._left:
            data = self._raw(_PIECE if self._decrypter is None else _PIECE >> 3)
            yield data if self._decrypter is None else self._decrypter.decrypt(data)
        if self._decrypter is not None:
            self._left = unlocking.AES_TAIL if self.entry.aes_strength else 0
            if not self._decrypter.is_authentic(self._raw(unlocking.AES_TAIL)):
                raise faults.archive_damaged("a protected entry is not what was encrypted")

    def _plain(self) -> Iterator[bytes]:
        """The bytes themselves, with their count and checksum compared at the end."""
        count = checksum = 0
        for piece in self._packed() if self.entry.method == _STORED else self._inflated():
            count += len(piece)
            if count > self._limit:
                raise self._beyond()
            checksum = zlib.crc32(piece, checksum)
            yield piece
        if count != self.entry.size:
            raise faults.archive_damaged(f"{count} of {self.entry.size} bytes")
        if checksum != self.entry.crc and self.entry.aes_version != 2:  # AE-2 has its own code and stores no CRC
            raise faults.archive_damaged("the checksum is wrong")

    def _beyond(self) -> ReadError:
        if self._limit < self.entry.size:
            return faults.archive_refused("a file in it grows beyond all measure while it is unpacked")
        return faults.archive_damaged("an entry is larger than the list of contents says")

    def _inflated(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for data in self._packed():
                while data and not inflater.eof:
                    yield inflater.decompress(data, _PIECE)
                    data = inflater.unconsumed_tail
            while not inflater.eof and (held_back := inflater.decompress(b"", _PIECE)):
                yield held_back
        except zlib.error as error:
            raise faults.archive_damaged(f"deflate: {error}") from error
        if not inflater.eof:
            raise faults.archive_damaged("compressed data without end")
