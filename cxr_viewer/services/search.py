"""Text of patients and studies as people read and search it."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from cxr_viewer.core.image import PatientInfo
from cxr_viewer.core.study import StudyNode

# Letters whose stroke or ligature NFKD keeps, so that "Lodz" finds "Łódź" and "Soren" finds "Søren".
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_IDENTITIES_KEPT = 65_536


def fold(text: str) -> str:
    """``text`` as search compares it: case folded, without accents, ``^`` and ``=`` of a DICOM name as spaces.

    Works for every script: the Cyrillic letters that carry marks match the plain ones, full-width letters match
    half-width ones. Runs of white space become one space.
    """
    text = text.replace("^", " ").replace("=", " ")
    if text.isascii():  # nearly every text is, and this way takes a tenth of the time
        return " ".join(text.lower().split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(mark for mark in decomposed if not unicodedata.combining(mark)).translate(_LETTERS)
    text = text.replace("^", " ").replace("=", " ")  # what carried a mark may have become one of these
    return " ".join(text.casefold().split())


def display_name(name: str) -> str:
    """A DICOM person name (PS3.5 6.2.1) as a reader writes it: ``"Doe, Jane Ann"``.

    Family name, then given and middle names; prefix and suffix are left out as on a worklist. Of several component
    groups (``Yamada^Tarou=山田^太郎``) the first two that are filled are given, the second in brackets. Line breaks
    and other control characters become spaces.
    """
    written = [text for group in name.split("=") if (text := _written(group))]
    if len(written) > 1:
        return f"{written[0]} ({written[1]})"
    return written[0] if written else ""


def _written(group: str) -> str:
    clean = "".join(letter if letter.isprintable() else " " for letter in group)
    parts = [" ".join(part.split()) for part in clean.split("^")]
    given = " ".join(part for part in parts[1:3] if part)
    return ", ".join(part for part in (parts[0], given) if part)


def patient_identity(patient: PatientInfo) -> str:
    """What two records have to share to be listed as one patient: the id and the name, however it is written.

    The id alone does not do, since ids of two hospitals collide. Empty when the file names nobody; such studies belong
    to nobody in common.
    """
    return _identity(patient.patient_id, patient.name)


@lru_cache(_IDENTITIES_KEPT)
def _identity(patient_id: str, name: str) -> str:
    patient_id, name = fold(patient_id), fold(name)
    return f"{patient_id}\n{name}" if patient_id or name else ""


def study_text(study: StudyNode) -> str:
    """Everything the search box looks at, folded: name, id, birth date, study date, descriptions, views, file names."""
    patient = study.patient
    parts = [patient.name, display_name(patient.name), patient.patient_id, study.description]
    for date in (study.date, patient.birth_date):
        if date is not None:
            parts += [date.isoformat(), date.strftime("%Y%m%d"), date.strftime("%d.%m.%Y")]
    for series in study.series:
        parts += [series.modality, series.description]
        parts += [image.view.value for image in series.images]
        parts += [image.path.name for image in series.images if not image.is_dicom]
    return fold(" ".join(dict.fromkeys(part for part in parts if part)))


def matches(text: str, query: str) -> bool:
    """True when every word of ``query`` (already folded) stands somewhere in ``text`` (already folded)."""
    return all(word in text for word in query.split())
