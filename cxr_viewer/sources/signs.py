"""A JPEG 2000 whose header says that its values are signed while Pixel Representation says that they are not, or the
reverse. Runs in the reader process only.

PS3.5 8.2 lets the codestream control the decompression. Toolkits differ: gdcm goes by the codestream, pydicom takes its
bits as two's complement where Pixel Representation says so. Writers have done wrong either way, and some put the offset
by which unsigned values are coded (ISO 15444-1 annex G.1) on the wrong side. Which of them a film came from is told by
its picture: read wrongly, neighbours of nearly the same grey lie at the two ends of the range.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.pixelformat import PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_STEP = 4
"""Rows looked at: every fourth."""


def settled(
    words: NDArray[Any], precision: int, own: bool | None, ds: Dataset, form: PixelFormat, cautions: Cautions
) -> tuple[NDArray[Any], PixelFormat]:
    """The words of a codestream, and the format by which they are to be read where it contradicts the header.

    Args:
        words: unsigned (rows, columns), ``precision`` bits of two's complement where the codestream is signed.
        own: whether the codestream says that its values are signed; None where it says nothing.

    Returns:
        Words of the same kind, and the format with the sign that makes the more continuous picture.
    """
    if own in (None, form.signed) or words.ndim != 2 or not form.photometric.startswith("MONOCHROME"):
        return words, form
    own = own is True
    text = (
        f"The compressed picture says that its values {_have(own)} a sign, the header that they {_have(form.signed)}; "
        "the way of reading that gives the smoother picture is shown."
    )
    cautions.add("sign-contradiction", text, "PixelRepresentation")
    by_stream, by_header = _values(words, precision, own), _values(words, precision, form.signed)
    if _roughness(by_header) < _roughness(by_stream):
        _tell("Its bits are read with the sign of Pixel Representation.", cautions)
        return words, form
    half = 1 << (precision - 1)
    offset = -half if form.signed else half
    if not _suits(by_stream, 0, ds) and _suits(by_stream, offset, ds):
        _tell(f"By the window of the file its values are {offset:+d} beside those of the codestream.", cautions)
        return words ^ np.asarray(half, words.dtype), form
    if np.array_equal(by_header, by_stream):
        return words, form
    _tell("Its values are those of the codestream.", cautions)
    return words, replace(form, signed=own)


def _have(signed: bool) -> str:
    return "have" if signed else "have not"


def _tell(rule: str, cautions: Cautions) -> None:
    cautions.story.tell(Stage.DECODER, rule, "PS3.5 8.2.4")


def _values(words: NDArray[Any], precision: int, signed: bool) -> NDArray[np.int32]:
    values: NDArray[np.int32] = words[::_STEP].astype(np.int32) & ((1 << precision) - 1)
    half = 1 << (precision - 1)
    return (values ^ half) - half if signed else values


def _roughness(values: NDArray[np.int32]) -> float:
    """Mean step between neighbours along the rows."""
    return float(np.abs(np.diff(values, axis=1)).mean()) if values.shape[1] > 1 else 0.0


def _suits(values: NDArray[np.int32], offset: int, ds: Dataset) -> bool:
    """Whether the middle of a window of the file lies among the values; always, where the file has no window."""
    centers = [center for center in tol.numbers(ds, "WindowCenter") if center is not None]
    slope, intercept = tol.number(ds, "RescaleSlope") or 1.0, tol.number(ds, "RescaleIntercept") or 0.0
    low, high = np.percentile(values, (1, 99)) + offset
    return not centers or any(low <= (center - intercept) / slope <= high for center in centers)
