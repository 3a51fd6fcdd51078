"""What a reader process is asked to do. Every function here runs in the reader process only."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import CxrError, ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.study import FoundImage
from cxr_viewer.imaging import render
from cxr_viewer.sources import (
    archive,
    attributes,
    dicomdir,
    dicomfile,
    faults,
    identity,
    plausibility,
    preview,
    raster,
    tags,
)
from cxr_viewer.sources.answers import Header, Headers, Thumbnail
from cxr_viewer.sources.place import Place

HEAD_BYTES = 4096
Interim = Callable[[object], None]
"""Given what can be answered already, while the whole answer is being made."""


def warm_up() -> None:
    """Load the decoders that every film needs, so that the first one does not wait for them."""
    import pydicom.pixels.decoders  # noqa: F401

    preview.warm_up()


def run(job: str, words: dict[str, Any], interim: Interim | None = None) -> object:
    """Do one job; whatever it raises is answered by the caller."""
    if job == "read":
        return read(Place.of(words), int(words["frame"]), interim if words.get("preview") else None)
    if job == "thumbnail":
        return thumbnail(Place.of(words), int(words["frame"]), int(words["side_px"]))
    if job == "describe":
        return describe(Place.of(words))
    if job == "tags":
        return tags.read(Place.of(words))
    if job == "headers":
        return Headers(tuple(_header(place) for place in Place.all_of(words)))
    if job == "dicomdir":
        return dicomdir.file_ids(Path(words["path"]))
    if job == "archive":
        return archive.contents(Path(words["path"]), tuple(words["passwords"]))
    if job == "unlock":
        return archive.unlocks(Path(words["path"]), words["password"], tuple(words["passwords"]))
    raise ValueError(f"unknown job {job[:40]!r}")


# ---------------------------------------------------------------- whole images


def read(place: Place, frame: int, interim: Interim | None = None) -> Radiograph:
    """One frame of any image file; ``interim`` is given its preview where it has one."""
    return plausibility.checked(_read(place, frame, interim))


def _read(place: Place, frame: int, interim: Interim | None) -> Radiograph:
    data = place.whole()
    digest: list[str] = []
    # Hashing lets go of the interpreter lock, so it costs no time beside the decoding.
    hashing = threading.Thread(target=lambda: digest.append(hashlib.sha256(data).hexdigest()))
    hashing.start()
    try:
        parsed = dicomfile.read_all(data) if dicomfile.looks_like_dicom(data[:HEAD_BYTES]) else None
        if parsed is not None and interim is not None:
            early = preview.attempt(parsed, place.path, frame)
            if early is not None:
                hashing.join()
                interim(attributes.with_digest(early, parsed, digest[0]))
        if parsed is not None:
            draft = attributes.radiograph(parsed, place.path, "", frame)
    finally:
        hashing.join()
    if parsed is None:
        return raster.read(place, data, digest[0], frame)
    return attributes.with_digest(draft, parsed, digest[0])


def thumbnail(place: Place, frame: int, side_px: int) -> Thumbnail:
    """Only the small picture crosses to the window's process."""
    import base64

    import cv2

    image = read(place, frame)
    picture = render.thumbnail(image, side_px)
    done, png = cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)  # cv2 has blue first
    if not done:
        raise faults.damaged("the small picture could not be packed")
    return Thumbnail(image.key, base64.b64encode(png.tobytes()).decode("ascii"))


# ---------------------------------------------------------------- headers


def describe(place: Place) -> FoundImage:
    """One file as the browser lists it, its pixels untouched."""
    facts = place.facts()
    with place.open() as file:
        head = file.read(HEAD_BYTES)
        if not head:
            raise faults.empty_file()
        if not dicomfile.looks_like_dicom(head):
            return raster.describe(place, facts, head)
        parsed = dicomfile.read_header(file)
        attributes.check_is_image(parsed)
        digest = ""
        if identity.needs_digest(parsed.header):
            digest = place.digest()
        return attributes.found_image(parsed, facts, digest)


def _header(place: Place) -> Header:
    try:
        return Header(describe(place), "", "")
    except CxrError as error:
        return Header(None, error.code, error.summary, error.hint)
    except Exception as error:
        known: ReadError = faults.from_exception(error)
        return Header(None, known.code, known.summary, known.hint)
