"""Models that can be installed, and how far an installation has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """A published model that this program knows how to install.

    Attributes:
        offer_id: the ``model_id`` it will have.
        summary: one sentence on what it does and for whom.
        figures: what its publisher measured, one line each, with the source; not measured here.
        size_bytes: of the download, None where it is not known.
        licence: of the weights, in words.
        address: where the file comes from.
        file_name: the name of the published file.
        proven: its publisher prints outputs, so that the installation can be held against them.
        recommended: offered at the first start.
        installed: it is installed already.
    """

    offer_id: str
    name: str
    summary: str
    figures: tuple[str, ...]
    size_bytes: int | None
    licence: str
    address: str
    file_name: str
    proven: bool
    recommended: bool = False
    installed: bool = False


@dataclass(frozen=True, slots=True)
class Damaged:
    """A bundle of the user's that cannot be used.

    Attributes:
        folder: its name in the models folder.
        sentence: why.
    """

    folder: str
    sentence: str


@dataclass(frozen=True, slots=True)
class InstallProgress:
    """How far an installation is. ``total`` is 0 where it is not known; both count bytes while downloading."""

    stage: str
    done: int = 0
    total: int = 0
