"""What a scan finds in files, folders, discs and mixtures of them, and what it says of the rest."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.image import View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ScanBatch
from cxr_viewer.sources import headerline, listing
from cxr_viewer.sources import sandbox as sandbox_module
from cxr_viewer.sources.answers import Header, Headers
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

Scan = Callable[..., list[ScanBatch]]

_KILLED_BY_NAME = """
import json, os, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.sources import jobs, worker
good = jobs.describe
def describe(place):
    if place.name == "killer.dcm": os._exit(9)
    return good(place)
jobs.describe = describe
worker.main(int(sys.argv[2]))
"""


@pytest.fixture
def scan(sandbox: Sandbox) -> Scan:
    scanner = FolderScanner(sandbox)
    return lambda *paths: list(scanner.scan(paths, CancelToken()))


@pytest.fixture
def folder(tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> Path:
    """Three films in two folders among things that are no films."""
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    for number, place in enumerate(("a", "a/deeper", "a/deeper")):
        data = dicom_bytes(SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number)
        (tmp_path / place / f"IM{number}").write_bytes(data)
    (tmp_path / "a" / "notes.txt").write_text("not a film")
    (tmp_path / "a" / "empty").write_bytes(b"")
    (tmp_path / "a" / ".hidden.dcm").write_bytes(dicom_bytes())
    (tmp_path / "a" / "__MACOSX").mkdir()
    (tmp_path / "a" / "__MACOSX" / "copy.dcm").write_bytes(dicom_bytes())
    return tmp_path / "a"


def names(batches: list[ScanBatch]) -> list[str]:
    return [found.image.path.name for batch in batches for found in batch.found]


def notes(batches: list[ScanBatch]) -> list[str]:
    return [note for batch in batches for note in batch.notes]


def test_a_folder(scan: Scan, folder: Path) -> None:
    batches = scan(folder)
    assert names(batches) == ["IM0", "IM1", "IM2"]
    assert (batches[-1].looked_at, batches[-1].total, batches[-1].skipped) == (5, 5, 2)
    assert notes(batches) == []
    assert [batch.looked_at for batch in batches] == sorted(batch.looked_at for batch in batches)
    first = batches[0].found[0]
    assert (first.image.rows, first.image.columns, first.image.modality) == (4, 6, "CR")
    assert first.size_bytes == first.image.path.stat().st_size
    assert first.modified_ns == first.image.path.stat().st_mtime_ns


def test_the_first_batch_is_small_and_none_is_lost(
    scan: Scan, tmp_path: Path, dicom_bytes: Callable[..., bytes]
) -> None:
    for number in range(100):
        (tmp_path / f"{number:03d}").write_bytes(dicom_bytes(SOPInstanceUID=f"1.2.3.{number}"))
    batches = scan(tmp_path)
    assert names(batches) == [f"{number:03d}" for number in range(100)]
    assert len(batches[0].found) <= headerline.FIRST_BATCH
    assert batches[-1].total == 100


def test_a_chosen_file_that_is_no_image_is_named(scan: Scan, folder: Path, need_data: Callable[[str], Path]) -> None:
    batches = scan(folder / "notes.txt", folder / "IM0", need_data("dicom-other/sr_basic.dcm"))
    assert names(batches) == ["IM0"]
    assert notes(batches) == [
        "notes.txt is not an image this program can read. Open a DICOM, PNG, JPEG, TIFF or BMP file.",
        "sr_basic.dcm: This DICOM object holds no image (Comprehensive SR). Choose an image of the same study.",
    ]


def test_paths_that_are_not_there(scan: Scan, folder: Path, tmp_path: Path) -> None:
    batches = scan(tmp_path / "gone", folder / "IM0")
    assert names(batches) == ["IM0"]
    assert notes(batches) == ["gone: The file is no longer there."]


def test_the_same_folder_twice_and_links_that_lead_back(scan: Scan, folder: Path) -> None:
    (folder / "deeper" / "loop").symlink_to(folder)
    (folder / "deeper" / "broken").symlink_to(folder / "nowhere")
    assert names(scan(folder, folder, folder / "deeper")) == ["IM0", "IM1", "IM2"]


def test_a_folder_that_may_not_be_read(scan: Scan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refused(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    batches = scan(folder)
    assert names(batches) == ["IM0"]
    assert notes(batches) == ["The folder deeper was left out: you are not allowed to read it."]


def test_cancelling(sandbox: Sandbox, folder: Path) -> None:
    token = CancelToken()
    batches = FolderScanner(sandbox).scan([folder], token)
    assert len(next(batches).found) > 0
    token.cancel()
    with pytest.raises(CancelledError):
        next(batches)


def test_one_file_that_kills_its_reader_costs_only_itself(
    folder: Path, dicom_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "killer.dcm").write_bytes(dicom_bytes())
    monkeypatch.setattr(sandbox_module, "_BOOT", _KILLED_BY_NAME)
    pool = Sandbox(1)
    batches = list(FolderScanner(pool).scan([folder], CancelToken()))
    pool.close()
    assert names(batches) == ["IM0", "IM1", "IM2"]
    (note,) = notes(batches)
    assert note.startswith("killer.dcm: Reading this file made the decoder crash; the program itself is unharmed. ")
    assert note.endswith("fetch the image again.")


def test_a_single_file_that_kills_its_reader_is_a_note(
    tmp_path: Path, dicom_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer.dcm").write_bytes(dicom_bytes())
    monkeypatch.setattr(sandbox_module, "_BOOT", _KILLED_BY_NAME)
    pool = Sandbox(1)
    batches = list(FolderScanner(pool).scan([tmp_path / "killer.dcm"], CancelToken()))
    pool.close()
    assert len(notes(batches)) == 1
    assert notes(batches)[0].startswith("killer.dcm: ")


def test_headers_said_to_be_of_another_file_are_not_taken(
    sandbox: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader process that a file has taken over cannot put that film under another one's name."""
    ask = sandbox.ask

    def elsewhere(header: Header) -> Header:
        assert header.found is not None
        image = replace(header.found.image, path=folder / "IM0")
        return replace(header, found=replace(header.found, image=image))

    def lying(kind: type[Headers], job: str, cancel: CancelToken, **words: object) -> Headers:
        return Headers(tuple(map(elsewhere, ask(kind, job, cancel, **words).files)))

    monkeypatch.setattr(sandbox, "ask", lying)
    batches = list(FolderScanner(sandbox).scan([folder / "IM0", folder / "deeper" / "IM1"], CancelToken()))
    assert names(batches) == ["IM0"]
    assert [note.partition(":")[0] for note in notes(batches)] == ["IM1"]


def test_without_readers_no_file_is_blamed(folder: Path) -> None:
    pool = Sandbox(1)
    pool.close()
    with pytest.raises(ReadError) as caught:
        list(FolderScanner(pool).scan([folder], CancelToken()))
    assert caught.value.code == "reader-closed"


def test_many_notes_are_cut(scan: Scan, tmp_path: Path) -> None:
    for number in range(2 * listing.MAX_NOTES):
        (tmp_path / f"{number}.txt").write_text("not a film")
    said = notes(scan(*tmp_path.iterdir()))
    assert len(said) == listing.MAX_NOTES + 1
    assert said[-1] == f"{listing.MAX_NOTES} more remarks were left out."


# ---------------------------------------------------------------- DICOMDIR


def test_a_disc(scan: Scan, need_data: Callable[[str], Path]) -> None:
    disc = need_data("dicom/media_set_dicomdir")
    by_table, by_folder = scan(disc / "DICOMDIR"), scan(disc)
    assert notes(by_table) == notes(by_folder) == []
    found = [found for batch in by_table for found in batch.found]
    assert len(found) == len(names(by_folder)) == 7
    assert {image.image.path for image in found} == {image.image.path for batch in by_folder for image in batch.found}
    both = [image for image in found if image.study_description == "CHEST PA AND LATERAL"]
    assert [image.image.view for image in both] == [View.UNKNOWN, View.LATERAL]
    assert len({image.image.key.study_uid for image in both}) == 1


def test_a_disc_whose_table_climbs_out(scan: Scan, need_data: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copy(need_data("hostile/DICOMDIR_traversal"), tmp_path / "DICOMDIR")
    batches = scan(tmp_path / "DICOMDIR")
    assert names(batches) == []
    assert notes(batches) == ["1 entry of the DICOMDIR points outside of its folder and was refused."]


def test_a_disc_in_small_letters_with_a_film_missing(
    scan: Scan, need_data: Callable[[str], Path], tmp_path: Path
) -> None:
    disc = need_data("dicom/media_set_dicomdir")
    for path in sorted(disc.rglob("*")):
        if path.is_file():
            target = tmp_path / str(path.relative_to(disc)).lower()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    (tmp_path / "pt000000" / "st000001" / "se000000" / "im000000").unlink()
    batches = scan(tmp_path / "dicomdir")
    assert len(names(batches)) == 6
    assert notes(batches) == ["1 image named by the DICOMDIR is not there."]


def test_a_table_that_is_none(scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_text("not a table")
    batches = scan(tmp_path / "DICOMDIR")
    assert names(batches) == []
    assert len(notes(batches)) == 1


@pytest.mark.parametrize("parts", [("..", "x"), ("/etc", "passwd"), ("a/../..", "x"), ("C:", "x"), ("",), (), ("\0",)])
def test_file_ids_that_lead_out(parts: tuple[str, ...], tmp_path: Path) -> None:
    assert listing._inside(tmp_path.resolve(), parts) is None


def test_a_file_id_through_a_link_that_leads_out(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("links need rights on Windows")
    disc = tmp_path / "disc"
    disc.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (disc / "LINK").symlink_to(tmp_path)
    assert listing._inside(disc.resolve(), ("LINK", "secret")) is None


# ---------------------------------------------------------------- everything at hand


def test_all_the_real_films(scan: Scan, need_data: Callable[[str], Path]) -> None:
    batches = scan(need_data("dicom"))
    assert batches[-1].skipped == 2  # the list of files and a text
    assert len(names(batches)) == 29
    assert notes(batches) == []


def test_the_hostile_folder_does_not_stop_it(scan: Scan, need_data: Callable[[str], Path]) -> None:
    batches = scan(need_data("hostile"))
    assert batches[-1].looked_at == batches[-1].total
    assert len(names(batches)) > 50
    assert all(note.endswith(".") for note in notes(batches))
