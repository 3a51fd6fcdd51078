"""Classifiers in ONNX that somebody else made: scores are the model's own, maps come with them where they can."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import (
    AnalysisRequest,
    AnalysisResult,
    InputSpec,
    LabelSpec,
    ModelCard,
    OnnxSpec,
    ScoreKind,
)
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain, onnxfile, onnxhead, onnxlogits
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.inference.cards import CARD_NAME, ONNX_NAME, file_sha256, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.convert_onnx import PLAIN_NAME, convert_onnx, probe_films
from cxr_viewer.inference.engines.graph import graph_folder, read_graph
from cxr_viewer.inference.engines.torch import load_bundle
from cxr_viewer.inference.runner import LocalRunner, model_input

FILM = "dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm"
SIZE = 64
MAPS = 6


def classifier(
    *,
    channels: int = 1,
    outputs: int = 3,
    layout: str = "NCHW",
    batch: int | str = "n",
    size: int | str = SIZE,
    rectifier: str = "Relu",
    pool: str = "GlobalAveragePool",
    head: str = "Gemm",
    end: str = "",
) -> ModelProto:
    """A small classifier as another program might write it: convolution, rectifier, mean, linear, ``end``."""
    chance = np.random.default_rng(3)
    arrays = {
        "kernel": chance.normal(0, 0.4, (MAPS, channels, 5, 5)),
        "shift": chance.normal(0, 0.3, MAPS),
        "w": chance.normal(0, 1.0, (outputs, MAPS)),
        "wt": chance.normal(0, 1.0, (MAPS, outputs)),
        "b": chance.normal(0, 0.5, outputs),
        "w1x1": chance.normal(0, 1.0, (outputs, MAPS, 1, 1)),
    }
    whole = {"axes": [2, 3], "axes last": [1, 2], "row": [0, -1], "row1": [1, -1]}
    nodes, given = [], "film"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [given], ["turned"], perm=[0, 3, 1, 2]))
        given = "turned"
    nodes.append(helper.make_node("Conv", [given, "kernel", "shift"], ["conv"], strides=[4, 4], pads=[2, 2, 2, 2]))
    ends = {"Clip": ["conv", "zero", "six"]}
    nodes.append(helper.make_node(rectifier, ends.get(rectifier, ["conv"]), ["maps"]))
    nodes += _mean(pool) + _linear(head)
    if end:
        nodes.append(helper.make_node(end, ["logits"], ["scores"]))
    out = "scores" if end else "logits"
    sizes = [batch, size, size, channels] if layout == "NHWC" else [batch, channels, size, size]
    tensors = [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()]
    tensors += [numpy_helper.from_array(np.array(a, dtype=np.int64), name) for name, a in whole.items()]
    tensors += [numpy_helper.from_array(np.array(v, dtype=np.float32), n) for n, v in (("zero", 0), ("six", 6))]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["n", outputs])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _mean(pool: str) -> list[onnx.NodeProto]:
    last = SIZE // 4
    if pool == "NHWC":
        return [
            helper.make_node("Transpose", ["maps"], ["last"], perm=[0, 2, 3, 1]),
            helper.make_node("ReduceMean", ["last", "axes last"], ["flat"], keepdims=0),
        ]
    kinds = {
        "GlobalAveragePool": helper.make_node("GlobalAveragePool", ["maps"], ["mean"]),
        "ReduceMean": helper.make_node("ReduceMean", ["maps", "axes"], ["mean"], keepdims=1),
        "AveragePool": helper.make_node("AveragePool", ["maps"], ["mean"], kernel_shape=[last, last]),
        "MaxPool": helper.make_node("GlobalMaxPool", ["maps"], ["mean"]),
    }
    return [kinds[pool], helper.make_node("Reshape", ["mean", "row"], ["flat"])]


def _linear(head: str) -> list[onnx.NodeProto]:
    kinds = {
        "Gemm": [helper.make_node("Gemm", ["flat", "w", "b"], ["logits"], transB=1)],
        "MatMul": [helper.make_node("MatMul", ["flat", "wt"], ["x"]), helper.make_node("Add", ["x", "b"], ["logits"])],
        "Conv": [
            helper.make_node("Conv", ["mean", "w1x1", "b"], ["x"]),
            helper.make_node("Flatten", ["x"], ["logits"], axis=1),
        ],
        "Deep": [
            helper.make_node("Gemm", ["flat", "w", "b"], ["x"], transB=1),
            helper.make_node("Tanh", ["x"], ["logits"]),
        ],
    }
    return kinds[head]


def onnx_card(**changes: object) -> ModelCard:
    return dataclasses.replace(_PLAIN, **changes)  # type: ignore[arg-type]


_PLAIN = ModelCard(
    model_id="foreign",
    name="Foreign",
    version="1",
    network="onnx",
    sha256="0" * 64,
    licence="test",
    labels=tuple(LabelSpec(name, 0.5) for name in ("A", "B", "C")),
    score_kind=ScoreKind.UNCALIBRATED,
    input=InputSpec(size_px=SIZE, fit="pad", crop_border=False, mean=0.5, std=0.25),
    temperature=1.0,
    bias=0.0,
    intended_ages=None,
    intended_views=(),
    intended_use="Tests only.",
    trained_on="nothing",
    onnx=OnnxSpec(),
)


def put(parent: Path, model: ModelProto, card: ModelCard) -> tuple[Path, ModelCard]:
    """A bundle below ``parent``."""
    folder = parent / card.model_id
    folder.mkdir(parents=True)
    (folder / ONNX_NAME).write_bytes(model.SerializeToString())
    card = dataclasses.replace(card, sha256=file_sha256(folder / ONNX_NAME))
    write_card(card, folder / CARD_NAME)
    return folder, card


def direct(path: Path, film: np.ndarray, output: str = "") -> np.ndarray:
    """The answer of ONNX Runtime to the file as it is."""
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([output] if output else None, {session.get_inputs()[0].name: film})[0])


# ---------------------------------------------------------------- through the program

KINDS: dict[str, tuple[dict[str, object], dict[str, object], bool]] = {
    "logits": ({}, {}, True),
    "fixed": ({"batch": 1}, {}, True),
    "any-size": ({"size": "side"}, {}, True),
    "sigmoid": ({"end": "Sigmoid"}, {"onnx": OnnxSpec(activation="sigmoid")}, True),
    "softmax": ({"end": "Softmax"}, {"onnx": OnnxSpec(activation="softmax")}, False),
    "two-classes": (
        {"end": "Softmax", "outputs": 2},
        {"onnx": OnnxSpec(activation="softmax", columns=(1,)), "labels": (LabelSpec("B", 0.5),)},
        True,
    ),
    "some-columns": (
        {"outputs": 8},
        {"onnx": OnnxSpec(output="logits", columns=(6, 1)), "labels": (LabelSpec("G", 0.5), LabelSpec("B", 0.5))},
        True,
    ),
    "channels-last": (
        {"layout": "NHWC", "channels": 3, "pool": "NHWC"},
        {
            "onnx": OnnxSpec(layout="NHWC"),
            "input": dataclasses.replace(
                _PLAIN.input, channels=3, channel_means=(0.485, 0.456, 0.406), channel_stds=(0.229, 0.224, 0.225)
            ),
        },
        True,
    ),
    "no-head": ({"pool": "MaxPool"}, {}, False),
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory) -> dict[str, tuple[Path, ModelCard]]:
    root = tmp_path_factory.mktemp("kinds")
    made = {}
    for name, (form, card, _) in KINDS.items():
        made[name] = put(root, classifier(**form), onnx_card(model_id=name, **card))  # type: ignore[arg-type]
    return made


@pytest.fixture(scope="module")
def runner(kinds, tmp_path_factory) -> Iterator[LocalRunner]:
    owned = LocalRunner(BundleCatalog([kinds["logits"][0].parent]), tmp_path_factory.mktemp("cache"))
    yield owned
    owned.close()


@pytest.fixture(scope="module")
def real_film(films_at, need_data):
    (image,) = films_at([need_data(FILM)])
    return image


def analysed(runner: LocalRunner, image, model_id: str) -> AnalysisResult:
    return runner.analyse(AnalysisRequest(0, 1, image, model_id), CancelToken(), lambda stage: None)


@pytest.mark.parametrize("name", KINDS)
def test_a_real_film_gets_the_models_own_scores(runner, kinds, real_film, name: str) -> None:
    folder, card = kinds[name]
    film, _ = model_input(real_film, card)
    assert card.onnx is not None
    fed = film.transpose(0, 2, 3, 1) if card.onnx.layout == "NHWC" else film
    said = direct(folder / ONNX_NAME, fed).ravel()[list(card.onnx.columns or range(len(card.labels)))]
    expected = sigmoid(said.astype(np.float64)) if card.onnx.activation == "none" else said
    result = analysed(runner, real_film, name)
    assert len({round(float(score), 4) for score in expected}) == len(expected)  # or columns could be mixed up unseen
    np.testing.assert_allclose([finding.score for finding in result.findings], expected, rtol=0, atol=1e-5)
    assert bool(result.heatmaps) == KINDS[name][2]


def test_two_cards_of_one_file_do_not_get_each_others_scores(tmp_path, chest, film) -> None:
    """They read other outputs of it, or at another size: in one session each has an engine of its own."""
    model, image = classifier(outputs=8, size="side"), film(chest)
    labels = (LabelSpec("G", 0.5), LabelSpec("B", 0.5))
    ways = {
        "one": {"onnx": OnnxSpec(columns=(6, 1))},
        "other": {"onnx": OnnxSpec(columns=(1, 6))},
        "larger": {"onnx": OnnxSpec(columns=(6, 1)), "input": dataclasses.replace(_PLAIN.input, size_px=96)},
    }
    made = {name: put(tmp_path, model, onnx_card(model_id=name, labels=labels, **way)) for name, way in ways.items()}
    assert len({card.sha256 for _, card in made.values()}) == 1
    owned = LocalRunner(BundleCatalog([tmp_path]), tmp_path / "cache")
    try:
        for name, (folder, card) in made.items():
            assert card.onnx is not None
            said = direct(folder / ONNX_NAME, model_input(image, card)[0]).ravel()[list(card.onnx.columns)]
            found = [finding.score for finding in analysed(owned, image, name).findings]
            np.testing.assert_allclose(found, sigmoid(said.astype(np.float64)), rtol=0, atol=1e-5, err_msg=name)
    finally:
        owned.close()


# ---------------------------------------------------------------- from torch


class _Net(torch.nn.Module):
    """ReLU > mean > linear, as most convolutional classifiers end."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, 2, 1), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Conv2d(8, 12, 3, 2, 1)
        )
        self.relu = torch.nn.ReLU()
        self.dropout = torch.nn.Dropout(0.5)
        self.classifier = torch.nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.classifier(self.dropout(self.relu(self.trunk(x)).mean(dim=(2, 3))))
        return out


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[Path, ModelCard, _Net]:
    """A bundle of a network exported from torch, and the network."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = _Net().eval()
        network.classifier.weight.data *= 50  # so that the maps are not all next to nothing
    root = tmp_path_factory.mktemp("torch")
    torch.onnx.export(
        network, (torch.zeros(1, 1, SIZE, SIZE),), root / "x.onnx", output_names=["logits"],
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    folder, card = put(root / "models", onnx.load(root / "x.onnx"), onnx_card(model_id="torch"))
    return folder, card, network


def test_the_maps_are_the_torch_networks_grad_cam(exported, tmp_path, real_film) -> None:
    folder, card, network = exported
    film, _ = model_input(real_film, card)
    runner = LocalRunner(BundleCatalog([folder.parent]), tmp_path)
    result = analysed(runner, real_film, "torch")
    runner.close()
    tensor = torch.from_numpy(film)
    features = network.relu(network.trunk(tensor))
    logits = network.classifier(features.mean(dim=(2, 3)))[0]
    assert [f.logit for f in result.findings] == pytest.approx(logits.tolist(), rel=1e-5, abs=1e-5)
    maps = []
    for logit in logits:  # Grad-CAM by its own definition: mean gradient of each map, times the map, clipped
        (gradient,) = torch.autograd.grad(logit, features, retain_graph=True)
        cells = features.shape[2] * features.shape[3]
        weights = gradient.mean(dim=(2, 3), keepdim=True) * cells
        maps.append(torch.relu((weights * features).sum(dim=1))[0].detach().numpy())
    expected = explain.on_common_scale(np.stack(maps), card)
    assert expected.max() > 0.1
    for heatmap, values in zip(result.heatmaps, expected, strict=True):
        np.testing.assert_allclose(heatmap.values, values, rtol=0, atol=1e-5, err_msg=heatmap.label)


def test_other_weights_than_the_cards_are_refused(exported, tmp_path) -> None:
    """Operating points hold for the weights they were found with, in ONNX as well."""
    folder, card, _ = exported
    model = onnx.load(folder / ONNX_NAME)
    changed = numpy_helper.to_array(model.graph.initializer[0]).copy()
    changed.flat[0] += 0.1
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed, model.graph.initializer[0].name))
    other, _ = put(tmp_path, model, card)
    write_card(card, other / CARD_NAME)  # the card of the first weights
    with pytest.raises(ModelError, match="damaged or belong to another version") as error:
        convert_onnx(card, other, tmp_path / "graphs" / "graph")
    assert error.value.code == "weights-damaged"
    assert not (tmp_path / "graphs" / "graph").exists()


def test_torch_says_that_it_does_not_run_onnx(exported) -> None:
    folder, card, _ = exported
    with pytest.raises(ModelError, match="is in ONNX") as error:
        load_bundle(card, folder)
    assert "Auto or CPU" in error.value.hint


# ---------------------------------------------------------------- heads


def plain(model: ModelProto, card: ModelCard) -> tuple[ModelProto, onnxhead.Head | None]:
    """What the caged process makes of a model, here in the test's own."""
    copy = ModelProto()
    copy.CopyFrom(model)
    onnxfile.keep_output(copy)
    onnxfile.fix_input(copy, card)
    probes = probe_films(card)
    onnxlogits.add_logits(copy, card.onnx, len(card.labels), probes)
    return copy, onnxhead.find_head(copy, probes)


@pytest.mark.parametrize("rectifier", ["Relu", "Clip"])
@pytest.mark.parametrize("pool", ["GlobalAveragePool", "ReduceMean", "AveragePool"])
@pytest.mark.parametrize("head", ["Gemm", "MatMul", "Conv"])
def test_a_linear_head_is_found_with_its_own_weights(rectifier: str, pool: str, head: str) -> None:
    model = classifier(rectifier=rectifier, pool=pool, head=head)
    _, found = plain(model, onnx_card())
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    weights = {"Gemm": arrays["w"], "MatMul": arrays["wt"].T, "Conv": arrays["w1x1"][:, :, 0, 0]}[head]
    assert found is not None
    np.testing.assert_allclose(found.weights, weights, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.bias, arrays["b"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "form", [{"pool": "MaxPool"}, {"head": "Deep"}, {"rectifier": "Sigmoid"}, {"rectifier": "LeakyRelu"}], ids=str
)
def test_what_is_not_linear_on_the_mean_has_no_head(form: dict[str, str]) -> None:
    assert plain(classifier(**form), onnx_card())[1] is None  # type: ignore[arg-type]


def test_of_two_classes_the_head_is_the_difference() -> None:
    card = onnx_card(labels=(LabelSpec("B", 0.5),), onnx=OnnxSpec(activation="softmax", columns=(1,)))
    model = classifier(end="Softmax", outputs=2)
    _, found = plain(model, card)
    weights = numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "w"))
    assert found is not None
    np.testing.assert_allclose(found.weights[0], weights[1] - weights[0], rtol=0, atol=1e-6)


def test_the_kept_model_runs_alone_and_gives_features(kinds, tmp_path) -> None:
    """What other engines use: our input, logits and features, whatever the file's own were called."""
    folder, card = kinds["channels-last"]
    graph = graph_folder(tmp_path, card)
    convert_onnx(card, folder, graph)
    arrays = read_graph(graph, card)
    assert arrays is not None
    assert arrays.features is not None
    assert arrays.head_weights is not None
    session = onnxruntime.InferenceSession((graph / PLAIN_NAME).read_bytes(), providers=["CPUExecutionProvider"])
    logits, features = session.run(None, {session.get_inputs()[0].name: arrays.probe})
    np.testing.assert_allclose(logits, arrays.logits, rtol=0, atol=1e-6)
    np.testing.assert_allclose(features, arrays.features, rtol=0, atol=1e-6)
    assert features.shape == (1, MAPS, SIZE // 4, SIZE // 4)
    assert not [path for path in tmp_path.iterdir() if path.name != graph.name]  # nothing of the cage is left


# ---------------------------------------------------------------- probabilities


@pytest.mark.parametrize("values", [[0.0, 1e-12, 0.5, 1.0]])
def test_probabilities_at_the_ends_stay_what_they_are(values: list[float]) -> None:
    """A model that is sure: its score is kept, and stays finite as a logit."""
    picked = numpy_helper.from_array(np.array([values], dtype=np.float32), "p")
    nodes = [
        helper.make_node("ReduceMean", ["film"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        helper.make_node("Add", ["p", "nothing"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes, "sure",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(values)])],
        [picked, numpy_helper.from_array(np.array(0, dtype=np.float32), "none")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    labels = tuple(LabelSpec(str(index), 0.5) for index in range(len(values)))
    made, _ = plain(model, onnx_card(labels=labels, onnx=OnnxSpec(activation="sigmoid")))
    logits = onnxlogits.answer(onnxlogits.session(made), probe_films(_PLAIN)[0])[0][0]
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(sigmoid(logits.astype(np.float64)), values, rtol=0, atol=2e-7)
