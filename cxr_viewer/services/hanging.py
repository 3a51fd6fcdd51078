"""Which images of a study go where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxr_viewer.core.image import ImageKey, View
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
    lateral = next((image for image in images if image.view is View.LATERAL), None)
    # Beside a lateral a film that does not name its view is taken for the frontal one; alone it is hung alone anyway.
    frontal = next((image for view in (*_FRONTAL, View.UNKNOWN) for image in images if image.view is view), None)
    if frontal is not None and lateral is not None:
        return Layout.ONE_BY_TWO, (frontal, lateral)
    return Layout.ONE, (frontal or images[0],)


def neighbour(
    study: StudyNode, key: ImageKey, step: int, path: Path | None = None, member: str = ""
) -> ImageNode | None:
    """The image ``step`` places after (or, below zero, before) the one with ``key``; None beyond the ends.

    Vanished files are passed over. ``path`` and ``member`` tell files apart that claim the same identity. A file is
    listed once, whichever of its frames is shown. None as well when the image is not in the study.
    """
    images = study.images
    at = _position(images, key, path, member)
    if at is None or step == 0:
        return None
    beyond = images[at + 1 :] if step > 0 else images[:at][::-1]
    there = [image for image in beyond if not image.missing]
    return there[abs(step) - 1] if len(there) >= abs(step) else None


def neighbour_series(study: StudyNode, key: ImageKey, step: int) -> ImageNode | None:
    """The first image of the series ``step`` places after (or before) the one ``key`` is in; None beyond the ends.

    Series without a file that is there are passed over.
    """
    at = next((number for number, series in enumerate(study.series) if series.series_uid == key.series_uid), None)
    if at is None or step == 0:
        return None
    beyond = study.series[at + 1 :] if step > 0 else study.series[:at][::-1]
    firsts = (next((image for image in series.images if not image.missing), None) for series in beyond)
    there = [image for image in firsts if image is not None]
    return there[abs(step) - 1] if len(there) >= abs(step) else None


def _position(images: tuple[ImageNode, ...], key: ImageKey, path: Path | None, member: str) -> int | None:
    file = replace(key, frame=0)
    same = [number for number, image in enumerate(images) if replace(image.key, frame=0) == file]
    exact = (number for number in same if path is not None and images[number].is_file(path, member))
    return next(exact, same[0] if same else None)
