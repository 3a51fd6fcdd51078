"""The guard's lesson: what kind of image is this, which way up, black and white the right way round, PA or AP?

Learned from frontal chest films as the index gives them and from images made by :mod:`cxr_viewer.training.guardset`:
lateral films, spoiled films, images of anything else. Every image is then turned by quarter turns and inverted by
chance. The network has one row of outputs in groups (:data:`cxr_viewer.inference.guard.GROUPS`), each a choice of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cxr_viewer.inference.guard import GROUPS, LABELS
from cxr_viewer.inference.networks import build_network
from cxr_viewer.training.films import FilmSet
from cxr_viewer.training.guardset import drawn, lateral, spoiled
from cxr_viewer.training.guardset.shading import Grey
from cxr_viewer.training.guardset.vary import VaryConfig, opaque, placed, varied
from cxr_viewer.training.lesson import Batch, Judgement
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import Recipe

FRONTAL, LATERAL, OTHER = range(3)
SOURCES = ("frontal", "lateral", "spoiled", "drawn")
"""Where images come from; the last two are both of the kind ``other``."""
_SPOILED, _DRAWN = 2, 3
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """The table ``[guard]``.

    Attributes:
        frontal, lateral, spoiled, drawn: images of each kind per epoch.
        upright_share: not turned; the rest is turned by 90, 180 and 270 degrees in equal parts.
        inverted_share: black and white exchanged.
        folded_share: of lateral images, those made by folding a frontal film; the others are bodies of solids.
        kind_weight, turn_weight, polarity_weight, view_weight: of each group's loss.
        view_smoothing: label smoothing of PA/AP, so that the network is not too sure.
        validation_films: images of each kind to judge with.
        pass_share, pass_share_supported: of the validation films of every site, the share that passes by the network
            alone, and with lungs and heart found; they set the thresholds.
        view_errors: most wrong ones among the validation films that are called PA or AP; what is asked for is more.
    """

    frontal: int = 6000
    lateral: int = 1800
    spoiled: int = 2200
    drawn: int = 1800
    upright_share: float = 0.5
    inverted_share: float = 0.2
    folded_share: float = 0.65
    kind_weight: float = 1.0
    turn_weight: float = 0.7
    polarity_weight: float = 0.4
    view_weight: float = 0.3
    view_smoothing: float = 0.05
    validation_films: int = 800
    pass_share: float = 0.997
    pass_share_supported: float = 0.999
    view_errors: float = 0.005


def tables() -> Mapping[str, type]:
    """The recipe's tables."""
    return {"guard": GuardConfig, "vary": VaryConfig}


def masks(recipe: Recipe) -> bool:
    """Whether masks are read."""
    return False


def build(recipe: Recipe, parts: Parts) -> GuardLesson:
    """The lesson of a recipe, for the films of its parts."""
    config, vary = recipe.table("guard", GuardConfig), recipe.table("vary", VaryConfig)
    return GuardLesson(parts.train, parts.validation, recipe, config, vary)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Images made once, to judge with.

    Attributes:
        film: float32 (n, 1, side, side), normalised.
        targets: by group, int64 (n,), -1 unknown.
        sources: int64 (n,), index into :data:`SOURCES`.
    """

    film: Tensor
    targets: dict[str, NDArray[np.int64]]
    sources: NDArray[np.int64]


class GuardLesson:
    """See the module. ``train`` and ``validation`` hold frontal chest films only.

    Args:
        recipe: its network and input are used, and its seed for the images to judge with.
    """

    def __init__(
        self, train: FilmSet, validation: FilmSet, recipe: Recipe, config: GuardConfig, vary: VaryConfig
    ) -> None:
        self._films, self._network, self._config, self._vary = train, recipe.network, config, vary
        self._size = recipe.input.size_px
        self._mean, self._std = np.float32(recipe.input.mean), np.float32(recipe.input.std)
        self._weights = _balanced(train)
        self._judged = self.made(validation, config.validation_films, recipe.training.seed)

    @property
    def judged(self) -> Judged:
        """The images that every epoch is judged with, made from the validation films."""
        return self._judged

    def network(self) -> nn.Module:
        """The classifier of the recipe with one output per entry of :data:`cxr_viewer.inference.guard.LABELS`."""
        return build_network(self._network, len(LABELS))

    def order(self, chance: np.random.Generator) -> NDArray[np.int64]:
        """Samples as ``source * films + film``, every site and view with its share."""
        counts = (self._config.frontal, self._config.lateral, self._config.spoiled, self._config.drawn)
        films = chance.choice(len(self._films), sum(counts), p=self._weights)
        return np.asarray(
            chance.permutation(films + len(self._films) * np.repeat(np.arange(4), counts)), dtype=np.int64
        )

    def batch(self, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        """Images and, by group, their targets (int64, -1 unknown)."""
        return self._made(self._films, samples, chance)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The weighted sum of the groups' cross entropies over the images whose target is known."""
        logits = network(batch["film"]).float()
        config = self._config
        total = torch.zeros((), device=logits.device)
        weights = (config.kind_weight, config.turn_weight, config.polarity_weight, config.view_weight)
        for (group, part), weight in zip(grouped(logits).items(), weights, strict=True):
            target = batch[group]
            smoothing = config.view_smoothing if group == "view" else 0.0
            summed = functional.cross_entropy(
                part, target, ignore_index=_UNKNOWN, reduction="sum", label_smoothing=smoothing
            )
            total = total + weight * summed / (target != _UNKNOWN).sum().clamp(min=1)
        return total

    def judge(self, network: nn.Module) -> Judgement:
        """The mean of: other images refused where 99 of 100 frontal films pass; turns, polarity, PA/AP told right."""
        device = next(network.parameters()).device
        with torch.inference_mode():
            logits = torch.cat([network(part.to(device)).float().cpu() for part in torch.split(self._judged.film, 128)])
        parts = {name: part.log_softmax(1).numpy() for name, part in grouped(logits).items()}
        targets = self._judged.targets
        margin = frontal_margin(parts["kind"])
        kinds = targets["kind"]
        limit = np.quantile(margin[kinds == FRONTAL], 0.01)
        figures = {
            "lateral refused": float((margin[kinds == LATERAL] < limit).mean()),
            "other refused": float((margin[kinds == OTHER] < limit).mean()),
        }
        for group in ("turn", "polarity", "view"):
            known = targets[group] != _UNKNOWN
            right = parts[group].argmax(1)[known] == targets[group][known]
            each = [right[targets[group][known] == one].mean() for one in np.unique(targets[group][known])]
            if each:  # each view, turn and polarity counts the same, however many films there are of it
                figures[group] = float(np.mean(each))
        known = targets["kind"] >= 0
        tie = float(parts["kind"][known, kinds[known]].mean())
        return Judgement(float(np.mean(list(figures.values()))), tie, figures)

    def made(self, films: FilmSet, count: int, seed: int) -> Judged:
        """``count`` images of each of the four sources, the same for the same seed."""
        chance = np.random.default_rng(seed)
        picked = chance.choice(len(films), 4 * count, p=_balanced(films))
        batch = self._made(films, picked + len(films) * np.repeat(np.arange(4), count), chance)
        return Judged(batch["film"], {group: batch[group].numpy() for group in GROUPS}, np.repeat(np.arange(4), count))

    def _made(self, films: FilmSet, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        images = np.empty((len(samples), 1, self._size, self._size), dtype=np.float32)
        targets = np.full((len(GROUPS), len(samples)), _UNKNOWN, dtype=np.int64)
        for row, sample in enumerate(samples):
            source, film = divmod(int(sample), len(films))
            image = varied(self._image(films, source, film, chance), self._vary, chance)
            turns = 0 if chance.random() < self._config.upright_share else int(chance.integers(1, 4))
            inverted = bool(chance.random() < self._config.inverted_share)
            image = np.rot90(1 - image if inverted else image, -turns)
            images[row, 0] = (image - self._mean) / self._std
            targets[0, row] = min(source, OTHER)
            if source in (FRONTAL, LATERAL):
                targets[2, row] = inverted
            if source == FRONTAL:
                targets[1, row] = turns
                targets[3, row] = {"PA": 0, "AP": 1}.get(films.records[film].view.upper(), _UNKNOWN)
        out: Batch = {"film": torch.from_numpy(images)}
        out.update({group: torch.from_numpy(targets[row]) for row, group in enumerate(GROUPS)})
        return out

    def _image(self, films: FilmSet, source: int, film: int, chance: np.random.Generator) -> Grey:
        """An upright image of normal polarity."""
        config, vary, side = self._config, self._vary, self._size
        if source == _DRAWN:
            return drawn.drawn(chance, side)
        image = placed(films.grey[film], films.areas[film], side, vary, chance)
        if source == FRONTAL:
            return opaque(image, vary, chance)
        if source == LATERAL:
            if chance.random() < config.folded_share:
                image = lateral.folded(chance, image)
            else:
                body = lateral.torso(chance, side, lateral=True)
                image = lateral.textured(chance, body, image) if chance.random() < 0.6 else body
            return np.ascontiguousarray(image[:, ::-1]) if chance.random() < 0.5 else image
        other = int(chance.integers(len(films)))
        second = placed(films.grey[other], films.areas[other], side, vary, chance)
        return spoiled.spoiled(chance, image, second)


def grouped(logits: Tensor) -> dict[str, Tensor]:
    """The outputs (n, k) by group."""
    sizes = [len(names) for names in GROUPS.values()]
    return dict(zip(GROUPS, torch.split(logits, sizes, dim=1), strict=True))


def frontal_margin(kind: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much frontal is more likely than anything else: log odds, (n,), from logits or log odds (n, 3)."""
    rest = np.logaddexp(kind[:, LATERAL], kind[:, OTHER])
    return np.asarray(kind[:, FRONTAL] - rest, dtype=np.float32)


def _balanced(films: FilmSet) -> NDArray[np.float64]:
    """The chance of each film: every site the same, and within it every view, but small groups at most 8 times as
    often as the films of the largest."""
    keys = [f"{record.site}/{record.view.upper()}" for record in films.records]
    sites = [record.site for record in films.records]
    views = {site: len({key for key in keys if key.startswith(f"{site}/")}) for site in set(sites)}
    sizes = {key: keys.count(key) for key in set(keys)}
    weight = np.array([1.0 / (sizes[key] * views[site]) for key, site in zip(keys, sites, strict=True)])
    weight = np.minimum(weight, 8 * weight.min())
    return np.asarray(weight / weight.sum(), dtype=np.float64)
