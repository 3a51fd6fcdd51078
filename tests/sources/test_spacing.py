"""Millimetres and where they come from (PS3.3 10.7.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core.image import PixelSpacing, Radiograph, SpacingSource

CALIBRATED, DETECTOR = SpacingSource.CALIBRATED, SpacingSource.DETECTOR
CORRECTED = SpacingSource.MAGNIFICATION_CORRECTED
ERMF = "EstimatedRadiographicMagnificationFactor"


@pytest.mark.parametrize(
    ("elements", "expected", "codes"),
    [
        ({}, None, []),
        ({"ImagerPixelSpacing": [0.2, 0.3]}, PixelSpacing(0.2, 0.3, DETECTOR), []),
        ({"NominalScannedPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, DETECTOR), []),
        ({"ImagerPixelSpacing": [0.3, 0.3], ERMF: 1.5}, PixelSpacing(0.2, 0.2, CORRECTED), []),
        ({"ImagerPixelSpacing": [0.3, 0.3], ERMF: 0.5}, PixelSpacing(0.3, 0.3, DETECTOR), ["bad-magnification"]),
        ({"ImagerPixelSpacing": [0.3, 0.3], ERMF: "x"}, PixelSpacing(0.3, 0.3, DETECTOR), ["bad-magnification"]),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, DETECTOR), []),
        ({"PixelSpacing": [0.18, 0.18], "ImagerPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.18, 0.18, CALIBRATED), []),
        (
            {
                "PixelSpacing": [0.18, 0.18],
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacingCalibrationType": "GEOMETRY",
            },
            PixelSpacing(0.18, 0.18, CORRECTED),
            [],
        ),
        (
            {"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"},
            PixelSpacing(0.2, 0.2, CALIBRATED),
            [],
        ),
        ({"PixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, DETECTOR), ["spacing-origin"]),
        ({"PixelSpacing": [0.7, 0.7], "Modality": "CT"}, PixelSpacing(0.7, 0.7, CALIBRATED), ["modality"]),
        ({"PixelSpacing": [0, 0]}, None, ["bad-spacing"]),
        ({"PixelSpacing": [0.2, -0.2]}, None, ["bad-spacing"]),
        ({"PixelSpacing": [0.2]}, None, ["bad-spacing"]),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, PixelSpacing(0.2, 0.2, DETECTOR), ["bad-spacing"]),
        ({"PixelAspectRatio": [2, 1]}, None, ["aspect"]),
        ({"PixelAspectRatio": [1, 1]}, None, []),
    ],
)
def test_spacing(
    elements: dict[str, Any], expected: PixelSpacing | None, codes: list[str], film: Callable[..., Radiograph]
) -> None:
    if elements.get(ERMF) == "x":
        from pydicom.dataelem import DataElement

        elements = elements | {ERMF: DataElement(ERMF, "LO", "x")}
    image = film(**elements)
    if expected is None:
        assert image.spacing is None
    else:
        assert image.spacing is not None
        assert image.spacing.source is expected.source
        assert (image.spacing.row_mm, image.spacing.column_mm) == pytest.approx((expected.row_mm, expected.column_mm))
    assert [caution.code for caution in image.cautions] == codes


@pytest.mark.parametrize(
    ("name", "spacing"),
    [
        ("dx_canon_pa_mono1_12bit_j2klossless.dcm", PixelSpacing(0.16, 0.16, DETECTOR)),
        ("syn_dx_canon_imagerspacing_only_magnification.dcm", PixelSpacing(0.32 / 1.15, 0.32 / 1.15, CORRECTED)),
        ("syn_dx_canon_nospacing.dcm", None),
        ("cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm", None),
    ],
)
def test_spacing_of_real_films(
    name: str,
    spacing: PixelSpacing | None,
    need_data: Callable[[str], Path],
    read_path: Callable[[Path], Radiograph],
) -> None:
    assert read_path(need_data(f"dicom/{name}")).spacing == spacing
