"""Window, polarity, position and marks, with undo."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.annotations import Mark
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.moves import Step, ask, default_display, display_change, put, remember, shown
from cxr_viewer.services.state import UndoStep, ViewerState


def set_voi(state: ViewerState, event: ev.SetVoi) -> Step:
    return display_change(state, event.pane, event.gesture, voi=event.voi, voi_index=event.voi_index)


def set_inverted(state: ViewerState, event: ev.SetInverted) -> Step:
    return display_change(state, event.pane, inverted=event.inverted)


def set_orientation(state: ViewerState, event: ev.SetOrientation) -> Step:
    return display_change(state, event.pane, orientation=event.orientation, center=None)


def set_layers(state: ViewerState, event: ev.SetLayers) -> Step:
    wanted = {"overlays": event.overlays, "shutter": event.shutter, "padding": event.padding}
    return display_change(state, event.pane, **{name: on for name, on in wanted.items() if on is not None})


def set_view(state: ViewerState, event: ev.SetView) -> Step:
    pane = shown(state, event.pane)
    if pane is None:
        return state, ()
    # Moving about is not undone: a reader who undoes a mark does not want to lose the place.
    return put(
        state, event.pane, replace(pane, display=replace(pane.display, zoom=event.zoom, center=event.center))
    ), ()


def reset_display(state: ViewerState, event: ev.ResetDisplay) -> Step:
    pane = shown(state, event.pane)
    if pane is None or pane.image is None:
        return state, ()
    fresh = replace(default_display(pane.image), overlay=pane.display.overlay)
    if fresh == pane.display:
        return state, ()
    return put(state, event.pane, replace(remember(pane), display=fresh)), ()


def add_mark(state: ViewerState, event: ev.AddMark) -> Step:
    pane = shown(state, event.pane)
    if pane is None:
        return state, ()
    mark = Mark(pane.next_mark_id, event.kind, event.points, event.text)
    pane = replace(remember(pane), marks=(*pane.marks, mark), selected_mark=mark.mark_id, next_mark_id=mark.mark_id + 1)
    return put(state, event.pane, pane), ()


def change_mark(state: ViewerState, event: ev.ChangeMark) -> Step:
    pane = state.panes[event.pane]
    if all(mark.mark_id != event.mark_id for mark in pane.marks):
        return state, ()

    def changed(mark: Mark) -> Mark:
        if mark.mark_id != event.mark_id:
            return mark
        return replace(
            mark,
            points=mark.points if event.points is None else event.points,
            text=mark.text if event.text is None else event.text,
        )

    marks = tuple(changed(mark) for mark in pane.marks)
    if marks == pane.marks:
        return state, ()
    return put(state, event.pane, replace(remember(pane, event.gesture), marks=marks)), ()


def remove_mark(state: ViewerState, event: ev.RemoveMark) -> Step:
    pane = state.panes[event.pane]
    marks = tuple(mark for mark in pane.marks if mark.mark_id != event.mark_id)
    if len(marks) == len(pane.marks):
        return state, ()
    return put(state, event.pane, replace(remember(pane), marks=marks, selected_mark=None)), ()


def select_mark(state: ViewerState, event: ev.SelectMark) -> Step:
    pane = state.panes[event.pane]
    if event.mark_id is not None and all(mark.mark_id != event.mark_id for mark in pane.marks):
        return state, ()
    return put(state, event.pane, replace(pane, selected_mark=event.mark_id)), ()


def step_back(state: ViewerState, index: int, *, forward: bool) -> Step:
    pane = state.panes[index]
    source = pane.redo if forward else pane.undo
    if not source:
        return state, ()
    step = source[-1]
    here = UndoStep(pane.display, pane.marks, callipers=pane.edited, turns=pane.turns)
    display = replace(step.display, zoom=pane.display.zoom, center=pane.display.center, overlay=pane.display.overlay)
    if display.orientation != pane.display.orientation:
        display = replace(display, center=None)
    undo = (*pane.undo, here) if forward else pane.undo[:-1]
    redo = pane.redo[:-1] if forward else (*pane.redo, here)
    before = replace(
        pane,
        display=display,
        marks=step.marks,
        edited=step.callipers,
        turns=step.turns,
        selected_mark=None,
        undo=undo,
        redo=redo,
    )
    state = put(state, index, before)
    # An answer about the film as it lay otherwise must not stand beside it.
    return ask(state, index, at_once=True) if step.turns != pane.turns else (state, ())


def undo(state: ViewerState, event: ev.Undo) -> Step:
    return step_back(state, event.pane, forward=False)


def redo(state: ViewerState, event: ev.Redo) -> Step:
    return step_back(state, event.pane, forward=True)


def set_opinion(state: ViewerState, event: ev.SetOpinion) -> Step:
    pane = shown(state, event.pane)
    return (put(state, event.pane, replace(pane, opinion=event.text)), ()) if pane else (state, ())
