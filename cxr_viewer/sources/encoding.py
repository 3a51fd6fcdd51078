"""How the data set of a file is really written, where its meta information says otherwise.

A sender that changes the one and forgets the other is common. Read as it says, such a file seems to hold nothing at
all. Pixels in fragments are always Explicit VR Little Endian (PS3.5 A.4), so that only the others are judged. Runs in
the reader process only.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from pydicom import uid as uids
from pydicom.valuerep import VR

LOOK: Final = 4096
"""Bytes of the data set that suffice for :func:`actual`."""

_JUDGED: Final = {
    str(uids.ImplicitVRLittleEndian),
    str(uids.ExplicitVRLittleEndian),
    str(uids.ExplicitVRBigEndian),
    str(uids.DeflatedExplicitVRLittleEndian),
}
_VRS: Final = {vr.value.encode() for vr in VR if len(vr.value) == 2}
# What an image begins with: identifying, patient, acquisition, relationship or image (PS3.6), never anything private.
_FIRST_GROUPS: Final = (0x0008, 0x0010, 0x0018, 0x0020, 0x0028)
_LONGEST_FIRST: Final = 1 << 16


def actual(claimed: str, start: bytes) -> str:
    """The transfer syntax in which a data set is written; ``claimed`` wherever nothing speaks plainly against it.

    Args:
        claimed: transfer syntax UID of the file meta information.
        start: the first ``LOOK`` bytes of what follows it.
    """
    if claimed not in _JUDGED or len(start) < 8:
        return claimed
    return plain(start) or (str(uids.DeflatedExplicitVRLittleEndian) if _is_deflated(start) else claimed)


def plain(start: bytes) -> str:
    """The transfer syntax of a data set that is not deflated, by its first element; empty where that is none."""
    if len(start) < 8:
        return ""
    for order, syntax in (("<", uids.ExplicitVRLittleEndian), (">", uids.ExplicitVRBigEndian)):
        group, element = struct.unpack_from(order + "HH", start)
        if group not in _FIRST_GROUPS or element > 0x3FFF:
            continue
        if start[4:6] in _VRS:
            return str(syntax)
        if order == "<" and struct.unpack_from("<I", start, 4)[0] < _LONGEST_FIRST:
            return str(uids.ImplicitVRLittleEndian)
    return ""


def _is_deflated(start: bytes) -> bool:
    try:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(start[:LOOK], 64)
    except zlib.error:
        return False
    return plain(inflated) == uids.ExplicitVRLittleEndian
