"""Cells of what lies over the film, overlays and shutters, and of colour pictures."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from matrix import oracle
from matrix.cell import Cell, Fault
from matrix.films import SAMPLE, Edit, crop, deep, put, tags, without
from matrix.oracle import Array
from matrix.pixel_cells import frames

# ---------------------------------------------------------------- overlays

OVERLAY_RULE = "C.9.2"
DULL = tags(WindowCenter="3000", WindowWidth="6100")
"""A window in which no film of 12 bits is white, so that white graphics show everywhere."""


def drawing(rows: int, columns: int) -> Array:
    """A frame, a cross, and a letter-like corner: uint8, 0 or 1."""
    bits = np.zeros((rows, columns), np.uint8)
    bits[[0, -1]] = bits[:, [0, -1]] = 1
    bits[rows // 2] = bits[:, columns // 2] = 1
    bits[3:8, 3:6] = 1
    return bits


def overlay(
    bits: Array, origin: tuple[int, int] = (1, 1), group: int = 0x6000, first_frame: int = 0, kind: str = "G"
) -> Edit:
    """A plane of its own; several frames of it where ``bits`` has three axes."""

    def edit(ds: Dataset) -> None:
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
        ds.add_new((group, 0x0010), "US", bits.shape[-2])
        ds.add_new((group, 0x0011), "US", bits.shape[-1])
        ds.add_new((group, 0x0040), "CS", kind)
        ds.add_new((group, 0x0050), "SS", list(origin))
        ds.add_new((group, 0x0100), "US", 1)
        ds.add_new((group, 0x0102), "US", 0)
        if bits.ndim == 3:
            ds.add_new((group, 0x0015), "IS", len(bits))
            ds.add_new((group, 0x0051), "US", first_frame)
        ds.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))

    return edit


def embedded(ds: Dataset) -> None:
    """An overlay of old in bit 15 of the pixels."""
    values = oracle.stored_values(ds)
    put(ds, values, ds.BitsStored, beside=drawing(*values.shape).astype(np.int64) << 15)
    for element, representation, value in (
        *((0x0010, "US", ds.Rows), (0x0011, "US", ds.Columns), (0x0040, "CS", "G"), (0x0050, "SS", [1, 1])),
        *((0x0100, "US", 16), (0x0102, "US", 15)),
    ):
        ds.add_new((0x6000, element), representation, value)


def _overlay(name: str, *edits: Edit, frame: int = 0, **faults: Fault) -> Cell:
    return Cell(f"Overlay, {name}", SAMPLE, OVERLAY_RULE, (*edits, DULL), frame=frame, kind="overlays", faults=faults)


def region(rows: int, columns: int) -> Array:
    """An ellipse, filled: uint8, 0 or 1."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return np.asarray(x**2 + y**2 <= 0.9, np.uint8)


def as_graphics(ds: Dataset) -> None:
    ds[0x6000, 0x0040].value = "G"


FILLS = Fault("takes every pixel of a region for graphics", as_if=(as_graphics,))

OVERLAYS = (
    _overlay("as large as the film", deep(12), overlay(drawing(384, 384))),
    _overlay("small, in the middle", deep(12), overlay(drawing(100, 61), (140, 201))),
    _overlay("over the edge, above and on the left", deep(12), overlay(drawing(100, 60), (-30, -20))),
    _overlay("over the edge, below and on the right", deep(12), overlay(drawing(100, 60), (330, 350))),
    _overlay("two planes", deep(12), overlay(drawing(99, 61), (5, 9)), overlay(drawing(50, 50), (201, 150), 0x6002)),
    _overlay(
        "region of interest, whose outline is drawn",
        deep(12),
        overlay(region(120, 90), (40, 50), kind="R"),
        dcmtk=FILLS,
        pydicom=FILLS,
    ),
    _overlay(
        "in the unused bits of the pixels",
        deep(12),
        embedded,
        pydicom=Fault("reads no overlay out of the pixels", refuses=True),
    ),
    *(
        _overlay(
            f"planes of frames 2 and 3 of 3, frame {number}",
            frames,
            overlay(np.stack([drawing(256, 256), 1 - drawing(256, 256)]), first_frame=2),
            frame=number - 1,
        )
        for number in (1, 2, 3)
    ),
)

# ---------------------------------------------------------------- shutters

SHUTTER_RULE = "C.7.6.11"
UNCOVERED = Fault("draws no shutter", as_if=(without("ShutterShape"),))
RECTANGLE = tags(
    ShutterLeftVerticalEdge=51,
    ShutterRightVerticalEdge=330,
    ShutterUpperHorizontalEdge=20,
    ShutterLowerHorizontalEdge=351,
)
CIRCLE = tags(CenterOfCircularShutter=[190, 201], RadiusOfCircularShutter=170)
POLYGON = tags(VerticesOfThePolygonalShutter=[10, 100, 60, 370, 300, 350, 380, 200, 200, 10])


def _shutter(name: str, shape: str | list[str], *edits: Edit) -> Cell:
    film = (deep(12), tags(WindowCenter="2200", WindowWidth="3500", ShutterShape=shape), *edits)
    faults = {"dcmtk": UNCOVERED, "pydicom": UNCOVERED}
    return Cell(f"Shutter, {name}", SAMPLE, SHUTTER_RULE, film, kind="shutter", faults=faults)


GREY_1 = tags(ShutterPresentationValue=30000, PhotometricInterpretation="MONOCHROME1")

SHUTTERS = (
    _shutter("rectangle", "RECTANGULAR", RECTANGLE),
    _shutter("circle", "CIRCULAR", CIRCLE),
    _shutter(
        "circle beyond the edge", "CIRCULAR", tags(CenterOfCircularShutter=[350, 20], RadiusOfCircularShutter=300)
    ),
    _shutter("polygon", "POLYGONAL", POLYGON),
    _shutter("rectangle and circle", ["RECTANGULAR", "CIRCULAR"], RECTANGLE, CIRCLE),
    _shutter("polygon, white", "POLYGONAL", POLYGON, tags(ShutterPresentationValue=65535)),
    _shutter(
        "rectangle, grey, MONOCHROME1",
        "RECTANGULAR",
        RECTANGLE,
        tags(ShutterPresentationValue=30000, PhotometricInterpretation="MONOCHROME1"),
    ),
)

# ---------------------------------------------------------------- colour

COLOUR_RULE, PALETTE_RULE = "C.7.6.3.1.2", "C.7.6.3.1.5"


def tinted(photometric: str, planar: int) -> Edit:
    """The film in three channels of its own: itself, its negative, and itself mirrored."""

    def edit(ds: Dataset) -> None:
        crop(256, 301)(ds)
        grey = oracle.stored_values(ds).astype(np.uint8)
        channels = np.stack([grey, 255 - grey, grey[:, ::-1]])
        if photometric != "RGB":
            channels = np.stack([grey, channels[2] // 2 + 60, channels[1] // 2 + 70])
        data = (channels if planar else channels.transpose(1, 2, 0)).tobytes()
        ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, planar, photometric
        ds.PixelData = data + b"\0" * (len(data) % 2)

    return edit


def halved(ds: Dataset) -> None:
    """The film in YBR_FULL_422: colours for every second pixel of a row only."""
    crop(256, 300)(ds)
    grey = oracle.stored_values(ds).astype(np.uint8)
    blue, red = (255 - grey[:, ::-1]) // 2 + 60, grey[::-1] // 2 + 70
    pairs = np.stack([grey[:, 0::2], grey[:, 1::2], blue[:, 0::2], red[:, 0::2]], axis=-1)
    ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "YBR_FULL_422"
    ds.PixelData = pairs.tobytes()


def deep_colour(ds: Dataset) -> None:
    """RGB of 16 bits."""
    deep(16)(ds)
    grey = oracle.stored_values(ds).astype("<u2")
    ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "RGB"
    ds.PixelData = np.stack([grey, 65535 - grey, grey[:, ::-1]], axis=-1).astype("<u2").tobytes()


def palette(bits: int, first: int = 0, count: int = 256, low: int = 0) -> Edit:
    """The film as numbers of a palette: rising red, falling green, and a hump of blue."""

    def edit(ds: Dataset) -> None:
        ds.PhotometricInterpretation = "PALETTE COLOR"
        ramp = np.linspace(0, 255, count)
        for name, values in (("Red", ramp), ("Green", 255 - ramp), ("Blue", 255 * np.sin(np.pi * ramp / 255))):
            entries = np.floor(values).astype(np.int64)
            entries = entries << 8 | low if bits == 16 else entries
            ds.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [count, first, bits])
            ds.add_new(f"{name}PaletteColorLookupTableData", "OW", entries.astype("<u2").tobytes())

    return edit


def _colour(name: str, rule: str, *edits: Edit, film: str = SAMPLE, **faults: Fault) -> Cell:
    cautions = {"colour": "PhotometricInterpretation"}
    return Cell(name, film, rule, edits, kind="colour", cautions=cautions, faults=faults)


CUTS = Fault("cuts off behind the comma at every step of the conversion", apart=(2, 2))

COLOURS = (
    _colour("RGB, colour by pixel", COLOUR_RULE, tinted("RGB", 0)),
    _colour("RGB, colour by plane", COLOUR_RULE, tinted("RGB", 1)),
    _colour("YBR_FULL, colour by pixel", COLOUR_RULE, tinted("YBR_FULL", 0), dcmtk=CUTS),
    _colour("YBR_FULL, colour by plane", COLOUR_RULE, tinted("YBR_FULL", 1), dcmtk=CUTS),
    _colour("YBR_FULL_422", COLOUR_RULE, halved, dcmtk=CUTS),
    _colour("RGB of 16 bits", COLOUR_RULE, deep_colour),
    _colour("Palette of an ultrasound picture", PALETTE_RULE, film="dicom-other/palette_color.dcm"),
    _colour("Palette of 16 bits, lower byte 0", PALETTE_RULE, palette(16)),
    _colour("Palette of 16 bits, lower byte 255", PALETTE_RULE, palette(16, low=255)),
    _colour("Palette of 100 entries from 60", PALETTE_RULE, palette(16, first=60, count=100)),
    _colour("Palette of 8 bits", PALETTE_RULE, palette(8)),
    _colour("RGB in JPEG-LS", COLOUR_RULE, film="hostile/pydicom_pydicom-data__JLSL_RGB_ILV0.dcm"),
    _colour("RGB in lossy JPEG", COLOUR_RULE, film="hostile/pydicom_pydicom__SC_rgb_jpeg_app14_dcmd.dcm"),
    _colour("YBR_FULL_422 in lossy JPEG", COLOUR_RULE, film="dicom-other/us_ybr_multiframe.dcm"),
    _colour("YBR_FULL in lossy JPEG", COLOUR_RULE, film="hostile/pydicom_pydicom__SC_rgb_jpeg_lossy_gdcm.dcm"),
)
