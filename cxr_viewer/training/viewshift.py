"""What the view of a film adds to the logit of a finding, so that one threshold does alike on PA and on AP films.

Ill patients are filmed lying, from the front. A network that sees the view gives every AP film more of nearly every
finding, and a threshold chosen on all films together then stops most AP films and hardly any PA film.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_viewer.core.modelcard import ViewTerm
from cxr_viewer.training.measure import Values

BASE = "PA"
OTHERS = ("AP",)
_LEAST_FILMS = 50
LEVEL = 0.75
"""Share of the films without a finding that lie below the same logit in every view; near what Youden's point clears."""


def fit_view_terms(truth: Values, logits: Values, views: Sequence[str]) -> tuple[ViewTerm, ...]:
    """The shift of each view against PA by which three of four films without the finding lie below the same logit.

    Only films without the finding decide, so that how common it is in a view does not come in.

    Args:
        truth: (films,), 1, 0 or nan (unknown).
        logits: (films,).
        views: of each film.

    Returns:
        Empty where fewer than fifty films without the finding show PA, or a view.
    """
    shown = np.asarray(views, dtype=np.str_)
    well = truth == 0
    base = logits[well & (shown == BASE)]
    out = []
    for view in OTHERS:
        other = logits[well & (shown == view)]
        if min(base.size, other.size) >= _LEAST_FILMS:
            out.append(ViewTerm(view, round(float(np.quantile(base, LEVEL) - np.quantile(other, LEVEL)), 4)))
    return tuple(out)


def with_view(logits: Values, views: Sequence[str], terms: Sequence[ViewTerm]) -> Values:
    """Logits (films,) as a reader's film would have them: shifted where the view is one of the terms'."""
    shifts = {term.view: term.shift for term in terms}
    return np.asarray(logits + np.array([shifts.get(view, 0.0) for view in views]), dtype=np.float64)
