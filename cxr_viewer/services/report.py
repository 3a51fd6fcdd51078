"""From what is on screen to the value a report is written from."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from cxr_viewer.core.errors import ExportError
from cxr_viewer.core.findings import AnalysisResult, ModelCard
from cxr_viewer.core.report import Report
from cxr_viewer.services.session.checking import check_of
from cxr_viewer.services.state import AnalysisStatus, Pane, sorted_findings


def make_report(
    pane: Pane,
    card: ModelCard | None,
    *,
    with_identity: bool,
    program_version: str,
    created: dt.datetime,
    marks_visible: bool = True,
    show_seen: bool = False,
    show_callipers: bool = False,
    show_outlines: bool = False,
) -> Report:
    """The film of a pane as the reader sees it now.

    Findings go into the report in the order of the panel. The card is taken only when it is that of the weights which
    gave the scores.

    Raises:
        ExportError: ``no-film``, no film is shown in the pane; ``preview``, it is not the whole one yet.
    """
    if pane.image is None:
        raise ExportError(
            "There is no film to make a report of.", hint="Open a film and wait until it is shown.", code="no-film"
        )
    if pane.image.preview:
        raise ExportError(
            "What is shown is a preview of lower resolution.",
            hint="Wait a moment until the whole film is there, then try again.",
            code="preview",
        )
    result, card = _as_in_the_panel(pane, card)
    return Report(
        image=pane.image,
        display=pane.display,
        marks=pane.marks if marks_visible else (),
        result=result,
        card=card,
        no_result_reason="" if result is not None else no_result_reason(pane),
        opinion=pane.opinion,
        with_identity=with_identity,
        created=created,
        program_version=program_version,
        show_seen=show_seen,
        callipers=pane.callipers,
        show_callipers=show_callipers,
        show_outlines=show_outlines,
        check=check_of(pane),
        turns=pane.turns,
    )


def _as_in_the_panel(pane: Pane, card: ModelCard | None) -> tuple[AnalysisResult | None, ModelCard | None]:
    """The answer with its findings in the order of the panel, and the card if it is that of its weights."""
    if pane.result is None:
        return None, card
    result = replace(pane.result, findings=sorted_findings(pane.result))
    return result, card if card is not None and card.sha256 == result.model_sha256 else None


def no_result_reason(pane: Pane) -> str:
    """Why there are no findings, in one sentence."""
    if pane.analysis is AnalysisStatus.RUNNING:
        return "The model had not finished when this report was made."
    if pane.analysis is AnalysisStatus.REFUSED and pane.refusal is not None and pane.refusal.check is not None:
        return "The film check stopped the model: no score."
    if pane.analysis is AnalysisStatus.REFUSED and pane.refusal is not None:
        return f"The model did not look at this film: {pane.refusal.summary}"
    if pane.analysis is AnalysisStatus.FAILED and pane.analysis_failure is not None:
        return f"The analysis failed: {pane.analysis_failure.summary}"
    return "No model has looked at this film."
