"""A film as plain pixels, grey or of its own colours: full resolution, turned, or small."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, Voi, VoiWindow
from cxr_viewer.imaging import levels, luts, padding
from cxr_viewer.imaging.grid import Grid, whole
from cxr_viewer.imaging.shutter import covered


def render_grey(image: Radiograph, voi: Voi | None, inverted: bool, *, mask_padding: bool = False) -> NDArray[np.uint8]:
    """The film through its grey chain: uint8 (rows, columns) at full resolution, nothing drawn on it.

    Of a colour picture its luminance.
    """
    return luts.apply(image.stored, luts.compose(image, voi, inverted, mask_padding=mask_padding))


def render_picture(
    image: Radiograph, voi: Voi | None, inverted: bool, *, mask_padding: bool = True, shutter: bool = True
) -> NDArray[np.uint8]:
    """The film as on screen, at full resolution, nothing drawn on it.

    Args:
        mask_padding: show pixel padding black.
        shutter: cover what the file's display shutter covers with its grey.

    Returns:
        uint8 (rows, columns), or (rows, columns, 3) in red, green, blue of a colour picture.
    """
    pixels = image.stored if image.rgb is None else image.rgb
    masked = mask_padding and image.rgb is None  # padding is a stored grey value; in a colour channel it means nothing
    picture = luts.apply(pixels, luts.compose(image, voi, inverted, mask_padding=masked))
    return _covered(picture, image, whole(image.rows, image.columns, image.rows, image.columns)) if shutter else picture


def picture_at(image: Radiograph, display: DisplayState, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The whole film as on screen, turned as there, brought to ``size`` before its window is applied, as there.

    Args:
        size: (width, height) wanted.

    Returns:
        uint8 (height, width, 3), red, green, blue.
    """
    lying = size[::-1] if display.orientation.quarter_turns % 2 else size
    pixels: NDArray[Any] = image.stored if image.rgb is None else image.rgb
    masked = display.padding and image.padding is not None and image.rgb is None
    table = luts.compose(image, display.voi, display.inverted)
    if masked:
        sized, share = padding.averaged(image.stored, padding.exposed(image), lying)
        picture = np.asarray(cv2.multiply(luts.apply(sized, table), share, scale=1 / 255), dtype=np.uint8)
    else:
        smaller = lying[0] * lying[1] < image.rows * image.columns
        resized = cv2.resize(pixels, lying, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        picture = luts.apply(resized, table)
    if display.shutter:
        picture = _covered(picture, image, whole(image.rows, image.columns, lying[1], lying[0]))
    return np.ascontiguousarray(oriented(as_rgb(picture), display.orientation))


def _covered(picture: NDArray[np.uint8], image: Radiograph, grid: Grid) -> NDArray[np.uint8]:
    """``picture`` with what the shutter covers in the shutter's grey."""
    hidden = covered(image, grid)
    if hidden is not None and image.shutter is not None:
        picture[hidden] = image.shutter.grey
    return picture


def as_rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey (rows, columns) as (rows, columns, 3); colour as it is."""
    return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


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
    """The film as it opens, at most ``side_px`` on its long side and never enlarged.

    Averaged over area, so that a small picture of a large film has no false lines.

    Returns:
        uint8 (height, width), or (height, width, 3) in red, green, blue of a colour picture.
    """
    picture = render_picture(image, image.opening or default_voi(image), False)
    scale = side_px / max(image.rows, image.columns)
    if scale >= 1:
        return picture
    size = (max(1, round(image.columns * scale)), max(1, round(image.rows * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
