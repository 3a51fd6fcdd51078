"""Two models on the same films: what one does better, with an interval of the difference.

Both are looked at in the same draws of patients, so that what is hard about a film falls out of the difference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_viewer.core.modelcard import Metric
from cxr_viewer.training.measure import (
    ACCURACY,
    AUC,
    BALANCED,
    PRECISION,
    RESAMPLES,
    SENSITIVITY,
    SPECIFICITY,
    Draws,
    Values,
    auc_of,
    decided_cells,
    decisions,
    interval,
    precision_of,
)

FIGURES = (AUC, PRECISION, ACCURACY, BALANCED, SENSITIVITY, SPECIFICITY)


def paired_metrics(
    label: str,
    truth: Values,
    first: tuple[Values, float],
    second: tuple[Values, float],
    patients: Sequence[str],
    data: str,
    *,
    group: str = "",
    names: Sequence[str] = FIGURES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Metric, ...]:
    """How much more the second model does than the first: differences of figures, second minus first.

    Args:
        truth: float (films,), 1, 0 or nan (unknown: not counted).
        names: which figures, of :data:`FIGURES`.
        first, second: scores (films,) and the operating point on them.
    """
    known = np.isfinite(truth)
    of = np.asarray(patients, dtype=np.str_)[known].tolist()
    if not of:
        return ()
    ill = truth[known]
    draws = Draws.of(of, resamples, seed)
    once = draws.once()
    found: list[tuple[str, float, Values]] = []
    for name, statistic in ((AUC, auc_of), (PRECISION, precision_of)):
        if name not in names:
            continue
        one, other = statistic(ill, first[0][known]), statistic(ill, second[0][known])
        found.append((name, float((once.each(other) - once.each(one))[0]), draws.each(other) - draws.each(one)))
    cells = [decided_cells(ill, scores[known] >= threshold) for scores, threshold in (first, second)]
    values = [decisions(once.sums(cell)) for cell in cells]
    drawn = [decisions(draws.sums(cell)) for cell in cells]
    found += [
        (name, float((values[1][name] - values[0][name])[0]), drawn[1][name] - drawn[0][name])
        for name in FIGURES[2:]
        if name in names
    ]
    positives = int((ill == 1).sum())
    return tuple(
        Metric(f"{name} difference", value, low, high, data, len(of), label, group, positives)
        for name, value, (low, high) in ((name, value, interval(drawn)) for name, value, drawn in found)
        if np.isfinite(value)
    )
