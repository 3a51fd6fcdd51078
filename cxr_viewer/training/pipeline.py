"""From a folder of labelled films to a model bundle, and from a bundle to its figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import Metric, ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.calibrate import Calibration, choose_calibration, even_weights, youden_threshold
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, read_card, verify_weights
from cxr_viewer.inference.networks import CamNetwork, load_network, parameter_count
from cxr_viewer.training.bundle import make_card, write_bundle
from cxr_viewer.training.data import (
    FilmRecord,
    FilmSet,
    Split,
    check_leakage,
    load_films,
    read_records,
    split_records,
)
from cxr_viewer.training.evaluate import Evaluation, as_text, auc, evaluate, save, subset_metrics
from cxr_viewer.training.fit import HISTORY_NAME, FitConfig, fit, pick_device, prepared, score
from cxr_viewer.training.model_card import BundleFacts
from cxr_viewer.training.plots import save_plots
from cxr_viewer.training.style import balancing_weights, label_from_make

VALIDATION_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What to train on and where to put it.

    Attributes:
        outside: folders of films of another kind, tested on but never learned from; figures go into the card.
        keep_shared: learn also from films of patients who have test films.
        command: how this was started, for the model card.
        notes: further cautions for the card, whole sentences.
    """

    data: Path
    out: Path
    config: FitConfig
    version: str
    init: Path | None = None
    fresh: bool = False
    keep_shared: bool = False
    outside: tuple[Path, ...] = ()
    command: str = ""
    notes: tuple[str, ...] = ()
    quiet: bool = False


def train_model(job: TrainJob) -> Path:
    """Train, calibrate, test and write a bundle to ``out/bundle``; returns its folder.

    Raises:
        CxrError: no films, patients on two sides, a checkpoint of another configuration, ...
    """
    records = read_records(job.data)
    split = split_records(records, validation_share=VALIDATION_SHARE, seed=job.config.seed, keep_shared=job.keep_shared)
    _refuse_leakage(split, keep_shared=job.keep_shared)
    _tell_split(split)
    train = load_films(split.train, "training", quiet=job.quiet)
    validation = load_films(split.validation, "validation", quiet=job.quiet)
    best = fit(train, validation, job.config, job.out, init=job.init, resume=not job.fresh, quiet=job.quiet)
    network = load_network(job.config.network, 1, load_file(best)).to(pick_device(job.config.device))
    tuned = _tune(network, train, validation, job.config)

    def measured(films: FilmSet, what: str, *, probes: bool) -> Evaluation:
        return evaluate(network, films, job.config.input, tuned.calibration, tuned.threshold, what, probes=probes)

    on_validation = measured(validation, "validation films", probes=False)
    test = load_films(split.test, "test", quiet=job.quiet)
    evaluation = measured(test, "official test films", probes=True)
    outside: list[Metric] = []
    for folder in job.outside:
        films = load_films(read_records(folder), folder.name, quiet=job.quiet)
        outside += _chief(measured(films, f"{folder.name}, not the kind it was made for", probes=False))
    facts = BundleFacts(
        counts=(len(train), len(validation), len(test), len(split.left_out)),
        patients=_patients(split),
        train_share=float(train.labels.mean()),
        best_epoch=_best_epoch(job.out),
        calibration_losses=tuned.losses,
        make_auc=tuned.make_auc,
        validation=on_validation.metrics,
        outside=tuple(outside),
        disjoint=_disjoint(evaluation, records),
        parameters=parameter_count(network),
        command=job.command,
    )
    card = make_card(best, job.config, tuned.calibration, evaluation, facts, version=job.version, notes=job.notes)
    save(on_validation, job.out / "validation")
    save(evaluation, job.out / "test")
    print(as_text(evaluation))
    return write_bundle(job.out / "bundle", best, card, evaluation, facts, save_plots(evaluation, job.out / "test"))


@dataclass(frozen=True, slots=True)
class _Tuned:
    """What is chosen on validation once the weights stand."""

    calibration: Calibration
    losses: dict[str, float]
    threshold: float
    make_auc: float


def _tune(network: CamNetwork, train: FilmSet, validation: FilmSet, config: FitConfig) -> _Tuned:
    """Calibration and operating point on validation films.

    The films are weighted so that their make says nothing about the label, and so that half of them show pneumonia: a
    score that is to be read in other places should not bring along how common pneumonia was in this one.
    """
    logits = score(network, prepared(validation, config.input))
    from_make = label_from_make(train, validation)[1]
    weights = balancing_weights(from_make, validation.labels) * even_weights(validation.labels)
    calibration, losses = choose_calibration(logits, validation.labels, validation.groups, weights)
    threshold = youden_threshold(calibration.probability(logits), validation.labels, weights)
    words = ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
    print(f"Calibration: temperature {calibration.temperature:.3f}, bias {calibration.bias:+.3f}")
    print(f"Held-out log loss of the calibrations tried: {words}")
    return _Tuned(calibration, losses, threshold, auc(validation.labels, from_make))


def find_bundle(model: str) -> Path:
    """The bundle called ``model`` among those that travel with the program, or the folder at that path.

    Raises:
        ModelError: neither is there.
    """
    for folder in (Path(model), resources_dir() / "models" / model):
        if (folder / CARD_NAME).is_file():
            return folder
    raise ModelError(
        f"There is no model “{model}”.",
        hint="Give the id of an installed model or the folder of a bundle.",
        code="no-model",
    )


def load_bundle(folder: Path) -> tuple[ModelCard, CamNetwork]:
    """Card and network of a bundle, weights checked against the card's digest, in evaluation mode.

    Raises:
        ModelError: a faulty card, damaged weights, or an unknown network.
    """
    card = read_card(folder)
    verify_weights(folder, card)
    try:
        state = load_file(folder / WEIGHTS_NAME)
    except SafetensorError as error:
        raise ModelError(
            f"The weights of the model “{card.name}” cannot be read.",
            hint="Install the model again.",
            detail=str(error),
            code="weights-damaged",
        ) from error
    return card, load_network(card.network, len(card.labels), state)


def evaluate_bundle(folder: Path, data: Path, out: Path, *, split: str, device: str, quiet: bool) -> Evaluation:
    """Measure a bundle on labelled films and save figures, scores and plots to ``out``.

    Args:
        split: ``"test"``, ``"train"`` or ``"all"``, as published with the data.
    """
    card, network = load_bundle(folder)
    network = network.to(pick_device(device))
    records = [record for record in read_records(data) if split in ("all", record.split)]
    if len({record.label for record in records}) < 2:
        raise CxrError(
            f"The {split} films in “{data}” are not of both kinds.",
            hint="Both normal films and films with pneumonia are needed.",
            code="one-class",
        )
    films = load_films(records, split, quiet=quiet)
    evaluation = evaluate(
        network,
        films,
        card.input,
        Calibration(card.temperature, card.bias),
        card.labels[0].threshold,
        f"{card.name} {card.version} on {data.name}, {split} films",
    )
    save(evaluation, out)
    save_plots(evaluation, out)
    return evaluation


def _refuse_leakage(split: Split, *, keep_shared: bool) -> None:
    groups = {
        "training": [record.group for record in split.train],
        "validation": [record.group for record in split.validation],
        "testing": [record.group for record in split.test],
    }
    if keep_shared:  # asked for; the other two pairs still have to be clean
        check_leakage({"training": groups["training"], "validation": groups["validation"]})
        check_leakage({"validation": groups["validation"], "testing": groups["testing"]})
    else:
        check_leakage(groups)


def _tell_split(split: Split) -> None:
    for name, part in (("Training", split.train), ("Validation", split.validation), ("Test", split.test)):
        positives = sum(record.label for record in part)
        print(f"{name}: {len(part)} films of {len({r.group for r in part})} patients, {positives} with pneumonia")
    if split.left_out:
        patients = len({record.group for record in split.left_out})
        print(f"Left out: {len(split.left_out)} training films of {patients} patients who have test films")


def _patients(split: Split) -> tuple[int, int, int, int]:
    train, validation, test, left_out = (
        len({record.group for record in part}) for part in (split.train, split.validation, split.test, split.left_out)
    )
    return train, validation, test, left_out


def _disjoint(evaluation: Evaluation, records: Sequence[FilmRecord]) -> tuple[Metric, ...]:
    """AUC on test films of patients without any film in the published training part, where there are others too."""
    published = {record.group for record in records if record.split == "train"}
    if not published & {row[1] for row in evaluation.scores}:
        return ()
    metrics = subset_metrics(
        evaluation, lambda _, group: group not in published, "test films of patients without published training films"
    )
    return tuple(metric for metric in metrics if metric.name == "AUC" and not np.isnan(metric.value))


def _chief(evaluation: Evaluation) -> list[Metric]:
    return [evaluation.metric(name) for name in ("AUC", "sensitivity", "specificity", "calibration error (ECE)")]


def _best_epoch(out: Path) -> tuple[int, int]:
    history = json.loads((out / HISTORY_NAME).read_text(encoding="utf-8"))
    best = max(history, key=lambda row: (row["validation_auc"], -row["validation_log_loss"]))
    return int(best["epoch"]), len(history)
