"""Millimetres per pixel, and where they come from (PS3.3 10.7.1.1 to 10.7.1.3)."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from cxr_viewer.core.image import PixelSpacing, SpacingSource
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

SMALLEST_MM, LARGEST_MM = 1e-3, 20.0
LARGEST_MAGNIFICATION = 10.0
_CROSS_SECTIONS = ("CT", "MR", "PT", "NM")  # their Pixel Spacing lies in the patient

Pair = tuple[float, float]


def pixel_spacing(ds: Dataset, modality: str, cautions: Cautions) -> PixelSpacing | None:
    """The spacing with its source, or None where the file gives none that can be believed.

    ======================================================  ==================================
    Pixel Spacing, differing from Imager Pixel Spacing      calibrated (GEOMETRY: corrected)
    Imager (or Nominal Scanned) with a magnification        divided by it, corrected
    Imager (or Nominal Scanned) alone, or equal to Pixel    at detector
    Pixel Spacing alone                                     at detector, with a caution
    ======================================================  ==================================
    """
    pixel = _pair(ds, "PixelSpacing", cautions)
    detector = _pair(ds, "ImagerPixelSpacing", cautions) or _pair(ds, "NominalScannedPixelSpacing", cautions)
    calibration = tol.code_string(ds, "PixelSpacingCalibrationType")
    if pixel and modality in _CROSS_SECTIONS:
        return PixelSpacing(*pixel, SpacingSource.CALIBRATED)
    if pixel and (calibration or (detector and not _equal(pixel, detector))):
        corrected = calibration == "GEOMETRY"
        return PixelSpacing(*pixel, SpacingSource.MAGNIFICATION_CORRECTED if corrected else SpacingSource.CALIBRATED)
    if detector:
        factor = _magnification(ds, cautions)
        if factor is None:
            return PixelSpacing(*detector, SpacingSource.DETECTOR)
        return PixelSpacing(detector[0] / factor, detector[1] / factor, SpacingSource.MAGNIFICATION_CORRECTED)
    if pixel:
        cautions.add(
            "spacing-origin",
            "The file does not say whether its millimetres hold in the patient or at the detector; "
            "they are taken as those at the detector.",
            "PixelSpacing",
        )
        return PixelSpacing(*pixel, SpacingSource.DETECTOR)
    _caution_aspect(ds, cautions)
    return None


def _pair(ds: Dataset, keyword: str, cautions: Cautions) -> Pair | None:
    """(row, column) in mm; None where absent, and with a caution where impossible."""
    values = tol.numbers(ds, keyword)
    if not values:
        return None
    if len(values) == 2:
        row, column = values
        if row is not None and column is not None and all(SMALLEST_MM <= v <= LARGEST_MM for v in (row, column)):
            return (row, column)
    cautions.add(
        "bad-spacing", "The file gives an impossible distance of pixels, so lengths are not in millimetres.", keyword
    )
    return None


def _equal(first: Pair, second: Pair) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(first, second, strict=True))


def _magnification(ds: Dataset, cautions: Cautions) -> float | None:
    keyword = "EstimatedRadiographicMagnificationFactor"
    if not tol.has(ds, keyword):
        return None
    factor = tol.number(ds, keyword)
    if factor is not None and 1.0 <= factor <= LARGEST_MAGNIFICATION:
        return factor
    cautions.add("bad-magnification", "The file gives an impossible magnification, which is not used.", keyword)
    return None


def _caution_aspect(ds: Dataset, cautions: Cautions) -> None:
    ratio = tol.numbers(ds, "PixelAspectRatio")
    if len(ratio) == 2 and ratio[0] and ratio[1] and not math.isclose(ratio[0], ratio[1], rel_tol=1e-3):
        cautions.add(
            "aspect", "The pixels of this film are not square, but it is shown as if they were.", "PixelAspectRatio"
        )
