"""What the audit trail is told of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pytestqt.qtbot import QtBot

from cxr_viewer.core.image import Radiograph
from cxr_viewer.services import events as ev
from cxr_viewer.services.audit import AuditTrail
from cxr_viewer.services.records import Redactor
from cxr_viewer.ui.recorder import Recorder


def test_a_film_whose_preview_came_first_was_opened_once(
    make_film: Callable[..., Radiograph], qtbot: QtBot, tmp_path: Path
) -> None:
    film = make_film([[0, 1], [2, 3]])
    other = replace(film, key=replace(film.key, frame=1))
    recorder = Recorder(AuditTrail(tmp_path / "audit.jsonl"), Redactor())
    for event in (
        ev.ImageLoaded(0, 4, replace(film, preview=True)),
        ev.ImageLoaded(0, 4, film),
        ev.ImageLoaded(1, 5, film),
        ev.ImageLoaded(0, 6, other),
    ):
        recorder.happened(event)
    recorder.close()
    written = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [entry["event"] for entry in written] == ["opened"] * 3
