"""Errors are told in a sentence, also by another process."""

from __future__ import annotations

import pickle

import pytest

from cxr_viewer.core.errors import CancelledError, CxrError, ExportError, ModelError, ReadError, RefusalError

KINDS = (CxrError, ReadError, RefusalError, ModelError, ExportError, CancelledError)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_the_way_out_of_a_process(kind: type[CxrError], protocol: int) -> None:
    told = kind("The file holds no image.", hint="Choose another.", detail="(7FE0,0010)", code="no-pixel-data")
    again = pickle.loads(pickle.dumps(told, protocol))
    assert type(again) is kind
    assert (again.summary, again.hint, again.detail, again.code) == (
        "The file holds no image.",
        "Choose another.",
        "(7FE0,0010)",
        "no-pixel-data",
    )
    assert str(again) == "The file holds no image."


@pytest.mark.parametrize("kind", KINDS)
def test_every_expected_error_is_one_kind(kind: type[CxrError]) -> None:
    assert issubclass(kind, CxrError)


def test_a_cancelled_job_needs_no_words() -> None:
    assert CancelledError().code == "cancelled"
    assert pickle.loads(pickle.dumps(CancelledError())).code == "cancelled"
