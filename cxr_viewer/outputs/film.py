"""The film of a report: grey values as on screen, graphics of the file, heat map, marks, letters, scale bar."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import edge_letters
from cxr_viewer.core.report import DISCLAIMER, Report
from cxr_viewer.core.wording import turn_text
from cxr_viewer.imaging.render import picture_at
from cxr_viewer.outputs import marks
from cxr_viewer.outputs.overlay import draw_graphics, draw_heatmap, hatch_unseen
from cxr_viewer.outputs.placement import PagePlacement, place
from cxr_viewer.outputs.text import Style, draw_text, elide, text_width

FILM_PX = 2000
"""Long side of the film on the page, whatever its own size: sharp on every screen and in print at 250 dpi."""

_MARGIN_PX = 84  # room for the orientation letters, so that they lie beside the film and not on it
_STRIP_PX = 150
_LEAST_WIDTH_PX = 1100  # the strip under a very narrow film still has to hold its words
_BACKGROUND = (0, 0, 0)
_LETTER = Style(48, (215, 221, 227), bold=True)
_SMALL = Style(28, (215, 221, 227))
_WARNING = Style(28, (224, 176, 80), bold=True)
_GRAPHICS_PX = 3
_BAR_SHARE = 0.34  # the scale bar is at most this share of the film's width


def draw_film(report: Report) -> Image.Image:
    """The whole film with what the reader sees on it, black around it, and a strip with the scale below.

    Grey values are brought to page size before the window is applied, as on screen. Always the whole film is shown:
    what a reader had zoomed to is no measure of what a report is about.

    Returns:
        RGB picture; the film's long side is ``FILM_PX``.
    """
    image, display = report.image, report.display
    placement = place(image, display.orientation, (0, 0, FILM_PX, FILM_PX))
    width = max(placement.width + 2 * _MARGIN_PX, _LEAST_WIDTH_PX)
    box = ((width - placement.width) // 2, _MARGIN_PX, placement.width, placement.height)
    placement = place(image, display.orientation, box)
    page = Image.new("RGB", (width, placement.height + 2 * _MARGIN_PX + _STRIP_PX), _BACKGROUND)

    film = picture_at(image, display, (placement.width, placement.height))
    heatmap = shown_heatmap(report)
    if heatmap is not None and report.result is not None:
        film = hatch_unseen(film, report.result.seen, placement)
        film = draw_heatmap(film, heatmap, display.overlay, placement)
    if display.overlays:
        film = draw_graphics(film, image, placement, line_px=_GRAPHICS_PX)
    page.paste(Image.fromarray(film), (placement.left, placement.top))
    marks.draw_marks(page, report.marks, image.spacing, placement)
    draw = ImageDraw.Draw(page)
    _draw_letters(draw, report, placement)
    _draw_strip(draw, report, placement, page.size)
    return page


def shown_heatmap(report: Report) -> Heatmap | None:
    """The map on screen, None when it is switched off or there is none."""
    label = report.display.overlay.label
    if report.result is None or label is None:
        return None
    return next((heatmap for heatmap in report.result.heatmaps if heatmap.label == label), None)


def _draw_letters(draw: ImageDraw.ImageDraw, report: Report, placement: PagePlacement) -> None:
    """Letters of Patient Orientation (0020,0020) in the margins, where the file names it."""
    if report.image.patient_orientation is None:
        return
    left, top, right, bottom = edge_letters(report.image.patient_orientation, report.display.orientation)
    middle_x, middle_y = placement.left + placement.width / 2, placement.top + placement.height / 2
    gap = (_MARGIN_PX - _LETTER.line_px) / 2
    places = (
        (left, placement.left - gap - text_width(left, _LETTER), middle_y - _LETTER.line_px / 2),
        (right, placement.left + placement.width + gap, middle_y - _LETTER.line_px / 2),
        (top, middle_x - text_width(top, _LETTER) / 2, placement.top - gap - _LETTER.line_px),
        (bottom, middle_x - text_width(bottom, _LETTER) / 2, placement.top + placement.height + gap),
    )
    for letters, x, y in places:
        draw_text(draw, (x, y), letters, _LETTER)


def _draw_strip(
    draw: ImageDraw.ImageDraw, report: Report, placement: PagePlacement, page_size: tuple[int, int]
) -> None:
    """Scale bar with the source of its millimetres, how large the film is drawn, and the disclaimer."""
    width, height = page_size
    top = height - _STRIP_PX
    room = width - 2 * _MARGIN_PX
    left = _MARGIN_PX
    spacing = report.image.spacing
    if spacing is None or placement.millimetres_per_px is None:
        draw_text(draw, (left, top), "Not calibrated: no scale, lengths in pixels", _SMALL)
    else:
        millimetres = round_length(placement.width * _BAR_SHARE * placement.millimetres_per_px)
        bar_px = millimetres / placement.millimetres_per_px
        words = f"{millimetres:g} mm ({spacing.source.value})"
        _draw_bar(draw, left, top + _SMALL.line_px / 2, bar_px, 10 if millimetres % 10 == 0 else 1)
        draw_text(draw, (left + bar_px + 24, top), elide(words, _SMALL, room - bar_px - 24), _SMALL)
    drawn = f"Whole film, {report.image.columns} x {report.image.rows} px, drawn at {placement.scale:.0%}"
    turned = turn_text(report.display.orientation)
    style = _WARNING if report.display.orientation.flipped else _SMALL  # left and right have changed places
    drawn = f"{drawn}; {turned}" if turned else drawn
    draw_text(draw, (left, top + _SMALL.line_px + 10), elide(drawn, style, room), style)
    draw_text(draw, (left, top + 2 * (_SMALL.line_px + 10)), elide(DISCLAIMER, _WARNING, room), _WARNING)


def _draw_bar(draw: ImageDraw.ImageDraw, x: float, y: float, length_px: float, parts: int) -> None:
    draw.line((x, y, x + length_px, y), fill=_SMALL.colour, width=4)
    for part in range(parts + 1):
        at = x + length_px * part / parts
        half = 16 if part in (0, parts) else 8
        draw.line((at, y - half, at, y + half), fill=_SMALL.colour, width=4)


def round_length(longest_mm: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not longer than ``longest_mm``."""
    power = 10.0 ** math.floor(math.log10(longest_mm))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= longest_mm)
