"""Every file at hand, through the real reader processes: a film, or a sentence; never silence, a crash or a hang."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph, VoiTable
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.imaging import luts
from cxr_viewer.sources.reader import SandboxReader

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDERS = ("dicom", "dicom-other", "hostile")

# What these files must say. Everything else must be a film or say something.
CODES = {
    "empty.dcm": "empty-file",
    "text.dcm": "not-an-image",
    "random.dcm": "not-an-image",
    "not_dicom.dcm": "not-an-image",
    "trunc_header.dcm": "no-pixel-data",
    "dims_65535_short.dcm": "image-too-large",
    "rows0.dcm": "impossible-header",
    "deflate_bomb_1GiB.dcm": "memory",
    "j2k_siz_60000.dcm": "size-mismatch",
    "jls_sof_65500.dcm": "size-mismatch",
    "jpll_sof_65500.dcm": "size-mismatch",
    "nested_sq_5000.dcm": "damaged",
    "nested_sq_100000.dcm": "damaged",
    "zipslip.zip": "zip-archive",
    "zipbomb_1GiB.zip": "zip-archive",
    "DICOMDIR_traversal": "dicomdir",
    "sr_basic.dcm": "no-image-object",
    "rtplan.dcm": "no-image-object",
    "ecg_waveform.dcm": "no-image-object",
    "encapsulated_pdf.dcm": "no-image-object",
    "seg_liver.dcm": "no-image-object",
    "pr_presentation_state.dcm": "no-image-object",
    "no_pixel_data_secondary.dcm": "no-image-object",
    "dx_broken_j2k_codestream_966.dcm": "damaged-pixels",
}
# Cautions these files must carry, with the attribute at fault.
CAUTIONS = {
    "ct_small.dcm": ("modality", "Modality (0008,0060)"),
    "dx_nih_udacity_test5_modality_says_CT.dcm": ("modality", "Modality (0008,0060)"),
    "ct_wrong_transfer_syntax.dcm": ("wrong-syntax", "TransferSyntaxUID (0002,0010)"),
    "rtdose_multiframe.dcm": ("deep-pixels", "BitsAllocated (0028,0100)"),
    "us_ybr_multiframe.dcm": ("multi-frame", "NumberOfFrames (0028,0008)"),
    "palette_color.dcm": ("colour", "PhotometricInterpretation (0028,0004)"),
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm": ("bad-spacing", "PixelSpacing (0028,0030)"),
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm": ("blank-window", "Window Center (0028,1050)"),
    "trunc_half.dcm": ("truncated", "PixelData (7FE0,0010)"),
    "pydicom_pydicom__MR_truncated.dcm": ("truncated", "PixelData (7FE0,0010)"),
    "zeros_tail.dcm": ("blank-rows", ""),
    "bits0.dcm": ("bad-format", "BitsStored (0028,0101)"),
    "bits17.dcm": ("bad-format", "BitsStored (0028,0101)"),
    "frames_negative.dcm": ("bad-frames", "NumberOfFrames (0028,0008)"),
    "pydicom_pylibjpeg-data__RG2_JPLY.dcm": ("repaired", ""),
    **{f"ww_{kind}.dcm": ("bad-window", "WindowWidth (0028,1051)") for kind in ("zero", "neg", "nan", "inf", "text")},
    **{f"slope_{kind}.dcm": ("bad-rescale", "RescaleSlope (0028,1053)") for kind in ("zero", "nan", "text")},
    **{f"spacing_{kind}.dcm": ("bad-spacing", "PixelSpacing (0028,0030)") for kind in ("zero", "nan", "neg", "1e300")},
}


def _files() -> list[Path]:
    files = (path for folder in FOLDERS for path in sorted((SHARED / folder).rglob("*")))
    return [path for path in files if path.is_file() and path.suffix not in (".csv", ".txt")]


@pytest.mark.parametrize("path", _files() or [SHARED / "dicom"], ids=lambda path: path.name[-50:])
def test_a_film_or_a_sentence(path: Path, reader: SandboxReader, need_data: Callable[[str], Path]) -> None:
    need_data(os.path.relpath(path, SHARED))
    result = _outcome(reader, path)
    if isinstance(result, ReadError):
        _check_sentence(result, path.name)
        assert path.name not in CAUTIONS, f"{result.summary} {result.detail}"
        assert result.code == CODES.get(path.name, result.code), f"{result.summary} {result.detail}"
        return
    image, thumbnail = result
    assert path.name not in CODES
    _check_film(image)
    if path.name in CAUTIONS:
        assert CAUTIONS[path.name] in [(caution.code, caution.tag) for caution in image.cautions]
    assert thumbnail.startswith(b"\x89PNG")


def _outcome(reader: SandboxReader, path: Path) -> tuple[Radiograph, bytes] | ReadError:
    try:
        node = reader.describe(path, CancelToken()).image
        return reader.read(node, CancelToken()), reader.thumbnail(node, 64, CancelToken())
    except ReadError as error:
        return error


def _check_sentence(error: ReadError, name: str) -> None:
    assert error.code not in ("", "reader-crashed", "timeout"), f"{error.summary} {error.detail}"
    for text in (error.summary, error.hint):
        assert text[0].isupper() or text.startswith(name)
        assert text.endswith(".")
        assert "\n" not in text
    assert len(error.summary) < 160


def _check_film(image: Radiograph) -> None:
    assert image.stored.dtype in (np.uint8, np.uint16, np.int16)
    assert image.stored.flags.c_contiguous
    assert not image.stored.flags.writeable
    assert 1 <= image.bits_stored <= 16
    low, high = int(image.stored.min()), int(image.stored.max())
    if image.stored.dtype == np.int16:
        assert -(1 << image.bits_stored - 1) <= low <= high < 1 << image.bits_stored - 1
    else:
        assert high < 1 << image.bits_stored
    assert image.photometric in ("MONOCHROME1", "MONOCHROME2")
    assert len(image.source_sha256) == 64
    assert image.decoder
    for voi in (*image.voi, None):
        if voi is not None:
            assert luts.usable(voi)
        if isinstance(voi, VoiTable):
            assert int(voi.values.max()) < 1 << voi.bits
        grey = luts.apply(image.stored, luts.compose(image, voi, False))
        assert grey.shape == image.stored.shape
    for caution in image.cautions:
        assert caution.code
        assert caution.text.endswith(".")
