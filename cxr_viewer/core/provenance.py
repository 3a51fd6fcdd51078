"""Why a film looks as it does: the steps from file to screen, each with the rule used and those passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Stage(Enum):
    """Steps of the chain in the order they happen; the value is what the inspector calls them."""

    FILE = "File"
    PIXELS = "Pixels"
    DECODER = "Decoder"
    MODALITY = "Modality LUT"
    VOI = "VOI"
    PRESENTATION = "Presentation"
    PADDING = "Pixel padding"
    OVERLAYS = "Overlays"
    SHUTTER = "Shutter"
    ORIENTATION = "Orientation"
    MILLIMETRES = "Millimetres"


@dataclass(frozen=True, slots=True)
class TagValue:
    """An attribute as the file has it: ``"WindowWidth (0028,1051)"`` and its value as text, cut where it is long."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One step.

    Attributes:
        rule: one plain sentence: what was done.
        reference: where the rule stands, e.g. ``"PS3.3 C.11.2.1.2"``, or empty.
        tags: the attributes it went by.
        passed_over: one sentence for each rule that could have been used and was not, with the reason.
    """

    stage: Stage
    rule: str
    reference: str = ""
    tags: tuple[TagValue, ...] = ()
    passed_over: tuple[str, ...] = ()
