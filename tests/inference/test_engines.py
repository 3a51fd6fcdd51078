"""Engines: one answer from all of them, and nothing runs on damaged files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.cards import WEIGHTS_NAME, file_sha256
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.child import ChildEngine, Convert, Load, TorchProcess
from cxr_viewer.inference.engines.graph import graph_folder, read_graph
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.engines.probes import usual_lungs
from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
from cxr_viewer.inference.runner import model_input


@pytest.fixture(scope="module")
def process():
    """A torch process for the tests that leave it as it is."""
    owned = TorchProcess()
    owned.start()
    yield owned
    owned.close()


@pytest.fixture
def own_process():
    """A torch process that ends with the test, not started yet."""
    owned = TorchProcess()
    yield owned
    owned.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, bundle, random_network, process):
    """Folder and card of a tiny bundle, and the folder with its graph."""
    root = tmp_path_factory.mktemp("tiny")
    folder, card = bundle(root, random_network())
    graph = graph_folder(root / "graphs", card)
    process.call(Convert(card, folder, graph), CancelToken())
    return folder, card, graph


@pytest.fixture
def graph(tiny, tmp_path):
    """A copy of the tiny bundle's graph that a test may spoil."""
    return shutil.copytree(tiny[2], tmp_path / "graph")


def noise(count: int, size_px: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 1, size_px, size_px)).astype(np.float32)


class AtSecondQuestion(CancelToken):
    """Does something when it is asked the second time: while the work waits, not before it begins."""

    def __init__(self, act: Callable[[CancelToken], None]) -> None:
        super().__init__()
        self._act = act
        self._asked = 0

    def raise_if_cancelled(self) -> None:
        self._asked += 1
        if self._asked == 2:
            self._act(self)
        super().raise_if_cancelled()


# ---------------------------------------------------------------- one answer


def test_openvino_gives_torchs_answer_on_real_films(real_films, real_engine, real_card) -> None:
    reference = TorchEngine(load_bundle(real_card, BundleCatalog().folder(real_card.model_id)))
    np.testing.assert_array_equal(real_engine.head_weights, reference.head_weights)
    np.testing.assert_array_equal(real_engine.head_bias, reference.head_bias)
    for name, image in real_films.items():
        film, _ = model_input(image, real_card, usual_lungs(image.rows, image.columns))
        logits, features = real_engine.run(film)
        expected_logits, expected_features = reference.run(film)
        np.testing.assert_allclose(logits, expected_logits, rtol=0, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(features, expected_features, rtol=0, atol=1e-4, err_msg=name)


def test_the_torch_process_gives_torchs_answer(process, tiny) -> None:
    folder, card, _ = tiny
    engine = ChildEngine(process, card, folder, "cpu", CancelToken())
    reference = TorchEngine(load_bundle(card, folder))
    film = noise(1, 64)
    for ours, theirs in zip(engine.run(film), reference.run(film), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(engine.head_weights, reference.head_weights)
    assert engine.device_name == reference.device_name == "CPU (torch)"
    for ours, theirs in zip(
        engine.library_maps(film, "LayerCAM", CancelToken()), reference.library_maps(film, "LayerCAM"), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_batch_is_the_films_one_by_one(tiny) -> None:
    folder, card, graph = tiny
    batch = noise(3, 64)
    for engine in (OpenVinoEngine(graph, card), TorchEngine(load_bundle(card, folder))):
        logits, features = engine.run(batch)
        assert (logits.shape, features.shape) == ((3, 2), (3, 16, 8, 8))
        assert logits.dtype == features.dtype == np.float32
        for index in range(3):
            alone = engine.run(batch[index : index + 1])
            np.testing.assert_allclose(logits[index : index + 1], alone[0], rtol=0, atol=1e-5)
            np.testing.assert_allclose(features[index : index + 1], alone[1], rtol=0, atol=1e-5)


def test_an_answer_stays_as_it_was_when_the_next_film_runs(tiny) -> None:
    """Engines write into memory of their own; what they hand out must not be that."""
    _, card, graph = tiny
    engine = OpenVinoEngine(graph, card)
    first = engine.run(noise(1, 64, seed=1))
    kept = [values.copy() for values in first]
    engine.run(noise(1, 64, seed=2))
    for values, expected in zip(first, kept, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_the_logit_is_the_heads_weight_on_the_mean_map(tiny) -> None:
    """The premise of maps from the one pass: ReLU > global average pooling > linear, maps never negative."""
    folder, card, _ = tiny
    engine = TorchEngine(load_bundle(card, folder))
    logits, features = engine.run(noise(1, 64))
    assert features.min() >= 0
    means = features[0].mean(axis=(1, 2))
    np.testing.assert_allclose(engine.head_weights @ means + engine.head_bias, logits[0], rtol=0, atol=1e-5)


# ---------------------------------------------------------------- damaged and missing files


def test_damaged_weights_are_not_opened(tmp_path, bundle, random_network, process) -> None:
    folder, card = bundle(tmp_path, random_network(seed=7))  # not those the process has loaded already
    weights = folder / WEIGHTS_NAME
    spoilt = bytearray(weights.read_bytes())
    spoilt[-1] ^= 1
    weights.write_bytes(spoilt)
    for load in (
        lambda: load_bundle(card, folder),
        lambda: ChildEngine(process, card, folder, "cpu", CancelToken()),
        lambda: process.call(Convert(card, folder, tmp_path / "graph"), CancelToken()),
    ):
        with pytest.raises(ModelError, match="damaged or belong to another version") as error:
            load()
        assert error.value.code == "weights-damaged"
        assert "Install the model again" in error.value.hint
    assert not (tmp_path / "graph").exists()


def test_weights_that_take_the_place_of_others_are_never_run_under_their_card(
    tmp_path, bundle, random_network, monkeypatch
) -> None:
    """Another window may install another version between the look at the digest and the reading."""
    folder, card = bundle(tmp_path, random_network(seed=7))
    other, _ = bundle(tmp_path, random_network(seed=8), model_id="other")

    def then_replaced(digest):
        def looked_at(*given):
            found = digest(*given)
            shutil.copyfile(other / WEIGHTS_NAME, folder / WEIGHTS_NAME)
            return found

        return looked_at

    monkeypatch.setattr(hashlib, "sha256", then_replaced(hashlib.sha256))
    monkeypatch.setattr(hashlib, "file_digest", then_replaced(hashlib.file_digest))
    film = noise(1, 64)
    ours = TorchEngine(load_bundle(card, folder)).run(film)[0]
    np.testing.assert_array_equal(ours, TorchEngine(random_network(seed=7)).run(film)[0])


def test_weights_that_are_no_safetensors_are_told(tmp_path, bundle, random_network) -> None:
    folder, card = bundle(tmp_path, random_network())
    (folder / WEIGHTS_NAME).write_bytes(b"not weights at all")
    card = dataclasses.replace(card, sha256=file_sha256(folder / WEIGHTS_NAME))
    with pytest.raises(ModelError, match="cannot be read") as error:
        load_bundle(card, folder)
    assert error.value.code == "weights-unreadable"


def test_weights_of_another_network_are_told(tmp_path, bundle, random_network) -> None:
    folder, card = bundle(tmp_path, random_network(outputs=3))  # the card names two labels
    with pytest.raises(ModelError, match="do not belong to the network") as error:
        load_bundle(card, folder)
    assert error.value.code == "weights-mismatch"


@pytest.mark.parametrize("name", ["graph.xml", "graph.bin", "arrays.npz"])
def test_a_damaged_graph_is_not_opened(tiny, graph, name) -> None:
    _, card, _ = tiny
    assert read_graph(graph, card) is not None
    spoilt = bytearray((graph / name).read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    (graph / name).write_bytes(spoilt)
    assert read_graph(graph, card) is None
    with pytest.raises(ModelError) as error:
        OpenVinoEngine(graph, card)
    assert error.value.code == "no-graph"


@pytest.mark.parametrize("spoil", ["manifest", "file", "weights"])
def test_an_incomplete_or_foreign_graph_is_not_opened(tiny, graph, spoil) -> None:
    _, card, _ = tiny
    if spoil == "manifest":
        (graph / "manifest.json").write_text('{"weights": 5, "files": []')
    elif spoil == "file":
        (graph / "graph.bin").unlink()
    else:
        card = dataclasses.replace(card, sha256="f" * 64)
    assert read_graph(graph, card) is None


def test_an_engine_that_does_not_give_torchs_answer_is_not_used(tiny, graph) -> None:
    """As if the compiler had a fault on this processor: the probe's kept answer differs from what the engine says."""
    _, card, _ = tiny
    with np.load(graph / "arrays.npz") as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["logits"] = changed["logits"] + 0.01
    np.savez(graph / "arrays.npz", **changed)
    manifest = json.loads((graph / "manifest.json").read_text())
    manifest["files"]["arrays.npz"] = file_sha256(graph / "arrays.npz")
    (graph / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="does not give the reference engine's answer") as error:
        OpenVinoEngine(graph, card)
    assert error.value.code == "engine-differs"


def test_older_graphs_of_the_model_are_dropped_and_others_kept(tiny, tmp_path, process) -> None:
    folder, card, _ = tiny
    graphs = tmp_path / "graphs"
    older, other = graphs / f"{card.model_id}-{'0' * 20}", graphs / f"{card.model_id}-two-{'0' * 20}"
    for path in (older, other):
        path.mkdir(parents=True)
    graph = graph_folder(graphs, card)
    process.call(Convert(card, folder, graph), CancelToken())
    assert sorted(path.name for path in graphs.iterdir()) == sorted([graph.name, other.name])


def test_a_closed_engine_says_so(tiny) -> None:
    _, card, graph = tiny
    engine = OpenVinoEngine(graph, card)
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.run(noise(1, 64))


def test_cuda_that_is_not_there_is_told(tiny) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    folder, card, _ = tiny
    with pytest.raises(ModelError, match=r"graphics processor \(CUDA\) cannot be used") as error:
        TorchEngine(load_bundle(card, folder), "cuda")
    assert (error.value.code, error.value.hint) == ("no-cuda", "Choose the CPU.")


@pytest.mark.parametrize("device", ["cuda"])
def test_cuda_gives_the_cpus_answer(tiny, device) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a machine with CUDA")
    folder, card, _ = tiny
    film = noise(2, 64)
    expected = TorchEngine(load_bundle(card, folder)).run(film)
    for ours, theirs in zip(TorchEngine(load_bundle(card, folder), device).run(film), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


# ---------------------------------------------------------------- the process


def test_a_cancelled_wait_ends_and_the_late_answer_is_dropped(own_process, tiny) -> None:
    folder, card, _ = tiny
    with pytest.raises(CancelledError):
        own_process.call(
            Load(card, folder, "cpu"), AtSecondQuestion(CancelToken.cancel)
        )  # torch is still being imported
    engine = ChildEngine(own_process, card, folder, "cpu", CancelToken())
    film = noise(1, 64)
    logits, _ = engine.run(film)
    np.testing.assert_allclose(logits, TorchEngine(load_bundle(card, folder)).run(film)[0], rtol=0, atol=1e-5)


def test_closing_while_it_works_ends_the_process(own_process, tiny) -> None:
    folder, card, _ = tiny
    with pytest.raises(CancelledError):
        own_process.call(Load(card, folder, "cpu"), AtSecondQuestion(CancelToken.cancel))
    own_process.close()
    own_process.close()
    assert not own_process.running


def test_a_process_that_dies_is_told_and_started_anew(own_process, tiny) -> None:
    folder, card, _ = tiny

    def kill(_: CancelToken) -> None:
        own_process._process.kill()

    with pytest.raises(ModelError, match="ended unexpectedly") as error:
        ChildEngine(own_process, card, folder, "cpu", AtSecondQuestion(kill))
    assert error.value.code == "engine-died"
    engine = ChildEngine(own_process, card, folder, "cpu", CancelToken())
    assert engine.run(noise(1, 64))[0].shape == (1, 2)


def test_every_engine_of_a_process_that_was_released_loads_again(
    own_process, tiny, tmp_path, bundle, random_network
) -> None:
    """The first that is asked starts the new process; the others are not in it yet."""
    other, other_card = bundle(tmp_path, random_network(seed=8), model_id="other")
    engines = [
        ChildEngine(own_process, card, folder, "cpu", CancelToken()) for folder, card in (tiny[:2], (other, other_card))
    ]
    film = noise(1, 64)
    before = [engine.run(film)[0] for engine in engines]
    own_process.release()
    for engine, answer in zip(engines, before, strict=True):
        np.testing.assert_array_equal(engine.run(film)[0], answer)


def test_a_fault_in_the_process_is_one_sentence(process, tiny) -> None:
    folder, card, _ = tiny
    engine = ChildEngine(process, card, folder, "cpu", CancelToken())
    with pytest.raises(ModelError, match="failed to run") as error:
        engine.run(np.zeros((1, 7, 64, 64), dtype=np.float32))  # seven channels
    assert error.value.code == "engine-failed"
    assert "channels" in error.value.detail
    assert engine.run(noise(1, 64))[0].shape == (1, 2)  # and it goes on
