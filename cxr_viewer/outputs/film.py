"""The film of a report: grey values as on screen, graphics, heat map, outlines, marks, letters, scale bar."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import edge_letters
from cxr_viewer.core.measuring import ratio_words
from cxr_viewer.core.report import DISCLAIMER, Report
from cxr_viewer.core.seeing import trust_badge, unseen_strips
from cxr_viewer.core.wording import turn_text
from cxr_viewer.imaging.render import picture_at
from cxr_viewer.outputs import marks
from cxr_viewer.outputs.callipers import draw_callipers
from cxr_viewer.outputs.overlay import draw_graphics, draw_heatmap, draw_structures, hatch_unseen
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
    page = Image.new("RGB", (width, placement.height + 2 * _MARGIN_PX + _strip_px(report)), _BACKGROUND)

    film = picture_at(image, display, (placement.width, placement.height))
    film = _with_model(film, report, placement)
    if display.overlays:
        film = draw_graphics(film, image, placement, line_px=_GRAPHICS_PX)
    page.paste(Image.fromarray(film), (placement.left, placement.top))
    if report.callipers is not None and report.show_callipers:
        draw_callipers(page, report.callipers, ratio_on_film(report), image.spacing, placement)
    marks.draw_marks(page, report.marks, image.spacing, placement)
    draw = ImageDraw.Draw(page)
    _draw_letters(draw, report, placement)
    _draw_strip(draw, report, placement, page.size)
    return page


def _with_model(film: NDArray[np.uint8], report: Report, placement: PagePlacement) -> NDArray[np.uint8]:
    """The film with what the model says over it: hatching where it saw nothing, heat map, outlines."""
    result = report.result
    if result is None:
        return film
    if hatched(report):
        film = hatch_unseen(film, unseen_strips(result, placement.rows, placement.columns), placement)
    heatmap, outlines = shown_heatmap(report), shown_outlines(report)
    if heatmap is not None:
        film = draw_heatmap(film, heatmap, report.display.overlay, placement)
    return draw_structures(film, outlines, outline_names(report), placement) if outlines else film


def hatched(report: Report) -> bool:
    """Whether what the model did not see is hatched: as on screen, whenever something it says lies over the film."""
    if report.result is None:
        return False
    of_model = report.result.outlines(report.display.overlay.structures)
    shown = report.show_seen or shown_heatmap(report) is not None or bool(of_model)
    return shown and bool(unseen_strips(report.result, report.image.rows, report.image.columns))


def shown_outlines(report: Report) -> tuple[Heatmap, ...]:
    """What is outlined on screen: structures of a segmenter, lungs and heart where the reader asked for them."""
    result = report.result
    if result is None:
        return ()
    anatomy = result.anatomy.outlines if result.anatomy is not None and report.show_outlines else ()
    return (*result.outlines(report.display.overlay.structures), *anatomy)


def outline_names(report: Report) -> tuple[str, ...]:
    """All that could be outlined, in the order that gives each its colour on the screen."""
    result = report.result
    if result is None:
        return ()
    found = result.anatomy.outlines if result.anatomy is not None else ()
    return (*result.structures, *(one.label for one in found if one.label not in result.structures))


def ratio_on_film(report: Report) -> str:
    """The cardiothoracic ratio beside its callipers; empty where there are none."""
    if report.callipers is None:
        return ""
    anatomy = report.result.anatomy if report.result is not None else None
    return f"CTR {ratio_words(report.callipers, anatomy, report.image.spacing, reader='the reader')}"


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
    top = height - _strip_px(report)
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
    line_px = _SMALL.line_px + 10
    draw_text(draw, (left, top + 2 * line_px), elide(DISCLAIMER, _WARNING, room), _WARNING)
    words = _over_film(report)
    if words:
        draw_text(draw, (left, top + 3 * line_px), elide(words, _WARNING, room), _WARNING)


def _over_film(report: Report) -> str:
    """What the model's drawing over the film is and how far it may be believed; it stays if the words are cut off."""
    heatmap = shown_heatmap(report)
    words = []
    if heatmap is not None:
        words.append(f"Heat map: {heatmap.label}, {heatmap.method}")
        words.append(trust_badge(heatmap.trust))
    if shown_outlines(report):
        words.append("outlines by the model")
    words.append(ratio_on_film(report) if report.show_callipers else "")
    words.append("hatched: not seen by the model" if hatched(report) else "")
    text = "; ".join(word for word in words if word)
    return text[:1].upper() + text[1:]


def _strip_px(report: Report) -> int:
    return _STRIP_PX + (_SMALL.line_px + 10 if _over_film(report) else 0)


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
