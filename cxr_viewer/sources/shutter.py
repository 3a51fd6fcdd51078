"""Display Shutter (PS3.3 C.7.6.11): what the file wants covered, such as the parts outside the collimated field.

Rows and columns in the file count pixels from 1; :class:`~cxr_viewer.core.image.Shutter` has image points, where the
first pixel reaches from 0 to 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxr_viewer.core.image import Shutter
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

LEAST_VISIBLE = 0.1
"""A shutter that leaves less than this share of the film is taken for a mistake: nobody sends a film to cover it."""
MOST_CORNERS = 1024
_FARTHEST = 1e6
_PROBES = 96
_EDGES = (
    "ShutterLeftVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterRightVerticalEdge",
    "ShutterLowerHorizontalEdge",
)
_TAGS = (
    "ShutterShape",
    *_EDGES,
    "CenterOfCircularShutter",
    "RadiusOfCircularShutter",
    "VerticesOfThePolygonalShutter",
    "ShutterPresentationValue",
)
_REFERENCE = "PS3.3 C.7.6.11"


def shutter(ds: Dataset, rows: int, columns: int, cautions: Cautions) -> Shutter | None:
    """What the file asks to cover, or None where it asks nothing, or nothing that can be done.

    Several shapes together leave visible what lies inside all of them. A broken one is left out with a caution.
    """
    shapes = [shape.upper() for shape in tol.strings(ds, "ShutterShape") if shape]
    if not shapes:
        cautions.story.tell(Stage.SHUTTER, "The file asks for nothing to be covered.", _REFERENCE)
        return None
    found = Shutter(grey=_grey(ds, cautions))
    for shape in dict.fromkeys(shapes):
        if shape == "RECTANGULAR":
            found = replace(found, rectangle=_rectangle(ds, cautions))
        elif shape == "CIRCULAR":
            found = replace(found, circle=_circle(ds, cautions))
        elif shape == "POLYGONAL":
            found = replace(found, polygon=_polygon(ds, cautions))
        elif shape == "BITMAP":
            text = (
                "The file asks for a shutter drawn as a bitmap, which belongs to presentation states; it is left out."
            )
            cautions.add("bad-shutter", text, "ShutterShape")
        else:
            text = "The file asks for a shutter of an unknown shape, which is left out."
            cautions.add("bad-shutter", text, "ShutterShape")
    return _told(found, ds, rows, columns, cautions)


def _told(found: Shutter, ds: Dataset, rows: int, columns: int, cautions: Cautions) -> Shutter | None:
    tags = tol.tag_values(ds, *_TAGS)
    names = ("rectangle", "circle", "polygon")
    kept = [name for name in names if getattr(found, name)]
    if not kept:
        cautions.story.tell(Stage.SHUTTER, "Nothing is covered: the file's shutter is broken.", _REFERENCE, tags)
        return None
    share = visible_share(found, rows, columns)
    if share < LEAST_VISIBLE:
        text = f"The file's shutter would leave {100 * share:.0f} % of the film visible; it is left out."
        cautions.add("bad-shutter", text, "ShutterShape")
        cautions.story.tell(Stage.SHUTTER, "Nothing is covered: the shutter would hide the film.", _REFERENCE, tags)
        return None
    shapes = " and ".join(kept)
    rule = (
        f"What lies outside the {shapes} is covered with grey {found.grey} of 255; {100 * share:.0f} % stays visible."
    )
    cautions.story.tell(Stage.SHUTTER, rule, _REFERENCE, tags)
    return found


def visible_share(shutter: Shutter, rows: int, columns: int) -> float:
    """Share of a film that a shutter leaves visible, judged by a grid of at most 96 x 96 pixels."""
    y, x = np.meshgrid(_probes(rows), _probes(columns), indexing="ij")
    visible = np.ones(x.shape, dtype=np.bool_)
    if shutter.rectangle is not None:
        left, top, right, bottom = shutter.rectangle
        visible &= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    if shutter.circle is not None:
        center_x, center_y, radius = shutter.circle
        visible &= (x - center_x) ** 2 + (y - center_y) ** 2 <= radius**2
    if shutter.polygon:
        visible &= _inside(shutter.polygon, x, y)
    return float(visible.mean())


def _probes(length: int) -> NDArray[np.float64]:
    count = min(length, _PROBES)
    return np.linspace(0.5, count - 0.5, count, dtype=np.float64) * (length / count)


def _inside(
    corners: tuple[tuple[float, float], ...], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Even-odd rule."""
    inside = np.zeros(x.shape, dtype=np.bool_)
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside


# ---------------------------------------------------------------- shapes


def _numbers(ds: Dataset, keyword: str) -> list[float]:
    """Every value; empty where one of them is none or beyond all measure."""
    values = [value for value in tol.numbers(ds, keyword) if value is not None and abs(value) <= _FARTHEST]
    return values if len(values) == len(tol.numbers(ds, keyword)) else []


def _broken(keyword: str, what: str, cautions: Cautions) -> None:
    cautions.add("bad-shutter", f"The {what} shutter in the file is broken and is left out.", keyword)


def _rectangle(ds: Dataset, cautions: Cautions) -> tuple[float, float, float, float] | None:
    """The pixels of the edges themselves stay visible."""
    edges = []
    for keyword in _EDGES:
        value = _numbers(ds, keyword)
        if len(value) != 1:
            _broken(keyword, "rectangular", cautions)
            return None
        edges.append(value[0])
    left, top, right, bottom = edges
    if right < left or bottom < top:
        _broken(_EDGES[2] if right < left else _EDGES[3], "rectangular", cautions)
        return None
    return (left - 1, top - 1, right, bottom)


def _circle(ds: Dataset, cautions: Cautions) -> tuple[float, float, float] | None:
    center, radius = _numbers(ds, "CenterOfCircularShutter"), _numbers(ds, "RadiusOfCircularShutter")
    if len(center) != 2:
        _broken("CenterOfCircularShutter", "circular", cautions)
        return None
    if len(radius) != 1 or radius[0] <= 0:
        _broken("RadiusOfCircularShutter", "circular", cautions)
        return None
    row, column = center
    return (column - 0.5, row - 0.5, radius[0])


def _polygon(ds: Dataset, cautions: Cautions) -> tuple[tuple[float, float], ...]:
    values = _numbers(ds, "VerticesOfThePolygonalShutter")
    if len(values) % 2 or not 6 <= len(values) <= 2 * MOST_CORNERS:
        _broken("VerticesOfThePolygonalShutter", "polygonal", cautions)
        return ()
    corners = [(column - 0.5, row - 0.5) for row, column in zip(values[::2], values[1::2], strict=True)]
    return tuple(corners)


def _grey(ds: Dataset, cautions: Cautions) -> int:
    """Shutter Presentation Value is a P-Value of 0 (black) to 65535 (PS3.3 C.7.6.11.1.1)."""
    if not tol.has(ds, "ShutterPresentationValue"):
        return 0
    value = tol.integer(ds, "ShutterPresentationValue")
    if value is None or not 0 <= value <= 65535:
        text = "The grey of the file's shutter is impossible; black is used."
        cautions.add("bad-shutter", text, "ShutterPresentationValue")
        return 0
    return round(value * 255 / 65535)
