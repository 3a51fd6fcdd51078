"""The whole way of one film: guards, input, engine, calibration, heat maps, faults."""

from __future__ import annotations

import dataclasses
import math
import shutil
from importlib import metadata

import numpy as np
import pytest

from cxr_viewer.core.errors import CancelledError, ModelError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, ScoreKind
from cxr_viewer.core.image import View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import graph as graph_module
from cxr_viewer.inference.explain import IN_LOGITS, METHODS
from cxr_viewer.inference.runner import LocalRunner, _check_finite
from cxr_viewer.inference.scoring import findings, operating_point_score, scale_of

REAL = "paediatric-pneumonia"


@pytest.fixture
def real_runner(real_cache):
    """The bundled model, its graph ready."""
    runner = LocalRunner(cache=real_cache)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory, bundle, random_network):
    """A models folder with one tiny bundle, and a cache folder with its graph."""
    root = tmp_path_factory.mktemp("models")
    bundle(root / "models", random_network())
    runner = LocalRunner(BundleCatalog([root / "models"]), root / "cache")
    runner.warm_up("tiny")
    runner.close()
    return root / "models", root / "cache"


@pytest.fixture
def tiny(tiny_models, tmp_path):
    """``tiny()`` is a runner over own copies of the tiny bundle and of its graph, which a test may spoil."""
    models = shutil.copytree(tiny_models[0], tmp_path / "models")
    cache = shutil.copytree(tiny_models[1], tmp_path / "cache")
    runners = []

    def build() -> LocalRunner:
        runners.append(LocalRunner(BundleCatalog([models]), cache))
        return runners[-1]

    build.models, build.cache = models, cache
    yield build
    for runner in runners:
        runner.close()


def ask(runner, image, model_id="tiny", *, cancel=None, report=lambda stage: None, **changes):
    request = AnalysisRequest(pane=2, generation=7, image=image, model_id=model_id, **changes)
    return runner.analyse(request, cancel or CancelToken(), report)


# ---------------------------------------------------------------- real films


def test_real_films_are_scored_and_explained(real_runner, real_films, real_card) -> None:
    for name, image in real_films.items():
        result = ask(real_runner, image, REAL, override=True)  # the lateral film is stopped by the film check
        assert (result.pane, result.generation, result.key) == (2, 7, image.key), name
        assert (result.model_id, result.model_sha256) == (REAL, real_card.sha256)
        assert (result.model_name, result.model_version) == (real_card.name, real_card.version)
        assert result.device == "CPU (OpenVINO)"
        assert result.elapsed_s > 0

        (finding,) = result.findings
        scale = scale_of(real_card, real_card.labels[0])
        assert (finding.label, finding.kind) == ("Pneumonia", scale.kind)
        odds = math.exp(finding.logit / scale.temperature + scale.bias)
        assert finding.score == pytest.approx(odds / (1 + odds), abs=1e-9)
        assert finding.threshold == real_card.labels[0].threshold

        (heatmap,) = result.heatmaps
        assert heatmap.extent == result.seen
        assert heatmap.values.dtype == np.float32
        assert 0 <= heatmap.values.min() <= heatmap.values.max() <= 1
        assert result.seen.x >= 0
        assert result.seen.right <= image.columns
        assert result.seen.bottom <= image.rows


def test_adults_and_lateral_films_are_outside_the_models_limits(real_runner, real_films) -> None:
    limits = {
        name: [limit.code for limit in ask(real_runner, image, REAL, override=True).limits]
        for name, image in real_films.items()
    }
    assert all(codes[0] in ("age-outside", "age-unknown") for codes in limits.values())
    assert "age-outside" in limits["cr_rsna_pa_normal2_jpegbaseline.dcm"]
    lateral = real_films["dx_lidc0005_lateral_ge_j2klossless_14bit.dcm"]
    stated = dataclasses.replace(lateral, view=View.LATERAL)  # the file itself carries no view
    limits_of_stated = ask(real_runner, stated, REAL, override=True).limits
    assert "view-outside" in [limit.code for limit in limits_of_stated]


def test_children_are_told_apart_as_the_card_says(real_runner, real_card, film, need_data) -> None:
    """Some official test films, taken evenly from the list: scores on both sides of the operating point, and maps of
    films below it faint beside those above."""
    import cv2

    folder = need_data("images/paediatric192/test")
    names = sorted(path.name for path in folder.iterdir())
    pneumonia = [name for name in names if name.startswith("person")][::60]
    normal = [name for name in names if not name.startswith("person")][::36]
    assert len(normal) == len(pneumonia) == 7

    def result(name):
        stored = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        return ask(real_runner, film(stored, bits_stored=8), REAL)

    healthy, ill = [result(name) for name in normal], [result(name) for name in pneumonia]
    assert all(not found.limits for found in (*healthy, *ill))
    scores = [np.median([found.findings[0].score for found in group]) for group in (healthy, ill)]
    assert scores[0] < real_card.labels[0].threshold <= scores[1]
    quiet = [found.heatmaps[0].values.max() for found in healthy if not found.findings[0].positive]
    called = [found.heatmaps[0].values.max() for found in ill if found.findings[0].positive]
    assert np.median(quiet) < 0.5 * np.median(called)


# ---------------------------------------------------------------- devices and methods


def test_every_method_gives_maps_and_the_same_score(tiny, film, chest) -> None:
    runner = tiny()
    expected = ask(runner, film(chest))
    for method in METHODS:
        result = ask(runner, film(chest), method=method)
        assert result.findings == expected.findings
        assert [heatmap.method for heatmap in result.heatmaps] == [method, method]
        for heatmap, grad_cam in zip(result.heatmaps, expected.heatmaps, strict=True):
            assert heatmap.extent == grad_cam.extent
            if method not in IN_LOGITS:
                assert heatmap.values.max() in (0, pytest.approx(grad_cam.values.max(), rel=1e-4))


def test_unknown_choices_are_told(tiny, film, chest) -> None:
    for changes, code in (
        ({"method": "Guesswork"}, "unknown-method"),
        ({"device": "abacus"}, "unknown-device"),
        ({"model_id": "other"}, "unknown-model"),
    ):
        with pytest.raises(ModelError) as error:
            ask(tiny(), film(chest), **changes)
        assert error.value.code == code
        assert error.value.hint.startswith("Choose one of: ")


def test_a_large_model_takes_cuda_and_falls_back_to_the_cpu(tiny, film, chest, monkeypatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.setattr("cxr_viewer.inference.engines.supply.devices", lambda: ("auto", "cpu", "cuda"))
    monkeypatch.setattr("cxr_viewer.inference.engines.supply.LARGE_WEIGHTS_BYTES", 1)
    runner = tiny()
    assert ask(runner, film(chest)).device == "CPU (OpenVINO)"
    with pytest.raises(ModelError) as error:  # asked for by name, it is not replaced by something else
        ask(runner, film(chest), device="cuda")
    assert error.value.code == "no-cuda"


# ---------------------------------------------------------------- stages and cancelling


def test_stages_are_told_and_loading_happens_once(tiny, film, chest) -> None:
    runner, stages = tiny(), []
    ask(runner, film(chest), report=stages.append)
    assert stages == ["Preparing the film", "Loading the model", "Scoring", "Explaining"]
    stages.clear()
    ask(runner, film(chest), report=stages.append)
    assert stages == ["Preparing the film", "Scoring", "Explaining"]


@pytest.mark.parametrize("stage", ["Preparing the film", "Loading the model", "Scoring"])
def test_cancelling_in_a_stage_gives_no_answer_and_no_harm(tiny, film, chest, stage) -> None:
    runner, cancel = tiny(), CancelToken()

    def report(name: str) -> None:
        if name == stage:
            cancel.cancel()

    with pytest.raises(CancelledError):
        ask(runner, film(chest), cancel=cancel, report=report)
    assert len(ask(runner, film(chest)).findings) == 2


def test_a_request_cancelled_before_it_began_does_nothing(tiny, film, chest) -> None:
    cancel, stages = CancelToken(), []
    cancel.cancel()
    with pytest.raises(CancelledError):
        ask(tiny(), film(chest), cancel=cancel, report=stages.append)
    assert stages == []


# ---------------------------------------------------------------- refusals and faults


def test_a_refused_film_loads_no_model(tiny, film, chest) -> None:
    stages = []
    with pytest.raises(RefusalError) as error:
        ask(tiny(), film(chest, modality="CT"), report=stages.append)
    assert error.value.code == "wrong-modality"
    assert stages == []


def test_no_model_installed_is_told(tmp_path, film, chest) -> None:
    with pytest.raises(ModelError, match="No model is installed"):
        ask(LocalRunner(BundleCatalog([tmp_path]), tmp_path), film(chest))


def test_damaged_weights_are_told_though_the_graph_is_whole(tiny, film, chest) -> None:
    """The graph was made from the weights as they were; a bundle that changed since is not to be trusted."""
    weights = tiny.models / "tiny" / WEIGHTS_NAME
    spoilt = bytearray(weights.read_bytes())
    spoilt[-1] ^= 1
    weights.write_bytes(spoilt)
    with pytest.raises(ModelError, match="damaged or belong to another version") as error:
        ask(tiny(), film(chest))
    assert error.value.code == "weights-damaged"


def test_a_damaged_graph_is_made_again(tiny, film, chest) -> None:
    expected = ask(tiny(), film(chest))
    (graph,) = (tiny.cache / "graphs").glob("*/graph.bin")
    whole = graph.read_bytes()
    graph.write_bytes(whole[: len(whole) // 2])
    stages = []
    result = ask(tiny(), film(chest), report=stages.append)
    assert any("only once" in stage for stage in stages)
    assert result.findings == expected.findings
    assert graph.stat().st_size == len(whole)


def test_without_openvino_the_reference_engine_answers_and_says_so(tiny, film, chest, monkeypatch) -> None:
    expected = ask(tiny(), film(chest))

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(graph_module.metadata, "version", missing)
    result = ask(tiny(), film(chest))
    assert result.device == "CPU (torch)"
    (caution,) = result.cautions
    assert caution.code == "reference-engine"
    assert caution.text == "The slower reference engine is used. OpenVINO is not installed."
    for ours, theirs in zip(result.findings, expected.findings, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    for ours, theirs in zip(result.heatmaps, expected.heatmaps, strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=1e-4)


def test_a_cache_that_cannot_be_written_is_no_hindrance(tiny, film, chest) -> None:
    shutil.rmtree(tiny.cache)
    tiny.cache.write_text("a file where the folder should be")
    result = ask(tiny(), film(chest))
    assert result.device == "CPU (torch)"
    assert [caution.code for caution in result.cautions] == ["reference-engine"]


@pytest.mark.parametrize("spoil", ["logits", "features", "shape"])
def test_an_answer_that_is_no_number_is_told(card, spoil) -> None:
    answer = {"logits": np.zeros((1, 2), dtype=np.float32), "features": np.zeros((1, 3, 4, 4), dtype=np.float32)}
    _check_finite(card(), **answer)
    if spoil == "shape":
        answer["logits"] = answer["logits"][:, :1]
    else:
        answer[spoil].flat[0] = np.nan
    with pytest.raises(ModelError) as error:
        _check_finite(card(), **answer)
    assert error.value.code == "no-score"


def test_a_closed_runner_may_be_closed_again(tiny, film, chest) -> None:
    runner = tiny()
    ask(runner, film(chest))
    runner.close()
    runner.close()


# ---------------------------------------------------------------- scores


def test_scores_mean_what_their_kind_says(card) -> None:
    logits = np.array([0.9, -1.2], dtype=np.float32)
    first = 1 / (1 + math.exp(-(0.9 / 1.5 - 0.25)))
    second = 1 / (1 + math.exp(-(-1.2 / 1.5 - 0.25)))
    for kind in (ScoreKind.CALIBRATED, ScoreKind.UNCALIBRATED):
        found = findings(card(score_kind=kind), logits)
        assert [finding.score for finding in found] == pytest.approx([first, second], abs=1e-7)
        assert [finding.threshold for finding in found] == [0.5, 0.4]
        assert [finding.positive for finding in found] == [True, False]
    found = findings(card(score_kind=ScoreKind.LOGIT), logits)
    assert [finding.score for finding in found] == pytest.approx([0.9, -1.2])
    found = findings(card(score_kind=ScoreKind.OPERATING_POINT), logits)
    assert [finding.score for finding in found] == pytest.approx([first, second / 0.8], abs=1e-7)
    assert [finding.threshold for finding in found] == [0.5, 0.5]
    assert [finding.logit for finding in found] == pytest.approx([0.9, -1.2])


@pytest.mark.parametrize("threshold", [0.02, 0.4, 0.97, 1.0])
def test_an_operating_point_score_is_one_half_at_the_operating_point(threshold) -> None:
    assert operating_point_score(threshold, threshold) == pytest.approx(0.5)
    assert operating_point_score(0.0, threshold) == 0.0
    if threshold < 1:
        assert operating_point_score(1.0, threshold) == 1.0
    assert operating_point_score(threshold * 0.99, threshold) < 0.5


def test_the_seen_part_is_where_the_card_says(tiny, film, chest) -> None:
    framed = np.pad(chest, ((100, 100), (0, 0)))
    result = ask(tiny(), film(framed))
    assert (result.seen.x, result.seen.width) == (0, 400)
    assert (result.seen.y, result.seen.bottom) == (pytest.approx(100, abs=4), pytest.approx(600, abs=4))
    assert all(heatmap.extent == result.seen for heatmap in result.heatmaps)


def test_a_newer_card_for_the_same_weights_counts_at_once(tiny, film, chest) -> None:
    """Operating points and calibration are read from the card of this run, not kept with the graph."""
    before = ask(tiny(), film(chest))
    folder = tiny.models / "tiny"
    old = BundleCatalog([tiny.models]).card("tiny")
    write_card(dataclasses.replace(old, bias=old.bias + 1.0), folder / CARD_NAME)
    after = ask(tiny(), film(chest))
    assert after.findings[0].logit == before.findings[0].logit
    assert after.findings[0].score > before.findings[0].score
