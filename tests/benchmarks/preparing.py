"""From stored pixels to the input of a network, beside TorchXRayVision's crop and resize of the same film.

    python tests/benchmarks/preparing.py [--rounds 10] [--side 3000]

One core. The library starts from grey values that are ready, we from stored pixels with a window and MONOCHROME1; both
take turns, so that a busy machine slows them alike. Prints medians in milliseconds, ratios, and how far apart the two
inputs are, as a share of the half range.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from torchxrayvision.datasets import XRayCenterCrop, XRayResizer

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.image import ImageKey, Radiograph, VoiWindow
from cxr_viewer.inference.preprocess import model_grey, see

FIELD = InputSpec(224, "crop", False, 0.5, 1 / 2048, intensity="presented", resize="gaussian")
SPECS = {
    "224 px, as the library": FIELD,
    "512 px, as the library": replace(FIELD, size_px=512),
    "192 px, stretched (bundled model)": InputSpec(192, "stretch", True, 0.5, 0.25),
}


def film(side: int) -> Radiograph:
    """A new film each time: its histogram is not known yet."""
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((side, side), dtype=np.float32), (0, 0), 9)
    stored = (4095 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint16)
    window = (VoiWindow(2048, 3000),)
    return Radiograph(ImageKey("1", "2", "3"), Path("film"), stored, 12, "MONOCHROME1", "DX", voi=window)


def as_the_library(greys: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Centre square and resize of (1, rows, columns)."""
    out: NDArray[np.float32] = XRayResizer(side)(XRayCenterCrop()(greys))
    return out


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--side", type=int, default=3000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cv2.setNumThreads(1)

    known = film(options.side)
    greys = (model_grey(known, "presented")[None] - np.float32(0.5)) * np.float32(2048)
    for name, spec in SPECS.items():
        ours, theirs = [], []
        see(known, spec)  # the operators of this size
        for _ in range(options.rounds):
            new = film(options.side)
            ours.append(milliseconds(partial(see, new, spec)))
            if spec.resize == "gaussian":
                theirs.append(milliseconds(partial(as_the_library, greys, spec.size_px)))
        text = f"{name}: {statistics.median(ours):.1f} ms"
        if theirs:
            apart = np.abs(see(known, spec).film - as_the_library(greys, spec.size_px)).max() / 1024
            ratio = statistics.median(theirs) / statistics.median(ours)
            text += f"; the library {statistics.median(theirs):.1f} ms, {ratio:.1f} x; apart {apart:.1e}"
        print(text, flush=True)


if __name__ == "__main__":
    main()
