"""Which actions are available and which are ticked, drawn from the state."""

from __future__ import annotations

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.services.state import Layout, Tool, ViewerState
from cxr_viewer.ui.actions import Actions
from cxr_viewer.ui.anatomy_commands import show_anatomy_actions

_NEEDS_FILM = (
    "export_report",
    "save_view",
    "copy_view",
    "close_film",
    "mark_read",
    "window_auto",
    "window_file",
    "invert",
    "fit",
    "actual_size",
    "zoom_in",
    "zoom_out",
    "turn_right",
    "turn_left",
    "flip_horizontal",
    "flip_vertical",
    "reset",
    "tool_length",
    "tool_angle",
    "tool_arrow",
    "tool_text",
)
_FRAMES = ("next_frame", "previous_frame", "first_frame", "last_frame")
_LAYOUTS = {"layout_one": Layout.ONE, "layout_two": Layout.ONE_BY_TWO, "layout_four": Layout.TWO_BY_TWO}


def show_on_actions(actions: Actions, state: ViewerState) -> None:
    """Draw ``state`` on the actions."""
    pane = state.pane
    film = pane.image is not None
    for name in _NEEDS_FILM:
        actions[name].setEnabled(film)
    actions["close_film"].setEnabled(pane.node is not None)
    actions["window_next"].setEnabled(pane.image is not None and len(pane.image.voi) > 1)
    actions["run_model"].setEnabled(film and bool(state.model_id))
    for name in _FRAMES:
        actions[name].setEnabled(pane.frames > 1)
    actions["calibrate"].setEnabled(pane.image is not None and not pane.image.preview)
    actions["file_millimetres"].setEnabled(pane.calibrated)
    maps = pane.result is not None and bool(pane.result.heatmaps)
    actions["heat_map"].setEnabled(maps)
    outlines = pane.result is not None and bool(pane.result.structures)
    for rename in (actions["heat_map"].setText, actions["heat_map"].setIconText):
        rename("Outlines" if outlines else "Heat map")
    scored = maps and not outlines
    for name in ("contour", "next_finding", "previous_finding", "less_opaque", "more_opaque"):
        actions[name].setEnabled(scored)
    actions["compare_seen"].setEnabled(pane.result is not None and pane.result.saw is not None)
    actions["undo"].setEnabled(bool(pane.undo))
    actions["redo"].setEnabled(bool(pane.redo))
    actions["delete_mark"].setEnabled(pane.selected_mark is not None)
    image, display = pane.image, pane.display
    actions["film_overlays"].setEnabled(image is not None and bool(image.overlays))
    actions["film_shutter"].setEnabled(image is not None and image.shutter is not None)
    actions["film_padding"].setEnabled(image is not None and image.padding is not None)
    ticked = {
        "film_overlays": bool(image and image.overlays) and display.overlays,
        "film_shutter": bool(image and image.shutter) and display.shutter,
        "film_padding": bool(image and image.padding is not None) and display.padding,
        "invert": pane.display.inverted,
        "heat_map": pane.display.overlay.label is not None or bool(pane.outlines),
        "show_seen": state.show_seen,
        "contour": pane.display.overlay.mode is OverlayMode.CONTOUR,
        "show_maps": state.show_maps,
        "invert_drag": state.invert_drag,
        "show_marks": state.marks_visible,
    }
    ticked |= {name: state.layout is layout for name, layout in _LAYOUTS.items()}
    ticked |= {f"tool_{tool.value}": state.tool is tool for tool in Tool}
    for name, on in ticked.items():
        actions[name].setChecked(on)
    show_anatomy_actions(actions, state)
