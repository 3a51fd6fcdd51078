"""Where a foreign classifier explains itself: its linear head, found and verified.

Where a model ends in ReLU > mean over the picture > linear, Grad-CAM of every finding needs no more than the
maps after the ReLU and the weights of the linear part (see :mod:`explain`). The mean is found by walking back from the
logits; what lies between the two is then *asked* for its weights, one map at a time, and believed only if weights and
mean maps give the same logits as the model for maps and films it was not asked with. Anything else has no head here.

Imports onnx and ONNX Runtime; used in the caged process of ``engines.convert_onnx`` and by tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from cxr_viewer.inference.onnxfile import INPUT_NAME
from cxr_viewer.inference.onnxlogits import LOGITS_NAME, SHAPES_ONLY, Floats, answer, session

FEATURES_NAME = "cxr:features"
MAX_MAPS = 8192

_POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")
_LINEAR = (
    *SHAPES_ONLY,
    "Gemm",
    "MatMul",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Gather",
    "Conv",
    "BatchNormalization",
    "Concat",
)
_KEEPS_SIGN = ("Identity", "Dropout", "Transpose", "MaxPool", "Concat")
_TOLERANCE = 2e-5  # of what the sum is made of; ONNX Runtime's own order of summing moves it by about 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The linear end of a classifier.

    Attributes:
        features: name of the maps after the ReLU; ``channels_last`` where they are (1, h, w, c).
        weights, bias: float32 (k, c) and (k,).
    """

    features: str
    channels_last: bool
    weights: Floats
    bias: Floats


def find_head(model: ModelProto, probes: list[Floats]) -> Head | None:
    """The linear end of a model whose output is ``LOGITS_NAME``; None where it has none that can be believed."""
    made_by = {name: node for node in model.graph.node for name in node.output if name}
    place = _pool(model, made_by)
    if place is None:
        return None
    pool, between = place
    maps = pool.input[0]
    if not _rectified(maps, model, made_by):
        return None
    shape = _map_shape(model, maps, probes[0])
    channels_last = pool.op_type == "ReduceMean" and _axes(pool, model) in ((1, 2), (-3, -2))
    if len(shape) != 4 or shape[0] != 1 or shape[3 if channels_last else 1] > MAX_MAPS:
        return None
    end = session(_part(model, [pool, *between], maps, shape))
    weights, bias = _asked(end, shape, channels_last=channels_last)
    head = Head(maps, channels_last, weights, bias)
    return head if _believed(end, head, shape) and _believed_on_films(model, head, probes) else None


def add_features(model: ModelProto, head: Head) -> None:
    """Give the model the second output ``FEATURES_NAME``, float32 (1, c, h, w)."""
    turn = helper.make_node("Transpose", [head.features], [FEATURES_NAME], perm=[0, 3, 1, 2])
    same = helper.make_node("Identity", [head.features], [FEATURES_NAME])
    model.graph.node.append(turn if head.channels_last else same)
    model.graph.output.append(helper.make_tensor_value_info(FEATURES_NAME, TensorProto.FLOAT, None))


def _pool(model: ModelProto, made_by: dict[str, NodeProto]) -> tuple[NodeProto, list[NodeProto]] | None:
    """The one mean that all logits come from, and the linear operations after it in their order; None if there is not
    exactly one, or if something on the way is not linear."""
    pools: dict[str, NodeProto] = {}
    seen: set[str] = set()
    names = [model.graph.output[0].name]
    while names:
        name = names.pop()
        node = made_by.get(name)
        if node is None or name in seen:  # a weight, or reached on another way
            continue
        seen.add(name)
        if node.op_type in _POOLS:
            pools[node.output[0]] = node
        elif node.op_type in _LINEAR:
            names += node.input
        else:
            return None
    if len(pools) != 1 or INPUT_NAME in seen:
        return None
    (pool,) = pools.values()
    return pool, [node for node in model.graph.node if seen.intersection(node.output) and node is not pool]


def _rectified(name: str, model: ModelProto, made_by: dict[str, NodeProto], depth: int = 8) -> bool:
    """Whether a value comes out of a ReLU (or a Clip from 0 on), at most moved about since."""
    node = made_by.get(name)
    if node is None or depth == 0:
        return False
    if node.op_type == "Relu":
        return True
    if node.op_type == "Clip":
        return _lower_end(node, model) == 0
    if node.op_type not in _KEEPS_SIGN:
        return False
    given = node.input if node.op_type == "Concat" else node.input[:1]
    return all(_rectified(one, model, made_by, depth - 1) for one in given)


def _lower_end(node: NodeProto, model: ModelProto) -> float | None:
    for attribute in node.attribute:  # before opset 11
        if attribute.name == "min":
            return float(attribute.f)
    value = _constant(node.input[1], model) if len(node.input) > 1 and node.input[1] else None
    return float(value.item()) if value is not None and value.size == 1 else None


def _axes(node: NodeProto, model: ModelProto) -> tuple[int, ...]:
    for attribute in node.attribute:  # before opset 18
        if attribute.name == "axes":
            return tuple(attribute.ints)
    value = _constant(node.input[1], model) if len(node.input) > 1 else None
    return () if value is None else tuple(int(axis) for axis in value.ravel())


def _constant(name: str, model: ModelProto) -> NDArray[np.generic] | None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return np.asarray(numpy_helper.to_array(tensor))
    for node in model.graph.node:
        if name in node.output and node.op_type == "Constant" and node.attribute[0].name == "value":
            return np.asarray(numpy_helper.to_array(node.attribute[0].t))
    return None


def _map_shape(model: ModelProto, maps: str, probe: Floats) -> tuple[int, ...]:
    return tuple(_with_output(model, maps, probe)[1].shape)


def _with_output(model: ModelProto, name: str, film: Floats) -> list[Floats]:
    """Logits and one value from inside, of one film."""
    looked = ModelProto()
    looked.CopyFrom(model)
    looked.graph.output.append(ValueInfoProto(name=name))
    return answer(session(looked), film)


def _part(model: ModelProto, nodes: list[NodeProto], start: str, shape: tuple[int, ...]) -> ModelProto:
    """The model from the maps ``start`` to its logits."""
    used = {name for node in nodes for name in node.input}
    # Constants that are operations, not arrays, and what is made of them alone.
    arrays = [tensor for tensor in model.graph.initializer if tensor.name in used]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info(start, TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(LOGITS_NAME, TensorProto.FLOAT, None)],
        arrays,
    )
    return helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)


def _asked(end: onnxruntime.InferenceSession, shape: tuple[int, ...], *, channels_last: bool) -> tuple[Floats, Floats]:
    """Weights (k, c) and bias (k,): the answer to empty maps, and to one map of ones after the other."""
    maps = np.zeros(shape, dtype=np.float32)
    bias = answer(end, maps)[0][0].astype(np.float32)
    moved = np.moveaxis(maps, 3, 1) if channels_last else maps
    columns = []
    for channel in range(moved.shape[1]):
        moved[:, channel] = 1
        columns.append(answer(end, maps)[0][0] - bias)
        moved[:, channel] = 0
    return np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float32), bias


def _believed(end: onnxruntime.InferenceSession, head: Head, shape: tuple[int, ...]) -> bool:
    """Whether weights on mean maps give the end's own logits, for maps of chance: not so for a pool over parts of the
    picture, or an end that is not linear."""
    chance = np.random.default_rng(0)
    for scale in (0.1, 1.0, 10.0):
        maps = (scale * chance.random(shape)).astype(np.float32)
        if not _agrees(answer(end, maps)[0][0], maps, head):
            return False
    return True


def _believed_on_films(model: ModelProto, head: Head, probes: list[Floats]) -> bool:
    return all(
        _agrees(logits[0], maps, head) for logits, maps in (_with_output(model, head.features, p) for p in probes)
    )


def _agrees(logits: Floats, maps: Floats, head: Head) -> bool:
    means = maps[0].astype(np.float64).mean(axis=(0, 1) if head.channels_last else (1, 2))
    expected = head.weights @ means + head.bias
    scale = np.abs(head.weights) @ np.abs(means) + np.abs(head.bias)  # what the sum is made of, before it cancels
    return bool(maps.min() >= 0 and np.all(np.abs(logits - expected) <= _TOLERANCE * np.maximum(1.0, scale)))
