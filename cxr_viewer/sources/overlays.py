"""Overlay planes of the repeating groups 60xx (PS3.3 C.9.2): graphics that whoever sent the film drew over it.

They stand in Overlay Data, one bit a pixel, or, as older systems wrote them, in the unused bits of the pixel words
(PS3.3-2003 C.9.2, retired). What is broken is left out, or shown as far as it is there, with a caution naming the tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from cxr_viewer.core.image import OverlayPlane
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.pixelformat import PixelFormat
from cxr_viewer.sources.tolerant import Cautions
from cxr_viewer.sources.words import clean

GROUPS = range(0x6000, 0x6020, 2)
LIMIT_PIXELS = 128_000_000
"""All planes of a film together; a film of 12 megapixels may carry ten that cover it."""

ROWS, COLUMNS, FRAMES, DESCRIPTION, TYPE, ORIGIN, FRAME_ORIGIN, ALLOCATED, POSITION, LABEL, DATA = (
    *(0x0010, 0x0011, 0x0015, 0x0022, 0x0040, 0x0050, 0x0051),
    *(0x0100, 0x0102, 0x1500, 0x3000),
)
TAGS = tuple(
    BaseTag(group << 16 | element)
    for group in GROUPS
    for element in (ROWS, COLUMNS, FRAMES, DESCRIPTION, TYPE, ORIGIN, FRAME_ORIGIN, ALLOCATED, POSITION, LABEL, DATA)
)
_REFERENCE = "PS3.3 C.9.2"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a plane lies: its size, and its first pixel counted from 0 on the film."""

    rows: int
    columns: int
    top: int
    left: int


def embedded_bits(ds: Dataset, form: PixelFormat) -> int:
    """The bits of a pixel word that overlays of the old kind say are theirs, as a mask."""
    mask = 0
    for group in GROUPS:
        position = _embedded_position(ds, group)
        if position is not None and position in _unused(form):
            mask |= 1 << position
    return mask


def overlays(
    ds: Dataset, words: NDArray[Any] | None, frame: int, form: PixelFormat, cautions: Cautions
) -> tuple[OverlayPlane, ...]:
    """The planes that belong to one frame, in the order of their groups.

    Args:
        words: pixels of the frame as they lay in memory, before Bits Stored is cut out of them; None where a codec
            that knows no unused bits decoded them.
        frame: counted from 0.
    """
    found: list[OverlayPlane] = []
    left_px = LIMIT_PIXELS
    groups = [group for group in GROUPS if _mentioned(ds, group)]
    for group in groups:
        plane = _plane(ds, group, words, frame, form, cautions)
        if plane is None:
            continue
        if plane.bits.size > left_px:
            cautions.add("bad-overlay", "The file has more overlays than can be shown; some are left out.", group << 16)
            break
        left_px -= plane.bits.size
        found.append(plane)
    if not found:
        rule = "None of the file's overlays is drawn." if groups else "The file holds no overlays."
        cautions.story.tell(Stage.OVERLAYS, rule, _REFERENCE)
    return tuple(found)


def _mentioned(ds: Dataset, group: int) -> bool:
    return any(tol.has(ds, group << 16 | element) for element in (DATA, POSITION, ROWS, COLUMNS))


def _embedded_position(ds: Dataset, group: int) -> int | None:
    tag = group << 16
    if tol.has(ds, tag | DATA) or tol.integer(ds, tag | ALLOCATED) in (None, 0, 1):
        return None
    return tol.integer(ds, tag | POSITION)


def _unused(form: PixelFormat) -> set[int]:
    lowest = form.high_bit + 1 - form.bits_stored
    return set(range(form.bits_allocated)) - set(range(lowest, form.high_bit + 1))


def _plane(
    ds: Dataset, group: int, words: NDArray[Any] | None, frame: int, form: PixelFormat, cautions: Cautions
) -> OverlayPlane | None:
    tag, story = group << 16, cautions.story
    tags = tol.tag_values(ds, *(tag | part for part in (ROWS, COLUMNS, ORIGIN, TYPE, FRAMES, FRAME_ORIGIN, POSITION)))
    number = _overlay_frame(ds, tag, frame, cautions)
    if number is None:
        story.pass_over(Stage.OVERLAYS, f"Group {group:04X} belongs to other frames than this one.", tags)
        return None
    bits: NDArray[np.uint8] | None
    if tol.has(ds, tag | DATA):
        place = _place(ds, tag, form, cautions)
        bits = None if place is None else _from_data(ds, tag, place, number, cautions)
    else:
        place = _Place(form.rows, form.columns, 0, 0)
        bits = _from_words(ds, group, words, form, cautions)
    if place is None or bits is None:
        story.pass_over(Stage.OVERLAYS, f"Group {group:04X} is broken and is left out.", tags)
        return None
    bits, place = _on_film(bits, place, form)
    if not bits.any():
        story.pass_over(Stage.OVERLAYS, f"Group {group:04X} draws nothing on this film.", tags)
        return None
    bits.flags.writeable = False
    kind = "R" if tol.code_string(ds, tag | TYPE) == "R" else "G"
    where = "the unused bits of the pixels" if not tol.has(ds, tag | DATA) else "Overlay Data"
    name = "a region of interest" if kind == "R" else "graphics"
    at = f"at row {place.top + 1}, column {place.left + 1}"
    rule = f"Group {group:04X} ({name}, {place.columns} x {place.rows} from {where}) is drawn {at}."
    story.tell(Stage.OVERLAYS, rule, _REFERENCE, tags)
    label = tol.text(ds, tag | LABEL) or tol.text(ds, tag | DESCRIPTION)
    return OverlayPlane(bits, place.left, place.top, kind, clean(label, 64))


def _overlay_frame(ds: Dataset, tag: int, frame: int, cautions: Cautions) -> int | None:
    """Which frame of the overlay lies over a frame of the film, counted from 0; None for none (PS3.3 C.9.3).

    An overlay that speaks of no frames lies over every one.
    """
    if not tol.has(ds, tag | FRAMES) and not tol.has(ds, tag | FRAME_ORIGIN):
        return 0
    count, first = tol.integer(ds, tag | FRAMES), tol.integer(ds, tag | FRAME_ORIGIN)
    if (count is not None and count < 1) or (first is not None and first < 1):
        bad = FRAMES if count is not None and count < 1 else FRAME_ORIGIN
        cautions.add("bad-overlay", "The frames of an overlay are impossible; it is shown on every frame.", tag | bad)
        return 0
    number = frame - ((first or 1) - 1)
    return number if 0 <= number < (count or 1) else None


def _place(ds: Dataset, tag: int, form: PixelFormat, cautions: Cautions) -> _Place | None:
    size = []
    for element, instead in ((ROWS, form.rows), (COLUMNS, form.columns)):
        value = tol.integer(ds, tag | element)
        if value is None:
            text = "An overlay does not say how large it is; the size of the film is taken."
            cautions.add("bad-overlay", text, tag | element)
            value = instead
        if not 1 <= value <= 65535:
            cautions.add("bad-overlay", "An overlay has an impossible size and is left out.", tag | element)
            return None
        size.append(value)
    if size[0] * size[1] > max(4 * form.rows * form.columns, 1_000_000):
        cautions.add("bad-overlay", "An overlay is far larger than the film and is left out.", tag | ROWS)
        return None
    origin = tol.numbers(ds, tag | ORIGIN)
    if len(origin) >= 2 and origin[0] is not None and origin[1] is not None:
        return _Place(size[0], size[1], int(origin[0]) - 1, int(origin[1]) - 1)
    text = "An overlay does not say where it lies; it is drawn from the film's upper left corner."
    cautions.add("bad-overlay", text, tag | ORIGIN)
    return _Place(size[0], size[1], 0, 0)


# ---------------------------------------------------------------- bits


def _from_data(ds: Dataset, tag: int, place: _Place, number: int, cautions: Cautions) -> NDArray[np.uint8] | None:
    """uint8 (rows, columns) of 0 and 1 out of Overlay Data: bits run from the lowest of each byte (PS3.5 8.1.2)."""
    data = _bytes(ds, tag | DATA)
    if data is None:
        cautions.add("bad-overlay", "The data of an overlay cannot be read; it is left out.", tag | DATA)
        return None
    first, wanted = number * place.rows * place.columns, place.rows * place.columns
    part = data[first // 8 : -(-(first + wanted) // 8)]
    bits = np.unpackbits(part, bitorder="little")[first % 8 :][:wanted]
    if bits.size < place.columns:
        cautions.add("bad-overlay", "The data of an overlay are missing; it is left out.", tag | DATA)
        return None
    if bits.size < wanted:
        share = 100 * bits.size / wanted
        text = f"The data of an overlay are incomplete; {share:.0f} % of it is shown."
        cautions.add("bad-overlay", text, tag | DATA)
        bits = np.concatenate((bits, np.zeros(wanted - bits.size, np.uint8)))
    return bits.reshape(place.rows, place.columns)


def _bytes(ds: Dataset, tag: int) -> NDArray[np.uint8] | None:
    """The value as a row of bytes, those of big-endian words put in order."""
    element: Any = ds.get_item(tag)
    value = getattr(element, "value", None)
    if not isinstance(value, bytes | bytearray):
        return None
    if isinstance(element, RawDataElement) and not element.is_little_endian and element.VR == "OW":
        return np.frombuffer(bytes(value[: len(value) // 2 * 2]), ">u2").astype("<u2").view(np.uint8)
    return np.frombuffer(bytes(value), np.uint8)


def _from_words(
    ds: Dataset, group: int, words: NDArray[Any] | None, form: PixelFormat, cautions: Cautions
) -> NDArray[np.uint8] | None:
    """The plane of one bit of the pixel words, over the whole film."""
    tag = group << 16
    position = _embedded_position(ds, group)
    if position is None:
        cautions.add("bad-overlay", "An overlay has no data and is left out.", tag | DATA)
        return None
    if position not in _unused(form):
        text = "An overlay claims a bit that the pixels use themselves, and is left out."
        cautions.add("bad-overlay", text, tag | POSITION)
        return None
    if words is None or words.ndim != 2:
        text = "An overlay lies in bits that this compression does not keep, and is left out."
        cautions.add("bad-overlay", text, tag | POSITION)
        return None
    return ((words >> position) & 1).astype(np.uint8)


def _on_film(bits: NDArray[np.uint8], place: _Place, form: PixelFormat) -> tuple[NDArray[np.uint8], _Place]:
    """The plane itself, or the part of it over the film where it is larger than that: the rest is never seen."""
    if place.rows <= form.rows and place.columns <= form.columns:
        outside = place.top >= form.rows or place.left >= form.columns
        outside = outside or place.top + place.rows <= 0 or place.left + place.columns <= 0
        return (bits[:0, :0] if outside else bits), place
    top, left = max(0, -place.top), max(0, -place.left)
    bits = bits[top : max(top, form.rows - place.top), left : max(left, form.columns - place.left)]
    return np.ascontiguousarray(bits), _Place(bits.shape[0], bits.shape[1], place.top + top, place.left + left)
