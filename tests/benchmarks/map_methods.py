"""How long each heat map method takes for all 18 findings of a DenseNet-121 at 224 px, beside one bare forward pass.

``python tests/benchmarks/map_methods.py``. The weights are random; time does not depend on them. The first map of the
library starts torch and imports the library; it is made once before it is measured.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from cxr_viewer.core.findings import InputSpec, LabelSpec
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain
from cxr_viewer.inference.cards import WEIGHTS_NAME, file_sha256
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.child import ChildEngine, Convert, TorchProcess
from cxr_viewer.inference.engines.graph import graph_folder
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.explain_run import Question, explained
from cxr_viewer.inference.networks import build_network

SIZE, FINDINGS = 224, 18


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(name)
        torch.manual_seed(0)
        state = build_network("densenet121-txrv", FINDINGS).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, bundle / WEIGHTS_NAME)
        card = dataclasses.replace(
            BundleCatalog().card("paediatric-pneumonia"),
            model_id="dense",
            network="densenet121-txrv",
            sha256=file_sha256(bundle / WEIGHTS_NAME),
            labels=tuple(LabelSpec(f"Finding {number}", 0.5) for number in range(FINDINGS)),
            input=InputSpec(SIZE, "stretch", False, 0.5, 0.25),
            map_evidence=(),
        )
        process = TorchProcess()
        folder = graph_folder(bundle / "graphs", card)
        process.call(Convert(card, bundle, folder), CancelToken())
        engine, library = OpenVinoEngine(folder, card), ChildEngine(process, card, bundle, "cpu", CancelToken())
        film = np.random.default_rng(0).standard_normal((1, 1, SIZE, SIZE)).astype(np.float32)
        bare = min(_seconds(lambda: engine.run(film)) for _ in range(10))
        print(f"bare forward pass {bare:.3f} s ({engine.device_name})")
        logits, features = engine.run(film)
        asked = Question(card, engine, film, logits, features, ImageRect(0, 0, SIZE, SIZE), lambda: library)
        for method in explain.METHODS:
            runs = 1 if method in explain.PASSES else 2
            took = [
                _seconds(lambda m=method: explained(asked, m, CancelToken(), lambda stage: None)) for _ in range(runs)
            ]
            print(f"{method:<14} {took[-1]:7.3f} s after the pass, {took[-1] / bare:7.1f} x the pass")
        process.close()


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
