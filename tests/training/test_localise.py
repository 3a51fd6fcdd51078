"""The measure of where maps point: right for maps that are known, and what the cards say is what comes out."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, Heatmap, MapTrust
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.training.boxes import Box, BoxData, BoxedFilm, guess
from cxr_viewer.training.films import film_radiograph
from cxr_viewer.training.localise import (
    EVERYTHING,
    LEAST_PATIENTS,
    as_markdown,
    hottest,
    localise,
    localise_bundle,
    outline,
    save,
)

SHIPPED = "paediatric-pneumonia"
FIXED = Box(0.25, 0.5, 0.25, 0.25)


class Painter:
    """A runner whose map is hot in the place it is told for each film."""

    def __init__(self, places: dict[str, Box | None]) -> None:
        self.places = places

    def analyse(self, request, cancel, report):
        place = self.places[request.image.path.stem]
        values = np.zeros((16, 16), dtype=np.float32)
        if place is not None:
            values[cv2.resize(place.mask().astype(np.uint8), (16, 16), interpolation=cv2.INTER_AREA) > 0] = 0.5
            x, y = place.x + place.width / 2, place.y + place.height / 2
            values[int(y * 16), int(x * 16)] = 1.0
        extent = ImageRect(0, 0, request.image.columns, request.image.rows)
        return SimpleNamespace(heatmaps=(Heatmap("Pneumonia", values, extent, request.method),), cautions=())


class Mute:
    def analyse(self, request, cancel, report):
        return SimpleNamespace(heatmaps=(), cautions=(Caution("no-map", "It cannot be explained."),))


@pytest.fixture(scope="module")
def card():
    return BundleCatalog().card(SHIPPED)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> BoxData:
    """Fourteen films of as many patients, each box elsewhere; the guess hits the first two."""
    folder, random = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    films = []
    for number in range(14):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), random.integers(0, 255, (128, 128), dtype=np.uint8))
        box = FIXED if number < 2 else Box(0.5 + 0.0625 * (number % 3), 0.0625 * (number % 5), 0.25, 0.25)
        films.append(BoxedFilm(path, str(number), f"patient {number}", {"pneumonia": (box,)}))
    return BoxData(tuple(films), {"pneumonia": guess([FIXED] * 3)}, "painted films")


def truth(data: BoxData) -> dict[str, Box | None]:
    return {film.image_id: film.boxes["pneumonia"][0] for film in data.films}


def measured(places: dict[str, Box | None], card, data: BoxData, methods=("Grad-CAM",)):
    return localise(Painter(places), card, data, methods, quiet=True)  # type: ignore[arg-type]


def test_maps_that_show_the_place_beat_the_fixed_point(card, data: BoxData) -> None:
    (row,) = measured(truth(data), card, data).rows
    each = row.evidence
    assert (each.label, each.method, each.count, row.patients) == ("Pneumonia", "Grad-CAM", 14, 14)
    assert (each.pointing, each.low, each.high) == (1.0, 1.0, 1.0)
    assert each.fixed_point == pytest.approx(2 / 14)
    assert row.gain == pytest.approx(12 / 14)
    assert each.iou > 0.8
    assert each.fixed_iou < 0.3
    assert each.beats_fixed
    assert "14 boxes on 14 NIH films of 14 patients (painted films)" in each.data


def test_maps_that_always_show_the_usual_place_do_not(card, data: BoxData) -> None:
    (row,) = measured(dict.fromkeys(truth(data), FIXED), card, data).rows
    assert row.evidence.pointing == row.evidence.fixed_point
    assert (row.gain, row.gain_low, row.gain_high) == (0.0, 0.0, 0.0)
    assert not row.evidence.beats_fixed


def test_a_map_without_heat_misses(card, data: BoxData) -> None:
    (row,) = measured(dict.fromkeys(truth(data), None), card, data).rows
    assert row.evidence.pointing == row.evidence.iou == 0.0


class Choosy(Painter):
    """Declines the films that it knows no place for."""

    def analyse(self, request, cancel, report):
        if self.places[request.image.path.stem] is None:
            raise RefusalError("The lungs were not found.", code="lungs-not-found")
        assert request.override  # what the film check would keep back is measured, too
        return super().analyse(request, cancel, report)


def test_boxes_on_films_that_the_model_declines_are_missed(card, data: BoxData) -> None:
    places = {name: (box if int(name) < 10 else None) for name, box in truth(data).items()}
    (row,) = localise(Choosy(places), card, data, ["Grad-CAM"], quiet=True).rows  # type: ignore[arg-type]
    assert row.evidence.count == 14
    assert row.evidence.pointing == pytest.approx(10 / 14)
    (whole,) = measured(truth(data), card, data).rows
    assert row.evidence.iou == pytest.approx(whole.evidence.iou * 10 / 14, abs=0.03)
    assert row.evidence.fixed_iou == whole.evidence.fixed_iou


def test_the_best_of_many_methods_needs_more(card, data: BoxData) -> None:
    """Six of fourteen against two: better by its own interval, but not as one of forty methods."""
    places = {name: (box if int(name) < 7 else None) for name, box in truth(data).items()}
    alone, *_ = measured(places, card, data).rows
    among, *_ = measured(places, card, data, [f"method {number}" for number in range(40)]).rows
    assert alone.gain_low > 0
    assert alone.evidence.beats_fixed
    assert among.gain_low == alone.gain_low
    assert not among.evidence.beats_fixed


def test_few_patients_give_no_evidence(card, data: BoxData) -> None:
    few = dataclasses.replace(data, films=data.films[-LEAST_PATIENTS + 1 :])
    found = measured(truth(few), card, few)
    assert found.rows[0].gain_low > 0
    assert not found.rows[0].evidence.beats_fixed
    assert found.evidence() == ()
    assert "too few to tell" in as_markdown(found)


def test_a_model_without_maps_or_findings_is_one_sentence(card, data: BoxData) -> None:
    with pytest.raises(CxrError, match="gives no maps by Occlusion") as error:
        localise(Mute(), card, data, ["Occlusion"], quiet=True)  # type: ignore[arg-type]
    assert error.value.hint == "It cannot be explained."
    other = dataclasses.replace(card, labels=(dataclasses.replace(card.labels[0], name="Hernia"),))
    with pytest.raises(CxrError, match="None of the boxes is of a finding"):
        localise(Mute(), other, data, ["Grad-CAM"], quiet=True)  # type: ignore[arg-type]


def test_the_hottest_point_is_a_cells_middle_in_pixels_of_the_film() -> None:
    values = np.zeros((4, 8), dtype=np.float32)
    assert hottest(Heatmap("a", values, ImageRect(10, 20, 80, 40))) is None
    values[1, 6] = 0.3
    assert hottest(Heatmap("a", values, ImageRect(10, 20, 80, 40))) == (75.0, 35.0)


def test_the_outline_has_the_area_it_is_given_and_never_covers_cold_places() -> None:
    heat = np.arange(100, dtype=np.float32).reshape(10, 10)
    assert outline(heat, 0.25).sum() == 25
    assert outline(heat, 0.25)[9, 9]
    assert not outline(heat, 0.0).any()
    assert outline(np.maximum(heat - 90, 0), 0.5).sum() == 9


# ---------------------------------------------------------------- real films


def test_the_shipped_card_says_what_the_maps_do(need_data, card) -> None:
    """The pointing game once more by plain arithmetic over the index's own boxes, and the card against a new run."""
    images = need_data("images")
    found = localise_bundle(SHIPPED, [images / "nih384", images / "nih128"], ["Grad-CAM"], quiet=True)
    (row,) = found.rows
    known = next(each for each in card.map_evidence if each.method == "Grad-CAM")
    assert (row.evidence.pointing, row.evidence.count) == (pytest.approx(known.pointing), known.count)
    assert row.evidence.iou == pytest.approx(known.iou, abs=0.01)
    assert card.map_trust("Pneumonia", "Grad-CAM") is not MapTrust.NOT_TESTED

    hits = {pair.image_id: pair.hit for pair in found.held["Grad-CAM"]}
    assert 0 < sum(hits.values()) < len(hits)
    with (images / "nih384_index.csv").open(newline="", encoding="utf-8") as file:
        boxes = {row["image_id"]: row["boxes_xywh_1024px"] for row in csv.DictReader(file) if row["boxes_xywh_1024px"]}
    runner, checked = LocalRunner(), 0
    for image_id, text in boxes.items():
        mine = [box for finding, *box in json.loads(text) if finding == "Pneumonia"]
        if mine:
            image = film_radiograph(images / "nih384" / f"{image_id}.jpg")
            request = AnalysisRequest(0, 0, image, SHIPPED)
            (heatmap,) = runner.analyse(request, CancelToken(), lambda stage: None).heatmaps
            rows, columns = np.nonzero(heatmap.values == heatmap.values.max())
            x = (
                1024
                / image.columns
                * (heatmap.extent.x + (columns[0] + 0.5) / heatmap.values.shape[1] * heatmap.extent.width)
            )
            y = (
                1024
                / image.rows
                * (heatmap.extent.y + (rows[0] + 0.5) / heatmap.values.shape[0] * heatmap.extent.height)
            )
            assert hits[image_id] == any(a <= x < a + w and b <= y < b + h for a, b, w, h in mine)
            checked += 1
    runner.close()
    assert checked == 28


def test_figures_go_into_the_card_in_place_of_older_ones_of_the_same_method(need_data, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(BundleCatalog().folder(SHIPPED), folder)
    before = read_card(folder)
    found = localise_bundle(
        str(folder), [need_data("images/nih384")], ["Grad-CAM"], note="adults", write=True, quiet=True
    )
    after = read_card(folder)
    assert dataclasses.replace(after, map_evidence=()) == dataclasses.replace(before, map_evidence=())
    (written,) = [each for each in after.map_evidence if each.method == "Grad-CAM"]
    assert written == found.rows[0].evidence
    assert written.data.endswith("; adults")
    assert [each for each in after.map_evidence if each != written] == [
        each for each in before.map_evidence if each.method != "Grad-CAM"
    ]
    save(found, tmp_path / "figures")
    read = json.loads((tmp_path / "figures" / "localisation.json").read_text(encoding="utf-8"))
    assert read["rows"][0]["evidence"]["pointing"] == written.pointing
    assert EVERYTHING not in as_markdown(found)  # one finding is no sum
