"""What is on screen, as one value. Widgets draw it; only ``services.session.reduce`` makes the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cxr_viewer.core.anatomy import LUNGS, Anatomy, Callipers
from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ModelCard, ModelChoice, Refusal
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, PixelSpacing, Radiograph
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.study import ImageNode

PANE_COUNT = 4
AUTO = "auto"
"""In place of a model's id: for each film the installed model that is meant for it."""


class Layout(Enum):
    """How many panes are visible, as (rows, columns). ``ONE`` shows the active pane alone."""

    ONE = (1, 1)
    ONE_BY_TWO = (1, 2)
    TWO_BY_TWO = (2, 2)


QUICK_METHOD = "Grad-CAM"
"""The heat map that comes with every score; all others take longer."""


class PaneStatus(Enum):
    EMPTY = "empty"
    LOADING = "loading"
    SHOWN = "shown"
    FAILED = "failed"


class AnalysisStatus(Enum):
    NONE = "none"  # nobody asked
    RUNNING = "running"
    READY = "ready"
    REFUSED = "refused"
    FAILED = "failed"


class Tool(Enum):
    """What the left button does on a film."""

    WINDOW = "window"
    PAN = "pan"
    ZOOM = "zoom"
    LENGTH = "length"
    ANGLE = "angle"
    ARROW = "arrow"
    TEXT = "text"

    @property
    def mark_kind(self) -> MarkKind | None:
        """The mark this tool draws, None for tools that only change the display."""
        return MarkKind(self.value) if self.value in {kind.value for kind in MarkKind} else None


class CornerText(Enum):
    """How much is written in the corners of a film."""

    FULL = "full"
    NO_IDENTITY = "without identity"
    HIDDEN = "hidden"


class NoticeLevel(Enum):
    INFO = "info"
    CAUTION = "caution"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence (and a way out) that does not steal focus. ``number`` grows, so that equal texts are distinct."""

    number: int
    level: NoticeLevel
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ScanStatus:
    """A running scan; None in the state when nothing is scanned. ``total`` is 0 while counting."""

    looked_at: int
    total: int
    found: int


@dataclass(frozen=True, slots=True, eq=False)
class UndoStep:
    """What one undo brings back.

    Attributes:
        gesture: joins the many events of one drag into one step (0 joins nothing).
        turns: see :class:`Pane`; where it was another one, models are asked again.
    """

    display: DisplayState
    marks: tuple[Mark, ...]
    gesture: int = 0
    callipers: Callipers | None = None
    turns: int = 0


@dataclass(frozen=True, slots=True)
class FrameNotes:
    """What the reader has put on a frame that is not on screen just now."""

    frame: int
    marks: tuple[Mark, ...]
    next_mark_id: int
    opinion: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Pane:
    """One place for a film, with all that belongs to that film.

    Attributes:
        node: what the reader opened, None for an empty pane.
        generation: number of the opening; answers of a loader that carry another one are dropped.
        model: the model asked about this film and why it is this one, None while none was.
        question: number of the newest analysis; answers of a model that carry another one are dropped.
        selected: finding the reader looks at, the row lit in the panel.
        opinion: the reader's comment for the report.
        pending: another frame of the same file that is wanted while this one stays on screen.
        pending_frame: the frame being read; ``pending`` is further on where the reader did not wait for it.
        pending_generation: number of that reading.
        kept: marks and comments on other frames of the same file, while the pane stays with that file.
        file_spacing: what the file says of millimetres, while ``image.spacing`` is the reader's own calibration.
        calibrated: ``image.spacing`` is the reader's own.
        turns: quarter turns clockwise by which models are given the film upright; the reader took up the guard's offer.
        overridden: the reader wants a score although the guard blocks the film.
        edited: the callipers as the reader has moved them, None while they are the anatomy model's.
    """

    node: ImageNode | None = None
    generation: int = 0
    status: PaneStatus = PaneStatus.EMPTY
    image: Radiograph | None = None
    failure: Failure | None = None
    display: DisplayState = field(default_factory=DisplayState)
    marks: tuple[Mark, ...] = ()
    selected_mark: int | None = None
    next_mark_id: int = 1
    undo: tuple[UndoStep, ...] = ()
    redo: tuple[UndoStep, ...] = ()
    question: int = 0
    model: ModelChoice | None = None
    analysis: AnalysisStatus = AnalysisStatus.NONE
    stage: str = ""
    result: AnalysisResult | None = None
    refusal: Refusal | None = None
    analysis_failure: Failure | None = None
    selected: str | None = None
    opinion: str = field(default="", repr=False)
    pending: ImageNode | None = None
    pending_frame: int = 0
    pending_generation: int = 0
    kept: tuple[FrameNotes, ...] = ()
    file_spacing: PixelSpacing | None = None
    calibrated: bool = False
    turns: int = 0
    overridden: bool = False
    edited: Callipers | None = None

    @property
    def callipers(self) -> Callipers | None:
        """The callipers to draw: the reader's, else the anatomy model's; None where there are none."""
        if self.edited is not None:
            return self.edited
        return self.anatomy.callipers if self.anatomy is not None else None

    @property
    def key(self) -> ImageKey | None:
        return self.node.key if self.node else None

    @property
    def frames(self) -> int:
        """How many frames the file holds, as it was found when it was read, or until then as its header says."""
        if self.image is not None:
            return self.image.frames
        return self.node.frames if self.node else 1

    @property
    def heatmap(self) -> Heatmap | None:
        """The map to draw now, None when it is switched off or there is none."""
        label = self.display.overlay.label
        if self.result is None or label is None:
            return None
        return next((heatmap for heatmap in self.result.heatmaps if heatmap.label == label), None)

    @property
    def outlines(self) -> tuple[Heatmap, ...]:
        """The structures of a segmenter whose outlines are drawn now."""
        return self.result.outlines(self.display.overlay.structures) if self.result is not None else ()

    @property
    def anatomy(self) -> Anatomy | None:
        """What the anatomy model found on the film, None while there is no answer or no such model."""
        return self.result.anatomy if self.result is not None else None

    @property
    def lungs_outline(self) -> Heatmap | None:
        """Where the lungs are, None where the anatomy model's outlines are not trusted."""
        found = self.anatomy.outlines if self.anatomy is not None and self.anatomy.trusted else ()
        return next((one for one in found if one.label == LUNGS), None)

    @property
    def lungs_box(self) -> ImageRect | None:
        """The box around both lungs, None where the anatomy model did not find them or its outlines are not trusted."""
        return self.anatomy.lungs_box if self.anatomy is not None and self.anatomy.trusted else None


@dataclass(frozen=True, slots=True, eq=False)
class ViewerState:
    """The whole window.

    Attributes:
        panes: always ``PANE_COUNT``; ``visible`` says which are shown.
        counter: last number given to an opening, a question or a notice.
        model_id: chosen model, ``AUTO``, or empty when none is installed.
        cards: the installed models.
        automatic: run the model on every film that opens.
        device: "auto", "cpu" or "cuda".
        method: CAM method, "Grad-CAM" unless the reader chose another.
        show_maps: switch the heat map on by itself for findings at or above their operating point.
        show_seen: hatch what the model did not see, and show what it did.
        invert_drag: dragging up darkens instead of brightening.
        show_callipers: draw the callipers of the cardiothoracic ratio.
        show_outlines: draw the anatomy model's outlines of lungs and heart, until the program ends.
    """

    panes: tuple[Pane, ...] = (Pane(),) * PANE_COUNT
    active: int = 0
    layout: Layout = Layout.ONE
    tool: Tool = Tool.WINDOW
    corner_text: CornerText = CornerText.FULL
    marks_visible: bool = True
    counter: int = 0
    model_id: str = ""
    cards: tuple[ModelCard, ...] = ()
    automatic: bool = True
    device: str = "auto"
    method: str = QUICK_METHOD
    show_maps: bool = True
    show_seen: bool = False
    invert_drag: bool = False
    show_callipers: bool = True
    show_outlines: bool = False
    scan: ScanStatus | None = None
    notice: Notice | None = None

    @property
    def pane(self) -> Pane:
        """The active pane."""
        return self.panes[self.active]

    @property
    def visible(self) -> tuple[int, ...]:
        """Indices of the panes on screen, left to right, top to bottom."""
        if self.layout is Layout.ONE:
            return (self.active,)
        rows, columns = self.layout.value
        return tuple(range(rows * columns))


def sorted_findings(result: AnalysisResult) -> tuple[Finding, ...]:
    """Findings by how far above their operating point, most urgent first.

    Distance is measured in shares of the room above or below the threshold, so that findings with very different
    thresholds can be compared (as TorchXRayVision's operating-point normalisation does).
    """

    def distance(finding: Finding) -> float:
        room = 1.0 - finding.threshold if finding.positive else finding.threshold
        return (finding.score - finding.threshold) / room if room > 0 else 0.0

    return tuple(sorted(result.findings, key=distance, reverse=True))
