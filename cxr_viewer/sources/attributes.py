"""From a parsed DICOM file to the program's own values: typed, tolerant, without side effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import UID

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.provenance import Stage
from cxr_viewer.core.study import FoundImage, ImageNode
from cxr_viewer.sources import (
    decoder,
    deeppixels,
    faults,
    fragments,
    functional,
    greys,
    identity,
    native,
    overlays,
    pixelformat,
    provenance,
    shutter,
    spacing,
)
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.decoder import DecodedFrame
from cxr_viewer.sources.dicomfile import DicomFile
from cxr_viewer.sources.greys import GreyChain
from cxr_viewer.sources.pixelformat import PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions

RADIOGRAPHS = ("CR", "DX", "RG", "PX", "")
_DICOMDIR = "1.2.840.10008.1.3.10"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file system says of a file, or an archive of its ``member``."""

    path: Path
    size_bytes: int
    modified_ns: int
    member: str = ""


def check_is_image(file: DicomFile) -> None:
    """Raises ReadError with the kind of object where a file holds no picture."""
    ds = file.header
    sop_class = tol.text(ds, "SOPClassUID")
    meta = getattr(ds, "file_meta", None)
    if sop_class == _DICOMDIR or (meta is not None and tol.text(meta, "MediaStorageSOPClassUID") == _DICOMDIR):
        raise faults.dicomdir_is_no_image()
    if sop_class in _SEGMENTATIONS:
        raise faults.holds_no_image("Segmentation")
    if file.pixel_keyword:
        return
    if not sop_class and not tol.has(ds, "Rows") and not file.has_preamble:
        raise faults.not_an_image()
    if tol.has(ds, "Rows") or not sop_class or "Image" in UID(sop_class).name:
        raise faults.no_pixel_data()
    raise faults.holds_no_image(_object_kind(sop_class))


def _object_kind(sop_class: str) -> str:
    name = UID(sop_class).name
    return "unknown kind" if name == sop_class else name.removesuffix(" Storage")[:60]


def radiograph(
    file: DicomFile, path: Path, digest: str, frame: int, decode: Callable[..., DecodedFrame] = decoder.decode_frame
) -> Radiograph:
    """Decode one frame and gather all that is needed to show it.

    Args:
        decode: called like ``decoder.decode_frame``.

    Raises:
        ReadError: no picture, or one that cannot be decoded.
    """
    check_is_image(file)
    cautions = Cautions()
    provenance.tell_file(file, cautions)
    ds = functional.flattened(file.header, frame, cautions)
    form = fragments.frames_there(file.pixels, _format(file, ds, cautions), cautions)
    decoded = decode(ds, _pixels(file), file.syntax, frame, form, cautions, overlays.embedded_bits(ds, form))
    provenance.tell_pixels(ds, form, frame, decoded, cautions)
    grey = _chain(ds, decoded, cautions)
    modality = _modality(ds, cautions)
    film = Radiograph(
        key=identity.image_key(ds, digest, frame),
        path=path,
        stored=decoded.stored,
        bits_stored=decoded.bits_stored,
        photometric=decoded.photometric,
        modality=modality,
        presentation_lut_shape=grey.presentation_lut_shape,
        modality_lut=grey.modality_lut,
        voi=grey.voi,
        overlays=overlays.overlays(ds, decoded.words, frame, form, cautions),
        shutter=shutter.shutter(ds, form.rows, form.columns, cautions),
        padding=grey.padding,
        spacing=spacing.pixel_spacing(ds, modality, cautions),
        view=identity.view(ds, cautions),
        laterality=identity.laterality(ds),
        patient_orientation=identity.patient_orientation(ds),
        body_part=tol.code_string(ds, "BodyPartExamined")[:64],
        units=grey.units,
        frames=form.frames,
        colour=decoded.colour,
        rgb=decoded.rgb,
        patient=identity.patient_info(ds),
        study=identity.study_info(ds),
        source_sha256=digest,
        transfer_syntax=file.syntax,
        decoder=decoded.decoder,
    )
    provenance.tell_orientation(ds, film, cautions)
    return replace(film, cautions=cautions.all(), chain=cautions.story.steps())


def _pixels(file: DicomFile) -> PixelElement:
    if file.pixels is None:
        raise faults.no_pixel_data()
    return file.pixels


def _format(file: DicomFile, ds: Dataset, cautions: Cautions) -> PixelFormat:
    length = file.pixel_length
    form = pixelformat.pixel_format(ds, cautions, length, floating=file.pixel_keyword != "PixelData")
    if file.syntax not in decoder.NATIVE or length in (0, pixelformat.UNDEFINED_LENGTH):
        return form
    # A header alone cannot know whether the file ends before the pixels do.
    there = length if file.pixels is None else min(length, len(file.pixels.data))
    return native.with_frames_there(form, there, cautions)


def _chain(ds: Dataset, decoded: DecodedFrame, cautions: Cautions) -> GreyChain:
    if decoded.as_stored:
        return greys.colour_chain(ds, decoded.bits_stored, cautions)
    grey = greys.grey_chain(ds, decoded.bits_stored, decoded.signed, decoded.photometric, cautions)
    if decoded.scale is not None:
        grey = deeppixels.behind(grey, decoded.scale, cautions)
    if decoded.padding is None or grey.padding is not None:
        return grey
    rule = f"Stored value {decoded.padding} stands for what the truncated file does not hold, and counts as padding."
    cautions.story.tell(Stage.PADDING, rule)
    return replace(grey, padding=(decoded.padding, decoded.padding))


def _modality(ds: Dataset, cautions: Cautions) -> str:
    """The modality, with a caution for each thing about the film as a whole that a reader has to know."""
    modality = tol.code_string(ds, "Modality")[:16]
    if modality not in RADIOGRAPHS:
        cautions.add("modality", f"The file says {modality}, which is not a plain radiograph.", "Modality")
    if tol.code_string(ds, "PresentationIntentType") == "FOR PROCESSING":
        cautions.add(
            "for-processing", "These are raw detector values, not processed for reading.", "PresentationIntentType"
        )
    if tol.code_string(ds, "LossyImageCompression") == "01":
        ratio = tol.number(ds, "LossyImageCompressionRatio")
        degree = f" ({ratio:.0f} : 1)" if ratio and 1 < ratio < 1000 else ""
        cautions.add("lossy", f"The picture was compressed with loss{degree}.", "LossyImageCompression")
    return modality


def found_image(file: DicomFile, facts: FileFacts, digest: str) -> FoundImage:
    """The header as the browser lists it.

    Args:
        digest: sha256 of the file, needed only where :func:`identity.needs_digest` says so.

    Raises:
        ReadError: the file holds no picture.
    """
    check_is_image(file)
    ds, cautions = file.header, Cautions()
    problem, frames = "", 1
    try:
        frames = _format(file, ds, cautions).frames
    except ReadError as error:
        problem = error.summary
    study = identity.study_info(ds)
    node = ImageNode(
        key=identity.image_key(ds, digest, 0),
        path=facts.path,
        rows=_size(ds, "Rows"),
        columns=_size(ds, "Columns"),
        view=identity.view(ds, cautions),
        laterality=identity.laterality(ds),
        modality=tol.code_string(ds, "Modality")[:16],
        body_part=tol.code_string(ds, "BodyPartExamined")[:64],
        instance_number=tol.integer(ds, "InstanceNumber"),
        acquired=tol.time_text(ds, "AcquisitionTime") or tol.time_text(ds, "ContentTime"),
        frames=frames,
        problem=problem,
        member=facts.member,
    )
    return FoundImage(
        image=node,
        patient=identity.patient_info(ds),
        study_date=study.date,
        study_time=study.time,
        study_description=study.description,
        series_description=study.series_description,
        series_number=tol.integer(ds, "SeriesNumber"),
        size_bytes=facts.size_bytes,
        modified_ns=facts.modified_ns,
    )


def _size(ds: Dataset, keyword: str) -> int:
    value = tol.integer(ds, keyword)
    return value if value is not None and 0 < value <= 65535 else 0


def with_digest(image: Radiograph, file: DicomFile, digest: str) -> Radiograph:
    """The same image with the digest of its file, and the identity that may depend on it."""
    return replace(image, source_sha256=digest, key=identity.image_key(file.header, digest, image.key.frame))
