"""Opening, hanging and closing films."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import Failure
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.hanging import hang
from cxr_viewer.services.session.calibration import calibration_of, with_calibration
from cxr_viewer.services.session.moves import Step, ask, default_display, empty, open_in, put
from cxr_viewer.services.session.window import tell
from cxr_viewer.services.state import AnalysisStatus, FrameNotes, Layout, NoticeLevel, Pane, PaneStatus, ViewerState


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
    """Another frame of the same file; what is on screen stays, with its own findings, until that is there.

    One frame is read at a time: a reader who turns the wheel sees those that are ready on the way, and no reading is
    begun only to be thrown away.
    """
    pane = state.panes[event.pane]
    node = pane.pending or pane.node
    if node is None:
        return state, ()
    frame = min(pane.frames - 1, max(0, node.key.frame + event.step))
    if frame == node.key.frame:
        return state, ()
    node = node.at_frame(frame)
    if pane.image is None:  # nothing to keep on screen
        return _open_frame(state, event.pane, node)
    if node.key == pane.key and not pane.image.preview:
        return put(state, event.pane, _without_pending(pane)), (ev.CancelLoad(event.pane),)
    if pane.pending is not None:
        return put(state, event.pane, replace(pane, pending=node)), ()
    return _read_frame(state, event.pane, node)


def _open_frame(state: ViewerState, index: int, node: ImageNode) -> Step:
    """Another frame in an emptied pane."""
    kept = _notes(state.panes[index])
    state, effects = open_in(state, index, node)
    return put(state, index, replace(state.panes[index], kept=kept)), effects


def _notes(pane: Pane) -> tuple[FrameNotes, ...]:
    """What the reader has put on the frames of this file, the one on screen included."""
    if pane.image is None:
        return pane.kept
    here = FrameNotes(pane.image.key.frame, pane.marks, pane.next_mark_id, pane.opinion)
    return (*pane.kept, here) if here.marks or here.opinion else pane.kept


def _with_notes(pane: Pane) -> Pane:
    """The pane with what the reader had put on its frame before."""
    frame = pane.node.key.frame if pane.node else 0
    here = next((notes for notes in pane.kept if notes.frame == frame), None)
    if here is None:
        return pane
    kept = tuple(notes for notes in pane.kept if notes is not here)
    return replace(pane, marks=here.marks, next_mark_id=here.next_mark_id, opinion=here.opinion, kept=kept)


def _read_frame(state: ViewerState, index: int, node: ImageNode) -> Step:
    number, frame = state.counter + 1, node.key.frame
    pane = replace(state.panes[index], pending=node, pending_frame=frame, pending_generation=number)
    return replace(put(state, index, pane), counter=number), (ev.LoadImage(index, number, node),)


def _without_pending(pane: Pane) -> Pane:
    return replace(pane, pending=None, pending_frame=0, pending_generation=0)


def image_loaded(state: ViewerState, event: ev.ImageLoaded) -> Step:
    pane, image = state.panes[event.pane], event.image
    if pane.pending is not None and event.generation == pane.pending_generation:
        return _frame_loaded(state, event, pane.pending)
    waiting = pane.status is PaneStatus.LOADING or (pane.image is not None and pane.image.preview and not image.preview)
    if pane.generation != event.generation or pane.key != image.key or not waiting:
        return state, ()
    before, wanted = pane, pane.analysis is AnalysisStatus.RUNNING
    display = default_display(image, pane.display) if pane.image is None else _after_preview(pane, image)
    pane = replace(
        pane,
        node=pane.node and replace(pane.node, frames=image.frames),  # the header may have claimed more
        status=PaneStatus.SHOWN,
        image=image,
        display=display,
        file_spacing=image.spacing,
        calibrated=False,
    )
    pane = pane if before.image is not None else _with_notes(pane)
    state = put(state, event.pane, with_calibration(pane, calibration_of(state, image, event.calibration)))
    wanted = not image.preview and bool(state.model_id) and (state.automatic or wanted)
    return ask(state, event.pane) if wanted else (state, ())


def _after_preview(pane: Pane, image: Radiograph) -> DisplayState:
    """The preview goes; what the reader has changed meanwhile stays."""
    if pane.image is None or pane.display.voi == default_display(pane.image).voi:
        opened = default_display(image)
        return replace(pane.display, voi=opened.voi, voi_index=opened.voi_index)
    return _with_voi_of(image, pane.display)


def _with_voi_of(image: Radiograph, before: DisplayState) -> DisplayState:
    """``before`` for another picture of the same file: the reader's window as it is, the file's from its own list."""
    if before.voi_index is None:
        return before
    if before.voi_index < len(image.voi):
        return replace(before, voi=image.voi[before.voi_index])
    opened = default_display(image)
    return replace(before, voi=opened.voi, voi_index=opened.voi_index)


def _frame_loaded(state: ViewerState, event: ev.ImageLoaded, wanted: ImageNode) -> Step:
    pane, image = state.panes[event.pane], event.image
    if image.key != replace(wanted.key, frame=pane.pending_frame) or image.preview:
        return state, ()
    display = _with_voi_of(image, pane.display)
    number = event.generation
    shown = Pane(
        node=replace(wanted, key=image.key, frames=image.frames),
        generation=number,
        question=number,
        status=PaneStatus.SHOWN,
        image=image,
        display=replace(display, overlay=replace(display.overlay, label=None)),
        file_spacing=image.spacing,
        kept=_notes(pane),
    )
    shown = _with_notes(shown)
    state = put(state, event.pane, with_calibration(shown, calibration_of(state, image, event.calibration)))
    if image.key != wanted.key:  # the reader has gone on meanwhile
        state, effects = _read_frame(state, event.pane, wanted)
        return state, (ev.CancelAnalysis(event.pane), *effects)
    if state.automatic and state.model_id:
        return ask(state, event.pane)
    return state, (ev.CancelAnalysis(event.pane),)


def load_failed(state: ViewerState, event: ev.LoadFailed) -> Step:
    failure = event.failure
    if not 0 <= failure.pane < len(state.panes):
        return state, ()
    pane = state.panes[failure.pane]
    if pane.pending is not None and failure.generation == pane.pending_generation:
        if pane.pending.key.frame != pane.pending_frame:  # a frame the reader has passed already
            return _read_frame(state, failure.pane, pane.pending)
        return _failed(state, failure, pane.pending)
    preview = pane.image is not None and pane.image.preview
    if pane.generation != failure.generation or not (pane.status is PaneStatus.LOADING or preview):
        return state, ()
    if pane.pending is not None:  # the whole of a preview that is being left
        return _open_frame(state, failure.pane, pane.pending)
    return _failed(state, failure, pane.node)


def _failed(state: ViewerState, failure: Failure, node: ImageNode | None) -> Step:
    """Nothing of a film that cannot be read stays on screen, neither its preview nor the frame before it."""
    overlay = replace(state.panes[failure.pane].display.overlay, label=None)
    pane = Pane(
        node=node,
        generation=failure.generation,
        question=failure.generation,
        status=PaneStatus.FAILED,
        failure=failure,
        display=DisplayState(overlay=overlay),
        kept=_notes(state.panes[failure.pane]),
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
