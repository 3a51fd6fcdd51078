"""``cxr-viewer models prepare``."""

from __future__ import annotations

import pytest

from cxr_viewer.cli import parts, prepare
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.sources.reader import SandboxReader


@pytest.mark.timeout(300)
def test_a_prepared_model_needs_no_conversion_any_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.prepare("paediatric-pneumonia") == 0
    assert capsys.readouterr().out == "Paediatric pneumonia: ready.\n"
    stages: list[str] = []
    models = parts.catalog()
    with parts.sandbox(1) as processes, parts.runner(models) as runner:
        film = SandboxReader(processes).read_path(resources_dir() / "samples" / "child-1-normal.png", CancelToken())
        runner.analyse(AnalysisRequest(0, 1, film, "paediatric-pneumonia"), CancelToken(), stages.append)
    assert stages[:2] == ["Preparing the film", "Checking the film"]
    assert stages[-2:] == ["Scoring", "Explaining"]
    assert set(stages[2:-2]) == {"Loading the model"}  # nothing "only once", neither for this model nor those beside it


def test_a_model_nobody_knows_is_told() -> None:
    with pytest.raises(CxrError, match="There is no model “nobody”"):
        prepare.prepare("nobody")
