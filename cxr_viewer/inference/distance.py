"""How far a film lies from the films a model was trained on, told by the model's own features.

The pooled features of the training films (the mean of each post-ReLU map) are taken for one cloud, and a film's
distance is Mahalanobis' distance from its middle (Lee et al., NeurIPS 2018), the covariance shrunk towards a sphere
(Ledoit and Wolf, J Multivar Anal 88 (2004) 365-411) so that its inverse holds with few films. Features are taken as
their square root: pooled ReLU features have long tails, and a few films far out would otherwise make room for
everything.

A large distance says that the film differs, not why, and a small one does not say that a score is right: a film of
another hospital with the same disease may be far, one with an unknown disease near.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import Severity, Sign
from cxr_viewer.core.modelcard import ModelCard, ReferenceSpec
from cxr_viewer.inference.cards import LARGEST_REFERENCE_BYTES, REFERENCE_NAME

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The cloud of the training films.

    Attributes:
        mean: float32 (k,), of the square roots of the pooled features.
        whitener: float32 (k, k), the upper triangle U with ``U.T @ U`` the inverse covariance.
    """

    mean: Floats = field(repr=False)
    whitener: Floats = field(repr=False)

    def distances(self, features: Floats) -> NDArray[np.float64]:
        """Distances of films, (n,), in standard deviations: about 1 for an ordinary training film.

        Args:
            features: post-ReLU maps (n, k, h, w), or pooled already (n, k).

        Raises:
            ValueError: another number of features.
        """
        pooled = _pooled(features)
        if pooled.shape[1:] != self.mean.shape:
            raise ValueError(f"{pooled.shape[1:]} features, the reference has {self.mean.shape}")
        steps = (np.sqrt(np.maximum(pooled, 0)) - self.mean) @ self.whitener.T
        return np.asarray(np.sqrt((steps.astype(np.float64) ** 2).mean(axis=1)))


def fit_reference(pooled: Floats) -> Reference:
    """The cloud of pooled features (n, k) of training films; takes scikit-learn, which reading does not.

    Raises:
        ValueError: fewer than two films.
    """
    from sklearn.covariance import LedoitWolf

    if len(pooled) < 2:
        raise ValueError("at least two films are needed")
    roots = np.sqrt(np.maximum(pooled.astype(np.float64), 0))
    precision = LedoitWolf().fit(roots).get_precision()
    whitener = np.linalg.cholesky((precision + precision.T) / 2).T
    return Reference(roots.mean(axis=0).astype(np.float32), np.ascontiguousarray(whitener, dtype=np.float32))


def write_reference(
    reference: Reference, validation: Floats, folder: Path, data: str, share: float = 0.99
) -> ReferenceSpec:
    """Write ``reference.safetensors`` beside the weights; what its card has to say of it.

    Args:
        validation: pooled features (n, k) of films of the training source that were not trained on.
        data: names them.
        share: of those, this share lies within the limit.
    """
    content = save({"mean": reference.mean, "whitener": reference.whitener})
    (folder / REFERENCE_NAME).write_bytes(content)
    limit = float(np.quantile(reference.distances(validation), share))
    return ReferenceSpec(hashlib.sha256(content).hexdigest(), round(limit, 4), share, data)


def read_reference(folder: Path, card: ModelCard) -> Reference | None:
    """The cloud of a model's training films; None where its card has none.

    Raises:
        ModelError: the file is missing, damaged, or not the one of the card (``reference-damaged``).
    """
    if card.reference is None:
        return None
    try:
        if not (folder / REFERENCE_NAME).is_file():  # to open a pipe would be to wait for ever
            raise OSError(f"{REFERENCE_NAME} is missing or not a plain file")
        if (folder / REFERENCE_NAME).stat().st_size > LARGEST_REFERENCE_BYTES:
            raise ValueError("the file is too large")
        content = (folder / REFERENCE_NAME).read_bytes()
        if hashlib.sha256(content).hexdigest() != card.reference.sha256:
            raise ValueError("the digest is not the card's")
        tensors = load(content)
        mean, whitener = tensors["mean"], tensors["whitener"]
        if mean.dtype != np.float32 or whitener.dtype != np.float32 or whitener.shape != (*mean.shape, *mean.shape):
            raise ValueError(f"shapes {mean.shape} and {whitener.shape}")
        return Reference(mean, whitener)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"What the training films of “{card.name}” look like cannot be read.",
            hint="Install the model again.",
            detail=str(error),
            code="reference-damaged",
        ) from error


def unlike_training(card: ModelCard, reference: Reference, features: Floats) -> Sign | None:
    """The sign of a film that differs from the training films; None for one that does not.

    Args:
        features: post-ReLU maps (1, k, h, w) of the film.
    """
    if card.reference is None:
        return None
    distance = float(reference.distances(features)[0])
    if distance <= card.reference.limit:
        return None
    most = round(100 * card.reference.share)
    return Sign(
        "unlike-training",
        f"This film differs from the films the model was trained on more than {most} of 100 of them do.",
        Severity.CAUTION,
        "Another machine or processing, tubes, position or an unusual disease may be why; the score may be less good.",
        min(1.0, 1 - card.reference.limit / distance),
    )


def _pooled(features: Floats) -> Floats:
    return np.asarray(features.mean(axis=(2, 3)) if features.ndim == 4 else features, dtype=np.float32)
