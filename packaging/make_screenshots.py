#!/usr/bin/env python3
"""Remake the pictures of the manual: the real program, real films, no hand-made image.

Usage: .venv/bin/python packaging/make_screenshots.py [NAME ...]

Only films that may be shown are used: the bundled samples and NIH ChestX-ray14 films. Needs no screen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxr_viewer.services.events import Event

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURES = REPOSITORY / "docs" / "images"
SAMPLES = REPOSITORY / "resources" / "samples"
SIZE = (1280, 800)
WAIT_S = 400.0  # four models are converted first, on a computer that may be busy


class Stage:
    """The program with a film in it, to be pictured."""

    def __init__(self) -> None:
        from PySide6.QtWidgets import QApplication

        from cxr_viewer.app import Program, dress

        self.application = QApplication(sys.argv[:1])
        dress(self.application)
        self.program = Program(SIZE)
        self.bench = self.program.workbench
        self.program.start([SAMPLES])
        self.settle()

    def settle(self) -> None:
        """Let everything come to rest."""
        import time

        deadline = time.monotonic() + WAIT_S
        quiet = 0
        while quiet < 20:
            if time.monotonic() > deadline:
                raise SystemExit("the window did not come to rest")
            self.application.processEvents()
            time.sleep(0.02)
            quiet = quiet + 1 if self.bench.settled else 0

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the program work until something is there, and then come to rest."""
        import time

        deadline = time.monotonic() + WAIT_S
        while not until():
            if time.monotonic() > deadline:
                raise SystemExit("what was waited for did not come")
            self.application.processEvents()
            time.sleep(0.02)
        self.settle()

    def open(self, name: str, *, mapped: bool = False) -> None:
        """Show one of the samples, without the map that comes with a called finding unless it is asked for."""
        from cxr_viewer.services import events as ev

        self.bench.opener.open([SAMPLES / name])
        self.settle()
        self.send(ev.SetOverlay(0, visible=mapped))

    def send(self, *events: Event) -> None:
        for event in events:
            self.bench.controller.dispatch(event)
        self.settle()

    def picture(self, name: str, widget: object | None = None) -> None:
        """Save the window, or one of its parts."""
        part = widget or self.bench.window
        path = PICTURES / f"{name}.png"
        if not part.grab().save(str(path), "PNG"):  # type: ignore[attr-defined]
            raise SystemExit(f"{path} could not be written")
        sys.stdout.write(f"{path.relative_to(REPOSITORY)}\n")


def main_window(stage: Stage) -> None:
    stage.open(ADULT, mapped=True)
    stage.picture("main-window")


def greyed(stage: Stage) -> None:
    """A child on a film that does not tell the age: no model may be believed."""
    stage.open(CHILD)
    stage.picture("findings-greyed", stage.bench.findings)


def measures(stage: Stage) -> None:
    from cxr_viewer.core.annotations import MarkKind
    from cxr_viewer.core.geometry import Point
    from cxr_viewer.services import events as ev

    stage.open(ADULT)
    image = stage.bench.controller.state.pane.image
    assert image is not None
    w, h = image.columns, image.rows
    stage.send(
        ev.AddMark(0, MarkKind.LENGTH, (Point(0.38 * w, 0.66 * h), Point(0.72 * w, 0.66 * h))),
        ev.AddMark(0, MarkKind.ANGLE, (Point(0.4 * w, 0.3 * h), Point(0.52 * w, 0.4 * h), Point(0.6 * w, 0.3 * h))),
        ev.AddMark(0, MarkKind.ARROW, (Point(0.3 * w, 0.55 * h), Point(0.2 * w, 0.47 * h)), "arrow"),
    )
    stage.picture("marks")


def calibration(stage: Stage) -> None:
    from PySide6.QtWidgets import QLineEdit

    from cxr_viewer.core.annotations import MarkKind
    from cxr_viewer.core.geometry import Point
    from cxr_viewer.services import events as ev
    from cxr_viewer.ui.calibration_dialog import CalibrationDialog

    stage.open(ADULT)
    stage.send(ev.AddMark(0, MarkKind.LENGTH, (Point(300, 680), Point(930, 680))))
    stage.bench.actions["calibrate"].trigger()
    dialog = stage.bench.window.findChild(CalibrationDialog)
    assert isinstance(dialog, CalibrationDialog)
    field = dialog.findChild(QLineEdit)
    assert isinstance(field, QLineEdit)
    field.insert("100")
    field.textEdited.emit("100")
    stage.settle()
    stage.picture("calibration", dialog)
    dialog.reject()


def browser(stage: Stage) -> None:
    stage.picture("studies", stage.bench.browser)
    stage.picture("window-panel", stage.bench.display)


def report(stage: Stage) -> None:
    from cxr_viewer.services import events as ev

    stage.open(ADULT, mapped=True)
    stage.send(ev.SetOpinion(0, "For teaching."))
    made = stage.bench.files.report(with_identity=False)
    assert made is not None
    from cxr_viewer.outputs.png import PngReportWriter

    target = PICTURES / "report-full.png"
    PngReportWriter().write_png(made, target)
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QImage

    smooth = Qt.TransformationMode.SmoothTransformation
    QImage(str(target)).scaledToWidth(1200, smooth).save(str(PICTURES / "report.png"))
    target.unlink()
    sys.stdout.write("docs/images/report.png\n")


def inspector(stage: Stage) -> None:
    stage.open(ADULT)
    stage.bench.actions["inspector"].trigger()
    stage.settle()
    panel = stage.bench.inspector.panel
    stage.picture("why")
    panel.tabs.setCurrentIndex(1)
    panel.tags.search.setText("0028")
    panel.tags.hide_identity.setChecked(True)
    stage.settle()
    panel.tags.table.selectRow(2)
    stage.picture("tags", panel)
    panel.tags.search.clear()
    panel.tabs.setCurrentIndex(0)
    stage.bench.actions["inspector"].trigger()
    stage.settle()


def seen(stage: Stage) -> None:
    """The same place on the film and in the input, whose pixels are five times as coarse."""
    stage.open(NODULE)
    window = stage.bench.saw
    stage.bench.actions["compare_seen"].trigger()
    stage.settle()
    for picture in (window.film, window.input):
        picture.show_cross((0.64, 0.38))
    stage.picture("what-the-model-saw", window)
    window.close()


def anatomy(stage: Stage) -> None:
    """The cardiothoracic ratio with outlines, after the reader has moved an end."""
    from cxr_viewer.core.anatomy import Handle
    from cxr_viewer.core.geometry import Point
    from cxr_viewer.services import events as ev

    stage.open(ADULT)
    stage.send(ev.ShowOutlines(True))
    callipers = stage.bench.controller.state.pane.callipers
    if callipers is not None:
        right = callipers.point(Handle.HEART_RIGHT)
        stage.send(ev.MoveCalliper(0, Handle.HEART_RIGHT, Point(right.x - 20, right.y)))
    stage.picture("callipers-moved")
    stage.send(ev.ShowOutlines(False), ev.ResetCallipers(0))


def film_check(stage: Stage) -> None:
    """A film that lies turned is stopped."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        lying = Path(folder) / "lying.png"
        with Image.open(SAMPLES / CHILD) as upright:
            upright.transpose(Image.Transpose.ROTATE_270).save(lying)
        stage.bench.opener.open([lying])
        stage.settle()
        check = stage.bench.findings.check
        if check.override.isVisible():
            stage.picture("film-check")


def models(stage: Stage) -> None:
    """The models' window with an offer and with a card, and the first offer above the films."""
    desk = stage.bench.models
    stage.open(ADULT)
    desk.offer()
    stage.wait(desk.bar.isVisible)
    stage.picture("model-offer")
    desk.bar.buttons["details"].click()
    dialog = desk.dialog
    assert dialog is not None
    stage.wait(lambda: not desk.keeper.busy)
    stage.picture("models", dialog)
    dialog.choose("adult-findings")
    stage.settle()
    stage.picture("model-card", dialog)
    dialog.close()


CHILD = "child-2-pneumonia.png"
ADULT = "adult-2-cardiomegaly.dcm"
NODULE = "adult-3-nodule.dcm"
SCENES: dict[str, Callable[[Stage], None]] = {
    "main_window": main_window,
    "greyed": greyed,
    "measures": measures,
    "calibration": calibration,
    "browser": browser,
    "report": report,
    "inspector": inspector,
    "anatomy": anatomy,
    "film_check": film_check,
    "models": models,
    "seen": seen,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Remake the pictures of the manual.")
    parser.add_argument("scenes", nargs="*", choices=[*SCENES, []], help="which; all when none is named")
    wanted = parser.parse_args().scenes or list(SCENES)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["CXR_VIEWER_HOME"] = home
        stage = Stage()
        try:
            for name in wanted:
                SCENES[name](stage)
        finally:
            stage.program.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
