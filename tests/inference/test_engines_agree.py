"""Every engine gives the reference engine's answer on real films: scores, maps, outlines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import networks
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import BF16, CANDIDATES, F32, INT8, ONNX, Engine, extend
from cxr_viewer.inference.engines.agreement import MAP_LIMIT, SCORE_LIMIT, disagreement
from cxr_viewer.inference.engines.alternatives import Alternatives, load_engine, read_alternatives
from cxr_viewer.inference.engines.child import Extend, TorchProcess
from cxr_viewer.inference.engines.convert import convert
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.engines.probes import raw_maps
from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
from cxr_viewer.inference.networks.base import SegmentNetwork
from cxr_viewer.inference.runner import model_input, scores

EXACT = {F32: 1e-4, ONNX: 1e-4}  # of logits; the others are held to what a score may change


@pytest.fixture(scope="module")
def real_folder(real_cache, real_card):
    """What other engines need for the bundled model, made as the program makes it."""
    folder = real_cache / "engines" / "real"
    process = TorchProcess()
    graph = graph_folder(real_cache / "graphs", real_card)
    process.call(Extend(real_card, BundleCatalog().folder(real_card.model_id), graph, folder), CancelToken())
    process.close()
    return folder


@pytest.fixture(scope="module")
def reference(real_card) -> TorchEngine:
    return TorchEngine(load_bundle(real_card, BundleCatalog().folder(real_card.model_id)))


def engine_or_skip(name: str, card: ModelCard, graph: Path, found: Alternatives) -> Engine:
    try:
        return load_engine(name, card, graph, found)
    except ModelError as error:
        if name == BF16 and "does not compute in bfloat16" in error.summary:
            pytest.skip("this processor does not compute in bfloat16")
        raise


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CANDIDATES)
def test_an_admitted_engine_gives_torchs_scores_and_maps_on_real_films(
    name, real_folder, real_cache, real_card, reference, real_films
) -> None:
    found = read_alternatives(real_folder, real_card)
    assert found is not None
    assert found.refused == {}
    engine = engine_or_skip(name, real_card, graph_folder(real_cache / "graphs", real_card), found)
    if disagreement(engine, found.probes, real_card, scores, CancelToken()):
        assert name == INT8  # the only one that may be refused for the bundled model: it then never scores a film
        pytest.skip("int8 changes the scores of the bundled model by more than 0.01, and is refused")
    for film_name, image in real_films.items():
        film, _ = model_input(image, real_card)
        logits, features = engine.run(film)
        expected, expected_features = reference.run(film)
        change = np.abs(scores(real_card, logits[0]) - scores(real_card, expected[0])).max()
        assert change <= SCORE_LIMIT, film_name
        if name in EXACT:
            np.testing.assert_allclose(logits, expected, rtol=0, atol=EXACT[name], err_msg=film_name)
        ours, theirs = (np.maximum(raw_maps(maps, reference.head_weights), 0) for maps in (features, expected_features))
        hottest = float(found.probes.maps.max())
        assert np.abs(ours - theirs).max() <= 2 * MAP_LIMIT * hottest, film_name


@pytest.mark.parametrize("name", [F32, ONNX])
def test_a_batch_is_the_films_one_by_one_and_answers_stay(name, real_folder, real_cache, real_card) -> None:
    found = read_alternatives(real_folder, real_card)
    assert found is not None
    engine = load_engine(name, real_card, graph_folder(real_cache / "graphs", real_card), found)
    logits, features = engine.run(found.probes.films[:3])
    kept = logits.copy()
    for index in range(3):
        alone = engine.run(found.probes.films[index : index + 1])
        np.testing.assert_array_equal(logits[index : index + 1], alone[0])
        np.testing.assert_array_equal(features[index : index + 1], alone[1])
    np.testing.assert_array_equal(logits, kept)  # an engine's own memory would hold the last film now
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.run(found.probes.films[:1])


# ---------------------------------------------------------------- networks without a head, and segmenters


class _Headless(nn.Module):
    """Scores by the largest value of each map: no linear head, so no map in the pass."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, outputs, 3, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).amax(dim=(2, 3))


def _outlines(outputs: int) -> SegmentNetwork:
    upsampling = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False)
    return SegmentNetwork(
        nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, outputs, 3, 2, 1), upsampling)
    )


@pytest.fixture(scope="module", params=["headless", "outlines"])
def unusual(request, tmp_path_factory, bundle) -> Iterator[tuple]:
    """Card, graph folder, files of other engines and the torch engine of a network that this program does not know."""
    patch = pytest.MonkeyPatch()
    patch.setitem(networks.NETWORKS, "headless", _Headless)
    patch.setitem(networks.SEGMENTERS, "outlines", _outlines)
    patch.setattr(extend, "_leave_cores_to_the_window", lambda: None)  # it is the process of the tests here
    root = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = {"headless": _Headless, "outlines": _outlines}[request.param](2).eval()
    task = Task.SEGMENT if request.param == "outlines" else Task.CLASSIFY
    folder, card = bundle(root, network, network=request.param, task=task)
    graph = graph_folder(root / "graphs", card)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's and NNCF's own insides; the program runs them in a process apart
        convert(card, folder, graph)
        extend.extend(card, folder, graph, root / "engines")
    found = read_alternatives(root / "engines", card)
    assert found is not None
    yield card, graph, found, TorchEngine(load_bundle(card, folder))
    patch.undo()


@pytest.mark.parametrize("name", CANDIDATES)
def test_networks_without_a_head_and_segmenters_run_on_every_engine(unusual, name) -> None:
    card, graph, found, reference = unusual
    assert isinstance(found, Alternatives)
    assert found.refused == {}
    engine = engine_or_skip(name, card, graph, found)
    film = found.probes.films[:1]
    logits, features = engine.run(film)
    expected, nothing = reference.run(film)
    assert (engine.head_weights, features, nothing) == (None, None, None)
    assert logits.shape == expected.shape == ((1, 2, 64, 64) if card.task is Task.SEGMENT else (1, 2))
    assert logits.dtype == np.float32
    assert float(np.abs(logits - expected).mean()) <= 0.1  # random weights: only the size is known of bfloat16 and int8
    if name in EXACT:
        np.testing.assert_allclose(logits, expected, rtol=0, atol=EXACT[name])
        assert disagreement(engine, found.probes, card, scores, CancelToken()) == ""
    engine.close()


def test_outlines_that_moved_are_noticed(unusual) -> None:
    card, graph, found, _ = unusual
    if card.task is not Task.SEGMENT:
        pytest.skip("of segmenters")
    logits = found.probes.logits
    spread = logits - np.median(logits)
    other = type(found.probes)(found.probes.films, -spread)
    assert "outlines change" in disagreement(load_engine(F32, card, graph, found), other, card, scores, CancelToken())
