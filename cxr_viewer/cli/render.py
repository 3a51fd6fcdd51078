"""``cxr-viewer render``: the film as eight-bit grey, at full resolution, nothing drawn on it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts

if TYPE_CHECKING:
    from collections.abc import Callable

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

# What the window does of itself is left to the user here: a picture for a comparison must be the one asked for.
_RENDERED = {"blank-window": "The film's own window leaves it blank; --window auto shows it."}


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser(
        "render",
        help="write a film as a grey PNG",
        description="Write the film as an 8-bit grey PNG at full resolution through its grey chain (DICOM PS3.3 C.11); "
        "nothing is drawn on it. The film's own window is taken as it is, even where the window of the program would "
        "open the film with another one.",
    )
    parts.add_film(parser)
    parser.add_argument("--frame", type=int, default=1, metavar="N", help="which frame of several, from 1; default: 1")
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``render``. Raises CxrError."""
    from cxr_viewer.imaging.render import default_voi, parse_window, render_grey
    from cxr_viewer.outputs.png import write_picture

    with parts.reader() as films:
        image = parts.read_film(films, arguments.file, arguments.frame - 1)
    voi = parse_window(arguments.window, image) if arguments.window else default_voi(image)
    write_picture(render_grey(image, voi, arguments.invert), arguments.output)
    for caution in image.cautions:
        tag = f" [{caution.tag}]" if caution.tag else ""
        print(f"cxr-viewer: {_RENDERED.get(caution.code, caution.text)}{tag}", file=sys.stderr)
    return 0
