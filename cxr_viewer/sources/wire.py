"""How values cross from a reader process: JSON for the words, raw bytes for the arrays, nothing that runs code.

The reader process parses foreign files, so the window's process believes nothing it says beyond its form: only the
types named by the asked-for dataclass are built, and sizes are checked before memory is taken. (Pickle would let a
subverted reader run anything here.)
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import struct
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_WORDS = 1 << 22
SWIFT_WORDS = 1 << 20
"""Longer ones are parsed in Python: the parser in C would hold up the window's thread for 30 ms a megabyte."""
MAX_BYTES = 192 << 20
"""Of all arrays of an answer together, so that the window's process stays within 200 MiB while a film comes in."""
MAX_BLOCKS = 64
DTYPES = ("uint8", "uint16", "int16")
T = TypeVar("T")
Blocks = list[NDArray[np.generic]]
_Builder = Callable[[Any, Blocks], Any]


class WireError(ValueError):
    """The other side does not keep to the form."""


class TooLargeError(WireError):
    """More than may travel."""


# ---------------------------------------------------------------- values


def to_plain(value: object, blocks: Blocks) -> Any:
    """``value`` as JSON types; its arrays are appended to ``blocks`` and named by their place there."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        blocks.append(value)
        return len(blocks) - 1
    if isinstance(value, tuple | list):
        return [to_plain(item, blocks) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {"type": kind.__name__, **{name: to_plain(getattr(value, name), blocks) for name in _names(kind)}}
    raise WireError(f"{type(value).__name__} does not travel")


@lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def from_plain(kind: type[T], plain: Any, blocks: Blocks) -> T:
    """The value of type ``kind`` that :func:`to_plain` took apart.

    Raises:
        WireError: ``plain`` is no such value.
    """
    try:
        return typing.cast(T, _builder(typing.cast(Any, kind))(plain, blocks))
    except WireError:
        raise
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise WireError(f"no {kind.__name__}: {error}") from error


@lru_cache(maxsize=512)
def _builder(hint: Any) -> _Builder:
    """What builds a value of this type; made once, because a scan brings ten thousands of them."""
    origin = typing.get_origin(hint)
    if origin is np.ndarray:
        return lambda plain, blocks: _array(hint, blocks[_checked(int, plain)])
    if origin in (types.UnionType, typing.Union):
        return _member_builder(typing.get_args(hint))
    if origin is tuple:
        return _tuple_builder(typing.get_args(hint))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record_builder(hint)
    simple = _simple(hint)
    return lambda plain, blocks: simple(plain)


def _record_builder(kind: type) -> _Builder:
    builders: dict[str, _Builder] = {}

    def build(plain: Any, blocks: Blocks) -> Any:
        if not builders:  # not before the first value: a type may hold itself
            hints = typing.get_type_hints(kind)
            builders.update({field.name: _builder(hints[field.name]) for field in dataclasses.fields(kind)})
        named = _checked(dict, plain).items()
        return kind(**{name: builders[name](value, blocks) for name, value in named if name != "type"})

    return build


def _member_builder(members: tuple[Any, ...]) -> _Builder:
    others = [member for member in members if member is not type(None)]
    may_be_none = len(others) < len(members)
    if len(others) == 1:
        only = _builder(others[0])
        return lambda plain, blocks: None if plain is None and may_be_none else only(plain, blocks)
    named = {member.__name__: _builder(member) for member in others}
    return lambda plain, blocks: (
        None if plain is None and may_be_none else named[_checked(dict, plain)["type"]](plain, blocks)
    )


def _tuple_builder(arguments: tuple[Any, ...]) -> _Builder:
    builders = [_builder(item) for item in arguments if item is not Ellipsis]
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        each = builders[0]
        return lambda plain, blocks: tuple([each(item, blocks) for item in _checked(list, plain)])
    return lambda plain, blocks: tuple(
        build(item, blocks) for build, item in zip(builders, _checked(list, plain), strict=True)
    )


def _simple(hint: Any) -> Callable[[Any], Any]:
    if hint is float:
        return lambda plain: float(_checked((int, float), plain))
    if hint in (int, str, bool, type(None)):
        return lambda plain: plain if type(plain) is hint else _checked(hint, plain)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is dt.date:
        return dt.date.fromisoformat
    if hint is Path:
        return lambda plain: Path(_checked(str, plain))
    raise WireError(f"{hint} does not travel")


def _checked(kind: Any, plain: Any) -> Any:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise WireError(f"{kind} expected, not {type(plain).__name__}")
    return plain


def _array(hint: Any, block: NDArray[np.generic]) -> NDArray[np.generic]:
    scalar = typing.get_args(typing.get_args(hint)[1])[0]
    if not np.issubdtype(block.dtype, scalar):
        raise WireError(f"an array of {scalar.__name__} expected, not {block.dtype}")
    return block


# ---------------------------------------------------------------- messages


def send(stream: BinaryIO, words: dict[str, Any], blocks: Blocks) -> None:
    """Write one message: its length, JSON with the shapes of the arrays, then the arrays.

    Raises:
        TooLargeError: more than the other side takes; nothing was written.
    """
    shapes = [{"dtype": block.dtype.name, "shape": block.shape} for block in blocks]
    text = json.dumps({**words, "blocks": shapes}).encode("ascii")
    if len(text) > MAX_WORDS:
        raise TooLargeError(f"{len(text)} bytes of words")
    _check_total(sum(block.nbytes for block in blocks))
    stream.write(struct.pack("<I", len(text)) + text)
    for block in blocks:
        stream.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], Blocks]:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
        WireError: what arrives keeps to no form.
    """
    (length,) = struct.unpack("<I", _exactly(stream, 4))
    if length > MAX_WORDS:
        raise WireError("the message is too long")
    try:
        text = _exactly(stream, length).decode("ascii")
        words = json.loads(text, cls=None if length <= SWIFT_WORDS else _PatientDecoder)
    except (ValueError, RecursionError) as error:
        raise WireError(f"no JSON: {error}") from error
    if not isinstance(words, dict) or not isinstance(shapes := words.pop("blocks", []), list):
        raise WireError("no message")
    if len(shapes) > MAX_BLOCKS:
        raise WireError("too many arrays")
    described = [_described(shape) for shape in shapes]
    _check_total(sum(count for _, _, count in described))
    return words, [_block(stream, dtype, shape) for dtype, shape, _ in described]


class _PatientDecoder(json.JSONDecoder):
    """Lets other threads in while it works."""

    def __init__(self) -> None:
        super().__init__()
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _check_total(count: int) -> None:
    if count > MAX_BYTES:
        raise TooLargeError(f"{count} bytes of arrays")


def _described(described: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """(dtype, shape, bytes) of an array that is to come, checked before memory is taken for it."""
    if not isinstance(described, dict):
        raise WireError("an array without description")
    name, shape = described.get("dtype"), described.get("shape")
    if name not in DTYPES or not isinstance(shape, list) or not 1 <= len(shape) <= 3:
        raise WireError("an array of that form does not travel")
    if not all(type(n) is int and 0 < n <= MAX_BYTES for n in shape):
        raise WireError("an array of that form does not travel")
    dtype = np.dtype(name)
    return dtype, tuple(shape), math.prod(shape) * dtype.itemsize


def _block(stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[np.generic]:
    block = np.empty(shape, dtype=dtype)
    _fill(stream, block.reshape(-1).view(np.uint8).data)
    block.flags.writeable = False
    return block


def _exactly(stream: BinaryIO, count: int) -> bytearray:
    data = bytearray(count)
    _fill(stream, memoryview(data))
    return data


def _fill(stream: BinaryIO, view: memoryview) -> None:
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
