"""What a model is, what it says, and how far that may be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, ImageKey, Radiograph


class ScoreKind(Enum):
    """What a number means. Only ``CALIBRATED`` may be written with a percent sign."""

    LOGIT = "logit"
    UNCALIBRATED = "uncalibrated score"
    OPERATING_POINT = "operating-point score"
    CALIBRATED = "calibrated probability"


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """One output of a model.

    Attributes:
        name: what the reader sees, e.g. ``"Pneumonia"``.
        threshold: operating point on the score's own scale (after calibration).
        description: one line on what the label means in the training data.
    """

    name: str
    threshold: float
    description: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with everything needed to believe it."""

    name: str
    value: float
    low: float | None
    high: float | None
    data: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network is fed.

    Attributes:
        size_px: side of the square input.
        fit: ``"pad"`` (whole film, padded to a square), ``"crop"`` (centre square) or ``"stretch"`` (whole film
            squeezed to a square); the rule is applied to the exposed area when ``crop_border`` is set.
        crop_border: empty borders (unexposed frame) are cut away first.
        mean, std: normalisation of grey values in 0..1, bright = dense.
    """

    size_px: int
    fit: str
    crop_border: bool
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card of one model bundle; see ``resources/models/<id>/card.toml``.

    Attributes:
        sha256: digest of the weights; scores, thresholds and calibration hold for these weights only.
        network: name known to ``cxr_viewer.inference.networks``.
        temperature, bias: calibration, ``p = sigmoid(logit / temperature + bias)``.
        intended_ages: (youngest, oldest) in years, inclusive lower, exclusive upper + 1, or None for any.
        intended_views: names of :class:`cxr_viewer.core.image.View`.
        intended_use: one sentence, always in view beside the score.
    """

    model_id: str
    name: str
    version: str
    network: str
    sha256: str
    licence: str
    labels: tuple[LabelSpec, ...]
    score_kind: ScoreKind
    input: InputSpec
    temperature: float
    bias: float
    intended_ages: tuple[float, float] | None
    intended_views: tuple[str, ...]
    intended_use: str
    trained_on: str
    metrics: tuple[Metric, ...] = ()
    cautions: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where a finding's score comes from.

    Attributes:
        values: float32 (h, w), 0..1 on the common scale, read-only.
        extent: the part of the image, in image pixels, that ``values`` covers exactly.
        method: e.g. ``"Grad-CAM"``.
    """

    label: str
    values: NDArray[np.float32] = field(repr=False)
    extent: ImageRect
    method: str = "Grad-CAM"
    scale: MapScale = MapScale.COMMON


@dataclass(frozen=True, slots=True, eq=False)
class AnalysisRequest:
    """One question to the inference thread, with all it needs."""

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
        elapsed_s: from taking up the request to the answer.
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
