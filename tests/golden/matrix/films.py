"""Films the cells are made of: real ones as they are, or with their tags edited."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from matrix import oracle, references
from matrix.oracle import Array

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
SAMPLE = "resources/samples/adult-2-cardiomegaly.dcm"
"""8 bits, MONOCHROME2; part of the repository, so that cells made of it run everywhere."""
CANON = "dicom/syn_dx_canon_nospacing.dcm"
"""12 bits, MONOCHROME1 with Presentation LUT Shape INVERSE, Rescale 1 and 0."""

Edit = Callable[[Dataset], None]


def locate(name: str) -> Path:
    """A film by its name: one of the repository, or of the folder of real films beside it. It need not be there."""
    return (REPOSITORY if name.startswith("resources/") else SHARED_DATA) / name


def shown(name: str) -> str:
    """The name as a reader of the page can find it."""
    return name if name.startswith("resources/") else f"../shared/data/{name}"


def absent(name: str) -> str:
    """Why a film cannot be read, empty when it is there."""
    path = locate(name)
    if path.exists():
        return ""
    lost = path if SHARED_DATA.exists() else SHARED_DATA
    return f"needs the real films in {os.path.relpath(lost, REPOSITORY)}, which is not there"


def make(name: str, edits: Iterable[Edit], target: Path) -> Path:
    """The film ``name`` with its tags edited, uncompressed, written to ``target``; as it is where nothing is edited."""
    edits = tuple(edits)
    if not edits:
        return locate(name)
    ds = references.read(locate(name))
    before = config.settings.writing_validation_mode, config.settings.reading_validation_mode
    config.settings.writing_validation_mode = config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if ds.file_meta.TransferSyntaxUID.is_compressed:
                ds.decompress(generate_instance_uid=False)
            for edit in edits:
                edit(ds)
            ds.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=True)
    finally:
        config.settings.writing_validation_mode, config.settings.reading_validation_mode = before
    return target


def edited(path: Path, edits: Iterable[Edit], target: Path) -> Path:
    """An uncompressed file with its tags edited, whatever nonsense the others hold: they are copied, not parsed."""
    ds = references.read(path)
    for edit in edits:
        edit(ds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(target)
    return target


# ---------------------------------------------------------------- edits


def tags(**values: Any) -> Edit:
    """Set elements by keyword; None takes them out."""

    def edit(ds: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                ds.pop(keyword, None)
            else:
                setattr(ds, keyword, value)

    return edit


def without(*keywords: str) -> Edit:
    return tags(**dict.fromkeys(keywords))


def put(
    ds: Dataset, values: Array, bits: int, *, signed: bool = False, shift: int = 0, beside: Array | int = 0
) -> None:
    """Replace the pixels by ``values`` (frames, rows, columns) or (rows, columns), Bits Stored ``bits``.

    Args:
        shift: how far High Bit lies above its usual place.
        beside: bits of the word that do not count, set as they are.
    """
    allocated = 8 if bits <= 8 else 16
    words = ((values.astype(np.int64) & ((1 << bits) - 1)) << shift) | beside
    if signed and not shift and not np.any(beside):
        words = values.astype(np.int64) & ((1 << allocated) - 1)  # the sign repeated upwards, as everybody writes it
    ds.Rows, ds.Columns = values.shape[-2:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1 + shift
    ds.PixelRepresentation, ds.SamplesPerPixel = int(signed), 1
    data = words.astype(f"<u{allocated // 8}").tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if allocated == 16 else "OB"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if values.ndim == 3:
        ds.NumberOfFrames = len(values)


def crop(rows: int = 512, columns: int = 512) -> Edit:
    """The middle of the film."""

    def edit(ds: Dataset) -> None:
        values = oracle.stored_values(ds)
        top, left = (values.shape[0] - rows) // 2, (values.shape[1] - columns) // 2
        part = values[top : top + rows, left : left + columns]
        put(ds, part, ds.BitsStored, signed=ds.PixelRepresentation == 1)

    return edit


def whole_numbers(ds: Dataset) -> None:
    """Rescale as a table of whole numbers, for rescaled values that are all above 0; what is behind the comma falls."""
    values = oracle.modality(ds, np.arange(1 << ds.BitsStored))
    table("ModalityLUTSequence", lut(np.floor(values), 16))(ds)
    without("RescaleSlope", "RescaleIntercept")(ds)


def deep(bits: int, *, signed: bool = False, shift: int = 0, beside: int = 0, rows: int = 384) -> Edit:
    """The film at another depth: each pixel the sum of 16 x 16 of its neighbours, which has 16 bits, or its upper bits.

    So an 8-bit film gives real anatomy at every depth and with every value in between. Signed: 0 in the middle.
    """

    def edit(ds: Dataset) -> None:
        values = sums(oracle.stored_values(ds))[256 : 256 + rows, 256:640] >> (16 - bits)
        if signed:
            values = values - (1 << (bits - 1))
        put(ds, values, bits, signed=signed, shift=shift, beside=beside)

    return edit


def sums(values: Array) -> Array:
    """Sums of 16 x 16 neighbours: int64, 15 rows and columns fewer."""
    total: Array = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return np.asarray(total[16:, 16:] - total[:-16, 16:] - total[16:, :-16] + total[:-16, :-16])


def table(keyword: str, *items: Dataset) -> Edit:
    """A sequence of LUT items, from :func:`lut`."""
    return lambda ds: setattr(ds, keyword, Sequence(items))


def lut(
    entries: Array,
    bits: int,
    first: int = 0,
    *,
    packed: bool = False,
    count: int | None = None,
    label: str = "a curve",
    data_vr: str = "OW",
) -> Dataset:
    """One LUT item.

    Args:
        first: from 32768 on it stands for a negative number whose writer took the wrong VR.
        packed: two entries of 8 bits to a word.
        count: what the descriptor says, if not true.
        data_vr: ``"OW"`` or ``"US"`` of the entries.
    """
    item = Dataset()
    words = np.asarray(entries, np.int64)
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [_descriptor(words.size, count, first), first, bits])
    item.LUTExplanation = label
    if packed:
        words = np.pad(words, (0, words.size % 2))
        words = words[0::2] | words[1::2] << 8
    item.add_new("LUTData", data_vr, words.astype("<u2").tobytes() if data_vr == "OW" else words.tolist())
    return item


def _descriptor(size: int, count: int | None, first: int) -> int:
    said = size if count is None else count
    said = 0 if said == 65536 else said
    return said - 65536 if first < 0 and said > 32767 else said  # SS holds the same bits


def curve(count: int, bits: int, *, gamma: float = 2.2) -> Array:
    """A curve from 0 to the largest entry, as makers write it."""
    return np.round(np.linspace(0, 1, count) ** (1 / gamma) * ((1 << bits) - 1)).astype(np.int64)


def s_curve(count: int, bits: int) -> Array:
    """An S-shaped curve that falls: the largest entry first."""
    ramp: Array = 1 / (1 + np.exp(np.linspace(-5, 5, count)))
    return np.asarray(np.round((ramp - ramp.min()) / np.ptp(ramp) * ((1 << bits) - 1)).astype(np.int64))
