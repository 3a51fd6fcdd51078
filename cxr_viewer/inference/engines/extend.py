"""Makes the files of :mod:`~cxr_viewer.inference.engines.alternatives`. Imports torch; run in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.imports import without_modules
from cxr_viewer.inference.engines import F32, INT8, ONNX, ONNX_NETWORK, Engine, Floats, thread_count
from cxr_viewer.inference.engines.alternatives import (
    INT8_NAME,
    ONNX_NAME,
    PROBES_NAME,
    load_engine,
    read_alternatives,
)
from cxr_viewer.inference.engines.convert_onnx import PLAIN_NAME
from cxr_viewer.inference.engines.graph import GRAPH_NAME
from cxr_viewer.inference.engines.kept import write_folder
from cxr_viewer.inference.engines.openvino import TELEMETRY
from cxr_viewer.inference.engines.probes import answers, sample_films


def extend(card: ModelCard, bundle: Path, graph: Path | None, folder: Path) -> None:
    """Keep what other engines need in ``folder``, unless it is there already; an engine whose file cannot be made is
    noted with the reason.

    Args:
        graph: the kept graph of these weights; None without OpenVINO.

    Raises:
        ModelError: weights missing or damaged, the reference engine failed.
        CxrError: a bundled film is missing.
        OSError: the folder cannot be written.
    """
    if read_alternatives(folder, card) is not None:
        return
    _leave_cores_to_the_window()
    reference = _reference(card, bundle, graph)
    films = sample_films(card)
    probes = answers(reference, films)

    def fill(partial: Path) -> dict[str, Any]:
        probes.save(partial / PROBES_NAME)
        makers: dict[str, Callable[[], None]] = {
            ONNX: lambda: _write_onnx(card, bundle, graph, partial / ONNX_NAME),
            INT8: lambda: _write_int8(graph, films, partial / INT8_NAME),
        }
        return {"refused": {name: reason for name, make in makers.items() if (reason := _tried(make))}}

    write_folder(folder, card.sha256, card.model_id, fill)


class _NotMadeError(Exception):
    """An engine's file is not made, for a reason that is no fault."""


def _tried(make: Callable[[], None]) -> str:
    try:
        make()
    except _NotMadeError as error:
        return str(error)
    except Exception as error:  # exporters raise many kinds; a missing engine is not worth a failed model
        return f"Its file could not be made ({type(error).__name__}: {error})."
    return ""


def _reference(card: ModelCard, bundle: Path, graph: Path | None) -> Engine:
    if card.network == ONNX_NETWORK:  # its graph has been held against ONNX Runtime when it was made
        return load_engine(F32, card, graph, None)
    from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle

    return TorchEngine(load_bundle(card, bundle))


def _write_onnx(card: ModelCard, bundle: Path, graph: Path | None, path: Path) -> None:
    if find_spec("onnxruntime") is None:
        raise _NotMadeError("ONNX Runtime is not installed.")
    if card.network == ONNX_NETWORK:
        if graph is None:
            raise _NotMadeError("OpenVINO is not installed.")
        shutil.copyfile(graph / PLAIN_NAME, path)
        return
    import torch

    from cxr_viewer.inference.engines.convert import WithFeatures
    from cxr_viewer.inference.engines.probes import probe_film
    from cxr_viewer.inference.engines.torch import load_bundle

    network = WithFeatures(load_bundle(card, bundle)).eval()
    given = (torch.from_numpy(probe_film(card.input)),)
    torch.onnx.export(
        torch.export.export(network, given), f=path, dynamo=True, external_data=False, verbose=False, optimize=True
    )


def _write_int8(graph: Path | None, films: Floats, path: Path) -> None:
    """Quantisation after training (NNCF), calibrated on the bundled films."""
    if find_spec("nncf") is None:
        raise _NotMadeError("The package nncf, which makes int8 graphs, is not installed.")
    if graph is None:
        raise _NotMadeError("OpenVINO is not installed.")
    with without_modules(TELEMETRY):
        import nncf
        import openvino

        logging.getLogger("nncf").setLevel(logging.ERROR)
        core = openvino.Core()
        core.set_property({"ENABLE_MMAP": False})
        core.set_property("CPU", {"INFERENCE_NUM_THREADS": thread_count()})
        data = nncf.Dataset([np.ascontiguousarray(films[index : index + 1]) for index in range(len(films))])
        made = nncf.quantize(
            core.read_model(graph / GRAPH_NAME), data, preset=nncf.QuantizationPreset.MIXED, subset_size=len(films)
        )
        openvino.save_model(made, path, compress_to_fp16=False)


def _leave_cores_to_the_window() -> None:
    """The libraries used here take every core they see."""
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: thread_count()])
