"""One cell through the program, the standard and both references."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from matrix import films, oracle, references
from matrix.cell import Cell, Fault
from matrix.oracle import Array
from matrix.references import NoPicture

LARGEST, MEAN = 1, 0.9
"""Of 255: what two correct renderers differ by where they round differently."""

MASK_OFF = "--no-padding-mask"
REFERENCES = ("dcmtk", "pydicom")


@dataclass(frozen=True, slots=True)
class Gap:
    """Largest and mean difference of two pictures, in grey levels of 255."""

    largest: int
    mean: float

    @property
    def within(self) -> bool:
        return self.largest <= LARGEST and self.mean <= MEAN

    def __str__(self) -> str:
        return f"{self.largest} / {self.mean:.3f}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a cell.

    Attributes:
        standard: the program against the standard.
        references: the program against each reference that made a picture.
        problems: a sentence for each promise that is not kept; empty where all is well.
    """

    standard: Gap
    references: dict[str, Gap]
    problems: tuple[str, ...]


def gap(one: Array, other: Array) -> Gap:
    """Raises ValueError where the pictures are of different size."""
    if one.shape != other.shape:
        raise ValueError(f"{one.shape} against {other.shape}")
    off = np.abs(one.astype(np.int16) - other)
    return Gap(int(off.max()), float(off.mean()))


def measure(cell: Cell, render: Callable[[Path, Cell], Array], folder: Path) -> Measured:
    """Render a cell and hold it against all that is known.

    Args:
        render: the program: uint8 (rows, columns) of a file.
        folder: an empty one to work in.

    Raises:
        NoPicture: a reference that should make a picture makes none.
    """
    path = plain = films.make(cell.film, cell.edits, folder / "film.dcm")
    if cell.written:
        path = folder / "written.dcm"
        subprocess.run([*cell.written, plain, path], check=True, capture_output=True, timeout=60)
    ours = render(path, cell)
    plain = plain if cell.written else references.native(path, folder)
    if cell.instead is not None:
        plain = films.edited(plain, cell.instead, folder / "instead.dcm")
    ds = references.read(plain)
    standard = gap(ours, expected(cell, ds, mask=MASK_OFF not in cell.options))
    problems = [] if standard.within else [f"the standard: {standard}"]
    found: dict[str, Gap] = {}
    for name in REFERENCES:
        fault = cell.faults.get(name)
        seen = path if cell.instead is None and references.decodes(name, path) else plain
        try:
            shown = _reference(name, seen, cell, folder)
        except NoPicture as refusal:
            if fault is None or not fault.refuses:
                problems.append(f"{name} makes no picture: {refusal}")
            continue
        found[name] = gap(ours, shown)
        if fault is None:
            if not found[name].within:
                problems.append(f"{name}: {found[name]}")
        else:
            problems += _mended(name, fault, ours, shown, plain, cell, folder)
    return Measured(standard, found, tuple(problems))


def expected(cell: Cell, ds: Dataset, *, mask: bool) -> Array:
    """What the standard has for a cell whose film is ``ds``; a VOI that is not there any more is the last of those."""
    if cell.kind == "overlays":
        return oracle.overlays(ds, cell.frame)
    if cell.kind == "colour":
        return oracle.colour(ds)
    count = len(oracle.offers(oracle.of_frame(ds, cell.frame)))
    grey = oracle.grey(ds, cell.frame, min(cell.number or 1, max(count, 1)), mask=mask)
    return oracle.shutter(ds, grey) if cell.kind == "shutter" and ds.get("ShutterShape") else grey


def _reference(name: str, path: Path, cell: Cell, folder: Path) -> Array:
    if cell.kind == "colour":
        if name == "pydicom":
            return references.pyd_colour(path, cell.frame)
        return references.dcmtk(path, ("", 0), cell.frame, folder)
    choice = references.choice_of(references.read(path), cell.frame, cell.number or 1)
    if name == "pydicom":
        overlays = cell.kind == "overlays"
        return references.pyd_overlays(path, cell.frame) if overlays else references.pyd(path, choice, cell.frame)
    show = references.dcmtk_overlays if cell.kind == "overlays" else references.dcmtk
    return show(path, choice, cell.frame, folder)


def _mended(name: str, fault: Fault, ours: Array, shown: Array, plain: Path, cell: Cell, folder: Path) -> list[str]:
    """What no longer fits the description of a fault: then it is mended, or another."""
    beside = gap(ours, shown)
    if fault.refuses:
        return [f"{name} makes a picture now ({beside}): {fault.reason}"]
    if beside.within:
        return [f"{name} is right now: {fault.reason}"]
    if fault.inverted:
        turned = gap(255 - ours.astype(np.int16), shown)
        return [] if turned.within else [f"{name} does not invert ({turned}): {fault.reason}"]
    if fault.apart is not None:
        low, high = fault.apart
        return [] if low <= beside.largest <= high else [f"{name} is {beside} apart: {fault.reason}"]
    ds = references.read(films.edited(plain, fault.as_if or (), folder / "as-if.dcm"))
    explained = gap(expected(cell, ds, mask=False), shown)
    return [] if explained.within else [f"{name} shows something else ({explained}): {fault.reason}"]
