"""Opening, hanging and closing films."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.services import events as ev
from cxr_viewer.services.hanging import hang
from cxr_viewer.services.session.moves import Step, ask, default_display, empty, open_in, put
from cxr_viewer.services.session.window import tell
from cxr_viewer.services.state import Layout, NoticeLevel, PaneStatus, ViewerState


def open_image(state: ViewerState, event: ev.OpenImage) -> Step:
    index = state.active if event.pane is None else event.pane
    state, effects = open_in(state, index, event.node)
    if state.layout is not Layout.ONE and index not in state.visible:
        state = replace(state, layout=Layout.TWO_BY_TWO)  # a film that was asked for is never opened out of sight
    return replace(state, active=index), effects


def open_study(state: ViewerState, event: ev.OpenStudy) -> Step:
    layout, nodes = hang(event.study)
    if not nodes:
        return tell(state, ev.Tell(NoticeLevel.INFO, "This study holds no images that can be shown."))
    state = replace(state, layout=layout, active=0)
    effects: tuple[ev.Effect, ...] = ()
    for index in range(len(state.panes)):
        state, more = open_in(state, index, nodes[index]) if index < len(nodes) else empty(state, index)
        effects += more
    return state, effects


def image_loaded(state: ViewerState, event: ev.ImageLoaded) -> Step:
    pane = state.panes[event.pane]
    if pane.generation != event.generation or pane.key != event.image.key or pane.status is not PaneStatus.LOADING:
        return state, ()
    pane = replace(pane, status=PaneStatus.SHOWN, image=event.image, display=default_display(event.image, pane.display))
    state = put(state, event.pane, pane)
    return ask(state, event.pane) if state.automatic and state.model_id else (state, ())


def load_failed(state: ViewerState, event: ev.LoadFailed) -> Step:
    failure = event.failure
    if not 0 <= failure.pane < len(state.panes):
        return state, ()
    pane = state.panes[failure.pane]
    if pane.generation != failure.generation or pane.status is not PaneStatus.LOADING:
        return state, ()
    return put(state, failure.pane, replace(pane, status=PaneStatus.FAILED, failure=failure)), ()


def close_pane(state: ViewerState, event: ev.ClosePane) -> Step:
    return empty(state, event.pane)


def activate(state: ViewerState, event: ev.ActivatePane) -> Step:
    if state.layout is not Layout.ONE and event.pane not in state.visible:
        return state, ()
    return replace(state, active=event.pane), ()


def set_layout(state: ViewerState, event: ev.SetLayout) -> Step:
    state = replace(state, layout=event.layout)
    active = state.active if state.active in state.visible else 0
    return replace(state, active=active), ()
