"""What the actions on films do: each reads the state and sends events, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.core.image import Radiograph, Voi
from cxr_viewer.imaging.levels import auto_window
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import QUICK_METHOD, AnalysisStatus, CornerText, Layout, Pane, PaneStatus, Tool
from cxr_viewer.ui.controller import Controller

ZOOM_STEP = 1.25
OPACITY_STEP = 0.1
_ALL_FRAMES = 2**31


class FilmCommands:
    """Commands for the active pane. ``zoom_shown`` tells the zoom on screen, also while the film is fitted."""

    def __init__(self, controller: Controller, zoom_shown: Callable[[int], float], cancel_tool: Callable[[], bool]):
        self._controller = controller
        self._zoom_shown = zoom_shown
        self._cancel_tool = cancel_tool

    @property
    def _index(self) -> int:
        return self._controller.state.active

    @property
    def _pane(self) -> Pane:
        return self._controller.state.pane

    def _image(self) -> Radiograph | None:
        return self._pane.image

    def _send(self, event: ev.Event) -> None:
        self._controller.dispatch(event)

    def table(self) -> dict[str, Callable[[], None]]:
        """Commands by action name."""
        commands: dict[str, Callable[[], None]] = {
            "undo": lambda: self._send(ev.Undo(self._index)),
            "redo": lambda: self._send(ev.Redo(self._index)),
            "delete_mark": self.delete_mark,
            "cancel": self.cancel,
            "close_film": lambda: self._send(ev.ClosePane(self._index)),
            "layout_one": lambda: self._send(ev.SetLayout(Layout.ONE)),
            "layout_two": lambda: self._send(ev.SetLayout(Layout.ONE_BY_TWO)),
            "layout_four": lambda: self._send(ev.SetLayout(Layout.TWO_BY_TWO)),
            "annotations": self.next_corner_text,
            "show_marks": lambda: self._send(ev.SetMarksVisible(not self._controller.state.marks_visible)),
            "film_overlays": lambda: self._layers(overlays=not self._pane.display.overlays),
            "film_shutter": lambda: self._layers(shutter=not self._pane.display.shutter),
            "film_padding": lambda: self._layers(padding=not self._pane.display.padding),
            "window_auto": self.automatic_window,
            "window_file": lambda: self.file_window(0),
            "window_next": lambda: self.file_window(1),
            "invert": lambda: self._send(ev.SetInverted(self._index, not self._pane.display.inverted)),
            "invert_drag": lambda: self._send(ev.SetInvertDrag(not self._controller.state.invert_drag)),
            "fit": lambda: self._send(ev.SetView(self._index, None, None)),
            "actual_size": lambda: self._send(ev.SetView(self._index, 1.0, self._pane.display.center)),
            "zoom_in": lambda: self.zoom(ZOOM_STEP),
            "zoom_out": lambda: self.zoom(1 / ZOOM_STEP),
            "turn_right": lambda: self.turn(lambda orientation: orientation.turned(1)),
            "turn_left": lambda: self.turn(lambda orientation: orientation.turned(3)),
            "flip_horizontal": lambda: self.turn(Orientation.mirrored_horizontally),
            "flip_vertical": lambda: self.turn(Orientation.mirrored_vertically),
            "reset": lambda: self._send(ev.ResetDisplay(self._index)),
            "next_frame": lambda: self._send(ev.StepFrame(self._index, 1)),
            "previous_frame": lambda: self._send(ev.StepFrame(self._index, -1)),
            "first_frame": lambda: self._send(ev.StepFrame(self._index, -_ALL_FRAMES)),
            "last_frame": lambda: self._send(ev.StepFrame(self._index, _ALL_FRAMES)),
            "run_model": lambda: self._send(ev.AskModel(self._index)),
            "heat_map": self.switch_map,
            "contour": self.switch_contour,
            "next_finding": lambda: self._send(ev.StepFinding(self._index, 1)),
            "previous_finding": lambda: self._send(ev.StepFinding(self._index, -1)),
            "less_opaque": lambda: self.opacity(-OPACITY_STEP),
            "more_opaque": lambda: self.opacity(OPACITY_STEP),
            "show_seen": lambda: self._send(ev.SetShowSeen(not self._controller.state.show_seen)),
            "show_maps": lambda: self._send(ev.SetShowMaps(not self._controller.state.show_maps)),
        }
        commands |= {f"tool_{tool.value}": partial(self._send, ev.SetTool(tool)) for tool in Tool}
        return commands

    def delete_mark(self) -> None:
        if self._pane.selected_mark is not None:
            self._send(ev.RemoveMark(self._index, self._pane.selected_mark))

    def cancel(self) -> None:
        """First a half-drawn mark, what is being read, a long heat map, then the tool, then the film as opened."""
        if self._cancel_tool() or self._cancel_reading() or self._cancel_long_map():
            return
        if self._controller.state.tool is not Tool.WINDOW:
            self._send(ev.SetTool(Tool.WINDOW))
        else:
            self._send(ev.ResetDisplay(self._index))

    def _cancel_reading(self) -> bool:
        """Give up a film, or another frame of the one on screen, that is being read; whether there was one."""
        pane = self._pane
        if pane.status is PaneStatus.LOADING:
            self._send(ev.ClosePane(self._index))
            return True
        if pane.pending is not None and pane.node is not None:
            self._send(ev.StepFrame(self._index, pane.node.key.frame - pane.pending.key.frame))
            return True
        return False

    def _cancel_long_map(self) -> bool:
        """Back to the map that comes with the score, so that nobody waits for the score; whether it was another."""
        state = self._controller.state
        if self._pane.analysis is not AnalysisStatus.RUNNING or state.method == QUICK_METHOD:
            return False
        self._send(ev.SetMethod(QUICK_METHOD))
        return True

    def next_corner_text(self) -> None:
        order = list(CornerText)
        place = order.index(self._controller.state.corner_text)
        self._send(ev.SetCornerText(order[(place + 1) % len(order)]))

    def _layers(self, **layers: bool) -> None:
        self._send(ev.SetLayers(self._index, **layers))

    def _set_voi(self, voi: Voi | None, index: int | None) -> None:
        self._send(ev.SetVoi(self._index, voi, index))

    def automatic_window(self) -> None:
        image = self._image()
        if image is not None:
            self._set_voi(auto_window(image), None)

    def file_window(self, place: int) -> None:
        """The file's VOI at ``place``; its only default is the whole range where it offers none."""
        image = self._image()
        if image is None:
            return
        if place < len(image.voi):
            self._set_voi(image.voi[place], place)
        elif place == 0:
            self._set_voi(None, None)

    def zoom(self, factor: float) -> None:
        if self._image() is not None:
            zoom = min(32.0, max(0.02, self._zoom_shown(self._index) * factor))
            self._send(ev.SetView(self._index, zoom, self._pane.display.center))

    def turn(self, change: Callable[[Orientation], Orientation]) -> None:
        self._send(ev.SetOrientation(self._index, change(self._pane.display.orientation)))

    def switch_map(self) -> None:
        pane = self._pane
        shown = bool(pane.outlines) or pane.display.overlay.label is not None
        self._send(ev.SetOverlay(self._index, visible=not shown))

    def switch_contour(self) -> None:
        overlay = self._pane.display.overlay
        colour = overlay.mode is OverlayMode.CONTOUR
        self._send(ev.SetOverlay(self._index, mode=OverlayMode.COLOUR if colour else OverlayMode.CONTOUR))

    def opacity(self, step: float) -> None:
        self._send(ev.SetOverlay(self._index, alpha=round(self._pane.display.overlay.alpha + step, 2)))
