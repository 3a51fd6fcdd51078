"""The words for the cardiothoracic ratio, the film check and what a model's scores carry: the same on screen, in the
report and on the command line."""

from __future__ import annotations

from cxr_viewer.core.anatomy import Anatomy, Callipers, ratio_text
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, ViewSource
from cxr_viewer.core.findings import AnalysisResult, LabelSpec, ModelCard, OperatingPoint, ScoreKind
from cxr_viewer.core.image import Caution, PixelSpacing, Radiograph, View
from cxr_viewer.core.wording import score_text, view_text

_NBSP = "\N{NO-BREAK SPACE}"
OVERRIDDEN = "Scored against the film check"
WIDE_HEART = "0.50 or more is called a wide heart on PA films of adults."
_NOT_FOUND = "Lungs and heart were not outlined well enough."
_KINDS = {FilmKind.FRONTAL: "Frontal", FilmKind.LATERAL: "Lateral", FilmKind.OTHER: "Not a chest film"}


# ---------------------------------------------------------------- cardiothoracic ratio


def ratio_words(callipers: Callipers, anatomy: Anatomy | None, spacing: PixelSpacing | None, *, reader: str) -> str:
    """``"0.53 ± 0.04"``, or ``"0.51, measured by you"`` once a hand has moved the callipers.

    Args:
        reader: who that hand is called: ``"you"`` on the screen, ``"the reader"`` in a report.
    """
    ratio = callipers.ratio(spacing)
    if callipers.edited:
        return f"{ratio_text(ratio)}, measured by {reader}"
    return ratio_text(ratio, anatomy.ratio_error if anatomy is not None and anatomy.ratio_error > 0 else None)


def automatic_words(anatomy: Anatomy | None, spacing: PixelSpacing | None) -> str:
    """``"automatic 0.53 ± 0.04"``: what stood there before the reader's hand; empty where nothing did."""
    if anatomy is None or anatomy.callipers is None:
        return ""
    return f"automatic {ratio_words(anatomy.callipers, anatomy, spacing, reader='')}"


def widths_words(callipers: Callipers, spacing: PixelSpacing | None) -> str:
    """``"Heart 142 mm, chest 268 mm (at detector)"``; in pixels where the film is not calibrated."""
    unit = f"{_NBSP}mm" if spacing is not None else f"{_NBSP}px"
    source = spacing.source.value if spacing is not None else "not calibrated"
    heart, chest = sum(callipers.heart_widths(spacing)), callipers.chest_width(spacing)
    return f"Heart {heart:.0f}{unit}, chest {chest:.0f}{unit} ({source})"


def halves_words(callipers: Callipers, spacing: PixelSpacing | None) -> str:
    """``"The heart reaches 38 mm to the left and 104 mm to the right of the midline in the upright picture."``."""
    unit = f"{_NBSP}mm" if spacing is not None else f"{_NBSP}px"
    left, right = callipers.heart_widths(spacing)
    return (
        f"The heart reaches {left:.0f}{unit} to the left and {right:.0f}{unit} to the right of the midline in the "
        "upright picture."
    )


def not_measured_words(anatomy: Anatomy) -> str:
    """Why there is no ratio, in one sentence."""
    return " ".join(caution.text for caution in anatomy.cautions) or _NOT_FOUND


# ---------------------------------------------------------------- film check


def check_words(check: FilmCheck, turns: int = 0) -> str:
    """``"Frontal PA film, upright"``, and whether the view is the file's word or read from the picture.

    Args:
        turns: quarter turns by which the models were given the film upright.
    """
    kind = _KINDS[check.kind]
    if check.kind is FilmKind.OTHER:
        return kind
    known = check.view in (View.PA, View.AP) and check.kind is FilmKind.FRONTAL
    if known and check.view_source is ViewSource.FILE:
        text = f"{kind} {check.view.value} film"
    elif known:
        text = f"{kind} film, {check.view.value} read from the picture"
    elif check.kind is FilmKind.FRONTAL:
        text = f"{kind} film, PA or AP not known"
    else:
        text = f"{kind} film"
    if check.upright_turns == turns:
        return f"{text}, {f'turned upright by {90 * turns}°' if turns else 'upright'}"
    return f"{text}, lies turned"


def film_view_words(image: Radiograph, check: FilmCheck | None) -> str:
    """The view as the file says it; where the file is silent, what the network read, marked as such."""
    silent = image.view is View.UNKNOWN and check is not None and check.view_source is ViewSource.NETWORK
    if silent and check is not None and check.view.value:
        return f"{check.view.value}, read from the picture"
    return view_text(image)


def overridden_words(result: AnalysisResult) -> tuple[str, ...]:
    """The sentences of the film check that the reader has passed over."""
    if result.check is None or not result.overridden:
        return ()
    return tuple(sign.text for sign in result.check.signs if sign.code in result.overridden)


# ---------------------------------------------------------------- what scores carry


def calibration_words(result: AnalysisResult) -> str:
    """Whose calibration the scores carry: ``"as shipped"`` or ``"this site's (St. Anna, 412 films, 2026-11-22)"``.

    Empty where no score is calibrated: there is nothing to tell whose it is.
    """
    if result.site is not None:
        return f"this site's ({result.site.text})"
    return "as shipped" if any(finding.kind is ScoreKind.CALIBRATED for finding in result.findings) else ""


def withheld_words(result: AnalysisResult) -> tuple[str, ...]:
    """``"Not offered on AP films: Effusion, Edema"``: one line per reason, findings in the model's order."""
    by_reason: dict[str, list[str]] = {}
    for one in result.withheld:
        by_reason.setdefault(one.reason.rstrip("."), []).append(one.label)
    return tuple(f"{reason}: {', '.join(labels)}" for reason, labels in by_reason.items())


def point_words(card: ModelCard, label: LabelSpec) -> tuple[str, ...]:
    """What each operating point of a finding did on the films it was chosen on; the one in use first."""
    kind = card.kind_of(label)

    def words(point: OperatingPoint) -> str:
        used = "In use: threshold" if point.name == label.point else "Threshold"
        rates = f"sensitivity {point.sensitivity:.2f}, specificity {point.specificity:.2f}"
        data = f" on {point.data}" if point.data else ""
        return f"{used} {score_text(point.threshold, kind)} = {point.name}: {rates}{data}."

    return tuple(words(point) for point in sorted(label.points, key=lambda point: point.name != label.point))


def cautions_beside(result: AnalysisResult) -> tuple[Caution, ...]:
    """The cautions of an answer that are not told with the cardiothoracic ratio or by the film check already."""
    told = {(caution.code, caution.text) for caution in (result.anatomy.cautions if result.anatomy else ())}
    told |= {(sign.code, sign.text) for sign in (result.check.signs if result.check else ())}
    return tuple(caution for caution in result.cautions if (caution.code, caution.text) not in told)


def limits_beside(result: AnalysisResult) -> tuple[Caution, ...]:
    """Why the scores do not hold, without what the film check says already."""
    told = {(sign.code, sign.text) for sign in (result.check.signs if result.check else ())}
    return tuple(limit for limit in result.limits if (limit.code, limit.text) not in told)


def map_cautions(result: AnalysisResult, label: str) -> tuple[Caution, ...]:
    """The cautions about the map of one finding; such codes begin with ``map-`` and their sentences quote its name."""
    return tuple(one for one in result.cautions if one.code.startswith("map-") and f"“{label}”" in one.text)
