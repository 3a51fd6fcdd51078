"""Bundles, films and engines that the tests of inference share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, ScoreKind
from cxr_viewer.core.image import ImageKey, PatientInfo, Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.child import Convert, TorchProcess
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.networks import CamNetwork, build_network
from cxr_viewer.sources.reader import SandboxReader

REAL_MODEL = "paediatric-pneumonia"

REAL_FILMS = (
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "cr_rsna_ap_viral2_jpegbaseline.dcm",
    "cr_rsna_pa_normal2_jpegbaseline.dcm",
    "dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm",
    "dx_nih_00000001_000_pa_cardiomegaly.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
)


def make_card(**changes: object) -> ModelCard:
    """A card for the network ``cxr-tiny`` with two labels; its digest still has to be set."""
    card = ModelCard(
        model_id="tiny",
        name="Tiny",
        version="1.0",
        network="cxr-tiny",
        sha256="0" * 64,
        licence="Apache-2.0",
        labels=(LabelSpec("Bright", 0.5), LabelSpec("Other", 0.4)),
        score_kind=ScoreKind.CALIBRATED,
        input=InputSpec(size_px=64, fit="stretch", crop_border=True, mean=0.5, std=0.25),
        temperature=1.5,
        bias=-0.25,
        intended_ages=(1.0, 5.0),
        intended_views=("PA", "AP"),
        intended_use="Tests only.",
        trained_on="nothing",
    )
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


def make_bundle(parent: Path, network: torch.nn.Module, /, **changes: object) -> tuple[Path, ModelCard]:
    """Write a bundle with these weights below ``parent``."""
    card = make_card(**changes)
    folder = parent / card.model_id
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / WEIGHTS_NAME)
    card = dataclasses.replace(card, sha256=file_sha256(folder / WEIGHTS_NAME))
    write_card(card, folder / CARD_NAME)
    return folder, card


@pytest.fixture(scope="session")
def bundle() -> Callable[..., tuple[Path, ModelCard]]:
    """``bundle(parent, network, **card_changes)`` writes one and gives its folder and card."""
    return make_bundle


@pytest.fixture(scope="session")
def card() -> Callable[..., ModelCard]:
    """``card(**changes)``, without weights."""
    return make_card


@pytest.fixture(scope="session")
def random_network() -> Callable[..., CamNetwork]:
    """``random_network(outputs, seed)``: ``cxr-tiny`` with weights and running statistics that are not trivial."""

    def build(outputs: int = 2, seed: int = 0) -> CamNetwork:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build_network("cxr-tiny", outputs)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                    module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
        return network.eval()

    return build


@pytest.fixture(scope="session")
def bright_network() -> CamNetwork:
    """``cxr-tiny`` that passes brightness through: one feature map is the local mean of what is brighter than the
    middle grey, everything else is 0; the first label's logit is the mean of that map."""
    network = build_network("cxr-tiny", 2)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.fill_(1.0 if name.endswith(("running_var", "norm1.weight", "norm2.weight")) else 0.0)
        stem, stem_norm = network.trunk[0], network.trunk[1]  # type: ignore[index]
        stem.weight[0, 0, 2, 2] = 1.0
        stem_norm.weight.fill_(1.0)
        shortcut = network.trunk[-1].shortcut  # type: ignore[index]
        shortcut[1].weight[0, 0, 0, 0] = 1.0
        shortcut[2].weight.fill_(1.0)
        network.classifier.weight[0, 0] = 1.0
    return network.eval()


@pytest.fixture(scope="session")
def film() -> Callable[..., Radiograph]:
    """``film(stored, **changes)``: a frontal DX film of a child of four."""

    def build(stored: np.ndarray, **changes: object) -> Radiograph:
        image = Radiograph(
            key=ImageKey("1.2", "1.2.3", "1.2.3.4"),
            path=Path("film.dcm"),
            stored=stored,
            bits_stored=12,
            photometric="MONOCHROME2",
            modality="DX",
            view=View.PA,
            body_part="CHEST",
            patient=PatientInfo(age_years=4.0),
        )
        return dataclasses.replace(image, **changes)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def chest() -> np.ndarray:
    """uint16 (500, 400), 12 bit: a smooth field of two dark lungs with a little noise; no real film."""
    y, x = np.mgrid[-1:1:500j, -1:1:400j]
    lungs = np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 2) - (y / 0.6) ** 2)
    noise = np.random.default_rng(0).normal(0, 40, x.shape)
    return np.clip(3000 - 2200 * lungs + noise, 0, 4095).astype(np.uint16)


def read_films(paths: Iterable[Path]) -> list[Radiograph]:
    """Read films as the program does; the reading processes end before this returns."""
    reader = SandboxReader()
    try:
        nodes = [reader.describe(path, CancelToken()).image for path in paths]
        return [reader.read(node, CancelToken()) for node in nodes]
    finally:
        reader.close()


@pytest.fixture(scope="session")
def films_at() -> Callable[[Iterable[Path]], list[Radiograph]]:
    """``films_at(paths)`` reads these files as the program does."""
    return read_films


@pytest.fixture(scope="session")
def real_films(need_data: Callable[[str], Path]) -> dict[str, Radiograph]:
    """Eight real films by file name: MONOCHROME1, 15 bit, portable AP, normal, 12 bit, lateral, heart, nodule."""
    return dict(zip(REAL_FILMS, read_films(need_data(f"dicom/{name}") for name in REAL_FILMS), strict=True))


@pytest.fixture(scope="session")
def real_card() -> ModelCard:
    """The card of the bundled model."""
    return BundleCatalog().card(REAL_MODEL)


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory: pytest.TempPathFactory, real_card: ModelCard) -> Path:
    """A cache folder in which the graphs of the bundled model, and of those that serve every model, lie ready."""
    cache = tmp_path_factory.mktemp("cache")
    process, catalog = TorchProcess(), BundleCatalog()
    for card in (real_card, *(card for card in catalog.cards() if card.serves)):
        folder = graph_folder(cache / "graphs", card)
        process.call(Convert(card, catalog.folder(card.model_id), folder), CancelToken())
    process.close()
    return cache


@pytest.fixture(scope="module")
def real_engine(real_cache: Path, real_card: ModelCard) -> Iterator[OpenVinoEngine]:
    """The bundled model on OpenVINO."""
    engine = OpenVinoEngine(graph_folder(real_cache / "graphs", real_card), real_card)
    yield engine
    engine.close()
