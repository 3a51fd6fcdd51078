"""The header of an ordinary file, taken apart in one sweep; whatever is out of the ordinary is left to pydicom.

A scan reads thousands of headers, of which it wants some sixty elements each. This walks over the bytes once and hands
out the same raw elements as ``pydicom.filereader.read_partial(specific_tags=...)`` would, which a test compares on
every file at hand. At the first thing that is not plain Part 10 Little Endian it gives up, so that odd files have one
reading only. Runs in the reader process only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import BinaryIO, Final

from pydicom import uid as uids
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.values import convert_string

_WINDOW: Final = 1 << 15  # most headers are shorter; read again where one is not
_LONGEST: Final = 1 << 24
_DEEPEST: Final = 32
_UNDEFINED: Final = 0xFFFFFFFF
_META: Final = 132  # preamble and prefix (PS3.10 7.1)
_CLASS, _SYNTAX = BaseTag(0x00020002), BaseTag(0x00020010)
_CHARSET: Final = BaseTag(0x00080005)
_PIXELS: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_FIRST_PIXELS: Final = 0x7FE00008
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


def _empty(name: str) -> bytes | None:
    """What pydicom holds as the value of an element without one."""
    value = empty_value_for_VR(name, raw=True)
    return value if isinstance(value, bytes) else None


# PS3.5 7.1.2: value representations with 16 and with 32 bit length.
_SHORT_NAMES = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_NAMES = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_SHORT: Final = {name.encode(): name for name in _SHORT_NAMES.split()}
_LONG: Final = {name.encode(): name for name in _LONG_NAMES.split()}

_EMPTY: Final = {name: _empty(name) for name in (*_SHORT.values(), *_LONG.values())}

_explicit = Struct("<HH2sH").unpack_from
_implicit = Struct("<HHI").unpack_from
_length = Struct("<I").unpack_from


class _OddError(Exception):
    """Not an ordinary file."""


@dataclass(frozen=True, slots=True, eq=False)
class QuickHeader:
    """``header`` up to the pixels, with its file meta information; the element of the pixels and its length."""

    header: Dataset
    syntax: str
    pixel_keyword: str
    pixel_length: int


def read(file: BinaryIO, wanted: Mapping[int, BaseTag]) -> QuickHeader | None:
    """The elements ``wanted`` of an open file; None where it is not quite ordinary, or holds no pixels.

    Args:
        wanted: tags by number. The data set holds these very objects as keys: looking one up by the same object spares
            the slow comparison of tags.
    """
    try:
        return _Sweep(file).read(wanted)
    except (_OddError, ValueError, IndexError):
        return None


def read_meta(file: BinaryIO) -> tuple[FileMetaDataset, str, int] | None:
    """Two elements of the file meta information, the transfer syntax, and where the data set begins.

    None where the file has no meta information, or one that is broken.
    """
    try:
        return _Sweep(file).read_meta()
    except (_OddError, ValueError, IndexError):
        return None


class _Sweep:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        self._data = file.read(_WINDOW)

    def _reach(self, end: int) -> bytes:
        """The bytes from the start of the file to ``end`` at least."""
        data = self._data
        if end > len(data):
            if end > _LONGEST:
                raise _OddError
            self._data = data = data + self._file.read(max(end - len(data), _WINDOW))
            if end > len(data):
                raise _OddError  # the file ends in the middle of an element
        return data

    def read_meta(self) -> tuple[FileMetaDataset, str, int]:
        meta, syntax, place = self._start()
        return _meta_dataset(meta), syntax, place

    def _start(self) -> tuple[dict[int, bytes], str, int]:
        if self._data[128:_META] != b"DICM":
            raise _OddError
        meta, place = self._meta()
        return meta, meta[_SYNTAX].decode("ascii").rstrip("\0 ") if _SYNTAX in meta else "", place

    def read(self, wanted: Mapping[int, BaseTag]) -> QuickHeader:
        meta, syntax, place = self._start()
        if not self._data[place : place + 1].strip(b"\0"):
            raise _OddError  # no group number begins so, unless its bytes are the other way round
        if syntax == uids.ImplicitVRLittleEndian:
            found, pixels, pixel_length = self._implicit_elements(place, wanted)
        elif syntax == uids.ExplicitVRLittleEndian or syntax.startswith(("1.2.840.10008.1.2.4.", uids.RLELossless)):
            found, pixels, pixel_length = self._explicit_elements(place, wanted)
        else:
            raise _OddError
        header = Dataset(dict[BaseTag, DataElement | RawDataElement](found))
        charset = found.get(_CHARSET)
        encodings = _encodings(charset.value or b"") if charset is not None else default_encoding
        header.set_original_encoding(syntax == uids.ImplicitVRLittleEndian, True, encodings)
        header.file_meta = _meta_dataset(meta)
        if pixels not in _PIXELS:
            raise _OddError
        return QuickHeader(header, syntax, _PIXELS[pixels], pixel_length)

    def _meta(self) -> tuple[dict[int, bytes], int]:
        """Values of the file meta information, and where the data set begins."""
        place, found = _META, {}
        while True:
            data = self._reach(place + 12)
            group, element, vr, length = _explicit(data, place)
            if group != 2:
                break
            start = place + 8
            if vr in _LONG:
                (length,) = _length(data, start)
                start += 4
            elif vr not in _SHORT:
                raise _OddError
            place = start + length
            found[group << 16 | element] = self._reach(place)[start:place]
        return found, place

    def _explicit_elements(
        self, place: int, wanted: Mapping[int, BaseTag]
    ) -> tuple[dict[BaseTag, RawDataElement], int, int]:
        """Elements in front of the pixels, and tag and length of these."""
        data, limit, before = self._data, len(self._data) - 12, int(_CHARSET) - 5
        found: dict[BaseTag, RawDataElement] = {}
        while True:
            if place > limit:
                data = self._reach(place + 12)
                limit = len(data) - 12
            group, element, vr, length = _explicit(data, place)
            tag = group << 16 | element
            if tag <= before:
                raise _OddError  # out of order, or twice
            before = tag
            start = place + 8
            if vr in _SHORT:
                name = _SHORT[vr]
            elif vr in _LONG:
                name = _LONG[vr]
                (length,) = _length(data, start)
                start += 4
            else:
                raise _OddError
            if tag >= _FIRST_PIXELS:
                return found, tag, length
            if length == _UNDEFINED:
                if name != "SQ":
                    raise _OddError
                end, place = self._sequence(start, True, 0)
                length = end - start
            else:
                end = place = start + length
            key = wanted.get(tag)
            if key is not None:
                data = self._reach(place + 12)
                limit = len(data) - 12
                value = data[start:end] if length else _EMPTY[name]
                found[key] = RawDataElement(key, name, length, value, start, False, True)

    def _implicit_elements(
        self, place: int, wanted: Mapping[int, BaseTag]
    ) -> tuple[dict[BaseTag, RawDataElement], int, int]:
        """As :meth:`_explicit_elements`, without value representations."""
        data, limit, before = self._data, len(self._data) - 8, int(_CHARSET) - 5
        found: dict[BaseTag, RawDataElement] = {}
        if self._reach(place + 8)[place + 4 : place + 6].isupper():
            raise _OddError  # explicit after all
        while True:
            if place > limit:
                data = self._reach(place + 8)
                limit = len(data) - 8
            group, element, length = _implicit(data, place)
            tag = group << 16 | element
            if tag <= before:
                raise _OddError
            before = tag
            start = place + 8
            if tag >= _FIRST_PIXELS:
                return found, tag, length
            if length == _UNDEFINED:
                end, place = self._sequence(start, False, 0)
                length = end - start
            else:
                end = place = start + length
            key = wanted.get(tag)
            if key is not None:
                data = self._reach(place + 8)
                limit = len(data) - 8
                value = data[start:end] if length else None
                found[key] = RawDataElement(key, None, length, value, start, True, True)

    def _sequence(self, place: int, explicit: bool, depth: int) -> tuple[int, int]:
        """Where the items of a sequence of undefined length end, and where the element behind it begins."""
        while True:
            group, element, length = _implicit(self._reach(place + 8), place)
            tag, start = group << 16 | element, place + 8
            if tag == _SEQUENCE_END:
                return place, start
            if tag != _ITEM:
                raise _OddError
            place = self._item(start, explicit, depth + 1) if length == _UNDEFINED else start + length

    def _item(self, place: int, explicit: bool, depth: int) -> int:
        """Where the next item begins, behind an item of undefined length."""
        if depth > _DEEPEST:
            raise _OddError
        while True:
            data = self._reach(place + 8)
            group, element, length = _implicit(data, place)
            tag, start = group << 16 | element, place + 8
            if tag == _ITEM_END:
                return start
            if explicit:
                vr = data[place + 4 : start]
                if vr[:2] in _LONG:
                    (length,) = _length(self._reach(start + 4), start)
                    start += 4
                elif vr[:2] in _SHORT:
                    length = vr[2] | vr[3] << 8
                else:
                    raise _OddError
                if length == _UNDEFINED and vr[:2] != b"SQ":
                    raise _OddError
            place = self._sequence(start, explicit, depth)[1] if length == _UNDEFINED else start + length


@lru_cache(maxsize=64)
def _encodings(charset: bytes) -> list[str]:
    return convert_encodings(convert_string(charset, True))


def _meta_dataset(meta: Mapping[int, bytes]) -> FileMetaDataset:
    """The two of its elements that anybody asks for."""
    return FileMetaDataset(
        {
            tag: RawDataElement(tag, "UI", len(meta[tag]), meta[tag], 0, False, True)
            for tag in (_CLASS, _SYNTAX)
            if tag in meta
        }
    )
