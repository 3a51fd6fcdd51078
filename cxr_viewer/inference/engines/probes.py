"""Inputs on which engines are held against each other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import InputSpec, ModelCard, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.engines import Engine, Floats
from cxr_viewer.inference.preprocess import prepare, see

_SEGMENT_STEP_PX = 8  # of a segmenter's answer every eighth row and column is held against the reference


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Real films as a network is fed them, with the reference engine's answers.

    Attributes:
        films: float32 (n, channels, size, size).
        logits: float32 (n, k), of a segmenter (n, k, h, w) as :func:`thinned`.
        maps: ``head_weights @ features``, float32 (n, k, h, w), not clipped; None where the pass gives no map.
        head_weights: float32 (k, c), or None.
    """

    films: Floats
    logits: Floats
    maps: Floats | None = None
    head_weights: Floats | None = None

    def save(self, path: Path) -> None:
        """Raises OSError: the file cannot be written."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(path, **{name: values for name, values in kept.items() if values is not None})

    @classmethod
    def load(cls, path: Path) -> Probes:
        """Raises OSError, ValueError, KeyError or TypeError: not such a file."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def probe_film(spec: InputSpec) -> Floats:
    """A smooth, film-like input that is the same everywhere: a bright middle, darker lungs.

    Returns:
        float32 (1, channels, size, size), normalised as the network is fed.
    """
    line = np.linspace(-1.0, 1.0, spec.size_px, dtype=np.float64)
    y, x = line[:, None], line[None, :]
    lungs = np.exp(-(((np.abs(x) - 0.45) / 0.28) ** 2) - (y / 0.6) ** 2)
    ribs = 0.05 * np.sin(28 * (y + 0.3 * np.abs(x)))
    grey = np.clip(0.75 - 0.6 * lungs + ribs, 0.0, 1.0).astype(np.float32)
    film, _ = prepare(grey, spec, usual_lungs(*grey.shape))
    return film[None]


def sample_films(card: ModelCard) -> Floats:
    """The bundled films as the network is fed them, each as it is and in mild variants.

    Classifiers: three adults and two children, each in four versions (see :func:`mild_variants`). Segmenters take
    seconds a film: the three adults as they are.

    Returns:
        float32 (n, channels, size, size).

    Raises:
        CxrError: a bundled film is missing or damaged.
    """
    adults = sorted((resources_dir() / "probes").glob("*.png"))
    if card.task is Task.SEGMENT:
        return np.stack([_prepared(path, card.input) for path in adults])
    children = sorted((resources_dir() / "samples").glob("*.png"))
    return mild_variants(np.stack([_prepared(path, card.input) for path in (*adults, *children)]))


def mild_variants(films: Floats) -> Floats:
    """The films, then with less contrast, then brighter and moved by 2 % of the side, then with noise.

    Args:
        films: float32 (n, channels, size, size).

    Returns:
        float32 (4 n, channels, size, size).
    """
    low, high = films.min(), films.max()
    span = high - low
    flat = low + span * np.float32(0.05) + (films - low) * np.float32(0.9)
    step = max(1, round(0.02 * films.shape[-1]))
    moved = np.roll(films, (step, -step), axis=(2, 3)) + span * np.float32(0.03)
    noise = np.random.default_rng(0).normal(0.0, 0.01, films.shape).astype(np.float32)
    out = np.concatenate([films, flat, moved, films + span * noise])
    return np.ascontiguousarray(np.clip(out, low, high), dtype=np.float32)


def thinned(logits: Floats) -> Floats:
    """What of an answer is kept for comparing: all of a classifier's, every eighth row and column of a segmenter's."""
    return logits if logits.ndim == 2 else np.ascontiguousarray(logits[:, :, ::_SEGMENT_STEP_PX, ::_SEGMENT_STEP_PX])


def answers(engine: Engine, films: Floats) -> Probes:
    """The probes of a reference engine."""
    weights = engine.head_weights
    logits, maps = [], []
    for index in range(len(films)):
        answer, features = engine.run(films[index : index + 1])
        logits.append(thinned(answer))
        if features is not None and weights is not None:
            maps.append(raw_maps(features, weights))
    return Probes(films, np.concatenate(logits), np.concatenate(maps) if maps else None, weights)


def raw_maps(features: Floats, head_weights: Floats) -> Floats:
    """Each label's map before clipping, float32 (n, k, h, w), from features (n, c, h, w)."""
    count, channels, height, width = features.shape
    out: Floats = (head_weights @ features.reshape(count, channels, height * width)).reshape(count, -1, height, width)
    return out


def _prepared(path: Path, spec: InputSpec) -> Floats:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise CxrError(
            "The program's own films are damaged.",
            hint="Install the program again.",
            detail=f"{path.name} cannot be read",
            code="no-resources",
        )
    key = ImageKey("probe", "probe", path.stem)
    film = Radiograph(key, path, np.asarray(picture), 8, "MONOCHROME2", "DX")
    return see(film, spec, usual_lungs(film.rows, film.columns)).film


def usual_lungs(rows: int, columns: int) -> ImageRect:
    """Where the lungs lie on most films: near enough for holding engines against each other, and no model is asked."""
    return ImageRect(0.1 * columns, 0.1 * rows, 0.8 * columns, 0.75 * rows)
