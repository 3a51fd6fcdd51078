"""The words of the findings panel: what became of a question to a model, which model it was, where it ran."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_viewer.core.findings import AnalysisResult, Heatmap, ModelCard
from cxr_viewer.core.measuring import calibration_words, map_cautions, point_words
from cxr_viewer.core.seeing import trust_badge, trust_words
from cxr_viewer.services.state import AnalysisStatus, Pane, PaneStatus
from cxr_viewer.ui.finding_bars import MapNote

NOT_HELD = "The score does not hold for this film."
_NO_MODEL_HINT = "Films can be read without one. “Models…” above installs one."


def reason(pane: Pane, card: ModelCard | None) -> str:
    """Which model looked at this film, and why this one."""
    if pane.model is None or card is None or pane.analysis is AnalysisStatus.NONE:
        return ""
    unproven = card.proof is not None and card.proof.kind == "none-published"
    return f"{card.name}{', unproven' if unproven else ''}. {pane.model.reason}"


def awaits(pane: Pane) -> bool:
    """An answer is under way, or a film that will be asked about."""
    preview = pane.image is not None and pane.image.preview
    return preview or pane.status is PaneStatus.LOADING or pane.analysis is AnalysisStatus.RUNNING


def took(result: AnalysisResult | None, card: ModelCard) -> str:
    """Where the model ran, how long, and whose calibration its scores carry; the line keeps its place meanwhile."""
    if result is None:
        return f"Calibration: this site's ({card.site.text})" if card.site is not None else "\N{NO-BREAK SPACE}"
    ran = f"{result.device}, " + ("kept from before" if result.kept else f"{result.elapsed_s:.2f} s")
    whose = calibration_words(result)
    return f"{ran}\nCalibration: {whose}" if whose else ran


def point_tips(card: ModelCard | None) -> dict[str, str]:
    """What the operating points of each finding did on the films they were chosen on."""
    if card is None:
        return {}
    return {label.name: "\n".join(point_words(card, label)) for label in card.labels if label.points}


def map_notes(result: AnalysisResult, card: ModelCard | None) -> dict[str, MapNote]:
    """What has to be said of each finding's map, a caution about this very map after what is known of such maps."""

    def words(one: Heatmap) -> str:
        own = [caution.text for caution in map_cautions(result, one.label)]
        return "\n".join([trust_words(card, one.label, one.method, one.trust), *own])

    return {one.label: MapNote(trust_badge(one.trust), words(one)) for one in result.heatmaps}


def status_words(pane: Pane, *, installed: bool, problems: Sequence[str], busy: bool) -> tuple[str, str, str]:
    """(sentence, hint, style role) for the state the analysis is in.

    Args:
        installed: there is a model.
        problems: a sentence for each model that cannot be used.
        busy: it takes long enough to be mentioned.
    """
    if not installed:
        return "No model is installed.", problems[0] if problems else _NO_MODEL_HINT, "caution"
    if pane.status is PaneStatus.EMPTY:
        return "No film is open.", "", "muted"
    if pane.image is None:
        return "", "", "muted"
    match pane.analysis:
        case AnalysisStatus.NONE if pane.image.preview:
            return "The whole film is being read.", "The model looks at nothing less.", "muted"
        case AnalysisStatus.NONE:
            return "The model has not looked at this film.", "Press Run to ask it.", "muted"
        case AnalysisStatus.RUNNING:
            return (f"{pane.stage}\N{HORIZONTAL ELLIPSIS}" if busy else ""), "", "muted"
        case AnalysisStatus.REFUSED if pane.refusal is not None and pane.refusal.check is not None:
            return "No score: the film check above stops it.", "", "muted"
        case AnalysisStatus.REFUSED if pane.refusal is not None:
            return pane.refusal.summary, pane.refusal.hint, "caution"
        case AnalysisStatus.FAILED if pane.analysis_failure is not None:
            return pane.analysis_failure.summary, pane.analysis_failure.hint, "error"
    return "", "", "muted"
