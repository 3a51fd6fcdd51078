"""Reading and writing ``card.toml``, the paper a model comes with.

A bundle is a folder with ``card.toml``, ``weights.safetensors`` and ``README.md``. The card names the digest of the
weights: scores, operating points and calibration hold for these weights only.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import InputSpec, LabelSpec, Metric, ModelCard, ScoreKind
from cxr_viewer.core.image import View

CARD_NAME = "card.toml"
WEIGHTS_NAME = "weights.safetensors"
SCHEMA = 1
_FITS = ("pad", "crop", "stretch")
_KINDS = {kind.name.lower().replace("_", "-"): kind for kind in ScoreKind}


def file_sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_weights(folder: Path, card: ModelCard) -> Path:
    """The weights of a bundle, once their digest was found to be the card's.

    Raises:
        ModelError: the weights are missing or are not those of the card (code ``weights-damaged``).
    """
    path = folder / WEIGHTS_NAME
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise ModelError(
            f"The weights of the model “{card.name}” cannot be read.",
            hint="Install the model again.",
            detail=str(error),
            code="weights-missing",
        ) from error
    if digest != card.sha256:
        raise ModelError(
            f"The weights of the model “{card.name}” are damaged or belong to another version.",
            hint="Install the model again; until then it gives no scores.",
            detail=f"expected sha256 {card.sha256}, found {digest}",
            code="weights-damaged",
        )
    return path


def read_card(path: Path) -> ModelCard:
    """Read ``card.toml`` (or the card in the bundle folder ``path``).

    Raises:
        ModelError: unreadable, not TOML, or a fault in a value; the summary names the first fault, ``detail`` all.
    """
    path = path / CARD_NAME if path.is_dir() else path
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
    except OSError as error:
        raise _card_error(path, "The model's card cannot be read", [str(error)], "card-missing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _card_error(path, "The model's card is not valid TOML", [str(error)], "card-damaged") from error
    return card_from_dict(data, path)


def card_from_dict(data: Mapping[str, Any], path: Path = Path(CARD_NAME)) -> ModelCard:
    """A card from parsed TOML.

    Raises:
        ModelError: see :func:`read_card`.
    """
    if data.get("schema") != SCHEMA:
        fault = f"schema is {data.get('schema')!r}, this program reads {SCHEMA}"
        raise _card_error(path, "The model's card has another schema", [fault], "card-schema")
    reader = _Reader(data)
    kind_name = reader.text("score_kind")
    kind = _KINDS.get(kind_name)
    if kind is None:
        reader.faults.append(f"score_kind is {kind_name!r}, not one of {', '.join(_KINDS)}")
    ages = reader.section("intended").get("ages_years")
    card = ModelCard(
        model_id=reader.text("id"),
        name=reader.text("name"),
        version=reader.text("version"),
        network=reader.text("network"),
        sha256=reader.text("sha256"),
        licence=reader.text("licence"),
        labels=tuple(_label(_Reader(item, reader.faults, "labels.")) for item in reader.tables("labels")),
        score_kind=kind or ScoreKind.UNCALIBRATED,
        input=_input_spec(_Reader(reader.section("input"), reader.faults, "input.")),
        temperature=_Reader(reader.section("calibration"), reader.faults, "calibration.").number("temperature"),
        bias=_Reader(reader.section("calibration"), reader.faults, "calibration.").number("bias"),
        intended_ages=_ages(ages, reader.faults),
        intended_views=tuple(str(view) for view in reader.section("intended").get("views", ())),
        intended_use=_Reader(reader.section("intended"), reader.faults, "intended.").text("use"),
        trained_on=reader.text("trained_on"),
        metrics=tuple(_metric(_Reader(item, reader.faults, "metrics.")) for item in reader.tables("metrics")),
        cautions=tuple(str(caution) for caution in data.get("cautions", ())),
    )
    faults = reader.faults or card_faults(card)
    if faults:
        raise _card_error(path, "The model's card has a fault", faults, "card-invalid")
    return card


def card_faults(card: ModelCard) -> list[str]:
    """What is wrong with a card, one sentence fragment per fault; empty for a good one."""
    faults = []
    if not card.model_id or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in card.model_id):
        faults.append(f"id {card.model_id!r} may hold only letters, digits, '-', '_' and '.'")
    if len(card.sha256) != 64 or any(c not in "0123456789abcdef" for c in card.sha256):
        faults.append("sha256 is not a digest of 64 lower-case hexadecimal digits")
    if not card.labels:
        faults.append("labels are missing")
    names = [label.name for label in card.labels]
    if len(set(names)) != len(names):
        faults.append("two labels have the same name")
    faults += ["labels.name is empty" for name in names if not name]
    bounded = card.score_kind is not ScoreKind.LOGIT
    for label in card.labels:
        if not math.isfinite(label.threshold) or (bounded and not 0 <= label.threshold <= 1):
            faults.append(f"the threshold of {label.name!r} is {label.threshold}, not between 0 and 1")
    if card.input.size_px < 16:
        faults.append(f"input.size_px is {card.input.size_px}, at least 16 is needed")
    if card.input.fit not in _FITS:
        faults.append(f"input.fit is {card.input.fit!r}, not one of {', '.join(_FITS)}")
    if not card.input.std > 0:
        faults.append(f"input.std is {card.input.std}, not above 0")
    if not (card.temperature > 0 and math.isfinite(card.temperature) and math.isfinite(card.bias)):
        faults.append(f"calibration has temperature {card.temperature} and bias {card.bias}")
    if card.intended_ages is not None and not 0 <= card.intended_ages[0] <= card.intended_ages[1]:
        faults.append(f"intended.ages_years is {list(card.intended_ages)}, not [youngest, oldest]")
    known = {view.value for view in View if view.value}
    faults += [f"intended.views names {view!r}" for view in card.intended_views if view not in known]
    return faults


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card so that :func:`read_card` gives the same one back.

    Raises:
        ModelError: the card has a fault.
        OSError: the file cannot be written.
    """
    faults = card_faults(card)
    if faults:
        raise _card_error(path, "The model's card has a fault", faults, "card-invalid")
    path.write_bytes(tomli_w.dumps(card_to_dict(card)).encode("utf-8"))


def card_to_dict(card: ModelCard) -> dict[str, Any]:
    """A card as plain values in the order of ``card.toml``."""
    intended: dict[str, Any] = {"use": card.intended_use, "views": list(card.intended_views)}
    if card.intended_ages is not None:
        intended["ages_years"] = [float(age) for age in card.intended_ages]
    return {
        "schema": SCHEMA,
        "id": card.model_id,
        "name": card.name,
        "version": card.version,
        "network": card.network,
        "sha256": card.sha256,
        "licence": card.licence,
        "score_kind": card.score_kind.name.lower().replace("_", "-"),
        "trained_on": card.trained_on,
        "cautions": list(card.cautions),
        "intended": intended,
        "calibration": {"temperature": card.temperature, "bias": card.bias},
        "input": {
            "size_px": card.input.size_px,
            "fit": card.input.fit,
            "crop_border": card.input.crop_border,
            "mean": card.input.mean,
            "std": card.input.std,
        },
        "labels": [
            {"name": label.name, "threshold": label.threshold, "description": label.description}
            for label in card.labels
        ],
        "metrics": [_metric_to_dict(metric) for metric in card.metrics],
    }


def _metric_to_dict(metric: Metric) -> dict[str, Any]:
    out: dict[str, Any] = {"name": metric.name, "value": metric.value, "data": metric.data}
    if metric.low is not None and metric.high is not None:
        out |= {"low": metric.low, "high": metric.high}
    if metric.count is not None:
        out["count"] = metric.count
    return out


class _Reader:
    """Typed access to a TOML table that notes faults instead of stopping at the first."""

    def __init__(self, table: Mapping[str, Any], faults: list[str] | None = None, prefix: str = "") -> None:
        self.table = table
        self.faults: list[str] = faults if faults is not None else []
        self._prefix = prefix

    def text(self, name: str) -> str:
        value = self.table.get(name)
        if isinstance(value, str) and value.strip():
            return value
        self.faults.append(f"{self._prefix}{name} is missing or not a text")
        return ""

    def number(self, name: str) -> float:
        value = self.table.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        self.faults.append(f"{self._prefix}{name} is missing or not a number")
        return 0.0

    def optional_number(self, name: str) -> float | None:
        return self.number(name) if name in self.table else None

    def flag(self, name: str) -> bool:
        value = self.table.get(name)
        if isinstance(value, bool):
            return value
        self.faults.append(f"{self._prefix}{name} is missing or neither true nor false")
        return False

    def section(self, name: str) -> Mapping[str, Any]:
        value = self.table.get(name)
        if isinstance(value, Mapping):
            return value
        self.faults.append(f"the section [{name}] is missing")
        return {}

    def tables(self, name: str) -> list[Mapping[str, Any]]:
        value = self.table.get(name, [])
        if isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            return value
        self.faults.append(f"[[{name}]] is not a list of tables")
        return []


def _label(reader: _Reader) -> LabelSpec:
    return LabelSpec(reader.text("name"), reader.number("threshold"), str(reader.table.get("description", "")))


def _input_spec(reader: _Reader) -> InputSpec:
    return InputSpec(
        size_px=int(reader.number("size_px")),
        fit=reader.text("fit"),
        crop_border=reader.flag("crop_border"),
        mean=reader.number("mean"),
        std=reader.number("std"),
    )


def _metric(reader: _Reader) -> Metric:
    count = reader.optional_number("count")
    return Metric(
        name=reader.text("name"),
        value=reader.number("value"),
        low=reader.optional_number("low"),
        high=reader.optional_number("high"),
        data=reader.text("data"),
        count=None if count is None else int(count),
    )


def _ages(value: object, faults: list[str]) -> tuple[float, float] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(age, int | float) for age in value):
        return (float(value[0]), float(value[1]))
    faults.append("intended.ages_years is not a list of two numbers")
    return None


def _card_error(path: Path, what: str, faults: list[str], code: str) -> ModelError:
    bundle = path.parent.name or path.name
    return ModelError(
        f"{what} ({bundle}: {faults[0]}).",
        hint="Install the model again, or mend the named line of card.toml.",
        detail="\n".join(faults),
        code=code,
    )
