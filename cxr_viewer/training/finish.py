"""What is handed on when learning is done: to calibrating, measuring and writing the bundle, by kind of lesson."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, write_card
from cxr_viewer.training.lesson import Lesson
from cxr_viewer.training.parts import Parts, ReadOptions
from cxr_viewer.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that is done.

    Attributes:
        weights: the best weights, safetensors; may hold ``aids.`` that only training needs.
        out: the run's folder; the bundle goes to ``out/bundle``.
        data: what was given as ``--data``, for tables of the index that the parts do not hold.
        outside: films of another kind, to be measured on only.
        command: how to make it again, with folder names only.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        reading: how films are read.
    """

    recipe: Recipe
    parts: Parts
    lesson: Lesson
    weights: Path
    out: Path
    data: tuple[Path, ...] = ()
    outside: tuple[Path, ...] = ()
    command: str = ""
    device: str = "auto"
    reading: ReadOptions = field(default_factory=ReadOptions)


Finish = Callable[[Trained], Path]
"""Calibrates, measures and writes; returns the folder of the bundle."""


def written(trained: Trained, card: ModelCard, readme: str) -> Path:
    """A bundle of the weights as they are, the card, and the card for people; returns its folder."""
    folder = trained.out / "bundle"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(trained.weights, folder / WEIGHTS_NAME)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    write_card(card, folder / CARD_NAME)  # last: a bundle without a card is not looked at
    return folder
