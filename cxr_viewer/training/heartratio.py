"""What the measured cardiothoracic ratio adds to the logit of a finding, as a reader is told (``RatioTerm``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.image import View
from cxr_viewer.core.modelcard import RatioTerm
from cxr_viewer.inference.anatomy import anatomy_of
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import read_card, verify_weights
from cxr_viewer.inference.networks import SegmentNetwork, load_segmenter
from cxr_viewer.inference.preprocess import ModelInput, see
from cxr_viewer.training.asking import informed
from cxr_viewer.training.films import FilmReader
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.measure import Values

_BATCH = 16
_LEAST_OF_EACH = 10


def fit_ratio(truth: Values, logits: Values, ratios: Values) -> RatioTerm | None:
    """The term by which the ratio and the logit together tell a finding best (logistic regression of both).

    Args:
        truth: (films,), 1, 0 or nan (unknown).
        logits: (films,).
        ratios: (films,), nan where it could not be measured.

    Returns:
        None where fewer than ten films of a kind have a ratio, or where a wider heart would count against the finding,
        or the logit against it: then the ratio has nothing to add.
    """
    from sklearn.linear_model import LogisticRegression

    use = np.isfinite(truth) & np.isfinite(ratios)
    labels = truth[use].astype(np.int64)
    if min(int(labels.sum()), int((1 - labels).sum())) < _LEAST_OF_EACH:
        return None
    centre = float(ratios[use].mean())
    spread = max(float(ratios[use].std()), 1e-6)
    told = np.column_stack([logits[use], (ratios[use] - centre) / spread])
    by_logit, by_ratio = LogisticRegression(C=10.0).fit(told, labels).coef_[0]
    if by_logit <= 0 or by_ratio <= 0:
        return None
    return RatioTerm(round(float(by_ratio / spread / by_logit), 4), round(centre, 4))


def with_ratio(logits: Values, ratios: Values, term: RatioTerm | None) -> Values:
    """Logits (films,) as a reader's film would have them: changed where the ratio could be measured."""
    if term is None:
        return logits
    return np.where(np.isfinite(ratios), logits + term.weight * (np.nan_to_num(ratios) - term.centre), logits)


def ratios_of(records: Sequence[FilmRecord], bundle: Path, *, quiet: bool = False) -> Values:
    """The cardiothoracic ratio of every film by the anatomy model, as in reading; nan where it may not be built on.

    Args:
        bundle: folder of the anatomy model.

    Raises:
        CxrError: a film cannot be read, or the bundle is damaged.
    """
    card = read_card(bundle)
    network = load_segmenter(card.network, len(card.labels), load_file(verify_weights(bundle, card)))
    network = network.to(memory_format=torch.channels_last)
    out = np.full(len(records), math.nan)
    bar = tqdm(total=len(records), desc="Measuring hearts", unit="film", disable=quiet or None, leave=False)
    with FilmReader() as reader, bar:
        for start in range(0, len(records), _BATCH):
            images = [informed(reader.read(one.path), one) for one in records[start : start + _BATCH]]
            given = [see(image, card.input) for image in images]
            for place, maps in enumerate(_probabilities(network, card, given)):
                anatomy = anatomy_of(images[place], maps, given[place].seen, _frontal(images[place].view), card)
                if anatomy.trusted and anatomy.callipers is not None:
                    out[start + place] = anatomy.callipers.ratio(images[place].spacing)
            bar.update(len(images))
    return out


def _probabilities(network: SegmentNetwork, card: ModelCard, given: Sequence[ModelInput]) -> np.ndarray:
    """float32 (films, labels, h, w)."""
    films = torch.from_numpy(np.stack([one.film for one in given]))
    with torch.inference_mode():
        logits = network(films.contiguous(memory_format=torch.channels_last)).double().numpy()
    return np.asarray(Calibration(card.temperature, card.bias).probability(logits), dtype=np.float32)


def _frontal(view: View) -> View:
    """A view that says nothing against measuring."""
    return view if view in (View.PA, View.AP) else View.UNKNOWN
