"""The annotated report as a PNG picture.

What is left out without identity: name, patient id, birth date, exact study date and time, accession number,
institution, study and series descriptions (free text that often holds names). What stays: age in whole years (90 and
above as one), sex, view, modality and year, because the limits of the model depend on them. The reader's comment and
notes are written as the reader typed them, and words exposed into the picture itself stay; the report says the latter.
The path of the film appears nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cxr_viewer.core.report import DISCLAIMER, Report
from cxr_viewer.outputs.column import draw_words, title
from cxr_viewer.outputs.files import write_atomic
from cxr_viewer.outputs.film import draw_film


class PngReportWriter:
    """Writes annotated reports; see :class:`cxr_viewer.services.ports.ReportWriter`."""

    def write_png(self, report: Report, path: Path) -> None:
        """Write an annotated report, atomically.

        Raises:
            ExportError: the folder cannot be written, the disk is full, ...
        """
        page = Image.fromarray(compose_report(report))
        info = _info(report)
        write_atomic(path, lambda file: page.save(file, "PNG", pnginfo=info))


def compose_report(report: Report) -> NDArray[np.uint8]:
    """The report as a picture.

    Returns:
        uint8 (height, width, 3), at least 2,000 px on the long side.

    Raises:
        ValueError: the result belongs to another film than the one in the report.
    """
    if report.result is not None and report.result.key != report.image.key:
        raise ValueError("the findings of a report belong to another film")
    film = draw_film(report)
    words = draw_words(report, film.height)
    page = Image.new("RGB", (film.width + words.width, words.height))
    page.paste(film, (0, 0))
    page.paste(words, (film.width, 0))
    return np.asarray(page, dtype=np.uint8)


def write_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write plain pixels, grey (rows, columns) or RGB (rows, columns, 3), as PNG, atomically.

    Raises:
        ExportError: see :func:`cxr_viewer.outputs.files.write_atomic`.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))

    def save(file: IO[bytes]) -> None:
        picture.save(file, "PNG")

    write_atomic(path, save)


def _info(report: Report) -> PngInfo:
    """Text chunks (PNG 11.3.3): what made the picture and with which weights; nothing about the patient."""
    info = PngInfo()
    info.add_text("Title", title(report.image))
    info.add_text("Software", f"cxr-viewer {report.program_version}")
    info.add_text("Creation Time", report.created.isoformat(timespec="seconds"))
    info.add_text("Disclaimer", DISCLAIMER)
    if report.result is not None:
        info.add_text("Model", f"{report.result.model_id} {report.result.model_version}")
        info.add_text("Model SHA-256", report.result.model_sha256)
    return info
