"""What crosses between the processes comes out as it went in, and nothing else comes out."""

from __future__ import annotations

import datetime as dt
import io
import json
import struct
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.image import (
    Caution,
    ImageKey,
    ModalityTable,
    PatientInfo,
    PixelSpacing,
    Radiograph,
    SpacingSource,
    StudyInfo,
    View,
    VoiTable,
    VoiWindow,
    WindowFunction,
)
from cxr_viewer.core.study import FoundImage, ImageNode
from cxr_viewer.sources import wire

FULL = Radiograph(
    key=ImageKey("1.2", "1.2.3", "1.2.3.4", 2),
    path=Path("/films/\udcff.dcm"),
    stored=np.arange(12, dtype=np.int16).reshape(3, 4) - 5,
    bits_stored=12,
    photometric="MONOCHROME1",
    modality="DX",
    presentation_lut_shape="INVERSE",
    modality_lut=ModalityTable(-5, np.arange(12, dtype=np.uint16), 12),
    voi=(
        VoiTable(0, np.arange(12, dtype=np.uint16)[::-1].copy(), 8, "TABLE"),
        VoiWindow(5.5, 10, WindowFunction.SIGMOID, "Lung"),
    ),
    opening=VoiWindow(1, 2),
    padding=(-5, -4),
    spacing=PixelSpacing(0.1, 0.2, SpacingSource.CALIBRATED),
    view=View.LATERAL,
    patient_orientation=("L", "F"),
    patient=PatientInfo("id", "Müller, 山田", dt.date(1940, 3, 5), "F", 79.2),
    study=StudyInfo(dt.date(2019, 5, 5), "10:23"),
    cautions=(Caution("code", "Text.", "Tag"),),
)


def through_pipe(value: Any, kind: Any) -> Any:
    stream = io.BytesIO()
    blocks: wire.Blocks = []
    wire.send(stream, {"ok": wire.to_plain(value, blocks)}, blocks)
    stream.seek(0)
    words, received = wire.receive(stream)
    assert stream.read() == b""
    return wire.from_plain(kind, words["ok"], received)


def test_a_film_comes_through_whole() -> None:
    image = through_pipe(FULL, Radiograph)
    for field in fields(Radiograph):
        sent, got = getattr(FULL, field.name), getattr(image, field.name)
        if field.name == "stored":
            assert got.dtype == sent.dtype
            assert np.array_equal(got, sent)
            assert not got.flags.writeable
        elif field.name == "modality_lut":
            assert np.array_equal(got.values, sent.values)
            assert (got.first, got.bits) == (sent.first, sent.bits)
        elif field.name == "voi":
            assert np.array_equal(got[0].values, sent[0].values)
            assert got[1:] == sent[1:]
        else:
            assert got == sent


NODES = st.builds(ImageNode, st.builds(ImageKey, *[st.text()] * 3), st.just(Path("x")))
PATIENTS = st.builds(PatientInfo, age_years=st.none() | st.floats(allow_nan=False))  # NaN equals nothing


@given(st.builds(FoundImage, NODES, PATIENTS))
def test_a_header_comes_through_whole(found: FoundImage) -> None:
    assert through_pipe(found, FoundImage) == found


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists, max_leaves=8))
def test_anything_else_is_refused(plain: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.from_plain(Radiograph, {"key": plain, "path": plain, "stored": plain}, [])


@dataclass(frozen=True)
class Unknown:
    value: object


def test_only_known_types_travel() -> None:
    with pytest.raises(wire.WireError):
        wire.to_plain({1, 2}, [])
    with pytest.raises(wire.WireError):
        wire.from_plain(Unknown, {"value": 1}, [])
    plain = wire.to_plain(replace(FULL, voi=()), [])
    table = np.arange(12, dtype=np.uint16)
    assert wire.from_plain(Radiograph, plain, [FULL.stored, table]).voi == ()
    with pytest.raises(wire.WireError):
        wire.from_plain(Radiograph, plain, [FULL.stored, table.astype(np.uint8)])
    with pytest.raises(wire.WireError):
        wire.from_plain(Radiograph, plain | {"modality_lut": {"type": "Popen"}}, [FULL.stored, table])


@pytest.mark.parametrize(
    "block",
    [
        {"dtype": "object", "shape": [4]},
        {"dtype": "uint8", "shape": [-1]},
        {"dtype": "uint8", "shape": [1 << 20, 1 << 20]},
        {"dtype": "uint16", "shape": [2, 2, 2, 2]},
        {"dtype": "uint8", "shape": [0]},
        {"dtype": "uint8", "shape": [True, 2]},
        {"dtype": "uint8", "shape": []},
        {"dtype": "uint8"},
        "uint8",
    ],
)
def test_an_array_of_another_form_is_refused_before_memory_is_taken(block: dict[str, Any]) -> None:
    text = json.dumps({"ok": 0, "blocks": [block]}).encode()
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(struct.pack("<I", len(text)) + text + bytes(64)))


def test_a_message_without_end_is_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(struct.pack("<I", 0xFFFFFFFF)))
    with pytest.raises(EOFError):
        wire.receive(io.BytesIO(struct.pack("<I", 100) + b"{"))


def test_no_more_is_sent_or_taken_than_the_window_can_hold() -> None:
    half = np.broadcast_to(np.uint8(0), (wire.MAX_BYTES // 2 + 1,))
    stream = io.BytesIO()
    with pytest.raises(wire.TooLargeError):
        wire.send(stream, {"ok": 0}, [half, half])
    with pytest.raises(wire.TooLargeError):
        wire.send(stream, {"ok": "x" * wire.MAX_WORDS}, [])
    assert stream.getvalue() == b""
    text = json.dumps({"ok": 0, "blocks": [{"dtype": "uint8", "shape": [wire.MAX_BYTES // 2 + 1]}] * 2}).encode()
    with pytest.raises(wire.TooLargeError):
        wire.receive(io.BytesIO(struct.pack("<I", len(text)) + text))


def test_long_and_deep_messages() -> None:
    long: dict[str, Any] = {
        "ok": [["DICOM", f"IM{number:06d}", 1.5, None, True, '\u00e4"'] for number in range(30_000)]
    }
    stream = io.BytesIO()
    wire.send(stream, long, [])
    assert len(stream.getvalue()) > wire.SWIFT_WORDS
    stream.seek(0)
    assert wire.receive(stream) == (long, [])
    for depth in (100_000, wire.SWIFT_WORDS + 1):
        with pytest.raises(wire.WireError):
            wire.receive(io.BytesIO(struct.pack("<I", depth) + b"[" * depth))
