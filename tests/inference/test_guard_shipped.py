"""The guard that comes with the program, on real films of other hospitals and on images that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.modelcard import ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card, read_weights
from cxr_viewer.inference.guard import LABELS, SUPPORTED, check, look
from cxr_viewer.inference.networks import CamNetwork, load_network, parameter_count
from cxr_viewer.inference.preprocess import see
from cxr_viewer.sources.reader import SandboxReader

FOLDER = resources_dir() / "models" / "guard"
Guard = tuple[ModelCard, CamNetwork]

FRONTAL = [
    "cr_barre_fuji_pa_mono1_10bit.dcm",
    "cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "cr_rsna_ap_viral2_jpegbaseline.dcm",
    "cr_rsna_pa_normal2_jpegbaseline.dcm",
    "dx_nih_00000001_000_pa_cardiomegaly.dcm",
    "dx_nih_00002527_nodule_f37.dcm",
]
LATERAL = "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"
OTHERS = ["cr_hand_kodak.dcm", "cr_dental_panoramic_modalitylut.dcm", "ct_small.dcm", "mr_small.dcm"]


@pytest.fixture(scope="module")
def guard() -> Guard:
    card = read_card(FOLDER)
    return card, load_network(card.network, len(card.labels), load(read_weights(FOLDER, card)))


@pytest.fixture(scope="module")
def read(need_data: Callable[[str], Path]) -> Callable[[str], Radiograph]:
    """All films of this file, read once; the reader's processes are gone before the first test."""
    names = [*(f"dicom/{name}" for name in (*FRONTAL, LATERAL)), *(f"dicom-other/{name}" for name in OTHERS)]
    reader = SandboxReader()
    try:
        films = {name: reader.read_path(need_data(name), CancelToken()) for name in names}
    finally:
        reader.close()
    return films.__getitem__


def silent(image: Radiograph) -> Radiograph:
    """The pixels alone: the file says neither view nor orientation nor what it shows."""
    return replace(image, view=View.UNKNOWN, patient_orientation=None, body_part="", modality="")


def checked(guard: Guard, image: Radiograph) -> FilmCheck:
    card, network = guard
    with torch.inference_mode():
        logits = network(torch.from_numpy(see(image, card.input).film[None]))[0].numpy()
    return check(card, look(card, logits), image)


def test_the_bundle_is_small_and_says_what_it_is(guard: Guard) -> None:
    card, network = guard
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_500_000
    assert parameter_count(network) < 500_000
    assert tuple(label.name for label in card.labels) == LABELS
    points = {point.name: point for point in card.labels[0].points}
    assert points[SUPPORTED].threshold <= points["alone"].threshold == card.labels[0].threshold
    assert {metric.data for metric in card.metrics} >= {"test films", "films of other hospitals"}


@pytest.mark.parametrize("name", FRONTAL)
def test_frontal_films_pass_upright_turned_and_inverted(
    guard: Guard, read: Callable[[str], Radiograph], name: str
) -> None:
    image = silent(read(f"dicom/{name}"))
    found = checked(guard, image)
    assert (found.kind, found.upright_turns, found.blocking) == (FilmKind.FRONTAL, 0, ())
    for turned in (1, 2, 3):
        stored = np.ascontiguousarray(np.rot90(image.stored, -turned))
        again = checked(guard, replace(image, stored=stored))
        assert (again.upright_turns, [sign.code for sign in again.blocking]) == (-turned % 4, ["turned"])
    other = "MONOCHROME2" if image.photometric == "MONOCHROME1" else "MONOCHROME1"
    wrong = checked(guard, replace(image, photometric=other, presentation_lut_shape=""))
    assert [sign.code for sign in wrong.blocking] == ["inverted"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_images_are_refused_by_their_pixels(guard: Guard, read: Callable[[str], Radiograph], name: str) -> None:
    assert [sign.code for sign in checked(guard, silent(read(f"dicom-other/{name}"))).blocking] == ["not-chest"]


def test_a_lateral_film_is_refused(guard: Guard, read: Callable[[str], Radiograph]) -> None:
    found = checked(guard, silent(read(f"dicom/{LATERAL}")))
    assert found.kind is not FilmKind.FRONTAL
    assert found.blocking


def test_no_view_of_a_film_at_hand_is_told_wrong(guard: Guard, read: Callable[[str], Radiograph]) -> None:
    for name in FRONTAL:
        image = read(f"dicom/{name}")
        told = checked(guard, silent(image)).view
        stated = View.AP if "_ap_" in name else View.PA
        assert told in (stated, View.UNKNOWN), name


def test_noise_and_blank_images_are_no_chest_films(guard: Guard, read: Callable[[str], Radiograph]) -> None:
    image = silent(read(f"dicom/{FRONTAL[0]}"))
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 1023, image.stored.shape).astype(image.stored.dtype)
    assert checked(guard, replace(image, stored=noise)).kind is FilmKind.OTHER
    shuffled = chance.permutation(image.stored.reshape(-1, 40).copy()).reshape(image.stored.shape)
    assert checked(guard, replace(image, stored=shuffled)).kind is FilmKind.OTHER
    with pytest.raises(RefusalError):
        checked(guard, replace(image, stored=np.zeros_like(image.stored)))
