"""Display shutters: the pixels that stay visible, and what becomes of broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from cxr_viewer.core.image import Radiograph, Shutter
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import attributes, dicomfile
from cxr_viewer.sources.shutter import visible_share

Film = Callable[..., Radiograph]
EDGES = (
    "ShutterLeftVerticalEdge",
    "ShutterRightVerticalEdge",
    "ShutterUpperHorizontalEdge",
    "ShutterLowerHorizontalEdge",
)
WIDE = {"Rows": 40, "Columns": 60, "PixelData": bytes(4800)}


def rectangle(left: int, right: int, upper: int, lower: int) -> dict[str, Any]:
    return {"ShutterShape": "RECTANGULAR", **dict(zip(EDGES, (left, right, upper, lower), strict=True))}


def told(film: Radiograph) -> list[tuple[str, str]]:
    return [(caution.code, caution.tag) for caution in film.cautions]


def test_the_edges_of_a_rectangle_stay_visible(film: Film) -> None:
    image = film(**WIDE, **rectangle(11, 50, 6, 35))
    assert image.shutter == Shutter(rectangle=(10.0, 5.0, 50.0, 35.0))
    (step,) = [step for step in image.chain if step.stage is Stage.SHUTTER]
    assert "outside the rectangle" in step.rule
    assert ("ShutterShape (0018,1600)", "RECTANGULAR") in [(tag.name, tag.value) for tag in step.tags]


def test_a_circle_is_centred_on_a_pixel(film: Film) -> None:
    image = film(**WIDE, ShutterShape="CIRCULAR", CenterOfCircularShutter=[20, 30], RadiusOfCircularShutter=15)
    assert image.shutter == Shutter(circle=(29.5, 19.5, 15.0))


def test_corners_are_rows_and_columns(film: Film) -> None:
    corners = [1, 1, 1, 60, 40, 60, 40, 1]
    image = film(**WIDE, ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=corners)
    assert image.shutter == Shutter(polygon=((0.5, 0.5), (59.5, 0.5), (59.5, 39.5), (0.5, 39.5)))


def test_several_shapes_leave_what_lies_inside_all(film: Film) -> None:
    shapes = rectangle(1, 30, 1, 40) | {"ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"]}
    image = film(
        **WIDE,
        **shapes,
        CenterOfCircularShutter=[20, 20],
        RadiusOfCircularShutter=18,
        VerticesOfThePolygonalShutter=[1, 1, 1, 60, 40, 30],
    )
    assert image.shutter is not None
    assert (image.shutter.rectangle, image.shutter.circle) == ((0.0, 0.0, 30.0, 40.0), (19.5, 19.5, 18.0))
    assert len(image.shutter.polygon) == 3
    y, x = np.mgrid[:40, :60] + 0.5
    inside = (x <= 30) & (np.hypot(x - 19.5, y - 19.5) <= 18)
    triangle = (y >= 0.5) & (x >= 0.5 + (y - 0.5) * 29 / 39) & (x <= 59.5 - (y - 0.5) * 30 / 39)
    assert visible_share(image.shutter, 40, 60) == pytest.approx((inside & triangle).mean(), abs=0.005)


@pytest.mark.parametrize(("value", "grey"), [(None, 0), (0, 0), (32768, 128), (65535, 255)])
def test_the_presentation_value_is_a_grey(value: int | None, grey: int, film: Film) -> None:
    image = film(**WIDE, **rectangle(11, 50, 6, 35), ShutterPresentationValue=value)
    assert image.shutter is not None
    assert image.shutter.grey == grey


@pytest.mark.parametrize(
    ("changes", "tag"),
    [
        ({"ShutterLeftVerticalEdge": 51}, "ShutterRightVerticalEdge (0018,1604)"),
        ({"ShutterLowerHorizontalEdge": 5}, "ShutterLowerHorizontalEdge (0018,1608)"),
        ({"ShutterUpperHorizontalEdge": None}, "ShutterUpperHorizontalEdge (0018,1606)"),
        (
            {"ShutterUpperHorizontalEdge": DataElement("ShutterUpperHorizontalEdge", "LT", "x")},
            "ShutterUpperHorizontalEdge (0018,1606)",
        ),
        ({"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [5]}, "CenterOfCircularShutter (0018,1610)"),
        (
            {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [5, 5], "RadiusOfCircularShutter": -3},
            "RadiusOfCircularShutter (0018,1612)",
        ),
        (
            {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 5, 5]},
            "VerticesOfThePolygonalShutter (0018,1620)",
        ),
        ({"ShutterShape": "BITMAP"}, "ShutterShape (0018,1600)"),
        ({"ShutterShape": "HEART"}, "ShutterShape (0018,1600)"),
        ({"ShutterRightVerticalEdge": 12, "ShutterLowerHorizontalEdge": 7}, "ShutterShape (0018,1600)"),
        (dict.fromkeys(EDGES, 0), "ShutterShape (0018,1600)"),
    ],
)
def test_a_broken_shutter_covers_nothing_and_is_told(changes: dict[str, Any], tag: str, film: Film) -> None:
    image = film(**WIDE, **rectangle(11, 50, 6, 35) | changes)
    assert image.shutter is None
    assert told(image) == [("bad-shutter", tag)]


def test_a_broken_shape_costs_only_itself(film: Film) -> None:
    shapes = rectangle(11, 50, 6, 35) | {"ShutterShape": ["RECTANGULAR", "CIRCULAR"]}
    image = film(**WIDE, **shapes, CenterOfCircularShutter=[20, 30])
    assert image.shutter == Shutter(rectangle=(10.0, 5.0, 50.0, 35.0))
    assert told(image) == [("bad-shutter", "RadiusOfCircularShutter (0018,1612)")]


def test_an_impossible_grey_becomes_black(film: Film) -> None:
    value = DataElement("ShutterPresentationValue", "LT", "grey")
    image = film(**WIDE, **rectangle(11, 50, 6, 35), ShutterPresentationValue=value)
    assert image.shutter == Shutter(rectangle=(10.0, 5.0, 50.0, 35.0))
    assert told(image) == [("bad-shutter", "ShutterPresentationValue (0018,1622)")]


def test_the_shutter_of_a_frame(film: Film) -> None:
    groups = []
    for left in (3, 9):
        item, outer = Dataset(), Dataset()
        for keyword, value in rectangle(left, 50, 1, 40).items():
            setattr(item, keyword, value)
        outer.FrameDisplayShutterSequence = [item]
        groups.append(outer)
    frames = {**WIDE, "NumberOfFrames": 2, "PixelData": bytes(9600)}
    for frame, left in ((0, 2.0), (1, 8.0)):
        shutter = film(frame=frame, **frames, PerFrameFunctionalGroupsSequence=groups).shutter
        assert shutter is not None
        assert shutter.rectangle == (left, 0.0, 50.0, 40.0)


def test_a_real_film_with_a_shutter(need_data: Callable[[str], Path], tmp_path: Path) -> None:
    ds = pydicom.dcmread(need_data("dicom/cr_barre_fuji_pa_mono1_10bit.dcm"))
    for keyword, value in rectangle(21, 420, 11, 430).items():
        setattr(ds, keyword, value)
    ds.save_as(tmp_path / "film.dcm")
    parsed = dicomfile.read_all((tmp_path / "film.dcm").read_bytes())
    film = attributes.radiograph(parsed, tmp_path, "0" * 64, 0)
    assert film.shutter == Shutter(rectangle=(20.0, 10.0, 420.0, 430.0))
    assert not film.cautions
