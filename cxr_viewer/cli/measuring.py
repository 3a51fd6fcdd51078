"""``cxr-viewer evaluate``: how good a model is on one's own films."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts
from cxr_viewer.core.errors import CxrError, ExportError
from cxr_viewer.core.findings import ModelCard, Task

if TYPE_CHECKING:
    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.training.asking import Asked

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

SITE, FACTORY = "site", "factory"
_SPLITS = ("train", "validation", "test", "all")


def add_evaluate_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``evaluate``; run it with :func:`run_evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a model on labelled films",
        description="Ask a model about labelled films as the window does, and write what is right and wrong about its "
        "answers to OUT: evaluation.html (one page, with the worst errors as pictures), evaluation.json, scores.csv. "
        "Intervals are 95 %% and drawn over patients. docs/evaluating.md tells all.",
    )
    add_model_and_films(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is written")
    parser.add_argument("--names", action="store_true", help="also tell the names of the film files")
    return parser


def add_model_and_films(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """What is measured on what."""
    if several:
        parser.add_argument(
            "--model", action="append", required=True, metavar="ID|DIR", help="a model's id or bundle; give it twice"
        )
    else:
        parser.add_argument("--model", required=True, metavar="ID|DIR", help="a model's id or the folder of a bundle")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="PATH",
        help="an index (CSV), or a folder with one or with its films",
    )
    parser.add_argument(
        "--split",
        choices=_SPLITS,
        default="",
        help="which films; default: the test films if the index names any, else all",
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="the column for path, label, patient, site, age, sex, view, split or mask, where it cannot be guessed "
        "(may be repeated)",
    )
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="FINDING=NAME",
        help="the column of a finding where it is not called like it (may be repeated)",
    )
    parser.add_argument(
        "--allow-unreadable",
        type=int,
        default=0,
        metavar="N",
        help="go on if at most N films cannot be read (default: 0)",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument(
        "--use",
        choices=(SITE, FACTORY),
        default="",
        help="score with this site's calibration or as shipped; default: what is in use",
    )


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Run ``evaluate``; 0 when everything is written.

    Raises:
        CxrError: for the command line to tell.
    """
    catalog, card = found_model(arguments.model, arguments.use)
    films = asked_films(arguments)
    with output_folder(arguments.out), parts.runner(catalog) as runner:
        from cxr_viewer.training.evaluate_run import as_lines, evaluate_classifier

        if card.task is not Task.CLASSIFY:
            raise CxrError(f"“{card.name}” gives no findings.", hint="Choose another model.", code="wrong-use")
        found = evaluate_classifier(card, runner, films, arguments.out, device=arguments.device, names=arguments.names)
    for line in as_lines(found):
        print(line)
    print(f"The page, the figures and the scores are in {arguments.out}")
    return 0


def found_model(model: str, use: str = "") -> tuple[BundleCatalog, ModelCard]:
    """The card of a model, and a catalogue that has it before all installed ones (which may serve it).

    Args:
        model: an id, or the folder of a bundle.
        use: ``site`` or ``factory``, or empty for what is in use.

    Raises:
        CxrError: no such model, or no calibration of this site for it.
    """
    from cxr_viewer.inference import sitecalibration
    from cxr_viewer.inference.cards import read_card
    from cxr_viewer.inference.catalog import BundleCatalog, bundle_dirs, calibrations_dir
    from cxr_viewer.services.settings import Paths

    data = Paths.of_user().data
    folder = Path(model).resolve() if (Path(model) / "card.toml").is_file() else None
    dirs = ([folder.parent] if folder else []) + list(bundle_dirs(data))
    catalog = BundleCatalog(dirs, calibrations=None if use == FACTORY else calibrations_dir(data))
    card = parts.choose_card(catalog, read_card(folder).model_id if folder else model)
    if use == SITE and card.site is None:
        kept = sitecalibration.read(calibrations_dir(data), card)
        why = "it is not in use" if kept else "there is none"
        raise CxrError(
            f"“{card.name}” cannot be scored with this site's calibration: {why}.",
            hint=f"Make one with cxr-viewer calibrate, or use it again: cxr-viewer calibrate --model {card.model_id} "
            "--use site.",
            code="no-site-calibration",
        )
    return catalog, card


def asked_films(arguments: argparse.Namespace) -> Asked:
    """The films as the arguments of :func:`add_model_and_films` name them. Raises CxrError."""
    from cxr_viewer.training.asking import Asked

    return Asked(
        data=arguments.data,
        split=arguments.split,
        columns=pairs(arguments.column, "--column"),
        labels=pairs(arguments.label, "--label"),
        allowed=arguments.allow_unreadable,
    )


def pairs(words: list[str], option: str) -> tuple[tuple[str, str], ...]:
    """``["path=file"]`` -> ``(("path", "file"),)``. Raises CxrError."""
    out = []
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign and value):
            raise CxrError(f"“{option} {word}” is not of the form NAME=NAME.", code="wrong-use")
        out.append((name, value))
    return tuple(out)


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make the folder before the long work begins, and tell a full disk or a missing right in one sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ExportError(
            f"“{error.filename or folder}” could not be read or written: {error.strerror or error}.",
            hint="Check the path, the rights and the space on the disk, or give another --out.",
            detail=repr(error),
            code="output-folder",
        ) from error
