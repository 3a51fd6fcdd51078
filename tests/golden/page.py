"""Measures the golden matrix and writes docs/grey-values.md and the table of transfer syntaxes in docs/manual.md.

    python tests/golden/page.py [--manual-only]

Needs dcmtk, gdcm and the real films in ../shared/data; takes about a minute.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
from matrix import films, measure, references, report
from matrix.cell import Cell
from matrix.cells import CELLS
from matrix.measure import Measured
from matrix.oracle import Array
from matrix.program import Program, lacking

from cxr_viewer.sources.sandbox import Sandbox

GREY, MANUAL = films.REPOSITORY / "docs" / "grey-values.md", films.REPOSITORY / "docs" / "manual.md"


def measured(program: Program) -> dict[str, Measured]:
    """Every cell by its name. Raises SystemExit where one is not as it should be."""
    found: dict[str, Measured] = {}
    wrong: list[str] = []

    def render(path: Path, cell: Cell) -> Array:
        rendered, compared = program.show(path, cell)
        wrong.extend(f"{cell.name}: {problem}" for problem in lacking(cell, rendered))
        return compared

    for cell in CELLS:
        with tempfile.TemporaryDirectory() as folder:
            found[cell.name] = measure.measure(cell, render, Path(folder))
        wrong += [f"{cell.name}: {problem}" for problem in found[cell.name].problems]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return found


def farthest(figures: dict[str, Measured]) -> str:
    name = max(figures, key=lambda name: (figures[name].standard.largest, figures[name].standard.mean))
    return f"farthest from the standard: {name}, {figures[name].standard}"


def versions() -> str:
    said = subprocess.run(["dcmj2pnm", "--version"], capture_output=True, text=True, check=True).stdout
    dcmtk = said.split(" v", 1)[1].split(" ", 1)[0]
    said = subprocess.run(["gdcmconv", "--version"], capture_output=True, text=True, check=True).stdout
    gdcm = said.split("gdcm ", 1)[1].split(" ", 1)[0]
    return f"dcmtk {dcmtk}, gdcm {gdcm}, pydicom {pydicom.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manual-only", action="store_true", help="write the table of the manual, measure nothing")
    manual_only = parser.parse_args().manual_only
    MANUAL.write_text(report.with_table(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")
    if manual_only:
        return
    needs = sorted({films.absent(cell.film) for cell in CELLS} - {""}) + [f"needs {n}" for n in references.missing()]
    if needs:
        raise SystemExit("\n".join(needs))
    sandbox = Sandbox(1)
    try:
        figures = measured(Program(sandbox))
        GREY.write_text(report.page(figures, f"{versions()}; {farthest(figures)}"), encoding="utf-8")
    finally:
        sandbox.close()
    sys.stdout.write(f"{GREY} and {MANUAL} are written\n")


if __name__ == "__main__":
    main()
