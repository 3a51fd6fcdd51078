"""The audit trail shows what was done, names nobody, and shows when it was changed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core.findings import AnalysisResult, Finding, Refusal, ScoreKind
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, ImageKey
from cxr_viewer.services.audit import AuditTrail, verify

KEY = ImageKey("1.2.3", "1.2.3.4", "1.2.3.4.5")
RESULT = AnalysisResult(
    pane=0,
    generation=1,
    key=KEY,
    model_id="paediatric",
    model_name="Paediatric pneumonia",
    model_version="1.0.0",
    model_sha256="ab" * 32,
    findings=(Finding("Pneumonia", 0.8125, ScoreKind.CALIBRATED, 0.4),),
    heatmaps=(),
    seen=ImageRect(0, 0, 10, 10),
    device="CPU (OpenVINO)",
    elapsed_s=0.1,
    limits=(Caution("age", "The patient is an adult."),),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


@pytest.fixture
def trail(path: Path) -> AuditTrail:
    return AuditTrail(path)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_session_is_written_down_in_order(trail: AuditTrail, path: Path) -> None:
    assert trail.opened(KEY)
    assert trail.analysed(RESULT)
    assert trail.refused(Refusal(0, 1, KEY, "paediatric", "colour", "A colour picture."))
    assert trail.exported(KEY, "report", with_identity=False)
    written = lines(path)
    assert [entry["event"] for entry in written] == ["opened", "analysed", "refused", "exported"]
    assert len({entry["image"] for entry in written}) == 1
    assert written[1]["sha256"] == RESULT.model_sha256
    assert written[1]["findings"] == [
        {"label": "Pneumonia", "score": 0.8125, "kind": "calibrated probability", "threshold": 0.4}
    ]
    assert written[1]["limits"] == ["age"]
    assert verify(path).faults == ()
    assert verify(path).lines == 4


def test_no_uid_stands_in_the_file_and_another_installation_writes_other_ids(
    trail: AuditTrail, path: Path, tmp_path: Path
) -> None:
    trail.opened(KEY)
    assert "1.2.3" not in path.read_text()
    elsewhere = AuditTrail(tmp_path / "elsewhere" / "audit.jsonl")
    assert elsewhere.image_id(KEY) != trail.image_id(KEY)
    assert AuditTrail(path).image_id(KEY) == trail.image_id(KEY) == lines(path)[0]["image"]


def test_a_trail_that_is_not_there_is_empty(path: Path) -> None:
    assert verify(path) == verify(path.with_name("other"))
    assert verify(path).lines == 0


def change_score(content: list[bytes]) -> list[bytes]:
    return [content[0], content[1].replace(b"0.8125", b"0.1125"), *content[2:]]


def drop_line(content: list[bytes]) -> list[bytes]:
    return [content[0], *content[2:]]


def swap_lines(content: list[bytes]) -> list[bytes]:
    return [content[0], content[2], content[1], *content[3:]]


def drop_first(content: list[bytes]) -> list[bytes]:
    return content[1:]


def insert_line(content: list[bytes]) -> list[bytes]:
    return [*content[:2], content[1], *content[2:]]


@pytest.mark.parametrize("tamper", [change_score, drop_line, swap_lines, drop_first, insert_line])
def test_whatever_is_changed_is_noticed(
    trail: AuditTrail, path: Path, tamper: Callable[[list[bytes]], list[bytes]]
) -> None:
    trail.opened(KEY)
    trail.analysed(RESULT)
    trail.opened(ImageKey("9", "9", "9"))
    trail.exported(KEY, "view", with_identity=True)
    before = path.read_bytes().splitlines(keepends=True)
    after = tamper(before)
    assert after != before
    path.write_bytes(b"".join(after))
    assert verify(path).faults


def test_a_line_torn_by_a_crash_is_told_and_the_trail_goes_on(trail: AuditTrail, path: Path) -> None:
    trail.opened(KEY)
    trail.opened(KEY)
    path.write_bytes(path.read_bytes()[:-30])
    trail.exported(KEY, "report", with_identity=False)
    check = verify(path)
    assert check.lines == 3
    assert check.faults == ("Line 2 cannot be understood.",)


def test_threads_take_turns(trail: AuditTrail, path: Path) -> None:
    threads = [threading.Thread(target=lambda: [trail.opened(KEY) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path).lines == 100
    assert verify(path).faults == ()


_SECOND_PROGRAM = """
import sys
from pathlib import Path
from cxr_viewer.core.image import ImageKey
from cxr_viewer.services.audit import AuditTrail
trail = AuditTrail(Path(sys.argv[1]))
for number in range(100):
    assert trail.opened(ImageKey("1", "2", str(number)))
"""


def test_two_programs_take_turns(trail: AuditTrail, path: Path, repository: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", _SECOND_PROGRAM, str(path)], cwd=repository)
    for _ in range(100):
        assert trail.opened(KEY)
    assert other.wait() == 0
    assert verify(path).lines == 200
    assert verify(path).faults == ()


def test_a_disk_that_cannot_be_written_does_not_stop_the_reader(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not AuditTrail(tmp_path / "file" / "audit.jsonl").opened(KEY)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps other rights")
def test_only_the_owner_reads_the_trail_and_its_key(trail: AuditTrail, path: Path) -> None:
    trail.opened(KEY)
    assert all(file.stat().st_mode & 0o077 == 0 for file in (path, path.with_suffix(".key")))
