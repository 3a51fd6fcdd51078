"""Fetches a published file. Run in a process of its own, the only part of the program that speaks to the internet.

What was fetched lies in ``NAME.part``, with ``NAME.part.toml`` beside it: where it came from, and what the server said
of the whole file. A download that broke off is gone on with by a range (RFC 9110, 14), but only if the server names the
file by the same strong ETag or date of change and the same length: a file that was replaced meanwhile is never glued
together.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import requests
import tomli_w
import urllib3

from cxr_viewer import __version__
from cxr_viewer.inference.store import linefaults as faults

Heard = Callable[[int, int], None]

CONNECT_S, SILENCE_S = 20.0, 60.0
ATTEMPTS = 4
_REDIRECTS = 8
_CHUNK = 1 << 16
_STEP = 1 << 18  # how many bytes between two reports
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the server said of the whole file; ``total`` is 0 where it did not say."""

    address: str
    total: int = 0
    etag: str = ""
    modified: str = ""

    @property
    def named(self) -> bool:
        """It can be told from another file at the same address."""
        return bool(self.etag or self.modified) and self.total > 0

    @property
    def condition(self) -> str:
        """For the header If-Range."""
        return self.etag or self.modified


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


def run(arguments: dict[str, Any], heard: Heard) -> dict[str, Any]:
    """Fetch ``address`` to ``target``, at most ``most_bytes``, through ``proxy`` where one is given.

    A file that lies at ``target`` already is taken as it is: it was fetched whole and not installed.

    Args:
        heard: told the bytes that are there and the bytes of the whole (0: not known).

    Raises:
        ModelError: with a sentence, whatever went wrong.
    """
    target = Path(arguments["target"])
    if not target.exists():
        try:
            with _alone(target):
                _Download(arguments, target, heard).run()
        except OSError as error:
            raise faults.disk(error) from error
    return {"path": str(target)}


class _Download:
    def __init__(self, arguments: dict[str, Any], target: Path, heard: Heard) -> None:
        self._address: str = arguments["address"]
        self._most: int = arguments["most_bytes"]
        self._schemes: list[str] = arguments["schemes"]
        self._proxies = _proxies(arguments["proxy"])
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.toml")
        self._heard = heard

    def run(self) -> None:
        """Try, and go on where a connection broke off, as long as something new came each time."""
        with requests.Session() as session:
            session.auth = _no_password
            for attempt in range(1, ATTEMPTS + 1):
                before = self._size()
                try:
                    self._attempt(session)
                    break
                except _BrokenOffError as error:
                    if attempt == ATTEMPTS or self._size() <= before:
                        raise faults.broken_off(self._size(), self._kept().total, repr(error.__cause__)) from error
        self._part.replace(self._target)
        self._notes.unlink(missing_ok=True)

    def _attempt(self, session: requests.Session) -> None:
        kept = self._kept()
        have = self._size() if kept.named else 0
        if have and have == kept.total:
            return
        headers = {"Range": f"bytes={have}-", "If-Range": kept.condition} if have else {}
        response = self._open(session, headers)
        with contextlib.closing(response):
            if response.status_code == 206 and _continues(response, kept, have):
                whole = kept
            elif have and response.status_code in (206, 416):  # of another file, or from another place than asked for
                self._discard()
                self._attempt(session)  # from the beginning
                return
            else:
                faults.check_status(response.status_code, self._address)
                have, whole = 0, _whole_of(response, self._address)
                self._begin(whole)
            self._check_room(whole.total, have)
            self._receive(response.raw, have, whole.total)

    def _open(self, session: requests.Session, headers: dict[str, str]) -> requests.Response:
        """The answer to a request, redirects followed, none of them to another scheme than those allowed."""
        address = self._address
        headers = {"User-Agent": f"cxr-viewer/{__version__}", "Accept-Encoding": "identity", **headers}
        for _ in range(_REDIRECTS):
            if urlsplit(address).scheme not in self._schemes:
                raise faults.not_secure(address)
            try:
                response = session.get(
                    address,
                    headers=headers,
                    proxies=self._proxies,
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_S, SILENCE_S),
                )
            except (*_BROKEN, ValueError) as error:
                raise faults.no_connection(error, through_proxy=bool(self._proxies)) from error
            if not response.is_redirect:
                return response
            address = urljoin(address, response.headers["Location"])
            response.close()
        raise faults.redirects(address)

    def _receive(self, stream: Any, have: int, total: int) -> None:
        told = have
        with self._part.open("ab", buffering=0) as file:
            while True:
                try:
                    chunk = stream.read1(_CHUNK, decode_content=False)
                except _BROKEN as error:
                    raise _BrokenOffError from error
                if not chunk:
                    break
                have += len(chunk)
                if have > (total or self._most) or have > self._most:
                    self._discard()
                    raise faults.too_long(total or self._most)
                _write(file, chunk)
                if have - told >= _STEP:
                    told = have
                    self._heard(have, total)
        self._heard(have, total)
        if have < total:
            raise _BrokenOffError

    # -------------------------------------------------------- what is kept

    def _size(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _kept(self) -> _Whole:
        """What the part is a part of; of nothing where that cannot be told, or it is another address's."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = _Whole(**tomllib.loads(self._notes.read_text("utf-8")))
            if kept.address == self._address and self._size() <= kept.total:
                return kept
        return _Whole(self._address)

    def _begin(self, whole: _Whole) -> None:
        if whole.total > self._most:
            raise faults.too_large(f"{whole.total} bytes, at most {self._most}")
        self._discard()
        self._notes.write_text(tomli_w.dumps(asdict(whole)), encoding="utf-8")

    def _discard(self) -> None:
        self._notes.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def _check_room(self, total: int, have: int) -> None:
        if shutil.disk_usage(self._target.parent).free < total - have:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(file: IO[bytes], chunk: bytes) -> None:
    """All of it: a file without a buffer may take less than it is given."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _whole_of(response: requests.Response, address: str) -> _Whole:
    length = response.headers.get("Content-Length", "")
    etag = response.headers.get("ETag", "")
    return _Whole(
        address,
        total=int(length) if length.isascii() and length.isdigit() else 0,
        etag="" if etag.startswith("W/") else etag,  # a weak one may stand for two files
        modified=response.headers.get("Last-Modified", ""),
    )


def _continues(response: requests.Response, kept: _Whole, have: int) -> bool:
    """The answer is the rest of the very file that is kept in part."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
    if found is None or (int(found[1]), int(found[3])) != (have, kept.total):
        return False
    # The ETag has to come again, the date of change need not (RFC 9110, 15.3.7).
    etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", kept.modified)
    return kept.etag in ("", etag) and kept.modified in ("", modified)


def _proxies(proxy: str) -> dict[str, str] | None:
    """For requests: None leaves it to the system's settings."""
    if not proxy:
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    return {"http": address, "https": address}


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Otherwise requests looks into the user's .netrc and sends what it finds there."""
    return request


@contextlib.contextmanager
def _alone(target: Path) -> Any:
    """Two programs that append to one file would spoil it; where the system has such locks."""
    try:
        import fcntl
    except ImportError:  # Windows does not let two programs open the part for writing and remove it
        yield
        return
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise faults.fetched_already() from error
        yield
