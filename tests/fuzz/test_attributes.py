"""Made-up attributes around sound pixels: whatever a header says, the film is shown, and shown as it was stored.

Every example is a whole DICOM file in Explicit VR Little Endian, written byte by byte, so that nothing a library would
refuse to write is left out. Pixels and Image Pixel module are sound in the first test and made up in the second.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import levels, luts
from cxr_viewer.sources import attributes, dicomfile, wire

# The reader process silences pydicom's warnings: they name values, and the reader is told in our own words.
pytestmark = pytest.mark.filterwarnings("ignore")

_PIXEL_MODULE = {
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
}
_SEQUENCES = ("ModalityLUTSequence", "VOILUTSequence", "ViewCodeSequence", "SharedFunctionalGroupsSequence")
_INSIDE = ("LUTDescriptor", "LUTData", "LUTExplanation", "ModalityLUTType", "WindowCenter", "CodeValue")
_OTHERS = sorted(
    {
        keyword
        for keyword in dicomfile._KEYWORDS.split()
        if keyword not in _PIXEL_MODULE and not keyword.endswith("Sequence") and "Palette" not in keyword
    }
)
_LONG = {"OB", "OW", "OF", "OD", "OL", "OV", "UN", "UT", "SQ", "UC", "UR"}
_ROWS, _COLUMNS = 24, 20
_PIXELS = ((np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS) * 8) % 4096).astype("<u2")
_NUMBERS = [
    "0",
    "-1",
    "1e308",
    "-1e400",
    "nan",
    "inf",
    "0.0000001",
    "65536",
    "2048\\4096",
    "\\",
    "1\\x\\3",
    "",
    " 12 ",
    "1,5",
]
_TEXTS = [
    "LINEAR",
    "SIGMOID",
    "INVERSE",
    "IDENTITY",
    "\\".join("ab" * 40),
    "\x1b$B%",
    "../../x",
    "%s%n",
    "\0" * 8,
    "NaN",
]
_values = st.one_of(
    st.sampled_from(_NUMBERS + _TEXTS).map(lambda text: text.encode("latin-1")),
    st.binary(max_size=40),
    st.integers(0, 2**48 - 1).map(lambda number: number.to_bytes(6, "little")),
)
_QUICK = settings(
    max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def element(keyword: str, value: bytes, vr: str | None = None) -> tuple[int, bytes]:
    """(tag, bytes in Explicit VR Little Endian)."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = vr or dictionary_VR(tag).split(" or ")[0]
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in _LONG:
        return tag, head + b"\0\0" + struct.pack("<I", len(value)) + value
    return tag, head + struct.pack("<H", len(value)) + value


@st.composite
def odd_elements(draw: st.DrawFn) -> dict[int, bytes]:
    """A few attributes with values that need not mean anything, some with the VR of another."""
    found: dict[int, bytes] = {}
    for _ in range(draw(st.integers(1, 12))):
        keyword = draw(st.sampled_from(_OTHERS))
        vr = draw(st.sampled_from([None, None, None, "UN", "LO", "DS", "US"]))
        tag, data = element(keyword, draw(_values), vr)
        found[tag] = data
    for keyword in draw(st.lists(st.sampled_from(_SEQUENCES), max_size=2, unique=True)):
        inside = dict(element(name, draw(_values)) for name in draw(st.lists(st.sampled_from(_INSIDE), unique=True)))
        item = b"".join(inside[tag] for tag in sorted(inside))
        tag, data = element(keyword, struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item)
        found[tag] = data
    return found


def _us(number: int) -> bytes:
    return struct.pack("<H", number)


def sound_module() -> dict[int, bytes]:
    numbers = {"SamplesPerPixel": 1, "Rows": _ROWS, "Columns": _COLUMNS, "BitsAllocated": 16, "BitsStored": 12}
    numbers |= {"HighBit": 11, "PixelRepresentation": 0}
    module = dict(element(keyword, _us(number)) for keyword, number in numbers.items())
    return module | dict([element("PhotometricInterpretation", b"MONOCHROME2")])


def dicom(elements: dict[int, bytes], pixels: bytes) -> bytes:
    """A whole file."""
    syntax = element("TransferSyntaxUID", b"1.2.840.10008.1.2.1")[1]
    meta = element("FileMetaInformationGroupLength", struct.pack("<I", len(syntax)))[1] + syntax
    body = b"".join(elements[tag] for tag in sorted(elements))
    return b"\0" * 128 + b"DICM" + meta + body + element("PixelData", pixels, "OW")[1]


def read(data: bytes) -> Radiograph:
    return attributes.radiograph(dicomfile.read_all(data), Path("made-up.dcm"), "0" * 64, 0)


def can_be_shown(image: Radiograph) -> None:
    """Every grey transformation the reader may choose gives a picture, and the film crosses to the window."""
    for voi in (None, *image.voi, levels.auto_window(image)):
        table = luts.compose(image, voi, inverted=False)
        assert table.dtype == np.uint8
        assert table.size == 1 << 8 * image.stored.dtype.itemsize
    blocks: wire.Blocks = []
    words = wire.to_plain(image, blocks)
    assert wire.from_plain(Radiograph, words, blocks).key == image.key


@_QUICK
@given(odd_elements())
def test_no_attribute_keeps_sound_pixels_from_being_shown(elements: dict[int, bytes]) -> None:
    image = read(dicom(elements | sound_module(), _PIXELS.tobytes()))
    assert np.array_equal(image.stored, _PIXELS)
    can_be_shown(image)


@_QUICK
@given(st.data())
def test_a_made_up_pixel_module_gives_a_film_or_a_sentence(data: st.DataObject) -> None:
    module = sound_module()
    for keyword in data.draw(st.lists(st.sampled_from(sorted(_PIXEL_MODULE)), min_size=1, max_size=4, unique=True)):
        small = st.integers(0, 70000).map(lambda number: struct.pack("<I", number)[:2])
        tag, made_up = element(keyword, data.draw(st.one_of(small, _values)))
        module[tag] = made_up
    length = data.draw(st.sampled_from([_PIXELS.nbytes, _PIXELS.nbytes // 2, 1, 2 * _PIXELS.nbytes + 1]))
    refused: ReadError | None = None
    try:
        can_be_shown(read(dicom(module, (_PIXELS.tobytes() * 3)[:length])))
    except ReadError as error:
        refused = error
    if refused is not None:
        assert refused.summary.endswith(".")
        assert refused.hint.endswith(".")


@_QUICK
@given(st.integers(0, 2**32), st.floats(0.0, 0.3))
def test_bytes_of_a_header_changed_at_random(seed: int, share: float) -> None:
    """What cannot be read may raise what pydicom raises (a sentence is made of it), but nothing hangs or grows."""
    rng = np.random.default_rng(seed)
    sound = dicom(sound_module(), _PIXELS.tobytes())
    head = np.frombuffer(sound[: -_PIXELS.nbytes], np.uint8).copy()
    places = 132 + np.flatnonzero(rng.random(head.size - 132) < share)
    head[places] = rng.integers(0, 256, places.size)
    try:
        image = read(head.tobytes() + sound[-_PIXELS.nbytes :])
    except Exception:
        return
    can_be_shown(image)
