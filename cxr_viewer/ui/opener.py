"""What happens to paths a reader gives: they are scanned into the library, and the first film found is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.study import ImageNode, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.hanging import hang
from cxr_viewer.ui.workers import Loaders

_SHOW_WHILE_SCANNING_AFTER = 40  # files; smaller finds are shown when the scan has ended and the study is whole


class Opener(QObject):
    """Connects scans with what is hung.

    A single file is shown as that image; several files, a folder or a DICOMDIR hang the study found first, as soon as
    it is whole, or while the scan goes on when that takes long.

    Signals:
        sends(object): OpenImage or OpenStudy.
        opened(object): Path the reader gave, for the recent list.
    """

    sends = Signal(object)
    opened = Signal(object)

    def __init__(
        self, loaders: Loaders, study_of: Callable[[ImageNode], StudyNode | None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._loaders = loaders
        self._study_of = study_of
        self._waiting: list[tuple[tuple[Path, ...], bool]] = []
        self._seen = 0
        self._first: ImageNode | None = None
        self._hung: tuple[ImageNode, ...] = ()
        loaders.scan_met.connect(self._met)
        loaders.scan_done.connect(self._done)

    def open(self, paths: Sequence[Path], *, show: bool = True) -> None:
        """Scan ``paths`` and show what comes first, or only list it, without ``show``."""
        given = tuple(Path(path) for path in paths)
        if not given:
            return
        self._waiting.append((given, show))
        for path in given:
            self.opened.emit(path)
        self._loaders.scan(given)

    @property
    def busy(self) -> bool:
        """A scan the reader asked for has not ended yet."""
        return bool(self._waiting)

    @Slot(object)
    def _met(self, images: tuple[ImageNode, ...]) -> None:
        if not self._waiting or not self._waiting[0][1]:
            return
        self._first = self._first or images[0]
        self._seen += len(images)
        if not self._hung and self._seen >= _SHOW_WHILE_SCANNING_AFTER:
            self._hang()

    @Slot(object)
    def _done(self, keys: tuple[ImageKey, ...]) -> None:
        if not self._waiting:
            return
        paths, _ = self._waiting.pop(0)
        if self._first is not None:
            if len(keys) == 1 and len(paths) == 1 and self._is_at(paths[0]):
                self.sends.emit(ev.OpenImage(self._first))
            else:
                self._hang()
        self._seen, self._first, self._hung = 0, None, ()

    def _is_at(self, path: Path) -> bool:
        """The film found first is the file given itself. Told by names: a disk may let the window wait."""
        first = self._first
        places = () if first is None else (first.path, *(copy for copy, _ in first.copies))
        return path.absolute() in places

    def _hang(self) -> None:
        """Hang the first study found; again only when more of it has come that changes what hangs."""
        if self._first is None:
            return
        study = self._study_of(self._first)
        if study is None:
            return
        nodes = hang(study)[1]
        if nodes != self._hung:
            self._hung = nodes
            self.sends.emit(ev.OpenStudy(study))
