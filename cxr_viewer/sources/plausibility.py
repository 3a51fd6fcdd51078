"""What decoded pixels say against their own file: a picture that stops half-way, a window that shows nothing of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import DAMAGE, Caution, Radiograph, VoiWindow
from cxr_viewer.core.provenance import ChainStep, Stage
from cxr_viewer.imaging import levels, padding

BLANK_SHARE = 0.2
SHORTEST_RUN = 64
_MOST_RUNS = 2000
_DARK_SHARE = 0.1
_SKETCH_STEP = 4
_THIN = 200


def checked(image: Radiograph) -> Radiograph:
    """The film with a caution for what looks wrong, and a window to open with where its own shows nothing."""
    return _told_when_thin(_with_opening(_with_believable_padding(_with_zero_run(_with_blank_rows(image)))))


def _told_when_thin(image: Radiograph) -> Radiograph:
    """Fitted into a pane, such a picture is narrower than a pixel of the screen, and the pane would look empty."""
    rows, columns = image.stored.shape
    if max(rows, columns) < _THIN * min(rows, columns):
        return image
    text = f"The picture has {rows} x {columns} pixels: fitted it is too thin to be seen, so zoom in."
    return replace(image, cautions=(*image.cautions, Caution("thin", text, "Rows (0028,0010)")))


def _with_believable_padding(image: Radiograph) -> Radiograph:
    """Padding that would hide the anatomy is a wrong tag: it is neither masked nor kept out of any statistics.

    What stands for pixels that a truncated file does not hold is padding however much of it there is.
    """
    if any(caution.code == "truncated" for caution in image.cautions) or padding.believable(image):
        return image
    text = "What the file calls padding would hide most of the picture; it is shown as film."
    caution = Caution("padding-in-film", text, "PixelPaddingValue (0028,0120)")
    chain = tuple(_not_masked(step) if step.stage is Stage.PADDING else step for step in image.chain)
    return replace(image, padding=None, cautions=(*image.cautions, caution), chain=chain)


def _not_masked(step: ChainStep) -> ChainStep:
    why = f"{step.rule} That would hide most of the picture, so it is not believed."
    return replace(step, rule="Nothing counts as padding.", passed_over=(*step.passed_over, why))


def _with_blank_rows(image: Radiograph) -> Radiograph:
    if any(caution.code == "truncated" for caution in image.cautions):  # told already
        return image
    share = blank_tail(image.stored)
    if share < BLANK_SHARE:
        return image
    text = f"The lowest {100 * share:.0f} % of the picture is blank: the file may be incomplete."
    return replace(image, cautions=(*image.cautions, Caution("blank-rows", text)))


def _with_zero_run(image: Radiograph) -> Radiograph:
    if not image.is_dicom or image.colour or any(caution.code in DAMAGE for caution in image.cautions):
        return image
    length = zero_run(image.stored)
    if not length:
        return image
    text = f"A run of {length} pixels holds nothing but zeros, as a damaged copy leaves them."
    return replace(image, cautions=(*image.cautions, Caution("damaged-pixels", text, "PixelData (7FE0,0010)")))


def zero_run(stored: NDArray[np.generic]) -> int:
    """Length of the longest run of stored zeros, in the order of the file, that the picture does not explain; else 0.

    A block lost on a disk or in a transfer is such a run: the pixels above its beginning and below its end are neither
    zero nor dark. Beside a background, a border, a marker or the dark rim of a collimator, they are.
    """
    zero = stored == 0
    if stored.dtype == np.int16 or not zero.any():
        return 0
    flat, columns = zero.ravel(), stored.shape[1]
    edges = _runs(flat)
    longest = np.argsort(edges[:, 0] - edges[:, 1], kind="stable")[:_MOST_RUNS]
    dark = _DARK_SHARE * float(stored.max())
    for first, end in edges[longest].tolist():
        reach = min(end - first, columns)
        above = stored.ravel()[max(0, first - columns) : max(0, first - columns + reach)]
        below = stored.ravel()[end - reach + columns : end + columns]
        sides = [side for side in (above, below) if side.size == reach]
        if len(sides) == 2 and all(_is_bright(side, dark) for side in sides):
            return int(end - first)
    return 0


def _runs(flat: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(first, end) of each run of at least ``SHORTEST_RUN``, int64 (n, 2)."""
    sparse = flat[:: SHORTEST_RUN // 2]
    if not (sparse[1:] & sparse[:-1]).any():  # every such run holds two neighbours of these, and most films hold no run
        return np.empty((0, 2), np.int64)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = [flat.size] if flat[-1] else []
    edges = np.concatenate(([0] if flat[0] else [], changes, ends)).astype(np.int64).reshape(-1, 2)
    return edges[edges[:, 1] - edges[:, 0] >= SHORTEST_RUN]


def _is_bright(pixels: NDArray[np.generic], dark: float) -> bool:
    bright = float(np.median(pixels.astype(np.float64))) > dark
    return bright and int(np.count_nonzero(pixels)) > 0.95 * pixels.size


def blank_tail(stored: NDArray[np.generic]) -> float:
    """Share of rows at the bottom that hold nothing but stored zeros, as an interrupted copy leaves them; 0 where the
    top is blank as well (collimation) or everything is."""
    if stored[-1].any() or not stored[0].any():
        return 0.0
    filled = np.flatnonzero(stored.any(axis=1))
    return 1.0 - (int(filled[-1]) + 1) / len(stored)


def _with_opening(image: Radiograph) -> Radiograph:
    """The film with a window to open with, where the file's own would show a blank picture.

    Seen on real DX films that carry the lung window of a CT (-600, 1600): every pixel lies above it. Judged by every
    fourth pixel of every fourth row, which takes a tenth of the time.
    """
    sketch = replace(image, stored=np.ascontiguousarray(image.stored[::_SKETCH_STEP, ::_SKETCH_STEP]))
    if not image.voi or levels.shows_something(sketch, image.voi[0]):
        return image
    text = "The film's own window leaves it blank. An automatic window is used; press 1 for the film's own."
    tag = "Window Center (0028,1050)" if isinstance(image.voi[0], VoiWindow) else "VOI LUT Sequence (0028,3010)"
    caution = Caution("blank-window", text, tag)
    opening = levels.auto_window(image)
    chain = tuple(_opened_with(step, opening) if step.stage is Stage.VOI else step for step in image.chain)
    return replace(image, opening=opening, cautions=(*image.cautions, caution), chain=chain)


def _opened_with(step: ChainStep, opening: VoiWindow) -> ChainStep:
    """The step as it was in truth: the film opens with another window than the one the file asks for."""
    window = f"centre {opening.center:.6g}, width {opening.width:.6g}"
    why = step.rule.replace("The film opens with", "The file asks for", 1)
    told = f"The film opens with an automatic window ({window}), because the file's own shows nothing of it."
    return replace(step, rule=told, passed_over=(why, *step.passed_over))
