"""Published files: what is read from them equals what torch reads, and nothing in them runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.store import process
from cxr_viewer.inference.store.pickles import Storage, load
from cxr_viewer.inference.store.process import run_job
from cxr_viewer.inference.store.reading import read_published

MOST = 64 << 20
FORMS = pytest.mark.parametrize("old", [True, False], ids=["before 1.6", "since 1.6"])


def refusal(path: Path, most: int = MOST) -> ModelError:
    with pytest.raises(ModelError) as caught:
        read_published(path, most)
    return caught.value


def save(found: object, path: Path, *, old: bool = True) -> Path:
    torch.save(found, path, _use_new_zipfile_serialization=not old)
    return path


def small_state() -> OrderedDict[str, torch.Tensor]:
    return OrderedDict(weight=torch.arange(12.0).reshape(3, 4), count=torch.tensor(7))


@FORMS
def test_a_whole_module_is_read_as_torch_reads_it(tmp_path, publisher, state_of, old: bool) -> None:
    found = read_published(publisher.save(tmp_path / "net.pt", old=old), MOST)
    expected = state_of(publisher.model)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


@FORMS
def test_a_state_dict_is_read_with_views_halves_and_names_as_they_are(tmp_path, old: bool) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    state = OrderedDict({"module.a": base.t(), "module.b": base[1:3, 2:5], "c": base.half(), "d": torch.tensor(True)})
    state._metadata = OrderedDict({"": {"version": 1}})  # as the state of every module has it
    found = read_published(save(state, tmp_path / "state.pth", old=old), MOST)
    assert list(found) == list(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy())
        assert found[name].flags.c_contiguous


def test_files_of_the_first_versions_of_torch_are_read(tmp_path, publisher, state_of) -> None:
    """Their layers name the library of functions they used, and their parameters carry no hooks."""
    layer = torch.nn.Conv2d(1, 2, 3)
    layer._backend = _Backend()
    found = read_published(save(torch.nn.Sequential(layer), tmp_path / "net.pt"), MOST)
    np.testing.assert_array_equal(found["0.weight"], layer.weight.detach().numpy())


class _Backend:
    def __reduce__(self) -> tuple[object, ...]:
        return _Global("torch.nn.backends.thnn", "_get_thnn_function_backend"), ()


class _Global:
    """Something that is pickled as a name, whether or not it exists here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Pickle wants something that can be called."""

    def __reduce__(self) -> str:
        return self.name

    @property
    def __module__(self) -> str:  # type: ignore[override]
        return self.module


@pytest.fixture(autouse=True)
def _names_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickler of the tests writes a :class:`_Global` without looking whether it can be imported."""

    class Pickler(pickle._Pickler):  # the one in Python: the one in C cannot be taught
        def save_global(self, found: object, name: str | None = None) -> None:
            if isinstance(found, _Global):
                self.write(pickle.GLOBAL + f"{found.module}\n{found.name}\n".encode())
                self.memoize(found)
            else:
                super().save_global(found, name)

    monkeypatch.setattr(pickle, "Pickler", Pickler)


class Hostile:
    """Writes a file when it is unpickled by an ordinary reader."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.target}",)


@FORMS
@pytest.mark.parametrize("where", ["top", "in the state", "as an attribute of a layer"])
def test_a_file_that_would_run_something_is_named_and_runs_nothing(tmp_path, old: bool, where: str) -> None:
    target = tmp_path / "written"
    hostile = Hostile(target)
    layer = torch.nn.Linear(2, 2)
    layer.extra = hostile
    found = {"top": hostile, "in the state": OrderedDict(small_state(), z=hostile)}.get(
        where, torch.nn.Sequential(layer)
    )
    path = save(found, tmp_path / "net.pt", old=old)
    torch.load(path, weights_only=False)
    assert target.exists(), "the file has to be dangerous for those who read it with torch"
    target.unlink()
    error = refusal(path)
    assert error.code == "foreign-content"
    assert f"{os.system.__module__}.system" in error.summary
    with pytest.raises(ModelError, match="system"):
        run_job("read", {"path": str(path), "scratch": str(tmp_path), "most_bytes": MOST}, CancelToken())
    assert not target.exists()


@pytest.mark.parametrize(
    "call",
    [
        b'cbuiltins\neval\n(S\'open("TARGET", "w")\'\ntR.',
        b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x14open('TARGET', 'w')\x85R.",
        b"(S'touch TARGET'\nios\nsystem\n.",
        b"c__builtin__\ngetattr\n(c__builtin__\n__import__\nS'system'\ntR.",
        b"ctorch.hub\nload\n(S'x'\ntR.",
        b"ctorchxrayvision.models\nget_weights\n(S'all'\ntR.",
        b"ctorch\nload\n(S'x'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"\x80\x02\x82\x01.",  # a name from the registry of copyreg
    ],
)
def test_no_name_outside_the_table_is_looked_up(tmp_path, call: bytes) -> None:
    target = tmp_path / "T"
    path = tmp_path / "net.pt"
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    path.write_bytes(head + call.replace(b"TARGET", str(target).encode()))
    error = refusal(path)
    assert error.code in ("foreign-content", "not-a-model")
    assert not target.exists()


def old_file(found: bytes, keys: object = (), numbers: bytes = b"") -> bytes:
    """A file of torch before 1.6 around a pickle."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in parts) + found + pickle.dumps(list(keys), 2) + numbers


def tensor_code(shape: tuple[int, ...], strides: tuple[int, ...], count: int, offset: int = 0) -> bytes:
    """A pickle of ``{"w": tensor}`` with these claims."""
    ints = lambda values: b"(" + b"".join(f"I{value}\n".encode() for value in values) + b"t"  # noqa: E731
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + (
        f"I{count}\nNtQ".encode()
    )
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + f"I{offset}\n".encode() + ints(shape) + ints(strides)
    return b"\x80\x02}X\x01\x00\x00\x00w" + rebuilt + b"I00\nNtRs."


def test_the_claims_of_a_tensor_are_held_against_its_numbers(tmp_path) -> None:
    path = tmp_path / "net.pt"
    numbers = struct.pack("<q", 4) + np.arange(4, dtype="<f4").tobytes()
    path.write_bytes(old_file(tensor_code((2, 2), (2, 1), 4), ["0"], numbers))
    np.testing.assert_array_equal(read_published(path, MOST)["w"], [[0, 1], [2, 3]])
    for shape, strides, count, offset in [
        ((2, 3), (3, 1), 4, 0),  # more numbers than there are
        ((2, 2), (2, 1), 4, 1),  # from a place from which they do not suffice
        ((2, 2), (200, 1), 4, 0),  # with steps that lead beyond
        ((1 << 35,), (0,), 4, 0),  # one number, over and over
        ((-2, -2), (2, 1), 4, 0),
        ((2, 2), (-2, 1), 4, 0),
        ((2,), (1, 1), 4, 0),
        ((1,) * 20, (1,) * 20, 4, 0),
    ]:
        path.write_bytes(old_file(tensor_code(shape, strides, count, offset), ["0"], numbers))
        assert refusal(path).code == "not-a-model"


@pytest.mark.parametrize("name", ["count", "dtype", "values"])
def test_no_pickle_sets_what_was_found_out_about_numbers(tmp_path, name: str) -> None:
    """BUILD with a pair sets attributes of whatever has no ``__setstate__``."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuI4\nNtQ"
    storages: dict[str, Storage] = {}
    with pytest.raises(pickle.UnpicklingError, match="a state"):
        load(io.BytesIO(b"\x80\x02" + storage + f"N}}S'{name}'\nI-7\ns\x86b.".encode("latin-1")), storages)
    assert (storages["0"].count, storages["0"].dtype, storages["0"].values) == (4, np.float32, None)


def test_numbers_that_were_on_a_graphics_card_are_read_as_they_are(tmp_path) -> None:
    """As most published files were written; this computer needs no such card."""
    path = tmp_path / "net.pt"
    code = tensor_code((2, 2), (1, 2), 4).replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat")
    code = code.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    path.write_bytes(old_file(code, ["0"], struct.pack("<q", 4) + np.arange(4, dtype="<f4").tobytes()))
    np.testing.assert_array_equal(read_published(path, MOST)["w"], [[0, 2], [1, 3]])


def test_huge_claims_are_refused_without_the_memory_they_ask_for(tmp_path) -> None:
    claims = {
        "numbers": old_file(tensor_code((4,), (1,), 1 << 39), ["0"], struct.pack("<q", 1 << 39) + bytes(16)),
        "text": old_file(b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"x."),
        "bytes": old_file(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x."),
        "memory places": old_file(b"\x80\x02Nr" + struct.pack("<I", 0xFFFFFFF0) + b"."),
        "whole number": old_file(b"\x80\x02\x8b" + struct.pack("<i", 0x7FFFFFF0) + b"."),
    }
    for name, content in claims.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:  # in the cage, whose memory has an end
            run_job("read", {"path": str(path), "scratch": str(tmp_path), "most_bytes": MOST}, CancelToken())
        assert caught.value.code in ("cut-off", "not-a-model", "too-large"), name


def test_a_bomb_of_layers_within_layers_ends(tmp_path) -> None:
    """Each layer holds the next one twice: 2 to the 30th layers, in a file of two kilobytes."""
    inner: torch.nn.Module = torch.nn.Linear(1, 1)
    for _ in range(30):
        outer = torch.nn.Sequential()
        outer._modules["a"] = outer._modules["b"] = inner
        inner = outer
    error = refusal(save(inner, tmp_path / "net.pt"))
    assert error.code == "not-a-model"
    assert "without end" in error.summary


@FORMS
def test_every_cut_is_told_as_a_cut_or_as_no_model(tmp_path, old: bool) -> None:
    whole = save(small_state(), tmp_path / "whole.pt", old=old).read_bytes()
    path = tmp_path / "cut.pt"
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        assert refusal(path).code in ("cut-off", "not-a-model"), length


@FORMS
def test_damaged_bytes_never_raise_anything_but_a_sentence(tmp_path, old: bool) -> None:
    whole = bytearray(save(small_state(), tmp_path / "whole.pt", old=old).read_bytes())
    random = np.random.default_rng(1)
    path = tmp_path / "damaged.pt"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(ModelError, MemoryError):  # the latter is a sentence in the process that reads
            read_published(path, MOST)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>404</html>", b"\n  <html>", b"<?xml version='1.0'?><Error/>"])
def test_a_web_page_in_place_of_the_file_is_called_one(tmp_path, page: bytes) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(page)
    assert "web page" in refusal(path).summary


def test_other_files_are_called_what_they_are_not(tmp_path) -> None:
    path = tmp_path / "net.pt"
    for content in (b"", bytes(4096), b"hello", pickle.dumps({"a": 1}), b"PK\x03\x04 and nothing more"):
        path.write_bytes(content)
        assert refusal(path).code in ("not-a-model", "cut-off")
    assert refusal(save({"epoch": 3, "w": torch.ones(2)}, path)).summary.startswith(
        "The file is no published model: “epoch”"
    )
    assert refusal(save([torch.ones(2)], path)).code == "not-a-model"
    assert refusal(save(OrderedDict(), path)).summary.endswith("it holds no weights.")
    assert refusal(tmp_path / "missing").code == "unreadable"


@FORMS
def test_weights_that_are_no_numbers_are_refused(tmp_path, old: bool) -> None:
    error = refusal(save({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, tmp_path / "n.pt", old=old))
    assert error.code == "weights-damaged"
    assert "b" in error.detail


def test_a_file_that_took_the_place_of_the_one_noted_is_not_read(tmp_path) -> None:
    path = save(small_state(), tmp_path / "net.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_published(path, MOST, digest).keys() == {"weight", "count"}
    save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError) as caught:
        read_published(path, MOST, digest)
    assert caught.value.code == "replaced"


def test_a_larger_file_than_the_model_can_have_is_not_read(tmp_path) -> None:
    path = save({"a": torch.ones(1000)}, tmp_path / "net.pt")
    assert refusal(path, 3000).code == "too-large"
    shared = torch.ones(1000)
    assert refusal(save({str(n): shared for n in range(50)}, path), 20_000).code == "too-large"


def test_archives_hold_nothing_but_numbers_and_one_pickle(tmp_path) -> None:
    whole = save(small_state(), tmp_path / "whole.pt", old=False)

    def changed(name: str, content: bytes, packed: int = zipfile.ZIP_STORED) -> Path:
        path = tmp_path / "changed.pt"
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", packed) as target:
            for info in source.infolist():
                if info.filename != name:
                    target.writestr(info.filename, source.read(info))
            target.writestr(name, content)
        return path

    assert refusal(changed("whole/code/__torch__.py", b"import os")).code == "foreign-content"
    assert refusal(changed("other/data.pkl", b"N.")).code == "not-a-model"
    assert refusal(changed("x.py", b"")).code == "foreign-content"
    assert refusal(changed("whole/byteorder", b"big")).code == "not-a-model"
    assert refusal(changed("whole/data/0", bytes(3))).code == "not-a-model"
    packed = refusal(changed("whole/data/9", bytes(1 << 20), zipfile.ZIP_DEFLATED))
    assert "packed" in packed.summary


def test_it_is_read_in_a_process_that_can_write_its_own_folder_only(tmp_path, publisher, state_of) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = publisher.save(tmp_path / "net.pt", old=True)
    answer = run_job("read", {"path": str(path), "scratch": str(scratch), "most_bytes": MOST}, CancelToken())
    found, expected = load_file(scratch / "state.safetensors"), state_of(publisher.model)
    assert answer["tensors"] == len(found) == len(expected)
    np.testing.assert_array_equal(found["classifier.weight"], expected["classifier.weight"])
    assert {path.name for path in scratch.iterdir()} == {"state.safetensors"}
    if sys.platform == "linux":
        assert answer["missing_protections"] == []


def test_a_job_that_takes_too_long_or_is_cancelled_ends(tmp_path) -> None:
    path = save(small_state(), tmp_path / "net.pt")
    given = {"path": str(path), "scratch": str(tmp_path), "most_bytes": MOST}
    with pytest.raises(ModelError) as slow:
        run_job("read", given, CancelToken(), limit_s=1e-6)
    assert slow.value.code == "too-slow"
    cancelled = CancelToken()
    cancelled.cancel()
    with pytest.raises(Exception, match="Cancelled"):
        run_job("read", given, cancelled)


@pytest.mark.parametrize("said", ["'[' * 100_000", "'x'", "'1'", "'[' + '1,' * 1_000_000 + '1]'"])
def test_a_process_that_says_anything_else_is_given_up(tmp_path, monkeypatch, said: str) -> None:
    """And not waited for: downloads have no limit of time."""
    monkeypatch.setattr(process, "_BOOT", f"import time; print({said}, flush=True); time.sleep(100)")
    with pytest.raises(ModelError) as caught:
        run_job("download", {}, CancelToken())
    assert caught.value.code == "job-died"


def test_a_stream_of_nothing_but_codes_ends(tmp_path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(old_file(b"\x80\x02" + b"N0" * 300_000 + b"N."))
    assert refusal(path).code == "too-large"


def test_the_test_writes_what_torch_would(tmp_path) -> None:
    """The pickles made by hand above are of the form that torch reads."""
    numbers = struct.pack("<q", 4) + np.arange(4, dtype="<f4").tobytes()
    content = io.BytesIO(old_file(tensor_code((2, 2), (2, 1), 4), ["0"], numbers))
    assert torch.load(content, weights_only=False)["w"].tolist() == [[0, 1], [2, 3]]
