"""Many files by several processes, what is known already, and a disc that goes away meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FileStamp, FoundImage, ImageNode, KnownFile, PassedOver, ScanBatch
from cxr_viewer.sources import headerline, listing
from cxr_viewer.sources import sandbox as sandbox_module
from cxr_viewer.sources.answers import Headers
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

MANY = 700
_SLOW_HEADERS = """
import json, sys, time
from pathlib import Path
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.sources import jobs, worker
good = jobs._header
def header(place):
    while not place.path.parents[1].joinpath("go").exists(): time.sleep(0.01)
    return good(place)
jobs._header = header
worker.main(int(sys.argv[2]), sys.argv[3])
"""


class Memory:
    """What a study list would answer, and what it was asked."""

    def __init__(self) -> None:
        self.images: dict[Path, FoundImage] = {}
        self.no_images: dict[Path, PassedOver] = {}
        self.asked: list[list[Path]] = []

    def take(self, batches: Sequence[ScanBatch]) -> None:
        for batch in batches:
            self.images.update({found.image.path: found for found in batch.found})
            self.no_images.update({file.stamp.path: file for file in batch.passed_over if file.lasting})

    def __call__(self, stamps: Sequence[FileStamp]) -> list[KnownFile | None]:
        self.asked.append([stamp.path for stamp in stamps])
        return [self._known(stamp) for stamp in stamps]

    def _known(self, stamp: FileStamp) -> tuple[ImageNode, ...] | PassedOver | None:
        found, none = self.images.get(stamp.path), self.no_images.get(stamp.path)
        if found is not None and (found.size_bytes, found.modified_ns) == (stamp.size_bytes, stamp.modified_ns):
            return (found.image,)
        return none if none is not None and none.stamp == stamp else None


@pytest.fixture
def many(tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> Path:
    """700 films of six studies in three folders, and three texts."""
    for number in range(MANY):
        path = tmp_path / f"{number % 3}" / f"{number:04d}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dicom_bytes(SOPInstanceUID=f"1.2.3.{number}", StudyInstanceUID=f"1.2.{number % 6}"))
    for number in range(3):
        (tmp_path / str(number) / "notes.txt").write_text("not a film")
    return tmp_path


def paths(batches: Sequence[ScanBatch]) -> list[Path]:
    return [image.path for batch in batches for image in batch.met]


def notes(batches: Sequence[ScanBatch]) -> list[str]:
    return [note for batch in batches for note in batch.notes]


def read(batches: Sequence[ScanBatch]) -> list[str]:
    return [found.image.path.name for batch in batches for found in batch.found]


# ---------------------------------------------------------------- many files


def test_many_files_come_once_each_and_in_their_order(sandbox: Sandbox, many: Path) -> None:
    batches = list(FolderScanner(sandbox).scan([many], CancelToken()))
    assert paths(batches) == sorted(path for path in many.rglob("*") if path.is_file() and path.suffix != ".txt")
    assert (batches[-1].looked_at, batches[-1].total, batches[-1].skipped) == (MANY + 3, MANY + 3, 3)
    assert len(batches[0].found) <= headerline.FIRST_BATCH
    assert max(len(batch.found) for batch in batches) <= headerline.LARGEST_STEP + headerline.BATCH
    assert notes(batches) == []


def test_helpers_come_for_many_files_and_go_with_the_scan(sandbox: Sandbox, many: Path) -> None:
    before = sandbox.in_background
    most = 0
    for _ in FolderScanner(sandbox, helpers=2).scan([many], CancelToken()):
        most = max(most, sandbox.in_background)
    assert (most, sandbox.in_background) == (before + 2, before)


def test_whoever_stops_taking_leaves_nothing_under_way(sandbox: Sandbox, many: Path) -> None:
    batches = FolderScanner(sandbox).scan([many], CancelToken())
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert sandbox.in_background == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scan-headers")]


def test_a_slow_taker_is_not_drowned(sandbox: Sandbox, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    real = sandbox.ask

    def counted(kind: type[Headers], *args: object, **words: Sequence[object]) -> Headers:
        nonlocal asked
        asked += len(words["files"])
        return real(kind, *args, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(sandbox, "ask", counted)
    batches = FolderScanner(sandbox, helpers=0).scan([many], CancelToken())
    next(batches)
    assert asked <= headerline.FIRST_BATCH + 4 * headerline.BATCH
    batches.close()  # type: ignore[attr-defined]


def test_cancelling_many(sandbox: Sandbox, many: Path) -> None:
    token = CancelToken()
    batches = FolderScanner(sandbox).scan([many], token)
    next(batches)
    token.cancel()
    with pytest.raises(CancelledError):
        list(batches)


def test_a_clicked_film_never_waits_for_a_scan_with_helpers(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_module, "_BOOT", _SLOW_HEADERS)
    pool = Sandbox(2)
    films = sorted(path for path in many.rglob("*") if path.suffix != ".txt" and path.is_file())
    with pool.reinforced(2), ThreadPoolExecutor(8) as threads:
        busy = [
            threads.submit(pool.ask, Headers, "headers", CancelToken(), files=[(str(film), "")]) for film in films[:8]
        ]
        clicked = pool.ask(FoundImage, "describe", CancelToken(), urgent=True, path=str(films[9]))
        assert not any(answer.done() for answer in busy)
        (many / "go").touch()
        assert [answer.result().files[0].found.image.path for answer in busy] == films[:8]  # type: ignore[union-attr]
    pool.close()
    assert clicked.image.path == films[9]


# ---------------------------------------------------------------- what is known


def test_only_changed_files_are_read_again(sandbox: Sandbox, many: Path, dicom_bytes: Callable[..., bytes]) -> None:
    memory, scanner = Memory(), FolderScanner(sandbox)
    first = list(scanner.scan([many], CancelToken(), memory))
    memory.take(first)
    again = list(scanner.scan([many], CancelToken(), memory))
    assert (read(again), [file for batch in again for file in batch.passed_over]) == ([], [])
    assert paths(again) == paths(first)
    assert (again[-1].looked_at, again[-1].skipped) == (MANY + 3, 3)
    (many / "1" / "0001").write_bytes(dicom_bytes(PatientID="somebody else"))
    (many / "1" / "notes.txt").write_bytes(dicom_bytes(SOPInstanceUID="1.2.9"))
    (many / "2" / "0700").write_bytes(dicom_bytes(SOPInstanceUID="1.2.8"))
    changed = list(scanner.scan([many], CancelToken(), memory))
    assert sorted(read(changed)) == ["0001", "0700", "notes.txt"]
    texts = {many / "0" / "notes.txt", many / "2" / "notes.txt"}
    assert paths(changed) == sorted(path for path in many.rglob("*") if path.is_file() and path not in texts)


def test_what_is_known_is_asked_for_in_bulk(sandbox: Sandbox, many: Path) -> None:
    memory = Memory()
    list(FolderScanner(sandbox).scan([many], CancelToken(), memory))
    assert sorted(path for asked in memory.asked for path in asked) == sorted(p for p in many.rglob("*") if p.is_file())
    assert len(memory.asked) <= 3 + MANY // headerline.LOOKED_UP_AT_ONCE


def test_a_chosen_file_that_was_no_image_is_named_again(sandbox: Sandbox, many: Path) -> None:
    memory, scanner, chosen = Memory(), FolderScanner(sandbox), many / "0" / "notes.txt"
    first = list(scanner.scan([chosen], CancelToken(), memory))
    memory.take(first)
    again = list(scanner.scan([chosen], CancelToken(), memory))
    assert notes(again) == notes(first)
    assert len(notes(again)) == 1


def test_what_may_be_readable_next_time_is_not_kept(
    sandbox: Sandbox, tmp_path: Path, dicom_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, text = tmp_path / "a", tmp_path / "b"
    good.write_bytes(dicom_bytes())
    text.write_text("not a film")

    def vanishing(*args: object) -> Iterator[listing.Candidate]:
        for path in (good, text):
            yield listing.Candidate(path, chosen=False)
        good.unlink()

    monkeypatch.setattr(listing, "_files_below", vanishing)
    batches = list(FolderScanner(sandbox).scan([tmp_path], CancelToken()))
    assert {file.stamp.path.name: (file.code, file.lasting) for batch in batches for file in batch.passed_over} == {
        "a": ("file-missing", False),
        "b": ("not-an-image", True),
    }


# ---------------------------------------------------------------- a disc that goes away


def test_a_folder_that_goes_away_is_one_note_and_costs_nothing_found(sandbox: Sandbox, many: Path) -> None:
    batches = FolderScanner(sandbox, helpers=0).scan([many], CancelToken())
    taken = [next(batches)]
    away = many.with_name("away")
    many.rename(away)
    taken += list(batches)
    away.rename(many)
    lost = taken[-1].unreachable
    assert 0 < lost < MANY
    assert len(paths(taken)) + lost >= MANY
    (note,) = notes(taken)
    assert "no longer there" in note
    assert "open the folder again" in note


def test_a_tree_that_goes_away_while_it_is_listed_is_one_note(
    sandbox: Sandbox, tmp_path: Path, dicom_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (tmp_path / "disc" / f"{number:02d}").mkdir(parents=True)
        (tmp_path / "disc" / f"{number:02d}" / "film").write_bytes(dicom_bytes(SOPInstanceUID=f"1.2.{number}"))
    walk = listing._files_below

    def pulled_out(root: Path, *args: object) -> Iterator[listing.Candidate | None]:
        for number, candidate in enumerate(walk(root, *args)):  # type: ignore[arg-type]
            if number == 10:
                shutil.rmtree(root)
            yield candidate

    monkeypatch.setattr(listing, "_files_below", pulled_out)
    batches = list(FolderScanner(sandbox).scan([tmp_path / "disc"], CancelToken()))
    assert batches[-1].unreachable > 20
    assert len(notes(batches)) <= 2  # folders, and files that were listed before


def test_one_file_that_vanishes_is_named(sandbox: Sandbox, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(*args: object) -> Iterator[listing.Candidate]:
        for path in (many / "0" / "0000", many / "0" / "gone"):
            yield listing.Candidate(path, chosen=False)

    monkeypatch.setattr(listing, "_files_below", listed)
    batches = list(FolderScanner(sandbox).scan([many], CancelToken()))
    assert read(batches) == ["0000"]
    assert notes(batches)[0].startswith("gone: The file is no longer there.")
