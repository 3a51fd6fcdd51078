"""One heat map over its film as a picture of its own, with a caption that goes wherever the picture goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.findings import AnalysisResult, Heatmap, MapScale
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.core.seeing import seen_sentence, trust_badge, unseen_strips
from cxr_viewer.core.wording import finding_sentence
from cxr_viewer.imaging.render import as_rgb, oriented, render_picture
from cxr_viewer.outputs.overlay import draw_heatmap, draw_structures, hatch_unseen
from cxr_viewer.outputs.placement import whole_film
from cxr_viewer.outputs.text import Style, draw_text, wrap

_INK = (215, 221, 227)


def compose_heatmap(
    image: Radiograph, display: DisplayState, result: AnalysisResult, heatmap: Heatmap
) -> NDArray[np.uint8]:
    """The film at full resolution with one map over it and a caption below.

    Returns:
        uint8 (rows + caption, columns, 3); the upper ``rows`` lie pixel on pixel on the film as turned on screen.
    """
    shown = render_picture(image, display.voi, display.inverted, mask_padding=display.padding, shutter=display.shutter)
    film = as_rgb(np.ascontiguousarray(oriented(shown, display.orientation), dtype=np.uint8))
    placement = whole_film(image, display.orientation)
    film = hatch_unseen(film, unseen_strips(result, image.rows, image.columns), placement)
    if heatmap.scale is MapScale.PROBABILITY:
        film = draw_structures(film, (heatmap,), result.structures, placement)
    else:
        film = draw_heatmap(film, heatmap, replace(display.overlay, label=heatmap.label), placement)
    return np.vstack((film, _caption(placement.width, image, display, result, heatmap)))


def _caption(
    width: int, image: Radiograph, display: DisplayState, result: AnalysisResult, heatmap: Heatmap
) -> NDArray[np.uint8]:
    style = Style(max(12, width // 50), _INK)
    margin = style.size_px
    finding = next((finding for finding in result.findings if finding.label == heatmap.label), None)
    outline = heatmap.scale is MapScale.PROBABILITY
    words = [finding_sentence(finding) if finding else f"{heatmap.label}{', outlined by the model' * outline}."]
    badge = trust_badge(heatmap.trust)
    if badge and not outline:
        words.insert(0, f"{badge.upper()}.")
    if result.limits:
        words.append("The score does not hold for this film:")
    words += [limit.text for limit in result.limits]
    words += [caution.text for caution in result.cautions]
    words.append(f"{heatmap.method}, {result.model_name} {result.model_version}, weights {result.model_sha256[:8]}.")
    words.append(seen_sentence(result, image, display.orientation))
    if unseen_strips(result, image.rows, image.columns):
        words.append("Hatched: not seen by the model.")
    words.append(DISCLAIMER)
    lines = wrap(" ".join(words), style, width - 2 * margin)
    strip = Image.new("RGB", (width, len(lines) * style.line_px + 2 * margin), (0, 0, 0))
    draw = ImageDraw.Draw(strip)
    for row, line in enumerate(lines):
        draw_text(draw, (margin, margin + row * style.line_px), line, style)
    return np.asarray(strip, dtype=np.uint8)


def heatmap_name(image: Radiograph, heatmap: Heatmap) -> str:
    """A file name from the digest of the film's file and the finding, never from the patient or the film's name."""
    label = "".join(c if c.isalnum() else "-" for c in heatmap.label.lower()).strip("-")
    film = image.source_sha256[:16] or "film"
    frame = f"-frame{image.key.frame + 1}" if image.frames > 1 else ""
    return f"{film}{frame}-{label[:60]}.png"
