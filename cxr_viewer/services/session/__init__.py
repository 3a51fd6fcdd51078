"""The only place where the state of the window changes.

:func:`reduce` is pure: same state and event, same next state and effects. The guarantee it gives, for any order of
events: image, result and heat map of a pane belong to one opening, and a late answer is never shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cxr_viewer.services import events as ev
from cxr_viewer.services.session import analysis, calibration, checking, display, opening, window
from cxr_viewer.services.session.moves import Step, default_display
from cxr_viewer.services.state import ViewerState

__all__ = ["Step", "default_display", "reduce"]


def reduce(state: ViewerState, event: ev.Event) -> Step:
    """The next state and what has to be done. An event for a pane or answer that no longer exists changes nothing."""
    pane = getattr(event, "pane", None)
    if pane is not None and not 0 <= pane < len(state.panes):
        return state, ()
    return _HANDLERS[type(event)](state, event)


_HANDLERS: dict[type[Any], Callable[[ViewerState, Any], Step]] = {
    ev.OpenImage: opening.open_image,
    ev.OpenStudy: opening.open_study,
    ev.StepFrame: opening.step_frame,
    ev.ImageLoaded: opening.image_loaded,
    ev.LoadFailed: opening.load_failed,
    ev.ClosePane: opening.close_pane,
    ev.ActivatePane: opening.activate,
    ev.SetLayout: opening.set_layout,
    ev.SetVoi: display.set_voi,
    ev.SetInverted: display.set_inverted,
    ev.SetOrientation: display.set_orientation,
    ev.SetView: display.set_view,
    ev.ResetDisplay: display.reset_display,
    ev.SetLayers: display.set_layers,
    ev.Calibrate: calibration.calibrate,
    ev.SetTool: window.set_tool,
    ev.SetCornerText: window.set_corner_text,
    ev.SetMarksVisible: window.set_marks_visible,
    ev.SetInvertDrag: window.set_invert_drag,
    ev.AddMark: display.add_mark,
    ev.ChangeMark: display.change_mark,
    ev.RemoveMark: display.remove_mark,
    ev.SelectMark: display.select_mark,
    ev.Undo: display.undo,
    ev.Redo: display.redo,
    ev.ChooseModel: analysis.choose_model,
    ev.ModelsChanged: analysis.models_changed,
    ev.SetShowSeen: analysis.set_show_seen,
    ev.SetAutomatic: analysis.set_automatic,
    ev.SetDevice: analysis.set_device,
    ev.SetMethod: analysis.set_method,
    ev.SetShowMaps: analysis.set_show_maps,
    ev.AskModel: analysis.ask_model,
    ev.AnalysisProgressed: analysis.analysis_progressed,
    ev.AnalysisArrived: analysis.analysis_arrived,
    ev.AnalysisRefused: analysis.analysis_refused,
    ev.AnalysisFailed: analysis.analysis_failed,
    ev.SelectFinding: analysis.select_finding,
    ev.StepFinding: analysis.step_finding,
    ev.SetOverlay: analysis.set_overlay,
    ev.ShowStructure: analysis.show_structure,
    ev.Override: checking.override,
    ev.TurnUpright: checking.turn_upright,
    ev.MoveCalliper: checking.move_calliper,
    ev.ResetCallipers: checking.reset_callipers,
    ev.ShowCallipers: checking.show_callipers,
    ev.ShowOutlines: checking.show_outlines,
    ev.SetOpinion: display.set_opinion,
    ev.ScanProgressed: window.scan_progressed,
    ev.ScanEnded: window.scan_ended,
    ev.MarkStudy: window.mark_study,
    ev.Tell: window.tell,
    ev.DismissNotice: window.dismiss,
}
