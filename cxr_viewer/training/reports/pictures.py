"""Films on which the model was most wrong, beside its map: pixels only, nothing of who the patient is."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import AnalysisResult, Heatmap, ModelCard
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.imaging.colormap import colourise
from cxr_viewer.imaging.heatmap import heatmap_on_image
from cxr_viewer.imaging.render import thumbnail
from cxr_viewer.outputs.overlay import laid_over
from cxr_viewer.training.asking import Answers, Runner, read_films, request

SIDE_PX = 260
_FADE_BELOW, _OPACITY = 0.15, 0.6
_QUALITY = 85
_GAP_PX = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """One film.

    Attributes:
        number: its number in ``scores.csv``.
        address: JPEG as a ``data:`` address; the film, and beside it the film with the map where there is one.
    """

    number: int
    address: str


def pictures(
    rows: Sequence[tuple[int, str]], answers: Answers, card: ModelCard, runner: Runner
) -> Mapping[tuple[int, str], Picture]:
    """A picture for each (row of the answers, finding); films that cannot be read again are left out."""
    wanted: dict[int, list[str]] = {}
    for row, label in rows:
        wanted.setdefault(row, []).append(label)
    out: dict[tuple[int, str], Picture] = {}
    films = read_films([answers.records[row] for row in wanted])
    for (row, labels), (_, image) in zip(wanted.items(), films, strict=True):
        if isinstance(image, CxrError):
            continue
        maps = _maps(image, lambda image: runner.analyse(request(image, card), CancelToken(), lambda stage: None))
        for label in labels:
            out[row, label] = Picture(row + 1, _address(image, maps.get(label)))
    return out


def _maps(image: Radiograph, analyse: Callable[[Radiograph], AnalysisResult]) -> dict[str, Heatmap]:
    try:
        return {found.label: found for found in analyse(image).heatmaps}
    except CxrError:
        return {}


def _address(image: Radiograph, heatmap: Heatmap | None) -> str:
    film = thumbnail(image, SIDE_PX)
    scale = SIDE_PX / max(film.shape[:2])
    if scale > 1:
        film = np.asarray(cv2.resize(film, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    colour = np.repeat(film[..., None], 3, axis=2) if film.ndim == 2 else film
    if heatmap is not None:
        values = heatmap_on_image(heatmap, image.rows, image.columns, SIDE_PX)
        size = (colour.shape[1], colour.shape[0])
        large = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
        mapped = laid_over(colour, colourise(large, _FADE_BELOW, _OPACITY))
        colour = np.concatenate([colour, np.zeros((colour.shape[0], _GAP_PX, 3), np.uint8), mapped], axis=1)
    good, data = cv2.imencode(".jpg", colour[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not good:
        raise CxrError("A picture could not be made.")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
