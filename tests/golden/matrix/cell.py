"""What a cell of the matrix is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from matrix.films import Edit


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a reference is not as the standard, why, and how it shows; exactly one of the fields below ``reason``.

    Attributes:
        as_if: the reference shows what the standard has for a film with these edits.
        inverted: it exchanges black and white.
        refuses: it makes no picture.
        apart: the largest difference lies between these two, of 255.
    """

    reason: str
    as_if: tuple[Edit, ...] | None = None
    inverted: bool = False
    refuses: bool = False
    apart: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if sum((self.as_if is not None, self.inverted, self.refuses, self.apart is not None)) != 1:
            raise ValueError(f"say in one way how the fault shows: {self.reason}")


@dataclass(frozen=True, slots=True)
class Cell:
    """One film and how it must look.

    Attributes:
        name: unique; what the film has that matters here.
        film: of ``resources/samples`` or of ``../shared/data``.
        rule: where the rule stands that the cell is about.
        edits: of the film; none where it is shown as it is.
        written: the command of dcmtk or gdcm that writes the edited film in another transfer syntax.
        number: which VOI of the file is asked for, from 1; 0 leaves the choice to the program, which takes the first.
        frame: from 0.
        kind: what is compared: ``"grey"`` values, ``"overlays"`` (where graphics lie), ``"shutter"`` (the film as
            covered), or ``"colour"``.
        options: of the command, beyond the VOI and the frame.
        cautions: code of each caution about the grey chain that has to be there -> keyword of the tag it names.
        instead: the edits after which the film says, in a way the references understand, what it has to be shown as:
            where it breaks the standard, or where they cannot follow it. The expected values and the references are
            those of the film edited so.
        faults: of ``"dcmtk"`` and ``"pydicom"``.
    """

    name: str
    film: str
    rule: str
    edits: tuple[Edit, ...] = ()
    written: tuple[str, ...] = ()
    number: int = 0
    frame: int = 0
    kind: str = "grey"
    options: tuple[str, ...] = ()
    cautions: Mapping[str, str] = field(default_factory=dict)
    instead: tuple[Edit, ...] | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
