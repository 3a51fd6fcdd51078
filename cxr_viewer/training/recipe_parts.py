"""The tables of a recipe, as values; ``docs/training.md`` tells what every key means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LabelColumn:
    """One thing to be learned, and where the index says it.

    Attributes:
        column: the column; empty: the one of the label's own name, else the common column ``label``.
        positive, negative: values that mean yes and no, in any case; a label that has a column of its own also
            understands 1/0, true/false, yes/no. In the common column every name of another label is a no.
        negative_column: where the index has this column, a film counts as a no only if it holds a yes there (e.g. "no
            finding"); all other films are then unknown.
        description: for the card, a whole sentence.
    """

    name: str
    column: str = ""
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    negative_column: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the index's columns; an empty one is guessed (see :mod:`cxr_viewer.training.index`)."""

    path: str = ""
    label: str = ""
    patient: str = ""
    site: str = ""
    age: str = ""
    sex: str = ""
    view: str = ""
    split: str = ""
    mask: str = ""


@dataclass(frozen=True, slots=True)
class FilmsConfig:
    """How films are kept in memory.

    Attributes:
        size_px: side of the square they are kept at; 0: the input's side.
        where: keep only rows whose column holds this value, e.g. ``{ mask_good = "1" }``.
        ages: (youngest, oldest) in whole years; films of other people are used for nothing, those of people whose age
            is not known are kept. Empty: all.
        anatomy: where the input is cut to the lungs, or masks are drawn by it, the bundle of the anatomy model; empty:
            the one that the program itself would ask.
    """

    size_px: int = 0
    where: Mapping[str, str] = field(default_factory=dict)
    ages: tuple[float, ...] = ()
    anatomy: str = ""


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How films are parted.

    Attributes:
        validation_share: of the films that are neither for testing nor given for validation.
        test_share: of all films, where the index names none for testing; a model that was measured on none of its kind
            is worth nothing.
        seed: of the choice.
        shared: what to do with a patient who has both training and test films in the index's own split: ``"stop"``,
            ``"leave-out"`` his training films, or ``"keep"`` them (figures get rosier).
        patients_per_site: the same patient number at two sites means two patients.
    """

    validation_share: float = 0.15
    test_share: float = 0.15
    seed: int = 1
    shared: str = "stop"
    patients_per_site: bool = False


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How it is learned; see :mod:`cxr_viewer.training.loop`.

    Attributes:
        epochs: most passes over the films; the learning rate falls to 0 over them.
        batch: films per step, over all processes together.
        accumulate: parts in which a step's films are looked at one after the other, to save memory.
        optimizer: ``"adamw"`` or ``"sgd"`` (with Nesterov momentum).
        warm_up_epochs: over which the learning rate rises.
        average: share of the old value kept per step in the averaged weights, which are the ones kept.
        patience: stop after this many epochs without a better validation score.
        clip: largest norm of all gradients; 0: none.
        freeze_epochs: epochs at the beginning in which only the head learns, where weights were taken over.
        trunk_rate: learning rate of weights that were taken over, as a share of the head's.
        head: beginnings of the names that are the head and learn from the start, whatever was taken over.
        half: multiply with half precision where the hardware does it faster.
    """

    epochs: int = 20
    batch: int = 32
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    warm_up_epochs: float = 1.0
    average: float = 0.998
    patience: int = 8
    clip: float = 2.0
    freeze_epochs: int = 0
    trunk_rate: float = 1.0
    head: tuple[str, ...] = ("classifier.", "aids.", "body.last.")
    half: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class CardText:
    """What the card says that no measurement can.

    Attributes:
        ages: (youngest, oldest) in years that the model is meant for; empty: any.
        data: what the training films are, and whom to cite.
        cautions: whole sentences.
        history: what was tried while the recipe was made, as Markdown, for the page beside the card.
    """

    model_id: str = "own-model"
    name: str = "Own model"
    version: str = "1.0.0"
    licence: str = "Apache-2.0"
    intended_use: str = "Research use only."
    ages: tuple[float, ...] = ()
    views: tuple[str, ...] = ("PA", "AP")
    data: str = ""
    cautions: tuple[str, ...] = ()
    history: str = ""
