"""ROC and reliability plots of an evaluation."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from cxr_viewer.training.evaluate import Evaluation

_BINS = 10
_DPI = 80


def save_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write ``roc.png`` and ``reliability.png`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    with mpl.rc_context({"font.size": 9.0}):
        for name, draw in (("roc.png", _roc), ("reliability.png", _reliability)):
            figure = Figure(figsize=(4.6, 4.2), dpi=_DPI, layout="constrained")
            FigureCanvasAgg(figure)
            draw(figure, evaluation)
            figure.savefig(folder / name)
            out.append(folder / name)
    return out


def _roc(figure: Figure, evaluation: Evaluation) -> None:
    labels = np.array([row[2] for row in evaluation.scores])
    probabilities = np.array([row[4] for row in evaluation.scores])
    false, true, _ = roc_curve(labels, probabilities)
    area = evaluation.metric("AUC")
    axes = figure.add_subplot()
    axes.plot(false, true, drawstyle="steps-post", label=f"AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f})")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    specificity, sensitivity = evaluation.metric("specificity").value, evaluation.metric("sensitivity").value
    axes.plot(1 - specificity, sensitivity, "o", color="C3", label=f"operating point {evaluation.threshold:.2f}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(loc="lower right")
    axes.set_title(evaluation.data, fontsize=8)


def _reliability(figure: Figure, evaluation: Evaluation) -> None:
    labels = np.array([row[2] for row in evaluation.scores])
    probabilities = np.array([row[4] for row in evaluation.scores])
    which = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    for part in range(_BINS):
        inside = which == part
        count = int(inside.sum())
        if count == 0:
            continue
        said, found = float(probabilities[inside].mean()), float(labels[inside].mean())
        low, high = _wilson(found, count)
        upper.errorbar(said, found, [[found - low], [high - found]], fmt="o", color="C0", capsize=2, markersize=4)
    error = evaluation.metric("calibration error (ECE)")
    upper.set(ylabel="share with pneumonia", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    upper.set_title(f"{evaluation.data}\nECE {error.value:.3f} ({error.low:.3f} to {error.high:.3f})", fontsize=8)
    lower.hist(probabilities, bins=np.linspace(0, 1, _BINS + 1), color="0.5")
    lower.set(xlabel="score", ylabel="films")


def _wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return min(share, float(middle - half)), max(share, float(middle + half))
