"""Grey value tables out of LUT items (PS3.3 C.11.1.1, C.11.2.1.1), whose writers disagree about nearly everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from cxr_viewer.sources.tolerant import Cautions


@dataclass(frozen=True, slots=True)
class InputRange:
    """The values that a table may be asked for."""

    lowest: float
    highest: float

    @property
    def signed(self) -> bool:
        return self.lowest < 0


def table(
    item: Dataset, asked: InputRange, keyword: str, cautions: Cautions
) -> tuple[int, NDArray[np.uint16], int] | None:
    """(first mapped value, entries, bits) of one LUT item; None with a caution where descriptor and data disagree.

    Args:
        asked: decides whether the first mapped value of the descriptor is signed.
        keyword: of the sequence, for the cautions.
    """
    descriptor = words_of(item, "LUTDescriptor")
    if descriptor is None or descriptor.size != 3:
        cautions.add("bad-lut", "A grey value table in the file is broken and is left out.", keyword)
        return None
    count, bits = int(descriptor[0]) or 65536, int(descriptor[2])
    entries = entries_of(item, "LUTData", count, bits)
    if entries is None or not 1 <= bits <= 16:
        text = "A grey value table in the file does not fit its own description and is left out."
        cautions.add("bad-lut", text, keyword)
        return None
    bits = _true_bits(entries, bits, keyword, cautions)
    entries.flags.writeable = False
    return _first(int(descriptor[1]), count, asked, keyword, cautions), entries, bits


def _first(word: int, count: int, asked: InputRange, keyword: str, cautions: Cautions) -> int:
    """The first mapped value: US or SS as the values it maps are (PS3.3 C.11.2.1.1), whatever VR the writer chose.

    A table that would then lie wholly beside the values it is for was meant the other way.
    """
    other = word - 65536 if word >= 32768 else word
    likely, unlikely = (other, word) if asked.signed else (word, other)
    if likely != unlikely and not _meets(likely, count, asked) and _meets(unlikely, count, asked):
        text = "The first value of a grey value table has the wrong sign; the one that fits the picture is taken."
        cautions.add("lut-sign", text, keyword)
        return unlikely
    return likely


def _meets(first: int, count: int, asked: InputRange) -> bool:
    return first <= asked.highest and first + count > asked.lowest


def _true_bits(entries: NDArray[np.uint16], bits: int, keyword: str, cautions: Cautions) -> int:
    highest = int(entries.max())
    if highest >= 1 << bits:
        text = "A grey value table in the file exceeds the bits it claims; more bits are taken."
        cautions.add("lut-bits", text, keyword)
        return highest.bit_length()
    if entries.size == 256 and bits > 8 and highest <= 255:
        text = f"A grey value table in the file claims {bits} bits but holds entries of 8; 8 bits are taken."
        cautions.add("lut-bits", text, keyword)
        return 8
    return bits


def entries_of(item: Dataset, keyword: str, count: int, bits: int) -> NDArray[np.uint16] | None:
    """Exactly ``count`` entries, or None. 8-bit entries may stand alone or two to a word (PS3.3 C.11.1.1.1)."""
    words = words_of(item, keyword)
    if words is None:
        return None
    if count <= words.size <= count + 1:
        return words[:count].copy()
    if (bits <= 8 or count == 256) and words.size == (count + 1) // 2:
        low_first = np.column_stack((words & 0xFF, words >> 8)).ravel()
        return low_first[:count].astype(np.uint16)
    return None


def words_of(item: Dataset, keyword: str) -> NDArray[np.uint16] | None:
    """The value as unsigned 16-bit words, whatever VR the writer chose for it."""
    tag = tag_for_keyword(keyword)
    element: Any = item.get_item(tag) if tag is not None and tag in item else None
    value: Any = getattr(element, "value", None)
    if value is None:
        return None
    if isinstance(value, bytes | bytearray):
        little = element.is_little_endian if isinstance(element, RawDataElement) else True
        padded = bytes(value) + b"\0" * (len(value) % 2)
        return np.frombuffer(padded, dtype="<u2" if little else ">u2").astype(np.uint16)
    try:
        return np.asarray(value, dtype=np.int64).ravel().astype(np.uint16)
    except (TypeError, ValueError, OverflowError):
        return None
