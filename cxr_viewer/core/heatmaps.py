"""Maps laid over a film."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.modelcard import MapTrust


class MapScale(Enum):
    """How heat map values relate to each other."""

    COMMON = "common"  # one scale across all findings of a film
    PROBABILITY = "probability"  # of a segmenter: the cell belongs to the structure; the outline is at 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Where a finding's score comes from.

    Attributes:
        values: float32 (h, w), 0..1 on the common scale, read-only.
        extent: the part of the image, in image pixels, that ``values`` covers exactly.
        method: e.g. ``"Grad-CAM"``.
        trust: whether such maps were found to show the place; said wherever the map is shown.
    """

    label: str
    values: NDArray[np.float32] = field(repr=False)
    extent: ImageRect
    method: str = "Grad-CAM"
    scale: MapScale = MapScale.COMMON
    trust: MapTrust = MapTrust.NOT_TESTED
