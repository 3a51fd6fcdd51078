"""What may go wrong with fetching a file, in sentences."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import requests

from cxr_viewer.core.errors import ModelError
from cxr_viewer.inference.store.faults import disk, too_large

__all__ = [
    "broken_off",
    "check_status",
    "disk",
    "fetched_already",
    "no_connection",
    "not_secure",
    "redirects",
    "too_large",
    "too_long",
]

_BY_HAND = "or fetch the file on another computer and install it from that file."


_PASSWORD = re.compile(r"""//[^\s"']*@""")


def _without_password(text: str) -> str:
    """What a library says of a proxy's address, without the name and password in it: details go into the log."""
    return _PASSWORD.sub("//", text)


def _told(error: Exception) -> str:
    """An address that cannot be taken apart is told in pieces, in which no password can be found any more."""
    return type(error).__name__ if isinstance(error, ValueError) else _without_password(repr(error))


def no_connection(error: Exception, *, through_proxy: bool) -> ModelError:
    """The server did not answer at all."""
    if isinstance(error, requests.exceptions.ProxyError) or (through_proxy and isinstance(error, ValueError)):
        return ModelError(
            "The proxy cannot be reached, or does not let the download through.",
            hint=f"Check the proxy's address in the settings, {_BY_HAND}",
            detail=_told(error),
            code="bad-proxy",
        )
    if isinstance(error, requests.exceptions.SSLError):
        return ModelError(
            "The server could not prove who it is, so nothing was fetched.",
            hint=f"A proxy may be opening secure connections; ask who runs your network, {_BY_HAND}",
            detail=_told(error),
            code="bad-certificate",
        )
    return ModelError(
        "The server cannot be reached.",
        hint=f"Check the connection to the internet and the proxy, {_BY_HAND}",
        detail=_told(error),
        code="no-connection",
    )


def check_status(status: int, address: str) -> None:
    """Raises ModelError for an answer that is not the file."""
    if status == 200:
        return
    detail = f"HTTP {status} for {address}"
    if status in (404, 410):
        raise ModelError(
            "The publisher no longer has this file at its address.",
            hint="A newer version of the program may know where it is now.",
            detail=detail,
            code="not-found",
        )
    if status == 407:
        raise ModelError(
            "The proxy wants a user name and password.",
            hint="Write them into the proxy's address: http://name:password@proxy:port.",
            detail=detail,
            code="bad-proxy",
        )
    raise ModelError(
        f"The publisher's server does not give the file out (answer {status}).",
        hint="Try again later.",
        detail=detail,
        code="server-error",
    )


def broken_off(have: int, total: int, detail: str) -> ModelError:
    of = f" of {total / 1e6:.1f}" if total else ""
    return ModelError(
        f"The download broke off after {have / 1e6:.1f}{of} MB.",
        hint="Try again: it goes on where it stopped.",
        detail=_without_password(detail),
        code="broken-off",
    )


def too_long(total: int) -> ModelError:
    return ModelError(
        "The server sends more than the file can have, so the download was given up.",
        hint="Try again later.",
        detail=f"more than {total} bytes",
        code="too-large",
    )


def not_secure(address: str) -> ModelError:
    parts = urlsplit(address)
    return ModelError(
        "The address of the file is not secure (https), so nothing was fetched.",
        hint="A proxy or server sends the download elsewhere; ask who runs your network.",
        detail=f"{parts.scheme}://{parts.hostname or ''}",
        code="not-secure",
    )


def redirects(address: str) -> ModelError:
    return ModelError(
        "The server sends the download from one address to the next without end.",
        hint="Try again later.",
        detail=urlsplit(address).hostname or "",
        code="redirects",
    )


def fetched_already() -> ModelError:
    return ModelError(
        "Another window or command is fetching this file.", hint="Wait until it is done.", code="fetched-already"
    )
