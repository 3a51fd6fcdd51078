"""A DICOM file taken apart up to its pixels. Runs in the reader process only.

Only the attributes the program knows are kept, and parsing stops at the pixel data, so that private elements, damage
behind the picture and the size of the picture cost nothing.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from pydicom import config
from pydicom import uid as uids
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.tag import BaseTag

from cxr_viewer.sources import faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.decoder import PixelElement

MAGIC_OFFSET = 128
INFLATED_LIMIT = 1 << 29
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
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
SharedFunctionalGroupsSequence
"""
_TAGS: list[BaseTag | int] = [tag for tag in map(tag_for_keyword, _KEYWORDS.split()) if tag is not None]

config.settings.reading_validation_mode = config.IGNORE


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """Header and place of the pixels.

    Attributes:
        syntax: transfer syntax UID; empty where the file has none.
        pixel_keyword: ``"PixelData"``, one of its floating point kin, or empty.
        pixels: None in a header-only reading, or where the file holds none.
    """

    header: Dataset
    syntax: str
    pixel_keyword: str
    pixels: PixelElement | None


def looks_like_dicom(start: bytes) -> bool:
    """Judged by the first 132 bytes or more; also files without preamble, as older systems wrote them."""
    if start[MAGIC_OFFSET : MAGIC_OFFSET + 4] == b"DICM":
        return True
    if len(start) < 8:
        return False
    for order in ("<", ">"):
        group, element = struct.unpack_from(order + "HH", start)
        if (group == 2 and element <= 3) or (group == 8 and element <= 0x20):
            return (start[4:6].isalpha() and start[4:6].isupper()) or struct.unpack_from("<I", start, 4)[0] <= 256
    return False


def read_header(file: BinaryIO) -> DicomFile:
    """Header of an open file, without reading its pixels. ``pixels`` is None."""
    return _parse(file, keep_pixels=False)


def read_all(data: bytes) -> DicomFile:
    """Header and pixels of a whole file.

    Raises:
        ReadError: a deflated file that inflates beyond all measure.
        Exception: whatever pydicom raises on damage; the caller turns it into a sentence.
    """
    return _parse(io.BytesIO(data), keep_pixels=True)


def _parse(file: BinaryIO, *, keep_pixels: bool) -> DicomFile:
    met: list[tuple[int, str | None, int]] = []

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) in _PIXELS:
            met.append((int(tag), vr, length))
        return int(tag) >= 0x7FE00008

    header, syntax, source = _read(file, at_pixels)
    keyword = _PIXELS[met[0][0]] if met else ""
    pixels = None
    if keep_pixels and met and isinstance(source, io.BytesIO):
        _, vr, length = met[0]
        little = syntax != uids.ExplicitVRBigEndian and bool(header.original_encoding[1] in (True, None))
        start = source.tell() + (12 if vr in _LONG_VRS else 8)
        pixels = PixelElement(source.getbuffer()[start:], length, little)
    return DicomFile(header, syntax, keyword, pixels)


def _read(file: BinaryIO, stop_when: Callable[[BaseTag, str | None, int], bool]) -> tuple[Dataset, str, BinaryIO]:
    """(data set, transfer syntax, the stream it was read from)."""
    inflated = _inflated(file)
    if inflated is not None:
        stream = io.BytesIO(inflated)
        return (
            read_dataset(stream, False, True, stop_when=stop_when, specific_tags=_TAGS),
            (uids.DeflatedExplicitVRLittleEndian),
            stream,
        )
    file.seek(0)
    ds = read_partial(file, stop_when=stop_when, force=True, specific_tags=_TAGS)
    meta = getattr(ds, "file_meta", None)
    syntax = tol.text(meta, "TransferSyntaxUID") if isinstance(meta, FileMetaDataset) else ""
    return ds, syntax, file


def _inflated(file: BinaryIO) -> bytes | None:
    """The data set of a deflated file, inflated with a limit (pydicom's own has none); None for every other file."""
    file.seek(0)
    start = file.read(MAGIC_OFFSET + 1024)
    if start[MAGIC_OFFSET : MAGIC_OFFSET + 4] != b"DICM" or uids.DeflatedExplicitVRLittleEndian.encode() not in start:
        return None
    place = MAGIC_OFFSET + 4
    tag_vr, length = start[place : place + 6], struct.unpack_from("<H", start, place + 6)[0]
    if tag_vr != b"\x02\x00\x00\x00UL" or length != 4:
        return None
    end = place + 12 + int(struct.unpack_from("<I", start, place + 8)[0])
    syntax_at = start.find(b"\x02\x00\x10\x00UI")
    if uids.DeflatedExplicitVRLittleEndian.encode() not in start[syntax_at : syntax_at + 40]:
        return None
    file.seek(end)
    packed = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(packed, INFLATED_LIMIT)
    except zlib.error as error:
        raise faults.damaged(f"deflate: {error}") from error
    if inflater.unconsumed_tail:
        raise faults.too_large_for_memory("deflated data beyond the limit")
    return plain
