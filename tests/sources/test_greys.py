"""Modality LUT, VOI, padding and presentation out of headers that are right, odd and broken."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from cxr_viewer.core.image import ModalityTable, Radiograph, Rescale, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.core.provenance import Stage
from cxr_viewer.imaging import luts
from cxr_viewer.sources import greys
from cxr_viewer.sources.tolerant import Cautions

Film = Callable[..., Radiograph]
ReadPath = Callable[[Path], Radiograph]


def codes(image: Radiograph) -> list[str]:
    return [caution.code for caution in image.cautions]


def lut_item(descriptor: list[int], data: Any, explanation: str = "", vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", vr, descriptor)
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    if explanation:
        item.LUTExplanation = explanation
    return item


# ---------------------------------------------------------------- windows


def test_all_windows_with_their_names(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    image = read_path(need_data("dicom/syn_dx_canon_multiwindow.dcm"))
    assert image.voi == (
        VoiWindow(2048, 4096, label="NORMAL"),
        VoiWindow(1200, 1500, label="LUNG"),
        VoiWindow(2900, 1500, label="BONE"),
    )


def test_tables_of_a_real_file(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    image = read_path(need_data("dicom/syn_dx_canon_voilutsequence3.dcm"))
    assert [voi.label for voi in image.voi] == ["NORMAL", "HARDER", "SOFTER"]
    for voi in image.voi:
        assert isinstance(voi, VoiTable)
        assert (voi.first, voi.values.size, voi.bits) == (0, 4096, 12)


def test_sigmoid(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    (voi,) = read_path(need_data("dicom/syn_dx_canon_sigmoid_window.dcm")).voi
    assert voi == VoiWindow(2048, 2500, WindowFunction.SIGMOID)


def test_tables_come_before_windows(film: Film) -> None:
    table = lut_item([4096, 0, 8], np.arange(4096).astype(np.uint8).astype(int).tolist(), "TABLE")
    image = film(VOILUTSequence=[table], WindowCenter=[100, 200], WindowWidth=[50, 60])
    assert [voi.label for voi in image.voi] == ["TABLE", "Window 1", "Window 2"]


def test_one_broken_window_of_three_costs_only_itself(film: Film) -> None:
    image = film(WindowCenter=[100, 200, 300], WindowWidth=[50, 0, 70], WindowCenterWidthExplanation=["A", "B", "C"])
    assert image.voi == (VoiWindow(100, 50, label="A"), VoiWindow(300, 70, label="C"))
    assert codes(image) == ["bad-window"]


@pytest.mark.parametrize(
    ("function", "width", "kept"),
    [
        ("LINEAR", 1, True),
        ("LINEAR", 0.5, False),
        ("LINEAR_EXACT", 0.5, True),
        ("LINEAR_EXACT", 0, False),
        ("SIGMOID", 0.5, True),
        ("SIGMOID", -1, False),
        ("CUBIC", 100, False),
        (None, 100, True),
    ],
)
def test_a_window_is_kept_where_its_function_allows(function: str | None, width: float, kept: bool, film: Film) -> None:
    image = film(WindowCenter=100, WindowWidth=width, VOILUTFunction=function)
    assert bool(image.voi) == kept
    assert codes(image) == ([] if kept else ["bad-window"])


def test_unequal_numbers_of_centres_and_widths(film: Film) -> None:
    image = film(WindowCenter=[100, 200], WindowWidth=[50])
    assert len(image.voi) == 1
    assert codes(image) == ["bad-window"]


# ---------------------------------------------------------------- tables


def test_the_descriptor_of_65536_entries_says_zero(film: Film) -> None:
    table = lut_item([0, 0, 16], np.arange(65536, dtype="<u2").tobytes())
    (voi,) = film(BitsStored=16, HighBit=15, VOILUTSequence=[table]).voi
    assert isinstance(voi, VoiTable)
    assert voi.values.size == 65536
    assert voi.bits == 16


@pytest.mark.parametrize("vr", ["US", "SS"])
def test_a_signed_first_value_whatever_the_writer_called_it(vr: str, film: Film) -> None:
    first = -1024 if vr == "SS" else 65536 - 1024
    table = lut_item([2048, first, 12], list(range(2048)), vr=vr)
    image = film(PixelRepresentation=1, ModalityLUTSequence=[table])
    assert isinstance(image.modality_lut, ModalityTable)
    assert image.modality_lut.first == -1024


def test_a_table_after_a_rescale_to_negative_values(film: Film) -> None:
    table = lut_item([1024, 65536 - 1024, 8], [i // 4 for i in range(1024)])
    (voi,) = film(RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[table]).voi
    assert isinstance(voi, VoiTable)
    assert voi.first == -1024


def test_a_large_unsigned_first_value_stays(film: Film) -> None:
    table = lut_item([1024, 40000, 8], [i // 4 for i in range(1024)])
    (voi,) = film(BitsStored=16, HighBit=15, VOILUTSequence=[table]).voi
    assert isinstance(voi, VoiTable)
    assert voi.first == 40000


@pytest.mark.parametrize("count", [256, 255])
def test_eight_bit_entries_two_to_a_word(count: int, film: Film) -> None:
    entries = np.arange(count, dtype=np.uint8)[::-1]
    packed = entries.tobytes() + b"\0" * (count % 2)
    (voi,) = film(VOILUTSequence=[lut_item([count, 0, 8], packed)]).voi
    assert isinstance(voi, VoiTable)
    assert np.array_equal(voi.values, entries)


@pytest.mark.parametrize(
    ("descriptor", "size"),
    [([4096, 0, 12], 4000), ([100, 0, 12], 4096), ([4096, 0], 4096), ([4096, 0, 0], 4096), ([4096, 0, 17], 4096)],
)
def test_a_table_that_does_not_fit_its_descriptor_is_left_out(descriptor: list[int], size: int, film: Film) -> None:
    image = film(VOILUTSequence=[lut_item(descriptor, list(range(size)))], WindowCenter=100, WindowWidth=50)
    assert image.voi == (VoiWindow(100, 50),)
    assert [(c.code, c.tag) for c in image.cautions] == [("bad-lut", "VOILUTSequence (0028,3010)")]


def test_a_table_with_more_bits_than_it_claims(film: Film) -> None:
    image = film(VOILUTSequence=[lut_item([4096, 0, 8], list(range(4096)))])
    assert isinstance(image.voi[0], VoiTable)
    assert image.voi[0].bits == 12
    assert codes(image) == ["lut-bits"]


def test_a_broken_modality_table_gives_way_to_the_rescale(film: Film) -> None:
    image = film(ModalityLUTSequence=[lut_item([4096, 0, 12], [1, 2, 3])], RescaleSlope=2, RescaleIntercept=5)
    assert image.modality_lut == Rescale(2, 5)
    assert codes(image) == ["bad-lut"]


def test_the_modality_table_of_a_real_film(need_data: Callable[[str], Path], read_path: ReadPath) -> None:
    image = read_path(need_data("dicom-other/cr_dental_panoramic_modalitylut.dcm"))
    assert isinstance(image.modality_lut, ModalityTable)
    assert image.modality_lut.values.size == 1 << image.bits_stored


# ---------------------------------------------------------------- rescale, padding, presentation


@pytest.mark.parametrize(("slope", "expected"), [(-10, Rescale(-10, 7)), (0, Rescale()), (1e300, Rescale())])
def test_rescale(slope: float, expected: Rescale, film: Film) -> None:
    image = film(RescaleSlope=slope, RescaleIntercept=7)
    assert image.modality_lut == expected
    assert codes(image) == ([] if expected != Rescale() else ["bad-rescale"])


@pytest.mark.parametrize(("kind", "units"), [("HU", "HU"), ("US", ""), (None, "")])
def test_units(kind: str | None, units: str, film: Film) -> None:
    assert film(RescaleSlope=1, RescaleIntercept=0, RescaleType=kind).units == units


@pytest.mark.parametrize("vr", ["SS", "US"])
def test_padding_range_of_signed_pixels(vr: str, film: Film) -> None:
    offset = 65536 if vr == "US" else 0
    value = DataElement("PixelPaddingValue", vr, offset - 1900)
    limit = DataElement("PixelPaddingRangeLimit", vr, offset - 2000)
    image = film(PixelRepresentation=1, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    assert image.padding == (-2000, -1900)


def test_padding_of_unsigned_pixels(film: Film) -> None:
    assert film(PixelPaddingValue=4095).padding == (4095, 4095)
    assert film().padding is None


@pytest.mark.parametrize(
    ("photometric", "shape", "kept", "told"),
    [
        ("MONOCHROME1", "INVERSE", "INVERSE", False),
        ("MONOCHROME2", "IDENTITY", "IDENTITY", False),
        ("MONOCHROME1", "IDENTITY", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", "INVERSE", True),
        ("MONOCHROME1", "LIN OD", "", True),
        ("MONOCHROME1", None, "", False),
    ],
)
def test_presentation_shape(photometric: str, shape: str | None, kept: str, told: bool, film: Film) -> None:
    image = film(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    assert image.presentation_lut_shape == kept
    assert bool(image.cautions) == told


# ---------------------------------------------------------------- anything at all

_NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(2**40), 2**40), st.sampled_from(["", "x", "1e400"])
)


@given(
    st.lists(_NUMBERS, max_size=4),
    st.lists(_NUMBERS, max_size=4),
    st.sampled_from(["", "LINEAR", "LINEAR_EXACT", "SIGMOID", "?"]),
    _NUMBERS,
    _NUMBERS,
    st.lists(st.integers(0, 65535), max_size=4),
    st.binary(max_size=64),
)
def test_whatever_a_header_holds_only_what_works_comes_through(
    centers: list[Any],
    widths: list[Any],
    function: str,
    slope: Any,
    intercept: Any,
    descriptor: list[int],
    data: bytes,
) -> None:
    ds = Dataset()
    for keyword, value in (("WindowCenter", centers), ("WindowWidth", widths)):
        ds.add_new(keyword, "LT", "\\".join(str(item) for item in value))
    ds.add_new("RescaleSlope", "LT", str(slope))
    ds.add_new("RescaleIntercept", "LT", str(intercept))
    ds.add_new("VOILUTFunction", "LT", function)
    ds.add_new("VOILUTSequence", "SQ", [lut_item(descriptor, data)])
    cautions = Cautions()
    chain = greys.grey_chain(ds, 12, False, "MONOCHROME2", cautions)
    assert all(luts.usable(voi) for voi in chain.voi)
    assert isinstance(chain.modality_lut, Rescale)
    assert math.isfinite(chain.modality_lut.slope)
    assert chain.modality_lut.slope != 0
    assert len(chain.voi) <= min(len(centers), len(widths)) + 1


# ---------------------------------------------------------------- enhanced images


def test_windows_in_functional_groups(film: Film) -> None:
    def group(center: float, slope: float | None = None) -> Dataset:
        voi, values, outer = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth, voi.WindowCenterWidthExplanation = center, 50, "LUNG"
        outer.FrameVOILUTSequence = [voi]
        if slope is not None:
            values.RescaleSlope, values.RescaleIntercept, values.RescaleType = slope, -7, "HU"
            outer.PixelValueTransformationSequence = [values]
        return outer

    frames = {"NumberOfFrames": 2, "PixelData": bytes(96)}
    groups = {
        "SharedFunctionalGroupsSequence": [group(1, slope=2)],
        "PerFrameFunctionalGroupsSequence": [group(10), group(20)],
    }
    for frame, center in ((0, 10), (1, 20)):
        image = film(frame=frame, **frames, **groups)
        assert image.voi == (VoiWindow(center, 50, label="LUNG"),)
        assert image.modality_lut == Rescale(2, -7)
        assert image.units == "HU"
    top = {"WindowCenter": 99, "WindowWidth": 9}
    assert film(**frames, **groups, **top).voi == (VoiWindow(99, 9),)  # a CR has its window at the top, and whole
    enhanced = film(**frames, **groups, **top, SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1.1")
    assert enhanced.voi == (VoiWindow(10, 50, label="LUNG"),)
    voi = next(step for step in enhanced.chain if step.stage is Stage.VOI)
    assert voi.passed_over[0].startswith("What the top level says is passed over")


def test_more_tables_and_overlays_than_anybody_reads_still_cross_to_the_window(
    dicom_bytes: Callable[..., bytes], tmp_path: Path, read_path: ReadPath
) -> None:
    overlays: dict[str, Any] = {}
    for group in range(0x6000, 0x6020, 2):
        for element, vr, value in ((0x10, "US", 4), (0x11, "US", 6), (0x50, "SS", [1, 1]), (0x3000, "OW", b"\xff" * 4)):
            overlays[f"{group}{element}"] = DataElement(group << 16 | element, vr, value)
    tables = [lut_item([16, 0, 8], list(range(16)), f"T{number}") for number in range(80)]
    (tmp_path / "film.dcm").write_bytes(dicom_bytes(VOILUTSequence=tables, **overlays))
    image = read_path(tmp_path / "film.dcm")
    assert [voi.label for voi in image.voi] == [f"T{number}" for number in range(32)]
    assert len(image.overlays) == 16
    assert "many-luts" in codes(image)


# ---------------------------------------------------------------- tables that say one thing and hold another


def test_entries_of_eight_bits_under_a_descriptor_of_sixteen(film: Film) -> None:
    image = film(VOILUTSequence=[lut_item([256, 0, 16], list(range(256)))])
    (voi,) = image.voi
    assert isinstance(voi, VoiTable)
    assert voi.bits == 8
    assert [(c.code, c.tag) for c in image.cautions] == [("lut-bits", "VOILUTSequence (0028,3010)")]
    packed = film(VOILUTSequence=[lut_item([256, 0, 16], bytes(range(256)))])
    assert isinstance(packed.voi[0], VoiTable)
    assert np.array_equal(packed.voi[0].values, voi.values)


def test_the_sign_of_the_first_value_is_the_one_that_meets_the_picture(film: Film) -> None:
    unsigned = film(VOILUTSequence=[lut_item([1024, -100, 8], [i // 4 for i in range(1024)], vr="SS")])
    assert isinstance(unsigned.voi[0], VoiTable)
    assert unsigned.voi[0].first == -100  # 65436 would lie wholly above 12 bits
    assert codes(unsigned) == ["lut-sign"]
    signed = film(
        RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[lut_item([9, 65536 - 900, 8], list(range(9)))]
    )
    assert isinstance(signed.voi[0], VoiTable)
    assert signed.voi[0].first == -900
    assert not signed.cautions
