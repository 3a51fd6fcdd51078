"""One warm reader process for the cells, and the judges, or a word on which of them is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from matrix import references
from matrix.program import Program

from cxr_viewer.sources.sandbox import Sandbox


@pytest.fixture(scope="package")
def sandbox() -> Iterator[Sandbox]:
    """One reader process, there before the first test counts what is running."""
    pool = Sandbox(1)
    pool.warm()
    deadline = time.monotonic() + 30
    while not pool.processes:
        assert time.monotonic() < deadline, "the reader process does not start"
        threading.Event().wait(0.01)
    yield pool
    pool.close()


@pytest.fixture(scope="package")
def program(sandbox: Sandbox) -> Program:
    return Program(sandbox)


@pytest.fixture(scope="package")
def judges() -> None:
    """The commands of dcmtk and gdcm; the test is skipped where one is not installed."""
    missing = references.missing()
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (packages dcmtk and libgdcm-tools), not installed")
