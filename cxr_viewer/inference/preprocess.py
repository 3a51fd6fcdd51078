"""From stored pixels to what a network is fed; the same code in training and in reading.

1. :func:`model_grey`: stored values -> grey 0..1, bright = dense, independent of the window on screen.
2. :func:`denoised`: without noise, where the card says that the network learned so.
3. :func:`exposed_area`: which part of the film was exposed and holds the body.
4. :func:`prepare`: the second and the third, then crop, fit, resize, normalise; returns where the network looked.

:func:`see` does all of it, and keeps what the network saw as a picture. A network that reads only the lungs
(``InputSpec.crop``) is given their box by whoever calls; where they lie is found by another model, and never here.

Greys are ``"stretched"`` or ``"presented"``, as the card says (``InputSpec.intensity``).

*Stretched.* Why the file's own default VOI comes first: the films these networks learn from are windowed pictures, so
the window the maker of the film intended brings a DICOM film nearest to them. It is used only where it keeps the film's
contrast (see :func:`_values`); otherwise the modality values are taken. In both cases the result is stretched between
the 0.5th and 99.5th percentile of the exposed area, so a window that is merely a little wider or brighter changes
little, and films without a VOI (PNG, JPEG) are treated alike.

*Presented.* For networks that learned from films as they present themselves, such as TorchXRayVision's, whose
``(2 * x / maxval - 1) * 1024`` is ``mean = 0.5, std = 1 / 2048`` on these greys; see :func:`_presented`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.findings import InputSpec, Saw
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging import luts
from cxr_viewer.inference.denoise import NON_LOCAL_MEANS, denoised
from cxr_viewer.inference.exposed import STRETCH_PERCENTILES as STRETCH_PERCENTILES
from cxr_viewer.inference.exposed import WORK_PX
from cxr_viewer.inference.exposed import exposed_area as exposed_area
from cxr_viewer.inference.resample import resize_area as resize_area
from cxr_viewer.inference.resample import resize_gaussian

Grey = NDArray[np.float32]
_Way = tuple[str, str, float]

_LEAST_LUNGS = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class ModelInput:
    """A film as a network is fed it.

    Attributes:
        film: float32 (channels, size, size), normalised.
        seen: the part of the image that it covers exactly, in image pixels.
        saw: the same as a picture.
    """

    film: Grey = field(repr=False)
    seen: ImageRect
    saw: Saw


class FilmGreys:
    """The greys of one film for all models that look at it, each worked out once. Used on one thread."""

    def __init__(self, image: Radiograph) -> None:
        self.image = image
        self._greys: dict[_Way, Grey] = {}
        self._areas: dict[_Way, ImageRect] = {}

    def grey(self, spec: InputSpec) -> Grey:
        """See :func:`model_grey` and :func:`denoised`; not to be written into."""
        plain, way = (spec.intensity, "", 0.0), _way(spec)
        if plain not in self._greys:
            self._greys[plain] = model_grey(self.image, spec.intensity)
        if way not in self._greys:
            self._greys[way] = denoised(self._greys[plain], spec)
        return self._greys[way]

    def area(self, spec: InputSpec) -> ImageRect:
        """See :func:`exposed_area`."""
        way = _way(spec)
        if way not in self._areas:
            self._areas[way] = exposed_area(self.grey(spec))
        return self._areas[way]


def _way(spec: InputSpec) -> _Way:
    """All of an input that the greys of a film depend on."""
    return (spec.intensity, spec.denoise, spec.denoise_strength if spec.denoise == NON_LOCAL_MEANS else 0.0)


def see(
    image: Radiograph, spec: InputSpec, lungs: ImageRect | None = None, greys: FilmGreys | None = None
) -> ModelInput:
    """All of the way from stored pixels to the input of a network.

    Args:
        greys: of the same film, where several models look at it.
        lungs: the box around both lungs in image pixels, without a margin; needed and used only where ``spec.crop``
            asks for it. None: they were not found.

    Raises:
        RefusalError: all pixels have the same value (``blank-image``), or the network reads only the lungs and they
            were not found (``lungs-not-found``).
    """
    greys = greys or FilmGreys(image)
    grey = greys.grey(spec)
    area, seen = _placed(grey, spec, lungs, greys.area(spec) if spec.crop_border else None)
    square = _resized(_cut(grey, seen, area), spec)
    picture = np.rint(square * np.float32(255)).astype(np.uint8)
    picture.flags.writeable = False
    given = _overlap(seen, area)  # where an empty border was cut away and padded again, less than lies within `seen`
    saw = Saw(picture, luts.inverts(image), _clipped(_cut(grey, given, area)), given, spec.crop)
    return ModelInput(_normal(square, spec), seen, saw)


def model_grey(image: Radiograph, intensity: str = "stretched") -> Grey:
    """Grey values of a film as networks want them, from the stored pixels alone.

    Chain: modality LUT, the file's default VOI, where 0 and 1 lie, polarity (PS3.3 C.7.6.3.1.2, C.11.6) so that bone is
    white. Padding becomes 0 (air).

    Args:
        intensity: see :class:`~cxr_viewer.core.findings.InputSpec`.

    Returns:
        float32 (rows, columns), 0..1.

    Raises:
        RefusalError: all pixels have the same value.
        ValueError: no such intensity.
    """
    counts = luts.pattern_counts(image)
    if np.count_nonzero(counts) < 2:
        raise RefusalError("All pixels of this image have the same value.", code="blank-image")
    if intensity == "presented":
        return np.asarray(cv2.LUT(luts.as_patterns(image.stored), _presented(image, counts)), dtype=np.float32)
    if intensity != "stretched":
        raise ValueError(f"unknown intensity {intensity!r}")
    values = _values(image, counts)
    values = -values if luts.inverts(image) else values
    patterns = luts.as_patterns(image.stored)
    padding = None if image.padding is None else luts.padding_patterns(image)

    step = max(1, min(patterns.shape) // WORK_PX)
    sketch = cv2.LUT(patterns[::step, ::step].copy(), _stretched(values, counts, padding))
    area = exposed_area(np.asarray(sketch, dtype=np.float32))
    top, left = int(area.y) * step, int(area.x) * step
    inside = patterns[top : top + int(area.height) * step, left : left + int(area.width) * step].copy()
    within = np.asarray(cv2.calcHist([inside], [0], None, [values.size], [0, values.size]), dtype=np.float32).ravel()
    if padding is not None:
        within[padding] = 0
    table = _stretched(values, within if np.count_nonzero(within) > 1 else counts, padding)
    return np.asarray(cv2.LUT(patterns, table), dtype=np.float32)


def prepare(grey: Grey, spec: InputSpec, lungs: ImageRect | None = None) -> tuple[NDArray[np.float32], ImageRect]:
    """Take the noise from one film where the card asks for it; cut, fit, resize and normalise it.

    Args:
        grey: float32 (rows, columns), 0..1, bright = dense, as from :func:`model_grey`.
        lungs: see :func:`see`.

    Returns:
        The input, float32 (channels, size, size), C-ordered, ``(grey - mean) / std``, and the rectangle of the image it
        covers exactly, in image pixels. What lies outside the image or, where padded, outside the exposed area, is 0
        (air) before normalising.

    Raises:
        RefusalError: the network reads only the lungs, and they were not found (``lungs-not-found``).
    """
    grey = denoised(grey, spec)
    area, seen = _placed(grey, spec, lungs)
    return _normal(_resized(_cut(grey, seen, area), spec), spec), seen


def lung_area(lungs: ImageRect, margin: float, within: ImageRect) -> ImageRect:
    """The lungs' box, widened by ``margin`` of its own side on every side, as whole pixels inside ``within``.

    Raises:
        RefusalError: less than a tenth of a side of ``within`` would be left, so that these are no lungs
            (``lungs-not-found``).
    """
    across, down = margin * lungs.width, margin * lungs.height
    left, right = max(within.x, round(lungs.x - across)), min(within.right, round(lungs.right + across))
    top, bottom = max(within.y, round(lungs.y - down)), min(within.bottom, round(lungs.bottom + down))
    if right - left < _LEAST_LUNGS * within.width or bottom - top < _LEAST_LUNGS * within.height:
        raise lungs_not_found()
    return ImageRect(left, top, right - left, bottom - top)


def lungs_not_found() -> RefusalError:
    """What is told where a network reads only the lungs, and there are none to be found."""
    return RefusalError(
        "The lungs were not found on this film, and this model reads nothing but the lungs.",
        hint="Look whether it is a frontal chest film that lies upright, or choose another model.",
        code="lungs-not-found",
    )


def _presented(image: Radiograph, counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every stored pattern: its grey when the film is shown as its file asks for.

    That is the window the film opens with, its first VOI; or, where the file has none or nothing can be seen with it,
    the modality values that Bits Stored allows, spread from 0 to 1, as a viewer without a VOI would show it.
    """
    shown = _windowed(image)
    if shown is None or np.ptp(shown[counts > 0]) == 0:
        values = luts.modality_of_patterns(image)
        stored = luts.stored_of_patterns(image.stored.dtype).astype(np.int64)
        lowest = -(1 << image.bits_stored - 1) if image.stored.dtype.kind == "i" else 0
        allowed = values[(stored >= lowest) & (stored < lowest + (1 << image.bits_stored))]
        low, high = float(allowed.min()), float(allowed.max())
        shown = np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(values.size)
    table = 1.0 - shown if luts.inverts(image) else shown.copy()
    if image.padding is not None:
        table[luts.padding_patterns(image)] = 0.0
    return table.astype(np.float32)


def _windowed(image: Radiograph) -> NDArray[np.float64] | None:
    voi = image.opening or (image.voi[0] if image.voi else None)
    if voi is None or not luts.usable(voi):
        return None
    return np.asarray(np.clip(luts.voi_of_patterns(image, voi) / 255, 0.0, 1.0))


def _values(image: Radiograph, counts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of every stored pattern: the output of the default VOI where it keeps contrast, else the modality value.

    A VOI keeps contrast if it clips at most half of the film and spreads the rest over at least a quarter of the greys.
    """
    if image.voi and luts.usable(image.voi[0]):
        windowed = np.clip(luts.voi_of_patterns(image, image.voi[0]) / 255, 0.0, 1.0)
        clipped = float(counts[(windowed <= 0.0) | (windowed >= 1.0)].sum())
        low, high = _percentiles(windowed, counts)
        if clipped <= 0.5 * float(counts.sum()) and high - low >= 0.25:
            return windowed
    return luts.modality_of_patterns(image)


def _percentiles(values: NDArray[np.float64], counts: NDArray[np.float32]) -> tuple[float, float]:
    """The two stretch percentiles of ``values``, each occurring ``counts`` times."""
    used = np.flatnonzero(counts)
    order = used[np.argsort(values[used], kind="stable")]
    summed = np.cumsum(counts[order], dtype=np.float64)
    low, high = (int(np.searchsorted(summed, share / 100 * summed[-1])) for share in STRETCH_PERCENTILES)
    return float(values[order[low]]), float(values[order[min(high, order.size - 1)]])


def _stretched(
    values: NDArray[np.float64], counts: NDArray[np.float32], padding: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """``values`` between their percentiles as 0..1, weighted by how often they occur; padding as 0."""
    low, high = _percentiles(values, counts)
    if high <= low:  # more than 99 % of the film is one value
        used = values[counts > 0]
        low, high = float(used.min()), float(used.max())
    table = np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(values.size)
    if padding is not None:
        table[padding] = 0.0
    return table.astype(np.float32)


def _placed(
    grey: Grey, spec: InputSpec, lungs: ImageRect | None, exposed: ImageRect | None = None
) -> tuple[ImageRect, ImageRect]:
    """The part of the film that may be used, and what becomes the square input; it reaches outside where padded.

    Args:
        exposed: the exposed area, where it is known already.
    """
    if spec.fit not in ("pad", "crop", "stretch"):
        raise ValueError(f"unknown fit {spec.fit!r}")
    area = ImageRect(0, 0, grey.shape[1], grey.shape[0])
    if spec.crop_border:
        area = exposed or exposed_area(grey)
    if spec.crop == "lungs":
        if lungs is None:
            raise lungs_not_found()
        area = lung_area(lungs, spec.margin, area)
    elif spec.crop:
        raise ValueError(f"unknown crop {spec.crop!r}")
    if spec.fit == "stretch":
        return area, area
    if spec.fit == "pad":
        side = max(area.width, area.height)
        left, top = area.x + (area.width - side) // 2, area.y + (area.height - side) // 2
    else:  # as TorchXRayVision's XRayCenterCrop, also where a side is odd
        side = min(area.width, area.height)
        left, top = area.x + area.width // 2 - side // 2, area.y + area.height // 2 - side // 2
    return area, ImageRect(left, top, side, side)


def _resized(part: Grey, spec: InputSpec) -> Grey:
    if spec.resize == "gaussian":
        return resize_gaussian(part, spec.size_px, spec.size_px)
    if spec.resize != "area":
        raise ValueError(f"unknown way to resize {spec.resize!r}")
    return resize_area(part, spec.size_px, spec.size_px)


def _normal(square: Grey, spec: InputSpec) -> Grey:
    """(channels, size, size): the one grey film in every channel, each with its own normalisation."""
    means = spec.channel_means or (spec.mean,) * spec.channels
    stds = spec.channel_stds or (spec.std,) * spec.channels
    film = np.empty((spec.channels, *square.shape), dtype=np.float32)
    for channel, (mean, std) in enumerate(zip(means, stds, strict=True)):
        np.divide(square - np.float32(mean), np.float32(std), out=film[channel])
    return film


def _overlap(seen: ImageRect, area: ImageRect) -> ImageRect:
    left, top = max(seen.x, area.x), max(seen.y, area.y)
    return ImageRect(left, top, min(seen.right, area.right) - left, min(seen.bottom, area.bottom) - top)


def _clipped(part: Grey) -> float:
    """Share of pixels at the darkest or the brightest grey, counted on a grid of at least 500 lines."""
    step = max(1, min(part.shape) // 500)
    sample = part[::step, ::step]
    return float(np.count_nonzero((sample <= 0.0) | (sample >= 1.0)) / sample.size)


def _cut(grey: Grey, seen: ImageRect, area: ImageRect) -> Grey:
    """``seen`` as pixels; 0 wherever it reaches outside ``area``."""
    height, width = int(seen.height), int(seen.width)
    y0, x0 = max(int(area.y), int(seen.y)), max(int(area.x), int(seen.x))
    y1, x1 = min(int(area.bottom), int(seen.bottom)), min(int(area.right), int(seen.right))
    part = np.asarray(grey[y0:y1, x0:x1], dtype=np.float32)
    if part.shape == (height, width):
        return part
    out = np.zeros((height, width), dtype=np.float32)
    top, left = y0 - int(seen.y), x0 - int(seen.x)
    out[top : top + part.shape[0], left : left + part.shape[1]] = part
    return out
