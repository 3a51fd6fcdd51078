"""Cells of how a film is written: byte order, VRs and transfer syntaxes must not change what is seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from matrix.cell import Cell, Fault
from matrix.films import SAMPLE, Edit, crop, curve, deep, lut, s_curve, table, tags, without
from matrix.graphic_cells import DULL, drawing, overlay, palette, tinted
from matrix.modality_cells import PACKED
from matrix.pixel_cells import (
    ALIKE,
    COUNTS,
    FRAME_RULE,
    PER,
    SHARED_WINDOW,
    SHOWS,
    W12,
    WINDOWS,
    at_top,
    frames,
    padded,
    spread,
)

BIG, IMPLICIT, DEFLATED = ("dcmconv", "+tb"), ("dcmconv", "+ti"), ("dcmconv", "+td")
LUT_RULE = "PS3.5 7.3, C.11.2.1.1"
VOI_LUT = table("VOILUTSequence", lut(s_curve(4096, 12), 12))
SIGNED_LUT = table("VOILUTSequence", lut(curve(4096, 12), 12, -2048))
PACKED_LUT = table("ModalityLUTSequence", lut(curve(4096, 8), 8, packed=True))


PADDED = padded(-2048, bits=16, signed=True)
PAD_FAULTS = {"dcmtk": Fault(COUNTS, as_if=(ALIKE,)), "pydicom": Fault(SHOWS, as_if=(spread,))}
W8 = tags(WindowCenter="112", WindowWidth="150")
SMALL = overlay(drawing(101, 63), (30, 41))


OVERLAY = Tag(0x6000, 0x3000)
TABLES = tuple(Tag(f"{name}PaletteColorLookupTableData") for name in ("Red", "Green", "Blue"))
PALETTE = "C.7.6.3.1.5"


def swapped(how: tuple[str, ...], *elements: BaseTag) -> dict[str, Fault]:
    """The fault of pydicom in big-endian files, and none in others."""

    def exchange(ds: Dataset) -> None:
        for element in elements:
            ds[element].value = np.frombuffer(ds[element].value, "<u2").byteswap().tobytes()

    reason = "takes the bytes of big-endian overlays and palettes in the order in which they lie in the file"
    return {"pydicom": Fault(reason, as_if=(exchange,))} if how == BIG else {}


def _written(
    name: str,
    how: tuple[str, ...],
    rule: str,
    *edits: Edit,
    kind: str = "grey",
    faults: Mapping[str, Fault] | None = None,
) -> Cell:
    cautions = {"colour": "PhotometricInterpretation"} if kind == "colour" else {}
    return Cell(name, SAMPLE, rule, edits, written=how, kind=kind, cautions=cautions, faults=faults or {})


def as_if_unsigned(ds: Dataset) -> None:
    """Padding of a signed film with the VR of an unsigned one: the same bits."""
    ds.add_new("PixelPaddingValue", "US", int(ds.PixelPaddingValue) & 0xFFFF)


def wide_palette(ds: Dataset) -> None:
    """Numbers of a palette in words of 16 bits."""
    deep(10)(ds)
    palette(16, count=1024)(ds)


ENHANCED_XRF = "1.2.840.10008.5.1.4.1.1.12.2.1"
OPENJPEG = ("gdcmconv", "--j2k")
WRITTEN = (
    *(
        cell
        for name, how in (("big-endian", BIG), ("implicit VR", IMPLICIT), ("deflated", DEFLATED))
        for cell in (
            _written(f"VOI LUT, {name}", how, LUT_RULE, deep(12), VOI_LUT),
            _written(f"VOI LUT with a negative first value, {name}", how, LUT_RULE, deep(12, signed=True), SIGNED_LUT),
            _written(f"8-bit film, {name}", how, "PS3.5 annex A", crop(301, 303), W8),
            _written(f"16-bit signed film with padding, {name}", how, "PS3.5 annex A", PADDED, faults=PAD_FAULTS),
            _written(
                f"Overlay, {name}", how, "C.9.2", deep(12), SMALL, DULL, kind="overlays", faults=swapped(how, OVERLAY)
            ),
            _written(f"RGB, {name}", how, "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
            _written(f"Palette, {name}", how, PALETTE, palette(16), kind="colour", faults=swapped(how, *TABLES)),
            _written(
                f"Palette of wide numbers, {name}",
                how,
                PALETTE,
                wide_palette,
                kind="colour",
                faults=swapped(how, *TABLES),
            ),
        )
    ),
    _written(
        "Modality LUT of packed 8-bit entries, big-endian",
        BIG,
        LUT_RULE,
        deep(12),
        PACKED_LUT,
        faults={"pydicom": PACKED},
    ),
    _written("RGB in RLE", ("dcmcrle",), "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("RGB by plane in RLE", ("dcmcrle",), "C.7.6.3.1.2", tinted("RGB", 1), kind="colour"),
    _written("RGB in lossless JPEG", ("dcmcjpeg", "+e1"), "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("RGB in JPEG-LS by line", ("dcmcjpls", "+il"), "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("RGB in JPEG-LS by plane", ("dcmcjpls", "+in"), "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("RGB in JPEG-LS by pixel", ("dcmcjpls", "+is"), "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("RGB in lossless JPEG 2000", OPENJPEG, "C.7.6.3.1.2", tinted("RGB", 0), kind="colour"),
    _written("Palette in RLE", ("dcmcrle",), "C.7.6.3.1.5", palette(16), kind="colour"),
    Cell(
        "VOI LUT first value 63488, which is -2048 with the wrong VR",
        SAMPLE,
        "C.11.2.1.1",
        (deep(12, signed=True), table("VOILUTSequence", lut(curve(4096, 12), 12, 63488))),
        instead=(SIGNED_LUT,),
    ),
    Cell(
        "VOI LUT with its entries as US",
        SAMPLE,
        LUT_RULE,
        (deep(12), table("VOILUTSequence", lut(s_curve(4096, 12), 12, data_vr="US"))),
    ),
    Cell(
        "Modality LUT with its entries as US",
        SAMPLE,
        "C.11.1.1.1",
        (deep(12), table("ModalityLUTSequence", lut(s_curve(4096, 16), 16, data_vr="US"))),
    ),
    Cell(
        "Padding -2000 with the wrong VR",
        SAMPLE,
        "C.7.5.1.1.2",
        (padded(-2000, signed=True), as_if_unsigned, tags(WindowCenter="-100", WindowWidth="2500")),
        options=("--no-padding-mask",),
    ),
    Cell(
        "Rescale with an empty intercept",
        SAMPLE,
        "C.11.1.1.2",
        (deep(12), tags(RescaleSlope="2", RescaleIntercept="", WindowCenter="4000", WindowWidth="5000")),
        instead=(tags(RescaleIntercept="0"),),
    ),
    *(
        Cell(
            f"Frame {number} of 3 of an enhanced film, its own window and another at the top: its own",
            SAMPLE,
            FRAME_RULE,
            (frames, tags(SOPClassUID=ENHANCED_XRF), WINDOWS, W12),
            frame=number - 1,
            instead=(at_top(number - 1),),
        )
        for number in (1, 2, 3)
    ),
    Cell(
        "Frame 2 of 3 of a plain film, groups it should not have and a window at the top: the top",
        SAMPLE,
        "A.8",
        (frames, WINDOWS, W12),
        frame=1,
        instead=(without(PER),),
    ),
    Cell(
        "Frame 2 of 3, its own window and a shared one",
        SAMPLE,
        FRAME_RULE,
        (frames, WINDOWS, SHARED_WINDOW),
        frame=1,
        instead=(at_top(1),),
    ),
)
