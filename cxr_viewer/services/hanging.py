"""Which images of a study go where."""

from __future__ import annotations

from cxr_viewer.core.image import View
from cxr_viewer.core.study import ImageNode, StudyNode
from cxr_viewer.services.state import Layout

_FRONTAL = (View.PA, View.AP)


def hang(study: StudyNode) -> tuple[Layout, tuple[ImageNode, ...]]:
    """Frontal film left and lateral right when the study has both; otherwise its first image alone.

    Films whose file has vanished are hung only when nothing else is there. A PA film goes before an AP film.
    """
    images = [image for image in study.images if not image.missing] or list(study.images)
    if not images:
        return Layout.ONE, ()
    frontal = next((image for view in _FRONTAL for image in images if image.view is view), None)
    lateral = next((image for image in images if image.view is View.LATERAL), None)
    if frontal is not None and lateral is not None:
        return Layout.ONE_BY_TWO, (frontal, lateral)
    return Layout.ONE, (frontal or images[0],)
