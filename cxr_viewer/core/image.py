"""A radiograph and everything that is needed to show it as the DICOM standard says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.provenance import ChainStep


class SpacingSource(Enum):
    """Where the millimetres of a film come from (PS3.3 10.7.1.1); shown beside every length."""

    CALIBRATED = "calibrated"
    DETECTOR = "at detector"
    MAGNIFICATION_CORRECTED = "magnification corrected"
    USER = "by the reader"


class WindowFunction(Enum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.2 and C.11.2.1.3."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


class View(Enum):
    """Projection of a chest film, as far as the file says."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"
    OTHER = "OTHER"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """Something the reader has to know about a film or a result.

    Attributes:
        code: short stable identifier, e.g. ``"padding-in-window"``.
        text: one plain sentence without patient data.
        tag: the DICOM attribute concerned, as ``"WindowWidth (0028,1051)"``, or empty.
    """

    code: str
    text: str
    tag: str = ""


DAMAGE = frozenset({"truncated", "damaged-pixels", "no-end-mark", "blank-rows"})
"""Codes of the cautions that say that pixels are missing or wrong."""


@dataclass(frozen=True, slots=True)
class ImageKey:
    """Identity of one frame. The UIDs are compared, never used to build a path."""

    study_uid: str
    series_uid: str
    sop_uid: str
    frame: int = 0


@dataclass(frozen=True, slots=True)
class PatientInfo:
    """Who is on the film. Fields stay out of ``repr`` so that they cannot slip into a log."""

    patient_id: str = field(default="", repr=False)
    name: str = field(default="", repr=False)
    birth_date: dt.date | None = field(default=None, repr=False)
    sex: str = field(default="", repr=False)
    age_years: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """What the file says of its study."""

    date: dt.date | None = None
    time: str = ""
    description: str = field(default="", repr=False)
    series_description: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    institution: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Millimetres per pixel along a column (``row_mm``, distance of rows) and along a row (``column_mm``)."""

    row_mm: float
    column_mm: float
    source: SpacingSource


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept (0028,1053 / 1052)."""

    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ModalityTable:
    """Modality LUT Sequence (0028,3000): stored value ``first`` maps to ``values[0]``.

    ``values`` is uint16 (n,); values below and above the table take its first and last entry (PS3.3 C.11.1).
    """

    first: int
    values: NDArray[np.uint16]
    bits: int = 16


@dataclass(frozen=True, slots=True)
class VoiWindow:
    """Window Center and Width in modality units."""

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR
    label: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class VoiTable:
    """One item of VOI LUT Sequence (0028,3010): modality value ``first`` maps to ``values[0]``; output has ``bits``."""

    first: int
    values: NDArray[np.uint16]
    bits: int
    label: str = ""


Voi = VoiWindow | VoiTable


@dataclass(frozen=True, slots=True, eq=False)
class OverlayPlane:
    """One overlay of a repeating group 60xx (PS3.3 C.9.2), drawn over the film by whoever sent it.

    Attributes:
        bits: uint8 (rows, columns), 0 or 1, read-only.
        left, top: place of its first pixel on the film, counted from 0 (Overlay Origin less 1); may be negative.
        kind: ``"G"`` graphics or ``"R"`` region of interest.
    """

    bits: NDArray[np.uint8] = field(repr=False)
    left: int = 0
    top: int = 0
    kind: str = "G"
    label: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Shutter:
    """Display Shutter (PS3.3 C.7.6.11): what lies outside any one of its shapes is covered.

    Coordinates are image points: (0, 0) is the outer corner of the first pixel, x runs along a row.

    Attributes:
        rectangle: (left, top, right, bottom) edges of what stays visible.
        circle: (x, y, radius) of what stays visible.
        polygon: corners of what stays visible, in order.
        grey: what covers the rest, 0 (black) to 255, from Shutter Presentation Value.
    """

    rectangle: tuple[float, float, float, float] | None = None
    circle: tuple[float, float, float] | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    grey: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One frame with its stored pixels and the grey chain the file asks for.

    Attributes:
        stored: uint8, uint16 or int16 (rows, columns), row 0 on top, read-only, exactly as decoded (Bits Stored and
            High Bit applied, nothing else).
        bits_stored: 1 to 16.
        photometric: ``"MONOCHROME1"`` or ``"MONOCHROME2"``; colour is turned to grey on reading, with a caution.
        presentation_lut_shape: ``"IDENTITY"``, ``"INVERSE"`` or empty (PS3.3 C.11.6).
        modality_lut: from stored to modality values (PS3.3 C.11.1).
        voi: every VOI the file offers, VOI LUT Sequence items first, the first one is the default; may be empty.
        opening: the window the film opens with where the file's default VOI would leave it blank (a caution then says
            so); None everywhere else.
        overlays: graphics of the groups 60xx, in their order.
        shutter: what the file wants covered, or None.
        padding: (lowest, highest) stored value that is padding (0028,0120/0121), inclusive, or None.
        patient_orientation: towards the right and the bottom edge (0020,0020), or None.
        units: name of the modality values, empty where the file does not say.
        is_dicom: False for PNG, JPEG, TIFF and the like.
        colour: the file held a colour picture; ``stored`` is its luminance and no model looks at it.
        rgb: the colour picture itself, dtype of ``stored``, (rows, columns, 3), read-only; None for grey films. The one
            table of the grey chain is laid over each of its channels; its VOI "As stored" changes nothing.
        preview: a picture of lower resolution, enlarged to its full size, that is replaced by the whole one soon. It
            is looked at, never scored or reported.
        chain: how the file came to be shown like this, step by step, for the inspector.
        source_sha256: hex digest of the file.
        decoder: what decoded the pixels, for the inspector, e.g. ``"pylibjpeg-openjpeg"``.
        transfer_syntax: UID, or empty for raster formats.
    """

    key: ImageKey
    path: Path = field(repr=False)
    stored: NDArray[np.generic] = field(repr=False)
    bits_stored: int
    photometric: str
    modality: str
    presentation_lut_shape: str = ""
    modality_lut: Rescale | ModalityTable = Rescale()
    voi: tuple[Voi, ...] = ()
    opening: VoiWindow | None = None
    overlays: tuple[OverlayPlane, ...] = ()
    shutter: Shutter | None = None
    padding: tuple[int, int] | None = None
    spacing: PixelSpacing | None = None
    view: View = View.UNKNOWN
    laterality: str = ""
    patient_orientation: tuple[str, str] | None = None
    body_part: str = ""
    units: str = ""
    frames: int = 1
    is_dicom: bool = True
    colour: bool = False
    rgb: NDArray[np.generic] | None = field(default=None, repr=False)
    preview: bool = False
    patient: PatientInfo = PatientInfo()
    study: StudyInfo = StudyInfo()
    source_sha256: str = ""
    transfer_syntax: str = ""
    decoder: str = ""
    cautions: tuple[Caution, ...] = ()
    chain: tuple[ChainStep, ...] = ()

    @property
    def voi_from_file(self) -> bool:
        """``voi`` holds what the file names. A colour picture and one that is not DICOM get theirs from the reader."""
        return self.is_dicom and self.rgb is None

    @property
    def damaged(self) -> bool:
        """A part of the picture is missing or may be wrong; it is shown with a caution and never scored."""
        return any(caution.code in DAMAGE for caution in self.cautions)

    @property
    def rows(self) -> int:
        return int(self.stored.shape[0])

    @property
    def columns(self) -> int:
        return int(self.stored.shape[1])
