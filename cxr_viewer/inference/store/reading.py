"""Takes a published file apart without running anything that is in it.

The publishers hand out what ``torch.save`` wrote: a pickled module or state dict, in the form of torch before 1.6 (a
row of pickles, then the numbers) or since (a ZIP archive with one pickle and a file for each storage). A pickle is a
program; the ordinary reader runs whatever it names. Here it may name tensors, containers and the layers listed in
``pickles`` only, and even those are stand-ins that do no more than keep what they are given. The careful reader of
torch itself is not made for whole modules, and would bring all of torch into the cage; numpy is enough here.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from cxr_viewer.core import cage
from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.store import faults
from cxr_viewer.inference.store.pickles import Storage, load, tensors_of

MEMORY_BYTES = 3 << 30
PROCESSOR_S = 120
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch before 1.6
_LARGEST_PICKLE = 16 << 20
_WEB_PAGE = re.compile(rb"\s*(<!doctype|<html|<\?xml|<head)", re.IGNORECASE)

State = dict[str, NDArray[Any]]


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Read ``path`` in a cage and write its tensors to ``scratch``/state.safetensors.

    Raises:
        ModelError: not such a file, or something else is in it.
        OSError: the tensors cannot be written.
    """
    scratch = Path(arguments["scratch"])
    path = Path(arguments["path"])
    protections = cage.shut(scratch, MEMORY_BYTES)
    _limit_processor()
    state = read_published(path, arguments["most_bytes"], arguments.get("sha256", ""))
    save_file(state, scratch / "state.safetensors")
    return {"tensors": len(state), "missing_protections": list(protections.missing)}


def read_published(path: Path, most_bytes: int, sha256: str = "") -> State:
    """The tensors of a published file by name, C-contiguous copies.

    Args:
        most_bytes: a larger file, or more numbers than that, are not read.
        sha256: what was noted of it; another file that has taken its place since is not read.

    Raises:
        ModelError: ``foreign-content`` names what is in it that does not belong there; ``not-a-model``, ``cut-off``,
            ``too-large``, ``weights-damaged``, ``replaced``; ``unreadable``.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            if size > most_bytes:
                raise faults.too_large(f"{size} bytes, at most {most_bytes}")
            if not start.strip(b"\0"):
                raise faults.no_model("it is empty")
            if _WEB_PAGE.match(start):
                raise faults.no_model("it is a web page, perhaps an error page or the sign-on page of a network")
            archive = start.startswith(b"PK\x03\x04")
            if not archive and _MAGIC.to_bytes(10, "little") not in start[:32]:
                raise faults.no_model("it was not written by torch")
            file.seek(0)
            if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise faults.replaced()
            file.seek(0)
            with _read_errors():
                state = _read_zip(file) if archive else _read_old(file, size)
    except OSError as error:
        raise faults.unreadable(str(error)) from error
    _check_numbers(state, most_bytes)
    return state


def _read_old(file: BinaryIO, size: int) -> State:
    """torch before 1.6: magic number, protocol, system, the object, the keys of the storages; then the storages."""
    if load(file, {}) != _MAGIC:
        raise faults.no_model("it was not written by torch")
    if load(file, {}) != _PROTOCOL:
        raise faults.no_model("it was written in a form of torch that is not known")
    system = load(file, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise faults.no_model("it was written on a computer with another order of bytes")
    storages: dict[str, Storage] = {}
    found = load(file, storages)
    keys = load(file, {})
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise faults.no_model("the list of its numbers does not fit")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        place = file.tell()
        for key in keys:
            storage = storages[key]
            end = place + 8 + storage.bytes
            if end > size:
                raise faults.cut_off(f"storage {key} ends at {end}, the file at {size}")
            if int.from_bytes(whole[place : place + 8], "little", signed=True) != storage.count:
                raise faults.no_model("its numbers are not as many as it says", f"storage {key}")
            storage.values = np.frombuffer(whole[place + 8 : end], storage.dtype)
            place = end
        return tensors_of(found)


def _read_zip(file: BinaryIO) -> State:
    """torch since 1.6: ``NAME/data.pkl`` and ``NAME/data/KEY``, none of them compressed."""
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        pickled = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise faults.no_model("the archive holds no model of torch")
        root = pickled[0].removesuffix("data.pkl")
        _check_entries(entries, root)
        if entries[pickled[0]].file_size > _LARGEST_PICKLE:
            raise faults.too_large(f"a pickle of {entries[pickled[0]].file_size} bytes")
        if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
            raise faults.no_model("it was written on a computer with another order of bytes")
        storages: dict[str, Storage] = {}
        with archive.open(pickled[0]) as stream:
            found = load(stream, storages)
        for key, storage in storages.items():
            info = entries.get(f"{root}data/{key}")
            if info is None or info.file_size != storage.bytes:
                raise faults.no_model("its numbers are not as many as it says", f"storage {key}")
            storage.values = np.frombuffer(archive.read(info), storage.dtype)
        return tensors_of(found)


def _check_entries(entries: Mapping[str, zipfile.ZipInfo], root: str) -> None:
    for name, info in entries.items():
        if not name.startswith(root):
            raise faults.foreign(name)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise faults.no_model("its archive is packed, which torch never does", name)
        if name.startswith((f"{root}code/", f"{root}constants")):  # TorchScript: programs
            raise faults.foreign(name)


def _check_numbers(state: Mapping[str, NDArray[Any]], most_bytes: int) -> None:
    if not state:
        raise faults.no_model("it holds no weights")
    if sum(values.nbytes for values in state.values()) > most_bytes:
        raise faults.too_large("several tensors share their numbers")
    for name, values in state.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise faults.no_numbers(name)


@contextlib.contextmanager
def _read_errors() -> Iterator[None]:
    """What the readers of pickles and archives raise for damaged files, as one sentence."""
    try:
        yield
    except ModelError:
        raise
    except EOFError as error:
        raise faults.cut_off(repr(error)) from error
    except (pickle.UnpicklingError, zipfile.BadZipFile) as error:
        text = str(error)
        if "truncated" in text or "ran out" in text or "not a zip file" in text:
            raise faults.cut_off(text) from error
        raise faults.no_model("it was not written by torch, or it is damaged", repr(error)) from error
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        ImportError,
        OverflowError,
        RecursionError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise faults.no_model("it was not written by torch, or it is damaged", repr(error)) from error


def _limit_processor() -> None:
    """The system ends this process after so much processor time, where it offers that."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
