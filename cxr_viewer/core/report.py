"""What goes into a report: a value, so that a picture, a PDF or an object can be written from the same one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cxr_viewer.core.anatomy import Callipers
from cxr_viewer.core.annotations import Mark
from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.findings import AnalysisResult, ModelCard
from cxr_viewer.core.image import Radiograph

DISCLAIMER = "Research use only. Not for primary diagnosis."


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One film as the reader left it.

    Attributes:
        result: None where no model has looked at the film, or the model declined; ``no_result_reason`` then says why.
        with_identity: who the patient is and when and where the film was taken is written only when True.
        opinion: the reader's comment, may be empty.
        show_seen: show the picture the model was given, and hatch what it was not given.
        callipers: of the cardiothoracic ratio as the reader left them, None where there are none.
        show_callipers: draw them on the film too.
        show_outlines: draw the anatomy model's outlines of lungs and heart on the film.
        check: what the guard said of the film, also where it stopped the model.
        turns: quarter turns by which the models were given the film upright.
    """

    image: Radiograph
    display: DisplayState
    marks: tuple[Mark, ...]
    result: AnalysisResult | None
    card: ModelCard | None
    no_result_reason: str
    opinion: str
    with_identity: bool
    created: dt.datetime
    program_version: str
    show_seen: bool = False
    callipers: Callipers | None = None
    show_callipers: bool = False
    show_outlines: bool = False
    check: FilmCheck | None = None
    turns: int = 0


def suggested_name(report: Report, *, with_patient_name: bool = False) -> str:
    """A file name for the report: date, view and a piece of the film's digest; a patient's name only when asked.

    Without identity the date is the year alone, as in the report itself.
    """
    date = report.image.study.date
    parts = ["cxr-report"]
    if with_patient_name and report.image.patient.name:
        parts.append(report.image.patient.name)
    parts.append(date.strftime("%Y%m%d" if report.with_identity else "%Y") if date else "undated")
    if report.image.view.value:
        parts.append(report.image.view.value.lower())
    parts.append(report.image.source_sha256[:8] or "film")
    name = "-".join(parts)
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:120] + ".png"
