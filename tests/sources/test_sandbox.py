"""The pool of reader processes: what dies, hangs or outgrows its limit there costs one sentence here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage
from cxr_viewer.sources import sandbox as sandbox_module
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

FILM = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"

# A reader that does what no test file can be trusted to do on every machine.
_EVIL_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import ctypes, dataclasses, os, signal, time
import numpy as np
from cxr_viewer.core.image import ModalityTable, OverlayPlane, VoiTable
from cxr_viewer.sources import attributes, jobs, worker
good, decoded = jobs.run, attributes.radiograph
class Panic(BaseException):
    pass
hit = 0
def radiograph(*args, **named):
    film = decoded(*args, **named)
    if hit: signal.raise_signal(hit)
    return film
attributes.radiograph = radiograph
odd = {
    "rgb": np.zeros((3, 4, 3), np.uint8),
    "stored": np.zeros((3, 4, 3), np.uint16),
    "overlays": (OverlayPlane(np.zeros(9, np.uint8)),),
    "voi": (VoiTable(0, np.zeros((4, 4), np.uint16), 12),),
    "modality_lut": ModalityTable(0, np.zeros((4, 4), np.uint16)),
}
def evil(job, words, interim=None):
    global hit
    job = words.get("instead", job)
    hit = words.get("signal", 0)
    if job == "crash": ctypes.string_at(0)
    if job == "abort": os.abort()
    if job == "leave": os._exit(3)
    if job == "hang": time.sleep(600)
    if job == "spin":
        while True: pass
    if job == "eat": return str(len(bytearray(1 << 40)))
    if job == "panic": raise Panic("called `Option::unwrap()` on a `None` value")
    if job == "print": print("noise" * 1000, flush=True); os.write(1, b"noise"); return "fine"
    if job == "pid": return str(os.getpid())
    if job == "lie": return 42
    if job == "wait": time.sleep(words["pause_s"]); return "waited"
    if job == "litter": open("litter", "w").write("x"); return os.getcwd()
    if job == "other file":
        film = good("describe", words)
        return dataclasses.replace(film, image=dataclasses.replace(film.image, path=film.image.path.with_name("b")))
    if job == "odd": return dataclasses.replace(good("read", words), **{words["what"]: odd[words["what"]]})
    if job == "early": interim(words.get("early", "early")); return "late"
    if job == "chatter":
        while True: interim("early")
    if job == "early and hang": interim("early"); time.sleep(600)
    if job == "early and stop": interim("early"); signal.raise_signal(signal.SIGSTOP)
    return good(job, words, interim)
jobs.run = evil
worker.main(int(sys.argv[2]), sys.argv[3])
"""


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sandbox]]:
    """``evil(size)``: a sandbox whose readers misbehave on request."""
    monkeypatch.setattr(sandbox_module, "_BOOT", _EVIL_BOOT)
    pools: list[Sandbox] = []

    def build(size: int = 1) -> Sandbox:
        pools.append(Sandbox(size))
        return pools[-1]

    yield build
    for pool in pools:
        pool.close()


def until(condition: Callable[[], bool]) -> None:
    """Returns as soon as it holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        threading.Event().wait(0.01)


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # nobody may be there to collect an orphan
    except psutil.NoSuchProcess:
        return False


def describe(pool: Sandbox, path: Path) -> FoundImage:
    return pool.ask(FoundImage, "describe", CancelToken(), path=str(path))


@pytest.mark.parametrize(
    ("job", "code", "detail"),
    [
        ("crash", "reader-crashed", "SIGSEGV"),
        ("abort", "reader-crashed", "SIGABRT"),
        ("leave", "reader-crashed", "exit status 3"),
        ("eat", "memory", "MemoryError"),
        ("panic", "damaged", "Panic"),
        ("lie", "reader-crashed", "without form"),
        ("chatter", "reader-crashed", "neither a value nor a reason"),
    ],
)
def test_one_sentence_and_the_next_film(
    job: str, code: str, detail: str, evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool = evil()
    with pytest.raises(ReadError) as caught:
        pool.ask(str, job, CancelToken())
    assert caught.value.code == code
    if sys.platform.startswith("linux"):
        assert detail in caught.value.detail
    assert caught.value.summary.endswith(".")
    assert describe(pool, need_data(FILM)).image.rows == 440


def read(pool: Sandbox, path: Path, limit_s: float = 30.0, **words: object) -> Radiograph:
    return pool.ask(Radiograph, "read", CancelToken(), time_limit_s=limit_s, path=str(path), frame=0, **words)


def test_a_waiting_reader_keeps_no_film_alive(evil: Callable[..., Sandbox], need_data: Callable[[str], Path]) -> None:
    pool = evil(1)
    film = read(pool, need_data(FILM))
    pixels = weakref.ref(film.stored)
    del film
    until(lambda: pixels() is None)


@pytest.mark.parametrize("what", ["rgb", "stored", "overlays", "voi", "modality_lut"])
def test_pixels_of_another_form_than_a_picture_has(
    what: str, evil: Callable[..., Sandbox], need_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that a file has taken over cannot hand the window arrays it would draw wrongly."""
    pool = evil()
    reader = SandboxReader(pool)
    node = reader.describe(need_data(FILM), CancelToken()).image
    monkeypatch.setattr(reader, "_file", lambda node: {"path": str(node.path), "instead": "odd", "what": what})
    with pytest.raises(ReadError) as caught:
        reader.read(node, CancelToken())
    assert caught.value.code == "reader-crashed"


def test_a_header_said_to_be_of_another_file(
    evil: Callable[..., Sandbox], need_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths come from the reader's choice and the scan, never from what a reader process answers."""
    pool = evil()
    ask = pool.ask
    monkeypatch.setattr(pool, "ask", lambda *args, **named: ask(*args, **named, instead="other file"))
    with pytest.raises(ReadError) as caught:
        SandboxReader(pool).describe(need_data(FILM), CancelToken())
    assert caught.value.code == "reader-crashed"


@pytest.mark.skipif(os.name != "posix", reason="signals are a matter of POSIX")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SIGSEGV", "reader-crashed"),
        ("SIGABRT", "reader-crashed"),
        ("SIGBUS", "reader-crashed"),
        ("SIGFPE", "reader-crashed"),
        ("SIGKILL", "reader-killed"),
        ("SIGTERM", "reader-killed"),
        ("SIGSTOP", "timeout"),
    ],
)
def test_a_reader_that_dies_in_the_middle_of_a_film(
    name: str, code: str, evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    """The other reader goes on, the next film opens, and nothing of the dead one is left."""
    pool, film = evil(2), need_data(FILM)
    with ThreadPoolExecutor(1) as threads:
        bystander = threads.submit(pool.ask, str, "wait", CancelToken(), pause_s=0.5)
        before = {int(read(pool, film).rows)}, set(pool.processes)
        with pytest.raises(ReadError) as caught:
            read(pool, film, 0.5 if name == "SIGSTOP" else 30.0, signal=int(signal.Signals[name]))
        assert bystander.result() == "waited"
    assert caught.value.code == code
    assert code == "timeout" or name in caught.value.detail
    assert caught.value.summary.endswith(".")
    assert caught.value.hint
    assert read(pool, film).rows == 440
    dead = before[1] - set(pool.processes)
    assert len(dead) == 1
    assert not any(psutil.pid_exists(pid) for pid in dead)
    assert len(pool.processes) == 2


@pytest.mark.skipif(os.name != "posix", reason="signals are a matter of POSIX")
def test_a_reader_that_is_stopped_can_be_cancelled_at_once(
    evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool, film, token = evil(), need_data(FILM), CancelToken()
    assert read(pool, film).rows == 440
    (pid,) = pool.processes
    with ThreadPoolExecutor(1) as threads:
        stop = int(signal.SIGSTOP)
        waiting = threads.submit(pool.ask, Radiograph, "read", token, path=str(film), frame=0, signal=stop)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        token.cancel()
        assert isinstance(waiting.exception(timeout=20), CancelledError)
    assert read(pool, film).rows == 440
    assert not psutil.pid_exists(pid)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="cannot see a dead process without collecting it")
def test_a_reader_killed_while_nobody_asks_it_costs_no_film(
    evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool, film = evil(), need_data(FILM)
    for _ in range(3):
        assert read(pool, film).rows == 440
        (pid,) = pool.processes
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # dead, and left for the pool to find


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whether a child is stopped")
def test_a_reader_stopped_while_nobody_asks_it_is_replaced(
    evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool, film = evil(), need_data(FILM)
    assert read(pool, film).rows == 440
    (pid,) = pool.processes
    os.kill(pid, signal.SIGSTOP)
    until(lambda: not running(pid) or psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    assert read(pool, film).rows == 440
    assert not psutil.pid_exists(pid)
    (pid,) = pool.processes
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)
    assert read(pool, film).rows == 440
    assert pool.processes == (pid,)


def test_each_reader_has_a_folder_of_its_own_and_none_is_left(
    evil: Callable[..., Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pool = evil()
    folders = [Path(pool.ask(str, "litter", CancelToken())) for _ in range(2)]
    assert folders[0] == folders[1]
    assert folders[0].is_relative_to(tmp_path)
    assert (folders[0] / "litter").exists()
    with pytest.raises(ReadError):
        pool.ask(str, "abort", CancelToken())
    another = Path(pool.ask(str, "litter", CancelToken()))
    assert another != folders[0]
    assert not folders[0].exists()
    pool.close()
    assert list(tmp_path.iterdir()) == []


def test_an_early_answer_comes_while_the_reader_goes_on(evil: Callable[..., Sandbox]) -> None:
    pool, token, early = evil(), CancelToken(), list[str]()

    def take(text: str) -> None:
        early.append(text)
        token.cancel()

    with pytest.raises(CancelledError):
        pool.ask(str, "early and hang", token, interim=take)
    assert early == ["early"]


def test_an_early_answer_that_nobody_wants_or_that_has_no_form_is_dropped(evil: Callable[..., Sandbox]) -> None:
    pool, early = evil(), list[str]()
    assert pool.ask(str, "early", CancelToken()) == "late"
    assert pool.ask(str, "early", CancelToken(), interim=early.append, early=[1]) == "late"
    assert early == []


@pytest.mark.parametrize("job", ["hang", "spin"])
def test_what_hangs_is_killed_and_replaced(
    job: str, evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool = evil()
    before = pool.ask(str, "pid", CancelToken())
    with pytest.raises(ReadError) as caught:
        pool.ask(str, job, CancelToken(), time_limit_s=0.3)
    assert caught.value.code == "timeout"
    assert describe(pool, need_data(FILM)).image.rows == 440
    assert pool.ask(str, "pid", CancelToken()) != before
    assert not psutil.pid_exists(int(before))


def test_cancel_returns_at_once_and_the_reader_serves_on(
    evil: Callable[..., Sandbox], need_data: Callable[[str], Path]
) -> None:
    pool = evil()
    before = int(pool.ask(str, "pid", CancelToken()))
    token = CancelToken()
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        pool.ask(str, "hang", token)
    timer.join()
    assert describe(pool, need_data(FILM)).image.rows == 440
    assert not psutil.pid_exists(before)


def test_a_cancelled_request_that_waits_is_dropped(evil: Callable[..., Sandbox]) -> None:
    pool = evil()
    pid = pool.ask(str, "pid", CancelToken())
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        pool.ask(str, "hang", token)
    assert pool.ask(str, "pid", CancelToken()) in (pid, *map(str, pool.processes))


def test_a_short_request_that_was_cancelled_costs_no_process(evil: Callable[..., Sandbox]) -> None:
    pool = evil()
    pid = pool.ask(str, "pid", CancelToken())
    for _ in range(20):
        token = CancelToken()
        token.cancel()
        with pytest.raises(CancelledError):
            pool.ask(str, "pid", token)
    assert pool.ask(str, "pid", CancelToken()) == pid


def test_a_click_does_not_wait_for_the_scan(evil: Callable[..., Sandbox], need_data: Callable[[str], Path]) -> None:
    pool = evil(2)
    token = CancelToken()
    with ThreadPoolExecutor(6) as threads:
        slow = [threads.submit(pool.ask, str, "hang", token) for _ in range(4)]
        found = pool.ask(FoundImage, "describe", CancelToken(), urgent=True, path=str(need_data(FILM)))
        assert found.image.rows == 440
        assert not any(request.done() for request in slow)
        token.cancel()
        for request in slow:
            assert isinstance(request.exception(), CancelledError)


def test_what_a_library_prints_does_not_reach_the_answers(evil: Callable[..., Sandbox]) -> None:
    assert evil().ask(str, "print", CancelToken()) == "fine"


def test_close_leaves_no_process_and_answers_everyone(evil: Callable[..., Sandbox]) -> None:
    pool = evil(2)
    pool.ask(str, "pid", CancelToken())
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(pool.ask, str, "hang", CancelToken()) for _ in range(4)]
        while not any(request.running() for request in waiting):
            threading.Event().wait(0.01)
        pids = pool.processes
        pool.close()
        for request in waiting:
            assert isinstance(request.exception(), ReadError)
    pool.close()
    assert pool.processes == ()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(ReadError) as caught:
        pool.ask(str, "pid", CancelToken())
    assert caught.value.code == "reader-closed"


def test_an_interpreter_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    pool = Sandbox(1)
    with pytest.raises(ReadError) as caught:
        pool.ask(str, "describe", CancelToken(), path="x")
    pool.close()
    assert caught.value.code == "reader-not-started"


# ---------------------------------------------------------------- what lives where


def test_the_readers_hold_neither_qt_nor_torch(
    sandbox: Sandbox, reader: SandboxReader, need_data: Callable[[str], Path]
) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs /proc to see what a process has loaded")
    for name in (FILM, "dicom/tx_dx_canon_jpegls_lossless.dcm", "hostile/png_renamed.dcm"):
        node = reader.describe(need_data(name), CancelToken()).image
        reader.thumbnail(node, 64, CancelToken())
    for pid in sandbox.processes:
        loaded = {Path(row.path).name.lower() for row in psutil.Process(pid).memory_maps()}
        assert any("numpy" in row.path or "_multiarray" in row.path for row in psutil.Process(pid).memory_maps())
        assert not [name for name in loaded if name.startswith(("libqt", "libtorch", "libopenvino", "libshiboken"))]


def test_the_window_process_loads_no_dicom_library(repository: Path) -> None:
    code = (
        "import sys, cxr_viewer.sources.reader, cxr_viewer.sources.scan\n"
        "print([m for m in ('pydicom', 'SimpleITK', 'gdcm', 'cv2', 'PySide6', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_KILLED = """
import os, sys
import psutil
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import sandbox
from cxr_viewer.sources.answers import Headers
job, sandbox._BOOT = sys.argv[1:]
pool = sandbox.Sandbox(1)
pool.ask(Headers, 'headers', CancelToken(), files=[])
(pid,) = pool.processes
print(*[child.pid for child in psutil.Process().children()], flush=True)
def die(_):
    while job.endswith("stop") and psutil.Process(pid).status() != psutil.STATUS_STOPPED: pass
    os.kill(os.getpid(), 9)
if job == "idle": die(None)
pool.ask(str, job, CancelToken(), interim=die)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills its parent by a signal")
@pytest.mark.parametrize("job", ["idle", "early and hang", "early and stop"])
def test_neither_readers_nor_their_folders_outlive_the_program(job: str, repository: Path, tmp_path: Path) -> None:
    """The program is killed while its reader waits, hangs or is stopped."""
    if job != "idle" and not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process of the end of its parent")
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, job, _EVIL_BOOT],
        cwd=repository,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, done.stderr  # the reader, and the shell that tidies up
    until(lambda: not any(running(pid) for pid in pids))
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the reader


def test_a_file_that_holds_another_image_now(
    reader: SandboxReader, dicom_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom_bytes())
    node = reader.describe(path, CancelToken()).image
    path.write_bytes(dicom_bytes(SOPInstanceUID="1.2.3.5"))
    with pytest.raises(ReadError) as caught:
        reader.read(node, CancelToken())
    assert caught.value.code == "file-changed"
    with pytest.raises(ReadError) as caught:
        reader.thumbnail(node, 32, CancelToken())  # not even a small picture of another patient
    assert caught.value.code == "file-changed"


def test_files_that_cannot_be_opened(reader: SandboxReader, dicom_bytes: Callable[..., bytes], tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(dicom_bytes())
    node = reader.describe(path, CancelToken()).image
    path.unlink()
    cases = [(path, "file-missing"), (tmp_path, "not-a-file")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        cases.append((tmp_path / "pipe", "not-a-file"))
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "secret").chmod(0)
        cases.append((tmp_path / "secret", "permission-denied"))
    for place, code in cases:
        with pytest.raises(ReadError) as caught:
            reader.describe(place, CancelToken())
        assert caught.value.code == code
        assert str(tmp_path) not in caught.value.summary + caught.value.detail
    with pytest.raises(ReadError) as caught:
        reader.read(node, CancelToken())
    assert caught.value.code == "file-missing"


def test_the_same_film_from_many_threads(reader: SandboxReader, need_data: Callable[[str], Path]) -> None:
    node = reader.describe(need_data(FILM), CancelToken()).image
    with ThreadPoolExecutor(8) as threads:
        films = list(threads.map(lambda _: reader.read(node, CancelToken()), range(16)))
    assert len({film.stored.tobytes() for film in films}) == 1
    assert all(isinstance(film, Radiograph) and film.path == node.path for film in films)


def test_a_file_name_that_is_no_text(reader: SandboxReader, dicom_bytes: Callable[..., bytes], tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("file names are bytes only on Linux")
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/film\xff\xfe.dcm"))
    path.write_bytes(dicom_bytes())
    node = reader.describe(path, CancelToken()).image
    assert node.path == path
    assert reader.read(node, CancelToken()).rows == 4
