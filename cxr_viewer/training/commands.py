"""``cxr-viewer train`` and ``cxr-viewer localise``.

Torch is imported only once a command runs, so that asking for help stays quick.
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.core.errors import CxrError, ExportError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

CHIEF_SPEAKS_S = 20.0
"""What is wrong with films or recipe every process of torchrun finds at about the same time: the first tells it, and
its end ends the others. One that is still there after so many seconds has met something of its own, for example a film
that its machine lacks, and tells it."""

DEFAULT_MODEL = "paediatric-pneumonia"


def add_train_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``train``; run it with :func:`run_train`."""
    parser = subparsers.add_parser(
        "train",
        help="train a model from a recipe",
        description="Train a model from labelled films as a recipe says, and write a bundle (weights, card, figures) "
        "to OUT/bundle. Stopping it loses at most one epoch: the same command goes on where it stopped. "
        "docs/training.md tells all.",
    )
    parser.add_argument(
        "--recipe", required=True, metavar="NAME|FILE", help="a recipe of the program (e.g. classify) or a TOML file"
    )
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        metavar="PATH",
        help="an index (CSV), or a folder with one, or with train/LABEL, test/LABEL, ... (may be repeated)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: runs/ and the recipe's name")
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change the recipe, e.g. --set training.epochs=5 (may be repeated)",
    )
    _add_running(parser)
    _add_testing(parser)
    return parser


def _add_running(parser: argparse.ArgumentParser) -> None:
    """What changes how it runs."""
    parser.add_argument("--init", type=Path, metavar="PATH", help="weights (safetensors) or a bundle to start from")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="processor threads (default: 2)")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="threads that prepare films meanwhile (default: 1)"
    )
    parser.add_argument("--fresh", action="store_true", help="start again even if OUT holds a checkpoint")
    parser.add_argument("--tensorboard", action="store_true", help="also write curves to OUT/tensorboard")
    parser.add_argument(
        "--allow-unreadable",
        type=int,
        default=0,
        metavar="N",
        help="go on if at most N films of a part cannot be read (default: 0)",
    )


def _add_testing(parser: argparse.ArgumentParser) -> None:
    """What it is tested on."""
    sites = parser.add_mutually_exclusive_group()
    sites.add_argument("--leave-out-site", default="", metavar="NAME", help="learn without this site, test on it")
    sites.add_argument(
        "--leave-one-site-out", action="store_true", help="one run per site, each tested on the site it has not seen"
    )
    parser.add_argument(
        "--outside",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="films of another kind, tested on only; their figures go into the card (may be repeated)",
    )


def run_train(args: argparse.Namespace) -> int:
    """Run ``train``; 0 when the bundle is written.

    Raises:
        CxrError: for the command line to tell.
    """
    from cxr_viewer.training.ddp import is_chief, leave
    from cxr_viewer.training.loop import RunOptions
    from cxr_viewer.training.parts import ReadOptions
    from cxr_viewer.training.recipe import read_recipe
    from cxr_viewer.training.run import TrainJob, leave_one_site_out, train_model

    for name in ("threads", "workers"):
        if getattr(args, name) < 1:
            raise CxrError(f"--{name} has to be at least 1.", code="wrong-use")
    recipe = read_recipe(args.recipe, args.changes)
    job = TrainJob(
        recipe=recipe,
        data=tuple(args.data),
        out=args.out or Path("runs") / recipe.name,
        init=args.init,
        outside=tuple(args.outside),
        reading=ReadOptions(allowed=args.allow_unreadable, left_out_site=args.leave_out_site),
        options=RunOptions(args.device, args.threads, args.workers, args.fresh, args.tensorboard),
        command=_command_text(args),
    )
    try:
        with output_folder(job.out):
            if args.leave_one_site_out:
                leave_one_site_out(job)
                bundle = None
            else:
                bundle = train_model(job)
    except CxrError:
        if not is_chief():
            time.sleep(CHIEF_SPEAKS_S)  # torchrun ends this process once the chief has ended
        raise
    if bundle is not None:
        print(f"The model is in {bundle}")
    leave()
    return 0


def add_localise_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``localise``; run it with :func:`run_localise`."""
    parser = subparsers.add_parser(
        "localise",
        help="measure whether a model's heat maps show the place",
        description="Hold a model's heat maps against boxes drawn by people, beside the one point per finding that "
        "lies in most boxes of other patients. Intervals are 95 % and drawn over patients.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="NIH films with DIR_index.csv beside it; may be repeated, of a film in several the first counts",
    )
    parser.add_argument(
        "--boxes", type=Path, metavar="FILE", help="NIH's list of boxes (default: BBox_List_2017.csv beside the films)"
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="ID|PATH", help=f"a model's id or bundle (default: {DEFAULT_MODEL})"
    )
    parser.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="NAME",
        help="a map method, e.g. Grad-CAM (may be repeated; default: all that the model allows)",
    )
    parser.add_argument("--split", choices=("test", "train"), default="test", help="default: test")
    parser.add_argument("--note", default="", metavar="TEXT", help="more words about the films, for the card")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the figures go")
    parser.add_argument("--write-card", action="store_true", help="also write the figures into the model's card")
    return parser


def run_localise(args: argparse.Namespace) -> int:
    """Run ``localise``; 0 when the figures are written.

    Raises:
        CxrError: for the command line to tell.
    """
    from cxr_viewer.training.localise import as_markdown, localise_bundle, save

    with output_folder(args.out):
        found = localise_bundle(
            args.model,
            args.data,
            args.method,
            boxes=args.boxes,
            split=args.split,
            note=args.note,
            write=args.write_card,
        )
        save(found, args.out)
    print(as_markdown(found))
    print(f"The figures are in {args.out}")
    return 0


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Make the folder before the long work begins, and tell a full disk or a missing right in one sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BrokenPipeError:
        raise  # of the terminal, not of the folder: whoever read what is printed has gone
    except OSError as error:
        raise ExportError(
            f"“{error.filename or folder}” could not be read or written: {error.strerror or error}.",
            hint="Check the path, the rights and the space on the disk, or give another --out.",
            detail=repr(error),
            code="output-folder",
        ) from error


def _command_text(args: argparse.Namespace) -> str:
    """The command with folder names only; where they lay is nobody's business."""
    recipe = Path(args.recipe).name
    parts = ["cxr-viewer train", f"--recipe {recipe}", *(f"--data {path.name}" for path in args.data)]
    parts += [f"--set {shlex.quote(change)}" for change in args.changes]
    if args.init is not None:
        parts.append(f"--init {args.init.name}")
    if args.leave_out_site:
        parts.append(f"--leave-out-site {shlex.quote(args.leave_out_site)}")
    parts += [f"--outside {path.name}" for path in args.outside]
    return " ".join(parts)
