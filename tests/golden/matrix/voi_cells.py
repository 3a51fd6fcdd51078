"""Cells of the VOI step: windows of all three functions, VOI LUT Sequence items, and what is broken there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from matrix.cell import Cell, Fault
from matrix.films import CANON, SAMPLE, Edit, crop, curve, deep, lut, s_curve, table, tags, without

LINEAR_RULE, SIGMOID_RULE, EXACT_RULE, LUT_RULE = "C.11.2.1.2.1", "C.11.2.1.3.1", "C.11.2.1.3.2", "C.11.2.1.1"
NONE: Mapping[str, Fault] = {}


def window(
    center: str,
    width: str,
    function: str = "",
    *,
    film: str = SAMPLE,
    bits: int = 12,
    signed: bool = False,
    **faults: Fault,
) -> Cell:
    """A window on a film of 12 bits."""
    rule = {"": LINEAR_RULE, "LINEAR": LINEAR_RULE, "SIGMOID": SIGMOID_RULE, "LINEAR_EXACT": EXACT_RULE}[function]
    name = f"{function or 'Window without function'} {center} / {width}, {bits} bit{' signed' if signed else ''}"
    depth: Edit = crop() if film == CANON else deep(bits, signed=signed)
    said = {"WindowCenter": center, "WindowWidth": width} | ({"VOILUTFunction": function} if function else {})
    return Cell(name + (", MONOCHROME1" if film == CANON else ""), film, rule, (depth, tags(**said)), faults=faults)


IGNORES_EXACT = Fault("knows no LINEAR_EXACT and shows LINEAR", as_if=(tags(VOILUTFunction="LINEAR"),))

NARROW = Fault(
    "takes no window narrower than 1 and spreads what Bits Stored allows",
    as_if=(tags(WindowCenter="2048", WindowWidth="4096", VOILUTFunction="LINEAR"),),
)

WINDOWS = (
    window("2048", "4096"),
    window("2048", "4096", film=CANON),
    window("2000", "2500", "LINEAR"),
    window("2000.5", "2500.25", "LINEAR"),
    window("1800", "2", "LINEAR"),
    window("1800", "1", "LINEAR"),
    window("1800", "1.5", "LINEAR"),
    window("1800", "2", "LINEAR", film=CANON),
    window("2000", "65536", "LINEAR"),
    window("2000", "1000000", "LINEAR"),
    window("9000", "100", "LINEAR"),
    window("-9000", "100", "LINEAR"),
    window("-300", "1700", "LINEAR", signed=True),
    window("128", "256", "LINEAR", bits=8),
    window("127.5", "3", "LINEAR", bits=8),
    window("32768", "50000", "LINEAR", bits=16),
    window("-3000", "40000", "LINEAR", bits=16, signed=True),
    window("1800", "300", "SIGMOID"),
    window("1800", "8", "SIGMOID"),
    window("1800", "1", "SIGMOID"),
    window("1800.75", "0.5", "SIGMOID", dcmtk=NARROW),
    window("1800.25", "333.3", "SIGMOID"),
    window("2048", "100000", "SIGMOID"),
    window("-200", "900", "SIGMOID", signed=True),
    window("2048", "2500", "SIGMOID", film=CANON),
    window("2000", "2500", "LINEAR_EXACT"),
    window("2000", "8", "LINEAR_EXACT", dcmtk=IGNORES_EXACT),
    window("2000", "1", "LINEAR_EXACT", dcmtk=IGNORES_EXACT),
    window("2000.25", "0.5", "LINEAR_EXACT", dcmtk=NARROW),
    window("1999.5", "30.5", "LINEAR_EXACT", dcmtk=IGNORES_EXACT),
    window("-200", "12", "LINEAR_EXACT", signed=True, dcmtk=IGNORES_EXACT),
    window("2000", "8", "LINEAR_EXACT", film=CANON, dcmtk=IGNORES_EXACT),
)

TWO = (deep(12), tags(WindowCenter=["2048", "1500"], WindowWidth=["4096", "900"]))
MANY = (
    *(
        Cell(f"Window {number} of 3 of a film", "dicom/syn_dx_canon_multiwindow.dcm", LINEAR_RULE, number=number)
        for number in (1, 2, 3)
    ),
    *(Cell(f"Window {number} of 2", SAMPLE, LINEAR_RULE, TWO, number=number) for number in (1, 2)),
    *(
        Cell(
            f"SIGMOID window {number} of 2", SAMPLE, SIGMOID_RULE, (*TWO, tags(VOILUTFunction="SIGMOID")), number=number
        )
        for number in (1, 2)
    ),
)

THREE = (
    deep(12),
    table(
        "VOILUTSequence",
        lut(curve(4096, 16), 16, label="NORMAL"),
        lut(s_curve(4096, 12), 12, label="FALLING"),
        lut(curve(1000, 10, gamma=0.6), 10, 1200, label="SHORT"),
    ),
    tags(WindowCenter="2000", WindowWidth="2500"),
)


def _lut(name: str, *edits: Edit, film: str = SAMPLE, **faults: Fault) -> Cell:
    return Cell(f"VOI LUT, {name}", film, LUT_RULE, edits, faults=faults)


PACKED = Fault("looks for a word of 16 bits to each entry and stops where entries of 8 bits are packed", refuses=True)
WRAPPED = Fault(
    "counts the entries of an 8-bit table in 8 bits, so that the first 256 are used over and over",
    as_if=(table("VOILUTSequence", lut(curve(4096, 8)[np.arange(4096) % 256], 8)),),
)

VOI_LUTS = (
    *(
        Cell(f"VOI LUT {number} of 3 of a film", "dicom/syn_dx_canon_voilutsequence3.dcm", LUT_RULE, number=number)
        for number in (1, 2, 3)
    ),
    *(Cell(f"VOI LUT {number} of 3 before a window", SAMPLE, LUT_RULE, THREE, number=number) for number in (1, 2, 3)),
    Cell("Window behind 3 VOI LUTs", SAMPLE, LINEAR_RULE, THREE, number=4),
    _lut("256 entries of 8 bit on 8 bit", deep(8), table("VOILUTSequence", lut(s_curve(256, 8), 8))),
    _lut("256 entries of 16 bit on 8 bit", deep(8), table("VOILUTSequence", lut(curve(256, 16), 16))),
    _lut(
        "8 bit, two entries to a word",
        deep(12),
        table("VOILUTSequence", lut(curve(4096, 8), 8, packed=True)),
        pydicom=PACKED,
    ),
    _lut("8 bit, an entry to a word", deep(12), table("VOILUTSequence", lut(curve(4096, 8), 8)), pydicom=WRAPPED),
    _lut("10 bit", deep(12), table("VOILUTSequence", lut(curve(4096, 10), 10))),
    _lut("14 bit on 14 bit", deep(14), table("VOILUTSequence", lut(s_curve(16384, 14), 14))),
    _lut("65,536 entries of 16 bit", deep(16), table("VOILUTSequence", lut(curve(65536, 16), 16))),
    _lut("first value -2048, signed", deep(12, signed=True), table("VOILUTSequence", lut(curve(4096, 12), 12, -2048))),
    _lut(
        "first value -1024 behind a Rescale",
        deep(12),
        tags(RescaleSlope="1", RescaleIntercept="-1024"),
        table("VOILUTSequence", lut(curve(4096, 16), 16, -1024)),
    ),
    _lut(
        "first value -700, shorter than the data",
        deep(12, signed=True),
        table("VOILUTSequence", lut(curve(900, 12), 12, -700)),
    ),
    _lut("first value beyond the data", deep(12), table("VOILUTSequence", lut(s_curve(300, 12), 12, 5000))),
    _lut("ends before the data", deep(12), table("VOILUTSequence", lut(s_curve(300, 12), 12, 0))),
    _lut("one entry", deep(12), table("VOILUTSequence", lut(curve(2, 12)[1:], 12, 100))),
    _lut(
        "function SIGMOID beside it changes nothing",
        deep(12),
        tags(VOILUTFunction="SIGMOID"),
        table("VOILUTSequence", lut(curve(4096, 12), 12)),
    ),
    _lut(
        "MONOCHROME1",
        crop(),
        table("VOILUTSequence", lut(curve(4096, 12), 12)),
        without("WindowCenter", "WindowWidth"),
        film=CANON,
    ),
    _lut("of a published test film", film="hostile/pydicom_pydicom-data__vlut_04.dcm"),
)

W12 = tags(WindowCenter="2000", WindowWidth="2500")


def _broken(name: str, rule: str, code: str, tag: str, edits: tuple[Edit, ...], instead: Edit, **faults: Fault) -> Cell:
    return Cell(name, SAMPLE, rule, (deep(12), *edits), cautions={code: tag}, instead=(instead,), faults=faults)


NO_WINDOW = without("WindowCenter", "WindowWidth", "VOILUTFunction")
BROKEN_VOI = (
    *(
        Cell(
            f"Window width {said} of a real CR: lowest to highest value",
            f"hostile/ww_{file}.dcm",
            LINEAR_RULE,
            cautions={"bad-window": "WindowWidth"},
            instead=(NO_WINDOW,),
        )
        for said, file in (("0", "zero"), ("-5", "neg"), ("NaN", "nan"), ("1e400", "inf"), ("abc", "text"))
    ),
    _broken(
        "Window width 0 before a good one: the next one",
        LINEAR_RULE,
        "bad-window",
        "WindowWidth",
        (tags(WindowCenter=["2048", "1500"], WindowWidth=["0", "900"]),),
        tags(WindowCenter="1500", WindowWidth="900"),
    ),
    _broken(
        "Window width 0.5, which LINEAR forbids: lowest to highest value",
        LINEAR_RULE,
        "bad-window",
        "WindowWidth",
        (tags(WindowCenter="2000", WindowWidth="0.5"),),
        NO_WINDOW,
    ),
    _broken(
        "SIGMOID of width 0: lowest to highest value",
        SIGMOID_RULE,
        "bad-window",
        "WindowWidth",
        (tags(WindowCenter="2000", WindowWidth="0", VOILUTFunction="SIGMOID"),),
        NO_WINDOW,
    ),
    _broken(
        "LINEAR_EXACT of width 0: lowest to highest value",
        EXACT_RULE,
        "bad-window",
        "WindowWidth",
        (tags(WindowCenter="2000", WindowWidth="0", VOILUTFunction="LINEAR_EXACT"),),
        NO_WINDOW,
    ),
    _broken(
        "Unknown VOI LUT Function: lowest to highest value",
        "C.11.2.1.3",
        "bad-window",
        "VOILUTFunction",
        (W12, tags(VOILUTFunction="LOGARITHM")),
        NO_WINDOW,
    ),
    _broken(
        "Two centres, one width: the pair that is there",
        "C.11.2.1.2",
        "bad-window",
        "WindowWidth",
        (tags(WindowCenter=["2000", "1500"], WindowWidth="2500"),),
        W12,
    ),
    _broken(
        "VOI LUT with fewer entries than it says: the window",
        LUT_RULE,
        "bad-lut",
        "VOILUTSequence",
        (table("VOILUTSequence", lut(curve(1000, 12), 12, count=4096)), W12),
        without("VOILUTSequence"),
    ),
    _broken(
        "VOI LUT with more entries than it says: the window",
        LUT_RULE,
        "bad-lut",
        "VOILUTSequence",
        (table("VOILUTSequence", lut(curve(4096, 12), 12, count=1000)), W12),
        without("VOILUTSequence"),
    ),
    _broken(
        "VOI LUT of 0 bits: the next item",
        LUT_RULE,
        "bad-lut",
        "VOILUTSequence",
        (table("VOILUTSequence", lut(curve(4096, 12), 0), lut(s_curve(4096, 12), 12)),),
        table("VOILUTSequence", lut(s_curve(4096, 12), 12)),
    ),
    _broken(
        "VOI LUT of 8 bits with entries of 12: 12 bits",
        LUT_RULE,
        "lut-bits",
        "VOILUTSequence",
        (table("VOILUTSequence", lut(curve(4096, 12), 8)),),
        table("VOILUTSequence", lut(curve(4096, 12), 12)),
    ),
    _broken(
        "VOI LUT without data and no window: lowest to highest value",
        LUT_RULE,
        "bad-lut",
        "VOILUTSequence",
        (table("VOILUTSequence", lut(curve(0, 12), 12, count=4096)),),
        without("VOILUTSequence"),
    ),
)
