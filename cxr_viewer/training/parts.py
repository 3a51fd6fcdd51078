"""From an index to films in memory, with every check that can be made before hours are spent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr_viewer.training.films import FilmSet, Lungs, load_films
from cxr_viewer.training.index import CLASSIFY, FilmRecord, Index, read_index
from cxr_viewer.training.recipe import LabelColumn, Recipe
from cxr_viewer.training.splits import Split, check_duplicates, check_labels, describe, split_records, without_site


@dataclass(frozen=True, slots=True)
class Parts:
    """The films of one training.

    Attributes:
        labels: what the films' targets are.
        split: the records before any unreadable film was left out.
        test: None where the index has no test films.
    """

    labels: tuple[LabelColumn, ...]
    split: Split
    train: FilmSet
    validation: FilmSet
    test: FilmSet | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How the films are read.

    Attributes:
        allowed: unreadable films, in each part, that are only left out.
        left_out_site: its films are for testing only.
        lungs: finds the lungs where the input is cut to them.
    """

    allowed: int = 0
    left_out_site: str = ""
    lungs: Lungs | None = None
    quiet: bool = False


def read_parts(recipe: Recipe, data: Sequence[Path], options: ReadOptions, *, masks: bool = False) -> Parts:
    """Read, split, check and load all films; the test films too, so that a fault in them is found now.

    Raises:
        CxrError: whatever is wrong with the index, the split or a film, by file and line.
    """
    return parts_of(read_index(recipe, data), recipe, options, masks=masks)


def parts_of(index: Index, recipe: Recipe, options: ReadOptions, *, masks: bool = False) -> Parts:
    """The same from an index that was read. Raises like :func:`read_parts`."""
    records: Sequence[FilmRecord] = index.records
    if options.left_out_site:
        records = without_site(records, options.left_out_site)
    split = split_records(records, recipe.split)
    check_labels(split, index.names if recipe.lesson == CLASSIFY else ())
    check_duplicates(split)
    if not options.quiet:
        print(describe(split, index.names))

    def load(part: Sequence[FilmRecord], what: str) -> FilmSet:
        return load_films(
            part, recipe, what, allowed=options.allowed, masks=masks, lungs=options.lungs, quiet=options.quiet
        )

    return Parts(
        index.labels,
        split,
        load(split.train, "training"),
        load(split.validation, "validation"),
        load(split.test, "test") if split.test else None,
    )


def fingerprint(parts: Parts) -> str:
    """Changes when a film, a label, or the side a film is on changes; part of what a checkpoint belongs to."""
    digest = hashlib.sha256()
    for films in (parts.train, parts.validation):
        for record in films.records:
            digest.update(f"{record.path.name}\0{record.patient}\0{record.targets}\n".encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]
