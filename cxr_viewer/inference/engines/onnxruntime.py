"""ONNX Runtime on the CPU, in the window's process.

Importing this module imports nothing heavy. ONNX Runtime collects telemetry in its builds for Windows only, through
the system's own event tracing; it is switched off before the first session is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.engines import Floats, one_by_one, thread_count

OPTIONS = {
    "session.intra_op.allow_spinning": "0",  # a waiting pool that spins takes the core away from the window
    "session.inter_op.allow_spinning": "0",
}
"""Session settings; threads are set beside them."""


class OnnxRuntimeEngine:
    """A network in ONNX whose outputs are logits and, where there is a head, feature maps.

    Args:
        path: the file; its digest has been checked.
        head_weights: float32 (k, c), None where the file has no feature maps.

    Raises:
        ModelError: ``no-onnxruntime``; ``engine-failed``: the file cannot be used.
    """

    def __init__(self, path: Path, head_weights: Floats | None) -> None:
        runtime = onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = thread_count()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal only: what is wrong is raised, and told by us
        for name, value in OPTIONS.items():
            options.add_session_config_entry(name, value)
        try:
            # Given as bytes: the file may change on the disk while a session lives.
            self._session: Any = runtime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base but Exception
            raise _failed(error) from error
        self._input = self._session.get_inputs()[0].name
        self._weights = head_weights

    @property
    def device_name(self) -> str:
        return "CPU (ONNX Runtime)"

    @property
    def head_weights(self) -> Floats | None:
        return self._weights

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        return one_by_one(self._pass, batch)

    def close(self) -> None:
        self._session = None

    def _pass(self, film: Floats) -> tuple[Floats, Floats | None]:
        if self._session is None:
            raise ModelError("The engine is closed.", code="engine-closed")
        try:
            found = self._session.run(None, {self._input: np.ascontiguousarray(film, dtype=np.float32)})
        except Exception as error:  # its errors have no common base but Exception
            raise _failed(error) from error
        arrays = [np.array(values, dtype=np.float32) for values in found]
        return arrays[0], arrays[1] if self._weights is not None else None


def onnxruntime() -> Any:
    """ONNX Runtime, its telemetry off.

    Raises:
        ModelError: ``no-onnxruntime``.
    """
    try:
        import onnxruntime as runtime
    except ImportError as error:
        raise ModelError(
            "ONNX Runtime cannot be loaded.",
            hint="Install the program again.",
            detail=str(error),
            code="no-onnxruntime",
        ) from error
    runtime.disable_telemetry_events()
    return runtime


def _failed(error: Exception) -> ModelError:
    return ModelError(
        "The model failed to run on ONNX Runtime.",
        hint="Try again; if it fails again, install the model again.",
        detail=str(error),
        code="engine-failed",
    )
