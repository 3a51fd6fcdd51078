"""Learning to outline lungs and heart, from outlined films and, once that works, from films without outlines.

Films without outlines (other hospitals, children, films whose given outlines are poor) are outlined by the network
itself: the averaged weights look at the unchanged film and at its mirror image, and the mean of both, where it looks
sure of itself, is what the changed film is learned from ("Mean teacher", Tarvainen and Valpola, NeurIPS 2017, with the
targets made after an epoch and not in each step).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cxr_viewer.core.anatomy import HEART, LUNGS
from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.anatomy_masks import own_dice
from cxr_viewer.inference.networks import build_segmenter
from cxr_viewer.training.films import NO_MASK, FilmSet, load_films, prepared
from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.lesson import Batch, Judgement
from cxr_viewer.training.lessons.outlines_augment import OutlineAugment, augmented, laid_back
from cxr_viewer.training.loop import half_kind
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import FilmsConfig, Recipe

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Edges = tuple[float, float, float, float]

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class SegmentConfig:
    """The table ``[segment]``.

    Attributes:
        structures: names of the outputs, so far lungs and heart; ``values``: the value of each in the masks.
        good_column, good_value: masks are used only of films whose column holds this value; empty: all.
        ratio_column: column with the cardiothoracic ratio of the masks, to be measured against; empty: none.
        per_epoch: samples of an epoch; 0: as many as there are outlined films.
        bare: names of indexes beside the training films' folder (``"nih128"`` for ``nih128_index.csv``), whose
            training films are learned from without outlines; ``bare_most``: at most so many of each, by chance.
        own_share: share of an epoch's samples that are films outlined by the network itself.
        own_from: validation score from which the network may outline films itself.
        own_every: epochs between two outlinings.
        own_sure: per structure the network's own estimate of the Dice coefficient from which its outline is used.
    """

    structures: tuple[str, ...] = (LUNGS, HEART)
    values: tuple[int, ...] = (1, 2)
    good_column: str = ""
    good_value: str = "1"
    ratio_column: str = ""
    per_epoch: int = 0
    bare: tuple[str, ...] = ()
    bare_most: int = 500
    own_share: float = 0.2
    own_from: float = 0.93
    own_every: int = 10
    own_sure: tuple[float, ...] = (0.965, 0.94)


def tables() -> Mapping[str, type]:
    """The recipe's tables."""
    return {"segment": SegmentConfig, "augment": OutlineAugment}


def masks(recipe: Recipe) -> bool:
    """Outlines are what it is all about."""
    return True


def build(recipe: Recipe, parts: Parts) -> SegmentLesson:
    """The lesson, with the films without outlines read.

    Raises:
        CxrError: settings that contradict each other, no outlined films, an index of bare films that is missing.
    """
    config = recipe.table("segment", SegmentConfig)
    if not len(config.structures) == len(config.values) == len(config.own_sure):
        raise _fault("“segment.structures”, “values” and “own_sure” need as many entries as each other.")
    if config.structures != (LUNGS, HEART):
        raise _fault(f"“segment.structures” has to be {LUNGS}, {HEART}: nothing else can be measured so far.")
    if not outlined_films(parts.train, config).any() or not outlined_films(parts.validation, config).any():
        raise _fault("There are no outlined films for training and for validation; the index needs a column “mask”.")
    return SegmentLesson(recipe, config, parts, bare_films(recipe, config, parts))


def outlined_films(films: FilmSet, config: SegmentConfig) -> NDArray[np.bool_]:
    """Which films have outlines to learn or be judged from, (n,)."""
    if films.masks is None:
        return np.zeros(len(films), dtype=np.bool_)
    good = [not config.good_column or one.row.get(config.good_column, "") == config.good_value for one in films.records]
    return np.asarray((films.masks[:, 0, 0] != NO_MASK) & np.array(good))


def bare_films(recipe: Recipe, config: SegmentConfig, parts: Parts) -> FilmSet | None:
    """Training films of other indexes, none of a patient who is judged or tested on; None where there are none.

    Raises:
        CxrError: an index is missing or cannot be read.
    """
    held = {record.patient for films in (parts.validation, parts.test) if films is not None for record in films.records}
    known = {record.path.stem for record in parts.train.records}
    folder = parts.train.records[0].path.parent.parent
    plain = replace(recipe, labels=(), films=FilmsConfig(size_px=recipe.film_px))
    chosen: list[FilmRecord] = []
    for number, name in enumerate(config.bare):
        records = [
            record
            for record in read_index(plain, [folder / f"{name}_index.csv"]).records
            if record.split in ("", "train") and record.patient not in held and record.path.stem not in known
        ]
        chance = np.random.default_rng((recipe.training.seed, number))
        picked = chance.permutation(len(records))[: config.bare_most]
        chosen += [replace(records[index], targets=()) for index in sorted(picked.tolist())]
    return load_films(chosen, plain, "further", quiet=True) if chosen else None


class SegmentLesson:
    """See :class:`~cxr_viewer.training.lesson.Lesson`.

    Samples count through the training films and on through those of other indexes.
    What the network outlined itself is not part of a checkpoint: a run that goes on has it made anew after an epoch.
    """

    def __init__(self, recipe: Recipe, config: SegmentConfig, parts: Parts, bare: FilmSet | None) -> None:
        self._recipe, self._config = recipe, config
        self._augment = recipe.table("augment", OutlineAugment)
        self._train = parts.train
        self._validation = parts.validation.only(outlined_films(parts.validation, config))
        outlined = outlined_films(parts.train, config)
        self._given = np.flatnonzero(outlined)
        self._films = list(parts.train.grey) + (list(bare.grey) if bare is not None else [])
        self._areas = np.concatenate([parts.train.areas] + ([bare.areas] if bare is not None else []))
        self._parts = [parts.train.only(~outlined)] + ([bare] if bare is not None else [])
        self._bare = np.concatenate([np.flatnonzero(~outlined), np.arange(len(outlined), len(self._films))])
        self._own: dict[int, Bytes] = {}
        self._waited = -1  # epochs since the network outlined films itself; below 0: it never did

    def network(self) -> nn.Module:
        return build_segmenter(self._recipe.network, len(self._config.structures))

    def order(self, chance: np.random.Generator) -> NDArray[np.int64]:
        total = self._config.per_epoch or self._given.size
        own = np.array(sorted(self._own), dtype=np.int64)
        count = round(self._config.own_share * total) if own.size else 0
        picked = np.concatenate([_drawn(own, count, chance), _drawn(self._given, total - count, chance)])
        return chance.permutation(picked).astype(np.int64)

    def batch(self, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        spec = self._recipe.input
        films, targets = [], []
        for index in samples.tolist():
            film, target = augmented(
                self._films[index], self._target(index), self._edges(index), spec.size_px, self._augment, chance
            )
            films.append((film - np.float32(spec.mean)) / np.float32(spec.std))
            targets.append(target)
        return {"film": torch.from_numpy(np.stack(films)[:, None]), "outlines": torch.from_numpy(np.stack(targets))}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return outline_loss(network(batch["film"]), batch["outlines"])

    def judge(self, network: nn.Module) -> Judgement:
        films = self._validation
        assert films.masks is not None
        scores = np.empty((len(films), len(self._config.structures)))
        wrong = 0.0
        for index, chances in enumerate(self._outlined(network, films)):
            given = np.stack([films.masks[index] == value for value in self._config.values])
            found = laid_back(chances, _edges(films.areas[index]), films.grey[index].shape, films.grey[index].shape)
            scores[index] = dice(found > 0.5, given)
            wrong += float(np.abs(found - given).mean())
        score = float(scores.mean())
        self._outline_bare(network, score)
        views = np.array([record.view for record in films.records])
        figures = {
            f"Dice {name} {view}".strip(): float(scores[views == view, column].mean())
            for view in sorted(set(views.tolist()))
            for column, name in enumerate(self._config.structures)
        }
        return Judgement(score, -wrong / len(films), {**figures, "own outlines": float(len(self._own))})

    def _edges(self, index: int) -> Edges:
        return _edges(self._areas[index])

    def _target(self, index: int) -> Bytes:
        """uint8 (structures, m, n), 0..255, over the whole kept film."""
        if index in self._own:
            return self._own[index]
        assert self._train.masks is not None
        return np.stack(
            [np.where(self._train.masks[index] == one, 255, 0).astype(np.uint8) for one in self._config.values]
        )

    def _outline_bare(self, network: nn.Module, score: float) -> None:
        """Have the network outline the films that nobody outlined."""
        if not self._bare.size or self._config.own_share <= 0 or (self._waited < 0 and score < self._config.own_from):
            return
        self._waited += 1
        if self._waited % self._config.own_every:
            return
        own: dict[int, Bytes] = {}
        found = (chances for films in self._parts for chances in self._outlined(network, films, mirror=True))
        for index, chances in zip(self._bare.tolist(), found, strict=True):
            if (own_dice(chances) >= np.array(self._config.own_sure)).all():
                shape = self._films[index].shape
                laid = laid_back(sharpened(chances), self._edges(index), shape, (self._recipe.input.size_px,) * 2)
                own[index] = np.rint(laid * 255).astype(np.uint8)
        self._own = own

    def _outlined(self, network: nn.Module, films: FilmSet, *, mirror: bool = False) -> Sequence[Floats]:
        return outlined(network, films, self._recipe, mirror=mirror)


def outline_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy plus one less the soft Dice coefficient (Milletari et al., 3DV 2016) of each film and structure.

    Args:
        logits, target: (n, structures, h, w); targets 0..1.
    """
    logits = logits.float()
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, target)
    probability = logits.sigmoid()
    both, sizes = (probability * target).sum((2, 3)), probability.sum((2, 3)) + target.sum((2, 3))
    return entropy + 1 - ((2 * both + 1) / (sizes + 1)).mean()


def outlined(network: nn.Module, films: FilmSet, recipe: Recipe, *, mirror: bool = False) -> list[Floats]:
    """Probabilities (structures, size, size) of what the network sees of every film, float32; runs the network.

    Args:
        mirror: the mean of the logits over the film and its mirror image.
    """
    where = next(network.parameters()).device
    half = half_kind(where, recipe.training)
    out: list[Floats] = []
    with torch.inference_mode(), torch.autocast(where.type, dtype=half, enabled=half is not None):
        for start in range(0, len(films), _AT_ONCE):
            part = films.only(np.isin(np.arange(len(films)), np.arange(start, start + _AT_ONCE)))
            fed = torch.from_numpy(prepared(part, recipe.input)).to(where).contiguous(memory_format=torch.channels_last)
            logits = network(fed).float()
            if mirror:
                logits = (logits + network(fed.flip(3)).float().flip(3)) / 2
            out.extend(logits.sigmoid().cpu().numpy())
    return out


def dice(found: NDArray[np.bool_], given: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Dice coefficient of each structure, (k,), from (k, h, w); 1 where both are empty."""
    sizes = found.sum((1, 2)) + given.sum((1, 2))
    both = 2 * (found & given).sum((1, 2))
    return np.where(sizes > 0, both / np.maximum(sizes, 1), 1.0)


def sharpened(probabilities: Floats) -> Floats:
    """Nearer to 0 and 1 (temperature 1/2), so that learning from oneself does not blur."""
    high, low = probabilities**2, (1 - probabilities) ** 2
    return np.asarray(high / (high + low), dtype=np.float32)


def _drawn(among: NDArray[np.int64], count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """``count`` of ``among``, each once before any comes twice."""
    rounds = [chance.permutation(among) for _ in range(-(-count // among.size))] if count else []
    return np.concatenate(rounds)[:count] if rounds else np.empty(0, dtype=np.int64)


def _edges(area: NDArray[np.float64]) -> Edges:
    x0, y0, x1, y1 = area.tolist()
    return x0, y0, x1, y1


def _fault(summary: str) -> CxrError:
    return CxrError(summary, code="recipe")
