"""Guard and anatomy beside every model: asked once per film, heard before it is scored, passed over only on request."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.errors import ModelError, RefusalError
from cxr_viewer.core.filmcheck import FilmCheckError, FilmKind, ViewSource
from cxr_viewer.core.findings import (
    AnalysisRequest,
    AnalysisResult,
    InputSpec,
    LabelSpec,
    RatioTerm,
    ReferenceSpec,
    Task,
    ViewTerm,
)
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import PatientInfo, Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import beside as beside_module
from cxr_viewer.inference.beside import ANATOMY, GUARD, serving
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, read_card, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.distance import fit_reference, write_reference
from cxr_viewer.inference.engines.child import Convert, TorchProcess
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.guard import LABELS
from cxr_viewer.inference.networks import build_network, build_segmenter
from cxr_viewer.inference.runner import LocalRunner

DIGEST = "d" * 64
GROWN = PatientInfo(age_years=40.0)
"""The film of the fixtures is of a child: there PA and AP are not told by the looks."""

OF_LUNGS = InputSpec(64, "stretch", False, 0.5, 0.25, crop="lungs", margin=0.05)
SAYS = {
    "upright": {"kind/frontal": 9.0, "turn/0": 9.0, "polarity/normal": 9.0, "view/PA": 9.0},
    "ap": {"kind/frontal": 9.0, "turn/0": 9.0, "polarity/normal": 9.0, "view/AP": 9.0},
    "lateral": {"kind/lateral": 9.0, "turn/0": 9.0, "polarity/normal": 9.0},
    "turned": {"kind/frontal": 9.0, "turn/90": 9.0, "polarity/normal": 9.0},
}
"""Guards that say the same of every film: the logits of their outputs that are not 0."""


def guard_network(logits: dict[str, float]) -> torch.nn.Module:
    network = build_network("cxr-guard", len(LABELS)).eval()
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([logits.get(label, 0.0) for label in LABELS]))
    return network


def lungs_network() -> torch.nn.Module:
    """The U-Net, passing brightness through: what is darker than the middle grey is lung, and there is no heart."""
    network = build_segmenter("cxr-unet", 2).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            value.fill_(1.0 if name.endswith("running_var") else 0.0)
        unet: Any = network.body
        unet.stem[0].weight[0, 0, 2, 2] = 1.0
        unet.stem[1].weight.fill_(1.0)
        unet.stem[1].bias.fill_(2.0)  # grey 0..1 is -2..2 to the network: nothing is lost to the ReLU
        unet.last.weight[0, 0, 1, 1] = -8.0
        unet.last.bias[0], unet.last.bias[1] = 16.0, -8.0
    return network


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, bundle: Any, random_network: Any) -> Path:
    """Bundles of everything, each in a folder of its own, and a cache with their graphs."""
    root = tmp_path_factory.mktemp("beside")
    frontal = InputSpec(64, "stretch", False, 0.5, 0.25)
    for name, logits in SAYS.items():
        labels = tuple(LabelSpec(label, 0.8) for label in LABELS)
        changes = {"model_id": f"guard-{name}", "network": "cxr-guard", "labels": labels, "input": frontal}
        bundle(
            root / "guards", guard_network(logits), task=Task.GUARD, serves=GUARD, bias=0.0, temperature=1.0, **changes
        )
    structures = (LabelSpec("Lungs", 0.5), LabelSpec("Heart", 0.5))
    changes = {"model_id": "lungs", "network": "cxr-unet", "labels": structures, "input": frontal, "ratio_error": 0.04}
    bundle(root / "anatomy", lungs_network(), task=Task.SEGMENT, serves=ANATOMY, bias=0.0, temperature=1.0, **changes)
    bundle(root / "finders", random_network())
    bundle(root / "finders", random_network(), input=OF_LUNGS, model_id="cropped")
    process = TorchProcess()
    for folder in sorted(path.parent for path in root.glob(f"*/*/{CARD_NAME}")):
        card = read_card(folder)
        process.call(Convert(card, folder, graph_folder(root / "cache" / "graphs", card)), CancelToken())
    process.close()
    return root


@pytest.fixture(scope="module")
def shared(kept: Path) -> Iterator[LocalRunner]:
    """One runner for nearly all tests: its engines stay loaded while the bundles in its folder change."""
    (kept / "models").mkdir()
    runner = LocalRunner(BundleCatalog([kept / "models"]), kept / "cache")
    yield runner
    runner.close()


@pytest.fixture
def made(kept: Path, shared: LocalRunner, tmp_path: Path) -> Iterator[Callable[..., LocalRunner]]:
    """``made("upright", anatomy=True, labels=...)``: a runner with that guard, the lungs, and a changed finder.

    With ``fresh`` one that has loaded nothing yet, over a folder of its own.
    """
    runners = []

    def build(
        says: str | None = "upright", *, anatomy: bool = True, fresh: bool = False, **changes: Any
    ) -> LocalRunner:
        models = tmp_path / f"models {len(runners)}" if fresh else kept / "models"
        shutil.rmtree(models, ignore_errors=True)
        shutil.copytree(kept / "finders", models)
        if says is not None:
            shutil.copytree(kept / "guards" / f"guard-{says}", models / "guard")
        if anatomy:
            shutil.copytree(kept / "anatomy" / "lungs", models / "lungs")
        card = read_card(models / "tiny")
        write_card(dataclasses.replace(card, **changes), models / "tiny" / CARD_NAME)
        if fresh:
            runners.append(LocalRunner(BundleCatalog([models]), kept / "cache"))
            return runners[-1]
        shared._catalog.refresh()
        shared._beside._kept.clear()
        return shared

    yield build
    for runner in runners:
        runner.close()


@pytest.fixture
def frontal(film: Callable[..., Radiograph], chest: np.ndarray) -> Callable[..., Radiograph]:
    """``frontal(**changes)``: two dark lungs in a bright chest, with a digest."""
    return lambda **changes: film(chest, source_sha256=DIGEST, **changes)


def ask(runner: LocalRunner, image: Radiograph, model_id: str = "tiny", **changes: Any) -> AnalysisResult:
    report = changes.pop("report", lambda stage: None)
    return runner.analyse(AnalysisRequest(0, 1, image, model_id, **changes), CancelToken(), report)


def codes(cautions: Any) -> list[str]:
    return [caution.code for caution in cautions]


# ---------------------------------------------------------------- once per film


def test_both_are_asked_once_per_film_whatever_is_asked_of_it(made: Any, frontal: Any) -> None:
    runner, stages = made(), []
    first = ask(runner, frontal(), report=stages.append)
    assert stages.count("Checking the film") == 1
    assert first.check is not None
    assert (first.check.kind, first.check.view, first.check.view_source) == (FilmKind.FRONTAL, View.PA, ViewSource.FILE)
    assert first.anatomy is not None
    assert len(first.anatomy.lungs) == 2
    assert first.anatomy.model_id == "lungs"
    again = ask(runner, frontal(), method="Occlusion", report=stages.append)
    assert stages.count("Checking the film") == 1
    assert again.anatomy is first.anatomy
    for changes in ({"source_sha256": "e" * 64}, {"source_sha256": ""}, {"source_sha256": ""}):
        ask(runner, dataclasses.replace(frontal(), **changes), report=stages.append)
    assert stages.count("Checking the film") == 4  # what has no digest may be another film next time


def test_without_them_all_is_as_it_was(made: Any, frontal: Any) -> None:
    bare, whole = ask(made(None, anatomy=False), frontal()), ask(made(), frontal())
    assert (bare.check, bare.anatomy) == (None, None)
    assert bare.findings == whole.findings
    assert bare.limits == whole.limits


def test_the_chosen_model_brings_both_along_when_it_is_loaded(made: Any, frontal: Any) -> None:
    runner, stages = made(fresh=True), []
    runner.warm_up("tiny")
    ask(runner, frontal(), report=stages.append)
    assert not [stage for stage in stages if "oading" in stage or "nly once" in stage]
    loaded = BundleCatalog([*runner._catalog._dirs]).cards()
    assert {card.serves for card in loaded} == {"", GUARD, ANATOMY}
    assert all(runner._engines.needs_settling(card) for card in loaded if card.model_id != "cropped")


def test_one_that_was_installed_goes_before_the_programs_own(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped, own = tmp_path / "resources", tmp_path / "data"
    monkeypatch.setattr(beside_module, "resources_dir", lambda: shipped)
    shutil.copytree(kept / "guards" / "guard-ap", shipped / "models" / "guard-ap")
    catalog = BundleCatalog([shipped / "models", own / "models"])
    assert serving(catalog, GUARD).model_id == "guard-ap"  # type: ignore[union-attr]
    assert serving(catalog, ANATOMY) is None
    shutil.copytree(kept / "guards" / "guard-upright", own / "models" / "guard-upright")
    catalog.refresh()
    assert serving(catalog, GUARD).model_id == "guard-upright"  # type: ignore[union-attr]


def test_a_guard_gives_no_findings_and_the_anatomy_model_outlines_when_asked(made: Any, frontal: Any) -> None:
    runner = made()
    with pytest.raises(ModelError) as error:
        ask(runner, frontal(), "guard-upright")
    assert error.value.code == "no-findings"
    result = ask(runner, frontal(), "lungs")
    assert result.structures == ("Lungs", "Heart")
    assert result.check is not None


# ---------------------------------------------------------------- what the guard blocks


def test_what_the_guard_blocks_is_scored_only_on_request_and_greyed(made: Any, frontal: Any) -> None:
    runner = made("lateral", labels=(LabelSpec("Bright", 0.5, views=("PA",)), LabelSpec("Other", 0.4)))
    image = frontal(view=View.UNKNOWN)
    with pytest.raises(FilmCheckError) as refused:
        ask(runner, image)
    assert refused.value.code == "lateral"
    assert refused.value.check.blocking
    assert refused.value.hint
    result = ask(runner, image, override=True)
    assert result.overridden == ("lateral",)
    assert {"lateral", "view-outside"} <= set(codes(result.limits))
    assert (
        "by its looks (the file does not say)" in next(one for one in result.limits if one.code == "view-outside").text
    )
    assert [finding.label for finding in result.findings] == ["Bright", "Other"]  # who insists is given all of them
    assert result.withheld == ()
    assert result.check == refused.value.check


def test_the_files_own_words_come_before_the_guard(made: Any, frontal: Any) -> None:
    with pytest.raises(RefusalError) as refused:
        ask(made("lateral"), frontal(modality="CT"), override=True)
    assert refused.value.code == "wrong-modality"


def test_how_to_turn_is_told_from_the_film_as_it_is_stored(made: Any, frontal: Any) -> None:
    runner = made("turned")
    with pytest.raises(FilmCheckError) as refused:
        ask(runner, frontal())
    assert refused.value.check.upright_turns == 3
    with pytest.raises(FilmCheckError) as refused:  # this guard says so of every film
        ask(runner, frontal(), turns=2)
    assert refused.value.check.upright_turns == 1
    result = ask(runner, frontal(), override=True)
    assert result.anatomy is not None
    assert result.anatomy.turns == 3  # lungs were looked for as the film would lie upright ...
    assert result.turns == 0  # ... and the score is of the film as it was asked about


def test_one_that_cannot_run_costs_its_answer_and_not_the_score(made: Any, frontal: Any) -> None:
    runner = made(fresh=True)
    (models,) = runner._catalog._dirs
    for folder in ("guard", "lungs"):
        weights = models / folder / WEIGHTS_NAME
        whole = weights.read_bytes()
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    result = ask(runner, frontal())
    assert len(result.findings) == 2
    assert {"film-not-checked", "no-anatomy"} <= set(codes(result.cautions))
    assert all("damaged or belong to another version" in one.text for one in result.cautions if one.code[:2] == "no-")
    with pytest.raises(ModelError, match="damaged"):
        runner.warm_up("tiny")


# ---------------------------------------------------------------- views


PA_ONLY = (LabelSpec("Bright", 0.5, views=("PA",)), LabelSpec("Other", 0.4, views=("PA", "AP")))


@pytest.mark.parametrize(
    ("says", "stated", "reason"),
    [
        ("ap", View.PA, ""),  # the file is believed
        ("upright", View.AP, "Offered on PA films only; this is an AP film."),
        ("upright", View.UNKNOWN, ""),
        ("ap", View.UNKNOWN, "Offered on PA films only; this is an AP film by its looks (the file does not say)."),
        (None, View.UNKNOWN, "Offered on PA films only, and the view of this film is not known."),
        (None, View.AP, "Offered on PA films only; this is an AP film."),
    ],
)
def test_findings_are_offered_in_their_views(made: Any, frontal: Any, says: str, stated: View, reason: str) -> None:
    result = ask(made(says, labels=PA_ONLY), frontal(view=stated, patient=GROWN))
    assert [(one.label, one.reason) for one in result.withheld] == ([("Bright", reason)] if reason else [])
    offered = ["Other"] if reason else ["Bright", "Other"]
    assert [finding.label for finding in result.findings] == offered
    assert [heatmap.label for heatmap in result.heatmaps] == offered


def test_a_view_by_its_looks_is_told_as_such(made: Any, frontal: Any) -> None:
    result = ask(made("ap"), frontal(view=View.UNKNOWN, patient=GROWN))
    (told,) = (one for one in result.cautions if one.code == "view-by-looks")
    assert told.text == "This is an AP film by its looks (the file does not say)."
    assert "view-unknown" not in codes(result.cautions)
    for_pa = made("ap", intended_views=("PA",), intended_ages=None)
    (limit,) = ask(for_pa, frontal(view=View.UNKNOWN, patient=GROWN)).limits
    assert limit.text == "Trained on PA films; this is an AP film by its looks (the file does not say)."
    picture = ask(made("ap"), frontal(view=View.UNKNOWN, is_dicom=False, patient=PatientInfo()))
    assert next(one for one in picture.cautions if one.code == "not-dicom").text.endswith(
        "age and polarity are unknown."
    )


def test_no_view_by_its_looks_is_told_of_a_child(made: Any, frontal: Any) -> None:
    result = ask(made("ap", intended_views=("PA",)), frontal(view=View.UNKNOWN))
    assert result.check is not None
    assert result.check.view is View.UNKNOWN
    assert "view-unknown" in codes(result.cautions)
    assert "view-by-looks" not in codes(result.cautions)
    assert result.limits == ()  # not outside of the model's views: they are not known


# ---------------------------------------------------------------- lungs and heart


def test_a_model_of_the_lungs_is_given_their_box(made: Any, frontal: Any) -> None:
    runner = made()
    image = frontal()
    result = ask(runner, image, "cropped")
    lungs = result.anatomy.lungs_box
    assert result.seen.width == pytest.approx(1.1 * lungs.width, abs=3)
    assert result.seen.x == pytest.approx(lungs.x - 0.05 * lungs.width, abs=3)
    assert result.saw.crop == "lungs"
    assert "few-pixels" not in codes(result.cautions)
    small = np.pad(image.stored[::6, ::6], 40, constant_values=4000)
    assert min(small.shape) > 64, "the film is not small, the lungs on it are"
    little = ask(runner, dataclasses.replace(image, stored=small, source_sha256="b" * 64), "cropped")
    assert "few-pixels" in codes(little.cautions)
    lying = dataclasses.replace(image, stored=np.ascontiguousarray(np.rot90(image.stored)), source_sha256="f" * 64)
    turned = ask(runner, lying, "cropped", turns=1)
    assert turned.findings == result.findings
    assert (turned.seen.width, turned.seen.height) == (result.seen.height, result.seen.width)
    with pytest.raises(ModelError) as missing:
        ask(made(anatomy=False), image, "cropped")
    assert missing.value.code == "no-anatomy"
    nothing = dataclasses.replace(image, stored=np.full_like(image.stored, 4000), source_sha256="a" * 64)
    nothing.stored[:40] = 0  # a bright film with a dark edge has no lungs
    with pytest.raises(RefusalError) as refused:
        ask(made(), nothing, "cropped", override=True)
    assert refused.value.code == "lungs-not-found"


def measured(ratio: float, *, trusted: bool = True) -> Anatomy:
    """An anatomy whose callipers show this ratio, lungs and heart in the upper left corner of the film."""
    chest = (Point(0, 60), Point(100, 60))
    callipers = Callipers((Point(50, 0), Point(50, 100)), (Point(40, 50), Point(40 + 100 * ratio, 50)), chest)
    lungs = (ImageRect(0, 0, 45, 100), ImageRect(55, 0, 45, 100))
    heart = ImageRect(40, 40, 100 * ratio, 50)
    return Anatomy("a", "A", "1", "0" * 64, lungs, heart, (), callipers if trusted else None, 0.04, trusted=trusted)


def test_the_ratio_counts_where_it_was_measured_and_its_absence_is_told(
    made: Any, frontal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = (LabelSpec("Bright", 0.5, ratio=RatioTerm(10.0, 0.45)), LabelSpec("Other", 0.4))
    plain = ask(made(None, anatomy=False), frontal())
    said = {}
    for name, found in (("wide", measured(0.6)), ("narrow", measured(0.4)), ("none", measured(0.6, trusted=False))):
        monkeypatch.setattr(beside_module, "anatomy_of", lambda *given, found=found: found)
        said[name] = ask(made(labels=labels), frontal())
    assert said["wide"].findings[0].logit == pytest.approx(plain.findings[0].logit + 1.5)
    assert said["narrow"].findings[0].logit == pytest.approx(plain.findings[0].logit - 0.5)
    assert said["wide"].findings[0].score > said["narrow"].findings[0].score
    assert {result.findings[1] for result in said.values()} == {plain.findings[1]}
    assert said["none"].findings[0] == plain.findings[0]
    assert ["ratio-not-measured" in codes(result.cautions) for result in said.values()] == [False, False, True]
    alone = ask(made(anatomy=False, labels=labels), frontal())
    (caution,) = (one for one in alone.cautions if one.code == "ratio-not-measured")
    assert "“Bright” is scored without it" in caution.text


@pytest.mark.parametrize("trusted", [True, False])
def test_a_cut_by_outlines_that_are_not_trusted_is_told(
    made: Any, frontal: Any, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    monkeypatch.setattr(beside_module, "anatomy_of", lambda *given: measured(0.4, trusted=trusted))
    runner = made()
    assert ("cut-not-trusted" in codes(ask(runner, frontal(), "cropped").cautions)) is not trusted
    assert "cut-not-trusted" not in codes(ask(runner, frontal()).cautions)


def test_the_view_counts_as_file_or_film_check_tell_it_and_its_absence_is_told(made: Any, frontal: Any) -> None:
    labels = (LabelSpec("Bright", 0.5, view_terms=(ViewTerm("AP", -0.7),)), LabelSpec("Other", 0.4))
    plain = ask(made(None, anatomy=False), frontal(view=View.AP)).findings
    for guard, view, shift in (
        (None, View.AP, -0.7),
        (None, View.PA, 0.0),
        (None, View.UNKNOWN, 0.0),
        ("ap", View.UNKNOWN, -0.7),
        ("ap", View.PA, 0.0),  # the file is believed
    ):
        result = ask(made(guard, anatomy=False, labels=labels), frontal(view=view, patient=GROWN))
        assert result.findings[0].logit == pytest.approx(plain[0].logit + shift)
        assert result.findings[1] == plain[1]
        told = [one.text for one in result.cautions if one.code == "view-not-allowed-for"]
        unknown = guard is None and view is View.UNKNOWN
        assert (
            told
            == ["The view of this film is not known; “Bright” is scored without what is allowed for on AP films."]
            * unknown
        )


def test_a_map_that_lies_elsewhere_is_named(made: Any, frontal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = (LabelSpec("Bright", 0.0), LabelSpec("Other", 1.0))  # the first is above its operating point
    monkeypatch.setattr(beside_module, "anatomy_of", lambda *given: measured(0.5))
    result = ask(made(labels=labels), frontal())
    (heatmap, _) = result.heatmaps
    assert heatmap.values.sum() > 0
    told = [one.text for one in result.cautions if one.code == "map-outside-lungs"]
    assert any(text.startswith("Map of “Bright”: ") and text.endswith("outside lungs and heart.") for text in told)
    whole = dataclasses.replace(
        measured(0.5), lungs=(ImageRect(0, 0, 200, 500), ImageRect(200, 0, 200, 500)), heart=ImageRect(0, 0, 400, 500)
    )
    monkeypatch.setattr(beside_module, "anatomy_of", lambda *given: whole)
    assert "map-outside-lungs" not in codes(ask(made(labels=labels), frontal()).cautions)


# ---------------------------------------------------------------- films unlike those learned from


def test_a_film_unlike_the_training_films_is_told(made: Any, frontal: Any, kept: Path) -> None:
    runner = made()
    (models,) = runner._catalog._dirs
    bundle = models / "tiny"
    chance = np.random.default_rng(0)
    card = read_card(bundle)
    channels = build_network("cxr-tiny", 2).classifier.in_features
    pooled = np.abs(chance.normal(0, 1e-3, (64, channels))).astype(np.float32)
    spec = write_reference(fit_reference(pooled), pooled, bundle, "made up")
    write_card(dataclasses.replace(card, reference=spec), bundle / CARD_NAME)
    runner._catalog.refresh()
    far = ask(runner, frontal())
    assert "unlike-training" in codes((*far.cautions, *far.limits))
    assert "unlike-training" in [sign.code for sign in far.check.signs]
    write_card(dataclasses.replace(card, reference=dataclasses.replace(spec, limit=1e9)), bundle / CARD_NAME)
    runner._catalog.refresh()
    near = ask(runner, frontal())
    assert "unlike-training" not in codes((*near.cautions, *near.limits))


def test_a_reference_that_cannot_be_read_costs_only_itself(made: Any, frontal: Any) -> None:
    result = ask(made(reference=ReferenceSpec("a" * 64, 3.0)), frontal())
    assert "distance-unknown" in codes(result.cautions)
    assert len(result.findings) == 2
