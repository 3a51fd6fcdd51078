"""Scans in the window: cancelled, gone on with; files that change or vanish between the scan and the click."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FileStamp, FoundImage, ImageNode, LookUp, ScanBatch
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library
from cxr_viewer.services.state import NoticeLevel, PaneStatus, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner
from cxr_viewer.ui import library_loader
from cxr_viewer.ui.controller import Controller
from cxr_viewer.ui.opener import Opener
from cxr_viewer.ui.workers import Loaders

WAIT_MS = 60_000
MANY = 300


class Numbered:
    """A scanner of 300 films, ten at a time; it stops before batch ``pause_at`` until it is cancelled."""

    def __init__(self, make_found: Callable[..., FoundImage], root: Path) -> None:
        self._films = [make_found(root / f"{n:03d}", study=str(n), sop=str(n), size=1, modified=2) for n in range(MANY)]
        self.pause_at = -1
        self.paused = False
        self.read: list[Path] = []

    def scan(self, paths: Sequence[Path], cancel: CancelToken, known: LookUp | None = None) -> Iterator[ScanBatch]:
        assert known is not None
        for number in range(MANY // 10):
            while number == self.pause_at:
                self.paused = True
                if cancel.cancelled:
                    raise CancelledError()
            piece = self._films[10 * number : 10 * number + 10]
            answers = known([FileStamp(found.image.path, "", 1, 2) for found in piece])
            found = tuple(film for film, answer in zip(piece, answers, strict=True) if answer is None)
            self.read += [film.image.path for film in found]
            images = tuple(film.image for film in piece)
            yield ScanBatch(found, 10 * number + 10, MANY, 0, images=images)


class Heard:
    """What loaders have sent."""

    def __init__(self, loaders: Loaders) -> None:
        self.events: list[ev.Event] = []
        self.keys: list[tuple[object, ...]] = []
        self.unfinished: list[tuple[Path, ...]] = []
        self.studies: set[str] = set()
        self.met: list[ImageNode] = []
        loaders.sends.connect(self.events.append)
        loaders.scan_done.connect(self.keys.append)
        loaders.scans_unfinished.connect(self.unfinished.append)
        loaders.studies_changed.connect(lambda studies: self.studies.update(study.study_uid for study in studies))
        loaders.scan_met.connect(self.met.extend)

    @property
    def told(self) -> list[str]:
        return [f"{event.text} {event.hint}".strip() for event in self.events if isinstance(event, ev.Tell)]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = Library(tmp_path / "library.sqlite")
    yield library
    library.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


@pytest.fixture
def numbered(make_found: Callable[..., FoundImage], root: Path) -> Numbered:
    return Numbered(make_found, root)


@pytest.fixture
def reader() -> Iterator[SandboxReader]:
    made = SandboxReader(Sandbox(1))
    yield made
    made.close()


@pytest.fixture
def loaders(reader: SandboxReader, numbered: Numbered, library: Library, qtbot: QtBot) -> Iterator[Loaders]:
    made = Loaders(reader, numbered, library)
    yield made
    made.close()


def scanned(qtbot: QtBot, loaders: Loaders, heard: Heard, *paths: Path) -> None:
    count = len(heard.keys)
    loaders.scan(paths)
    qtbot.waitUntil(lambda: len(heard.keys) > count, timeout=WAIT_MS)


@pytest.mark.parametrize(("show", "hung"), [(True, True), (False, False)])
def test_a_scan_gone_on_with_leaves_the_film_on_screen(
    show: bool, hung: bool, qtbot: QtBot, loaders: Loaders, library: Library, root: Path
) -> None:
    opener = Opener(loaders, lambda node: library.study(node.key.study_uid))
    sent: list[ev.Event] = []
    opener.sends.connect(sent.append)
    opener.open([root], show=show)
    assert opener.busy
    qtbot.waitUntil(lambda: not opener.busy, timeout=WAIT_MS)
    assert bool(sent) == hung
    assert len(library.studies()) == MANY


def test_a_cancelled_scan_says_how_to_go_on_and_goes_on(
    qtbot: QtBot, loaders: Loaders, numbered: Numbered, root: Path
) -> None:
    heard = Heard(loaders)
    numbered.pause_at = 22
    loaders.scan([root])
    qtbot.waitUntil(lambda: numbered.paused, timeout=WAIT_MS)
    loaders.cancel_scan()
    qtbot.waitUntil(lambda: bool(heard.unfinished), timeout=WAIT_MS)
    (told,) = heard.told
    assert told.startswith("The scan was cancelled; 220 images found so far are in the list. ")
    assert told.endswith("File > Continue scan goes on where it stopped.")
    assert heard.unfinished[-1] == (root,)
    assert len(heard.keys[-1]) == 220
    numbered.pause_at = -1
    numbered.read.clear()
    scanned(qtbot, loaders, heard, root)
    qtbot.waitUntil(lambda: len(heard.unfinished) == 2, timeout=WAIT_MS)
    assert heard.unfinished[-1] == ()
    assert len(numbered.read) == MANY - 220
    assert len(heard.keys[-1]) == MANY  # what was known belongs to the scan as well
    assert len(heard.studies) == MANY


def test_the_end_of_the_program_is_no_wish_of_the_reader(
    qtbot: QtBot, loaders: Loaders, numbered: Numbered, library: Library, root: Path
) -> None:
    numbered.pause_at = 22
    loaders.scan([root])
    qtbot.waitUntil(lambda: numbered.paused, timeout=WAIT_MS)
    loaders.close()
    assert library.unfinished_scans() == ((root, False),)


def test_the_next_start_tells_of_a_scan_that_was_broken_off(
    qtbot: QtBot, loaders: Loaders, library: Library, root: Path
) -> None:
    heard = Heard(loaders)
    library.begin_scan([root, root / "gone"])
    loaders.read_library()
    qtbot.waitUntil(lambda: bool(heard.told), timeout=WAIT_MS)
    assert heard.told == [
        "The scan of the folder “films” did not come to its end. File > Continue scan goes on where it stopped."
    ]
    assert heard.unfinished == [(root,)]


def test_the_next_start_says_nothing_of_a_scan_the_reader_stopped(
    qtbot: QtBot, loaders: Loaders, library: Library, root: Path
) -> None:
    heard = Heard(loaders)
    library.begin_scan([root])
    library.cancel_scan([root])
    loaders.read_library()
    qtbot.waitUntil(lambda: bool(heard.unfinished), timeout=WAIT_MS)
    assert heard.unfinished == [(root,)]
    assert heard.told == []


def test_what_another_program_has_listed_meanwhile_is_shown(
    qtbot: QtBot, loaders: Loaders, library: Library, numbered: Numbered, root: Path
) -> None:
    heard = Heard(loaders)
    loaders.read_library()
    qtbot.waitUntil(lambda: bool(heard.unfinished), timeout=WAIT_MS)
    other = Library(library._database.path)
    other.add(numbered._films)
    other.close()
    scanned(qtbot, loaders, heard, root)
    assert numbered.read == []
    assert len(heard.studies) == MANY


# ---------------------------------------------------------------- real files


class NoModel:
    """Nobody asks a model here."""

    def follow(self, state: ViewerState) -> None: ...
    def ask(self, request: AnalysisRequest, *, at_once: bool) -> None: ...
    def cancel(self, pane: int) -> None: ...


class Bench:
    """Loaders over real reading processes, and a session."""

    def __init__(self, loaders: Loaders) -> None:
        self.loaders, self.heard = loaders, Heard(loaders)
        self.controller = Controller(ViewerState(automatic=False), loaders, NoModel())
        loaders.sends.connect(self.controller.dispatch)


@pytest.fixture
def bench(library: Library, qtbot: QtBot) -> Iterator[Bench]:
    sandbox = Sandbox()
    loaders = Loaders(SandboxReader(sandbox), FolderScanner(sandbox), library)
    yield Bench(loaders)
    loaders.close()


@pytest.fixture
def films(tmp_path: Path, need_data: Callable[[str], Path]) -> tuple[Path, Path]:
    """Two real films of different patients in one folder."""
    folder = tmp_path / "real"
    folder.mkdir()
    sources = ("dicom/dx_nih_00000001_000_pa_cardiomegaly.dcm", "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm")
    return tuple(Path(shutil.copy(need_data(name), folder / f"{n}.dcm")) for n, name in enumerate(sources))  # type: ignore[return-value]


def test_a_file_replaced_between_scan_and_click_is_never_shown_as_the_other(
    qtbot: QtBot, bench: Bench, films: tuple[Path, Path]
) -> None:
    first, second = films
    scanned(qtbot, bench.loaders, bench.heard, first.parent)
    node = next(image for image in bench.heard.met if image.path == first)
    shutil.copy(second, first)
    bench.controller.dispatch(ev.OpenImage(node, 0))
    qtbot.waitUntil(lambda: bench.controller.state.panes[0].status is not PaneStatus.LOADING, timeout=WAIT_MS)
    pane = bench.controller.state.panes[0]
    assert (pane.status, pane.image) == (PaneStatus.FAILED, None)
    assert pane.failure is not None
    assert pane.failure.code == "file-changed"
    scanned(qtbot, bench.loaders, bench.heard, first.parent)  # the way out that the sentence names
    node = [image for image in bench.heard.met if image.path == first][-1]
    bench.controller.dispatch(ev.OpenImage(node, 0))
    qtbot.waitUntil(lambda: bench.controller.state.panes[0].status is PaneStatus.SHOWN, timeout=WAIT_MS)
    shown = bench.controller.state.panes[0].image
    assert shown is not None
    assert shown.key == node.key


def test_a_folder_removed_between_scan_and_click_is_a_sentence_and_the_list_stays(
    qtbot: QtBot, bench: Bench, films: tuple[Path, Path], library: Library
) -> None:
    scanned(qtbot, bench.loaders, bench.heard, films[0].parent)
    node = bench.heard.met[0]
    shutil.rmtree(films[0].parent)
    bench.controller.dispatch(ev.OpenImage(node, 0))
    qtbot.waitUntil(lambda: bench.controller.state.panes[0].status is not PaneStatus.LOADING, timeout=WAIT_MS)
    failure = bench.controller.state.panes[0].failure
    assert failure is not None
    assert failure.code == "file-missing"
    qtbot.waitUntil(
        lambda: any(image.missing for study in library.studies() for image in study.images), timeout=WAIT_MS
    )
    assert len(library.studies()) == 2


@pytest.mark.parametrize(
    ("note", "logged"),
    [
        ("Smith Anna.dcm: The file is empty. Copy it again.", "... The file is empty. Copy it again."),
        ("disc.zip: Smith: Anna.zip: The ZIP archive is damaged.", "... The ZIP archive is damaged."),
        ("The folder Smith Anna was left out: it could not be read.", "... it could not be read."),
        (
            "Smith Anna.pdf is not an image this program can read. Open",
            "... is not an image this program can read. Open",
        ),
        ("Smith Anna is neither a file nor a folder.", "... is neither a file nor a folder."),
        ("2 images named by the DICOMDIR are not there.", "2 images named by the DICOMDIR are not there."),
    ],
)
def test_the_log_names_no_file_that_was_scanned(note: str, logged: str) -> None:
    """Files, folders and archives in archives are named after patients."""
    assert library_loader._without_names(note) == logged


def test_a_share_that_does_not_answer_is_no_fault_of_the_program(
    loaders: Loaders, library: Library, root: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(loaders)
    library.begin_scan([root])

    def stat(path: Path, **how: object) -> object:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stat)
        loaders.read_library()
        qtbot.waitUntil(lambda: bool(heard.unfinished), timeout=WAIT_MS)
        scanned(qtbot, loaders, heard, root)
    assert heard.unfinished[0] == ()
    assert [event for event in heard.events if isinstance(event, ev.Tell) and event.level is NoticeLevel.ERROR] == []
    assert len(heard.keys) == 1


def test_what_a_scan_notes_is_logged_without_names(
    bench: Bench, tmp_path: Path, qtbot: QtBot, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "Smith Anna.dcm").write_bytes(b"")
    caplog.set_level("INFO")
    with qtbot.waitSignal(bench.loaders.scan_done, timeout=WAIT_MS):
        bench.loaders.scan([tmp_path / "Smith Anna.dcm"])
    assert "The file is empty" in caplog.text
    assert "Smith" not in caplog.text
