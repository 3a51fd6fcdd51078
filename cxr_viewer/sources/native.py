"""Uncompressed pixel data, also where the file stops before their end. Runs in the reader process only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import colours, faults
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.damage import LEAST_SHARE
from cxr_viewer.sources.pixelformat import PixelElement, PixelFormat
from cxr_viewer.sources.tolerant import Cautions


def read(pixels: PixelElement, frame: int, form: PixelFormat, cautions: Cautions) -> tuple[NDArray[Any], int]:
    """The words of one frame, unsigned, (rows, columns), or (rows, columns, 3) in RGB; and how many rows are there.

    Rows that the file does not hold whole are zeros, and the reader is told.

    Raises:
        ReadError: next to nothing of the frame is there, or colour planes are missing.
    """
    first_bit = form.frame_bits * frame
    start, end = first_bit // 8, -(-(first_bit + form.frame_bits) // 8)
    there = min(len(pixels.data), pixels.length)
    if 8 * (there - 1) >= form.frame_bits * form.frames + form.frame_bits // form.rows:
        text = "The file holds more pixels than its rows and columns ask for: the picture may not be whole."
        cautions.add("excess-pixels", text, "PixelData")
    data = pixels.data[start : min(end, there)]
    if pixels.swapped_bytes and form.bits_allocated == 8:
        whole = np.frombuffer(pixels.data[: there - there % 2], ">u2").astype("<u2").view(np.uint8)
        data = whole[start:end].data
    rows = form.rows
    if len(data) < end - start:
        rows = _whole_rows(len(data), first_bit % 8, form)
        _tell_truncated(len(data), end - start, rows, form, cautions)
        data = memoryview(bytes(data) + bytes(end - start - len(data)))
    words = _words(data, pixels, first_bit % 8, form, cautions)
    if rows < form.rows and words.ndim == 3:
        words = words.copy()
        words[rows:] = 0
    return words, rows


def with_frames_there(form: PixelFormat, there: int, cautions: Cautions) -> PixelFormat:
    """``form`` with no more frames than ``there`` bytes of pixels hold, at least one; the reader is told.

    A frame at the end that is cut counts where :func:`read` would show it.

    Raises:
        ReadError: pixels in squares of four that share colours (YBR_PARTIAL_420, retired).
    """
    if 8 * there >= form.frame_bits * form.frames:
        return form
    if form.photometric == "YBR_PARTIAL_420" and form.samples > 1:
        raise faults.unsupported_photometric(form.photometric)
    frames, rest = divmod(8 * there, form.frame_bits)
    if rest // (form.frame_bits // form.rows) >= LEAST_SHARE * form.rows and not (form.samples > 1 and form.planar):
        frames += 1
    frames = max(1, frames)
    if frames >= form.frames:
        return form
    text = f"The file says that it holds {form.frames:,} frames, but has the pixels of {frames:,}."
    cautions.add("bad-frames", text, "NumberOfFrames")
    cautions.story.pass_over(Stage.PIXELS, f"Number of Frames is passed over: {text}")
    return replace(form, frames=frames)


def _whole_rows(present: int, skipped_bits: int, form: PixelFormat) -> int:
    return max(0, 8 * present - skipped_bits) // (form.frame_bits // form.rows)


def _tell_truncated(present: int, expected: int, rows: int, form: PixelFormat, cautions: Cautions) -> None:
    if rows < LEAST_SHARE * form.rows or (form.samples > 1 and form.planar):
        raise faults.truncated(present, expected)
    share = 100 * rows / form.rows
    text = f"The file is truncated: only the upper {share:.0f} % of the picture is there, the rest is black."
    cautions.add("truncated", text, "PixelData")


def _words(
    data: memoryview, pixels: PixelElement, skipped_bits: int, form: PixelFormat, cautions: Cautions
) -> NDArray[Any]:
    shape = (form.rows, form.columns)
    if form.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[skipped_bits:][: form.rows * form.columns].reshape(shape)
    if form.samples == 1:
        kind = "f" if form.floating else "u"
        dtype = np.dtype(f"{'<' if pixels.little_endian else '>'}{kind}{form.bits_allocated // 8}")
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    if form.bits_allocated > 16:
        raise faults.unsupported_depth(f"{form.samples} times {form.bits_allocated} bits")
    words = np.frombuffer(data, f"{'<' if pixels.little_endian else '>'}u{form.bits_allocated // 8}")
    return colours.in_rgb(colours.arranged(words, form), form, cautions)


def darkest(ds: Dataset, form: PixelFormat) -> int:
    """What stands for pixels that are not there: the file's padding value, else the stored value it shows darkest."""
    padding = tol.integer(ds, "PixelPaddingValue")
    lowest, highest = 0, (1 << form.bits_stored) - 1
    if form.signed:
        lowest, highest = -(1 << form.bits_stored - 1), (1 << form.bits_stored - 1) - 1
    if padding is not None and lowest <= padding <= highest:
        return padding
    shape = tol.code_string(ds, "PresentationLUTShape")
    inverted = shape == "INVERSE" or (shape != "IDENTITY" and form.photometric == "MONOCHROME1")
    slope = tol.number(ds, "RescaleSlope") or 1.0
    return highest if inverted != (slope < 0) else lowest
