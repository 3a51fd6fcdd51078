"""Operations of classical machine learning (domain ``ai.onnx.ml``) in plain ONNX, so that every engine runs them.

Those that scikit-learn's scalers, projections, linear models and neural networks need; the others are refused. What
comes out is held against ONNX Runtime's own answer for the file as it was (``engines.convert_onnx``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from cxr_viewer.inference.onnxfile import refusal

_ML = "ai.onnx.ml"
_AXES_ARE_INPUTS = 18  # opset from which the Reduce operations take their axes as an input


class _Plain:
    """Collects the operations and arrays that stand for one of ``ai.onnx.ml``."""

    def __init__(self, number: int, opset: int) -> None:
        self.nodes: list[NodeProto] = []
        self.arrays: list[TensorProto] = []
        self._prefix, self._opset = f"ml:{number} ", opset

    def name(self, end: str) -> str:
        return self._prefix + end

    def array(self, end: str, values: Any, kind: type[np.generic] = np.float32) -> str:
        self.arrays.append(numpy_helper.from_array(np.asarray(values, dtype=kind), self.name(end)))
        return self.name(end)

    def add(self, kind: str, given: list[str], out: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, given, [out], **attributes))
        return out

    def summed(self, kind: str, given: str) -> str:
        """``ReduceL1`` or ``ReduceL2`` of each row."""
        if self._opset >= _AXES_ARE_INPUTS:
            return self.add(kind, [given, self.array("axes", [1], np.int64)], self.name("sum"), keepdims=1)
        return self.add(kind, [given], self.name("sum"), axes=[1], keepdims=1)


def in_plain_onnx(model: ModelProto) -> None:
    """Replace every operation of ``ai.onnx.ml``.

    Raises:
        ModelError: ``onnx-refused``: one of them has no plain form here.
    """
    opset = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)
    nodes: list[NodeProto] = []
    for number, node in enumerate(model.graph.node):
        if node.domain != _ML:
            nodes.append(node)
            continue
        plain = _Plain(number, opset)
        used = {name for other in model.graph.node for name in other.input} | {model.graph.output[0].name}
        write = _FORMS.get(node.op_type)
        if write is None or not write(plain, node, used):
            raise refusal(
                f"The model holds “{node.op_type}”, which the engines of this program do not know.",
                "Use a neural network or a linear model instead.",
            )
        nodes += plain.nodes
        model.graph.initializer.extend(plain.arrays)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    kept = [item for item in model.opset_import if item.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _scaler(plain: _Plain, node: NodeProto, used: set[str]) -> bool:
    """(x - offset) * scale."""
    given = _attributes(node)
    x = plain.add("Cast", [node.input[0]], plain.name("x"), to=TensorProto.FLOAT)
    moved = plain.add("Sub", [x, plain.array("offset", given.get("offset", [0.0]))], plain.name("moved"))
    plain.add("Mul", [moved, plain.array("scale", given.get("scale", [1.0]))], node.output[0])
    return True


def _normalizer(plain: _Plain, node: NodeProto, used: set[str]) -> bool:
    """Rows divided by the sum of their magnitudes, or by their length; rows of nothing stay."""
    kind = {"L1": "ReduceL1", "L2": "ReduceL2"}.get(_attributes(node).get("norm", "MAX"))
    if kind is None:
        return False
    total = plain.summed(kind, node.input[0])
    some = plain.add("Max", [total, plain.array("least", 1e-30)], plain.name("some"))
    plain.add("Div", [node.input[0], some], node.output[0])
    return True


def _extractor(plain: _Plain, node: NodeProto, used: set[str]) -> bool:
    """The columns named by the second input."""
    row = plain.add("Reshape", [node.input[1], plain.array("row", [-1], np.int64)], plain.name("columns"))
    plain.add("Gather", [node.input[0], row], node.output[0], axis=-1)
    return True


def _linear(plain: _Plain, node: NodeProto, used: set[str]) -> bool:
    """Scores of a linear classifier with one row of weights for each class; its label is not made."""
    given = _attributes(node)
    classes = len(given.get("classlabels_ints", ()) or given.get("classlabels_strings", ()))
    weights = np.asarray(given.get("coefficients", ()), dtype=np.float32)
    after = {"NONE": "Identity", "LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}.get(given.get("post_transform", "NONE"))
    if after is None or len(node.output) < 2 or node.output[0] in used or classes < 2 or weights.size % classes:
        return False
    bias = given.get("intercepts", ()) or [0.0] * classes
    if len(bias) != classes or not math.isfinite(float(weights.sum())):
        return False
    names = [plain.array("w", weights.reshape(classes, -1)), plain.array("b", bias)]
    x = plain.add("Cast", [node.input[0]], plain.name("x"), to=TensorProto.FLOAT)
    scores = plain.add("Gemm", [x, *names], plain.name("scores"), transB=1)
    plain.add(after, [scores], node.output[1], **({"axis": 1} if after == "Softmax" else {}))
    return True


_FORMS: dict[str, Callable[[_Plain, NodeProto, set[str]], bool]] = {
    "Scaler": _scaler,
    "Normalizer": _normalizer,
    "ArrayFeatureExtractor": _extractor,
    "LinearClassifier": _linear,
}


def _attributes(node: NodeProto) -> dict[str, Any]:
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {
        name: value.decode("ascii", "replace") if isinstance(value, bytes) else value for name, value in values.items()
    }
