"""From a foreign ONNX file to a graph for the engines, in a process that can do no harm.

The file is parsed, checked and tried out in a process of its own, shut into the cage of :mod:`cxr_viewer.core.cage`
(where the system has it: no writing outside a scratch folder, no network, no programs) with a limit of memory and of
time. What leaves it is a folder of :mod:`cxr_viewer.inference.engines.graph`; the window never sees the foreign file.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.imports import without_modules
from cxr_viewer.inference.cards import verify_weights
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.engines.graph import GRAPH_FILES, GraphArrays, graph_folder, read_graph, write_graph
from cxr_viewer.inference.engines.kept import write_folder
from cxr_viewer.inference.engines.probes import probe_film
from cxr_viewer.inference.preprocess import prepare

if TYPE_CHECKING:
    from onnx import ModelProto

PLAIN_NAME = "plain.onnx"
"""In the kept folder, beside the graph: the model as this program runs it, with logits and feature maps as outputs."""
MEMORY_BYTES = 8 << 30
"""Address space, of which the libraries take about 2 GiB for their code and threads."""
TIME_S = 300.0
SLOWEST_PASS_S = 20.0
"""A film that takes longer on one core keeps the reader waiting for nothing."""
_AGREES = 1e-4  # of logits, relative: folding constants and another engine move them by about 1e-6

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.inference.engines.convert_onnx import caged
caged(int(sys.argv[2]), sys.argv[3])
"""
_ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def convert_onnx(card: ModelCard, bundle: Path, folder: Path) -> None:
    """Make the graph of a bundle with ``weights.onnx`` and keep it in ``folder``, unless a whole one is there already.

    Raises:
        ModelError: ``weights-missing``, ``weights-damaged``, ``onnx-refused`` with what to do about it.
    """
    if read_graph(folder, card) is not None:
        return
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        _in_cage(card, bundle, scratch)
        made = scratch / folder.name
        if read_graph(made, card) is None:
            raise _died(card, "no graph was left")

        def fill(partial: Path) -> dict[str, Any]:
            for name in (*GRAPH_FILES, PLAIN_NAME):
                (made / name).rename(partial / name)
            return {}

        write_folder(folder, card.sha256, card.model_id, fill)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_cage(card: ModelCard, bundle: Path, scratch: Path) -> None:
    (scratch / "task").write_bytes(pickle.dumps((card, bundle.absolute())))
    root = str(Path(__file__).resolve().parents[3])
    search = [root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    process = subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", _BOOT, json.dumps(search), str(MEMORY_BYTES), str(scratch)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=scratch,
        env={**os.environ, **_ENVIRONMENT, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    try:
        status = process.wait(TIME_S)
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"The model “{card.name}” takes too long to prepare.",
            hint="Use a smaller model.",
            detail=f"stopped after {TIME_S:.0f} s",
            code="onnx-refused",
        ) from error
    finally:
        process.kill()
        process.wait()
    fault = _fault(scratch / "fault.json")
    if fault is not None:
        raise fault
    if status != 0:
        raise _died(card, f"exit status {status}")


def _fault(path: Path) -> ModelError | None:
    """What the process says went wrong. It has looked at a foreign file: only plain text is taken from it."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        summary, hint, detail, code = (str(said[name])[:4000] for name in ("summary", "hint", "detail", "code"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ModelError(summary, hint=hint, detail=detail, code=code)


def _died(card: ModelCard, detail: str) -> ModelError:
    return ModelError(
        f"The model “{card.name}” cannot be prepared: its file is damaged, or asks for more memory than it may.",
        hint="Use a smaller model, or export it again.",
        detail=detail,
        code="onnx-refused",
    )


# ---------------------------------------------------------------- in the process


def caged(memory_limit_bytes: int, scratch: str) -> None:
    """Prepare the model named by the task in ``scratch``; the graph or ``fault.json`` is left there."""
    place = Path(scratch)
    card, bundle = pickle.loads((place / "task").read_bytes())
    from cxr_viewer.core import cage

    cage.shut(place, memory_limit_bytes)
    try:
        prepare_onnx(card, bundle, place)
    except CxrError as error:
        fault: CxrError = error
    except Exception as error:  # a file nobody thought of: the libraries raise what they like
        fault = _died(card, "".join(traceback.format_exception(error)))
    else:
        return
    said = {name: getattr(fault, name) for name in ("summary", "hint", "detail", "code")}
    (place / "fault.json").write_text(json.dumps(said), encoding="utf-8")


def prepare_onnx(card: ModelCard, bundle: Path, place: Path) -> None:
    """Check a foreign model, give it our input and outputs, and write its graph below ``place``.

    Raises:
        ModelError: see :func:`convert_onnx`.
    """
    from cxr_viewer.inference import onnxfile, onnxhead, onnxlogits

    model = onnxfile.read_onnx(verify_weights(bundle, card), card.onnx.output if card.onnx is not None else "")
    verify_weights(bundle, card)  # no other version has taken its place while it was read
    onnxfile.fix_input(model, card)
    onnxfile.refuse_sizes(model, open_ones=False)
    plain = _folded(model, place)
    probes = probe_films(card)
    began = time.monotonic()
    built = onnxlogits.session(model)
    own = [onnxlogits.answer(built, probe)[0] for probe in probes]
    took = (time.monotonic() - began) / len(probes)
    if took > SLOWEST_PASS_S:
        raise onnxfile.refusal(f"The model takes {took:.0f} s for one film.", "Use a smaller model.")
    _refuse_difference(plain, own, probes)
    onnxlogits.add_logits(plain, card.onnx, len(card.labels), probes)
    head = onnxhead.find_head(plain, probes)
    if head is not None:
        onnxhead.add_features(plain, head)
    said = onnxlogits.answer(onnxlogits.session(plain), probes[0])
    arrays = GraphArrays(
        probe=probes[0],
        logits=said[0],
        features=said[1] if head is not None else None,
        head_weights=head.weights if head is not None else None,
        head_bias=head.bias if head is not None else None,
    )
    _write(card, plain, arrays, place)


def probe_films(card: ModelCard) -> list[Floats]:
    """Three inputs, float32 (1, channels, size, size), normalised as the card says: one like a film, chance, and one
    that is dark on one side and bright on the other."""
    size = card.input.size_px
    chance = np.random.default_rng(0).random((size, size), dtype=np.float32)
    halves = np.zeros((size, size), dtype=np.float32)
    halves[:, size // 2 :] = 1
    spec = dataclasses.replace(card.input, fit="stretch", crop_border=False, crop="", margin=0.0, denoise="")
    return [probe_film(card.input), *(prepare(grey, spec)[0][None] for grey in (chance, halves))]


def _folded(model: ModelProto, place: Path) -> ModelProto:
    """The model in plain ONNX with its constants computed, and the sizes of all that is in it known.

    Raises:
        ModelError: ``onnx-refused``: some are not, or are too large.
    """
    from cxr_viewer.inference import onnxfile, onnxlogits, onnxml

    path = place / "folded.onnx"
    lowered = type(model)()
    lowered.CopyFrom(model)
    onnxml.in_plain_onnx(lowered)
    onnxlogits.session(lowered, optimised_to=str(path))
    folded = onnxfile.parse(path)
    with contextlib.suppress(OSError):
        path.unlink()
    del folded.graph.value_info[:]
    onnxfile.refuse_foreign_domains(folded)
    onnxfile.refuse_sizes(folded, open_ones=True)
    return folded


def _refuse_difference(plain: ModelProto, own: list[Any], probes: list[Floats]) -> None:
    """Raises ModelError where the model gives no numbers, or others once its constants are folded."""
    from cxr_viewer.inference import onnxfile, onnxlogits

    built = onnxlogits.session(plain)
    for expected, probe in zip(own, probes, strict=True):
        if not isinstance(expected, np.ndarray) or expected.dtype.kind != "f":
            continue  # told by add_logits
        if not np.isfinite(expected).all():
            raise onnxfile.refusal(
                "The model gives no finite score.", "Check mean and std in card.toml, under [input]."
            )
        said = onnxlogits.answer(built, probe)[0]
        if not np.abs(said - expected).max(initial=0) <= _AGREES * max(1.0, float(np.abs(expected).max(initial=0))):
            raise onnxfile.refusal(
                "The model gives other scores once it is simplified.", "Export it again with a common opset, e.g. 17.",
                detail=f"{expected.ravel()[:50].tolist()} became {said.ravel()[:50].tolist()}",
            )  # fmt: skip


def _write(card: ModelCard, model: ModelProto, arrays: GraphArrays, place: Path) -> None:
    """Write the graph that OpenVINO reads, under the name of the folder it will have."""
    from cxr_viewer.inference import onnxfile
    from cxr_viewer.inference.engines.openvino import TELEMETRY

    with without_modules(TELEMETRY):
        import openvino

    path = place / PLAIN_NAME
    path.write_bytes(model.SerializeToString())
    try:
        graph = openvino.Core().read_model(path)
    except RuntimeError as error:
        raise onnxfile.refusal(
            "The model holds operations that the engine (OpenVINO) does not know.",
            "Export it again with operations that OpenVINO supports.",
            detail=str(error),
        ) from error
    folder = graph_folder(place, card)
    write_graph(folder, card, graph, arrays)
    path.rename(folder / PLAIN_NAME)
