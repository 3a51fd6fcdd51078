"""The transfer syntaxes the program promises to read, what decodes them, and the real films that prove it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydicom import uid as uids
from pydicom.dataset import Dataset

from matrix import oracle
from matrix.films import CANON, SAMPLE, Edit, crop, deep, put, without
from matrix.pixel_cells import frames


@dataclass(frozen=True, slots=True)
class Material:
    """A film to be written in every syntax that can hold it.

    Attributes:
        title: its depth and kind, as the manual names it.
        film: of ``resources/samples`` or ``../shared/data``.
    """

    title: str
    film: str
    edits: tuple[Edit, ...]
    bits: int
    signed: bool = False
    frames: int = 1


def first_frames(ds: Dataset) -> None:
    """The first three frames of a series."""
    put(ds, np.stack([oracle.stored_values(ds, frame) for frame in range(3)]), ds.BitsStored)


ORIGINAL = without("SourceImageSequence")
"""gdcmconv does not compress with loss what is derived from another film already."""

MATERIALS = (
    Material("8 bit", SAMPLE, (crop(),), 8),
    Material("8 bit, 301 x 303", SAMPLE, (crop(301, 303),), 8),
    Material("10 bit MONOCHROME1", "dicom/cr_barre_fuji_pa_mono1_10bit.dcm", (), 10),
    Material("12 bit MONOCHROME1", CANON, (crop(), ORIGINAL), 12),
    Material("12 bit, 509 x 511", CANON, (crop(509, 511), ORIGINAL), 12),
    Material("12 bit signed", SAMPLE, (deep(12, signed=True),), 12, signed=True),
    Material("14 bit", "dicom/dx_lidc0005_lateral_ge_j2klossless_14bit.dcm", (crop(),), 14),
    Material("15 bit MONOCHROME1", "dicom/cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm", (crop(), ORIGINAL), 15),
    Material("16 bit", SAMPLE, (deep(16),), 16),
    Material("16 bit signed", "dicom-other/ct_small.dcm", (), 16, signed=True),
    Material("8 bit, 3 frames", "dicom-other/xa_catheter_12frames.dcm", (first_frames,), 8, frames=3),
    Material("12 bit, 3 frames", SAMPLE, (frames,), 12, frames=3),
)


@dataclass(frozen=True, slots=True)
class Syntax:
    """A transfer syntax and what is promised of it.

    Attributes:
        decoder: what the program says has decoded it.
        writer: the command that writes it, without its two files; empty where nothing here writes it.
        judges: the command of dcmtk and of gdcm that decodes it, without its two files; gdcm first.
        lossless: the values are those of the film it was written from, bit for bit.
        depths: Bits Stored it can hold.
        signed: whether it is written from signed films.
        note: what else there is to say, for the manual.
        file: a film that comes in this syntax, where nothing here writes it, and the one it was made from.
    """

    uid: str
    decoder: str
    writer: tuple[str, ...]
    judges: Mapping[str, tuple[str, ...]]
    lossless: bool = True
    depths: tuple[int, int] = (8, 16)
    signed: bool = True
    note: str = ""
    file: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """As PS3.6 annex A has it, shortened."""
        full = uids.UID(self.uid).name
        for long, short in (("Image Compression", ""), ("Process 14 [Selection Value 1]", "Process 14, SV1")):
            full = full.replace(long, short)
        return " ".join(full.replace(", Non-Hierarchical", "").split()).replace(" )", ")")

    def holds(self, material: Material) -> bool:
        low, high = self.depths
        return low <= material.bits <= high and (self.signed or not material.signed)


RAW = ("gdcmconv", "--raw")
SAME = {"gdcm": RAW, "dcmtk": ("dcmconv", "+te")}
JPEG = {"gdcm": RAW, "dcmtk": ("dcmdjpeg",)}
JPEG_LS = {"gdcm": RAW, "dcmtk": ("dcmdjpls",)}
OPENJPEG = {"gdcm": RAW}

SYNTAXES = (
    Syntax(uids.ImplicitVRLittleEndian, "numpy", ("dcmconv", "+ti"), SAME),
    Syntax(uids.ExplicitVRLittleEndian, "numpy", ("dcmconv", "+te"), SAME),
    Syntax(uids.ExplicitVRBigEndian, "numpy", ("dcmconv", "+tb"), SAME),
    Syntax(uids.DeflatedExplicitVRLittleEndian, "numpy", ("dcmconv", "+td"), SAME),
    Syntax(uids.RLELossless, "pylibjpeg-rle", ("dcmcrle",), {"gdcm": RAW, "dcmtk": ("dcmdrle",)}),
    Syntax(uids.JPEGBaseline8Bit, "gdcm", ("dcmcjpeg", "+eb"), JPEG, lossless=False, depths=(8, 8), signed=False),
    Syntax(uids.JPEGExtended12Bit, "gdcm", ("dcmcjpeg", "+ee"), JPEG, lossless=False, depths=(8, 12), signed=False),
    Syntax(uids.JPEGLossless, "gdcm", ("dcmcjpeg", "+el"), JPEG),
    Syntax(uids.JPEGLosslessSV1, "gdcm", ("dcmcjpeg", "+e1"), JPEG),
    Syntax(uids.JPEGLSLossless, "pyjpegls", ("dcmcjpls", "+el"), JPEG_LS),
    Syntax(uids.JPEGLSNearLossless, "pyjpegls", ("dcmcjpls", "+en", "+md", "2"), JPEG_LS, lossless=False, signed=False),
    Syntax(
        uids.JPEG2000Lossless, "pylibjpeg-openjpeg", ("gdcmconv", "--j2k"), OPENJPEG, note="dcmtk knows no JPEG 2000"
    ),
    Syntax(
        uids.JPEG2000,
        "pylibjpeg-openjpeg",
        ("gdcmconv", "--lossy", "--j2k", "--irreversible"),
        OPENJPEG,
        lossless=False,
        note="dcmtk knows no JPEG 2000",
    ),
    Syntax(
        uids.HTJ2KLossless,
        "pylibjpeg-openjpeg",
        (),
        OPENJPEG,
        note="neither dcmtk nor gdcm knows the syntax; gdcm decodes it when it is called JPEG 2000",
        file=("dicom/tx_dx_canon_htj2k_lossless.dcm", "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm"),
    ),
)

UNPROVEN = (uids.HTJ2KLosslessRPCL, uids.HTJ2K, uids.JPEG2000MCLossless, uids.JPEG2000MC)
"""Read by the same libraries, but nothing at hand writes a film in them, so nothing is promised."""
