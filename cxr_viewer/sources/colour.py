"""Colour pictures as they are, and their brightness for what wants one grey value a pixel. Runs in the reader process
only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from cxr_viewer.core.image import VoiWindow, WindowFunction
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tables
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

CAUTION = "This is a colour picture, not a radiograph: it is shown in its colours, and the model does not look at it."


def as_stored(bits: int) -> VoiWindow:
    """The window that changes nothing: 0 is black and the highest value of ``bits`` bits is white."""
    highest = (1 << bits) - 1
    return VoiWindow(highest / 2, highest, WindowFunction.LINEAR_EXACT, "As stored")


def split(rgb: NDArray[Any]) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    """Brightness (ITU-R BT.601) of (rows, columns, 3), and the read-only picture itself, or None where it holds no
    colour. Both have the dtype of ``rgb``."""
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(red), None
    weighted = red * np.float32(0.299) + green * np.float32(0.587) + blue * np.float32(0.114)
    kept = np.ascontiguousarray(rgb)
    kept = kept.copy() if np.shares_memory(kept, rgb) and not rgb.flags.owndata else kept
    kept.flags.writeable = False
    return np.round(weighted).astype(rgb.dtype), kept


def of_palette(indices: NDArray[Any], ds: Dataset, cautions: Cautions) -> NDArray[Any] | None:
    """The colours of PALETTE COLOR pixels (PS3.3 C.7.9): uint8 (rows, columns, 3); None for a broken palette.

    Of entries of 16 bits the upper 8 are taken: what else is there no screen shows, and writers who have 8 bits leave
    the lower ones 0 or repeat the upper, so that rounding would make their white 254.
    """
    if tol.has(ds, "SegmentedRedPaletteColorLookupTableData"):
        rgb = _of_segments(indices, ds)
    else:
        channels = [_channel(indices, ds, name) for name in ("Red", "Green", "Blue")]
        whole = [channel for channel in channels if channel is not None]
        rgb = np.stack(whole, axis=-1) if len(whole) == 3 else None
    if rgb is None:
        keyword = "RedPaletteColorLookupTableDescriptor"
        text = "The colours of this picture are broken; the numbers of the colours are shown as grey."
        cautions.add("bad-palette", text, keyword)
        cautions.story.pass_over(Stage.PRESENTATION, "The palette of the file is broken.")
    return rgb


def _channel(indices: NDArray[Any], ds: Dataset, name: str) -> NDArray[np.uint8] | None:
    """One colour of a palette whose entries stand there one by one (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6)."""
    descriptor = tables.words_of(ds, f"{name}PaletteColorLookupTableDescriptor")
    if descriptor is None or descriptor.size != 3:
        return None
    count, first, bits = int(descriptor[0]) or 65536, int(descriptor[1]), int(descriptor[2])
    entries = tables.entries_of(ds, f"{name}PaletteColorLookupTableData", count, bits)
    if entries is None or bits not in (8, 16):
        return None
    if first >= 32768 and indices.dtype.kind == "i":
        first -= 65536
    values = entries >> 8 if bits == 16 or int(entries.max()) > 255 else entries
    place = np.clip(indices.astype(np.int32) - first, 0, count - 1)
    return np.asarray(values.astype(np.uint8)[place])


def _of_segments(indices: NDArray[Any], ds: Dataset) -> NDArray[Any] | None:
    """The colours of a palette written in segments (PS3.3 C.7.9.2)."""
    try:
        rgb = np.asarray(apply_color_lut(indices, ds))[..., :3]
    except Exception:  # whatever a table that does not fit its descriptor makes numpy and pydicom raise
        return None
    eight_in_words = rgb.dtype != np.uint8 and tol.numbers(ds, "RedPaletteColorLookupTableDescriptor")[-1:] == [8.0]
    return rgb.astype(np.uint8) if rgb.dtype == np.uint8 or eight_in_words else (rgb >> 8).astype(np.uint8)
