"""A DICOMDIR names files of its own folder and no others, whatever it says."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ScanBatch
from cxr_viewer.sources import answers, dicomdir, listing
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

Disc = Callable[..., Path]


@pytest.fixture
def disc(tmp_path: Path) -> Disc:
    """``disc(["IMAGES", "IM0"], ...)``: a DICOMDIR whose image records name these files."""

    def make(*file_ids: list[str]) -> Path:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
        ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        ds.DirectoryRecordSequence = []
        for file_id in file_ids:
            record = Dataset()
            record.DirectoryRecordType = "IMAGE"
            record.add(pydicom.DataElement(0x00041500, "CS", file_id, already_converted=True))
            ds.DirectoryRecordSequence.append(record)
        path = tmp_path / "disc" / "DICOMDIR"
        path.parent.mkdir(exist_ok=True)
        ds.save_as(path, enforce_file_format=True)
        return path

    return make


def scanned(sandbox: Sandbox, path: Path) -> tuple[list[str], list[str]]:
    """(names of the films found, notes)."""
    batches: list[ScanBatch] = list(FolderScanner(sandbox).scan([path], CancelToken()))
    found = [item.image.path.name for batch in batches for item in batch.found]
    return found, [note for batch in batches for note in batch.notes]


@pytest.mark.parametrize(
    "file_id",
    [
        ["..", "secret"],
        ["A", "..", "..", "secret"],
        ["/etc/passwd"],
        ["", "etc", "passwd"],
        ["..\\secret"],
        ["C:", "secret"],
        ["C:secret"],
        ["\\\\host\\share\\secret"],
        ["NUL"],
        ["A", "com1.txt"],
        ["."],
        ["A", ""],
        ["x" * 300],
        ["A"] * 40,
    ],
)
def test_what_leads_out_is_refused(file_id: list[str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("no film of this disc")
    root = tmp_path / "disc"
    (root / "A").mkdir(parents=True)
    assert listing._inside(root, tuple(file_id)) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there that tests do not have")
def test_links_that_lead_out_or_in_a_circle(
    sandbox: Sandbox, disc: Disc, tmp_path: Path, dicom_bytes: Callable[..., bytes]
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "IM0").write_bytes(dicom_bytes())
    path = disc(["LINK", "IM0"], ["CIRCLE", "IM0"], ["IM1"])
    (path.parent / "LINK").symlink_to(tmp_path / "outside")
    (path.parent / "CIRCLE").symlink_to(path.parent / "CIRCLE")
    (path.parent / "IM1").write_bytes(dicom_bytes())
    assert scanned(sandbox, path) == (
        ["IM1"],
        ["2 entries of the DICOMDIR point outside of its folder and were refused."],
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_a_pipe_is_not_waited_for(sandbox: Sandbox, disc: Disc) -> None:
    path = disc(["PIPE"])
    os.mkfifo(path.parent / "PIPE")
    assert scanned(sandbox, path) == ([], ["1 image named by the DICOMDIR is not there."])


def test_a_file_named_again_and_again_is_one(sandbox: Sandbox, disc: Disc, dicom_bytes: Callable[..., bytes]) -> None:
    path = disc(*[["IM0"]] * 500)
    (path.parent / "IM0").write_bytes(dicom_bytes())
    assert scanned(sandbox, path) == (["IM0"], [])


def test_of_endless_records_the_first_are_taken(disc: Disc, monkeypatch: pytest.MonkeyPatch) -> None:
    path = disc(*[[f"IM{n}"] for n in range(20)])
    monkeypatch.setattr(dicomdir, "MAX_RECORDS", 10)
    cut = dicomdir.file_ids(path)
    assert (len(cut.file_ids), cut.cut) == (10, True)
    monkeypatch.setattr(dicomdir, "MAX_RECORDS", 20)
    assert dicomdir.file_ids(path) == answers.Directory(tuple((f"IM{n}",) for n in range(20)), cut=False)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("pydicom_pydicom__DICOMDIR-bigEnd", 31),
        ("pydicom_pydicom__DICOMDIR-nooffset", 31),
        ("grailbio_go-dicom__testdicomdir", 14),
    ],
)
def test_directories_without_their_discs(
    name: str, images: int, sandbox: Sandbox, need_data: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copy(need_data(f"hostile/{name}"), tmp_path / "DICOMDIR")
    assert scanned(sandbox, tmp_path / "DICOMDIR") == ([], [f"{images} images named by the DICOMDIR are not there."])
