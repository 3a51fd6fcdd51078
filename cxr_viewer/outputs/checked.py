"""The sections of a report about the film check, the cardiothoracic ratio and what a model does not offer."""

from __future__ import annotations

from cxr_viewer.core.filmcheck import Severity
from cxr_viewer.core.measuring import (
    OVERRIDDEN,
    WIDE_HEART,
    automatic_words,
    check_words,
    halves_words,
    not_measured_words,
    overridden_words,
    ratio_words,
    widths_words,
    withheld_words,
)
from cxr_viewer.core.report import Report
from cxr_viewer.outputs import sheet as paper
from cxr_viewer.outputs.sheet import SMALL, STRONG, Sheet
from cxr_viewer.outputs.text import Style

_CAUTION = Style(28, paper.CAUTION)
_INKS = {Severity.NOTE: paper.MUTED, Severity.BLOCK: paper.WARNING}
_ERROR = "Of 100 ratios on films the model had not seen, 95 lay this near (±) to that of the given outlines."


def film_check(sheet: Sheet, report: Report) -> None:
    """What the look at the pixels said, and whether the reader passed over it."""
    check = report.check
    if check is None:
        return
    sheet.heading("FILM CHECK")
    passed = overridden_words(report.result) if report.result is not None else ()
    if passed:
        sheet.boxed(f"{OVERRIDDEN}, at the wish of the reader.", Style(28, paper.CAUTION, bold=True))
    sheet.paragraph(f"{check_words(check, report.turns)}.")
    for sign in check.signs:
        sheet.item(sign.text, Style(28, _INKS.get(sign.severity, paper.CAUTION)))
    if check.model_id:
        sheet.paragraph(f"By {check.model_id} {check.model_version}, weights {check.model_sha256[:16]}.", SMALL)


def ratio(sheet: Sheet, report: Report) -> None:
    """The ratio with its error, or as the reader measured it; from what, and what has to be known beside it."""
    anatomy = report.result.anatomy if report.result is not None else None
    callipers, spacing = report.callipers, report.image.spacing
    if anatomy is None and callipers is None:
        return
    sheet.heading("CARDIOTHORACIC RATIO")
    if callipers is None:
        if anatomy is not None:
            sheet.paragraph("Not measurable.", STRONG)
            sheet.paragraph(not_measured_words(anatomy), _CAUTION)
        return
    sheet.paragraph(ratio_words(callipers, anatomy, spacing, reader="the reader"), Style(32, paper.INK, bold=True))
    if callipers.edited and anatomy is not None:
        before = automatic_words(anatomy, spacing)
        sheet.paragraph(f"{before[:1].upper()}{before[1:]}." if before else "")
    sheet.paragraph(f"{widths_words(callipers, spacing)}. {halves_words(callipers, spacing)}")
    for caution in anatomy.cautions if anatomy is not None else ():
        sheet.item(caution.text, _CAUTION)
    sheet.paragraph(WIDE_HEART if callipers.edited else f"{WIDE_HEART} {_ERROR}", SMALL)
    if anatomy is not None:
        made = f"{anatomy.model_name} {anatomy.model_version}, weights {anatomy.model_sha256[:16]}"
        sheet.paragraph(f"Lungs and heart by {made}.", SMALL)


def withheld(sheet: Sheet, report: Report) -> None:
    """Findings of the model that are not offered for this film; part of the findings' section."""
    for line in withheld_words(report.result) if report.result is not None else ():
        sheet.paragraph(f"{line}.", SMALL)
