"""The rows of a JPEG-LS picture that come before its data end or break. Runs in the reader process only.

CharLS decodes row by row and stops at the first thing that cannot be; pyjpegls then throws the rows away. The function
of CharLS underneath (charls_jpegls_decoder.h) is called here with memory of our own. Where the build of pyjpegls hides
it, as on Windows, there are no rows.
"""

from __future__ import annotations

import ctypes
import importlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.sources.codestream import Codestream

END = b"\xff\xd9"


def rows_before_the_end(data: bytes, stream: Codestream) -> tuple[NDArray[Any], int] | None:
    """Words (rows, columns), and how many rows from the top CharLS decoded before it gave up; zeros below.

    Args:
        data: with an end mark; without one CharLS reads on behind it for seconds.
        stream: what the codestream says of itself; one component.

    Returns:
        uint8 or uint16; None where CharLS cannot be called.
    """
    decode = _charls()
    if decode is None or stream.components != 1:
        return None
    words = np.full((stream.rows, stream.columns), -1, np.int8 if stream.precision <= 8 else np.int16)
    message = ctypes.create_string_buffer(256)
    decode(words.ctypes.data, words.nbytes, data, len(data), None, message)
    decoded = np.flatnonzero((words != -1).any(axis=1))  # all ones: white, at 8 or 16 bits only
    rows = int(decoded[-1]) + 1 if decoded.size else 0
    words[rows:] = 0
    return words.view(np.uint8 if stream.precision <= 8 else np.uint16), rows


@lru_cache(maxsize=1)
def _charls() -> Any:
    try:
        decode = ctypes.CDLL(importlib.import_module("_CharLS").__file__ or "").JpegLsDecode
    except (ImportError, OSError, AttributeError):
        return None
    size = ctypes.c_size_t
    decode.argtypes = [ctypes.c_void_p, size, ctypes.c_char_p, size, ctypes.c_void_p, ctypes.c_char_p]
    decode.restype = ctypes.c_int
    return decode
