"""The work of the program without a window: render, analyse, report, models, train, evaluate, compare,
calibrate, localise.

Exit status: 0 good, 1 something failed, 2 wrong use, 130 stopped by the user. A fault is one sentence and a way out on
standard error; ``--verbose`` adds the technical detail and what the program noted on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from cxr_viewer import __version__
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.jobs import failure_from
from cxr_viewer.core.report import DISCLAIMER

_WRONG_USE = {"wrong-use", "bad-window", "no-such-window", "unknown-model", "unknown-finding"}

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str]) -> int:
    """Run one command; ``argv`` begins with its name. Returns the exit status."""
    parser, commands = build_parser(argv[0] if argv else "")
    arguments = parser.parse_args(_joined(argv))
    with _log_to(sys.stderr if arguments.verbose else None):
        return _run(commands, arguments)


@contextlib.contextmanager
def _log_to(stream: TextIO | None) -> Iterator[None]:
    """What the program notes goes there: without a place of its own, Python would put it before the sentence."""
    handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
    logger = logging.getLogger("cxr_viewer")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _run(commands: dict[str, Command], arguments: argparse.Namespace) -> int:
    try:
        return commands[arguments.command](arguments)
    except CxrError as error:
        return _tell(error, verbose=arguments.verbose)
    except KeyboardInterrupt:
        print("cxr-viewer: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it closes standard output.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            hint = "Make room, or have the answers written to another disk."
            return _tell(CxrError("The disk is full.", hint=hint, detail=repr(error)), verbose=arguments.verbose)
        failure = failure_from(error, job=arguments.command)
        return _tell(CxrError(failure.summary, detail=failure.detail, code=failure.code), verbose=arguments.verbose)


def build_parser(command: str = "") -> tuple[argparse.ArgumentParser, dict[str, Command]]:
    """The parser and what runs each command; training is described in full only when ``command`` asks for it."""
    from cxr_viewer.cli import analyse, measuring, models, render, report

    parser = argparse.ArgumentParser(
        prog="cxr-viewer",
        description=f"Chest films with a model beside them. {DISCLAIMER}",
        epilog="Without a command, cxr-viewer [PATHS] opens the window; cxr-viewer open --help tells more.",
    )
    parser.add_argument("--version", action="version", version=f"cxr-viewer {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    subparsers.add_parser("open", help="open the window (the same as no command)", add_help=False)
    commands: dict[str, Command] = {
        "render": render.add_parser(subparsers),
        "analyse": analyse.add_parser(subparsers),
        "report": report.add_parser(subparsers),
        "models": models.add_parser(subparsers),
    }
    if command in ("train", "localise"):
        from cxr_viewer.training import commands as training

        training.add_train_parser(subparsers)
        training.add_localise_parser(subparsers)
        commands |= {"train": training.run_train, "localise": _of_installed(training.run_localise)}
    else:
        subparsers.add_parser("train", help="train a model from a recipe", add_help=False)
        subparsers.add_parser("localise", help="measure whether heat maps show the place", add_help=False)
    measuring.add_evaluate_parser(subparsers)
    measuring.add_compare_parser(subparsers)
    measuring.add_calibrate_parser(subparsers)
    commands |= {
        "evaluate": measuring.run_evaluate,
        "compare": measuring.run_compare,
        "calibrate": measuring.run_calibrate,
    }
    for subparser in set(subparsers.choices.values()):
        subparser.add_argument("-v", "--verbose", action="store_true", help="say the technical detail of a fault too")
    return parser, commands


def _of_installed(command: Command) -> Command:
    """``command`` with the id of any installed model as ``--model``: training knows no folders of the user."""

    def run(arguments: argparse.Namespace) -> int:
        from cxr_viewer.cli import parts

        arguments.model = parts.model_folder(arguments.model)
        return command(arguments)

    return run


def _joined(argv: Sequence[str]) -> list[str]:
    """``--window -600,1600`` as one word: argparse takes a value that begins with a minus for an option."""
    words: list[str] = []
    for word in argv:
        if words and words[-1] == "--window":
            words[-1] = f"--window={word}"
        else:
            words.append(word)
    return words


def _tell(error: CxrError, *, verbose: bool) -> int:
    print(f"cxr-viewer: {error.summary} {error.hint}".rstrip(), file=sys.stderr)
    if verbose and error.detail:
        print(error.detail.rstrip(), file=sys.stderr)
    return 2 if error.code in _WRONG_USE else 1
