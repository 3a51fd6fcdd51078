"""Raster formats as radiographs: PNG, JPEG, TIFF, BMP, NIfTI and more. Runs in the reader process only.

SimpleITK reads them; it never reads DICOM here, whose grey values it changes.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import ReadError
from cxr_viewer.core.image import ImageKey, PatientInfo, Radiograph, Rescale, View, VoiWindow
from cxr_viewer.core.provenance import Stage
from cxr_viewer.core.study import FoundImage, ImageNode
from cxr_viewer.sources import codestream, colour, faults, rasterformat
from cxr_viewer.sources.attributes import FileFacts
from cxr_viewer.sources.pixelformat import LIMIT_MEGAPIXELS
from cxr_viewer.sources.place import Place
from cxr_viewer.sources.rasterformat import Format
from cxr_viewer.sources.tolerant import Cautions
from cxr_viewer.sources.words import clean, synthetic_uid

_INFLATED_LIMIT = 1 << 29
_STACK_LIMIT_MEGAPIXELS = 200  # ITK reads all pictures of a file at once
FULL_8_BIT = VoiWindow(128, 256, label="Full range")
_TURNS = {  # EXIF orientation: (mirrored left to right first, quarter turns clockwise)
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 3),
    6: (False, 1),
    7: (True, 1),
    8: (False, 3),
}


def read(place: Place, data: bytes, digest: str, frame: int) -> Radiograph:
    """One picture of a raster file.

    Args:
        data: the whole file.
        digest: sha256 of ``data``; the identity of the picture.

    Raises:
        ReadError: not an image, too large, or damaged.
    """
    form = _format(data[:4096], place.name)
    cautions = Cautions()
    cautions.add(
        "not-dicom",
        "This is not a DICOM file: there are no millimetres, and whether left is left and dark is dark is not known.",
    )
    _check_whole(data, form)
    pixels = _pixels(place, data, form)
    white = _lowest_is_white(data, pixels, form, cautions)
    pixels, frames = _one_picture(pixels, frame, cautions)
    pixels = _upright(_channels(pixels), data, form, cautions)
    stored, bits, rescale = _stored(pixels, cautions)
    stored, rgb = _grey(stored, cautions)
    stored.flags.writeable = False
    voi: tuple[VoiWindow, ...] = (FULL_8_BIT,) if bits == 8 else ()
    if rgb is not None:
        rescale, voi = Rescale(), (colour.as_stored(bits),)
    _tell(form, stored, rgb is not None, white, cautions)
    return Radiograph(
        key=_key(digest, frame),
        path=place.path,
        stored=stored,
        bits_stored=bits,
        photometric="MONOCHROME1" if white else "MONOCHROME2",
        modality="",
        modality_lut=rescale,
        voi=voi,
        frames=frames,
        is_dicom=False,
        colour=rgb is not None,
        rgb=None if rgb is None or stored.dtype == np.int16 else rgb,
        source_sha256=digest,
        decoder=_library(form),
        cautions=cautions.all(),
        chain=cautions.story.steps(),
    )


def _library(form: Format) -> str:
    return "SimpleITK" if form.by_itk else "OpenCV"


def _tell(form: Format, stored: NDArray[np.generic], coloured: bool, white: bool, cautions: Cautions) -> None:
    story, bits = cautions.story, 8 * stored.dtype.itemsize
    story.tell(Stage.FILE, f"The file is a {form.name} picture, not DICOM.")
    colours = ", in its colours" if coloured else ""
    story.tell(Stage.PIXELS, f"{stored.shape[1]} x {stored.shape[0]} pixels of {bits} bits are shown{colours}.")
    story.tell(Stage.DECODER, f"The picture was decoded by {_library(form)}.")
    story.tell(Stage.MODALITY, "Stored values are taken as they are; the file gives them no meaning.")
    full = bits == 8 or coloured
    shown = "The full range of the pixels is shown." if full else "The lowest value is black, the highest white."
    story.tell(Stage.VOI, f"The file asks for no window. {shown}")
    why = "the TIFF says that its lowest value is white" if white else "nothing says otherwise"
    story.tell(Stage.PRESENTATION, f"{'High' if white else 'Low'} values are dark: {why}.")
    story.tell(Stage.ORIENTATION, "The picture is shown as it is stored, which side is which is not known.")
    story.tell(Stage.MILLIMETRES, "The file gives no millimetres that could be believed.")


def describe(place: Place, facts: FileFacts, head: bytes) -> FoundImage:
    """The file as the browser lists it: its size from the header, its identity from its content.

    Raises:
        ReadError: not an image.
    """
    form = _format(head, place.name)
    rows, columns, frames, problem = 0, 0, 1, ""
    if rasterformat.is_grey_with_opacity(head, form):
        rows, columns = rasterformat.png_size(head)
    elif form.by_itk:
        try:
            if form in (Format.META, Format.NRRD, Format.TIFF):  # whose headers may lead elsewhere, or nowhere
                _check_whole(place.whole(), form)
            with _readable_path(place, form) as name:
                rows, columns, frames = _size(name, form)
        except (ReadError, RuntimeError) as error:
            problem = faults.from_exception(error).summary
    node = ImageNode(
        key=_key(place.digest(), 0),
        path=place.path,
        rows=rows,
        columns=columns,
        view=View.UNKNOWN,
        frames=frames,
        is_dicom=False,
        problem=problem,
        member=place.member,
    )
    shown = clean(place.name, 80)
    return FoundImage(node, PatientInfo(), None, "", shown, "", None, facts.size_bytes, facts.modified_ns)


def _key(digest: str, frame: int) -> ImageKey:
    study, series, image = (synthetic_uid(level, digest) for level in ("study", "series", "image"))
    return ImageKey(study, series, image, frame)


def _format(head: bytes, name: str) -> Format:
    if head[:4] == b"PK\x03\x04":
        raise faults.zip_archive()
    form = rasterformat.sniff(head, name)
    if form is None:
        raise faults.not_an_image(clean(name, 80))
    return form


# ---------------------------------------------------------------- reading


def _check_whole(data: bytes, form: Format) -> None:
    """ITK fills what is missing from some formats with zeros, and says nothing."""
    if form is Format.JPEG and not codestream.has_end_mark(data):
        raise faults.stops_early("no end mark")
    if not rasterformat.is_self_contained(data, form):
        raise faults.not_an_image()
    if form is Format.TIFF and rasterformat.has_endless_directories(data):
        raise faults.damaged("the directories of the TIFF lead in a circle")
    if form is Format.NIFTI:
        plain = _gunzipped(data) if data[:2] == b"\x1f\x8b" else data
        if len(plain) < rasterformat.nifti_length(plain):
            raise faults.truncated(len(plain), rasterformat.nifti_length(plain))


def _gunzipped(data: bytes) -> bytes:
    """Inflated with a limit, to its end."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, _INFLATED_LIMIT)
    except zlib.error as error:
        raise faults.damaged(f"gzip: {error}") from error
    if inflater.unconsumed_tail:
        raise faults.too_large_for_memory("gzip data beyond the limit")
    if not inflater.eof:
        raise faults.stops_early("gzip data without end")
    return plain


def _pixels(place: Place, data: bytes, form: Format) -> NDArray[Any]:
    """(pictures, rows, columns), or (pictures, rows, columns, channels)."""
    try:
        if rasterformat.is_grey_with_opacity(data, form):
            _check_size(*rasterformat.png_size(data))
            return _by_opencv(data)[None]
        if not form.by_itk:
            return _by_opencv(data)[None]
        upright = form is not Format.TIFF or rasterformat.tiff_tags(data).get(rasterformat.ORIENTATION, 1) == 1
        with _readable_path(place, form, None if upright else rasterformat.with_upright_tag(data)) as name:
            _size(name, form)
            return _by_itk(name, form)
    except (ReadError, MemoryError):
        raise
    except Exception as error:
        raise faults.damaged(f"{form.name}: {str(error)[-300:]}") from error


def _by_itk(name: str, form: Format) -> NDArray[Any]:
    import SimpleITK  # four tenths of a second that DICOM does not need

    image = _itk_reader(name, form).Execute()
    itk: Any = SimpleITK
    pixels: NDArray[Any] = itk.GetArrayFromImage(image)
    kept = 2 if image.GetNumberOfComponentsPerPixel() == 1 else 3
    return pixels.reshape(-1, *pixels.shape[-kept:])


def _by_opencv(data: bytes) -> NDArray[Any]:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise faults.damaged("OpenCV cannot decode it")
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., [2, 1, 0]])


def _size(name: str, form: Format) -> tuple[int, int, int]:
    """(rows, columns, pictures) by the header alone, checked against the limit."""
    reader = _itk_reader(name, form)
    reader.ReadImageInformation()
    columns, rows, *more = reader.GetSize()
    frames = math.prod(more)
    _check_size(rows, columns, frames)
    return int(rows), int(columns), frames


def _check_size(rows: int, columns: int, frames: int = 1) -> None:
    if rows * columns > LIMIT_MEGAPIXELS * 1_000_000 or rows * columns * frames > _STACK_LIMIT_MEGAPIXELS * 1_000_000:
        raise faults.image_too_large(rows, columns, LIMIT_MEGAPIXELS)


def _itk_reader(name: str, form: Format) -> Any:
    import SimpleITK

    itk: Any = SimpleITK
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = itk.ImageFileReader()
    reader.SetImageIO(form.value)
    reader.SetFileName(name)
    return reader


@contextlib.contextmanager
def _readable_path(place: Place, form: Format, instead: bytes | None = None) -> Iterator[str]:
    """A name that ITK can open, of the file or of ``instead``. ITK knows UTF-8 only: other names are copied.

    The copy lies in memory where the system has names for that, else in the scratch folder for a moment; so does NIfTI,
    which ITK tells by its name alone.
    """
    path = place.path
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        instead = path.read_bytes() if instead is None else instead
    if place.member and instead is None:
        instead = place.whole()
    if instead is None:
        yield str(path)
        return
    if sys.platform == "linux" and form is not Format.NIFTI:
        with os.fdopen(os.memfd_create("picture"), "wb") as file:
            file.write(instead)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory() as folder:
        suffix = "".join(c for c in "".join(Path(place.name).suffixes[-2:]).lower() if c.isalnum() or c == ".")
        copy = Path(folder) / f"picture{suffix[-10:]}"
        copy.write_bytes(instead)
        yield str(copy)


# ---------------------------------------------------------------- to stored values


def _lowest_is_white(data: bytes, pixels: NDArray[Any], form: Format, cautions: Cautions) -> bool:
    """Whether a TIFF says so of the grey values ITK gave; where ITK went by way of colour, it exchanged them itself."""
    if form is not Format.TIFF:
        return False
    tags = rasterformat.tiff_tags(data)
    by_colour = pixels.ndim == 4
    if by_colour and tags.get(rasterformat.BITS_PER_SAMPLE) == 16 and pixels.dtype == np.uint8:
        cautions.add("rounded", "The picture has 16 bits, of which the upper 8 are shown.")
    return not by_colour and tags.get(rasterformat.PHOTOMETRIC) == rasterformat.MIN_IS_WHITE


def _one_picture(pixels: NDArray[Any], frame: int, cautions: Cautions) -> tuple[NDArray[Any], int]:
    frames = len(pixels)
    if not 0 <= frame < frames:
        raise faults.no_such_frame(frame, frames)
    if frames > 1:
        cautions.add("multi-frame", f"Picture {frame + 1} of {frames} in this file is shown.")
    return pixels[frame], frames


def _channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Without opacity."""
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] < 3 else pixels[..., :3]


def _grey(pixels: NDArray[np.generic], cautions: Cautions) -> tuple[NDArray[np.generic], NDArray[np.generic] | None]:
    """Grey pixels or the brightness of colour, and the colour picture itself, if it is one."""
    if pixels.ndim == 2:
        return pixels, None
    grey, rgb = colour.split(pixels)
    if rgb is not None:
        cautions.add("colour", colour.CAUTION)
    return grey, rgb


def _upright(pixels: NDArray[Any], data: bytes, form: Format, cautions: Cautions) -> NDArray[Any]:
    """Turned as the camera noted it, which ITK leaves undone."""
    orientation = 1
    if form is Format.JPEG:
        orientation = rasterformat.jpeg_orientation(data)
    elif form is Format.TIFF:
        orientation = rasterformat.tiff_tags(data).get(rasterformat.ORIENTATION, 1)
    if orientation not in _TURNS:
        return pixels
    mirrored, turns = _TURNS[orientation]
    cautions.add("turned", "The picture was turned or mirrored as its file asks (EXIF orientation).")
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, -turns)


def _stored(pixels: NDArray[Any], cautions: Cautions) -> tuple[NDArray[np.generic], int, Rescale]:
    """(uint8, uint16 or int16 pixels, bits, what leads back to the file's own numbers)."""
    if pixels.dtype in (np.uint8, np.uint16, np.int16):
        return np.ascontiguousarray(pixels), 8 * pixels.dtype.itemsize, Rescale()
    if pixels.dtype == np.int8:
        return pixels.astype(np.int16), 16, Rescale()
    values = pixels.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        cautions.add("not-finite", "Some pixels hold no number; they are shown as the lowest value.")
        if not finite.any():
            raise faults.damaged("no pixel holds a number")
    low, high = float(values[finite].min()), float(values[finite].max())
    values = np.where(finite, values, low)
    whole = np.issubdtype(pixels.dtype, np.integer)
    if whole and low >= 0 and high <= 65535:
        return values.astype(np.uint16), 16, Rescale()
    if whole and low >= -32768 and high <= 32767:
        return values.astype(np.int16), 16, Rescale()
    step = (high - low) / 65535 or 1.0
    cautions.add("rounded", "The numbers in this file are finer than 16 bits and were rounded to them.")
    return np.round((values - low) / step).astype(np.uint16), 16, Rescale(step, low)
