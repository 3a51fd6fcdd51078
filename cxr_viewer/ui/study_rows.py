"""Rows of the study list: patients, studies, series and images, and the words written on them.

A row stands for as many levels as hold one thing each: a patient with one study of one film is one row, a patient with
three studies unfolds into studies, a study with one series straight into its images. Nothing has to be unfolded to
reach the only thing inside.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from cxr_viewer.core.image import View
from cxr_viewer.core.study import ImageNode, ReadStatus, SeriesNode, StudyNode
from cxr_viewer.services.search import display_name, fold, patient_identity, study_text
from cxr_viewer.services.settings import BrowserSort

StudyKey = tuple[str, str]
"""Study Instance UID and patient identity: what tells one listed study from another."""

_VIEW_WORDS = {View.PA: "PA", View.AP: "AP", View.LATERAL: "LAT", View.OTHER: "other view", View.UNKNOWN: ""}
_ARCHIVES_LOOKED_AT = 20
_SEPARATOR = " \N{MIDDLE DOT} "


class Level(IntEnum):
    """The innermost thing a row stands for."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


@dataclass(frozen=True, slots=True)
class _About:
    lead: ImageNode | None
    missing: bool
    remark: str


@dataclass(slots=True, eq=False)
class Row:
    """One line of the tree.

    Attributes:
        ident: stays the same when the row is made anew after a change.
        level: innermost thing it stands for; ``IMAGE`` rows have nothing below.
        studies: what it holds; one study unless the level is ``PATIENT``.
        series: set from level ``SERIES`` on.
        image: set at level ``IMAGE``.
        number: the model's name for ``ident``.
        position: place among its visible siblings, -1 while hidden.
        children: None until they are asked for.
        shown: the children that pass the search.
    """

    ident: Hashable
    level: Level
    studies: tuple[StudyNode, ...]
    series: SeriesNode | None = None
    image: ImageNode | None = None
    parent: Row | None = None
    number: int = -1
    position: int = -1
    children: list[Row] | None = None
    shown: list[Row] = field(default_factory=list)
    words: tuple[str, str, str] | None = None
    about: _About | None = None

    @property
    def study(self) -> StudyNode | None:
        """The one study this row is in; None for a patient with several."""
        return None if self.level is Level.PATIENT else self.studies[0]

    @property
    def images(self) -> tuple[ImageNode, ...]:
        """Every image under this row."""
        if self.image is not None:
            return (self.image,)
        if self.series is not None:
            return self.series.images
        return tuple(image for study in self.studies for image in study.images)

    @property
    def lead(self) -> ImageNode | None:
        """The image whose thumbnail stands for this row: a frontal film that is there, as a reader would hang first."""
        return self._about().lead

    @property
    def missing(self) -> bool:
        """All of its files have vanished."""
        return self._about().missing

    @property
    def remark(self) -> str:
        """What the reader has to know about its files, in a word or a sentence; mostly nothing."""
        return self._about().remark

    def _about(self) -> _About:
        if self.about is None:
            self.about = _look_at(self.images)
        return self.about

    @property
    def status(self) -> ReadStatus | None:
        """New when any study is new; None below the study, where the study's own row tells it."""
        if self.parent is not None and self.parent.level >= Level.STUDY:
            return None
        new = any(study.status is ReadStatus.NEW for study in self.studies)
        return ReadStatus.NEW if new else ReadStatus.READ

    def narrow(self) -> Row:
        """Let the row stand for what is inside as well, as long as that is a single thing. Returns the row."""
        if len(self.studies) != 1:
            return self
        self.level = Level.STUDY
        if len(self.studies[0].series) == 1:
            self.level, self.series = Level.SERIES, self.studies[0].series[0]
            if len(self.series.images) == 1:
                self.level, self.image = Level.IMAGE, self.series.images[0]
        return self

    def lines(self) -> tuple[str, str, str]:
        """Title and two further lines."""
        if self.words is None:
            self.words = _words(self)
        return self.words


def _look_at(images: Sequence[ImageNode]) -> _About:
    there = [image for image in images if not image.missing]
    among = there or images
    frontal = (image for view in (View.PA, View.AP) for image in among if image.view is view)
    remark = next((image.problem for image in images if image.problem), "")
    if remark and len(images) > 1:
        remark = "caution"  # the sentence stands on the film it is about, and in the tooltip
    if len(there) < len(images):
        remark = f"{len(images) - len(there)} of {len(images)} missing" if there else "missing"
    return _About(next(frontal, among[0] if among else None), not there, remark)


def make_children(row: Row) -> list[Row]:
    """The rows below, made from what the row stands for."""
    if row.level is Level.PATIENT:
        return [study_row(study, row) for study in row.studies]
    study = row.studies[0]
    if row.level is Level.STUDY:
        return [_series_row(study, series, row) for series in study.series]
    assert row.series is not None
    return [_image_row(study, row.series, image, row) for image in row.series.images]


def has_children(row: Row) -> bool:
    return row.level is not Level.IMAGE


def study_key(study: StudyNode) -> StudyKey:
    return study.study_uid, patient_identity(study.patient)


def study_row(study: StudyNode, parent: Row) -> Row:
    return Row(("study", *study_key(study)), Level.STUDY, (study,), parent=parent).narrow()


def _series_row(study: StudyNode, series: SeriesNode, parent: Row) -> Row:
    ident = ("series", *study_key(study), series.series_uid)
    if len(series.images) == 1:
        return Row(ident, Level.IMAGE, (study,), series, series.images[0], parent)
    return Row(ident, Level.SERIES, (study,), series, parent=parent)


def _image_row(study: StudyNode, series: SeriesNode, image: ImageNode, parent: Row) -> Row:
    return Row(("image", image.path, image.member, image.key.frame), Level.IMAGE, (study,), series, image, parent)


# ---------------------------------------------------------------- patients


@dataclass(slots=True, eq=False)
class Patient:
    """A patient of the list with all studies, and what search and sorting compare."""

    ident: Hashable
    studies: dict[StudyKey, StudyNode]
    row: Row = field(init=False)
    texts: tuple[str, ...] | None = None
    known_texts: dict[int, str] = field(default_factory=dict)
    former_studies: tuple[StudyNode, ...] = ()
    keys: dict[BrowserSort, tuple[object, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        studies = tuple(self.studies.values())
        ordered = tuple(sorted(studies, key=_newest_first)) if len(studies) > 1 else studies
        self.row = Row(self.ident, Level.PATIENT, ordered).narrow()

    def sort_key(self, sort: BrowserSort) -> tuple[object, ...]:
        """What this patient is compared by in this order."""
        key = self.keys.get(sort)
        if key is None:
            newest, name = _newest_first(self.row.studies[0]), fold(self.row.studies[0].patient.name)
            read = all(study.status is ReadStatus.READ for study in self.row.studies)
            key = {
                BrowserSort.DATE: newest,
                BrowserSort.NAME: (not name, name, *newest),
                BrowserSort.STATUS: (read, *newest),
            }[sort]
            self.keys[sort] = key
        return key

    def study_texts(self) -> tuple[str, ...]:
        """Folded text of each study, in the order of ``row.studies``."""
        if self.texts is None:
            known = self.known_texts
            self.texts = tuple(known.get(id(study)) or study_text(study) for study in self.row.studies)
            self.known_texts, self.former_studies = {}, ()
        return self.texts

    def take_texts_of(self, former: Patient) -> None:
        """Fold no text again for studies that have not changed; held until then, so that no other takes their place."""
        if former.texts is not None:
            self.known_texts = dict(zip(map(id, former.row.studies), former.texts, strict=True))
            self.former_studies = former.row.studies


def patient_ident(study: StudyNode) -> Hashable:
    """Which patient of the list a study belongs to; a study that names nobody stands alone."""
    identity = patient_identity(study.patient)
    return ("patient", identity) if identity else ("nobody", study.study_uid)


def _newest_first(study: StudyNode) -> tuple[int, int, str]:
    time = study.time[:6]
    if not time.isdecimal():
        time = "".join(letter for letter in study.time if letter.isdecimal())[:6] or "0"
    return (-study.date.toordinal() if study.date else 0, -int(time), study.study_uid)


# ---------------------------------------------------------------- words


def _words(row: Row) -> tuple[str, str, str]:
    if row.parent is None:
        about = _patient_line(row.studies[0])
        return patient_title(row), about, _contents(row)
    study = row.studies[0]
    if row.parent.level is Level.PATIENT:
        return (
            date_text(study.date),
            study.description,
            _join(views(study.images), _extent(row), _archive(study.images)),
        )
    if row.level is Level.SERIES or (row.parent.level is Level.STUDY and row.series is not None):
        return _series_words(row)
    return _image_words(row)


def patient_title(row: Row) -> str:
    """The patient's name; for a film without one, the name of its file."""
    study = row.studies[0]
    name = display_name(study.patient.name)
    if name:
        return name
    lead = row.lead
    if lead is not None and not lead.is_dicom:
        return study.description if lead.member and study.description else lead.path.name
    return "No name"


def _patient_line(study: StudyNode) -> str:
    patient = study.patient
    age = "" if patient.age_years is None else age_text(patient.age_years)
    born = "" if patient.birth_date is None or age else f"born {patient.birth_date.isoformat()}"
    return _join(patient.patient_id or "no ID", patient.sex, age or born)


def age_text(years: float) -> str:
    """An age as spoken, in completed years; below two years in months."""
    return f"{int(years)} y" if years >= 2 else f"{int(years * 12)} months"


def _contents(row: Row) -> str:
    newest = row.studies[0]
    if row.level is Level.PATIENT:
        return _join(date_text(newest.date), f"{len(row.studies)} studies")
    number = "" if row.level is Level.IMAGE else count(newest.images)
    return _join(date_text(newest.date), views(newest.images), newest.description, number, _archive(newest.images))


def _series_words(row: Row) -> tuple[str, str, str]:
    series = row.series
    assert series is not None
    title = f"Series {series.number}" if series.number is not None else "Series"
    if row.level is Level.IMAGE:  # what matters of a series of one film is the film
        view, _, size = _image_words(row)
        return view, _join(title, series.modality, series.description), size
    return (_join(title, series.modality), series.description, _join(views(series.images), _extent(row)))


def _image_words(row: Row) -> tuple[str, str, str]:
    image = row.image
    assert image is not None
    number = "" if image.instance_number is None else f"image {image.instance_number}"
    picture = f"Picture in {image.path.name}" if image.member else image.path.name
    title = _VIEW_WORDS[image.view] or ("View not stated" if image.is_dicom else picture)
    frames = f"{image.frames} frames" if image.frames > 1 else ""
    second = _join(image.modality, image.body_part.lower(), number, frames)
    return _join(title, image.laterality), second, _join(_size(image), _archive((image,)) if image.is_dicom else "")


def _archive(images: Sequence[ImageNode]) -> str:
    """``"in films.zip"`` where all of them are in one archive."""
    first = images[0].path if images else None
    return f"in {first.name}" if first and all(image.member and image.path == first for image in images) else ""


def date_text(date: dt.date | None) -> str:
    return date.isoformat() if date else "no date"


def views(images: Sequence[ImageNode]) -> str:
    """``"PA, LAT"``: each view once, in the order of the images."""
    return ", ".join(dict.fromkeys(word for image in images if (word := _VIEW_WORDS[image.view])))


def count(images: Sequence[ImageNode]) -> str:
    return "1 image" if len(images) == 1 else f"{len(images)} images"


def _extent(row: Row) -> str:
    """How many images, or how large the only one is."""
    return _size(row.image) if row.image is not None else count(row.images)


def _size(image: ImageNode) -> str:
    return f"{image.columns} \N{MULTIPLICATION SIGN} {image.rows}" if image.rows and image.columns else ""


def _join(*parts: str) -> str:
    return _SEPARATOR.join(part for part in parts if part)


def tooltip(row: Row) -> str:
    """Everything a row says and has no room for, as plain text."""
    title, *further = row.lines()
    lines = [title, *further]
    if row.status is not None:
        lines.append("Status: " + ("new" if row.status is ReadStatus.NEW else "read"))
    for image in row.images[:1] if row.level is Level.IMAGE else ():
        lines.append(f"In the archive {image.path}" if image.member else str(image.path))
        lines += [f"Copy: {path}" for path, _ in image.copies]
    if row.level is not Level.IMAGE:
        lines += dict.fromkeys(
            f"In the archive {image.path}" for image in row.images[:_ARCHIVES_LOOKED_AT] if image.member
        )
    note = row.remark
    if note == "caution":
        note = next(image.problem for image in row.images if image.problem)
    if note == "missing":
        note = "Missing: the file is not where it was. It is back as soon as the disk or folder is."
    return "\n".join(line for line in (*lines, note) if line)
