"""What is refused of ONNX files that somebody else made: one sentence each, and nothing is harmed."""

from __future__ import annotations

import dataclasses
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, OnnxSpec, ScoreKind
from cxr_viewer.inference import onnxfile
from cxr_viewer.inference.cards import ONNX_NAME, file_sha256
from cxr_viewer.inference.engines import convert_onnx as converting
from cxr_viewer.inference.engines.convert_onnx import convert_onnx, prepare_onnx

SIZE = 32
Nodes = list[onnx.NodeProto]
Arrays = dict[str, np.ndarray]


def model(
    nodes: Nodes | None = None,
    arrays: Arrays | None = None,
    *,
    sizes: list[int | str] | None = None,
    kind: int = TensorProto.FLOAT,
    outputs: tuple[str, ...] = ("logits",),
    domains: tuple[str, ...] = ("",),
) -> ModelProto:
    """Mean over the picture > Gemm to two values; ``nodes`` stand between ``film`` and ``x`` in place of a copy."""
    nodes = nodes if nodes is not None else [helper.make_node("Identity", ["film"], ["x"])]
    known: Arrays = {
        "w": np.array([[1.5], [-0.5]], dtype=np.float32),
        "axes": np.array([2, 3]),
        "row": np.array([1, 1]),
        **(arrays or {}),
    }
    end = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["logits"], transB=1),
        helper.make_node("Sigmoid", ["logits"], ["p"]),
    ]
    graph = helper.make_graph(
        [*nodes, *end],
        "g",
        [helper.make_tensor_value_info("film", kind, sizes or ["n", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in known.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid(name, 18 if not name else 1) for name in domains], ir_version=9
    )


def card(**changes: object) -> ModelCard:
    made = ModelCard(
        model_id="foreign", name="Foreign", version="1", network="onnx", sha256="0" * 64, licence="test",
        labels=(LabelSpec("A", 0.5), LabelSpec("B", 0.5)), score_kind=ScoreKind.UNCALIBRATED,
        input=InputSpec(size_px=SIZE, fit="pad", crop_border=False, mean=0.5, std=0.25), temperature=1.0, bias=0.0,
        intended_ages=None, intended_views=(), intended_use="Tests only.", trained_on="nothing", onnx=OnnxSpec(),
    )  # fmt: skip
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def refused(folder: Path, what: ModelProto | bytes, given: ModelCard, *, caged: bool = False) -> ModelError:
    """The refusal of a file, by what runs in the cage, or by all of it."""
    folder.mkdir(exist_ok=True)
    (folder / ONNX_NAME).write_bytes(what if isinstance(what, bytes) else what.SerializeToString())
    given = dataclasses.replace(given, sha256=file_sha256(folder / ONNX_NAME))
    place = folder / "place"
    place.mkdir()
    run = convert_onnx if caged else prepare_onnx
    with pytest.raises(ModelError) as error:
        run(given, folder, place / "graph" if caged else place)
    assert error.value.code == "onnx-refused"
    assert error.value.hint
    assert not list(place.glob("graph*"))
    return error.value


def test_the_model_these_are_variations_of_is_taken(tmp_path: Path) -> None:
    (tmp_path / ONNX_NAME).write_bytes(model().SerializeToString())
    good = card(sha256=file_sha256(tmp_path / ONNX_NAME))
    prepare_onnx(good, tmp_path, tmp_path)
    assert list(tmp_path.glob("foreign-*/graph.xml"))


# ---------------------------------------------------------------- not usable as it is


@pytest.mark.parametrize(
    ("made", "changes", "sentence"),
    [
        (model(sizes=[4, 1, SIZE, SIZE]), {}, "takes 4 pictures at a time"),
        (model(sizes=["n", 1, 64, 64]), {}, "pictures of 64 x 64 pixels, its card says 32"),
        (model(sizes=["n", 3, SIZE, SIZE]), {}, "takes 3 channels, its card says 1"),
        (model(sizes=["n", SIZE, SIZE, 1]), {}, "pictures of 32 channels"),
        (model(sizes=["n", SIZE * SIZE]), {}, "input has 2 dimensions"),
        (model(kind=TensorProto.DOUBLE), {}, "input is not float32"),
        (model(outputs=("logits", "p")), {}, "has 2 outputs"),
        (model(), {"onnx": OnnxSpec(output="scores")}, "no output “scores”"),
        (model(), {"labels": (LabelSpec("A", 0.5),)}, "output has 2 values, its card names 1 labels"),
        (model(), {"onnx": OnnxSpec(columns=(0, 2))}, "output has 2 values, its card names 2 labels"),
        (model(outputs=("p",)), {}, "gives probabilities, its card says logits"),
        (model(), {"onnx": OnnxSpec(activation="sigmoid")}, "values outside 0 to 1, its card says probabilities"),
        (model(outputs=("p",)), {"onnx": OnnxSpec(activation="softmax")}, "do not add up to 1, its card says softmax"),
        (model(outputs=("x",)), {}, "a classifier gives one row of scores"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_its_card_is_told(
    tmp_path: Path, made: ModelProto, changes: dict[str, object], sentence: str
) -> None:
    assert sentence in refused(tmp_path / "bundle", made, card(**changes)).summary


def test_two_inputs_are_one_too_many(tmp_path: Path) -> None:
    made = model([helper.make_node("Add", ["film", "age"], ["x"])])
    made.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))
    assert "wants 2 inputs" in refused(tmp_path / "bundle", made, card()).summary


# ---------------------------------------------------------------- not ONNX, or damaged


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x09" * 500, b"PK\x03\x04" + bytes(100)], ids=repr)
def test_other_files_are_told(tmp_path: Path, data: bytes) -> None:
    assert "is not a model in ONNX" in refused(tmp_path / "bundle", data, card()).summary


def test_a_file_cut_off_anywhere_is_refused_or_is_whole_without_the_rest(tmp_path: Path) -> None:
    whole = model().SerializeToString()
    for number, length in enumerate(range(1, len(whole) - 1, 23)):
        refused(tmp_path / f"bundle{number}", whole[:length], card())


def test_a_name_that_is_no_text_is_damage(tmp_path: Path) -> None:
    data = model().SerializeToString().replace(b"ReduceMean", b"Reduce\xff\xfean")
    assert "is not a model in ONNX" in refused(tmp_path / "bundle", data, card()).summary


def test_what_nobody_thought_of_is_told_by_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = "import cxr_viewer.inference.engines.convert_onnx as c\nc.prepare_onnx = lambda *given: 1 / 0\n"
    lines = converting._BOOT.splitlines()
    monkeypatch.setattr(converting, "_BOOT", "\n".join([*lines[:3], boot, *lines[3:]]))
    found = refused(tmp_path / "bundle", model(), card(), caged=True)
    assert "its file is damaged, or asks for more memory" in found.summary
    assert "ZeroDivisionError" in found.detail


def test_a_larger_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxfile, "MAX_FILE_BYTES", 1 << 20)
    found = refused(tmp_path / "bundle", model(arrays={"more": np.zeros(1 << 19, np.float32)}), card())
    assert "has 2 MiB; models of up to 1 MiB are taken" in found.summary


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_has_no_end_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    for path in (tmp_path / "pipe.onnx", Path("/dev/zero"), tmp_path, tmp_path / "nothing.onnx"):
        with pytest.raises(ModelError) as fault:
            onnxfile.parse(path)
        assert fault.value.summary == f"The file {path.name} cannot be read."


def test_a_newer_form_is_told(tmp_path: Path) -> None:
    made = model()
    made.ir_version = onnx.IR_VERSION + 1
    assert "written by a newer ONNX" in refused(tmp_path / "bundle", made, card()).summary


# ---------------------------------------------------------------- hostile


def external() -> ModelProto:
    """Weights that are said to lie in a file of the reader's."""
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return made


def hidden_external() -> ModelProto:
    """The same, in the attribute of a Constant."""
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=tensor)
    return model([constant, helper.make_node("Add", ["film", "c"], ["x"])])


def loop() -> ModelProto:
    """A loop of 2**62 turns."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w2"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w2", TensorProto.FLOAT, None),
        ],
    )
    node = helper.make_node("Loop", ["turns", "yes", "film"], ["x"], body=body)
    return model([node], {"turns": np.array(1 << 62), "yes": np.array(True)})


def function() -> ModelProto:
    """An operation the file defines itself; a chain of such can stand for any number of operations."""
    made = model([helper.make_node("Twice", ["film"], ["x"], domain="own")], domains=("", "own"))
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    made.functions.append(twice)
    return made


def custom() -> ModelProto:
    """An operation that only a library brought along could run."""
    return model([helper.make_node("System", ["film"], ["x"], domain="com.example")], domains=("", "com.example"))


def chance() -> ModelProto:
    noise = helper.make_node("RandomNormalLike", ["film"], ["noise"])
    return model([noise, helper.make_node("Add", ["film", "noise"], ["x"])])


def blown_up(kind: str) -> ModelProto:
    """A constant of 4 TiB, made by a few bytes."""
    huge = np.array([1, 1, 1 << 20, 1 << 20])
    small = np.zeros((1, 1, 1, 1), np.float32)
    makers = {
        "ConstantOfShape": [helper.make_node("ConstantOfShape", ["huge"], ["big"])],
        "Expand": [helper.make_node("Expand", ["small", "huge"], ["big"])],
        "Tile": [helper.make_node("Tile", ["small", "huge"], ["big"])],
    }
    mean = helper.make_node("ReduceMean", ["big"], ["little"])
    arrays: Arrays = {"huge": huge, "small": small}
    return model([*makers[kind], mean, helper.make_node("Add", ["film", "little"], ["x"])], arrays)


def film_decides() -> ModelProto:
    """A result as large as the film says: harmless for every probe, 4 GiB for a white film."""
    nodes = [
        helper.make_node("ReduceMax", ["film"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "many"], ["much"]),
        helper.make_node("Cast", ["much"], ["count"], to=TensorProto.INT64),
        helper.make_node("Clip", ["count", "one"], ["at least one"]),
        helper.make_node("Reshape", ["at least one", "one"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceMean", ["big"], ["little"], keepdims=0),
        helper.make_node("Add", ["film", "little"], ["x"]),
    ]
    return model(nodes, {"many": np.array(3, np.float32), "one": np.array(1)})


HOSTILE: dict[str, tuple[Callable[[], ModelProto], str]] = {
    "external": (external, "keeps its weights in other files"),
    "hidden-external": (hidden_external, "keeps its weights in other files"),
    "loop": (loop, "holds a branch or loop (“Loop”)"),
    "function": (function, "holds functions of its own"),
    "custom": (custom, "uses “System” of the domain “com.example”"),
    "chance": (chance, "holds “RandomNormalLike”"),
    "film-decides": (film_decides, "depends on the film"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_their_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = HOSTILE[name]
    assert sentence in refused(tmp_path / "bundle", make(), card()).summary


@pytest.mark.parametrize("kind", ["ConstantOfShape", "Expand", "Tile"])
def test_a_constant_without_end_costs_a_sentence(tmp_path: Path, kind: str) -> None:
    """In the cage, as the program does it: whatever the library does with it, it does there."""
    found = refused(tmp_path / "bundle", blown_up(kind), card(), caged=True)
    assert "more than 256 MiB" in found.summary or "memory" in found.summary


def test_more_operations_than_any_classifier_has(tmp_path: Path) -> None:
    names = ["film", *(f"v{number}" for number in range(onnxfile.MAX_NODES)), "x"]
    nodes = [helper.make_node("Neg", [given], [made]) for given, made in itertools.pairwise(names)]
    assert "operations and" in refused(tmp_path / "bundle", model(nodes), card()).summary


def test_what_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "TIME_S", 0.01)
    found = refused(tmp_path / "bundle", model(), card(), caged=True)
    assert "takes too long to prepare" in found.summary
    assert not list((tmp_path / "bundle" / "place").iterdir())


def test_a_process_that_dies_costs_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "_BOOT", "import os; os.abort()")
    assert (
        "its file is damaged, or asks for more memory"
        in refused(tmp_path / "bundle", model(), card(), caged=True).summary
    )


def test_parts_nobody_needs_do_no_harm(tmp_path: Path) -> None:
    """An operation of a foreign domain that the scores do not depend on is left out, as a text label is."""
    made = model(domains=("", "com.example"))
    made.graph.node.append(helper.make_node("System", ["x"], ["label"], domain="com.example"))
    made.graph.output.append(helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]))
    (tmp_path / ONNX_NAME).write_bytes(made.SerializeToString())
    good = card(sha256=file_sha256(tmp_path / ONNX_NAME), onnx=OnnxSpec(output="logits"))
    prepare_onnx(good, tmp_path, tmp_path)
    assert list(tmp_path.glob("foreign-*/graph.xml"))


_TELLING = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.core import cage
from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.engines import convert_onnx
shut = cage.shut
def told(place, memory):
    protections = shut(place, memory)
    raise ModelError("missing: " + ", ".join(protections.missing), hint="-", code="onnx-refused")
cage.shut = told
try:
    convert_onnx.caged(int(sys.argv[2]), sys.argv[3])
except ModelError as error:
    said = {"summary": error.summary, "hint": "-", "detail": "", "code": error.code}
    open(sys.argv[3] + "/fault.json", "w").write(json.dumps(said))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has all parts of the cage")
def test_the_process_is_in_the_cage_before_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that start threads as they load would keep the cage open."""
    monkeypatch.setattr(converting, "_BOOT", _TELLING)
    assert refused(tmp_path / "bundle", model(), card(), caged=True).summary == "missing: "
