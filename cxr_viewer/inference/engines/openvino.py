"""The CPU engine of the window: OpenVINO, in float32 or, where the scores agree, in bfloat16 or int8.

Importing this module imports nothing heavy. OpenVINO itself comes with the first engine: its files are first read
through once, which lets other threads run, so that loading them holds the interpreter only for the moment of linking.
*Measured* with a thread that wants to run every 5 ms: import, graph, compiling and the first pass take 0.25 s and the
longest gap is 15 to 26 ms (33 to 41 ms on a machine busy with other work); without reading through and with files not
yet in memory it was 46 to 65 ms.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.imports import without_modules
from cxr_viewer.inference.engines import Floats, one_by_one, thread_count
from cxr_viewer.inference.engines.graph import GRAPH_NAME, GraphArrays, read_graph

TELEMETRY = "openvino_telemetry"
"""The package that sends usage to a server on the internet from the converter, and from NNCF."""

PRECISIONS = ("f32", "bf16", "int8")
_CONVERTER = "openvino.tools.ovc"
_TOLERANCE = 1e-3  # of the probe's logits; engines differ by about 1e-6, a wrong graph by far more

CONFIG = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    "INFERENCE_NUM_THREADS": thread_count(),
    "INFERENCE_PRECISION_HINT": "f32",  # the default is bfloat16 where the CPU has it: scores move by 0.01
    "EXECUTION_MODE_HINT": "ACCURACY",
    "ENABLE_CPU_PINNING": False,  # pinned threads and the window would fight for the same core
}
"""How the CPU is used; see OpenVINO's CPU device properties."""

FASTER = {"bf16": {"INFERENCE_PRECISION_HINT": "bf16", "EXECUTION_MODE_HINT": "PERFORMANCE"}}


class OpenVinoEngine:
    """A graph compiled for this CPU.

    Args:
        folder: of :mod:`cxr_viewer.inference.engines.graph`; every digest is checked.
        precision: one of :data:`PRECISIONS`. In float32 the probe's answer has to be the reference's to the third
            decimal; of the others :mod:`~cxr_viewer.inference.engines.agreement` decides on real films.
        graph: another ``.xml`` file of the same weights, its digest checked already; by default the folder's own.

    Raises:
        ModelError: ``no-graph`` when the folder does not hold a whole graph of these weights, ``no-openvino``,
            ``no-engine`` when this processor does not compute in the precision, ``engine-differs`` when the probe's
            answer is not the reference's, ``engine-failed``.
    """

    def __init__(self, folder: Path, card: ModelCard, precision: str = "f32", graph: Path | None = None) -> None:
        arrays = read_graph(folder, card)
        if arrays is None:
            raise ModelError("The model is not prepared for this computer yet.", code="no-graph")
        self._precision = precision
        try:
            self._request: Any = _compiled(graph or folder / GRAPH_NAME, precision).create_infer_request()
        except RuntimeError as error:
            raise _failed(error) from error
        self._weights, self._bias = arrays.head_weights, arrays.head_bias
        self._check(arrays)

    @property
    def device_name(self) -> str:
        return "CPU (OpenVINO)" if self._precision == "f32" else f"CPU (OpenVINO {self._precision})"

    @property
    def head_weights(self) -> Floats | None:
        return self._weights

    @property
    def head_bias(self) -> Floats | None:
        return self._bias

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        return one_by_one(self._pass, batch)

    def close(self) -> None:
        self._request = None

    def _pass(self, film: Floats) -> tuple[Floats, Floats | None]:
        if self._request is None:
            raise ModelError("The engine is closed.", code="engine-closed")
        try:
            self._request.infer({0: np.ascontiguousarray(film, dtype=np.float32)})
            # The engine writes its next answer into the same memory, so these are copies.
            logits = np.array(self._request.get_output_tensor(0).data, dtype=np.float32)
            maps = None
            if self._weights is not None:
                maps = np.array(self._request.get_output_tensor(1).data, dtype=np.float32)
        except RuntimeError as error:
            raise _failed(error) from error
        return logits, maps

    def _check(self, arrays: GraphArrays) -> None:
        logits, features = self._pass(arrays.probe)
        same_shapes = logits.shape == arrays.logits.shape and _shape(features) == _shape(arrays.features)
        limit = _TOLERANCE * max(1.0, float(np.abs(arrays.logits).max()))
        if not same_shapes or (self._precision == "f32" and not float(np.abs(logits - arrays.logits).max()) <= limit):
            raise ModelError(
                "The fast engine does not give the reference engine's answer on this computer.",
                hint="The reference engine (torch) is used instead, which is slower.",
                detail=f"reference {arrays.logits.ravel()[:50].tolist()}, here {logits.ravel()[:50].tolist()}",
                code="engine-differs",
            )


def _shape(array: Floats | None) -> tuple[int, ...] | None:
    return None if array is None else array.shape


def converter() -> Callable[..., Any]:
    """``openvino.convert_model`` with its telemetry shut out; for the process that converts."""
    with without_modules(TELEMETRY):
        from openvino.tools.ovc import convert_model

        found: Callable[..., Any] = convert_model
        return found


def _openvino() -> Any:
    """OpenVINO without converter and telemetry.

    Raises:
        ModelError: ``no-openvino``.
    """
    if "openvino" not in sys.modules:
        _read_through()
    try:
        with without_modules(TELEMETRY, _CONVERTER):
            import openvino
    except ImportError as error:
        raise ModelError(
            "OpenVINO cannot be loaded.", hint="Install the program again.", detail=str(error), code="no-openvino"
        ) from error
    return openvino


def _read_through() -> None:
    """Read OpenVINO's libraries once, so that linking them waits for no disk; reading lets other threads run."""
    spec = find_spec("openvino")
    if spec is None or spec.origin is None:
        return
    package = Path(spec.origin).parent
    wanted = ("tbb.", "tbb12", "openvino.", "ir_frontend", "intel_cpu")
    libraries = [path for path in (package / "libs").glob("*") if any(part in path.name for part in wanted)]
    buffer = bytearray(1 << 20)
    for path in (*package.glob("_pyopenvino*"), *libraries):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass


def _compiled(graph: Path, precision: str) -> Any:
    core = _openvino().Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ModelError("This processor does not compute in bfloat16.", code="no-engine")
    # Read, not mapped: a mapped file that somebody shortens would take the whole process down.
    core.set_property({"ENABLE_MMAP": False})
    return core.compile_model(core.read_model(graph), "CPU", CONFIG | FASTER.get(precision, {}))


def _failed(error: Exception) -> ModelError:
    return ModelError(
        "The model failed to run on the CPU.",
        hint="Try again; if it fails again, install the model again.",
        detail=str(error),
        code="engine-failed",
    )
