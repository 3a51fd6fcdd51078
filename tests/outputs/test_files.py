"""A file is written whole or not at all, and every refusal is a sentence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import IO

import pytest

from cxr_viewer.core.errors import ExportError
from cxr_viewer.outputs.files import check_writable, write_atomic


def fill(file: IO[bytes]) -> None:
    file.write(b"new")


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_atomic(path, fill)
    assert path.read_bytes() == b"new"
    path.write_bytes(b"old")
    write_atomic(path, fill)
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="umask is a matter of Unix")
def test_file_may_be_read_by_whom_the_user_lets_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a.png", fill)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (errno.ENOSPC, "disk-full", "no room"),
        (errno.EDQUOT, "disk-full", "no room"),
        (errno.EACCES, "no-permission", "may not be written"),
        (errno.EROFS, "no-permission", "may not be written"),
        (errno.EIO, "export-failed", "could not be written"),
    ],
)
def test_a_fault_half_way_keeps_the_old_file(tmp_path: Path, number: int, code: str, word: str) -> None:
    path = tmp_path / "report.png"
    path.write_bytes(b"old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(ExportError) as caught:
        write_atomic(path, fail)
    assert caught.value.code == code
    assert word in caught.value.summary
    assert caught.value.hint.endswith(".")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the disk that is always full")
def test_disk_really_full(tmp_path: Path) -> None:
    def onto_full_disk(file: IO[bytes]) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"data")

    with pytest.raises(ExportError) as caught:
        write_atomic(tmp_path / "a.png", onto_full_disk)
    assert caught.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []


def test_a_defect_half_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        raise ValueError("a defect, not a fault of the disk")

    with pytest.raises(ValueError, match="a defect"):
        write_atomic(tmp_path / "a.png", fail)
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        write_atomic(tmp_path / "gone" / "a.png", fill)
    assert caught.value.code == "no-folder"


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ExportError) as caught:
        write_atomic(tmp_path / "file" / "a.png", fill)
    assert caught.value.code == "no-folder"


def test_a_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        write_atomic(tmp_path, fill)
    assert caught.value.code == "not-a-file"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="needs a device file")
def test_a_device_is_not_replaced() -> None:
    with pytest.raises(ExportError) as caught:
        write_atomic(Path("/dev/null"), fill)
    assert caught.value.code == "not-a-file"
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.png"
    target.write_bytes(b"old")
    link = tmp_path / "link.png"
    link.symlink_to(target)
    write_atomic(link, fill)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    try:
        with pytest.raises(ExportError) as caught:
            write_atomic(folder / "a.png", fill)
        assert caught.value.code == "no-permission"
    finally:
        folder.chmod(0o700)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that takes no files, even from root")
def test_folder_nobody_may_write() -> None:
    with pytest.raises(ExportError) as caught:
        write_atomic(Path("/sys/kernel/cxr-viewer-test.png"), fill)
    assert caught.value.code == "no-permission"


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        write_atomic(tmp_path / ("x" * 300 + ".png"), fill)
    assert caught.value.summary.endswith(".")


def test_asking_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.json").write_bytes(b"old")
    check_writable(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    for unfit, code in ((tmp_path, "not-a-file"), (tmp_path / "gone" / "a.json", "no-folder")):
        with pytest.raises(ExportError) as caught:
            check_writable(unfit)
        assert caught.value.code == code
