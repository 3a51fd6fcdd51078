"""The dialog of the models by mouse and keyboard, over real bundles in a real folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import (
    LabelSpec,
    ModelCard,
    OperatingPoint,
    Proof,
    RatioTerm,
    ScoreKind,
    SiteCalibration,
    TriedLabel,
    ViewTerm,
)
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.offers import Damaged, InstallProgress, Offer
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.beside import serving
from cxr_viewer.inference.cards import CARD_NAME, read_card, verify_weights, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.registry import registry
from cxr_viewer.services import events as ev
from cxr_viewer.services.ports import ModelStore
from cxr_viewer.ui.model_keeper import Inventory, ModelKeeper
from cxr_viewer.ui.model_text import card_html, offer_html, progress_text, size_text
from cxr_viewer.ui.models_desk import ModelsDesk, proxy_address, shown_proxy
from cxr_viewer.ui.models_dialog import ModelsDialog
from cxr_viewer.ui.offer_bar import OfferBar

WAIT_MS = 30_000
LEFT = Qt.MouseButton.LeftButton
BUNDLED = resources_dir() / "models" / "paediatric-pneumonia"
OTHERS = {folder.name for folder in BUNDLED.parent.iterdir()} - {BUNDLED.name}
"""What else travels with the program; these tests are about one model of it and those that are installed."""
PROVEN = Offer(
    "first", "First & <b>best</b>", "For tests.", ("AUC .80",), 28_600_000, "Apache-2.0", "https://example.org/first",
    "first.pt", proven=True, recommended=True,
)  # fmt: skip
UNPROVEN = replace(PROVEN, offer_id="second", name="Second", proven=False, recommended=False, size_bytes=None)


class Shelf:
    """A store that puts copies of a real bundle into a real folder; a download stops where the test wants it to."""

    def __init__(self, folder: Path, proxy: str) -> None:
        self._folder, self.proxy = folder, proxy
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_half = threading.Event()
        self.fault: ModelError | None = None
        self.replaced: set[str] = set()
        self.installed_with: list[tuple[str, Path | None, bool]] = []
        self.calibrations: dict[str, tuple[SiteCalibration, bool]] = {}

    def calibration(self, model_id: str) -> tuple[SiteCalibration | None, bool]:
        return self.calibrations.get(model_id, (None, False))

    def use_calibration(self, model_id: str, site: bool) -> None:
        if self.fault is not None:
            raise self.fault
        self.calibrations[model_id] = (self.calibrations[model_id][0], site)

    def offers(self) -> tuple[Offer, ...]:
        return tuple(replace(offer, installed=(self._folder / offer.offer_id).is_dir()) for offer in (PROVEN, UNPROVEN))

    def install(
        self,
        offer_id: str,
        cancel: CancelToken,
        report: Callable[[InstallProgress], None],
        *,
        file: Path | None = None,
        unproven: bool = False,
        changed: bool = False,
    ) -> ModelCard:
        self.installed_with.append((offer_id, file, unproven))
        if offer_id in self.replaced and not changed:
            raise ModelError("The published file is not the first.", hint="Find out why.", code="changed-file")
        report(InstallProgress("Downloading", 14_300_000, 28_600_000))
        self.at_half.set()
        while not self.go_on.wait(0.01):
            cancel.raise_if_cancelled()
        if self.fault is not None:
            raise self.fault
        return self._put(offer_id, "none-published" if unproven else "published-outputs")

    def _put(self, offer_id: str, proof: str) -> ModelCard:
        folder = self._folder / offer_id
        shutil.copytree(BUNDLED, folder)
        name = PROVEN.name if offer_id == PROVEN.offer_id else UNPROVEN.name
        known = next(entry for entry in registry() if entry.published is not None)  # only its proofs are believed
        source = known.address if proof == "published-outputs" else ""
        card = replace(read_card(folder), model_id=offer_id, name=name, source=source)
        card = replace(card, proof=Proof(proof, "a film", 0.001))
        write_card(card, folder / CARD_NAME)
        return card

    def add(self, folder: Path, cancel: CancelToken, report: Callable[[InstallProgress], None]) -> ModelCard:
        raise ModelError("This folder holds no model.", hint="Choose one with card.toml.", code="no-bundle")

    def verify(self, model_id: str) -> str:
        folder = self._folder / model_id
        verify_weights(folder if folder.is_dir() else BUNDLED, read_card(folder if folder.is_dir() else BUNDLED))
        return "The weights are whole."

    def damaged(self) -> tuple[Damaged, ...]:
        found = BundleCatalog([self._folder]).damaged()
        return tuple(Damaged(folder.name, why) for folder, why in found if folder.parent == self._folder)

    def own(self) -> frozenset[str]:
        return frozenset(card.model_id for card in BundleCatalog([self._folder]).cards())

    def remove_damaged(self, folder: str) -> None:
        shutil.rmtree(self._folder / folder)

    def remove(self, model_id: str) -> None:
        if not (self._folder / model_id).is_dir():
            raise ModelError("This model travels with the program.", hint="It cannot be removed.", code="bundled")
        shutil.rmtree(self._folder / model_id)


class Bench:
    """A window with the desk of the models, the keeper and the shelf behind it."""

    def __init__(self, qtbot: QtBot, folder: Path) -> None:
        self.qtbot = qtbot
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.bar = OfferBar(self.window)
        self.window.show()
        self.catalog = BundleCatalog([resources_dir() / "models", folder])
        self.shelf = Shelf(folder, "")
        self.stores: list[str] = []
        self.keeper = ModelKeeper(self._store, self.catalog)
        self.desk = ModelsDesk(self.window, self.keeper, self.bar)
        self.sent: list[ev.Event] = []
        self.kept: list[tuple[str, object]] = []
        self.desk.sends.connect(self.sent.append)
        self.desk.preference.connect(lambda name, value: self.kept.append((name, value)))

    def _store(self, proxy: str) -> ModelStore:
        self.stores.append(proxy)
        return self.shelf

    def open(self) -> ModelsDialog:
        dialog = self.desk.show()
        self.wait(lambda: dialog.list.count() > 0 and self.rows().get("paediatric-pneumonia") == "whole")
        return dialog

    @property
    def dialog(self) -> ModelsDialog:
        assert self.desk.dialog is not None
        return self.desk.dialog

    def rows(self) -> dict[str, str]:
        """The mark of each model in the list."""
        marks = {}
        for place in range(self.dialog.list.count()):
            row = self.dialog.list.item(place).data(int(Qt.ItemDataRole.UserRole))
            if row is not None and row.key not in OTHERS:
                marks[row.key] = row.mark
        return marks

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until, timeout=WAIT_MS)

    def click(self, widget: QWidget) -> None:
        assert widget.isVisible()
        self.qtbot.mouseClick(widget, LEFT)

    def press(self, key: Qt.Key, widget: QWidget | None = None) -> None:
        self.qtbot.keyClick(widget or self.dialog.focusWidget() or self.dialog, key)

    def said(self, text: str) -> None:
        self.wait(lambda: self.dialog.sentence.isVisible() and text in self.dialog.sentence.text())

    def changes(self) -> list[set[str]]:
        """Ids of the models after each change that the window was told."""
        told = [event.cards for event in self.sent if isinstance(event, ev.ModelsChanged)]
        return [{card.model_id for card in cards} - OTHERS for cards in told]


@pytest.fixture
def bench(qtbot: QtBot, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "models"
    folder.mkdir()
    made = Bench(qtbot, folder)
    yield made
    made.shelf.go_on.set()
    made.desk.close()


def test_return_in_the_list_installs_and_the_model_is_there(bench: Bench) -> None:
    dialog = bench.open()
    assert bench.stores == [""]
    dialog.choose("first")
    dialog.list.setFocus()
    bench.shelf.go_on.clear()
    bench.press(Qt.Key.Key_Return, dialog.list)
    bench.wait(lambda: "14.3" in dialog.stage.text())
    assert "28.6" in dialog.stage.text()
    assert dialog.bar.value() * 2 == dialog.bar.maximum()
    assert not any(b.isEnabled() for b in (dialog.install, dialog.from_file, dialog.remove, dialog.add))
    bench.shelf.go_on.set()
    bench.said("is installed.")
    assert bench.changes() == [{"paediatric-pneumonia", "first"}]
    assert bench.rows() == {"paediatric-pneumonia": "whole", "first": "whole", "second": ""}
    assert not dialog.progress.isVisible()
    assert "28.6" not in dialog.card.toPlainText()  # the card in place of the offer
    assert "reproduced on this computer" in dialog.card.toPlainText()
    assert not dialog.install.isVisible()
    assert dialog.verify.isVisible()


def test_cancel_stops_a_download_and_leaves_nothing(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    bench.shelf.go_on.clear()
    bench.click(dialog.install)
    bench.wait(bench.shelf.at_half.is_set)
    bench.click(dialog.cancel)
    bench.said("Cancelled.")
    assert "first" not in {card.model_id for card in bench.catalog.cards()}
    assert bench.changes() == []
    assert dialog.install.isEnabled()


def test_what_goes_wrong_is_one_sentence_and_nothing_is_lost(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    bench.shelf.fault = ModelError("The server cannot be reached.", hint="Try again later.", code="no-network")
    bench.click(dialog.install)
    bench.said("The server cannot be reached. Try again later.")
    assert dialog.sentence.property("role") == "error"
    assert dialog.install.isEnabled()
    bench.shelf.fault = None
    bench.click(dialog.install)
    bench.said("is installed.")
    assert dialog.sentence.property("role") == "muted"


def test_no_button_moves_while_something_is_told(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    buttons = (dialog.install, dialog.from_file, dialog.add, dialog.proxy, dialog.close_button)
    bench.wait(lambda: all(button.isVisible() for button in buttons))
    before = [button.mapTo(dialog, button.rect().topLeft()) for button in buttons]
    bench.shelf.fault = ModelError("The server cannot be reached.", hint="Try again later. " * 20, code="no-network")
    bench.click(dialog.install)
    bench.said("The server cannot be reached.")
    bench.click(dialog.proxy)
    bench.wait(dialog.question.isVisible)
    dialog.layout().activate()
    assert [button.mapTo(dialog, button.rect().topLeft()) for button in buttons] == before


def test_what_was_told_of_a_model_goes_when_another_is_chosen(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    bench.click(dialog.install)
    bench.said("is installed.")
    bench.wait(lambda: bench.rows().get("first") == "whole")
    assert dialog.sentence.isVisible()  # drawing the list anew has not taken it away
    bench.press(Qt.Key.Key_Down, dialog.list)
    assert not dialog.sentence.isVisible()


def test_nothing_unproven_is_installed_without_a_clear_yes(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("second")
    bench.click(dialog.install)
    assert "prints no outputs to hold it against" in dialog.question.text.text()
    assert dialog.question.no.hasFocus()  # Return must not say yes
    bench.press(Qt.Key.Key_Return)
    assert not dialog.question.isVisible()
    assert bench.shelf.installed_with == []
    bench.click(dialog.install)
    dialog.choose("first")  # another model: the question was not about it
    assert not dialog.question.isVisible()
    dialog.choose("second")
    bench.click(dialog.install)
    bench.click(dialog.question.yes)
    bench.said("is installed.")
    assert bench.shelf.installed_with == [("second", None, True)]
    assert bench.rows()["second"] == "unproven"


def test_a_changed_file_is_installed_after_a_clear_yes_of_its_own(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = bench.open()
    bench.shelf.replaced = {"second"}
    file = tmp_path / "second.pt"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    dialog.choose("second")
    bench.click(dialog.from_file)
    bench.click(dialog.question.yes)  # unproven
    bench.said("The published file is not the first. Find out why.")
    assert "not the one that was installed on this computer first" in dialog.question.text.text()
    assert dialog.question.no.hasFocus()
    bench.press(Qt.Key.Key_Return)
    assert not dialog.question.isVisible()
    bench.click(dialog.from_file)
    bench.click(dialog.question.yes)
    bench.wait(lambda: "installed on this computer first" in dialog.question.text.text())
    assert bench.changes() == []
    bench.click(dialog.question.yes)
    bench.said("is installed.")
    assert bench.shelf.installed_with == [("second", file, True)] * 3


def test_escape_takes_the_question_back_before_it_closes(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("paediatric-pneumonia")
    bench.click(dialog.remove)
    assert dialog.question.isVisible()
    bench.press(Qt.Key.Key_Escape)
    assert not dialog.question.isVisible()
    assert dialog.isVisible()
    bench.press(Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert bench.desk.show() is dialog


def test_a_model_is_removed_after_a_question_only(bench: Bench) -> None:
    bench.shelf._put("first", "published-outputs")
    dialog = bench.open()
    bench.wait(lambda: bench.rows().get("first") == "whole")
    dialog.choose("first")
    bench.click(dialog.remove)
    assert bench.changes() == []
    bench.click(dialog.question.yes)
    bench.said("was removed.")
    assert bench.changes() == [{"paediatric-pneumonia"}]
    dialog.choose("paediatric-pneumonia")
    bench.click(dialog.remove)
    bench.click(dialog.question.yes)
    bench.said("This model travels with the program. It cannot be removed.")
    assert "paediatric-pneumonia" in bench.rows()


def test_a_bundle_that_cannot_be_read_is_removed_by_its_folder(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "torn"
    folder.mkdir()
    (folder / CARD_NAME).write_text("schema = ")
    dialog = bench.open()
    (problem,) = bench.catalog.problems()
    dialog.choose(problem)
    assert dialog.list.currentItem().text() == "torn"
    assert not dialog.verify.isVisible()
    bench.click(dialog.remove)
    assert "folder torn" in dialog.question.text.text()
    assert folder.exists()
    bench.click(dialog.question.yes)
    bench.said("The folder torn was removed.")
    assert not folder.exists()
    assert problem not in bench.rows()


def test_damaged_weights_are_told_and_can_be_installed_again(bench: Bench, tmp_path: Path) -> None:
    bench.shelf._put("first", "published-outputs")
    weights = tmp_path / "models" / "first" / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    dialog = bench.open()
    bench.wait(lambda: bench.rows().get("first") == "damaged")
    dialog.choose("first")
    assert dialog.install.isVisible()
    assert dialog.install.text() == "Install again"
    dialog.choose("paediatric-pneumonia")
    assert not dialog.install.isVisible()


def test_tab_goes_from_list_to_card_to_buttons(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    dialog.list.setFocus()
    walked = []
    for _ in range(7):
        walked.append(dialog.focusWidget())
        bench.press(Qt.Key.Key_Tab)
    assert walked == [
        dialog.list,
        dialog.card,
        dialog.install,
        dialog.from_file,
        dialog.add,
        dialog.proxy,
        dialog.close_button,
    ]


def test_every_control_has_a_name_and_a_tip(bench: Bench) -> None:
    dialog = bench.open()
    for button in (dialog.install, dialog.from_file, dialog.verify, dialog.remove, dialog.add, dialog.proxy):
        assert button.accessibleName()
        assert button.toolTip()
    assert dialog.list.accessibleName()
    assert dialog.card.accessibleName()


def test_a_dialog_closed_during_the_installation_leaves_the_word_to_the_window(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    bench.shelf.go_on.clear()
    bench.click(dialog.install)
    bench.wait(bench.shelf.at_half.is_set)
    dialog.close()
    bench.shelf.go_on.set()
    bench.wait(lambda: any(isinstance(event, ev.Tell) for event in bench.sent))
    tells = [event for event in bench.sent if isinstance(event, ev.Tell)]
    assert tells[0].text.endswith("is installed.")
    assert bench.desk.show() is dialog
    assert not dialog.progress.isVisible()


def test_closing_the_program_ends_a_download(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("first")
    bench.shelf.go_on.clear()
    bench.click(dialog.install)
    bench.wait(bench.shelf.at_half.is_set)
    bench.desk.close()  # waits for the thread; the house's rule finds one that is left
    assert not bench.keeper.busy
    bench.keeper.look()  # too late, and no fault
    assert "first" not in {card.model_id for card in bench.catalog.cards()}


def test_a_published_file_and_a_bundle_are_taken_from_disk(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = bench.open()
    dialog.choose("first")
    file = tmp_path / "first.pt"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    bench.click(dialog.from_file)
    bench.said("is installed.")
    assert bench.shelf.installed_with == [("first", file, False)]
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    bench.click(dialog.add)
    bench.said("This folder holds no model. Choose one with card.toml.")


def test_the_proxy_is_kept_and_used_from_the_next_download_on(bench: Bench) -> None:
    dialog = bench.open()
    bench.click(dialog.proxy)
    assert dialog.question.field.hasFocus()
    bench.qtbot.keyClicks(dialog.question.field, "gibberish:port")
    bench.press(Qt.Key.Key_Return)
    assert "no address of a proxy" in dialog.sentence.text()
    assert bench.kept == []
    bench.click(dialog.proxy)
    bench.qtbot.keyClicks(dialog.question.field, "who:secret@proxy.example:3128")
    bench.press(Qt.Key.Key_Return)
    assert bench.kept == [("proxy", "http://who:secret@proxy.example:3128")]
    assert "proxy.example:3128" in dialog.sentence.text()
    assert "secret" not in dialog.sentence.text()
    dialog.choose("first")
    bench.click(dialog.install)
    bench.said("is installed.")
    assert bench.stores == ["", "http://who:secret@proxy.example:3128"]


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("", ""),
        ("  ", ""),
        ("proxy:80", "http://proxy:80"),
        ("https://proxy", "https://proxy"),
        ("ftp://proxy", None),
        ("http://", None),
        ("http://a b:80", None),
        ("proxy:99999999", None),
    ],
)
def test_addresses_of_proxies(typed: str, address: str | None) -> None:
    assert proxy_address(typed) == address
    if address:
        assert shown_proxy(address).startswith("proxy")


# ---------------------------------------------------------------- the first offer


def test_the_recommended_model_is_offered_and_nothing_is_fetched(bench: Bench) -> None:
    bench.desk.offer()
    bench.wait(bench.bar.isVisible)
    words = bench.bar.text.text() + bench.bar.figures.text()
    for part in (PROVEN.name, "28.6", PROVEN.licence, "AUC .80"):
        assert part in words
    assert bench.shelf.installed_with == []
    assert bench.kept == []
    assert bench.desk.dialog is None


@pytest.mark.parametrize(("answer", "installs"), [("install", True), ("details", False), ("later", False)])
def test_any_answer_is_the_last(bench: Bench, answer: str, installs: bool) -> None:
    bench.desk.offer()
    bench.wait(bench.bar.isVisible)
    bench.click(bench.bar.buttons[answer])
    assert bench.kept == [("offered", True)]
    assert not bench.bar.isVisible()
    assert (bench.desk.dialog is None) == (answer == "later")
    if installs:
        bench.said("is installed.")
    assert bool(bench.shelf.installed_with) == installs
    if answer == "details":
        assert "Published figures" in bench.dialog.card.toPlainText()


def test_an_installed_model_is_not_offered(bench: Bench) -> None:
    bench.shelf._put("first", "published-outputs")
    with bench.qtbot.waitSignal(bench.keeper.found, timeout=WAIT_MS):
        bench.desk.offer()
    assert not bench.bar.isVisible()


# ---------------------------------------------------------------- words


def test_foreign_words_stay_words() -> None:
    assert "<b>best</b>" not in offer_html(PROVEN)
    assert "First &amp; &lt;b&gt;best&lt;/b&gt;" in offer_html(PROVEN)


def test_only_calibrated_operating_points_have_a_percent_sign() -> None:
    card = read_card(BUNDLED)
    sure = replace(card, score_kind=ScoreKind.CALIBRATED, labels=(LabelSpec("Mass", 0.17),))
    assert "17\N{NO-BREAK SPACE}%" in card_html(sure)
    other = replace(
        card,
        score_kind=ScoreKind.OPERATING_POINT,
        labels=(LabelSpec("Mass", 0.0742, "Published as “Mass”."), LabelSpec("Edema", 0.1, "Published as “Oedema”.")),
        metrics=(),
        cautions=(),
        trained_on="",
    )
    html = card_html(other)
    assert "“Mass”" not in html  # the publisher's word only where it is another one
    assert "“Oedema”" in html
    assert "0.50 (its own 0.0742)" in html
    assert "%" not in html.replace("99%", "").replace("95 %", "")


@pytest.mark.parametrize(
    ("count", "text"), [(None, "size not known"), (12, "12 bytes"), (28_600_000, "28.6 MB"), (1_500_000_000, "1.5 GB")]
)
def test_sizes(count: int | None, text: str) -> None:
    assert size_text(count).replace("\N{NO-BREAK SPACE}", " ") == text


def test_progress_without_a_known_total() -> None:
    assert progress_text(InstallProgress("Converting")) == "Converting"
    assert progress_text(InstallProgress("Downloading", 2_000_000)).replace("\xa0", " ") == "Downloading: 2.0 MB"


def test_a_list_of_offers_that_cannot_be_read_is_a_sentence(qtbot: QtBot) -> None:
    dialog = ModelsDialog()
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.show_inventory(Inventory(fault="The program's own list of models has a fault."))
    assert dialog.sentence.isVisible()
    assert not dialog.install.isVisible()


# ---------------------------------------------------------------- calibrations, and models the program itself uses


ST_ANNA = SiteCalibration("St. Anna", "2026-11-22", 412, 380, ())


def test_the_reader_changes_between_both_calibrations_by_keyboard_and_mouse(bench: Bench) -> None:
    bench.shelf.calibrations["paediatric-pneumonia"] = (ST_ANNA, False)
    dialog = bench.open()
    dialog.choose("paediatric-pneumonia")
    choice = dialog.calibration
    assert choice.isVisible()
    assert choice.shipped.isChecked()
    assert "St. Anna, 412 films" in choice.about.text()
    choice.shipped.setFocus()
    bench.press(Qt.Key.Key_Right, choice.shipped)
    if not bench.shelf.calibrations["paediatric-pneumonia"][1]:
        bench.press(Qt.Key.Key_Space, choice.site)
    bench.said("the calibration of this site")
    assert bench.shelf.calibrations["paediatric-pneumonia"] == (ST_ANNA, True)
    bench.wait(choice.site.isChecked)
    assert bench.changes()  # open films are asked anew
    bench.click(choice.shipped)
    bench.said("was shipped with")
    assert bench.shelf.calibrations["paediatric-pneumonia"] == (ST_ANNA, False)


def test_a_calibration_that_cannot_be_used_leaves_the_switch_where_it_was(bench: Bench) -> None:
    bench.shelf.calibrations["paediatric-pneumonia"] = (ST_ANNA, False)
    dialog = bench.open()
    dialog.choose("paediatric-pneumonia")
    bench.shelf.fault = ModelError("It was made for other weights.", hint="Make it anew.", code="no-calibration")
    bench.click(dialog.calibration.site)
    bench.said("It was made for other weights.")
    bench.wait(dialog.calibration.shipped.isChecked)


def test_without_a_calibration_of_the_site_there_is_no_switch(bench: Bench) -> None:
    dialog = bench.open()
    dialog.choose("paediatric-pneumonia")
    assert not dialog.calibration.isVisible()


def test_a_model_that_serves_the_program_says_so_and_cannot_be_removed(qtbot: QtBot) -> None:
    card = replace(read_card(BUNDLED), model_id="guard", name="Film guard", serves="guard")
    dialog = ModelsDialog()
    qtbot.addWidget(dialog)
    dialog.show_inventory(Inventory((card,)))
    dialog.show()
    assert dialog.list.chosen() is not None
    assert dialog.list.chosen().words == "Used beside every findings model: film check"  # type: ignore[union-attr]
    assert "Used beside every findings model: film check" in dialog.card.toPlainText()
    assert not dialog.remove.isVisible()
    assert dialog.verify.isVisible()


def test_one_that_serves_the_program_and_was_installed_by_the_reader_is_removed(bench: Bench) -> None:
    """The program's own film check is there again afterwards, and stays."""
    folder = bench.shelf._folder / "film-check"
    shutil.copytree(resources_dir() / "models" / "guard", folder)
    write_card(replace(read_card(folder), model_id="film-check", name="Our film check"), folder / CARD_NAME)
    assert serving(bench.catalog, "guard").model_id == "film-check"  # type: ignore[union-attr]
    dialog = bench.open()
    bench.wait(lambda: bench.rows().get("film-check") == "whole")
    dialog.choose("guard")
    assert dialog.list.chosen().words == "Film check, not in use: another one works in its place"  # type: ignore[union-attr]
    assert "works in its place. It is not chosen and not removed." in dialog.card.toPlainText()
    assert not dialog.remove.isVisible()
    dialog.choose("film-check")
    assert "Used beside every findings model: film check. It is not chosen." in dialog.card.toPlainText()
    bench.click(dialog.remove)
    assert "the program's own, or another one installed for the same use, works again" in dialog.question.text.text()
    bench.click(dialog.question.yes)
    bench.said("Our film check was removed.")
    assert not folder.exists()
    assert serving(bench.catalog, "guard").model_id == "guard"  # type: ignore[union-attr]
    dialog.choose("guard")
    assert dialog.list.chosen().words == "Used beside every findings model: film check"  # type: ignore[union-attr]


def test_the_card_tells_operating_points_and_what_was_only_tried() -> None:
    card = read_card(BUNDLED)
    label = replace(
        card.labels[0],
        point="90 % sensitivity",
        points=(
            OperatingPoint("90 % sensitivity", 0.31, 0.9, 0.62, "validation"),
            OperatingPoint("Youden", 0.4, 0.8, 0.8),
        ),
    )
    html = card_html(replace(card, labels=(label,), tried=(TriedLabel("Nodule <b>", "AUC 0.69: below 0.75."),)))
    assert "90 % sensitivity (in use)" in html
    assert "0.62" in html
    assert "Nodule &lt;b&gt;" in html
    assert "AUC 0.69: below 0.75." in html


def test_the_card_tells_what_the_view_adds_and_what_the_model_is_given() -> None:
    card = read_card(BUNDLED)
    label = LabelSpec("Edema", 0.4, "Water.", ratio=RatioTerm(9.0, 0.5), view_terms=(ViewTerm("AP", -0.6),))
    html = card_html(replace(card, labels=(label,), input=replace(card.input, crop="lungs", margin=0.05)))
    words = "Water. Goes by the cardiothoracic ratio, too. On AP films its logit is changed by -0.60; where the view"
    assert f"{words} is not known it is not." in html
    assert "Only the box around both lungs, widened by 0.05 of its side, " in html
    plain = card_html(
        replace(card, labels=(replace(label, ratio=None, view_terms=()),), input=replace(card.input, crop=""))
    )
    assert "its logit" not in plain
    assert "Goes by" not in plain
    assert "Only the box" not in plain
