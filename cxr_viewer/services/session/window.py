"""Tools, scans and notices: what concerns the window, not a film."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.services import events as ev
from cxr_viewer.services.session.moves import Step
from cxr_viewer.services.state import Notice, ScanStatus, ViewerState


def set_tool(state: ViewerState, event: ev.SetTool) -> Step:
    return replace(state, tool=event.tool), ()


def set_corner_text(state: ViewerState, event: ev.SetCornerText) -> Step:
    return replace(state, corner_text=event.corner_text), (ev.SavePreference("corner_text", event.corner_text.value),)


def set_marks_visible(state: ViewerState, event: ev.SetMarksVisible) -> Step:
    return replace(state, marks_visible=event.visible), ()


def set_invert_drag(state: ViewerState, event: ev.SetInvertDrag) -> Step:
    return replace(state, invert_drag=event.inverted), (ev.SavePreference("invert_drag", event.inverted),)


def scan_progressed(state: ViewerState, event: ev.ScanProgressed) -> Step:
    return replace(state, scan=ScanStatus(event.looked_at, event.total, event.found)), ()


def scan_ended(state: ViewerState, event: ev.ScanEnded) -> Step:
    return replace(state, scan=None), ()


def mark_study(state: ViewerState, event: ev.MarkStudy) -> Step:
    return state, (ev.SaveStatus(event.study_uid, event.status),)


def tell(state: ViewerState, event: ev.Tell) -> Step:
    number = state.counter + 1
    notice = Notice(number, event.level, event.text, event.hint)
    return replace(state, counter=number, notice=notice), ()


def dismiss(state: ViewerState, event: ev.DismissNotice) -> Step:
    if state.notice is None or state.notice.number != event.number:
        return state, ()
    return replace(state, notice=None), ()
