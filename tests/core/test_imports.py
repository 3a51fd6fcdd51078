"""Parts of libraries that are shut out, and come back."""

from __future__ import annotations

import contextlib
import importlib
import sys
import threading

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


def test_a_thread_that_leaves_does_not_let_in_what_another_keeps_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines may be loaded at once: one for a film, one that tries a new model."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    entered, left, found = threading.Event(), threading.Event(), []

    def other() -> None:
        with without_modules("colorsys"):
            entered.set()
            left.wait(10)
            with contextlib.suppress(ImportError):
                found.append(importlib.import_module("colorsys"))

    thread = threading.Thread(target=other)
    with without_modules("colorsys"):
        thread.start()
        entered.wait(0.2)  # it does not come in while this thread is there
    left.set()
    thread.join()
    assert found == []
