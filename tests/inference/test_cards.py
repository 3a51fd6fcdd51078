"""A card comes back as it was written, and every fault in one gets a sentence."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest
import tomli_w

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import (
    InputSpec,
    LabelSpec,
    MapEvidence,
    Metric,
    ModelCard,
    OnnxSpec,
    Proof,
    ScoreKind,
    Task,
)
from cxr_viewer.inference.cards import (
    CARD_NAME,
    card_to_dict,
    file_sha256,
    read_card,
    verify_weights,
    weights_name,
    write_card,
)

CARD = ModelCard(
    model_id="two-findings",
    name="Two findings",
    version="1.2.3",
    network="cxr-tiny",
    sha256="ab" * 32,
    licence="Apache-2.0",
    labels=(LabelSpec("Pneumonia", 0.4, "opacity “as read”"), LabelSpec("Effusion", 0.25)),
    score_kind=ScoreKind.CALIBRATED,
    input=InputSpec(192, "stretch", True, 0.5, 0.25),
    temperature=1.25,
    bias=-0.5,
    intended_ages=(1.0, 5.0),
    intended_views=("PA", "AP"),
    intended_use="Research use only.",
    trained_on="films",
    metrics=(Metric("AUC", 0.9, 0.85, 0.95, "test", 624), Metric("ECE", 0.02, None, None, "test")),
    cautions=("One caution.", "And another."),
    source="https://example.org/weights",
    proof=Proof("published-outputs", "a film", 0.004),
    map_evidence=(
        MapEvidence("Effusion", "Grad-CAM", 0.6, 0.5, 0.7, 0.4, 0.3, 0.2, 40, "boxes", True),
        MapEvidence("Effusion", "LayerCAM", 0.4, 0.3, 0.5, 0.4, 0.2, 0.2, 40, "boxes", False),
    ),
)
ONNX_SPEC = OnnxSpec("scores", "softmax", "NHWC", (3, 1))
LUNGS = InputSpec(160, "stretch", False, 0.5, 0.25, crop="lungs", margin=0.04)
COLOUR = InputSpec(
    512, "crop", False, 0.0, 1.0, "presented", "gaussian", 3, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"intended_ages": None},
        {"score_kind": ScoreKind.OPERATING_POINT},
        {"network": "onnx", "onnx": ONNX_SPEC},
        {"network": "onnx", "onnx": OnnxSpec()},
        {"task": Task.SEGMENT, "input": COLOUR},
        {"source": "", "proof": None, "map_evidence": ()},
        {"input": LUNGS},
        {"input": dataclasses.replace(LUNGS, denoise="median")},
        {"input": dataclasses.replace(LUNGS, denoise="non-local-means", denoise_strength=7.5)},
    ],
)
def test_a_card_comes_back_as_it_was_written(tmp_path: Path, change: dict[str, object]) -> None:
    card = dataclasses.replace(CARD, **change)  # type: ignore[arg-type]
    write_card(card, tmp_path / CARD_NAME)
    assert read_card(tmp_path) == card


def test_a_card_without_crop_or_denoising_says_nothing_of_them(tmp_path: Path) -> None:
    """Programs that do not know of these refuse what they do not know, and read it as long as it is not there."""
    write_card(CARD, tmp_path / CARD_NAME)
    section = tomllib.loads((tmp_path / CARD_NAME).read_text(encoding="utf-8"))["input"]
    assert not {"crop", "margin", "denoise", "denoise_strength"} & set(section)


def _written(tmp_path: Path, table: str, name: str, value: object) -> Path:
    """A good card with one value replaced, or removed where ``value`` is None."""
    write_card(CARD, tmp_path / CARD_NAME)
    data = tomllib.loads((tmp_path / CARD_NAME).read_text(encoding="utf-8"))
    place = data if not table else data[table]
    place = place[0] if isinstance(place, list) else place
    if value is None:
        del place[name]
    else:
        place[name] = value
    (tmp_path / CARD_NAME).write_text(tomli_w.dumps(data), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("table", "name", "value", "words"),
    [
        ("", "id", "../evil", "may hold only"),
        ("", "id", None, "id is missing"),
        ("", "sha256", "12", "64 lower-case"),
        ("", "labels", [], "labels are missing"),
        ("", "score_kind", "certainty", "not one of logit"),
        ("", "schema", 2, "another schema"),
        ("", "version", 1.0, "version is missing or not a text"),
        ("labels", "threshold", 1.5, "not between 0 and 1"),
        ("labels", "threshold", "half", "labels.threshold is missing or not a number"),
        ("labels", "name", "Effusion", "same name"),
        ("input", "fit", "squash", "not one of pad"),
        ("input", "size_px", 4, "at least 16"),
        ("input", "std", 0.0, "not above 0"),
        ("input", "crop_border", 1, "neither true nor false"),
        ("input", "crop", "heart", "input.crop is 'heart', not one of lungs"),
        ("input", "margin", 0.1, "input.margin is 0.1; it may be up to 0.5 where input.crop is set"),
        ("input", "denoise", "magic", "input.denoise is 'magic', not one of median, non-local-means"),
        ("input", "denoise_strength", 0.0, "input.denoise_strength is 0.0, not between 0.5 and 50"),
        ("calibration", "temperature", 0.0, "calibration has temperature 0"),
        ("calibration", "bias", float("nan"), "bias nan"),
        ("intended", "ages_years", [5.0, 1.0], "not [youngest, oldest]"),
        ("intended", "ages_years", "children", "ages_years is not a list of numbers"),
        ("intended", "ages_years", [5.0], "list of two numbers"),
        ("intended", "views", ["FRONT"], "intended.views names 'FRONT'"),
        ("intended", "views", "PA", "intended.views is not a list of texts"),
        ("", "task", "guess", "task is 'guess', not one of classify, segment"),
        ("", "source", 7, "source is not a text"),
        ("", "bundel", "x", "bundel is not an entry"),
        ("", "onnx", {}, "[onnx] belongs to the network"),
        ("", "network", "onnx", "[onnx] belongs to the network"),
        ("input", "size_px", 96.5, "not a whole number"),
        ("input", "size_px", 100_000, "at most 2048"),
        ("input", "mean", 10**400, "input.mean is missing or not a number"),
        ("input", "mean", float("inf"), "input.mean is inf"),
        ("input", "std", float("inf"), "not above 0"),
        ("input", "intensty", "presented", "input.intensty is not an entry"),
        ("input", "intensity", "guessed", "input.intensity is 'guessed', not one of stretched, presented"),
        ("input", "resize", "nearest", "input.resize is 'nearest', not one of area, gaussian"),
        ("input", "channels", 2, "input.channels is 2"),
        ("input", "channel_means", [0.5], "1 channel_means and 0 channel_stds"),
        ("proof", "kind", "believed", "proof.kind is 'believed'"),
        ("proof", "worst", -0.1, "proof.worst is -0.1"),
        ("map_evidence", "label", "Fracture", "there is no such label"),
        ("map_evidence", "method", "LayerCAM", "stands there twice"),
        ("map_evidence", "pointing", 0.9, "does not lie between"),
        ("map_evidence", "iou", 1.9, "iou is 1.9, not between 0 and 1"),
        ("map_evidence", "count", 0, "count is 0"),
        ("map_evidence", "beats_fixed", "yes", "map_evidence.beats_fixed is missing or neither"),
    ],
)
def test_a_fault_gets_a_sentence(tmp_path: Path, table: str, name: str, value: object, words: str) -> None:
    with pytest.raises(ModelError) as fault:
        read_card(_written(tmp_path, table, name, value))
    assert words in fault.value.summary
    assert fault.value.summary.endswith(".")
    assert fault.value.hint


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (OnnxSpec(activation="relu"), "onnx.activation is 'relu'"),
        (OnnxSpec(layout="CHW"), "onnx.layout is 'CHW'"),
        (OnnxSpec(columns=(0,)), "onnx.columns is [0], not one place for each of 2 labels"),
        (OnnxSpec(columns=(1, 1)), "onnx.columns is [1, 1]"),
        (OnnxSpec(columns=(0, -1)), "onnx.columns is [0, -1]"),
    ],
)
def test_a_fault_of_an_onnx_section_gets_a_sentence(tmp_path: Path, spec: OnnxSpec, words: str) -> None:
    with pytest.raises(ModelError) as fault:
        write_card(dataclasses.replace(CARD, network="onnx", onnx=spec), tmp_path / CARD_NAME)
    assert words in fault.value.summary


def test_a_card_without_the_newer_entries_is_a_classifier_of_stretched_films(tmp_path: Path) -> None:
    for name in ("intensity", "resize", "channels"):
        path = _written(tmp_path, "input", name, None)
        assert read_card(path).input == CARD.input
    assert read_card(path).task is Task.CLASSIFY


def test_a_card_of_a_model_in_onnx_says_where_black_and_white_lie(tmp_path: Path) -> None:
    """Nobody knows it of a network made elsewhere, and taking the wrong one changes every score."""
    card = dataclasses.replace(CARD, network="onnx", onnx=OnnxSpec(), source="")
    write_card(card, tmp_path / CARD_NAME)
    assert read_card(tmp_path) == card
    table = card_to_dict(card)
    del table["input"]["intensity"]
    (tmp_path / CARD_NAME).write_bytes(tomli_w.dumps(table).encode())
    with pytest.raises(ModelError, match=r"input\.intensity is missing"):
        read_card(tmp_path)


@pytest.mark.parametrize("text", ["a = " + "[" * 3000, "a = 1\n" * 2, "#" * 1_000_001])
def test_a_card_made_to_do_harm_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as fault:
        read_card(tmp_path)
    assert fault.value.code == "card-damaged"


def test_every_fault_is_in_the_detail(tmp_path: Path) -> None:
    _written(tmp_path, "input", "fit", "squash")
    text = (tmp_path / CARD_NAME).read_text(encoding="utf-8").replace("temperature = 1.25", "temperature = -1.0")
    (tmp_path / CARD_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as fault:
        read_card(tmp_path)
    assert "fit" in fault.value.detail
    assert "temperature" in fault.value.detail


def test_a_missing_or_broken_card_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as fault:
        read_card(tmp_path)
    assert fault.value.code == "card-missing"
    (tmp_path / CARD_NAME).write_bytes(b"\xff\xfe = [")
    with pytest.raises(ModelError) as fault:
        read_card(tmp_path)
    assert fault.value.code == "card-damaged"


def test_a_faulty_card_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="temperature"):
        write_card(dataclasses.replace(CARD, temperature=-1.0), tmp_path / CARD_NAME)
    assert not (tmp_path / CARD_NAME).exists()


@pytest.mark.parametrize(("network", "name"), [("cxr-tiny", "weights.safetensors"), ("onnx", "weights.onnx")])
def test_weights_of_another_version_are_not_used(tmp_path: Path, network: str, name: str) -> None:
    weights = tmp_path / name
    weights.write_bytes(b"some weights")
    card = dataclasses.replace(CARD, sha256=file_sha256(weights), network=network)
    assert weights_name(card) == name
    assert verify_weights(tmp_path, card) == weights
    weights.write_bytes(b"Some weights")
    with pytest.raises(ModelError, match="damaged or belong to another version"):
        verify_weights(tmp_path, card)
    weights.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        verify_weights(tmp_path, card)


def test_weights_without_end_are_not_read_through(tmp_path: Path) -> None:
    (tmp_path / weights_name(CARD)).touch()
    os.truncate(tmp_path / weights_name(CARD), 1 << 40)
    with pytest.raises(ModelError) as fault:
        verify_weights(tmp_path, CARD)
    assert "more than" in fault.value.detail
