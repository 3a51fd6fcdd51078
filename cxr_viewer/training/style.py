"""How well the label can be told from a film's make alone, and weights that take this away.

Films of one label come more often from one X-ray unit than from another, and units differ in field size, markers,
sharpness and noise. A network that learns the unit does well on its own test and badly on a normal film from the
"pneumonia unit". Films are therefore drawn with the weight ``P(label) / P(label | make)`` (inverse propensity,
Rosenbaum and Rubin 1983): in the weighted set the make says nothing about the label.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr_viewer.training.films import FilmSet

Values = NDArray[np.float64]

_THUMB_PX = 32
_RING_PX = 4
_BANDS = 16
_FOLDS = 5
_COMPONENTS = 60
_LEAST_PROBABILITY = 0.05  # so no film weighs more than twenty times another of its label


def make_features(films: FilmSet) -> Values:
    """What a film shows of its make: the ring around the body, the share of fine detail, and the noise.

    Returns:
        (n, f): the outer eighth of a 32-pixel thumbnail and how the power spectrum falls over its upper half (the lower
        half is anatomy and disease).
    """
    ring = np.ones((_THUMB_PX, _THUMB_PX), dtype=np.bool_)
    ring[_RING_PX:-_RING_PX, _RING_PX:-_RING_PX] = False
    side = films.grey.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    y, x = np.indices((side, side)) - side // 2
    band = np.minimum(np.hypot(y, x) / (side / 2) * _BANDS, _BANDS - 1e-9).astype(int).ravel()
    size = np.bincount(band, minlength=_BANDS)
    rows = []
    for grey in films.grey:
        thumb = cv2.resize(grey, (_THUMB_PX, _THUMB_PX), interpolation=cv2.INTER_AREA)[ring] / 255.0
        power = np.abs(np.fft.fftshift(np.fft.fft2(window * (grey - grey.mean())))) ** 2
        spectrum = np.log(np.bincount(band, weights=power.ravel(), minlength=_BANDS) / size + 1.0)
        rows.append(np.concatenate([thumb, spectrum[_BANDS // 2 + 1 :] - spectrum[_BANDS // 2]]))
    return np.array(rows)


def label_from_make(train: FilmSet, others: FilmSet) -> tuple[Values, Values]:
    """P(label 1 | make) for the training films (out of fold, by patient) and for other films."""
    features = make_features(train)
    own = np.empty(len(train))
    for fitted, held in GroupKFold(_FOLDS).split(features, train.labels, np.array(train.groups)):
        own[held] = _model(fitted.size).fit(features[fitted], train.labels[fitted]).predict_proba(features[held])[:, 1]
    whole = _model(len(train)).fit(features, train.labels)
    return own, np.asarray(whole.predict_proba(make_features(others))[:, 1], dtype=np.float64)


def balancing_weights(probability: Values, labels: NDArray[np.int64]) -> Values:
    """``P(label) / P(label | make)`` with mean 1 for each label; no film weighs more than twenty times another.

    Args:
        probability: P(label 1 | make), (n,).
    """
    weights = 1 / np.clip(np.where(labels == 1, probability, 1 - probability), _LEAST_PROBABILITY, 1)
    for label in (0, 1):
        own = labels == label
        if own.any():
            weights[own] /= weights[own].mean()
    return np.asarray(weights, dtype=np.float64)


def _model(films: int) -> Pipeline:
    return make_pipeline(
        StandardScaler(), PCA(min(_COMPONENTS, films // 2), svd_solver="full"), LogisticRegression(C=0.1, max_iter=2000)
    )
