"""Small pictures of the films on screen: asked for when a row has come to rest, kept while they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QImage, QPixmap

from cxr_viewer.core.study import ImageNode

FileFrame = tuple[Path, str, int]
"""What a thumbnail belongs to: a file, its member where it is an archive, and a frame. UIDs do not do: two different
files can carry the same."""

_ASK_MS: Final = 40  # a row has to stay this long before its picture is asked for
_KEPT: Final = 3_000  # pictures of 12 kB each


def file_frame(node: ImageNode) -> FileFrame:
    return node.path, node.member, node.key.frame


class Thumbnails(QObject):
    """Pictures ready to draw, the least recently used dropped first.

    Args:
        on_screen: the images whose rows are on screen now.

    Signals:
        wanted(object): ImageNode on screen without a picture. Asked once while it stays on screen, and again when it
            comes back, since whoever makes the pictures may drop old wishes.
    """

    wanted = Signal(object)

    def __init__(self, on_screen: Callable[[], Iterable[ImageNode]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._on_screen = on_screen
        self._pixmaps: OrderedDict[FileFrame, QPixmap] = OrderedDict()
        self._asked: set[FileFrame] = set()
        self._timer = QTimer(self, singleShot=True, interval=_ASK_MS)
        self._timer.timeout.connect(self._ask)

    def get(self, node: ImageNode) -> QPixmap | None:
        """The picture of this file and frame, None while there is none."""
        pixmap = self._pixmaps.get(file_frame(node))
        if pixmap is not None:
            self._pixmaps.move_to_end(file_frame(node))
        return pixmap

    def put(self, node: ImageNode, png: bytes, side_px: int, ratio: float) -> bool:
        """Keep a picture for a square of ``side_px`` at ``ratio`` device pixels each; False when ``png`` is none."""
        image = QImage.fromData(png)
        if image.isNull():
            return False
        side = round(side_px * ratio)
        keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        pixmap = QPixmap.fromImage(image.scaled(side, side, keep, smooth))
        pixmap.setDevicePixelRatio(ratio)
        self._pixmaps[file_frame(node)] = pixmap
        self._pixmaps.move_to_end(file_frame(node))
        if len(self._pixmaps) > _KEPT:
            self._pixmaps.popitem(last=False)
        return True

    def forget(self, nodes: Iterable[ImageNode]) -> None:
        """These files have changed: their pictures are no longer true."""
        for node in nodes:
            self._pixmaps.pop(file_frame(node), None)
            self._asked.discard(file_frame(node))

    @Slot()
    def ask_soon(self) -> None:
        """Something has moved: ask when it has come to rest."""
        self._timer.start()

    @Slot()
    def _ask(self) -> None:
        lacking = {file_frame(node): node for node in self._on_screen() if self.get(node) is None}
        asked, self._asked = self._asked, set(lacking)
        for name, node in lacking.items():
            if name not in asked:
                self.wanted.emit(node)
