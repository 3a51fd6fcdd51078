"""Shapes as X-rays show them: what is thick in the beam is bright."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Mask = NDArray[np.uint8]


def blank(side: int) -> Mask:
    """An empty mask, uint8 (side, side)."""
    return np.zeros((side, side), dtype=np.uint8)


def thickness(mask: Mask) -> Grey:
    """How thick a round body of this outline is in the beam, 0..1: a tube of radius r is sqrt(d * (2 r - d)) thick at
    the depth d below its edge.

    Args:
        mask: uint8 (h, w), not 0 inside.
    """
    if mask.all():  # no edge, and OpenCV would answer with its largest number
        return np.ones(mask.shape, dtype=np.float32)
    depth = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3), dtype=np.float32)
    radius = float(depth.max())
    if radius <= 0:
        return depth
    return np.asarray(np.sqrt(depth * (2 * radius - depth)) / radius, dtype=np.float32)


def spectral_noise(chance: np.random.Generator, side: int, slope: float) -> Grey:
    """Noise whose power falls as 1 / frequency ** (2 * slope), stretched to 0..1: 0 is white noise, 2 is clouds."""
    across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)
    frequency = np.hypot(down[:, None], across[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(chance.standard_normal((side, side))) / frequency**slope
    return stretched(np.fft.irfft2(spectrum, (side, side)).astype(np.float32))


def stretched(grey: Grey) -> Grey:
    """``grey`` with its least value as 0 and its greatest as 1."""
    low, high = float(grey.min()), float(grey.max())
    return np.asarray((grey - low) / max(high - low, 1e-6), dtype=np.float32)


def smooth_curve(
    chance: np.random.Generator, start: tuple[float, float], end: tuple[float, float], bend: float
) -> NDArray[np.int32]:
    """A line from ``start`` to ``end`` bent sideways by up to ``bend`` pixels, int32 (n, 1, 2)."""
    t = np.linspace(0, 1, 24)
    line = np.outer(1 - t, start) + np.outer(t, end)
    along = np.subtract(end, start)
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    line += np.outer(np.sin(np.pi * t) * chance.uniform(-bend, bend), across)
    return np.asarray(np.rint(line), dtype=np.int32)[:, None]
