"""A Specific Character Set that pydicom stumbles over: the film is shown all the same."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.sources import jobs
from cxr_viewer.sources.place import Place

PIXELS = np.arange(48, dtype="<u2").reshape(6, 8)
LONG = {b"OB", b"UN", b"SQ", b"OW"}


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH", group, number) + vr
    return head + (b"\0\0" + struct.pack("<I", len(value)) if vr in LONG else struct.pack("<H", len(value))) + value


def film(vr: bytes, value: bytes, syntax: bytes = b"1.2.840.10008.1.2.1") -> bytes:
    numbers = {0x0002: 1, 0x0010: 6, 0x0011: 8, 0x0100: 16, 0x0101: 16, 0x0102: 15, 0x0103: 0}
    module = [(n, element(0x28, n, b"US", struct.pack("<H", v))) for n, v in numbers.items()]
    module.append((4, element(0x28, 4, b"CS", b"MONOCHROME2")))
    body = element(8, 5, vr, value) + element(8, 0x60, b"CS", b"CR") + element(0x10, 0x10, b"PN", "Müller".encode())
    body += b"".join(data for _, data in sorted(module)) + element(0x7FE0, 0x10, b"OW", PIXELS.tobytes())
    if syntax.endswith(b".99"):
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(body) + packer.flush()
    meta = element(2, 0x10, b"UI", syntax)
    return bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + body


@pytest.mark.parametrize("syntax", [b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.1.99"])
@pytest.mark.parametrize(
    ("vr", "value"),
    [
        (b"CS", b"ISO_IR\x00192"),
        (b"US", b"\1\2\3\4"),
        (b"FD", b"\0\0\0\0\0\0\xf8\x3f"),
        (b"AT", b"\1\2\3\4"),
        (b"SQ", b"\xfe\xff\x00\xe0\0\0\0\0"),
        (b"OB", b"\1\2"),
        (b"PN", b"ISO_IR 192"),
        (b"XX", b"ISO_IR 192"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of pydicom, which the reader process silences
def test_a_broken_character_set_does_not_cost_the_film(vr: bytes, value: bytes, syntax: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(film(vr, value, syntax))
    assert jobs.describe(Place(path)).image.rows == 6
    image = jobs.read(Place(path), 0)
    assert np.array_equal(image.stored, PIXELS)
    assert "character-set" in [caution.code for caution in image.cautions]


def test_a_sound_character_set_is_used_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(film(b"CS", b"ISO_IR 192"))
    image = jobs.read(Place(path), 0)
    assert image.patient.name == "Müller"
    assert "character-set" not in [caution.code for caution in image.cautions]
