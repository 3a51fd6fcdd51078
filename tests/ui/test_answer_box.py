"""What stands below the model's answer keeps its place; a long choice ends in dots."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.findings import ModelChoice, Proof
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.services.state import AnalysisStatus, Pane
from cxr_viewer.ui.answer_box import AnswerBox
from cxr_viewer.ui.answer_words import reason
from cxr_viewer.ui.widgets import ElidingBox


def test_what_stands_below_stays_in_its_place_while_an_answer_is_awaited(qtbot: QtBot) -> None:
    answer, below, window = QLabel("one\ntwo\nthree"), QLabel("below"), QWidget()
    box = AnswerBox((answer,))
    column = QVBoxLayout(window)
    column.addWidget(box)
    column.addWidget(below)
    column.addStretch(1)
    qtbot.addWidget(window)
    window.resize(200, 400)
    window.show()
    place = below.y()
    box.wait(True)
    answer.hide()
    column.activate()
    assert below.y() == place
    answer.setText("one")
    answer.show()
    box.wait(False)
    column.activate()
    assert below.y() < place


def test_a_choice_that_is_too_wide_ends_in_dots(qtbot: QtBot) -> None:
    box = ElidingBox()
    qtbot.addWidget(box)
    box.addItems(["Chest findings of a publisher with a very long name", "Short"])
    box.setFixedWidth(120)
    box.show()
    assert box.shown_text().endswith("\N{HORIZONTAL ELLIPSIS}")
    box.setCurrentIndex(1)
    assert box.shown_text() == "Short"


def test_a_model_that_nothing_proves_says_so_above_its_findings() -> None:
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    pane = Pane(model=ModelChoice(card.model_id, "You chose this model."), analysis=AnalysisStatus.READY)
    assert reason(pane, card) == f"{card.name}. You chose this model."
    unproven = replace(card, proof=Proof("none-published", "", 0.0))
    assert reason(pane, unproven) == f"{card.name}, unproven. You chose this model."
    assert reason(replace(pane, analysis=AnalysisStatus.NONE), unproven) == ""
