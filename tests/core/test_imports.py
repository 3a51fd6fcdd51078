"""Parts of libraries that are shut out, and come back."""

from __future__ import annotations

import sys

import pytest

from cxr_viewer.core.imports import without_modules


def test_a_module_is_shut_out_and_can_be_imported_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with without_modules("colorsys"), pytest.raises(ImportError):
        import colorsys
    import colorsys

    assert colorsys.rgb_to_hsv(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0)


def test_what_is_loaded_stays() -> None:
    before = sys.modules["pytest"]
    with without_modules("pytest"):
        assert sys.modules["pytest"] is before
    assert sys.modules["pytest"] is before
