"""The chain of a film that brought none, from what is known of it: pictures that are not DICOM, for the most part."""

from __future__ import annotations

from cxr_viewer.core.image import ModalityTable, Radiograph
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.core.wording import number_text, plain, voi_text
from cxr_viewer.imaging import luts


def plain_chain(image: Radiograph) -> tuple[ChainStep, ...]:
    """The steps without the attributes they went by, because nobody noted them."""
    steps = [
        ChainStep(Stage.FILE, _file(image)),
        ChainStep(Stage.PIXELS, _pixels(image)),
        ChainStep(Stage.MODALITY, _modality(image), "PS3.3 C.11.1" if image.is_dicom else ""),
        ChainStep(Stage.VOI, _voi(image), "PS3.3 C.11.2" if image.voi else ""),
        ChainStep(Stage.PRESENTATION, _presentation(image), "PS3.3 C.7.6.3.1.2" if image.is_dicom else ""),
    ]
    if image.padding is not None:
        low, high = image.padding
        span = f"{low}" if low == high else f"{low} to {high}"
        steps.append(ChainStep(Stage.PADDING, f"Stored values of {span} are padding, not film.", "PS3.3 C.7.5.1.1.2"))
    if image.overlays:
        steps.append(ChainStep(Stage.OVERLAYS, f"The file holds {len(image.overlays)} overlays.", "PS3.3 C.9.2"))
    if image.shutter is not None:
        steps.append(ChainStep(Stage.SHUTTER, "The file covers a part of the film.", "PS3.3 C.7.6.11"))
    if image.patient_orientation is not None:
        right, bottom = image.patient_orientation
        words = f"Right edge {plain(right)}, bottom edge {plain(bottom)}; shown as stored."
        steps.append(ChainStep(Stage.ORIENTATION, words, "PS3.3 C.7.6.1.1.1"))
    return tuple(steps)


def _file(image: Radiograph) -> str:
    if not image.is_dicom:
        return "A picture, not DICOM: it says nothing of windows, polarity, millimetres or the patient."
    frames = f", frame {image.key.frame + 1} of {image.frames}" if image.frames > 1 else ""
    return f"A DICOM image{frames}."


def _pixels(image: Radiograph) -> str:
    signed = ", signed" if image.stored.dtype.kind == "i" else ""
    colour = " Its colours are shown as they are." if image.rgb is not None else ""
    colour = colour or (" Its colours were turned to grey." if image.colour else "")
    return f"{image.columns} x {image.rows} pixels, {image.bits_stored} bits stored{signed}.{colour}"


def _modality(image: Radiograph) -> str:
    lut = image.modality_lut
    if isinstance(lut, ModalityTable):
        return f"A table of {lut.values.size} entries turns stored values into the values shown below the pointer."
    if (lut.slope, lut.intercept) == (1.0, 0.0):
        return "Stored values are used as they are."
    return f"Stored values are multiplied by {number_text(lut.slope)}, then {number_text(lut.intercept)} is added."


def _voi(image: Radiograph) -> str:
    if image.opening is not None:
        return f"The file's own would show nothing, so the film opens with another window: {voi_text(image.opening)}."
    if not image.voi:
        return "The file offers none: the film opens from its lowest to its highest value."
    others = f" The file offers {len(image.voi)} in all." if len(image.voi) > 1 else ""
    return f"The file's first opens the film: {voi_text(image.voi[0])}.{others}"


def _presentation(image: Radiograph) -> str:
    shape = image.presentation_lut_shape
    says = f"{image.photometric}{f', Presentation LUT Shape {shape}' if shape else ''}"
    return f"{says}: {'low values are bright' if luts.inverts(image) else 'low values are dark'}."
