"""The sections of a report about what the model drew and what it was given: heat map, outlines, its picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.report import Report
from cxr_viewer.core.seeing import seen_rows, seen_sentence, trust_badge, trust_words
from cxr_viewer.core.wording import turn_text
from cxr_viewer.imaging.heatmap import contour_levels
from cxr_viewer.imaging.structures import structure_colour
from cxr_viewer.outputs import sheet as paper
from cxr_viewer.outputs.film import hatched, outline_names, shown_heatmap, shown_outlines
from cxr_viewer.outputs.overlay import colour_bar
from cxr_viewer.outputs.sheet import SMALL, Sheet
from cxr_viewer.outputs.text import Style

_PICTURE_PX = 480
_HATCHED = "Hatched: not seen by the model."


def heat_map(sheet: Sheet, report: Report) -> None:
    """Whose map it is, its scale, and whether such maps may be believed."""
    heatmap = shown_heatmap(report)
    if heatmap is None:
        return
    overlay = report.display.overlay
    sheet.heading("HEAT MAP")
    badge = trust_badge(heatmap.trust)
    if badge:
        sheet.boxed(badge, Style(28, paper.CAUTION, bold=True))
    sheet.paragraph(f"{heatmap.label}, {heatmap.method}: {_heatmap_words(heatmap, report)}")
    picture = colour_bar(sheet.width, 28, overlay)
    sheet.paste(picture)
    sheet.both_ends("0, no share in the score", "1, a strong share", SMALL)
    sheet.space()
    words = [f"One scale for all findings; below {overlay.threshold:.2f} nothing is drawn."]
    if overlay.mode is OverlayMode.CONTOUR:
        words.append("Lines: " + ", ".join(f"{level:.2f}" for level in contour_levels(overlay)) + ".")
    words.append(trust_words(report.card, heatmap.label, heatmap.method, heatmap.trust))
    if hatched(report):
        words.append(_HATCHED)
    sheet.paragraph(" ".join(words), SMALL)


def _heatmap_words(heatmap: Heatmap, report: Report) -> str:
    """A map over a film says where a score comes from, never where a disease is."""
    words = "where the score comes from, not the outline of a disease."
    result = report.result
    finding = next((f for f in result.findings if f.label == heatmap.label), None) if result else None
    if finding is not None and not finding.positive:
        words += " The score is below the operating point."
    if result is not None and result.limits:
        words += " The score does not hold for this film."
    return words


def outlines(sheet: Sheet, report: Report) -> None:
    """Which structures are outlined, each beside its colour."""
    shown = shown_outlines(report)
    if not shown or report.result is None:
        return
    sheet.heading("OUTLINES")
    for heatmap in shown:
        sheet.swatch(structure_colour(heatmap.label, outline_names(report)), heatmap.label)
    words = "Outlined by the model where it holds a structure more likely than not (0.5); not checked by a reader."
    if report.result.limits and report.result.structures:
        words += " The model was not made for this film."
    sheet.paragraph(f"{words} {_HATCHED}" if hatched(report) else words, SMALL)


def seen(sheet: Sheet, report: Report) -> None:
    """What the model was given: its very picture where the reader shows it, else one sentence."""
    result = report.result
    if result is None:
        return
    sheet.heading("WHAT THE MODEL SAW")
    if not report.show_seen or result.saw is None:
        sheet.paragraph(seen_sentence(result, report.image, report.display.orientation))
        return
    grey = np.ascontiguousarray(result.saw.picture)
    sheet.paste(Image.fromarray(grey).convert("RGB").resize((_PICTURE_PX, _PICTURE_PX), Image.Resampling.NEAREST))
    turned = turn_text(report.display.orientation)
    sheet.paragraph(f"As the model was given it{f'; the film beside it is {turned}' if turned else ''}.", SMALL)
    for name, words in seen_rows(result, report.image, report.display.orientation):
        sheet.row(name, words)
    if hatched(report):
        sheet.paragraph(f"On the film: {_HATCHED[0].lower()}{_HATCHED[1:]}", SMALL)
