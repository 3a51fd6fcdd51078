"""What the window's process feels while the largest answers come in: gaps of its thread, and memory.

    python tests/benchmarks/largest.py [--repeats 5]

A thread that wakes every 5 ms stands for the window's. Meanwhile another thread reads the largest film the program
takes (60 megapixels of 16 bits, a real one enlarged) and makes it ready for drawing, or takes in the longest list a
reader may send. The peer, pydicom with numpy in the window's own process, decodes the same film. Prints the longest gap
of all repeats and the growth of memory, each against its goal (50 ms, 200 MiB).
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

import cv2
import numpy as np
import psutil
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import sandbox, wire
from cxr_viewer.sources.answers import Directory
from cxr_viewer.sources.pixelformat import LIMIT_MEGAPIXELS
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.film_layer import make_ready

SOURCE = REPOSITORY.parent / "shared" / "data" / "dicom" / "dx_canon_pa_mono1_12bit_j2klossless.dcm"
TICK_S = 0.005
GOAL_MS, GOAL_MIB = 50.0, 200.0
_LISTING = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.sources import jobs, worker
from cxr_viewer.sources.answers import Directory
good = jobs.run
def run(job, words, interim=None):
    if job == "list":
        return Directory(tuple(("DICOM", f"PAT{n // 50:05d}", f"IM{n:06d}") for n in range(words["count"])))
    return good(job, words, interim)
jobs.run = run
worker.main(int(sys.argv[2]), sys.argv[3])
"""


def largest_film(folder: Path) -> Path:
    side = int((LIMIT_MEGAPIXELS * 1e6) ** 0.5)
    ds = pydicom.dcmread(SOURCE)
    pixels = cv2.resize(ds.pixel_array, (side, side), interpolation=cv2.INTER_LINEAR)
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "largest.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def felt(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """(longest gap in ms, growth of memory in MiB) of the waking thread while ``work`` runs on another."""
    process, longest, growth = psutil.Process(), 0.0, 0.0
    for _ in range(repeats):
        gc.collect()
        before = process.memory_info().rss
        thread = threading.Thread(target=work)
        thread.start()
        last = perf_counter()
        while thread.is_alive():
            sleep(TICK_S)
            now = perf_counter()
            longest, last = max(longest, 1000 * (now - last)), now
            growth = max(growth, (process.memory_info().rss - before) / 2**20)
    return longest, growth


def report(name: str, gap: float, growth: float, *, judged: bool = True) -> None:
    kept = "kept" if gap <= GOAL_MS and growth <= GOAL_MIB else "MISSED"
    print(f"{name:58s} gap {gap:6.1f} ms   memory +{growth:6.1f} MiB   {kept if judged else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    if not SOURCE.is_file():
        sys.exit("needs the real films in ../shared/data/dicom")
    warnings.simplefilter("ignore")
    sys.setswitchinterval(0.0002)  # as the program does
    sandbox._BOOT = _LISTING
    pool = sandbox.Sandbox(1)
    reader = SandboxReader(pool)
    try:
        with tempfile.TemporaryDirectory() as name:
            film = largest_film(Path(name))
            node = reader.describe(film, CancelToken()).image
            make_ready(
                reader.read(reader.describe(SOURCE, CancelToken()).image, CancelToken())
            )  # loads what draws films
            report("nothing", *felt(lambda: sleep(1), repeats))
            report("film of 60 megapixels", *felt(lambda: make_ready(reader.read(node, CancelToken())), repeats))
            count = int(wire.MAX_WORDS / 36)
            listing = felt(lambda: pool.ask(Directory, "list", CancelToken(), count=count), repeats)
            report(f"list of {count:,} files", *listing)
            peer = felt(lambda: pydicom.dcmread(film).pixel_array.max(), repeats)
            report("peer: pydicom, the same film, in the window's process", *peer, judged=False)
    finally:
        reader.close()


if __name__ == "__main__":
    main()
