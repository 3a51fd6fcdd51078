"""Which models are installed. Reads cards only: no weights are opened and torch is not imported."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import platformdirs

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference import sitecalibration
from cxr_viewer.inference.cards import CARD_NAME, read_card, weights_name
from cxr_viewer.inference.registry import believed, unusable


def bundle_dirs(data: Path | None = None) -> tuple[Path, ...]:
    """The folders that hold models: those that travel with the program, then the user's own.

    Args:
        data: the program's data folder, by default the user's.
    """
    data = data or platformdirs.user_data_path("cxr-viewer", appauthor=False)
    return (resources_dir() / "models", data / "models")


def calibrations_dir(data: Path | None = None) -> Path:
    """The folder of the calibrations this site made; see :func:`bundle_dirs`."""
    return (data or platformdirs.user_data_path("cxr-viewer", appauthor=False)) / sitecalibration.FOLDER


@dataclass(frozen=True, slots=True)
class _Bundle:
    card: ModelCard
    folder: Path


@dataclass(frozen=True, slots=True)
class _Seen:
    bundles: dict[str, _Bundle]
    problems: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...] = ()


class BundleCatalog:
    """The model bundles in some folders; a bundle is a sub-folder with ``card.toml`` and ``weights.safetensors``, or
    ``weights.onnx``.

    Any thread may ask and :meth:`refresh`: what was found is one value, replaced as a whole. A model that is removed
    while another thread works with it is a :class:`ModelError` there.

    Args:
        dirs: folders of bundles, :func:`bundle_dirs` by default; missing ones are empty. Where two bundles carry one
            id, the first is used and :meth:`problems` says so.
        unproven: know models of the registry, too, that were not yet held against their publisher's outputs: while
            they are.
    """

    def __init__(
        self, dirs: Sequence[Path] | None = None, *, unproven: bool = False, calibrations: Path | None = None
    ) -> None:
        self._dirs = tuple(dirs) if dirs is not None else bundle_dirs()
        self._calibrations = calibrations if dirs is not None or calibrations else calibrations_dir()
        self._unproven = unproven
        self._lock = threading.Lock()
        self._seen: _Seen | None = None

    def refresh(self) -> None:
        """Look again at the next question, after a model was added or removed."""
        with self._lock:
            self._seen = None

    def cards(self) -> tuple[ModelCard, ...]:
        """Every readable card, sorted by name."""
        cards = (bundle.card for bundle in self._found().bundles.values())
        return tuple(sorted(cards, key=lambda card: (card.name.casefold(), card.model_id)))

    def problems(self) -> tuple[str, ...]:
        """One sentence for each bundle, or calibration of this site, that cannot be used."""
        seen = self._found()
        return (*(sentence for _, sentence in seen.problems), *seen.notes)

    def damaged(self) -> tuple[tuple[Path, str], ...]:
        """The folders that :meth:`problems` is about, a models folder that cannot be read among them, and why."""
        return self._found().problems

    def card(self, model_id: str) -> ModelCard:
        """The card of one model.

        Raises:
            ModelError: ``no-model`` when nothing is installed, ``unknown-model`` when this one is not.
        """
        return self._bundle(model_id).card

    def folder(self, model_id: str) -> Path:
        """The bundle's folder. Raises like :meth:`card`."""
        return self._bundle(model_id).folder

    def _bundle(self, model_id: str) -> _Bundle:
        seen = self._found()
        found = seen.bundles
        if model_id in found:
            return found[model_id]
        if not found:
            raise ModelError(
                "No model is installed.",
                hint="Install the program again, or put a model's folder into the models folder of the program's data.",
                detail="\n".join((*map(str, self._dirs), *self.problems())),
                code="no-model",
            )
        raise ModelError(
            f"There is no model “{model_id}”." if model_id else "No model was chosen.",
            hint=f"Choose one of: {', '.join(sorted(found))}.",
            detail="\n".join(self.problems()),
            code="unknown-model",
        )

    def _found(self) -> _Seen:
        with self._lock:  # held while looking: what was seen before a refresh must not be kept after it
            if self._seen is None:
                self._seen = _calibrated(_look(self._dirs, unproven=self._unproven), self._calibrations)
            return self._seen


def _look(dirs: tuple[Path, ...], *, unproven: bool) -> _Seen:
    found: dict[str, _Bundle] = {}
    problems: list[tuple[Path, str]] = []
    for folder in (bundle for parent in dirs for bundle in _bundle_folders(parent, problems)):
        try:
            card = read_card(folder)
        except ModelError as error:
            problems.append((folder, f"{error.summary} {error.hint}".strip()))
            continue
        why = _fault(card, folder, found, unproven=unproven)
        if why:
            problems.append((folder, why))
        else:
            found[card.model_id] = _Bundle(card if unproven else believed(card), folder)
    return _Seen(found, tuple(problems))


def _calibrated(seen: _Seen, folder: Path | None) -> _Seen:
    """The same bundles, their cards with the calibration of this site where one is in use."""
    if folder is None:
        return seen
    bundles, notes = {}, []
    for model_id, bundle in seen.bundles.items():
        try:
            kept = sitecalibration.read(folder, bundle.card)
        except ModelError as error:
            notes.append(f"{error.summary} {error.hint}".strip())
            kept = None
        site = kept.calibration if kept is not None and kept.in_use else None
        bundles[model_id] = replace(bundle, card=replace(bundle.card, site=site))
    return _Seen(bundles, seen.problems, tuple(notes))


def _fault(card: ModelCard, folder: Path, found: dict[str, _Bundle], *, unproven: bool) -> str:
    """Why a bundle with a good card cannot be used, beside those found before it; empty where it can."""
    if not (folder / weights_name(card)).is_file():
        return f"The model “{card.name}” has no weights ({weights_name(card)} is missing). Install it again."
    if card.model_id in found:
        other = found[card.model_id].card.version
        return f"The model “{card.model_id}” is installed twice; version {other} is used, not {card.version}."
    return "" if unproven else unusable(card)


def _bundle_folders(parent: Path, problems: list[tuple[Path, str]]) -> list[Path]:
    try:
        candidates = sorted(parent.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append((parent, f"The models folder “{parent.name}” cannot be read ({error.strerror})."))
        return []
    folders = []
    for path in candidates:
        try:
            if (path / CARD_NAME).is_file():
                folders.append(path)
            elif os.path.lexists(path / CARD_NAME):  # a pipe would hold up whoever opens it
                problems.append((path, f"In the model folder “{path.name}”, {CARD_NAME} is not a plain file."))
        except OSError as error:
            problems.append((path, f"The model folder “{path.name}” cannot be read ({error.strerror})."))
    return folders
