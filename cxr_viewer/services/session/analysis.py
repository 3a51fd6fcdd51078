"""Asking a model, and what becomes of its answers."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.findings import ModelChoice
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import choose_model as choose_for
from cxr_viewer.services.session.moves import Step, ask, ask_again, put, shown
from cxr_viewer.services.state import AUTO, AnalysisStatus, Pane, ViewerState, sorted_findings


def choose_model(state: ViewerState, event: ev.ChooseModel) -> Step:
    if event.model_id == state.model_id:
        return state, ()
    state, effects = ask_again(replace(state, model_id=event.model_id), only_asked=True)
    return state, (*effects, ev.SavePreference("model_id", event.model_id))


def models_changed(state: ViewerState, event: ev.ModelsChanged) -> Step:
    """Films whose model went, or for which there is a better one now, are asked about again; other answers stay.

    A card that says something else of the same weights is another model: its operating points and calibration are part
    of every answer; and so is what the models said that serve the program beside every other.
    """
    known = {card.model_id for card in event.cards}
    same = {card.model_id for card in event.cards if card in state.cards}
    if [card for card in event.cards if card.serves] != [card for card in state.cards if card.serves]:
        same = set()
    wanted = state.model_id if state.model_id in known or (state.model_id == AUTO and known) else ""
    state = replace(state, cards=event.cards, model_id=wanted or (AUTO if known else ""))
    effects: tuple[ev.Effect, ...] = ()
    for index, pane in enumerate(state.panes):
        if pane.image is None:
            continue
        choice = choose_for(state.cards, state.model_id, pane.image)
        if choice is not None and choice.model_id in same and _stands(pane, choice):
            state = put(state, index, replace(pane, model=choice))
        elif pane.analysis is not AnalysisStatus.NONE or state.automatic:
            state, more = ask(state, index)
            effects += more
    return state, effects


def _stands(pane: Pane, choice: ModelChoice) -> bool:
    """There is an answer of the model that is chosen now; a question under way is asked anew."""
    return pane.result is not None and pane.result.model_id == choice.model_id


def set_show_seen(state: ViewerState, event: ev.SetShowSeen) -> Step:
    return replace(state, show_seen=event.visible), (ev.SavePreference("show_seen", event.visible),)


def set_automatic(state: ViewerState, event: ev.SetAutomatic) -> Step:
    state = replace(state, automatic=event.automatic)
    effects: tuple[ev.Effect, ...] = (ev.SavePreference("automatic", event.automatic),)
    if event.automatic:
        for index, pane in enumerate(state.panes):
            if pane.image is not None and pane.analysis is AnalysisStatus.NONE:
                state, more = ask(state, index)
                effects += more
    return state, effects


def set_device(state: ViewerState, event: ev.SetDevice) -> Step:
    if event.device == state.device:
        return state, ()
    state, effects = ask_again(replace(state, device=event.device), only_asked=True)
    return state, (*effects, ev.SavePreference("device", event.device))


def set_method(state: ViewerState, event: ev.SetMethod) -> Step:
    if event.method == state.method:
        return state, ()
    state, effects = ask_again(replace(state, method=event.method), only_asked=True)
    return state, (*effects, ev.SavePreference("method", event.method))


def set_show_maps(state: ViewerState, event: ev.SetShowMaps) -> Step:
    return replace(state, show_maps=event.show_maps), (ev.SavePreference("show_maps", event.show_maps),)


def ask_model(state: ViewerState, event: ev.AskModel) -> Step:
    return ask(state, event.pane, at_once=True) if shown(state, event.pane) else (state, ())


def awaited(state: ViewerState, index: int, question: int) -> Pane | None:
    """The pane that still waits for the answer to ``question``, else None."""
    if not 0 <= index < len(state.panes):
        return None
    pane = state.panes[index]
    waiting = pane.question == question and pane.analysis is AnalysisStatus.RUNNING
    return pane if waiting else None


def analysis_progressed(state: ViewerState, event: ev.AnalysisProgressed) -> Step:
    progress = event.progress
    pane = awaited(state, progress.pane, progress.generation)
    return (put(state, progress.pane, replace(pane, stage=progress.stage)), ()) if pane else (state, ())


def analysis_arrived(state: ViewerState, event: ev.AnalysisArrived) -> Step:
    result = event.result
    pane = awaited(state, result.pane, result.generation)
    if pane is None or pane.key != result.key or pane.model is None or result.model_id != pane.model.model_id:
        return state, ()
    ranked = sorted_findings(result)
    first = ranked[0] if ranked else None
    # A map appears unasked only for a finding that is called, on a film the model is meant for.
    show = first is not None and first.positive and state.show_maps and not result.limits
    overlay = replace(pane.display.overlay, label=first.label if show and first else None)
    if overlay.structures is None and result.structures and state.show_maps and not result.limits:
        overlay = replace(overlay, structures=result.structures)
    pane = replace(
        pane,
        analysis=AnalysisStatus.READY,
        stage="",
        result=result,
        selected=first.label if first else None,
        display=replace(pane.display, overlay=overlay),
    )
    return put(state, result.pane, pane), ()


def analysis_refused(state: ViewerState, event: ev.AnalysisRefused) -> Step:
    refusal = event.refusal
    pane = awaited(state, refusal.pane, refusal.generation)
    if pane is None or pane.key != refusal.key:
        return state, ()
    return put(state, refusal.pane, replace(pane, analysis=AnalysisStatus.REFUSED, stage="", refusal=refusal)), ()


def analysis_failed(state: ViewerState, event: ev.AnalysisFailed) -> Step:
    failure = event.failure
    pane = awaited(state, failure.pane, failure.generation)
    if pane is None:
        return state, ()
    failed = replace(pane, analysis=AnalysisStatus.FAILED, stage="", analysis_failure=failure)
    return put(state, failure.pane, failed), ()


def select_finding(state: ViewerState, event: ev.SelectFinding) -> Step:
    pane = state.panes[event.pane]
    if pane.result is None or all(finding.label != event.label for finding in pane.result.findings):
        return state, ()
    overlay = pane.display.overlay
    if overlay.label is not None:
        overlay = replace(overlay, label=event.label)
    pane = replace(pane, selected=event.label, display=replace(pane.display, overlay=overlay))
    return put(state, event.pane, pane), ()


def step_finding(state: ViewerState, event: ev.StepFinding) -> Step:
    pane = state.panes[event.pane]
    if pane.result is None or not pane.result.findings:
        return state, ()
    labels = [finding.label for finding in sorted_findings(pane.result)]
    nowhere = -1 if event.step > 0 else 0  # the first step forward is to the first, the first back to the last
    place = labels.index(pane.selected) if pane.selected in labels else nowhere
    return select_finding(state, ev.SelectFinding(event.pane, labels[(place + event.step) % len(labels)]))


def set_overlay(state: ViewerState, event: ev.SetOverlay) -> Step:
    pane = state.panes[event.pane]
    overlay = pane.display.overlay
    if event.visible is not None and pane.result is not None and pane.result.structures:
        overlay = replace(overlay, structures=pane.result.structures if event.visible else ())
    elif event.visible is not None:
        overlay = replace(overlay, label=pane.selected if event.visible and pane.result else None)
    if event.alpha is not None:
        overlay = replace(overlay, alpha=min(1.0, max(0.0, event.alpha)))
    if event.threshold is not None:
        overlay = replace(overlay, threshold=min(1.0, max(0.0, event.threshold)))
    if event.mode is not None:
        overlay = replace(overlay, mode=event.mode)
    return put(state, event.pane, replace(pane, display=replace(pane.display, overlay=overlay))), ()


def show_structure(state: ViewerState, event: ev.ShowStructure) -> Step:
    """The choice outlives the film: whoever wants the heart outlined wants it on the next film too."""
    pane = state.panes[event.pane]
    if pane.result is None or event.label not in pane.result.structures:
        return state, ()
    before = pane.display.overlay.structures or ()
    structures = tuple(label for label in before if label != event.label)
    if event.visible:
        structures = (*structures, event.label)
    overlay = replace(pane.display.overlay, structures=structures)
    return put(state, event.pane, replace(pane, display=replace(pane.display, overlay=overlay))), ()
