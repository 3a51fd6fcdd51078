"""What a model says of a film, and how far that may be believed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import Anatomy
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.heatmaps import Heatmap as Heatmap
from cxr_viewer.core.heatmaps import MapScale as MapScale
from cxr_viewer.core.image import Caution, ImageKey, Radiograph
from cxr_viewer.core.modelcard import InputSpec as InputSpec
from cxr_viewer.core.modelcard import LabelSpec as LabelSpec
from cxr_viewer.core.modelcard import MapEvidence as MapEvidence
from cxr_viewer.core.modelcard import MapTrust as MapTrust
from cxr_viewer.core.modelcard import Metric as Metric
from cxr_viewer.core.modelcard import ModelCard as ModelCard
from cxr_viewer.core.modelcard import OnnxSpec as OnnxSpec
from cxr_viewer.core.modelcard import OperatingPoint as OperatingPoint
from cxr_viewer.core.modelcard import Proof as Proof
from cxr_viewer.core.modelcard import RatioError as RatioError
from cxr_viewer.core.modelcard import RatioTerm as RatioTerm
from cxr_viewer.core.modelcard import ReferenceSpec as ReferenceSpec
from cxr_viewer.core.modelcard import ScoreKind as ScoreKind
from cxr_viewer.core.modelcard import SiteCalibration as SiteCalibration
from cxr_viewer.core.modelcard import SiteLabel as SiteLabel
from cxr_viewer.core.modelcard import Task as Task
from cxr_viewer.core.modelcard import TriedLabel as TriedLabel
from cxr_viewer.core.modelcard import ViewTerm as ViewTerm


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
        turns: quarter turns clockwise by which the film is made upright before any model looks at it.
        override: score the film even where the guard blocks it; the reader asked for it.
    """

    pane: int
    generation: int
    image: Radiograph
    model_id: str
    method: str = "Grad-CAM"
    device: str = "auto"  # "auto", "cpu" or "cuda"
    turns: int = 0
    override: bool = False


@dataclass(frozen=True, slots=True)
class Withheld:
    """A finding the model has that is not offered for this film.

    Attributes:
        reason: one sentence, e.g. ``"Not offered on AP films."``
    """

    label: str
    reason: str


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
        anatomy: lungs, heart and cardiothoracic ratio; None where no anatomy model is installed or it failed.
        check: what the guard says of the film; None where none is installed.
        overridden: codes of the guard's signs that would have blocked the score, passed over by the reader.
        turns: as asked (``AnalysisRequest.turns``); maps and places are in the pixels of the film as it is stored.
        withheld: findings that are not offered for this film.
        site: whose calibration the scores carry; None: as shipped.
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
    anatomy: Anatomy | None = None
    check: FilmCheck | None = None
    overridden: tuple[str, ...] = ()
    turns: int = 0
    withheld: tuple[Withheld, ...] = ()
    site: SiteCalibration | None = None

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
    """The model declined to look at the film.

    Attributes:
        check: the guard's answer where it was the guard that declined; then the reader may override.
    """

    pane: int
    generation: int
    key: ImageKey
    model_id: str
    code: str
    summary: str
    hint: str = ""
    check: FilmCheck | None = None
