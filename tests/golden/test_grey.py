"""The golden matrix: ``cxr-viewer render`` against the standard and against dcmtk and pydicom, cell by cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matrix import films, measure, oracle, references
from matrix.cell import Cell
from matrix.cells import CELLS
from matrix.films import SAMPLE
from matrix.oracle import Array
from matrix.program import Program, lacking
from PIL import Image

BY_NAME = {cell.name: cell for cell in CELLS}
IN_A_PROCESS = (
    "As it is: adult-2-cardiomegaly.dcm",
    "VOI LUT 2 of 3 before a window",
    "Frame 2 of 3, its own window, shared Rescale",
)


def need(cell: Cell) -> None:
    reason = films.absent(cell.film)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_cell(cell: Cell, program: Program, judges: None, tmp_path: Path) -> None:
    """Within 1 of 255, 0.9 on average, of the standard and of both references, whose known faults are still there."""
    need(cell)
    problems: list[str] = []

    def render(path: Path, cell: Cell) -> Array:
        rendered, compared = program.show(path, cell)
        problems.extend(lacking(cell, rendered))
        return compared

    measured = measure.measure(cell, render, tmp_path)
    assert not [*measured.problems, *problems]


@pytest.mark.parametrize("name", IN_A_PROCESS)
def test_a_cell_by_the_command_itself(name: str, tmp_path: Path) -> None:
    """The same in a process of its own, as it is called from a shell."""
    cell = BY_NAME[name]
    need(cell)
    path, out = films.make(cell.film, cell.edits, tmp_path / "film.dcm"), tmp_path / "film.png"
    options = (["--window", f"file:{cell.number}"] if cell.number else []) + ["--frame", str(cell.frame + 1)]
    command = [sys.executable, "-m", "cxr_viewer", "render", path, "-o", out, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=films.REPOSITORY)
    assert done.returncode == 0, done.stderr
    with Image.open(out) as picture:
        shown = np.asarray(picture)
    expected = oracle.grey(references.read(path), cell.frame, cell.number or 1)
    assert measure.gap(shown, expected).within


# ---------------------------------------------------------------- the watch watches


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (lambda grey: 255 - grey, "the standard"),
        (lambda grey: np.where(grey > 100, grey + 2, grey), "dcmtk"),
        (lambda grey: grey + (np.arange(grey.size).reshape(grey.shape) % 20 > 0), "pydicom"),
    ],
    ids=["inverted", "two levels off in the bright part", "one level off nearly everywhere"],
)
def test_a_wrong_picture_is_noticed(wrong: object, complaint: str, judges: None, tmp_path: Path) -> None:
    cell = BY_NAME["12 bits stored, unsigned, no window"]

    def render(path: Path, cell: Cell) -> Array:
        right = oracle.grey(references.read(path))
        return np.clip(wrong(right), 0, 255)  # type: ignore[operator]

    assert any(complaint in problem for problem in measure.measure(cell, render, tmp_path).problems)


@pytest.mark.parametrize("name", ["Rescale slope -1, window", "LINEAR_EXACT 2000 / 8, 12 bit"])
def test_a_mended_reference_is_noticed(name: str, judges: None, tmp_path: Path) -> None:
    """A picture with the reference's own fault in it makes the reference look right: both are complained of."""
    cell = BY_NAME[name]
    need(cell)
    (reference,) = cell.faults

    def render(path: Path, cell: Cell) -> Array:
        choice = references.choice_of(references.read(path), 0, 1)
        if reference == "dcmtk":
            return references.dcmtk(path, choice, 0, tmp_path)
        return references.pyd(path, choice, 0)

    problems = measure.measure(cell, render, tmp_path).problems
    assert any(problem.startswith(f"{reference} is right now") for problem in problems)
    assert any(problem.startswith("the standard") for problem in problems)


def test_every_cell_has_a_name_of_its_own_and_many_run_without_the_real_films() -> None:
    assert len(BY_NAME) == len(CELLS) > 200
    assert sum(cell.film.startswith("resources/") for cell in CELLS) > 150


# ---------------------------------------------------------------- the oracle, by hand


@pytest.mark.parametrize(
    ("tags", "values", "expected"),
    [
        # PS3.3 C.11.2.1.2.1, Note 2: "if c=2048, w=4096 becomes: if x <= 0 then y = ymin, else if x > 4095 ..."
        ({"WindowCenter": "2048", "WindowWidth": "4096"}, [0, 1, 2047, 4095], [0, 0, 127, 255]),
        # "c=2048, w=1: if x <= 2047.5 then y = ymin else ymax", "c=0, w=100: x <= -50 ... x > 49 ..."
        ({"WindowCenter": "2048", "WindowWidth": "1"}, [0, 2047, 2048, 4095], [0, 0, 255, 255]),
        ({"WindowCenter": "100", "WindowWidth": "100"}, [50, 51, 149, 150], [0, 3, 255, 255]),
        # C.11.2.1.3.2, Note 1: "c=2048, w=4096: x <= 0 ... x > 4096"
        (
            {"WindowCenter": "2048", "WindowWidth": "4096", "VOILUTFunction": "LINEAR_EXACT"},
            [0, 1024, 2048, 4095],
            [0, 64, 128, 255],
        ),
        # C.11.2.1.3.1: one half at the centre, 1 / (1 + e^-2) half a width above it
        (
            {"WindowCenter": "2000", "WindowWidth": "1000", "VOILUTFunction": "SIGMOID"},
            [1500, 2000, 2500, 4095],
            [30, 128, 225, 255],
        ),
        ({"RescaleSlope": "-1", "RescaleIntercept": "4095"}, [0, 1000, 3000, 4000], [255, 191, 64, 0]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [0, 1000, 3000, 4000], [255, 191, 64, 0]),
    ],
    ids=lambda part: ", ".join(f"{k} {v}" for k, v in part.items()) if isinstance(part, dict) else "",
)
def test_the_oracle_says_what_the_notes_of_the_standard_say(
    tags: dict[str, str], values: list[int], expected: list[int]
) -> None:
    ds = references.read(films.locate(SAMPLE))
    films.put(ds, np.array([values]), 12)
    films.tags(**tags)(ds)
    assert oracle.grey(ds).ravel().tolist() == expected


def test_the_oracle_reads_tables_by_the_descriptor() -> None:
    ds = references.read(films.locate(SAMPLE))
    films.put(ds, np.array([[-3, -2, -1, 0, 7]]), 12, signed=True)
    films.table("VOILUTSequence", films.lut(np.array([0, 51, 102, 255]), 8, -2, packed=True))(ds)
    assert oracle.grey(ds).ravel().tolist() == [0, 0, 51, 102, 255]
