"""Millimetres per pixel, and where they come from (PS3.3 10.7.1.1 to 10.7.1.3)."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from cxr_viewer.core.image import PixelSpacing, SpacingSource
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

SMALLEST_MM, LARGEST_MM = 1e-3, 20.0
LARGEST_MAGNIFICATION = 10.0
_CROSS_SECTIONS = ("CT", "MR", "PT", "NM")  # their Pixel Spacing lies in the patient

_TAGS = (
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "EstimatedRadiographicMagnificationFactor",
    "PixelAspectRatio",
)

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")

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
    spacing, why = _chosen(ds, modality, cautions)
    tags = tol.tag_values(ds, *_TAGS)
    if spacing is None:
        rule = f"Lengths are in pixels: {why}."
    else:
        row, column = spacing.row_mm, spacing.column_mm
        size = f"{row:.4g} mm" if row == column else f"{row:.4g} x {column:.4g} mm"
        rule = f"A pixel is {size}, {spacing.source.value}: {why}."
    cautions.story.tell(Stage.MILLIMETRES, rule, "PS3.3 10.7.1", tags)
    return spacing


def _chosen(ds: Dataset, modality: str, cautions: Cautions) -> tuple[PixelSpacing | None, str]:
    """The spacing, and why it is that one as the end of a sentence."""
    story = cautions.story
    pixel = _pair(ds, "PixelSpacing", cautions)
    imager = _pair(ds, "ImagerPixelSpacing", cautions)
    detector = imager or _pair(ds, "NominalScannedPixelSpacing", cautions)
    name = "Imager Pixel Spacing" if imager else "Nominal Scanned Pixel Spacing"
    calibration = tol.code_string(ds, "PixelSpacingCalibrationType")
    if pixel and modality in _CROSS_SECTIONS:
        return PixelSpacing(
            *pixel, SpacingSource.CALIBRATED
        ), f"Pixel Spacing of a {modality} image lies in the patient"
    if pixel and (calibration or (detector and not _equal(pixel, detector))):
        if detector:
            story.pass_over(Stage.MILLIMETRES, f"{name} is passed over: Pixel Spacing is calibrated.")
        if calibration == "GEOMETRY":
            why = "Pixel Spacing was corrected for the geometry"
            return PixelSpacing(*pixel, SpacingSource.MAGNIFICATION_CORRECTED), why
        told = f"its calibration type is {calibration}" if calibration else f"it differs from {name}"
        return PixelSpacing(*pixel, SpacingSource.CALIBRATED), f"Pixel Spacing is used, {told}"
    if detector:
        if pixel:
            story.pass_over(
                Stage.MILLIMETRES, f"Pixel Spacing is not needed: it says the same as {name} and names no calibration."
            )
        factor = _magnification(ds, cautions)
        if factor is None:
            return PixelSpacing(*detector, SpacingSource.DETECTOR), f"{name} is used, without a magnification"
        corrected = PixelSpacing(detector[0] / factor, detector[1] / factor, SpacingSource.MAGNIFICATION_CORRECTED)
        return corrected, f"{name} is divided by the magnification {factor:g}"
    if pixel:
        cautions.add(
            "spacing-origin",
            "The file does not say whether its millimetres hold in the patient or at the detector; "
            "they are taken as those at the detector.",
            "PixelSpacing",
        )
        return PixelSpacing(*pixel, SpacingSource.DETECTOR), "Pixel Spacing stands alone, without a calibration type"
    _caution_aspect(ds, cautions)
    named = any(tol.has(ds, keyword) for keyword in _SPACINGS)
    return None, "the file gives no spacing that can be believed" if named else "the file gives no spacing"


def _pair(ds: Dataset, keyword: str, cautions: Cautions) -> Pair | None:
    """(row, column) in mm; None where absent, and with a caution where impossible."""
    values = tol.numbers(ds, keyword)
    if not values:
        return None
    if len(values) == 2:
        row, column = values
        if row is not None and column is not None and all(SMALLEST_MM <= v <= LARGEST_MM for v in (row, column)):
            return (row, column)
    cautions.story.pass_over(Stage.MILLIMETRES, f"{tol.tag_name(keyword)} is impossible and is passed over.")
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
    cautions.story.pass_over(Stage.MILLIMETRES, f"{tol.tag_name(keyword)} is impossible and is passed over.")
    cautions.add("bad-magnification", "The file gives an impossible magnification, which is not used.", keyword)
    return None


def _caution_aspect(ds: Dataset, cautions: Cautions) -> None:
    ratio = tol.numbers(ds, "PixelAspectRatio")
    if len(ratio) == 2 and ratio[0] and ratio[1] and not math.isclose(ratio[0], ratio[1], rel_tol=1e-3):
        cautions.add(
            "aspect", "The pixels of this film are not square, but it is shown as if they were.", "PixelAspectRatio"
        )
