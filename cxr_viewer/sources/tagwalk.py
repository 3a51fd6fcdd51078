"""From one attribute of a file to the next, whatever the file is like. Runs in the reader process only.

pydicom builds a data set of a whole file, with one Python call inside another for each nested sequence: a damaged or
hostile file then gives nothing at all. For looking at attributes this walks over the bytes instead, without recursion,
reads no more of a value than is shown, and keeps what it has met when the file ends in the middle of something.
Encodings as in PS3.5 chapter 7 and annex A.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom import uid as uids
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.valuerep import VR

from cxr_viewer.sources import dicomfile, encoding

KEPT_BYTES = 4096
HEADS_LIMIT = 500_000
"""Attributes and delimiters walked over, shown or not: five seconds at most."""
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_KNOWN_VRS = {vr.value for vr in VR if len(vr.value) == 2}
_LONG_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
_CHOICES = {"OB or OW": "OW", "US or OW": "OW"}  # what an implicit data set means by it (PS3.5 A.1)
_PIXEL_REPRESENTATION = 0x00280103
_CHARACTER_SET, _TRANSFER_SYNTAX = 0x00080005, 0x00020010


@dataclass(slots=True)
class Element:
    """One attribute, the head of a sequence item (``item`` > 0), or the end of a sequence (``ends``).

    Attributes:
        depth: 0 at the top; an item's head and what lies in it are one deeper than its sequence.
        opens: a sequence begins; its end follows later, also where the file breaks off.
        value: its first ``KEPT_BYTES`` bytes at most; empty for sequences and pixels.
        length: of the value in bytes as it is in the file; of compressed pixels the sum of their fragments.
        fragments: of compressed pixels, else 0.
        cut_short: the file ends inside the value.
    """

    depth: int
    tag: int
    vr: str = ""
    value: bytes = b""
    length: int = 0
    item: int = 0
    opens: bool = False
    ends: bool = False
    items: int = 0
    fragments: int = 0
    cut_short: bool = False
    little: bool = True
    character_set: bytes = b""


@dataclass(slots=True)
class _Level:
    """A data set, a sequence or an item that is open; ``end`` is -1 where a delimiter ends it."""

    depth: int
    end: int
    implicit: bool
    sequence: bool = False
    tag: int = 0
    items: int = 0
    character_set: bytes = b""
    signed: bool = False
    creators: dict[int, str] = field(default_factory=dict)


class Walk:
    """Iterates over the attributes of one file, depth first, in the file's order.

    ``damaged`` is True once something did not fit; what came before stays valid.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self._little, self._heads = True, 0
        self._levels: list[_Level] = []
        self.damaged = False

    def __iter__(self) -> Iterator[Element]:
        yield from self._meta_information()
        self._levels = [_Level(0, self._size, self._guess_implicit())]
        while self._levels and self._heads < HEADS_LIMIT:
            level = self._levels[-1]
            if 0 <= level.end <= self._file.tell():
                yield from self._close()
                continue
            found = self._step(level)
            if found is None:
                break
            yield from found
        self.damaged |= len(self._levels) > 1 or self._heads >= HEADS_LIMIT
        while self._levels:
            yield from self._close()

    # ------------------------------------------------------------ the start of the file

    def _meta_information(self) -> Iterator[Element]:
        """Group 2, always explicit and little endian; then the reader stands at the data set, unpacked if need be."""
        file = self._file
        file.seek(0)
        start = file.read(132)
        file.seek(132 if start[128:] == b"DICM" else 0)
        syntax, level = "", _Level(0, self._size, implicit=False)
        while True:
            place = file.tell()
            if file.read(2) != b"\x02\x00":
                file.seek(place)
                break
            file.seek(place)
            self._levels = [level]
            found = self._step(level)
            if found is None:
                return
            if len(self._levels) > 1:  # no sequence belongs here
                self.damaged = True
                return
            for element in found:
                if element.tag == _TRANSFER_SYNTAX:
                    syntax = element.value.rstrip(b"\0 ").decode("latin-1")
                yield element
        syntax = encoding.actual(syntax, self._peek(encoding.LOOK))
        if syntax == uids.DeflatedExplicitVRLittleEndian:
            self._file = io.BytesIO(dicomfile.inflate(file.read()))
            self._size = self._file.seek(0, io.SEEK_END)
            self._file.seek(0)
        self._little = self._guess_little(syntax)

    def _peek(self, count: int) -> bytes:
        place = self._file.tell()
        data = self._file.read(count)
        self._file.seek(place)
        return data

    def _guess_little(self, syntax: str) -> bool:
        if syntax == uids.ExplicitVRBigEndian:
            return False
        start = self._peek(2)
        return bool(syntax) or len(start) < 2 or struct.unpack("<H", start)[0] <= 0x00FF  # the first group is a low one

    def _guess_implicit(self) -> bool:
        """Judged by the first attribute, because some files say one thing and are the other."""
        return not _like_vr(self._peek(6)[4:])

    # ------------------------------------------------------------ one step

    def _step(self, level: _Level) -> list[Element] | None:
        """What stands here; None where the file is at its end or nothing more can be made of it."""
        self._heads += 1
        head = self._file.read(8)
        if len(head) < 8:
            self.damaged |= len(head) > 0 and any(head)
            return None
        group, element = struct.unpack("<HH" if self._little else ">HH", head[:4])
        tag = group << 16 | element
        if group == 0xFFFE:
            return self._delimiter(level, tag, self._number(head[4:]))
        if level.sequence:
            return self._leave_broken_sequence(level)
        vr, length = self._vr_and_length(level, tag, head)
        if length < 0:
            return None
        return self._attribute(level, tag, vr, length)

    def _number(self, data: bytes) -> int:
        return int(struct.unpack("<I" if self._little else ">I", data)[0])

    def _vr_and_length(self, level: _Level, tag: int, head: bytes) -> tuple[str, int]:
        """VR and length of an attribute; length is -1 where the file ends before it."""
        letters = head[4:6].decode("latin-1")
        if level.implicit or not _like_vr(head[4:6]):
            return self._vr_of(level, tag), self._number(head[4:])
        # A VR that is unknown today has the long form (PS3.5 7.1.2), unless its reserved bytes are in use.
        if letters in _LONG_VRS or (letters not in _KNOWN_VRS and head[6:] == b"\0\0"):
            more = self._file.read(4)
            return letters, self._number(more) if len(more) == 4 else -1
        return letters, int(struct.unpack("<H" if self._little else ">H", head[6:])[0])

    def _vr_of(self, level: _Level, tag: int) -> str:
        group, element = tag >> 16, tag & 0xFFFF
        try:
            if element == 0:
                return "UL"
            if group % 2 == 0:
                vr = dictionary_VR(tag)
                return _CHOICES.get(vr, "SS" if level.signed and "SS" in vr else vr)[:2]
            if 0x10 <= element <= 0xFF:
                return "LO"
            return private_dictionary_VR(tag, level.creators.get(tag >> 8, ""))[:2]
        except KeyError:
            return "UN"

    def _attribute(self, level: _Level, tag: int, vr: str, length: int) -> list[Element]:
        found = Element(level.depth, tag, vr, length=length, little=self._little, character_set=level.character_set)
        if length == _UNDEFINED and (tag in _PIXELS or vr in ("OB", "OW")):
            return [self._skip_fragments(found)]
        if length == _UNDEFINED or vr == "SQ":
            end = -1 if length == _UNDEFINED else self._file.tell() + length
            found.vr, found.length = ("SQ" if vr == "UN" and length == _UNDEFINED else vr), 0
            implicit = level.implicit or vr == "UN"  # PS3.5 6.2.2 note 4
            inner = _Level(level.depth, end, implicit, sequence=True, tag=tag)
            inner.character_set, inner.signed = level.character_set, level.signed
            self._levels.append(inner)
            found.opens = True
            return [found]
        after = self._file.tell() + length
        if tag not in _PIXELS:
            found.value = self._file.read(min(length, KEPT_BYTES))
        if after > self._size:
            found.cut_short = self.damaged = True
        self._file.seek(min(after, self._size))
        self._remember(level, found)
        return [found]

    @staticmethod
    def _remember(level: _Level, found: Element) -> None:
        """What later attributes of the same data set are read by."""
        if found.tag == _CHARACTER_SET:
            level.character_set = found.value
        elif found.tag == _PIXEL_REPRESENTATION:
            level.signed = any(found.value)
        elif (found.tag >> 16) % 2 and 0x10 <= found.tag & 0xFFFF <= 0xFF:
            block = (found.tag >> 16 << 8) | (found.tag & 0xFF)
            level.creators[block] = found.value.decode("latin-1").strip("\0 ")

    def _skip_fragments(self, found: Element) -> Element:
        found.length = 0
        while True:
            head = self._file.read(8)
            if len(head) < 8 or head[:2] not in (b"\xfe\xff", b"\xff\xfe"):
                found.cut_short = self.damaged = True
                self._file.seek(self._size)
                return found
            length = self._number(head[4:])
            if struct.unpack("<H" if self._little else ">H", head[2:4])[0] == 0xE0DD:
                found.fragments = max(0, found.fragments - 1)  # the first is the table of offsets
                return found
            found.fragments += 1
            found.length += length
            self._file.seek(min(self._file.tell() + length, self._size))

    # ------------------------------------------------------------ sequences

    def _delimiter(self, level: _Level, tag: int, length: int) -> list[Element] | None:
        if tag == _ITEM and level.sequence:
            level.items += 1
            end = -1 if length == _UNDEFINED else self._file.tell() + length
            implicit = level.implicit or (end != self._file.tell() and self._guess_implicit())
            inner = _Level(level.depth + 1, end, implicit)
            inner.character_set, inner.signed = level.character_set, level.signed
            self._levels.append(inner)
            return [Element(inner.depth, tag, item=level.items)]
        if tag == _ITEM_END and not level.sequence and len(self._levels) > 1:
            return self._close()
        if tag == _SEQUENCE_END and len(self._levels) > 1:
            ended = [] if level.sequence else self._close()
            return ended + self._close()
        self.damaged = True
        if tag == _ITEM and length != _UNDEFINED:
            self._file.seek(min(self._file.tell() + length, self._size))
        return []

    def _close(self) -> list[Element]:
        level = self._levels.pop()
        if not level.sequence:
            return []
        return [Element(level.depth, level.tag, ends=True, items=level.items)]

    def _leave_broken_sequence(self, level: _Level) -> list[Element]:
        """Something else stands where an item should: go on behind the sequence, or take it as ended."""
        self.damaged = True
        self._file.seek(level.end if level.end >= 0 else self._file.tell() - 8)
        return self._close()


def _like_vr(letters: bytes) -> bool:
    return len(letters) == 2 and letters.isalpha() and letters.isupper()
