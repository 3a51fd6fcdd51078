"""From a bundle to its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, read_card, verify_weights
from cxr_viewer.inference.networks import CamNetwork, load_network
from cxr_viewer.training.ddp import pick_device
from cxr_viewer.training.evaluate import Evaluation, evaluate, save
from cxr_viewer.training.films import load_films
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lungs import LungFinder, anatomy_bundle
from cxr_viewer.training.plots import save_plots
from cxr_viewer.training.recipe import read_recipe


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
    recipe = replace(read_recipe("paediatric-pneumonia"), input=card.input)
    records = [r for r in read_index(recipe, [data]).records if split in ("all", r.split) and r.targets[0] in (0, 1)]
    if len({record.targets for record in records}) < 2:
        raise CxrError(
            f"The {split} films in “{data}” are not of both kinds.",
            hint="Both normal films and films with pneumonia are needed.",
            code="one-class",
        )
    lungs = LungFinder(anatomy_bundle()).box if card.input.crop else None
    films = load_films(records, recipe, split, lungs=lungs, quiet=quiet)
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
