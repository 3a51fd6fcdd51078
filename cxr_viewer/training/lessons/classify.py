"""Learning findings: any number of labels, each 1, 0 or unknown on each film.

Beside the labels the network may learn where lungs and heart are (from masks) and what else the index knows of a film
(such as the cardiothoracic ratio, age or view), which keeps the features on anatomy, and the soft answers of other
networks (distillation, Hinton et al. 2015). These aids hang on the network as ``aids`` and are left behind when the
bundle is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.networks import CamNetwork, build_network
from cxr_viewer.inference.preprocess import resize_area
from cxr_viewer.training.augment import AugmentConfig, augmented, augmented_pair
from cxr_viewer.training.films import NO_MASK, FilmSet, normal, prepared
from cxr_viewer.training.lesson import Batch, Judgement
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import Recipe
from cxr_viewer.training.style import balancing_weights, label_from_make
from cxr_viewer.training.teachers import check_names, read_teacher

AIDS = "aids."
"""Beginning of the names of weights that only training needs."""


@dataclass(frozen=True, slots=True)
class ClassifyConfig:
    """The table ``[classify]``.

    Attributes:
        label_smoothing: targets are this far from 0 and 1.
        balance: which films an epoch is made of. ``"none"``: every film once. ``"labels"``: films with rare labels more
            often. ``"make"``: one label only; both kinds equally often, and within each such that the make of a film
            says nothing about its label (:mod:`cxr_viewer.training.style`).
        balance_most: with ``"labels"``, how many times more often than others a film may come.
        positive_weight: the loss of a positive counts as many times as there are negatives for it, to this power:
            0 counts all alike, 1 balances fully.
        positive_weight_most: and at most this many times.
        prior: the head begins where the loss is least for a network that knows nothing but the labels' frequencies.
        mask_weight: of the loss on the masks; 0: none are learned.
        mask_values: the value of each structure in the masks; 0 is nothing.
        mask_source: ``"index"``, or ``"anatomy"``: films for which the index has no mask get one by the anatomy model
            (:mod:`cxr_viewer.training.outlines`).
        aid_weight: of the loss on the further columns; 0: none are learned.
        aid_columns: ``"mask_ctr"`` is a column of numbers (empty: unknown), ``"view=AP"`` is whether a column holds
            this value (empty: unknown).
        mixup: films of a step are mixed in pairs, weights from Beta(mixup, mixup) (Zhang et al., ICLR 2018); 0: not.
        teacher: CSV of soft answers in 0..1: the column ``file`` (name of the film file) and one per label.
        teacher_weight: share of the loss that is held against the teacher's answers instead of the labels.
        answers: write such a CSV of this network's answers on the films it learned from, as ``answers.csv``; like a
            teacher it needs films whose files have different names.
        own_weight: share of each label that is replaced by what the network itself, or the mean of its members, says.
            Labels mined from reports miss findings; where the network is sure, it is held to them less (Reed et al.,
            arXiv:1412.6596; for members side by side: Zhang et al., CVPR 2018).
        ratio_label: finding of the heart's size, to whose logit the cardiothoracic ratio measured by the anatomy model
            is added as far as that helps on the validation films; empty: none.
        view_terms: AP films get the shift of the logit by which three of four films without the finding lie below the
            same logit as of PA films (:mod:`cxr_viewer.training.viewshift`), chosen on the validation films.
    """

    label_smoothing: float = 0.0
    balance: str = "none"
    balance_most: float = 8.0
    positive_weight: float = 0.0
    positive_weight_most: float = 20.0
    prior: bool = True
    mask_weight: float = 0.0
    mask_values: tuple[int, ...] = (1, 2)
    mask_source: str = "index"
    aid_weight: float = 0.0
    aid_columns: tuple[str, ...] = ()
    mixup: float = 0.0
    teacher: str = ""
    teacher_weight: float = 0.5
    answers: bool = False
    own_weight: float = 0.0
    ratio_label: str = ""
    view_terms: bool = False


def tables() -> Mapping[str, type]:
    """The recipe's tables."""
    return {"classify": ClassifyConfig, "augment": AugmentConfig}


def masks(recipe: Recipe) -> bool:
    """Whether masks are read."""
    return recipe.table("classify", ClassifyConfig).mask_weight > 0


def draws_masks(recipe: Recipe) -> bool:
    """Whether the anatomy model draws masks where the index has none.

    Raises:
        CxrError: no such source.
    """
    source = recipe.table("classify", ClassifyConfig).mask_source
    if source not in ("index", "anatomy"):
        raise _fault(f"“classify.mask_source” has to be index or anatomy, not “{source}”.")
    return masks(recipe) and source == "anatomy"


def build(recipe: Recipe, parts: Parts) -> ClassifyLesson:
    """The lesson.

    Raises:
        CxrError: a setting that the films cannot answer.
    """
    config = recipe.table("classify", ClassifyConfig)
    if config.balance not in ("none", "labels", "make"):
        raise _fault(f"“classify.balance” has to be none, labels or make, not “{config.balance}”.")
    if config.balance == "make" and len(parts.labels) != 1:
        raise _fault("“classify.balance” can be “make” only for one label.")
    if config.answers:  # told now, not when the network has learned
        check_names(parts.train)
    if config.mask_weight > 0 and (parts.train.masks is None or bool((parts.train.masks == NO_MASK).all())):
        raise _fault("The recipe asks for masks, and no training film has one.")
    return ClassifyLesson(recipe, config, parts)


class ClassifyLesson:
    """See :class:`cxr_viewer.training.lesson.Lesson`."""

    def __init__(self, recipe: Recipe, config: ClassifyConfig, parts: Parts) -> None:
        self._recipe, self._config, self._parts = recipe, config, parts
        self._augment = recipe.table("augment", AugmentConfig)
        films = parts.train
        self._targets, known = np.nan_to_num(films.targets, nan=0.0), ~np.isnan(films.targets)
        self._known = known.astype(np.float32)
        yes = (self._targets * self._known).sum(axis=0)
        no = self._known.sum(axis=0) - yes
        self._prior = (yes + 1) / (yes + no + 2)
        weight = (no / np.maximum(yes, 1)) ** config.positive_weight
        self._positive_weight = np.clip(weight, 1.0, config.positive_weight_most).astype(np.float32)
        self._facts = aid_values(films, config.aid_columns) if config.aid_weight > 0 and config.aid_columns else None
        self._teacher = None
        if config.teacher:
            self._teacher = read_teacher(Path(config.teacher), films, parts.names)
        self._draws = self._weights()
        self._checked: NDArray[np.float32] | None = None

    def network(self) -> nn.Module:
        network = build_network(self._recipe.network, len(self._parts.labels))
        if self._config.prior:
            with torch.no_grad():
                odds = self._prior / (1 - self._prior) * self._positive_weight
                network.classifier.bias.copy_(torch.from_numpy(np.log(odds)))
        aids: dict[str, nn.Module] = {}
        width, members = network.classifier.in_features, network.members  # each member learns the aids for itself
        if self._config.mask_weight > 0:
            aids["masks"] = nn.Conv2d(width, members * len(self._config.mask_values), 1, groups=members)
        if self._facts is not None:
            aids["facts"] = nn.Conv2d(width, members * self._facts.shape[1], 1, groups=members)
        if aids:
            network.aids = nn.ModuleDict(aids)
        return network

    def order(self, chance: np.random.Generator) -> NDArray[np.int64]:
        if self._config.balance == "make" and self._draws is not None:
            return _half_of_each(self._parts.train.labels, self._draws, chance)
        if self._draws is not None:
            return _evenly(np.arange(len(self._parts.train)), self._draws, len(self._parts.train), chance)
        return chance.permutation(len(self._parts.train))

    def batch(self, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        films, spec = self._parts.train, self._recipe.input
        size = spec.size_px
        films_in = np.empty((len(samples), spec.channels, size, size), dtype=np.float32)
        values = self._config.mask_values
        covered = np.zeros((len(samples), len(values), size // 4, size // 4), dtype=np.float32)
        outlined = np.zeros(len(samples), dtype=np.float32)
        for place, index in enumerate(samples):
            if self._config.mask_weight > 0:
                grey, mask = augmented_pair(films, int(index), size, self._augment, chance)
                outlined[place] = mask[0, 0] != NO_MASK
                for layer, value in enumerate(values):
                    covered[place, layer] = resize_area((mask == value).astype(np.float32), size // 4, size // 4)
            else:
                grey = augmented(films, int(index), size, self._augment, chance)
            films_in[place] = normal(grey, spec)
        out = {"film": films_in, "target": self._targets[samples], "known": self._known[samples]}
        if self._config.mask_weight > 0:
            out |= {"mask": covered, "outlined": outlined}
        if self._facts is not None:
            known = ~np.isnan(self._facts[samples])
            out |= {"fact": np.nan_to_num(self._facts[samples]), "fact_known": known.astype(np.float32)}
        if self._teacher is not None:
            known = ~np.isnan(self._teacher[samples])
            out |= {"told": np.nan_to_num(self._teacher[samples]), "told_known": known.astype(np.float32)}
        if self._config.mixup > 0:
            out = _mixed(out, float(chance.beta(self._config.mixup, self._config.mixup)), chance)
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in out.items()}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, CamNetwork)
        maps = network.features(batch["film"])
        total = self._label_loss(network.votes(maps).float(), batch)
        aids: nn.ModuleDict | None = getattr(network, "aids", None)
        if aids is not None and "masks" in aids:
            total = total + self._config.mask_weight * _mask_loss(aids["masks"](maps).float(), batch)
        if aids is not None and "facts" in aids:
            guessed = aids["facts"](maps.mean(dim=(2, 3), keepdim=True))[:, :, 0, 0].float()
            facts, known = (batch[name].repeat(1, network.members) for name in ("fact", "fact_known"))
            error = functional.smooth_l1_loss(guessed, facts, reduction="none")
            total = total + self._config.aid_weight * _mean(error, known)
        return total

    def judge(self, network: nn.Module) -> Judgement:
        films = self._parts.validation
        if self._checked is None:
            self._checked = prepared(films, self._recipe.input)
        logits = score_labels(network, self._checked)
        areas = label_aucs(films.targets, logits)
        figures = {f"AUC/{name}": area for name, area in zip(self._parts.names, areas, strict=True)}
        loss = log_loss(films.targets, logits)
        mean = float(np.nanmean(areas))
        return Judgement(mean, -loss, {**figures, "validation log loss": loss})

    def _label_loss(self, votes: Tensor, batch: Batch) -> Tensor:
        """Of the logits of all members, (members, n, labels); each is held to the truth for itself."""
        smooth, own = self._config.label_smoothing, self._config.own_weight
        targets = batch["target"] * (1 - 2 * smooth) + smooth
        if own > 0:
            targets = (1 - own) * targets + own * votes.detach().mean(0).sigmoid()
        each = [self._member_loss(vote, targets, batch) for vote in votes]
        return torch.stack(each).mean()

    def _member_loss(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        weight = torch.from_numpy(self._positive_weight).to(logits.device)
        each = functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction="none")
        loss = _mean(each, batch["known"])
        if "told" not in batch:
            return loss
        told = functional.binary_cross_entropy_with_logits(logits, batch["told"], reduction="none")
        share = self._config.teacher_weight
        return (1 - share) * loss + share * _mean(told, batch["told_known"])

    def _weights(self) -> NDArray[np.float64] | None:
        """How often each film is drawn."""
        parts, config = self._parts, self._config
        if config.balance == "make":
            from_make = label_from_make(parts.train, parts.validation)[0]
            return balancing_weights(from_make, parts.train.labels)
        if config.balance == "labels":
            rarity = (0.5 / self._prior) * self._targets * self._known
            return np.asarray(np.clip(rarity.max(axis=1), 1.0, config.balance_most), dtype=np.float64)
        return None


def aid_values(films: FilmSet, columns: tuple[str, ...]) -> NDArray[np.float32]:
    """What the index knows of every film, float32 (n, columns), moved and scaled to mean 0 and deviation 1; nan where
    unknown.

    Raises:
        CxrError: a value that is no number, with its line, or a column that says the same of all films.
    """
    out = np.full((len(films), len(columns)), np.nan, dtype=np.float32)
    for place, record in enumerate(films.records):
        for number, column in enumerate(columns):
            name, equals, value = column.partition("=")
            text = record.row.get(name, "").strip()
            try:
                out[place, number] = float(text == value) if equals and text else float(text or math.nan)
            except ValueError as error:
                raise CxrError(
                    f"{record.place}: “{text}” in the column “{name}” is no number.", code="index"
                ) from error
    known = (~np.isnan(out)).sum(axis=0)
    for number, column in enumerate(columns):
        if known[number] < 2 or np.nanstd(out[:, number]) == 0:
            raise _fault(f"The column “{column}” says nothing that could be learned.")
    return np.asarray((out - np.nanmean(out, axis=0)) / np.nanstd(out, axis=0), dtype=np.float32)


def score_labels(network: nn.Module, inputs: NDArray[np.float32], *, batch: int = 64) -> NDArray[np.float64]:
    """Logits (n, labels), in full precision; the network is in evaluation mode."""
    device = next(network.parameters()).device
    out = []
    with torch.inference_mode():
        for start in range(0, len(inputs), batch):
            part = torch.from_numpy(inputs[start : start + batch]).to(device)
            out.append(network(part.contiguous(memory_format=torch.channels_last)).double().cpu().numpy())
    return np.concatenate(out)


def label_aucs(targets: NDArray[np.float32], logits: NDArray[np.float64]) -> list[float]:
    """AUC per label on the films where it is known; nan where one kind is missing."""
    from sklearn.metrics import roc_auc_score

    out = []
    for column in range(targets.shape[1]):
        known = ~np.isnan(targets[:, column])
        truth = targets[known, column]
        both = 0 < truth.sum() < truth.size
        out.append(float(roc_auc_score(truth, logits[known, column])) if both else math.nan)
    return out


def log_loss(targets: NDArray[np.float32], logits: NDArray[np.float64]) -> float:
    """Mean cross entropy over all known labels."""
    known = ~np.isnan(targets)
    each = np.logaddexp(0, logits) - np.nan_to_num(targets) * logits
    return float(each[known].mean())


def _mask_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy against the share of each cell of the map that a structure covers."""
    shares = functional.adaptive_avg_pool2d(batch["mask"], (logits.shape[2], logits.shape[3]))
    shares = shares.repeat(1, logits.shape[1] // shares.shape[1], 1, 1)
    each = functional.binary_cross_entropy_with_logits(logits, shares, reduction="none").mean(dim=(1, 2, 3))
    return _mean(each, batch["outlined"])


def _mixed(
    batch: dict[str, NDArray[np.float32]], share: float, chance: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Every film mixed with another of the step; what is known of both only counts."""
    other = chance.permutation(len(batch["film"]))
    own, given = np.float32(share), np.float32(1 - share)
    known = ("known", "outlined", "fact_known", "told_known")
    return {
        name: value * value[other] if name in known else own * value + given * value[other]
        for name, value in batch.items()
    }


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean; 0, but still part of the network's graph, where nothing is known."""
    return (values * weights).sum() / weights.sum().clamp(min=1.0)


def _half_of_each(
    labels: NDArray[np.int64], weights: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.int64]:
    """As many draws as films: half of each label, within it by weight."""
    parts = [_evenly(np.flatnonzero(labels == label), weights, labels.size // 2, chance) for label in (0, 1)]
    return chance.permutation(np.concatenate(parts))


def _evenly(
    films: NDArray[np.int64], weights: NDArray[np.float64], count: int, chance: np.random.Generator
) -> NDArray[np.int64]:
    """``count`` draws in evenly spaced steps through the summed weights: each film as often as its share says."""
    steps = (np.arange(count) + chance.random()) / count
    shuffled = chance.permutation(films)
    summed = np.cumsum(weights[shuffled])
    drawn = shuffled[np.minimum(np.searchsorted(summed / summed[-1], steps), films.size - 1)]
    return chance.permutation(drawn)


def _fault(summary: str) -> CxrError:
    return CxrError(summary, hint="Change the recipe or the index.", code="recipe")
