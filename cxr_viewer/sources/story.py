"""Why a film looks as it does, collected where each decision is made, so that it says nothing else than what was done.

A :class:`Story` travels inside :class:`~cxr_viewer.sources.tolerant.Cautions`: what is worth a caution and what is
worth a step of the inspector are known at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cxr_viewer.core.provenance import ChainStep, Stage, TagValue

MOST_PASSED_OVER = 32
"""A file may offer thousands of windows; the inspector lists so many rules for each step."""


@dataclass(slots=True)
class _Draft:
    rules: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    tags: dict[str, TagValue] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


class Story:
    """Collects the steps of one film. What is told twice of a stage is joined in the order it was told."""

    def __init__(self) -> None:
        self._drafts: dict[Stage, _Draft] = {}

    def tell(self, stage: Stage, rule: str, reference: str = "", tags: tuple[TagValue, ...] = ()) -> None:
        """What was done, as a plain sentence; where the rule stands; the attributes it went by."""
        draft = self._draft(stage)
        draft.rules.append(rule)
        if reference and reference not in draft.references:
            draft.references.append(reference)
        draft.tags.update((tag.name, tag) for tag in tags)

    def pass_over(self, stage: Stage, why: str, tags: tuple[TagValue, ...] = ()) -> None:
        """A rule that could have been used and was not, with the reason, as a plain sentence."""
        draft = self._draft(stage)
        if len(draft.passed_over) < MOST_PASSED_OVER and why not in draft.passed_over:
            draft.passed_over.append(why)
        draft.tags.update((tag.name, tag) for tag in tags)

    def steps(self) -> tuple[ChainStep, ...]:
        """The steps in the order they happen from file to screen."""
        return tuple(
            ChainStep(
                stage,
                " ".join(draft.rules),
                ", ".join(draft.references),
                tuple(draft.tags.values()),
                tuple(draft.passed_over),
            )
            for stage in Stage
            if (draft := self._drafts.get(stage)) is not None
        )

    def _draft(self, stage: Stage) -> _Draft:
        return self._drafts.setdefault(stage, _Draft())
