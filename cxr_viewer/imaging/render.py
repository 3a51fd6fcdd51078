"""A film as plain grey pixels: full resolution, turned, or small."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, Voi, VoiWindow
from cxr_viewer.imaging import levels, luts


def render_grey(image: Radiograph, voi: Voi | None, inverted: bool) -> NDArray[np.uint8]:
    """The film through its grey chain: uint8 (rows, columns) at full resolution, nothing drawn on it."""
    return luts.apply(image.stored, luts.compose(image, voi, inverted))


def default_voi(image: Radiograph) -> Voi | None:
    """The VOI a film opens with: the first the file offers, None (lowest to highest value) where it offers none."""
    return image.voi[0] if image.voi else None


def parse_window(text: str, image: Radiograph) -> Voi | None:
    """The VOI a command line asks for.

    Args:
        text: ``file:N`` (the N-th VOI of the file, from 1; on a film without any, ``file:1`` is lowest to highest
            value), ``auto``, or ``CENTER,WIDTH`` in modality units.

    Raises:
        CxrError: the text is none of these, or the film has no such VOI.
    """
    word = text.strip().lower()
    if word == "auto":
        return levels.auto_window(image)
    if word.startswith("file:"):
        return _file_voi(word.removeprefix("file:"), image)
    try:
        center, width = (float(part) for part in word.split(","))
    except ValueError:
        raise _no_window(text) from None
    if not (math.isfinite(center) and math.isfinite(width) and width >= 1):
        raise _no_window(text)
    return VoiWindow(center, width)


def _file_voi(number: str, image: Radiograph) -> Voi | None:
    if not number.isdecimal() or int(number) < 1:
        raise _no_window(f"file:{number}")
    place = int(number) - 1
    if place < len(image.voi):
        return image.voi[place]
    if place == 0:
        return None
    count = len(image.voi)
    raise CxrError(
        f"The film has {'no window of its own' if not count else f'{count} windows of its own'}, not {number}.",
        hint="Choose another number, auto, or CENTER,WIDTH.",
        code="no-such-window",
    )


def _no_window(text: str) -> CxrError:
    return CxrError(
        f'"{text}" is not a window.',
        hint="Write file:1 for the film's own, auto, or a centre and a width such as 2048,4096.",
        code="bad-window",
    )


def oriented(pixels: NDArray[np.generic], orientation: Orientation) -> NDArray[np.generic]:
    """Pixels as they lie on screen: (rows, columns, ...) mirrored, then turned clockwise, as a view."""
    if orientation.flipped:
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, -orientation.quarter_turns)


def thumbnail(image: Radiograph, side_px: int) -> NDArray[np.uint8]:
    """The film as it opens, at most ``side_px`` on its long side and never enlarged: uint8 (height, width).

    Averaged over area, so that a small picture of a large film has no false lines.
    """
    grey = render_grey(image, image.opening or default_voi(image), False)
    scale = side_px / max(grey.shape)
    if scale >= 1:
        return grey
    size = (max(1, round(image.columns * scale)), max(1, round(image.rows * scale)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
