"""The question for a password: wrong ones, the right one, giving up, and a film of an earlier session."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.app import Program
from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import PaneStatus, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.ui.password_dialog import PasswordDialog
from cxr_viewer.ui.unlocker import Unlocker

WAIT_MS = 60_000
PASSWORD = "rib cage"


class Desk:
    """A window, a real reader and an unlocker between them."""

    def __init__(self, qtbot: QtBot, reader: SandboxReader) -> None:
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.window.show()
        self.state = ViewerState()
        self.scanned: list[Path] = []
        self.sent: list[ev.Event] = []
        self.unlocker = Unlocker(self.window, reader, self.scanned.extend, lambda: self.state)
        self.unlocker.sends.connect(self.sent.append)
        self._qtbot = qtbot

    @property
    def dialog(self) -> PasswordDialog:
        assert self.unlocker.dialog is not None
        return self.unlocker.dialog

    def type(self, password: str) -> None:
        self.dialog.password.setText(password)
        self.dialog.open_button.click()
        assert not self.dialog.open_button.isEnabled()

    def fail(self, node: ImageNode, pane: int = 0) -> None:
        self.state, _ = reduce(self.state, ev.OpenImage(node, pane))
        generation = self.state.panes[pane].generation
        event = ev.LoadFailed(Failure(pane, generation, "read", "password-needed", "Protected."))
        self.state, _ = reduce(self.state, event)
        self.unlocker.happened(event)

    def wait(self, until: Callable[[], bool]) -> None:
        self._qtbot.waitUntil(until, timeout=WAIT_MS)


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    reader = SandboxReader(Sandbox(1))
    desk = Desk(qtbot, reader)
    yield desk
    desk.unlocker.close()
    reader.close()


@pytest.fixture
def archive(repository: Path, tmp_path: Path) -> Path:
    """A film under the password ``rib cage``, see the README beside it."""
    return shutil.copy(repository / "tests" / "sources" / "archives" / "aes256_ae2.zip", tmp_path / "films.zip")


def test_a_wrong_password_is_told_and_the_right_one_goes_on(desk: Desk, archive: Path) -> None:
    desk.unlocker.locked((archive,))
    assert desk.dialog.isVisible()
    assert "films.zip" in "".join(label.text() for label in desk.dialog.findChildren(QLabel))
    assert desk.dialog.password.echoMode() is QLineEdit.EchoMode.Password
    assert not desk.dialog.open_button.isEnabled()  # nothing is typed yet
    desk.type("wrong")
    desk.wait(lambda: desk.dialog.sentence.isVisible())
    assert desk.dialog.sentence.text() == "This password does not open the archive. Try another one."
    assert desk.scanned == []
    desk.type(PASSWORD)
    desk.wait(lambda: desk.unlocker.dialog is None)
    assert desk.scanned == [archive]
    assert desk.sent == []


def test_giving_up_leaves_the_archive_out(desk: Desk, archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "others.zip"
    desk.unlocker.locked((archive, other, archive))
    desk.dialog.reject()
    assert desk.dialog.archive == other  # one question after the other
    desk.dialog.reject()
    assert desk.unlocker.dialog is None
    assert desk.scanned == []
    texts = [event.text for event in desk.sent if isinstance(event, ev.Tell)]
    assert texts == [f"{name} was left out: it is protected by a password." for name in ("films.zip", "others.zip")]


def test_leaving_all_out_asks_no_more(desk: Desk, archive: Path, tmp_path: Path) -> None:
    desk.unlocker.locked((archive, *(tmp_path / f"{n}.zip" for n in range(500))))
    (leave_all,) = (button for button in desk.dialog.findChildren(QPushButton) if button.text() == "Leave all out")
    assert leave_all.toolTip() == "Leave this archive and the other 500 out"
    leave_all.click()
    assert desk.unlocker.dialog is None
    assert desk.scanned == []


def test_a_password_is_tried_on_the_archives_that_wait(desk: Desk, archive: Path, tmp_path: Path) -> None:
    other = tmp_path / "others.zip"
    desk.unlocker.locked((archive, other))
    desk.type(PASSWORD)
    desk.wait(lambda: desk.unlocker.dialog is None)
    assert desk.scanned == [archive, other]  # the scan says again where it did not do


def test_films_that_wait_are_opened_again(desk: Desk, archive: Path) -> None:
    """Two films of one archive fail: one question, then both are read, the active one last so that it stays active."""
    nodes = [ImageNode(ImageKey("1", "1", str(n)), archive, member=str(n)) for n in range(2)]
    desk.fail(nodes[0], 0)
    first = desk.dialog
    desk.fail(nodes[1], 1)
    assert desk.dialog is first
    desk.state, _ = reduce(desk.state, ev.ActivatePane(0))
    desk.type(PASSWORD)
    desk.wait(lambda: desk.unlocker.dialog is None)
    assert desk.sent == [ev.OpenImage(nodes[1], 1), ev.OpenImage(nodes[0], 0)]
    assert desk.scanned == []  # nothing was left out of a scan


def test_an_archive_that_is_gone_says_so(desk: Desk, archive: Path) -> None:
    desk.unlocker.locked((archive,))
    archive.unlink()
    desk.type(PASSWORD)
    desk.wait(lambda: desk.dialog.sentence.isVisible())
    assert desk.dialog.sentence.text().startswith("The file is no longer there.")


def test_closing_while_a_question_is_asked(desk: Desk, archive: Path) -> None:
    desk.unlocker.locked((archive,))
    desk.type(PASSWORD)
    desk.unlocker.close()
    assert desk.unlocker.dialog is None
    desk.unlocker.locked((archive,))
    assert desk.unlocker.dialog is None


def test_the_program_asks_shows_the_film_and_writes_the_password_nowhere(
    qtbot: QtBot, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("CXR_VIEWER_HOME", str(home))
    caplog.set_level(logging.DEBUG)
    _shown_after_the_question(qtbot, lambda program: program.start([archive]))
    # A later session knows the film from its list, and has to ask again.
    _shown_after_the_question(qtbot, lambda program: _open_from_list(qtbot, program, archive))
    written = b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert PASSWORD.encode() not in written
    assert PASSWORD not in caplog.text


def _open_from_list(qtbot: QtBot, program: Program, archive: Path) -> None:
    workbench = program.workbench
    program.start([])
    qtbot.waitUntil(lambda: workbench.browser.study("1.2.3") is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not workbench.opener.busy, timeout=WAIT_MS)
    study = workbench.browser.study("1.2.3")
    assert study is not None
    assert (study.images[0].path, study.images[0].member) == (archive, "0")
    workbench.controller.dispatch(ev.OpenImage(study.images[0], 0))


def _shown_after_the_question(qtbot: QtBot, begin: Callable[[Program], None]) -> None:
    program = Program((1280, 800))
    workbench = program.workbench
    qtbot.addWidget(workbench.window)
    workbench.controller.dispatch(ev.SetAutomatic(False))
    try:
        begin(program)
        qtbot.waitUntil(lambda: workbench.unlocker.dialog is not None, timeout=WAIT_MS)
        dialog = workbench.unlocker.dialog
        assert dialog is not None
        dialog.password.setText(PASSWORD)
        dialog.open_button.click()
        qtbot.waitUntil(lambda: _is_shown(workbench.controller.state), timeout=WAIT_MS)
        image = workbench.controller.state.panes[0].image
        assert image is not None
        assert np.array_equal(image.stored, np.add.outer(np.arange(64), np.arange(64)) * 32)
        qtbot.waitUntil(lambda: workbench.settled, timeout=WAIT_MS)
    finally:
        workbench.window.close()
        program.close()


def _is_shown(state: ViewerState) -> bool:
    pane = state.panes[0]
    return pane.status is PaneStatus.SHOWN and pane.node is not None and pane.node.member == "0"
