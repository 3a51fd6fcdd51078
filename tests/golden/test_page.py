"""The documentation says what the definitions say; the figures are those of the last measurement."""

from __future__ import annotations

from pathlib import Path

import pytest
from matrix import films, report
from matrix.cells import CELLS
from matrix.measure import LARGEST, MEAN


@pytest.fixture(scope="module")
def page() -> str:
    return (films.REPOSITORY / "docs" / "grey-values.md").read_text(encoding="utf-8")


def test_the_page_has_every_cell_as_it_is_defined(page: str) -> None:
    assert report.skeleton(page) == report.skeleton(report.page(None)), "run python tests/golden/page.py"


def test_the_figures_on_the_page_are_within_the_limits_or_carry_a_fault(page: str) -> None:
    seen = 0
    for line in page.splitlines():
        columns = [column.strip() for column in line.strip("|").split(" | ")]
        if len(columns) != 6 or " / " not in columns[3]:
            continue
        seen += 1
        for column in columns[3:]:
            if "(" not in column:
                largest, mean = column.split(" / ")
                assert int(largest) <= LARGEST, line
                assert float(mean) <= MEAN, line
    assert seen == len(CELLS)


def test_the_manual_promises_the_transfer_syntaxes_that_are_tested(repository: Path) -> None:
    manual = (repository / "docs" / "manual.md").read_text(encoding="utf-8")
    assert report.with_table(manual) == manual, "run python tests/golden/page.py --manual-only"
