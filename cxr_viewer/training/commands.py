"""``cxr-viewer train``, ``cxr-viewer evaluate`` and ``cxr-viewer localise``.

Torch is imported only once a command runs, so that asking for help stays quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.core.errors import CxrError, ExportError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

DEFAULT_MODEL = "paediatric-pneumonia"
DEFAULT_OUT = Path("runs") / DEFAULT_MODEL


def add_train_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``train``; run it with :func:`run_train`."""
    parser = subparsers.add_parser(
        "train",
        help="train the paediatric pneumonia model again",
        description="Train a model from labelled films and write a bundle (weights, card, figures) to OUT/bundle. "
        "Stopping it loses at most one epoch: the same command goes on where it stopped.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="films with an index.csv, or in train/NORMAL, train/PNEUMONIA, test/NORMAL, test/PNEUMONIA",
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help=f"default: {DEFAULT_OUT}")
    parser.add_argument("--epochs", type=int, metavar="N", help="most passes over the films (default: 22)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the split and of all chance (default: 1)")
    parser.add_argument("--init", type=Path, metavar="FILE", help="weights (safetensors) to start from")
    parser.add_argument("--network", metavar="NAME", help="default: cxr-small")
    parser.add_argument("--batch", type=int, metavar="N", help="films per step (default: 32)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, metavar="N", help="processor threads (default: 2)")
    parser.add_argument("--fresh", action="store_true", help="start again even if OUT holds a checkpoint")
    parser.add_argument(
        "--keep-shared-patients",
        action="store_true",
        help="learn also from training films of patients who have test films (figures get rosier)",
    )
    parser.add_argument(
        "--outside",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="films of another kind, tested on only; their figures go into the card (may be repeated)",
    )
    parser.add_argument(
        "--note",
        action="append",
        default=[],
        metavar="TEXT",
        help="a further caution for the card, a whole sentence (may be repeated)",
    )
    parser.add_argument("--version", default="1.0.0", metavar="TEXT", help="version written into the card")
    return parser


def run_train(args: argparse.Namespace) -> int:
    """Run ``train``; 0 when the bundle is written.

    Raises:
        CxrError: for the command line to tell.
    """
    from cxr_viewer.training.fit import FitConfig
    from cxr_viewer.training.pipeline import TrainJob, train_model

    chosen = {name: getattr(args, name) for name in ("epochs", "seed", "network", "batch", "threads")}
    for name in ("epochs", "batch", "threads"):
        if chosen[name] is not None and chosen[name] < 1:
            raise CxrError(f"--{name} has to be at least 1.", code="wrong-use")
    config = FitConfig(device=args.device, **{name: value for name, value in chosen.items() if value is not None})
    job = TrainJob(
        data=args.data,
        out=args.out,
        config=config,
        version=args.version,
        init=args.init,
        fresh=args.fresh,
        keep_shared=args.keep_shared_patients,
        outside=tuple(args.outside),
        command=_command_text(args, config.epochs, config.seed),
        notes=tuple(args.note),
    )
    with _output_folder(args.out):
        bundle = train_model(job)
    print(f"The model is in {bundle}")
    return 0


def add_evaluate_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``evaluate``; run it with :func:`run_evaluate`."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a model on labelled films",
        description="Print and save accuracy, sensitivity, specificity, AUC and calibration error with 95 % intervals, "
        "confusion matrix, classification report, ROC and reliability plots, and what the model leans on.",
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="labelled films, as for train")
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="ID|PATH", help=f"a model's id or bundle (default: {DEFAULT_MODEL})"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where figures and plots go")
    parser.add_argument("--split", choices=("test", "train", "all"), default="test", help="default: test")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    return parser


def run_evaluate(args: argparse.Namespace) -> int:
    """Run ``evaluate``; 0 when the figures are written.

    Raises:
        CxrError: for the command line to tell.
    """
    from cxr_viewer.training.evaluate import as_text
    from cxr_viewer.training.pipeline import evaluate_bundle, find_bundle

    with _output_folder(args.out):
        evaluation = evaluate_bundle(
            find_bundle(args.model), args.data, args.out, split=args.split, device=args.device, quiet=False
        )
    print(as_text(evaluation))
    print(f"Figures, scores and plots are in {args.out}")
    return 0


def add_localise_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``localise``; run it with :func:`run_localise`."""
    parser = subparsers.add_parser(
        "localise",
        help="measure whether a model's heat maps show the place",
        description="Hold a model's heat maps against boxes drawn by people, beside the one point per finding that "
        "lies in most boxes of other patients. Intervals are 95 %% and drawn over patients.",
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

    with _output_folder(args.out):
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
def _output_folder(folder: Path) -> Iterator[None]:
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


def _command_text(args: argparse.Namespace, epochs: int, seed: int) -> str:
    """The command with folder names only; where they lay is nobody's business."""
    parts = ["cxr-viewer train", f"--data {args.data.name}", f"--epochs {epochs}", f"--seed {seed}"]
    if args.init is not None:
        parts.append(f"--init {args.init.name}")
    if args.network is not None:
        parts.append(f"--network {args.network}")
    if args.batch is not None:
        parts.append(f"--batch {args.batch}")
    if args.keep_shared_patients:
        parts.append("--keep-shared-patients")
    parts += [f"--outside {folder.name}" for folder in args.outside]
    return " ".join(parts)
