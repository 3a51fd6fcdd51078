"""A window without a window: the state, and everything it has asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.findings import (
    AnalysisRequest,
    AnalysisResult,
    Finding,
    Heatmap,
    InputSpec,
    LabelSpec,
    ModelCard,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, PatientInfo, PixelSpacing, Radiograph, SpacingSource, View, VoiWindow
from cxr_viewer.core.study import ImageNode, SeriesNode, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import Pane, ViewerState

FILE_WINDOW = VoiWindow(128, 256, label="NORMAL")
VIEWS = (View.PA, View.LATERAL, View.AP, View.UNKNOWN)
FRAMES = (1, 1, 1, 3)
NODES = tuple(
    ImageNode(ImageKey("study", "series", f"film {n}"), Path(f"{n}.dcm"), 4, 4, view, frames=frames)
    for n, (view, frames) in enumerate(zip(VIEWS, FRAMES, strict=True))
)
AT_DETECTOR = PixelSpacing(0.2, 0.1, SpacingSource.DETECTOR)


def study_of(*nodes: ImageNode) -> StudyNode:
    series = SeriesNode("series", "DX", "", 1, nodes)
    return StudyNode("study", PatientInfo(), None, "", "", (series,))


def film_of(node: ImageNode, **changes: Any) -> Radiograph:
    """The film of a node; the first one carries no millimetres."""
    fields: dict[str, Any] = {
        "voi": (FILE_WINDOW,),
        "view": node.view,
        "frames": node.frames,
        "spacing": None if node.key.sop_uid == "film 0" else AT_DETECTOR,
        "source_sha256": f"digest of {node.key.sop_uid}",
    }
    stored = np.zeros((4, 4), np.uint8)
    return Radiograph(node.key, node.path, stored, 8, "MONOCHROME2", "DX", **(fields | changes))


def answer_to(request: AnalysisRequest, scores: dict[str, float]) -> AnalysisResult:
    """A result with these scores, operating point 0.5, and a map for each finding."""
    whole = ImageRect(0, 0, 4, 4)
    findings = tuple(Finding(label, score, ScoreKind.CALIBRATED, 0.5) for label, score in scores.items())
    maps = tuple(Heatmap(label, np.zeros((2, 2), np.float32), whole) for label in scores)
    return AnalysisResult(
        request.pane,
        request.generation,
        request.image.key,
        request.model_id,
        "Model",
        "1",
        "0" * 64,
        findings,
        maps,
        whole,
        "CPU",
        0.1,
    )


def card_of(model_id: str, sha256: str = "0" * 64, **changes: Any) -> ModelCard:
    """A card that is meant for any film."""
    fields: dict[str, Any] = {
        "name": model_id,
        "version": "1",
        "network": "small",
        "licence": "MIT",
        "labels": (LabelSpec("Effusion", 0.5),),
        "score_kind": ScoreKind.CALIBRATED,
        "input": InputSpec(128, "pad", True, 0.5, 0.25),
        "temperature": 1.0,
        "bias": 0.0,
        "intended_ages": None,
        "intended_views": (),
        "intended_use": "For research.",
        "trained_on": "films",
    }
    return ModelCard(model_id=model_id, sha256=sha256, **(fields | changes))


class Window:
    """A state, and everything it has asked for so far."""

    def __init__(self, **fields: Any) -> None:
        self.state = replace(ViewerState(model_id="paediatric"), **fields)
        self.loads: list[ev.LoadImage] = []
        self.requests: list[AnalysisRequest] = []
        self.effects: list[ev.Effect] = []

    def do(self, event: ev.Event) -> tuple[ev.Effect, ...]:
        self.state, effects = reduce(self.state, event)
        self.loads += [effect for effect in effects if isinstance(effect, ev.LoadImage)]
        self.requests += [effect.request for effect in effects if isinstance(effect, ev.StartAnalysis)]
        self.effects += effects
        return effects

    nodes = NODES

    def open(self, number: int = 0, pane: int = 0) -> None:
        """Open a film and let it arrive."""
        self.do(ev.OpenImage(NODES[number], pane))
        self.arrive(self.loads[-1])

    def arrive(
        self,
        load: ev.LoadImage,
        node: ImageNode | None = None,
        calibration: PixelSpacing | None = None,
        **changes: Any,
    ) -> None:
        """The answer to a load, with the film of another node where one is given, and with fields changed."""
        film = film_of(node or load.node, **changes)
        self.do(ev.ImageLoaded(load.pane, load.generation, film, calibration))

    def answer(
        self, scores: dict[str, float], request: AnalysisRequest | None = None, **changes: Any
    ) -> AnalysisResult:
        """The answer to a request, the newest where none is given, with fields changed."""
        result = replace(answer_to(request or self.requests[-1], scores), **changes)
        self.do(ev.AnalysisArrived(result))
        return result

    @property
    def pane(self) -> Pane:
        """The active pane."""
        return self.state.pane


@pytest.fixture
def window() -> Window:
    """A fresh window with one model installed, running by itself on every film."""
    return Window()


@pytest.fixture(scope="session")
def new_window() -> Callable[..., Window]:
    """``new_window(automatic=False)``: windows with fields of the state changed, as many as wanted."""
    return Window


@pytest.fixture(scope="session")
def make_study() -> Callable[..., StudyNode]:
    """``make_study(node, ...)``: a study of one series."""
    return study_of


@pytest.fixture(scope="session")
def make_film() -> Callable[..., tuple[ImageNode, Radiograph]]:
    """``make_film(**changes)``: a PA film and its node."""
    return lambda **changes: (NODES[0], film_of(NODES[0], **changes))


@pytest.fixture(scope="session")
def make_card() -> Callable[..., ModelCard]:
    """``make_card("adult", sha256, **changes)``: the card of a model that is meant for any film."""
    return card_of
