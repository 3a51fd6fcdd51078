"""What a model says of a film, and how far that may be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, ImageKey, Radiograph
from cxr_viewer.core.modelcard import InputSpec as InputSpec
from cxr_viewer.core.modelcard import LabelSpec as LabelSpec
from cxr_viewer.core.modelcard import MapEvidence as MapEvidence
from cxr_viewer.core.modelcard import MapTrust as MapTrust
from cxr_viewer.core.modelcard import Metric as Metric
from cxr_viewer.core.modelcard import ModelCard as ModelCard
from cxr_viewer.core.modelcard import OnnxSpec as OnnxSpec
from cxr_viewer.core.modelcard import Proof as Proof
from cxr_viewer.core.modelcard import ScoreKind as ScoreKind
from cxr_viewer.core.modelcard import Task as Task


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model looks at a film, and why this one.

    Attributes:
        reason: one sentence for the reader.
    """

    model_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    label: str
    score: float
    kind: ScoreKind
    threshold: float
    logit: float = 0.0

    @property
    def positive(self) -> bool:
        """At or above the operating point."""
        return self.score >= self.threshold


class MapScale(Enum):
    """How heat map values relate to each other."""

    COMMON = "common"  # one scale across all findings of a film
    PROBABILITY = "probability"  # of a segmenter: the cell belongs to the structure; the outline is at 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where a finding's score comes from.

    Attributes:
        values: float32 (h, w), 0..1 on the common scale, read-only.
        extent: the part of the image, in image pixels, that ``values`` covers exactly.
        method: e.g. ``"Grad-CAM"``.
        trust: whether such maps were found to show the place; said wherever the map is shown.
    """

    label: str
    values: NDArray[np.float32] = field(repr=False)
    extent: ImageRect
    method: str = "Grad-CAM"
    scale: MapScale = MapScale.COMMON
    trust: MapTrust = MapTrust.NOT_TESTED


@dataclass(frozen=True, slots=True, eq=False)
class Saw:
    """What the model was given, as a picture.

    Attributes:
        picture: uint8 (size, size), the very input before normalising, 0 black, 255 white; read-only.
        turned: the film is stored with bone dark, and was given to the model with bone bright.
        clipped: share of the seen area at the darkest or brightest value, 0..1.
        given: the part of the image the picture shows, where that is less than all of ``AnalysisResult.seen`` that is
            film: an empty border was cut away and the square filled up again with black. None: all of it.
        crop: what the film was cut to, as ``InputSpec.crop`` says; empty: nothing but its exposed area.
    """

    picture: NDArray[np.uint8] = field(repr=False)
    turned: bool = False
    clipped: float = 0.0
    given: ImageRect | None = None
    crop: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisRequest:
    """One question to the inference thread, with all it needs.

    Attributes:
        pane: -1 where no pane waits for the answer (a film scored ahead).
    """

    pane: int
    generation: int
    image: Radiograph
    model_id: str
    method: str = "Grad-CAM"
    device: str = "auto"  # "auto", "cpu" or "cuda"


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisResult:
    """The answer to one :class:`AnalysisRequest`.

    Attributes:
        seen: the part of the image the model was given, in image pixels.
        limits: why the score does not hold for this film (age, view, ...); not empty means: show it greyed.
        device: e.g. ``"CPU (OpenVINO)"``, ``"CUDA (torch)"``.
        elapsed_s: from taking up the request to the answer; of an answer kept from before, what it took then.
        saw: what the model was given.
        kept: the answer was given before and kept.
    """

    pane: int
    generation: int
    key: ImageKey
    model_id: str
    model_name: str
    model_version: str
    model_sha256: str
    findings: tuple[Finding, ...]
    heatmaps: tuple[Heatmap, ...]
    seen: ImageRect
    device: str
    elapsed_s: float
    limits: tuple[Caution, ...] = ()
    cautions: tuple[Caution, ...] = ()
    saw: Saw | None = None
    kept: bool = False

    @property
    def structures(self) -> tuple[str, ...]:
        """What a segmenter outlined, in its order; empty for classifiers."""
        return tuple(one.label for one in self.heatmaps if one.scale is MapScale.PROBABILITY)

    def outlines(self, labels: tuple[str, ...] | None) -> tuple[Heatmap, ...]:
        """The maps of those structures among ``labels``, in the model's order."""
        wanted = labels or ()
        return tuple(one for one in self.heatmaps if one.scale is MapScale.PROBABILITY and one.label in wanted)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model declined to look at the film."""

    pane: int
    generation: int
    key: ImageKey
    model_id: str
    code: str
    summary: str
    hint: str = ""
