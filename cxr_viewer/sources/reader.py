"""Films read in the reader processes: the adapter behind ``services.ports.ImageReader``."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.image import ModalityTable, Radiograph, VoiTable
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ImageNode
from cxr_viewer.core.tags import TagList
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Tags, Thumbnail
from cxr_viewer.sources.sandbox import Sandbox

UNLOCKING_LIMIT_S = 150.0
"""The traditional cipher of ZIP runs at 1 to 3 MB a second here; whoever will not wait can cancel."""


class SandboxReader:
    """Reads films in ``sandbox``, which it closes in the end. Safe to use from several threads at once."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox or Sandbox()
        self._spare: Sandbox | None = None
        self._making = threading.Lock()
        self._closed = False

    def warm(self) -> None:
        """Start the reader processes in the background; returns at once."""
        self._sandbox.warm()

    def read(
        self, node: ImageNode, cancel: CancelToken, preview: Callable[[Radiograph], None] | None = None
    ) -> Radiograph:
        """The whole frame with its grey chain; ``key`` is that of ``node``.

        Args:
            preview: given a picture of lower resolution before, on the calling thread, where the whole takes long.

        Raises:
            ReadError: with a sentence, whatever happened to the file or the process; also where the file now holds
                another image than the one ``node`` stands for.
            CancelledError: ``cancel`` was set.
        """

        def early(image: Radiograph) -> None:
            if preview is not None and image.preview and _is_picture(image) and image.key == node.key:
                preview(replace(image, path=node.path))

        words = {"frame": node.key.frame, "preview": preview is not None, **self._file(node)}
        image = self._sandbox.ask(
            Radiograph, "read", cancel, urgent=True, interim=None if preview is None else early, **words
        )
        return _whole(image, node)

    def read_ahead(self, node: ImageNode, cancel: CancelToken) -> Radiograph:
        """A film nobody waits for, read by a process that makes way for all others and is gone once ``cancel`` is set.

        That process is started when it is first wanted. Raises like :meth:`read`.
        """
        with self._making:
            if self._closed:
                raise CancelledError()
            self._spare = self._spare or Sandbox(1, abandon_after_s=0.0, gentle=True)
        words = {"frame": node.key.frame, "preview": False, **self._file(node)}
        return _whole(self._spare.ask(Radiograph, "read", cancel, **words), node)

    def thumbnail(self, node: ImageNode, side_px: int, cancel: CancelToken) -> bytes:
        """A PNG at most ``side_px`` on its long side, grey chain and default VOI applied. Raises like :meth:`read`."""
        words = {"frame": node.key.frame, "side_px": side_px, **self._file(node)}
        answer = self._sandbox.ask(Thumbnail, "thumbnail", cancel, **words)
        if answer.key != node.key:
            raise faults.file_changed()
        return base64.b64decode(answer.png)

    def describe(self, path: Path, cancel: CancelToken) -> FoundImage:
        """The header of one file, as a scan would list it.

        Raises:
            ReadError: the file is no image, or cannot be read.
            CancelledError: ``cancel`` was set.
        """
        path = path.absolute()
        found = self._sandbox.ask(FoundImage, "describe", cancel, urgent=True, path=str(path))
        if (found.image.path, found.image.member) != (path, ""):
            raise faults.reader_crashed("a header came back for another file")
        return found

    def read_path(self, path: Path, cancel: CancelToken) -> Radiograph:
        """The first frame of a file that was in no scan. Raises like :meth:`describe` and :meth:`read`."""
        return self.read(self.describe(path, cancel).image, cancel)

    def tags(self, node: ImageNode, cancel: CancelToken) -> TagList:
        """Every attribute of the file; empty for pictures that are not DICOM. Raises like :meth:`read`."""
        answer = self._sandbox.ask(Tags, "tags", cancel, urgent=True, **self._file(node))
        if answer.key is not None and replace(answer.key, frame=node.key.frame) != node.key:
            raise faults.file_changed()
        return answer.tags

    def unlock(self, archive: Path, password: str, cancel: CancelToken) -> bool:
        """Keep the password of a ZIP archive in memory until the program ends; False where it does not open it.

        Raises:
            ReadError: the archive is gone, damaged, or protected in a way that is not known.
            CancelledError: ``cancel`` was set.
        """
        archive = archive.absolute()
        known = list(self._sandbox.passwords.of(archive))
        opens = self._sandbox.ask(
            bool,
            "unlock",
            cancel,
            urgent=True,
            time_limit_s=UNLOCKING_LIMIT_S,
            path=str(archive),
            password=password,
            passwords=known,
        )
        if opens:
            self._sandbox.passwords.add(archive, password)
        return opens

    def _file(self, node: ImageNode) -> dict[str, Any]:
        """What a request says of the file it is about, and how long it may take."""
        if not node.member:
            return {"path": str(node.path)}
        passwords = list(self._sandbox.passwords.of(node.path))
        words = {"path": str(node.path), "member": node.member, "passwords": passwords}
        return words | {"time_limit_s": UNLOCKING_LIMIT_S} if passwords else words

    def close(self) -> None:
        """Stop the reader processes. Safe to call twice."""
        with self._making:
            self._closed = True
        if self._spare is not None:
            self._spare.close()
        self._sandbox.close()


def _whole(image: Radiograph, node: ImageNode) -> Radiograph:
    """The answer, if it is the film of ``node``. Raises ReadError."""
    if image.preview or not _is_picture(image):
        raise faults.reader_crashed("pixels that are no picture")
    if image.key != node.key:
        raise faults.file_changed()
    return replace(image, path=node.path)


def _is_picture(image: Radiograph) -> bool:
    """Its arrays have the forms that drawing relies on: a reader process is not believed more than a file."""
    stored, rgb = image.stored, image.rgb
    return (
        stored.ndim == 2
        and (rgb is None or (rgb.shape == (*stored.shape, 3) and rgb.dtype == stored.dtype))
        and all(plane.bits.ndim == 2 for plane in image.overlays)
        and all(voi.values.ndim == 1 for voi in image.voi if isinstance(voi, VoiTable))
        and (not isinstance(image.modality_lut, ModalityTable) or image.modality_lut.values.ndim == 1)
    )
