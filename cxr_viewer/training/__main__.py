"""``python -m cxr_viewer.training train|evaluate``: the two commands without the rest of the program."""

from __future__ import annotations

import argparse
import sys

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.commands import add_evaluate_parser, add_train_parser, run_evaluate, run_train


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cxr_viewer.training")
    subparsers = parser.add_subparsers(dest="command", required=True)
    add_train_parser(subparsers)
    add_evaluate_parser(subparsers)
    args = parser.parse_args()
    try:
        return run_train(args) if args.command == "train" else run_evaluate(args)
    except CxrError as error:
        print(f"{error.summary} {error.hint}".strip(), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
