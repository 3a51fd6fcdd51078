"""A DICOM file taken apart up to its pixels. Runs in the reader process only.

Only the attributes the program knows are kept, and parsing stops at the pixel data, so that private elements, damage
behind the picture and the size of the picture cost nothing.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from typing import BinaryIO

from pydicom import config
from pydicom import uid as uids
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag

from cxr_viewer.sources import encoding, faults, overlays, quickheader
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.pixelformat import PixelElement

MAGIC_OFFSET = 128
INFLATED_LIMIT = 1 << 29
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_HEADER_LIMIT = 1 << 24
_CHARACTER_SET = ((b"\x08\0\x05\0", b"\x08\0\x06\0"), (b"\0\x08\0\x05", b"\0\x08\0\x06"))
_LONG_VRS = {"OB", "OW", "OF", "OD", "OL", "OV", "UN", "UT", "SQ", "UC", "UR"}

_KEYWORDS = """
SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate SeriesDate AcquisitionDate ContentDate StudyTime
AcquisitionTime ContentTime AccessionNumber Modality PresentationIntentType InstitutionName StudyDescription
SeriesDescription PatientName PatientID PatientBirthDate PatientSex PatientAge BodyPartExamined ProtocolName
ImagerPixelSpacing EstimatedRadiographicMagnificationFactor NominalScannedPixelSpacing ViewPosition ViewCodeSequence
AcquisitionDeviceProcessingDescription PerformedProcedureStepDescription StudyInstanceUID SeriesInstanceUID SeriesNumber
InstanceNumber PatientOrientation Laterality ImageLaterality SamplesPerPixel PhotometricInterpretation
PlanarConfiguration NumberOfFrames Rows Columns PixelAspectRatio BitsAllocated BitsStored HighBit PixelRepresentation
PixelPaddingValue PixelPaddingRangeLimit PixelSpacing PixelSpacingCalibrationType WindowCenter WindowWidth
WindowCenterWidthExplanation VOILUTFunction RescaleIntercept RescaleSlope RescaleType ModalityLUTSequence
VOILUTSequence LossyImageCompression LossyImageCompressionRatio PresentationLUTShape PresentationLUTSequence
RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""
_SHOWN = """
SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
SegmentedBluePaletteColorLookupTableData ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge
ShutterUpperHorizontalEdge ShutterLowerHorizontalEdge CenterOfCircularShutter RadiusOfCircularShutter
VerticesOfThePolygonalShutter ShutterPresentationValue
"""
"""What only a picture on screen needs, so that listing files does not read it."""


def _tags(keywords: str) -> list[BaseTag | int]:
    return [tag for tag in map(tol.tag_of, keywords.split()) if tag is not None]


_LISTED: list[BaseTag | int] = _tags(_KEYWORDS)
_LISTED_BY_NUMBER = {int(tag): tol.the_tag(int(tag)) for tag in _LISTED}
_TAGS: list[BaseTag | int] = [*_LISTED, *_tags(_SHOWN), *overlays.TAGS]

config.settings.reading_validation_mode = config.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """Header and place of the pixels.

    Attributes:
        syntax: transfer syntax UID in which the data set is written; empty where the file has none.
        pixel_keyword: ``"PixelData"``, one of its floating point kin, or empty.
        pixel_length: as the element of the pixels declares it, 0 where there is none.
        pixels: None in a header-only reading, or where the file holds none.
        has_preamble: the file says itself that it is DICOM.
        unknown_letters: its Specific Character Set cannot be used, and was passed over.
        claimed: the other transfer syntax that the file says it has; empty where it says rightly.
    """

    header: Dataset
    syntax: str
    pixel_keyword: str
    pixels: PixelElement | None
    has_preamble: bool
    pixel_length: int = 0
    unknown_letters: bool = False
    claimed: str = ""


def looks_like_dicom(start: bytes) -> bool:
    """Judged by the first 132 bytes or more; also files without preamble, as older systems wrote them.

    Those begin with group 2 or 8, then a VR or the length of a short value. What is taken for DICOM wrongly is found to
    hold no image later.
    """
    if start[MAGIC_OFFSET : MAGIC_OFFSET + 4] == b"DICM":
        return True
    if len(start) < 8:
        return False
    for order in ("<", ">"):
        group, element = struct.unpack_from(order + "HH", start)
        if (group == 2 and element <= 0x0102) or (group == 8 and element <= 0x1000):
            explicit = start[4:6].isalpha() and start[4:6].isupper()
            return explicit or int(struct.unpack_from(order + "I", start, 4)[0]) <= 256
    return False


def read_header(file: BinaryIO) -> DicomFile:
    """Header of an open file, without reading its pixels; ``pixels`` is None. Raises like :func:`read_all`."""
    file.seek(0)
    packed = _deflated_from(file.read(MAGIC_OFFSET + 1024))
    if packed:
        file.seek(packed)
        start = file.read(8)
        if not encoding.plain(start):
            return _parse_inflated(inflate(start + file.read()), keep_pixels=False)
    quick = quickheader.read(file, _LISTED_BY_NUMBER)
    if quick is not None:
        return DicomFile(quick.header, quick.syntax, quick.pixel_keyword, None, True, quick.pixel_length)
    return _parse(file, None)


def read_all(data: bytes) -> DicomFile:
    """Header and pixels of a whole file.

    Raises:
        ReadError: a deflated file that is broken or inflates beyond all measure.
        Exception: whatever pydicom raises on damage; the caller turns it into a sentence.
    """
    packed = _deflated_from(data[: MAGIC_OFFSET + 1024])
    if packed and not encoding.plain(data[packed : packed + 8]):
        return _parse_inflated(inflate(data[packed:]), keep_pixels=True)
    return _parse(io.BytesIO(data), data)


class _Stop:
    """Ends parsing at the pixel data and remembers what it met."""

    def __init__(self) -> None:
        self.keyword, self.vr, self.length = "", "", 0

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) in _PIXELS:
            self.keyword, self.vr, self.length = _PIXELS[int(tag)], vr or "", length
        return int(tag) >= min(_PIXELS)


@dataclass(frozen=True, slots=True)
class _Other:
    """A data set that is written otherwise than the meta information says, and where it begins."""

    meta: FileMetaDataset
    claimed: str
    actual: str
    place: int


def _otherwise(file: BinaryIO) -> _Other | None:
    found = quickheader.read_meta(file)
    if found is None:
        return None
    meta, claimed, place = found
    file.seek(place)
    actual = encoding.actual(claimed, file.read(encoding.LOOK))
    return None if actual == claimed else _Other(meta, claimed, actual, place)


def _parse(file: BinaryIO, data: bytes | None) -> DicomFile:
    other = _otherwise(file)
    if other is not None and other.actual == uids.DeflatedExplicitVRLittleEndian:
        file.seek(other.place)
        parsed = _parse_inflated(inflate(file.read()), keep_pixels=data is not None)
        return _told(parsed, other)
    try:
        return _parse_once(file, data, other)
    except Exception:
        file.seek(0)
        harmless = _without_character_set(file.read(_HEADER_LIMIT) if data is None else data)
        if harmless is None:
            raise
        return replace(_parse_once(io.BytesIO(harmless), data, other), unknown_letters=True)


def _told(file: DicomFile, other: _Other) -> DicomFile:
    file.header.file_meta = other.meta
    return replace(file, claimed=other.claimed)


def _parse_once(file: BinaryIO, data: bytes | None, other: _Other | None) -> DicomFile:
    stop, wanted = _Stop(), _LISTED if data is None else _TAGS
    if other is not None:
        file.seek(other.place)
        implicit, little = other.actual == uids.ImplicitVRLittleEndian, other.actual != uids.ExplicitVRBigEndian
        ds = read_dataset(file, implicit, little, stop_when=stop, specific_tags=wanted)
        pixels = _pixels(stop, ds, file.tell(), data)
        return _told(DicomFile(ds, other.actual, stop.keyword, pixels, True, stop.length), other)
    file.seek(0)
    ds = read_partial(file, stop_when=stop, force=True, specific_tags=wanted)
    meta = getattr(ds, "file_meta", None)
    syntax = tol.text(meta, "TransferSyntaxUID") if isinstance(meta, FileMetaDataset) else ""
    preamble = getattr(ds, "preamble", None) is not None
    return DicomFile(ds, syntax, stop.keyword, _pixels(stop, ds, file.tell(), data), preamble, stop.length)


def _parse_inflated(data: bytes, *, keep_pixels: bool) -> DicomFile:
    try:
        return _parse_inflated_once(data, data, keep_pixels=keep_pixels)
    except Exception:
        harmless = _without_character_set(data)
        if harmless is None:
            raise
        return replace(_parse_inflated_once(harmless, data, keep_pixels=keep_pixels), unknown_letters=True)


def _parse_inflated_once(header: bytes, data: bytes, *, keep_pixels: bool) -> DicomFile:
    stop, stream = _Stop(), io.BytesIO(header)
    ds = read_dataset(stream, False, True, stop_when=stop, specific_tags=_TAGS if keep_pixels else _LISTED)
    pixels = _pixels(stop, ds, stream.tell(), data if keep_pixels else None)
    return DicomFile(ds, uids.DeflatedExplicitVRLittleEndian, stop.keyword, pixels, True, stop.length)


def _without_character_set(data: bytes) -> bytes | None:
    """The same bytes with the first Specific Character Set (0008,0005) under another number; None where there is none.

    pydicom raises at a value that is no text or holds NUL bytes, and with it the whole file would be lost.
    """
    found = [(place, other) for tag, other in _CHARACTER_SET if (place := data.find(tag, 0, _HEADER_LIMIT)) >= 0]
    if not found:
        return None
    place, other = min(found)
    return data[:place] + other + data[place + len(other) :]


def _pixels(stop: _Stop, ds: Dataset, element_at: int, data: bytes | None) -> PixelElement | None:
    if data is None or not stop.keyword:
        return None
    little = ds.original_encoding[1] is not False
    value_at = element_at + (12 if stop.vr in _LONG_VRS else 8)
    return PixelElement(memoryview(data)[value_at:], stop.length, little, not little and stop.vr == "OW")


# ---------------------------------------------------------------- deflated files


def _deflated_from(start: bytes) -> int:
    """Where the deflated data set of a file begins, 0 for a file that is not deflated."""
    syntax_at = start.find(b"\x02\x00\x10\x00UI")
    if start[MAGIC_OFFSET : MAGIC_OFFSET + 4] != b"DICM" or syntax_at < 0:
        return 0
    length = struct.unpack_from("<H", start, syntax_at + 6)[0]
    if start[syntax_at + 8 :][:length].rstrip(b"\0 ") != uids.DeflatedExplicitVRLittleEndian.encode():
        return 0
    place = MAGIC_OFFSET + 4
    if start[place : place + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        raise faults.damaged("deflated, and the length of the file meta information is missing")
    return place + 12 + int(struct.unpack_from("<I", start, place + 8)[0])


def inflate(packed: bytes) -> bytes:
    """Inflated with a limit: pydicom's own has none, and 1 MB can hold 1 GiB. Films shrink to a tenth at best."""
    limit = min(INFLATED_LIMIT, (1 << 24) + 100 * len(packed))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(packed, limit)
    except zlib.error as error:
        raise faults.damaged(f"deflate: {error}") from error
    if inflater.unconsumed_tail:
        raise faults.too_large_for_memory(f"deflated data of {len(packed)} bytes hold more than {limit}")
    return plain
