"""``cxr-viewer evaluate``, ``compare`` and ``calibrate``: models on one's own films."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.training.commands import output_folder

if TYPE_CHECKING:
    from cxr_viewer.inference.catalog import BundleCatalog
    from cxr_viewer.services.ports import ModelRunner
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
        "Intervals are 95 % and drawn over patients. docs/evaluating.md tells all.",
    )
    add_model_and_films(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is written")
    parser.add_argument("--names", action="store_true", help="also tell the names of the film files")
    return parser


def add_model_and_films(parser: argparse.ArgumentParser, *, several: bool = False, needed: bool = True) -> None:
    """What is measured on what.

    Args:
        several: more than one model.
        needed: films have to be given.
    """
    if several:
        parser.add_argument(
            "--model", action="append", required=True, metavar="ID|DIR", help="a model's id or bundle; give it twice"
        )
    else:
        parser.add_argument("--model", required=True, metavar="ID|DIR", help="a model's id or the folder of a bundle")
    parser.add_argument(
        "--data",
        type=Path,
        required=needed,
        metavar="PATH",
        help="an index (CSV), or a folder with one or with its films",
    )
    parser.add_argument(
        "--split",
        choices=_SPLITS,
        default="",
        help="which films; default: the test films if the index names any, else all",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    parser.add_argument(
        "--use",
        choices=(SITE, FACTORY),
        default="",
        help="score with this site's calibration or as shipped; default: what is in use",
    )
    _add_index(parser)


def _add_index(parser: argparse.ArgumentParser) -> None:
    """How the index is to be read."""
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


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Run ``evaluate``; 0 when everything is written.

    Raises:
        CxrError: for the command line to tell.
    """
    catalog, card = found_model(arguments.model, arguments.use)
    films = asked_films(arguments)
    with output_folder(arguments.out), parts.runner(catalog) as runner:
        lines = _evaluated(arguments, catalog, card, runner, films)
    for line in lines:
        print(line)
    print(f"The page, the figures and the scores are in {arguments.out}")
    return 0


def _evaluated(
    arguments: argparse.Namespace, catalog: BundleCatalog, card: ModelCard, runner: ModelRunner, films: Asked
) -> list[str]:
    """What was measured, in lines, by what kind of model it is."""
    from cxr_viewer.training import evaluate_others as others
    from cxr_viewer.training import evaluate_run
    from cxr_viewer.training.reports import others as pages

    device = arguments.device
    if card.task is Task.CLASSIFY:
        found = evaluate_run.evaluate_classifier(
            card, runner, films, arguments.out, device=device, names=arguments.names
        )
        return evaluate_run.as_lines(found)
    if card.task is Task.SEGMENT:
        measured = others.evaluate_outlines(card, runner, films, device=device)
    else:
        measured = others.evaluate_check(card, _beside(catalog), runner, films, device=device)
    pages.save(measured, arguments.out)
    return pages.as_lines(measured)


def _beside(catalog: BundleCatalog) -> ModelCard:
    """The model that is asked while the film check is measured: one that looks at every film, whatever it shows.

    Raises:
        CxrError: only the film check is installed.
    """
    cards = [card for card in catalog.cards() if card.task is not Task.GUARD]
    if not cards:
        raise CxrError("No other model is installed, and the film check is asked beside one.", code="no-model")
    # One that is cut to the lungs refuses what has none, and just these images are to be counted.
    return min(cards, key=lambda card: (bool(card.input.crop), card.task is not Task.SEGMENT))


def add_compare_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``compare``; run it with :func:`run_compare`."""
    parser = subparsers.add_parser(
        "compare",
        help="hold two models against each other on the same films",
        description="Ask two models about the same films, and write to OUT what one does better than the other, with "
        "95 % intervals of the differences, and where they disagree: comparison.html and comparison.json.",
    )
    add_model_and_films(parser, several=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for what is written")
    parser.add_argument("--names", action="store_true", help="also tell the names of the film files")
    return parser


def run_compare(arguments: argparse.Namespace) -> int:
    """Run ``compare``; 0 when everything is written.

    Raises:
        CxrError: for the command line to tell.
    """
    if len(arguments.model) != 2:
        raise CxrError("Give --model twice, once for each of the two models.", code="wrong-use")
    (first_catalog, first), (second_catalog, second) = (found_model(one, arguments.use) for one in arguments.model)
    films = asked_films(arguments)
    with (
        output_folder(arguments.out),
        parts.runner(first_catalog) as one,
        parts.runner(second_catalog) as other,
    ):
        from cxr_viewer.training.compare import compare
        from cxr_viewer.training.reports import comparison

        found = compare((first, second), (one, other), films, device=arguments.device)
        comparison.save(found, arguments.out, names=arguments.names)
    for line in comparison.as_lines(found):
        print(line)
    print(f"The page and the figures are in {arguments.out}")
    return 0


def add_calibrate_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``calibrate``; run it with :func:`run_calibrate`."""
    parser = subparsers.add_parser(
        "calibrate",
        help="tune a model's scores and operating points to one's own films",
        description="Tune temperature, bias and operating points of an installed model to a few hundred labelled films "
        "of this site, taken as patients came. The network is not changed. The new calibration is used only if it is "
        "better on films it was not made on; what the model came with is kept, and --use goes back and forth.",
    )
    add_model_and_films(parser, needed=False)
    parser.add_argument(
        "--site", default="", metavar="NAME", help="what this site is called; default: the index's name"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write a page with figures and plots there")
    return parser


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Run ``calibrate``; 0 when the calibration is kept, or the one to be used was chosen.

    Raises:
        CxrError: for the command line to tell.
    """
    if arguments.data is None and not arguments.use:
        raise CxrError("Give --data with films to calibrate on, or --use site or --use factory.", code="wrong-use")
    if arguments.data is not None:
        return _calibrate(arguments)
    from cxr_viewer.inference import sitecalibration

    _, card = found_model(arguments.model, FACTORY)
    with output_folder(calibrations()):
        sitecalibration.use(calibrations(), card, site=arguments.use == SITE)
    print(_used(card.name, site=arguments.use == SITE))
    return 0


def _calibrate(arguments: argparse.Namespace) -> int:
    from cxr_viewer.inference import sitecalibration
    from cxr_viewer.training.calibrating import calibrate
    from cxr_viewer.training.reports import calibration

    catalog, card = found_model(arguments.model, FACTORY)
    if card.task is not Task.CLASSIFY:
        raise CxrError(f"“{card.name}” gives no scores to calibrate.", code="wrong-use")
    films = replace(asked_films(arguments), split=arguments.split or "all")
    site = (arguments.site or arguments.data.stem).strip()
    if not site.isprintable() or not 0 < len(site) <= sitecalibration.LONGEST_SITE:
        most = sitecalibration.LONGEST_SITE
        raise CxrError(f"--site has to be a name of at most {most} signs.", code="wrong-use")
    with output_folder(arguments.out or calibrations()), parts.runner(catalog) as runner:
        found = calibrate(card, runner, films, site, device=arguments.device)
        if arguments.out is not None:
            calibration.save(found, arguments.out)
    for line in calibration.as_lines(found):
        print(line)
    if found.calibration is None:
        raise CxrError(
            "No finding has films enough to be calibrated; nothing was changed.",
            hint="See the lines above for what is missing.",
            code="too-few-films",
        )
    used = arguments.use == SITE or (found.helps and arguments.use != FACTORY)
    with output_folder(calibrations()):
        path = sitecalibration.write(calibrations(), card, found.calibration, in_use=used)
    print(f"Kept in {path}. {_used(card.name, site=used)}")
    return 0


def _used(name: str, *, site: bool) -> str:
    other = FACTORY if site else SITE
    how = "with this site's calibration" if site else "as shipped"
    return f"“{name}” now scores {how}; --use {other} changes that."


def calibrations() -> Path:
    """The user's folder of calibrations."""
    from cxr_viewer.inference.catalog import calibrations_dir
    from cxr_viewer.services.settings import Paths

    return calibrations_dir(Paths.of_user().data)


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
