"""Whether a model's maps show the place, measured on boxes drawn by people, beside a guess that never saw the film.

What is measured is what the reader sees: the maps come from the program's own runner and lie on the film as they are
drawn, so that a fault of placement would cost as much as one of the network.

* **Pointing game** (Zhang et al., ECCV 2016): the centre of the hottest cell lies in the box; no tolerance, an empty
  map misses. Against it: the one point per finding that lies in most boxes of other patients.
* **Overlap**: of the map as drawn, the hottest part that has the area of the mean box of other patients, as
  intersection over union with the box. The threshold so never saw the boxes. Against it: one box made of those of other
  patients.

Intervals are 95 % percentile intervals of 4000 draws of patients. A map counts as better than the fixed point where the
lower bound of the paired difference of the pointing game is above 0 even when the interval is widened for the number of
methods tried together (Bonferroni): the best of eight looks good by chance. Every box counts, whatever the score: the
finding is on the film.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, Heatmap, MapEvidence, ModelCard
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.imaging.heatmap import heatmap_on_image
from cxr_viewer.inference import explain
from cxr_viewer.inference.cards import CARD_NAME, read_card, write_card
from cxr_viewer.inference.catalog import BundleCatalog, bundle_dirs
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.training.boxes import GRID_PX, Box, BoxData, BoxedFilm, Guess, finding_name, overlap, read_boxes
from cxr_viewer.training.films import film_radiograph

LEAST_PATIENTS = 10
"""Fewer say nothing that a card could hold: the finding's maps stay "not tested"."""

EVERYTHING = "All findings"
_RESAMPLES = 4000
_HEART, _HEART_FINDING = 2, "cardiomegaly"

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Held:
    """One map held against the boxes of its finding on one film.

    Attributes:
        hit, iou: of the map; ``fixed_hit``, ``fixed_iou`` of the guess.
    """

    label: str
    image_id: str
    patient: str
    hit: bool
    iou: float
    fixed_hit: bool
    fixed_iou: float


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a map's heat lies in an organ, beside how much of the film the organ covers (both 0..1)."""

    image_id: str
    heart: float
    heart_area: float
    chest: float
    chest_area: float


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one finding (or of all) by one method.

    Attributes:
        patients: how many the boxes come from.
        gain, gain_low, gain_high: pointing of the map less that of the fixed point, with its interval.
    """

    evidence: MapEvidence
    patients: int
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True, slots=True)
class Localisation:
    """Everything measured of one model.

    Attributes:
        rows: per method, per finding, all findings last.
        shares: per method, of films labelled with an enlarged heart; the organs were outlined by a machine.
    """

    model_id: str
    version: str
    sha256: str
    data: str
    rows: tuple[Row, ...]
    shares: dict[str, tuple[Share, ...]]
    held: dict[str, tuple[Held, ...]] = field(repr=False)

    def evidence(self) -> tuple[MapEvidence, ...]:
        """What the card can hold: findings with boxes of at least ten patients."""
        return tuple(
            row.evidence for row in self.rows if row.evidence.label != EVERYTHING and row.patients >= LEAST_PATIENTS
        )


def localise(
    runner: LocalRunner, card: ModelCard, data: BoxData, methods: Sequence[str], *, note: str = "", quiet: bool = False
) -> Localisation:
    """Measure a model's maps.

    Args:
        runner: knows the model.
        methods: names of map methods, see ``cxr_viewer.inference.explain.METHODS``.
        note: more words about the data, for the card.

    Raises:
        CxrError: the model has no finding with boxes, or gives no maps by a method; a film cannot be read.
    """
    labels = {finding_name(label.name): label.name for label in card.labels}
    films = [film for film in data.films if _wanted(film, labels, data.guesses)]
    if not any(finding in labels for film in films for finding in film.boxes):
        raise CxrError(
            f"None of the boxes is of a finding that “{card.name}” knows.",
            hint="Only a classifier of findings that NIH has boxes for can be measured.",
            code="no-boxes",
        )
    held: dict[str, tuple[Held, ...]] = {}
    shares: dict[str, tuple[Share, ...]] = {}
    for method in methods:
        pairs, parts = [], []
        for film in tqdm(films, desc=method, unit="film", disable=quiet or None, leave=False):
            image = film_radiograph(film.path)
            maps = {finding_name(each.label): each for each in _maps(runner, card, image, method)}
            for finding, boxes in film.boxes.items():
                if finding in data.guesses and (finding in maps or (finding in labels and not maps)):
                    pairs.append(_held(labels[finding], film, maps.get(finding), image, data.guesses[finding], boxes))
            if film.organs is not None and _HEART_FINDING in film.marks and _HEART_FINDING in maps:
                parts.append(_share(film, maps[_HEART_FINDING], image))
        held[method], shares[method] = tuple(pairs), tuple(parts)
    some = next(iter(held.values()))
    text = (
        f"{len(some)} boxes on {len({pair.image_id for pair in some})} NIH films of "
        f"{len({pair.patient for pair in some})} patients ({data.name})"
    )
    text += f"; {note}" if note else ""
    rows = [row for method, pairs in held.items() for row in _rows(method, pairs, text, len(held))]
    return Localisation(card.model_id, card.version, card.sha256, text, tuple(rows), shares, held)


def localise_bundle(
    model: str,
    folders: Sequence[Path],
    methods: Sequence[str],
    *,
    boxes: Path | None = None,
    split: str = "test",
    note: str = "",
    write: bool = False,
    quiet: bool = False,
) -> Localisation:
    """Measure an installed model, or the bundle in a folder.

    Args:
        model: id or folder.
        folders, boxes, split: see :func:`cxr_viewer.training.boxes.read_boxes`.
        methods: empty for all that the model allows.
        write: put what was found into the card, in place of what it said of these methods.

    Raises:
        CxrError: see :func:`localise`; no such model.
        OSError: the card cannot be written.
    """
    catalog, model_id = BundleCatalog(), model
    if (Path(model) / CARD_NAME).is_file():
        # Its neighbours first, then those of the program: a model that reads only the lungs needs the anatomy model.
        dirs = (Path(model).resolve().parent, *bundle_dirs())
        catalog, model_id = BundleCatalog(dirs), read_card(Path(model)).model_id
    card = catalog.card(model_id)
    data = read_boxes(folders, boxes, split)
    runner = LocalRunner(catalog)
    try:
        asked = tuple(methods) or explain.methods_of(card, has_head(runner, card, data))
        found = localise(runner, card, data, asked, note=note, quiet=quiet)
    finally:
        runner.close()
    if write:
        kept = tuple(old for old in card.map_evidence if old.method not in asked)
        write_card(replace(card, map_evidence=kept + found.evidence()), catalog.folder(model_id) / CARD_NAME)
    return found


def has_head(runner: LocalRunner, card: ModelCard, data: BoxData) -> bool:
    """Whether the model gives maps from its one pass, found out on the first film that it looks at."""
    for film in data.films:
        request = AnalysisRequest(-1, 0, film_radiograph(film.path), card.model_id, override=True)
        try:
            return bool(runner.analyse(request, CancelToken(), lambda stage: None).heatmaps)
        except RefusalError:  # no lungs on this one
            continue
    return False


def hottest(heatmap: Heatmap) -> tuple[float, float] | None:
    """Centre of the hottest cell, (x, y) in image pixels; None where there is no heat."""
    values = heatmap.values
    if not values.max(initial=0.0) > 0:
        return None
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    extent = heatmap.extent
    return (
        extent.x + (column + 0.5) * extent.width / values.shape[1],
        extent.y + (row + 0.5) * extent.height / values.shape[0],
    )


def outline(heat: NDArray[np.float32], share: float) -> Mask:
    """The hottest part of a map, bool like ``heat``: as many places as ``share`` (0..1) of them, none without heat."""
    wanted = round(share * heat.size)
    level = np.partition(heat.ravel(), heat.size - wanted)[heat.size - wanted] if wanted else np.inf
    part: Mask = (heat >= level) & (heat > 0)
    return part


def as_markdown(found: Localisation) -> str:
    """The figures for people."""
    lines = [
        f"`{found.model_id}` {found.version}: {found.data}. Intervals: 95 %, drawn over patients.",
        "",
        "| finding | boxes | method | point in the box | fixed point | difference | IoU | fixed box | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(found.rows, key=lambda row: (row.evidence.label == EVERYTHING, row.evidence.label)):
        each = row.evidence
        verdict = "better than the fixed point" if each.beats_fixed else "not better"
        if row.patients < LEAST_PATIENTS:
            verdict = "too few to tell"
        cells = (
            each.label,
            str(each.count),
            each.method,
            f"{each.pointing:.2f} ({each.low:.2f} to {each.high:.2f})",
            f"{each.fixed_point:.2f}",
            f"{row.gain:+.2f} ({row.gain_low:+.2f} to {row.gain_high:+.2f})",
            f"{each.iou:.2f}",
            f"{each.fixed_iou:.2f}",
            verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    if any(found.shares.values()):
        lines += [
            "",
            "Cardiomegaly, on films with that label whose organs a machine outlined plausibly (not used for trust):",
            "",
            "| method | films | heat in the heart | area of the heart | heat in lungs or heart | area of both |",
            "|---|---|---|---|---|---|",
        ]
    for method, parts in found.shares.items():
        if parts:
            means = [np.mean([getattr(part, name) for part in parts]) for name in _SHARES]
            lines.append(f"| {method} | {len(parts)} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return "\n".join(lines) + "\n"


_SHARES = ("heart", "heart_area", "chest", "chest_area")


def save(found: Localisation, folder: Path) -> None:
    """Write ``localisation.json`` and ``localisation.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "localisation.json").write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    (folder / "localisation.md").write_text(as_markdown(found), encoding="utf-8")


# ---------------------------------------------------------------- one film


def _wanted(film: BoxedFilm, labels: dict[str, str], guesses: dict[str, Guess]) -> bool:
    boxed = any(finding in labels and finding in guesses for finding in film.boxes)
    return boxed or (film.organs is not None and _HEART_FINDING in film.marks and _HEART_FINDING in labels)


def _maps(runner: LocalRunner, card: ModelCard, image: Radiograph, method: str) -> tuple[Heatmap, ...]:
    """The maps of a film; none where the model declines it, so that all its boxes are missed. What the film check would
    keep back is asked about all the same."""
    request = AnalysisRequest(-1, 0, image, card.model_id, method, override=True)
    try:
        result = runner.analyse(request, CancelToken(), lambda stage: None)
    except RefusalError:
        return ()
    if not result.heatmaps:
        said = next((caution.text for caution in result.cautions if caution.code == "no-map"), "")
        raise CxrError(f"The model “{card.name}” gives no maps by {method}.", hint=said, code="no-map")
    return result.heatmaps


def _held(
    label: str, film: BoxedFilm, heatmap: Heatmap | None, image: Radiograph, guessed: Guess, boxes: tuple[Box, ...]
) -> Held:
    """``heatmap`` None: the model declined the film."""
    point = None if heatmap is None else hottest(heatmap)
    masks = np.any([box.mask() for box in boxes], axis=0)
    heat = np.zeros((GRID_PX, GRID_PX), dtype=np.float32) if heatmap is None else _on_grid(heatmap, image)
    part = outline(heat, guessed.box.width * guessed.box.height)
    return Held(
        label=label,
        image_id=film.image_id,
        patient=film.patient,
        hit=point is not None and any(box.holds(point[0] / image.columns, point[1] / image.rows) for box in boxes),
        iou=overlap(part, masks),
        fixed_hit=any(box.holds(guessed.x, guessed.y) for box in boxes),
        fixed_iou=overlap(guessed.box.mask(), masks),
    )


def _on_grid(heatmap: Heatmap, image: Radiograph) -> NDArray[np.float32]:
    """The map as drawn, float32 (256, 256) over the whole film; NIH's films are square."""
    drawn = heatmap_on_image(heatmap, image.rows, image.columns)
    return np.asarray(cv2.resize(drawn, (GRID_PX, GRID_PX), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _share(film: BoxedFilm, heatmap: Heatmap, image: Radiograph) -> Share:
    organs = cv2.imread(str(film.organs), cv2.IMREAD_GRAYSCALE)
    if organs is None:
        raise CxrError(f"The mask of “{film.path.name}” cannot be read.", code="unreadable-film")
    organs = cv2.resize(organs, (GRID_PX, GRID_PX), interpolation=cv2.INTER_NEAREST)
    heat = _on_grid(heatmap, image).astype(np.float64)
    total = max(float(heat.sum()), 1e-12)
    heart, chest = organs == _HEART, organs > 0
    return Share(
        film.image_id,
        float(heat[heart].sum()) / total,
        float(heart.mean()),
        float(heat[chest].sum()) / total,
        float(chest.mean()),
    )


# ---------------------------------------------------------------- figures


def _rows(method: str, pairs: Sequence[Held], data: str, tried: int) -> list[Row]:
    labels = sorted({pair.label for pair in pairs})
    rows = [_row(label, method, [pair for pair in pairs if pair.label == label], data, tried) for label in labels]
    return [*rows, _row(EVERYTHING, method, pairs, data, tried)] if len(labels) > 1 else rows


def _row(label: str, method: str, pairs: Sequence[Held], data: str, tried: int) -> Row:
    hits = np.array([pair.hit for pair in pairs], dtype=np.float64)
    gains = hits - np.array([pair.fixed_hit for pair in pairs], dtype=np.float64)
    patients = len({pair.patient for pair in pairs})
    draws = _patient_draws(tuple(pair.patient for pair in pairs), _RESAMPLES, 0)
    low, high = np.percentile([hits[draw].mean() for draw in draws], (2.5, 97.5))
    cautious, gain_low, gain_high = np.percentile([gains[draw].mean() for draw in draws], (2.5 / tried, 2.5, 97.5))
    evidence = MapEvidence(
        label=label,
        method=method,
        pointing=float(hits.mean()),
        low=float(low),
        high=float(high),
        fixed_point=float(np.mean([pair.fixed_hit for pair in pairs])),
        iou=float(np.mean([pair.iou for pair in pairs])),
        fixed_iou=float(np.mean([pair.fixed_iou for pair in pairs])),
        count=len(pairs),
        data=data,
        beats_fixed=bool(cautious > 0) and patients >= LEAST_PATIENTS,
    )
    return Row(evidence, patients, float(gains.mean()), float(gain_low), float(gain_high))


def _patient_draws(groups: tuple[str, ...], resamples: int, seed: int) -> list[NDArray[np.int64]]:
    """Film indices of ``resamples`` draws of patients with replacement."""
    generator = np.random.default_rng(seed)
    _, member = np.unique(np.array(groups), return_inverse=True)
    films_of = [np.flatnonzero(member == patient) for patient in range(int(member.max()) + 1)]
    return [
        np.concatenate([films_of[patient] for patient in generator.integers(len(films_of), size=len(films_of))])
        for _ in range(resamples)
    ]
