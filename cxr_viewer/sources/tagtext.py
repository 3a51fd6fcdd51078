"""The value of one attribute as a line of text, whatever it is. Runs in the reader process only."""

from __future__ import annotations

import struct
import warnings
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

from cxr_viewer.sources.tagwalk import KEPT_BYTES, Element
from cxr_viewer.sources.words import clean

LONGEST = 1024
"""Characters of one value."""
MOST_NUMBERS = 64
_HEX_BYTES = 16
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_WRITTEN_IN_CHARACTER_SET = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
_BINARY = {"OB", "OD", "OF", "OL", "OV", "OW"}
_LINES = {0x09, 0x0A, 0x0C, 0x0D}  # where a change of the character set ends (PS3.5 6.1.2.5.3)
_MORE = "\N{HORIZONTAL ELLIPSIS}"


def value_text(element: Element) -> str:
    """The value: numbers and texts apart by backslashes, as in the file; what is binary or long is described."""
    if element.fragments:
        return f"compressed pixels, {_bytes(element.length)} in {_count(element.fragments, 'fragment')}"
    if element.tag >> 16 == 0x7FE0:
        present = ", the file ends before its end" if element.cut_short else ""
        return f"pixels, {_bytes(element.length)}{present}"
    if not element.value:
        return _bytes(element.length) if element.length else ""
    if element.vr in _NUMBERS:
        text = _numbers(element)
    elif element.vr == "AT":
        text = _tags(element)
    elif element.vr in _BINARY or (element.vr == "UN" and not _readable(element.value)):
        text = _binary(element)
    else:
        text = _words(element)
    return f"{text} [the file ends here]" if element.cut_short else text


def _bytes(count: int) -> str:
    return _count(count, "byte")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def items_text(count: int) -> str:
    """What stands in the row of a sequence."""
    return _count(count, "item")


def _unpack(element: Element, letter: str, most: int) -> list[float]:
    order, size = "<" if element.little else ">", struct.calcsize(letter)
    count = min(len(element.value) // size, most)
    return list(struct.unpack(f"{order}{count}{letter}", element.value[: count * size]))


def _numbers(element: Element) -> str:
    letter = _NUMBERS[element.vr]
    values = _unpack(element, letter, MOST_NUMBERS)
    total = element.length // struct.calcsize(letter)
    if not values:
        return _binary(element)
    text = "\\".join(f"{value:.{15 if letter == 'd' else 9}g}" if letter in "fd" else str(value) for value in values)
    return text if total <= len(values) else f"{text}\\{_MORE} ({total:,} values)"


def _tags(element: Element) -> str:
    halves = [int(half) for half in _unpack(element, "H", 2 * MOST_NUMBERS)]
    pairs = zip(halves[::2], halves[1::2], strict=False)
    return "\\".join(f"({group:04X},{number:04X})" for group, number in pairs)


def _binary(element: Element) -> str:
    if element.length > _HEX_BYTES:
        return _bytes(element.length)
    return f"{_bytes(element.length)}: {element.value.hex(' ').upper()}"


def _readable(value: bytes) -> bool:
    """Private values of unknown VR are often plain text."""
    return all(0x20 <= byte < 0x7F for byte in value.rstrip(b"\0"))


def _words(element: Element) -> str:
    text = clean(_decoded(element), LONGEST)
    if element.length <= KEPT_BYTES:
        return text
    return f"{text.removesuffix(_MORE)}{_MORE} ({_bytes(element.length)})"


def _decoded(element: Element) -> str:
    value = element.value.rstrip(b"\0")
    if element.vr in _WRITTEN_IN_CHARACTER_SET:
        encodings = _encodings(element.character_set)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return decode_bytes(value, list(encodings), _LINES)
        except (LookupError, ValueError):
            pass
    return value.decode("latin-1")


@lru_cache(maxsize=64)
def _encodings(character_set: bytes) -> tuple[str, ...]:
    """Python's names for Specific Character Set (0008,0005); what nobody knows counts as Latin-1."""
    names = [name.strip("\0 ") for name in character_set[:256].decode("latin-1").split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(convert_encodings(names))
    except (LookupError, ValueError):
        return ("latin-1",)
