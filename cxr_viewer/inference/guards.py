"""What a model must not look at, and what has to be said beside its score.

Three answers, from the strictest: :func:`refuse` raises (no score at all), :func:`limits` says why a score does not
hold for this film (shown greyed), :func:`cautions` says what could not be checked.

A file's own words are all there is to go by here; what a film looks like is asked in
:mod:`cxr_viewer.inference.guard`.
"""

from __future__ import annotations

import re

import numpy as np

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.core.suitability import CHEST, code_letters, part_text, view_of, view_words, views_text
from cxr_viewer.core.wording import plain
from cxr_viewer.inference.registry import NONE_PUBLISHED, UNPROVEN_CAUTION

SMALLEST_PX = 96
"""Shorter side below which no film is scored: ribs and vessels are no longer resolved."""

_RADIOGRAPHS = frozenset({"CR", "DX", "DR", "RG", "XR"})  # PS3.3 C.7.3.1.1.1; DR and XR are seen in the wild
_MODALITIES = {
    "CT": "a CT image",
    "MR": "an MR image",
    "US": "an ultrasound image",
    "NM": "a nuclear medicine image",
    "PT": "a PET image",
    "MG": "a mammogram",
    "XA": "an angiogram",
    "RF": "a fluoroscopy image",
    "PX": "a panoramic dental film",
    "IO": "a dental film",
    "SEG": "a segmentation",
    "SM": "a microscope slide",
    "OT": "an image of unstated kind",
}
_SPINE = re.compile(r"SPINE|VERTEB|RACHIS|COLUMNA|WIRBEL")  # the thoracic spine is not a chest film
# Body Part Examined (0018,0015), PS3.16 annex L, where it is plainly something else. Other words are left to `limits`.
_ELSEWHERE = re.compile(
    "ABDOMEN|ACETABULUM|ANKLE|ANUS|ARM|AXILLA|BACK|BLADDER|BRAIN|BREAST|BUTTOCK|CALCANEUS|CALF|CALVARIA|CLAVICLE|COCCYX|"
    "COLON|DENTAL|DUODENUM|EAR|ELBOW|ESOPHAGUS|EXTREMITY|EYE|FACE|FEMUR|FIBULA|FINGER|FOOT|FOREARM|GALLBLADDER|GREATTOE|"
    "HAND|HEAD|HIP|HUMERUS|ILEUM|ILIUM|INTESTINE|JAW|JEJUNUM|KIDNEY|KNEE|LEG|LIVER|LOWERLEG|MANDIBLE|MAXILLA|MOUTH|NECK|"
    "NOSE|ORBIT|OVARY|PANCREAS|PAROTID|PATELLA|PELVIS|PENIS|PHARYNX|PROSTATE|RADIUS|RECTUM|SACRUM|SCALP|SCAPULA|SCROTUM|"
    "SELLA|SHOULDER|SIJOINT|SINUS|SKULL|SPLEEN|STOMACH|TEETH|TESTIS|THIGH|THUMB|THYROID|TIBIA|TMJ|TOE|TONGUE|TOOTH|ULNA|"
    "UPPERARM|UTERUS|WRIST|ZYGOMA"
)


def refuse(image: Radiograph) -> None:
    """Let chest radiographs pass.

    Raises:
        RefusalError: with a sentence, a hint and one of the codes ``wrong-modality``, ``multi-frame``,
            ``colour-image``, ``wrong-body-part``, ``preview``, ``damaged-film``, ``too-small``, ``blank-image``.
    """
    modality = code_letters(image.modality)
    if image.is_dicom and modality and modality not in _RADIOGRAPHS:
        what = _MODALITIES.get(modality)
        named = f"{what} ({modality})" if what else f"of modality “{plain(image.modality)[:16]}”"
        raise RefusalError(
            f"The file says it is {named}; the model looks at plain chest radiographs only.",
            hint="If the film is a chest radiograph all the same, its Modality (0008,0060) has to be corrected first.",
            code="wrong-modality",
        )
    if image.frames > 1:
        raise RefusalError(
            f"The file holds {image.frames} frames; the model looks at single films only.",
            hint="Open a single radiograph.",
            code="multi-frame",
        )
    if image.colour:
        raise RefusalError(
            "This is a colour picture; the model looks at grey radiographs only.",
            hint="Open the original film rather than a photograph or a screen shot of it.",
            code="colour-image",
        )
    if _elsewhere(image.body_part):
        raise RefusalError(
            f"The file says it shows {part_text(image)}; the model looks at chest films only.",
            hint="If it is a chest film all the same, its Body Part Examined (0018,0015) has to be corrected first.",
            code="wrong-body-part",
        )
    _refuse_incomplete(image)
    _refuse_pixels(image)


def cautions(card: ModelCard, image: Radiograph, check: FilmCheck | None = None) -> tuple[Caution, ...]:
    """What the reader has to know because it could not be checked.

    Args:
        check: what the film looks like, where that was asked.
    """
    found = []
    view, asked = view_of(image, check), card.intended_views or any(label.views for label in card.labels)
    by_looks = image.view is View.UNKNOWN and view is not View.UNKNOWN
    if card.proof is not None and card.proof.kind == NONE_PUBLISHED:
        found.append(Caution("unproven", UNPROVEN_CAUTION))
    if asked and by_looks:
        text = f"This is {view_words(view, check)}."
        found.append(Caution("view-by-looks", text, "ViewPosition (0018,5101)"))
    if not image.is_dicom:
        unknown = "age and polarity" if asked and by_looks else "age, view and polarity"
        found.append(Caution("not-dicom", f"This picture is not DICOM: {unknown} are unknown."))
    else:
        if card.intended_views and view is View.UNKNOWN:
            text = f"The file does not say which view this is; the model was trained on {views_text(card)} films."
            found.append(Caution("view-unknown", text, "ViewPosition (0018,5101)"))
        if not code_letters(image.modality):
            text = "The file does not say that it is a radiograph."
            found.append(Caution("modality-unknown", text, "Modality (0008,0060)"))
    return tuple(found)


def _refuse_incomplete(image: Radiograph) -> None:
    if image.preview:
        raise RefusalError(
            "Only a preview of the film is there yet; the model looks at whole films.",
            hint="Wait until the film is there in full.",
            code="preview",
        )
    if image.damaged:
        raise RefusalError(
            "A part of this film is missing or damaged, so the model does not score it.",
            hint="Copy or send the file again from where it came from.",
            code="damaged-film",
        )


def _refuse_pixels(image: Radiograph) -> None:
    if min(image.rows, image.columns) < SMALLEST_PX:
        raise RefusalError(
            f"The image is too small for the model ({image.columns} x {image.rows} pixels).",
            hint=f"At least {SMALLEST_PX} pixels on the shorter side are needed.",
            code="too-small",
        )
    step = max(1, min(image.rows, image.columns) // 256)
    sample = image.stored[::step, ::step].astype(np.int32).ravel()
    if image.padding is not None:
        low, high = image.padding
        sample = sample[(sample < low) | (sample > high)]
    if sample.size == 0 or np.ptp(np.percentile(sample, (1, 99))) == 0:
        raise RefusalError(
            "The image is blank: nearly all of its pixels have the same value.",
            hint="Check whether the right file was opened.",
            code="blank-image",
        )


def _elsewhere(body_part: str) -> bool:
    """The stated part is plainly not the chest; words that are merely unknown are not counted."""
    whole = code_letters(body_part)
    if _SPINE.search(whole):
        return True
    words = {whole, *(code_letters(word) for word in re.split(r"[\W_]+", body_part))}
    return not CHEST.search(whole) and any(_ELSEWHERE.fullmatch(word) for word in words)
