"""Going from film to film: next image, series and study."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cxr_viewer.core.study import ImageNode, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.hanging import hang, neighbour, neighbour_series
from cxr_viewer.ui.controller import Controller


class Navigation:
    """Commands that open a neighbour of the film in a pane.

    ``study_of`` knows the study of an image; ``step_study`` the study before or after one as the browser sorts them.
    """

    def __init__(
        self,
        controller: Controller,
        study_of: Callable[[ImageNode], StudyNode | None],
        step_study: Callable[[str | None, int], StudyNode | None],
    ) -> None:
        self._controller = controller
        self._study_of = study_of
        self._step_study = step_study

    def table(self) -> dict[str, Callable[[], None]]:
        """Commands by action name."""
        return {
            "previous_image": lambda: self.image(self._controller.state.active, -1),
            "next_image": lambda: self.image(self._controller.state.active, 1),
            "previous_series": lambda: self.series(-1),
            "next_series": lambda: self.series(1),
            "previous_study": lambda: self.study(-1),
            "next_study": lambda: self.study(1),
        }

    def _place(self, pane: int) -> tuple[StudyNode, ImageNode] | None:
        node = self._controller.state.panes[pane].node
        study = self._study_of(node) if node is not None else None
        return (study, node) if study is not None and node is not None else None

    def image(self, pane: int, step: int) -> None:
        """The next (+1) or previous (-1) image of the same study; nothing at its ends."""
        place = self._place(pane)
        node = neighbour(place[0], place[1].key, step, place[1].path, place[1].member) if place else None
        if node is not None:
            self._controller.dispatch(ev.OpenImage(node, pane))

    def neighbours(self) -> Iterator[ImageNode]:
        """What the reader may open next, likeliest first: the images beside those on screen, then studies."""
        state = self._controller.state
        for pane in (state.active, *(index for index in state.visible if index != state.active)):
            place = self._place(pane)
            for step in (1, -1) if place else ():
                node = neighbour(place[0], place[1].key, step, place[1].path, place[1].member) if place else None
                if node is not None:
                    yield node
        key = state.pane.key
        for step in (1, -1) if key else ():
            study = self._step_study(key.study_uid, step) if key else None
            if study is not None:
                yield from hang(study)[1]

    def series(self, step: int) -> None:
        """The first image of the next or previous series."""
        active = self._controller.state.active
        place = self._place(active)
        node = neighbour_series(place[0], place[1].key, step) if place else None
        if node is not None:
            self._controller.dispatch(ev.OpenImage(node, active))

    def study(self, step: int) -> None:
        """The next or previous study of the list, hung as a whole."""
        key = self._controller.state.pane.key
        study = self._step_study(key.study_uid if key else None, step)
        if study is not None:
            self._controller.dispatch(ev.OpenStudy(study))
