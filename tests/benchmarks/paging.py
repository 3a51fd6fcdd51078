"""What paging costs: films scored on the way, how soon films and findings are there, and whether looking ahead delays.

In the real program, over copies of real films: a reader who turns 50 pages as fast as they go, one who stays on each
film (with and without films scored ahead), and one who goes on in the very moment in which a film is read ahead. The
peer of the last two is the same program, in the same run, that never looks ahead.

    python tests/benchmarks/paging.py [--films 50] [--stay 8] [--rest 1.6]
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from responsiveness import Ticker

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY.parent / "shared/data"
_LIMIT_S = 60.0


def make_films(folder: Path, count: int) -> None:
    """One study of ``count`` films: real pixels of 1024 x 1024, an identity and a grey value of its own for each."""
    import pydicom
    from pydicom.uid import generate_uid

    sources = sorted((DATA / "dicom").glob("dx_nih_*.dcm"))
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        film = pydicom.dcmread(sources[number % len(sources)])
        film.StudyInstanceUID, film.SeriesInstanceUID = study, series
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        film.InstanceNumber = number + 1
        film.Modality = "DX"
        film.PatientID, film.PatientName = "paging", "Paging"
        film.save_as(folder / f"{number:03d}.dcm")


class Bench:
    """The program with a folder open, and a hand that turns pages."""

    def __init__(self, application: Any, films: Path) -> None:
        from cxr_viewer.app import Program

        self.application = application
        self.program = Program((1280, 800))
        self.workbench = self.program.workbench
        self.program.start([films])
        self.until(lambda: self.workbench.settled, least_s=0.5)
        self.go_to_start()
        self.until(lambda: self.workbench.settled and self.pane.result is not None, least_s=0.3)

    @property
    def pane(self) -> Any:
        return self.workbench.controller.state.pane

    def go_to_start(self) -> None:
        study = self.workbench.browser.study(self.pane.key.study_uid)
        from cxr_viewer.services.events import OpenImage

        self.workbench.controller.dispatch(OpenImage(study.images[0], 0))

    def until(self, done: Callable[[], bool], least_s: float = 0.0) -> None:
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < least_s or not done():
            self.application.processEvents()
            time.sleep(0.0002)
            if elapsed > _LIMIT_S:
                raise SystemExit("the program did not get on")

    def turn(self) -> tuple[float, float]:
        """The next image: milliseconds to its pixels, and to its findings."""
        clicked = time.perf_counter()
        self.workbench.actions["next_image"].trigger()
        self.until(lambda: self.pane.image is not None)
        self.workbench.canvas.view(0).viewport().repaint()
        pixels = 1000 * (time.perf_counter() - clicked)
        self.until(lambda: self.pane.result is not None)
        return pixels, 1000 * (time.perf_counter() - clicked)

    def close(self) -> None:
        self.program.close()


def percentiles(values: list[float]) -> str:
    return f"median {np.median(values):.0f} ms, p95 {np.percentile(values, 95):.0f} ms, slowest {max(values):.0f} ms"


def fast(bench: Bench, pages: int) -> None:
    """Every page as soon as its pixels are there."""
    scored: list[Any] = []
    from cxr_viewer.services.events import AnalysisArrived

    bench.workbench.controller.happened.connect(
        lambda event: scored.append(event) if isinstance(event, AnalysisArrived) else None
    )
    pixels = []
    ticker = Ticker()
    ticker.start()
    for _ in range(pages):
        clicked = time.perf_counter()
        bench.workbench.actions["next_image"].trigger()
        bench.until(lambda: bench.pane.image is not None)
        bench.workbench.canvas.view(0).viewport().repaint()
        pixels.append(1000 * (time.perf_counter() - clicked))
    on_the_way = len(scored)
    bench.until(lambda: bench.workbench.settled)
    gaps = ticker.stop()
    print(
        f"{pages} pages as fast as they go: pixels {percentiles(pixels)}; films scored on the way {on_the_way}, "
        f"after the last {len(scored) - on_the_way}; longest gap of the window {gaps.max():.0f} ms"
    )


def staying(bench: Bench, pages: int, rest_s: float) -> list[tuple[float, float]]:
    """A reader who rests on each film."""
    turned = []
    for _ in range(pages):
        bench.until(lambda: bench.workbench.settled, least_s=rest_s)
        turned.append(bench.turn())
    return turned


def interrupting(bench: Bench, pages: int) -> list[float]:
    """A reader who goes on some milliseconds after the program has begun to look ahead (or would have)."""
    chance = random.Random(1)
    turned = []
    for _ in range(pages):
        bench.until(lambda: bench.workbench.settled, least_s=0.7)
        limit = time.perf_counter() + 0.3
        bench.until(lambda limit=limit: bench.workbench.ahead.busy or time.perf_counter() > limit)
        bench.until(lambda: True, least_s=chance.uniform(0.0, 0.12))
        turned.append(bench.turn()[0])
    return turned


def measure(application: Any, films: Path, ahead: bool, pages: int, stay: int, rest_s: float) -> dict[str, Any]:
    from cxr_viewer.ui.ahead import Ahead

    look = Ahead.look
    if not ahead:
        Ahead.look = lambda self: None  # type: ignore[method-assign]
    try:
        bench = Bench(application, films)
        if ahead:
            fast(bench, pages - 1)
            bench.close()
            bench = Bench(application, films)
        turned = staying(bench, stay, rest_s)
        stopped = interrupting(bench, 2 * stay)
        bench.close()
    finally:
        Ahead.look = look  # type: ignore[method-assign]
    return {"pixels": [one[0] for one in turned], "findings": [one[1] for one in turned], "stopped": stopped}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=50)
    parser.add_argument("--stay", type=int, default=8)
    parser.add_argument("--rest", type=float, default=1.6)
    arguments = parser.parse_args()
    if not (DATA / "dicom").is_dir():
        print(f"{DATA}/dicom is missing.")
        return 2
    from PySide6.QtWidgets import QApplication

    from cxr_viewer.app import dress

    application = QApplication(sys.argv[:1])
    dress(application)
    with tempfile.TemporaryDirectory() as scratch:
        films = Path(scratch) / "films"
        films.mkdir()
        make_films(films, arguments.films)
        os.environ["CXR_VIEWER_HOME"] = str(Path(scratch) / "home")
        told = {
            ahead: measure(application, films, ahead, arguments.films, arguments.stay, arguments.rest)
            for ahead in (True, False)
        }
        shutil.rmtree(films)
    for name, what in (
        ("pixels", "click to pixels"),
        ("findings", "click to findings"),
        ("stopped", "click to pixels while a film is read ahead"),
    ):
        with_it, without = told[True][name], told[False][name]
        print(f"{what}: looking ahead {percentiles(with_it)}")
        print(f"{'':{len(what)}}  never          {percentiles(without)}")
        print(f"{'':{len(what)}}  ratio of medians {np.median(with_it) / np.median(without):.2f}")
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
