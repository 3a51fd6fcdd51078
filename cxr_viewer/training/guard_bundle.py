"""From the guard's weights to its bundle: thresholds, figures, card and README."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from cxr_viewer.core.modelcard import LabelSpec, Metric, ModelCard, OperatingPoint, ScoreKind, Task
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.inference.guard import LABELS, SUPPORTED
from cxr_viewer.training.ddp import pick_device
from cxr_viewer.training.films import load_films, prepared
from cxr_viewer.training.finish import Trained, written
from cxr_viewer.training.guard_figures import Chances, Thresholds, chances, choose, film_metrics, made_metrics
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lessons.guard import FRONTAL, GuardConfig, GuardLesson, Judged

ALONE = "alone"
_TEST_SEED = 77  # of the images made from test films


def finish_guard(trained: Trained) -> Path:
    """Choose thresholds on the validation films, measure on the test films and those outside, write ``out/bundle``.

    Raises:
        CxrError: films outside cannot be read.
        TypeError: the lesson is not the guard's.
    """
    if not isinstance(trained.lesson, GuardLesson):
        raise TypeError(f"{type(trained.lesson).__name__} is not the guard's lesson")
    recipe, lesson, parts = trained.recipe, trained.lesson, trained.parts
    config = recipe.table("guard", GuardConfig)
    network = lesson.network().eval()
    network.load_state_dict(load_file(trained.weights))
    network = network.to(pick_device(trained.device))
    plain = chances(network, prepared(parts.validation, recipe.input))
    judged = lesson.judged
    made = chances(network, judged.film.numpy())
    limits = choose(parts.validation, plain, config)
    metrics: list[Metric] = []
    if parts.test is not None:
        metrics += film_metrics(network, parts.test, recipe.input, limits, "test films")
        images = lesson.made(parts.test, config.validation_films, _TEST_SEED)
        metrics += made_metrics(images, chances(network, images.film.numpy()), limits, "images made from test films")
    for path in trained.outside:
        outside = replace(recipe, films=replace(recipe.films, where={}))
        records = read_index(outside, [path]).records
        films = load_films(records, recipe, path.name, quiet=trained.reading.quiet)
        metrics += film_metrics(network, films, recipe.input, limits, "films of other hospitals")
    card = _card(trained, limits, _points(plain, judged, made, limits), metrics)
    return written(trained, card, readme(card, trained.command))


def _points(plain: Chances, judged: Judged, made: Chances, limits: Thresholds) -> tuple[OperatingPoint, ...]:
    """The two thresholds of ``kind/frontal`` with what they did on validation films."""
    other = made["kind/frontal"][judged.targets["kind"] != FRONTAL]
    data = f"{plain['kind/frontal'].size} validation films and {other.size} images made from them"
    return tuple(
        OperatingPoint(name, least, float((plain["kind/frontal"] >= least).mean()), float((other < least).mean()), data)
        for name, least in ((ALONE, limits.frontal), (SUPPORTED, limits.supported))
    )


def _card(trained: Trained, limits: Thresholds, points: tuple[OperatingPoint, ...], metrics: list[Metric]) -> ModelCard:
    text, parts = trained.recipe.card, trained.parts
    labels = tuple(
        LabelSpec(
            label,
            limits.of(label),
            point=ALONE if label == "kind/frontal" else "",
            points=points if label == "kind/frontal" else (),
        )
        for label in LABELS
    )
    patients = len({record.patient for record in parts.train.records})
    return ModelCard(
        model_id=text.model_id,
        name=text.name,
        version=text.version,
        network=trained.recipe.network,
        sha256=file_sha256(trained.weights),
        licence=text.licence,
        labels=labels,
        score_kind=ScoreKind.UNCALIBRATED,
        input=trained.recipe.input,
        temperature=1.0,
        bias=0.0,
        intended_ages=None,
        intended_views=(),
        intended_use=text.intended_use,
        trained_on=f"{len(parts.train)} frontal films of {patients} patients, and images made from them. {text.data}",
        metrics=tuple(metrics),
        cautions=text.cautions,
        task=Task.GUARD,
        serves="guard",
    )


def readme(card: ModelCard, command: str) -> str:
    """The model card for people."""
    point = {one.name: one for one in card.labels[LABELS.index("kind/frontal")].points}
    lines = [
        f"# {card.name} {card.version}",
        "",
        card.intended_use,
        "",
        "It looks at every film beside the models that score findings, and says: frontal chest film, lateral film or",
        "something else; turned by 90, 180 or 270 degrees; black and white inverted; PA, AP or not sure. It learned",
        f"from: {card.trained_on}",
        "",
        "## Thresholds",
        "",
        f"A film passes as frontal where the network is sure (chance of at least {point[ALONE].threshold:.4f}), or",
        f"where it finds it likely (at least {point[SUPPORTED].threshold:.4f}) and the anatomy model finds two lungs",
        f"with a heart between them. Both were chosen on {point[ALONE].data}: of the films",
        f"{point[ALONE].sensitivity:.1%} and {point[SUPPORTED].sensitivity:.1%} reach them, of the images",
        f"{1 - point[ALONE].specificity:.1%} and {1 - point[SUPPORTED].specificity:.1%}.",
        "",
        "PA and AP are told where the network is surer, by 2.7 times in the odds, than it has to be for one error in",
        "200 answers on validation films; in between the answer is “not sure”.",
        "",
        "## Measured",
        "",
        "Shares with 95 % intervals over patients. Thresholds are those at which a set share of the validation films",
        "passes, never fitted to these films; for how that share was settled see the cautions.",
        "",
        "| films | what | share | 95 % interval | number |",
        "|---|---|---|---|---|",
    ]
    for one in card.metrics:
        interval = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        lines.append(f"| {one.group} ({one.data}) | {one.name} | {one.value:.3f} | {interval} | {one.count} |")
    lines += ["", "## What to know", "", *(f"- {caution}" for caution in card.cautions)]
    if command:
        lines += ["", "## Made by", "", f"```\n{command}\n```"]
    return "\n".join(lines) + "\n"
