"""Score and all heat maps against a bare forward pass of the same engine and against the ``grad-cam`` library.

    python tests/benchmarks/inference.py [--passes 60] [--findings 14]

Prints medians in milliseconds and ratios of one run; the three kinds take turns, so that a busy machine slows all of
them alike. Then: how long other threads had to wait (a thread that wants to run every 5 ms) while the CPU engine was
loaded and a film of 3000 x 2500 pixels was scored and explained.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cxr_viewer.core.findings import AnalysisRequest, LabelSpec, ModelCard
from cxr_viewer.core.image import ImageKey, Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference import explain
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import Engine, Floats
from cxr_viewer.inference.runner import LocalRunner, model_input
from cxr_viewer.inference.scoring import findings

_CONTROL = """
import sys, time
last = time.perf_counter()
while True:
    time.sleep(0.005)
    now = time.perf_counter()
    print(last, (now - last) * 1e3, flush=True)
    last = now
"""


class Ticker:
    """Wants to run every 5 ms and notes how long it really took, by what was going on.

    A process that does nothing else ticks beside it: gaps that both show are the machine's, the rest is ours.
    """

    def __init__(self) -> None:
        self.stages: list[tuple[float, str]] = [(time.perf_counter(), "idle")]
        self.gaps: list[tuple[float, float]] = []
        self.control: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def stage(self, name: str) -> None:
        self.stages.append((time.perf_counter(), name))

    def __enter__(self) -> Ticker:
        self._other = subprocess.Popen([sys.executable, "-c", _CONTROL], stdout=subprocess.PIPE, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._other.terminate()
        self._other.wait()
        self._listener.join()

    def _run(self) -> None:
        last = time.perf_counter()
        while not self._stop.is_set():
            time.sleep(0.005)
            now = time.perf_counter()
            self.gaps.append((last, (now - last) * 1e3))
            last = now

    def _listen(self) -> None:
        assert self._other.stdout is not None
        lines = self._other.stdout.read().splitlines()  # all at once in the end: it must not wake us every 5 ms
        for line in lines:
            start, gap = line.split()
            self.control.append((float(start), float(gap)))

    def print(self) -> None:
        print(f"\n{'gaps of a 5 ms tick, ms':44s}{'p50':>8s}{'p99':>8s}{'max':>8s}{'max of an idle process':>26s}")
        ends = [start for start, _ in self.stages[1:]] + [time.perf_counter()]
        found: dict[str, tuple[list[float], list[float]]] = {}
        for (start, name), end in zip(self.stages, ends, strict=True):
            ours, others = found.setdefault(name, ([], []))
            ours += [gap for at, gap in self.gaps if start <= at < end]
            others += [gap for at, gap in self.control if start <= at < end]
        for name, (ours, others) in found.items():
            if ours:
                p50, p99 = np.percentile(ours, (50, 99))
                print(f"{name[:43]:44s}{p50:8.1f}{p99:8.1f}{max(ours):8.1f}{max(others, default=0.0):26.1f}")


def big_film() -> Radiograph:
    """3000 x 2500 pixels of 12 bit: a smooth chest-like field with noise."""
    y, x = np.mgrid[-1:1:3000j, -1:1:2500j]
    lungs = np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 2) - (y / 0.6) ** 2)
    noise = np.random.default_rng(0).normal(0, 40, x.shape)
    stored = np.clip(3200 - 2400 * lungs + noise, 0, 4095).astype(np.uint16)
    return Radiograph(ImageKey("1", "2", "3"), Path("big"), stored, 12, "MONOCHROME2", "DX", view=View.PA)


def medians_ms(kinds: dict[str, Callable[[], object]], passes: int) -> dict[str, float]:
    """Median of each; blocks of ten take turns, the first of each block (cold caches) is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(max(1, passes // 10)):
        for name, work in kinds.items():
            for number in range(min(passes, 10) + 1):
                start = time.perf_counter()
                work()
                if number:
                    taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: float(np.median(values)) for name, values in taken.items()}


def gaps(model_id: str, film: Radiograph, cache: Path) -> None:
    """Measured first, in a process where nothing heavy has been imported yet."""
    with Ticker() as ticker:
        runner = LocalRunner(cache=cache)
        request = AnalysisRequest(0, 1, film, model_id)
        for again, name in enumerate(("first", "second")):
            result = runner.analyse(request, CancelToken(), lambda text, name=name: ticker.stage(f"{name}: {text}"))  # type: ignore[misc]
            print(f"{name} film, 3000 x 2500: {result.elapsed_s * 1e3:.0f} ms on {result.device}")
            ticker.stage("idle")
            time.sleep(0.2 * again)
        runner.close()
        ticker.stage("third, graph on disk: Loading the model")
        runner = LocalRunner(cache=cache)
        runner.warm_up(model_id)
        ticker.stage("idle")
        runner.close()
    ticker.print()


def scored_and_explained(engine: Engine, card: ModelCard, film: Floats, seen: object) -> None:
    logits, features = engine.run(film)
    findings(card, logits[0])
    maps = explain.on_common_scale(explain.grad_cam(features[0], engine.head_weights), card)
    explain.heatmaps(card, maps, seen)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=200)
    parser.add_argument("--findings", type=int, default=14)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    catalog = BundleCatalog()
    model_id = catalog.cards()[0].model_id
    film = big_film()
    with tempfile.TemporaryDirectory() as folder:
        gaps(model_id, film, Path(folder) / "cache")
        ratios(catalog.card(model_id), film, Path(folder), options)


def ratios(card: ModelCard, image: Radiograph, folder: Path, options: argparse.Namespace) -> None:
    import torch
    from safetensors.torch import save_file

    from cxr_viewer.inference.engines.convert import convert
    from cxr_viewer.inference.engines.openvino import OpenVinoEngine
    from cxr_viewer.inference.engines.torch import TorchEngine
    from cxr_viewer.inference.networks import build_network, load_network

    network = build_network(card.network, options.findings).eval()
    weights = folder / "weights.safetensors"
    save_file(network.state_dict(), weights)
    labels = tuple(LabelSpec(f"finding {number}", 0.5) for number in range(options.findings))
    card = replace(card, labels=labels, sha256=file_sha256(weights))
    convert(card, folder, folder / "graph")
    film, seen = model_input(image, card)

    print(f"\n{options.findings} findings, {card.network}, {card.input.size_px} px, medians in ms")
    preparing = medians_ms({"": lambda: model_input(image, card)}, 10)[""]
    print(f"preparing a film of 3000 x 2500 (not counted below): {preparing:.1f}")
    print(f"{'':16s}{'bare pass':>12s}{'ours':>12s}{'ratio':>8s}{'grad-cam':>12s}{'ratio':>8s}")

    def line(name: str, engine: Engine, bare: Callable[[], object], library: Callable[[], object]) -> None:
        kinds = {"bare": bare, "ours": lambda: scored_and_explained(engine, card, film, seen)}
        found = medians_ms(kinds, options.passes)
        slow = medians_ms({"library": library}, max(5, options.passes // 10))["library"]
        ours = found["ours"] / found["bare"]
        print(
            f"{name:16s}{found['bare']:12.2f}{found['ours']:12.2f}{ours:8.2f}{slow:12.1f}{slow / found['bare']:8.1f}",
            flush=True,
        )

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device in devices:
        own = load_network(card.network, options.findings, network.state_dict())
        engine = TorchEngine(own, device)
        given = torch.from_numpy(film).to(device)

        def bare_torch(own: torch.nn.Module = own, given: torch.Tensor = given) -> object:
            with torch.inference_mode():
                return own(given).cpu()

        line(engine.device_name, engine, bare_torch, lambda engine=engine: engine.library_maps(film, "Grad-CAM"))  # type: ignore[misc]
    reference = TorchEngine(load_network(card.network, options.findings, network.state_dict()))
    fast = OpenVinoEngine(folder / "graph", card)
    scores_only = _scores_only(folder / "graph")
    line(fast.device_name, fast, lambda: scores_only(film), lambda: reference.library_maps(film, "Grad-CAM"))


def _scores_only(graph: Path) -> Callable[[Floats], object]:
    """The bare pass: the same graph without its second output, compiled alike."""
    import openvino

    from cxr_viewer.inference.engines.openvino import CONFIG, GRAPH_NAME

    core = openvino.Core()
    whole = core.read_model(graph / GRAPH_NAME)
    bare = openvino.Model([whole.outputs[0]], whole.get_parameters(), "scores")
    request = core.compile_model(bare, "CPU", CONFIG).create_infer_request()
    return lambda film: request.infer({0: film})


if __name__ == "__main__":
    main()
