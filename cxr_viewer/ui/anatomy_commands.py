"""What the actions about film check, callipers and lungs do: each reads the state and sends events, nothing else."""

from __future__ import annotations

from collections.abc import Callable

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.imaging.levels import lung_window
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.checking import check_of
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui.actions import Actions
from cxr_viewer.ui.controller import Controller
from cxr_viewer.ui.placement import Placement


class AnatomyCommands:
    """Commands for the active pane.

    Args:
        closer: where a film lies once a box of it fills the pane; None without a film.
        choose_calliper: let the arrow keys move the next end of the callipers.
    """

    def __init__(
        self,
        controller: Controller,
        closer: Callable[[int, ImageRect], Placement | None],
        choose_calliper: Callable[[], None],
    ) -> None:
        self._controller, self._closer, self._choose_calliper = controller, closer, choose_calliper

    @property
    def _index(self) -> int:
        return self._controller.state.active

    @property
    def _pane(self) -> Pane:
        return self._controller.state.pane

    def table(self) -> dict[str, Callable[[], object]]:
        """Commands by action name."""
        controller, send = self._controller, self._controller.dispatch
        return {
            "turn_upright": lambda: send(ev.TurnUpright(self._index)),
            "override": lambda: send(ev.Override(self._index)),
            "callipers": lambda: send(ev.ShowCallipers(not controller.state.show_callipers)),
            "next_calliper": self._choose_calliper,
            "reset_callipers": lambda: send(ev.ResetCallipers(self._index)),
            "lung_outlines": lambda: send(ev.ShowOutlines(not controller.state.show_outlines)),
            "zoom_lungs": self.zoom_to_lungs,
            "window_lungs": self.lung_window,
        }

    def zoom_to_lungs(self) -> None:
        """Show the box around both lungs as large as the pane allows."""
        box = self._pane.lungs_box
        placement = self._closer(self._index, box) if box is not None else None
        if placement is not None:
            self._controller.dispatch(ev.SetView(self._index, placement.zoom, placement.center))

    def lung_window(self) -> None:
        """The window over what lies inside the lungs' outline."""
        image, lungs = self._pane.image, self._pane.lungs_outline
        window = lung_window(image, lungs) if image is not None and lungs is not None else None
        if window is not None:
            self._controller.dispatch(ev.SetVoi(self._index, window))


def show_anatomy_actions(actions: Actions, state: ViewerState) -> None:
    """Draw ``state`` on those actions."""
    pane = state.pane
    check = check_of(pane)
    lungs = pane.image is not None and pane.lungs_box is not None
    enabled = {
        "turn_upright": check is not None and check.upright_turns != pane.turns,
        "override": pane.refusal is not None and pane.refusal.check is not None,
        "next_calliper": pane.callipers is not None,
        "reset_callipers": pane.edited is not None,
        "zoom_lungs": lungs,
        "window_lungs": lungs and pane.lungs_outline is not None,
    }
    for name, on in enabled.items():
        actions[name].setEnabled(on)
    actions["callipers"].setChecked(state.show_callipers)
    actions["lung_outlines"].setChecked(state.show_outlines)
