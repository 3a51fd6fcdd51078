"""From the answers of a foreign classifier to logits, and to heat maps where its last layers allow it.

**Logits.** The program's scores start from logits ``z`` with ``sigmoid(z)`` = the model's own probability. A model that
ends in a sigmoid or softmax gives that away again: the values before a sigmoid; of a softmax over two classes their
difference; of one over more classes, or where probabilities are made in another way, ``ln(p) - ln(1 - p)``, in which
probabilities nearer to 0 or 1 than 1e-7 are taken as 1e-7 away. Scores are the model's own in every case.

**Head.** Where a model ends in ReLU > mean over the picture > linear, Grad-CAM of every finding needs no more than the
maps after the ReLU and the weights of the linear part (see :mod:`explain`). The mean is found by walking back from the
logits; what lies between the two is then *asked* for its weights, one map at a time, and believed only if weights and
mean maps give the same logits as the model for maps and films it was not asked with. Anything else has no head here.

Imports onnx and ONNX Runtime; used in the caged process of ``engines.convert_onnx`` and by tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from cxr_viewer.core.findings import OnnxSpec
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.onnxfile import INPUT_NAME, columns_of, refusal

LOGITS_NAME = "cxr:logits"
FEATURES_NAME = "cxr:features"
LEAST_PROBABILITY = 1e-7
MAX_MAPS = 8192

_POOLS = ("GlobalAveragePool", "ReduceMean", "AveragePool")
_SHAPES_ONLY = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "Transpose")
_LINEAR = (
    *_SHAPES_ONLY,
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
_TOLERANCE = 1e-4  # relative to the largest logit; ONNX Runtime's own order of summing moves it by about 1e-6
_SCORE_TOLERANCE = 1e-5


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


def session(model: ModelProto, *, optimised_to: str = "") -> onnxruntime.InferenceSession:
    """A model built by ONNX Runtime on one thread of the CPU.

    Args:
        optimised_to: a file that gets the model with its constants folded.

    Raises:
        ModelError: ``onnx-refused``: it cannot be built.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if optimised_to:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = optimised_to
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a kind of its own for each fault, without a common base
        raise refusal(
            "ONNX Runtime cannot build the model.", "Export it again with a common opset, e.g. 17.", detail=str(error)
        ) from error


def answer(built: onnxruntime.InferenceSession, film: Floats) -> list[Any]:
    """All outputs for one input: arrays, unless the model has made lists or texts of them.

    Raises:
        ModelError: ``onnx-refused``: it failed.
    """
    try:
        return list(built.run(None, {built.get_inputs()[0].name: film}))
    except Exception as error:  # see :func:`session`
        raise refusal(
            "The model fails when it is given a picture.",
            "Try it with ONNX Runtime in Python: it has to answer a picture of the card's size.",
            detail=str(error),
        ) from error


def add_logits(model: ModelProto, spec: OnnxSpec | None, labels: int, probes: list[Floats]) -> None:
    """Give the model the output ``LOGITS_NAME``, float32 (1, labels), in place of its own.

    Args:
        model: with its input fixed and one output.
        labels: how many the card names.
        probes: inputs to try it on.

    Raises:
        ModelError: ``onnx-refused``: the output has another form than the card says.
    """
    raw_name = model.graph.output[0].name
    built = session(model)
    raws = [answer(built, probe)[0] for probe in probes]
    values = _flat_size(raws[0])
    columns = columns_of(spec, values, labels)
    activation = spec.activation if spec is not None else "none"
    said = np.stack([np.asarray(raw, dtype=np.float64).ravel() for raw in raws])
    _refuse_wrong_activation(model, raw_name, activation, said)
    source = raw_name
    if activation != "none":
        source = _before(model, raw_name, activation) or ""
    if not source or (activation == "softmax" and values > 2):
        _probabilities_to_logits(model, raw_name, values, columns)
        return
    _linear_end(model, source, values, columns, difference=activation == "softmax")
    if activation == "none":
        return
    built = session(model)
    found = sigmoid(np.stack([np.asarray(answer(built, probe)[0], dtype=np.float64).ravel() for probe in probes]))
    if not np.allclose(found, said[:, columns], rtol=0, atol=_SCORE_TOLERANCE):  # e.g. a softmax over another dimension
        _probabilities_to_logits(model, raw_name, values, columns)


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


# ---------------------------------------------------------------- logits


def _flat_size(raw: object) -> int:
    if not isinstance(raw, np.ndarray) or raw.dtype.kind != "f" or raw.size == 0:
        raise refusal(
            "The model's output is not an array of numbers.",
            "Name the output with the scores in card.toml, [onnx] output; from scikit-learn, export with zipmap off.",
        )
    if raw.size != max(raw.shape, default=1):
        raise refusal(
            f"The model's output has the shape {list(raw.shape)}, a classifier gives one row of scores.",
            "Name the output with the scores in card.toml, under [onnx], as output.",
        )
    return int(raw.size)


def _refuse_wrong_activation(model: ModelProto, raw: str, activation: str, said: NDArray[np.float64]) -> None:
    last = _maker(model, raw, _SHAPES_ONLY)
    ends_in = last.op_type if last is not None else ""
    if activation == "none":
        if ends_in in ("Sigmoid", "Softmax"):
            raise refusal(
                "The model gives probabilities, its card says logits.",
                f'Write activation = "{ends_in.lower()}" in card.toml, under [onnx].',
            )
        return
    if not (np.isfinite(said).all() and said.min() >= 0 and said.max() <= 1 + 1e-6):
        raise refusal(
            "The model gives values outside 0 to 1, its card says probabilities.",
            'Write activation = "none" in card.toml, under [onnx].',
        )
    if activation == "softmax" and not np.allclose(said.sum(axis=1), 1.0, rtol=0, atol=1e-3):
        raise refusal(
            "The model's probabilities do not add up to 1, its card says softmax.",
            'Write activation = "sigmoid" in card.toml, under [onnx].',
        )


def _before(model: ModelProto, raw: str, activation: str) -> str | None:
    """What goes into the last sigmoid or softmax, None where the model does not end in one."""
    last = _maker(model, raw, _SHAPES_ONLY)
    if last is None or last.op_type != {"sigmoid": "Sigmoid", "softmax": "Softmax"}[activation]:
        return None
    return str(last.input[0])


def _maker(model: ModelProto, name: str, through: tuple[str, ...]) -> NodeProto | None:
    """The operation a value comes from, looking through those that only change its form."""
    made_by = {out: node for node in model.graph.node for out in node.output if out}
    node = made_by.get(name)
    while node is not None and node.op_type in through:
        node = made_by.get(node.input[0])
    return node


def _linear_end(model: ModelProto, source: str, values: int, columns: tuple[int, ...], *, difference: bool) -> None:
    """Logits as a product with a matrix that picks the columns, of two classes as one less the other."""
    pick = np.zeros((values, len(columns)), dtype=np.float32)
    for label, column in enumerate(columns):
        pick[column, label] = 1
        if difference:
            pick[1 - column, label] = -1
    shape = numpy_helper.from_array(np.array([1, values], dtype=np.int64), "cxr:shape")
    nodes = [
        helper.make_node("Reshape", [source, "cxr:shape"], ["cxr:values"]),
        helper.make_node("MatMul", ["cxr:values", "cxr:pick"], [LOGITS_NAME]),
    ]
    _end(model, nodes, [shape, numpy_helper.from_array(pick, "cxr:pick")], len(columns))


def _probabilities_to_logits(model: ModelProto, raw: str, values: int, columns: tuple[int, ...]) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "cxr:shape": np.array([1, values], dtype=np.int64),
        "cxr:columns": np.array(columns, dtype=np.int64),
        "cxr:least": np.array(LEAST_PROBABILITY, dtype=np.float32),
        "cxr:most": np.array(1 - LEAST_PROBABILITY, dtype=np.float32),
        "cxr:one": np.array(1, dtype=np.float32),
    }
    steps = [
        ("Cast", [raw], "cxr:float"),
        ("Reshape", ["cxr:float", "cxr:shape"], "cxr:values"),
        ("Gather", ["cxr:values", "cxr:columns"], "cxr:picked"),
        ("Max", ["cxr:picked", "cxr:least"], "cxr:low"),
        ("Min", ["cxr:low", "cxr:most"], "cxr:p"),
        ("Sub", ["cxr:one", "cxr:p"], "cxr:q"),
        ("Log", ["cxr:p"], "cxr:log p"),
        ("Log", ["cxr:q"], "cxr:log q"),
        ("Sub", ["cxr:log p", "cxr:log q"], LOGITS_NAME),
    ]
    more: dict[str, dict[str, Any]] = {"Cast": {"to": TensorProto.FLOAT}, "Gather": {"axis": 1}}
    nodes = [helper.make_node(kind, given, [out], **more.get(kind, {})) for kind, given, out in steps]
    _end(model, nodes, [numpy_helper.from_array(array, name) for name, array in arrays.items()], len(columns))


def _end(model: ModelProto, nodes: list[NodeProto], arrays: list[TensorProto], labels: int) -> None:
    """Put ``nodes`` at the end, in place of those an earlier attempt put there."""
    graph = model.graph
    kept_nodes = [node for node in graph.node if not any(_ours(name) for name in node.output)]
    kept_arrays = [tensor for tensor in graph.initializer if not _ours(tensor.name)]
    del graph.node[:], graph.initializer[:], graph.output[:]
    graph.node.extend([*kept_nodes, *nodes])
    graph.initializer.extend([*kept_arrays, *arrays])
    graph.output.append(helper.make_tensor_value_info(LOGITS_NAME, TensorProto.FLOAT, [1, labels]))


def _ours(name: str) -> bool:
    return name.startswith("cxr:") and name != INPUT_NAME


# ---------------------------------------------------------------- head


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
