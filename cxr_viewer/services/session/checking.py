"""What the reader makes of the guard's answer, and of the callipers of the cardiothoracic ratio."""

from __future__ import annotations

from dataclasses import replace

from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.geometry import Orientation
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.moves import Step, ask, put, remember, shown
from cxr_viewer.services.state import Pane, ViewerState


def check_of(pane: Pane) -> FilmCheck | None:
    """What the guard said of the film, whether it was scored or not."""
    if pane.refusal is not None and pane.refusal.check is not None:
        return pane.refusal.check
    return pane.result.check if pane.result is not None else None


def override(state: ViewerState, event: ev.Override) -> Step:
    """Only a film the guard itself has blocked can be asked about all the same; each such wish is recorded."""
    pane = state.panes[event.pane]
    if pane.image is None or pane.refusal is None or pane.refusal.check is None:
        return state, ()
    codes = tuple(sign.code for sign in pane.refusal.check.blocking)
    record = ev.RecordOverride(pane.image.key, pane.refusal.model_id, codes)
    state, effects = ask(put(state, event.pane, replace(pane, overridden=True)), event.pane, at_once=True)
    return state, (*effects, record)


def turn_upright(state: ViewerState, event: ev.TurnUpright) -> Step:
    """The display and what models see turn together, as one undo step."""
    pane = shown(state, event.pane)
    check = check_of(pane) if pane is not None else None
    if pane is None or check is None or check.upright_turns == pane.turns:
        return state, ()
    display = replace(pane.display, orientation=Orientation(check.upright_turns), center=None)
    turned = replace(remember(pane), display=display, turns=check.upright_turns)
    return ask(put(state, event.pane, turned), event.pane, at_once=True)


def move_calliper(state: ViewerState, event: ev.MoveCalliper) -> Step:
    pane = shown(state, event.pane)
    if pane is None or pane.image is None or pane.callipers is None:
        return state, ()
    try:
        moved = pane.callipers.moved(event.handle, event.to, pane.image.spacing)
    except ValueError:  # the ends would cross: the hand went too far, the line stays
        return state, ()
    return put(state, event.pane, replace(remember(pane, event.gesture), edited=moved)), ()


def reset_callipers(state: ViewerState, event: ev.ResetCallipers) -> Step:
    pane = shown(state, event.pane)
    if pane is None or pane.edited is None:
        return state, ()
    return put(state, event.pane, replace(remember(pane), edited=None)), ()


def show_callipers(state: ViewerState, event: ev.ShowCallipers) -> Step:
    return replace(state, show_callipers=event.visible), (ev.SavePreference("show_callipers", event.visible),)


def show_outlines(state: ViewerState, event: ev.ShowOutlines) -> Step:
    return replace(state, show_outlines=event.visible), ()  # not kept: nothing lies over the lungs unasked
