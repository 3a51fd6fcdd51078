"""What a reader process is asked to do. Every function here runs in the reader process only."""

from __future__ import annotations

import hashlib
import stat
import threading
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import CxrError, ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.study import FoundImage
from cxr_viewer.imaging import render
from cxr_viewer.sources import attributes, dicomdir, dicomfile, faults, identity, plausibility, raster
from cxr_viewer.sources.answers import Directory, Header, Headers
from cxr_viewer.sources.attributes import FileFacts

LARGEST_FILE = 1 << 30
HEAD_BYTES = 4096


def warm_up() -> None:
    """Load the decoders that every film needs, so that the first one does not wait for them."""
    import pydicom.pixels.decoders  # noqa: F401


def run(job: str, words: dict[str, Any]) -> object:
    """Do one job; whatever it raises is answered by the caller."""
    if job == "read":
        return read(Path(words["path"]), int(words["frame"]))
    if job == "thumbnail":
        return thumbnail(Path(words["path"]), int(words["frame"]), int(words["side_px"]))
    if job == "describe":
        return describe(Path(words["path"]))
    if job == "headers":
        return Headers(tuple(_header(Path(path)) for path in words["paths"]))
    if job == "dicomdir":
        return Directory(dicomdir.file_ids(Path(words["path"])))
    raise ValueError(f"unknown job {job[:40]!r}")


# ---------------------------------------------------------------- whole images


def read(path: Path, frame: int) -> Radiograph:
    """One frame of any image file."""
    return plausibility.checked(_read(path, frame))


def _read(path: Path, frame: int) -> Radiograph:
    data = _whole(path)
    digest: list[str] = []
    # Hashing lets go of the interpreter lock, so it costs no time beside the decoding.
    hashing = threading.Thread(target=lambda: digest.append(hashlib.sha256(data).hexdigest()))
    hashing.start()
    try:
        parsed = dicomfile.read_all(data) if dicomfile.looks_like_dicom(data[:HEAD_BYTES]) else None
        if parsed is not None:
            draft = attributes.radiograph(parsed, path, "", frame)
    finally:
        hashing.join()
    if parsed is None:
        return raster.read(path, data, digest[0], frame)
    return attributes.with_digest(draft, parsed, digest[0])


def _whole(path: Path) -> bytes:
    size = _facts(path).size_bytes
    if size > LARGEST_FILE:
        raise faults.file_too_large(size, LARGEST_FILE)
    data = path.read_bytes()
    if not data:
        raise faults.empty_file()
    return data


def _facts(path: Path) -> FileFacts:
    """Asked before opening: opening a pipe or a device may wait for ever."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise faults.not_a_file()
    return FileFacts(path, status.st_size, status.st_mtime_ns)


def thumbnail(path: Path, frame: int, side_px: int) -> str:
    """A PNG in base 64, so that only the small picture crosses to the window's process."""
    import base64

    import cv2

    grey = render.thumbnail(read(path, frame), side_px)
    done, png = cv2.imencode(".png", grey)
    if not done:
        raise faults.damaged("the small picture could not be packed")
    return base64.b64encode(png.tobytes()).decode("ascii")


# ---------------------------------------------------------------- headers


def describe(path: Path) -> FoundImage:
    """One file as the browser lists it, its pixels untouched."""
    facts = _facts(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        if not head:
            raise faults.empty_file()
        if not dicomfile.looks_like_dicom(head):
            return raster.describe(facts, head)
        parsed = dicomfile.read_header(file)
        attributes.check_is_image(parsed)
        digest = ""
        if identity.needs_digest(parsed.header):
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return attributes.found_image(parsed, facts, digest)


def _header(path: Path) -> Header:
    try:
        return Header(describe(path), "", "")
    except CxrError as error:
        return Header(None, error.code, error.summary)
    except Exception as error:
        known: ReadError = faults.from_exception(error)
        return Header(None, known.code, known.summary)
