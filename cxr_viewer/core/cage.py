"""What a process gives up before it looks at a foreign file, as far as the system allows.

On Linux: Landlock (no writing, creating, removing or running of files outside one scratch folder, no TCP, no signals to
other programs), a system call filter (no sockets, programs, child processes, tracing; no changing of modes and owners,
which Landlock does not know), and resource limits. Reading stays free, because films may lie anywhere. What a system
does not offer is left out; :func:`shut` says which protections are in force. None can be taken back by the process.

Landlock and the filter bind the calling thread and those it starts, so :func:`shut` comes before any thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from dataclasses import dataclass, fields
from pathlib import Path

OPEN_FILES = 256
SCRATCH_FILE_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class Protections:
    """What a caged process cannot do.

    Attributes:
        files: write, create, remove or run a file outside its scratch folder.
        network: open a socket.
        programs: start a program or another process, look into another one, change who may read a file, type into the
            terminal the program was started from.
        signals: send signals to other programs.
        memory: take more memory than its limit.
        orphan: outlive the window's process, even stopped or hanging.
    """

    files: bool = False
    network: bool = False
    programs: bool = False
    signals: bool = False
    memory: bool = False
    orphan: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the protections that this system does not offer."""
        return tuple(field.name for field in fields(self) if not getattr(self, field.name))


def shut(scratch: Path | None, memory_limit_bytes: int = 0) -> Protections:
    """Give up what reading a file does not need, for this thread and all it starts, for ever.

    Args:
        scratch: the one folder that may be written to; None for none at all.
        memory_limit_bytes: of address space; 0 for no limit.
    """
    memory = _limit_resources(memory_limit_bytes)
    if not sys.platform.startswith("linux"):
        return Protections(memory=memory)
    sys.dont_write_bytecode = True
    libc = ctypes.CDLL(None, use_errno=True)
    orphan = _prctl(libc, _PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if not _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1) or not _one_thread():
        return Protections(memory=memory, orphan=orphan)
    version = _landlock(libc, scratch)
    filtered = _filter_calls(libc)
    return Protections(
        files=version > 0,
        network=filtered,
        programs=filtered,
        signals=filtered or version >= _SCOPES_SINCE,
        memory=memory,
        orphan=orphan,
    )


def _prctl(libc: ctypes.CDLL, option: int, *values: int) -> bool:
    """Whether it worked; the kernel insists on zeros where there is no argument."""
    arguments = (*values, *[0] * (4 - len(values)))
    return bool(libc.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, arguments)) == 0)


def _one_thread() -> bool:
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return True  # no /proc: nothing says otherwise


def _limit_resources(memory_limit_bytes: int) -> bool:
    """Whether memory is limited now."""
    try:
        import resource
    except ImportError:  # Windows
        return False

    def limit(kind: int, value: int) -> bool:
        with contextlib.suppress(ValueError, OSError):  # not each limit exists on each system
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
            return True
        return False

    limit(resource.RLIMIT_CORE, 0)  # a core file would hold the patient's film
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_FSIZE, SCRATCH_FILE_BYTES)
    return memory_limit_bytes > 0 and limit(resource.RLIMIT_AS, memory_limit_bytes)


# ---------------------------------------------------------------- Landlock (linux/landlock.h)

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))  # REMOVE_DIR ... MAKE_SYM
_SCRATCH_MAKE = sum(1 << bit for bit in (4, 5, 7, 8))  # folders and regular files only
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_SINCE = {_REFER: 2, _TRUNCATE: 3, _IOCTL_DEV: 5}
_TCP, _TCP_SINCE = 0b11, 4  # bind, connect
_SCOPES, _SCOPES_SINCE = 0b11, 6  # abstract UNIX sockets, signals


def _landlock(libc: ctypes.CDLL, scratch: Path | None) -> int:
    """Version of Landlock in force, 0 where there is none (before Linux 5.13, or switched off)."""
    version = int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    if version < 1:
        return 0
    later = sum(right for right, since in _SINCE.items() if version >= since)
    handled = _EXECUTE | _WRITE_FILE | _REMOVE_AND_MAKE | later
    words = [handled]
    if version >= _TCP_SINCE:
        words.append(_TCP)
    if version >= _SCOPES_SINCE:
        words.append(_SCOPES)
    attributes = struct.pack(f"={len(words)}Q", *words)
    size = ctypes.c_size_t(len(attributes))
    rules = int(libc.syscall(_CREATE_RULESET, attributes, size, ctypes.c_uint32(0)))
    if rules < 0:
        return 0
    try:
        in_scratch = (_WRITE_FILE | _SCRATCH_MAKE | _REFER | _TRUNCATE) & handled
        if scratch is not None:  # where it is not there any more, nothing may be written at all
            _allow(libc, rules, scratch, in_scratch, os.O_DIRECTORY | os.O_NOFOLLOW)
        _allow(libc, rules, Path(os.devnull), (_WRITE_FILE | _TRUNCATE) & handled, 0)
        shut_in = libc.syscall(_RESTRICT_SELF, rules, ctypes.c_uint32(0)) == 0
    finally:
        os.close(rules)
    return version if shut_in else 0


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int, flags: int) -> bool:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    except OSError:
        return False
    try:
        beneath = struct.pack("=Qi", rights, place)
        return bool(libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, beneath, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(place)


# ---------------------------------------------------------------- system calls (linux/seccomp.h, linux/filter.h)

_FILTER_MODE = 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000  # the low half of a refusal is the errno
_EPERM, _ENOSYS = 1, 38
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CALL, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; little-endian: the low half comes first
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000
_ABSENT = (435, 437)  # clone3, openat2: the C library then takes clone and openat
_WRITING, _EMPTYING = 0o3, 0o1000  # O_WRONLY or O_RDWR, O_TRUNC

# name: (x86_64, aarch64), None where the machine has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # network; io_uring could do the same past this filter
    "socket": (41, 198),
    "socketpair": (53, 199),
    "io_uring_setup": (425, 425),
    # programs and other processes
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    # what Landlock does not know of files, or not from its first version on
    "open": (2, None),
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    # the system itself, where the program runs with rights over it
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "open_by_handle_at": (304, 265),
}
# What a call that is needed may not be asked for, by its second argument: to write into the reader's terminal as if he
# had typed it (TIOCSTI, TIOCLINUX), or to have signals sent to other programs when a file is ready.
_REFUSED_REQUESTS: dict[str, tuple[tuple[int, int], tuple[int, ...]]] = {
    "ioctl": ((16, 29), (0x5412, 0x541C, 0x8901, 0x8902)),  # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP
    "fcntl": ((72, 25), (8, 15)),  # F_SETOWN, F_SETOWN_EX
}
# machine: (column above, AUDIT_ARCH, clone, kill, tgkill, prlimit64, openat)
_MACHINES = {
    "x86_64": (0, 0xC000003E, 56, 62, 234, 302, 257),
    "aarch64": (1, 0xC00000B7, 220, 129, 131, 261, 56),
}


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Whether the filter is in force; no other machines than those above are known here."""
    if platform.machine() not in _MACHINES or struct.calcsize("P") != 8:
        return False
    program = _program(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(b"".join(program), 8 * len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    head = SockFprog(len(program), ctypes.addressof(code))
    return _prctl(libc, _PR_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(head))


def _program(machine: str, process: int) -> list[bytes]:
    """The filter in the instructions of the kernel's packet filter, 8 bytes each.

    Refused calls fail as forbidden; the process is not killed for them, because libraries may well try some and go on.
    """
    column, architecture, clone, kill, tgkill, prlimit, openat = _MACHINES[machine]
    refuse = _step(_RETURN, _REFUSE | _EPERM)
    code = [_step(_LOAD, _MACHINE), _step(_JUMP_EQUAL, architecture, 1, 0), refuse, _step(_LOAD, _CALL)]
    if machine == "x86_64":
        code += [_step(_JUMP_AT_LEAST, _X32, 0, 1), refuse]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            code += [_step(_JUMP_EQUAL, number, 0, 1), refuse]
    # A filter cannot look behind a pointer, so calls that hide their flags there are declared absent.
    for number in _ABSENT:
        code += [_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE | _ENOSYS)]
    allow = _step(_RETURN, _ALLOW)
    threads_only = [_step(_LOAD, _FIRST_ARGUMENT), _step(_JUMP_BITS, _CLONE_THREAD, 1, 0), refuse, allow]
    code += [_step(_JUMP_EQUAL, clone, 0, 4), *threads_only]
    # Opening for reading may empty a file, and Landlock before version 3 lets it; opening for writing is its matter.
    reading_only = [_step(_LOAD, _FIRST_ARGUMENT + 16), _step(_JUMP_BITS, _WRITING, 2, 0)]
    code += [_step(_JUMP_EQUAL, openat, 0, 5), *reading_only, _step(_JUMP_BITS, _EMPTYING, 0, 1), refuse, allow]
    for numbers_of_call, requests in _REFUSED_REQUESTS.values():
        code += [
            _step(_JUMP_EQUAL, numbers_of_call[column], 0, 2 * len(requests) + 2),
            _step(_LOAD, _FIRST_ARGUMENT + 8),
        ]
        for request in requests:
            code += [_step(_JUMP_EQUAL, request, 0, 1), refuse]
        code.append(allow)
    for number, itself in ((kill, process), (tgkill, process), (prlimit, 0)):
        to_itself = [_step(_LOAD, _FIRST_ARGUMENT), _step(_JUMP_EQUAL, itself, 1, 0), refuse, allow]
        code += [_step(_JUMP_EQUAL, number, 0, 4), *to_itself]
    return [*code, allow]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
