"""From a classifier's weights to its bundle: calibration, operating points, figures, what is offered, card and README.

Everything is chosen on the validation films. The test films only decide what the reader is told: whether a score may be
called a probability, and which findings are offered at all (:mod:`cxr_viewer.training.offering`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.image import View
from cxr_viewer.core.modelcard import LabelSpec, Metric, ModelCard, ReferenceSpec, ScoreKind
from cxr_viewer.inference.calibrate import even_weights
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.inference.distance import fit_reference, write_reference
from cxr_viewer.inference.networks import CamNetwork, load_network
from cxr_viewer.training.asking import Answers
from cxr_viewer.training.classify_readme import Counts, readme
from cxr_viewer.training.ddp import pick_device
from cxr_viewer.training.evaluating import LabelFigures, Measured, measured
from cxr_viewer.training.films import FilmSet, load_films, prepared
from cxr_viewer.training.finish import Trained
from cxr_viewer.training.index import read_index
from cxr_viewer.training.leaning import PROBES, leaning
from cxr_viewer.training.lessons.classify import AIDS, ClassifyConfig, score_labels
from cxr_viewer.training.measure import AUC, ECE, ONE_PER_PATIENT, SENSITIVITY, SPECIFICITY, Values
from cxr_viewer.training.offering import Tuned, may_be_probability, offered, tune
from cxr_viewer.training.reports import evaluation
from cxr_viewer.training.reports.plots import curves
from cxr_viewer.training.style import balancing_weights, label_from_make
from cxr_viewer.training.teachers import ANSWERS_NAME, write_answers
from cxr_viewer.training.terms import Terms, fit_terms, measured_ratios, with_terms

_ADULT_YEARS = 16
_PLOT_DPI = 110
_VIEWS = {view.value for view in View} - {View.UNKNOWN.value}
_KEPT_GROUPS = ("PA", "AP", ONE_PER_PATIENT)
_OUTSIDE_FIGURES = (AUC, SENSITIVITY, SPECIFICITY, ECE)


def finish_classify(trained: Trained) -> Path:
    """Calibrate on the validation films, measure on the test films and those outside, and write ``out/bundle``.

    Where the index names no test films the validation films are measured instead, and the card says so: then nothing is
    called a probability.

    Raises:
        CxrError: films outside cannot be read, or no finding is good enough to be offered.
    """
    folder = trained.out / "bundle"
    (folder / CARD_NAME).unlink(missing_ok=True)  # of an earlier run: a bundle without a card is not looked at
    network = _network(trained)
    _keep_answers(trained, network)
    tuned, terms = _tuned(trained, network)
    plain = _card(trained, tuned, terms)
    films, words = _judging(trained)
    ratios = measured_ratios(trained, films) if terms.ratio else None
    answers, figures = _measured(network, films, plain, words, ratios)
    evaluation.save(figures, answers, trained.out / "test")
    metrics = [one for label in figures.labels for one in (*label.metrics, *_kept_groups(label))]
    card = _offering(plain, metrics, [one.view for one in films.records], tested=trained.parts.test is not None)
    folder.mkdir(parents=True, exist_ok=True)
    metrics += _leaning(trained, network, films, words) + _outside(trained, network, plain)
    kept = [plain.labels.index(_plain_of(plain, label)) for label in card.labels]
    card = replace(
        card,
        sha256=_write_weights(network, kept, folder),
        metrics=tuple(metrics),
        cautions=(*card.cautions, *_cautions(card, metrics, words)),
        reference=_reference(trained, network, folder),
    )
    plots = _plots(figures, card, folder)
    losses = {label.name: tuned[label.name].losses for label in card.labels}
    counts, history = _counts(trained), trained.recipe.card.history
    text = readme(card, losses, figures, counts, plots, trained.command, history)
    (folder / "README.md").write_text(text, encoding="utf-8")
    write_card(card, folder / CARD_NAME)  # last: a bundle without a card is not looked at
    return folder


def _network(trained: Trained) -> CamNetwork:
    """The network as it was learned, without what only training needed."""
    state = {name: value for name, value in load_file(trained.weights).items() if not name.startswith(AIDS)}
    network = load_network(trained.recipe.network, len(trained.parts.names), state)
    return network.to(pick_device(trained.device))


def _keep_answers(trained: Trained, network: CamNetwork) -> None:
    """Write what the network says of the films it learned from, where the recipe asks for it."""
    if trained.recipe.table("classify", ClassifyConfig).answers:
        films = trained.parts.train
        logits = score_labels(network, prepared(films, trained.recipe.input))
        write_answers(trained.out / ANSWERS_NAME, films, tuple(trained.parts.names), logits)


def _judging(trained: Trained) -> tuple[FilmSet, str]:
    """The films that the card's figures come from, and what they are called there."""
    data = ", ".join(path.name for path in trained.data)
    if trained.parts.test is None:
        return trained.parts.validation, f"{data}, validation films (there were no test films)"
    return trained.parts.test, f"{data}, test films"


def _write_weights(network: CamNetwork, kept: Sequence[int], folder: Path) -> str:
    """Write the weights with those outputs only that are offered; their digest."""
    rows = torch.tensor(kept)
    state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    for name in ("classifier.weight", "classifier.bias"):
        state[name] = state[name][rows]
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS_NAME)
    return file_sha256(folder / WEIGHTS_NAME)


def _plain_of(card: ModelCard, label: LabelSpec) -> LabelSpec:
    return next(one for one in card.labels if one.name == label.name)


# ---------------------------------------------------------------- chosen on the validation films


def _tuned(trained: Trained, network: CamNetwork) -> tuple[dict[str, Tuned], Terms]:
    """Calibration and operating points of every finding, and what the heart's ratio adds where the recipe asks."""
    films = trained.parts.validation
    logits = score_labels(network, prepared(films, trained.recipe.input))
    terms = fit_terms(trained, logits)
    weights = _even_makes(trained)
    words = f"{len(films)} validation films"
    if weights is not None:
        words += ", weighted so that the make of a film does not tell the label"
    tuned = {
        name: tune(films.targets[:, column].astype(np.float64), logits[:, column], films.groups, words, weights=weights)
        for column, name in enumerate(trained.parts.names)
    }
    return tuned, terms


def _even_makes(trained: Trained) -> Values | None:
    """Weights of the validation films under which their make says nothing about the label, and half of them show it.

    A score that is to be read elsewhere should not bring along which unit ill people were filmed on, and how common the
    finding was. None where the recipe does not ask for it.
    """
    if trained.recipe.table("classify", ClassifyConfig).balance != "make":
        return None
    films = trained.parts.validation
    from_make = label_from_make(trained.parts.train, films)[1]
    return balancing_weights(from_make, films.labels) * even_weights(films.labels)


def _card(trained: Trained, tuned: dict[str, Tuned], terms: Terms) -> ModelCard:
    """The card before anything was measured: every finding, no score called a probability, no digest yet."""
    text, parts = trained.recipe.card, trained.parts
    return ModelCard(
        model_id=text.model_id,
        name=text.name,
        version=text.version,
        network=trained.recipe.network,
        sha256="",
        licence=text.licence,
        labels=tuple(
            replace(
                _label(label.name, label.description, tuned[label.name]),
                ratio=terms.ratio.get(label.name),
                view_terms=terms.views.get(label.name, ()),
            )
            for label in parts.labels
        ),
        score_kind=ScoreKind.UNCALIBRATED,
        input=trained.recipe.input,
        temperature=1.0,
        bias=0.0,
        intended_ages=(text.ages[0], text.ages[1]) if text.ages else None,
        intended_views=text.views,
        intended_use=text.intended_use,
        trained_on=f"{len(parts.train)} films of {len(set(parts.train.groups))} patients. {text.data}".strip(),
        cautions=text.cautions,
    )


def _label(name: str, description: str, tuned: Tuned) -> LabelSpec:
    chosen = tuned.calibration
    return LabelSpec(
        name=name,
        threshold=round(tuned.threshold, 5),
        description=description,
        temperature=round(chosen.temperature, 5),
        bias=round(chosen.bias, 5),
        point=tuned.point,
        points=tuple(
            replace(
                one,
                threshold=round(one.threshold, 5),
                sensitivity=round(one.sensitivity, 4),
                specificity=round(one.specificity, 4),
            )
            for one in tuned.points
        ),
    )


# ---------------------------------------------------------------- measured on films that nothing was chosen on


def _counts(trained: Trained) -> Counts:
    def of(films: FilmSet | None) -> tuple[int, int]:
        return (0, 0) if films is None else (len(films), len(set(films.groups)))

    out = trained.parts.split.left_out
    return Counts(
        of(trained.parts.train),
        of(trained.parts.validation),
        of(trained.parts.test),
        (len(out), len({record.patient for record in out})),
    )


def _measured(
    network: CamNetwork, films: FilmSet, card: ModelCard, words: str, ratios: Values | None = None
) -> tuple[Answers, Measured]:
    """What the card's scores are worth on films that are in memory, with their cardiothoracic ratios if given."""
    logits = score_labels(network, prepared(films, card.input))
    for at, label in enumerate(card.labels):
        logits[:, at] = with_terms(label, logits[:, at], films, ratios)
    scores = np.column_stack([_probability(label, logits[:, at]) for at, label in enumerate(card.labels)])
    answers = Answers(
        labels=tuple(label.name for label in card.labels),
        records=films.records,
        truth=films.targets.astype(np.float64),
        scores=scores,
        logits=logits,
        thresholds=tuple(label.threshold for label in card.labels),
        kinds=(card.score_kind,) * len(card.labels),
        blocked=((),) * len(films),
        refused=(),
        unreadable=(),
        device="torch",
    )
    return answers, measured(answers, card, words)


def _probability(label: LabelSpec, logits: Values) -> Values:
    return 1 / (1 + np.exp(-(logits / (label.temperature or 1.0) + (label.bias or 0.0))))


def _kept_groups(label: LabelFigures) -> tuple[Metric, ...]:
    return tuple(one for one in label.groups if one.group in _KEPT_GROUPS)


def _leaning(trained: Trained, network: CamNetwork, films: FilmSet, words: str) -> list[Metric]:
    """What a model of one finding leans on; of many findings it would be a book."""
    spec = trained.recipe.input
    if len(trained.parts.names) != 1:
        return []

    def score(inputs: NDArray[np.float32]) -> Values:
        return score_labels(network, inputs)[:, 0]

    truth = films.targets[:, 0].astype(np.float64)
    return list(leaning(trained.parts.names[0], truth, prepared(films, spec), score, films.groups, words, spec))


def _outside(trained: Trained, network: CamNetwork, card: ModelCard) -> list[Metric]:
    """Figures on films of another kind; where lungs are cut to and not found, a film is left out and counted."""
    out: list[Metric] = []
    for path in trained.outside:
        records = read_index(trained.recipe, [path]).records
        films = load_films(
            records,
            trained.recipe,
            path.name,
            allowed=len(records) - 1,
            lungs=trained.reading.lungs,
            quiet=trained.reading.quiet,
        )
        lost = len(records) - len(films)
        words = f"{path.name}, not the kind it was made for" + (
            f", {lost} films without lungs left out" if lost else ""
        )
        ratios = measured_ratios(trained, films) if any(label.ratio for label in card.labels) else None
        _, figures = _measured(network, films, card, words, ratios)
        out += [one for label in figures.labels for one in label.metrics if one.name in _OUTSIDE_FIGURES]
    return out


def _offering(card: ModelCard, metrics: Sequence[Metric], seen: Sequence[str], *, tested: bool) -> ModelCard:
    """Which findings stay labels, in which views, and which of their scores are probabilities.

    Args:
        seen: the view of each film that was measured, empty where it is not known. Where none is, the figures of all
            films decide; else a view without films enough is one that a finding is not offered in.

    Raises:
        CxrError: none is good enough.
    """
    views = card.intended_views if any(view in _VIEWS for view in seen) else ()
    if len(set(seen)) == 1:  # then the figures of all films are those of this view
        metrics = [*metrics, *(replace(one, group=seen[0]) for one in metrics if not one.group)]
    adults = card.intended_ages is None or card.intended_ages[1] >= _ADULT_YEARS
    good, tried = offered([label.name for label in card.labels], metrics, views, adults=adults)
    if not good:
        raise CxrError(
            "No finding is good enough to be offered: " + " ".join(f"{one.name}: {one.reason}" for one in tried),
            hint="The figures are in the folder “test”; more or better films are needed.",
            code="nothing-offered",
        )
    labels = []
    for one in good:
        label = next(label for label in card.labels if label.name == one.name)
        # A score that was shifted by the view no longer says how common the finding is in either.
        sure = tested and not label.view_terms and may_be_probability(metrics, one.name)
        labels.append(replace(label, views=one.views, score_kind=ScoreKind.CALIBRATED if sure else None))
    return replace(card, labels=tuple(labels), tried=tried)


def _cautions(card: ModelCard, metrics: Sequence[Metric], words: str) -> tuple[str, ...]:
    """What the figures say against the model, a sentence each."""
    out = []
    found = {(one.label, one.name): one for one in metrics if one.data == words and not one.group}
    for label in card.labels:
        error = found.get((label.name, ECE))
        if label.score_kind is None and error is not None:
            out.append(
                f"The score of {label.name} is not a probability: on the {words} it was off by {_interval(error)} on "
                "average."
            )
        blank = found.get((label.name, PROBES[1]))
        if blank is not None and blank.low is not None and blank.low > 0.5:
            out.append(
                f"With the middle 70 % of each side of its input blanked the AUC is still {_interval(blank)}, not 0.50."
            )
    out += [
        f"Films of another kind: AUC of {one.label} {_interval(one)} ({one.data})."
        for one in metrics
        if one.data != words and one.name == AUC and not one.group
    ]
    return tuple(out)


def _interval(metric: Metric) -> str:
    ends = "" if metric.low is None or metric.high is None else f" (95 % {metric.low:.2f} to {metric.high:.2f})"
    return f"{metric.value:.2f}{ends}"


def _reference(trained: Trained, network: CamNetwork, folder: Path) -> ReferenceSpec:
    """What the training films look like to the network."""
    spec = trained.recipe.input
    train = _pooled(network, prepared(trained.parts.train, spec))
    held = _pooled(network, prepared(trained.parts.validation, spec))
    return write_reference(fit_reference(train), held, folder, f"{len(held)} validation films")


def _pooled(network: CamNetwork, inputs: NDArray[np.float32], batch: int = 64) -> NDArray[np.float32]:
    device = next(network.parameters()).device
    out = []
    with torch.inference_mode():
        for start in range(0, len(inputs), batch):
            maps = network.features(torch.from_numpy(inputs[start : start + batch]).to(device))
            out.append(maps.mean(dim=(2, 3)).cpu().numpy())
    return np.concatenate(out)


def _plots(figures: Measured, card: ModelCard, folder: Path) -> list[str]:
    """Curves of each finding that is offered, beside the README."""
    out = []
    kept = {label.name for label in card.labels}
    for label in figures.labels:
        if label.name in kept:
            name = "".join(sign if sign.isalnum() else "-" for sign in label.name.lower()) + ".png"
            curves(label).savefig(folder / name, dpi=_PLOT_DPI)
            out.append(name)
    return out
