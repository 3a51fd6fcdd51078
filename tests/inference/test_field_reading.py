"""Where our reading of a film follows DICOM and TorchXRayVision's does not, rule by rule.

The films of ``../shared/data`` that it reads otherwise are named in ``test_field_equality.py``; here each rule has a
film made for it, with the standard's answer beside it. What follows the reading is the library's all the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.image import Radiograph
from cxr_viewer.inference.preprocess import model_grey, see

with warnings.catch_warnings():  # the library sets filters of its own while it is imported
    from torchxrayvision.datasets import XRayCenterCrop, XRayResizer
    from torchxrayvision.utils import read_xray_dcm

NEAR = 1e-5
HALF_RANGE = 1024  # of the library's input
SPEC = InputSpec(224, "crop", False, mean=0.5, std=1 / 2048, intensity="presented", resize="gaussian")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of DICOM that the library does not follow, tried with a film made for it.

    Attributes:
        changes: attributes by keyword.
        presented: 0..1 from the stored values 0 to 4095 (of signed ones, after adding 2048), by the standard.
    """

    name: str
    changes: dict[str, Any]
    presented: Callable[[NDArray[np.float64]], NDArray[np.float64]]


_LUT = np.clip(np.arange(4096) // 2 + 1000, 0, 2600)
RULES = (
    Rule("signed pixels (C.7.6.3.1)", {"PixelRepresentation": 1}, lambda x: x / 4095),
    Rule(
        "rescale (C.11.1)", {"RescaleSlope": -1, "RescaleIntercept": 4095, "RescaleType": "US"}, lambda x: 1 - x / 4095
    ),
    Rule(
        "rescale before the window (C.11.2)",
        {"RescaleSlope": 2, "RescaleIntercept": 100, "WindowCenter": 4000, "WindowWidth": 5001},
        lambda x: np.clip((2 * x + 100 - 3999.5) / 5000 + 0.5, 0, 1),
    ),
    Rule(
        "modality LUT (C.11.1.1)",
        {"ModalityLUTSequence": _LUT},
        lambda x: (_LUT[x.astype(int)] - _LUT.min()) / np.ptp(_LUT),
    ),
    Rule(
        "padding (C.7.5.1.1.2)",
        {"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"},
        lambda x: np.where(x == 0, 0.0, 1 - x / 4095),
    ),
    Rule("presentation LUT shape (C.11.6)", {"PresentationLUTShape": "INVERSE"}, lambda x: 1 - x / 4095),
)


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_a_rule_the_library_leaves_out_is_followed(
    rule: Rule, tmp_path: Path, films_at: Callable[[Any], list[Radiograph]]
) -> None:
    path = tmp_path / "film.dcm"
    values = _write_film(path, rule.changes)
    (image,) = films_at([path])
    expected = rule.presented(values.astype(np.float64))
    ours = model_grey(image, "presented")
    assert np.abs(ours - expected).max() <= NEAR

    theirs = _their_reading(path)
    assert theirs is None or np.abs(theirs / HALF_RANGE - (2 * expected - 1)).max() > 0.1
    on_their_scale = (ours[None] - np.float32(0.5)) * np.float32(2 * HALF_RANGE)
    rest = XRayResizer(224)(XRayCenterCrop()(on_their_scale))
    assert np.abs(see(image, SPEC).film - rest).max() <= NEAR * HALF_RANGE


def _their_reading(path: Path) -> NDArray[np.float32] | None:
    """None where the library refuses the film."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            theirs: NDArray[np.float32] = read_xray_dcm(path, voi_lut=True)
        except ValueError:  # values beyond what Bits Stored allows
            return None
    return theirs


def _write_film(path: Path, changes: dict[str, Any]) -> NDArray[np.int64]:
    """Write a film of 12 bits; returns its stored values, of signed ones after adding 2048."""
    rng = np.random.default_rng(7)
    smooth = cv2.GaussianBlur(rng.random((300, 260)), (0, 0), 9)
    values: NDArray[np.int64] = np.rint(4095 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.int64)
    values[:, :20] = 0
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    data.Modality, data.PhotometricInterpretation, data.SamplesPerPixel = "DX", "MONOCHROME2", 1
    data.Rows, data.Columns = values.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    for name, value in changes.items():
        setattr(data, name, _modality_lut(value) if name == "ModalityLUTSequence" else value)
    stored = values - 2048 if data.PixelRepresentation else values
    data.PixelData = stored.astype("<i2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return values


def _modality_lut(entries: NDArray[np.int64]) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.LUTDescriptor = [entries.size, 0, 16]
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return pydicom.Sequence([item])
