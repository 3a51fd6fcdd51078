"""What the engines beside OpenVINO in float32 need, made once per computer: probes, a graph in ONNX, a graph in int8.

Nothing here imports torch, OpenVINO or ONNX Runtime. :mod:`cxr_viewer.inference.engines.extend` makes the files.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.engines import BF16, INT8, ONNX, Engine, score_key, thread_count
from cxr_viewer.inference.engines.kept import read_notes
from cxr_viewer.inference.engines.onnxruntime import OnnxRuntimeEngine
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.engines.probes import Probes

FORMAT = 1
PROBES_NAME, ONNX_NAME, INT8_NAME = "probes.npz", "graph.onnx", "int8.xml"
_LIBRARIES = ("openvino", "onnxruntime", "nncf", "torch")


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """A kept folder of files for other engines.

    Attributes:
        refused: why the file of an engine is not there, by the engine's name.
    """

    folder: Path
    probes: Probes
    refused: dict[str, str]


def alternatives_folder(cache: Path, card: ModelCard) -> Path:
    """Where the files for these weights on this computer belong: other versions of a library, another processor or
    number of cores are another folder."""
    facts = (FORMAT, score_key(card), machine())
    return cache / f"{card.model_id}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:20]}"


def machine() -> tuple[str, ...]:
    """What the speed and the answers of an engine depend on: libraries, processor, cores, threads used."""
    return (*(f"{name} {_version(name)}" for name in _LIBRARIES), _cpu(), f"{os.cpu_count()}/{thread_count()}")


def read_alternatives(folder: Path, card: ModelCard) -> Alternatives | None:
    """The files of other engines, once every one was found to be as it was written; None where one was not."""
    notes = read_notes(folder, card.sha256, (PROBES_NAME,))
    if notes is None:
        return None
    try:
        refused = {str(name): str(reason) for name, reason in dict(notes["refused"]).items()}
        return Alternatives(folder, Probes.load(folder / PROBES_NAME), refused)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_engine(name: str, card: ModelCard, graph: Path | None, found: Alternatives | None) -> Engine:
    """An engine of the window's process.

    Args:
        name: one of :data:`~cxr_viewer.inference.engines.CANDIDATES`.
        graph: the folder of :func:`~cxr_viewer.inference.engines.graph.graph_folder`; None without OpenVINO.

    Raises:
        ModelError: its library or file is missing, or it failed.
    """
    if name == ONNX:
        if found is None or ONNX in found.refused:
            raise _missing(name, found)
        return OnnxRuntimeEngine(found.folder / ONNX_NAME, found.probes.head_weights)
    if graph is None:
        raise ModelError("OpenVINO is not installed.", hint="Install the program again.", code="no-openvino")
    if name == INT8:
        if found is None or INT8 in found.refused:
            raise _missing(name, found)
        return OpenVinoEngine(graph, card, "int8", found.folder / INT8_NAME)
    return OpenVinoEngine(graph, card, "bf16" if name == BF16 else "f32")


def _missing(name: str, found: Alternatives | None) -> ModelError:
    reason = "It is not prepared for this computer yet." if found is None else found.refused[name]
    return ModelError(f"The engine “{name}” cannot be used for this model. {reason}", code="no-engine")


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "-"


def _cpu() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else (platform.processor() or platform.machine())
