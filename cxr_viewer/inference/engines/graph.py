"""A network kept on disk in the form OpenVINO reads, made once per computer from the weights.

The folder holds the graph, the head and a probe: an input with the answer torch gave to it. Everything is checked
against digests before use, and the engine has to give torch's answer to the probe before it may score a film.
Nothing here imports torch or OpenVINO.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.engines import Floats, pass_key
from cxr_viewer.inference.engines.kept import read_notes, write_folder

FORMAT = 3
GRAPH_NAME = "graph.xml"
_ARRAYS_NAME = "arrays.npz"
GRAPH_FILES = (GRAPH_NAME, "graph.bin", _ARRAYS_NAME)


@dataclass(frozen=True, slots=True, eq=False)
class GraphArrays:
    """What travels beside the graph.

    Attributes:
        head_weights, head_bias: float32 (k, c) and (k,); None where the pass gives no map.
        probe: float32 (1, channels, size, size).
        logits: the reference's answer to the probe, float32 (1, k), of a segmenter (1, k, h, w).
        features: the reference's feature maps of the probe, float32 (1, c, h, w); None where the pass gives no map.
    """

    probe: Floats
    logits: Floats
    features: Floats | None = None
    head_weights: Floats | None = None
    head_bias: Floats | None = None

    def save(self, path: Path) -> None:
        """Raises OSError: the file cannot be written."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(path, **{name: values for name, values in kept.items() if values is not None})

    @classmethod
    def load(cls, path: Path) -> GraphArrays:
        """Raises OSError, ValueError, KeyError or TypeError: not such a file."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def openvino_version() -> str:
    """The installed OpenVINO, without importing it.

    Raises:
        ModelError: ``no-openvino``.
    """
    try:
        return metadata.version("openvino")
    except metadata.PackageNotFoundError as error:
        raise ModelError("OpenVINO is not installed.", hint="Install the program again.", code="no-openvino") from error


def graph_folder(cache: Path, card: ModelCard) -> Path:
    """Where the graph of these weights for the installed OpenVINO belongs. Raises like :func:`openvino_version`."""
    facts = (FORMAT, pass_key(card), openvino_version())
    return cache / f"{card.model_id}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:20]}"


def write_graph(folder: Path, card: ModelCard, model: Any, arrays: GraphArrays) -> None:
    """Keep a converted model; the folder appears whole or not at all.

    Args:
        model: an ``openvino.Model`` with one input; its outputs are logits and, unless ``arrays.features`` is None,
            feature maps, in this order.

    Raises:
        OSError: the folder cannot be written.
    """
    import openvino

    def fill(partial: Path) -> dict[str, Any]:
        openvino.save_model(model, partial / GRAPH_NAME, compress_to_fp16=False)
        arrays.save(partial / _ARRAYS_NAME)
        return {}

    write_folder(folder, card.sha256, card.model_id, fill)


def read_graph(folder: Path, card: ModelCard) -> GraphArrays | None:
    """The arrays of a kept graph, once every file was found to be as it was written; None where it was not."""
    if read_notes(folder, card.sha256, GRAPH_FILES) is None:
        return None
    try:
        return GraphArrays.load(folder / _ARRAYS_NAME)
    except (OSError, ValueError, KeyError, TypeError):
        return None
