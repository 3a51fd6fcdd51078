"""Steps of the story that are no decision of one module: the file, its pixels, its orientation."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import UID

from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import functional
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.decoder import DecodedFrame
from cxr_viewer.sources.dicomfile import DicomFile
from cxr_viewer.sources.pixelformat import PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_PIXEL_TAGS = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "NumberOfFrames",
)
_VIEWS = {View.UNKNOWN: "not known", View.LATERAL: "lateral", View.OTHER: "another than PA, AP or lateral"}
_VIEW_TAGS = ("PatientOrientation", "ViewPosition", "ViewCodeSequence", "ImageLaterality", "Laterality")


def _name(uid: str) -> str:
    """A UID in words, as far as the dictionary knows it."""
    return (UID(uid).name or uid)[:120]


def tell_file(file: DicomFile, cautions: Cautions) -> None:
    ds = file.header
    sop_class = tol.text(ds, "SOPClassUID")
    kind = _name(sop_class) if sop_class else "an image of unstated kind"
    enhanced = ", whose grey chain stands in functional groups" if functional.is_enhanced(sop_class) else ""
    syntax = _name(file.syntax) if file.syntax else "no stated transfer syntax"
    meta = getattr(ds, "file_meta", None)
    tags = tol.tag_values(meta, "TransferSyntaxUID") if meta is not None else ()
    tags += tol.tag_values(ds, "SOPClassUID", "Modality", "PresentationIntentType", "LossyImageCompression")
    reference = "PS3.3 A.1.4, PS3.5 A" if not enhanced else "PS3.3 C.7.6.16, PS3.5 A"
    cautions.story.tell(Stage.FILE, f"The file is {kind}{enhanced}, stored as {syntax}.", reference, tags)
    if file.claimed:
        text = f"The file says that it is written as {_name(file.claimed)}, but is {syntax}, and is read as that."
        cautions.add("wrong-syntax", text, "TransferSyntaxUID")
        cautions.story.pass_over(Stage.FILE, f"The Transfer Syntax UID of {_name(file.claimed)} is passed over.")
    if file.unknown_letters:
        text = "The file does not say rightly which letters its texts are written in: names may be unreadable."
        cautions.add("character-set", text, "SpecificCharacterSet")


def tell_pixels(ds: Dataset, form: PixelFormat, frame: int, decoded: DecodedFrame, cautions: Cautions) -> None:
    sign = "signed" if decoded.signed else "unsigned"
    rule = f"{form.columns} x {form.rows} pixels of {decoded.bits_stored} bits, {sign}, {form.photometric}."
    if form.frames > 1:
        rule += f" Frame {frame + 1} of {form.frames}."
    lowest = form.high_bit + 1 - form.bits_stored
    if lowest:
        rule += f" The lowest {lowest} bits of each word are left out, as High Bit says."
    if decoded.bits_stored != form.bits_stored and not decoded.as_stored:
        why = f"Bits Stored of {form.bits_stored} is left out: the decoded values have {decoded.bits_stored} bits."
        cautions.story.pass_over(Stage.PIXELS, why)
    if decoded.rgb is not None:
        rule += " They are shown in their colours."
    cautions.story.tell(Stage.PIXELS, rule, "PS3.3 C.7.6.3", tol.tag_values(ds, *_PIXEL_TAGS))


def tell_orientation(ds: Dataset, film: Radiograph, cautions: Cautions) -> None:
    tags = tol.tag_values(ds, *_VIEW_TAGS)
    if film.patient_orientation is not None:
        right, bottom = film.patient_orientation
        rule = f"The right edge lies towards {right}, the bottom edge towards {bottom}, as the file says."
    else:
        rule = "The file does not say which side is which; the film is shown as it is stored."
        if tol.has(ds, "PatientOrientation"):
            cautions.story.pass_over(Stage.ORIENTATION, "Patient Orientation holds no two directions.")
    view = _VIEWS.get(film.view, film.view.value)
    cautions.story.tell(Stage.ORIENTATION, f"{rule} The view is {view}.", "PS3.3 C.7.6.1.1.1", tags)
