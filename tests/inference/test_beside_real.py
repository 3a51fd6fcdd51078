"""The shipped film check and anatomy model on a real film, whichever way it is stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.filmcheck import FilmCheckError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.runner import LocalRunner

REAL = "paediatric-pneumonia"
NORMAL = "cr_rsna_pa_normal2_jpegbaseline.dcm"


@pytest.fixture(scope="module")
def runner(real_cache: Path) -> Iterator[LocalRunner]:
    runner = LocalRunner(cache=real_cache)
    yield runner
    runner.close()


def asked(runner: LocalRunner, image: Radiograph, **changes: object) -> AnalysisResult:
    request = AnalysisRequest(0, 1, image, REAL, **changes)  # type: ignore[arg-type]
    return runner.analyse(request, CancelToken(), lambda stage: None)


def lying(image: Radiograph, turns: int) -> Radiograph:
    """The film as it would be stored if it took ``turns`` clockwise to make it upright; the file says nothing of it."""
    stored = np.ascontiguousarray(np.rot90(image.stored, turns))
    return dataclasses.replace(image, stored=stored, patient_orientation=None, source_sha256=f"{turns}" * 64)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_film_lying_down_is_stopped_and_measures_the_same_once_turned(
    runner: LocalRunner, real_films: dict[str, Radiograph], turns: int
) -> None:
    image = real_films[NORMAL]
    expected = asked(runner, image)
    assert expected.check is not None
    assert not expected.check.blocking
    assert expected.anatomy is not None
    assert expected.anatomy.trusted
    stored = lying(image, turns)
    with pytest.raises(FilmCheckError) as stopped:
        asked(runner, stored)
    assert stopped.value.code == "turned"
    assert stopped.value.check.upright_turns == turns
    found = asked(runner, stored, turns=turns)
    assert found.check is not None
    assert not found.check.blocking
    assert found.findings == expected.findings
    assert found.anatomy is not None
    assert found.anatomy.callipers is not None
    assert expected.anatomy.callipers is not None
    assert found.anatomy.callipers.ratio() == pytest.approx(expected.anatomy.callipers.ratio(), abs=1e-6)
    insisted = asked(runner, stored, override=True)
    assert insisted.overridden == ("turned",)
    assert insisted.anatomy is not None
    assert insisted.anatomy.callipers is not None  # lungs and heart are found as the film lies when it is upright
    assert insisted.anatomy.callipers.ratio() == pytest.approx(found.anatomy.callipers.ratio(), abs=1e-6)


def test_a_film_with_black_and_white_exchanged_is_stopped(
    runner: LocalRunner, real_films: dict[str, Radiograph]
) -> None:
    image = real_films[NORMAL]
    other = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}[image.photometric]
    with pytest.raises(FilmCheckError) as stopped:
        asked(runner, dataclasses.replace(image, photometric=other, source_sha256="f" * 64))
    assert stopped.value.code == "inverted"
