"""What the model does not look at, and what is said beside a score."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.core import suitability
from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.image import DAMAGE, Caution, PatientInfo, View
from cxr_viewer.inference import guards


def refused(image) -> RefusalError:
    with pytest.raises(RefusalError) as error:
        guards.refuse(image)
    assert error.value.summary.endswith(".")
    assert error.value.hint.endswith(".")
    return error.value


# ---------------------------------------------------------------- real files


def test_chest_films_are_looked_at(real_films) -> None:
    for image in real_films.values():
        guards.refuse(image)


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("dicom-other/ct_small.dcm", "wrong-modality", "a CT image"),
        ("dicom-other/mr_small.dcm", "wrong-modality", "an MR image"),
        ("dicom-other/palette_color.dcm", "wrong-modality", "an ultrasound image"),
        ("dicom-other/xa_catheter_12frames.dcm", "wrong-modality", "an angiogram"),
        ("dicom-other/ct_scout_like_barre_ct_chest.dcm", "wrong-modality", "a CT image"),
        ("dicom-other/cr_hand_kodak.dcm", "wrong-body-part", "“HAND”"),
        ("dicom/dx_nih_udacity_test5_modality_says_CT.dcm", "wrong-modality", "a CT image"),
    ],
)
def test_other_images_are_refused_in_words(films_at, need_data, name, code, word) -> None:
    (image,) = films_at([need_data(name)])
    error = refused(image)
    assert error.code == code
    assert word in error.summary


def test_a_chest_film_that_calls_itself_rib_cage_is_looked_at(films_at, need_data, card) -> None:
    (image,) = films_at([need_data("dicom/dx_nih_udacity_test4_bodypart_RIBCAGE.dcm")])
    guards.refuse(image)
    assert "body-part-unknown" not in {limit.code for limit in suitability.limits(card(), image)}


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG", "XR", "dx ", ""])
def test_modalities_that_are_radiographs_or_unknown_pass(film, chest, modality) -> None:
    guards.refuse(film(chest, modality=modality))


@pytest.mark.parametrize(
    "modality", ["CT", "MR", "US", "MG", "PX", "IO", "NM", "PT", "RF", "XA", "SEG", "SC", "OT", "ES"]
)
def test_other_modalities_are_refused_by_name(film, chest, modality) -> None:
    error = refused(film(chest, modality=modality))
    assert error.code == "wrong-modality"
    assert modality in error.summary


def test_a_picture_has_no_modality_to_refuse(film, chest) -> None:
    guards.refuse(film(chest, is_dicom=False, modality="OT"))


@pytest.mark.parametrize(
    "part",
    ["CHEST", "Chest PA", "THORAX", "RIBCAGE", "RIBS", "LUNG", "PORT CHEST", "TÓRAX", "CHEST_ABDOMEN", "HEART", ""],
)
def test_names_of_the_chest_pass_without_a_word(film, chest, card, part) -> None:
    image = film(chest, body_part=part)
    guards.refuse(image)
    assert suitability.limits(card(), image) == ()


@pytest.mark.parametrize(
    "part",
    [
        "HAND",
        "SKULL",
        "ABDOMEN",
        "KNEE",
        "PELVIS",
        "L HAND",
        "HAND_AP",
        "CSPINE",
        "TSPINE",
        "THORACIC SPINE",
        "SHOULDER",
        "foot",
    ],
)
def test_other_parts_are_refused_by_name(film, chest, part) -> None:
    error = refused(film(chest, body_part=part))
    assert error.code == "wrong-body-part"
    assert f"“{part}”" in error.summary


@pytest.mark.parametrize("part", ["胸部", "UNKNOWN", "XYZ"])
def test_a_part_nobody_knows_is_a_limit(film, chest, card, part) -> None:
    image = film(chest, body_part=part)
    guards.refuse(image)
    (limit,) = suitability.limits(card(), image)
    assert limit.code == "body-part-unknown"
    assert f"“{part}”" in limit.text


def test_colour_frames_and_small_images_are_refused(film, chest) -> None:
    assert refused(film(chest, colour=True)).code == "colour-image"
    assert refused(film(chest, frames=12)).code == "multi-frame"
    assert refused(film(chest[:95])).code == "too-small"
    guards.refuse(film(chest[:96]))


@pytest.mark.parametrize("code", sorted(DAMAGE))
def test_half_a_film_and_a_preview_are_not_scored(film, chest, code) -> None:
    error = refused(film(chest, cautions=(Caution(code, "A part of it is missing."),)))
    assert error.code == "damaged-film"
    assert refused(film(chest, preview=True)).code == "preview"
    guards.refuse(film(chest, cautions=(Caution("lossy", "The picture was compressed with loss."),)))


def test_blank_images_are_refused(film) -> None:
    blank = np.full((300, 300), 17, dtype=np.uint16)
    assert refused(film(blank)).code == "blank-image"
    speck = blank.copy()
    speck[100:110, 100:110] = 4000  # a letter on an empty film
    assert refused(film(speck)).code == "blank-image"
    assert refused(film(np.zeros((300, 300), dtype=np.int16))).code == "blank-image"


def test_padding_does_not_make_a_film_of_a_blank_one(film, chest) -> None:
    padded = np.full((300, 300), 17, dtype=np.uint16)
    padded[:, :150] = 0
    assert refused(film(padded, padding=(0, 0))).code == "blank-image"
    assert refused(film(np.zeros((300, 300), dtype=np.uint16), padding=(0, 0))).code == "blank-image"
    guards.refuse(film(chest, padding=(0, 0)))


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (57.0, "Trained on children of 1 to 5 years; this patient is 57."),
        (6.0, "Trained on children of 1 to 5 years; this patient is 6."),
        (0.25, "Trained on children of 1 to 5 years; this patient is 3 months old."),
        (1 / 12, "Trained on children of 1 to 5 years; this patient is 1 month old."),
        (93.0, "Trained on children of 1 to 5 years; this patient is 90 or older."),
        (None, "Trained on children of 1 to 5 years; the age of this patient is not known."),
        (-1.0, "Trained on children of 1 to 5 years; the age of this patient is not known."),
        (999.0, "Trained on children of 1 to 5 years; the age of this patient is not known."),
    ],
)
def test_another_or_an_unknown_age_is_a_limit(film, chest, card, age, text) -> None:
    limits = suitability.limits(card(), film(chest, patient=PatientInfo(age_years=age)))
    assert [limit.text for limit in limits] == [text]


@pytest.mark.parametrize("age", [1.0, 3.0, 5.0, 5.99])
def test_the_intended_ages_are_no_limit(film, chest, card, age) -> None:
    assert suitability.limits(card(), film(chest, patient=PatientInfo(age_years=age))) == ()


def test_ages_are_named_as_what_they_are(film, chest, card) -> None:
    patient = PatientInfo(age_years=3.0)
    for ages, words in (((18.0, 95.0), "adults of 18 to 95 years"), ((2.0, 70.0), "patients of 2 to 70 years")):
        limits = suitability.limits(card(intended_ages=ages), film(chest, patient=PatientInfo(age_years=1.5)))
        assert words in limits[0].text
    assert suitability.limits(card(intended_ages=None), film(chest, patient=patient)) == ()


@pytest.mark.parametrize(
    ("view", "text"),
    [
        (View.LATERAL, "Trained on PA and AP films; this is a lateral film."),
        (View.OTHER, "Trained on PA and AP films; this is another view."),
    ],
)
def test_another_view_is_a_limit(film, chest, card, view, text) -> None:
    assert [limit.text for limit in suitability.limits(card(), film(chest, view=view))] == [text]


def test_the_cards_views_decide(film, chest, card) -> None:
    only_pa = card(intended_views=("PA",))
    assert suitability.limits(only_pa, film(chest, view=View.AP))[0].text == "Trained on PA films; this is an AP film."
    any_view = card(intended_views=())
    assert suitability.limits(any_view, film(chest, view=View.LATERAL)) == ()
    assert guards.cautions(any_view, film(chest, view=View.UNKNOWN)) == ()


# ---------------------------------------------------------------- cautions


def test_what_could_not_be_checked_is_said(film, chest, card) -> None:
    def codes(**changes: object) -> list[str]:
        return [caution.code for caution in guards.cautions(card(), film(chest, **changes))]

    assert codes() == []
    assert codes(view=View.UNKNOWN) == ["view-unknown"]
    assert codes(modality="") == ["modality-unknown"]
    assert codes(is_dicom=False, view=View.UNKNOWN, modality="") == ["not-dicom"]
