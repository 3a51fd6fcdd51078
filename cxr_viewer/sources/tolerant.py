"""Values from a data set that may hold anything: nothing here raises, what is broken comes back as absent."""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from cxr_viewer.core.image import Caution
from cxr_viewer.core.provenance import TagValue
from cxr_viewer.sources.story import Story
from cxr_viewer.sources.words import clean, synthetic_uid

Key = str | int
"""An attribute by its keyword, or by its number: keywords do not tell the repeating groups 60xx apart."""

_WORDS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "PN", "SH", "TM", "UI"})
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
MOST_SHOWN = 160
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


class Cautions:
    """Collects cautions, each code and tag once, and beside them the story of the film for the inspector."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Caution] = {}
        self.story = Story()

    def add(self, code: str, text: str, keyword: Key = "") -> None:
        tag = tag_name(keyword) if keyword else ""
        self._found.setdefault((code, tag), Caution(code, text, tag))

    def all(self) -> tuple[Caution, ...]:
        return tuple(self._found.values())


@lru_cache(maxsize=1024)
def tag_name(keyword: Key) -> str:
    """``"WindowWidth (0028,1051)"`` for the inspector and for sentences."""
    tag = tag_of(keyword)
    if tag is None:
        return str(keyword)
    name = keyword if isinstance(keyword, str) else keyword_for_tag(tag)
    return f"{name} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=4096)
def tag_of(keyword: Key) -> BaseTag | None:
    """The tag, as :func:`the_tag`."""
    tag = keyword if isinstance(keyword, int) else tag_for_keyword(keyword)
    return None if tag is None else the_tag(int(tag))


@lru_cache(maxsize=4096)
def the_tag(number: int) -> BaseTag:
    """The same object each time: a data set with these objects as keys is searched without comparing tags."""
    return BaseTag(number)


def tag_values(ds: Dataset, *keywords: Key) -> tuple[TagValue, ...]:
    """Those of the attributes that are there, as the file has them: values joined by a backslash, long ones cut."""
    return tuple(TagValue(tag_name(keyword), _shown(ds, keyword)) for keyword in keywords if has(ds, keyword))


def _shown(ds: Dataset, keyword: Key) -> str:
    tag = tag_of(keyword)
    if tag is None:
        return ""
    element = _element(ds, tag)
    value = getattr(element, "value", None)
    kind = getattr(element, "VR", "") or _vr_of(tag)
    if kind == "SQ" or isinstance(value, Sequence):
        count = len(items(ds, keyword))
        return f"{count} item{'' if count == 1 else 's'}"
    if isinstance(value, bytes):
        if kind.startswith("O"):
            return f"{len(value)} bytes"
        if kind not in _BINARY and kind not in ("UN", "US or SS") and value.isascii():
            return clean(value.decode("ascii").strip("\0 "), MOST_SHOWN)
        if kind in _BINARY and isinstance(element, RawDataElement):
            found = _unpack(value, _BINARY[kind], element.is_little_endian)[:64]
            return clean("\\".join("?" if item is None else f"{item:g}" for item in found), MOST_SHOWN)
    return clean("\\".join(strings(ds, keyword)), MOST_SHOWN)


@lru_cache(maxsize=1024)
def _vr_of(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return ""


def _element(ds: Dataset, tag: int) -> Any:
    """The element as it lies in the data set, raw until somebody has asked for its value."""
    return ds.get_item(tag, keep_deferred=True)  # else an empty element would be converted here, and may raise


def has(ds: Dataset, keyword: Key) -> bool:
    """The element is there and not empty."""
    tag = tag_of(keyword)
    value = None if tag is None else getattr(_element(ds, tag), "value", None)
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)


def strings(ds: Dataset, keyword: Key) -> list[str]:
    """Every value as clean text; empty list where absent or unreadable."""
    tag = tag_of(keyword)
    element = None if tag is None else _element(ds, tag)
    if tag is None or element is None:
        return []
    if isinstance(element, RawDataElement):
        plain = _plain_words(element)
        if plain is not None:
            return plain
    try:
        value: Any = ds[tag].value
    except Exception:
        data = getattr(_element(ds, tag), "value", b"")
        value = data.decode("latin-1").split("\\") if isinstance(data, bytes) else ""
    if value is None:
        return []
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    many = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [clean(str(item)) for item in list(many)[:64]]


def _plain_words(element: RawDataElement) -> list[str] | None:
    """The values of a text in plain ASCII, the same in every character set of DICOM; None where it is anything else.

    pydicom's own way to them costs more than all else in a header.
    """
    data, vr = element.value, element.VR
    if not data or (vr or dictionary_VR(element.tag)) not in _WORDS or b"=" in data:  # names of several scripts
        return None
    words = data.rstrip(b"\0 ").decode("latin-1")
    if not (words.isascii() and words.isprintable()):
        return None
    return [clean(word) for word in words.split("\\")[:64]]


def text(ds: Dataset, keyword: Key) -> str:
    """The value as one line of clean text, several values joined by a comma."""
    words = strings(ds, keyword)
    if len(words) == 1:
        return words[0]
    return clean(", ".join(word for word in words if word))


def code_string(ds: Dataset, keyword: Key) -> str:
    """The first value in upper case, as for a CS attribute."""
    values = strings(ds, keyword)
    return values[0].upper() if values else ""


def numbers(ds: Dataset, keyword: Key) -> list[float | None]:
    """Every value as a float; None where a value is no finite number. Reads the bytes itself: one bad value of several
    costs only that one."""
    tag = tag_of(keyword)
    element = None if tag is None else _element(ds, tag)
    if tag is None or element is None:
        return []
    value = getattr(element, "value", None)
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        vr = element.VR if element.VR and element.VR != "UN" else dictionary_VR(tag)
        if vr == "US or SS":
            vr = "US"
        if vr in _BINARY:
            return _unpack(value, _BINARY[vr], element.is_little_endian)
        value = value.decode("latin-1").split("\\")
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    many = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [_number(item) for item in list(many)[:4096]]


def _unpack(value: bytes, letter: str, little: bool) -> list[float | None]:
    size = struct.calcsize(letter)
    count = min(len(value) // size, 4096)
    order = "<" if little else ">"
    return [_number(item) for item in struct.unpack(f"{order}{count}{letter}", value[: count * size])]


def _number(item: object) -> float | None:
    try:
        number = float(str(item).strip().strip("\0"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def number(ds: Dataset, keyword: Key) -> float | None:
    values = numbers(ds, keyword)
    return values[0] if values else None


def integer(ds: Dataset, keyword: Key) -> int | None:
    value = number(ds, keyword)
    return int(value) if value is not None and abs(value) < 2**53 else None


def date(ds: Dataset, keyword: Key) -> dt.date | None:
    """A DA value, also in the old form ``1994.02.27``."""
    digits = re.sub(r"[.\-/ ]", "", text(ds, keyword))[:8]
    if not digits:
        return None
    try:
        if len(digits) == 8 and digits.isdecimal():
            found = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        else:
            found = dt.datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None
    return found if found.year >= 1800 else None


def time_text(ds: Dataset, keyword: Key) -> str:
    """A TM value as ``"10:23:41"`` or ``"10:23"``; empty where it is none."""
    digits = re.sub(r"[:. ]", "", text(ds, keyword).split(".")[0])
    if not re.fullmatch(r"[0-9]{4}([0-9]{2})?", digits) or int(digits[:2]) > 23 or int(digits[2:4]) > 59:
        return ""
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))


def items(ds: Dataset, keyword: Key, limit: int = 64) -> list[Dataset]:
    """The items of a sequence; empty list where it is absent or broken."""
    tag = tag_of(keyword)
    if tag is None or tag not in ds:
        return []
    try:
        value = ds[tag].value
    except Exception:
        return []
    return list(value[:limit]) if isinstance(value, Sequence) else []


def uid(ds: Dataset, keyword: Key) -> str:
    """A UID that is safe to compare and to write; an impossible one is replaced by a stable digest of itself."""
    value = text(ds, keyword)
    if not value or (len(value) <= 64 and _UID.fullmatch(value)):
        return value
    return synthetic_uid("bad-uid", value)
