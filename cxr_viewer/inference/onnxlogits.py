"""From the answers of a foreign classifier to logits.

The program's scores start from logits ``z`` with ``sigmoid(z)`` = the model's own probability. A model that
ends in a sigmoid or softmax gives that away again: the values before a sigmoid; of a softmax over two classes their
difference; of one over more classes, or where probabilities are made in another way, ``ln(p) - ln(1 - p)``, in which
probabilities nearer to 0 or 1 than 1e-7 are taken as 1e-7 away. Scores are the model's own in every case.

Imports onnx and ONNX Runtime; used in the caged process of ``engines.convert_onnx`` and by tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from cxr_viewer.core.findings import OnnxSpec
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.inference.onnxfile import INPUT_NAME, columns_of, refusal

Floats = NDArray[np.float32]

LOGITS_NAME = "cxr:logits"
LEAST_PROBABILITY = 1e-7
SHAPES_ONLY = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "Transpose")
"""Operations that leave the values as they are."""

_SCORE_TOLERANCE = 1e-5


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
    last = _maker(model, raw, SHAPES_ONLY)
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
    last = _maker(model, raw, SHAPES_ONLY)
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
