"""A scan into the study list: kept batch by batch, gone on with after any end, and no full disk in its way."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cxr_viewer.core.errors import CancelledError, CxrError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FileStamp, FoundImage, LookUp, PassedOver, ScanBatch
from cxr_viewer.services import library_scans
from cxr_viewer.services.database import Database
from cxr_viewer.services.library import Library
from cxr_viewer.services.scanning import KEPT_FROM, Taken, scan_into

MakeFound = Callable[..., FoundImage]
MANY = KEPT_FROM + 50


class Folder:
    """A scanner of films that exist as stamps only; ``on_batch`` is called before each batch."""

    def __init__(self, make_found: MakeFound, root: Path, count: int = MANY) -> None:
        self.films = {
            root / f"{n:04d}": make_found(root / f"{n:04d}", study=f"{n // 2}", sop=f"{n}", size=10, modified=20)
            for n in range(count)
        }
        self.texts = [root / "notes.txt"]
        self.on_batch: Callable[[int], None] = lambda number: None
        self.unreachable = 0
        self.read: list[Path] = []

    def scan(self, paths: Sequence[Path], cancel: CancelToken, known: LookUp | None = None) -> Iterator[ScanBatch]:
        assert known is not None
        files = [*self.films, *self.texts]
        for number, start in enumerate(range(0, len(files), 50)):
            self.on_batch(number)
            cancel.raise_if_cancelled()
            piece = [FileStamp(path, "", 10, 20) for path in files[start : start + 50]]
            unread = [stamp for stamp, answer in zip(piece, known(piece), strict=True) if answer is None]
            self.read += [stamp.path for stamp in unread]
            found = tuple(self.films[stamp.path] for stamp in unread if stamp.path in self.films)
            none = tuple(
                PassedOver(stamp, "not-an-image", "No image.", "Open another.", lasting=True)
                for stamp in unread
                if stamp.path not in self.films
            )
            yield ScanBatch(found, start + len(piece), len(files), 0, passed_over=none, unreachable=self.unreachable)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    return tmp_path / "films"


@pytest.fixture
def folder(make_found: MakeFound, root: Path) -> Folder:
    return Folder(make_found, root)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "library.sqlite"


@pytest.fixture
def library(path: Path) -> Iterator[Library]:
    library = Library(path)
    yield library
    library.close()


def listed(library: Library) -> set[Path]:
    return {image.path for study in library.studies() for image in study.images}


def run(library: Library, folder: Folder, *paths: Path, cancel: CancelToken | None = None) -> list[Taken]:
    return list(scan_into(library, folder, paths, cancel or CancelToken()))


# ---------------------------------------------------------------- what is known


def test_nothing_is_read_twice(library: Library, folder: Folder, root: Path) -> None:
    run(library, folder, root)
    assert sorted(folder.read) == sorted([*folder.films, *folder.texts])
    folder.read.clear()
    again = run(library, folder, root)
    assert folder.read == []
    assert all(taken.changed == () for taken in again)
    assert listed(library) == set(folder.films)


def test_it_is_known_after_a_restart_what_held_no_image(path: Path, folder: Folder, root: Path) -> None:
    first = Library(path)
    run(first, folder, root)
    first.close()
    second = Library(path)
    (answer,) = second.known([FileStamp(root / "notes.txt", "", 10, 20)])
    assert isinstance(answer, PassedOver)
    assert (answer.code, answer.summary, answer.hint) == ("not-an-image", "No image.", "Open another.")
    assert list(second.known([FileStamp(root / "notes.txt", "", 10, 21)])) == [None]
    second.close()


def test_another_version_of_the_program_tries_again(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = FileStamp(root / "odd", "", 10, 20)
    library.pass_over([PassedOver(stamp, "damaged", "Damaged.", "", lasting=True)])
    assert library.known([stamp])[0] is not None
    monkeypatch.setattr(library_scans, "__version__", "99")
    assert library.known([stamp])[0] is None


def test_what_does_not_last_is_not_kept(library: Library, root: Path) -> None:
    stamp = FileStamp(root / "odd", "", 10, 20)
    library.pass_over([PassedOver(stamp, "disk-error", "Gone.", "", lasting=False)])
    assert library.known([stamp])[0] is None


def test_a_file_that_was_missing_is_read_when_it_is_back(
    library: Library, make_found: MakeFound, tmp_path: Path
) -> None:
    film = tmp_path / "film"
    film.write_bytes(b"film")
    stat = film.stat()
    library.add([make_found(film, size=stat.st_size, modified=stat.st_mtime_ns)])
    stamp = FileStamp(film, "", stat.st_size, stat.st_mtime_ns)
    assert library.known([stamp])[0] is not None
    film.unlink()
    library.refresh_missing()
    assert library.known([stamp])[0] is None


def test_frames_and_members_are_told_apart(library: Library, make_found: MakeFound, root: Path) -> None:
    film = root / "film"
    library.add([make_found(film, size=10, modified=20, frame=0), make_found(film, size=10, modified=20, frame=1)])
    images, member = library.known([FileStamp(film, "", 10, 20), FileStamp(film, "3", None, 20)])
    assert isinstance(images, tuple)
    assert sorted(image.key.frame for image in images) == [0, 1]
    assert member is None


def test_more_files_than_one_query_takes(library: Library, make_found: MakeFound, root: Path) -> None:
    folder = Folder(make_found, root, count=2 * library_scans._VARIABLES + 3)
    library.add(folder.films.values())
    answers = library.known([FileStamp(path, "", 10, 20) for path in folder.films])
    assert [answer[0].path for answer in answers if isinstance(answer, tuple)] == list(folder.films)


# ---------------------------------------------------------------- scans that did not end


def test_a_scan_that_ends_leaves_nothing_to_continue(library: Library, folder: Folder, root: Path) -> None:
    seen: list[tuple[tuple[Path, bool], ...]] = []
    folder.on_batch = lambda number: seen.append(library.unfinished_scans())
    run(library, folder, root)
    assert seen[-1] == ((root, False),)
    assert library.unfinished_scans() == ()


def test_a_cancelled_scan_goes_on_where_it_was(library: Library, folder: Folder, root: Path) -> None:
    token = CancelToken()
    folder.on_batch = lambda number: token.cancel() if number == 3 else None
    with pytest.raises(CancelledError):
        run(library, folder, root, cancel=token)
    assert library.unfinished_scans() == ((root, False),)
    library.cancel_scan([root])
    assert library.unfinished_scans() == ((root, True),)
    assert len(listed(library)) == 150
    folder.read.clear()
    run(library, folder, root)
    assert sorted(folder.read) == sorted([*list(folder.films)[150:], *folder.texts])
    assert listed(library) == set(folder.films)
    assert library.unfinished_scans() == ()


def test_a_program_that_ends_in_the_middle_is_told_of(path: Path, folder: Folder, root: Path) -> None:
    first = Library(path)
    taken = scan_into(first, folder, [root], CancelToken())
    for _ in range(3):
        next(taken)
    first.close()  # as if the program had been killed: the scan never hears of its end
    second = Library(path)
    assert second.unfinished_scans() == ((root, False),)
    assert len(listed(second)) == 150
    second.close()


def test_the_folder_above_finishes_the_one_below(library: Library, folder: Folder, root: Path) -> None:
    library.begin_scan([root / "deeper"])
    run(library, folder, root)
    assert library.unfinished_scans() == ()


def test_a_disc_that_went_away_is_to_be_continued(library: Library, folder: Folder, root: Path) -> None:
    folder.unreachable = 7
    run(library, folder, root)
    assert library.unfinished_scans() == ((root, False),)
    folder.unreachable = 0
    run(library, folder, root)
    assert library.unfinished_scans() == ()


def test_a_scan_of_a_few_files_is_not_kept(library: Library, make_found: MakeFound, root: Path) -> None:
    token = CancelToken()
    few = Folder(make_found, root, count=60)
    few.on_batch = lambda number: token.cancel() if number == 1 else None
    with pytest.raises(CancelledError):
        run(library, few, root, cancel=token)
    assert library.unfinished_scans() == ()


# ---------------------------------------------------------------- a list that cannot be written


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch, path: Path) -> Callable[[int], None]:
    """``full_disk(pages)``: from now on the file at ``path`` can hold so many pages of 4 KiB more."""

    def fill(pages: int) -> None:
        real = Database._connect

        def connect(self: Database) -> sqlite3.Connection:
            connection = real(self)
            if self.path == path:
                used = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {used + pages}")
            return connection

        monkeypatch.setattr(Database, "_connect", connect)

    return fill


def test_a_full_disk_does_not_end_a_scan(
    path: Path, folder: Folder, root: Path, full_disk: Callable[[int], None]
) -> None:
    Library(path).close()
    full_disk(8)
    library = Library(path)
    run(library, folder, root)
    assert listed(library) == set(folder.films)
    (notice,) = library.take_notices()
    assert "is full" in notice
    assert "forgotten when the program ends" in notice
    library.close()
    kept = Library(path)  # what was written before the disk was full is sound
    assert listed(kept) < set(folder.films)
    assert kept.take_notices() == ()
    kept.close()


def test_where_nothing_can_be_written_the_film_is_handed_on_all_the_same(
    path: Path, folder: Folder, root: Path, full_disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    Library(path).close()
    full_disk(0)
    monkeypatch.setattr(Database, "_carried_over", lambda self, code: False)
    library = Library(path)
    taken = scan_into(library, folder, [root], CancelToken())
    assert next(taken).batch.found[0].image.path in folder.films
    with pytest.raises(CxrError) as caught:
        next(taken)
    assert caught.value.code == "library-unusable"
    library.close()


def test_a_list_that_cannot_be_read_costs_only_reading(
    library: Library, folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(stamps: Sequence[FileStamp]) -> None:
        raise CxrError("Busy.", code="library-busy")

    run(library, folder, root)
    folder.read.clear()
    monkeypatch.setattr(library, "known", busy)
    run(library, folder, root)
    assert len(folder.read) == len(folder.films) + 1
    assert listed(library) == set(folder.films)


def test_without_a_reader_the_scan_is_to_be_continued(library: Library, folder: Folder, root: Path) -> None:
    def gone(number: int) -> None:
        if number == 2:
            raise ReadError("The program is closing.", code="reader-closed")

    folder.on_batch = gone
    with pytest.raises(ReadError):
        run(library, folder, root)
    assert library.unfinished_scans() == ((root, False),)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not made read-only this way on Windows")
def test_a_folder_that_cannot_be_written_from_the_start(
    tmp_path: Path, folder: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder of the list should be")
    library = Library(blocked / "library.sqlite")
    run(library, folder, root)
    assert listed(library) == set(folder.films)
    assert len(library.take_notices()) == 1
    library.close()
