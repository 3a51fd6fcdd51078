"""``cxr-viewer render``: the film as eight-bit grey or colour, at full resolution, through its grey chain."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cxr_viewer.cli import parts
from cxr_viewer.core.geometry import Orientation

if TYPE_CHECKING:
    from collections.abc import Callable

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

# What the window does of itself is left to the user here: a picture for a comparison must be the one asked for.
_RENDERED = {"blank-window": "The film's own window leaves it blank; --window auto shows it."}


def add_parser(subparsers: Subparsers) -> Callable[[argparse.Namespace], int]:
    parser = subparsers.add_parser(
        "render",
        help="write a film as a PNG",
        description="Write the film as an 8-bit PNG at full resolution through its grey chain (DICOM PS3.3 C.11), in "
        "grey, or in colour where the file holds a colour picture. Nothing is drawn on it or covered unless asked for; "
        "pixel padding is black. The film's own window is taken as it is, even where the window of the program would "
        "open the film with another one.",
    )
    parts.add_film(parser)
    parser.add_argument(
        "--overlays", action="store_true", help="draw the graphics of the file (60xx); always in colour"
    )
    parser.add_argument(
        "--shutter",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="cover what the display shutter of the file covers; default: no",
    )
    parser.add_argument(
        "--no-padding-mask",
        dest="mask_padding",
        action="store_false",
        help="show pixel padding through the grey chain instead of black",
    )
    return run


def run(arguments: argparse.Namespace) -> int:
    """Run ``render``. Raises CxrError."""
    from cxr_viewer.imaging.render import as_rgb, default_voi, parse_window, render_picture
    from cxr_viewer.outputs.overlay import draw_graphics
    from cxr_viewer.outputs.placement import whole_film
    from cxr_viewer.outputs.png import write_picture

    image = parts.read_named_film(arguments, arguments.frame - 1)
    voi = parse_window(arguments.window, image) if arguments.window else default_voi(image)
    picture = render_picture(
        image, voi, arguments.invert, mask_padding=arguments.mask_padding, shutter=arguments.shutter
    )
    if arguments.overlays:
        picture = draw_graphics(as_rgb(picture), image, whole_film(image, Orientation()))
    write_picture(picture, arguments.output)
    for caution in image.cautions:
        tag = f" [{caution.tag}]" if caution.tag else ""
        print(f"cxr-viewer: {_RENDERED.get(caution.code, caution.text)}{tag}", file=sys.stderr)
    return 0
