"""Cells of the modality step: Rescale and Modality LUT Sequence."""

from __future__ import annotations

from typing import Any

from matrix.cell import Cell, Fault
from matrix.films import CANON, SAMPLE, Edit, crop, curve, deep, lut, s_curve, table, tags, whole_numbers, without
from matrix.oracle import Array

NEGATIVE = Fault(
    "scales the answer of apply_windowing by the slope, so that a negative one turns black to white once more",
    inverted=True,
)

SLOPELESS = Fault("takes no intercept without a slope", as_if=(without("RescaleIntercept"),))
WHOLE = "keeps rescaled values as whole numbers and cuts off what is behind the comma"

RESCALE_RULE = "C.11.1.1.2"
RESCALE = (
    Cell(
        "Rescale slope 2, intercept 100",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="2", RescaleIntercept="100", WindowCenter="4000", WindowWidth="5000")),
    ),
    Cell(
        "Rescale absent",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(WindowCenter="2000", WindowWidth="2500")),
    ),
    Cell(
        "Rescale intercept without slope",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleIntercept="-1024", WindowCenter="976", WindowWidth="2500")),
        faults={"dcmtk": SLOPELESS, "pydicom": SLOPELESS},
    ),
    Cell(
        "Rescale slope 0.5, intercept -1000, fractional window",
        CANON,
        RESCALE_RULE,
        (crop(), tags(RescaleSlope="0.5", RescaleIntercept="-1000", WindowCenter="24.25", WindowWidth="1500.5")),
    ),
    Cell(
        "Rescale slope 0.001, intercept 0",
        SAMPLE,
        RESCALE_RULE,
        (
            deep(14),
            tags(RescaleSlope="0.001", RescaleIntercept="0", VOILUTFunction="SIGMOID"),
            tags(WindowCenter="8", WindowWidth="9.5"),
        ),
        faults={"dcmtk": Fault(WHOLE, as_if=(whole_numbers,))},
    ),
    Cell(
        "Rescale intercept 1,000,000",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="1", RescaleIntercept="1000000", WindowCenter="1002048", WindowWidth="3000")),
    ),
    Cell(
        "Rescale intercept -1,000,000",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="1", RescaleIntercept="-1000000", WindowCenter="-997952", WindowWidth="3000")),
    ),
    Cell(
        "Rescale slope -1, window",
        CANON,
        RESCALE_RULE,
        (crop(), tags(RescaleSlope="-1", RescaleIntercept="4095", WindowCenter="2048", WindowWidth="3000")),
        faults={"pydicom": NEGATIVE},
    ),
    Cell(
        "Rescale slope -10, window (as Agfa CR)",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="-10", RescaleIntercept="40950", WindowCenter="20000", WindowWidth="30000")),
        faults={"pydicom": NEGATIVE},
    ),
    Cell(
        "Rescale slope -0.25, signed pixels, SIGMOID",
        SAMPLE,
        RESCALE_RULE,
        (
            deep(12, signed=True),
            tags(RescaleSlope="-0.25", RescaleIntercept="10", VOILUTFunction="SIGMOID"),
            tags(WindowCenter="0", WindowWidth="400"),
        ),
        faults={"pydicom": NEGATIVE, "dcmtk": Fault(WHOLE, apart=(2, 2))},
    ),
    Cell(
        "Rescale slope -1, no window",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="-1", RescaleIntercept="4095")),
    ),
    Cell(
        "Rescale slope -1, VOI LUT",
        SAMPLE,
        RESCALE_RULE,
        (
            deep(12),
            tags(RescaleSlope="-1", RescaleIntercept="4095"),
            table("VOILUTSequence", lut(curve(4096, 12), 12)),
        ),
    ),
    Cell(
        "Rescale slope 0.29, VOI LUT",
        SAMPLE,
        RESCALE_RULE,
        (
            deep(12),
            tags(RescaleSlope="0.29", RescaleIntercept="0"),
            table("VOILUTSequence", lut(curve(1188, 12), 12)),
        ),
    ),
)

LUT_RULE = "C.11.1.1.1"


def _modality(name: str, *edits: Edit, faults: dict[str, Fault] | None = None, film: str = SAMPLE) -> Cell:
    return Cell(f"Modality LUT, {name}", film, LUT_RULE, edits, faults=faults or {})


def _table(entries: Array, bits: int, first: int = 0, **options: Any) -> Edit:
    return table("ModalityLUTSequence", lut(entries, bits, first, **options))


PACKED = Fault("looks for a word of 16 bits to each entry and stops where entries of 8 bits are packed", refuses=True)
TWELVE = _table(curve(4096, 12), 12)

MODALITY_LUT = (
    _modality("16 bit, no window", deep(12), _table(curve(4096, 16), 16)),
    _modality(
        "entries of 12 bits, which the standard does not foresee",
        deep(12),
        TWELVE,
        tags(WindowCenter="2500", WindowWidth="1800"),
        faults={"pydicom": Fault("takes entries of 8 and 16 bits only in a Modality LUT", refuses=True)},
    ),
    _modality(
        "that falls, with a window",
        deep(12),
        _table(s_curve(4096, 16), 16),
        tags(WindowCenter="30000", WindowWidth="50000"),
    ),
    _modality(
        "8 bit, an entry to a word", deep(12), _table(curve(4096, 8), 8), tags(WindowCenter="128", WindowWidth="256")
    ),
    _modality(
        "8 bit, two entries to a word",
        deep(12),
        _table(curve(4096, 8), 8, packed=True),
        tags(WindowCenter="128", WindowWidth="200"),
        faults={"pydicom": PACKED},
    ),
    _modality(
        "first value -2048, signed pixels",
        deep(12, signed=True),
        _table(curve(4096, 12), 16, -2048),
        tags(WindowCenter="2048", WindowWidth="3000"),
    ),
    _modality("first value -500, shorter than the data", deep(12, signed=True), _table(curve(1200, 14), 16, -500)),
    _modality("first value 1000, shorter than the data", deep(12), _table(curve(1500, 14), 16, 1000)),
    _modality(
        "first value beyond the data",
        deep(12),
        _table(curve(300, 12), 16, 5000),
        tags(WindowCenter="100", WindowWidth="900"),
    ),
    _modality("65,536 entries", deep(16), _table(s_curve(65536, 16), 16)),
    _modality(
        "with a VOI LUT behind it",
        deep(12),
        _table(s_curve(4096, 12), 16),
        table("VOILUTSequence", lut(curve(4096, 10), 10)),
    ),
    _modality(
        "beside a Rescale, which is passed over",
        deep(12),
        tags(RescaleSlope="3", RescaleIntercept="-7"),
        _table(curve(4096, 12), 16),
        tags(WindowCenter="2048", WindowWidth="3000"),
    ),
    _modality("MONOCHROME1", deep(10), tags(PhotometricInterpretation="MONOCHROME1"), _table(curve(1024, 10), 16)),
    Cell("Modality LUT of a dental film", "dicom-other/cr_dental_panoramic_modalitylut.dcm", LUT_RULE),
    Cell("Modality LUT of a signed MR slice", "hostile/pydicom_pydicom-data__mlut_18.dcm", LUT_RULE),
)

BROKEN_MODALITY = (
    Cell(
        "Rescale slope 0",
        SAMPLE,
        RESCALE_RULE,
        (deep(12), tags(RescaleSlope="0", RescaleIntercept="5", WindowCenter="2000", WindowWidth="2500")),
        cautions={"bad-rescale": "RescaleSlope"},
        instead=(without("RescaleSlope", "RescaleIntercept"),),
    ),
    *(
        Cell(
            f"Rescale slope {said}",
            f"hostile/slope_{file}.dcm",
            RESCALE_RULE,
            cautions={"bad-rescale": "RescaleSlope"},
            instead=(without("RescaleSlope", "RescaleIntercept"),),
        )
        for said, file in (("0 of a real CR", "zero"), ("NaN of a real CR", "nan"), ("x of a real CR", "text"))
    ),
    Cell(
        "Modality LUT with fewer entries than it says",
        SAMPLE,
        LUT_RULE,
        (deep(12), _table(curve(1000, 12), 12, count=4096), tags(WindowCenter="2048", WindowWidth="3000")),
        cautions={"bad-lut": "ModalityLUTSequence"},
        instead=(without("ModalityLUTSequence"),),
    ),
    Cell(
        "Modality LUT of 17 bits, the Rescale beside it is taken",
        SAMPLE,
        LUT_RULE,
        (
            deep(12),
            _table(curve(4096, 12), 17),
            tags(RescaleSlope="2", RescaleIntercept="10", WindowCenter="4096", WindowWidth="6000"),
        ),
        cautions={"bad-lut": "ModalityLUTSequence"},
        instead=(without("ModalityLUTSequence"),),
    ),
)
