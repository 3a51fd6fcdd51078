"""How long a film takes from the click to its pixels, against pydicom in the same process.

    python tests/benchmarks/reading.py [--repeats 15]

The reader process hashes the file, parses it tolerantly, decodes it and sends its pixels over; the peer only parses and
decodes, ``pydicom.dcmread(path).pixel_array``, in a process that already holds pydicom. Prints medians and slowest of
the same run for both, and their ratio. The uncompressed film is a real one enlarged to 3000 x 2500 pixels of 16 bits.

Of films that have a preview it prints when that is there, when the whole film is there, and when it would have been
without a preview, all in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

import cv2
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

FILMS = REPOSITORY.parent / "shared" / "data" / "dicom"
SOURCE = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
COMPRESSED = ("tx_dx_canon_jpegls_lossless.dcm", "tx_dx_canon_htj2k_lossless.dcm", SOURCE)
SLOW = (SOURCE, "dx_lidc0005_lateral_ge_j2klossless_14bit.dcm")
BUDGET_MS = 150.0


def large_film(folder: Path) -> Path:
    """A real film as an uncompressed file of 3000 x 2500 pixels of 16 bits."""
    ds = pydicom.dcmread(FILMS / SOURCE)
    pixels = cv2.resize(ds.pixel_array, (2500, 3000), interpolation=cv2.INTER_CUBIC)
    ds.Rows, ds.Columns = pixels.shape
    ds.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "uncompressed_3000x2500.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each of ``repeats`` runs, after one that warms caches."""
    work()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(1000 * (perf_counter() - start))
    return times


def report(name: str, ours: list[float], peer: list[float]) -> None:
    ratio = statistics.median(ours) / statistics.median(peer)
    print(
        f"{name:44s} ours {statistics.median(ours):7.1f} ms (slowest {max(ours):7.1f})   "
        f"pydicom {statistics.median(peer):7.1f} ms (slowest {max(peer):7.1f})   ratio {ratio:5.2f}"
    )


def previews(reader: SandboxReader, path: Path, repeats: int) -> None:
    """Time to the first picture and to the whole film, with previews and without."""
    node, first, whole, alone = reader.describe(path, CancelToken()).image, [], [], []
    for _ in range(repeats + 1):
        start = perf_counter()
        reader.read(node, CancelToken(), lambda _, start=start: first.append(1000 * (perf_counter() - start)))  # type: ignore[misc]
        whole.append(1000 * (perf_counter() - start))
        start = perf_counter()
        reader.read(node, CancelToken())
        alone.append(1000 * (perf_counter() - start))
    early, late, without = (statistics.median(times[1:]) for times in (first, whole, alone))
    print(
        f"{path.name:44s} preview {early:7.1f} ms   whole film {late:7.1f} ms   without preview {without:7.1f} ms   "
        f"first picture {early / without:5.2f}, whole film {late / without:5.2f} of that"
    )


def scan_rate(scanner: FolderScanner, film: Path, count: int, folder: Path) -> None:
    """A folder of many links to one film: time to the first images and headers per second."""
    for number in range(count):
        (folder / f"{number:05d}.dcm").hardlink_to(film)
    start, first, looked_at = perf_counter(), 0.0, 0
    for batch in scanner.scan([folder], CancelToken()):
        first = first or 1000 * (perf_counter() - start)
        looked_at = batch.looked_at
    rate = looked_at / (perf_counter() - start)
    print(f"scan of {looked_at} files: first images after {first:.0f} ms, {rate:.0f} files a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    if not FILMS.is_dir():
        sys.exit("needs the real films in ../shared/data/dicom")
    warnings.simplefilter("ignore")
    sandbox = Sandbox()
    reader = SandboxReader(sandbox)
    try:
        with tempfile.TemporaryDirectory() as name:
            film = large_film(Path(name))
            for path in (film, *(FILMS / compressed for compressed in COMPRESSED)):
                node = reader.describe(path, CancelToken()).image
                ours = timed(lambda node=node: reader.read(node, CancelToken()), repeats)  # type: ignore[misc]
                peer = timed(lambda path=path: pydicom.dcmread(path).pixel_array, repeats)  # type: ignore[misc]
                report(path.name, ours, peer)
                if path == film:
                    kept = statistics.median(ours) <= BUDGET_MS
                    print(f"{'':44s} budget {BUDGET_MS:.0f} ms: {'kept' if kept else 'MISSED'}")
            for slow in SLOW:
                previews(reader, FILMS / slow, repeats)
            many = Path(name) / "many"
            many.mkdir()
            scan_rate(FolderScanner(sandbox), film, 2000, many)
    finally:
        reader.close()


if __name__ == "__main__":
    main()
