"""The study list with 10,000 images: filling, scrolling, searching, a scan that goes on, against a plain QTreeWidget.

    python tests/benchmarks/browser.py [--images 10000] [--cpu]

Prints medians and tails of the same run for both, and their ratio. The peer is Qt's own item widget in C++ with the
same rows as text, without thumbnails, without a second and third line: the least a list could do. ``--cpu``
counts the time the thread was on a processor, for a machine that is busy with other things.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, thread_time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PySide6.QtCore import QBuffer, QCoreApplication, QEvent, QObject
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QAbstractItemView, QApplication, QTreeView, QTreeWidget, QTreeWidgetItem

from cxr_viewer.core.image import ImageKey, PatientInfo, View
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.core.study import FoundImage, ImageNode, StudyNode
from cxr_viewer.services.library import Library
from cxr_viewer.services.search import fold, study_text
from cxr_viewer.ui import theme
from cxr_viewer.ui.browser_panel import BrowserPanel

_SIZE = (360, 900)
clock = perf_counter
_FAMILY = ("Fictional", "Imagined", "Invented", "Madeup", "Nobody", "Pretend", "Example", "Sample", "Mock", "Unreal")
_GIVEN = ("Ada", "Boris", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hana", "Igor", "Jürgen", "Kemal", "Łucja")
_WHAT = ("CHEST PA AND LATERAL", "CHEST AP PORTABLE", "Thorax p.a.", "Chest PA follow-up", "ICU bedside chest")


def found_images(count: int) -> list[FoundImage]:
    """A department's worth: mostly two films a study, every third patient with a prior."""
    found: list[FoundImage] = []
    study = 0
    while len(found) < count:
        patient = study - (study % 3 == 2)
        portable = study % 5 == 1
        for number in range(1 if portable else 2):
            view = View.AP if portable else (View.PA, View.LATERAL)[number]
            uid = f"1.2.826.0.1.{study}"
            key = ImageKey(uid, uid + ".1", f"{uid}.1.{number}")
            path = Path(f"/archive/{patient:06d}/{study:06d}/IM{number:04d}.dcm")
            image = ImageNode(key, path, 2500, 2048, view, "", "DX", "CHEST", number + 1)
            found.append(_found(image, patient, study))
        study += 1
    return found[:count]


def _found(image: ImageNode, patient: int, study: int) -> FoundImage:
    name = f"{_FAMILY[patient % 10]}{patient // 120}^{_GIVEN[patient % 12]}"
    born = dt.date(1930, 1, 1) + dt.timedelta(days=patient * 7 % 30_000)
    who = PatientInfo(f"FICT-{patient:06d}", name, born, "FM"[patient % 2], float(2024 - born.year))
    date = dt.date(2019, 1, 1) + dt.timedelta(days=study * 13 % 2_000)
    return FoundImage(image, who, date, f"{study % 24:02d}1500", _WHAT[study % 5], "", 1, 9_000_000 + study, study)


class Frames(QObject):
    """Measures what painting a widget takes, from the outside."""

    def __init__(self, view: QTreeView) -> None:
        super().__init__()
        self._view = view

    def scroll(self, steps: int) -> list[float]:
        """Milliseconds from moving the scroll bar until the view is painted, top to bottom in ``steps``."""
        bar = self._view.verticalScrollBar()
        times = []
        for step in range(steps + 1):
            start = clock()
            bar.setValue(bar.maximum() * step // steps)
            self._view.viewport().repaint()
            times.append((clock() - start) * 1e3)
            settle()
        return times


def settle() -> None:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    QApplication.processEvents()


def timed(work: Callable[[], object]) -> float:
    start = clock()
    work()
    return (clock() - start) * 1e3


def spread(times: Sequence[float]) -> str:
    ordered = sorted(times)
    return (
        f"p50 {statistics.median(ordered):7.2f}  p99 {ordered[int(len(ordered) * 0.99) - 1]:7.2f}  "
        f"max {ordered[-1]:7.2f} ms"
    )


def thumbnail() -> bytes:
    grey = np.tile(np.linspace(0, 255, 96, dtype=np.uint8), (96, 1))
    image = QImage(grey.tobytes(), 96, 96, 96, QImage.Format.Format_Grayscale8)
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())


class Peer:
    """A plain QTreeWidget with the same studies."""

    def __init__(self) -> None:
        self.tree = QTreeWidget()
        self.tree.setHeaderHidden(True)
        self.tree.setUniformRowHeights(True)
        self.tree.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.tree.resize(*_SIZE)
        self.texts: list[tuple[QTreeWidgetItem, str]] = []

    def fill(self, studies: Sequence[StudyNode]) -> None:
        items = []
        for study in studies:
            item = QTreeWidgetItem(
                [f"{study.patient.name} {study.patient.patient_id} {study.date} {study.description}"]
            )
            item.addChildren([QTreeWidgetItem([image.view.value]) for image in study.images])
            items.append(item)
            self.texts.append((item, study_text(study)))
        self.tree.addTopLevelItems(items)
        settle()

    def search(self, text: str) -> None:
        folded = fold(text)
        for item, known in self.texts:
            item.setHidden(folded not in known)
        settle()


def report(what: str, ours: float, peer: float | None) -> None:
    against = "" if peer is None else f"   QTreeWidget {peer:8.1f} ms   ratio {ours / peer:5.2f}"
    print(f"{what:<44}{ours:8.1f} ms{against}")


def measure_library(found: Sequence[FoundImage]) -> tuple[StudyNode, ...]:
    with tempfile.TemporaryDirectory() as folder:
        library = Library(Path(folder) / "library.sqlite")
        batches = [found[start : start + 200] for start in range(0, len(found), 200)]
        report("library: taking in, batches of 200", timed(lambda: [library.add(batch) for batch in batches]), None)
        report("library: the same again, nothing changed", timed(lambda: library.add(found)), None)
        times = [timed(library.studies) for _ in range(5)]
        report("library: reading everything (median of 5)", statistics.median(times), None)
        studies = library.studies()
        library.close()
    return studies


def measure_filling(panel: BrowserPanel, peer: Peer, studies: Sequence[StudyNode]) -> None:
    gaps = [timed(lambda: panel.set_studies(studies))]
    while panel.model.total < len(studies):
        gaps.append(timed(settle))
    report("showing the list, all of it", sum(gaps), timed(lambda: peer.fill(studies)))
    print(f"{'  of that at a stretch':<44}{spread(gaps)}")


def measure_search(panel: BrowserPanel, peer: Peer) -> None:
    def type_in(text: str) -> float:
        return timed(lambda: (panel.search.setText(text), panel.tree.settle(), panel.tree.viewport().repaint()))

    words = "fictional7 boris"
    ours = [type_in(words[:end]) for end in range(1, len(words) + 1)]
    ours += [type_in(words[:end]) for end in range(len(words) - 1, -1, -1)]
    theirs = [timed(lambda end=end: peer.search(words[:end])) for end in range(1, len(words) + 1)]
    theirs += [timed(lambda end=end: peer.search(words[:end])) for end in range(len(words) - 1, -1, -1)]
    print(f"{'search, each key until painted':<44}{spread(ours)}")
    print(f"{'  the same with QTreeWidget.setHidden':<44}{spread(theirs)}")
    print(f"{'  ratio of medians':<44}{statistics.median(ours) / statistics.median(theirs):8.2f}")


def measure_scroll(panel: BrowserPanel, peer: Peer, label: str) -> None:
    ours, theirs = Frames(panel.tree).scroll(400), Frames(peer.tree).scroll(400)
    print(f"{'scroll, ' + label:<44}{spread(ours)}")
    print(f"{'  the same with QTreeWidget':<44}{spread(theirs)}")
    print(f"{'  ratio of medians':<44}{statistics.median(ours) / statistics.median(theirs):8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--cpu", action="store_true", help="count processor time instead of time on the wall")
    arguments = parser.parse_args()
    global clock
    clock = thread_time if arguments.cpu else perf_counter
    count = arguments.images
    application = QApplication([])
    application.setStyle("Fusion")
    application.setStyleSheet(theme.style_sheet(resources_dir() / "icons"))
    studies = measure_library(found_images(count))
    print(f"{len(studies):,} studies, {count:,} images\n")
    png = thumbnail()
    panel, peer = BrowserPanel(), Peer()
    panel.resize(*_SIZE)
    panel.thumbnail_wanted.connect(lambda node: panel.set_thumbnail(node, png))
    panel.show()
    peer.tree.show()
    settle()
    measure_filling(panel, peer, studies)
    measure_scroll(panel, peer, "folded")
    measure_search(panel, peer)
    report("sorting by name", timed(lambda: (panel.sort.setCurrentIndex(1), settle())), None)
    unfold = timed(lambda: (panel.tree.expandAll(), settle()))
    report("unfolding everything", unfold, timed(lambda: (peer.tree.expandAll(), settle())))
    measure_scroll(panel, peer, "everything unfolded")
    panel.tree.collapseAll()
    settle()
    measure_batches(panel, studies, "folded")
    panel.tree.expandAll()
    settle()
    measure_batches(panel, studies, "everything unfolded")
    panel.close()
    peer.tree.close()


def measure_batches(panel: BrowserPanel, studies: Sequence[StudyNode], label: str) -> None:
    batches = [studies[start : start + 20] for start in range(0, 1_000, 20)]
    times = [timed(lambda batch=batch: (panel.model.take(batch), panel._show_changes(), settle())) for batch in batches]
    print(f"{'20 more of a scan, ' + label:<44}{spread(times)}")


if __name__ == "__main__":
    main()
