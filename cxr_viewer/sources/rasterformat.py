"""Which raster format a file is, judged by its first bytes, and the tags of TIFF and EXIF. Pure."""

from __future__ import annotations

import math
import re
import struct
from enum import Enum

from cxr_viewer.sources.codestream import segments


class Format(Enum):
    """Raster formats; the value is SimpleITK's reader, or empty where OpenCV reads (ITK fails on most BMP files)."""

    PNG = "PNGImageIO"
    JPEG = "JPEGImageIO"
    TIFF = "TIFFImageIO"
    NIFTI = "NiftiImageIO"
    NRRD = "NrrdImageIO"
    META = "MetaImageIO"
    BMP = "bmp"
    PNM = "pnm"
    WEBP = "webp"

    @property
    def by_itk(self) -> bool:
        return self.value.endswith("ImageIO")


BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION = 258, 262, 274
MIN_IS_WHITE = 0
_NIFTI_MAGIC = 344
_META_FILE = re.compile(rb"ElementDataFile", re.IGNORECASE)
_META_LOCAL = re.compile(rb"(?m)^ElementDataFile[ \t]*=[ \t]*LOCAL[ \t]*\r?$")
_NRRD_FILE = re.compile(rb"data\s*file", re.IGNORECASE)
_ORDERS = {b"II": "<", b"MM": ">"}


def sniff(head: bytes, name: str) -> Format | None:
    """The format of a file that starts with ``head`` (at least 400 bytes where it is that long); None for no image.

    NRRD and MetaImage headers that point to another file are refused: nobody chose that file. NIfTI is told by its name
    as well, because ITK reads it by nothing else.
    """
    lower = name.lower()
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return Format.TIFF
    if head[:2] == b"BM" and len(head) > 26 and struct.unpack_from("<I", head, 14)[0] in (12, 40, 52, 56, 64, 108, 124):
        return Format.BMP
    if head[:2] in (b"P2", b"P5", b"P6") and head[2:3].isspace():
        return Format.PNM
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head.startswith(b"NRRD"):
        return Format.NRRD if is_self_contained(head, Format.NRRD) else None
    if head[:10] in (b"ObjectType", b"NDims = 2\n", b"NDims = 3\n"):
        return Format.META if is_self_contained(head, Format.META) else None
    if lower.endswith(".nii") and head[_NIFTI_MAGIC:].startswith(b"n+1"):
        return Format.NIFTI
    if lower.endswith(".nii.gz") and head[:2] == b"\x1f\x8b":
        return Format.NIFTI
    return None


def is_self_contained(data: bytes, form: Format) -> bool:
    """Whether the pixels stand in the file itself, and no line of its header can be taken for the name of another one.

    Stricter than the formats: a comment that mentions such a line is enough to refuse. Of a NRRD the header ends at the
    first empty line, which must be there.
    """
    if form is Format.META:
        return _META_LOCAL.search(data) is not None and len(_META_FILE.findall(data)) == 1
    if form is Format.NRRD:
        header, end, _ = data.partition(b"\n\n")
        return bool(end) and _NRRD_FILE.search(header) is None
    return True


def has_endless_directories(data: bytes) -> bool:
    """Whether the directories of a TIFF lead back to one of them, which ITK would follow for ever."""
    seen: set[int] = set()
    big = data[2:4] in (b"+\0", b"\0+")
    number, count_of, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    try:
        order = _ORDERS[data[:2]]
        place = int(struct.unpack_from(order + number, data, 8 if big else 4)[0])
        while place and place not in seen:
            seen.add(place)
            count = int(struct.unpack_from(order + count_of, data, place)[0])
            place = int(struct.unpack_from(order + number, data, place + struct.calcsize(count_of) + entry * count)[0])
    except (KeyError, struct.error, OverflowError):
        return False
    return place in seen


def is_grey_with_opacity(head: bytes, form: Format) -> bool:
    """A PNG of colour type 4, which ITK cannot hand out."""
    return form is Format.PNG and head[12:16] == b"IHDR" and head[25:26] == b"\4"


def png_size(head: bytes) -> tuple[int, int]:
    """(rows, columns) of a PNG by its header."""
    columns, rows = struct.unpack_from(">II", head, 16)
    return int(rows), int(columns)


def tiff_tags(data: bytes) -> dict[int, int]:
    """Short and long tags of the first directory of a classic TIFF, by number; empty where it is broken."""
    return {tag: value for tag, (value, _) in _tiff_directory(data).items()}


def with_upright_tag(data: bytes) -> bytes:
    """The TIFF with its orientation tag set to "as stored": ITK half obeys the tag and drops to 8 bits meanwhile."""
    _, place = _tiff_directory(data)[ORIENTATION]
    order = _ORDERS[data[:2]]
    kind = int(struct.unpack_from(order + "H", data, place - 6)[0])
    value = struct.pack(order + "HI"[kind - 3], 1)
    return data[:place] + value + data[place + len(value) :]


def _tiff_directory(data: bytes) -> dict[int, tuple[int, int]]:
    """tag -> (value, where it stands)."""
    try:
        order = _ORDERS[data[:2]]
        start = struct.unpack_from(order + "I", data, 4)[0]
        count = struct.unpack_from(order + "H", data, start)[0]
        tags = {}
        for number in range(min(count, 512)):
            entry = start + 2 + 12 * number
            tag, kind, _ = struct.unpack_from(order + "HHI", data, entry)
            if kind in (3, 4):
                tags[tag] = (int(struct.unpack_from(order + "HI"[kind - 3], data, entry + 8)[0]), entry + 8)
        return tags
    except (KeyError, struct.error):
        return {}


def jpeg_orientation(data: bytes) -> int:
    """EXIF orientation of a JPEG, 1 to 8; 1 where there is none."""
    for place in segments(data):
        if data[place + 1] == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            length = int(struct.unpack_from(">H", data, place + 2)[0])
            value = tiff_tags(data[place + 10 : place + 2 + length]).get(ORIENTATION, 1)
            return value if 1 <= value <= 8 else 1
    return 1


def nifti_length(data: bytes) -> int:
    """Bytes that a NIfTI-1 file must have at least, by its header; 0 where the header is broken."""
    for order in ("<", ">"):
        try:
            count, *sizes = struct.unpack_from(order + "8h", data, 40)
            (bits,) = struct.unpack_from(order + "h", data, 72)
            (offset,) = struct.unpack_from(order + "f", data, 108)
        except struct.error:
            return 0
        if 1 <= count <= 7 and all(size > 0 for size in sizes[:count]) and bits > 0 and 0 <= offset < 1e9:
            return int(offset) + math.prod(int(size) for size in sizes[:count]) * int(bits) // 8
    return 0
