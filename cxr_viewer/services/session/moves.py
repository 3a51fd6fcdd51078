"""The few moves every transition of the session is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.state import AnalysisStatus, Pane, PaneStatus, UndoStep, ViewerState

Step = tuple[ViewerState, tuple[ev.Effect, ...]]
UNDO_DEPTH = 200


def default_display(image: Radiograph, before: DisplayState | None = None) -> DisplayState:
    """How a film looks when it opens: the file's first VOI (unless that shows nothing), upright, fitted."""
    overlay = replace(before.overlay, label=None) if before else DisplayState().overlay
    if image.opening is not None:
        return DisplayState(voi=image.opening, overlay=overlay)
    voi = image.voi[0] if image.voi else None
    return DisplayState(voi=voi, voi_index=0 if image.voi else None, overlay=overlay)


def put(state: ViewerState, index: int, pane: Pane) -> ViewerState:
    return replace(state, panes=(*state.panes[:index], pane, *state.panes[index + 1 :]))


def without_findings(pane: Pane, question: int) -> Pane:
    """The pane with nothing a model said, waiting for the answer to ``question`` only."""
    overlay = replace(pane.display.overlay, label=None)
    return replace(
        pane,
        question=question,
        model=None,
        analysis=AnalysisStatus.NONE,
        stage="",
        result=None,
        refusal=None,
        analysis_failure=None,
        selected=None,
        display=replace(pane.display, overlay=overlay),
    )


def open_in(state: ViewerState, index: int, node: ImageNode) -> Step:
    number = state.counter + 1
    before = state.panes[index]
    kept_overlay = replace(before.display.overlay, label=None)
    pane = Pane(
        node=node,
        generation=number,
        question=number,
        status=PaneStatus.LOADING,
        display=DisplayState(overlay=kept_overlay),
    )
    state = replace(put(state, index, pane), counter=number)
    return state, (ev.CancelAnalysis(index), ev.LoadImage(index, number, node))


def empty(state: ViewerState, index: int) -> Step:
    if state.panes[index].status is PaneStatus.EMPTY:
        return state, ()
    return put(state, index, Pane()), (ev.CancelLoad(index), ev.CancelAnalysis(index))


def ask(state: ViewerState, index: int, *, at_once: bool = False) -> Step:
    """Put the film of a pane before the chosen model, or before the one that is meant for it."""
    pane = state.panes[index]
    number = state.counter + 1
    cleared = without_findings(pane, number)
    state = replace(state, counter=number)
    choice = choose_model(state.cards, state.model_id, pane.image) if pane.image is not None else None
    cleared = replace(cleared, model=choice)
    if pane.image is None or choice is None:
        return put(state, index, cleared), (ev.CancelAnalysis(index),)
    if pane.image.preview:  # never scored; the whole film is asked about as soon as it is there
        waiting = replace(cleared, analysis=AnalysisStatus.RUNNING, stage="Reading the whole film")
        return put(state, index, waiting), (ev.CancelAnalysis(index),)
    request = AnalysisRequest(
        pane=index,
        generation=number,
        image=pane.image,
        model_id=choice.model_id,
        method=state.method,
        device=state.device,
        turns=pane.turns,
        override=pane.overridden,
    )
    state = put(state, index, replace(cleared, analysis=AnalysisStatus.RUNNING))
    return state, (ev.StartAnalysis(request, at_once),)


def ask_again(state: ViewerState, *, only_asked: bool) -> Step:
    """The model or its settings changed: old answers go everywhere, films are asked again."""
    effects: tuple[ev.Effect, ...] = ()
    for index, pane in enumerate(state.panes):
        if pane.image is None:
            continue
        if state.automatic or (only_asked and pane.analysis is not AnalysisStatus.NONE):
            state, more = ask(state, index)
        else:
            number = state.counter + 1
            state = replace(put(state, index, without_findings(pane, number)), counter=number)
            more = (ev.CancelAnalysis(index),)
        effects += more
    return state, effects


def remember(pane: Pane, gesture: int = 0) -> Pane:
    """The pane with its present look on the undo stack, once per gesture."""
    if gesture and pane.undo and pane.undo[-1].gesture == gesture and not pane.redo:
        return pane
    step = UndoStep(pane.display, pane.marks, gesture, pane.edited, pane.turns)
    return replace(pane, undo=(*pane.undo, step)[-UNDO_DEPTH:], redo=())


def shown(state: ViewerState, index: int) -> Pane | None:
    pane = state.panes[index]
    return pane if pane.image is not None else None


def display_change(state: ViewerState, index: int, gesture: int = 0, **changes: Any) -> Step:
    pane = shown(state, index)
    if pane is None:
        return state, ()
    display = replace(pane.display, **changes)
    if display == pane.display:
        return state, ()  # an undo step that undoes nothing would look like a broken key
    return put(state, index, replace(remember(pane, gesture), display=display)), ()
