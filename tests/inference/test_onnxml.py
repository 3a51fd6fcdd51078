"""Models of scikit-learn: their operations in plain ONNX give the same probabilities."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, OnnxSpec
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.inference.cards import ONNX_NAME, file_sha256
from cxr_viewer.inference.engines import F32
from cxr_viewer.inference.engines.alternatives import load_engine
from cxr_viewer.inference.engines.convert_onnx import prepare_onnx
from cxr_viewer.inference.engines.graph import graph_folder

SIDE = 16


def made(kind: str) -> ModelProto:
    """A classifier of rows by scikit-learn, with a Reshape in front; it learned to tell whether the top is bright."""
    chance = np.random.default_rng(0)
    rows = chance.random((80, SIDE * SIDE), dtype=np.float32)
    bright = (rows[:, :40].mean(axis=1) > 0.5).astype(int)
    classifier = {
        "linear": LogisticRegression(),
        "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
        "projected": make_pipeline(StandardScaler(), PCA(8), MLPClassifier((8,), max_iter=400, random_state=0)),
        "lengths": make_pipeline(Normalizer("l2"), LogisticRegression(C=100.0)),
        "trees": RandomForestClassifier(5, max_depth=3, random_state=0),
    }[kind]
    classifier.fit(rows, bright)
    model = to_onnx(classifier, rows[:1], options={"zipmap": False}, target_opset=17)
    model.graph.node.insert(0, helper.make_node("Reshape", ["film", "row"], [model.graph.input[0].name]))
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, SIDE * SIDE]), "row"))
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("film", TensorProto.FLOAT, ["n", 1, SIDE, SIDE]))
    return model


def put(folder: Path, model: ModelProto, card: ModelCard) -> ModelCard:
    (folder / ONNX_NAME).write_bytes(model.SerializeToString())
    return dataclasses.replace(
        card,
        network="onnx",
        sha256=file_sha256(folder / ONNX_NAME),
        labels=(LabelSpec("Bright", 0.5),),
        input=InputSpec(size_px=SIDE, fit="stretch", crop_border=False, mean=0.0, std=1.0),
        onnx=OnnxSpec(output="probabilities", activation="softmax", columns=(1,)),
    )


@pytest.mark.parametrize("kind", ["linear", "scaled", "projected", "lengths"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classical_models_give_their_own_probabilities(tmp_path, card, kind: str) -> None:
    given = put(tmp_path, made(kind), card())
    prepare_onnx(given, tmp_path, tmp_path)
    engine = load_engine(F32, given, graph_folder(tmp_path, given), None)
    chance = np.random.default_rng(1)
    films = [chance.random((1, 1, SIDE, SIDE), dtype=np.float32) for _ in range(8)]
    found = [float(sigmoid(engine.run(film)[0].astype(np.float64))[0, 0]) for film in films]
    assert engine.head_weights is None
    engine.close()
    session = onnxruntime.InferenceSession((tmp_path / ONNX_NAME).read_bytes(), providers=["CPUExecutionProvider"])
    expected = [float(session.run(["probabilities"], {"film": film})[0][0, 1]) for film in films]
    assert np.std(expected) > 0.01  # or any constant would do
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_trees_are_refused_by_name(tmp_path, card) -> None:
    given = put(tmp_path, made("trees"), card())
    with pytest.raises(ModelError, match="TreeEnsembleClassifier") as error:
        prepare_onnx(given, tmp_path, tmp_path)
    assert error.value.hint == "Use a neural network or a linear model instead."
