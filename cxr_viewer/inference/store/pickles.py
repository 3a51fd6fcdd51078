"""A reader of pickles that admits tensors, containers and named layers, all as stand-ins that run nothing.

What a pickle can make its reader do (PEP 307): look up a name (``find_class`` here, a fixed table), call what was
looked up (only the stand-ins below), and hand it a state (which they keep, or drop). Codes that no file of torch holds
are refused before the reader starts.
"""

from __future__ import annotations

import pickle
import pickletools
import warnings
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.inference.store import faults

_DEEPEST = 32
_MOST_LAYERS = 20_000
_MOST_CODES = 500_000
_REFUSED_CODES = {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"}

_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


class Storage:
    """Numbers of a file, as yet unread.

    Attributes:
        count: how many; ``bytes`` how many bytes they take.
        values: one-dimensional, once they were read.
    """

    __slots__ = ("count", "dtype", "values")

    def __init__(self, dtype: str, count: int) -> None:
        self.dtype = np.dtype(dtype)
        self.count = count
        self.values: NDArray[Any] | None = None

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("numbers were given a state")  # else the reader would set the attributes itself


class _StorageType:
    """Stands for ``torch.FloatStorage`` and the like; cannot be called."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a type of numbers was given a state")


class _Tensor:
    """A view of a storage; also stands for a parameter."""

    __slots__ = ("offset", "shape", "storage", "strides")

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage = storage
        self.offset = offset
        self.shape = shape
        self.strides = strides

    def __setstate__(self, state: object) -> None:
        """A tensor's state is its gradient or hooks; neither is wanted."""

    def read(self) -> NDArray[Any]:
        """A contiguous copy. Raises ValueError: it reaches beyond its storage."""
        values = self.storage.values
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        size = int(np.prod(self.shape, dtype=object)) if self.shape else 1
        if values is None or size > values.size or (size and last >= values.size):
            raise ValueError(f"a tensor {self.shape} reaches beyond its {self.storage.count} numbers")
        steps = tuple(step * values.itemsize for step in self.strides)
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps, writeable=False)
        return np.array(view, order="C")


class _Layer:
    """Stands for a module of torch, whichever; keeps its attributes, does nothing with them."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("a layer was given something else than its attributes")
        self.state = state


class _Table(dict[Any, Any]):
    """Stands for ``OrderedDict``; its attributes (``_metadata`` of a state dict) are dropped."""

    def __setstate__(self, state: object) -> None:
        """Dropped."""


class _Call:
    """Something a pickle may call: one of the functions below, without attributes that could be set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *given: object) -> object:
        return self._function(*given)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function was given a state")


def _rebuild(storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
    numbers = (offset, *_whole(shape), *_whole(strides))
    if not isinstance(storage, Storage) or not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
        raise pickle.UnpicklingError("a tensor without form")
    if len(_whole(shape)) != len(_whole(strides)) or len(_whole(shape)) > 8:
        raise pickle.UnpicklingError("a tensor without form")
    assert isinstance(offset, int)
    return _Tensor(storage, offset, _whole(shape), _whole(strides))


def _whole(value: object) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise pickle.UnpicklingError("a tensor without form")
    return value


def _rebuild_parameter(tensor: object, *_: object) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise pickle.UnpicklingError("a parameter that is no tensor")
    return tensor


def _rebuild_set(*_: object) -> frozenset[object]:
    """The only sets in modules name buffers that are not to be saved; they are not in the files."""
    return frozenset()


def _rebuild_size(shape: object = ()) -> tuple[Any, ...]:
    return _whole(tuple(shape) if isinstance(shape, list) else shape)


_MODULES = "torch.nn.modules."
_LAYERS = {
    # of TorchXRayVision, under its own name and that of the library it was derived from
    *(
        f"{package}.{name}"
        for package in ("torchxrayvision.models", "torchvision.models.densenet")
        for name in ("DenseNet", "_DenseBlock", "_DenseLayer", "_Transition")
    ),
    *(
        f"{_MODULES}{name}"
        for name in (
            "container.Sequential",
            "container.ModuleDict",
            "container.ModuleList",
            "conv.Conv2d",
            "batchnorm.BatchNorm2d",
            "activation.ReLU",
            "pooling.MaxPool2d",
            "pooling.AvgPool2d",
            "pooling.AdaptiveAvgPool2d",
            "linear.Linear",
            "linear.Identity",
            "dropout.Dropout",
        )
    ),
}
_CALLS: dict[str, object] = {
    "torch._utils._rebuild_tensor_v2": _Call(_rebuild),
    "torch._utils._rebuild_tensor": _Call(_rebuild),
    "torch._utils._rebuild_parameter": _Call(_rebuild_parameter),
    "torch.nn.parameter.Parameter": _Call(_rebuild_parameter),
    "torch.Size": _Call(_rebuild_size),
    # layers of torch before 1.2 name the library of functions they used
    "torch.nn.backends.thnn._get_thnn_function_backend": _Call(lambda: None),
    "builtins.set": _Call(_rebuild_set),
    "__builtin__.set": _Call(_rebuild_set),
    "collections.OrderedDict": _Table,
}


class _Reader(pickle.Unpickler):
    """Looks names up in the tables above, and nowhere else."""

    def __init__(self, file: IO[bytes], storages: dict[str, Storage]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        path = f"{module}.{name}"
        if path in _LAYERS:
            return _Layer
        if path in _CALLS:
            return _CALLS[path]
        if module in ("torch", "torch.cuda") and name in _TYPES:
            return _StorageType(_TYPES[name])
        raise faults.foreign(_plain(path))

    def persistent_load(self, reference: object) -> object:
        """("module", class, file, source) or ("storage", type, key, place, count, view)."""
        match reference:
            case ("module", kind, _, _) if kind is _Layer:
                return kind
            case ("storage", _StorageType() as kind, str(key), str(), int(count), *view) if view in ([], [None]):
                if not 0 <= count < 1 << 40:
                    raise pickle.UnpicklingError("numbers without number")
                storage = self._storages.setdefault(key, Storage(kind.dtype, count))
                if (storage.dtype, storage.count) != (np.dtype(kind.dtype), count):
                    raise pickle.UnpicklingError("numbers that are two things at once")
                return storage
        raise pickle.UnpicklingError("a reference to something that is not in the file")


def load(file: IO[bytes], storages: dict[str, Storage]) -> Any:
    """One pickle from a file, which stands behind it afterwards.

    Args:
        storages: those it refers to are added.

    Raises:
        ModelError: ``foreign-content``, where it names anything that is not in the tables.
        Exception: of many kinds, where it is damaged; MemoryError, where it claims what no memory holds.
    """
    start = file.tell()
    _check_codes(file)
    file.seek(start)
    return _Reader(file, storages).load()


def _check_codes(file: IO[bytes]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in texts
        for count, (code, _, _) in enumerate(pickletools.genops(file)):
            if code.name in _REFUSED_CODES:
                raise faults.foreign(f"the pickle code {code.name}")
            if count > _MOST_CODES:
                raise faults.too_large("a pickle without end")


def tensors_of(found: object) -> dict[str, NDArray[Any]]:
    """The tensors of a module or a state dict by name.

    Raises:
        ModelError: it is neither.
        ValueError: a tensor reaches beyond its numbers.
    """
    if isinstance(found, _Layer):
        tensors: dict[str, _Tensor] = {}
        _collect(found, "", tensors, 0, iter(range(_MOST_LAYERS)))
    elif isinstance(found, dict) and all(isinstance(name, str) for name in found):
        strange = [name for name, value in dict.items(found) if not isinstance(value, _Tensor)]
        if strange:
            raise faults.no_model(f"“{_plain(strange[0])}” in it is no tensor")
        tensors = dict(dict.items(found))
    else:
        raise faults.no_model("it holds neither a network nor its weights")
    return {name: tensor.read() for name, tensor in tensors.items()}


def _collect(layer: _Layer, prefix: str, tensors: dict[str, _Tensor], depth: int, left: Iterator[int]) -> None:
    """Parameters and buffers of a module and all below it, named as its ``state_dict()`` names them.

    Args:
        left: as long as further layers are looked at: layers may name each other, and would be met again and again.
    """
    if depth > _DEEPEST or next(left, None) is None:
        raise faults.no_model("its layers lie within each other without end")
    for kind in ("_parameters", "_buffers"):
        for name, value in _attributes(layer, kind).items():
            if isinstance(value, _Tensor):
                tensors[f"{prefix}{name}"] = value
            elif value is not None:
                raise faults.no_model(f"“{_plain(prefix + name)}” in it is no tensor")
    for name, inner in _attributes(layer, "_modules").items():
        if isinstance(inner, _Layer):
            _collect(inner, f"{prefix}{name}.", tensors, depth + 1, left)
        elif inner is not None:
            raise faults.no_model(f"“{_plain(prefix + name)}” in it is no layer")


def _attributes(layer: _Layer, kind: str) -> dict[str, Any]:
    found = layer.state.get(kind, {})
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise faults.no_model("a layer without form")
    return dict(dict.items(found))


def _plain(text: str) -> str:
    """A name from a foreign file, fit for a sentence."""
    return "".join(c if c.isprintable() else "?" for c in text[:80])
