"""The methods of maps that can be chosen are those that the model of the film can be explained by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from cxr_viewer.core.findings import AnalysisResult, Finding, Heatmap, ModelCard, ModelChoice, ScoreKind
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.explain import GRAD_CAM, METHODS, OCCLUSION, PASSES, methods_of
from cxr_viewer.services.state import AUTO, Pane, ViewerState
from cxr_viewer.ui.overlay_controls import OverlayControls

OWN = read_card(resources_dir() / "models" / "paediatric-pneumonia")
FOREIGN = replace(OWN, model_id="foreign", name="Foreign", network="onnx", sha256="f" * 64)
AREA = ImageRect(0.0, 0.0, 10.0, 10.0)


@pytest.fixture
def controls(qtbot: QtBot) -> OverlayControls:
    made = OverlayControls(METHODS, methods_of)
    qtbot.addWidget(made)
    return made


def asked(card: ModelCard, heatmaps: tuple[Heatmap, ...] | None = None, method: str = GRAD_CAM) -> ViewerState:
    """A film whose model is ``card``; it has answered where ``heatmaps`` are given."""
    result = None
    if heatmaps is not None:
        finding = Finding(card.labels[0].name, 0.5, ScoreKind.CALIBRATED, 0.5)
        result = AnalysisResult(
            0, 1, ImageKey("1", "2", "3"), card.model_id, card.name, card.version, card.sha256, (finding,), heatmaps,
            AREA, "CPU", 0.1,
        )  # fmt: skip
    pane = Pane(model=ModelChoice(card.model_id, "For a test."), result=result)
    return ViewerState(panes=(pane, *ViewerState().panes[1:]), cards=(OWN, FOREIGN), model_id=AUTO, method=method)


def possible(controls: OverlayControls) -> tuple[str, ...]:
    box = next(box for box in controls.findChildren(QComboBox) if box.accessibleName() == "Heat map method")
    items = box.model()
    assert isinstance(items, QStandardItemModel)
    return tuple(items.item(row).text() for row in range(box.count()) if items.item(row).isEnabled())


def test_a_network_of_the_program_can_be_explained_by_all(controls: OverlayControls) -> None:
    controls.show_state(asked(OWN))
    assert possible(controls) == METHODS


def test_a_foreign_network_offers_what_needs_no_gradients(controls: OverlayControls) -> None:
    controls.show_state(asked(FOREIGN))
    assert set(possible(controls)) == {GRAD_CAM, *PASSES}


def test_a_network_without_a_head_leaves_occlusion_once_that_is_known(controls: OverlayControls) -> None:
    controls.show_state(asked(FOREIGN, ()))
    assert possible(controls) == (OCCLUSION,)
    grid = np.zeros((2, 2), np.float32)
    controls.show_state(asked(FOREIGN, (Heatmap("Pneumonia", grid, AREA, OCCLUSION),), OCCLUSION))
    assert possible(controls) == (OCCLUSION,)  # a map by occlusion does not say that there is a head
    controls.show_state(asked(OWN))
    assert possible(controls) == METHODS  # what was learned of one model says nothing of another
    controls.show_state(asked(FOREIGN))
    assert possible(controls) == (OCCLUSION,)
