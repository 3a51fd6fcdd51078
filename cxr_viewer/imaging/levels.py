"""Windows: the automatic one, the one a drag goes on from, where the hand moves it. All in modality units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.heatmaps import Heatmap
from cxr_viewer.core.image import Radiograph, Voi, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.imaging import luts
from cxr_viewer.imaging.grid import Axis, Grid
from cxr_viewer.imaging.shutter import covered

FINE, COARSE = 0.2, 4.0
"""Factors of :func:`drag_window` with Shift and with Ctrl held."""

LUNGS_LABEL = "Lungs"
"""Of :func:`lung_window`."""
_FEWEST = 100  # cells inside the lungs that a window can be made from
_SKETCH_PX = 256  # side on which the exposed area is looked for; every n-th pixel is enough for percentiles
_PERCENTILES = (0.01, 0.99)
_MARGIN = 0.03  # of the span between the percentiles, so that the last per cents are not flat black or white
_FLAT_SHARE = 0.04  # a border row whose 10th to 90th percentile spans less than this share of the film is flat
_MOST_TRIM = 0.4  # never cut more than this share from one side
_PLATEAU_SHARE = 0.015  # more of the film than this in one of 256 steps at either end is saturation, not anatomy
_DOUBLING_PX = 200.0  # a drag of so many pixels to the right doubles the width
_CROSSING_PX = 400.0  # a drag of so many pixels up or down moves the centre by one width


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """Where a window still makes sense on a film; the ends of the sliders."""

    lowest_center: float
    highest_center: float
    narrowest: float
    widest: float


# ---------------------------------------------------------------- windows of a film


def window_between(low: float, high: float, label: str = "") -> VoiWindow:
    """The window that shows ``low`` just black and ``high`` just white.

    LINEAR in the form every viewer knows (0..4095 is 2048 / 4096). Where the values lie so close together that its
    "minus one" would rule the picture, LINEAR_EXACT.
    """
    if high - low >= 8.0:
        return VoiWindow((low + high) / 2 + 0.5, high - low + 1, WindowFunction.LINEAR, label)
    width = high - low if high > low else 1.0
    return VoiWindow((low + high) / 2, width, WindowFunction.LINEAR_EXACT, label)


def full_range(image: Radiograph) -> VoiWindow:
    """Lowest to highest modality value, padding left out; the same picture as no VOI at all."""
    return window_between(*luts.modality_range(image))


def equivalent_window(image: Radiograph, voi: Voi | None) -> VoiWindow:
    """The window a drag starts from, so that the film does not jump.

    A window, also SIGMOID and LINEAR_EXACT, goes on as it is. No VOI goes on as the full range. A VOI LUT goes on as
    the straight line nearest to it over the film's own histogram; where the table falls (see :func:`falls`) the caller
    has to exchange ``inverted`` in the same step.
    """
    if isinstance(voi, VoiWindow):
        return voi
    if voi is None:
        return full_range(image)
    return _nearest_window(image, voi)


def falls(voi: Voi | None) -> bool:
    """Whether a VOI turns low values bright: only a table can; a window follows it only with polarity exchanged."""
    return isinstance(voi, VoiTable) and int(voi.values[-1]) < int(voi.values[0])


def _nearest_window(image: Radiograph, voi: VoiTable) -> VoiWindow:
    """Least-squares line through the part of the table between black and white, weighted by the film's pixels."""
    counts = luts.pattern_counts(image)
    used = counts > 0
    values, weights = luts.modality_of_patterns(image)[used], counts[used].astype(np.float64)
    level = luts.compose(image, voi, luts.inverts(image))[used].astype(np.float64)  # before presentation
    if falls(voi):
        level = 255.0 - level
    middle = (level > 5) & (level < 250)
    if np.unique(level[middle]).size < 2:
        return full_range(image)
    x, y, w = values[middle], level[middle], weights[middle]
    x_mean, y_mean = np.average(x, weights=w), np.average(y, weights=w)
    spread = np.average((x - x_mean) ** 2, weights=w)
    slope = float(np.average((x - x_mean) * (y - y_mean), weights=w) / spread) if spread > 0 else 0.0
    if slope <= 0:
        return full_range(image)
    black = float(x_mean - y_mean / slope)
    return window_between(black, black + 255.0 / slope)


def shows_something(image: Radiograph, voi: Voi | None) -> bool:
    """Whether the film has a picture with this VOI: at least 15 % of its pixels are neither nearly black nor white.

    Chest films with a window that fits have 75 to 100 % there; one with the lung window of a CT had 9 %.
    """
    grey = luts.compose(image, voi, inverted=False)
    counts = luts.pattern_counts(image)
    between = (grey >= 16) & (grey < 240)
    return float(counts[between].sum()) >= 0.15 * float(counts.sum())


# ---------------------------------------------------------------- automatic window


def auto_window(image: Radiograph) -> VoiWindow:
    """A window over the anatomy: 1st to 99th percentile of the exposed area.

    Padding, what the display shutter covers, flat borders (collimation, unexposed frame) and saturated ends (direct
    exposure, burnt-in letters) are left out. A film without any contrast gets its full range.
    """
    step = max(1, max(image.rows, image.columns) // _SKETCH_PX)
    patterns = luts.as_patterns(image.stored)[::step, ::step]
    counted = luts.pattern_counts(image) > 0
    values = luts.modality_of_patterns(image)[patterns]
    inside = counted[patterns]
    values, inside = _uncovered(image, step, values, inside)
    if image.padding is None:  # a trimmed border is judged by its values, and padding is no value
        top, bottom, left, right = _unflat(values)
        values, inside = values[top:bottom, left:right], inside[top:bottom, left:right]
    body = _without_plateaus(values[inside])
    if body.size == 0:
        return replace(full_range(image), label="Automatic")
    low, high = _between(body, *_PERCENTILES)
    if high <= low:
        return replace(full_range(image), label="Automatic")
    margin = _MARGIN * (high - low)
    return window_between(low - margin, high + margin, "Automatic")


def lung_window(image: Radiograph, lungs: Heatmap) -> VoiWindow | None:
    """A window over the lungs: 1st to 99th percentile of what lies inside their outline; None where that is too little.

    Args:
        lungs: where the anatomy model holds a cell to be lung (0.5 or more).
    """
    rows, columns = np.nonzero(lungs.values >= 0.5)
    height, width = lungs.values.shape
    down = np.floor(lungs.extent.y + (rows + 0.5) * lungs.extent.height / height).astype(np.int64)
    across = np.floor(lungs.extent.x + (columns + 0.5) * lungs.extent.width / width).astype(np.int64)
    on_film = (down >= 0) & (down < image.rows) & (across >= 0) & (across < image.columns)
    patterns = luts.as_patterns(image.stored)[down[on_film], across[on_film]]
    patterns = patterns[luts.pattern_counts(image)[patterns] > 0]  # padding is no lung
    if patterns.size < _FEWEST:
        return None
    low, high = _between(luts.modality_of_patterns(image)[patterns], *_PERCENTILES)
    if high <= low:
        return None
    margin = _MARGIN * (high - low)
    return window_between(low - margin, high + margin, LUNGS_LABEL)


def _uncovered(
    image: Radiograph, step: int, values: NDArray[np.float64], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What the shutter leaves of every ``step``-th pixel, cut to the rectangle around it; all if it leaves nothing."""
    rows, columns = values.shape
    first = (1 - step) / 2  # so that the middle of a pixel of the grid is the middle of the pixel looked at
    hidden = covered(image, Grid(Axis(first, step, columns), Axis(first, step, rows)))
    if hidden is None or hidden.all():
        return values, inside
    down, across = (np.flatnonzero(~hidden.all(axis=axis)) for axis in (1, 0))
    seen = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
    return values[seen], inside[seen] & ~hidden[seen]


def _unflat(values: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of what is left when flat rows and columns are cut from the border."""
    low, high = _between(values.ravel(), 0.005, 0.995)
    limit = _FLAT_SHARE * (high - low)

    def ends(lines: NDArray[np.float64]) -> tuple[int, int]:
        ranked = np.sort(lines, axis=1)
        ten = lines.shape[1] // 10
        lively = np.flatnonzero(ranked[:, -1 - ten] - ranked[:, ten] > limit)
        most = int(_MOST_TRIM * len(lines))
        if lively.size == 0:
            return 0, len(lines)
        return min(int(lively[0]), most), max(int(lively[-1]) + 1, len(lines) - most)

    top, bottom = ends(values)
    left, right = ends(values[top:bottom].T)
    return top, bottom, left, right


def _without_plateaus(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values without the steps at both ends that hold more pixels than anatomy does."""
    if values.size == 0:
        return values
    low, high = _between(values, 0.001, 0.999)
    if high <= low:
        return values
    counts, edges = np.histogram(values, bins=256, range=(low, high))
    inner_low, inner_high = low, high
    if counts[0] > _PLATEAU_SHARE * values.size:
        inner_low = float(edges[1])
    if counts[-1] > _PLATEAU_SHARE * values.size:
        inner_high = float(edges[-2])
    kept = values[(values >= inner_low) & (values <= inner_high)]
    return kept if kept.size >= values.size // 20 else values


def _between(values: NDArray[np.float64], lower: float, upper: float) -> tuple[float, float]:
    """The values below which these shares of all lie. A sort is quicker than numpy's percentile on such samples."""
    ranked = np.sort(values)
    last = ranked.size - 1
    return float(ranked[round(lower * last)]), float(ranked[round(upper * last)])


# ---------------------------------------------------------------- histogram


def histogram(image: Radiograph, bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How the film's modality values are spread, padding left out.

    Returns:
        counts float64 (bins,) in pixels, of every pixel; edges float64 (bins + 1,) in modality units.
    """
    counts = luts.pattern_counts(image)
    used = np.flatnonzero(counts)
    values = luts.modality_of_patterns(image)[used]
    low, high = float(values.min()), float(values.max())
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, bins + 1)
    place = np.minimum(((values - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    return np.bincount(place, weights=counts[used], minlength=bins).astype(np.float64), edges.astype(np.float64)


# ---------------------------------------------------------------- the hand


def window_limits(image_range: tuple[float, float], start: VoiWindow | None = None) -> WindowLimits:
    """Limits that keep a dragged window from being lost, never narrower than where it started.

    Args:
        image_range: lowest and highest modality value.
        start: a window, say of the file, that may lie outside; the limits reach out to it.
    """
    low, high = image_range
    span = high - low if high > low else 1.0
    least = span / 4096.0
    if start is None or start.function is WindowFunction.LINEAR:
        least = max(1.0, least)
    limits = WindowLimits(low - span / 2, high + span / 2, least, max(4.0 * span, 2.0 * least))
    if start is None:
        return limits
    return WindowLimits(
        min(limits.lowest_center, start.center),
        max(limits.highest_center, start.center),
        min(limits.narrowest, start.width),
        max(limits.widest, start.width),
    )


def drag_window(
    start: VoiWindow,
    dx_px: float,
    dy_px: float,
    image_range: tuple[float, float],
    *,
    factor: float = 1.0,
    inverted: bool = False,
) -> VoiWindow:
    """Where a drag has taken a window: right is wider, up is brighter on screen.

    The width grows by the same share with every pixel, so that a narrow window is set as easily as a wide one. The way
    back to where the drag began gives ``start`` again.

    Args:
        start: the window when the button went down, from :func:`equivalent_window`.
        dx_px, dy_px: the way of the hand in device-independent pixels, to the right and *down* as Qt counts.
        image_range: lowest and highest modality value, from :func:`luts.modality_range`.
        factor: ``FINE`` with Shift, ``COARSE`` with Ctrl.
        inverted: high values are dark on screen: ``luts.inverts(image) != display.inverted``.

    Returns:
        A window of the same function, without label unless nothing moved, within :func:`window_limits`.
    """
    if dx_px == 0 and dy_px == 0:
        return start
    limits = window_limits(image_range, start)
    doublings = max(-30.0, min(30.0, factor * dx_px / _DOUBLING_PX))
    width = start.width * math.pow(2.0, doublings)
    low, high = image_range
    stride = max(start.width, (high - low) / 20.0) / _CROSSING_PX  # a narrow window still crosses the film in time
    towards_dark = factor * dy_px * stride
    center = start.center - towards_dark if inverted else start.center + towards_dark
    return replace(
        start,
        center=min(limits.highest_center, max(limits.lowest_center, center)),
        width=min(limits.widest, max(limits.narrowest, width)),
        label="",
    )
