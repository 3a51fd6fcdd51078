"""From a classifier's weights to a bundle that says what it is worth, and offers no more."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import Metric, RatioTerm, ScoreKind
from cxr_viewer.core.image import View
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, read_card, verify_weights
from cxr_viewer.inference.distance import read_reference
from cxr_viewer.inference.networks import build_network, load_network
from cxr_viewer.inference.scoring import findings
from cxr_viewer.training import classify_bundle
from cxr_viewer.training.classify_bundle import finish_classify
from cxr_viewer.training.films import FilmSet, prepared
from cxr_viewer.training.finish import Trained
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.leaning import PROBES
from cxr_viewer.training.lessons.classify import score_labels
from cxr_viewer.training.parts import Parts
from cxr_viewer.training.recipe import Recipe, recipe_from
from cxr_viewer.training.splits import Split
from cxr_viewer.training.terms import Terms

SIDE = 32


def recipe(*labels: str, view_terms: bool = False, **card: object) -> Recipe:
    return recipe_from(
        {
            "lesson": "classify",
            "network": "cxr-tiny",
            "labels": [{"name": name, "description": f"About {name}."} for name in labels],
            "input": {"size_px": SIDE, "fit": "stretch", "crop_border": False, "mean": 0.5, "std": 0.25},
            "classify": {"view_terms": view_terms},
            "card": {"model_id": "own", "name": "Own", "cautions": ["A caution."], **card},
        },
        "own.toml",
    )


def films(count: int, seed: int, part: str, labels: int) -> FilmSet:
    """Films with a bright square for the first label, and nothing for the others; some labels are wrong."""
    chance = np.random.default_rng(seed)
    truth = (chance.random((count, labels)) < 0.5).astype(np.float32)
    grey = chance.integers(40, 120, (count, SIDE, SIDE)).astype(np.uint8)
    grey[truth[:, 0] == 1, 10:22, 10:22] += 40
    truth[:3, 0] = 1 - truth[:3, 0]
    records = tuple(
        FilmRecord(
            path=Path(f"{part}-{i}.png"),
            targets=tuple(truth[i].tolist()),
            patient=f"{part}-{i // 2}",
            site="",
            split=part,
            age=30.0,
            sex="",
            view="PA" if i % 2 else "AP",
            place=f"line {i + 2}",
        )
        for i in range(count)
    )
    return FilmSet(grey, np.tile([0.0, 0.0, SIDE, SIDE], (count, 1)), truth, records)


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Trained]:
    """A run whose network reads the bright square: random features under a fitted head."""

    def make(*labels: str, test: bool = True, denoise: str = "", **card: object) -> Trained:
        own = recipe(*labels, **card)
        own = replace(own, input=replace(own.input, denoise=denoise))
        parts = [films(count, seed, part, len(labels)) for count, seed, part in
                 ((200, 1, "train"), (120, 2, "validation"), (160, 3, "test"))]  # fmt: skip
        torch.manual_seed(0)
        network = build_network("cxr-tiny", len(labels)).eval()
        with torch.no_grad():
            maps = network.features(torch.from_numpy(prepared(parts[0], own.input))).mean(dim=(2, 3)).numpy()
            for row in range(len(labels)):
                head = LogisticRegression(C=1e4, max_iter=5000).fit(maps, parts[0].targets[:, row])
                network.classifier.weight[row] = torch.from_numpy(head.coef_[0].astype(np.float32))
                network.classifier.bias[row] = float(head.intercept_[0])
        state = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(state | {"aids.masks.weight": torch.zeros(2)}, tmp_path / "best.safetensors")
        left = tuple(replace(record, patient="test-0") for record in parts[2].records[:4])
        split = Split(parts[0].records, parts[1].records, parts[2].records if test else (), left)
        return Trained(
            recipe=own,
            parts=Parts(own.labels, split, parts[0], parts[1], parts[2] if test else None),
            lesson=None,  # type: ignore[arg-type]
            weights=tmp_path / "best.safetensors",
            out=tmp_path,
            data=(Path("index.csv"),),
            command="cxr-viewer train --recipe own.toml",
            device="cpu",
        )

    return make


def test_the_bundle_holds_what_was_learned_and_what_was_measured(trained: Callable[..., Trained]) -> None:
    run = trained("Square", ages=[1, 5], history="A circle was tried, too.", denoise="median")
    folder = finish_classify(run)
    card = read_card(folder)
    verify_weights(folder, card)
    assert "aids.masks.weight" not in load_file(folder / WEIGHTS_NAME)
    assert (card.model_id, card.intended_ages, card.tried) == ("own", (1.0, 5.0), ())
    (label,) = card.labels
    assert (label.name, label.description, label.point) == ("Square", "About Square.", "Youden")
    assert {point.name for point in label.points} == {"Youden", "90 % sensitivity", "90 % specificity"}
    assert all("120 validation films" in point.data for point in label.points)
    found = {one.name: one for one in card.metrics if not one.group}
    assert found["AUC"].value > 0.9
    assert found["AUC"].data == "index.csv, test films"
    assert found["AUC"].count == 160
    assert set(PROBES) <= set(found)
    assert card.input == run.recipe.input, "the program reads films as they were learned, noise taken away included"
    reference = read_reference(folder, card)
    assert reference is not None
    assert reference.mean.shape == (16,)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "Training: 200 films of 100 patients" in page
    assert "Left out: 4 films of 1 patients who also have test films." in page
    assert "cxr-viewer train --recipe own.toml" in page
    assert "What it leans on" in page
    assert "## What was tried\n\nA circle was tried, too." in page
    assert "![square.png](square.png)" in page
    assert (folder / "square.png").stat().st_size > 5000
    assert json.loads((run.out / "test" / "evaluation.json").read_text(encoding="utf-8"))


def test_what_the_view_adds_is_the_same_in_the_cards_figures_and_in_reading(
    trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """AP films are brighter where the square is, so that the network says more of all of them."""
    run = trained("Square", view_terms=True)
    validation, test = films(300, 2, "validation", 1), films(160, 3, "test", 1)
    for part in (validation, test):
        part.grey[[one.view == "AP" for one in part.records], 10:22, 10:22] += 20
    monkeypatch.setattr(classify_bundle, "may_be_probability", lambda metrics, label: True)
    folder = finish_classify(replace(run, parts=replace(run.parts, validation=validation, test=test)))
    card = read_card(folder)
    (term,) = card.labels[0].view_terms
    assert term.view == "AP"
    assert term.shift < -0.5
    assert card.labels[0].score_kind is None, "a score that the view has moved is no probability"
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert f"Square {term.shift:+.3f} on AP films" in page
    assert "75% of the films without the finding lie below the same score as of PA films" in page

    logits = score_labels(load_network("cxr-tiny", 1, load_file(folder / WEIGHTS_NAME)), prepared(test, card.input))
    with (run.out / "test" / "scores.csv").open(newline="", encoding="utf-8") as file:
        written = [float(row["Square score"]) for row in csv.DictReader(file)]
    read = [findings(card, row, view=View(one.view))[0].score for row, one in zip(logits, test.records, strict=True)]
    assert written == pytest.approx(read, abs=1e-4)


def test_films_outside_are_measured_with_the_ratio_as_a_reader_has_it(
    trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = films(80, 5, "outside", 1)

    def ratios(trained: Trained, films: FilmSet) -> np.ndarray:
        return 0.45 + films.targets[:, 0].astype(np.float64) * (films is outside)

    monkeypatch.setattr(classify_bundle, "fit_terms", lambda *given: Terms({"Square": RatioTerm(100.0, 0.45)}, {}))
    monkeypatch.setattr(classify_bundle, "measured_ratios", ratios)
    monkeypatch.setattr(classify_bundle, "read_index", lambda recipe, data: SimpleNamespace(records=outside.records))
    monkeypatch.setattr(classify_bundle, "load_films", lambda *given, **more: outside)
    folder = finish_classify(replace(trained("Square"), outside=(Path("elsewhere"),)))
    card = read_card(folder)
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "To the logit of Square is added, before calibration, 100.000 x (r - 0.450)" in page
    (area,) = (one for one in card.metrics if one.name == "AUC" and one.data.startswith("elsewhere"))
    assert area.value == 1.0  # without it three labels are wrong


def test_what_is_no_good_is_told_as_tried_and_taken_out_of_the_network(trained: Callable[..., Trained]) -> None:
    run = trained("Square", "Nothing")
    folder = finish_classify(run)
    card = read_card(folder)
    assert [label.name for label in card.labels] == ["Square"]
    assert [one.name for one in card.tried] == ["Nothing"]
    assert "below 0.75" in card.tried[0].reason
    assert "Nothing: AUC 0." in (folder / "README.md").read_text(encoding="utf-8")
    whole = load_network("cxr-tiny", 2, {k: v for k, v in load_file(run.weights).items() if "aids" not in k})
    kept = load_network("cxr-tiny", 1, load_file(folder / WEIGHTS_NAME))
    assert run.parts.test is not None
    inputs = prepared(run.parts.test, card.input)
    assert np.allclose(score_labels(kept, inputs)[:, 0], score_labels(whole, inputs)[:, 0], atol=1e-5)


@pytest.mark.parametrize(("seen", "offered"), [("AP", ("AP",)), ("", ())])
def test_a_finding_is_not_offered_in_a_view_that_no_film_was_of(
    trained: Callable[..., Trained], seen: str, offered: tuple[str, ...]
) -> None:
    run = trained("Square")
    assert run.parts.test is not None
    films = replace(run.parts.test, records=tuple(replace(one, view=seen) for one in run.parts.test.records))
    card = read_card(finish_classify(replace(run, parts=replace(run.parts, test=films))))
    assert card.intended_views == ("PA", "AP")
    assert card.labels[0].views == offered  # nothing: nobody knows the view of a film, all of them decide


def test_what_an_earlier_run_wrote_is_no_bundle_of_a_later_one(trained: Callable[..., Trained]) -> None:
    folder = finish_classify(trained("Square"))
    assert (folder / CARD_NAME).is_file()
    with pytest.raises(CxrError, match="No finding is good enough"):
        finish_classify(trained("Pneumonia"))
    assert not (folder / CARD_NAME).exists()


def test_a_finding_that_is_never_offered_for_adults_is_not(trained: Callable[..., Trained]) -> None:
    card = read_card(finish_classify(trained("Square", "Pneumonia")))
    assert [one.name for one in card.tried] == ["Pneumonia"]
    with pytest.raises(CxrError, match="No finding is good enough to be offered: Pneumonia") as none:
        finish_classify(trained("Pneumonia"))
    assert none.value.code == "nothing-offered"
    assert [label.name for label in read_card(finish_classify(trained("Pneumonia", ages=[1, 5]))).labels] == [
        "Pneumonia"
    ]


@pytest.mark.parametrize(("high", "kind"), [(0.049, ScoreKind.CALIBRATED), (0.2, None)])
def test_a_score_is_a_probability_only_where_calibration_held_on_the_test_films(
    trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch, high: float, kind: ScoreKind | None
) -> None:
    real = classify_bundle.measured

    def measured(*args, **more):
        found = real(*args, **more)
        (label,) = found.labels
        kept = tuple(one for one in label.metrics if one.name != "calibration error (ECE)")
        error = Metric("calibration error (ECE)", 0.03, 0.02, high, found.data, 160, "Square", positives=80)
        return replace(found, labels=(replace(label, metrics=(*kept, error)),))

    monkeypatch.setattr(classify_bundle, "measured", measured)
    card = read_card(finish_classify(trained("Square")))
    assert card.labels[0].score_kind is kind
    assert any("is not a probability" in caution for caution in card.cautions) == (kind is None)


def test_without_test_films_the_card_says_so_and_nothing_is_a_probability(trained: Callable[..., Trained]) -> None:
    card = read_card(finish_classify(trained("Square", test=False)))
    assert {one.data for one in card.metrics} == {"index.csv, validation films (there were no test films)"}
    assert card.labels[0].score_kind is None
