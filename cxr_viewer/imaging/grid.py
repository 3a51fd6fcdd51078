"""Pixels of a screen or a page laid over a film: where each of them lies on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal steps along one axis of the film, in image pixels.

    Attributes:
        first: where the first pixel of the grid begins, in image points.
        step: from one pixel of the grid to the next; negative where the film is mirrored or turned.
        count: pixels of the grid.
    """

    first: float
    step: float
    count: int

    @property
    def centres(self) -> NDArray[np.float64]:
        """float64 (count,): the middle of each pixel of the grid."""
        return np.asarray(self.first + self.step * (np.arange(self.count) + 0.5), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of pixels over a film, parallel to its rows and columns.

    Attributes:
        x: along the rows of the film.
        y: along its columns.
        turned: the film lies on its side: what is worked out in the film's own axes is shown transposed.
    """

    x: Axis
    y: Axis
    turned: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) in the film's own axes."""
        return self.y.count, self.x.count

    def shown(self, values: NDArray[ScalarT]) -> NDArray[ScalarT]:
        """What was worked out in the film's axes, (rows, columns), as it lies on the screen."""
        return np.ascontiguousarray(values.T) if self.turned else values


def whole(rows: int, columns: int, height: int, width: int) -> Grid:
    """``height`` x ``width`` pixels over a whole film of ``rows`` x ``columns``, not turned."""
    return Grid(Axis(0.0, columns / width, width), Axis(0.0, rows / height, height))
