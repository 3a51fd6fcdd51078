"""Decryption of ZIP entries: the traditional cipher of PKWARE and AES as WinZip and 7-Zip write it.

Runs in the reader process only. Sources: PKWARE APPNOTE.TXT 6.3.10, section 6.1; "AES Encryption Information" by WinZip
(AE-1, AE-2).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

AES_METHOD = 99
AES_EXTRA = 0x9901
ZIPCRYPTO_HEAD = 12
AES_TAIL = 10
_AES_SIZES = {1: (8, 16), 2: (12, 24), 3: (16, 32)}  # strength: bytes of salt, bytes of key
_AES_ROUNDS = 1000


class Decrypter(Protocol):
    def decrypt(self, data: bytes) -> bytes:
        """The next bytes in plain."""
        ...

    def is_authentic(self, tail: bytes) -> bool:
        """Whether everything decrypted so far is what was once encrypted, by the bytes that follow it."""
        ...


def spellings(password: str) -> Iterator[bytes]:
    """The bytes a program may have made of a password: UTF-8, or a code page of DOS or Windows."""
    tried: list[bytes] = []
    for encoding in ("utf-8", "cp437", "cp850", "cp1252"):
        try:
            spelling = password.encode(encoding)
        except UnicodeEncodeError:
            continue
        if spelling not in tried:
            tried.append(spelling)
            yield spelling


# ---------------------------------------------------------------- traditional


_CRC = tuple(zlib.crc32(bytes([n]), 0xFFFFFFFF) ^ 0xFFFFFFFF for n in range(256))
_STREAM = bytes((((k | 2) * ((k | 2) ^ 1)) >> 8) & 0xFF for k in range(1 << 16))


class ZipCrypto:
    """The traditional cipher (APPNOTE 6.1). Each byte depends on the one before, so it runs at a few MB/s.

    Args:
        head: the 12 bytes before the data.
        checks: what the last of them may be in plain.
    """

    def __init__(self, password: bytes, head: bytes, checks: tuple[int, ...]) -> None:
        self._keys = (0x12345678, 0x23456789, 0x34567890)
        for byte in password:
            self._keys = _next_keys(self._keys, byte)
        plain = self.decrypt(head)
        self.fits = bool(plain) and plain[-1] in checks

    def decrypt(self, data: bytes) -> bytes:
        table, stream = _CRC, _STREAM
        key0, key1, key2 = self._keys
        plain = bytearray(len(data))
        for place, byte in enumerate(data):
            byte ^= stream[key2 & 0xFFFF]
            plain[place] = byte
            key0 = (key0 >> 8) ^ table[(key0 ^ byte) & 0xFF]
            key1 = ((key1 + (key0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            key2 = (key2 >> 8) ^ table[(key2 ^ (key1 >> 24)) & 0xFF]
        self._keys = (key0, key1, key2)
        return bytes(plain)

    def is_authentic(self, tail: bytes) -> bool:
        """Nothing of the kind is stored; the CRC of the entry has to tell."""
        return True


def _next_keys(keys: tuple[int, int, int], byte: int) -> tuple[int, int, int]:
    key0 = (keys[0] >> 8) ^ _CRC[(keys[0] ^ byte) & 0xFF]
    key1 = ((keys[1] + (key0 & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
    return key0, key1, (keys[2] >> 8) ^ _CRC[(keys[2] ^ (key1 >> 24)) & 0xFF]


# ---------------------------------------------------------------- AES


class WinZipAes:
    """AES in counter mode, the counter little endian from 1, with a SHA-1 code over the encrypted bytes.

    Args:
        head: salt and verification value before the data.
        strength: 1, 2 or 3 for keys of 128, 192 or 256 bits.
    """

    def __init__(self, password: bytes, head: bytes, strength: int) -> None:
        from Cryptodome.Cipher import AES
        from Cryptodome.Util import Counter

        salt, key = _AES_SIZES[strength]
        made = hashlib.pbkdf2_hmac("sha1", password, head[:salt], _AES_ROUNDS, 2 * key + 2)
        self.fits = made[2 * key :] == head[salt:]
        self._cipher = AES.new(made[:key], AES.MODE_CTR, counter=Counter.new(128, little_endian=True))
        self._code = hmac.new(made[key : 2 * key], digestmod="sha1")

    def decrypt(self, data: bytes) -> bytes:
        self._code.update(data)
        return self._cipher.decrypt(data)

    def is_authentic(self, tail: bytes) -> bool:
        return hmac.compare_digest(self._code.digest()[:AES_TAIL], tail)


def aes_head_bytes(strength: int) -> int:
    """Bytes of salt and verification value; 0 for a strength nobody has defined."""
    return _AES_SIZES[strength][0] + 2 if strength in _AES_SIZES else 0


def aes_field(extra: bytes) -> tuple[int, int, int] | None:
    """(version, strength, compression method) of the AES extra field of an entry; None where there is none."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == AES_EXTRA and length >= 7 and place + 11 <= len(extra):
            version, maker, strength, method = struct.unpack_from("<H2sBH", extra, place + 4)
            return (version, strength, method) if maker == b"AE" else None
        place += 4 + length
    return None
