"""PS3.3 written out in float64: the grey values a film must have. Shares no code with the program.

Speed is no aim here; every step is the sentence of the standard it names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Array = NDArray[Any]

GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def stored_values(ds: Dataset, frame: int = 0) -> Array:
    """Stored values of one frame of uncompressed, little-endian grey pixels: int64 (rows, columns).

    PS3.5 8.1.1: Bits Stored bits that end at High Bit count, whatever the others hold; PS3.3 C.7.6.3.1: two's
    complement where Pixel Representation is 1.
    """
    size, width = ds.Rows * ds.Columns, ds.BitsAllocated // 8
    words = np.frombuffer(ds.PixelData, f"<u{width}", size, frame * size * width).astype(np.int64)
    values: Array = (words >> (ds.HighBit + 1 - ds.BitsStored)) & ((1 << ds.BitsStored) - 1)
    if ds.PixelRepresentation == 1:
        values = np.where(values >> (ds.BitsStored - 1), values - (1 << ds.BitsStored), values)
    return np.reshape(values, (ds.Rows, ds.Columns))


def of_frame(ds: Dataset, frame: int) -> Dataset:
    """The modality and VOI elements that hold for a frame (PS3.3 C.7.6.16.1): its own group, the shared, the top."""
    chain = Dataset()
    per_frame = list(ds.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    for group in [*per_frame, *(ds.get("SharedFunctionalGroupsSequence") or [])]:
        for name in GROUPS:
            for item in group.get(name) or []:
                chain.update({tag: item[tag] for tag in item.keys() - chain.keys()})
    chain.update({tag: ds[tag] for tag in ds.keys() - chain.keys() if tag.group == 0x0028 or tag.group == 0x2050})
    return chain


def numbers(ds: Dataset, keyword: str) -> list[float]:
    """Values of a DS element; none where it is absent or empty."""
    value = ds.get(keyword)
    if value is None or value == "":
        return []
    return [float(part) for part in (value if hasattr(value, "__iter__") and not isinstance(value, str) else [value])]


def lut(item: Dataset, signed: bool) -> tuple[int, Array, int]:
    """First value mapped, entries, bits of an entry (PS3.3 C.11.1.1, C.11.2.1.1)."""
    count, first, bits = (int(part) for part in item.LUTDescriptor)
    count = count or 65536  # "the value 0 shall be used to indicate 65536"
    if signed and first > 32767:
        first -= 65536
    data = item.LUTData
    entries = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.atleast_1d(np.asarray(data))
    entries = entries.astype(np.int64) & 0xFFFF
    if bits == 8 and entries.size == (count + 1) // 2:  # entries of 8 bits may be packed two to a word
        entries = np.stack([entries & 0xFF, entries >> 8], axis=1).ravel()
    return first, entries[:count], bits


def look_up(values: Array, first: int, entries: Array) -> Array:
    """Values before the first mapped take the first entry, values behind the last take the last."""
    return entries[np.clip(np.floor(values + 1e-9).astype(np.int64) - first, 0, entries.size - 1)]


def modality(chain: Dataset, stored: Array) -> Array:
    """C.11.1: Modality LUT Sequence, or output = m * SV + b."""
    if chain.get("ModalityLUTSequence"):
        first, entries, _ = lut(chain.ModalityLUTSequence[0], chain.PixelRepresentation == 1)
        return look_up(stored, first, entries).astype(float)
    slope, intercept = numbers(chain, "RescaleSlope"), numbers(chain, "RescaleIntercept")
    return stored * (slope[0] if slope else 1.0) + (intercept[0] if intercept else 0.0)


def offers(chain: Dataset) -> list[tuple[str, int]]:
    """Every VOI of the file: ``("lut", n)`` before ``("window", n)``, n from 0."""
    luts = [("lut", place) for place in range(len(chain.get("VOILUTSequence") or []))]
    count = min(len(numbers(chain, "WindowCenter")), len(numbers(chain, "WindowWidth")))
    return luts + [("window", place) for place in range(count)]


def voi(chain: Dataset, values: Array, choice: tuple[str, int], lowest: float) -> Array:
    """C.11.2: 0 (black) to 1, not clipped. ``lowest`` is the smallest value the modality LUT can give."""
    kind, place = choice
    if kind == "lut":
        first, entries, bits = lut(chain.VOILUTSequence[place], lowest < 0)
        return look_up(values, first, entries) / (2.0**bits - 1)
    center, width = numbers(chain, "WindowCenter")[place], numbers(chain, "WindowWidth")[place]
    function = chain.get("VOILUTFunction") or "LINEAR"
    if function == "SIGMOID":  # C.11.2.1.3.1
        return np.array([1 / (1 + math.exp(min(700.0, -4 * (x - center) / width))) for x in values.tolist()])
    if function == "LINEAR_EXACT":  # C.11.2.1.3.2
        return (values - center) / width + 0.5
    below, above = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2  # C.11.2.1.2.1
    inside = (values - (center - 0.5)) / (width - 1 if width > 1 else 1.0) + 0.5
    return np.where(values <= below, 0.0, np.where(values > above, 1.0, inside))


def inverted(ds: Dataset) -> bool:
    """C.11.6 where Presentation LUT Shape is there, C.7.6.3.1.2 where not."""
    shape = ds.get("PresentationLUTShape") or ""
    return bool(shape == "INVERSE" if shape else ds.PhotometricInterpretation == "MONOCHROME1")


def padding(ds: Dataset) -> tuple[int, int] | None:
    """Both ends of the padding range (C.7.5.1.1.2)."""
    if ds.get("PixelPaddingValue") is None:
        return None
    ends = [int(ds.PixelPaddingValue), int(ds.get("PixelPaddingRangeLimit", ds.PixelPaddingValue))]
    signed = ds.PixelRepresentation == 1
    ends = [end - 65536 if signed and end > 32767 else end & 0xFFFF if not signed else end for end in ends]
    return min(ends), max(ends)


def exposed_values(ds: Dataset, stored: Array) -> Array:
    """The stored values that are there and no padding, in order; all of them where there is nothing but padding."""
    there, pad = np.unique(stored), padding(ds)
    left = there if pad is None else there[(there < pad[0]) | (there > pad[1])]
    return left if left.size else there


def eight_bits(output: Array) -> Array:
    """0..1 to the nearest of 0..255: int16."""
    return np.floor(np.clip(output, 0, 1) * 255 + 0.5).astype(np.int16)


def grey(ds: Dataset, frame: int = 0, number: int = 1, *, mask: bool = True) -> Array:
    """The film as it must look: int16 (rows, columns), 0 to 255.

    Args:
        number: which VOI of the file, from 1; a film that offers none is spread from its lowest to its highest modality
            value, padding left out.
        mask: show padding black.
    """
    stored, chain = stored_values(ds, frame), of_frame(ds, frame)
    there, place = np.unique(stored, return_inverse=True)
    values = modality(chain, there)
    offered = offers(chain)
    if offered:
        low, high = -(1 << ds.BitsStored - 1), (1 << ds.BitsStored - 1) - 1
        limits = np.array([low, high] if ds.PixelRepresentation == 1 else [0, (1 << ds.BitsStored) - 1])
        output = voi(chain, values, offered[number - 1], float(modality(chain, limits).min()))
    else:
        seen = values[np.isin(there, exposed_values(ds, stored))]
        spread = seen.max() - seen.min()
        output = (values - seen.min()) / spread if spread > 0 else np.zeros(values.size)
    table = eight_bits(1 - np.clip(output, 0, 1) if inverted(ds) else output)
    shown = table[place].reshape(stored.shape)
    pad = padding(ds)
    if mask and pad is not None:
        shown = np.where((stored >= pad[0]) & (stored <= pad[1]), 0, shown)
    return shown


# ---------------------------------------------------------------- what lies over the film, and colour


def overlays(ds: Dataset, frame: int = 0) -> Array:
    """Where graphics of the groups 60xx lie (C.9.2): int16 (rows, columns), 0 or 255.

    Overlay Origin is the place of the first pixel, row first, 1\\1 being the first pixel of the film. Planes of several
    frames begin at Image Frame Origin. Of old, the bits could lie in the unused bits of the pixels.
    """
    shown = np.zeros((ds.Rows, ds.Columns), np.int16)
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0010) not in ds:
            continue
        rows, columns = ds[group, 0x0010].value, ds[group, 0x0011].value
        position, size = int(ds[group, 0x0102].value), rows * columns
        if position:
            words = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}", ds.Rows * ds.Columns)
            bits: Array = (words >> position & 1).reshape(rows, columns)
        else:
            first = ds[group, 0x0051].value if (group, 0x0051) in ds else 1
            number = frame + 1 - first
            count = int(ds[group, 0x0015].value) if (group, 0x0015) in ds else 1
            if count > 1 and not 0 <= number < count:
                continue
            every = np.unpackbits(np.frombuffer(ds[group, 0x3000].value, np.uint8), bitorder="little")
            start = number * size if count > 1 else 0
            bits = every[start : start + size].reshape(rows, columns)
        if ds[group, 0x0040].value == "R":
            bits = outline(bits)
        top, left = (int(part) - 1 for part in ds[group, 0x0050].value)
        for row, column in np.argwhere(bits).tolist():
            if 0 <= top + row < ds.Rows and 0 <= left + column < ds.Columns:
                shown[top + row, left + column] = 255
    return shown


def outline(bits: Array) -> Array:
    """The pixels of a region that have one among their eight neighbours that is none of it; so has the film's edge.

    The standard leaves it open how a region of interest is shown; filled, it would hide what it points at.
    """
    rows, columns = bits.shape
    wide = np.pad(bits, 1)
    around = [wide[1 + y : 1 + y + rows, 1 + x : 1 + x + columns] for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return np.where(np.min(around, axis=0) == 1, 0, bits)


def shutter(ds: Dataset, grey: Array) -> Array:
    """The film with what lies outside any of the shapes covered (C.7.6.11); rows and columns are counted from 1.

    Polygons have to be convex here.
    """
    row, column = np.mgrid[1 : ds.Rows + 1, 1 : ds.Columns + 1]
    visible = np.ones(grey.shape, bool)
    shapes = ds.ShutterShape if not isinstance(ds.ShutterShape, str) else [ds.ShutterShape]
    if "RECTANGULAR" in shapes:
        visible &= (column >= ds.ShutterLeftVerticalEdge) & (column <= ds.ShutterRightVerticalEdge)
        visible &= (row >= ds.ShutterUpperHorizontalEdge) & (row <= ds.ShutterLowerHorizontalEdge)
    if "CIRCULAR" in shapes:
        middle_row, middle_column = ds.CenterOfCircularShutter
        visible &= (row - middle_row) ** 2 + (column - middle_column) ** 2 <= int(ds.RadiusOfCircularShutter) ** 2
    if "POLYGONAL" in shapes:
        corners = np.array(ds.VerticesOfThePolygonalShutter, float).reshape(-1, 2)
        sides = [
            (b[1] - a[1]) * (row - a[0]) - (b[0] - a[0]) * (column - a[1])
            for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)
        ]
        visible &= np.all([side >= 0 for side in sides], axis=0) | np.all([side <= 0 for side in sides], axis=0)
    covered = math.floor(int(ds.get("ShutterPresentationValue", 0)) * 255 / 65535 + 0.5)
    return np.where(visible, grey, covered).astype(np.int16)


def colour(ds: Dataset) -> Array:
    """Colours of one uncompressed frame of 8 bits: int16 (rows, columns, 3) in red, green, blue.

    C.7.6.3.1.2: RGB and YBR_FULL by their formula; C.7.6.3.1.5: palettes by their entries, the upper 8 bits of 16.
    """
    shape = (ds.Rows, ds.Columns)
    if ds.PhotometricInterpretation == "YBR_FULL_422":  # two of Y, then the blue and the red they share
        pairs = np.frombuffer(ds.PixelData, np.uint8, shape[0] * shape[1] * 2).reshape(-1, 4)
        spread = np.stack([pairs[:, [0, 2, 3]], pairs[:, [1, 2, 3]]], axis=1)
        return _of_ybr(spread.reshape(*shape, 3))
    words = np.frombuffer(ds.PixelData, f"<u{ds.BitsAllocated // 8}", shape[0] * shape[1] * ds.SamplesPerPixel)
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        channels = []
        for name in ("Red", "Green", "Blue"):
            count, first, bits = ds[f"{name}PaletteColorLookupTableDescriptor"].value
            entries = np.frombuffer(ds[f"{name}PaletteColorLookupTableData"].value, "<u2").astype(np.int64)
            if bits == 8 and entries.size < (count or 65536):
                entries = np.stack([entries & 0xFF, entries >> 8], axis=1).ravel()
            channels.append(look_up(words.astype(np.int64), first, entries) >> (8 if bits == 16 else 0))
        return np.stack(channels, axis=-1).reshape(*shape, 3).astype(np.int16)
    planes = words.reshape(3, *shape).transpose(1, 2, 0) if ds.PlanarConfiguration else words.reshape(*shape, 3)
    if ds.PhotometricInterpretation == "RGB":
        return eight_bits(planes / ((1 << ds.BitsStored) - 1))
    return _of_ybr(planes)


def _of_ybr(planes: Array) -> Array:
    y, blue, red = (planes[..., plane].astype(float) for plane in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack([y + 1.4020 * red, y - 0.3441 * blue - 0.7141 * red, y + 1.7720 * blue], axis=-1)
    return np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.int16)
