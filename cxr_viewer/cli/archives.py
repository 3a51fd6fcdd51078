"""Films in ZIP archives for the commands: which one is meant, and the password from a file or the keyboard.

A password never stands on the command line: other users of the computer can read that, and shells keep it.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cxr_viewer.core.errors import CxrError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode

if TYPE_CHECKING:
    from cxr_viewer.sources.reader import SandboxReader
    from cxr_viewer.sources.sandbox import Sandbox

_TRIES = 3
_NAMED = 20


def add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--zip-password-file",
        type=Path,
        metavar="FILE",
        help="first line of FILE is the password of protected ZIP archives; without it, it is asked for on a terminal",
    )


def add_member(parser: argparse.ArgumentParser) -> None:
    add_password(parser)
    text = "which film of a ZIP archive that holds several; without it, their numbers are told"
    parser.add_argument("--member", default="", metavar="N", help=text)


def is_archive(path: Path) -> bool:
    from cxr_viewer.sources import listing

    return path.is_file() and listing.is_archive(path)


def unlock(films: SandboxReader, archive: Path, password_file: Path | None) -> bool:
    """Find a password that opens ``archive``; False where there is none.

    Raises:
        CxrError: the file cannot be read, or holds another password.
    """
    token = CancelToken()
    if password_file is not None:
        if not films.unlock(archive, _password_in(password_file), token):
            raise CxrError(
                f"The password in the file does not open {archive.name}.",
                hint="Put the right one into the first line of the file.",
                code="password-needed",
            )
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    for _ in range(_TRIES):
        password = getpass.getpass(f"Password of {archive.name} (empty leaves it out): ", sys.stderr)
        if not password:
            return False
        if films.unlock(archive, password, token):
            return True
        print("cxr-viewer: This password does not open it.", file=sys.stderr)
    return False


def _password_in(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CxrError(
            "The file with the password cannot be read.",
            hint="Check its name and that it holds text.",
            detail=type(error).__name__,
            code="wrong-use",
        ) from None
    if not lines or not lines[0]:
        raise CxrError("The file with the password is empty.", hint="Put it into its first line.", code="wrong-use")
    return lines[0]


def film_in(
    films: SandboxReader, processes: Sandbox, archive: Path, member: str, password_file: Path | None
) -> ImageNode:
    """The film of an archive that is meant: ``member``, or its only one.

    Raises:
        CxrError: there is no such film, there are several, or no password opens them.
    """
    found, notes, locked = _scan(processes, archive)
    if locked and unlock(films, archive, password_file):
        found, notes, locked = _scan(processes, archive)
    if member:
        found = [node for node in found if node.member == member]
    if len(found) == 1:
        return found[0]
    if locked:
        raise password_needed(archive)
    if not found and member:
        raise ReadError(f"The archive holds no film {member}.", hint="Leave --member out to see which.", code="no-film")
    if not found:
        raise ReadError("The archive holds no film.", hint=" ".join(notes[:1]), code="no-film")
    numbers = ", ".join(node.member for node in found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
    raise CxrError(
        f"The archive holds {len(found)} films.", hint=f"Name one with --member: {numbers}.", code="wrong-use"
    )


def password_needed(archive: Path) -> ReadError:
    return ReadError(
        f"{archive.name} is protected by a password.",
        hint="Give it with --zip-password-file, or run the command on a terminal to be asked.",
        code="password-needed",
    )


def _scan(processes: Sandbox, archive: Path) -> tuple[list[ImageNode], list[str], bool]:
    from cxr_viewer.sources.scan import FolderScanner

    found: list[ImageNode] = []
    notes: list[str] = []
    locked = False
    for batch in FolderScanner(processes).scan([archive], CancelToken()):
        found += [item.image for item in batch.found]
        notes += batch.notes
        locked |= bool(batch.locked)
    return found, notes, locked
