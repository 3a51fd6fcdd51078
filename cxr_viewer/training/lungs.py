"""Where the lungs lie on films that are learned from: found as in reading, by the anatomy model, and kept in a file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import torch
from safetensors.torch import load_file

from cxr_viewer.core.anatomy import HEART, LUNGS
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph
from cxr_viewer.inference.beside import ANATOMY, serving
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import read_card, verify_weights
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.lungbox import lungs_box
from cxr_viewer.inference.networks import load_segmenter
from cxr_viewer.inference.preprocess import see

KEPT_NAME = "lungs.json"
_SAVE_EVERY = 100


class LungFinder:
    """Runs the anatomy model over films, one at a time; may be called from several threads.

    What was found is kept, so that a run that goes on does not look for all lungs again. A kept box counts for the very
    file (path, length, time of change) and the very weights.

    Args:
        bundle: folder of the anatomy model.
        kept: folder for what was found; None: nothing is kept.

    Raises:
        ModelError: the bundle is no anatomy model, or damaged.
    """

    def __init__(self, bundle: Path, kept: Path | None = None) -> None:
        self.card = read_card(bundle)
        names = [label.name for label in self.card.labels]
        if self.card.task is not Task.SEGMENT or LUNGS not in names:
            raise ModelError(
                f"The model “{self.card.name}” does not outline lungs.",
                hint="Give the anatomy model, which a model that reads only the lungs needs.",
                code="no-anatomy-model",
            )
        self._rows = (names.index(LUNGS), names.index(HEART) if HEART in names else None)
        self._network = load_segmenter(self.card.network, len(names), load_file(verify_weights(bundle, self.card)))
        self._lock = threading.Lock()
        self._path = None if kept is None else kept / KEPT_NAME
        self._found: dict[str, list[float] | None] = _read(self._path, self.card.sha256)
        self._unsaved = 0

    def box(self, image: Radiograph) -> ImageRect | None:
        """The box around both lungs in pixels of the film; None where they were not found.

        Raises:
            RefusalError: all pixels have the same value.
        """
        key = _key(image.path)
        with self._lock:
            if key is not None and key in self._found:
                edges = self._found[key]
                return None if edges is None else ImageRect(*edges)
        given = see(image, self.card.input)
        with self._lock, torch.inference_mode():
            logits = self._network(torch.from_numpy(given.film[None]))[0].double().numpy()
            outlines = Calibration(self.card.temperature, self.card.bias).probability(logits)
            lungs, heart = self._rows
            box = lungs_box(outlines[lungs], None if heart is None else outlines[heart], given.seen)
            if key is not None:
                self._found[key] = None if box is None else [box.x, box.y, box.width, box.height]
                self._unsaved += 1
                if self._unsaved >= _SAVE_EVERY:
                    self._save()
        return box

    def save(self) -> None:
        """Keep what was found. Raises OSError."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._path is None or not self._unsaved:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps({"anatomy": self.card.sha256, "lungs": self._found}), encoding="utf-8")
        partial.replace(self._path)  # never half a file
        self._unsaved = 0


def anatomy_bundle(which: str = "") -> Path:
    """Folder of the model that finds the lungs: the one given, or the one that the program asks beside every model.

    Raises:
        ModelError: there is none.
    """
    if which:
        return Path(which)
    catalog = BundleCatalog()
    card = serving(catalog, ANATOMY)
    if card is None:
        raise ModelError(
            "There is no model that finds the lungs, and the recipe cuts films to them.",
            hint="Train the anatomy model first, or name its bundle with --set films.anatomy=FOLDER.",
            code="no-anatomy-model",
        )
    return catalog.folder(card.model_id)


def _key(path: Path) -> str | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return f"{path}|{facts.st_size}|{facts.st_mtime_ns}"


def _read(path: Path | None, sha256: str) -> dict[str, list[float] | None]:
    """What was kept for these weights; nothing where the file is missing, torn or of other weights."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        return dict(content["lungs"]) if content.get("anatomy") == sha256 else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
