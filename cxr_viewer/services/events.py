"""What can happen (events) and what has to be done about it (effects)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import PixelSpacing, Radiograph, Voi
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.study import ImageNode, ReadStatus, StudyNode
from cxr_viewer.services.effects import CancelAnalysis as CancelAnalysis
from cxr_viewer.services.effects import CancelLoad as CancelLoad
from cxr_viewer.services.effects import Effect as Effect
from cxr_viewer.services.effects import LoadImage as LoadImage
from cxr_viewer.services.effects import RecordOverride as RecordOverride
from cxr_viewer.services.effects import SaveCalibration as SaveCalibration
from cxr_viewer.services.effects import SavePreference as SavePreference
from cxr_viewer.services.effects import SaveStatus as SaveStatus
from cxr_viewer.services.effects import StartAnalysis as StartAnalysis
from cxr_viewer.services.model_events import AnalysisArrived as AnalysisArrived
from cxr_viewer.services.model_events import AnalysisFailed as AnalysisFailed
from cxr_viewer.services.model_events import AnalysisProgressed as AnalysisProgressed
from cxr_viewer.services.model_events import AnalysisRefused as AnalysisRefused
from cxr_viewer.services.model_events import AskModel as AskModel
from cxr_viewer.services.model_events import ChooseModel as ChooseModel
from cxr_viewer.services.model_events import ModelsChanged as ModelsChanged
from cxr_viewer.services.model_events import MoveCalliper as MoveCalliper
from cxr_viewer.services.model_events import Override as Override
from cxr_viewer.services.model_events import ResetCallipers as ResetCallipers
from cxr_viewer.services.model_events import SelectFinding as SelectFinding
from cxr_viewer.services.model_events import SetAutomatic as SetAutomatic
from cxr_viewer.services.model_events import SetDevice as SetDevice
from cxr_viewer.services.model_events import SetMethod as SetMethod
from cxr_viewer.services.model_events import SetOverlay as SetOverlay
from cxr_viewer.services.model_events import SetShowMaps as SetShowMaps
from cxr_viewer.services.model_events import SetShowSeen as SetShowSeen
from cxr_viewer.services.model_events import ShowCallipers as ShowCallipers
from cxr_viewer.services.model_events import ShowOutlines as ShowOutlines
from cxr_viewer.services.model_events import ShowStructure as ShowStructure
from cxr_viewer.services.model_events import StepFinding as StepFinding
from cxr_viewer.services.model_events import TurnUpright as TurnUpright
from cxr_viewer.services.state import CornerText, Layout, NoticeLevel, Tool

# ---------------------------------------------------------------- opening and hanging


@dataclass(frozen=True, slots=True)
class OpenImage:
    """Show one image in a pane (the active one when ``pane`` is None)."""

    node: ImageNode
    pane: int | None = None


@dataclass(frozen=True, slots=True)
class OpenStudy:
    """Hang a study: PA | lateral side by side when both are there, else its first image."""

    study: StudyNode


@dataclass(frozen=True, slots=True)
class StepFrame:
    """Show the frame ``step`` further on in the same file; stops at its ends, keeps window, zoom and place."""

    pane: int
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class ImageLoaded:
    """The film is there, or its preview (``image.preview``), which a later one replaces without a jump.

    ``calibration`` is what the reader has measured on this film before.
    """

    pane: int
    generation: int
    image: Radiograph
    calibration: PixelSpacing | None = None


@dataclass(frozen=True, slots=True)
class LoadFailed:
    failure: Failure


@dataclass(frozen=True, slots=True)
class ClosePane:
    pane: int


@dataclass(frozen=True, slots=True)
class ActivatePane:
    pane: int


@dataclass(frozen=True, slots=True)
class SetLayout:
    layout: Layout


# ---------------------------------------------------------------- display


@dataclass(frozen=True, slots=True)
class SetVoi:
    """Use this grey transformation. Events of one drag share a ``gesture`` number and become one undo step."""

    pane: int
    voi: Voi | None
    voi_index: int | None = None
    gesture: int = 0


@dataclass(frozen=True, slots=True)
class SetInverted:
    pane: int
    inverted: bool


@dataclass(frozen=True, slots=True)
class SetOrientation:
    pane: int
    orientation: Orientation


@dataclass(frozen=True, slots=True)
class SetView:
    """Zoom (screen pixels per image pixel, None = fit) and the display point in the middle (None = middle)."""

    pane: int
    zoom: float | None
    center: Point | None


@dataclass(frozen=True, slots=True)
class ResetDisplay:
    """Back to the file's own window, upright, fitted, as when the film was opened."""

    pane: int


@dataclass(frozen=True, slots=True)
class SetLayers:
    """Show or hide what the file draws over its pixels; None keeps what is set."""

    pane: int
    overlays: bool | None = None
    shutter: bool | None = None
    padding: bool | None = None


@dataclass(frozen=True, slots=True)
class Calibrate:
    """The reader says how long a line on the film really is: ``mm`` between the ends of the mark; None goes back to
    what the file says. It is kept for this film."""

    pane: int
    mark_id: int | None = None
    mm: float | None = None


@dataclass(frozen=True, slots=True)
class SetTool:
    tool: Tool


@dataclass(frozen=True, slots=True)
class SetCornerText:
    corner_text: CornerText


@dataclass(frozen=True, slots=True)
class SetMarksVisible:
    visible: bool


@dataclass(frozen=True, slots=True)
class SetInvertDrag:
    """Dragging up darkens (True) or brightens."""

    inverted: bool


# ---------------------------------------------------------------- marks


@dataclass(frozen=True, slots=True)
class AddMark:
    pane: int
    kind: MarkKind
    points: tuple[Point, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChangeMark:
    """Move or re-word a mark; None keeps what it has."""

    pane: int
    mark_id: int
    points: tuple[Point, ...] | None = None
    text: str | None = None
    gesture: int = 0


@dataclass(frozen=True, slots=True)
class RemoveMark:
    pane: int
    mark_id: int


@dataclass(frozen=True, slots=True)
class SelectMark:
    pane: int
    mark_id: int | None


@dataclass(frozen=True, slots=True)
class Undo:
    pane: int


@dataclass(frozen=True, slots=True)
class Redo:
    pane: int


# ---------------------------------------------------------------- comment, library, notices


@dataclass(frozen=True, slots=True)
class SetOpinion:
    pane: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScanProgressed:
    looked_at: int
    total: int
    found: int


@dataclass(frozen=True, slots=True)
class ScanEnded:
    pass


@dataclass(frozen=True, slots=True)
class MarkStudy:
    study_uid: str
    status: ReadStatus


@dataclass(frozen=True, slots=True)
class Tell:
    """Show a sentence to the reader."""

    level: NoticeLevel
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DismissNotice:
    number: int


Event = (
    OpenImage
    | OpenStudy
    | StepFrame
    | ImageLoaded
    | LoadFailed
    | ClosePane
    | ActivatePane
    | SetLayout
    | SetVoi
    | SetInverted
    | SetOrientation
    | SetView
    | ResetDisplay
    | SetLayers
    | Calibrate
    | SetTool
    | SetCornerText
    | SetMarksVisible
    | SetInvertDrag
    | AddMark
    | ChangeMark
    | RemoveMark
    | SelectMark
    | Undo
    | Redo
    | ChooseModel
    | ModelsChanged
    | SetShowSeen
    | SetAutomatic
    | SetDevice
    | SetMethod
    | SetShowMaps
    | AskModel
    | AnalysisProgressed
    | AnalysisArrived
    | AnalysisRefused
    | AnalysisFailed
    | SelectFinding
    | StepFinding
    | SetOverlay
    | ShowStructure
    | Override
    | TurnUpright
    | MoveCalliper
    | ResetCallipers
    | ShowCallipers
    | ShowOutlines
    | SetOpinion
    | ScanProgressed
    | ScanEnded
    | MarkStudy
    | Tell
    | DismissNotice
)
