"""How values cross from a reader process: JSON for the words, raw bytes for the arrays, nothing that runs code.

The reader process parses foreign files, so the window's process believes nothing it says beyond its form: only the
types named by the asked-for dataclass are built, and sizes are checked before memory is taken. (Pickle would let a
subverted reader run anything here.)
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
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

MAX_WORDS = 1 << 26
MAX_BLOCK = 1 << 30
MAX_BLOCKS = 64
DTYPES = ("uint8", "uint16", "int16")
T = TypeVar("T")
Blocks = list[NDArray[np.generic]]


class WireError(ValueError):
    """The other side does not keep to the form."""


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
        fields = {f.name: to_plain(getattr(value, f.name), blocks) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    raise WireError(f"{type(value).__name__} does not travel")


def from_plain(kind: type[T], plain: Any, blocks: Blocks) -> T:
    """The value of type ``kind`` that :func:`to_plain` took apart.

    Raises:
        WireError: ``plain`` is no such value.
    """
    try:
        return typing.cast(T, _build(kind, plain, blocks))
    except WireError:
        raise
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise WireError(f"no {kind.__name__}: {error}") from error


def _build(hint: Any, plain: Any, blocks: Blocks) -> Any:
    origin = typing.get_origin(hint)
    if origin is np.ndarray:
        return _array(hint, blocks[_checked(int, plain)])
    if origin in (types.UnionType, typing.Union):
        return _build(_member(hint, plain), plain, blocks)
    if origin is tuple:
        return _tuple(typing.get_args(hint), plain, blocks)
    if hint is type(None):
        return _checked(type(None), plain)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = _hints(hint)
        named = _checked(dict, plain).items()
        return hint(**{name: _build(hints[name], value, blocks) for name, value in named if name != "type"})
    return _simple(hint)(plain)


def _simple(hint: Any) -> Callable[[Any], Any]:
    if hint is float:
        return lambda plain: float(_checked((int, float), plain))
    if hint in (int, str, bool):
        return lambda plain: _checked(hint, plain)
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


def _member(hint: Any, plain: Any) -> Any:
    members = typing.get_args(hint)
    if plain is None and type(None) in members:
        return type(None)
    others = [member for member in members if member is not type(None)]
    if len(others) == 1:
        return others[0]
    return {member.__name__: member for member in others}[_checked(dict, plain)["type"]]


def _array(hint: Any, block: NDArray[np.generic]) -> NDArray[np.generic]:
    scalar = typing.get_args(typing.get_args(hint)[1])[0]
    if not np.issubdtype(block.dtype, scalar):
        raise WireError(f"an array of {scalar.__name__} expected, not {block.dtype}")
    return block


def _tuple(arguments: tuple[Any, ...], plain: Any, blocks: Blocks) -> tuple[Any, ...]:
    plain = _checked(list, plain)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_build(arguments[0], item, blocks) for item in plain)
    return tuple(_build(hint, item, blocks) for hint, item in zip(arguments, plain, strict=True))


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


# ---------------------------------------------------------------- messages


def send(stream: BinaryIO, words: dict[str, Any], blocks: Blocks) -> None:
    """Write one message: its length, JSON with the shapes of the arrays, then the arrays."""
    shapes = [{"dtype": block.dtype.name, "shape": block.shape} for block in blocks]
    text = json.dumps({**words, "blocks": shapes}).encode("ascii")
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
        words = json.loads(_exactly(stream, length))
    except ValueError as error:
        raise WireError(f"no JSON: {error}") from error
    if not isinstance(words, dict) or not isinstance(shapes := words.pop("blocks", []), list):
        raise WireError("no message")
    if len(shapes) > MAX_BLOCKS:
        raise WireError("too many arrays")
    return words, [_block(stream, shape) for shape in shapes]


def _block(stream: BinaryIO, described: Any) -> NDArray[np.generic]:
    dtype, shape = described["dtype"], described["shape"]
    if dtype not in DTYPES or not all(isinstance(n, int) and 0 < n <= MAX_BLOCK for n in shape) or len(shape) > 3:
        raise WireError("an array of that form does not travel")
    if int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize > MAX_BLOCK:
        raise WireError("the array is too large")
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
