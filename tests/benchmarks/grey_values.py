"""A window dragged over a film of 3000 x 2500 x 12 bit: grey values, and whole frames on screen.

Peers in the same run, taking turns with us frame by frame: numpy's own look-up with the same table, pydicom's
``apply_voi_lut``, a plain float pipeline; and pyqtgraph's ``ImageItem.setLevels`` for the frame. Both windows are
1000 x 1000 pixels and are painted into a picture in memory.

    python tests/benchmarks/grey_values.py [--frames 60]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.image import ImageKey, Radiograph, Voi, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.core.study import ImageNode
from cxr_viewer.imaging import levels, luts
from cxr_viewer.imaging.pyramid import Pyramid

ROWS, COLUMNS, SCREEN_PX = 3000, 2500, 1000
GREY_GOAL_MS, FRAME_GOAL_MS = 4.0, 8.0


@dataclass(frozen=True)
class Timing:
    """Milliseconds of many frames."""

    name: str
    p50: float
    p95: float

    def line(self, ours: Timing) -> str:
        ratio = "" if self is ours else f"{self.p50 / ours.p50:8.1f} x"
        return f"  {self.name:<44}{self.p50:9.2f}{self.p95:9.2f}{ratio}"


def take_turns(works: dict[str, Callable[[int], object]], frames: int) -> list[Timing]:
    """Each work once per frame, in turn, so that a busy moment of the machine meets all of them."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(0)
    for frame in range(frames):
        for name, work in works.items():
            start = time.perf_counter()
            work(frame)
            spent[name].append(1000 * (time.perf_counter() - start))
    return [Timing(name, *(float(p) for p in np.percentile(times, (50, 95)))) for name, times in spent.items()]


def table(title: str, timings: Sequence[Timing], goal_ms: float | None = None) -> None:
    goal = f", goal {goal_ms:g} ms" if goal_ms is not None else ""
    print(f"\n{title}{goal}\n  {'':<44}{'p50 ms':>9}{'p95 ms':>9}")
    for timing in timings:
        print(timing.line(timings[0]))


def film() -> Radiograph:
    """Soft shapes and the grain of a detector, 12 bit."""
    random = np.random.default_rng(7)
    soft = cv2.resize(random.random((8, 7)), (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC)
    stored = (400 + 3000 * soft + random.normal(0, 25, (ROWS, COLUMNS))).clip(0, 4095).astype(np.uint16)
    stored.flags.writeable = False
    return Radiograph(ImageKey("1", "2", "3"), Path("film.dcm"), stored, 12, "MONOCHROME2", "DX")


def drag(function: WindowFunction, frames: int) -> list[Voi]:
    """The windows of a hand that moves to and fro."""
    start = VoiWindow(2048, 3000, function)
    way = np.linspace(0, 2 * np.pi, frames)
    return [levels.drag_window(start, 200 * np.sin(t), 150 * np.cos(t), (0, 4095)) for t in way]


def voi_tables(frames: int) -> list[Voi]:
    """A film-like curve that shifts, as 12-bit VOI LUTs."""
    x = np.arange(4096)
    curves = (4095 / (1 + np.exp(-(x - 1500 - 15 * frame) / 350)) for frame in range(frames))
    return [VoiTable(0, curve.astype(np.uint16), 12) for curve in curves]


# ---------------------------------------------------------------- grey values


def pydicom_window(image: Radiograph, vois: Sequence[Voi]) -> Callable[[int], object]:
    from pydicom.dataset import Dataset
    from pydicom.pixels import apply_voi_lut

    ds = Dataset()
    ds.BitsStored, ds.BitsAllocated, ds.PixelRepresentation = 12, 16, 0
    ds.PhotometricInterpretation = image.photometric

    def work(frame: int) -> object:
        voi = vois[frame]
        assert isinstance(voi, VoiWindow)
        ds.WindowCenter, ds.WindowWidth = round(voi.center, 3), round(voi.width, 3)
        return (apply_voi_lut(image.stored, ds) * (255 / 4095)).astype(np.uint8)

    return work


def float_pipeline(image: Radiograph, vois: Sequence[Voi]) -> Callable[[int], object]:
    def work(frame: int) -> object:
        voi = vois[frame]
        assert isinstance(voi, VoiWindow)
        values = image.stored.astype(np.float64)
        grey = ((values - (voi.center - 0.5)) / (voi.width - 1) + 0.5) * 255
        return np.clip(grey + 0.5, 0, 255).astype(np.uint8)

    return work


def grey_values(image: Radiograph, frames: int) -> None:
    out = np.empty(image.stored.shape, np.uint8)

    def ours(vois: Sequence[Voi]) -> Callable[[int], object]:
        return lambda frame: luts.apply(image.stored, luts.compose(image, vois[frame], False), out)

    linear = drag(WindowFunction.LINEAR, frames)
    works = {
        "cxr_viewer, LINEAR": ours(linear),
        "numpy, table[stored]": lambda frame: luts.compose(image, linear[frame], False)[image.stored],
        "pydicom, apply_voi_lut": pydicom_window(image, linear),
        "float64, pixel by pixel": float_pipeline(image, linear),
    }
    table("Grey values at full resolution", take_turns(works, frames), GREY_GOAL_MS)
    others = {
        "cxr_viewer, LINEAR_EXACT": ours(drag(WindowFunction.LINEAR_EXACT, frames)),
        "cxr_viewer, SIGMOID": ours(drag(WindowFunction.SIGMOID, frames)),
        "cxr_viewer, VOI LUT": ours(voi_tables(frames)),
        "cxr_viewer, the table alone (SIGMOID)": lambda frame: luts.compose(
            image, replace(linear[frame], function=WindowFunction.SIGMOID), False
        ),
    }
    table("Any VOI at full resolution", take_turns(others, frames), GREY_GOAL_MS)


def orders(image: Radiograph, frames: int) -> None:
    """What averaging stored values once saves against averaging greys in every frame."""
    vois = drag(WindowFunction.LINEAR, frames)
    level = Pyramid(image.stored).level(2)
    full = np.empty(image.stored.shape, np.uint8)

    def greys_averaged(frame: int) -> NDArray[np.uint8]:
        luts.apply(image.stored, luts.compose(image, vois[frame], False), full)
        return np.asarray(cv2.resize(full, level.shape[::-1], interpolation=cv2.INTER_AREA))

    works = {
        "stored averaged once, then the table": lambda frame: luts.apply(
            level, luts.compose(image, vois[frame], False)
        ),
        "the table, then greys averaged": greys_averaged,
    }
    table("Half resolution", take_turns(works, frames))


def other_costs(image: Radiograph) -> None:
    """What happens once per film."""

    def fresh(work: Callable[[Radiograph], object]) -> Callable[[int], object]:
        films = iter([replace(image, stored=image.stored.copy()) for _ in range(11)])
        return lambda _frame: work(next(films))

    works = {
        "automatic window": fresh(levels.auto_window),
        "histogram, 256 bins": fresh(lambda one: levels.histogram(one, 256)),
        "range without padding": fresh(luts.modality_range),
        "all levels of the pyramid": fresh(lambda one: Pyramid(one.stored).level(16)),
    }
    table("Once per film", take_turns(works, 10))


# ---------------------------------------------------------------- frames


def frames_on_screen(image: Radiograph, frames: int) -> None:
    import pyqtgraph as pg
    from PySide6.QtGui import QImage
    from PySide6.QtWidgets import QApplication, QGraphicsView

    from cxr_viewer.services.state import PANE_COUNT, Pane, PaneStatus, ViewerState
    from cxr_viewer.ui.pane_view import PaneView

    app = QApplication.instance() or QApplication([])
    vois = drag(WindowFunction.LINEAR, frames)
    picture = QImage(SCREEN_PX, SCREEN_PX, QImage.Format.Format_RGB32)

    def paint(view: QGraphicsView) -> None:
        view.viewport().render(picture)

    def state(voi: Voi, zoom: float | None) -> ViewerState:
        shown = Pane(ImageNode(image.key, image.path), 1, PaneStatus.SHOWN, image, display=DisplayState(voi, zoom=zoom))
        return ViewerState(panes=(shown, *(Pane(),) * (PANE_COUNT - 1)))

    def ours(zoom: float | None) -> Callable[[int], object]:
        view = PaneView(0)
        view.resize(SCREEN_PX, SCREEN_PX)
        view.show()

        def work(frame: int) -> None:
            view.show_state(state(vois[frame], zoom))
            paint(view)

        return work

    def pyqtgraph_view(zoom: float | None) -> Callable[[int], object]:
        view = pg.GraphicsView()
        box = pg.ViewBox(lockAspect=True, invertY=True, enableMenu=False)
        view.setCentralItem(box)
        item = pg.ImageItem(image.stored, axisOrder="row-major", levels=(0, 4095))
        box.addItem(item)
        view.resize(SCREEN_PX, SCREEN_PX)
        view.show()
        app.processEvents()
        side = SCREEN_PX / zoom if zoom else 0
        box.setRange(xRange=(0, side or COLUMNS), yRange=(0, side or ROWS), padding=0)

        def work(frame: int) -> None:
            voi = vois[frame]
            assert isinstance(voi, VoiWindow)
            item.setLevels((voi.center - voi.width / 2, voi.center + voi.width / 2))
            paint(view)

        return work

    for title, zoom in (("Whole frame, film fitted", None), ("Whole frame, 1:1", 1.0)):
        works = {"cxr_viewer, with its texts": ours(zoom), "pyqtgraph, setLevels": pyqtgraph_view(zoom)}
        table(title, take_turns(works, frames), FRAME_GOAL_MS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", type=int, default=60)
    frames = parser.parse_args().frames
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    image = film()
    print(
        f"{ROWS} x {COLUMNS} x 12 bit, {os.cpu_count()} cores, {cv2.getNumThreads()} threads in OpenCV, {frames} frames"
    )
    grey_values(image, frames)
    orders(image, frames)
    other_costs(image)
    frames_on_screen(image, frames)


if __name__ == "__main__":
    main()
