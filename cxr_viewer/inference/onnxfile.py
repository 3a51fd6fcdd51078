"""Reading a classifier in ONNX that somebody else made, and refusing what cannot be used or trusted.

Imports onnx, parses foreign files: used only in the caged process of ``engines.convert_onnx``, by the command line and
by tests. Nothing in an ONNX file runs code by itself; what remains is a graph that reads other files (external data),
never ends (loops), or asks for more memory than there is. Those are refused here by looking at the graph, before any
library builds it, and the cage holds what is overlooked.

After ONNX IR 10 (github.com/onnx/onnx, docs/IR.md) and the operators of the domains ``ai.onnx`` and ``ai.onnx.ml``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

from cxr_viewer.core.errors import ModelError

if TYPE_CHECKING:
    from cxr_viewer.core.findings import ModelCard, OnnxSpec

MAX_FILE_BYTES = 1 << 29
"""512 MiB: twenty times a DenseNet-121; parsing takes about three times the size in memory."""
MAX_NODES = 20_000
MAX_TENSORS = 20_000
MAX_VALUE_BYTES = 1 << 28
"""Of one intermediate result, 256 MiB: 64 feature maps of 1024 x 1024."""
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
INPUT_NAME = "cxr:film"

_GRAPHS = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_FIXED_RESULTS = "Export the model with fixed sizes (no lists, texts or chance inside)."
_NOT_FIXED = (
    ("Random", "Bernoulli", "Multinomial"),  # another score each time
    ("Sequence", "SplitToSequence", "ConcatFromSequence", "Optional"),
    ("String", "Regex", "TfIdf", "ImageDecoder", "ZipMap", "DictVectorizer", "CastMap"),
)


def refusal(summary: str, hint: str, *, detail: str = "", code: str = "onnx-refused") -> ModelError:
    """The one sentence for a model in ONNX that is not taken, and what to do."""
    return ModelError(summary, hint=hint, detail=detail, code=code)


def read_onnx(path: Path, output: str = "") -> ModelProto:
    """A model from a file, cut down to what one output needs, and checked.

    Args:
        output: the name of the output that is wanted; empty: the only one.

    Raises:
        ModelError: ``onnx-refused``: not ONNX, damaged, too large, or holds what this program does not run.
    """
    model = parse(path)
    keep_output(model, output)
    refuse_contents(model)
    try:
        onnx.checker.check_model(model, full_check=False)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise refusal(
            "The file weights.onnx breaks the rules of ONNX.",
            "Export the model again; onnx.checker.check_model has to accept it.",
            detail=str(error),
        ) from error
    return model


def parse(path: Path) -> ModelProto:
    """The file as it is, its size and its own form checked, its contents not yet.

    Raises:
        ModelError: ``onnx-refused``.
    """
    try:
        if not path.is_file():  # to open a pipe would be to wait for ever, a device to fill the memory
            raise FileNotFoundError(path)
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_FILE_BYTES else b""
    except OSError as error:
        raise refusal(
            f"The file {path.name} cannot be read.",
            "Check its name; of an installed model: install it again.",
            detail=str(error),
            code="weights-missing",
        ) from error
    if size > MAX_FILE_BYTES:
        raise refusal(
            f"The file {path.name} has {size >> 20} MiB; models of up to {MAX_FILE_BYTES >> 20} MiB are taken.",
            "Use a smaller model.",
        )
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise _not_onnx(str(error), path.name) from error
    if not model.graph.node:
        raise _not_onnx(f"no operation in a file of {size} bytes", path.name)
    if not all(isinstance(text, str) for text in _texts(model)):  # protobuf hands over bytes where they are no text
        raise _not_onnx("a name is not UTF-8", path.name)
    if model.ir_version > onnx.IR_VERSION:
        raise refusal(
            f"The file {path.name} was written by a newer ONNX than this program knows.",
            f"Export it with opset {onnx.defs.onnx_opset_version()} or lower.",
            detail=f"IR version {model.ir_version}, known {onnx.IR_VERSION}",
        )
    return model


def keep_output(model: ModelProto, output: str = "") -> None:
    """Remove whatever the wanted output does not need: other outputs, the text labels of scikit-learn, training data.

    Raises:
        ModelError: ``onnx-refused``: no such output, or several and none was named.
    """
    graph = model.graph
    names = [value.name for value in graph.output]
    if not output and len(names) == 1:
        output = names[0]
    if output not in names:
        raise refusal(
            f"The model has no output “{output}”." if output else f"The model has {len(names)} outputs.",
            f"Write in card.toml, under [onnx], output = one of: {', '.join(names)[:300]}.",
        )
    made_by = {name: node for node in graph.node for name in node.output if name}
    needed, open_names = set[str](), [output]
    while open_names:
        name = open_names.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in made_by:
            open_names += [*made_by[name].output, *made_by[name].input]
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    kept = {name for node in nodes for name in node.input} | {output}
    wanted = [value for value in graph.output if value.name == output]
    _replace(graph.node, nodes)
    _replace(graph.output, wanted)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in kept])
    _replace(graph.sparse_initializer, [item for item in graph.sparse_initializer if item.values.name in kept])
    _replace(graph.input, [value for value in graph.input if value.name in kept])
    del graph.value_info[:], graph.quantization_annotation[:], model.training_info[:], model.metadata_props[:]


def refuse_contents(model: ModelProto) -> None:
    """Refuse what no library shall be handed.

    Raises:
        ModelError: ``onnx-refused``, one sentence for the first thing found.
    """
    graph = model.graph
    if model.functions:
        raise refusal(
            "The model holds functions of its own.", "Export it with its functions inlined (onnx.inliner).",
            detail=", ".join(function.name for function in model.functions)[:300],
        )  # fmt: skip
    if len(graph.node) > MAX_NODES or len(graph.initializer) > MAX_TENSORS:
        raise refusal(
            f"The model has {len(graph.node)} operations and {len(graph.initializer)} arrays.",
            f"Up to {MAX_NODES} of each are taken: simplify the model.",
        )
    for node in graph.node:
        _refuse_node(node)
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.DEFAULT or tensor.external_data:
            raise refusal(
                "The model keeps its weights in other files, which are not read.",
                "Save it as one file (onnx.save_model with save_as_external_data=False).",
                detail=f"external data of {tensor.name!r}",
            )
        if any(size < 0 for size in tensor.dims):
            raise _not_onnx(f"array {tensor.name!r} of shape {list(tensor.dims)}")


def film_input(model: ModelProto) -> ValueInfoProto:
    """The one input that takes the film.

    Raises:
        ModelError: ``onnx-refused``: none or several, not float32, not of four dimensions.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    known |= {item.values.name for item in model.graph.sparse_initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    if len(inputs) != 1:
        raise refusal(
            f"The model wants {len(inputs)} inputs; a film is one.",
            "Export it with one input, the picture.",
            detail=", ".join(value.name for value in inputs),
        )
    kind = inputs[0].type
    if kind.WhichOneof("value") != "tensor_type" or kind.tensor_type.elem_type != TensorProto.FLOAT:
        raise refusal("The model's input is not float32.", "Export it so that it takes float32 pictures.")
    if len(kind.tensor_type.shape.dim) != 4:
        count = len(kind.tensor_type.shape.dim)
        raise refusal(
            f"The model's input has {count} dimensions, a picture has four (film, channel, row, column).",
            "Put a Reshape in front of it; docs/adding-models.md shows how.",
        )
    film: ValueInfoProto = inputs[0]
    return film


def input_shape(model: ModelProto) -> tuple[int | None, int | None, int | None, int | None]:
    """The four sizes of the input, None where any is taken. Raises like :func:`film_input`."""
    dims = film_input(model).type.tensor_type.shape.dim
    found = [dim.dim_value if dim.WhichOneof("value") == "dim_value" else None for dim in dims]
    return (found[0], found[1], found[2], found[3])


def fix_input(model: ModelProto, card: ModelCard) -> None:
    """Make the model take ``INPUT_NAME``, float32 (1, channels, size, size) as :mod:`preprocess` gives it.

    Raises:
        ModelError: ``onnx-refused``: it wants another batch, number of channels or size than the card says.
    """
    last = card.onnx is not None and card.onnx.layout == "NHWC"
    shape = input_shape(model)
    batch, channels, rows, columns = (shape[0], shape[3], shape[1], shape[2]) if last else shape
    if batch not in (None, 1):
        raise refusal(
            f"The model takes {batch} pictures at a time.", "Export it for one, or with a batch that is left open."
        )
    _refuse_channels(channels, card, last=last)
    size = card.input.size_px
    if rows not in (None, size) or columns not in (None, size):
        raise refusal(
            f"The model takes pictures of {rows or 'any'} x {columns or 'any'} pixels, its card says {size}.",
            f"Write size_px = {rows or columns} in card.toml, under [input]; the picture has to be square.",
        )
    given = film_input(model)
    fed = [1, card.input.channels, size, size]
    kept = [value for value in model.graph.input if value.name != given.name]
    if last:
        turn = helper.make_node("Transpose", [INPUT_NAME], [given.name], perm=[0, 2, 3, 1])
    else:
        turn = helper.make_node("Identity", [INPUT_NAME], [given.name])
    nodes = [turn, *model.graph.node]
    film = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, fed)
    _replace(model.graph.node, nodes)
    _replace(model.graph.input, [film, *kept])


def _refuse_channels(channels: int | None, card: ModelCard, *, last: bool) -> None:
    wanted = card.input.channels
    if channels in (None, wanted):
        return
    if channels in (1, 3):
        raise refusal(
            f"The model takes {channels} channel{'s' if channels > 1 else ''}, its card says {wanted}.",
            f"Write channels = {channels} in card.toml, under [input].",
        )
    raise refusal(
        f"The model takes pictures of {channels} channels; a film has 1, or 3 for networks of colour photographs.",
        f"If its channels come {'first' if last else 'last'}, write layout = "
        f"\"{'NCHW' if last else 'NHWC'}\" in card.toml, under [onnx].",
    )  # fmt: skip


def refuse_foreign_domains(model: ModelProto) -> None:
    """Refuse operations that are not part of ONNX. Raises like :func:`refuse_contents`."""
    for node in model.graph.node:
        _refuse_node(node)


def refuse_sizes(model: ModelProto, *, open_ones: bool) -> None:
    """Refuse results that are too large or, with ``open_ones``, whose size is not known beforehand: a film could make
    the program grow at will.

    Args:
        model: with a fixed input; for ``open_ones`` with constants folded.

    Raises:
        ModelError: ``onnx-refused``.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=open_ones, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise refusal(
            "The sizes inside the model contradict each other.", "Export the model again.", detail=str(error)
        ) from error
    graph = inferred.graph
    kinds = {value.name: value.type for value in (*graph.value_info, *graph.output, *graph.input)}
    for node in graph.node:
        for name in filter(None, node.output):
            size = _value_bytes(kinds.get(name))
            if size is None and open_ones:
                raise refusal(f"How large the result of “{node.op_type}” gets depends on the film.", _FIXED_RESULTS)
            if size is not None and size > MAX_VALUE_BYTES:
                raise refusal(
                    f"A result of “{node.op_type}” inside the model takes more than {MAX_VALUE_BYTES >> 20} MiB.",
                    "Use a smaller model or a smaller picture.",
                    detail=f"{name}: {size} bytes",
                )


def _value_bytes(kind: TypeProto | None) -> int | None:
    """Size of a tensor, None where it is not known."""
    if kind is None or kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        return None
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.tensor_type.shape.dim]
    if min(dims, default=0) < 0:
        return None
    return math.prod(dims) * helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type).itemsize


def columns_of(spec: OnnxSpec | None, values: int, labels: int) -> tuple[int, ...]:
    """Which value of the output belongs to each label.

    Args:
        values: how many the output has.
        labels: how many the card names.

    Raises:
        ModelError: ``onnx-refused``: they do not fit.
    """
    columns = spec.columns if spec is not None and spec.columns else tuple(range(values))
    if len(columns) != labels or any(not 0 <= column < values for column in columns):
        raise refusal(
            f"The model's output has {values} values, its card names {labels} labels.",
            f"Write in card.toml, under [onnx], columns = a number of 0 to {values - 1} for each label.",
        )
    return columns


def _refuse_node(node: NodeProto) -> None:
    if node.domain not in DOMAINS:
        raise refusal(
            f"The model uses “{node.op_type}” of the domain “{node.domain}”, which is not part of ONNX.",
            "Export it with standard ONNX operations only.",
        )
    if any(attribute.type in _GRAPHS or attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
        raise refusal(f"The model holds a branch or loop (“{node.op_type}”).", "Export it without control flow.")
    if any(node.op_type.startswith(kind) for kinds in _NOT_FIXED for kind in kinds):
        raise refusal(
            f"The model holds “{node.op_type}”, which a classifier of pictures does not need.", _FIXED_RESULTS
        )


def _texts(model: ModelProto) -> Iterator[object]:
    """Names of operations, values and arrays."""
    graph = model.graph
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (item.name for kind in (graph.input, graph.output, graph.initializer) for item in kind)
    yield from (item.domain for item in model.opset_import)


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every array in the model: weights, sparse weights and those of attributes."""
    sparse = list(model.graph.sparse_initializer)
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            sparse += (attribute.sparse_tensor, *attribute.sparse_tensors)
    for item in sparse:
        yield from (item.values, item.indices)


def _replace(field: Any, items: list[Any]) -> None:
    """A repeated field of a protobuf message with other items, or fewer of its own."""
    del field[:]  # what is in the list lives on
    field.extend(items)


def _not_onnx(detail: str, name: str = "weights.onnx") -> ModelError:
    return refusal(
        f"The file {name} is not a model in ONNX, or is damaged.",
        "Export or install the model again.",
        detail=detail,
    )
