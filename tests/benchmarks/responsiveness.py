"""Gaps in the window's event loop while a film is read, scored and explained, and the wait for its pixels.

A 5 ms timer runs on the window's thread of the real program; the longest time between two ticks is what a hand would
feel. The peer, in the same run: the same work done on the window's own thread.

    python tests/benchmarks/responsiveness.py [--rounds 5] [FILE]
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
REPOSITORY = Path(__file__).resolve().parents[2]
FILM = REPOSITORY.parent / "shared/data/dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"


def uncompressed_copy(source: Path, folder: Path, rows: int = 3000, columns: int = 2500) -> Path:
    """The film resampled to ``rows`` x ``columns``, 12 bit, Explicit VR Little Endian."""
    import cv2
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset = pydicom.dcmread(source)
    stored = cv2.resize(dataset.pixel_array, (columns, rows), interpolation=cv2.INTER_AREA).astype("<u2")
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = folder / "film.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


class Ticker:
    """Notes when a 5 ms timer on the window's thread fires."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self._timer = QTimer(interval=5)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._last = time.perf_counter()
        self.gaps_ms: list[float] = []

    def start(self) -> None:
        self.gaps_ms.clear()
        self._last = time.perf_counter()
        self._timer.start()

    def stop(self) -> np.ndarray:
        self._timer.stop()
        return np.array(self.gaps_ms)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps_ms.append(1000 * (now - self._last))
        self._last = now


def line(name: str, gaps_ms: np.ndarray, seconds: float) -> str:
    p50, p99 = np.percentile(gaps_ms, [50, 99])
    return f"{name:42s} p50 {p50:6.1f}  p99 {p99:6.1f}  max {gaps_ms.max():7.1f} ms   in {seconds:5.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", nargs="?", type=Path, default=FILM)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not arguments.film.exists():
        print(f"{arguments.film} is missing; name a film to measure with.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CXR_VIEWER_HOME"] = str(Path(folder) / "home")
        return measure(uncompressed_copy(arguments.film, Path(folder)), arguments.rounds)


def measure(film: Path, rounds: int) -> int:
    from PySide6.QtCore import QEventLoop
    from PySide6.QtWidgets import QApplication

    from cxr_viewer.app import Program, dress
    from cxr_viewer.services.answers import Answers

    gc.collect()
    gc.freeze()  # what made the film is no part of the program, and must not be searched for garbage
    application = QApplication(sys.argv[:1])
    dress(application)
    program = Program((1280, 800))
    workbench = program.workbench
    workbench.inference._answers = Answers(most_kept=0)  # every opening is to be scored and explained anew
    ticker = Ticker()

    def run_until_settled() -> float:
        started = time.perf_counter()
        while time.perf_counter() - started < 0.2 or not workbench.settled:
            application.processEvents()
            time.sleep(0.0005)
        return time.perf_counter() - started

    application.processEvents()  # the window is up; its first painting belongs to the start
    ticker.start()
    program.start([film])
    seconds = run_until_settled()
    print(line("first film, engines loading", ticker.stop(), seconds))
    study = workbench.browser.study(workbench.controller.state.pane.key.study_uid)
    from cxr_viewer.services.events import OpenStudy

    every: list[np.ndarray] = []
    clicks_ms: list[float] = []
    seconds = 0.0
    for _ in range(rounds):
        ticker.start()
        clicked = time.perf_counter()
        workbench.controller.dispatch(OpenStudy(study))
        while workbench.controller.state.pane.image is None:  # as the program waits: asleep until something happens
            application.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        workbench.canvas.view(0).viewport().repaint()
        clicks_ms.append(1000 * (time.perf_counter() - clicked))
        seconds += run_until_settled()
        every.append(ticker.stop())
    ours = np.concatenate(every)
    print(line(f"{rounds} further openings", ours, seconds / rounds))
    print(
        f"click to pixels on screen: median {np.median(clicks_ms):.0f} ms, slowest {max(clicks_ms):.0f} ms (goal 150)"
    )
    image = workbench.controller.state.pane.image
    program.close()
    same = on_the_windows_thread(application, ticker, film, image, rounds)
    ratio = ours.max() / same.max()
    print(f"longest gap: {ours.max():.0f} ms ours, {same.max():.0f} ms on the window's thread: ratio {ratio:.3f}")
    return 0


def on_the_windows_thread(application: object, ticker: Ticker, film: Path, image: object, rounds: int) -> np.ndarray:
    """The same reading and scoring, done between two ticks."""
    import pydicom

    from cxr_viewer.core.findings import AnalysisRequest
    from cxr_viewer.core.jobs import CancelToken
    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.inference.runner import LocalRunner

    catalog = BundleCatalog()
    runner, model_id = LocalRunner(catalog), catalog.cards()[0].model_id
    gaps: list[np.ndarray] = []
    started = time.perf_counter()
    for number in range(rounds + 1):
        ticker.start()
        application.processEvents()  # type: ignore[attr-defined]
        pydicom.dcmread(film).pixel_array  # noqa: B018
        runner.analyse(AnalysisRequest(0, number, image, model_id), CancelToken(), lambda stage: None)
        time.sleep(0.006)
        application.processEvents()  # type: ignore[attr-defined]
        if number:
            gaps.append(ticker.stop())
    runner.close()
    joined = np.concatenate(gaps)
    print(line("the same on the window's own thread", joined, (time.perf_counter() - started) / (rounds + 1)))
    return joined


if __name__ == "__main__":
    raise SystemExit(main())
