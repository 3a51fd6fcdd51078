"""Who, when and which view: patient, study and the identity of an image, from a data set that may hold anything."""

from __future__ import annotations

import datetime as dt
import re

from pydicom.dataset import Dataset

from cxr_viewer.core.image import ImageKey, PatientInfo, StudyInfo, View
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions
from cxr_viewer.sources.words import synthetic_uid

OLDEST_AGE_YEARS = 130.0
_AGE = re.compile(r"([0-9]{1,3}) ?([DWMY]?)")
_YEARS_PER = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}

_POSITIONS = {
    "PA": View.PA,
    "AP": View.AP,
    "LL": View.LATERAL,
    "RL": View.LATERAL,
    "LAT": View.LATERAL,
    "LATERAL": View.LATERAL,
    "L": View.LATERAL,
    "R": View.LATERAL,
}
# Codes of CID 4010 "DX View", SNOMED CT and the older SNOMED RT.
_VIEW_CODES = {
    "399348003": View.AP,
    "R-10206": View.AP,
    "272479007": View.PA,
    "R-10214": View.PA,
    "399067008": View.LATERAL,
    "R-102CD": View.LATERAL,
    "399173006": View.LATERAL,
    "R-10236": View.LATERAL,
    "399198007": View.LATERAL,
    "R-10232": View.LATERAL,
}
_WORDS = (
    (View.LATERAL, re.compile(r"\b(lat|lateral|latero|profil|seitlich|seitl|ll|rl|llat|rlat)\b")),
    (View.PA, re.compile(r"\b(pa|p\.a|postero-?anterior|posteroanterior)\b")),
    (View.AP, re.compile(r"\b(ap|a\.p|antero-?posterior|anteroposterior)\b")),
    (View.OTHER, re.compile(r"\b(decub|decubitus|oblique|lordotic|apical|rao|lao|lpo|rpo)\b")),
)


def image_key(ds: Dataset, digest: str, frame: int) -> ImageKey:
    """Identity of one frame; what the file leaves out is derived from ``digest`` (sha256 of the file), which is
    therefore needed only where :func:`needs_digest` says so."""
    study = tol.uid(ds, "StudyInstanceUID") or synthetic_uid("study", digest)
    series = tol.uid(ds, "SeriesInstanceUID") or synthetic_uid("series", digest)
    sop = tol.uid(ds, "SOPInstanceUID") or synthetic_uid("image", digest)
    return ImageKey(study, series, sop, frame)


def needs_digest(ds: Dataset) -> bool:
    return not all(tol.text(ds, f"{level}InstanceUID") for level in ("Study", "Series", "SOP"))


def patient_info(ds: Dataset) -> PatientInfo:
    sex = tol.code_string(ds, "PatientSex")[:1]
    birth = tol.date(ds, "PatientBirthDate")
    return PatientInfo(
        patient_id=tol.text(ds, "PatientID"),
        name=person_name(tol.text(ds, "PatientName")),
        birth_date=birth,
        sex=sex if sex in ("M", "F", "O") else "",
        age_years=_age(ds, birth),
    )


def person_name(value: str) -> str:
    """``"Doe^Jane^M^Dr"`` as ``"Doe, Jane M Dr"``; of several scripts the first that is filled (PS3.5 6.2.1)."""
    script = next((part for part in value.split("=") if part.strip("^ ")), "")
    parts = [part.strip() for part in script.split("^")]
    given = " ".join(part for part in parts[1:] if part)
    return ", ".join(part for part in (parts[0], given) if part)


def _age(ds: Dataset, birth: dt.date | None) -> float | None:
    """Age at the time of the film, years: Patient's Age, else the time since birth; None where implausible."""
    match = _AGE.fullmatch(tol.code_string(ds, "PatientAge"))
    age: float | None = None
    if match:
        age = int(match.group(1)) * _YEARS_PER[match.group(2)]
    else:
        taken = tol.date(ds, "AcquisitionDate") or tol.date(ds, "StudyDate") or tol.date(ds, "ContentDate")
        if birth and taken:
            age = (taken - birth).days / 365.25
    return age if age is not None and 0 <= age <= OLDEST_AGE_YEARS else None


def study_info(ds: Dataset) -> StudyInfo:
    return StudyInfo(
        date=tol.date(ds, "StudyDate") or tol.date(ds, "SeriesDate") or tol.date(ds, "AcquisitionDate"),
        time=tol.time_text(ds, "StudyTime"),
        description=tol.text(ds, "StudyDescription"),
        series_description=tol.text(ds, "SeriesDescription"),
        accession_number=tol.text(ds, "AccessionNumber"),
        institution=tol.text(ds, "InstitutionName"),
    )


def patient_orientation(ds: Dataset) -> tuple[str, str] | None:
    """Towards the right and the bottom edge; None unless both are directions (PS3.3 C.7.6.1.1.1)."""
    values = [value.upper() for value in tol.strings(ds, "PatientOrientation")]
    if len(values) != 2 or not all(re.fullmatch(r"[LRAPHF]{1,3}", value) for value in values):
        return None
    return (values[0], values[1])


def laterality(ds: Dataset) -> str:
    """``"L"``, ``"R"``, ``"B"``, ``"U"`` or empty."""
    value = tol.code_string(ds, "ImageLaterality") or tol.code_string(ds, "Laterality")
    return value if value in ("L", "R", "B", "U") else ""


def view(ds: Dataset, cautions: Cautions) -> View:
    """The projection: View Position, else View Code Sequence, else the axes, else the one view a description names."""
    found = _view_by_position(ds) or _view_by_code(ds)
    across = _is_lateral_by_axes(ds)
    if found is None:
        return View.LATERAL if across else _view_by_words(ds)
    if across is not None and found is not View.OTHER and across != (found is View.LATERAL):
        cautions.add(
            "view-conflict",
            f"The file calls this view {found.value}, but its axes are those of a "
            f"{'lateral' if across else 'frontal'} film.",
            "ViewPosition",
        )
    return found


def _view_by_position(ds: Dataset) -> View | None:
    position = tol.code_string(ds, "ViewPosition")
    if not position:
        return None
    return _POSITIONS.get(position, View.OTHER)


def _view_by_code(ds: Dataset) -> View | None:
    for item in tol.items(ds, "ViewCodeSequence"):
        code = tol.code_string(item, "CodeValue")
        if code in _VIEW_CODES:
            return _VIEW_CODES[code]
        if words := _views_named(tol.text(item, "CodeMeaning")):
            return next(iter(words)) if len(words) == 1 else View.OTHER
        if code:
            return View.OTHER
    return None


def _is_lateral_by_axes(ds: Dataset) -> bool | None:
    """A lateral film has front or back at its right edge, a frontal one left or right."""
    axes = patient_orientation(ds)
    if axes is None or axes[0][0] not in "APLR":
        return None
    return axes[0][0] in "AP"


def _view_by_words(ds: Dataset) -> View:
    """The nearest description wins; a study of "PA and lateral" names two views and so says nothing about one film."""
    for keyword in (
        "SeriesDescription",
        "AcquisitionDeviceProcessingDescription",
        "ProtocolName",
        "PerformedProcedureStepDescription",
        "StudyDescription",
    ):
        words = _views_named(tol.text(ds, keyword))
        if words:
            return next(iter(words)) if len(words) == 1 else View.UNKNOWN
    return View.UNKNOWN


def _views_named(text: str) -> set[View]:
    text = re.sub(r"[_/,;:()\[\]+&]", " ", text.lower())
    return {view for view, pattern in _WORDS if pattern.search(text)}
