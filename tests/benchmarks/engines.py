"""Every engine on the same weights in the same run: time of a pass, change of the scores, cost of all heat maps.

    python tests/benchmarks/engines.py [--passes 40] [--films FOLDER] [--threads 1 2]

For the bundled model and for DenseNet-121 with 18 findings (random weights, batch norms calibrated on films: speed does
not depend on them, and what is said of its scores holds for no real model). Engines take turns, pass by pass, so that
what else the machine does slows all of them alike. Each number of threads runs in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

FINDINGS = 18
_MOST_FILMS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--films", type=Path, default=ROOT.parent / "shared" / "data" / "dicom")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.within is not None:
        measured(options.within, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options.films)
        for threads in options.threads:
            told = ["--passes", str(options.passes), "--threads", str(threads), "--within", folder]
            environment = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "OMP_NUM_THREADS": str(threads)}
            subprocess.run([sys.executable, __file__, *told], check=True, env={**os.environ, **environment})


# ---------------------------------------------------------------- preparing, once


def prepare(place: Path, films: Path) -> None:
    """Bundles, the files of every engine, and real films as each network is fed them."""
    import numpy as np

    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.inference.engines.convert import convert
    from cxr_viewer.inference.engines.extend import extend
    from cxr_viewer.inference.preprocess import see

    catalog = BundleCatalog()
    bundled = catalog.cards()[0]
    shutil.copytree(catalog.folder(bundled.model_id), place / "bundled" / "bundle")
    dense(place / "densenet121" / "bundle", bundled)
    images = read(films)
    for name in ("bundled", "densenet121"):
        card, bundle = card_of(place, name)
        convert(card, bundle, place / name / "graph")
        extend(card, bundle, place / name / "graph", place / name / "files")
        if images:
            np.save(place / name / "films.npy", np.stack([see(image, card.input).film for image in images]))


def read(folder: Path) -> list:  # type: ignore[type-arg]
    from cxr_viewer.core.jobs import CancelToken
    from cxr_viewer.sources.reader import SandboxReader

    paths = sorted(folder.glob("*nih*.dcm"))[:_MOST_FILMS]
    if not paths:
        print(f"No films in {folder.name}: scores are compared on the probe films only.")
    reader = SandboxReader()
    try:
        return [reader.read(reader.describe(path, CancelToken()).image, CancelToken()) for path in paths]
    finally:
        reader.close()


def dense(folder: Path, like) -> None:  # type: ignore[no-untyped-def]
    """A bundle with DenseNet-121; its batch norms get the statistics of the bundled films."""
    import torch
    from safetensors.torch import save_file

    from cxr_viewer.core.findings import LabelSpec
    from cxr_viewer.inference.cards import file_sha256, write_card
    from cxr_viewer.inference.engines.probes import sample_films
    from cxr_viewer.inference.networks import build_network

    labels = tuple(LabelSpec(f"finding {number + 1}", 0.5) for number in range(FINDINGS))
    spec = replace(like.input, size_px=224)
    card = replace(like, model_id="densenet121", network="densenet121-txrv", labels=labels, input=spec)
    card = replace(card, metrics=(), map_evidence=())
    torch.manual_seed(0)
    network = build_network(card.network, FINDINGS).train()
    films = torch.from_numpy(sample_films(card))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean over what it sees
        network(films)
    folder.mkdir(parents=True)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()}, folder / "weights.safetensors"
    )
    write_card(replace(card, sha256=file_sha256(folder / "weights.safetensors")), folder / "card.toml")


def card_of(place: Path, name: str):  # type: ignore[no-untyped-def]
    from cxr_viewer.inference.cards import read_card

    return read_card(place / name / "bundle"), place / name / "bundle"


# ---------------------------------------------------------------- measuring, for one number of threads


def measured(place: Path, options: argparse.Namespace) -> None:
    from cxr_viewer.inference import engines

    threads = options.threads[0]
    engines.thread_count = lambda: threads  # before the engines' modules are loaded, which read it
    for name in ("bundled", "densenet121"):
        card, bundle = card_of(place, name)
        print(f"\n== {card.network}, {card.input.size_px} px, {len(card.labels)} findings, {threads} thread(s)")
        passes(card, bundle, place / name, options.passes)
        maps(card, bundle, place / name, options.passes)


def medians_ms(kinds: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median of each; all take turns, the first two rounds are not counted."""
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 2):
        for name, work in kinds.items():
            start = time.perf_counter()
            work()
            if number > 1:
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: median(times) for name, times in taken.items()}


def passes(card, bundle: Path, place: Path, rounds: int) -> None:  # type: ignore[no-untyped-def]
    """Logits and feature maps of one film, on every engine."""
    import numpy as np

    from cxr_viewer.core.jobs import CancelToken
    from cxr_viewer.inference.engines import F32
    from cxr_viewer.inference.engines.agreement import disagreement
    from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
    from cxr_viewer.inference.scoring import scores

    found, loaded = window_engines(card, place)
    film = found.probes.films[:1]
    kinds: dict[str, Callable[[], object]] = torch_passes(card, bundle, film)
    kinds |= {name: lambda engine=engine: engine.run(film) for name, engine in loaded.items()}  # type: ignore[misc]
    times = medians_ms(kinds, rounds)
    reference = TorchEngine(load_bundle(card, bundle))
    kept = place / "films.npy"
    films = np.load(kept) if kept.is_file() else found.probes.films
    expected = [scores(card, reference.run(films[index : index + 1])[0][0]) for index in range(len(films))]
    print("one film: logits and feature maps; largest change of a score on", len(films), "films")
    print(f"{'':34s}{'ms':>9s}{'of torch eager':>16s}{'of OpenVINO f32':>17s}{'change':>10s}")
    for name, taken in sorted(times.items(), key=lambda item: item[1]):
        line = f"{name:34s}{taken:9.2f}{taken / times['torch eager']:16.2f}{taken / times[F32]:17.2f}"
        if name in loaded:
            runs = [loaded[name].run(films[index : index + 1])[0][0] for index in range(len(films))]
            change = max(
                float(np.abs(scores(card, run) - theirs).max()) for run, theirs in zip(runs, expected, strict=True)
            )
            reason = disagreement(loaded[name], found.probes, card, scores, CancelToken())
            line += f"{change:10.5f}" + (f"  not used: {reason}" if reason else "")
        print(line, flush=True)


def window_engines(card, place: Path):  # type: ignore[no-untyped-def]
    """The files of the engines of the window's process, and those that work here."""
    from cxr_viewer.core.errors import ModelError
    from cxr_viewer.inference.engines import CANDIDATES
    from cxr_viewer.inference.engines.alternatives import load_engine, read_alternatives

    found = read_alternatives(place / "files", card)
    assert found is not None, "made by prepare()"
    loaded = {}
    for name in CANDIDATES:
        try:
            loaded[name] = load_engine(name, card, place / "graph", found)
        except ModelError as error:
            print(f"{name} is left out: {error.summary}")
    return found, loaded


def torch_passes(card, bundle: Path, film) -> dict[str, Callable[[], object]]:  # type: ignore[no-untyped-def]
    import torch

    from cxr_viewer.inference.engines import thread_count
    from cxr_viewer.inference.engines.torch import load_bundle

    torch.set_num_threads(thread_count())
    given = torch.from_numpy(film)

    def run(work: Callable[..., object], given: torch.Tensor) -> object:
        with torch.inference_mode():
            return work(given)

    plain, last = load_bundle(card, bundle), load_bundle(card, bundle).to(memory_format=torch.channels_last)
    given_last = given.contiguous(memory_format=torch.channels_last)
    kinds: dict[str, Callable[[], object]] = {
        "torch eager": lambda: run(plain.logits_and_features, given),
        "torch eager, channels last": lambda: run(last.logits_and_features, given_last),
    }
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        print("torch compiled is left out: this machine has no C++ compiler.")
        return kinds
    compiled = torch.compile(last.logits_and_features)
    kinds["torch compiled, channels last"] = lambda: run(compiled, given_last)
    return kinds


def maps(card, bundle: Path, place: Path, rounds: int) -> None:  # type: ignore[no-untyped-def]
    """Scores and the maps of all findings against the bare pass of the same engine, and the library per finding."""
    import torch

    from cxr_viewer.core.geometry import ImageRect
    from cxr_viewer.inference import explain
    from cxr_viewer.inference.engines.torch import TorchEngine, load_bundle
    from cxr_viewer.inference.scoring import findings

    found, loaded = window_engines(card, place)
    film = found.probes.films[:1]
    seen = ImageRect(0, 0, card.input.size_px, card.input.size_px)
    reference = TorchEngine(load_bundle(card, bundle))
    own = load_bundle(card, bundle).to(memory_format=torch.channels_last)
    given = torch.from_numpy(film).contiguous(memory_format=torch.channels_last)

    def bare_torch() -> object:
        with torch.inference_mode():
            return own(given)

    def explained(engine) -> None:  # type: ignore[no-untyped-def]
        logits, features = engine.run(film)
        findings(card, logits[0])
        heat = explain.on_common_scale(explain.grad_cam(features[0], engine.head_weights), card)
        explain.heatmaps(card, heat, seen)

    bare = {"torch": bare_torch} | {name: scores_only(name, place, film) for name in loaded}
    kinds: dict[str, Callable[[], object]] = {}
    for name, engine in {"torch": reference, **loaded}.items():
        kinds[f"{name} bare"] = bare[name]
        kinds[f"{name} ours"] = lambda engine=engine: explained(engine)  # type: ignore[misc]
    times = medians_ms(kinds, rounds)
    library = medians_ms({"": lambda: library_once_per_finding(own, given, len(card.labels))}, max(2, rounds // 10))[""]
    print(f"scores and {len(card.labels)} maps; beside it the grad-cam library on torch, called once per finding")
    print(f"{'':34s}{'bare, ms':>9s}{'ours, ms':>10s}{'ratio':>8s}{'library':>12s}")
    for name in bare:
        first, second = times[f"{name} bare"], times[f"{name} ours"]
        print(f"{name:34s}{first:9.2f}{second:10.2f}{second / first:8.2f}{library / first:11.0f}x", flush=True)
    print(f"the library: {library:.0f} ms")


def library_once_per_finding(network, given, findings: int) -> None:  # type: ignore[no-untyped-def]
    """The way the library's own page shows: the whole network forward and backward for every finding."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=network, target_layers=[network.relu]) as cam:
        for label in range(findings):
            cam(input_tensor=given, targets=[ClassifierOutputTarget(label)])


def scores_only(name: str, place: Path, film) -> Callable[[], object]:  # type: ignore[no-untyped-def]
    """The same graph on the same engine without its second output."""
    from cxr_viewer.inference.engines import BF16, INT8, ONNX
    from cxr_viewer.inference.engines.openvino import CONFIG, FASTER

    if name == ONNX:
        from cxr_viewer.inference.engines.onnxruntime import OnnxRuntimeEngine

        session = OnnxRuntimeEngine(place / "files" / "graph.onnx", None)._session
        first, given = session.get_outputs()[0].name, session.get_inputs()[0].name
        return lambda: session.run([first], {given: film})
    import openvino

    core = openvino.Core()
    whole = core.read_model(place / ("files/int8.xml" if name == INT8 else "graph/graph.xml"))
    graph = openvino.Model([whole.outputs[0]], whole.get_parameters(), "scores")
    settings = CONFIG | FASTER.get("bf16" if name == BF16 else "f32", {})
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    return lambda: request.infer({0: film})


if __name__ == "__main__":
    main()
