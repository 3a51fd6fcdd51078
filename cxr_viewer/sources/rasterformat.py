"""Which raster format a file is, judged by its first bytes, and the tags of TIFF and EXIF. Pure."""

from __future__ import annotations

import struct
from enum import Enum


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


ORIENTATION, PHOTOMETRIC = 274, 262
MIN_IS_WHITE = 0


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
        return None if b"data file:" in head.lower() or b"datafile:" in head.lower() else Format.NRRD
    if head[:10] in (b"ObjectType", b"NDims = 2\n", b"NDims = 3\n"):
        return Format.META if b"ElementDataFile = LOCAL" in head else None
    if lower.endswith(".nii") and head[344:347] in (b"n+1", b"n+2"):
        return Format.NIFTI
    if lower.endswith(".nii.gz") and head[:2] == b"\x1f\x8b":
        return Format.NIFTI
    return None


def tiff_tags(data: bytes) -> dict[int, int]:
    """Short and long tags of the first directory of a classic TIFF, by number; empty where it is broken."""
    try:
        order = {b"II": "<", b"MM": ">"}[data[:2]]
        start = struct.unpack_from(order + "I", data, 4)[0]
        count = struct.unpack_from(order + "H", data, start)[0]
        tags = {}
        for number in range(min(count, 512)):
            tag, kind, _ = struct.unpack_from(order + "HHI", data, start + 2 + 12 * number)
            if kind in (3, 4):
                tags[tag] = int(struct.unpack_from(order + "HI"[kind - 3], data, start + 10 + 12 * number)[0])
        return tags
    except (KeyError, struct.error):
        return {}


def jpeg_orientation(data: bytes) -> int:
    """EXIF orientation of a JPEG, 1 to 8; 1 where there is none."""
    place = 2
    while data[place : place + 1] == b"\xff" and len(data) >= place + 4:
        marker, length = data[place + 1], struct.unpack_from(">H", data, place + 2)[0]
        if marker == 0xE1 and data[place + 4 : place + 10] == b"Exif\0\0":
            value = tiff_tags(data[place + 10 : place + 2 + length]).get(ORIENTATION, 1)
            return value if 1 <= value <= 8 else 1
        if marker == 0xDA or length < 2:
            break
        place += 2 + length
    return 1
