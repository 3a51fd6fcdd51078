"""Every cell, by family."""

from __future__ import annotations

from matrix.cell import Cell
from matrix.graphic_cells import COLOURS, OVERLAYS, SHUTTERS
from matrix.modality_cells import BROKEN_MODALITY, MODALITY_LUT, RESCALE
from matrix.native_cells import NATIVE
from matrix.pixel_cells import BITS, BROKEN_POLARITY, FRAMES, HIGH_BITS, PADDING, POLARITY
from matrix.voi_cells import BROKEN_VOI, MANY, VOI_LUTS, WINDOWS
from matrix.written_cells import WRITTEN

FAMILIES: dict[str, tuple[Cell, ...]] = {
    "Films as they are": NATIVE,
    "Rescale": RESCALE,
    "Modality LUT Sequence": MODALITY_LUT,
    "Windows": WINDOWS,
    "Several windows": MANY,
    "VOI LUT Sequence": VOI_LUTS,
    "Polarity": POLARITY,
    "Pixel padding": PADDING,
    "Bits": BITS,
    "High bit and unused bits": HIGH_BITS,
    "Frames": FRAMES,
    "Overlays": OVERLAYS,
    "Display shutter": SHUTTERS,
    "Colour": COLOURS,
    "Ways of writing": WRITTEN,
    "Where the file breaks the standard": (*BROKEN_MODALITY, *BROKEN_VOI, *BROKEN_POLARITY),
}
CELLS: tuple[Cell, ...] = tuple(cell for cells in FAMILIES.values() for cell in cells)
