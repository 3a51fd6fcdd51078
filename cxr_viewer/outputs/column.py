"""The words of a report, in the order a reader asks for them."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from cxr_viewer.core.annotations import MarkKind, mark_label
from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.findings import Finding, ScoreKind
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.measuring import calibration_words, cautions_beside, limits_beside
from cxr_viewer.core.report import DISCLAIMER, Report
from cxr_viewer.core.wording import (
    age_text,
    name_text,
    plain,
    score_text,
    sex_text,
    spacing_text,
    turn_text,
    view_text,
    voi_text,
)
from cxr_viewer.outputs import checked, drawn
from cxr_viewer.outputs import sheet as paper
from cxr_viewer.outputs.sheet import SMALL, STRONG, TITLE, Sheet
from cxr_viewer.outputs.text import Style, lacks_font

COLUMN_PX = 1240
_COLUMN_HEIGHT_PX = 2400
_MARGIN_PX = 56
_MOST_MARKS = 60
_MOST_SPACIOUS = 4  # more findings than this are written closer together
_MOST_COMMENT_LINES = 160
_NOT_RADIOGRAPHS = {"CT", "MR", "US", "NM", "PT", "OPT", "OP", "ES", "GM", "SM", "XC"}
_CHEST = ("CHEST", "THORAX", "RIB", "LUNG")
# What the screen says of the window it chose and of keys to press; on paper the window in use stands above.
_ON_PAPER = {"blank-window": "The film's own window leaves it blank."}
_MARK_NAMES = {
    MarkKind.LENGTH: "Length",
    MarkKind.ANGLE: "Angle",
    MarkKind.ARROW: "Arrow",
    MarkKind.TEXT: "Note",
}
_KINDS = {
    ScoreKind.CALIBRATED: "Scores are calibrated probabilities.",
    ScoreKind.UNCALIBRATED: "Scores are uncalibrated, not probabilities.",
    ScoreKind.OPERATING_POINT: "Scores are scaled so that 0.50 is the operating point; not probabilities.",
    ScoreKind.LOGIT: "Scores are logits, not probabilities.",
}


def draw_words(report: Report, height: int) -> Image.Image:
    """Everything a report says in words.

    Args:
        height: of the film beside it. A column may become somewhat longer; what does not fit then goes into further
            columns. No section is broken over two of them, so a long comment makes the page longer.

    Returns:
        White RGB picture of one or more columns of ``COLUMN_PX``.
    """
    parts = (
        _head,
        _patient,
        checked.film_check,
        checked.ratio,
        _findings,
        drawn.heat_map,
        drawn.outlines,
        _marks,
        _comment,
        drawn.seen,
        _film,
        _model,
        _origin,
    )
    sections = [_section(part, report) for part in parts]
    columns: list[list[Image.Image]] = [[]]
    for section in sections:
        filled = sum(other.height for other in columns[-1]) + 2 * _MARGIN_PX
        if columns[-1] and filled + section.height > max(height, _COLUMN_HEIGHT_PX):
            columns.append([])
        columns[-1].append(section)
    tallest = max(sum(section.height for section in column) for column in columns) + 2 * _MARGIN_PX
    page = Image.new("RGB", (COLUMN_PX * len(columns), max(height, tallest)), paper.PAPER)
    for number, column in enumerate(columns):
        y = _MARGIN_PX
        for section in column:
            page.paste(section, (number * COLUMN_PX, y))
            y += section.height
    return page


def _section(part: Callable[[Sheet, Report], None], report: Report) -> Image.Image:
    sheet = Sheet(COLUMN_PX, _MARGIN_PX)
    part(sheet, report)
    return sheet.picture()


def _head(sheet: Sheet, report: Report) -> None:
    sheet.paragraph(title(report.image), TITLE)
    sheet.boxed(DISCLAIMER, Style(32, paper.WARNING, bold=True))


def title(image: Radiograph) -> str:
    """A film that its file calls a hand is not called a chest radiograph."""
    body_part = image.body_part.upper()
    if image.modality.upper() in _NOT_RADIOGRAPHS:
        return "Image: annotated report"
    if body_part and not any(word in body_part for word in _CHEST):
        return "Radiograph: annotated report"
    return "Chest radiograph: annotated report"


def _patient(sheet: Sheet, report: Report) -> None:
    image, patient, study = report.image, report.image.patient, report.image.study
    sheet.heading("PATIENT AND STUDY")
    if not report.with_identity:
        sheet.row("Patient", f"{age_text(patient)}, {sex_text(patient)}")
        drawn = " and in the graphics of the file" if image.overlays and report.display.overlays else ""
        sheet.row("Identity", f"left out; words inside the picture itself{drawn} stay")
        sheet.row("Study", ", ".join(_view_and_modality(image) + ([str(study.date.year)] if study.date else [])))
        return
    born = patient.birth_date.isoformat() if patient.birth_date else ""
    when = f"{study.date.isoformat() if study.date else ''} {time_text(study.time)}".strip()
    name = name_text(patient.name)
    sheet.row("Patient", name or "no name in the file", STRONG)
    if lacks_font(name):
        sheet.row("", "Boxes stand for characters that no font of this computer has.", SMALL)
    sheet.row("Patient ID", plain(patient.patient_id) or "none in the file")
    sheet.row("Born", f"{born}, {sex_text(patient)}" if born else f"not in the file, {sex_text(patient)}")
    sheet.row("Age", age_text(patient))
    sheet.row("Study", when or "no date in the file")
    sheet.row("View", ", ".join(_view_and_modality(image)))
    facts = {
        "Description": study.description,
        "Series": study.series_description,
        "Accession": study.accession_number,
        "Institution": study.institution,
    }
    for label, value in facts.items():
        if plain(value):
            sheet.row(label, plain(value))


def _view_and_modality(image: Radiograph) -> list[str]:
    kind = plain(image.modality) if image.is_dicom else "picture file, not DICOM"
    return [part for part in (view_text(image), kind) if part]


def time_text(time: str) -> str:
    """``"14:05"`` of a DICOM TM value such as ``"140512.345"``, or nothing where it is none."""
    digits = time.replace(":", "")[:4]
    return f"{digits[:2]}:{digits[2:]}" if len(digits) == 4 and digits.isdecimal() else ""


# ---------------------------------------------------------------- model


def _findings(sheet: Sheet, report: Report) -> None:
    sheet.heading("FINDINGS OF THE MODEL")
    result = report.result
    if result is None:
        sheet.paragraph(report.no_result_reason or "No model has looked at this film.")
        return
    if result.limits:
        words = "These scores do not hold for this film" + (
            ":" if limits_beside(result) else "; see the film check above."
        )
        sheet.paragraph(words, Style(28, paper.CAUTION, bold=True))
        for limit in limits_beside(result):
            sheet.item(limit.text, Style(28, paper.CAUTION))
        sheet.space()
    if result.structures:
        sheet.paragraph("This model outlines structures; it gives no findings and no scores.")
    for finding in result.findings:
        _finding(sheet, finding, greyed=bool(result.limits), brief=len(result.findings) > _MOST_SPACIOUS)
    for kind in sorted({finding.kind for finding in result.findings}, key=lambda kind: kind.value):
        sheet.paragraph(f"{_KINDS[kind]} The line is the operating point.", SMALL)
    checked.withheld(sheet, report)
    for caution in cautions_beside(result):
        sheet.item(caution.text, Style(26, paper.CAUTION))


def _finding(sheet: Sheet, finding: Finding, *, greyed: bool, brief: bool) -> None:
    called = finding.positive and not greyed
    ink = paper.FAINT if greyed else paper.INK
    score, point = (score_text(value, finding.kind) for value in (finding.score, finding.threshold))
    words = f"{score} (operating point {point})" if brief else score
    sheet.both_ends(finding.label, words, Style(28 if brief else 32, ink, bold=called))
    if finding.kind is not ScoreKind.LOGIT:  # a logit has no ends a bar could have
        fill = paper.FAINT if greyed else paper.ACCENT if called else paper.MUTED
        sheet.bar(finding.score, finding.threshold, fill, ink)
    if not brief:
        side = "at or above" if finding.positive else "below"
        style = Style(24, paper.FAINT if greyed else paper.MUTED)
        sheet.paragraph(f"{side} the operating point of {point}", style)


def _model(sheet: Sheet, report: Report) -> None:
    result, card = report.result, report.card
    if result is None and card is None:
        return
    sheet.heading("MODEL")
    if result is not None:
        sheet.row("Name", f"{result.model_name}, version {result.model_version}")
        sheet.row("Weights", f"sha256 {result.model_sha256[:16]}")
        sheet.row("Ran on", f"{result.device}, {result.elapsed_s:.2f} s")
        if calibration_words(result):
            sheet.row("Calibration", calibration_words(result))
    elif card is not None:
        sheet.row("Name", f"{card.name}, version {card.version}")
        sheet.row("Weights", f"sha256 {card.sha256[:16]}")
    if card is not None:
        sheet.row("Intended use", card.intended_use)


# ---------------------------------------------------------------- reader and film


def _marks(sheet: Sheet, report: Report) -> None:
    if not report.marks:
        return
    sheet.heading("MARKS OF THE READER")
    for number, mark in enumerate(report.marks[:_MOST_MARKS], 1):
        words = plain(mark_label(mark, report.image.spacing))
        sheet.row(f"{number}  {_MARK_NAMES[mark.kind]}", words or "without words", label_px=200)
    left = len(report.marks) - _MOST_MARKS
    if left > 0:
        sheet.paragraph(f"{left} more on the film.", SMALL)


def _comment(sheet: Sheet, report: Report) -> None:
    sheet.heading("COMMENT OF THE READER")
    lines = [plain(line) for line in report.opinion.strip().splitlines()]
    if not any(lines):
        sheet.paragraph("None.", Style(28, paper.MUTED))
        return
    sheet.paragraph("\n".join(lines), max_lines=_MOST_COMMENT_LINES)


def _film(sheet: Sheet, report: Report) -> None:
    image, display = report.image, report.display
    sheet.heading("FILM")
    if image.frames > 1:
        sheet.row("Frame", f"{image.key.frame + 1} of {image.frames}")
    sheet.row("Pixels", f"{image.columns} x {image.rows}, {image.bits_stored} bit, {image.photometric}")
    sheet.row("Spacing", spacing_text(image.spacing))
    own = display.voi_index if image.voi_from_file else None
    window = voi_text(display.voi, own, len(image.voi))
    sheet.row("Window", f"{window}, inverted by the reader" if display.inverted else window)
    layers = _layers(image, display)
    if layers:
        sheet.row("Layers", layers)
    turned = turn_text(display.orientation)
    if turned:
        sheet.row("Turned", turned)
    for caution in image.cautions:
        sheet.item(_ON_PAPER.get(caution.code, caution.text), Style(26, paper.CAUTION))


def _layers(image: Radiograph, display: DisplayState) -> str:
    """What of the file is drawn over the film, covers it, or was switched off by the reader."""
    words = []
    if image.overlays:
        words.append("graphics of the file drawn" if display.overlays else "graphics of the file switched off")
    if image.shutter is not None:
        words.append("shutter of the file on" if display.shutter else "shutter of the file switched off")
    if image.padding is not None:
        words.append("padding shown black" if display.padding else "padding not masked")
    return ", ".join(words)


def _origin(sheet: Sheet, report: Report) -> None:
    sheet.heading("REPORT")
    made = report.created.strftime("%Y-%m-%d %H:%M %Z").strip()
    sheet.row("Made", f"{made} with cxr-viewer {report.program_version}")
    if report.image.source_sha256:
        sheet.row("Film file", f"sha256 {report.image.source_sha256[:16]}")
