"""Cells of what lies before and behind the VOI: bits, padding, frames, polarity; and films as they come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from matrix import oracle
from matrix.cell import Cell, Fault
from matrix.films import SAMPLE, Edit, crop, curve, deep, lut, put, s_curve, sums, table, tags, without

# ---------------------------------------------------------------- presentation

POLARITY_RULE = "C.11.6.1.2, C.7.6.3.1.2"


def _polarity(photometric: str, shape: str, how: str, edits: tuple[Edit, ...]) -> Cell:
    conflict = bool(shape) and (shape == "IDENTITY") == (photometric == "MONOCHROME1")
    return Cell(
        f"{photometric}, Presentation LUT Shape {shape or 'absent'}, {how}",
        SAMPLE,
        POLARITY_RULE,
        (deep(12), *edits, tags(PhotometricInterpretation=photometric, PresentationLUTShape=shape or None)),
        cautions={"polarity-conflict": "PresentationLUTShape"} if conflict else {},
    )


POLARITY = tuple(
    _polarity(photometric, shape, how, edits)
    for how, edits in (
        ("window", (tags(WindowCenter="1800", WindowWidth="2500"),)),
        ("no window", ()),
        ("VOI LUT", (table("VOILUTSequence", lut(curve(4096, 12), 12)),)),
    )
    for photometric in ("MONOCHROME1", "MONOCHROME2")
    for shape in ("", "IDENTITY", "INVERSE")
)

BROKEN_POLARITY = (
    Cell(
        "Presentation LUT Shape LIN OD, which is for printers: as if absent",
        SAMPLE,
        POLARITY_RULE,
        (deep(12), tags(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="LIN OD")),
        cautions={"presentation-lut": "PresentationLUTShape"},
        instead=(without("PresentationLUTShape"),),
    ),
    Cell(
        "No Photometric Interpretation: low values dark",
        SAMPLE,
        "C.7.6.3.1.2",
        (deep(12), without("PhotometricInterpretation")),
        cautions={"no-photometric": "PhotometricInterpretation"},
        instead=(tags(PhotometricInterpretation="MONOCHROME2"),),
    ),
)

# ---------------------------------------------------------------- padding

PADDING_RULE = "C.7.5.1.1.2"


def padded(value: int, limit: int | None = None, *, bits: int = 12, signed: bool = False) -> Edit:
    """A collimated film: 40 columns on the left hold ``value``, 20 on the right ``limit``."""

    def edit(ds: Dataset) -> None:
        deep(bits, signed=signed)(ds)
        values = oracle.stored_values(ds).copy()
        values[:, :40] = value
        values[:, -20:] = value if limit is None else limit
        put(ds, values, bits, signed=signed)
        ds.add_new("PixelPaddingValue", "SS" if signed else "US", value)
        if limit is not None:
            ds.add_new("PixelPaddingRangeLimit", "SS" if signed else "US", limit)

    return edit


def nowhere(ds: Dataset) -> None:
    """A film of 12 bits with a padding value that no pixel has."""
    deep(12)(ds)
    ds.add_new("PixelPaddingValue", "US", 9)


SHOWS = "knows no padding: shows it as if it were exposed"
COUNTS = "counts padding among the values when it looks for the lowest and the highest, and shows it"
ALIKE = tags(PixelPaddingValue=None, PixelPaddingRangeLimit=None)


def _padding(
    name: str, edit: Edit, *more: Edit, masked: str = "dcmtk pydicom", plain: str = "dcmtk"
) -> tuple[Cell, Cell]:
    """The film with its padding masked, as it opens, and with its padding shown.

    Args:
        masked, plain: the references whose picture is another then; padding that is black anyway makes none.
    """
    edits, off = (edit, *more), ("--no-padding-mask",)
    faults = {"dcmtk": Fault(COUNTS if plain else SHOWS, as_if=(ALIKE,)), "pydicom": Fault(SHOWS, as_if=(spread,))}
    return (
        Cell(
            f"Padding {name}, masked", SAMPLE, PADDING_RULE, edits, faults={who: faults[who] for who in masked.split()}
        ),
        Cell(
            f"Padding {name}, shown",
            SAMPLE,
            PADDING_RULE,
            edits,
            options=off,
            faults={who: faults[who] for who in plain.split()},
        ),
    )


def spread(ds: Dataset) -> None:
    """The same range of values as a window, so that nothing needs to be left out of it."""
    if not oracle.offers(ds):
        values = oracle.exposed_values(ds, oracle.stored_values(ds))
        low, high = int(values[0]), int(values[-1])
        tags(WindowCenter=str((low + high + 1) / 2), WindowWidth=str(high - low + 1))(ds)


PADDING = (
    *_padding("0, window", padded(0), tags(WindowCenter="500", WindowWidth="2500"), plain=""),
    *_padding("4095 above the data", padded(4095)),
    *_padding("0 below the data", padded(0), masked="dcmtk"),
    *_padding("within the data", padded(2000), plain=""),
    *_padding("that no pixel has", nowhere, masked="", plain=""),
    *_padding("range 3900 to 4095", padded(4095, 3900)),
    *_padding(
        "range 4000 to 4095, window", padded(4000, 4095), tags(WindowCenter="1500", WindowWidth="3000"), plain=""
    ),
    *_padding("-2048, signed", padded(-2048, signed=True), masked="dcmtk"),
    *_padding(
        "range -2048 to -2000, signed, MONOCHROME1, window",
        padded(-2048, -2000, signed=True),
        tags(PhotometricInterpretation="MONOCHROME1", WindowCenter="-100", WindowWidth="2500"),
        plain="",
    ),
    *_padding("4095, MONOCHROME1", padded(4095), tags(PhotometricInterpretation="MONOCHROME1"), masked="dcmtk"),
)

# ---------------------------------------------------------------- bits

BITS_RULE = "PS3.5 8.1.1, C.7.6.3"


def _depth(bits: int, signed: bool, windowed: bool) -> Cell:
    middle, width = (0 if signed else 1 << (bits - 1)), (1 << bits) * 3 // 4
    said = tags(WindowCenter=str(middle), WindowWidth=str(width)) if windowed else tags()
    name = f"{bits} bits stored, {'signed' if signed else 'unsigned'}, {'window' if windowed else 'no window'}"
    return Cell(name, SAMPLE, BITS_RULE, (deep(bits, signed=signed), said))


BITS = tuple(
    _depth(bits, signed, windowed) for bits in range(8, 17) for signed in (False, True) for windowed in (True, False)
)


def noise(bits: int) -> Edit:
    """Unused bits above Bits Stored set at random."""

    def edit(ds: Dataset) -> None:
        values = oracle.stored_values(ds)
        beside = np.random.default_rng(3).integers(0, 1 << (16 - bits), values.shape) << bits
        put(ds, values, bits, signed=ds.PixelRepresentation == 1, beside=beside)

    return edit


def plain_sign(ds: Dataset) -> None:
    """Negative numbers without their sign repeated in the unused bits."""
    words = np.frombuffer(ds.PixelData, "<u2") & ((1 << ds.BitsStored) - 1)
    ds.PixelData = words.astype("<u2").tobytes()


W12 = tags(WindowCenter="2000", WindowWidth="2500")
S12 = tags(WindowCenter="-100", WindowWidth="2500")


def low(bits: int) -> dict[str, Fault]:
    reason = "takes the lowest bits of a word, wherever High Bit is"
    return {"pydicom": Fault(reason, as_if=(tags(HighBit=bits - 1),))}


ODD = Fault(
    "takes the byte that makes Pixel Data even for a pixel of value 0 when it looks for the lowest value",
    as_if=(tags(WindowCenter="112", WindowWidth="224"),),
)

HIGH_BITS = (
    Cell(
        "12 bits that end at High Bit 15",
        SAMPLE,
        BITS_RULE,
        (deep(12, shift=4), W12),
        faults=low(12),
    ),
    Cell(
        "12 bits that end at High Bit 13",
        SAMPLE,
        BITS_RULE,
        (deep(12, shift=2), W12),
        faults=low(12),
    ),
    Cell(
        "10 bits that end at High Bit 15, signed", SAMPLE, BITS_RULE, (deep(10, shift=6, signed=True),), faults=low(10)
    ),
    Cell(
        "12 bits, High Bit 15, the bits below set",
        SAMPLE,
        BITS_RULE,
        (deep(12, shift=4, beside=5), W12),
        faults=low(12),
    ),
    Cell(
        "12 bits, unused bits at random",
        SAMPLE,
        BITS_RULE,
        (deep(12), noise(12), W12),
        cautions={"unused-bits": "BitsStored"},
    ),
    Cell(
        "12 bits signed, unused bits at random",
        SAMPLE,
        BITS_RULE,
        (deep(12, signed=True), noise(12), S12),
        cautions={"unused-bits": "BitsStored"},
    ),
    Cell("12 bits signed, sign not repeated", SAMPLE, BITS_RULE, (deep(12, signed=True), plain_sign, S12)),
    Cell(
        "High Bit 9 of 12 bits, which cannot be: High Bit 11",
        SAMPLE,
        BITS_RULE,
        (deep(12), tags(HighBit=9), W12),
        cautions={"bad-high-bit": "HighBit"},
        instead=(tags(HighBit=11),),
    ),
    Cell("7 bits stored in 8", SAMPLE, BITS_RULE, (deep(7),)),
    Cell(
        "Odd number of columns and rows, 8 bits, no window",
        SAMPLE,
        BITS_RULE,
        (crop(301, 303),),
        faults={"dcmtk": ODD},
    ),
    Cell(
        "Odd number of columns and rows, 8 bits, window",
        SAMPLE,
        BITS_RULE,
        (crop(301, 303), tags(WindowCenter="112", WindowWidth="150")),
    ),
)

# ---------------------------------------------------------------- frames

FRAME_RULE = "C.7.6.16.2.10"
NO_GROUPS = "does not look into functional groups"


def frames(ds: Dataset) -> None:
    """Three frames of 12 bits: the film, the film darker, a piece of it from further down."""
    whole = sums(oracle.stored_values(ds)) >> 4
    part = whole[200:456, 200:456]
    put(ds, np.stack([part, part // 2, whole[500:756, 300:556]]), 12)


def groups(keyword: str, name: str, *items: Mapping[str, object]) -> Edit:
    """Functional groups, an item to a frame (or one, shared), each with one macro."""

    def edit(ds: Dataset) -> None:
        held = list(ds.get(keyword) or [Dataset() for _ in items])
        for group, values in zip(held, items, strict=True):
            macro = Dataset()
            for key, value in values.items():
                setattr(macro, key, value)
            setattr(group, name, Sequence([macro]))
        setattr(ds, keyword, Sequence(held))

    return edit


PER, SHARED = "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"
FRAME_LUTS = (lut(curve(4096, 12), 12), lut(s_curve(4096, 16), 16), lut(curve(1000, 10), 10, 1200))
WINDOWS = groups(
    PER,
    "FrameVOILUTSequence",
    {"WindowCenter": "2000", "WindowWidth": "2500"},
    {"WindowCenter": "800", "WindowWidth": "900"},
    {"WindowCenter": "1500", "WindowWidth": "300", "VOILUTFunction": "SIGMOID"},
)
SHARED_RESCALE = groups(
    SHARED, "PixelValueTransformationSequence", {"RescaleSlope": "2", "RescaleIntercept": "-1000", "RescaleType": "US"}
)
SHARED_WINDOW = groups(SHARED, "FrameVOILUTSequence", {"WindowCenter": "1000", "WindowWidth": "2000"})
RESCALES = groups(
    PER,
    "PixelValueTransformationSequence",
    {"RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "US"},
    {"RescaleSlope": "2", "RescaleIntercept": "100", "RescaleType": "US"},
    {"RescaleSlope": "0.5", "RescaleIntercept": "-50", "RescaleType": "US"},
)
GROUPLESS = {
    "dcmtk": Fault(f"{NO_GROUPS} and so finds no window", refuses=True),
    "pydicom": Fault(
        f"{NO_GROUPS} and leaves the values as they are",
        as_if=(without(PER, SHARED), tags(WindowCenter="2048", WindowWidth="4096")),
    ),
}


LUTS = groups(PER, "FrameVOILUTSequence", *({"VOILUTSequence": [table]} for table in FRAME_LUTS))


def at_top(frame: int) -> Edit:
    """What holds for a frame, written where a film of one frame has it."""

    def edit(ds: Dataset) -> None:
        chain = oracle.of_frame(ds, frame)
        without(PER, SHARED)(ds)
        ds.update(chain)

    return edit


FRAMES = (
    *(
        Cell(
            f"Frame {number} of 12 of an angiogram", "dicom-other/xa_catheter_12frames.dcm", "C.7.6.6", frame=number - 1
        )
        for number in (1, 6, 12)
    ),
    *(
        Cell(f"Frame {number} of 3, one window for all", SAMPLE, "C.7.6.6", (frames, W12), frame=number - 1)
        for number in (1, 2, 3)
    ),
    *(
        Cell(
            f"Frame {number} of 3, its own window, shared Rescale",
            SAMPLE,
            FRAME_RULE,
            (frames, WINDOWS, SHARED_RESCALE),
            frame=number - 1,
            faults=GROUPLESS,
        )
        for number in (1, 2, 3)
    ),
    *(
        Cell(
            f"Frame {number} of 3, its own Rescale, shared window",
            SAMPLE,
            FRAME_RULE,
            (frames, RESCALES, SHARED_WINDOW),
            frame=number - 1,
            instead=(at_top(number - 1),),
        )
        for number in (1, 2, 3)
    ),
    *(
        Cell(
            f"Frame {number} of 3, its own VOI LUT",
            SAMPLE,
            FRAME_RULE,
            (frames, LUTS),
            frame=number - 1,
            instead=(at_top(number - 1),),
        )
        for number in (1, 2, 3)
    ),
    *(
        Cell(
            f"Frame {number} of 15 of a dose, 32 bits", "dicom-other/rtdose_multiframe.dcm", "C.7.6.3", frame=number - 1
        )
        for number in (1, 8, 15)
    ),
)
