"""What has to be done about an event. ``services.events`` offers these beside the events they answer."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.image import ImageKey, PixelSpacing
from cxr_viewer.core.study import ImageNode, ReadStatus


@dataclass(frozen=True, slots=True)
class LoadImage:
    """Read the image on a loader thread; the answer is ImageLoaded or LoadFailed. Replaces the pane's earlier load."""

    pane: int
    generation: int
    node: ImageNode


@dataclass(frozen=True, slots=True)
class CancelLoad:
    pane: int


@dataclass(frozen=True, slots=True, eq=False)
class StartAnalysis:
    """Hand the request to the inference thread. Replaces an earlier one of the same pane.

    Attributes:
        at_once: the reader asked; otherwise it waits until the reader has stayed on the film for a moment, so that
            paging through a study scores only the films somebody looks at. A kept answer is given at once.
    """

    request: AnalysisRequest
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class CancelAnalysis:
    pane: int


@dataclass(frozen=True, slots=True)
class SaveStatus:
    """Write the reader's status of a study into the library."""

    study_uid: str
    status: ReadStatus


@dataclass(frozen=True, slots=True)
class SaveCalibration:
    """Keep the reader's millimetres for a film; None forgets them. The digest keeps them from another film."""

    key: ImageKey
    source_sha256: str
    spacing: PixelSpacing | None


@dataclass(frozen=True, slots=True)
class SavePreference:
    """Keep a choice for the next start."""

    name: str
    value: str | bool


@dataclass(frozen=True, slots=True)
class RecordOverride:
    """Write into the audit trail that the reader asked for a score the guard had blocked.

    Attributes:
        codes: of the guard's signs.
    """

    key: ImageKey
    model_id: str
    codes: tuple[str, ...]


Effect = (
    LoadImage
    | CancelLoad
    | StartAnalysis
    | CancelAnalysis
    | SaveStatus
    | SaveCalibration
    | SavePreference
    | RecordOverride
)
