"""One training from recipe and index to bundle, or one per site left out."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.cards import read_card
from cxr_viewer.training.ddp import is_chief, joined, pick_device
from cxr_viewer.training.films import prepared
from cxr_viewer.training.finish import Finish, Trained
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lessons import classify, kind_of
from cxr_viewer.training.lessons.classify import label_aucs, score_labels
from cxr_viewer.training.loop import RunOptions, learn
from cxr_viewer.training.lungs import LungFinder, anatomy_bundle
from cxr_viewer.training.outlines import outlined
from cxr_viewer.training.parts import ReadOptions, fingerprint, parts_of
from cxr_viewer.training.recipe import Recipe
from cxr_viewer.training.splits import sites_of

SITES_NAME = "sites.csv"


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What to train on and where to put it.

    Attributes:
        data: indexes or folders, all learned from together.
        outside: films of another kind, measured on but never learned from; figures go into the card.
        command: how this was started, with folder names only, for the card.
    """

    recipe: Recipe
    data: tuple[Path, ...]
    out: Path
    init: Path | None = None
    outside: tuple[Path, ...] = ()
    reading: ReadOptions = field(default_factory=ReadOptions)
    options: RunOptions = field(default_factory=RunOptions)
    command: str = ""


def train_model(job: TrainJob) -> Path | None:
    """Train, calibrate, measure and write a bundle.

    Returns:
        The bundle's folder; None in processes under torchrun that are not the chief.

    Raises:
        CxrError: whatever is wrong with recipe, films, weights or checkpoint.
    """
    trained = learned(job)
    return finish_of(job.recipe.lesson)(trained) if is_chief() else None


def finish_of(lesson: str) -> Finish:
    """What calibrates, measures and writes the bundle for a kind of lesson."""
    if lesson == "guard":
        from cxr_viewer.training.guard_bundle import finish_guard

        return finish_guard
    if lesson == "segment":
        from cxr_viewer.training.segment_bundle import finish_segment

        return finish_segment
    from cxr_viewer.training.classify_bundle import finish_classify

    return finish_classify


def learned(job: TrainJob) -> Trained:
    """The run without what comes after. Raises like :func:`train_model`."""
    kind = kind_of(job.recipe)
    reading = replace(job.reading, quiet=job.reading.quiet or not is_chief())
    finder = None
    if job.recipe.input.crop and reading.lungs is None:
        finder = LungFinder(anatomy_bundle(job.recipe.films.anatomy), job.out if is_chief() else None)
        reading = replace(reading, lungs=finder.box)
    index, anatomy = read_index(job.recipe, job.data), "" if finder is None else finder.card.sha256
    if job.recipe.lesson == "classify" and classify.draws_masks(job.recipe):
        bundle = anatomy_bundle(job.recipe.films.anatomy)
        index, anatomy = outlined(index, bundle, job.out / "outlines", quiet=reading.quiet), read_card(bundle).sha256
    parts = parts_of(index, job.recipe, reading, masks=kind.masks(job.recipe))
    if finder is not None:
        finder.save()
    lesson = kind.build(job.recipe, parts)
    settings = job.recipe.settings() | {"films": fingerprint(parts), "init": job.init.name if job.init else ""}
    settings["films.anatomy"] = anatomy
    weights = learn(lesson, job.recipe.training, job.out, settings=settings, init=job.init, options=job.options)
    return Trained(
        recipe=job.recipe,
        parts=parts,
        lesson=lesson,
        weights=weights,
        out=job.out,
        data=job.data,
        outside=job.outside,
        command=job.command,
        device=job.options.device,
        reading=reading,
    )


def leave_one_site_out(job: TrainJob) -> list[dict[str, str]]:
    """One run per site, each measured on the site that it has not seen; the table goes to ``out/sites.csv``.

    Returns:
        One row per site and one of the means: ``site``, ``films``, one AUC per label, ``mean``.

    Raises:
        CxrError: fewer than two sites, or a lesson that is judged by other things.
    """
    if job.recipe.lesson != "classify":
        raise CxrError("Leaving out one site after the other works for classifiers only.", code="wrong-use")
    sites = sites_of(read_index(job.recipe, job.data).records)
    if len(sites) < 2:
        raise CxrError("There is only one site.", hint="The index needs a column for the site.", code="no-site")
    rows = []
    with joined(job.options.device) as ranks:  # once for all runs
        for number, site in enumerate(sites, start=1):
            if ranks.chief:
                print(f"Site {number} of {len(sites)} left out: {site}")
            name = "".join(sign if sign.isalnum() else "-" for sign in site)
            reading = replace(job.reading, left_out_site=site)
            trained = learned(replace(job, out=job.out / f"without-{number}-{name}", reading=reading))
            if ranks.chief:
                rows.append(_site_row(site, trained))
    if rows:
        _write_sites(rows, job.out / SITES_NAME)
    return rows


def _site_row(site: str, trained: Trained) -> dict[str, str]:
    network = trained.lesson.network().eval()
    network.load_state_dict(load_file(trained.weights))
    network = network.to(pick_device(trained.device))
    films = trained.parts.test
    if films is None:
        raise CxrError(f"The site “{site}” has no films.", code="no-site")
    areas = label_aucs(films.targets, score_labels(network, prepared(films, trained.recipe.input)))
    row = {"site": site, "films": str(len(films))}
    row |= {name: _figure(area) for name, area in zip(trained.parts.names, areas, strict=True)}
    return row | {"mean": _figure(float(np.nanmean(areas)) if np.isfinite(areas).any() else float("nan"))}


def _figure(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4f}"


def _write_sites(rows: list[dict[str, str]], path: Path) -> None:
    columns = [name for name in rows[0] if name not in ("site", "films")]
    mean = {"site": "mean of the sites", "films": str(sum(int(row["films"]) for row in rows))}
    for name in columns:
        values = [float(row[name]) for row in rows if row[name]]
        mean[name] = _figure(float(np.mean(values)) if values else float("nan"))
    rows.append(mean)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f"AUC on each site by a network that has not seen it ({path.name}):")
    for row in rows:
        areas = ", ".join(f"{name} {value or '-'}" for name, value in row.items() if name not in ("site", "films"))
        print(f"  {row['site']}: {areas} ({row['films']} films)")
