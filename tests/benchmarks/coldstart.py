"""From the command line to the first answer: window, pixels, findings, and the longest gap of the window on the way.

Every round is a fresh process with the film named on its command line and the model prepared before (the graph is in
the cache). The peer, in the same run: a fresh process that does nothing but load the same weights in torch and put one
film before them.

    python tests/benchmarks/coldstart.py [--rounds 3] [FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
FILM = REPOSITORY.parent / "shared/data/dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"
BENCHMARKS = Path(__file__).resolve().parent

OURS = """
import json, sys, time
sys.path.insert(0, sys.argv[3])
started = float(sys.argv[4])
from pathlib import Path
from PySide6.QtWidgets import QApplication
from cxr_viewer.app import Program, dress
from cxr_viewer.services import events as ev
from responsiveness import Ticker
application = QApplication(sys.argv[:1])
dress(application)
program = Program((1280, 800))
application.processEvents()
told = {"window": time.time() - started}
ticker = Ticker()
ticker.start()
controller = program.workbench.controller
controller.dispatch(ev.ChooseModel(sys.argv[2]))
program.start([Path(sys.argv[1])])
stages = []
controller.happened.connect(lambda event: stages.append((type(event).__name__,
    getattr(getattr(event, "progress", None), "stage", ""), round(time.time() - started, 3))))
def until(done):
    limit = time.time() + 120
    while not done() and time.time() < limit:
        application.processEvents()
        time.sleep(0.0005)
    return time.time() - started
until(lambda: controller.state.pane.image is not None)
program.workbench.canvas.view(0).viewport().repaint()
told["preview" if controller.state.pane.image.preview else "pixels"] = time.time() - started
told["pixels"] = until(lambda: not controller.state.pane.image.preview)
told["answer"] = until(lambda: controller.state.pane.result is not None)
gaps = ticker.stop()
told |= {"gap_ms": float(gaps.max()), "p99_ms": float(sorted(gaps)[int(len(gaps) * 0.99)]), "stages": stages}
print(json.dumps(told))
program.close()
"""

PEER = """
import json, sys, time
started = float(sys.argv[3])
from pathlib import Path
import torch
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.engines.torch import load_bundle
folder = Path(sys.argv[1])
card = read_card(folder)
network = load_bundle(card, folder).eval()
with torch.inference_mode():
    network(torch.zeros(1, card.input.channels, card.input.size_px, card.input.size_px))
print(json.dumps({"answer": time.time() - started}))
"""


def told_by(program: str, *words: str, home: str) -> dict[str, float]:
    environment = {"QT_QPA_PLATFORM": "offscreen"} | dict(os.environ) | {"CXR_VIEWER_HOME": home}
    command = [sys.executable, "-c", program, *words, repr(time.time())]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode != 0:
        raise SystemExit(f"the program failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", nargs="?", type=Path, default=FILM)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stages", action="store_true", help="print what happened when, in the last round")
    arguments = parser.parse_args()
    if not arguments.film.exists():
        print(f"{arguments.film} is missing; name a film to measure with.")
        return 2
    from engines import dense

    from cxr_viewer.core.resources import resources_dir
    from cxr_viewer.inference.catalog import BundleCatalog

    like = BundleCatalog().cards()[0]
    with tempfile.TemporaryDirectory() as home:
        bundles = {
            like.model_id: resources_dir() / "models" / like.model_id,
            "densenet121": Path(home) / "data" / "models" / "densenet121",
        }
        dense(bundles["densenet121"], replace(like, map_evidence=()))
        for model_id, bundle in bundles.items():
            words = (str(arguments.film), model_id, str(BENCHMARKS))
            first = told_by(OURS, *words, home=home)
            print(
                f"{model_id}: prepared in the first run, answer {first['answer'] - first['pixels']:.1f} s after pixels"
            )
            ours = [told_by(OURS, *words, home=home) for _ in range(arguments.rounds)]
            peer = [told_by(PEER, str(bundle), model_id, home=home)["answer"] for _ in range(arguments.rounds)]
            times = {name: np.median([one[name] for one in ours]) for name in ("window", "pixels", "answer")}
            waits = [one["answer"] - one["pixels"] for one in ours]
            print(
                f"  window {times['window']:.2f} s, film {times['pixels']:.2f} s, answer {times['answer']:.2f} s; "
                f"answer after pixels: median {np.median(waits):.2f} s, longest {max(waits):.2f} s (goal 2)"
            )
            print(f"  longest gap of the window: {max(one['gap_ms'] for one in ours):.0f} ms (goal 50)")
            print(
                f"  a bare torch process: {np.median(peer):.2f} s to its first pass; "
                f"ratio of first answers {times['answer'] / np.median(peer):.2f}"
            )
            if arguments.stages:
                print("\n".join(f"    {stage}" for stage in ours[-1]["stages"]))  # type: ignore[attr-defined]
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
