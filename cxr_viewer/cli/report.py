"""``cxr-viewer report``: the annotated report of one film, as the window would write it."""

from __future__ import annotations

import argparse
import datetime as dt
from typing import TYPE_CHECKING

from cxr_viewer import __version__
from cxr_viewer.cli import parts
from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.report import make_report
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import ViewerState

if TYPE_CHECKING:
    from collections.abc import Callable

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser(
        "report",
        help="write the annotated report of a film",
        description="Ask the model about one film and write the annotated report: film, heat map, findings, limits. "
        "Who the patient is stays out unless --with-identity is given.",
    )
    parts.add_film(parser)
    parts.add_model(parser)
    parts.add_check(parser)
    parser.add_argument("--finding", metavar="LABEL", help="show the heat map of this finding")
    parser.add_argument("--contour", action="store_true", help="draw the heat map as a contour")
    parser.add_argument("--seen", action="store_true", help="show what the model was given, and hatch what it was not")
    parser.add_argument("--comment", default="", metavar="TEXT", help="the reader's comment")
    parser.add_argument("--with-identity", action="store_true", help="write name, id, dates and institution")
    parser.add_argument("--without-model", action="store_true", help="ask no model")
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``report``. Raises CxrError."""
    from cxr_viewer.outputs.png import PngReportWriter

    models = parts.catalog()
    wanted = "" if arguments.without_model else parts.wanted_model(models, arguments.model)
    if arguments.finding is not None and not wanted:
        raise CxrError("--finding needs a model.", hint="Leave --without-model out.", code="wrong-use")
    image = parts.read_named_film(arguments, arguments.frame - 1)
    state = _as_asked(parts.opened(image, wanted, arguments.device, models.cards()), arguments)
    card = _card(state, wanted)
    finding = parts.label_of(card, arguments.finding) if card is not None and arguments.finding is not None else None
    if card is not None:
        with parts.runner(models) as runner:
            state = parts.ask(state, runner, parts.Wish(arguments.turn, arguments.override))
    failure = state.panes[0].analysis_failure
    if failure is not None:
        raise CxrError(failure.summary, hint=failure.hint, detail=failure.detail, code=failure.code)
    report = make_report(
        parts.shown_pane(state, finding),
        card,
        with_identity=arguments.with_identity,
        program_version=__version__,
        created=dt.datetime.now().astimezone(),
        show_seen=arguments.seen,
        show_callipers=True,
    )
    PngReportWriter().write_png(report, arguments.output)
    return 0


def _card(state: ViewerState, wanted: str) -> ModelCard | None:
    """The card of the model that will be asked about the film in the first pane."""
    image = state.panes[0].image
    choice = choose_model(state.cards, wanted, image) if image is not None else None
    return next((card for card in state.cards if choice is not None and card.model_id == choice.model_id), None)


def _as_asked(state: ViewerState, arguments: argparse.Namespace) -> ViewerState:
    """The session with the window, polarity, overlay style and comment of the command line."""
    from cxr_viewer.imaging.render import parse_window

    image = state.panes[0].image
    events: list[ev.Event] = [ev.SetInverted(0, arguments.invert), ev.SetOpinion(0, arguments.comment)]
    if arguments.window and image is not None:
        voi = parse_window(arguments.window, image)
        events.append(ev.SetVoi(0, voi, next((i for i, own in enumerate(image.voi) if own is voi), None)))
    if arguments.contour:
        events.append(ev.SetOverlay(0, mode=OverlayMode.CONTOUR))
    for event in events:
        state, _ = reduce(state, event)
    return state
