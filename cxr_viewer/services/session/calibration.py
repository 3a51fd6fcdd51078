"""Millimetres by the reader: a line of known length on the film."""

from __future__ import annotations

import math
from dataclasses import replace

from cxr_viewer.core.annotations import Mark, MarkKind
from cxr_viewer.core.image import PixelSpacing, Radiograph, SpacingSource
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.moves import Step, put
from cxr_viewer.services.state import Pane, ViewerState

SHORTEST_MM, LONGEST_MM = 0.1, 2000.0
SHORTEST_PX = 5.0
"""A shorter line is one that slipped: an error of a pixel would be one of a fifth."""


def calibrate(state: ViewerState, event: ev.Calibrate) -> Step:
    """Measure the film of a pane by one of its lines; every pane that shows the same film follows."""
    pane = state.panes[event.pane]
    image = pane.image
    if image is None or image.preview:
        return state, ()
    spacing: PixelSpacing | None = None
    if event.mm is not None:
        line = next((mark for mark in pane.marks if mark.mark_id == event.mark_id), None)
        spacing = measured(image, line, event.mm) if line is not None else None
        if spacing is None:
            return state, ()
    elif not pane.calibrated:
        return state, ()
    for index, other in enumerate(state.panes):
        if other.image is not None and _same_film(other.image, image):
            state = put(state, index, with_calibration(other, spacing))
    return state, (ev.SaveCalibration(image.key, image.source_sha256, spacing),)


def with_calibration(pane: Pane, spacing: PixelSpacing | None) -> Pane:
    """The pane with the reader's own millimetres, or with those of the file where ``spacing`` is None."""
    if pane.image is None:
        return pane
    of_file = pane.file_spacing if pane.calibrated else pane.image.spacing
    image = pane.image
    wanted = of_file if spacing is None else spacing
    if image.spacing != wanted:
        image = replace(image, spacing=wanted)
    return replace(pane, image=image, file_spacing=of_file, calibrated=spacing is not None)


def measured(image: Radiograph, line: Mark, mm: float) -> PixelSpacing | None:
    """The spacing at which ``line`` is ``mm`` long; the shape of the pixels stays what the file says."""
    if line.kind is not MarkKind.LENGTH or not math.isfinite(mm) or not SHORTEST_MM <= mm <= LONGEST_MM:
        return None
    row, column = (image.spacing.row_mm, image.spacing.column_mm) if image.spacing else (1.0, 1.0)
    dx, dy = (line.points[1].x - line.points[0].x, line.points[1].y - line.points[0].y)
    if math.hypot(dx, dy) < SHORTEST_PX:
        return None
    factor = mm / math.hypot(dx * column, dy * row)
    return PixelSpacing(row * factor, column * factor, SpacingSource.USER)


def calibration_of(state: ViewerState, image: Radiograph, kept: PixelSpacing | None) -> PixelSpacing | None:
    """The reader's millimetres for a film that arrives: what another pane shows of it is newer than what was ``kept``
    when its reading began."""
    for pane in state.panes:
        if pane.image is not None and not pane.image.preview and _same_film(pane.image, image):
            return pane.image.spacing if pane.calibrated else None
    return kept


def _same_film(one: Radiograph, other: Radiograph) -> bool:
    return one.key == other.key and one.source_sha256 == other.source_sha256
