"""Films in memory: read once, as the model will read them, and kept as small squares of bytes."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError, ReadError
from cxr_viewer.core.findings import InputSpec
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.denoise import denoised
from cxr_viewer.inference.preprocess import Grey, exposed_area, model_grey, prepare, resize_area
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.recipe import Recipe

tqdm.monitor_interval = 0  # its watcher thread would outlive the bar, for nothing: every step here is short
_PLAIN = (".png", ".jpg", ".jpeg")
_MOST_SHOWN = 10
_CHUNK = 256
_ROOM = 0.15
NO_MASK = 255

Pixel = TypeVar("Pixel", np.float32, np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class FilmSet:
    """Films in memory.

    Attributes:
        grey: uint8 (n, side, side), 0..255, bright = dense: the whole film squeezed to a square, or, where the input is
            padded or cut to a square, the film on a black square of its longer side.
        areas: float64 (n, 4), what the network is to see, as (x, y, right, bottom) on ``grey``; may reach outside.
        targets: float32 (n, labels), 1, 0 or nan (unknown).
        records: where each film came from.
        masks: uint8 (n, side, side) in the place of ``grey``, the values as in the mask files, 255 where a film has no
            mask; or None where no film has one.
    """

    grey: NDArray[np.uint8] = field(repr=False)
    areas: NDArray[np.float64] = field(repr=False)
    targets: NDArray[np.float32] = field(repr=False)
    records: tuple[FilmRecord, ...] = field(repr=False)
    masks: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The first label, int (n,); only for films on which it is known."""
        return self.targets[:, 0].astype(np.int64)

    @property
    def groups(self) -> tuple[str, ...]:
        """The patient of every film."""
        return tuple(record.patient for record in self.records)

    @property
    def names(self) -> tuple[str, ...]:
        """File names, for messages."""
        return tuple(record.path.name for record in self.records)

    def only(self, keep: NDArray[np.bool_]) -> FilmSet:
        """The films for which ``keep`` (n,) is true."""
        chosen = np.flatnonzero(keep)
        return FilmSet(
            self.grey[chosen],
            self.areas[chosen],
            self.targets[chosen],
            tuple(self.records[i] for i in chosen),
            None if self.masks is None else self.masks[chosen],
        )


Lungs = Callable[[Radiograph], ImageRect | None]
"""Finds the box around both lungs of a film in image pixels, or None."""


def load_films(
    records: Sequence[FilmRecord],
    recipe: Recipe,
    what: str,
    *,
    allowed: int = 0,
    masks: bool = False,
    lungs: Lungs | None = None,
    quiet: bool = False,
) -> FilmSet:
    """Read films into memory, through the same preprocessing as in reading.

    DICOM, TIFF and pictures of more than 8 bit are read in a process of their own, as everywhere in the program.

    Args:
        what: for messages, e.g. ``"training"``.
        allowed: films that may be unreadable; they are named and left out.
        masks: read the masks too.
        lungs: finds the lungs, where the recipe's input is cut to them.

    Raises:
        CxrError: more films than ``allowed`` (or all) cannot be read; the summary names the first by file and line.
    """
    side = recipe.film_px
    kept: list[FilmRecord] = []
    faults: list[str] = []
    grey = np.empty((len(records), side, side), dtype=np.uint8)
    outlines = np.full((len(records), side, side), NO_MASK, dtype=np.uint8) if masks else None
    areas = np.empty((len(records), 4))
    cv2.setNumThreads(1)
    with FilmReader() as reader:
        read = functools.partial(_read, reader=reader, recipe=recipe, masks=masks, lungs=lungs)
        for found in _each(records, read, f"Reading {what} films", quiet=quiet):
            if isinstance(found, str):
                faults.append(found)
                continue
            film, record = found
            at = len(kept)
            grey[at], areas[at] = film.grey, film.area
            if outlines is not None and film.mask is not None:
                outlines[at] = film.mask
            kept.append(record)
    _tell_faults(faults, len(records), what, allowed)
    n = len(kept)
    targets = np.array([record.targets for record in kept], dtype=np.float32).reshape(n, -1)
    return FilmSet(grey[:n], areas[:n], targets, tuple(kept), None if outlines is None else outlines[:n])


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """One film as it is kept: uint8 (side, side), float64 (4,), and uint8 (side, side) or None; see FilmSet."""

    grey: NDArray[np.uint8]
    area: NDArray[np.float64]
    mask: NDArray[np.uint8] | None


def with_header(record: FilmRecord, image: Radiograph) -> FilmRecord:
    """What the index says of a film, and what its file says: of the view before the index, as in reading; of the age
    where the index does not."""
    view, age = image.view.value or record.view, image.patient.age_years
    return replace(record, view=view, age=record.age if age is None or math.isfinite(record.age) else float(age))


_Read = tuple[Kept, FilmRecord] | str


def _read(record: FilmRecord, reader: FilmReader, recipe: Recipe, lungs: Lungs | None, *, masks: bool) -> _Read:
    """A film as it is kept, and what is known of it; or what is wrong with it."""
    try:
        image = reader.read(record.path)
        film = model_grey(image, recipe.input.intensity)
        box = lungs(image) if lungs is not None and recipe.input.crop == "lungs" else None
        kept = kept_film(film, recipe.input, recipe.film_px, box, record.mask if masks else None)
        return kept, with_header(record, image)
    except (CxrError, cv2.error) as error:
        return f"{record.place}: “{record.path.name}”: {error}"


def _each(
    records: Sequence[FilmRecord], read: Callable[[FilmRecord], _Read], what: str, *, quiet: bool
) -> Iterator[_Read]:
    """Every film read, in order, two at once, with a progress bar."""
    bar = tqdm(total=len(records), desc=what, unit="film", disable=quiet or None, leave=False)
    with bar, ThreadPoolExecutor(2) as pool:
        for start in range(0, len(records), _CHUNK):  # not all at once: the answers wait in memory
            for found in pool.map(read, records[start : start + _CHUNK]):
                bar.update()
                yield found


def kept_film(film: Grey, spec: InputSpec, side: int, lungs: ImageRect | None = None, mask: Path | None = None) -> Kept:
    """One film as it is kept.

    Args:
        film: float32 (rows, columns), 0..1.
        lungs: the box around both lungs, needed where the input is cut to them.
        mask: file of a mask that covers the whole film, whatever its own size.

    Raises:
        RefusalError: the input is cut to the lungs, and they were not found.
        CxrError: the mask cannot be read.
    """
    rows, columns = film.shape
    film = denoised(film, spec)
    seen = prepare(film, replace(spec, size_px=8, resize="area", denoise=""), lungs)[1]
    if spec.crop:  # with room for the edges to move
        room_x, room_y = round(_ROOM * seen.width), round(_ROOM * seen.height)
        kept = ImageRect(seen.x - room_x, seen.y - room_y, seen.width + 2 * room_x, seen.height + 2 * room_y)
    elif spec.fit == "stretch":
        kept = ImageRect(0, 0, columns, rows)
    else:
        longer = max(rows, columns)
        kept = ImageRect(-((longer - columns) // 2), -((longer - rows) // 2), longer, longer)
    if spec.fit == "pad" and spec.crop_border:  # as in reading: what was cut away is black where the square needs it
        area = exposed_area(film)
        film = _part(_part(film, area), ImageRect(-area.x, -area.y, columns, rows))
    outline = None
    if mask is not None:
        whole = cv2.resize(_mask(mask), (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
        cut_out = _part(np.asarray(whole, dtype=np.uint8), kept)
        outline = np.asarray(cv2.resize(cut_out, (side, side), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
    scale_x, scale_y = side / kept.width, side / kept.height
    corners = (
        (seen.x - kept.x) * scale_x,
        (seen.y - kept.y) * scale_y,
        (seen.right - kept.x) * scale_x,
        (seen.bottom - kept.y) * scale_y,
    )
    return Kept(_bytes(resize_area(_part(film, kept), side, side)), np.array(corners), outline)


def prepared(films: FilmSet, spec: InputSpec) -> NDArray[np.float32]:
    """The network's input for every film as in reading, but for rounding: float32 (n, channels, size, size)."""
    out = np.empty((len(films), spec.channels, spec.size_px, spec.size_px), dtype=np.float32)
    for index in range(len(films)):
        out[index] = normal(cut(films.grey[index], films.areas[index], spec.size_px), spec)
    return out


def cut(grey: NDArray[np.uint8], area: NDArray[np.float64], size_px: int) -> Grey:
    """The part ``area`` of a kept film as a square, float32 (size, size), 0..1; 0 outside the film."""
    x0, y0, x1, y1 = (round(float(edge)) for edge in area)
    part = _part(grey, ImageRect(x0, y0, max(1, x1 - x0), max(1, y1 - y0)))
    return resize_area(part.astype(np.float32) / np.float32(255), size_px, size_px)


def normal(square: Grey, spec: InputSpec) -> Grey:
    """(channels, size, size): the one grey film in every channel, each with its own normalisation."""
    means = spec.channel_means or (spec.mean,) * spec.channels
    stds = spec.channel_stds or (spec.std,) * spec.channels
    parts = [(square - np.float32(mean)) / np.float32(std) for mean, std in zip(means, stds, strict=True)]
    return np.asarray(np.stack(parts), dtype=np.float32)


def film_radiograph(path: Path) -> Radiograph:
    """A raster film of 8 bit as the viewer would see it: grey, no VOI of its own.

    Raises:
        CxrError: not a readable picture.
    """
    image = _plain(path)
    if image is None:
        raise CxrError("It cannot be read as a picture.", code="unreadable-film")
    return image


class FilmReader(contextlib.AbstractContextManager["FilmReader"]):
    """Reads films; the reader processes are started when the first film needs one."""

    def __init__(self) -> None:
        self._films: SandboxReader | None = None

    def read(self, path: Path) -> Radiograph:
        """Raises CxrError."""
        if not path.is_file():
            raise ReadError("The file is not there.", code="no-such-file")
        plain = _plain(path) if path.suffix.lower() in _PLAIN else None
        if plain is not None:
            return plain
        self._films = self._films or SandboxReader()
        return self._films.read_path(path, CancelToken())

    def __exit__(self, *_: object) -> None:
        if self._films is not None:
            self._films.close()


def _plain(path: Path) -> Radiograph | None:
    """A picture of 8 bit; None for anything else. A hundred times as fast as through a process of its own."""
    data = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH) if data.size else None
    if pixels is None or pixels.dtype != np.uint8:
        return None
    return Radiograph(
        key=ImageKey("", "", path.name),
        path=path,
        stored=np.asarray(pixels, dtype=np.uint8),
        bits_stored=8,
        photometric="MONOCHROME2",
        modality="",
        is_dicom=False,
    )


def _mask(path: Path) -> NDArray[np.uint8]:
    image = _plain(path)
    if image is None:
        raise CxrError(f"The mask “{path.name}” cannot be read as a picture.", code="unreadable-film")
    return np.asarray(image.stored, dtype=np.uint8)


def _part(pixels: NDArray[Pixel], rect: ImageRect) -> NDArray[Pixel]:
    """``rect`` of a picture, 0 where it reaches outside."""
    rows, columns = pixels.shape
    x, y, right, bottom = int(rect.x), int(rect.y), int(rect.right), int(rect.bottom)
    if x >= 0 and y >= 0 and right <= columns and bottom <= rows:
        return pixels[y:bottom, x:right]
    out = np.zeros((bottom - y, right - x), dtype=pixels.dtype)
    top, left, low, far = max(0, y), max(0, x), min(rows, bottom), min(columns, right)
    out[top - y : low - y, left - x : far - x] = pixels[top:low, left:far]
    return out


def _bytes(grey: Grey) -> NDArray[np.uint8]:
    return np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)


def _tell_faults(faults: Sequence[str], count: int, what: str, allowed: int) -> None:
    if len(faults) > allowed or (faults and len(faults) == count):
        shown = "\n".join(f"  {fault}" for fault in faults[:_MOST_SHOWN])
        more = f"\n  and {len(faults) - _MOST_SHOWN} more" if len(faults) > _MOST_SHOWN else ""
        raise CxrError(
            f"{len(faults)} of {count} {what} films cannot be read:\n{shown}{more}\n",
            hint="Mend or remove these lines, or leave such films out with --allow-unreadable N.",
            detail="\n".join(faults),
            code="unreadable-films",
        )
    for fault in faults:
        print(f"Left out, cannot be read: {fault}")
