"""The calibration a site made of a model on its own films: one small file per model in the user's data folder.

The file names the digest of the weights it was made for; for any other weights it counts as none. What travels with the
model is never changed, so that both are there and either can be used.
"""

from __future__ import annotations

import math
import os
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import ModelCard, ScoreKind, SiteCalibration, SiteLabel
from cxr_viewer.inference import cardlabels
from cxr_viewer.inference.cardreader import Reader
from cxr_viewer.inference.cardtables import fields_to_dict, metric

FOLDER = "calibrations"
"""Name of the folder in the program's data folder, beside ``models``."""
LONGEST_SITE = 60
FITTED = ("none", "temperature", "temperature and bias")
_SCHEMA = 1
_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A site's calibration as it lies on the disk.

    Attributes:
        in_use: films are scored with it; otherwise as shipped.
    """

    calibration: SiteCalibration
    in_use: bool


def file_of(folder: Path, model_id: str) -> Path:
    """The file of one model in the folder of calibrations."""
    return folder / f"{model_id}.toml"


def read(folder: Path, card: ModelCard) -> Kept | None:
    """The site's calibration of a model, None where there is none.

    Raises:
        ModelError: there is a file, and it is for other weights (``other-weights``) or faulty (``site-damaged``); the
            model can be used as shipped.
    """
    path = file_of(folder, card.model_id)
    try:
        if not os.path.lexists(path):
            return None
        if not path.is_file():
            raise OSError("it is not a plain file")  # a pipe would hold up whoever opens it
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            raise ValueError(f"it holds more than {_LARGEST_BYTES} bytes")
        data = tomllib.loads(raw.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(card, str(error)) from error
    if data.get("sha256") != card.sha256:
        raise ModelError(
            f"This site's calibration of “{card.name}” was made for other weights and is not used.",
            hint="Calibrate the model again (cxr-viewer calibrate); until then it scores as shipped.",
            detail=f"the calibration is for {data.get('sha256')!r}, the weights are {card.sha256}",
            code="other-weights",
        )
    reader = Reader(data)
    kept = _kept(reader)
    faults = reader.faults or list(_faults(data, kept.calibration, card))
    if faults:
        raise _unusable(card, "\n".join(faults))
    return kept


def write(folder: Path, card: ModelCard, calibration: SiteCalibration, *, in_use: bool) -> Path:
    """Keep a calibration in place of an older one, in one step; returns its file.

    Raises:
        ModelError: it does not belong to this model.
        OSError: the folder cannot be written.
    """
    data: dict[str, Any] = {
        "schema": _SCHEMA,
        "model": card.model_id,
        "sha256": card.sha256,
        "in_use": in_use,
        **fields_to_dict(calibration),
    }
    faults = list(_faults(data, calibration, card))
    if faults:
        raise _unusable(card, "\n".join(faults))
    folder.mkdir(parents=True, exist_ok=True)
    path = file_of(folder, card.model_id)
    descriptor, name = tempfile.mkstemp(prefix=f".{card.model_id}-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(tomli_w.dumps(data).encode("utf-8"))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def use(folder: Path, card: ModelCard, *, site: bool) -> None:
    """Score with the site's calibration or as shipped; both are kept.

    Raises:
        ModelError: there is none for these weights (``no-site-calibration``), or like :func:`read`.
        OSError: the folder cannot be written.
    """
    kept = read(folder, card)
    if kept is None:
        raise ModelError(
            f"There is no calibration of this site for “{card.name}”.",
            hint="Make one with: cxr-viewer calibrate.",
            code="no-site-calibration",
        )
    if kept.in_use != site:
        write(folder, card, kept.calibration, in_use=site)


def _kept(reader: Reader) -> Kept:
    reader.whole("schema")
    reader.text("model")
    reader.text("sha256")
    calibration = SiteCalibration(
        site=reader.text("site"),
        made=reader.text("made"),
        films=reader.whole("films"),
        patients=reader.whole("patients"),
        labels=tuple(_label(item) for item in reader.items("labels")),
        metrics=tuple(metric(item) for item in reader.items("metrics")),
    )
    kept = Kept(calibration, reader.flag("in_use"))
    reader.no_others()
    return kept


def _label(reader: Reader) -> SiteLabel:
    label = SiteLabel(
        name=reader.text("name"),
        threshold=reader.number("threshold"),
        temperature=reader.number("temperature"),
        bias=reader.number("bias"),
        score_kind=reader.choice("score_kind", cardlabels.KINDS, ScoreKind.UNCALIBRATED),
        fitted=reader.text("fitted"),
        positives=reader.whole("positives"),
        point=reader.optional_text("point"),
        points=tuple(cardlabels.operating_point(item) for item in reader.items("points")),
    )
    reader.no_others()
    return label


def _faults(data: dict[str, Any], found: SiteCalibration, card: ModelCard) -> Iterable[str]:
    if data.get("schema") != _SCHEMA:
        yield f"schema is {data.get('schema')!r}, this program reads {_SCHEMA}"
    if data.get("model") != card.model_id:
        yield f"model is {data.get('model')!r}, not {card.model_id!r}"
    if not found.site.isprintable() or not 0 < len(found.site) <= LONGEST_SITE:
        yield f"site is not a name of at most {LONGEST_SITE} signs"
    if not 0 < found.patients <= found.films:
        yield f"made on {found.films} films of {found.patients} patients"
    names = [label.name for label in found.labels]
    known = {label.name for label in card.labels}
    yield from (f"labels: the model has no finding {name!r}" for name in names if name not in known)
    if not names or len(set(names)) < len(names):
        yield "labels: none, or one that stands there twice"
    for label in found.labels:
        if not (label.temperature > 0 and math.isfinite(label.temperature) and math.isfinite(label.bias)):
            yield f"labels: {label.name} has temperature {label.temperature} and bias {label.bias}"
        if label.fitted not in FITTED:
            yield f"labels: {label.name} was fitted by {label.fitted!r}, not one of {', '.join(FITTED)}"
        if label.score_kind is ScoreKind.LOGIT:
            yield f"labels: {label.name} gives no score between 0 and 1"
        for cut in (label.threshold, *(point.threshold for point in label.points)):
            if not 0 < cut < 1:
                yield f"labels: {label.name} has the threshold {cut}, not between 0 and 1"


def _unusable(card: ModelCard, detail: str) -> ModelError:
    return ModelError(
        f"This site's calibration of “{card.name}” cannot be used.",
        hint="Calibrate the model again (cxr-viewer calibrate); until then it scores as shipped.",
        detail=detail,
        code="site-damaged",
    )
