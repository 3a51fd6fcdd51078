"""A network kept on disk in the form OpenVINO reads, made once per computer from the weights.

The folder holds the graph, the head and a probe: an input with the answer torch gave to it. Everything is checked
against digests before use, and the engine has to give torch's answer to the probe before it may score a film.
Nothing here imports torch or OpenVINO.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.inference.engines import Floats

FORMAT = 2
GRAPH_NAME = "graph.xml"
_ARRAYS_NAME = "arrays.npz"
_MANIFEST_NAME = "manifest.json"
_PARTIAL = ".partial-"
_STALE_S = 3600
_FILES = (GRAPH_NAME, "graph.bin", _ARRAYS_NAME)


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
    facts = (FORMAT, card.sha256, card.network, card.input, card.onnx, len(card.labels), openvino_version())
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

    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
    try:
        openvino.save_model(model, partial / GRAPH_NAME, compress_to_fp16=False)
        kept = {field.name: getattr(arrays, field.name) for field in fields(arrays)}
        np.savez(partial / _ARRAYS_NAME, **{name: values for name, values in kept.items() if values is not None})
        manifest = {"weights": card.sha256, "files": {name: file_sha256(partial / name) for name in _FILES}}
        (partial / _MANIFEST_NAME).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:  # another copy of the program was quicker, with the same graph
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _drop_older(folder, card.model_id)


def read_graph(folder: Path, card: ModelCard) -> GraphArrays | None:
    """The arrays of a kept graph, once every file was found to be as it was written; None where it was not."""
    try:
        manifest = json.loads((folder / _MANIFEST_NAME).read_text(encoding="utf-8"))
        whole = manifest["weights"] == card.sha256
        if not (whole and all(file_sha256(folder / name) == manifest["files"][name] for name in _FILES)):
            return None
        with np.load(folder / _ARRAYS_NAME, allow_pickle=False) as arrays:
            return GraphArrays(**{name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _drop_older(folder: Path, model_id: str) -> None:
    """Graphs of earlier weights or another OpenVINO are of no more use, nor is what an interrupted run left."""
    own = re.compile(re.escape(model_id) + r"-[0-9a-f]{20}")
    for other in folder.parent.iterdir():
        left = other.name.startswith(_PARTIAL) and time.time() - other.stat().st_mtime > _STALE_S
        if left or (other != folder and own.fullmatch(other.name)):
            shutil.rmtree(other, ignore_errors=True)
