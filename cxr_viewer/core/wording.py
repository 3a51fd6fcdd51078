"""The words for scores, windows, views and ages, so that screen, report and command line say the same."""

from __future__ import annotations

import unicodedata

from cxr_viewer.core.findings import Finding, ScoreKind
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import PatientInfo, PixelSpacing, Radiograph, View, Voi, VoiTable

_NBSP = "\N{NO-BREAK SPACE}"
_SEX = {"M": "male", "F": "female", "O": "other"}
_OLDEST_YEARS = 90  # ages above 89 point to one person in a small town (45 CFR 164.514(b)(2)(i)(C))


def score_text(score: float, kind: ScoreKind) -> str:
    """A score as it may be written: a percent sign only for a calibrated probability.

    Of scores that are no probabilities, operating points may lie as low as 0.03; below 0.1 they have a third digit, so
    that what lies above and what lies below such a point do not read alike.
    """
    if kind is ScoreKind.CALIBRATED:
        percent = 100.0 * score
        if percent < 1.0:
            return f"<{_NBSP}1{_NBSP}%"
        if percent > 99.0:
            return f">{_NBSP}99{_NBSP}%"
        return f"{percent:.0f}{_NBSP}%"
    if kind is not ScoreKind.LOGIT and 0.0 < score < 1.0:  # 0.997 is not 1.00, which would sound certain
        least, digits = (0.001, 3) if kind is ScoreKind.UNCALIBRATED and score < 0.0995 else (0.01, 2)
        if score < least:
            return f"<{_NBSP}{least}"
        if score > 0.99:
            return f">{_NBSP}0.99"
        return f"{score:.{digits}f}"
    return f"{score:.2f}"


def finding_sentence(finding: Finding) -> str:
    """One finding in words, for tooltips, screen readers and the command line."""
    place = "at or above" if finding.positive else "below"
    return (
        f"{finding.label}: {score_text(finding.score, finding.kind)} ({finding.kind.value}), "
        f"{place} the operating point of {score_text(finding.threshold, finding.kind)}."
    )


def number_text(value: float) -> str:
    """A window value without needless digits: ``2048``, ``-600.5``."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}"


def voi_text(voi: Voi | None, index: int | None = None, count: int = 0) -> str:
    """The grey transformation in use.

    Args:
        voi: None means lowest to highest value of the film.
        index: its place among the ``count`` the file offers, or None when it is the reader's.
    """
    if voi is None:
        return "lowest to highest value"
    if isinstance(voi, VoiTable):
        text = f"lookup table “{plain(voi.label)}”" if voi.label else "lookup table"
    else:
        text = f"centre {number_text(voi.center)}, width {number_text(voi.width)}"
        if voi.function.value != "LINEAR":
            text += f", {voi.function.value}"
        if voi.label:
            text += f", “{plain(voi.label)}”"
    if index is None:
        return text
    return f"{text} (from the file)" if count < 2 else f"{text} (from the file, {index + 1} of {count})"


def view_text(image: Radiograph) -> str:
    """``"PA"``, ``"lateral, left"``, ``"view unknown"``."""
    known = {View.LATERAL: "lateral", View.OTHER: "other view", View.UNKNOWN: "view unknown"}
    view = known.get(image.view, image.view.value)
    side = {"L": "left", "R": "right"}.get(image.laterality.upper(), "")
    return f"{view}, {side}" if side else view


def age_text(patient: PatientInfo) -> str:
    """Age in whole years, ``"under 1 year"``, ``"90 years or older"`` or ``"age unknown"``."""
    age = patient.age_years
    if age is None:
        return "age unknown"
    if age >= _OLDEST_YEARS:
        return f"{_OLDEST_YEARS} years or older"
    if age < 1:
        return "under 1 year"
    return "1 year" if int(age) == 1 else f"{int(age)} years"


def sex_text(patient: PatientInfo) -> str:
    """``"female"``, ``"male"``, ``"other"`` or ``"sex unknown"``."""
    return _SEX.get(patient.sex.upper(), "sex unknown")


def spacing_text(spacing: PixelSpacing | None) -> str:
    """Pixel spacing and where it comes from, or that there is none."""
    if spacing is None:
        return "not calibrated"
    if spacing.row_mm == spacing.column_mm:
        return f"{spacing.row_mm:.4g} mm per pixel, {spacing.source.value}"
    return f"{spacing.row_mm:.4g} x {spacing.column_mm:.4g} mm per pixel, {spacing.source.value}"


def turn_text(orientation: Orientation) -> str:
    """How the film was turned from the way it was stored; empty when it was not."""
    parts = ["mirrored left to right"] if orientation.flipped else []
    if orientation.quarter_turns:
        parts.append(f"turned {90 * orientation.quarter_turns}\N{DEGREE SIGN} clockwise")
    return ", then ".join(parts)


def name_text(name: str) -> str:
    """A DICOM person name (PS3.5 6.2.1) to be read: groups apart by ``=``, components by ``^``.

    ``"Yamada^Tarou=山田^太郎"`` gives ``"Yamada, Tarou (山田, 太郎)"``.
    """
    groups = [_components(group) for group in name.split("=")]
    groups = [group for group in groups if group]
    if not groups:
        return ""
    return groups[0] if len(groups) == 1 else f"{groups[0]} ({'; '.join(groups[1:])})"


def _components(group: str) -> str:
    parts = [plain(part) for part in group.split("^")]
    family, rest = parts[0], " ".join(part for part in parts[1:] if part)
    return ", ".join(part for part in (family, rest) if part)


def plain(text: str) -> str:
    """Text of a file on one line, without control characters and direction marks that could disguise it."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    return " ".join("".join(kept).split())
