"""The golden matrix and the transfer syntaxes as the reader of the documentation sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matrix import films
from matrix.cell import Cell, Fault
from matrix.cells import CELLS, FAMILIES
from matrix.measure import LARGEST, MEAN, REFERENCES, Gap, Measured
from matrix.syntaxes import MATERIALS, SYNTAXES, UNPROVEN, Material, Syntax

BEGIN, END = "<!-- transfer syntaxes: made by tests/golden/page.py -->", "<!-- end of transfer syntaxes -->"
_FIGURES = re.compile(r"\d+ / \d+\.\d+")
_MEASURED_WITH = "Measured with "

INTRODUCTION = f"""# Grey values

What every film must look like, and how far the program is from it. Each line below is a cell of the golden matrix: a
film, real or a real one with edited tags, shown by `cxr-viewer render` and compared pixel by pixel with

- **the standard**: DICOM PS3.3 written out in float64 for these tests alone (`tests/golden/matrix/oracle.py`);
- **dcmtk** (`dcmj2pnm`, `dcml2pnm`), a renderer in C++;
- **pydicom** (`apply_modality_lut`, `apply_voi`, `apply_windowing`, ...), in Python. It has no display of its own:
  polarity and "lowest to highest value" are added to it as the standard has them.

None of the three shares code with the program's grey chain or with the others. JPEG 2000, which dcmtk does not know,
is decoded by gdcm first, and so is JPEG of 12 bits for pydicom. Figures are **largest / mean difference in grey levels
of 255**. Two correct renderers differ by up to {LARGEST}, because each rounds where it likes; the
limits are {LARGEST} and {MEAN}. Of overlays it is compared where they are drawn, 255 being drawn.

Where a reference is known to be wrong it is not averaged away: the figure carries the number of a fault, which is
described at the end, and the test fails if the fault no longer shows as described there.

The page is made by `python tests/golden/page.py` from the same definitions that the tests run
(`tests/golden/matrix`); `tests/golden/test_page.py` fails when it lacks a cell. "Edited" films are written while the
tests run, most of them from a sample of the repository: sums of 16 x 16 neighbouring pixels give it any depth up to 16
bits with real anatomy.
"""


def faults() -> dict[str, dict[str, int]]:
    """Of each reference: reason -> number, in the order in which they come up."""
    found: dict[str, dict[str, int]] = {name: {} for name in REFERENCES}
    for cell in CELLS:
        for name in REFERENCES:
            fault = cell.faults.get(name)
            if fault is not None:
                found[name].setdefault(fault.reason, len(found[name]) + 1)
    return found


def label(name: str, fault: Fault) -> str:
    """``D3`` for the third fault of dcmtk."""
    return f"{name[0].upper()}{faults()[name][fault.reason]}"


def page(measured: Mapping[str, Measured] | None, versions: str = "") -> str:
    """docs/grey-values.md.

    Args:
        measured: by name of the cell; None for the page without its figures.
        versions: of the references.
    """
    parts = [INTRODUCTION, _summary(measured, versions)]
    parts += [_family(title, cells, measured) for title, cells in FAMILIES.items()]
    return "\n".join([*parts, _fault_list()])


def skeleton(text: str) -> str:
    """A page without what only measuring tells."""
    lines = (line for line in text.splitlines() if not line.startswith(_MEASURED_WITH))
    return "\n".join(_FIGURES.sub("0 / 0.000", line).rstrip() for line in lines).strip()


def _summary(measured: Mapping[str, Measured] | None, versions: str) -> str:
    nothing = Gap(0, 0.0)
    rows = []
    for name in ("standard", *REFERENCES):
        told = [cell for cell in CELLS if name in cell.faults]
        rest = [cell for cell in CELLS if name not in cell.faults]
        gaps = [nothing if measured is None else _gap(measured[cell.name], name) or nothing for cell in rest]
        worst = max(gaps, key=lambda gap: (gap.largest, gap.mean))
        mean = max(gaps, key=lambda gap: gap.mean)
        rows.append(f"| {name} | {len(rest)} | {worst} | {mean} | {len(told)} |")
    return "\n".join(
        [
            "## Result\n",
            f"{_MEASURED_WITH}{versions}.\n",
            "| against | cells | worst largest | worst mean | cells with a fault of the reference |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _gap(measured: Measured, name: str) -> Gap | None:
    return measured.standard if name == "standard" else measured.references.get(name)


def _family(title: str, cells: Sequence[Cell], measured: Mapping[str, Measured] | None) -> str:
    head = [f"## {title}\n", "| cell | film | rule | standard | dcmtk | pydicom |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(cell, measured[cell.name] if measured else None) for cell in cells), ""])


def _row(cell: Cell, measured: Measured | None) -> str:
    columns = [_described(cell), _film(cell), cell.rule]
    columns.append(str(measured.standard if measured else Gap(0, 0.0)))
    for name in REFERENCES:
        fault = cell.faults.get(name)
        if fault is not None and fault.refuses:
            figure = "no picture"
        else:
            figure = str(measured.references[name] if measured else Gap(0, 0.0))
        columns.append(figure if fault is None else f"{figure} ({label(name, fault)})")
    return f"| {' | '.join(columns)} |"


def _described(cell: Cell) -> str:
    told = [f"caution `{code}` names {tag}" for code, tag in cell.cautions.items()]
    options = [f"`{option}`" for option in cell.options]
    return "; ".join([cell.name, *options, *told])


def _film(cell: Cell) -> str:
    short = films.shown(cell.film).removeprefix("resources/samples/").removeprefix("../shared/data/")
    told = [short, *(["edited"] if cell.edits else []), *([f"by {' '.join(cell.written)}"] if cell.written else [])]
    return ", ".join(told)


def _fault_list() -> str:
    lines = ["## Faults of the references\n", "Each is asserted by every cell that names it.\n"]
    for name, reasons in faults().items():
        lines += [f"- **{name[0].upper()}{number}** {name} {reason}." for reason, number in reasons.items()]
    return "\n".join([*lines, ""])


# ---------------------------------------------------------------- transfer syntaxes


def syntax_table() -> str:
    """The table of the manual, with its markers."""
    head = ["| transfer syntax | decoded by | stored values | checked on |", "|---|---|---|---|"]
    rows = [
        f"| {syntax.name}, {syntax.uid} | {syntax.decoder} | {_promise(syntax)} | {_checked(syntax)} |"
        for syntax in SYNTAXES
    ]
    unproven = ", ".join(f"{Syntax(uid, '', (), {}).name} ({uid})" for uid in UNPROVEN)
    told = f"Read by the same libraries, but not promised, because nothing at hand writes films in them: {unproven}."
    return "\n".join([BEGIN, *head, *rows, "", told, END])


def _promise(syntax: Syntax) -> str:
    judges = " and ".join(reversed(list(syntax.judges)))
    exact = f"bit for bit as {judges} decode{'' if len(syntax.judges) > 1 else 's'} them"
    source = ", and as in the film before compression" if syntax.lossless and syntax.decoder != "numpy" else ""
    return f"{exact}{source}{f' ({syntax.note})' if syntax.note else ''}"


def _checked(syntax: Syntax) -> str:
    if syntax.file is not None:
        return "1 film that comes in it"
    held = [material for material in MATERIALS if syntax.holds(material)]
    return f"{len(held)} films: {_depths(held)}"


def _depths(held: Sequence[Material]) -> str:
    bits = sorted({material.bits for material in held})
    told = [f"{', '.join(map(str, bits))} bit"]
    if any(material.signed for material in held):
        told.append("signed too")
    told += ["odd sizes", "several frames"]
    return "; ".join(told)


def with_table(manual: str) -> str:
    """The manual with its table as it has to be.

    Raises:
        ValueError: it has no place for the table.
    """
    before, marker, rest = manual.partition(BEGIN)
    _, ending, after = rest.partition(END)
    if not marker or not ending:
        raise ValueError("the manual has no place for the table of transfer syntaxes")
    return before + syntax_table() + after
