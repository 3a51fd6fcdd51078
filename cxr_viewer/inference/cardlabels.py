"""What a card says of its findings: those it offers, those it only tried, and what its training films look like."""

from __future__ import annotations

from cxr_viewer.core.findings import (
    LabelSpec,
    OperatingPoint,
    RatioTerm,
    ReferenceSpec,
    ScoreKind,
    TriedLabel,
    ViewTerm,
)
from cxr_viewer.inference.cardreader import Reader

KINDS = {kind.name.lower().replace("_", "-"): kind for kind in ScoreKind}
"""What a score may be, by the word a file uses for it."""


def kind_word(kind: ScoreKind) -> str:
    """The word for a kind of score in a file."""
    return kind.name.lower().replace("_", "-")


def label(reader: Reader) -> LabelSpec:
    """One table of ``[[labels]]``."""
    found = LabelSpec(
        name=reader.text("name"),
        threshold=reader.number("threshold"),
        description=reader.optional_text("description"),
        views=reader.texts("views"),
        score_kind=reader.choice("score_kind", KINDS, ScoreKind.UNCALIBRATED) if "score_kind" in reader.table else None,
        temperature=reader.optional_number("temperature"),
        bias=reader.optional_number("bias"),
        point=reader.optional_text("point"),
        points=tuple(operating_point(item) for item in reader.items("points")),
        ratio=_ratio(reader.inner("ratio")) if "ratio" in reader.table else None,
        view_terms=tuple(_view_term(item) for item in reader.items("view_terms")),
    )
    reader.no_others()
    return found


def operating_point(reader: Reader) -> OperatingPoint:
    """One table of ``[[labels.points]]``."""
    point = OperatingPoint(
        name=reader.text("name"),
        threshold=reader.number("threshold"),
        sensitivity=reader.number("sensitivity"),
        specificity=reader.number("specificity"),
        data=reader.optional_text("data"),
    )
    reader.no_others()
    return point


def tried(reader: Reader) -> TriedLabel:
    """One table of ``[[tried]]``."""
    found = TriedLabel(reader.text("name"), reader.text("reason"))
    reader.no_others()
    return found


def reference(reader: Reader) -> ReferenceSpec:
    """The section ``[reference]``."""
    found = ReferenceSpec(
        sha256=reader.text("sha256"),
        limit=reader.number("limit"),
        share=reader.number("share") if "share" in reader.table else 0.99,
        data=reader.optional_text("data"),
    )
    reader.no_others()
    return found


def _view_term(reader: Reader) -> ViewTerm:
    term = ViewTerm(reader.text("view"), reader.number("shift"))
    reader.no_others()
    return term


def _ratio(reader: Reader) -> RatioTerm:
    term = RatioTerm(reader.number("weight"), reader.number("centre"))
    reader.no_others()
    return term
