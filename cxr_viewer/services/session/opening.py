"""Opening, hanging and closing films."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.hanging import hang
from cxr_viewer.services.session.calibration import with_calibration
from cxr_viewer.services.session.moves import Step, ask, default_display, empty, open_in, put
from cxr_viewer.services.session.window import tell
from cxr_viewer.services.state import AnalysisStatus, Layout, NoticeLevel, Pane, PaneStatus, ViewerState


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


def step_frame(state: ViewerState, event: ev.StepFrame) -> Step:
    """Another frame of the same file; what is on screen stays, with its own findings, until that is there."""
    pane = state.panes[event.pane]
    node = pane.pending or pane.node
    if node is None or pane.image is None:
        return state, ()
    last = max(pane.image.frames, node.frames) - 1
    frame = min(last, max(0, node.key.frame + event.step))
    if frame == node.key.frame:
        return state, ()
    node, number = replace(node, key=replace(node.key, frame=frame)), state.counter + 1
    state = put(state, event.pane, replace(pane, pending=node, pending_generation=number))
    return replace(state, counter=number), (ev.LoadImage(event.pane, number, node),)


def image_loaded(state: ViewerState, event: ev.ImageLoaded) -> Step:
    pane, image = state.panes[event.pane], event.image
    if pane.pending is not None and event.generation == pane.pending_generation:
        return _frame_loaded(state, event, pane.pending)
    waiting = pane.status is PaneStatus.LOADING or (pane.image is not None and pane.image.preview and not image.preview)
    if pane.generation != event.generation or pane.key != image.key or not waiting:
        return state, ()
    fresh = default_display(image, pane.display)
    if pane.image is not None:  # the preview goes; what the reader has changed meanwhile stays
        opened = default_display(pane.image)
        kept = fresh if pane.display.voi == opened.voi else pane.display
        fresh = replace(pane.display, voi=kept.voi, voi_index=kept.voi_index)
    wanted = pane.analysis is AnalysisStatus.RUNNING
    pane = replace(pane, status=PaneStatus.SHOWN, image=image, display=fresh)
    state = put(state, event.pane, with_calibration(pane, event.calibration))
    wanted = not image.preview and bool(state.model_id) and (state.automatic or wanted)
    return ask(state, event.pane) if wanted else (state, ())


def _frame_loaded(state: ViewerState, event: ev.ImageLoaded, node: ImageNode) -> Step:
    pane, image = state.panes[event.pane], event.image
    if image.key != node.key or image.preview:
        return state, ()
    before = pane.display
    fresh = default_display(image, before)
    if before.voi_index is None:
        fresh = replace(fresh, voi=before.voi, voi_index=None)
    elif before.voi_index < len(image.voi):
        fresh = replace(fresh, voi=image.voi[before.voi_index], voi_index=before.voi_index)
    display = replace(before, voi=fresh.voi, voi_index=fresh.voi_index, overlay=fresh.overlay)
    number = event.generation
    shown = Pane(node=node, generation=number, question=number, status=PaneStatus.SHOWN, image=image, display=display)
    state = put(state, event.pane, with_calibration(shown, event.calibration))
    if state.automatic and state.model_id:
        return ask(state, event.pane)
    return state, (ev.CancelAnalysis(event.pane),)


def load_failed(state: ViewerState, event: ev.LoadFailed) -> Step:
    failure = event.failure
    if not 0 <= failure.pane < len(state.panes):
        return state, ()
    pane = state.panes[failure.pane]
    if pane.pending is not None and failure.generation == pane.pending_generation:
        node, number = pane.pending, failure.generation
        pane = Pane(node=node, generation=number, question=number, status=PaneStatus.LOADING)
    preview = pane.image is not None and pane.image.preview
    if pane.generation != failure.generation or not (pane.status is PaneStatus.LOADING or preview):
        return state, ()
    pane = Pane(
        node=pane.node,
        generation=pane.generation,
        question=pane.question,
        status=PaneStatus.FAILED,
        failure=failure,
        display=pane.display,
    )
    return put(state, failure.pane, pane), (ev.CancelAnalysis(failure.pane),)


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
