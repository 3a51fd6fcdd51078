"""Every engine gives the reference engine's answer on real films: scores, maps, outlines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard, OnnxSpec, Task
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import networks
from cxr_viewer.inference.cards import ONNX_NAME, file_sha256
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import BF16, CANDIDATES, F32, INT8, ONNX, ONNX_NETWORK, Engine, extend
from cxr_viewer.inference.engines.agreement import MAP_LIMIT, SCORE_LIMIT, disagreement
from cxr_viewer.inference.engines.alternatives import Alternatives, load_engine, read_alternatives
from cxr_viewer.inference.engines.child import Convert, Extend, TorchProcess
from cxr_viewer.inference.engines.convert import convert
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.engines.probes import raw_maps, usual_lungs
from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
from cxr_viewer.inference.networks.base import SegmentNetwork
from cxr_viewer.inference.runner import model_input
from cxr_viewer.inference.scoring import scores

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
        film, _ = model_input(image, real_card, usual_lungs(image.rows, image.columns))
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


# ---------------------------------------------------------------- a model that somebody else made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, card) -> tuple[ModelCard, Path, Alternatives]:
    """A classifier in ONNX, its graph and the files of other engines."""
    root = tmp_path_factory.mktemp("foreign")
    random = np.random.default_rng(5)
    weights = {
        "w": random.normal(0, 0.3, (6, 1, 5, 5)).astype(np.float32),
        "h": random.normal(0, 0.5, (2, 6)).astype(np.float32),
        "b": np.array([0.2, -0.1], np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "h", "b"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    bundle = root / "foreign"
    bundle.mkdir()
    (bundle / ONNX_NAME).write_bytes(made.SerializeToString())
    own = card(model_id="foreign", network=ONNX_NETWORK, onnx=OnnxSpec(), sha256=file_sha256(bundle / ONNX_NAME))
    kept = graph_folder(root / "graphs", own)
    process = TorchProcess()
    process.call(Convert(own, bundle, kept), CancelToken())
    process.call(Extend(own, bundle, kept, root / "engines"), CancelToken())
    process.close()
    found = read_alternatives(root / "engines", own)
    assert found is not None
    return own, kept, found


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_foreign_model_runs_on_every_engine_and_keeps_its_maps(foreign, name) -> None:
    own, graph, found = foreign
    assert found.refused == {}
    engine = engine_or_skip(name, own, graph, found)
    logits, features = engine.run(found.probes.films[:1])
    assert (logits.shape, features.shape) == ((1, 2), (1, 6, 32, 32))
    if name in EXACT:
        assert disagreement(engine, found.probes, own, scores, CancelToken()) == ""
    if name != INT8:  # it also rounds what comes after the maps
        means = features[0].mean(axis=(1, 2))
        np.testing.assert_allclose(engine.head_weights @ means + [0.2, -0.1], logits[0], rtol=0, atol=0.05)
    engine.close()
