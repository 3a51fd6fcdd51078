"""What the reader has done to a film since it opened, in sentences."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.display import DisplayState, OverlayMode
from cxr_viewer.core.image import Radiograph, Voi
from cxr_viewer.core.wording import turn_text, voi_text
from cxr_viewer.imaging.pyramid import factor_for
from cxr_viewer.services.state import Pane

AUTOMATIC = "Automatic"
"""Label of ``imaging.levels.auto_window``."""


def display_lines(pane: Pane, image: Radiograph, device_zoom: float, zoom: float) -> list[str]:
    """How the film is shown now.

    Args:
        device_zoom: device pixels of the screen per image pixel.
        zoom: the same in device-independent pixels, as the corner of the film says it.
    """
    display = pane.display
    lines = [] if not image.preview else ["This is a preview of lower resolution; the whole film follows."]
    if pane.pending is not None:
        lines.append(f"Frame {pane.pending.key.frame + 1} is being read; this one stays until it is there.")
    lines.append(window_sentence(image, display))
    changes = changes_of_reader(pane, image)
    lines += changes or ["Nothing else was changed: polarity and position are as the file says."]
    lines += _drawn_over(pane, image)
    lines.append(_zoom_sentence(display, device_zoom, zoom))
    return lines


def window_sentence(image: Radiograph, display: DisplayState) -> str:
    """Which grey transformation is in use, and whose it is."""
    voi, index, count = display.voi, display.voi_index, len(image.voi)
    if index is not None and not image.voi_from_file:
        return "As stored: no window is applied."
    if index is not None:
        which = "" if count == 1 else f", {index + 1} of {count}"
        return f"The file's own{which}: {voi_text(voi)}."
    if image.opening is not None and voi == image.opening:
        return f"The window the film opened with, because its own shows nothing: {voi_text(voi)}."
    if voi is None:
        return "From the lowest to the highest value of the film; no window is applied."
    if voi.label == AUTOMATIC:
        return f"Automatic window over the anatomy: {voi_text(_unnamed(voi))}.{_instead(image)}"
    return f"By hand: {voi_text(_unnamed(voi))}.{_instead(image)}"


def _unnamed(voi: Voi) -> Voi:
    return replace(voi, label="")


def _instead(image: Radiograph) -> str:
    return (
        f" The file's own: {voi_text(image.voi[0])}." if image.voi and image.voi_from_file else " The file offers none."
    )


def changes_of_reader(pane: Pane, image: Radiograph) -> list[str]:
    """Polarity, position and hidden layers, as far as they differ from what the file asks for."""
    display = pane.display
    lines = ["Inverted by you: black and white are exchanged."] if display.inverted else []
    turned = turn_text(display.orientation)
    lines += [f"By you: {turned}, from the way it is stored."] if turned else []
    if image.overlays and not display.overlays:
        lines.append("The file's overlays are hidden by you.")
    if image.shutter is not None and not display.shutter:
        lines.append("The file's display shutter is switched off by you: what it covers is visible.")
    if image.padding is not None and not display.padding:
        lines.append("Pixel padding is not masked: it goes through the window like the film itself.")
    return lines


def _drawn_over(pane: Pane, image: Radiograph) -> list[str]:
    lines = []
    if image.overlays and pane.display.overlays:
        count = len(image.overlays)
        lines.append(
            f"{count} overlay{'s' if count > 1 else ''} of the file {'are' if count > 1 else 'is'} drawn over it."
        )
    if image.shutter is not None and pane.display.shutter:
        lines.append("The file's display shutter covers a part of it.")
    if pane.heatmap is not None:
        how = "as a contour" if pane.display.overlay.mode is OverlayMode.CONTOUR else "in colour"
        lines.append(f"A heat map ({pane.heatmap.label}) lies over it {how}.")
    return lines


def _zoom_sentence(display: DisplayState, device_zoom: float, zoom: float) -> str:
    fitted = ", fitted to its place" if display.zoom is None else ""
    start = f"Zoom {100 * zoom:.0f} %{fitted}."
    factor = factor_for(device_zoom)
    if factor > 1:
        return (
            f"{start} The screen has fewer pixels than the film: {factor} x {factor} stored pixels are averaged "
            "before the grey values are made, and what lies between is interpolated."
        )
    if device_zoom < 1:
        return f"{start} The screen has fewer pixels than the film: its grey values are interpolated."
    if device_zoom > 1:
        return f"{start} Every stored pixel is shown; what lies between them is interpolated."
    return f"{start} One pixel of the screen for each stored pixel."
