"""What a caged process can still do: each attempt is made for real, by a child that has shut itself in."""

from __future__ import annotations

import json
import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core import cage
from cxr_viewer.core.cage import Protections
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the cage is built of parts of Linux")

FILM = "dicom/cr_barre_fuji_pa_mono1_10bit.dcm"

# Each attempt is one function; what it raises is its outcome, "done" where nothing stopped it.
_ATTEMPTS = """
import ctypes, dataclasses, errno, fcntl, json, os, resource, signal, socket, struct, subprocess, sys, tempfile
import termios, threading
from pathlib import Path
from cxr_viewer.core import cage
film, other, scratch, home = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
keep, terminal = open(film, "rb"), os.openpty()
exec(sys.argv[5])
protections = cage.shut(scratch, 3 << 30)

def tcp():
    with socket.socket() as it: it.connect(("127.0.0.1", 1))
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it: it.sendto(b"x", ("127.0.0.1", 9))
def abstract():
    with socket.socket(socket.AF_UNIX) as it: it.connect("\\0cxr-viewer-test")
def thread():
    said = []
    it = threading.Thread(target=lambda: said.append((other.parent / "by_thread").write_text("x")))
    it.start(); it.join()
    if not said: raise PermissionError(errno.EPERM, "in the thread")
def plain_thread():
    said = []
    it = threading.Thread(target=lambda: said.append(1)); it.start(); it.join(); assert said
def in_scratch():
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).is_relative_to(scratch), file.name
    (scratch / "a").mkdir(); (scratch / "a" / "b").write_text("x"); (scratch / "a" / "b").rename(scratch / "c")
    assert (scratch / "c").read_text() == "x"
    (scratch / "c").unlink(); (scratch / "a").rmdir()
def large():
    with open(scratch / "large", "wb") as file: file.seek(cage.SCRATCH_FILE_BYTES); file.write(b"x")
def trace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, os.getppid(), 0, 0) != 0: raise PermissionError(ctypes.get_errno(), "ptrace")
def more():
    resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))
def own():
    it, _ = os.pipe(); fcntl.fcntl(it, fcntl.F_SETOWN, os.getppid())
def own_by_ioctl():
    it, _ = os.pipe(); fcntl.ioctl(it, 0x8901, struct.pack("i", os.getppid()))
def type_into_terminal():
    _, it = terminal; fcntl.ioctl(it, termios.TIOCSTI, b"x")
def other_requests():
    it, _ = os.pipe(); fcntl.fcntl(it, fcntl.F_GETFL); fcntl.ioctl(it, termios.FIONREAD, bytes(4))
def fresh(name):
    return lambda: (name.parent / (name.name + ".new")).write_text("x")

attempts = dict(
    read_film=lambda: keep.read(4) and film.read_bytes(),
    list_folder=lambda: list(film.parent.iterdir()),
    in_scratch=in_scratch, plain_thread=plain_thread,
    devnull=lambda: open(os.devnull, "w").write("x"),
    limits=lambda: resource.getrlimit(resource.RLIMIT_AS),
    signal_itself=lambda: os.kill(os.getpid(), 0),
    write_film=lambda: film.open("r+b").write(b"x"),
    truncate_film=lambda: os.truncate(film, 0),
    empty_film=lambda: os.open(film, os.O_RDONLY | os.O_TRUNC),
    append_film=lambda: film.open("ab").write(b"x"),
    beside_film=fresh(film), in_temporary=fresh(other), in_home=fresh(home / "cxr-viewer-test"),
    remove=lambda: other.unlink(), rename=lambda: other.rename(other.with_suffix(".moved")),
    into_scratch=lambda: other.rename(scratch / "stolen"),
    out_of_scratch=lambda: ((scratch / "x").write_text("x"), os.link(scratch / "x", other.parent / "linked")),
    folder=lambda: (other.parent / "folder").mkdir(), remove_folder=lambda: (other.parent / "empty").rmdir(),
    symlink=lambda: (other.parent / "link").symlink_to(film), fifo=lambda: os.mkfifo(other.parent / "fifo"),
    thread=thread, memory=lambda: open("/proc/self/mem", "r+b"),
    chmod=lambda: other.chmod(0o777), times=lambda: os.utime(other), chown=lambda: os.chown(other, -1, -1),
    attribute=lambda: os.setxattr(other, "user.x", b"x"),
    execute=lambda: subprocess.run(["/bin/true"], check=True), replace_itself=lambda: os.execv("/bin/true", ["true"]),
    fork=lambda: os.fork() or os._exit(0), trace=trace, limit_parent=more,
    own=own, own_by_ioctl=own_by_ioctl, type_into_terminal=type_into_terminal, other_requests=other_requests,
    tcp=tcp, datagram=datagram, abstract=abstract,
    signal_parent=lambda: os.kill(os.getppid(), 0), large=large,
)
outcomes = {}
groups = json.loads(sys.argv[6])
for name in [name for group, names in groups.items() if getattr(protections, group, True) for name in names]:
    attempt = attempts[name]
    try:
        attempt(); outcomes[name] = "done"
    except OSError as error:
        outcomes[name] = errno.errorcode.get(error.errno, "?")
print(json.dumps([dataclasses.asdict(protections), outcomes]))
"""
HARMLESS = (
    "read_film",
    "list_folder",
    "in_scratch",
    "plain_thread",
    "devnull",
    "limits",
    "signal_itself",
    "other_requests",
)
REFUSED = {
    "files": (
        *("write_film", "truncate_film", "empty_film", "append_film", "beside_film", "in_temporary", "in_home"),
        *("remove", "rename", "into_scratch", "out_of_scratch", "folder", "remove_folder", "symlink", "fifo"),
        *("thread", "memory"),
    ),
    "programs": (
        *("chmod", "times", "chown", "attribute", "execute", "replace_itself", "fork", "trace", "limit_parent"),
        *("own", "own_by_ioctl", "type_into_terminal"),
    ),
    "network": ("tcp", "datagram", "abstract"),
    "signals": ("signal_parent",),
}


@dataclass
class Outcome:
    protections: Protections
    attempts: dict[str, str]
    film: Path
    other: Path


@pytest.fixture
def attempt(tmp_path: Path, need_data: Callable[[str], Path], repository: Path) -> Callable[..., Outcome]:
    """``attempt(first="...")``: everything tried by a child that shut itself in, after running ``first``."""

    def run(first: str = "") -> Outcome:
        film, other, scratch = (tmp_path / place for place in ("films/film.dcm", "other/other.txt", "scratch"))
        for folder in (film.parent, other.parent, scratch, other.parent / "empty"):
            folder.mkdir(exist_ok=True)
        shutil.copyfile(need_data(FILM), film)
        other.write_text("untouched")
        groups = json.dumps({"": (*HARMLESS, "large"), **REFUSED})
        done = subprocess.run(
            [sys.executable, "-c", _ATTEMPTS, str(film), str(other), str(scratch), str(Path.home()), first, groups],
            cwd=repository,
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        told, outcomes = json.loads(done.stdout)
        (Path.home() / "cxr-viewer-test.new").unlink(missing_ok=True)
        return Outcome(Protections(**told), outcomes, film, other)

    return run


@pytest.mark.parametrize("protection", sorted(REFUSED))
def test_what_a_caged_process_cannot_do(
    protection: str, attempt: Callable[..., Outcome], need_data: Callable[[str], Path]
) -> None:
    outcome = attempt()
    if not getattr(outcome.protections, protection):
        pytest.skip(f"this system does not offer the protection of {protection}")
    tried = {name: outcome.attempts[name] for name in REFUSED[protection]}
    assert {name: got for name, got in tried.items() if got not in ("EACCES", "EPERM", "EXDEV")} == {}
    assert {name: outcome.attempts[name] for name in HARMLESS} == dict.fromkeys(HARMLESS, "done")
    if protection == "files":
        assert outcome.film.read_bytes() == need_data(FILM).read_bytes()
        assert outcome.other.read_text() == "untouched"
        assert sorted(path.name for path in outcome.other.parent.iterdir()) == ["empty", "other.txt"]
        assert [path.name for path in outcome.film.parent.iterdir()] == ["film.dcm"]


def test_a_scratch_file_has_a_limit(attempt: Callable[..., Outcome]) -> None:
    assert attempt().attempts["large"] == "EFBIG"


@pytest.mark.parametrize(
    ("first", "lost"),
    [
        ("cage._CREATE_RULESET = 9999", {"files"}),  # a kernel without Landlock
        ("cage._MACHINES.clear()", {"network", "programs"}),  # a machine whose calls are not known here
        ("cage._PR_SET_NO_NEW_PRIVS = 9999", {"files", "network", "programs", "signals"}),
    ],
)
def test_what_the_system_lacks_is_said_and_the_rest_holds(
    first: str, lost: set[str], attempt: Callable[..., Outcome]
) -> None:
    whole, outcome = Protections(**dict.fromkeys(Protections.__slots__, True)), attempt(first)
    assert whole.missing == ()
    assert lost <= set(outcome.protections.missing)
    assert outcome.protections.memory
    assert outcome.protections.orphan
    assert {name: outcome.attempts[name] for name in HARMLESS} == dict.fromkeys(HARMLESS, "done")
    for protection in set(REFUSED) - set(outcome.protections.missing):
        assert {outcome.attempts[name] for name in REFUSED[protection]} <= {"EACCES", "EPERM", "EXDEV"}


def test_without_its_scratch_folder_a_reader_writes_nowhere(attempt: Callable[..., Outcome]) -> None:
    offered = attempt().protections
    outcome = attempt("import shutil; shutil.rmtree(scratch)")
    assert outcome.protections == offered
    assert outcome.attempts["large"] == "ENOENT"
    for protection in set(REFUSED) - set(outcome.protections.missing):
        tried = {name: outcome.attempts[name] for name in REFUSED[protection]}
        assert set(tried.values()) <= {"EACCES", "EPERM", "EXDEV", "ENOENT"}, tried


def test_threads_that_run_already_are_not_overlooked(attempt: Callable[..., Outcome]) -> None:
    """They would stay free, so nothing is promised."""
    first = "threading.Thread(target=threading.Event().wait, daemon=True).start()"
    assert {"files", "network", "programs", "signals"} <= set(attempt(first).protections.missing)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_the_kernel_can_walk(machine: str) -> None:
    """Run here instruction by instruction: what it answers to each call, on machines that are not at hand as well."""
    program = cage._program(machine, 4711)
    column, architecture, clone, kill, tgkill, prlimit, openat = cage._MACHINES[machine]
    refused, allowed, absent = 0x00050001, 0x7FFF0000, 0x00050026

    def answer(call: int, argument: int = 0, machine: int = architecture, second: int = 0, third: int = 0) -> int:
        data = struct.pack("=iIQ6Q", call, machine, 0, argument, second, third, *[0] * 3)
        place, value = 0, 0
        while True:
            code, if_true, if_false, number = struct.unpack("=HBBI", program[place])
            if code == 0x06:
                return int(number)
            if code == 0x20:
                (value,) = struct.unpack_from("=I", data, number)
            else:
                true = {0x15: value == number, 0x35: value >= number, 0x45: bool(value & number)}[code]
                place += if_true if true else if_false
            place += 1

    calls = {numbers[column] for numbers in cage._REFUSED.values()} - {None}
    assert all(answer(call) == refused for call in calls if call is not None)
    special = {clone, kill, tgkill, prlimit, *cage._ABSENT}
    assert not calls & special
    assert all(answer(call) == allowed for call in range(470) if call not in calls | special)
    assert [answer(call) for call in cage._ABSENT] == [absent, absent]
    assert [answer(openat, third=flags) for flags in (0, 0o1000, 0o1001)] == [allowed, refused, allowed]
    assert (answer(clone, 0x11), answer(clone, 0x3D0F00)) == (refused, allowed)  # fork; pthread_create
    assert [answer(call, 4711) for call in (kill, tgkill)] == [allowed, allowed]
    assert [answer(call, 1) for call in (kill, tgkill, prlimit)] == [refused] * 3
    assert answer(prlimit, 0) == allowed
    assert answer(0, machine=0x40000003) == refused  # a 32-bit call slipped in
    for numbers, requests in cage._REFUSED_REQUESTS.values():
        assert {answer(numbers[column], second=request) for request in requests} == {refused}
        assert {answer(numbers[column], second=1 << 32 | request) for request in requests} == {refused}  # 32 bits count
    if machine == "x86_64":
        assert answer(0x40000000 | 1) == refused


def test_the_readers_say_what_protects_them(
    need_data: Callable[[str], Path],
) -> None:
    sandbox = Sandbox(1)
    try:
        assert sandbox.protections is None
        SandboxReader(sandbox).describe(need_data(FILM), CancelToken())
        protections = sandbox.protections
        assert protections is not None
        assert protections.memory
        assert protections.orphan
        (pid,) = sandbox.processes
        status = dict(
            row.split(":\t", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in row
        )
        assert status["NoNewPrivs"] == "1"
        assert (status["Seccomp"] == "2") is protections.programs
    finally:
        sandbox.close()
    if platform.machine() == "x86_64":
        assert protections.programs


def test_the_words_of_the_protections_are_all_or_nothing() -> None:
    nothing: Any = Protections()
    assert nothing.missing == ("files", "network", "programs", "signals", "memory", "orphan")
