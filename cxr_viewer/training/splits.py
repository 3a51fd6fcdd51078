"""Who is learned from, chosen with, and tested on. Patients are never parted."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.recipe import SplitConfig


@dataclass(frozen=True, slots=True)
class Split:
    """Films by what they are for.

    Attributes:
        left_out: training films of patients who also have test films; used for nothing.
    """

    train: tuple[FilmRecord, ...]
    validation: tuple[FilmRecord, ...]
    test: tuple[FilmRecord, ...] = ()
    left_out: tuple[FilmRecord, ...] = ()


def split_records(records: Sequence[FilmRecord], config: SplitConfig) -> Split:
    """Test and validation films as the index gives them; where it gives none, some of the rest.

    Patients are drawn label by label, the rarest first, so that every label has its share on each side.

    Raises:
        CxrError: a patient on two sides of the index's own split (unless the recipe says what to do with him).
    """
    test = [record for record in records if record.split == "test"]
    given = [record for record in records if record.split == "validation"]
    rest = [record for record in records if record.split in ("", "train")]
    if not test:
        held = {record.patient for record in given}
        drawn = _drawn_patients(rest, config.test_share, np.random.default_rng((config.seed, 1)), held)
        test = [record for record in rest if record.patient in drawn]
        rest = [record for record in rest if record.patient not in drawn]
    tested = {record.patient for record in test}
    left_out: list[FilmRecord] = []
    if config.shared == "leave-out":
        left_out = [record for record in (*rest, *given) if record.patient in tested]
        rest = [record for record in rest if record.patient not in tested]
        given = [record for record in given if record.patient not in tested]
    chance = np.random.default_rng(config.seed)
    chosen = set() if given else _drawn_patients(rest, config.validation_share, chance, tested)
    split = Split(
        train=tuple(record for record in rest if record.patient not in chosen),
        validation=(*given, *(record for record in rest if record.patient in chosen)),
        test=tuple(test),
        left_out=tuple(left_out),
    )
    groups = {"training": split.train, "validation": split.validation, "testing": split.test}
    patients = {name: [record.patient for record in part] for name, part in groups.items()}
    places = {(name, record.patient): record.place for name, part in groups.items() for record in reversed(part)}
    if config.shared == "keep":  # asked for; the other two pairs still have to be clean
        check_leakage({name: patients[name] for name in ("training", "validation")}, places)
        check_leakage({name: patients[name] for name in ("validation", "testing")}, places)
    else:
        check_leakage(patients, places)
    return split


def without_site(records: Sequence[FilmRecord], site: str) -> list[FilmRecord]:
    """The same films with those of one site for testing only and all others for learning; other test films go.

    Raises:
        CxrError: no film of that site, or no film of another.
    """
    sites = sites_of(records)
    if site not in sites or len(sites) < 2:
        raise CxrError(
            f"The site “{site}” cannot be left out.",
            hint=f"The index has the sites: {', '.join(sites)}.",
            code="no-site",
        )
    out = [replace(record, split="test") for record in records if record.site == site]
    return out + [record for record in records if record.site != site and record.split != "test"]


def sites_of(records: Iterable[FilmRecord]) -> list[str]:
    """The sites, sorted."""
    return sorted({record.site for record in records})


def check_leakage(parts: Mapping[str, Iterable[str]], places: Mapping[tuple[str, str], str] | None = None) -> None:
    """Stop where a patient is on two sides.

    Args:
        parts: the patients of each part, by the part's name.
        places: file and line of a film, by part and patient.

    Raises:
        CxrError: names the parts and up to five of the patients, with a film of each on both sides where known.
    """
    groups = {name: set(values) for name, values in parts.items()}
    names = list(groups)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = sorted(groups[first] & groups[second])
            if shared:
                found = {one: [(places or {}).get((side, one), "") for side in (first, second)] for one in shared[:5]}
                told = [f"{one} ({' and '.join(at)})" if all(at) else one for one, at in found.items()]
                shown = "; ".join(told) + ("; ..." if len(shared) > 5 else "")
                count = "1 patient is" if len(shared) == 1 else f"{len(shared)} patients are"
                raise CxrError(
                    f"{count} in both {first} and {second}: {shown}.",
                    hint="Split by patient; figures from such a split would be too good to be true. The recipe's "
                    'split.shared = "leave-out" leaves the training films of such patients out.',
                    code="patient-leakage",
                )


def check_duplicates(split: Split) -> None:
    """Stop where one file is listed twice, or the same file lies on two sides under different names or patients.

    Only files of equal length are read through, so this costs little.

    Raises:
        CxrError: names up to five pairs by file and line.
    """
    _check_listed_once([*split.train, *split.validation, *split.test])
    sides: dict[int, list[tuple[str, FilmRecord]]] = defaultdict(list)
    for name, part in (("training", split.train), ("validation", split.validation), ("testing", split.test)):
        for record in part:
            if record.path.is_file():
                sides[record.path.stat().st_size].append((name, record))
    pairs = []
    for films in sides.values():
        if len({name for name, _ in films}) < 2:
            continue
        seen: dict[str, tuple[str, FilmRecord]] = {}
        for name, record in films:
            first = seen.setdefault(_digest(record.path), (name, record))
            if first[0] != name:
                pairs.append(f"{first[1].place} ({first[0]}) and {record.place} ({name})")
    if pairs:
        shown = "; ".join(pairs[:5]) + ("; ..." if len(pairs) > 5 else "")
        raise CxrError(
            f"The same film is on two sides of the split: {shown}.",
            hint="Keep one line for each film.",
            detail="\n".join(pairs),
            code="duplicate-films",
        )


def _check_listed_once(records: Sequence[FilmRecord]) -> None:
    """A film with two lines would count twice, and the lines may say different things of it."""
    places: dict[Path, list[str]] = defaultdict(list)
    for record in records:
        places[record.path].append(record.place)
    often = [" and ".join(found) for found in places.values() if len(found) > 1]
    if often:
        shown = "; ".join(often[:5]) + ("; ..." if len(often) > 5 else "")
        films = "One film is" if len(often) == 1 else f"{len(often)} films are"
        raise CxrError(
            f"{films} listed more than once: {shown}.",
            hint="Keep one line for each film.",
            detail="\n".join(often),
            code="duplicate-films",
        )


def check_labels(split: Split, labels: Sequence[str]) -> None:
    """Stop where a label has no positive or no negative film to learn from or to choose with.

    Raises:
        CxrError: names the label and the part.
    """
    for name, part in (("training", split.train), ("validation", split.validation)):
        if not part:
            raise CxrError(f"There are no films for {name}.", hint="Check the split in the index.", code="no-films")
        for column, label in enumerate(labels):
            for value, word in ((1.0, "no film with"), (0.0, "no film without")):
                if not any(record.targets[column] == value for record in part):
                    raise CxrError(
                        f"There is {word} “{label}” for {name}.",
                        hint="Leave the label out, or add such films.",
                        code="one-class",
                    )


def describe(split: Split, labels: Sequence[str]) -> str:
    """What is in each part, for people."""
    lines = []
    for name, part in (("Training", split.train), ("Validation", split.validation), ("Test", split.test)):
        counts = [sum(record.targets[column] == 1 for record in part) for column in range(len(labels))]
        told = ", ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
        patients = len({record.patient for record in part})
        lines.append(f"{name}: {len(part)} films of {patients} patients" + (f" ({told})" if told and part else ""))
    if split.left_out:
        patients = len({record.patient for record in split.left_out})
        lines.append(f"Left out: {len(split.left_out)} films of {patients} patients who have test films")
    return "\n".join(lines)


def _drawn_patients(
    records: Sequence[FilmRecord], share: float, chance: np.random.Generator, held: set[str]
) -> set[str]:
    """Patients with about ``share`` of the films of every label; none of those ``held`` for something else."""
    free = [record for record in records if record.patient not in held]
    labels = range(len(free[0].targets)) if free else range(0)
    of_label = {label: Counter(r.patient for r in free if r.targets[label] == 1) for label in labels}
    strata = sorted(of_label.values(), key=lambda sizes: sizes.total())
    # Those without any positive come last, then everybody, in case that the labels alone gave too few.
    strata.append(Counter(record.patient for record in free if 1.0 not in record.targets))
    strata.append(Counter(record.patient for record in free))
    chosen: set[str] = set()
    for sizes in strata:
        taken = sum(count for patient, count in sizes.items() if patient in chosen)
        wanted = share * sizes.total()
        for patient in chance.permutation(sorted(set(sizes) - chosen)):
            if taken >= wanted:
                break
            chosen.add(str(patient))
            taken += sizes[str(patient)]
    return chosen


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
