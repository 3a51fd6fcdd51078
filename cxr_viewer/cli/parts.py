"""What the commands are built from: the real reader, scanner, models, and one analysis of one film."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.cli import archives
from cxr_viewer.core.errors import CxrError, ReadError, RefusalError
from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.answers import refusal_of
from cxr_viewer.services.ports import ModelCatalog, ModelRunner
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import AUTO, Pane, ViewerState

if TYPE_CHECKING:
    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.sources.reader import SandboxReader
    from cxr_viewer.sources.sandbox import Sandbox


def add_film(parser: argparse.ArgumentParser) -> None:
    """The arguments of commands that take one film."""
    parser.add_argument("file", type=Path, metavar="FILE", help="one film: DICOM, PNG, JPEG, TIFF, ... or ZIP")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.png", help="picture to write")
    parser.add_argument("--frame", type=int, default=1, metavar="N", help="which frame of several, from 1; default: 1")
    add_window(parser)
    archives.add_member(parser)


def add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window",
        metavar="WINDOW",
        help="file:N for the N-th of the film's own (from 1), auto, or CENTER,WIDTH; default: the film's first",
    )
    parser.add_argument("--invert", action="store_true", help="exchange dark and bright")


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="ID",
        help="model to ask (see: cxr-viewer models list); default: the one that is meant for each film",
    )
    from cxr_viewer.inference.engines import ENGINES

    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", *ENGINES),
        default="auto",
        help="where the model runs: auto, cpu, cuda, or one engine of the CPU by its name; default: auto",
    )


TURNS = {"0": 0, "90": 1, "180": 2, "270": 3}
TURN_AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of films that the film check has something against.

    Attributes:
        turn: degrees clockwise by which every film is turned for the models, or ``"auto"``: as the check says.
        override: score a film although the check blocks it.
    """

    turn: str = "0"
    override: bool = False


def add_check(parser: argparse.ArgumentParser) -> None:
    """The arguments of :class:`Wish`."""
    parser.add_argument(
        "--override", action="store_true", help="score films that the film check blocks, too; the answer says so"
    )
    parser.add_argument(
        "--turn",
        choices=(*TURNS, TURN_AUTO),
        default="0",
        help="turn every film clockwise by so many degrees for the models, or as the film check says; default: 0",
    )


@contextmanager
def sandbox(size: int = 2) -> Iterator[Sandbox]:
    """Processes in which files are read; they end with the block."""
    from cxr_viewer.sources.sandbox import Sandbox

    opened = Sandbox(size)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def runner(catalog: BundleCatalog) -> Iterator[ModelRunner]:
    """Runs models; its engine ends with the block."""
    from cxr_viewer.inference.runner import LocalRunner
    from cxr_viewer.services.settings import Paths

    built = LocalRunner(catalog, Paths.of_user().cache)
    try:
        yield built
    finally:
        built.close()


def catalog() -> BundleCatalog:
    """The installed models."""
    from cxr_viewer.inference.catalog import BundleCatalog, bundle_dirs, calibrations_dir
    from cxr_viewer.inference.store.bundles import sweep
    from cxr_viewer.services.settings import Paths

    paths = Paths.of_user()
    sweep(paths.models)
    return BundleCatalog(bundle_dirs(paths.data), calibrations=calibrations_dir(paths.data))


def choose_card(models: ModelCatalog, model_id: str | None) -> ModelCard:
    """The card asked for, the first when none was.

    Raises:
        CxrError: ``no-model`` or ``unknown-model``.
    """
    cards = models.cards()
    if not cards:
        problems = " ".join(models.problems())
        raise CxrError("No model is installed.", hint=problems or "Install the program again.", code="no-model")
    if model_id is None:
        return next((card for card in cards if not card.serves), cards[0])
    found = next((card for card in cards if card.model_id == model_id), None)
    if found is None:
        known = ", ".join(card.model_id for card in cards)
        raise CxrError(f"There is no model “{model_id}”.", hint=f"Installed: {known}.", code="unknown-model")
    return found


def model_folder(model: str) -> str:
    """The folder of an installed model, or ``model`` itself where it is the folder of one.

    Raises:
        CxrError: like :func:`choose_card`.
    """
    if (Path(model) / "card.toml").is_file():
        return model
    models = catalog()
    return str(models.folder(choose_card(models, model).model_id))


def wanted_model(models: ModelCatalog, model_id: str | None) -> str:
    """What the session is to ask: the model named, or where none was the one that is meant for each film.

    Raises:
        CxrError: like :func:`choose_card`; ``no-classifier`` where nothing installed gives findings.
    """
    if model_id is not None:
        return choose_card(models, model_id).model_id
    choose_card(models, None)
    if all(card.task is not Task.CLASSIFY or card.serves for card in models.cards()):
        raise CxrError(
            "No installed model gives findings.", hint="Name one with --model to have it asked.", code="no-classifier"
        )
    return AUTO


def asked_card(pane: Pane, cards: Sequence[ModelCard]) -> ModelCard | None:
    """The card of the model that was asked about the film in a pane."""
    return next((card for card in cards if pane.model is not None and card.model_id == pane.model.model_id), None)


def read_film(films: SandboxReader, path: Path, frame: int = 0) -> Radiograph:
    """Read one film that the user named, frame number ``frame`` of it, counted from 0.

    Raises:
        ReadError: with a sentence, whatever is wrong with the file or the number.
    """
    if not path.exists():
        raise no_such_file()
    return read_frame(films, films.describe(path, CancelToken()).image, frame)


def read_named_film(arguments: argparse.Namespace, frame: int = 0) -> Radiograph:
    """Read the film that the arguments of :func:`add_film` name, also in an archive. Raises like :func:`read_film`."""
    with sandbox(1) as processes:
        from cxr_viewer.sources.reader import SandboxReader

        films = SandboxReader(processes)
        if not archives.is_archive(arguments.file):
            return read_film(films, arguments.file, frame)
        password_file = arguments.zip_password_file
        node = archives.film_in(films, processes, arguments.file.absolute(), arguments.member, password_file)
        return read_frame(films, node, frame)


def read_frame(films: SandboxReader, node: ImageNode, frame: int) -> Radiograph:
    """Raises like :func:`read_film`."""
    token = CancelToken()
    return films.read(replace(node, key=replace(node.key, frame=frame)), token)


def no_such_file() -> ReadError:
    return ReadError("There is no such file.", hint="Check its name.", code="no-such-file")


def opened(image: Radiograph, model_id: str, device: str, cards: Sequence[ModelCard] = ()) -> ViewerState:
    """The session after ``image`` was opened in the first pane, as in the window; no model was asked yet.

    Args:
        model_id: a model's id, or ``AUTO`` for the one of ``cards`` that is meant for the film.
    """
    node = ImageNode(image.key, image.path, image.rows, image.columns, image.view)
    state = ViewerState(model_id=model_id, cards=tuple(cards), device=device, automatic=False)
    state, _ = reduce(state, ev.OpenImage(node, 0))
    state, _ = reduce(state, ev.ImageLoaded(0, state.panes[0].generation, image))
    return state


def ask(state: ViewerState, models: ModelRunner, wish: Wish | None = None) -> ViewerState:
    """The session after the model has answered, refused or failed, with the wishes done as in the window."""
    wish = wish or Wish()
    if wish.turn != TURN_AUTO:
        panes = (replace(state.panes[0], turns=TURNS[wish.turn]), *state.panes[1:])
        state = replace(state, panes=panes)
    state = _answered(state, ev.AskModel(0), models)
    if wish.turn == TURN_AUTO:
        state = _answered(state, ev.TurnUpright(0), models)
    return _answered(state, ev.Override(0), models) if wish.override else state


def _answered(state: ViewerState, event: ev.Event, models: ModelRunner) -> ViewerState:
    state, effects = reduce(state, event)
    for effect in effects:
        if isinstance(effect, ev.StartAnalysis):
            state, _ = reduce(state, _answer(effect, models))
    return state


def _answer(effect: ev.StartAnalysis, models: ModelRunner) -> ev.Event:
    request = effect.request
    try:
        return ev.AnalysisArrived(models.analyse(request, CancelToken(), _unheard))
    except RefusalError as error:
        return ev.AnalysisRefused(refusal_of(request, error))
    except Exception as error:
        failure = failure_from(error, job="analysis", pane=request.pane, generation=request.generation)
        return ev.AnalysisFailed(failure)


def _unheard(stage: str) -> None:
    """Stages of a tenth of a second are not worth a line on a terminal."""


def label_of(card: ModelCard, wanted: str) -> str:
    """The label of the card that the user means, whatever its case.

    Raises:
        CxrError: ``unknown-finding``.
    """
    for label in card.labels:
        if label.name.casefold() == wanted.casefold():
            return label.name
    known = ", ".join(label.name for label in card.labels)
    raise CxrError(
        f"The model “{card.name}” has no finding “{wanted}”.", hint=f"It has: {known}.", code="unknown-finding"
    )


def shown_pane(state: ViewerState, finding: str | None) -> Pane:
    """The first pane, with the map of ``finding`` shown when one is given."""
    if finding is not None and state.panes[0].result is not None:
        state, _ = reduce(state, ev.SelectFinding(0, finding))
        state, _ = reduce(state, ev.SetOverlay(0, visible=True))
    return state.panes[0]
