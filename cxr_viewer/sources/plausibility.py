"""What decoded pixels say against their own file: a window that does not fit, a picture that stops half-way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import levels
from cxr_viewer.sources.tolerant import Cautions

FLAT_SHARE = 0.75
"""Real films keep at least half of their pixels inside their own default window, the rest is collimation and air."""
BLANK_SHARE = 0.2


def check(image: Radiograph, cautions: Cautions) -> None:
    """Add a caution for what looks wrong; changes nothing, because the file may be right."""
    sketch = replace(image, stored=np.ascontiguousarray(image.stored[::4, ::4]))
    if image.voi and sum(levels.clipped_shares(sketch, image.voi[0])) > FLAT_SHARE:
        cautions.add(
            "window-misses",
            "The file's own window shows little of this film; use the automatic window.",
            "WindowCenter",
        )
    share = blank_tail(image.stored)
    if share >= BLANK_SHARE:
        text = f"The lowest {100 * share:.0f} % of the picture is blank: the file may be incomplete."
        cautions.add("blank-rows", text)


def blank_tail(stored: NDArray[np.generic]) -> float:
    """Share of rows at the bottom that hold nothing but stored zeros, as an interrupted copy leaves them; 0 where the
    top is blank as well (collimation) or everything is."""
    if stored[-1].any() or not stored[0].any():
        return 0.0
    filled = np.flatnonzero(stored.any(axis=1))
    return 1.0 - (int(filled[-1]) + 1) / len(stored)
