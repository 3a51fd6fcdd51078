"""Two programs scan one folder into one study list at the same time; one of them is killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.services.library import Library
from cxr_viewer.services.scanning import scan_into
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

MANY = 400
_PROGRAM = """
import sys
from pathlib import Path
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.services.library import Library
from cxr_viewer.services.scanning import scan_into
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner
library, sandbox = Library(Path(sys.argv[1])), Sandbox(1)
sandbox.warm()
print("ready", flush=True)
sys.stdin.readline()
for taken in scan_into(library, FolderScanner(sandbox, helpers=0), [Path(sys.argv[2])], CancelToken()):
    print(taken.batch.looked_at, flush=True)
sandbox.close()
assert library.take_notices() == ()
library.close()
"""


@pytest.fixture
def many(tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> Path:
    """400 films of 100 studies, and a text."""
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(MANY):
        uids = {"SOPInstanceUID": f"1.2.3.{number}", "StudyInstanceUID": f"1.2.{number // 4}"}
        (folder / f"{number:04d}").write_bytes(dicom_bytes(**uids, PatientID=f"P{number // 4}"))
    (folder / "notes.txt").write_text("not a film")
    return folder


def program(library: Path, folder: Path, repository: Path) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(library), str(folder)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def listed(path: Path) -> list[str]:
    library = Library(path)
    assert library.take_notices() == ()
    names = sorted(image.path.name for study in library.studies() for image in study.images)
    assert not any(image.copies or image.problem for study in library.studies() for image in study.images)
    library.close()
    return names


def test_nothing_is_lost_and_nothing_double(many: Path, tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "data" / "library.sqlite"
    both = [program(path, many, repository) for _ in range(2)]
    for one in both:
        one.communicate("go\n")
    assert [one.returncode for one in both] == [0, 0]
    assert listed(path) == [f"{number:04d}" for number in range(MANY)]


def test_a_program_that_is_killed_is_gone_on_with(
    many: Path, tmp_path: Path, repository: Path, sandbox: Sandbox
) -> None:
    path = tmp_path / "data" / "library.sqlite"
    first = program(path, many, repository)
    assert first.stdin is not None
    assert first.stdout is not None
    first.stdin.write("go\n")
    first.stdin.flush()
    done = 0
    while done < 50:
        done = int(first.stdout.readline())
    first.kill()
    first.communicate()
    library = Library(path)
    assert library.unfinished_scans() == ((many, False),)
    taken = list(scan_into(library, FolderScanner(sandbox), [many], CancelToken()))
    assert sum(len(piece.batch.found) for piece in taken) <= MANY - 50
    assert sum(len(piece.batch.met) for piece in taken) == MANY
    assert library.unfinished_scans() == ()
    library.close()
    assert listed(path) == [f"{number:04d}" for number in range(MANY)]
