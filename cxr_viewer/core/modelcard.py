"""The card of a model: what it is, what it was made from and measured on, and how far it may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

UNSURE_FACTOR = 3.0
"""How many times wider a ratio's interval is where the model is less sure of the heart and nothing else is known."""


class ScoreKind(Enum):
    """What a number means. Only ``CALIBRATED`` may be written with a percent sign."""

    LOGIT = "logit"
    UNCALIBRATED = "uncalibrated score"
    OPERATING_POINT = "operating-point score"
    CALIBRATED = "calibrated probability"


class Task(Enum):
    """What a model does with a film."""

    CLASSIFY = "classify"  # a score per finding
    SEGMENT = "segment"  # an outline per anatomical structure, no score
    GUARD = "guard"  # whether a film is of the kind that models read


class MapTrust(Enum):
    """Whether the maps of a finding were found to show the place, on films with boxes drawn by people."""

    RELIABLE = "reliable"
    NOT_RELIABLE = "map not reliable"
    NOT_TESTED = "map not tested"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and what it did on the films it was chosen on.

    Attributes:
        name: ``"90 % sensitivity"``, ``"90 % specificity"`` or ``"Youden"``.
        threshold: on the calibrated score.
        data: the films it was chosen on, never the test films.
    """

    name: str
    threshold: float
    sensitivity: float
    specificity: float
    data: str = ""


@dataclass(frozen=True, slots=True)
class RatioTerm:
    """What the cardiothoracic ratio adds to a logit: ``weight * (ratio - centre)``, where it could be measured.

    Where it could not, the logit stays as it is; ``centre`` is therefore near the mean of the training films.
    """

    weight: float
    centre: float


@dataclass(frozen=True, slots=True)
class ViewTerm:
    """What is added to a logit on films of one view, so that one threshold does alike in all.

    Where the view is not known nothing is added.

    Attributes:
        view: name of a :class:`cxr_viewer.core.image.View`.
    """

    view: str
    shift: float


@dataclass(frozen=True, slots=True)
class RatioError:
    """Half the 95 % interval of a cardiothoracic ratio on films of one view.

    Attributes:
        view: name of a :class:`cxr_viewer.core.image.View`.
        sure: where the model is sure of the heart; ``unsure``: where it is less sure, and still trusts its outlines.
    """

    view: str
    sure: float
    unsure: float


@dataclass(frozen=True, slots=True)
class LabelSpec:
    """One output of a model.

    Attributes:
        name: what the reader sees, e.g. ``"Pneumonia"``.
        threshold: operating point on the score's own scale (after calibration).
        description: one line on what the label means in the training data.
        views: names of :class:`cxr_viewer.core.image.View` the finding is offered for; empty: those of the card.
        score_kind, temperature, bias: of this finding, where they differ from the card's.
        point: name of the operating point that ``threshold`` is, or empty.
        points: all that were measured.
        ratio: for the heart's size, what the measured cardiothoracic ratio adds.
        view_terms: what the view adds.
    """

    name: str
    threshold: float
    description: str = ""
    views: tuple[str, ...] = ()
    score_kind: ScoreKind | None = None
    temperature: float | None = None
    bias: float | None = None
    point: str = ""
    points: tuple[OperatingPoint, ...] = ()
    ratio: RatioTerm | None = None
    view_terms: tuple[ViewTerm, ...] = ()


@dataclass(frozen=True, slots=True)
class TriedLabel:
    """A finding that was learned and measured, and is not offered to the reader; its figures are among the metrics.

    Attributes:
        reason: one sentence, e.g. ``"AUC 0.69 (0.63 to 0.75) on the test films: below 0.75."``
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReferenceSpec:
    """What the films a model was trained on look like to it, for telling films that do not.

    Attributes:
        sha256: digest of ``reference.safetensors`` beside the weights.
        limit: distance (see ``inference.distance``) below which ``share`` of held-out films of the training source lie.
    """

    sha256: str
    limit: float
    share: float = 0.99
    data: str = ""


@dataclass(frozen=True, slots=True)
class SiteLabel:
    """One finding, tuned again on a site's own films.

    Attributes:
        fitted: how the score was tuned (``"none"``, ``"temperature"``, ``"temperature and bias"``).
        positives: films with the finding among those it was tuned on.
    """

    name: str
    threshold: float
    temperature: float
    bias: float
    score_kind: ScoreKind
    fitted: str
    positives: int
    point: str = ""
    points: tuple[OperatingPoint, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """A calibration of one model (these weights only) made on a site's own films.

    Attributes:
        site: the site's own name for it.
        made: ISO date.
        labels: the findings that could be tuned; others stay as shipped.
        metrics: figures before and after, measured on films it was not fitted on.
    """

    site: str
    made: str
    films: int
    patients: int
    labels: tuple[SiteLabel, ...]
    metrics: tuple[Metric, ...] = ()

    @property
    def text(self) -> str:
        """``"St. Anna, 412 films, 2026-11-22"``."""
        return f"{self.site}, {self.films} films, {self.made}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with everything needed to believe it.

    Attributes:
        low, high: 95 % interval over patients.
        data: the films and their split.
        count: number of films.
        label: the finding it belongs to; empty: the whole model.
        group: the part of the films, e.g. ``"PA"``, ``"women"``, ``"one film per patient"``; empty: all of them.
        positives: films with the finding; ``positive_patients``: patients who have such films.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    data: str
    count: int | None = None
    label: str = ""
    group: str = ""
    positives: int | None = None
    positive_patients: int | None = None


@dataclass(frozen=True, slots=True)
class MapEvidence:
    """How well the maps of one finding show the place, beside the best fixed point.

    Attributes:
        method: the map's method, e.g. ``"Grad-CAM"``; figures of one method say nothing of another.
        pointing: share of boxes that the hottest point of the map lies in (Zhang et al., ECCV 2016), with a 95 %
            interval over patients.
        fixed_point: the same share for the one point per finding that lies in most boxes of *other* films.
        iou: mean intersection over union of the map's outline with the box; ``fixed_iou`` of one box made of those
            of other films.
        count: number of boxes; ``data`` names them.
        beats_fixed: the map is better than the fixed point beyond chance (the lower 95 % bound of the paired
            difference of pointing is above 0, also when widened for the number of methods tried together).
    """

    label: str
    method: str
    pointing: float
    low: float
    high: float
    fixed_point: float
    iou: float
    fixed_iou: float
    count: int
    data: str
    beats_fixed: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that the weights do what their publisher says.

    Attributes:
        kind: ``"published-outputs"`` (the outputs the publisher prints were reproduced here), ``"own-outputs"`` (those
            in the bundle were), ``"none-published"`` (nothing to compare with: only the structure was checked).
        film: what it was tried on.
        worst: largest difference of a score, in 0..1; 0 where nothing was compared.
    """

    kind: str
    film: str = ""
    worst: float = 0.0


@dataclass(frozen=True, slots=True)
class OnnxSpec:
    """How to read the answers of a model in ONNX (``network = "onnx"``).

    Attributes:
        output: name of the output with one value per label; empty: the only output.
        activation: ``"none"`` (logits), ``"sigmoid"`` or ``"softmax"`` (it gives probabilities already).
        layout: ``"NCHW"`` or ``"NHWC"``.
        columns: which value of the output belongs to each label; empty: in the order of the labels, all of them.
    """

    output: str = ""
    activation: str = "none"
    layout: str = "NCHW"
    columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What the network is fed.

    Attributes:
        size_px: side of the square input.
        fit: ``"pad"`` (whole film, padded to a square), ``"crop"`` (centre square) or ``"stretch"`` (whole film
            squeezed to a square); the rule is applied to the exposed area when ``crop_border`` is set, and to the lungs
            where ``crop`` says so.
        crop_border: empty borders (unexposed frame) are cut away first.
        mean, std: normalisation of grey values in 0..1, bright = dense: ``(grey - mean) / std``.
        intensity: where 0 and 1 lie. ``"stretched"``: the 0.5th and 99.5th percentile of the exposed area.
            ``"presented"``: the ends of the film's own presentation, that is its VOI, or without one the ends of the
            values that BitsStored allows.
        resize: ``"area"`` averages; ``"gaussian"`` blurs and then interpolates as ``skimage.transform.resize`` does.
        channels: 1, or 3 for networks made for colour photographs (the grey film three times).
        channel_means, channel_stds: normalisation per channel in place of ``mean`` and ``std``; empty: those.
        crop: ``"lungs"``: only the box around both lungs is given, so that the film's frame cannot tell the answer;
            ``""``: no such cut.
        margin: by which share of its own side the lungs' box is widened, on every side.
        denoise: what takes noise from the whole film, at its own resolution, before anything is cut. ``"median"``: the
            middle of 3 x 3 pixels, takes away single bright or dark pixels. ``"non-local-means"``: averages parts of
            the film that look alike, takes away grain and the finest texture with it. ``""``: nothing.
        denoise_strength: of non-local means, in 1/255 of the grey range.
    """

    size_px: int
    fit: str
    crop_border: bool
    mean: float
    std: float
    intensity: str = "stretched"
    resize: str = "area"
    channels: int = 1
    channel_means: tuple[float, ...] = ()
    channel_stds: tuple[float, ...] = ()
    crop: str = ""
    margin: float = 0.0
    denoise: str = ""
    denoise_strength: float = 4.0


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
        task: classifiers give findings, segmenters outlines.
        source: where the weights came from, an address or a sentence.
        proof: what shows that they do what their publisher says; None for models made by this program.
        onnx: how to read the answers, for ``network = "onnx"``.
        map_evidence: measured localisation per finding and method.
        serves: what the program itself uses the model for beside every other: ``"anatomy"``, ``"guard"``, or empty.
        tried: findings that were learned and are not offered.
        reference: what its training films look like to it.
        ratio_error: of an anatomy model, half the 95 % interval of its cardiothoracic ratio where it is sure of the
            heart, whatever the view.
        view_ratio_errors: the same per view, where it was measured so.
        site: the calibration made on a site's own films that is in use, None: as shipped. Not part of the bundle.
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
    task: Task = Task.CLASSIFY
    source: str = ""
    proof: Proof | None = None
    onnx: OnnxSpec | None = None
    map_evidence: tuple[MapEvidence, ...] = ()
    serves: str = ""
    tried: tuple[TriedLabel, ...] = ()
    reference: ReferenceSpec | None = None
    ratio_error: float = 0.0
    view_ratio_errors: tuple[RatioError, ...] = ()
    site: SiteCalibration | None = None

    def kind_of(self, label: LabelSpec) -> ScoreKind:
        """What the score of a finding is."""
        return label.score_kind or self.score_kind

    def ratio_error_of(self, view: str, *, sure: bool) -> float:
        """Half the 95 % interval of the cardiothoracic ratio on a film of a view; the widest where the view is unknown.

        Of a view that was not measured for itself, the error of all films holds where it is larger than those measured.

        Args:
            sure: of the heart; where nothing was measured for hearts the model is less sure of, three times as much.
        """
        errors = {one.view: one.sure if sure else one.unsure for one in self.view_ratio_errors}
        if view in errors:
            return errors[view]
        if not {"PA", "AP"} <= errors.keys():
            errors[""] = self.ratio_error * (1.0 if sure else UNSURE_FACTOR)
        return max(errors.values())

    def map_trust(self, label: str, method: str) -> MapTrust:
        """Whether the maps of a finding by this method were found to show the place."""
        for evidence in self.map_evidence:
            if (evidence.label, evidence.method) == (label, method):
                return MapTrust.RELIABLE if evidence.beats_fixed else MapTrust.NOT_RELIABLE
        return MapTrust.NOT_TESTED
