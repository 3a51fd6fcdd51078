"""Curves of a report, as pictures that stand in the page itself, fine enough for paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cxr_viewer.training.evaluating import LabelFigures
from cxr_viewer.training.measure import AUC, ECE, PRECISION, SENSITIVITY, SPECIFICITY, Bin, Values

BLUE, ORANGE, GREY = "#1f5f99", "#c4541a", "#9aa4ad"
_STYLE: Any = {
    "font.size": 9.0,
    "axes.edgecolor": "#5b6670",
    "axes.labelcolor": "#22303a",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.color": "#5b6670",
    "ytick.color": "#5b6670",
    "legend.frameon": False,
}
_MOST_POINTS = 400
_DPI = 160


def as_image(figure: Figure) -> str:
    """A figure as a ``data:`` address for an ``img``."""
    out = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(out, format="png", dpi=_DPI)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def curves(found: LabelFigures) -> Figure:
    """ROC, precision and recall, and (where the score means a share of films) reliability, side by side."""
    with mpl.rc_context(_STYLE):
        count = 3 if found.bins else 2
        figure = Figure(figsize=(3.1 * count, 3.2), layout="constrained")
        axes = figure.subplots(1, count)
        _roc(axes[0], found)
        _precision_recall(axes[1], found)
        if found.bins:
            error = found.metric(ECE)
            words = "" if error is None else f"ECE {error.value:.3f}" + _ends(error.low, error.high)
            reliability(axes[2], ((found.bins, BLUE, words),))
    return figure


def reliability_figure(curves: Sequence[tuple[Sequence[Bin], str, str]]) -> Figure:
    """Reliability of several calibrations of one finding: (bins, colour, words) each."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 3.4), layout="constrained")
        reliability(figure.subplots(), curves)
    return figure


def reliability(axes: Axes, curves: Sequence[tuple[Sequence[Bin], str, str]]) -> None:
    """Share of films with the finding over the score; a bar is the 95 % interval of the share (Wilson 1927)."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    top = 0.0
    for bins, colour, words in curves:
        said = [part.said for part in bins]
        found = [part.found for part in bins]
        ends = np.array([_wilson(part.found, part.films) for part in bins])
        top = max(top, *said, float(ends.max()))
        bars = [np.subtract(found, ends[:, 0]), np.subtract(ends[:, 1], found)]
        axes.errorbar(said, found, bars, fmt="o-", color=colour, markersize=3.5, capsize=2, linewidth=0.9, label=words)
    side = 1.0 if top > 0.5 else top * 1.1
    _square(axes, "score", "share of films with it", side)
    axes.set_title("Reliability", fontsize=9)
    axes.legend(loc="upper left", fontsize=8)


def paired_roc(curves: Sequence[tuple[Values, str, str]]) -> Figure:
    """ROC curves of several models: (curve, colour, words) each."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        for curve, colour, words in curves:
            axes.plot(*_thinned(curve), color=colour, linewidth=1.3, label=words)
        _square(axes, "1 - specificity", "sensitivity", 1.0)
        axes.legend(loc="lower right", fontsize=8)
    return figure


def _roc(axes: Axes, found: LabelFigures) -> None:
    area = found.metric(AUC)
    words = "" if area is None else f"AUC {area.value:.3f}" + _ends(area.low, area.high)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.plot(*_thinned(found.roc), color=BLUE, linewidth=1.4, label=words)
    sensitivity, specificity = found.metric(SENSITIVITY), found.metric(SPECIFICITY)
    if sensitivity is not None and specificity is not None:
        axes.plot(1 - specificity.value, sensitivity.value, "o", color=ORANGE, markersize=5, label="operating point")
    _square(axes, "1 - specificity", "sensitivity", 1.0)
    axes.set_title("ROC", fontsize=9)
    axes.legend(loc="lower right", fontsize=8)


def _precision_recall(axes: Axes, found: LabelFigures) -> None:
    area = found.metric(PRECISION)
    words = "" if area is None else f"average {area.value:.3f}" + _ends(area.low, area.high)
    axes.axhline(found.positives / found.films, color=GREY, linewidth=0.8)
    axes.plot(*_thinned(found.precision_recall), color=BLUE, linewidth=1.4, label=words, drawstyle="steps-post")
    _square(axes, "sensitivity (recall)", "precision", 1.0)
    axes.set_title("Precision and recall", fontsize=9)
    axes.legend(loc="best", fontsize=8)


def _square(axes: Axes, across: str, up: str, side: float) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.02 * side, 1.02 * side), ylim=(-0.02 * side, 1.02 * side), box_aspect=1)


def _thinned(curve: Values) -> Values:
    """At most so many points as can be told apart."""
    count = curve.shape[1]
    if count <= _MOST_POINTS:
        return curve
    return np.asarray(curve[:, np.unique(np.linspace(0, count - 1, _MOST_POINTS).round().astype(int))])


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"


def _wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))) / (1 + z * z / count)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))
