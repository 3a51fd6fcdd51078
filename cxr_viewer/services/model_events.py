"""What can happen about models, their answers and what is drawn of them; a part of ``services.events``."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_viewer.core.anatomy import Handle
from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.findings import AnalysisResult, ModelCard, Refusal
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.jobs import Failure, Progress


@dataclass(frozen=True, slots=True)
class ChooseModel:
    """``model_id`` may be ``state.AUTO``: for each film the installed model that is meant for it."""

    model_id: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelsChanged:
    """A model was installed or removed; these are there now."""

    cards: tuple[ModelCard, ...]


@dataclass(frozen=True, slots=True)
class SetShowSeen:
    """Hatch what the model did not see, and show what it did."""

    visible: bool


@dataclass(frozen=True, slots=True)
class SetAutomatic:
    automatic: bool


@dataclass(frozen=True, slots=True)
class SetDevice:
    device: str


@dataclass(frozen=True, slots=True)
class SetMethod:
    method: str


@dataclass(frozen=True, slots=True)
class SetShowMaps:
    show_maps: bool


@dataclass(frozen=True, slots=True)
class AskModel:
    """The reader asks for an analysis of the film in a pane."""

    pane: int


@dataclass(frozen=True, slots=True)
class AnalysisProgressed:
    progress: Progress


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisArrived:
    result: AnalysisResult


@dataclass(frozen=True, slots=True)
class AnalysisRefused:
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class AnalysisFailed:
    failure: Failure


@dataclass(frozen=True, slots=True)
class SelectFinding:
    """Light a finding; its map is shown when maps are on for the pane."""

    pane: int
    label: str


@dataclass(frozen=True, slots=True)
class StepFinding:
    """Next (+1) or previous (-1) finding in the order of the panel."""

    pane: int
    step: int


@dataclass(frozen=True, slots=True)
class SetOverlay:
    """Change the heat map; None keeps what is set. ``visible`` shows the selected (or most urgent) finding's map.

    Of a segmenter ``visible`` draws the outlines of all structures, or of none.
    """

    pane: int
    visible: bool | None = None
    alpha: float | None = None
    threshold: float | None = None
    mode: OverlayMode | None = None


@dataclass(frozen=True, slots=True)
class ShowStructure:
    """Draw, or no longer draw, the outline of one structure of a segmenter; others stay as they are."""

    pane: int
    label: str
    visible: bool


@dataclass(frozen=True, slots=True)
class Override:
    """Score the film although the guard blocks it; what it says stays beside the score, and the audit trail has it."""

    pane: int


@dataclass(frozen=True, slots=True)
class TurnUpright:
    """Turn the film on the screen as the guard says, and have it looked at that way."""

    pane: int


@dataclass(frozen=True, slots=True)
class MoveCalliper:
    """Pull one end of the cardiothoracic callipers; events of one drag share a ``gesture`` and are one undo step."""

    pane: int
    handle: Handle
    to: Point
    gesture: int = 0


@dataclass(frozen=True, slots=True)
class ResetCallipers:
    """Back to where the anatomy model put them."""

    pane: int


@dataclass(frozen=True, slots=True)
class ShowCallipers:
    """Draw the callipers of the cardiothoracic ratio on every film that has them, or on none."""

    visible: bool


@dataclass(frozen=True, slots=True)
class ShowOutlines:
    """Draw the anatomy model's outlines of lungs and heart on every film that has them, or on none."""

    visible: bool
