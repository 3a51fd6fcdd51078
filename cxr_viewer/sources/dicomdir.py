"""The files a DICOMDIR names (PS3.10 8, PS3.3 F.5). Runs in the reader process only."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pydicom.tag import Tag

from cxr_viewer.sources import faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.answers import MAX_RECORDS, Directory

LARGEST_BYTES = 1 << 28
_IMAGES = "IMAGE"


def file_ids(path: Path) -> Directory:
    """Referenced File IDs of the image records, in the order of the disc, as they stand: nothing is resolved here.

    Of more than ``MAX_RECORDS`` records the first are taken.

    Raises:
        ReadError: the file is no DICOMDIR.
    """
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise faults.file_too_large(size, LARGEST_BYTES)
    ds = pydicom.dcmread(path, force=True, specific_tags=[Tag("DirectoryRecordSequence")])
    records = tol.items(ds, "DirectoryRecordSequence", limit=MAX_RECORDS + 1)
    found = tuple(
        tuple(tol.strings(record, "ReferencedFileID"))
        for record in records[:MAX_RECORDS]
        if tol.code_string(record, "DirectoryRecordType") == _IMAGES and tol.has(record, "ReferencedFileID")
    )
    if not found and "DirectoryRecordSequence" not in ds:
        raise faults.not_an_image(path.name)
    return Directory(found, cut=len(records) > MAX_RECORDS)
