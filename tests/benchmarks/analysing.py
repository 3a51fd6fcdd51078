"""Films per second of ``cxr-viewer analyse`` over many films, and the memory it takes at the start, middle and end.

The peer, in the same run and on the same files: a plain loop in one process that reads each film with pydicom or
Pillow, scales it as plainly as can be, and puts it before the same weights in torch, eagerly, one by one. It looks for
no damage, checks no header and explains nothing.

    python tests/benchmarks/analysing.py [--films 500] [--model ID] [--rounds 1]
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared/data"
_MIB = 1 << 20

PEER = """
import sys
from pathlib import Path
import numpy as np, pydicom, torch
from PIL import Image
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.torch import load_bundle
catalog = BundleCatalog()
wanted = sys.argv[2]
card = next(card for card in catalog.cards() if wanted in ("", card.model_id))
network = load_bundle(card, catalog.folder(card.model_id)).eval()
side = card.input.size_px
print("READY", flush=True)
def pixels(path):
    if path.suffix != ".dcm":
        return np.asarray(Image.open(path).convert("L"), np.float32)
    film = pydicom.dcmread(path)
    grey = film.pixel_array.astype(np.float32)
    grey = grey if grey.ndim == 2 else grey[..., 0] if grey.shape[-1] == 3 else grey[0]
    return grey.max() - grey if film.PhotometricInterpretation == "MONOCHROME1" else grey
with torch.inference_mode():
    for path in sorted(Path(sys.argv[1]).iterdir()):
        try:
            grey = torch.from_numpy(np.ascontiguousarray(pixels(path)))[None, None]
            grey = (grey - grey.min()) / (grey.max() - grey.min())
            film = torch.nn.functional.interpolate(grey, (side, side), mode="area")
            answer = network((film - card.input.mean) / card.input.std)
            answer = answer[0] if isinstance(answer, tuple) else answer
            print(path.name, answer.sigmoid().tolist(), flush=True)
        except Exception as error:
            print(path.name, type(error).__name__, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One command: seconds from its start to its first film and to its end, films, MiB at 10, 50 and 90 %, at most."""

    first_s: float
    total_s: float
    films: int
    mib: tuple[float, float, float]
    peak_mib: float

    @property
    def rate(self) -> float:
        """Films per second of the whole command."""
        return self.films / self.total_s

    @property
    def flow(self) -> float:
        """Films per second once the first one is there."""
        return (self.films - 1) / (self.total_s - self.first_s)


def make_set(folder: Path, count: int) -> tuple[int, int]:
    """Copies of the real films, two in five of them DICOM of every compression; (DICOM, JPEG)."""
    dicom = sorted((DATA / "dicom").glob("*.dcm"))
    pictures = sorted((DATA / "images/nih384").glob("*.jpg"))
    of_dicom = 2 * count // 5
    for number, film in enumerate(itertools.islice(itertools.cycle(dicom), of_dicom)):
        shutil.copy(film, folder / f"{number:04d}.dcm")
    for number, film in enumerate(itertools.islice(itertools.cycle(pictures), count - of_dicom)):
        shutil.copy(film, folder / f"{number:04d}.jpg")
    return of_dicom, count - of_dicom


def memory_mib(process: psutil.Process) -> float:
    """What the process and its children hold alone (PSS where there is one, so that shared libraries count once)."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            taken = each.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(taken, "pss", taken.rss)
    return total / _MIB


def watched(command: Sequence[str], films: int, environment: dict[str, str]) -> Run:
    """Run a command that prints one line for each film, in the end or a word before them (READY)."""
    started = time.perf_counter()
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=REPOSITORY
    )
    watch = psutil.Process(running.pid)
    assert running.stdout is not None
    done, first_s, peak, samples = 0, 0.0, 0.0, []
    marks = [max(1, films // 10), films // 2, films * 9 // 10]
    for line in running.stdout:
        if line.strip() == "READY":
            continue
        done += 1
        first_s = first_s or time.perf_counter() - started
        if marks and done >= marks[0]:
            marks.pop(0)
            samples.append(memory_mib(watch))
        if done % max(1, films // 25) == 0:
            peak = max(peak, memory_mib(watch))
    running.wait()
    total_s = time.perf_counter() - started
    samples += [0.0] * (3 - len(samples))
    return Run(first_s, total_s, done, (samples[0], samples[1], samples[2]), max(peak, *samples))


def told(name: str, run: Run) -> str:
    mib = ", ".join(f"{value:.0f}" for value in run.mib)
    return (
        f"{name:24s} {run.rate:6.1f} films/s ({run.flow:6.1f} after the first, which came after {run.first_s:.1f} s), "
        f"memory {mib} MiB at 10, 50, 90 %, at most {run.peak_mib:.0f} MiB"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=500)
    parser.add_argument("--model", default="")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    if not (DATA / "images/nih384").is_dir():
        print(f"{DATA}/images/nih384 is missing.")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        films = Path(scratch) / "films"
        films.mkdir()
        dicom, pictures = make_set(films, arguments.films)
        print(f"{arguments.films} films: {dicom} DICOM, {pictures} JPEG of 384 px")
        environment = dict(os.environ) | {"CXR_VIEWER_HOME": str(Path(scratch) / "home"), "PYTHONUNBUFFERED": "1"}
        chosen = ["--model", arguments.model] if arguments.model else []
        ours = [sys.executable, "-m", "cxr_viewer", "analyse", *chosen]
        peer = [sys.executable, "-c", PEER]
        warm = sorted(films.iterdir())[:2]
        subprocess.run([*ours, *map(str, warm)], env=environment, cwd=REPOSITORY, capture_output=True, check=False)
        runs = [
            (
                watched([*ours, str(films)], arguments.films, environment),
                watched([*peer, str(films), arguments.model], arguments.films, environment),
            )
            for _ in range(arguments.rounds)
        ]
    for mine, other in runs:
        print(told("cxr-viewer analyse", mine))
        print(told("a plain torch loop", other))
        print(
            f"films a second against the loop: {mine.rate / other.rate:.2f}, "
            f"after the first {mine.flow / other.flow:.2f}"
        )
    print(f"median ratio of {arguments.rounds}: {statistics.median(a.rate / b.rate for a, b in runs):.2f}")
    growth = max((mine.mib[2] - mine.mib[0]) / mine.mib[0] for mine, _ in runs)
    print(f"memory from 10 to 90 % of the films: {growth:+.1%}; load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
