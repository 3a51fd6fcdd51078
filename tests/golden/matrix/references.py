"""Two renderers that share no code with the program or with each other: dcmtk's commands and pydicom's functions."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi,
    apply_windowing,
)
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit

from matrix import oracle
from matrix.oracle import Array

JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
HTJ2K = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")


class NoPicture(Exception):  # noqa: N818  (an answer of a reference, no error of the test)
    """The reference makes no picture of this file."""


def read(path: Path) -> Dataset:
    """The file by pydicom, which is not asked for its opinion of odd values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def missing() -> list[str]:
    """The commands this needs and that are not installed."""
    return [name for name in ("dcmj2pnm", "dcml2pnm", "gdcmconv") if shutil.which(name) is None]


def native(path: Path, folder: Path) -> Path:
    """The same film uncompressed: itself, or as gdcm decodes it."""
    ds = read(path)
    syntax = (ds.get("file_meta") or Dataset()).get("TransferSyntaxUID")
    if syntax in (None, *NATIVE):
        return path
    if syntax in HTJ2K:  # gdcm does not know the syntax, but the OpenJPEG in it knows the codestream
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        path = folder / "called-jpeg-2000.dcm"
        ds.save_as(path)
    decoded = folder / "decoded-by-gdcm.dcm"
    subprocess.run(["gdcmconv", "--raw", path, decoded], check=True, capture_output=True, timeout=60)
    return decoded


def decodes(name: str, path: Path) -> bool:
    """Whether a reference is given the file as it is.

    JPEG 2000 dcmtk does not know, and pydicom has no decoder for JPEG of 12 bits: these are decoded by gdcm for them.
    """
    syntax = (read(path).get("file_meta") or Dataset()).get("TransferSyntaxUID")
    return syntax not in JPEG_2000 and (name != "pydicom" or syntax != JPEGExtended12Bit)


def choice_of(ds: Dataset, frame: int, number: int) -> tuple[str, int]:
    """``("lut", n)``, ``("window", n)`` or ``("minmax", 0)``."""
    offered = oracle.offers(oracle.of_frame(ds, frame))
    return offered[number - 1] if offered else ("minmax", 0)


# ---------------------------------------------------------------- dcmtk


def dcmtk(path: Path, choice: tuple[str, int], frame: int, folder: Path, overlays: str = "-O") -> Array:
    """What dcmj2pnm (dcml2pnm for JPEG-LS) shows: int16 (rows, columns), or (rows, columns, 3) for colour.

    Args:
        overlays: its option: ``"-O"`` draws none, ``"+Omr"`` all of them white.

    Raises:
        NoPicture: it says no.
    """
    syntax = (read(path).get("file_meta") or Dataset()).get("TransferSyntaxUID")
    kind, place = choice
    wanted = {"window": ["+Wi", str(place + 1)], "lut": ["+Wl", str(place + 1)], "minmax": ["+Wm", "+Wfl"], "": []}
    out = folder / "dcmtk.pnm"
    out.unlink(missing_ok=True)
    command = ["dcml2pnm" if syntax in JPEG_LS else "dcmj2pnm", overlays, "-S", "+F", str(frame + 1), *wanted[kind]]
    done = subprocess.run([*command, "+op", path, out], capture_output=True, timeout=60)
    if done.returncode or not out.exists():
        raise NoPicture(done.stderr.decode(errors="replace").strip()[-200:])
    with Image.open(out) as picture:
        return np.asarray(picture).astype(np.int16)


def dcmtk_overlays(path: Path, choice: tuple[str, int], frame: int, folder: Path) -> Array:
    """Where dcmj2pnm draws something white over a film that is white nowhere: int16 (rows, columns), 0 or 255."""
    without, drawn = (dcmtk(path, choice, frame, folder, option) for option in ("-O", "+Omr"))
    if without.max() == 255:
        raise ValueError("white graphics cannot be told from a film that is white")
    return np.where(drawn != without, 255, 0).astype(np.int16)


# ---------------------------------------------------------------- pydicom


def pyd(path: Path, choice: tuple[str, int], frame: int) -> Array:
    """What pydicom's functions make of its own decoding: int16 (rows, columns), 0 to 255.

    pydicom has no display: its windows answer in the units of the film, and it knows neither polarity nor min-max.
    These are added here as the standard has them.

    Raises:
        NoPicture: it raises an error.
    """
    ds = read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = ds.pixel_array
            stored = pixels[frame] if int(ds.get("NumberOfFrames") or 1) > 1 else pixels
            output = _pydicom_output(ds, stored, choice)
        except Exception as error:
            raise NoPicture(f"{type(error).__name__}: {error}"[:200]) from error
    output = np.clip(output, 0, 1)
    return oracle.eight_bits(1 - output if oracle.inverted(ds) else output)


def _pydicom_output(ds: Dataset, stored: Array, choice: tuple[str, int]) -> Array:
    kind, place = choice
    values = apply_modality_lut(stored, ds)
    if kind == "minmax":
        values = np.asarray(values, float)
        pad = oracle.padding(ds)
        exposed = values if pad is None else values[(stored < pad[0]) | (stored > pad[1])]
        low, high = exposed.min(), exposed.max()
        return np.asarray((values - low) / (high - low) if high > low else np.zeros_like(values))
    if kind == "lut":
        bits = int(ds.VOILUTSequence[place].LUTDescriptor[2])
        entries: Array = np.asarray(apply_voi(values, ds, index=place), float)
        return np.asarray(entries / (2**bits - 1))
    output = np.asarray(apply_windowing(values, ds, index=place), float)
    low, high = _pydicom_range(ds)
    return np.asarray((output - low) / (high - low))


def _pydicom_range(ds: Dataset) -> tuple[float, float]:
    """Between which values apply_windowing answers."""
    low, high = 0.0, 2.0**ds.BitsStored - 1
    if ds.get("ModalityLUTSequence"):
        high = 2.0 ** int(ds.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    elif ds.PixelRepresentation == 1:
        low, high = -(2.0 ** (ds.BitsStored - 1)), 2.0 ** (ds.BitsStored - 1) - 1
    slope: Any = ds.get("RescaleSlope")
    intercept: Any = ds.get("RescaleIntercept")
    if slope is not None and intercept is not None:
        low, high = low * float(slope) + float(intercept), high * float(slope) + float(intercept)
    return min(low, high), max(low, high)


def pyd_colour(path: Path, frame: int) -> Array:
    """The colours pydicom decodes: int16 (rows, columns, 3), the upper 8 bits of 16."""
    ds = read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = ds.pixel_array
        pixels = pixels[frame] if int(ds.get("NumberOfFrames") or 1) > 1 else pixels
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, ds)
            pixels = pixels >> (ds.RedPaletteColorLookupTableDescriptor[2] - 8)
        elif ds.BitsAllocated == 16:
            pixels = pixels >> 8
    return pixels.astype(np.int16)


def pyd_overlays(path: Path, frame: int) -> Array:
    """The overlays of a frame as pydicom unpacks them, laid at their origins: int16 (rows, columns), 0 or 255.

    Raises:
        NoPicture: it raises an error.
    """
    ds = read(path)
    shown = np.zeros((ds.Rows, ds.Columns), np.int16)
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x0010) not in ds:
            continue
        try:
            planes = ds.overlay_array(group)
        except Exception as error:
            raise NoPicture(f"{type(error).__name__}: {error}"[:200]) from error
        place = frame + 1 - (ds[group, 0x0051].value if (group, 0x0051) in ds else 1)
        if planes.ndim == 3 and not 0 <= place < len(planes):
            continue
        bits = planes[place] if planes.ndim == 3 else planes
        top, left = (int(part) - 1 for part in ds[group, 0x0050].value)
        part = shown[max(top, 0) : top + bits.shape[0], max(left, 0) : left + bits.shape[1]]
        cut = bits[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
        part |= np.where(cut, 255, 0).astype(np.int16)
    return shown
