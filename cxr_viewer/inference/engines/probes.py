"""Inputs on which engines are held against each other."""

from __future__ import annotations

import numpy as np

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.preprocess import prepare


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
    film, _ = prepare(grey, spec)
    return film[None]
