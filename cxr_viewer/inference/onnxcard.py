"""The beginning of a card for a classifier in ONNX: what the file tells of itself, and what only its maker knows.

What cannot be read from the file (how the training normalised its pictures, for whom the model is meant, its operating
points) is left out on purpose: the program names such a line, and the model is not used until it is filled in.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from onnx import ModelProto, TensorProto

from cxr_viewer.inference import onnxfile
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.inference.onnxlogits import SHAPES_ONLY

_UNKNOWN_SIZE_PX = 224
_SKELETON = """\
# Card of {file}. Lines that begin with "# fill in" are missing: only who made the model knows them.
schema = 1
id = {id}
name = {id}
version = "1"
network = "onnx"
sha256 = {sha256}
score_kind = "uncalibrated"  # "calibrated" only if its probabilities were held against films it has not learned from
# fill in: licence = "..."
# fill in: trained_on = "..."
cautions = []

[intended]
# fill in: use = "one sentence, always in view beside the score"
views = ["PA", "AP"]
# fill in, or leave out for any age: ages_years = [18, 95]

[calibration]
temperature = 1.0
bias = 0.0

[input]
size_px = {size}{size_note}
# fill in: fit = "pad"  # "pad" whole film in a square, "crop" its middle, "stretch" squeezed
crop_border = false
# fill in: intensity = "presented"  # 0 and 1 at the ends of the film's presentation; "stretched": at its percentiles
# fill in: mean = 0.5  # the model is fed (grey - mean) / std, grey in 0..1, bone bright
# fill in: std = 0.25
channels = {channels}

[onnx]
output = {output}
activation = {activation}
layout = {layout}
"""
_LABEL = """
[[labels]]
# fill in: name = "..."  # value {number} of the output
# fill in: threshold = 0.5  # operating point, 0..1
"""


def card_skeleton(path: Path) -> str:
    """The text of a ``card.toml`` for an ONNX file, with its gaps marked ``# fill in``.

    Raises:
        ModelError: ``onnx-refused``: not a file that this program takes; one sentence says why.
    """
    model = onnxfile.parse(path)
    output = _likely_output(model)
    onnxfile.keep_output(model, output)
    onnxfile.refuse_contents(model)
    shape = onnxfile.input_shape(model)
    last = shape[1] not in (1, 3, None) and shape[3] in (1, 3)
    size = shape[1] if last else shape[2]
    channels = shape[3] if last else shape[1]
    text = _SKELETON.format(
        file=re.sub(r"[^\w.-]", "_", path.name),
        id=json.dumps(re.sub(r"[^A-Za-z0-9.-]+", "-", path.stem).strip("-").lower() or "model"),
        sha256=json.dumps(file_sha256(path)),
        size=size or _UNKNOWN_SIZE_PX,
        size_note="" if size else "  # the file takes any size: write the one it was trained with",
        channels=channels if channels in (1, 3) else 1,
        output=json.dumps(output),
        activation=json.dumps(_activation(model)),
        layout=json.dumps("NHWC" if last else "NCHW"),
    )
    return text + "".join(_LABEL.format(number=number) for number in range(_values(model)))


def _likely_output(model: ModelProto) -> str:
    """The only output, or the only one of numbers in rows, or the one called like scores.

    Raises:
        ModelError: ``onnx-refused``: none or several.
    """
    names = [value.name for value in model.graph.output]
    rows = [
        value.name
        for value in model.graph.output
        if value.type.tensor_type.elem_type == TensorProto.FLOAT and len(value.type.tensor_type.shape.dim) >= 2
    ]
    called = [name for name in rows if re.search(r"logit|prob|score", name, re.IGNORECASE)]
    for some in (names, rows, called):
        if len(some) == 1:
            return str(some[0])
    raise onnxfile.refusal(
        f"The model has {len(names)} outputs, and which one holds the scores is not clear.",
        "Write the card by hand; docs/adding-models.md shows how.",
        detail=", ".join(names),
    )


def _activation(model: ModelProto) -> str:
    made_by = {name: node for node in model.graph.node for name in node.output}
    node = made_by.get(model.graph.output[0].name)
    while node is not None and node.op_type in SHAPES_ONLY:
        node = made_by.get(node.input[0])
    kind = str(node.op_type) if node is not None else ""
    if kind in ("Sigmoid", "Softmax"):
        return kind.lower()
    return "softmax" if "prob" in model.graph.output[0].name.lower() else "none"


def _values(model: ModelProto) -> int:
    """Number of values of the output as the file declares it, at least 1 where it does not."""
    dims = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim][1:]
    return max(1, math.prod(dims)) if dims else 1
