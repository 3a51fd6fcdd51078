"""Reader processes for the tests of the sources, and DICOM files made for one purpose each."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode
from cxr_viewer.sources import attributes, dicomfile
from cxr_viewer.sources.dicomfile import DicomFile
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Two warm reader processes for a module of tests, both there before the first test counts what is running."""
    pool = Sandbox()
    pool.warm()
    deadline = time.monotonic() + 30
    while len(pool.processes) < 2:
        assert time.monotonic() < deadline, "the reader processes do not start"
        threading.Event().wait(0.01)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def reader(sandbox: Sandbox) -> SandboxReader:
    return SandboxReader(sandbox)


@pytest.fixture(scope="module")
def read_path(reader: SandboxReader) -> Callable[[Path], Radiograph]:
    """``read_path(path)``: a film through the reader process, by way of its own description."""

    def read(path: Path) -> Radiograph:
        node: ImageNode = reader.describe(path, CancelToken()).image
        return reader.read(node, CancelToken())

    return read


@pytest.fixture(scope="session")
def dicom_bytes() -> Callable[..., bytes]:
    """``dicom_bytes(Rows=2, ...)``: a file of these elements; ``syntax`` and ``meta=False`` are for the file itself.

    Without PixelData it holds a picture of 4 x 6 zeros of 12 bits. None leaves an element out, a DataElement stands for
    itself with the VR it has.
    """

    def build(*, syntax: str = ExplicitVRLittleEndian, meta: bool = True, **elements: Any) -> bytes:
        fields: dict[str, Any] = {
            "SOPClassUID": CR_STORAGE,
            "SOPInstanceUID": "1.2.3.4",
            "StudyInstanceUID": "1.2.3",
            "SeriesInstanceUID": "1.2.3.1",
            "Modality": "CR",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": 4,
            "Columns": 6,
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "PixelData": np.zeros((4, 6), "<u2").tobytes(),
        }
        ds = Dataset()
        little = pydicom.uid.UID(syntax).is_little_endian
        for keyword, value in (fields | elements).items():
            if isinstance(value, DataElement):
                ds.add(value)
            elif value is not None:
                setattr(ds, keyword, value)
        if "PixelData" in ds:
            ds["PixelData"].VR = "OW"
            if pydicom.uid.UID(syntax).is_encapsulated:
                ds["PixelData"].is_undefined_length = True
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        stream = io.BytesIO()
        settings = (config.settings.writing_validation_mode, config.settings.reading_validation_mode)
        config.settings.writing_validation_mode = config.IGNORE
        try:
            implicit = pydicom.uid.UID(syntax).is_implicit_VR
            if meta:
                ds.save_as(stream, enforce_file_format=True)
            else:
                del ds.file_meta
                ds.save_as(stream, implicit_vr=implicit, little_endian=little)
        finally:
            config.settings.writing_validation_mode, config.settings.reading_validation_mode = settings
        return stream.getvalue()

    return build


@pytest.fixture(scope="session")
def parse(dicom_bytes: Callable[..., bytes]) -> Callable[..., DicomFile]:
    """``parse(WindowWidth=0)``: such a file written, and taken apart by the program."""
    return lambda **elements: dicomfile.read_all(dicom_bytes(**elements))


@pytest.fixture(scope="session")
def film(parse: Callable[..., DicomFile]) -> Callable[..., Radiograph]:
    """``film(WindowWidth=0)``: the same as a :class:`Radiograph`, decoded here in the test's own process."""
    return lambda *, frame=0, **elements: attributes.radiograph(parse(**elements), Path("film.dcm"), "0" * 64, frame)


@pytest.fixture(scope="session")
def run_tool() -> Callable[..., None]:
    """``run_tool("dcmdjpeg", source, target)``: one of the judges; the test is skipped where it is not installed."""

    def run(*command: str | Path) -> None:
        if shutil.which(str(command[0])) is None:
            pytest.skip(f"needs the program {command[0]} (packages dcmtk and libgdcm-tools), which is not installed")
        subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60)

    return run


@pytest.fixture(scope="session")
def claim_syntax() -> Callable[[bytes, str], bytes]:
    """``claim_syntax(data, uid)``: the same file with another transfer syntax in its file meta information."""

    def claim(data: bytes, syntax: str) -> bytes:
        (length,) = struct.unpack_from("<I", data, 140)
        uid = syntax.encode("ascii") + b"\0" * (len(syntax) % 2)
        element = b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
        return data[:140] + struct.pack("<I", len(element)) + element + data[144 + length :]

    return claim
