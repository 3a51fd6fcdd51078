"""The published models this program knows how to install; see ``resources/registry/*.toml``.

An entry has everything of a model's card but the digest of the weights, which is known only once the published file was
read, and beside it the address of that file and the outputs its publisher prints. Nothing here opens a connection.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard, Proof
from cxr_viewer.core.offers import Offer
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import SCHEMA, card_from_dict

PUBLISHED_OUTPUTS, NONE_PUBLISHED = "published-outputs", "none-published"
UNPROVEN_CAUTION = "Not proven: its publisher prints no outputs to hold it against, so only its structure was checked."
_NO_DIGEST = "0" * 64
_ROOM = 3
"""The published file may be so many times as large as its network counts to; more is another file."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publisher prints of his model's outputs.

    Attributes:
        film: file among the sample films; ``film_name`` what its publisher calls it.
        outputs: score by label, on the card's own scale.
        tolerance: largest difference that is still the same.
    """

    film: str
    film_name: str
    tolerance: float
    outputs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """One published model.

    Attributes:
        data: the card as in ``card.toml``, without what :meth:`card` adds.
        rows: which output of the published network belongs to each label of the card; outputs without a name or
            without a published operating point are left out.
        about_bytes: what the file should have, counted from the network.
        most_bytes: above this it is not looked at.
        published: None where the publisher prints no outputs.
    """

    data: Mapping[str, Any]
    model_id: str
    name: str
    network: str
    address: str
    file_name: str
    about_bytes: int
    most_bytes: int
    rows: tuple[int, ...]
    figures: tuple[str, ...]
    summary: str
    licence: str
    recommended: bool
    published: Published | None

    def card(self, sha256: str, source: str, proof: Proof | None) -> ModelCard:
        """The card of the converted weights with this digest. Raises ModelError where the entry has a fault."""
        cautions = list(self.data.get("cautions", ()))
        if proof is not None and proof.kind == NONE_PUBLISHED:
            cautions.insert(0, UNPROVEN_CAUTION)
        more: dict[str, Any] = {"schema": SCHEMA, "sha256": sha256, "source": source, "cautions": cautions}
        if proof is not None:
            more["proof"] = {"kind": proof.kind, "film": proof.film, "worst": proof.worst}
        return card_from_dict({**self.data, **more}, Path(self.model_id) / "card.toml")

    def offer(self, *, installed: bool) -> Offer:
        return Offer(
            self.model_id,
            self.name,
            self.summary,
            self.figures,
            self.about_bytes,
            self.licence,
            self.address,
            self.file_name,
            proven=self.published is not None,
            recommended=self.recommended,
            installed=installed,
        )


def read_registry(folder: Path) -> tuple[Entry, ...]:
    """The entries in a folder, the recommended first, then by name.

    Raises:
        ModelError: an entry has a fault (``bad-registry``, or that of its card).
    """
    entries = [_entry(path) for path in sorted(folder.glob("*.toml"))]
    return tuple(sorted(entries, key=lambda entry: (not entry.recommended, entry.name.casefold())))


@cache
def registry() -> tuple[Entry, ...]:
    """The entries that travel with the program. Raises like :func:`read_registry`."""
    return read_registry(_folder())


def _folder() -> Path:
    return resources_dir() / "registry"


def unusable(card: ModelCard, entries: tuple[Entry, ...] | None = None) -> str:
    """Why an installed model of the registry may not be used: its weights were never proven. Empty where it may.

    Args:
        entries: those of the program by default.
    """
    if entries is None and not card.source and not (_folder() / f"{card.model_id}.toml").exists():
        return ""  # asked at every start, when the registry need not be read
    entry = entry_of(card, registry() if entries is None else entries)
    if entry is None:
        return ""
    kinds = (PUBLISHED_OUTPUTS,) if entry.published is not None else (PUBLISHED_OUTPUTS, NONE_PUBLISHED)
    if card.proof is not None and card.proof.kind in kinds:
        return ""
    return f"The model “{card.name}” was never held against its publisher's outputs. Remove it and install it again."


def believed(card: ModelCard) -> ModelCard:
    """The card with no more proof than this program stands for: only models of the registry are held against outputs
    at their installation; what any other card says of a proof was written by whoever wrote the card."""
    if card.proof is None or card.proof.kind == NONE_PUBLISHED or entry_of(card, registry()) is not None:
        return card
    others = tuple(caution for caution in card.cautions if caution != UNPROVEN_CAUTION)
    return replace(card, proof=Proof(NONE_PUBLISHED), cautions=(UNPROVEN_CAUTION, *others))


def entry_of(card: ModelCard, entries: tuple[Entry, ...]) -> Entry | None:
    """The entry a card comes from, by its name or by the address in its source; None where it is from elsewhere."""
    return next((e for e in entries if e.model_id == card.model_id or (card.source and e.address in card.source)), None)


def _entry(path: Path) -> Entry:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        offer, printed = data.pop("offer"), data.pop("published", None)
        entry = Entry(
            data=data,
            model_id=data["id"],
            name=data["name"],
            network=data["network"],
            address=offer["address"],
            file_name=offer["file_name"],
            about_bytes=offer["about_bytes"],
            most_bytes=_ROOM * offer["about_bytes"],
            rows=tuple(offer["rows"]),
            figures=tuple(offer["figures"]),
            summary=offer["summary"],
            licence=data["licence"],
            recommended=offer["recommended"],
            published=None if printed is None else Published(**printed),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad(path, repr(error)) from error
    names = [label.name for label in entry.card(_NO_DIGEST, entry.address, None).labels]
    if entry.model_id != path.stem:
        raise _bad(path, f"its id is {entry.model_id}")
    if len(entry.rows) != len(names):
        raise _bad(path, f"{len(entry.rows)} rows for {len(names)} labels")
    if entry.published is not None and not entry.published.outputs.keys() <= set(names):
        raise _bad(path, "published outputs of labels it does not have")
    return entry


def _bad(path: Path, detail: str) -> ModelError:
    return ModelError(
        f"The program's own list of models has a fault ({path.name}).",
        hint="Install the program again.",
        detail=detail,
        code="bad-registry",
    )
