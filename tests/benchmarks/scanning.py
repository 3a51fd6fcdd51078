"""Files per second of a scan: for the first time, again, and with one file of a hundred changed.

    python tests/benchmarks/scanning.py [--files 10000] [--rounds 3]

Makes a folder of films from real headers with identities of their own, small pixels and a few large pictures, and in
the same run, round by round: scans it (headers only), scans it into a study list, scans it again, changes one file of a
hundred and scans once more; the peers are ``pydicom.dcmread(path, stop_before_pixels=True)`` in a plain loop, which
interprets no value, and dcmtk's ``dcmdump`` in one process and in two. The files lie in the system's cache for all of
them. Prints medians of the rounds, their range and the ratios.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from time import perf_counter

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.services.library import Library
from cxr_viewer.services.scanning import scan_into
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

FILMS = REPOSITORY.parent / "shared" / "data" / "dicom"
PER_FOLDER = 200
LARGE_EVERY = 500
SMALL, LARGE = (64, 64), (3000, 2500)
IMAGE_UID, STUDY_UID, PATIENT = "1.2.826.0.1.3680043.10.1.7777777", "1.2.826.0.1.3680043.10.2.7777777", "FICT-7777777"


def templates(shape: tuple[int, int]) -> list[bytes]:
    """Whole files with real headers, identities to be filled in, and grey pixels of this shape."""
    made = []
    for path in sorted(FILMS.glob("*.dcm")):
        if path.name.startswith(("tx_", "syn_")) or "NOPREAMBLE" in path.name:
            continue
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        implicit = ds.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        ds.SOPInstanceUID, ds.StudyInstanceUID = IMAGE_UID, STUDY_UID
        ds.SeriesInstanceUID = STUDY_UID + ".1"
        ds.PatientID, ds.PatientName = PATIENT, f"Fictional^{PATIENT}"
        ds.Rows, ds.Columns = shape
        ds.SamplesPerPixel, ds.BitsAllocated = 1, 16
        ds.PixelData = bytes(2 * shape[0] * shape[1])
        ds["PixelData"].VR = "OW"
        stream = BytesIO()
        ds.save_as(stream)
        made.append(stream.getvalue())
    return made


def make_films(folder: Path, count: int) -> list[Path]:
    """The same films on every machine: two to a study, one study to a patient."""
    small, large = templates(SMALL), templates(LARGE)[:3]
    paths = []
    for number in range(count):
        kinds = large if number % LARGE_EVERY == LARGE_EVERY - 1 else small
        path = folder / f"{number // PER_FOLDER:03d}" / f"IM{number:06d}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_with_identity(kinds[number // 2 % len(kinds)], number))
        paths.append(path)
    return paths


def _with_identity(data: bytes, number: int) -> bytes:
    for placeholder, own in ((IMAGE_UID, number), (STUDY_UID, number // 2), (PATIENT, number // 2)):
        data = data.replace(placeholder.encode(), f"{placeholder[:-7]}{own + 1000000}".encode())
    return data


def change(paths: Sequence[Path], round_number: int) -> int:
    """Another picture in one file of a hundred."""
    chosen = random.Random(round_number).sample(paths, max(1, len(paths) // 100))
    for path in chosen:
        data = bytearray(path.read_bytes())
        data[-1] = (data[-1] + 1) % 256
        path.write_bytes(data)
    return len(chosen)


# ---------------------------------------------------------------- what is measured


class Ours:
    """The scanner with its processes up, as in the program."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder, self._home = folder, home
        self._sandbox = Sandbox()
        self._scanner = FolderScanner(self._sandbox)
        self._library: Library | None = None
        self.first_ms: list[float] = []

    def headers(self) -> int:
        start, first, met = perf_counter(), 0.0, 0
        for batch in self._scanner.scan([self._folder], CancelToken()):
            first = first or 1000 * (perf_counter() - start)
            met += len(batch.met)
        self.first_ms.append(first)
        return met

    def new_library(self) -> None:
        self.close_library()
        self._library = Library(self._home / f"{len(list(self._home.iterdir()))}.sqlite")

    def into_library(self) -> int:
        assert self._library is not None
        taken = scan_into(self._library, self._scanner, [self._folder], CancelToken())
        return sum(len(piece.batch.met) for piece in taken)

    def close_library(self) -> None:
        if self._library is not None:
            self._library.close()

    def close(self) -> None:
        self.close_library()
        self._sandbox.close()


def by_pydicom(paths: Sequence[Path]) -> int:
    for path in paths:
        pydicom.dcmread(path, stop_before_pixels=True)
    return len(paths)


def by_dcmdump(paths: Sequence[Path], processes: int) -> int:
    """``-M``: pixels are not loaded."""
    names = b"\0".join(os.fsencode(path) for path in paths)
    each = -(-len(paths) // processes) if processes > 1 else 1000
    command = ["xargs", "-0", "-n", str(min(each, 1000)), "-P", str(processes), "dcmdump", "-q", "-M"]
    subprocess.run(command, input=names, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return len(paths)


def rounds(ours: Ours, paths: Sequence[Path], count: int) -> Iterator[dict[str, float]]:
    """Files per second of each way, round by round."""
    for number in range(count):
        measured: dict[str, float] = {}

        def note(name: str, work: Callable[[], int], measured: dict[str, float] = measured) -> None:
            start = perf_counter()
            files = work()
            measured[name] = files / (perf_counter() - start)
            assert files == len(paths), f"{name}: {files} of {len(paths)}"

        note("pydicom", lambda: by_pydicom(paths))
        note("headers", ours.headers)
        ours.new_library()
        note("list", ours.into_library)
        note("again", ours.into_library)
        change(paths, number)
        note("changed", ours.into_library)
        if shutil.which("dcmdump") and shutil.which("xargs"):
            note("dcmdump", lambda: by_dcmdump(paths, 1))
            note("dcmdump2", lambda: by_dcmdump(paths, 2))
        yield measured


NAMES = {
    "headers": "our scan, headers",
    "list": "our scan into an empty study list",
    "again": "the same again, nothing changed",
    "changed": "the same again, 1 % changed",
    "pydicom": "pydicom.dcmread(stop_before_pixels=True)",
    "dcmdump": "dcmdump -M, one process",
    "dcmdump2": "dcmdump -M, two processes",
}


def report(every: Sequence[dict[str, float]]) -> None:
    peers = [name for name in ("pydicom", "dcmdump", "dcmdump2") if name in every[0]]
    for name, words in NAMES.items():
        if name not in every[0]:
            continue
        rates = [measured[name] for measured in every]
        line = f"{words:42s}{statistics.median(rates):9,.0f} files/s ({min(rates):,.0f} to {max(rates):,.0f})"
        if name not in peers:
            ratios = [statistics.median(m[name] / m[peer] for m in every) for peer in peers]
            line += "   x " + ", ".join(f"{ratio:.2f} {peer}" for ratio, peer in zip(ratios, peers, strict=True))
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not FILMS.is_dir():
        sys.exit("needs the real films in ../shared/data/dicom")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "films", Path(name) / "home"
        folder.mkdir()
        home.mkdir()
        paths = make_films(folder, arguments.files)
        ours = Ours(folder, home)
        try:
            ours.headers()  # the processes are up, and the files are in the cache for everybody
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
            print(f"{len(paths):,} files, {arguments.rounds} rounds, {os.cpu_count()} processors, load {load:.1f}")
            report(list(rounds(ours, paths, arguments.rounds)))
            print(f"first images after {statistics.median(ours.first_ms[1:]):.0f} ms")
        finally:
            ours.close()


if __name__ == "__main__":
    main()
