"""The grey chain a file asks for: modality LUT, VOI, padding, presentation (PS3.3 C.11.1, C.11.2, C.7.5.1.1.2, C.11.6).

What is broken is left out with a caution naming the attribute, so that a :class:`Radiograph` carries only what works.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from cxr_viewer.core.image import ModalityTable, Rescale, Voi, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

LARGEST = 1e9
"""No radiograph has grey values beyond this; larger numbers are damage and would overflow later."""


@dataclass(frozen=True, slots=True, eq=False)
class GreyChain:
    modality_lut: Rescale | ModalityTable
    voi: tuple[Voi, ...]
    padding: tuple[int, int] | None
    presentation_lut_shape: str
    units: str


def grey_chain(ds: Dataset, bits_stored: int, signed: bool, photometric: str, cautions: Cautions) -> GreyChain:
    """The chain for pixels of ``bits_stored`` bits, as decoded."""
    lut, units = _modality(ds, signed, cautions)
    negative = _lowest_modality_value(lut, bits_stored, signed) < 0
    voi = _voi_tables(ds, negative, cautions) + _voi_windows(ds, cautions)
    return GreyChain(lut, voi, _padding(ds, signed), _shape(ds, photometric, cautions), units)


# ---------------------------------------------------------------- modality


def _modality(ds: Dataset, signed: bool, cautions: Cautions) -> tuple[Rescale | ModalityTable, str]:
    for item in tol.items(ds, "ModalityLUTSequence", limit=1):
        table = _table(item, signed, "ModalityLUTSequence", cautions)
        if table is not None:
            first, values, bits = table
            return ModalityTable(first, values, bits), _unit(tol.text(item, "ModalityLUTType"))
    return _rescale(ds, cautions), _unit(tol.text(ds, "RescaleType"))


def _unit(rescale_type: str) -> str:
    return "" if rescale_type.upper() in ("US", "UNSPECIFIED") else rescale_type[:16]


def _rescale(ds: Dataset, cautions: Cautions) -> Rescale:
    found = []
    for keyword, absent in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        value = tol.number(ds, keyword) if tol.has(ds, keyword) else absent
        if value is None or abs(value) > LARGEST or (keyword == "RescaleSlope" and value == 0):
            cautions.add("bad-rescale", "The rescaling of grey values in the file is broken and is left out.", keyword)
            return Rescale()
        found.append(value)
    return Rescale(*found)


def _lowest_modality_value(lut: Rescale | ModalityTable, bits_stored: int, signed: bool) -> float:
    if isinstance(lut, ModalityTable):
        return 0.0
    low, high = (-(1 << bits_stored - 1), (1 << bits_stored - 1) - 1) if signed else (0, (1 << bits_stored) - 1)
    return min(low * lut.slope, high * lut.slope) + lut.intercept


# ---------------------------------------------------------------- tables


def _table(item: Dataset, signed: bool, keyword: str, cautions: Cautions) -> tuple[int, NDArray[np.uint16], int] | None:
    """(first mapped value, entries, bits) of one LUT item; None with a caution where descriptor and data disagree."""
    descriptor = _words(item, "LUTDescriptor")
    if descriptor is None or descriptor.size != 3:
        cautions.add("bad-lut", "A grey value table in the file is broken and is left out.", keyword)
        return None
    count = int(descriptor[0]) or 65536
    first, bits = int(descriptor[1]), int(descriptor[2])
    if signed and first >= 32768:  # the descriptor is US or SS as the values it maps are; writers get it wrong
        first -= 65536
    entries = _entries(item, count, bits)
    if entries is None or not 1 <= bits <= 16:
        cautions.add(
            "bad-lut", "A grey value table in the file does not fit its own description and is left out.", keyword
        )
        return None
    highest = int(entries.max())
    if highest >= 1 << bits:
        cautions.add(
            "lut-bits", "A grey value table in the file exceeds the bits it claims; more bits are taken.", keyword
        )
        bits = highest.bit_length()
    entries.flags.writeable = False
    return first, entries, bits


def _entries(item: Dataset, count: int, bits: int) -> NDArray[np.uint16] | None:
    """Exactly ``count`` entries, or None. 8-bit entries may stand alone or two to a word (PS3.3 C.11.1.1.1)."""
    words = _words(item, "LUTData")
    if words is None:
        return None
    if count <= words.size <= count + 1:
        return words[:count].copy()
    if bits <= 8 and words.size == (count + 1) // 2:
        low_first = np.column_stack((words & 0xFF, words >> 8)).ravel()
        return low_first[:count].astype(np.uint16)
    return None


def _words(item: Dataset, keyword: str) -> NDArray[np.uint16] | None:
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


# ---------------------------------------------------------------- VOI


def _voi_tables(ds: Dataset, signed: bool, cautions: Cautions) -> tuple[Voi, ...]:
    found = []
    for number, item in enumerate(tol.items(ds, "VOILUTSequence"), start=1):
        table = _table(item, signed, "VOILUTSequence", cautions)
        if table is not None:
            first, values, bits = table
            found.append(VoiTable(first, values, bits, tol.text(item, "LUTExplanation") or f"LUT {number}"))
    return tuple(found)


def _voi_windows(ds: Dataset, cautions: Cautions) -> tuple[Voi, ...]:
    centers, widths = tol.numbers(ds, "WindowCenter"), tol.numbers(ds, "WindowWidth")
    if not centers and not widths:
        return ()
    name = tol.code_string(ds, "VOILUTFunction") or "LINEAR"
    if name not in WindowFunction.__members__:
        cautions.add("bad-window", "The file's window uses an unknown function and is left out.", "VOILUTFunction")
        return ()
    function = WindowFunction[name]
    if len(centers) != len(widths):
        cautions.add("bad-window", "The file gives unequal numbers of window centres and widths.", "WindowWidth")
    labels = tol.strings(ds, "WindowCenterWidthExplanation")
    found: list[Voi] = []
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if center is None or width is None or not _good_window(center, width, function):
            cautions.add("bad-window", "A window in the file is impossible and is left out.", "WindowWidth")
            continue
        label = labels[index] if index < len(labels) and labels[index] else ""
        found.append(VoiWindow(center, width, function, label or (f"Window {index + 1}" if len(centers) > 1 else "")))
    return tuple(found)


def _good_window(center: float, width: float, function: WindowFunction) -> bool:
    if abs(center) > LARGEST or width > LARGEST:
        return False
    return width >= 1 if function is WindowFunction.LINEAR else width > 0


# ---------------------------------------------------------------- padding and presentation


def _padding(ds: Dataset, signed: bool) -> tuple[int, int] | None:
    """(lowest, highest) padding value as stored, inclusive."""
    value = tol.integer(ds, "PixelPaddingValue")
    if value is None:
        return None
    limit = tol.integer(ds, "PixelPaddingRangeLimit")
    ends = [_as_stored(end, signed) for end in (value, value if limit is None else limit)]
    return (min(ends), max(ends))


def _as_stored(value: int, signed: bool) -> int:
    """US or SS is the writer's choice; the bits mean what Pixel Representation says."""
    value &= 0xFFFF
    return value - 65536 if signed and value >= 32768 else value


def _shape(ds: Dataset, photometric: str, cautions: Cautions) -> str:
    shape = tol.code_string(ds, "PresentationLUTShape")
    if not shape:
        if tol.has(ds, "PresentationLUTSequence"):
            cautions.add("presentation-lut", "The file's presentation table is not applied.", "PresentationLUTSequence")
        return ""
    if shape not in ("IDENTITY", "INVERSE"):
        cautions.add(
            "presentation-lut", "The file's presentation shape is unknown and is left out.", "PresentationLUTShape"
        )
        return ""
    if (shape == "IDENTITY") == (photometric == "MONOCHROME1"):
        cautions.add(
            "polarity-conflict",
            f"The file says {photometric} and {shape}, which contradict each other: check whether bone is white.",
            "PresentationLUTShape",
        )
    return shape
