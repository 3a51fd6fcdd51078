"""Overlays of the groups 60xx: where dcmtk draws them, and what becomes of broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from cxr_viewer.core.image import OverlayPlane, Radiograph
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import attributes, dicomfile

Film = Callable[..., Radiograph]

BARRE = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"
XA = "dicom-other/xa_catheter_12frames.dcm"
ROWS, COLUMNS, FRAMES, TYPE, ORIGIN, FRAME_ORIGIN, ALLOCATED, POSITION, LABEL, DATA = (
    *(0x0010, 0x0011, 0x0015, 0x0040, 0x0050, 0x0051),
    *(0x0100, 0x0102, 0x1500, 0x3000),
)
VRS = {
    **dict.fromkeys((ROWS, COLUMNS, FRAME_ORIGIN, ALLOCATED, POSITION), "US"),
    FRAMES: "IS",
    TYPE: "CS",
    ORIGIN: "SS",
    LABEL: "LO",
    DATA: "OW",
}


def drawing(rows: int, columns: int) -> NDArray[np.uint8]:
    """Lines, a ring and a corner, so that a shift, a mirror or a bit order in reverse is seen."""
    bits = np.zeros((rows, columns), np.uint8)
    bits[3, 5:40] = bits[10:30, 7] = bits[0, 0] = 1
    y, x = np.mgrid[:rows, :columns]
    bits[np.abs(np.hypot(y - rows / 2, x - columns / 3) - rows / 4) < 1.5] = 1
    return bits


def packed(bits: NDArray[np.uint8]) -> bytes:
    data = np.packbits(bits.ravel(), bitorder="little").tobytes()
    return data + b"\0" * (len(data) % 2)


def group(number: int, **values: Any) -> dict[str, DataElement]:
    """Elements of one overlay group by the names above."""
    tags = {name: globals()[name] for name in values}
    return {
        f"_{number:04X}{tag:04X}": DataElement(number << 16 | tag, VRS[tag], values[name])
        for name, tag in tags.items()
        if values[name] is not None
    }


def overlay(bits: NDArray[np.uint8], number: int = 0x6000, origin: tuple[int, int] = (1, 1), **other: Any) -> Any:
    usual = {"ROWS": bits.shape[0], "COLUMNS": bits.shape[1], "TYPE": "G", "ORIGIN": list(origin), "ALLOCATED": 1}
    return group(number, **{**usual, "POSITION": 0, "DATA": packed(bits), **other})


def written(source: Path, target: Path, *groups: dict[str, DataElement]) -> Path:
    ds = pydicom.dcmread(source)
    for elements in groups:
        for element in elements.values():
            ds.add(element)
    ds.save_as(target)
    return target


def local(path: Path, frame: int = 0) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(path.read_bytes()), path, "0" * 64, frame)


def on_film(plane: OverlayPlane, film: Radiograph) -> NDArray[np.bool_]:
    """The plane over the whole film."""
    canvas = np.zeros((film.rows, film.columns), np.bool_)
    for row, column in np.argwhere(plane.bits):
        y, x = row + plane.top, column + plane.left
        if 0 <= y < film.rows and 0 <= x < film.columns:
            canvas[y, x] = True
    return canvas


def told(film: Radiograph) -> list[tuple[str, str]]:
    return [(caution.code, caution.tag) for caution in film.cautions]


@pytest.fixture
def drawn_by_dcmtk(run_tool: Callable[..., None], tmp_path: Path) -> Callable[..., NDArray[np.bool_]]:
    """Which pixels dcmtk changes when an overlay is drawn white rather than black."""

    def draw(path: Path, number: int = 1, frame: int = 1) -> NDArray[np.bool_]:
        pictures = []
        for density in ("0", "1"):
            out = tmp_path / f"{density}.pgm"
            run_tool(
                *("dcmj2pnm", "+O", str(number), "+Omr", "+Osf", density, "+Wm", "+Wfl"),
                *("+F", str(frame), "+op", path, out),
            )
            data = out.read_bytes()
            _, size, _, pixels = data.split(b"\n", 3) if not data.startswith(b"P5\n#") else data.split(b"\n", 4)[1:]
            columns, rows = (int(part) for part in size.split())
            pictures.append(np.frombuffer(pixels, np.uint8, rows * columns).reshape(rows, columns))
        return np.asarray(pictures[0] != pictures[1])

    return draw


@pytest.mark.parametrize("origin", [(1, 1), (20, 33), (-9, -19), (400, 420)])
def test_an_overlay_lies_where_dcmtk_draws_it(
    origin: tuple[int, int],
    need_data: Callable[[str], Path],
    drawn_by_dcmtk: Callable[..., NDArray[np.bool_]],
    tmp_path: Path,
) -> None:
    bits = drawing(120, 91)
    path = written(need_data(BARRE), tmp_path / "drawn.dcm", overlay(bits, origin=origin, LABEL="ARROW"))
    film = local(path)
    (plane,) = film.overlays
    assert (plane.top, plane.left) == (origin[0] - 1, origin[1] - 1)
    assert (plane.kind, plane.label) == ("G", "ARROW")
    assert np.array_equal(plane.bits, bits)
    assert not plane.bits.flags.writeable
    assert np.array_equal(on_film(plane, film), drawn_by_dcmtk(path))
    assert not film.cautions


def test_an_overlay_in_the_unused_bits(
    need_data: Callable[[str], Path],
    drawn_by_dcmtk: Callable[..., NDArray[np.bool_]],
    run_tool: Callable[..., None],
    tmp_path: Path,
) -> None:
    source = need_data(BARRE)
    ds = pydicom.dcmread(source)
    bits = drawing(ds.Rows, ds.Columns)
    words = np.frombuffer(ds.PixelData, "<u2").reshape(bits.shape)
    ds.PixelData = (words | bits.astype("<u2") << 12).astype("<u2").tobytes()
    shape = {"ROWS": ds.Rows, "COLUMNS": ds.Columns, "TYPE": "R", "ORIGIN": [1, 1], "ALLOCATED": 16, "POSITION": 12}
    for element in group(0x6002, **shape).values():
        ds.add(element)
    path = tmp_path / "embedded.dcm"
    ds.save_as(path)
    film = local(path)
    (plane,) = film.overlays
    assert plane.kind == "R"
    assert np.array_equal(plane.bits, bits)
    assert np.array_equal(on_film(plane, film), drawn_by_dcmtk(path))
    assert np.array_equal(film.stored, local(source).stored)
    assert not film.cautions  # the bits beside the pixels are explained
    run_tool("dcmcrle", path, tmp_path / "rle.dcm")
    assert np.array_equal(local(tmp_path / "rle.dcm").overlays[0].bits, bits)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("vr", ["OW", "OB"])
def test_bits_in_any_byte_order(syntax: str, vr: str, film: Film) -> None:
    bits = np.random.default_rng(7).integers(0, 2, (3, 6), np.uint8)
    data = packed(bits)
    if syntax == ExplicitVRBigEndian and vr == "OW":
        data = np.frombuffer(data, "<u2").astype(">u2").tobytes()
    groups = overlay(bits) | {"data": DataElement(0x60003000, vr, data)}
    assert np.array_equal(film(syntax=syntax, **groups).overlays[0].bits, bits)


def test_sixteen_groups_in_their_order(film: Film) -> None:
    groups: dict[str, Any] = {}
    for index in range(16):
        bits = np.zeros((4, 6), np.uint8)
        bits[index // 6, index % 6] = 1
        groups |= overlay(bits, 0x6000 + 2 * index, LABEL=f"PLANE {index}")
    planes = film(**groups).overlays
    assert [plane.label for plane in planes] == [f"PLANE {index}" for index in range(16)]
    assert [int(np.flatnonzero(plane.bits)[0]) for plane in planes] == list(range(16))


def test_an_overlay_of_frames(
    need_data: Callable[[str], Path], drawn_by_dcmtk: Callable[..., NDArray[np.bool_]], tmp_path: Path
) -> None:
    bits = np.stack([drawing(101, 77), np.rot90(drawing(77, 101))])
    groups = overlay(bits[0], FRAMES="2", FRAME_ORIGIN=3, DATA=packed(bits))
    path = written(need_data(XA), tmp_path / "frames.dcm", groups)
    for frame, wanted in ((1, None), (2, bits[0]), (3, bits[1]), (4, None)):
        film = local(path, frame)
        assert len(film.overlays) == (wanted is not None)
        if wanted is not None:
            assert np.array_equal(film.overlays[0].bits, wanted)
            assert np.array_equal(on_film(film.overlays[0], film), drawn_by_dcmtk(path, frame=frame + 1))


def test_an_overlay_without_frames_lies_over_every_frame(film: Film) -> None:
    bits = np.eye(4, 6, dtype=np.uint8)
    for frame in (0, 1):
        image = film(frame=frame, NumberOfFrames=2, PixelData=bytes(96), **overlay(bits))
        assert np.array_equal(image.overlays[0].bits, bits)


# ---------------------------------------------------------------- broken ones


@pytest.mark.parametrize(
    ("change", "tag", "kept"),
    [
        ({"DATA": b"\xff\x01"}, "OverlayData (6000,3000)", True),
        ({"DATA": b""}, "OverlayData (6000,3000)", False),
        ({"ROWS": 0}, "OverlayRows (6000,0010)", False),
        ({"ROWS": 65535, "COLUMNS": 65535}, "OverlayRows (6000,0010)", False),
        ({"COLUMNS": None}, "OverlayColumns (6000,0011)", True),
        ({"ORIGIN": None}, "OverlayOrigin (6000,0050)", True),
        ({"FRAMES": "0"}, "NumberOfFramesInOverlay (6000,0015)", True),
        ({"DATA": None, "ALLOCATED": 16, "POSITION": 5}, "OverlayBitPosition (6000,0102)", False),
        ({"DATA": None, "ALLOCATED": 16, "POSITION": 99}, "OverlayBitPosition (6000,0102)", False),
    ],
)
def test_a_broken_overlay_is_told_by_its_tag(change: dict[str, Any], tag: str, kept: bool, film: Film) -> None:
    image = film(**overlay(np.ones((4, 6), np.uint8), **change))
    assert bool(image.overlays) == kept
    assert told(image) == [("bad-overlay", tag)]


def test_what_is_there_of_an_overlay_is_shown(film: Film) -> None:
    (plane,) = film(**overlay(np.ones((4, 6), np.uint8), DATA=b"\xff\x01")).overlays
    assert plane.bits.ravel().tolist() == [1] * 9 + [0] * 15


@pytest.mark.parametrize("origin", [(5, 1), (1, 7), (-3, 1), (1, -32768)])
def test_an_overlay_beside_the_film_is_passed_over(origin: tuple[int, int], film: Film) -> None:
    image = film(**overlay(np.ones((4, 6), np.uint8), origin=origin))
    assert image.overlays == ()
    (step,) = [step for step in image.chain if step.stage is Stage.OVERLAYS]
    assert step.rule == "None of the file's overlays is drawn."
    assert step.passed_over == ("Group 6000 draws nothing on this film.",)


def test_an_overlay_larger_than_the_film_is_cut_to_it(film: Film) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (9, 11), np.uint8)
    image = film(**overlay(bits, origin=(-1, 0)))
    (plane,) = image.overlays
    assert (plane.top, plane.left, plane.bits.shape) == (0, 0, (4, 6))
    assert np.array_equal(plane.bits, bits[2:6, 1:7])


def test_labels_are_clean(film: Film) -> None:
    (plane,) = film(
        **overlay(np.ones((4, 6), np.uint8), LABEL="A\x1b[31mB\u202e" + "C" * 100), SpecificCharacterSet="ISO_IR 192"
    ).overlays
    assert plane.label.isprintable()
    assert len(plane.label) <= 64


def test_a_codec_without_unused_bits_says_so(need_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = need_data("dicom/tx_dx_canon_jpegls_lossless.dcm")
    path = written(source, tmp_path / "lost.dcm", group(0x6000, ROWS=9, COLUMNS=9, ALLOCATED=16, POSITION=15))
    film = local(path)
    assert film.overlays == ()
    assert ("bad-overlay", "OverlayBitPosition (6000,0102)") in told(film)
    assert film.transfer_syntax != RLELossless


def test_a_real_film_without_overlays_says_so(need_data: Callable[[str], Path]) -> None:
    film = local(need_data(BARRE))
    (step,) = [step for step in film.chain if step.stage is Stage.OVERLAYS]
    assert step.rule == "The file holds no overlays."
