"""The sections of ``card.toml`` as values of :mod:`cxr_viewer.core.findings`, and back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cxr_viewer.core.findings import (
    InputSpec,
    MapEvidence,
    Metric,
    ModelCard,
    OnnxSpec,
    Proof,
    RatioError,
    ScoreKind,
    Task,
)
from cxr_viewer.inference import cardlabels
from cxr_viewer.inference.cardlabels import KINDS, kind_word
from cxr_viewer.inference.cardreader import Reader
from cxr_viewer.inference.denoise import NON_LOCAL_MEANS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = 1
ONNX = "onnx"
"""The network of a card whose weights bring their own graph."""
TASKS = {task.value: task for task in Task}


def card_from_reader(reader: Reader) -> ModelCard:
    """A card from parsed TOML; what is wrong with its form is in ``reader.faults`` afterwards."""
    kind = reader.choice("score_kind", KINDS, ScoreKind.UNCALIBRATED)
    task = reader.choice("task", TASKS, Task.CLASSIFY) if "task" in reader.table else Task.CLASSIFY
    intended = reader.inner("intended")
    calibration = reader.inner("calibration")
    card = ModelCard(
        model_id=reader.text("id"),
        name=reader.text("name"),
        version=reader.text("version"),
        network=reader.text("network"),
        sha256=reader.text("sha256"),
        licence=reader.text("licence"),
        labels=tuple(cardlabels.label(item) for item in reader.items("labels")),
        score_kind=kind,
        input=_input_spec(reader.inner("input"), foreign=reader.table.get("network") == ONNX),
        temperature=calibration.number("temperature"),
        bias=calibration.number("bias"),
        intended_ages=_ages(intended),
        intended_views=intended.texts("views"),
        intended_use=intended.text("use"),
        trained_on=reader.text("trained_on"),
        metrics=tuple(metric(item) for item in reader.items("metrics")),
        cautions=reader.texts("cautions"),
        task=task,
        source=reader.optional_text("source"),
        proof=_proof(reader.inner("proof")) if "proof" in reader.table else None,
        onnx=_onnx(reader.inner("onnx")) if "onnx" in reader.table else None,
        map_evidence=tuple(_map_evidence(item) for item in reader.items("map_evidence")),
        serves=reader.optional_text("serves"),
        tried=tuple(cardlabels.tried(item) for item in reader.items("tried")),
        reference=cardlabels.reference(reader.inner("reference")) if "reference" in reader.table else None,
        ratio_error=reader.number("ratio_error") if "ratio_error" in reader.table else 0.0,
        view_ratio_errors=tuple(_ratio_error(item) for item in reader.items("view_ratio_errors")),
    )
    for section in (intended, calibration, reader):
        section.no_others()
    return card


def card_to_dict(card: ModelCard) -> dict[str, Any]:
    """A card as plain values in the order of ``card.toml``; what a card need not say is left out.

    A site's calibration is no part of the bundle, and is not written.
    """
    intended: dict[str, Any] = {"use": card.intended_use, "views": list(card.intended_views)}
    if card.intended_ages is not None:
        intended["ages_years"] = [float(age) for age in card.intended_ages]
    out: dict[str, Any] = {
        "schema": SCHEMA,
        "id": card.model_id,
        "name": card.name,
        "version": card.version,
        "network": card.network,
        "sha256": card.sha256,
        "licence": card.licence,
        "score_kind": kind_word(card.score_kind),
        "trained_on": card.trained_on,
        "cautions": list(card.cautions),
    }
    out |= {"task": card.task.value} if card.task is not Task.CLASSIFY else {}
    out |= {"serves": card.serves} if card.serves else {}
    out |= {"ratio_error": card.ratio_error} if card.ratio_error else {}
    out |= {"source": card.source} if card.source else {}
    out |= {
        "intended": intended,
        "calibration": {"temperature": card.temperature, "bias": card.bias},
        "input": _input_to_dict(card.input),
    }
    for name in ("proof", "onnx", "reference"):
        out |= {name: fields_to_dict(value)} if (value := getattr(card, name)) is not None else {}
    out |= {
        "labels": [fields_to_dict(label) for label in card.labels],
        "metrics": [fields_to_dict(item) for item in card.metrics],
    }
    for name in ("view_ratio_errors", "tried", "map_evidence"):
        out |= {name: [fields_to_dict(item) for item in value]} if (value := getattr(card, name)) else {}
    return out


def fields_to_dict(value: DataclassInstance) -> dict[str, Any]:
    """The fields of one section by name; None, empty texts and empty tuples need not be said."""
    found = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {name: _plain(item) for name, item in found if item not in (None, (), "")}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, ScoreKind):
        return kind_word(value)
    return fields_to_dict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _input_to_dict(spec: InputSpec) -> dict[str, Any]:
    """Nothing is said of what does nothing, so that programs which do not know it read the card as well."""
    idle = set() if spec.crop else {"margin"}
    idle |= set() if spec.denoise == NON_LOCAL_MEANS else {"denoise_strength"}
    return {name: value for name, value in fields_to_dict(spec).items() if name not in idle}


def _input_spec(reader: Reader, *, foreign: bool) -> InputSpec:
    """``foreign``: the network was made elsewhere, so that nothing may be taken for granted that changes its scores."""
    if foreign and "intensity" not in reader.table:
        reader.fault('intensity is missing: "presented" for nearly every model trained on pictures, or "stretched"')
    spec = InputSpec(
        size_px=reader.whole("size_px"),
        fit=reader.text("fit"),
        crop_border=reader.flag("crop_border"),
        mean=reader.number("mean"),
        std=reader.number("std"),
        intensity=reader.optional_text("intensity", "stretched"),
        resize=reader.optional_text("resize", "area"),
        channels=reader.whole("channels") if "channels" in reader.table else 1,
        channel_means=reader.numbers("channel_means"),
        channel_stds=reader.numbers("channel_stds"),
        crop=reader.optional_text("crop"),
        margin=reader.number("margin") if "margin" in reader.table else 0.0,
        denoise=reader.optional_text("denoise"),
    )
    if "denoise_strength" in reader.table:
        spec = dataclasses.replace(spec, denoise_strength=reader.number("denoise_strength"))
    reader.no_others()
    return spec


def metric(reader: Reader) -> Metric:
    """One table of ``[[metrics]]``."""
    found = Metric(
        name=reader.text("name"),
        value=reader.number("value"),
        low=reader.optional_number("low"),
        high=reader.optional_number("high"),
        data=reader.text("data"),
        count=reader.whole("count") if "count" in reader.table else None,
        label=reader.optional_text("label"),
        group=reader.optional_text("group"),
        positives=reader.whole("positives") if "positives" in reader.table else None,
        positive_patients=reader.whole("positive_patients") if "positive_patients" in reader.table else None,
    )
    reader.no_others()
    return found


def _ratio_error(reader: Reader) -> RatioError:
    """One table of ``[[view_ratio_errors]]``."""
    found = RatioError(reader.text("view"), reader.number("sure"), reader.number("unsure"))
    reader.no_others()
    return found


def _proof(reader: Reader) -> Proof:
    worst = reader.optional_number("worst")
    proof = Proof(reader.text("kind"), reader.optional_text("film"), 0.0 if worst is None else worst)
    reader.no_others()
    return proof


def _onnx(reader: Reader) -> OnnxSpec:
    spec = OnnxSpec(
        output=reader.optional_text("output"),
        activation=reader.optional_text("activation", "none"),
        layout=reader.optional_text("layout", "NCHW"),
        columns=reader.whole_numbers("columns"),
    )
    reader.no_others()
    return spec


def _map_evidence(reader: Reader) -> MapEvidence:
    evidence = MapEvidence(
        label=reader.text("label"),
        method=reader.text("method"),
        pointing=reader.number("pointing"),
        low=reader.number("low"),
        high=reader.number("high"),
        fixed_point=reader.number("fixed_point"),
        iou=reader.number("iou"),
        fixed_iou=reader.number("fixed_iou"),
        count=reader.whole("count"),
        data=reader.text("data"),
        beats_fixed=reader.flag("beats_fixed"),
    )
    reader.no_others()
    return evidence


def _ages(reader: Reader) -> tuple[float, float] | None:
    if "ages_years" not in reader.table:
        return None
    ages = reader.numbers("ages_years")
    if len(ages) == 2:
        return (ages[0], ages[1])
    reader.fault("ages_years is not a list of two numbers")
    return None
