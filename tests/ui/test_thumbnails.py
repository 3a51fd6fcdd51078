"""Thumbnails on their way from a film to its row."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ImageNode, LookUp, ScanBatch
from cxr_viewer.services.library import Library
from cxr_viewer.ui.thumbnails import Thumbnails
from cxr_viewer.ui.workers import Loaders

MakeFound = Callable[..., FoundImage]


def png(width: int, height: int) -> bytes:
    image = QImage(width, height, QImage.Format.Format_Grayscale8)
    image.fill(QColor("white"))
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(buffer.data().data())


class SlowReader:
    """Makes each thumbnail only when it is let go on; notes the order."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.made: list[str] = []

    def read(self, node: ImageNode, cancel: CancelToken) -> Radiograph:
        raise ReadError("This reader makes thumbnails only.")

    def thumbnail(self, node: ImageNode, side_px: int, cancel: CancelToken) -> bytes:
        self.gate.wait(10)
        self.made.append(node.path.name)
        if node.path.name == "broken":
            raise ReadError("This film cannot be read.")
        return png(side_px, side_px)

    def close(self) -> None:
        self.gate.set()


class NoScanner:
    def scan(self, paths: Sequence[Path], cancel: CancelToken, known: LookUp | None = None) -> Iterator[ScanBatch]:
        yield from ()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "library.sqlite")
    yield library
    library.close()


@pytest.fixture
def reader() -> SlowReader:
    return SlowReader()


@pytest.fixture
def loaders(library: Library, reader: SlowReader, qtbot: QtBot) -> Iterator[Loaders]:
    loaders = Loaders(reader, NoScanner(), library)
    yield loaders
    loaders.close()


@pytest.fixture
def nodes(library: Library, make_found: MakeFound, tmp_path: Path) -> dict[str, ImageNode]:
    """Films a, b, c, two that share one identity, and a broken one."""
    found = []
    for name in ("a", "b", "c", "same1", "same2", "broken"):
        path = tmp_path / name
        path.write_text(name)
        shared = "9" if name.startswith("same") else ""
        found.append(
            make_found(path, sop=shared, size=path.stat().st_size, modified=path.stat().st_mtime_ns, body_part=name)
        )
    library.add(found)
    return {item.image.path.name: item.image for item in found}


def test_the_newest_wish_is_served_first(
    qtbot: QtBot, loaders: Loaders, reader: SlowReader, nodes: dict[str, ImageNode]
) -> None:
    loaders.want_thumbnail(nodes["a"])
    qtbot.waitUntil(lambda: not loaders._wanted)
    for name in ("b", "c", "b"):
        loaders.want_thumbnail(nodes[name])
    reader.gate.set()
    qtbot.waitUntil(lambda: not loaders.thumbnails_waiting)
    assert reader.made == ["a", "b", "c"]


def test_a_wish_after_the_end_is_passed_over(loaders: Loaders, nodes: dict[str, ImageNode]) -> None:
    loaders.close()
    loaders.want_thumbnail(next(iter(nodes.values())))
    assert not loaders.thumbnails_waiting


def test_films_with_one_identity_each_get_their_own(
    qtbot: QtBot, loaders: Loaders, reader: SlowReader, nodes: dict[str, ImageNode]
) -> None:
    answered: list[str] = []
    loaders.thumbnail_ready.connect(lambda node, _: answered.append(node.path.name))
    for name in ("same1", "same2"):
        loaders.want_thumbnail(nodes[name])
    reader.gate.set()
    qtbot.waitUntil(lambda: sorted(answered) == ["same1", "same2"])


def test_a_film_that_cannot_be_read_holds_nothing_up(
    qtbot: QtBot, loaders: Loaders, reader: SlowReader, nodes: dict[str, ImageNode]
) -> None:
    reader.gate.set()
    loaders.want_thumbnail(nodes["broken"])
    with qtbot.waitSignal(loaders.thumbnail_ready) as answer:
        loaders.want_thumbnail(nodes["a"])
    assert answer.args is not None
    assert answer.args[0] == nodes["a"]


def test_a_vanished_film_keeps_the_thumbnail_it_had_and_is_not_read(
    qtbot: QtBot, loaders: Loaders, reader: SlowReader, library: Library, nodes: dict[str, ImageNode]
) -> None:
    library.save_thumbnail(nodes["a"], b"kept")
    for name in ("a", "b"):
        nodes[name].path.unlink()
    missing = {image.path.name: image for study in library.refresh_missing() for image in study.images}
    reader.gate.set()
    with qtbot.waitSignal(loaders.thumbnail_ready) as answer:
        loaders.want_thumbnail(missing["b"])
        loaders.want_thumbnail(missing["a"])
    assert answer.args == [missing["a"], b"kept"]
    qtbot.waitUntil(lambda: not loaders.thumbnails_waiting)
    assert reader.made == []


def test_a_picture_fits_its_square_and_keeps_its_shape(qtbot: QtBot, nodes: dict[str, ImageNode]) -> None:
    thumbnails = Thumbnails(lambda: ())
    assert thumbnails.put(nodes["a"], png(96, 48), 56, 2.0)
    picture = thumbnails.get(nodes["a"])
    assert picture is not None
    assert (picture.width(), picture.height()) == (112, 56)
    assert (picture.deviceIndependentSize().width(), picture.deviceIndependentSize().height()) == (56.0, 28.0)


def test_the_pictures_used_least_recently_go_first(
    qtbot: QtBot, nodes: dict[str, ImageNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cxr_viewer.ui.thumbnails._KEPT", 2)
    thumbnails = Thumbnails(lambda: ())
    for name in ("a", "b"):
        thumbnails.put(nodes[name], png(8, 8), 56, 1.0)
    assert thumbnails.get(nodes["a"]) is not None
    thumbnails.put(nodes["c"], png(8, 8), 56, 1.0)
    assert [thumbnails.get(nodes[name]) is not None for name in "abc"] == [True, False, True]
