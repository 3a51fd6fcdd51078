#!/usr/bin/env python3
"""The list of attributes against pydicom: every attribute as text, both in this process, the same files, the same run.

Usage: .venv/bin/python tests/benchmarks/tags.py [FILE ...]

Prints milliseconds per file (median of the repetitions) and how many times as long pydicom takes. pydicom reads up to
the pixels and is asked for ``str`` of each value, which is the least a list needs. Two files do not compare like with
like: ours stops after 20,000 rows and shows 64 levels of nesting.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom

from cxr_viewer.sources import tags

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = (
    "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm",
    "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm",
    "dicom-other/sr_basic.dcm",
    "dicom-other/ecg_waveform.dcm",
    "hostile/nested_sq_300.dcm",
    "hostile/many_elements_500k.dcm",
)
REPEATS = 9


def ours(data: bytes) -> int:
    return len(tags.tag_list(io.BytesIO(data)).rows)


def pydicoms(data: bytes) -> int:
    data_set = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return sum(len(str(element.value)) >= 0 for element in data_set.iterall())


def median_ms(work: Callable[[bytes], int], data: bytes) -> float:
    took = []
    for _ in range(REPEATS if len(data) < 4_000_000 else 3):
        start = time.perf_counter()
        work(data)
        took.append(1e3 * (time.perf_counter() - start))
    return statistics.median(took)


def main() -> int:
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(6000)  # as in the reader process
    files = [Path(name) for name in sys.argv[1:]] or [DATA / name for name in FILES]
    missing = [path for path in files if not path.is_file()]
    if missing:
        print(f"needs {missing[0]}, which is not there")
        return 1
    print(f"{'file':52} {'rows':>6} {'ours ms':>9} {'pydicom ms':>11} {'ratio':>6}")
    for path in files:
        data = path.read_bytes()
        mine, theirs = median_ms(ours, data), median_ms(pydicoms, data)
        print(f"{path.name[:52]:52} {ours(data):6} {mine:9.2f} {theirs:11.2f} {theirs / mine:6.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
