"""Tables of frames that contradict the fragments, frames that are not there, and runs under another name."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources import attributes, dicomfile

ClaimSyntax = Callable[[bytes, str], bytes]
Transcode = Callable[..., pydicom.Dataset]
FUJI = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"
CODECS = (("dcmcrle",), ("dcmcjpeg", "+e1"), ("dcmcjpls",), ("gdcmconv", "--j2k"))
PIXELS, FRAMES = "PixelData (7FE0,0010)", "NumberOfFrames (0028,0008)"


@pytest.fixture
def transcode(need_data: Callable[[str], Path], run_tool: Callable[..., None], tmp_path: Path) -> Transcode:
    def encoded(*command: str) -> pydicom.Dataset:
        run_tool(*command, need_data(FUJI), tmp_path / "other.dcm")
        return pydicom.dcmread(tmp_path / "other.dcm")

    return encoded


def written(ds: pydicom.Dataset) -> bytes:
    target = io.BytesIO()
    ds.save_as(target)
    return target.getvalue()


def local(data: bytes, frame: int = 0) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("film.dcm"), "0" * 64, frame)


def told(film: Radiograph) -> set[tuple[str, str]]:
    return {(caution.code, caution.tag) for caution in film.cautions}


def with_table(fragments: Sequence[bytes], table: Sequence[int]) -> bytes:
    """Encapsulated pixel data whose Basic Offset Table says whatever it is told to."""
    item = b"\xfe\xff\x00\xe0"
    value = b"".join(struct.pack("<I", offset) for offset in table)
    even = [part + b"\0" * (len(part) % 2) for part in fragments]
    parts = b"".join(item + struct.pack("<I", len(part)) + part for part in (value, *even))
    return parts + b"\xfe\xff\xdd\xe0\0\0\0\0"


def halves(data: bytes) -> list[bytes]:
    middle = len(data) // 4 * 2
    return [data[:middle], data[middle:]]


@pytest.mark.parametrize("command", CODECS, ids="".join)
@pytest.mark.parametrize("table", [(4,), (0xFFFFFFF0,), (0, 40), (40, 0), (0, 0, 0)], ids=str)
def test_the_table_of_a_single_frame_does_not_matter(
    command: tuple[str, ...], table: tuple[int, ...], transcode: Transcode
) -> None:
    ds = transcode(*command)
    sound = local(written(ds))
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    for parts in ([frame], halves(frame)):
        ds.PixelData = with_table(parts, table)
        film = local(written(ds))
        assert np.array_equal(film.stored, sound.stored)
        assert film.cautions == sound.cautions


def test_a_table_that_points_into_the_single_frame_does_not_halve_it(transcode: Transcode) -> None:
    ds = transcode("gdcmconv", "--j2k")
    sound = local(written(ds))
    parts = halves(get_frame(ds.PixelData, 0, number_of_frames=1))
    ds.PixelData = with_table(parts, (0, len(parts[0]) + 8))
    assert np.array_equal(local(written(ds)).stored, sound.stored)
    assert local(written(ds)).cautions == sound.cautions


def three_frames(transcode: Transcode) -> tuple[pydicom.Dataset, bytes, bytes]:
    """A film, and the codestreams of it and of its mirror image."""
    ds = transcode("dcmcrle")
    first = get_frame(ds.PixelData, 0, number_of_frames=1)
    other = pydicom.dcmread(io.BytesIO(written(ds)))
    words = local(written(ds)).stored[:, ::-1]
    other.PixelData = np.ascontiguousarray(words).tobytes()
    other.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    other.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    ds.NumberOfFrames = 3
    return ds, first, get_frame(other.PixelData, 0, number_of_frames=1)


@pytest.mark.parametrize("table", [(0, 8, 16), (0,), (0, 4, 0xFFFFFFF0), (0, 0, 0)], ids=str)
def test_one_fragment_for_each_frame_needs_no_table(table: tuple[int, ...], transcode: Transcode) -> None:
    ds, first, second = three_frames(transcode)
    ds.PixelData = with_table([first, second, first], table)
    data = written(ds)
    here, there = local(data, 0), local(data, 1)
    assert np.array_equal(here.stored[:, ::-1], there.stored)
    assert ("offset-table", PIXELS) in told(here) & told(there)


def test_a_sound_table_is_followed_in_silence(transcode: Transcode) -> None:
    ds, first, second = three_frames(transcode)
    ds.PixelData = encapsulate([first, second, first], fragments_per_frame=2)
    data = written(ds)
    assert np.array_equal(local(data, 0).stored[:, ::-1], local(data, 1).stored)
    assert {code for code, _ in told(local(data, 1))} & {"offset-table", "bad-frames", "damaged-pixels"} == set()


def test_frames_that_no_table_tells_apart_are_refused(transcode: Transcode) -> None:
    ds, first, _ = three_frames(transcode)
    ds.PixelData = with_table([*halves(first), *halves(first)], (0, 4, 8))
    with pytest.raises(ReadError) as caught:
        local(written(ds))
    assert caught.value.code == "damaged-pixels"


@pytest.mark.parametrize("command", CODECS, ids="".join)
@pytest.mark.parametrize("pieces", [1, 2])
def test_frames_that_are_not_there_are_not_counted(command: tuple[str, ...], pieces: int, transcode: Transcode) -> None:
    ds = transcode(*command)
    sound = local(written(ds))
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.NumberOfFrames = 10000
    ds.PixelData = with_table([frame] if pieces == 1 else halves(frame), ())
    film = local(written(ds))
    assert film.frames == 1
    assert np.array_equal(film.stored, sound.stored)
    assert told(film) - told(sound) == {("bad-frames", FRAMES)}
    with pytest.raises(ReadError) as caught:
        local(written(ds), 1)
    assert caught.value.code == "no-such-frame"


# ---------------------------------------------------------------- RLE


@pytest.mark.parametrize("claimed", [JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, ExplicitVRLittleEndian])
def test_runs_are_known_by_their_header(claimed: str, transcode: Transcode, claim_syntax: ClaimSyntax) -> None:
    data = written(transcode("dcmcrle"))
    film = local(claim_syntax(data, claimed))
    assert film.decoder == "pylibjpeg-rle"
    assert np.array_equal(film.stored, local(data).stored)
    assert ("wrong-syntax", "TransferSyntaxUID (0002,0010)") in told(film)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 16])
def test_a_wrong_number_of_segments_is_told(count: int, transcode: Transcode) -> None:
    ds = transcode("dcmcrle")
    sound = local(written(ds))
    frame = get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([struct.pack("<I", count) + frame[4:]])
    assert ("damaged-pixels", PIXELS) not in told(sound)
    assert ("damaged-pixels", PIXELS) in told(local(written(ds)))
