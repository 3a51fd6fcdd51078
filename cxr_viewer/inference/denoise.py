"""Taking noise from a film before a network is fed it; the one implementation, for training and for reading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.findings import InputSpec

NON_LOCAL_MEANS = "non-local-means"
DENOISES = ("", "median", NON_LOCAL_MEANS)
"""What ``InputSpec.denoise`` may be."""
STRENGTHS = (0.5, 50.0)
"""Between these ``InputSpec.denoise_strength`` does something, and leaves something of the film."""
_MEDIAN_PX = 3
_PATCH_PX = 5
_SEARCH_PX = 15

Grey = NDArray[np.float32]


def denoised(grey: Grey, spec: InputSpec) -> Grey:
    """A whole film at its own resolution without noise, as the network's card asks for it.

    Args:
        grey: float32 (rows, columns), 0..1.

    Returns:
        float32 (rows, columns), 0..1; ``grey`` itself where nothing is asked for. Non-local means works on 256 greys
        (Buades, Coll and Morel 2005, as in OpenCV).

    Raises:
        ValueError: no such way.
    """
    if not spec.denoise:
        return grey
    import cv2  # the catalogue of models, which the start of the program asks, only needs the names above

    if spec.denoise == "median":
        return np.asarray(cv2.medianBlur(np.ascontiguousarray(grey), _MEDIAN_PX), dtype=np.float32)
    if spec.denoise != NON_LOCAL_MEANS:
        raise ValueError(f"unknown way to take noise away {spec.denoise!r}")
    eight_bit = np.rint(np.clip(grey, 0.0, 1.0) * 255).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoising(eight_bit, None, spec.denoise_strength, _PATCH_PX, _SEARCH_PX)
    return np.asarray(smooth, dtype=np.float32) / np.float32(255)
