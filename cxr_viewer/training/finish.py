"""What is handed on when learning is done: to calibrating, measuring and writing the bundle, by kind of lesson."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

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
