"""The program under test: ``cxr-viewer render``, called in this process, with one warm reader process for all cells."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from cxr_viewer import cli
from cxr_viewer.cli import parts
from cxr_viewer.core.image import Radiograph
from cxr_viewer.sources.sandbox import Sandbox
from matrix.cell import Cell
from matrix.oracle import Array

INK = (124, 227, 139)
"""The green of the graphics of a file on a page."""
KIND_OPTIONS = {"overlays": ("--overlays",), "shutter": ("--shutter",)}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The picture that was written, uint8; what was read for it; the lines on standard error."""

    pixels: Array
    image: Radiograph
    said: tuple[str, ...]


class Program:
    """``render`` without the seconds that starting a reader process for every film would take."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def render(self, path: Path, number: int = 0, frame: int = 0, options: tuple[str, ...] = ()) -> Rendered:
        """Run the command.

        Raises:
            AssertionError: it fails, or leaves no picture.
        """
        read: list[Radiograph] = []
        original = parts.read_film

        def remember(*arguments: object, **named: object) -> Radiograph:
            read.append(original(*arguments, **named))  # type: ignore[arg-type]
            return read[-1]

        heard = io.StringIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.object(parts, "sandbox", self._shared),
            mock.patch.object(parts, "read_film", remember),
            contextlib.redirect_stderr(heard),
        ):
            out = Path(folder) / "film.png"
            chosen = ["--window", f"file:{number}"] if number else []
            chosen += ["--frame", str(frame + 1)] if frame else []
            status = cli.main(["render", str(path), "-o", str(out), *chosen, *options])
            assert status == 0, heard.getvalue()
            with Image.open(out) as picture:
                pixels = np.asarray(picture)
        return Rendered(pixels, read[-1], tuple(heard.getvalue().splitlines()))

    def show(self, path: Path, cell: Cell) -> tuple[Rendered, Array]:
        """A cell rendered, and what of it is compared: for overlays 255 where they are drawn, else the picture."""
        options = (*cell.options, *KIND_OPTIONS.get(cell.kind, ()))
        rendered = self.render(path, cell.number, cell.frame, options)
        if cell.kind != "overlays":
            return rendered, rendered.pixels
        return rendered, np.where((rendered.pixels == INK).all(axis=-1), 255, 0).astype(np.int16)

    @contextmanager
    def _shared(self, size: int = 2) -> Iterator[Sandbox]:
        yield self._sandbox


def lacking(cell: Cell, rendered: Rendered) -> list[str]:
    """Cautions that a cell asks for and that the film has not, or that the command does not print, with their tag."""
    problems = []
    for code, tag in cell.cautions.items():
        found = [caution for caution in rendered.image.cautions if caution.code == code]
        if not any(caution.tag.split(" ")[0] == tag for caution in found):
            problems.append(f"no caution {code} that names {tag}")
        elif not any(f"[{caution.tag}]" in line for caution in found for line in rendered.said):
            problems.append(f"the command prints no line that names {tag}")
    return problems
